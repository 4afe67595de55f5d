"""Shards by name: months, origins, and which key of a site signs a shard."""

from datetime import UTC, datetime

import pytest

from volens.audit import VerifierKey
from volens.audit.shard import period_of, shard_key, shard_name, shard_origin
from volens.audit.verifier_key import Succession
from volens.consent import TamperError

FIRST, SECOND = bytes(32), bytes([1]) * 32
LOG = "volens/site"


@pytest.mark.parametrize(
    ("at", "name", "end"),
    [
        (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), "2026-11", datetime(2026, 12, 1, tzinfo=UTC)),
        (datetime(2026, 12, 1, tzinfo=UTC), "2026-12", datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 29, 12, tzinfo=UTC), "2028-02", datetime(2028, 3, 1, tzinfo=UTC)),
    ],
)
def test_a_shard_is_of_one_month_in_utc(at: datetime, name: str, end: datetime) -> None:
    assert period_of(at) == (name, end)


def test_a_name_tells_place_month_and_entry_and_is_a_log_of_its_own() -> None:
    name = shard_name("visits/lobby", "2026-11", 17)
    assert name == "visits/lobby/2026-11/17"
    assert shard_origin(LOG, name) == "volens/site/visits/lobby/2026-11/17"


@pytest.mark.parametrize(("opened", "public_key"), [(0, FIRST), (9, FIRST), (10, SECOND), (99, SECOND)])
def test_a_shard_has_the_key_that_was_in_force_when_it_was_opened(opened: int, public_key: bytes) -> None:
    change = Succession(2, "", VerifierKey(LOG, SECOND).line(), 10, "")
    key = shard_key(VerifierKey(LOG, FIRST, (change,)), "visits/lobby/2026-11/9", opened)
    assert (key.name, key.public_key, key.successions) == (f"{LOG}/visits/lobby/2026-11/9", public_key, ())


def test_a_name_that_is_no_origin_is_refused() -> None:
    with pytest.raises(TamperError, match="malformed name"):
        shard_key(VerifierKey(LOG, FIRST), "visits/the lobby/2026-11/9", 9)
