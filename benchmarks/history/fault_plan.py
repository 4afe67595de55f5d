"""Faults of a run: which node, what, when and for how long. Pure: the same seed makes the same plan."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final


@final
class FaultKind(StrEnum):
    """What is done to a node."""

    KILLED = "killed"
    """SIGKILL, and a start some time later."""

    PAUSED = "paused"
    """SIGSTOP, in the middle of whatever it does, and SIGCONT."""

    CUT_OFF = "cut off"
    """Nothing is forwarded between callers and node."""

    RESTARTED = "restarted"
    """SIGTERM, and a start: how a new version is rolled out."""

    CLOCK_BACK = "clock set back by 2 minutes"
    """Within the store's tolerance: time stands still, and the node goes on."""

    CLOCK_FAR_BACK = "clock set back by an hour"
    """The node must refuse, because terms of consents would become longer."""


CLOCK_OFFSETS_S: Final = {FaultKind.CLOCK_BACK: -120.0, FaultKind.CLOCK_FAR_BACK: -3600.0}


@final
@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault.

    Attributes:
        node: number of the node.
        quiet_s: how long nothing is broken before it.
        lasts_s: how long it lasts; a start that comes after it takes longer.
    """

    node: int
    kind: FaultKind
    quiet_s: float
    lasts_s: float


def plan_faults(
    seed: int, nodes: int, longest_s: float, kinds: Sequence[FaultKind] = tuple(FaultKind)
) -> Iterator[list[PlannedFault]]:
    """Yield rounds without end: each kind of fault once, in another order each time, at nodes chosen at random."""
    chance = random.Random(seed)  # noqa: S311  a plan that can be repeated
    while True:
        yield [
            PlannedFault(
                chance.randrange(nodes),
                kind,
                quiet_s=chance.uniform(0.3, 1.0) * longest_s,
                lasts_s=chance.uniform(0.3, 1.0) * longest_s,
            )
            for kind in chance.sample(kinds, len(kinds))
        ]
