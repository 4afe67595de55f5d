"""Leases at a door: held, renewed, dropped when revoked, zeroed at the end; and a real door that loses its network."""

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command_line import run
from cut_line import CutLine
from house import DIMENSION, MODEL, THRESHOLD, House, no_models
from patience import PATIENCE_S, free_port
from rich.console import Console

from tests.service.conftest import jpeg
from tests.service.test_the_server import home, served
from volens import Site, SubjectKey
from volens.consent import InputError, Purpose, RefusedError, UnavailableError, UnknownError, parse_time
from volens.consent.lease import LeaseDoor, drift_margin_s
from volens.face import Extractor
from volens.identify import USUAL_RULES
from volens.identify.lease_delivery import LeasedDecision, record_leased_decisions
from volens.identify.lease_giving import give_lease
from volens.service import samples
from volens.service.door import DoorConfig, DoorLog, Limits
from volens.service.door.door_assembly import DoorPlan
from volens.service.door.door_events import BadgesOnly, DeciderLost, DeciderReady, Event
from volens.service.door.frame_queue import FrameQueue
from volens.service.door.lease_client import ReceivedLease
from volens.service.door.lease_holder import LeaseHolder, lease_clock
from volens.service.door.lease_journal import LeaseJournal
from volens.service.door.leased_decider import LeasedDecider
from volens.service.sample_notice import publish_sample_notice
from volens.store.keys import LeaseKey
from volens.store.people.visits import visits_since
from volens.store.programs import Role
from volens.store.programs.leases import Leases

__all__ = ["home"]
TERM = 60


