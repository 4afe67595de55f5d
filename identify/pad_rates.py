"""Error rates of presentation attack detection on one's own recordings, in the terms of ISO/IEC 30107-3. Pure.

APCER: of attack presentations of one kind, the share that passed for a live person. BPCER: of bona fide presentations,
the share that was refused. The intervals are those of Clopper and Pearson (1934), exact, at 95 %.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

FEW: Final = 50
"""Below so many presentations of a kind nothing is claimed: even without an error the rate may be above 7 %."""
_CONFIDENCE: Final = 0.95
_STEPS: Final = 60


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
    return PadRate(errors, len(found), silent, exact_interval(errors, len(found)) if found else None)


def exact_interval(found: int, total: int, confidence: float = _CONFIDENCE) -> tuple[float, float]:
    """Return the exact two-sided interval of Clopper and Pearson for a share of which `found` of `total` were seen.

    Raises:
        ValueError: not 0 <= found <= total, or total is 0.
    """
    if not 0 <= found <= total or not total:
        raise ValueError(f"got {found} of {total}; expected 0 to total, and a total from 1")
    outside = (1 - confidence) / 2
    low = 0.0 if found == 0 else _solved(lambda share: 1 - _at_most(found - 1, total, share) < outside)
    high = 1.0 if found == total else _solved(lambda share: _at_most(found, total, share) > outside)
    return low, high


def _solved(is_below: Callable[[float], bool]) -> float:
    """Return the share at which a condition that holds below it ends, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return (low + high) / 2


def _at_most(found: int, total: int, share: float) -> float:
    """Return the probability of at most `found` of `total` (binomial distribution)."""
    if share in {0.0, 1.0}:
        return float(share == 0.0 or found >= total)
    logs = math.log(share), math.log1p(-share)
    whole = math.lgamma(total + 1)
    return math.fsum(
        math.exp(whole - math.lgamma(k + 1) - math.lgamma(total - k + 1) + k * logs[0] + (total - k) * logs[1])
        for k in range(found + 1)
    )
