"""Agreement with implementations that are not ours: pymerkle and tlog_scales, both ways. Neither is shipped."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pymerkle import InmemoryTree, InvalidProof
from pymerkle import verify_consistency as pymerkle_verify_consistency
from pymerkle import verify_inclusion as pymerkle_verify_inclusion
from tlog_scales.signing import NoteSignature, PlainEd25519Signer, Vkey
from tlog_scales.tlog import Checkpoint as OtherCheckpoint
from tlog_scales.tlog import ConsistencyProof, ConsistencyProofInvalid, InclusionProof, InclusionProofInvalid

from tests.unit.audit.logs import MemoryLog, numbered, split
from volens.audit import (
    Checkpoint,
    VerifierKey,
    consistency_proof,
    empty_root,
    inclusion_proof,
    leaf_hash,
    open_checkpoint,
    root,
    sign_checkpoint,
    verify_consistency,
    verify_inclusion,
)
from volens.consent import TamperError

LARGEST = 33
LEAVES = numbered(LARGEST)
LOG = MemoryLog(LEAVES)
ROOTS = [root(size, LOG) for size in range(LARGEST + 1)]
THEIRS = InmemoryTree.init_from_entries(LEAVES)
ORIGIN = "volens.example/front-door"
SEED = bytes(range(32))
PRIVATE = Ed25519PrivateKey.from_private_bytes(SEED)
KEY = VerifierKey(ORIGIN, PRIVATE.public_key().public_bytes_raw())
ZERO = bytes(32)


# --- pymerkle


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_pymerkle_computes_the_same_root_for_size(size: int) -> None:
    assert THEIRS.get_root(size) == ROOTS[size]


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_pymerkle_makes_the_same_inclusion_proofs_for_size(size: int) -> None:
    for index in range(size):
        theirs = THEIRS.prove_inclusion(index + 1, size)
        assert sorted(theirs.path[1:]) == sorted(inclusion_proof(index, size, LOG))
        verify_inclusion(theirs.path[0], index, size, theirs.path[1:], ROOTS[size])


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_pymerkle_verifies_our_inclusion_proofs_for_size(size: int) -> None:
    for index in range(size):
        proof = THEIRS.prove_inclusion(index + 1, size)
        value = leaf_hash(LEAVES[index])
        proof.path = [value, *inclusion_proof(index, size, LOG)]
        pymerkle_verify_inclusion(value, ROOTS[size], proof, index=index + 1, size=size, algorithm="sha256")
        proof.path[-1] = ZERO
        with pytest.raises(InvalidProof):
            pymerkle_verify_inclusion(value, ROOTS[size], proof, index=index + 1, size=size)


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_pymerkle_proves_the_same_logs_consistent_for_size(new: int) -> None:
    for old in range(1, new + 1):
        proof = THEIRS.prove_consistency(old, new)
        pymerkle_verify_consistency(ROOTS[old], ROOTS[new], proof, prior_size=old, later_size=new, algorithm="sha256")
        with pytest.raises(InvalidProof):
            pymerkle_verify_consistency(ROOTS[old - 1], ROOTS[new], proof)


def subproof(old: int, start: int, end: int, *, whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 9162 section 2.1.4.1 with pymerkle's hashes; its own proofs also send what the old root holds."""
    if old == end:
        return [] if whole else [THEIRS._get_root(start, end)]
    middle = start + split(end - start)
    if old <= middle:
        return [*subproof(old, start, middle, whole=whole), THEIRS._get_root(middle, end)]
    return [*subproof(old, middle, end, whole=False), THEIRS._get_root(start, middle)]


@pytest.mark.parametrize("new", range(1, LARGEST + 1))
def test_we_make_and_verify_the_consistency_proofs_of_pymerkles_hashes_for_size(new: int) -> None:
    for old in range(1, new + 1):
        theirs = subproof(old, 0, new, whole=True)
        assert consistency_proof(old, new, LOG) == theirs
        verify_consistency(old, new, theirs, THEIRS.get_root(old), THEIRS.get_root(new))


