"""Incremental verification: what came after a checkpoint, from its frontier alone."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.audit.logs import MemoryLog
from volens.audit import Checkpoint, Event, VerifierKey, leaf_bytes, root, sign_checkpoint
from volens.audit.growth import LogGrowth
from volens.consent import TamperError

ORIGIN = "volens.example/front-door"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = VerifierKey(ORIGIN, PRIVATE.public_key().public_bytes_raw())
AT = datetime(2099, 3, 1, tzinfo=UTC)
EVENTS = [Event("decisions.counted", AT, {"number": number}, number.to_bytes(32, "big")) for number in range(40)]
LEAVES = [leaf_bytes(event) for event in EVENTS]
LOG = MemoryLog(LEAVES)


def head(size: int, log: MemoryLog = LOG) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root(size, log))


def growth(start: Checkpoint, size: int = 40, log: MemoryLog = LOG) -> LogGrowth:
    return LogGrowth(start, size, log, KEY)


@pytest.mark.parametrize("start", range(41))
def test_a_log_is_verified_from_every_checkpoint(start: int) -> None:
    found = growth(head(start))
    for at in range(start, 40):
        made = found.add(LEAVES[at])
        assert all(LOG.nodes[level, index] == value for level, index, value in made)
        found.add_opening(LEAVES[at], EVENTS[at].details, EVENTS[at].salt)
        found.add_checkpoint(sign_checkpoint(head(at + 1), PRIVATE))
    assert found.end() == head(40)
    assert (found.openings, found.checkpoints) == (40 - start, 40 - start)


@pytest.mark.parametrize("start", [1, 2, 7, 8, 39])
def test_the_beginning_is_read_as_its_frontier_only(start: int) -> None:
    log = MemoryLog(LEAVES)
    begun = head(start)
    log.reads = 0
    growth(begun, log=log)
    assert log.reads == start.bit_count()


def test_a_log_that_was_rolled_back_is_refused() -> None:
    with pytest.raises(TamperError, match="the log has 12 entries, and had 40 at the checkpoint; it was rolled back"):
        growth(head(40), 12)


def test_a_log_with_another_beginning_is_refused() -> None:
    fork = MemoryLog([*LEAVES[:10], b"another", *LEAVES[11:]])
    assert growth(head(10), log=fork).start == head(10), "they are the same up to there"
    with pytest.raises(TamperError, match="the first 20 entries of the log are not those of the checkpoint"):
        growth(head(20), log=fork)


def test_a_later_checkpoint_with_another_root_is_refused() -> None:
    found = growth(head(20))
    found.add(LEAVES[21])
    with pytest.raises(TamperError, match="the first 21 leaves are not those of the signed checkpoint"):
        found.add_checkpoint(sign_checkpoint(head(21), PRIVATE))


def test_a_later_checkpoint_with_a_forged_signature_is_refused() -> None:
    found = growth(head(20))
    found.add(LEAVES[20])
    forged = sign_checkpoint(head(21), Ed25519PrivateKey.from_private_bytes(bytes(32)))
    with pytest.raises(TamperError, match="none by the log's key"):
        found.add_checkpoint(forged)


def test_leaves_without_a_checkpoint_are_refused() -> None:
    found = growth(head(20))
    found.add(LEAVES[20])
    with pytest.raises(TamperError, match="the log has 21 leaves, the last signed checkpoint covers 20"):
        found.end()
