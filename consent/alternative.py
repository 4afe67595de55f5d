"""The alternative of a zone, compared with the face: consent is free only if saying no costs nothing.

The operator declares what the alternative costs, where it is and how long people wait (`volens.consent.declarations`);
Volens measures none of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, final

from volens.consent.declarations import ZoneFact
from volens.consent.typed_text import comparison_key

_FREE: Final = frozenset(
    {"nothing", "none", "no", "0", "free", "rien", "aucun", "gratuit", "nichts", "keine", "kostenlos", "kostenfrei"}
)
"""What the declared cost is where the alternative costs nothing, in the languages of the pages."""


class Drawback(StrEnum):
    """In which way the alternative is worse than the face, by what is declared."""

    WAIT = "wait"
    COST = "cost"


@final
@dataclass(frozen=True, slots=True)
class Alternative:
    """What is declared about the alternative of a zone; None where nothing is.

    Attributes:
        face_wait_s, wait_s: how long people wait at the doors that compare faces, and who use the alternative.
    """

    cost: str | None
    time: str | None
    place: str | None
    face_wait_s: int | None
    wait_s: int | None

    @classmethod
    def of(cls, facts: Mapping[ZoneFact, str]) -> Self:
        """Return what the declared facts of a zone say."""
        return cls(
            cost=facts.get(ZoneFact.ALTERNATIVE_COST),
            time=facts.get(ZoneFact.ALTERNATIVE_TIME),
            place=facts.get(ZoneFact.ALTERNATIVE_PLACE),
            face_wait_s=_seconds(facts.get(ZoneFact.FACE_WAIT_S)),
            wait_s=_seconds(facts.get(ZoneFact.ALTERNATIVE_WAIT_S)),
        )

    @property
    def longer_by_s(self) -> int | None:
        """By how many seconds people wait longer who use the alternative; negative if shorter, None if not declared."""
        return None if self.wait_s is None or self.face_wait_s is None else self.wait_s - self.face_wait_s

    @property
    def drawbacks(self) -> tuple[Drawback, ...]:
        """In which ways it is worse."""
        is_slower = self.longer_by_s is not None and self.longer_by_s > 0
        costs = self.cost is not None and comparison_key(self.cost).strip(" .") not in _FREE
        return (Drawback.WAIT,) * is_slower + (Drawback.COST,) * costs

    @property
    def missing(self) -> tuple[ZoneFact, ...]:
        """The facts that must be declared before it can be compared."""
        known = {
            ZoneFact.ALTERNATIVE_COST: self.cost,
            ZoneFact.FACE_WAIT_S: self.face_wait_s,
            ZoneFact.ALTERNATIVE_WAIT_S: self.wait_s,
        }
        return tuple(fact for fact, value in known.items() if value is None)


def _seconds(text: str | None) -> int | None:
    return None if text is None else int(text)
