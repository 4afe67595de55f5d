"""One row of the hot set: its layout in bytes, and the working memory in which a decision opens a copy of it."""

import struct
from typing import Final, NamedTuple, final

import numpy as np

from volens.consent import DataSubjectId, ModelId, Purpose, ReceiptId, ReferenceId, TamperError
from volens.consent.embedding import FloatArray
from volens.store.files.locked_memory import LockedMemory
from volens.store.files.page_lock import lock_page
from volens.store.keys import GrantSecret, KeyId, Keyring, Wrapped, sealing
from volens.store.keys.secrets import KEY_BYTES
from volens.store.people import SealedReference
from volens.store.people.references import open_reference_into

_FACTS: Final = struct.Struct("<6q32s43s32s")
_SECONDS: Final = struct.Struct("<q")
_RECEIPT_UNTIL_AT: Final = 4 * _SECONDS.size
_BOX_BYTES: Final = KEY_BYTES + sealing.OVERHEAD_BYTES
_FLOAT_BYTES: Final = 4


@final
class HotFacts(NamedTuple):
    """What a row has besides what is sealed. All of it is in the data file in the clear.

    Attributes:
        as_of: the generation of the snapshot in which the row was read.
        bucket_id: with `key_number`, the id of the key that wraps the grant secret.
        live_until: see `SealedReference`; seconds since 1970.
        receipt_until: the end of the consent once its rows and receipt were verified, in seconds since 1970; else 0.
        number: the reference id.
        receipt: the receipt id, in ASCII.
        subject: the subject id, in ASCII.
        receipt_sha256: SHA-256 of the receipt's exact bytes, which name the key that must have signed them.
    """

    as_of: int
    bucket_id: int
    key_number: int
    live_until: int
    receipt_until: int
    number: int
    receipt: bytes
    subject: bytes
    receipt_sha256: bytes

    @property
    def reference_id(self) -> ReferenceId:
        """The reference."""
        return ReferenceId(self.number)

    @property
    def receipt_id(self) -> ReceiptId:
        """The receipt of the consent under which the reference was enrolled."""
        return ReceiptId(self.receipt.decode("ascii"))

    @property
    def subject_id(self) -> DataSubjectId:
        """The person."""
        return DataSubjectId(self.subject.decode("ascii"))


def row_bytes(dimension: int) -> int:
    """Return the size of a row: facts, wrapped grant secret, and sealed embedding of so many components."""
    return _FACTS.size + _BOX_BYTES + sealing.OVERHEAD_BYTES + _FLOAT_BYTES * dimension


def facts_in(row: memoryview) -> HotFacts:
    """Read the facts of a row."""
    return HotFacts._make(_FACTS.unpack_from(row))


def write_row(row: memoryview, facts: HotFacts, wrapped: Wrapped, sealed_embedding: bytes) -> bool:
    """Write a whole row; False, and nothing written, if a part has not the size that the row has for it."""
    if len(wrapped.box) != _BOX_BYTES or _FACTS.size + _BOX_BYTES + len(sealed_embedding) != len(row):
        return False
    _FACTS.pack_into(row, 0, *facts)
    row[_FACTS.size : _FACTS.size + _BOX_BYTES] = wrapped.box
    row[_FACTS.size + _BOX_BYTES :] = sealed_embedding
    return True


def write_receipt_until(row: memoryview, receipt_until: int) -> None:
    """Change that one fact of a row."""
    _SECONDS.pack_into(row, _RECEIPT_UNTIL_AT, receipt_until)


def facts_of(reference: SealedReference, wrapped: Wrapped, as_of: int) -> HotFacts:
    """Return the facts of a reference as read in a snapshot of this generation; its receipt counts as not verified."""
    owner = reference.receipt
    return HotFacts(
        as_of,
        *wrapped.key_id,
        int(reference.live_until.timestamp()),
        0,
        reference.reference_id,
        owner.receipt_id.encode("ascii"),
        owner.subject_id.encode("ascii"),
        owner.sha256,
    )


@final
class HotRow:
    """Working memory of one decision at a time: a copy of a row, its grant secret and its embedding, in locked memory.

    Attributes:
        copy: the bytes of the row.
        facts: of the row that was copied last.
        vector: the embedding after `open`, float32 (d,).
    """

    __slots__ = ("_memory", "_secret", "copy", "facts", "model_id", "purpose", "vector")

    def __init__(self, purpose: Purpose, model_id: ModelId, dimension: int) -> None:
        self.purpose = purpose
        self.model_id = model_id
        vector_bytes = _FLOAT_BYTES * dimension
        self._memory = LockedMemory(vector_bytes + row_bytes(dimension))
        self.copy = self._memory.view[vector_bytes:]
        self.vector: FloatArray = np.frombuffer(self._memory.view[:vector_bytes], dtype="<f4")
        self._secret = GrantSecret(bytes(KEY_BYTES))
        lock_page(self._secret.buffer)
        self.facts = facts_in(self.copy)

    def take(self, reference: SealedReference, wrapped: Wrapped, as_of: int) -> None:
        """Use a reference that the hot set does not keep.

        Raises:
            TamperError: its secret or embedding has another size than those of this model.
        """
        self.facts = facts_of(reference, wrapped, as_of)
        if not write_row(self.copy, self.facts, wrapped, reference.sealed_embedding):
            raise TamperError("integrity: a sealed value has another length or version than expected")

    def open(self, keyring: Keyring) -> bool:
        """Unwrap the grant secret, and open the embedding into `vector`; nothing is read from a database.

        False if the key that wraps the secret was destroyed: the row must be read again.

        Raises:
            TamperError: secret, reference, receipt, person, zone or model is not the one that was sealed.
        """
        facts = self.facts
        receipt_id, at = facts.receipt_id, _FACTS.size
        wrapped = Wrapped(KeyId(facts.bucket_id, facts.key_number), self.copy[at : at + _BOX_BYTES])
        try:
            if not keyring.open_wrapped(receipt_id, wrapped, self._secret):
                return False
            owner = (facts.reference_id, receipt_id, facts.subject_id, self.purpose)
            box = self.copy[at + _BOX_BYTES :]
            open_reference_into(box, self._secret, facts.receipt_sha256, owner, self.model_id, self.vector)
        finally:
            self._secret.wipe()
        return True

    def wipe(self) -> None:
        """Overwrite everything."""
        self._memory.wipe()
        self._secret.wipe()
