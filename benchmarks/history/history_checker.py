"""Checker of a recorded history: which promises it breaks. Pure: operations in, violations out.

Every operation takes effect at one moment between its beginning and its end (linearizability, Herlihy and Wing 1990).
So an order of two operations is certain only if one ended before the other began, and only then it is a violation.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import final

from benchmarks.history.operation import DONE, FORGED, Operation, What
from volens.audit import verify_consistency
from volens.consent import TamperError


@final
class Rule(StrEnum):
    """What must hold of every history."""

    STOPPED_EVERYWHERE = "no one matches at any door after 'stopped everywhere'"
    STOPPED_ONLINE = "no one matches at an online door after 'stopped at the primary'"
    NOT_BEFORE_ENROLLMENT = "no one matches before their enrollment began"
    OWN_FACE = "a face matches only the person whose face it is"
    NO_ONE_LOST = "an enrolled person is recognised while nothing is broken"
    WEBHOOK_ARRIVES = "a recipient is told of every withdrawal that was answered"
    ONE_LOG = "every checkpoint is consistent with the one before it"


@final
@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that was broken, and the operation that shows it."""

    rule: Rule
    operation: Operation


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a history.

    Attributes:
        counts: of operations that were answered and did what was asked, by kind.
        faults: of each kind.
        recognised: looks at which the person shown matched.
        recognised_by_lease: those of them at doors that decided by a lease.
        leased: looks that a door decided by a lease, with a match or without.
        stopped_later: people who were stopped everywhere later than at the primary.
        latest_match_ns: the longest time from the beginning of a withdrawal to the beginning of a look that matched.
        has_recovered: after the end of the last fault, a person matched or withdrew.
    """

    violations: tuple[Violation, ...]
    counts: Counter[What]
    faults: Counter[str]
    recognised: int
    recognised_by_lease: int
    leased: int
    stopped_later: int
    latest_match_ns: int
    has_recovered: bool

    @property
    def gaps(self) -> list[str]:
        """What the history does not contain, so that it proves less than it seems to."""
        wanted = [What.ENROLL, What.WITHDRAW, What.EVERYWHERE, What.WEBHOOK]
        found = [f"no {what} was done" for what in wanted if not self.counts[what]]
        found += ["no face was recognised"] * (not self.recognised)
        found += ["no face was recognised by a lease"] * (self.leased > 0 and not self.recognised_by_lease)
        found += ["no one withdrew while a door held a lease"] * (self.leased > 0 and not self.stopped_later)
        found += ["after the last fault no one matched or withdrew"] * (not self.has_recovered)
        found += ["a withdrawal was never stopped everywhere"] * (
            self.counts[What.EVERYWHERE] < self.counts[What.WITHDRAW]
        )
        found += ["fewer than two checkpoints were read"] * (self.counts[What.CHECKPOINT] < 2)  # noqa: PLR2004  a pair
        return found

    @property
    def holds(self) -> bool:
        """Whether all promises were kept, by a history that contains what they are about."""
        return not self.violations and not self.gaps


@final
@dataclass(slots=True)
class _Stay:
    """From an enrollment to the withdrawal of the same consent."""

    enrolled: Operation
    withdrawn: Operation | None = None
    everywhere_at: int | None = None
    told: list[Operation] = field(default_factory=list)

    @property
    def stopped_at(self) -> int | None:
        return self.withdrawn.ended if self.withdrawn is not None and self.withdrawn.is_done else None

    @property
    def is_stopped_later(self) -> bool:
        return self.stopped_at is not None and self.everywhere_at is not None and self.stopped_at < self.everywhere_at


def check_history(operations: Iterable[Operation]) -> Verdict:
    """Check a history.

    Raises:
        ValueError: it is not a history, because a person was enrolled twice, or withdrew without an enrollment.
    """
    found = sorted(operations, key=lambda one: one.began)
    by_kind: defaultdict[What, list[Operation]] = defaultdict(list)
    for one in found:
        by_kind[one.what].append(one)
    stays = _stays(by_kind)
    looks = [one for one in by_kind[What.LOOK] if one.is_done]
    violations = [
        *(Violation(rule, look) for look in looks for rule in _broken_by(look, stays)),
        *(Violation(Rule.NO_ONE_LOST, look) for look in _lost(looks, stays, by_kind[What.FAULT])),
        *(
            Violation(Rule.WEBHOOK_ARRIVES, stay.withdrawn)
            for stay in stays.values()
            if stay.withdrawn is not None and stay.stopped_at is not None and not stay.told
        ),
        *(Violation(Rule.ONE_LOG, one) for one in _other_logs(by_kind[What.CHECKPOINT])),
    ]
    counts = Counter(one.what for one in found if one.is_done)
    faults = Counter(one.outcome for one in by_kind[What.FAULT])
    right = [look for look in looks if any(stays[person].enrolled.face == look.face for person in _known(look, stays))]
    late = (
        look.began - withdrawn.began
        for look in looks
        for person in _known(look, stays)
        if (withdrawn := stays[person].withdrawn) is not None
    )
    repaired_at = max((one.ended or 0 for one in by_kind[What.FAULT]), default=0)
    later = [one for one in [*right, *by_kind[What.WITHDRAW]] if one.is_done and one.began > repaired_at]
    return Verdict(
        *(tuple(violations), counts, faults, len(right), sum(one.leased for one in right)),
        leased=sum(one.leased for one in looks),
        stopped_later=sum(stay.is_stopped_later for stay in stays.values()),
        latest_match_ns=max([0, *late]),
        has_recovered=bool(later) or not by_kind[What.FAULT],
    )


def _known(look: Operation, stays: dict[int, _Stay]) -> list[int]:
    return [person for person in look.matched if person in stays]


def _stays(by_kind: dict[What, list[Operation]]) -> dict[int, _Stay]:
    stays: dict[int, _Stay] = {}
    for one in by_kind[What.ENROLL]:
        if one.person is None or one.person in stays:
            raise ValueError(
                f"person {one.person} was enrolled twice, or has no number; record each consent as another"
            )
        stays[one.person] = _Stay(one)
    for what in (What.WITHDRAW, What.EVERYWHERE, What.WEBHOOK):
        for one in by_kind[what]:
            stay = None if one.person is None else stays.get(one.person)
            if stay is None:
                raise ValueError(f"person {one.person} was never enrolled; record the enrollment before '{what}'")
            if what is What.WITHDRAW:
                stay.withdrawn = one
            elif what is What.EVERYWHERE and one.is_done and one.ended is not None:
                stay.everywhere_at = min(one.ended, stay.everywhere_at or one.ended)
            elif what is What.WEBHOOK:
                stay.told.append(one)
    return stays


def _broken_by(look: Operation, stays: dict[int, _Stay]) -> Iterator[Rule]:
    for person in look.matched:
        stay = stays.get(person)
        if stay is None or stay.enrolled.face != look.face:
            yield Rule.OWN_FACE
            continue
        if stay.everywhere_at is not None and stay.everywhere_at < look.began:
            yield Rule.STOPPED_EVERYWHERE
        if not look.leased and stay.stopped_at is not None and stay.stopped_at < look.began:
            yield Rule.STOPPED_ONLINE
        if look.ended is not None and look.ended < stay.enrolled.began:
            yield Rule.NOT_BEFORE_ENROLLMENT


def _lost(looks: Sequence[Operation], stays: dict[int, _Stay], faults: Sequence[Operation]) -> Iterator[Operation]:
    """Yield looks at a person who was enrolled all the time, and did not match although nothing was broken.

    A lease need not have everyone: it is older than the last enrollments, and every withdrawal revokes it.
    """
    of_face: defaultdict[int | None, list[tuple[int, _Stay]]] = defaultdict(list)
    for person, stay in stays.items():
        of_face[stay.enrolled.face].append((person, stay))
    for look in looks:
        expected = {person for person, stay in of_face[look.face] if _is_in_force(look, stay)}
        if not look.leased and expected - set(look.matched) and not any(_overlap(look, fault) for fault in faults):
            yield look


def _is_in_force(look: Operation, stay: _Stay) -> bool:
    enrolled, withdrawn = stay.enrolled, stay.withdrawn
    if not enrolled.is_done or enrolled.ended is None or enrolled.ended >= look.began:
        return False
    return withdrawn is None or (look.ended is not None and look.ended < withdrawn.began)


def _overlap(look: Operation, fault: Operation) -> bool:
    is_over = fault.ended is not None and fault.ended < look.began
    return not is_over and (look.ended is None or fault.began <= look.ended)


def _other_logs(checkpoints: Sequence[Operation]) -> Iterator[Operation]:
    """Yield the checkpoints that do not continue the log of the checkpoint before, as its auditor saw them."""
    last: dict[str, Operation] = {}
    roots: dict[int, str] = {}
    for one in checkpoints:
        if one.ended is None or one.outcome not in {DONE, FORGED}:
            continue
        before = last.get(one.who)
        is_same = one.size is not None and roots.setdefault(one.size, one.root) == one.root
        if one.outcome == FORGED or not is_same or not (before is None or _continues(before, one)):
            yield one
        else:
            last[one.who] = one


def _continues(before: Operation, after: Operation) -> bool:
    if before.size is None or after.size is None or after.size < before.size:
        return False
    try:
        proof = [bytes.fromhex(one) for one in after.proof]
        verify_consistency(before.size, after.size, proof, bytes.fromhex(before.root), bytes.fromhex(after.root))
    except (TamperError, ValueError):
        return False
    return True
