"""Whether a history of what was asked and answered can be explained: nobody is matched after they have left.

Every operation has a beginning and an end, and takes effect at one moment between them (Herlihy and Wing 1990). A match
of somebody must therefore find a moment after the beginning of their enrollment and before the end of their withdrawal.
Pure: records in, violations out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final


@final
@dataclass(frozen=True, slots=True)
class Span:
    """When something was asked and when it was answered, in nanoseconds of one clock; `ended` is None if never."""

    began: int
    ended: int | None


@final
@dataclass(frozen=True, slots=True)
class Decision:
    """One frame at a door.

    Attributes:
        span: of the request.
        shown: whose face it was, as a number of the actor; actors come back under new subject ids.
        matched: the subject ids that were answered.
    """

    span: Span
    shown: int
    matched: frozenset[str]


@final
@dataclass(slots=True)
class Stay:
    """From one enrollment of an actor to the withdrawal.

    Attributes:
        enrolled: None until it is asked for.
        withdrawn: None until it is asked for.
        told: when a recipient was told that they are erased; empty if never.
    """

    subject_id: str
    actor: int
    enrolled: Span | None = None
    withdrawn: Span | None = None
    told: list[int] = field(default_factory=list)


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What a history came to; all tuples empty and `recognised` above 0 is how it should be.

    Attributes:
        after_withdrawal: decisions that name somebody whose withdrawal had been answered when the door asked.
        before_enrollment: decisions that name somebody nobody had begun to enroll when the door was answered.
        strangers: decisions that name somebody whom no door should know.
        missed: decisions that did not name the person shown, who was enrolled all the time.
        untold: stays that ended, but no recipient was told.
        recognised: decisions that named the person shown.
    """

    after_withdrawal: tuple[Decision, ...]
    before_enrollment: tuple[Decision, ...]
    strangers: tuple[Decision, ...]
    missed: tuple[Decision, ...]
    untold: tuple[Stay, ...]
    recognised: int

    @property
    def holds(self) -> bool:
        """Whether the promises held; a face that was not recognised is an annoyance, not a broken promise."""
        return not (self.after_withdrawal or self.before_enrollment or self.strangers or self.untold)


def check(decisions: Sequence[Decision], stays: Iterable[Stay]) -> Verdict:
    """Check a history. Decisions that were never answered say nothing and are passed over."""
    known = {stay.subject_id: stay for stay in stays}
    answered = [one for one in decisions if one.span.ended is not None]
    return Verdict(
        after_withdrawal=tuple(one for one in answered if any(_is_late(one, known.get(who)) for who in one.matched)),
        before_enrollment=tuple(one for one in answered if any(_is_early(one, known.get(who)) for who in one.matched)),
        strangers=tuple(one for one in answered if not one.matched <= known.keys()),
        missed=tuple(one for one in answered if _present(one, known) - one.matched),
        untold=tuple(one for one in known.values() if one.withdrawn and one.withdrawn.ended and not one.told),
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
    """Return under which ids the actor shown was enrolled for all of a decision."""
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
