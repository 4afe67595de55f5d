"""Error rates of presentation attack detection on one's own recordings, in the terms of ISO/IEC 30107-3. Pure.

APCER: of attack presentations of one kind, the share that passed for a live person. BPCER: of bona fide presentations,
the share that was refused. The intervals are those of Clopper and Pearson (1934), exact, at 95 %.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.identify.exact_interval import clopper_pearson

FEW: Final = 50
"""Below so many presentations of a kind nothing is claimed: even without an error the rate may be above 7 %."""


class Outcome(StrEnum):
    """What became of one presentation. Without a face there is no response, and the door stays closed."""

    PASSED = "passed"
    REFUSED = "refused"
    NO_RESPONSE = "no_response"


@final
@dataclass(frozen=True, slots=True)
class PadRate:
    """How many of some presentations were errors, and the 95 % interval of their rate; None without presentations."""

    errors: int
    presentations: int
    no_response: int
    interval: tuple[float, float] | None

    @property
    def value(self) -> float | None:
        """The rate; None without presentations."""
        return self.errors / self.presentations if self.presentations else None


@final
@dataclass(frozen=True, slots=True)
class PadReport:
    """APCER by kind of attack, and BPCER."""

    apcer: dict[str, PadRate]
    bpcer: PadRate

    @property
    def worst(self) -> str | None:
        """The kind of attack with the highest APCER, which stands for all (ISO/IEC 30107-3); None without attacks."""
        return max(self.apcer, key=lambda name: self.apcer[name].value or 0.0, default=None)

    def not_claimed(self) -> list[str]:
        """Return what these presentations do not allow to say, one sentence each."""
        said = []
        for name, rate in self.apcer.items():
            if rate.presentations < FEW and rate.interval is not None:
                said.append(
                    f"{name}: {rate.presentations} presentations are too few to claim an APCER (at least {FEW}); it "
                    f"may be up to {rate.interval[1]:.0%}"
                )
        if not self.apcer:
            said.append("no attack was presented, so nothing can be said about attacks")
        if self.bpcer.interval is None:
            said.append("no bona fide presentation, so nothing can be said about how many people are refused (BPCER)")
        elif self.bpcer.presentations < FEW:
            said.append(
                f"{self.bpcer.presentations} bona fide presentations are too few to claim a BPCER (at least {FEW}); it "
                f"may be up to {self.bpcer.interval[1]:.0%}"
            )
        said.append(
            "an attack that was not presented, such as a replayed video or a mask, may pass; presentations by the same "
            "few people or of the same few prints show less than as many different ones"
        )
        return said


def report_of(attacks: dict[str, Sequence[Outcome]], bona_fide: Sequence[Outcome]) -> PadReport:
    """Return the error rates of the outcomes: an attack that passed is an error, and a person who did not."""
    apcer = {name: _rate(found, lambda one: one is Outcome.PASSED) for name, found in attacks.items()}
    return PadReport(apcer, _rate(bona_fide, lambda one: one is not Outcome.PASSED))


def _rate(found: Sequence[Outcome], is_error: Callable[[Outcome], bool]) -> PadRate:
    errors = sum(map(is_error, found))
    silent = sum(one is Outcome.NO_RESPONSE for one in found)
    return PadRate(errors, len(found), silent, clopper_pearson(errors, len(found)) if found else None)
