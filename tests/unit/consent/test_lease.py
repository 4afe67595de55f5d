"""Lease: the arithmetic of its term, the time of 'stopped everywhere', and what its holder verifies."""

from dataclasses import replace
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.consent.samples import ANN, BOB, DOOR, NOW, SITE
from volens.consent import InputError, ModelId, TamperError
from volens.consent.lease import (
    LEASE,
    LeaseClaims,
    LeaseDoor,
    LeaseHolding,
    LeaseTerm,
    drift_margin_s,
    ends_everywhere_at,
    stopped_everywhere_at,
    verify_lease,
)
from volens.consent.zone import MAX_LEASE_SECONDS, MIN_LEASE_SECONDS, Trigger

HOLDER = "0123456789abcdef"
CLAIMS = LeaseClaims(
    *("0" * 32, SITE, DOOR, HOLDER, 7, 60, NOW, ModelId("sface@00"), 0.5, Trigger.NEAR, 2),
    references_sha256=sha256(b"sealed").hexdigest(),
)
TERMS = st.integers(MIN_LEASE_SECONDS, MAX_LEASE_SECONDS)


def holding(ends_in: int, acknowledged_in: int | None = None) -> LeaseHolding:
    acknowledged = None if acknowledged_in is None else NOW + timedelta(seconds=acknowledged_in)
    return LeaseHolding("left door", HOLDER, NOW + timedelta(seconds=ends_in), acknowledged)


def test_a_term_counts_from_before_the_question_and_ends_a_margin_earlier() -> None:
    term = LeaseTerm(100.0, 60)
    assert drift_margin_s(60) == 2
    assert not term.is_over(100.0)
    assert not term.is_over(157.9)
    assert term.is_over(158.0)


def test_it_is_renewed_after_a_third_of_the_term() -> None:
    assert LeaseTerm(100.0, 60).renew_at_s == 120.0


def test_a_clock_that_is_set_back_ends_the_term() -> None:
    assert LeaseTerm(100.0, 60).is_over(99.9)


@given(TERMS)
def test_every_term_is_renewed_long_before_it_ends(seconds: int) -> None:
    term = LeaseTerm(0.0, seconds)
    assert 0 < term.renew_at_s < term.ends_at_s < seconds


@settings(derandomize=True, database=None)
@given(TERMS, st.floats(0, 5), st.floats(-0.01, 0.01), st.integers(0, 999))
def test_the_holder_ends_before_the_primary_whatever_the_delay_and_the_drift(
    seconds: int, delay_s: float, drift: float, milliseconds: int
) -> None:
    # The row has the time in whole seconds, cut off; the holder asked `delay_s` earlier, and its clock is slow or fast.
    given_at = NOW + timedelta(milliseconds=milliseconds)
    ends_at = ends_everywhere_at(given_at.replace(microsecond=0), seconds)
    by_holder_s = LeaseTerm(0.0, seconds).ends_at_s / (1 + drift)
    assert given_at + timedelta(seconds=by_holder_s - delay_s) <= ends_at


def test_without_leases_both_times_are_equal() -> None:
    assert stopped_everywhere_at(NOW, []) == NOW


@pytest.mark.parametrize(
    ("holdings", "seconds"),
    [
        ([holding(60)], 60),
        ([holding(60, 1)], 1),
        ([holding(60, 1), holding(30)], 30),
        ([holding(60), holding(30, 2)], 60),
        ([holding(5, 9)], 5),
        ([holding(60, -1)], 0),
    ],
)
def test_of_a_door_that_has_not_acknowledged_the_end_of_its_lease_counts(
    holdings: list[LeaseHolding], seconds: int
) -> None:
    assert stopped_everywhere_at(NOW, holdings) == NOW + timedelta(seconds=seconds)


def test_a_lease_is_read_as_it_was_signed() -> None:
    token = LEASE.sign(ANN, CLAIMS.to_json())
    keys = (BOB.public_key, ANN.public_key)
    assert verify_lease(token, b"sealed", LeaseDoor(keys, SITE, DOOR, HOLDER)) == CLAIMS


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"site_id": "other"}, "site"),
        ({"purpose": "vault"}, "zone"),
        ({"holder": "f" * 16}, "door"),
        ({"references_sha256": "0" * 64}, "list of references"),
    ],
)
def test_a_lease_for_something_else_is_refused(change: dict[str, str], what: str) -> None:
    token = LEASE.sign(ANN, replace(CLAIMS, **change).to_json())  # type: ignore[arg-type]
    with pytest.raises(TamperError, match=f"for another {what}; nothing is decided"):
        verify_lease(token, b"sealed", LeaseDoor((ANN.public_key,), SITE, DOOR, HOLDER))


def test_a_lease_that_someone_else_signed_is_refused() -> None:
    token = LEASE.sign(BOB, CLAIMS.to_json())
    with pytest.raises(TamperError):
        verify_lease(token, b"sealed", LeaseDoor((ANN.public_key,), SITE, DOOR, HOLDER))


@pytest.mark.parametrize(
    "change",
    [
        {"term_seconds": 901},
        {"term_seconds": 4},
        {"people": 2001},
        {"people": True},
        {"people": -1},
        {"threshold": 1.5},
        {"lease_id": "A" * 32},
        {"liveness_model": "minifasnet"},
        {"holder": 7},
        {"trigger": "always"},
        {"more": 1},
    ],
)
def test_a_lease_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="this is not a lease"):
        LEASE.peek(LEASE.sign(ANN, CLAIMS.to_json() | change))
