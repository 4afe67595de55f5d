"""Merkle proofs for every log, every leaf and every two sizes: correct proofs verify, and no others do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.audit.logs import MemoryLog, numbered, rfc_path, rfc_root, rfc_subproof
from volens.audit import consistency_proof, inclusion_proof, leaf_hash, root, verify_consistency, verify_inclusion
from volens.consent import TamperError

REPEATABLE = settings(derandomize=True, deadline=None, max_examples=150, database=None)
LARGEST = 300
LEAVES = numbered(LARGEST)
LOG = MemoryLog(LEAVES)

sizes = st.integers(1, LARGEST)
hashes = st.binary(min_size=32, max_size=32)


@REPEATABLE
@given(leaves=st.lists(st.binary(max_size=40), max_size=40))
def test_a_log_of_any_leaves_has_the_root_of_the_rfcs_recursion(leaves: list[bytes]) -> None:
    assert root(len(leaves), MemoryLog(leaves)) == rfc_root(leaves)


@REPEATABLE
@given(data=st.data(), size=sizes)
def test_any_leaf_is_proved_to_be_in_any_log_that_holds_it(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, LOG)
    assert proof == rfc_path(index, LEAVES[:size])
    verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, root(size, LOG))


@REPEATABLE
@given(data=st.data(), new=sizes)
def test_any_earlier_log_is_proved_to_be_the_beginning_of_any_later_one(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(0, new))
    proof = consistency_proof(old, new, LOG)
    assert proof == (rfc_subproof(old, LEAVES[:new]) if old else [])
    verify_consistency(old, new, proof, root(old, LOG), root(new, LOG))


@REPEATABLE
@given(data=st.data(), size=sizes, forged=st.lists(hashes, max_size=10))
def test_no_made_up_inclusion_proof_is_accepted(data: st.DataObject, size: int, forged: list[bytes]) -> None:
    index = data.draw(st.integers(0, size - 1))
    with pytest.raises(TamperError):
        verify_inclusion(leaf_hash(b"not in the log"), index, size, forged, root(size, LOG))


@REPEATABLE
@given(data=st.data(), new=st.integers(2, LARGEST), forged=st.lists(hashes, max_size=10))
def test_no_made_up_consistency_proof_is_accepted(data: st.DataObject, new: int, forged: list[bytes]) -> None:
    old = data.draw(st.integers(1, new - 1))
    with pytest.raises(TamperError):
        verify_consistency(old, new, forged, root(old, LOG), root(new, LOG))


@REPEATABLE
@given(data=st.data(), leaves=st.lists(st.binary(max_size=8), min_size=2, max_size=40))
def test_history_cannot_be_rewritten_behind_a_root(data: st.DataObject, leaves: list[bytes]) -> None:
    old = data.draw(st.integers(1, len(leaves) - 1))
    place = data.draw(st.integers(0, old - 1))
    honest = MemoryLog(leaves)
    forged = MemoryLog([*leaves[:place], leaves[place] + b"!", *leaves[place + 1 :]])
    proof = consistency_proof(old, len(leaves), forged)
    with pytest.raises(TamperError):
        verify_consistency(old, len(leaves), proof, root(old, honest), root(len(leaves), forged))


@REPEATABLE
@given(data=st.data(), size=sizes)
def test_a_proof_for_one_leaf_is_none_for_another(data: st.DataObject, size: int) -> None:
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, LOG)
    if index == other:
        verify_inclusion(leaf_hash(LEAVES[other]), other, size, proof, root(size, LOG))
    else:
        with pytest.raises(TamperError):
            verify_inclusion(leaf_hash(LEAVES[other]), other, size, proof, root(size, LOG))
