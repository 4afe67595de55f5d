"""Search for old copies of sealed boxes by their salted hashes, which are all that a certificate keeps of them.

A hash is of a whole box, so every place where a box may begin is hashed: where the byte is that of the format's
version, and the bytes that follow are not text or zeros. A copy is found at any position in any file, if it is whole.
Cost: about a microsecond for each hash; of random bytes, one in 256 begins a candidate.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from volens.erase.needles import Hit
from volens.store import Place
from volens.store.keys import SEALED_VERSION

_CHUNK_BYTES: Final = 1 << 20
_WINDOW_BYTES: Final = 32
_HIGH_BYTES: Final = 3
"""Of 32 random bytes fewer than 3 are above 127 in one case in 8 million; of text and numbers, nearly always."""


@final
@dataclass(frozen=True, slots=True)
class BoxHash:
    """What a certificate keeps of a sealed value: a hash of all of it, and its size.

    Attributes:
        is_box: it begins with the version of the sealed format; other values are digests, which begin with any byte.
    """

    what: str
    salt: bytes = field(repr=False)
    salted_sha256: bytes = field(repr=False)
    size_bytes: int
    is_box: bool

    @classmethod
    def of(cls, what: str, value: bytes, salt: bytes) -> "BoxHash":
        """Hash a value. The salt is new for each value."""
        return cls(what, salt, sha256(salt + value).digest(), len(value), value[:1] == bytes((SEALED_VERSION,)))

    def to_json(self) -> dict[str, str | int | bool]:
        """Return the form in the certificate."""
        return {
            "what": self.what,
            "salt": self.salt.hex(),
            "salted_sha256": self.salted_sha256.hex(),
            "size_bytes": self.size_bytes,
            "is_box": self.is_box,
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "BoxHash":
        """Read the form of `to_json`; ValueError, TypeError or KeyError for another form."""
        return cls(
            document["what"],
            bytes.fromhex(document["salt"]),
            bytes.fromhex(document["salted_sha256"]),
            int(document["size_bytes"]),
            bool(document["is_box"]),
        )


@final
class BoxSearch:
    """Searches buffers and places for whole copies of boxes; a `volens.erase.places.Searcher`."""

    def __init__(self, boxes: Sequence[BoxHash]) -> None:
        self._boxes = [one for one in boxes if one.size_bytes > 0]
        self._overlap = max((one.size_bytes for one in self._boxes), default=1) - 1

    def counts(self) -> Mapping[str, int]:
        """Return how many boxes are searched for, by name."""
        return Counter(one.what for one in self._boxes)

    def search(self, haystack: bytes | bytearray | memoryview, where: str) -> list[Hit]:
        """Return the boxes found in a buffer, which is only read."""
        view = memoryview(haystack).cast("B")
        array = np.frombuffer(view, dtype=np.uint8)
        scattered = _begins_scattered(array)
        starts_of_boxes = np.flatnonzero(scattered & (array == SEALED_VERSION))
        hits = []
        for box in self._boxes:
            starts = starts_of_boxes if box.is_box else np.flatnonzero(scattered)
            if _is_at_one_of(box, view, starts[starts <= len(view) - box.size_bytes]):
                hits.append(Hit(box.what, where))
        return hits

    def search_place(self, place: Place) -> list[Hit]:
        """Return what is found in a file or another place of a database, read in overlapping chunks.

        Raises:
            OSError: it cannot be read; FileNotFoundError if it is gone.
        """
        hits: dict[Hit, None] = {}
        buffer, kept = bytearray(self._overlap + _CHUNK_BYTES), 0
        view = memoryview(buffer)
        with place.reading() as read:
            at = 0
            while count := read(view[kept : kept + _CHUNK_BYTES], at):
                at += count
                end = kept + count
                hits.update(dict.fromkeys(self.search(view[:end], place.name)))
                kept = min(self._overlap, end)  # a box that ends in the next chunk begins here at the earliest
                view[:kept] = bytes(view[end - kept : end])
        view[:] = bytes(len(buffer))  # the file may hold others' data
        return list(hits)


def _begins_scattered(array: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return for each byte whether it begins what may be random: enough high bytes within the next 32."""
    sums = np.concatenate([[0], np.cumsum(array >> 7, dtype=np.int64)])
    ends = np.minimum(np.arange(len(array)) + _WINDOW_BYTES, len(array))
    return np.asarray(sums[ends] - sums[:-1] >= _HIGH_BYTES)


def _is_at_one_of(box: BoxHash, view: memoryview, starts: NDArray[np.int64]) -> bool:
    salted, size_bytes, digest = sha256(box.salt), box.size_bytes, box.salted_sha256
    for start in starts.tolist():
        one = salted.copy()
        one.update(view[start : start + size_bytes])
        if one.digest() == digest:
            return True
    return False
