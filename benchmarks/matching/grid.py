"""A grid: what is measured, read from a YAML file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Self

import yaml

from benchmarks.matching.contestants import NAMES

FOLDER: Final = Path(__file__).parent / "grids"
DATA: Final = ("made-up", "photos")


@dataclass(frozen=True, slots=True)
class Run:
    """One set of faces, and who is asked to find them.

    Attributes:
        data: "made-up", or "photos": as SFace sees the people on photos, where there are any.
        dimension: of an embedding.
        size: how many people are enrolled.
        probes: how many probes are made up, half of them strangers.
        seconds: a contestant who has taken as long is not asked further; 0 asks everybody everything.
        contestants: who is asked.
        withdraw: how many are taken out of the gallery, one by one.
        enroll: how many are enrolled and identified, one by one.
        opens: how often a process is started and asked once.
        parts: how many probes are answered with a stopwatch at every part of Volens.
    """

    data: str
    dimension: int
    size: int
    probes: int
    seconds: float
    contestants: Sequence[str] = field(default_factory=lambda: list(NAMES))
    withdraw: int = 0
    enroll: int = 0
    opens: int = 0
    parts: int = 0

    @property
    def name(self) -> str:
        """What the files of this run are called."""
        return f"{self.data}-{self.dimension}-{self.size}"

    def __post_init__(self) -> None:
        unknown = set(self.contestants) - set(NAMES)
        if unknown or self.data not in DATA:
            raise ValueError(
                f"got data {self.data!r} and contestants {sorted(unknown)}; expected {' or '.join(DATA)}, and some of "
                f"{', '.join(NAMES)}"
            )


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan of made-up sketches alone, for sizes of which no store is filled.

    Attributes:
        size: how many sketches.
        bits: of each.
        threads: that a scan may use.
        count: how many scans.
        nearest: how many are asked for; 0 asks for as many as an identification at the threshold does.
    """

    size: int
    bits: int
    threads: int
    count: int
    nearest: int = 0

    @property
    def name(self) -> str:
        """What the file of this scan is called."""
        return f"scan-{self.bits}-{self.size}-{self.threads}-{self.nearest}"


@dataclass(frozen=True, slots=True)
class Grid:
    """All of it.

    Attributes:
        name: of the file.
        seed: of faces and probes.
        agreement: with the exact search, that contestants are tuned to, if they can.
        runs: one after the other, each in a process of its own.
        scans: after them.
    """

    name: str
    seed: int
    agreement: float
    runs: Sequence[Run]
    scans: Sequence[Scan]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file.

        Raises:
            ValueError: it is no grid.
        """
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = {"seed", "agreement", "runs", "scans"}
        if not isinstance(document, dict) or document.keys() - known:
            raise ValueError(f"got a grid that has other keys than {', '.join(sorted(known))}")
        return cls(
            path.stem,
            int(document["seed"]),
            float(document["agreement"]),
            [Run(**_known(Run, one)) for one in document["runs"]],
            [Scan(**_known(Scan, one)) for one in document.get("scans", [])],
        )


def _known(kind: type[Run | Scan], given: Mapping[str, Any]) -> Mapping[str, Any]:
    names = [one.name for one in fields(kind)]
    if unknown := sorted(given.keys() - set(names)):
        raise ValueError(f"got {', '.join(sorted(unknown))} in a {kind.__name__.lower()}; expected {', '.join(names)}")
    return given
