"""Linearizability checker: in a history of requests and responses, no person matches after their withdrawal.

Every operation has a beginning and an end, and takes effect at one moment between them (Herlihy and Wing 1990). A match
of a person must therefore have a moment after the beginning of their enrollment and before the end of their withdrawal.
Pure: records in, violations out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Span:
    """The times of a request and its response, in nanoseconds of one clock; `ended` is None without a response."""

    began: int
    ended: int | None


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """One frame at a door.

    Attributes:
        span: of the request.
        shown: number of the actor whose face it was; actors come back under new subject ids.
        matched: the subject ids in the response.
        door: number of the door.
    """

    span: Span
    shown: int
    matched: frozenset[str]
    door: int = 0


@final
@dataclass(slots=True)
class Stay:
    """From one enrollment of an actor to the withdrawal.

    Attributes:
        enrolled: None until it is requested.
        withdrawn: None until it is requested.
        notified: when a recipient was notified of the erasure; empty if never.
        everywhere_at: when the person was stopped everywhere, as the withdrawal's response said.
        reference_id: of the enrollment; None without its response.
    """

    subject_id: str
    actor: int
    enrolled: Span | None = None
    withdrawn: Span | None = None
    notified: list[int] = field(default_factory=list)
    everywhere_at: int | None = None
    reference_id: int | None = None


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of checking a history. If all is well, all tuples are empty, and `recognised` is above 0.

    Attributes:
        after_withdrawal: decisions that name a person whose withdrawal had its response before the request.
        before_enrollment: decisions that name a person whose enrollment began after the response.
        strangers: decisions that name an unknown subject id.
        missed: decisions that do not name the person shown, who was enrolled all the time.
        not_notified: stays that ended without a notification of a recipient.
        recognised: decisions that name the person shown.
    """

    after_withdrawal: tuple[Decision, ...]
    before_enrollment: tuple[Decision, ...]
    strangers: tuple[Decision, ...]
    missed: tuple[Decision, ...]
    not_notified: tuple[Stay, ...]
    recognised: int

    @property
    def holds(self) -> bool:
        """Whether the promises were kept; a face that was not recognised does not break one."""
        return not (self.after_withdrawal or self.before_enrollment or self.strangers or self.not_notified)


def check(decisions: Sequence[Decision], stays: Iterable[Stay]) -> Verdict:
    """Check a history. Requests without a response are ignored."""
    known = {stay.subject_id: stay for stay in stays}
    answered = [one for one in decisions if one.span.ended is not None]
    return Verdict(
        after_withdrawal=tuple(one for one in answered if any(_is_late(one, known.get(who)) for who in one.matched)),
        before_enrollment=tuple(one for one in answered if any(_is_early(one, known.get(who)) for who in one.matched)),
        strangers=tuple(one for one in answered if not one.matched <= known.keys()),
        missed=tuple(one for one in answered if _present(one, known) - one.matched),
        not_notified=tuple(one for one in known.values() if one.withdrawn and one.withdrawn.ended and not one.notified),
        recognised=sum(bool(_present(one, known) & one.matched) for one in answered),
    )


def _is_late(decision: Decision, stay: Stay | None) -> bool:
    end = None if stay is None or stay.withdrawn is None else stay.withdrawn.ended
    return end is not None and end < decision.span.began


def _is_early(decision: Decision, stay: Stay | None) -> bool:
    if stay is None or decision.span.ended is None:
        return False
    return stay.enrolled is None or decision.span.ended < stay.enrolled.began


def _present(decision: Decision, known: Mapping[str, Stay]) -> set[str]:
    """Return the ids under which the actor shown was enrolled during the whole decision."""
    end = decision.span.ended
    return {
        stay.subject_id
        for stay in known.values()
        if stay.actor == decision.shown
        and stay.enrolled is not None
        and stay.enrolled.ended is not None
        and stay.enrolled.ended < decision.span.began
        and (stay.withdrawn is None or (end is not None and end < stay.withdrawn.began))
    }
