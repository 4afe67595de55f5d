"""What an erasure searches for afterwards: bytes that only the erased person's data has."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, final

PIECE_BYTES: Final = 16
_STRIDE: Final = 64
_DISTINCT_BYTES: Final = 6
_CHUNK_BYTES: Final = 8 << 20


@final
@dataclass(frozen=True, slots=True)
class Needle:
    """One thing to search for, in pieces, so that a half overwritten copy is found as well.

    Attributes:
        what: in words, for the certificate.
        value: an own copy, wiped by `Needles.wipe`.
    """

    what: str
    value: bytearray = field(repr=False)

    def pieces(self) -> Iterator[memoryview]:
        """Yield 16 bytes of every 64, and the last 16; a shorter value whole.

        Left out is what occurs anywhere: a damaged row may hold nothing but zeros, and must not stop an erasure.
        """
        view = memoryview(self.value)
        starts = [*range(0, len(view) - PIECE_BYTES, _STRIDE), max(0, len(view) - PIECE_BYTES)]
        yield from (piece for at in starts if len(set(piece := view[at : at + PIECE_BYTES])) >= _DISTINCT_BYTES)


@final
@dataclass(frozen=True, slots=True)
class Hit:
    """A needle found."""

    what: str
    where: str


@final
@dataclass(frozen=True, slots=True)
class Needles:
    """All that one erasure searches for."""

    needles: Sequence[Needle]

    @classmethod
    def of(cls, values: Iterable[tuple[str, bytes | bytearray | memoryview]]) -> Self:
        """Copy the values; empty ones are left out."""
        return cls([Needle(what, bytearray(value)) for what, value in values if len(value)])

    def joined(self, other: "Needles") -> "Needles":
        """Return both."""
        return Needles([*self.needles, *other.needles])

    def search(self, haystack: bytes | bytearray | memoryview, where: str) -> list[Hit]:
        """Return what is found in memory."""
        # find() needs bytes or a bytearray; the latter can be zeroed, for the haystack may hold others' data.
        copy = bytearray(haystack)
        hits = [
            Hit(needle.what, where)
            for needle in self.needles
            if any(copy.find(piece) >= 0 for piece in needle.pieces())
        ]
        copy[:] = bytes(len(copy))
        return hits

    def search_file(self, path: Path, where: str) -> list[Hit]:
        """Return what is found in a file, read in overlapping chunks."""
        hits: dict[Hit, None] = {}
        tail = b""
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                hits.update(dict.fromkeys(self.search(tail + chunk, where)))
                tail = chunk[-PIECE_BYTES:]
        return list(hits)

    def counts(self) -> Mapping[str, int]:
        """Return how many pieces are searched for, by what they are of."""
        counts: dict[str, int] = {}
        for needle in self.needles:
            counts[needle.what] = counts.get(needle.what, 0) + sum(1 for _ in needle.pieces())
        return counts

    def wipe(self) -> None:
        """Zero the copies."""
        for needle in self.needles:
            needle.value[:] = bytes(len(needle.value))
