"""One run: nodes of a site are broken while doors look, people enroll and withdraw, and an auditor reads the log."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, final

from benchmarks.history.auditor import Auditor
from benchmarks.history.fault_plan import FaultKind, plan_faults
from benchmarks.history.leased_door import LeasedDoor, LeasedLook
from benchmarks.history.machines import Machines
from benchmarks.history.operation import Operation, What
from benchmarks.history.server_cluster import ServerCluster
from benchmarks.load.checker import Span, Stay
from benchmarks.load.run import (
    History,
    Plan,
    make_site,
    panel,
    start_doors_and_people,
    wait_for_notifications,
)
from volens import Site
from volens.audit import VerifierKey
from volens.store import SiteDatabases, join_home, server_databases, utc_now
from volens.store.keys.lease_boxes import open_handle

_PATIENCE_S: Final = 180.0
_UNKNOWN: Final = -1


@final
@dataclass(frozen=True, slots=True)
class RunPlan:
    """What is done to a site.

    Attributes:
        seconds: the shortest duration; the round of faults that has begun is finished, and there is one at least.
        longest_fault_s: no fault lasts longer, and no time between two.
        timeout_s: of requests; then the caller asks the next node.
        seed: of the faults and of the faces at the doors.
        kinds: of faults.
        lease_seconds: of the lease that one more door holds.
    """

    seconds: float = 600
    nodes: int = 2
    doors: int = 4
    frames_per_s: float = 3
    longest_fault_s: float = 8
    timeout_s: float = 20
    seed: int = 1
    kinds: tuple[FaultKind, ...] = tuple(FaultKind)
    lease_seconds: int = 10


@final
@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded.

    Attributes:
        operations: the history.
        responses: number of responses of each operation and HTTP status; status 0 is no response.
    """

    operations: list[Operation]
    responses: dict[str, int]


def record_run(
    folder: Path, photos: list[list[bytes]], plan: RunPlan, cluster: ServerCluster | None = None
) -> Recording:
    """Create a site in a folder, break its nodes one after another, and return what happened.

    `photos` are four of each person; the fourth is what doors see. With `cluster`, the data is on these servers, each
    node has a home of its own, and when half of the time is over, the primary fails over to its replica.
    """
    load = Plan(
        doors=plan.doors,
        frames_per_s=plan.frames_per_s,
        seed=plan.seed,
        timeout_s=plan.timeout_s,
        lease_seconds=plan.lease_seconds,
    )
    history, ended, faults = History(), threading.Event(), list[Operation]()
    with ExitStack() as kept:
        receiver = kept.enter_context(panel(history))
        home = folder / "home"
        databases = None if cluster is None else server_databases(cluster.url)
        create = partial(Site.create, databases=databases, root_key=f"file:{folder / 'root.key'}")
        tokens = make_site(home, load, f"http://127.0.0.1:{receiver.server_address[1]}/", create)
        homes = [home] * plan.nodes if databases is None else [home, *_joined(folder, databases, plan.nodes - 1)]
        key = VerifierKey.parse((home / "site.pub").read_text(encoding="utf-8"))
        machines = kept.enter_context(Machines(homes))
        auditor = Auditor(machines, tokens.auditor, key, plan.timeout_s)
        threads = start_doors_and_people(machines, history, photos, load, tokens, ended)
        door = LeasedDoor(
            machines.nodes[0].proxy.port,
            key,
            tokens.leased_door,
            photos,
            folder,
            lease_seconds=plan.lease_seconds,
            frames_per_s=plan.frames_per_s,
            seed=plan.seed,
        )
        for another in (auditor.run, door.run):
            threads.append(threading.Thread(target=another, args=(ended,)))
            threads[-1].start()
        try:
            began = time.monotonic()
            for one_round in plan_faults(plan.seed, plan.nodes, plan.longest_fault_s, plan.kinds):
                for fault in one_round:
                    time.sleep(fault.quiet_s)
                    faults.append(machines.suffer(fault))
                    if cluster is not None and time.monotonic() - began >= plan.seconds / 2:
                        faults.append(cluster.fail_over())
                        cluster = None
                if time.monotonic() - began >= plan.seconds:
                    break
            _wait_for_recovery(history, door)
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        wait_for_notifications(history)
        auditor.read()
        leased = _leased_looks(home, door, history)
    responses = {f"{what} {status}": count for (what, status), count in sorted(history.statuses.items())}
    return Recording([*operations_of(history), *leased, *faults, *auditor.seen], responses)


