"""The error rates of visits: the simulated camera decides as the passage rule says, and the counts are right."""

import numpy as np
import pytest

from benchmarks.visit_errors import RULES, Ending, Findings, claims, visits
from volens.consent import ReferenceId
from volens.consent.zone import FpirTarget

ADA, BOB = ReferenceId(1), ReferenceId(2)
ONE, ANY, AGREE, HELD = RULES


@pytest.mark.parametrize(
    ("rule", "findings", "ending"),
    [
        (ONE, [ADA, None], Ending(ADA, 0.0)),
        (ONE, [None, ADA], Ending(None, 0.0)),
        (ANY, [None, None, ADA, BOB], Ending(ADA, 0.4)),
        (ANY, [None] * 9 + [ADA], Ending(None, None)),
        (AGREE, [ADA, BOB, None, ADA], Ending(None, None)),
        (AGREE, [ADA, BOB, ADA], Ending(ADA, 0.4)),
        (AGREE, [ADA, ADA], Ending(ADA, 0.2)),
        (AGREE, [None] * 9, Ending(None, 1.5)),
        (HELD, [ADA], Ending(ADA, 0.2)),
        (HELD, [None, ADA], Ending(ADA, 0.8)),
        (HELD, [None, None, None], Ending(None, 1.5)),
    ],
)
def test_each_rule_decides_on_the_simulated_clock(rule: str, findings: Findings, ending: Ending) -> None:
    found = RULES[rule](findings)
    assert found.reference_id == ending.reference_id
    assert found.after_s == pytest.approx(ending.after_s)


def people(count: int, spread: float, rng: np.random.Generator) -> dict[str, list[np.ndarray]]:
    """Return ten looks of each of some made-up people, all near their own direction."""
    centres = rng.standard_normal((count, 128))
    found = {}
    for number, centre in enumerate(centres):
        looks = centre + spread * rng.standard_normal((10, 128))
        found[f"p{number}"] = list((looks / np.linalg.norm(looks, axis=1, keepdims=True)).astype(np.float32))
    return found


def test_visits_of_people_who_are_easy_to_tell_apart_have_no_errors() -> None:
    found = list(visits(people(20, 0.2, np.random.default_rng(1)), 10, 3, np.random.default_rng(2)))
    assert {(one.target, one.rule) for one in found} == {(target, rule) for target in FpirTarget for rule in RULES}
    for one in found:
        assert (one.accepted.value, one.missed.value) == (0.0, 0.0)
        assert (one.accepted.looks, one.missed.looks) == (3 * 10, 3 * 10)
    assert {round(after, 1) for one in found if one.rule == AGREE for after in one.after_s} == {0.2}


def test_visits_of_people_whose_looks_vary_are_missed_less_often_than_single_looks() -> None:
    faces = people(20, 1.35, np.random.default_rng(1))
    missed = {
        one.rule: one.missed.value
        for one in visits(faces, 10, 10, np.random.default_rng(2))
        if one.target is FpirTarget.STRICT
    }
    assert missed[ANY] < missed[AGREE] < missed[ONE]
    _fmr, fnmr, _visit_fmr, visit_fnmr = claims(faces, np.random.default_rng(3))
    assert visit_fnmr.value < fnmr.value


def test_a_gallery_that_leaves_no_strangers_is_refused() -> None:
    with pytest.raises(ValueError, match="a gallery of 10 needs more"):
        next(visits(people(12, 0.2, np.random.default_rng(1)), 10, 1, np.random.default_rng(2)))
