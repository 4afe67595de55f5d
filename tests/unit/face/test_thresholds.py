"""Thresholds: a constant rate of strangers accepted, a floor, a cap, and never lower for a larger gallery."""

import math

import pytest

from volens.consent import InputError
from volens.consent.zone import FpirTarget
from volens.face import Thresholds
from volens.face.thresholds import SFACE, ThresholdCurve

SIZES = [*range(3000), *(10**n for n in range(4, 40))]


@pytest.mark.parametrize(
    ("target", "size", "expected"),
    [
        # docs/accuracy.md: measured on random galleries of so many people
        (FpirTarget.ORDINARY, 10, 0.431),
        (FpirTarget.ORDINARY, 50, 0.466),
        (FpirTarget.ORDINARY, 200, 0.500),
        (FpirTarget.ORDINARY, 400, 0.509),
        (FpirTarget.ORDINARY, 600, 0.517),
        (FpirTarget.ORDINARY, 900, 0.527),
        (FpirTarget.STRICT, 10, 0.474),
        (FpirTarget.STRICT, 50, 0.505),
        (FpirTarget.STRICT, 200, 0.526),
        (FpirTarget.STRICT, 400, 0.545),
        (FpirTarget.STRICT, 600, 0.560),
    ],
)
def test_the_curves_of_sface_follow_what_was_measured(target: FpirTarget, size: int, expected: float) -> None:
    within = {FpirTarget.ORDINARY: 0.006, FpirTarget.STRICT: 0.035}[target]
    assert SFACE.identification(size, target) == pytest.approx(expected, abs=within)
    assert size <= SFACE.measured_up_to


@pytest.mark.parametrize(("target", "floor", "cap"), [("0.1%", 0.432, 0.579), ("0.01%", 0.458, 0.679)])
def test_the_threshold_rises_with_the_logarithm_between_floor_and_cap(target: str, floor: float, cap: float) -> None:
    curve = SFACE.curves[FpirTarget(target)]
    values = [curve.at(size) for size in SIZES]

    assert values == sorted(values)
    assert (values[0], values[-1]) == (pytest.approx(floor, abs=5e-4), pytest.approx(cap, abs=5e-4))
    assert curve.at(1000) - curve.at(100) == pytest.approx(curve.slope * math.log(10))


def test_the_stricter_target_has_the_higher_threshold_at_every_size() -> None:
    assert all(SFACE.identification(one, FpirTarget.STRICT) > SFACE.identification(one) for one in SIZES)
    assert all(SFACE.duplicate(one) == SFACE.identification(one, FpirTarget.STRICT) for one in SIZES)


def test_a_target_that_a_model_does_not_state_is_an_input_error() -> None:
    pack = Thresholds(0.3, {FpirTarget.ORDINARY: ThresholdCurve(0.4, 0.0)}, measured_up_to=1)

    with pytest.raises(InputError, match=r"aims at 0\.01% of strangers accepted, .* states thresholds for 0\.1% only"):
        pack.identification(20, FpirTarget.STRICT)
    assert pack.duplicate(20) == 0.4


def test_a_negative_gallery_size_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="gallery size -1"):
        SFACE.identification(-1)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param((0.5, 0.01, 500, 200), id="sizes the wrong way round"),
        pytest.param((0.5, -0.01, 1, 200), id="a threshold that falls"),
        pytest.param((0.5, 0.01, 0, 200), id="a size without a logarithm"),
        pytest.param((0.9, 0.1, 1, 200), id="no cosine at the cap"),
        pytest.param((math.nan, 0.1, 1, 200), id="no number"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(wrong: tuple[float, float, int, int]) -> None:
    with pytest.raises(ValueError, match="in rising order"):
        ThresholdCurve(*wrong)


@pytest.mark.parametrize(("claim", "measured_up_to"), [(1.5, 900), (math.nan, 900), (0.4, 0)])
def test_inconsistent_thresholds_are_refused(claim: float, measured_up_to: int) -> None:
    with pytest.raises(ValueError, match="expected a 1:1 threshold"):
        Thresholds(claim, SFACE.curves, measured_up_to)