# --- tlog_scales


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_tlog_scales_verifies_our_inclusion_proofs_for_size(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(index, size, LOG)
        value = leaf_hash(LEAVES[index])
        InclusionProof(index, size, proof).check(value, ROOTS[size])
        with pytest.raises(InclusionProofInvalid):
            InclusionProof(index, size, [*proof, ZERO]).check(value, ROOTS[size])


@pytest.mark.parametrize("new", range(LARGEST + 1))
def test_tlog_scales_verifies_our_consistency_proofs_for_size(new: int) -> None:
    for old in range(new + 1):
        proof = consistency_proof(old, new, LOG)
        ConsistencyProof(old, new, proof).check(ROOTS[old], ROOTS[new])
        with pytest.raises(ConsistencyProofInvalid):
            ConsistencyProof(old, new, [*proof, ZERO]).check(ROOTS[old], ROOTS[new])


def changed(proof: list[bytes]) -> list[list[bytes]]:
    return [
        proof,
        proof[:-1],
        proof[1:],
        proof[::-1],
        [*proof, ZERO],
        [ZERO, *proof],
        *([*proof[:place], ZERO, *proof[place + 1 :]] for place in range(len(proof))),
    ]


@pytest.mark.parametrize("size", range(1, LARGEST + 1))
def test_tlog_scales_and_we_give_one_verdict_on_changed_inclusion_proofs_for_size(size: int) -> None:
    for index in range(size):
        value = leaf_hash(LEAVES[index])
        for proof in changed(inclusion_proof(index, size, LOG)):
            for claimed in {index, (index + 1) % size, size}:
                assert ours_includes(value, claimed, size, proof) == theirs_includes(value, claimed, size, proof)


@pytest.mark.parametrize("new", range(LARGEST + 1))
def test_tlog_scales_and_we_give_one_verdict_on_changed_consistency_proofs_for_size(new: int) -> None:
    for old in range(new + 1):
        for proof in changed(consistency_proof(old, new, LOG)):
            for claimed in {old, min(old + 1, new), new}:
                assert ours_consistent(claimed, new, proof, old) == theirs_consistent(claimed, new, proof, old)


def ours_includes(value: bytes, index: int, size: int, proof: list[bytes]) -> bool:
    try:
        verify_inclusion(value, index, size, proof, ROOTS[size])
    except TamperError:
        return False
    return True


def theirs_includes(value: bytes, index: int, size: int, proof: list[bytes]) -> bool:
    try:
        InclusionProof(index, size, proof).check(value, ROOTS[size])
    except InclusionProofInvalid:
        return False
    return True


def ours_consistent(claimed: int, new: int, proof: list[bytes], old: int) -> bool:
    try:
        verify_consistency(claimed, new, proof, ROOTS[old], ROOTS[new])
    except TamperError:
        return False
    return True


def theirs_consistent(claimed: int, new: int, proof: list[bytes], old: int) -> bool:
    try:
        ConsistencyProof(claimed, new, proof).check(ROOTS[old], ROOTS[new])
    except ConsistencyProofInvalid:
        return False
    return True


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_tlog_scales_reads_and_verifies_our_checkpoint_of_size(size: int) -> None:
    note = sign_checkpoint(Checkpoint(ORIGIN, size, ROOTS[size]), PRIVATE)
    theirs = OtherCheckpoint.from_text(note)
    assert (theirs.origin, theirs.size, theirs.root_hash) == (ORIGIN, size, ROOTS[size])
    assert theirs.serialize() == note
    theirs.verify(Vkey.from_string(KEY.line()))
    with pytest.raises(InvalidSignature):
        OtherCheckpoint(ORIGIN, size + 1, ROOTS[size], theirs.signatures).verify(Vkey.from_string(KEY.line()))


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_we_read_and_verify_the_checkpoint_of_tlog_scales_of_size(size: int) -> None:
    signer = PlainEd25519Signer(ORIGIN, SEED)
    note = OtherCheckpoint.make_signed(ORIGIN, size, ROOTS[size], [signer]).serialize()
    assert open_checkpoint(note, VerifierKey.parse(signer.vkey.serialize())) == Checkpoint(ORIGIN, size, ROOTS[size])
    assert note == sign_checkpoint(Checkpoint(ORIGIN, size, ROOTS[size]), PRIVATE), "Ed25519 is deterministic"


def test_both_write_the_same_verifier_key() -> None:
    assert PlainEd25519Signer(ORIGIN, SEED).vkey.serialize() == KEY.line()
    assert Vkey.from_string(KEY.line()).key_id == int.from_bytes(KEY.key_id)


def test_a_checkpoint_with_the_signatures_of_witnesses_is_read_by_both() -> None:
    log, witness = PlainEd25519Signer(ORIGIN, SEED), PlainEd25519Signer("witness.example", bytes(range(32, 64)))
    note = OtherCheckpoint.make_signed(ORIGIN, 7, ROOTS[7], [witness, log]).serialize()
    assert open_checkpoint(note, KEY) == Checkpoint(ORIGIN, 7, ROOTS[7])
    OtherCheckpoint.from_text(note).verify(witness.vkey)


def test_a_signature_by_another_key_is_refused_by_both() -> None:
    stranger = PlainEd25519Signer(ORIGIN, bytes(range(32, 64)))
    theirs = OtherCheckpoint.make_signed(ORIGIN, 7, ROOTS[7], [stranger])
    with pytest.raises(RuntimeError, match="no signature matched"):
        theirs.verify(Vkey.from_string(KEY.line()))
    with pytest.raises(TamperError, match="none by the log's key"):
        open_checkpoint(theirs.serialize(), KEY)


def test_a_checkpoint_of_no_leaves_must_have_the_root_of_the_empty_log() -> None:
    signer = PlainEd25519Signer(ORIGIN, SEED)
    theirs = OtherCheckpoint.make_signed(ORIGIN, 0, ZERO, [signer])
    theirs.verify(signer.vkey)
    with pytest.raises(TamperError, match="expected the root of the empty log"):
        open_checkpoint(theirs.serialize(), KEY)
    assert NoteSignature.from_line(theirs.serialize().splitlines()[4]).name == ORIGIN
    assert ROOTS[0] == empty_root()
