"""Search of this process's own memory for values that must be erased from it.

A search must not find itself. So a value is kept only masked, every byte raised by a constant, and memory is read into
one buffer of known address, which is left out, and masked there before any comparison. No plain copy is made.
"""

import mmap
import os
import re
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

SHIFT: Final = np.uint8(0x35)
CHUNK_BYTES: Final = 1 << 20
WORD_BYTES: Final = 8

Hidden = NDArray[np.uint8]


def hide(value: object) -> Hidden:
    """Return the masked bytes of an array or a buffer; no other copy is made."""
    plain = np.frombuffer(value, dtype=np.uint8)  # type: ignore[call-overload]
    return plain + SHIFT


class OwnMemory:
    """The values to search for, and the buffer for the searched memory."""

    def __init__(self) -> None:
        self._buffer = mmap.mmap(-1, CHUNK_BYTES)
        self._view = np.frombuffer(self._buffer, dtype=np.uint8)
        self._words: list[NDArray[np.uint64]] = []
        self._names: list[str] = []

    def look_for(self, name: str, hidden: Hidden) -> None:
        """Search for a value from now on: for every 15 bytes of it in a row, at any address."""
        windows = np.lib.stride_tricks.sliding_window_view(hidden, WORD_BYTES)
        words = np.ascontiguousarray(windows).view(np.uint64)[:, 0]
        self._words.append(words)
        self._names += [name] * len(words)

    def search(self) -> Counter[str]:
        """Return how many aligned 8 bytes of each value are in memory now."""
        words = np.concatenate(self._words)
        order = np.argsort(words)
        words, names = words[order], [self._names[at] for at in order]
        first = np.zeros(1 << 16, dtype=bool)  # two bytes exclude most of the memory
        first[words & np.uint64(0xFFFF)] = True
        found: Counter[str] = Counter()
        memory = os.open("/proc/self/mem", os.O_RDONLY)
        try:
            for start, end in self._regions():
                for at in range(start, end, CHUNK_BYTES):
                    try:
                        count = os.preadv(memory, [memoryview(self._buffer)[: min(CHUNK_BYTES, end - at)]], at)
                    except OSError:
                        break  # a guard page, or a region that is gone meanwhile
                    self._view[:count] += SHIFT
                    seen = self._view[: count - count % WORD_BYTES].view(np.uint64)
                    seen = seen[first[seen & np.uint64(0xFFFF)]]
                    at_word = np.searchsorted(words, seen)
                    at_word[at_word == len(words)] = 0
                    found.update(names[one] for one in at_word[words[at_word] == seen])
        finally:
            os.close(memory)
            self._view[:] = 0
        return found

    def _regions(self) -> list[tuple[int, int]]:
        own = self._view.ctypes.data
        regions = []
        for line in Path("/proc/self/maps").read_text().splitlines():
            span, rights, *_, name = re.split(r"\s+", line, maxsplit=5)
            start, end = (int(one, 16) for one in span.split("-"))
            if "r" not in rights or name.startswith(("[v", "/dev/")):
                continue
            if start <= own < end:
                regions += [(start, own), (own + CHUNK_BYTES, end)]
            else:
                regions.append((start, end))
        return [(start, end) for start, end in regions if start < end]