def until(condition: Callable[[], object], what: str, show: Callable[[], str] = str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"{what}: {show()}"
        time.sleep(0.02)


class Line:
    """A client of a site in this process, whose connection can be cut."""

    def __init__(self, house: House, door_id: str) -> None:
        self.is_cut = False
        self.refusal: str | None = None
        self.asked = 0
        self.delivered: list[Mapping[str, Any]] = []
        self._house = house
        self._door_id = door_id

    def ask(self, model_id: str, liveness_model: str | None = None) -> ReceivedLease:
        assert (model_id, liveness_model) == (MODEL, None)
        self._check()
        given = give_lease(self._house.store, self._door_id, MODEL, lambda _zone: THRESHOLD)
        self.asked += 1
        return ReceivedLease(given.token, LeaseKey(given.key.buffer), given.references)

    def acknowledge(self, lease_id: str, *, holds: bool, wait_s: int = 0) -> bool:
        self._check()
        time.sleep(min(wait_s, 0.02))
        try:
            return Leases(self._house.store).acknowledge(self._door_id, lease_id, holds=holds)
        except UnknownError:
            return False

    def deliver(self, decisions: Sequence[Mapping[str, Any]]) -> None:
        self._check()
        self.delivered += decisions

    def _check(self) -> None:
        if self.is_cut:
            raise UnavailableError("the line is cut")
        if self.refusal is not None:
            raise RefusedError(self.refusal)


@pytest.fixture
def leased(house: House) -> House:
    house.site.zones.set_lease("lobby", TERM)
    publish_sample_notice(house.site, "lobby")
    return house


def test_a_holder_renews_drops_and_ends_its_lease(leased: House, tmp_path: Path) -> None:
    ada = leased.admit()
    credential, _token = leased.site.programs.credentials.issue(label="left", role=Role.DOOR, zone="lobby")
    line, journal, now = Line(leased, credential.credential_id), LeaseJournal(tmp_path / "journal"), [1000.0]
    store = leased.store
    door = LeaseDoor(
        *(store.verifier_key.public_keys, store.site.controller.site_id, Purpose("lobby"), credential.credential_id)
    )
    holder = LeaseHolder(line, door, MODEL, DIMENSION, journal, lambda: now[0])  # type: ignore[arg-type]  as a client
    holder.start()
    try:
        until(lambda: holder.held, "the first lease")
        first = holder.held
        assert first is not None
        assert first.best(ada.face) is not None
        # A third of the term.
        now[0] += TERM / 3
        until(lambda: holder.held not in {None, first}, "a renewal")
        assert not first.is_usable
        # A withdrawal: dropped, said, and asked again.
        leased.withdraw(ada)
        until(lambda: holder.held is not None and holder.held.claims.people == 0, "a lease without the person")
        # What waits is delivered with the next renewal.
        journal.add("0" * 32, datetime(2099, 3, 1, 12, 0, 59, tzinfo=UTC), b"handle")
        now[0] += TERM / 3
        until(lambda: line.delivered, "the journal is delivered")
        assert line.delivered[0]["minute"] == "2099-03-01T12:00:00Z"
        until(lambda: not journal.waiting(), "the journal is empty")
        # The connection is lost, and the lease ends by itself.
        line.is_cut = True
        last = holder.held
        assert last is not None
        now[0] += TERM - drift_margin_s(TERM)
        until(lambda: holder.held is None and holder.problem == "the line is cut", "the end of the lease")
        line.is_cut = False
        until(lambda: holder.held, "another lease")
        line.refusal = "no lease for this door"
        now[0] += TERM / 3
        until(lambda: holder.held is None and holder.problem == line.refusal, "a refusal ends the lease too")
    finally:
        line.refusal = None
        holder.close()
    assert holder.held is None


@pytest.mark.parametrize("rule", ["badge", "closed"])
def test_after_its_lease_a_door_does_what_its_zone_says(leased: House, tmp_path: Path, rule: str) -> None:
    leased.site.zones.set_after_lease("lobby", rule)
    credential, _token = leased.site.programs.credentials.issue(label="left", role=Role.DOOR, zone="lobby")
    line, journal, now = Line(leased, credential.credential_id), LeaseJournal(tmp_path / "journal"), [1000.0]
    store = leased.store
    door = LeaseDoor(
        *(store.verifier_key.public_keys, store.site.controller.site_id, Purpose("lobby"), credential.credential_id)
    )
    holder = LeaseHolder(line, door, MODEL, DIMENSION, journal, lambda: now[0])  # type: ignore[arg-type]  as a client
    remote = SimpleNamespace(rules=USUAL_RULES, zone="lobby", meanwhile=None)
    decider = LeasedDecider(remote, holder, no_models, journal)  # type: ignore[arg-type]  as far as it is used
    frames, events = FrameQueue(30.0), list[Event]()
    alone = threading.Thread(
        target=decider._decide_alone, args=(frames, events.append, time.monotonic() + PATIENCE_S), daemon=True
    )
    holder.start()
    try:
        until(lambda: holder.held, "the lease")
        line.is_cut = True
        alone.start()
        until(lambda: any(isinstance(one, DeciderReady) for one in events), "the door decides alone")
        now[0] += TERM
        until(lambda: any(isinstance(one, DeciderLost) for one in events), "the end of the lease")
        if rule == "badge":
            until(lambda: BadgesOnly() in events, "badges only")
    finally:
        frames.close()
        alone.join(PATIENCE_S)
        holder.close()
    assert events.count(BadgesOnly()) == (rule == "badge")


def test_the_clock_of_leases_never_goes_back() -> None:
    seen = [lease_clock() for _ in range(100)]
    assert seen == sorted(seen)


def test_a_journal_keeps_whole_lines_and_deletes_what_was_delivered(tmp_path: Path) -> None:
    journal = LeaseJournal(tmp_path / "journal")
    assert journal.deliver(lambda _entries: None) == 0
    at = datetime(2099, 3, 1, 12, 0, tzinfo=UTC)
    for number in range(3):
        journal.add(f"{number:032x}", at, b"handle")
    with (tmp_path / "journal").open("ab") as file:
        file.write(b'{"lease_id": "0')  # a kill
    assert (tmp_path / "journal").stat().st_mode & 0o077 == 0

    def refuse(_entries: Sequence[Mapping[str, Any]]) -> None:
        raise UnavailableError("not now")

    with pytest.raises(UnavailableError):
        journal.deliver(refuse)
    assert len(journal.waiting()) == 3
    sent: list[str] = []
    assert journal.deliver(lambda entries: sent.extend(str(one["lease_id"]) for one in entries)) == 3
    assert sent == [f"{number:032x}" for number in range(3)]
    assert journal.waiting() == []


def test_what_a_door_decided_alone_is_recorded_once_and_only_while_the_consent_is_in_force(leased: House) -> None:
    ada, gone = leased.admit(), leased.admit()
    credential, _token = leased.site.programs.credentials.issue(label="left", role=Role.DOOR, zone="lobby")
    door_id, store = credential.credential_id, leased.store
    given = give_lease(store, door_id, MODEL, lambda _zone: THRESHOLD)
    size = (len(given.references) - 1) // 2
    handles = [given.references[1 + size * number : 1 + size * (number + 1)][-37:] for number in range(2)]
    minute = leased.clock().replace(second=0)
    leased.clock.move(minutes=5)
    leased.withdraw(gone)

    def deliver(*decisions: LeasedDecision, door: str = door_id) -> int:
        return record_leased_decisions(store, door, Purpose("lobby"), MODEL, decisions)

    mine = LeasedDecision(given.claims.lease_id, minute, handles[0])
    late = LeasedDecision(given.claims.lease_id, parse_time("2098-01-01T00:00:00Z"), handles[0])
    left = LeasedDecision(given.claims.lease_id, minute, handles[1])
    forged = LeasedDecision("0" * 32, minute, handles[0])
    assert deliver(mine, late, left, forged) == 1
    assert deliver(mine) == 1
    assert deliver(mine, door="0" * 16) == 0
    with store.read() as connection:
        (visit,) = visits_since(connection, ada.receipt_id, minute)
    assert (visit.minute, visit.door) == (minute, "left")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"lease": True}, "got --lease without --url"),
        ({"lease": True, "url": "https://volens.example", "token": Path("t")}, "got --lease without --site-key"),
        ({"site_key": Path("site.pub")}, "got --site-key without --lease"),
        ({"lease_journal": Path("journal")}, "got --lease-journal without --lease"),
    ],
)
def test_settings_of_leases_that_do_not_fit_together_are_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        DoorPlan.of(DoorConfig(zone="lobby", folder=Path("in"), **given))


