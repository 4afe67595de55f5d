"""The search for bytes of people: every 16-byte piece of every value, at any alignment, in one pass.

The search indexes a value by the 8-byte words at all of its offsets. It reads the searched bytes as aligned 8-byte
words only: a copy of 16 bytes or more contains such a word at any offset. Around each word that occurs, the bytes are
compared with the value, and runs of 16 or more equal bytes count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

PIECE_BYTES: Final = 16
OVERLAP_BYTES: Final = 64
"""Searched chunks overlap by this much, a multiple of 8, so that no piece is lost between two."""

_WORD: Final = 8
_TABLE_BITS: Final = 22
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_FEWEST_DISTINCT_BYTES: Final = 4


@final
@dataclass(frozen=True, slots=True)
class Sought:
    """A value of one person to search for.

    Attributes:
        kind: of the value.
        person: its owner.
        group: 'deleted' or 'kept'; people who are kept must be found, otherwise the search proves nothing.
        value: 16 bytes or more.
    """

    kind: str
    person: int
    group: str
    value: bytes


@final
@dataclass(slots=True)
class Findings:
    """Findings in one set of places: for every value searched for, which of its bytes, and in how many places."""

    covered: list[NDArray[np.bool_]]
    where: dict[str, set[int]] = field(default_factory=dict)
    searched_bytes: int = 0
    unreadable_bytes: int = 0


@final
class Needles:
    """Values to search for, prepared."""

    def __init__(self, sought: list[Sought]) -> None:
        """Prepare the search. Words of few different bytes, such as zeros, occur everywhere and are left out."""
        self.sought = sought
        words: list[NDArray[np.uint64]] = []
        places: list[NDArray[np.int64]] = []
        for number, one in enumerate(sought):
            value = np.frombuffer(one.value, dtype=np.uint8)
            windows = np.lib.stride_tricks.sliding_window_view(value, _WORD)
            telling = np.array([len(set(window)) >= _FEWEST_DISTINCT_BYTES for window in windows.tolist()])
            offsets = np.flatnonzero(telling)
            words.append(np.ascontiguousarray(windows[offsets]).view(np.uint64).ravel())
            places.append(np.stack([np.full(len(offsets), number), offsets], axis=1))
        found = np.concatenate(words)
        order = np.argsort(found, kind="stable")
        self._words = found[order]
        self._places = np.concatenate(places)[order]
        self._table = np.zeros(1 << _TABLE_BITS, dtype=np.bool_)
        self._table[_hash(self._words)] = True

    def nothing(self) -> Findings:
        """Return the findings of a search that has not begun."""
        return Findings([np.zeros(len(one.value), dtype=np.bool_) for one in self.sought])

    def search(self, chunk: NDArray[np.uint8], where: str, findings: Findings) -> None:
        """Search a chunk, and add to the findings."""
        findings.searched_bytes += len(chunk)
        words = chunk[: len(chunk) // _WORD * _WORD].view(np.uint64)
        likely = np.flatnonzero(self._table[_hash(words)])
        values = words[likely]
        first = np.searchsorted(self._words, values, side="left")
        last = np.searchsorted(self._words, values, side="right")
        for word, low, high in zip(likely.tolist(), first.tolist(), last.tolist(), strict=True):
            for number, offset in self._places[low:high].tolist():
                if self._compare(chunk, word * _WORD, number, offset, findings.covered[number]):
                    findings.where.setdefault(where, set()).add(number)

    def _compare(self, chunk: NDArray[np.uint8], at: int, number: int, offset: int, covered: NDArray[np.bool_]) -> bool:
        value = np.frombuffer(self.sought[number].value, dtype=np.uint8)
        before = min(at, offset, PIECE_BYTES)
        after = min(len(chunk) - at, len(value) - offset, _WORD + PIECE_BYTES)
        equal = chunk[at - before : at + after] == value[offset - before : offset + after]
        unequal = np.flatnonzero(~equal)
        left = unequal[unequal < before]
        right = unequal[unequal >= before]
        start = int(left[-1]) + 1 if len(left) else 0
        stop = int(right[0]) if len(right) else len(equal)
        if stop - start < PIECE_BYTES:
            return False
        covered[offset - before + start : offset - before + stop] = True
        return True


def summary(needles: Needles, findings: Findings) -> Mapping[str, object]:
    """Return findings for the record: by kind and group, of whom something or all was found, and how many pieces."""
    kinds: dict[str, dict[str, dict[str, Any]]] = {}
    for one, covered in zip(needles.sought, findings.covered, strict=True):
        rows = covered[: len(covered) // PIECE_BYTES * PIECE_BYTES].reshape(-1, PIECE_BYTES)
        pieces = np.logical_and.reduce(rows, axis=1)
        group = kinds.setdefault(one.kind, {}).setdefault(
            one.group, {"people": 0, "found": [], "whole": [], "pieces": 0, "pieces_found": 0}
        )
        group["people"] += 1
        group["found"] += [one.person] if covered.any() else []
        group["whole"] += [one.person] if covered.all() else []
        group["pieces"] += len(pieces)
        group["pieces_found"] += int(pieces.sum())
    return {
        "kinds": kinds,
        "where": {
            name: {group: len({one.person for one in found if one.group == group}) for group in ("deleted", "kept")}
            for name, found in sorted(
                (name, [needles.sought[number] for number in numbers]) for name, numbers in findings.where.items()
            )
        },
        "searched_bytes": findings.searched_bytes,
        "unreadable_bytes": findings.unreadable_bytes,
    }


def _hash(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    return (words * _MIX) >> np.uint64(64 - _TABLE_BITS)
