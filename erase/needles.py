"""Needles: byte patterns of erased data that an erasure searches for in files and memory, all in one pass."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self, final

import numpy as np
from numpy.typing import NDArray

from volens.store import Place

PIECE_BYTES: Final = 16
_STRIDE: Final = 64
_DISTINCT_BYTES: Final = 6
_WINDOW_BYTES: Final = 8
_CHUNK_BYTES: Final = 1 << 20
_Words = NDArray[np.uint64]


@final
@dataclass(frozen=True, slots=True)
class Needle:
    """One value to search for, in pieces, so that a partly overwritten copy is found as well.

    Attributes:
        what: its name in the certificate.
        value: a copy, wiped by `Needles.wipe`.
        owner: the id of the consent that it belongs to, or empty.
    """

    what: str
    value: bytearray = field(repr=False)
    owner: str = field(default="", repr=False)

    def pieces(self) -> Iterator[memoryview]:
        """Yield 16 bytes of every 64, and the last 16; a shorter value whole.

        Pieces of few distinct bytes are left out: a damaged row may hold only zeros, and must not stop an erasure.
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
    owner: str = field(default="", repr=False)


@final
class Needles:
    """All needles of one erasure, of one person or of many. They must not change after the first search."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        self.needles = needles
        self._index: _Index | None = None

    @classmethod
    def of(cls, values: Iterable[tuple[str, bytes | bytearray | memoryview]], owner: str = "") -> Self:
        """Return needles with copies of the values; empty values are left out."""
        return cls([Needle(what, bytearray(value), owner) for what, value in values if len(value)])

    @classmethod
    def gathered(cls, many: Iterable["Needles"]) -> Self:
        """Return the needles of many in one."""
        return cls([needle for one in many for needle in one.needles])

    def search(self, haystack: bytes | bytearray | memoryview, where: str) -> list[Hit]:
        """Return the needles found in a buffer, which is only read."""
        found = self._built().search(memoryview(haystack).cast("B"))
        return list(dict.fromkeys(Hit(self.needles[one].what, where, self.needles[one].owner) for one in found))

    def search_place(self, place: Place) -> list[Hit]:
        """Return what is found in a file or another place of a database, read in overlapping chunks.

        Raises:
            OSError: it cannot be read; FileNotFoundError if it is gone.
        """
        hits: dict[Hit, None] = {}
        buffer, kept = bytearray(PIECE_BYTES + _CHUNK_BYTES), 0
        view = memoryview(buffer)
        with place.reading() as read:
            at = 0
            while count := read(view[kept : kept + _CHUNK_BYTES], at):
                at += count
                hits.update(dict.fromkeys(self.search(view[: kept + count], place.name)))
                end = kept + count
                kept = min(PIECE_BYTES - 1, end)  # a piece that ends in the next chunk begins here at the earliest
                view[:kept] = bytes(view[end - kept : end])
        view[:] = bytes(len(buffer))  # the file may hold others' data
        return list(hits)

    def counts(self, owner: str | None = None) -> Mapping[str, int]:
        """Return how many pieces are searched for, by the name of the value; of one owner, or of all."""
        return self._built().counts.get(owner, {})

    def wipe(self) -> None:
        """Zero the copies."""
        if self._index is not None:
            self._index.wipe()
        for needle in self.needles:
            needle.value[:] = bytes(len(needle.value))

    def __repr__(self) -> str:
        """Show the number of needles, never a value."""
        return f"Needles({len(self.needles)})"

    def _built(self) -> "_Index":
        if self._index is None:
            self._index = _Index(self.needles)
        return self._index


@final
class _Index:
    """Index of the pieces of all needles: each piece is found by one of its 8-byte windows.

    1. Every 8 bytes of the haystack, at all eight alignments, are looked up in a table by a multiplicative hash:
       one gather for each byte; of random bytes about one window in 60 passes.
    2. The windows that passed are looked up among the sorted windows of the needles.
    3. Where a window is equal, the whole piece is compared.
    """

    def __init__(self, needles: Sequence[Needle]) -> None:
        self.counts: dict[str | None, dict[str, int]] = {None: {}}
        pieces: list[tuple[int, memoryview]] = []
        for number, needle in enumerate(needles):
            own = [(number, piece) for piece in needle.pieces()]
            pieces += own
            for owner in (None, needle.owner):
                counts = self.counts.setdefault(owner, {})
                counts[needle.what] = counts.get(needle.what, 0) + len(own)
        # Pieces too short for a window are rare (damaged rows), so they are searched for one by one.
        self._short = [(number, piece) for number, piece in pieces if len(piece) < _WINDOW_BYTES]
        self._pieces = [(number, piece) for number, piece in pieces if len(piece) >= _WINDOW_BYTES]
        self._at = [_window(piece) for _number, piece in self._pieces]
        windows: _Words = np.zeros(len(self._pieces), dtype=np.uint64)
        for row, (at, (_number, piece)) in enumerate(zip(self._at, self._pieces, strict=True)):
            windows[row] = int.from_bytes(piece[at : at + _WINDOW_BYTES], "little")
        order = np.argsort(windows, kind="stable")
        self._order: NDArray[np.int64] = order.astype(np.int64)
        self._windows: _Words = windows[order]
        windows.fill(0)
        self._shift = np.uint64(64 - max(12, (64 * len(order)).bit_length()))
        self._table = np.zeros(1 << (64 - int(self._shift)), dtype=np.bool_)
        self._table[self._hash(self._windows)] = True

    def search(self, haystack: memoryview) -> list[int]:
        """Return the numbers of the needles of which a piece is in the haystack."""
        found = {number for number, piece in self._short if bytes(haystack).find(piece) >= 0}
        for alignment in range(_WINDOW_BYTES if self._pieces else 0):
            count = (len(haystack) - alignment) // _WINDOW_BYTES
            if count < 1:
                break
            words = np.frombuffer(haystack, dtype="<u8", count=count, offset=alignment)
            # 1.
            near = np.flatnonzero(self._table[self._hash(words)])
            if near.size:
                self._compare(haystack, alignment, words, near, found)
        return sorted(found)

    def wipe(self) -> None:
        self._windows.fill(0)

    def _compare(
        self, haystack: memoryview, alignment: int, words: _Words, near: NDArray[np.int64], found: set[int]
    ) -> None:
        # 2.
        candidates = words[near]
        first = np.searchsorted(self._windows, candidates, side="left")
        nearest = self._windows[np.minimum(first, len(self._windows) - 1)]
        same = nearest == candidates
        for copy in (candidates, nearest):
            copy.fill(0)  # copies of needles, and of data that may be other people's
        # 3.
        for word, at in zip(first[same].tolist(), near[same].tolist(), strict=True):
            row, value = word, self._windows[word]
            while row < len(self._windows) and self._windows[row] == value:
                index = int(self._order[row])
                number, piece = self._pieces[index]
                start = alignment + _WINDOW_BYTES * at - self._at[index]
                if number not in found and start >= 0 and haystack[start : start + len(piece)] == piece:
                    found.add(number)
                row += 1

    def _hash(self, words: _Words) -> NDArray[np.int64]:
        return ((words * _MULTIPLIER) >> self._shift).astype(np.int64)


_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio, odd (Knuth 6.4)


def _window(piece: memoryview) -> int:
    """Return the offset of the 8 bytes of a piece with the most distinct values: zeros would be found everywhere."""
    if len(set(piece[:_WINDOW_BYTES])) >= _DISTINCT_BYTES:
        return 0
    starts = range(len(piece) - _WINDOW_BYTES + 1)
    return max(starts, key=lambda at: len(set(piece[at : at + _WINDOW_BYTES])))
