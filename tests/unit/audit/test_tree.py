"""The Merkle tree: published answers, every proof of every small log, and no changed proof."""

import hashlib
from collections.abc import Iterator

import pytest

from tests.unit.audit.logs import (
    CT_LEAVES,
    CT_ROOTS,
    MemoryLog,
    numbered,
    rfc_path,
    rfc_root,
    rfc_subproof,
)
from volens.audit import (
    consistency_proof,
    empty_root,
    inclusion_proof,
    leaf_hash,
    new_nodes,
    node_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from volens.consent import TamperError

LARGEST = 33
LEAVES = numbered(LARGEST)
LOG = MemoryLog(LEAVES)
ROOTS = [root(size, LOG) for size in range(LARGEST + 1)]
ZERO = bytes(32)

# github.com/google/certificate-transparency, cpp/merkletree/merkle_tree_test.cc: leaf (from 1), size, path.
CT_PATHS: dict[tuple[int, int], list[str]] = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (3, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (2, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CT_CONSISTENCY: dict[tuple[int, int], list[str]] = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


# --- published answers


@pytest.mark.parametrize("size", range(9))
def test_the_root_is_the_published_one_after_so_many_leaves(size: int) -> None:
    assert root(size, MemoryLog(CT_LEAVES[:size])) == CT_ROOTS[size]
    assert root(size, MemoryLog(CT_LEAVES)) == CT_ROOTS[size], "also when the log has grown since"


@pytest.mark.parametrize("leaf_and_size", CT_PATHS)
def test_the_inclusion_proof_is_the_published_one(leaf_and_size: tuple[int, int]) -> None:
    number, size = leaf_and_size
    proof = inclusion_proof(number - 1, size, MemoryLog(CT_LEAVES))
    assert [value.hex() for value in proof] == CT_PATHS[leaf_and_size]
    verify_inclusion(leaf_hash(CT_LEAVES[number - 1]), number - 1, size, proof, CT_ROOTS[size])


@pytest.mark.parametrize("sizes", CT_CONSISTENCY)
def test_the_consistency_proof_is_the_published_one(sizes: tuple[int, int]) -> None:
    proof = consistency_proof(*sizes, MemoryLog(CT_LEAVES))
    assert [value.hex() for value in proof] == CT_CONSISTENCY[sizes]
    verify_consistency(*sizes, proof, CT_ROOTS[sizes[0]], CT_ROOTS[sizes[1]])


def test_leaf_and_node_are_hashed_apart() -> None:
    assert empty_root() == hashlib.sha256(b"").digest() == CT_ROOTS[0]
    assert leaf_hash(b"") == hashlib.sha256(b"\0").digest() == CT_ROOTS[1]
    assert node_hash(ZERO, ZERO) == hashlib.sha256(b"\1" + bytes(64)).digest()
    assert leaf_hash(ZERO + ZERO) != node_hash(ZERO, ZERO), "a second preimage, were the prefixes missing"


# --- every log up to 33 leaves


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_the_root_is_that_of_the_rfcs_recursion_for_size(size: int) -> None:
    assert ROOTS[size] == rfc_root(LEAVES[:size])


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_every_leaf_is_proved_to_be_in_the_log_of_size(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(index, size, LOG)
        assert proof == rfc_path(index, LEAVES[:size])
        assert len(proof) <= (size - 1).bit_length()
        verify_inclusion(leaf_hash(LEAVES[index]), index, size, proof, ROOTS[size])


@pytest.mark.parametrize("new", range(LARGEST + 1))
def test_every_older_log_is_proved_to_be_the_beginning_of_the_log_of_size(new: int) -> None:
    for old in range(new + 1):
        proof = consistency_proof(old, new, LOG)
        assert proof == (rfc_subproof(old, LEAVES[:new]) if old else [])
        assert len(proof) <= (new - 1).bit_length() + 1 if new else not proof
        verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


# --- every change to them


def changed(proof: list[bytes]) -> Iterator[list[bytes]]:
    """Yield the proof with each hash changed, dropped, doubled and swapped, and with one more at either end."""
    for place, value in enumerate(proof):
        for bit in (0, 255):
            flipped = bytearray(value)
            flipped[bit // 8] ^= 1 << (bit % 8)
            yield [*proof[:place], bytes(flipped), *proof[place + 1 :]]
        yield [*proof[:place], *proof[place + 1 :]]
        yield [*proof[: place + 1], *proof[place:]]
    for place in range(len(proof) - 1):
        yield [*proof[:place], proof[place + 1], proof[place], *proof[place + 2 :]]
    yield [*proof, ZERO]
    yield [ZERO, *proof]
    if len(proof) > 1:
        yield proof[::-1]
        yield []


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_no_changed_inclusion_proof_is_accepted_for_size(size: int) -> None:
    for index in range(size):
        value, proof = leaf_hash(LEAVES[index]), inclusion_proof(index, size, LOG)
        for bad in changed(proof):
            with pytest.raises(TamperError, match="integrity"):
                verify_inclusion(value, index, size, bad, ROOTS[size])


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_no_inclusion_proof_is_accepted_for_another_leaf_place_size_or_root(size: int) -> None:
    for index in range(size):
        value, proof = leaf_hash(LEAVES[index]), inclusion_proof(index, size, LOG)
        with pytest.raises(TamperError, match="is not in the log"):
            verify_inclusion(leaf_hash(b"other"), index, size, proof, ROOTS[size])
        with pytest.raises(TamperError, match="is not in the log"):
            verify_inclusion(value, index, size, proof, ROOTS[size - 1])
        for other in set(range(-1, size + 2)) - {index}:
            with pytest.raises(TamperError, match="integrity"):
                verify_inclusion(value, other, size, proof, ROOTS[size])


@pytest.mark.parametrize("size", range(1, LARGEST))
def test_an_inclusion_proof_for_another_size_does_not_meet_that_sizes_root(size: int) -> None:
    for index in range(size):
        value, proof = leaf_hash(LEAVES[index]), inclusion_proof(index, size, LOG)
        for other in (size - 1, size + 1):
            with pytest.raises(TamperError, match="integrity"):
                verify_inclusion(value, index, other, proof, ROOTS[other])


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_no_changed_consistency_proof_is_accepted_for_size(new: int) -> None:
    for old in range(new + 1):
        for bad in changed(consistency_proof(old, new, LOG)):
            with pytest.raises(TamperError, match="integrity"):
                verify_consistency(old, new, bad, ROOTS[old], ROOTS[new])


@pytest.mark.parametrize("new", range(2, LARGEST + 1))
def test_no_consistency_proof_is_accepted_between_other_roots(new: int) -> None:
    for old in range(1, new):
        proof = consistency_proof(old, new, LOG)
        for old_root, new_root in (
            (ROOTS[old - 1], ROOTS[new]),
            (ROOTS[old], ROOTS[new - 1]),
            (ROOTS[new], ROOTS[old]),
        ):
            with pytest.raises(TamperError, match="is not the beginning"):
                verify_consistency(old, new, proof, old_root, new_root)


def test_a_rewritten_log_is_not_consistent_with_its_past() -> None:
    for place in range(8):
        rewritten = [*LEAVES[:place], b"rewritten", *LEAVES[place + 1 :]]
        forged = MemoryLog(rewritten)
        for new in range(9, LARGEST + 1):
            proof = consistency_proof(8, new, forged)
            with pytest.raises(TamperError, match="is not the beginning"):
                verify_consistency(8, new, proof, ROOTS[8], root(new, forged))


BAD_CONSISTENCY: dict[str, tuple[int, int, list[bytes], bytes, bytes]] = {
    "a log that shrank": (5, 3, [], ROOTS[5], ROOTS[3]),
    "a negative size": (-1, 3, [], ROOTS[0], ROOTS[3]),
    "the same size with another root": (3, 3, [], ROOTS[3], ROOTS[4]),
    "the same size with a proof": (3, 3, [ZERO], ROOTS[3], ROOTS[3]),
    "an empty log with a proof": (0, 3, [ZERO], ROOTS[0], ROOTS[3]),
    "an empty log with the root of another": (0, 3, [], ROOTS[1], ROOTS[3]),
    "two empty logs of another root": (0, 0, [], ROOTS[1], ROOTS[1]),
    "two empty logs, the new one of another root": (0, 0, [], ROOTS[0], ROOTS[1]),
    "no proof": (3, 5, [], ROOTS[3], ROOTS[5]),
    "a hash of 31 bytes": (1, 2, [bytes(31)], ROOTS[1], ROOTS[2]),
    "a hash of 33 bytes": (1, 2, [bytes(33)], ROOTS[1], ROOTS[2]),
    "an empty hash": (1, 2, [b""], ROOTS[1], ROOTS[2]),
    "a proof of a thousand hashes": (1, 2, [ZERO] * 1000, ROOTS[1], ROOTS[2]),
}


@pytest.mark.parametrize("case", BAD_CONSISTENCY)
def test_consistency_is_refused_with(case: str) -> None:
    with pytest.raises(TamperError, match="integrity"):
        verify_consistency(*BAD_CONSISTENCY[case])


BAD_INCLUSION: dict[str, tuple[int, int, list[bytes], str]] = {
    "a negative index": (-1, 2, [leaf_hash(LEAVES[1])], "no such leaf"),
    "an index at the size": (2, 2, [leaf_hash(LEAVES[1])], "no such leaf"),
    "an empty log": (0, 0, [], "no such leaf"),
    "a hash of 31 bytes": (0, 2, [bytes(31)], "not 32 bytes"),
    "a hash of 33 bytes": (0, 2, [bytes(33)], "not 32 bytes"),
    "a proof that is too short": (0, 2, [], "too short"),
    "a proof that is too long": (0, 2, [leaf_hash(LEAVES[1]), ZERO], "too long"),
    "a proof of a thousand hashes": (0, 2, [ZERO] * 1000, "too long"),
}


@pytest.mark.parametrize("case", BAD_INCLUSION)
def test_inclusion_is_refused_with(case: str) -> None:
    index, size, proof, words = BAD_INCLUSION[case]
    with pytest.raises(TamperError, match=words):
        verify_inclusion(leaf_hash(LEAVES[0]), index, size, proof, ROOTS[2])


def test_siblings_of_31_and_33_bytes_that_hash_like_real_ones_are_refused() -> None:
    left, right = leaf_hash(LEAVES[0]), leaf_hash(LEAVES[1])
    assert node_hash(left[:31], left[31:] + right) == ROOTS[2]
    with pytest.raises(ValueError, match="got a hash of 31 bytes"):
        verify_inclusion(left[:31], 0, 2, [left[31:] + right], ROOTS[2])
    with pytest.raises(TamperError, match="not 32 bytes"):
        verify_inclusion(left, 0, 2, [right + b"\0"], ROOTS[2])


# --- the callers' own mistakes, and the cost


def test_questions_outside_the_log_are_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="got leaf 3 of a log of 3 leaves"):
        inclusion_proof(3, 3, LOG)
    with pytest.raises(ValueError, match="got leaf -1"):
        inclusion_proof(-1, 3, LOG)
    with pytest.raises(ValueError, match="got leaf 0 of a log of 0 leaves"):
        inclusion_proof(0, 0, LOG)
    with pytest.raises(ValueError, match="got sizes 4 and 3"):
        consistency_proof(4, 3, LOG)
    with pytest.raises(ValueError, match="got sizes -1 and 3"):
        consistency_proof(-1, 3, LOG)
    with pytest.raises(ValueError, match="got a log of -1 leaves"):
        root(-1, LOG)
    with pytest.raises(ValueError, match="got a log of -1 leaves"):
        new_nodes(-1, ZERO, LOG)
    with pytest.raises(ValueError, match="got a hash of 31 bytes; expected 32"):
        new_nodes(0, bytes(31), LOG)


def test_appending_makes_two_nodes_on_average_and_each_of_them_once() -> None:
    log = MemoryLog()
    made = sum(log.append(leaf) for leaf in numbered(1024))
    assert made == len(log.nodes) == 2 * 1024 - 1
    assert log.reads == 1023


@pytest.mark.parametrize("size", [1000, 1023, 1024])
def test_a_root_and_a_proof_read_few_nodes(size: int) -> None:
    log = MemoryLog(numbered(1024))
    log.reads = 0
    root(size, log)
    assert log.reads <= 10
    log.reads = 0
    inclusion_proof(size // 2, size, log)
    consistency_proof(size // 3, size, log)
    assert log.reads <= 2 * 10 * 2


def test_a_size_of_63_bits_is_verified_as_fast_as_a_small_one() -> None:
    huge = 2**63 - 1
    with pytest.raises(TamperError, match="too short"):
        verify_inclusion(ZERO, huge - 1, huge, [], ZERO)
    with pytest.raises(TamperError, match="is not the beginning"):
        verify_consistency(huge - 1, huge, [ZERO], ZERO, ZERO)
