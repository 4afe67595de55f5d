"""Cosignatures (C2SP tlog-cosignature): the vectors of the specification, quorums, and what is refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_witness import SmallWitness

from volens.audit import Checkpoint, VerifierKey, open_checkpoint, sign_checkpoint
from volens.audit.cosignature import (
    WitnessKey,
    add_checkpoint_request,
    cosignatures_of,
    read_answered_size,
    read_cosignature,
    require_quorum,
    with_cosignatures,
)
from volens.consent import InputError, TamperError

ORIGIN = "volens.example/front-door"
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
LOG = VerifierKey(ORIGIN, PRIVATE.public_key().public_bytes_raw())
HEAD = Checkpoint(ORIGIN, 3, bytes(32))
NOTE = sign_checkpoint(HEAD, PRIVATE)
WITNESSES = [SmallWitness(f"witness.example/w{number}", number) for number in (1, 2, 3)]
KEYS = [WitnessKey.parse(one.vkey) for one in WITNESSES]
LINES = [one.cosign(HEAD.body()) for one in WITNESSES]

SPECIFIED = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\N{EM DASH} example.com/behind-the-sofa \
Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
\N{EM DASH} witness.example.com/w1 \
jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""
"""The example of the specification; the key of its witness is not published."""


def test_the_example_of_the_specification_has_lines_of_the_right_form() -> None:
    assert cosignatures_of(SPECIFIED, KEYS) == [], "of others, and well formed"


def test_a_cosigned_checkpoint_is_still_the_logs_and_names_its_witnesses() -> None:
    note = with_cosignatures(NOTE, [LINES[0], LINES[1], LINES[0]])
    assert open_checkpoint(note, LOG) == HEAD
    assert note.count("\N{EM DASH}") == 3
    found = cosignatures_of(note, KEYS)
    assert [(one.witness, one.line) for one in found] == list(zip(KEYS[:2], LINES[:2], strict=True))
    assert {round(one.at.timestamp()) for one in found} == {WITNESSES[0].now}


@pytest.mark.parametrize(("lines", "quorum"), [(1, 1), (2, 1), (2, 2), (3, 3)])
def test_a_quorum_holds_if_enough_witnesses_have_cosigned(lines: int, quorum: int) -> None:
    assert len(require_quorum(with_cosignatures(NOTE, LINES[:lines]), KEYS, quorum)) == lines


def test_a_quorum_that_is_not_reached_is_refused() -> None:
    with pytest.raises(TamperError, match="1 of 3 witnesses have cosigned this checkpoint; expected 2"):
        require_quorum(with_cosignatures(NOTE, LINES[:1]), KEYS, 2)
    # A witness counts once, however often it is named, and however many of its lines there are.
    later = SmallWitness("witness.example/w1", 1, now=5).cosign(HEAD.body())
    with pytest.raises(TamperError, match="1 of 2 witnesses"):
        require_quorum(with_cosignatures(NOTE, [LINES[0], later]), [KEYS[0], KEYS[0], KEYS[1]], 2)


@pytest.mark.parametrize(("quorum", "keys"), [(0, 2), (3, 2), (1, 0)])
def test_a_quorum_that_no_one_can_reach_is_a_mistake(quorum: int, keys: int) -> None:
    with pytest.raises(InputError, match=f"got a quorum of {quorum} and {keys} witnesses"):
        require_quorum(NOTE, KEYS[:keys], quorum)


def changed(line: str, at: int) -> str:
    """The same line with another byte of the blob."""
    name, _, encoded = line.strip().rpartition(" ")
    blob = bytearray(base64.b64decode(encoded))
    blob[at] ^= 1
    return f"{name} {base64.b64encode(blob).decode()}\n"


@pytest.mark.parametrize("at", [4, 11, 12, 75])
def test_a_cosignature_with_another_time_or_signature_is_refused(at: int) -> None:
    with pytest.raises(TamperError, match="a cosignature does not match the checkpoint and the key"):
        cosignatures_of(with_cosignatures(NOTE, [changed(LINES[0], at)]), KEYS)


def test_a_cosignature_of_another_checkpoint_is_refused() -> None:
    other = WITNESSES[0].cosign(Checkpoint(ORIGIN, 4, bytes(32)).body())
    with pytest.raises(TamperError, match="does not match the checkpoint"):
        cosignatures_of(with_cosignatures(NOTE, [other]), KEYS)


def test_a_plain_signature_by_a_witness_is_no_cosignature() -> None:
    """Its type is part of the key id, so it is a line of an unknown key."""
    key = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    plain = sign_checkpoint(Checkpoint("witness.example/w1", 3, bytes(32)), key).splitlines(keepends=True)[-1]
    assert cosignatures_of(with_cosignatures(NOTE, [plain]), KEYS) == []


def test_a_witnesss_key_has_one_text() -> None:
    assert [one.line() for one in KEYS] == [one.vkey for one in WITNESSES]
    assert WitnessKey.parse(f"  {WITNESSES[0].vkey}\n") == KEYS[0]
    cases = {
        LOG.line(): "of another type; expected one of a witness",
        KEYS[0].line().replace("w1", "w2"): "key id does not match",
        KEYS[0].line()[:-4] + "AA==": "of another type",
        "witness.example/w1": "not a verifier key",
    }
    for text, words in cases.items():
        with pytest.raises(InputError, match=words):
            WitnessKey.parse(text)


def test_a_request_is_the_old_size_the_proof_and_the_checkpoint() -> None:
    assert add_checkpoint_request(0, [], NOTE) == b"old 0\n\n" + NOTE.encode()
    proof = [bytes([1]) * 32, bytes([2]) * 32]
    expected = "old 2\n" + "".join(base64.b64encode(one).decode() + "\n" for one in proof) + "\n" + NOTE
    assert add_checkpoint_request(2, proof, NOTE) == expected.encode()


@pytest.mark.parametrize(
    ("body", "size"),
    [(b"0\n", 0), (b"17\n", 17), (b"17", 17), (b"017\n", None), (b"-1\n", None), (b"", None), (b"9" * 30, None)],
)
def test_the_size_of_a_conflict_is_a_plain_number(body: bytes, size: int | None) -> None:
    assert read_answered_size(body) == size


def test_of_a_response_only_the_line_of_the_witness_is_taken() -> None:
    body = "".join(LINES).encode()
    assert read_cosignature(body, NOTE, KEYS[1]).line == LINES[1]
    for other, words in (
        (LINES[0].encode(), "no cosignature by this witness's key"),
        (b"", "is not signature lines"),
        (LINES[1].encode().rstrip(), "is not signature lines"),
        (b"\xff\n", "not UTF-8"),
        (b"hello\n", "signature line is malformed"),
        (b"x" * 70_000 + b"\n", "is not signature lines"),
    ):
        with pytest.raises(TamperError, match=words):
            read_cosignature(other, NOTE, KEYS[1])