def _joined(folder: Path, databases: SiteDatabases, count: int) -> Iterator[Path]:
    """Yield the homes of further nodes of a site on a server."""
    for number in range(count):
        home = folder / f"node-{number + 2}"
        root_key = f"file:{folder / 'root.key'}"
        join_home(home, databases, clock=utc_now, random=os.urandom, root_key_url=root_key)
        yield home


def _wait_for_recovery(history: History, door: LeasedDoor) -> None:
    """Wait until a person matched and another withdrew, after all faults; after three minutes the checker finds it.

    Someone must have matched with a lease, and someone must have withdrawn while that door was cut off.
    """
    since, until = time.monotonic_ns(), time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        stays = list(history.stays.values())
        spans = [one.withdrawn for one in stays if one.withdrawn is not None and one.withdrawn.ended is not None]
        has_withdrawn = any(one.began > since for one in spans)
        has_matched = any(one.matched for one in list(history.decisions) if one.span.began > since)
        has_matched_alone = any(one.handle is not None for one in list(door.looks))
        if has_withdrawn and has_matched and has_matched_alone and any(_is_everywhere_later(one) for one in stays):
            return
        time.sleep(0.1)


def _is_everywhere_later(stay: Stay) -> bool:
    ended = None if stay.withdrawn is None else stay.withdrawn.ended
    return ended is not None and stay.everywhere_at is not None and stay.everywhere_at > ended


def _leased_looks(home: Path, door: LeasedDoor, history: History) -> list[Operation]:
    """Return the looks with a lease as operations; only the site knows who a handle is."""
    with Site.open(home) as site:
        keyring = site.installation.store.keyring
        return [
            Operation(
                what=What.LOOK,
                who="leased door",
                began=one.span.began,
                ended=one.span.ended,
                face=one.shown,
                matched=()
                if one.handle is None
                else (person_of(open_handle(keyring, one.handle, door.door_id, one.lease_id), one, history),),
                leased=True,
            )
            for one in door.looks
        ]


def person_of(reference_id: int, look: LeasedLook, history: History) -> int:
    """Return the number of the person of a reference.

    The reference of an enrollment that was not answered is not known. If it is none of the known ones, it is that of
    the last such enrollment of the face that had begun.
    """
    stays = list(enumerate(history.stays.values(), 1))
    known = {stay.reference_id: number for number, stay in stays if stay.reference_id is not None}
    unanswered = [
        number
        for number, stay in stays
        if stay.reference_id is None and stay.actor == look.shown
        if stay.enrolled is not None and stay.enrolled.began < look.span.began
    ]
    return known.get(reference_id, unanswered[-1] if unanswered else _UNKNOWN)


def operations_of(history: History) -> Iterator[Operation]:
    """Yield the operations of a load, with numbers in place of people."""
    numbers = {subject_id: number for number, subject_id in enumerate(history.stays, 1)}
    for subject_id, stay in history.stays.items():
        person = numbers[subject_id]
        yield _of_person(What.ENROLL, person, stay.enrolled or Span(0, None), face=stay.actor)
        if stay.withdrawn is not None:
            yield _of_person(What.WITHDRAW, person, stay.withdrawn)
            yield _of_person(What.EVERYWHERE, person, Span(stay.withdrawn.began, stay.everywhere_at))
        for at in stay.notified:
            yield _of_person(What.WEBHOOK, person, Span(at, at))
    for one in history.decisions:
        yield Operation(
            what=What.LOOK,
            who=f"door {one.door}",
            began=one.span.began,
            ended=one.span.ended,
            face=one.shown,
            matched=_numbers(one.matched, numbers),
        )


def _numbers(subject_ids: Iterable[str], numbers: dict[str, int]) -> tuple[int, ...]:
    return tuple(sorted(numbers.get(one, _UNKNOWN) for one in subject_ids))


def _of_person(what: What, person: int, span: Span, face: int | None = None) -> Operation:
    return Operation(what=what, who="person", began=span.began, ended=span.ended, person=person, face=face)
