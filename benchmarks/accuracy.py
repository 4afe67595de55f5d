"""Error rates of the default model on photos: ``python -m benchmarks.accuracy FOLDER [--page]``.

The folder has one folder of photos for each person, such as the AT&T faces or LFW.

1. Each photo is embedded, as an enrollment or a door embeds it (largest face, aligned). No quality rule is applied.
2. Open set, for each gallery size: some people are drawn and enrolled with the mean of their first three photos, many
   times over. Their other photos are looks of enrolled people, all photos of all others are looks of strangers.
3. FPIR is the share of strangers' looks whose best score reaches the threshold for that size. FNIR is the share of
   looks of enrolled people whose score with their own reference does not, or is not the best (ISO/IEC 19795-1).
4. Photos of one person, and galleries that share people, depend on each other. So the intervals come from drawing
   people, not looks: the subsets bootstrap (Bolle, Connell, Pankanti, Ratha and Senior 2004), 95 %. If nothing was
   found, the upper end is the bound of Clopper and Pearson for so many people.
5. FPIR and FNIR of such looks at every threshold: the FNIR at which FPIR is 1, 0.3 and 0.1 %, with three photos
   enrolled and with one.
6. 1:1: all pairs of single photos, at the 1:1 threshold: FMR and FNMR.

With ``--page``, the table of docs/accuracy.md is replaced. No embedding and no score of a person is written.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from benchmarks.matching.faces import embedded
from volens.consent.zone import FpirTarget
from volens.face.thresholds import SFACE

PAGE: Final = Path(__file__).parents[1] / "docs" / "accuracy.md"
BEGIN: Final = "<!-- begin: python -m benchmarks.accuracy -->"
END: Final = "<!-- end: python -m benchmarks.accuracy -->"
ENROLLED_PHOTOS: Final = 3
SIZES: Final = (10, 20, 30, 50, 100, 200, 500, 900)
ROUNDS: Final = 100
_DRAWS: Final = 2000
_LEAST_STRANGERS: Final = 5
THRESHOLDS: Final = np.arange(0.2, 0.9, 0.005)
WANTED: Final = (0.01, 0.003, 0.001)
_SEED: Final = 20261130
_HEAD: Final = ("enrolled", "target", "threshold", "strangers accepted, FPIR", "strangers", "enrolled missed, FNIR")

Faces: TypeAlias = Mapping[str, Sequence[NDArray[np.float32]]]


@final
@dataclass(frozen=True, slots=True)
class Share:
    """A share of looks, with the ends of its 95 % interval over people, and how many looks and people it is of."""

    value: float
    low: float
    high: float
    looks: int
    people: int

    @classmethod
    def of(cls, counts: Mapping[str, tuple[int, int]], rng: np.random.Generator) -> "Share":
        """Return the share of errors; `counts` are errors and looks by person."""
        errors, looks = (np.array([one[which] for one in counts.values()], dtype=np.int64) for which in (0, 1))
        people, total = len(counts), int(looks.sum())
        if not errors.any():
            return cls(0.0, 0.0, 1 - 0.025 ** (1 / people), total, people)
        drawn = rng.integers(people, size=(_DRAWS, people))
        rates = errors[drawn].sum(axis=1) / looks[drawn].sum(axis=1)
        low, high = np.quantile(rates, (0.025, 0.975))
        return cls(float(errors.sum() / total), float(low), float(high), total, people)

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.low:.2%} to {self.high:.2%})"


@final
@dataclass(frozen=True, slots=True, eq=False)
class TradeOff:
    """FPIR and FNIR of a search in galleries of one size and so many photos, at each of `THRESHOLDS`."""

    size: int
    photos: int
    fpir: NDArray[np.float64]
    fnir: NDArray[np.float64]

    def missed_at(self, fpir: float) -> tuple[float, float] | None:
        """Return the lowest threshold at which FPIR is at most this, and the FNIR there; None if there is none."""
        reached = np.flatnonzero(self.fpir <= fpir)
        return (float(THRESHOLDS[reached[0]]), float(self.fnir[reached[0]])) if len(reached) else None


@final
@dataclass(frozen=True, slots=True)
class OpenSet:
    """The errors of a search in galleries of one size, at the threshold for one target."""

    size: int
    target: FpirTarget
    threshold: float
    accepted: Share
    missed: Share


def open_set(faces: Faces, size: int, rounds: int, rng: np.random.Generator) -> list[OpenSet]:
    """Do steps 2 to 4 for one gallery size, at each target.

    Raises:
        ValueError: too few people have enough photos.
    """
    able = sorted(person for person, photos in faces.items() if len(photos) > ENROLLED_PHOTOS)
    if len(able) < size or len(faces) - size < _LEAST_STRANGERS:
        raise ValueError(
            f"got {len(able)} people with four photos or more, of {len(faces)}; a gallery of {size} needs more"
        )
    accepted: dict[FpirTarget, dict[str, list[int]]] = {one: defaultdict(lambda: [0, 0]) for one in FpirTarget}
    missed: dict[FpirTarget, dict[str, list[int]]] = {one: defaultdict(lambda: [0, 0]) for one in FpirTarget}
    for _ in range(rounds):
        enrolled = [able[one] for one in rng.choice(len(able), size, replace=False)]
        references = np.stack([mean_of(faces[person][:ENROLLED_PHOTOS]) for person in enrolled])
        own = {person: row for row, person in enumerate(enrolled)}
        for person, photos in faces.items():
            row = own.get(person)
            scores = np.stack(photos if row is None else photos[ENROLLED_PHOTOS:]) @ references.T
            best = scores.max(axis=1)
            for target in FpirTarget:
                is_match = best >= SFACE.identification(size, target)
                wrong = is_match if row is None else ~(is_match & (scores.argmax(axis=1) == row))
                count = (accepted if row is None else missed)[target][person]
                count[0] += int(wrong.sum())
                count[1] += len(wrong)
    return [
        OpenSet(
            size,
            target,
            SFACE.identification(size, target),
            *(
                Share.of({who: (one[0], one[1]) for who, one in counts[target].items()}, rng)
                for counts in (accepted, missed)
            ),
        )
        for target in FpirTarget
    ]


def trade_off(faces: Faces, size: int, enrolled_photos: int, rounds: int, rng: np.random.Generator) -> TradeOff:
    """Do step 5 for one gallery size and number of photos."""
    able = sorted(person for person, photos in faces.items() if len(photos) > ENROLLED_PHOTOS)
    strangers: list[NDArray[np.float32]] = []
    own: list[NDArray[np.float32]] = []
    for _ in range(rounds):
        enrolled = [able[one] for one in rng.choice(len(able), size, replace=False)]
        references = np.stack([mean_of(faces[person][:enrolled_photos]) for person in enrolled])
        rows = {person: row for row, person in enumerate(enrolled)}
        for person, photos in faces.items():
            row = rows.get(person)
            scores = np.stack(photos if row is None else photos[ENROLLED_PHOTOS:]) @ references.T
            best = scores.max(axis=1)
            if row is None:
                strangers.append(best)
            else:
                own.append(np.where(scores.argmax(axis=1) == row, best, np.float32(-1)))
    stranger_scores, own_scores = (np.sort(np.concatenate(one)) for one in (strangers, own))
    accepted = len(stranger_scores) - np.searchsorted(stranger_scores, THRESHOLDS)
    missed = np.searchsorted(own_scores, THRESHOLDS)
    return TradeOff(size, enrolled_photos, accepted / len(stranger_scores), missed / len(own_scores))


def one_to_one(faces: Faces) -> tuple[float, int, float, int]:
    """Do step 6: FMR and the number of pairs of different people, FNMR and the number of pairs of the same person."""
    owner = np.repeat(np.arange(len(faces)), [len(photos) for photos in faces.values()])
    everything = np.concatenate([np.stack(photos) for photos in faces.values()])
    first, second = np.triu_indices(len(owner), 1)
    is_match = (everything @ everything.T)[first, second] >= SFACE.claim_value
    is_same = owner[first] == owner[second]
    return (
        float(is_match[~is_same].mean()),
        int((~is_same).sum()),
        float((~is_match[is_same]).mean()),
        int(is_same.sum()),
    )


def table(faces: Faces, rounds: int = ROUNDS) -> str:
    """Return what was measured, as Markdown."""
    rng = np.random.default_rng(_SEED)
    able = sum(len(photos) > ENROLLED_PHOTOS for photos in faces.values())
    sizes = [size for size in SIZES if size <= able and len(faces) - size >= _LEAST_STRANGERS]
    rows = [
        (
            f"{one.size}",
            one.target,
            f"{one.threshold:.3f}",
            f"{one.accepted}",
            f"{one.accepted.people}",
            f"{one.missed}",
        )
        for size in sizes
        for one in open_set(faces, size, rounds, rng)
    ]
    fmr, different, fnmr, same = one_to_one(faces)
    at_fpir = "\n".join(
        f"| {one.size} | {one.photos} | {' | '.join(_missed_at(one, fpir) for fpir in WANTED)} |"
        for photos in (ENROLLED_PHOTOS, 1)
        for one in curves_of(faces, photos, rounds)
    )
    wanted = " | ".join(f"FNIR at FPIR {fpir:.1%}" for fpir in WANTED)
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (_HEAD, ("---",) * len(_HEAD), *rows))
    return (
        f"{lines}\n\n| enrolled | photos | {wanted} |\n| --- | --- |{' --- |' * len(WANTED)}\n{at_fpir}\n\n"
        f"{sum(map(len, faces.values()))} photos of {len(faces)} people; {rounds} random galleries of each "
        f"size, {ENROLLED_PHOTOS} photos each. 1:1 at {SFACE.claim_value}, one photo against one: FMR {fmr:.3%} of "
        f"{different:,} pairs, FNMR {fnmr:.2%} of {same:,}."
    )


def curves_of(faces: Faces, photos: int, rounds: int) -> list[TradeOff]:
    """Return the trade-offs of all sizes that can be measured, with so many photos enrolled."""
    rng = np.random.default_rng(_SEED)
    able = sum(len(photos) > ENROLLED_PHOTOS for photos in faces.values())
    sizes = [size for size in SIZES if size <= able and len(faces) - size >= _LEAST_STRANGERS]
    return [trade_off(faces, size, photos, rounds, rng) for size in sizes]


def _missed_at(one: TradeOff, fpir: float) -> str:
    found = one.missed_at(fpir)
    return "not reached" if found is None else f"{found[1]:.2%} (threshold {found[0]:.3f})"


def put_in_page(begin: str, end: str, found: str) -> None:
    """Replace what stands between two marks of docs/accuracy.md."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n\n{found}\n\n{end}{after}", encoding="utf-8")


def photo_arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments of each benchmark on photos of people: the folder, and ``--page``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="a folder for each person, with photos")
    parser.add_argument("--page", action="store_true", help="replace the table of docs/accuracy.md")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table or write it into the page."""
    parser = photo_arguments("Error rates of the default model on photos of people.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="random galleries of each size")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"got {given.folder}, which is no folder; expected one with a folder of photos for each person")
    faces = embedded(given.folder)
    found = table(faces, given.rounds)
    if given.page:
        put_in_page(BEGIN, END, found)
    sys.stdout.write(found + "\n")


def mean_of(photos: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the reference of some photos: their mean, of unit length."""
    total = np.sum(photos, axis=0)
    return np.asarray(total / np.linalg.norm(total), dtype=np.float32)


if __name__ == "__main__":
    main()
