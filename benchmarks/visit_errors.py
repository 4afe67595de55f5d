"""Error rates of visits, not of looks: ``python -m benchmarks.visit_errors FOLDER [--page]``.

The folder has one folder of photos for each person, as for `benchmarks.accuracy`. The scores of all photos with all
references are recorded first. Then a camera with ten frames a second is simulated: a visitor shows their photos in a
random order, each for some tenths of a second, and the passage rule (`volens.identify.passage`) decides, on the
simulated clock.

1. Galleries are drawn as in `benchmarks.accuracy`. Each person makes one visit to each gallery and rule.
2. FPIR of visits is the share of strangers' visits that end as recognised, FNIR that of enrolled people's which do not
   end as recognised as themselves. A visit ends undecided if the person has no more photos; that is a miss, too.
3. Rules: one look; any look that matches (as doors did before docs/adr/0068); the passage rule, where the pose changes
   with each look (0.2 s), and where it is held for three looks (0.6 s), so that looks repeat each other.
4. A claim (1:1) is simulated with visits of the same kind: each person claims to be each enrolled person, and the best
   look counts.

Intervals as in `benchmarks.accuracy`. No score of a person is written.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, final

import numpy as np

from benchmarks.accuracy import ENROLLED_PHOTOS, ROUNDS, SIZES, Faces, Share, mean_of, photo_arguments, put_in_page
from benchmarks.matching.faces import embedded
from volens.consent import ReferenceId
from volens.consent.zone import FpirTarget
from volens.face.thresholds import SFACE
from volens.identify import FaceVisit, VisitState
from volens.identify.passage import DECIDE_WITHIN_S, LOOK_EVERY_S

BEGIN: Final = "<!-- begin: python -m benchmarks.visit_errors -->"
END: Final = "<!-- end: python -m benchmarks.visit_errors -->"
FRAMES_PER_S: Final = 10
HELD_S: Final = 0.6
LOOKS_IN_A_VISIT: Final = round(DECIDE_WITHIN_S / LOOK_EVERY_S)
_LEAST_STRANGERS: Final = 5
_SEED: Final = 20261130
_HEAD: Final = (
    "enrolled",
    "target",
    "rule",
    "strangers' visits accepted, FPIR",
    "enrolled people's visits missed, FNIR",
)

Findings: TypeAlias = Sequence[ReferenceId | None]
"""What a look at each photo finds, in the order in which the visitor shows them."""


@final
@dataclass(frozen=True, slots=True)
class Ending:
    """How a visit ended: as whom, and how long after its first look; None if the visitor left undecided."""

    reference_id: ReferenceId | None
    after_s: float | None


def one_look(findings: Findings) -> Ending:
    """Decide by the first look."""
    return Ending(findings[0], 0.0)


def any_look(findings: Findings) -> Ending:
    """Decide by the first look that matches, of as many as the passage rule has."""
    for number, found in enumerate(findings[:LOOKS_IN_A_VISIT]):
        if found is not None:
            return Ending(found, number * LOOK_EVERY_S)
    return Ending(None, None)


def passage(findings: Findings, hold_s: float, visit: FaceVisit) -> Ending:
    """Simulate a camera in front of a visitor who shows each photo for `hold_s`, and let the passage rule decide."""
    number = 0
    while visit.state is VisitState.LOOKING:
        shown = int(number / FRAMES_PER_S / hold_s + 1e-9)
        if shown >= len(findings):
            return Ending(None, None)
        at_s = number / FRAMES_PER_S
        if visit.is_due(at_s):
            visit.look(findings[shown], at_s)
        visit.settle(at_s)
        number += 1
    return Ending(visit.reference_id, visit.decided_at)


RULES: Final[Mapping[str, Callable[[Findings], Ending]]] = {
    "one look": one_look,
    f"any of {LOOKS_IN_A_VISIT} looks": any_look,
    "two of three": lambda findings: passage(findings, LOOK_EVERY_S, FaceVisit()),
    f"two of three, pose held {HELD_S} s": lambda findings: passage(findings, HELD_S, FaceVisit()),
}


@final
@dataclass(frozen=True, slots=True)
class Visits:
    """The errors of the visits to galleries of one size, for one target and rule.

    Attributes:
        after_s: how long after the first look enrolled people were recognised.
    """

    size: int
    target: FpirTarget
    rule: str
    accepted: Share
    missed: Share
    after_s: Sequence[float]


def visits(faces: Faces, size: int, rounds: int, rng: np.random.Generator, change: float = 0.0) -> Iterator[Visits]:
    """Do steps 1 to 3 for one gallery size; `change` is added to the thresholds.

    Raises:
        ValueError: too few people have enough photos.
    """
    able = sorted(person for person, photos in faces.items() if len(photos) > ENROLLED_PHOTOS)
    if len(able) < size or len(faces) - size < _LEAST_STRANGERS:
        raise ValueError(
            f"got {len(able)} people with four photos or more, of {len(faces)}; a gallery of {size} needs more"
        )
    cases = [(target, rule) for target in FpirTarget for rule in RULES]
    errors: dict[tuple[FpirTarget, str, bool], dict[str, list[int]]] = {
        (*case, known): defaultdict(lambda: [0, 0]) for case in cases for known in (False, True)
    }
    after_s: dict[tuple[FpirTarget, str], list[float]] = {case: [] for case in cases}
    for _ in range(rounds):
        enrolled = [able[one] for one in rng.choice(len(able), size, replace=False)]
        references = np.stack([mean_of(faces[person][:ENROLLED_PHOTOS]) for person in enrolled])
        own = {person: ReferenceId(row) for row, person in enumerate(enrolled)}
        for person, photos in faces.items():
            scores = np.stack(photos if person not in own else photos[ENROLLED_PHOTOS:]) @ references.T
            scores = scores[rng.permutation(len(scores))]
            best, who = scores.max(axis=1), scores.argmax(axis=1)
            for target, rule in cases:
                is_match = best >= SFACE.identification(size, target) + change
                findings = [ReferenceId(int(one)) if hit else None for one, hit in zip(who, is_match, strict=True)]
                ending = RULES[rule](findings)
                count = errors[target, rule, person in own][person]
                count[0] += ending.reference_id != own.get(person)
                count[1] += 1
                if person in own and ending.reference_id == own[person] and ending.after_s is not None:
                    after_s[target, rule].append(ending.after_s)
    for target, rule in cases:
        accepted, missed = (
            Share.of({who: (one[0], one[1]) for who, one in errors[target, rule, known].items()}, rng)
            for known in (False, True)
        )
        yield Visits(size, target, rule, accepted, missed, after_s[target, rule])


def claims(faces: Faces, rng: np.random.Generator) -> tuple[Share, Share, Share, Share]:
    """Do step 4: of claims by others and by the person, the share accepted and refused; for one look and a visit."""
    able = sorted(person for person, photos in faces.items() if len(photos) > ENROLLED_PHOTOS)
    references = np.stack([mean_of(faces[person][:ENROLLED_PHOTOS]) for person in able])
    wrong: dict[tuple[bool, bool], dict[str, list[int]]] = {
        (own, visit): defaultdict(lambda: [0, 0]) for own in (False, True) for visit in (False, True)
    }
    for person, photos in faces.items():
        for row, claimed in enumerate(able):
            is_own = person == claimed
            looks = np.stack(photos[ENROLLED_PHOTOS:] if is_own else photos) @ references[row]
            looks = looks[rng.permutation(len(looks))]
            findings = [ReferenceId(row) if score >= SFACE.claim_value else None for score in looks]
            for is_visit in (False, True):
                ending = passage(findings, LOOK_EVERY_S, FaceVisit(agreeing=1)) if is_visit else one_look(findings)
                count = wrong[is_own, is_visit][person]
                count[0] += (ending.reference_id is None) == is_own
                count[1] += 1
    of = {case: Share.of({who: (one[0], one[1]) for who, one in counts.items()}, rng) for case, counts in wrong.items()}
    return of[False, False], of[True, False], of[False, True], of[True, True]


def table(faces: Faces, rounds: int = ROUNDS, change: float = 0.0) -> str:
    """Return what was measured, as Markdown."""
    rng = np.random.default_rng(_SEED)
    able = sum(len(photos) > ENROLLED_PHOTOS for photos in faces.values())
    sizes = [size for size in SIZES if size <= able and len(faces) - size >= _LEAST_STRANGERS]
    found = [one for size in sizes for one in visits(faces, size, rounds, rng, change)]
    rows = [(f"{one.size}", one.target, one.rule, f"{one.accepted}", f"{one.missed}") for one in found]
    times = [after for one in found if one.rule == "two of three" for after in one.after_s]
    fmr, fnmr, visit_fmr, visit_fnmr = claims(faces, rng)
    lines = "\n".join(f"| {' | '.join(row)} |" for row in (_HEAD, ("---",) * len(_HEAD), *rows))
    return (
        f"{lines}\n\n{len(faces)} people; {rounds} random galleries of each size, {ENROLLED_PHOTOS} photos each; "
        f"{FRAMES_PER_S} frames a second. Enrolled people were recognised {np.median(times):.1f} s after their first "
        f"look (median; 95 % within {np.quantile(times, 0.95):.1f} s).\n\n"
        f"Claims (1:1) at {SFACE.claim_value}, {ENROLLED_PHOTOS} photos enrolled: FMR {fmr} and FNMR {fnmr} of one "
        f"look; FMR {visit_fmr} and FNMR {visit_fnmr} of a visit, whose best look counts."
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the table or write it into the page."""
    parser = photo_arguments("Error rates of visits, on photos of people.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="random galleries of each size")
    parser.add_argument("--change", type=float, default=0.0, help="added to the thresholds of the model")
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"got {given.folder}, which is no folder; expected one with a folder of photos for each person")
    if given.page and given.change:
        parser.error("got --page with --change; the page is for the thresholds of the model, so leave out one of them")
    found = table(embedded(given.folder), given.rounds, given.change)
    if given.page:
        put_in_page(BEGIN, END, found)
    sys.stdout.write(found + "\n")


if __name__ == "__main__":
    main()
