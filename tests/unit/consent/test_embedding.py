"""A UnitVector cannot be wrong, cannot be shared and cannot be printed."""

import re

import numpy as np
import pytest

from tests.unit.consent.samples import grant, zone
from volens.consent import ConsentedEmbedding, ModelId, ProbeEmbedding, UnitVector, permit_probe
from volens.consent.embedding import FloatArray

MODEL = ModelId("sface_2021dec_int8bq@fb143eea")


def unit(dimension: int = 128, seed: int = 7) -> FloatArray:
    values = np.random.default_rng(seed).standard_normal(dimension)
    return (values / np.linalg.norm(values)).astype(np.float32)


WRONG: dict[str, tuple[object, str]] = {
    "a number": (1.0, "got an array of shape ()"),
    "nothing": ([], "got an array of shape (0,)"),
    "one dimension": ([1.0], "got an array of shape (1,)"),
    "a row": ([[0.6, 0.8]], "got an array of shape (1, 2)"),
    "a column": ([[0.6], [0.8]], "got an array of shape (2, 1)"),
    "a NaN": ([0.6, float("nan")], "got a NaN or an infinity"),
    "an infinity": ([0.6, float("inf")], "got a NaN or an infinity"),
    "a negative infinity": ([float("-inf"), 0.0], "got a NaN or an infinity"),
}
WRONG_NORM: dict[str, tuple[object, str]] = {
    "zero": ([0.0, 0.0], "got a vector of norm 0; expected 1"),
    "two": ([0.0, 2.0], "got a vector of norm 2; expected 1; use UnitVector.normalised()"),
    "a little less than one": ([0.0, 0.998], "got a vector of norm 0.998"),
    "a little more than one": ([0.0, 1.002], "got a vector of norm 1.002"),
}


@pytest.mark.parametrize("case", WRONG | WRONG_NORM)
def test_a_unit_vector_is_refused_with(case: str) -> None:
    values, words = (WRONG | WRONG_NORM)[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        UnitVector(values)


@pytest.mark.parametrize("case", WRONG)
def test_normalising_does_not_help_against(case: str) -> None:
    values, words = WRONG[case]
    with pytest.raises(ValueError, match=re.escape(words)):
        UnitVector.normalised(values)


@pytest.mark.parametrize("values", [["a", "b"], [None, object()], [[1.0], [1.0, 2.0]]])
def test_values_that_are_not_an_array_of_numbers_are_refused(values: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        UnitVector(values)


def test_the_zero_vector_has_no_direction() -> None:
    with pytest.raises(ValueError, match="got the zero vector; expected one with a direction"):
        UnitVector.normalised(np.zeros(128))


@pytest.mark.parametrize("scale", [1e-20, 1e-3, 1.0, 1e3, 1e20])
def test_a_vector_of_any_length_is_normalised(scale: float) -> None:
    vector = UnitVector.normalised(unit().astype(np.float64) * scale)
    assert float(np.linalg.norm(vector.array)) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(vector.array, unit(), atol=1e-6)


@pytest.mark.parametrize("norm", [0.9991, 1.0, 1.0009])
def test_rounding_in_the_norm_is_forgiven(norm: float) -> None:
    assert UnitVector([0.0, norm]).array[1] == np.float32(norm)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4"])
def test_a_unit_vector_is_native_float32_whatever_it_was_made_from(kind: str) -> None:
    vector = UnitVector(np.array([0.6, 0.8], dtype=kind))
    assert vector.array.dtype == np.dtype(np.float32)
    assert vector.array.dtype.isnative
    assert vector.array.shape == (2,)
    assert vector.dimension == 2
    assert vector.array.flags.c_contiguous


@pytest.mark.parametrize("make", [UnitVector, UnitVector.normalised])
def test_a_unit_vector_is_an_own_copy(make: type[UnitVector]) -> None:
    given = unit()
    before = given.copy()
    vector = make(given)
    given[:] = 9.0
    np.testing.assert_allclose(vector.array, before, atol=1e-6)
    assert not np.shares_memory(given, vector.array)


@pytest.mark.parametrize("make", [UnitVector, UnitVector.normalised])
def test_making_a_unit_vector_does_not_write_into_the_callers_array(make: type[UnitVector]) -> None:
    given = unit()
    given.flags.writeable = False
    before = given.tobytes()
    make(given).wipe()
    assert given.tobytes() == before


def test_the_view_is_read_only() -> None:
    view = UnitVector(unit()).array
    assert not view.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0


def test_wiping_zeroes_the_values_and_every_view_of_them() -> None:
    vector = UnitVector(unit())
    view = vector.array
    assert view.any()
    vector.wipe()
    assert not view.any()
    assert not vector.array.any()
    vector.wipe()


def test_wiping_one_vector_leaves_another_of_the_same_values() -> None:
    first, second = UnitVector(unit()), UnitVector(unit())
    first.wipe()
    np.testing.assert_array_equal(second.array, unit())


def test_a_unit_vector_does_not_show_its_numbers() -> None:
    vector = UnitVector(unit())
    assert repr(vector) == str(vector) == "UnitVector(dimension=128)"
    assert not hasattr(vector, "__dict__")


def test_an_embedding_does_not_show_its_numbers() -> None:
    for shown in (
        repr(ConsentedEmbedding(grant(), UnitVector([0.6, 0.8]), MODEL)),
        repr(ProbeEmbedding(permit_probe(zone()), UnitVector([0.6, 0.8]), MODEL)),
    ):
        assert "UnitVector(dimension=2)" in shown
        assert "0.6" not in shown
        assert "0.8" not in shown
        assert "mint" not in shown


def test_an_embedding_keeps_grant_vector_and_model_together() -> None:
    given, vector = grant(), UnitVector(unit())
    consented = ConsentedEmbedding(given, vector, MODEL)
    assert (consented.grant, consented.vector, consented.model_id) == (given, vector, MODEL)
    with pytest.raises(AttributeError):
        consented.vector = UnitVector(unit(seed=8))  # type: ignore[misc]


def test_embeddings_are_compared_by_identity() -> None:
    given, vector = grant(), UnitVector(unit())
    assert ConsentedEmbedding(given, vector, MODEL) != ConsentedEmbedding(given, vector, MODEL)


def test_a_refused_vector_is_not_in_the_message() -> None:
    with pytest.raises(ValueError, match="norm") as caught:
        UnitVector([0.123456, 4.567891])
    assert "0.1234" not in str(caught.value)
    assert "4.567891" not in str(caught.value)