def test_a_door_that_loses_its_network_goes_on_with_its_lease(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holders: list[LeaseHolder] = []
    start = LeaseHolder.start
    monkeypatch.setattr(LeaseHolder, "start", lambda self: (holders.append(self), start(self)))
    extractor, photos, journal = Extractor.load_default(), tmp_path / "in", tmp_path / "journal"
    photos.mkdir()
    *enrolled, at_the_door = samples.views(samples.astronaut(), 4)
    with Site.open(home) as site:
        site.zones.set_lease("lobby", 900)
        publish_sample_notice(site, "lobby")
        key = SubjectKey.from_seed(os.urandom(32))
        given = site.give_consent(site.notice("lobby"), name="Ada Canary", jurisdiction="FR", key=key)
        site.enroll(given.to_json(), enrolled)
    token = tmp_path / "door.token"
    issue = ["credential", "add", "left door", "--role", "door", "--zone", "lobby", "--home", str(home)]
    assert run([*issue, "--out", str(token)]) == 0
    port = free_port()
    line = CutLine(free_port(), port)
    config = DoorConfig(
        zone="lobby",
        folder=photos,
        max_age_s=600,
        open_s=0.2,
        url=f"http://127.0.0.1:{line.port}",
        token=token,
        lease=True,
        site_key=home / "site.pub",
        lease_journal=journal,
    )
    text = StringIO()
    out, err = Console(file=text, width=200), Console(file=StringIO())
    with served(home, port), line, DoorLog(out, err, as_json=True) as log:
        door = DoorPlan.of(config).build(log, Limits(max_age_s=600), None, lambda: extractor)
        running = threading.Thread(target=door.run)
        running.start()
        try:
            with Site.open(home) as site:
                until(lambda: holders and holders[0].held, "the door holds a lease")
                until(lambda: '"ready"' in text.getvalue(), "the service decides")
                assert [one.door for one in site.programs.leases.list()] == ["left door"]
                line.cut()
                (photos / "1.jpg").write_bytes(jpeg(at_the_door))
                until(lambda: '"opens": true' in text.getvalue(), "the door opens by itself", text.getvalue)
                until(lambda: len(journal.read_bytes().splitlines()) == 1, "it notes what it decided")
                assert b"Ada" not in journal.read_bytes()
                line.mend()
                until(lambda: not LeaseJournal(journal).waiting(), "it delivers that when it is connected again")
                (receipt_id,) = site.receipts_of("Ada Canary")
                with site.installation.store.read() as connection:
                    (visit,) = visits_since(connection, receipt_id, datetime(2000, 1, 1, tzinfo=UTC))
                assert visit.door == "left door"
        finally:
            door.stop()
            running.join(PATIENCE_S)
    decisions = [json.loads(one) for one in text.getvalue().splitlines() if '"decision"' in one]
    assert decisions[0]["opens"]
    assert "Ada" not in text.getvalue()
