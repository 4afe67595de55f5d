"""Sealing: a box opens only with its key and for its owner."""

import itertools
import os
import random

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import DataSubjectId, ModelId, Purpose, ReceiptId, ReferenceId, TamperError
from volens.store.keys import ProfileKey, ReferenceKey, sealing
from volens.store.keys._unseal import unseal_embedding

KEY = ReferenceKey(bytes(range(32)))
PLAIN = b"sixteen and a bit more"
CONTEXT = sealing.context("test", "a", "b")
seeded = random.Random(7)


def sealed(plain: bytes = PLAIN, context: bytes = CONTEXT) -> bytes:
    return sealing.seal(plain, KEY, context, seeded.randbytes)


def opened(box: bytes, key: ReferenceKey = KEY, context: bytes = CONTEXT, length: int = len(PLAIN)) -> bytes:
    into = bytearray(b"\xaa" * length)
    try:
        sealing.open_into(box, key, context, into)
    except TamperError:
        assert not any(into), "the buffer was not zeroed"
        raise
    return bytes(into)


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32), st.lists(st.text(max_size=9), max_size=5))
def test_a_sealed_value_opens(plain: bytes, key: bytes, fields: list[str]) -> None:
    context = sealing.context("test", *fields)
    box = sealing.seal(plain, ReferenceKey(key), context, os.urandom)

    assert opened(box, ReferenceKey(key), context, len(plain)) == plain
    assert len(box) == len(plain) + sealing.OVERHEAD_BYTES


def test_a_box_is_version_nonce_and_aes_gcm_made_independently() -> None:
    nonce = bytes(range(100, 112))

    box = sealing.seal(PLAIN, KEY, CONTEXT, lambda _count: nonce)

    assert box == b"\x01" + nonce + AESGCM(bytes(range(32))).encrypt(nonce, PLAIN, CONTEXT)
    assert sealing.nonce_of(box) == nonce


def test_no_two_boxes_share_a_nonce() -> None:
    boxes = [sealing.seal(PLAIN, KEY, CONTEXT, os.urandom) for _ in range(200)]

    assert len({sealing.nonce_of(box) for box in boxes}) == 200
    assert len({box[13:] for box in boxes}) == 200


def test_every_flipped_bit_is_detected() -> None:
    box = sealed()
    for at, bit in itertools.product(range(len(box)), (0x01, 0x80)):
        changed = bytearray(box)
        changed[at] ^= bit
        with pytest.raises(TamperError, match="integrity: a sealed value"):
            opened(bytes(changed))


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 29, -1])
def test_a_box_that_is_cut_off_does_not_open(length: int) -> None:
    with pytest.raises(TamperError, match="another length or version than expected"):
        opened(sealed()[:length])


def test_a_box_that_is_longer_does_not_open() -> None:
    with pytest.raises(TamperError, match="another length or version than expected"):
        opened(sealed() + b"\0")


def test_another_version_does_not_open() -> None:
    with pytest.raises(TamperError, match="another length or version than expected"):
        opened(b"\x02" + sealed()[1:])


def test_another_key_does_not_open() -> None:
    with pytest.raises(TamperError, match="does not open with the key and owner it should have"):
        opened(sealed(), ReferenceKey(bytes(32)))


OWNER = {
    "reference_id": ReferenceId(7),
    "receipt_id": ReceiptId("0" * 32),
    "subject_id": DataSubjectId("s" * 43),
    "purpose": Purpose("lobby"),
    "model_id": ModelId("m@1"),
}
OTHERS = {
    "reference_id": ReferenceId(8),
    "receipt_id": ReceiptId("1" * 32),
    "subject_id": DataSubjectId("t" * 43),
    "purpose": Purpose("lab"),
    "model_id": ModelId("m@2"),
}


@pytest.mark.parametrize("field", OWNER)
def test_an_embedding_opens_for_its_owner_only_in_every_field(field: str) -> None:
    box = sealed(context=sealing.reference_context(**OWNER))  # type: ignore[arg-type]
    assert opened(box, context=sealing.reference_context(**OWNER)) == PLAIN  # type: ignore[arg-type]

    moved = OWNER | {field: OTHERS[field]}
    with pytest.raises(TamperError, match="does not open with the key and owner it should have"):
        opened(box, context=sealing.reference_context(**moved))  # type: ignore[arg-type]


@given(st.lists(st.text(max_size=4), max_size=4), st.lists(st.text(max_size=4), max_size=4))
def test_no_two_lists_of_fields_have_one_context(one: list[str], other: list[str]) -> None:
    assert (sealing.context(*["k", *one]) == sealing.context(*["k", *other])) is (one == other)


def test_the_kind_of_a_sealed_value_is_part_of_its_context() -> None:
    assert sealing.context("name", "a") != sealing.context("embedding", "a")
    assert sealing.context("a", "b") != sealing.context("ab")


def unit() -> np.ndarray:
    vector = np.zeros(8, dtype="<f4")
    vector[3] = 1.0
    return vector


def test_an_embedding_is_unsealed_unchanged() -> None:
    vector = unseal_embedding(sealed(unit().tobytes()), KEY, CONTEXT, ModelId("m@1"))

    assert vector.array.tolist() == unit().tolist()


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (b"", "does not contain a unit vector"),
        (b"abc", "does not contain a unit vector"),
        ((unit() * 2).tobytes(), "does not contain a unit vector"),
        ((unit() * np.float32("nan")).tobytes(), "does not contain a unit vector"),
    ],
)
def test_a_sealed_value_that_is_not_a_unit_vector_is_refused(plain: bytes, words: str) -> None:
    with pytest.raises(TamperError, match=f"integrity: a sealed embedding of model m@1 {words}"):
        unseal_embedding(sealed(plain), KEY, CONTEXT, ModelId("m@1"))


@pytest.mark.parametrize("box", [b"", b"\x01", bytes(29)])
def test_a_malformed_box_is_not_unsealed(box: bytes) -> None:
    with pytest.raises(TamperError, match="integrity: a sealed value"):
        unseal_embedding(box, KEY, CONTEXT, ModelId("m@1"))


def test_an_embedding_is_opened_in_one_buffer_that_is_zeroed(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[bytearray] = []
    original = sealing.open_into

    def watched(box: bytes, key: ProfileKey, context: bytes, into: bytearray) -> None:
        used.append(into)
        original(box, key, context, into)
        assert any(into)

    monkeypatch.setattr(sealing, "open_into", watched)
    unseal_embedding(sealed(unit().tobytes()), KEY, CONTEXT, ModelId("m@1"))

    assert [any(buffer) for buffer in used] == [False]
