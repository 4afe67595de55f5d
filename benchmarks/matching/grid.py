"""Grid of runs and scans to measure, read from a YAML file."""

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
    """One run: a set of faces, and the contestants that search them.

    Attributes:
        data: "made-up", or "photos": embeddings by SFace, if there are photos.
        dimension: of an embedding.
        size: number of enrolled people.
        probes: number of probes, half of them strangers.
        seconds: time limit of a contestant, after which it gets no further probe; 0 for no limit.
        contestants: names.
        withdraw: number of people removed from the gallery, one by one.
        enroll: number of people enrolled and identified, one by one.
        opens: number of processes that are started and answer one probe.
        parts: number of probes for which every part of Volens is timed.
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
        """The name of the files of this run."""
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
    """A scan of random sketches without a store, for sizes at which no store is filled.

    Attributes:
        size: number of sketches.
        bits: of each.
        threads: that a scan may use.
        count: number of scans.
        nearest: number of nearest sketches to return; 0 for all within the threshold, as in an identification.
    """

    size: int
    bits: int
    threads: int
    count: int
    nearest: int = 0

    @property
    def name(self) -> str:
        """The name of the file of this scan."""
        return f"scan-{self.bits}-{self.size}-{self.threads}-{self.nearest}"


@dataclass(frozen=True, slots=True)
class Grid:
    """A complete grid.

    Attributes:
        name: of the file.
        seed: of faces and probes.
        agreement: with the exact search, to which contestants are tuned if possible.
        runs: one after the other, each in a separate process.
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
            ValueError: it is not a valid grid.
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
