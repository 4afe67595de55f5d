"""The sealed references of a lease: copies of embeddings under a key that only the holder of the lease has.

``version (1 byte) | entry | entry ...``; an entry is a sealed embedding and a sealed handle. The handle is a reference
id under a key of the site: a door that delivers a decision of an outage sends it back, and cannot read it. No key
of the store leaves the site, and the key of an ended lease opens no other one.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from volens.consent import ReferenceId, TamperError, UnitVector
from volens.consent.embedding import FloatArray, is_unit
from volens.store.keys.keyring import Keyring
from volens.store.keys.sealing import OVERHEAD_BYTES, context, open_into, seal
from volens.store.keys.secrets import LeaseKey, Random

_VERSION: Final = b"\x01"
_ID_BYTES: Final = 8
_FLOAT_BYTES: Final = 4
HANDLE_BYTES: Final = OVERHEAD_BYTES + _ID_BYTES
_USE: Final = "leases"


def lease_context(site_id: str, purpose: str, holder: str, lease_id: str, model_id: str) -> tuple[str, ...]:
    """Return what the entries of a lease are bound to: in another lease they do not open."""
    return (site_id, purpose, holder, lease_id, model_id)


def seal_entry(
    vector: UnitVector, number: int, reference_id: ReferenceId, key: LeaseKey, of: Sequence[str], random: Random
) -> tuple[bytes, bytes]:
    """Return the sealed embedding of entry `number`, and the id to make its handle of; the caller wipes the vector."""
    box = seal(vector.array.data.cast("B"), key, context("lease reference", *of, str(number)), random)
    return box, int(reference_id).to_bytes(_ID_BYTES)


def pack_entries(
    keyring: Keyring, entries: Sequence[tuple[bytes, bytes]], holder: str, lease_id: str, random: Random
) -> bytes:
    """Return the sealed references of a lease, with the handles sealed under a key of the site."""
    with keyring.derived_key(_USE) as key:
        bound = context("lease handle", holder, lease_id)
        return _VERSION + b"".join(box + seal(one, key, bound, random) for box, one in entries)


def open_handle(keyring: Keyring, handle: bytes, holder: str, lease_id: str) -> ReferenceId:
    """Return the reference of a handle that a door sent back.

    Raises:
        TamperError: it is no handle of this lease of this door.
    """
    opened = bytearray(_ID_BYTES)
    with keyring.derived_key(_USE) as key:
        open_into(handle, key, context("lease handle", holder, lease_id), opened)
    return ReferenceId(int.from_bytes(opened))


def open_entries(
    packed: bytes, key: LeaseKey, of: Sequence[str], into: FloatArray, people: int, dimension: int
) -> Iterator[bytes]:
    """Open the embeddings into an array of `people` rows, which the caller wipes, and yield the handle of each row.

    Raises:
        TamperError: an entry does not open, is no unit vector, or there are more or fewer of them.
    """
    size = OVERHEAD_BYTES + _FLOAT_BYTES * dimension + HANDLE_BYTES
    if packed[:1] != _VERSION or len(packed) != 1 + people * size or into.shape != (people, dimension):
        raise TamperError("integrity: the references of a lease have another length or version than it says")
    for number in range(people):
        entry = packed[1 + number * size : 1 + (number + 1) * size]
        row = into[number]
        open_into(entry[:-HANDLE_BYTES], key, context("lease reference", *of, str(number)), row.data.cast("B"))
        if not is_unit(np.asarray(row)):
            raise TamperError("integrity: a reference of a lease is no unit vector; nothing is decided with it")
        yield entry[-HANDLE_BYTES:]
