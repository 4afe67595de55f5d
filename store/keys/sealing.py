"""Sealing: AES-256-GCM with a version byte and associated data that binds a box to its owner (NIST SP 800-38D).

A sealed box is ``version (1 byte) | nonce (12) | ciphertext | tag (16)``. The nonce is random: each key seals
at most some hundred boxes. An erasure that another process finishes searches for what is left of a box by its nonce.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from volens.consent import DataSubjectId, ModelId, Purpose, ReceiptId, ReferenceId, TamperError
from volens.store.keys.secrets import Random, Secret

SEALED_VERSION: Final = 1
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = 1 + NONCE_BYTES + 16
_NAME_STEP_BYTES: Final = 64


def reference_context(
    reference_id: ReferenceId, receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose, model_id: ModelId
) -> bytes:
    """Return the associated data of a sealed embedding: moved to another owner, zone or model, it does not open."""
    return context("embedding", str(reference_id), receipt_id, subject_id, purpose, model_id)


def context(kind: str, *fields: str) -> bytes:
    """Join the fields, each with its length before it, so that no two lists of fields give the same bytes."""
    encoded = [field.encode("utf-8") for field in (f"volens sealed v{SEALED_VERSION}", kind, *fields)]
    return b"".join([len(field).to_bytes(4) + field for field in encoded])


def seal(plaintext: bytes | bytearray | memoryview, key: Secret, associated_data: bytes, random: Random) -> bytes:
    """Seal `plaintext` of any length."""
    nonce = random(NONCE_BYTES)
    return bytes((SEALED_VERSION,)) + nonce + AESGCM(key.buffer).encrypt(nonce, plaintext, associated_data)


def padded(name: str) -> bytes:
    """Return a name with zeros up to a multiple of 64 bytes, so that the size of its box says little about it."""
    encoded = name.encode("utf-8")
    return encoded + bytes(-len(encoded) % _NAME_STEP_BYTES)


def open_into(box: bytes | memoryview, key: Secret, associated_data: bytes, into: bytearray | memoryview) -> None:
    """Open a box into a buffer of exactly the plaintext's length; on failure the buffer is zeroed.

    Raises:
        TamperError: the box was made under another key or for another owner, or was changed. The message does not
            name the owner; the caller adds what may be disclosed.
    """
    if len(box) != len(into) + OVERHEAD_BYTES or box[0] != SEALED_VERSION:
        into[:] = bytes(len(into))
        raise TamperError("integrity: a sealed value has another length or version than expected")
    try:
        AESGCM(key.buffer).decrypt_into(box[1 : 1 + NONCE_BYTES], box[1 + NONCE_BYTES :], associated_data, into)
    except InvalidTag:
        into[:] = bytes(len(into))
        raise TamperError("integrity: a sealed value does not open with the key and owner it should have") from None


def nonce_of(box: bytes) -> bytes:
    """Return the box's nonce: 12 random bytes that reveal nothing about the content, and occur nowhere else."""
    return box[1 : 1 + NONCE_BYTES]
