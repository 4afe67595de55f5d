"""Serialises the content of a gallery, to be sealed as a snapshot. Only numbers: the seal binds zone and model."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from volens.consent import TamperError
from volens.index.projection import SketchArray
from volens.index.search_engine import SearchEngine

PART_ROWS: Final = 1 << 16
"""References in a part: 4.5 MiB with 512-bit sketches."""

_ID: Final = np.dtype("<i8")


def packed(engine: SearchEngine) -> list[bytearray]:
    """Return a consistent copy of ids and sketches in one or more parts: the ids (little-endian int64), then sketches.

    The caller wipes the parts.
    """
    ids, sketches = engine.copy()
    parts = []
    for start in range(0, max(1, len(ids)), PART_ROWS):
        rows = slice(start, start + PART_ROWS)
        part = bytearray(ids[rows].size * _ID.itemsize + sketches[rows].size)
        its_ids, its_sketches = unpacked(part, sketches.shape[1])
        its_ids[:], its_sketches[:] = ids[rows], sketches[rows]
        parts.append(part)
    sketches.fill(0)
    return parts


def unpacked(part: bytearray, width: int) -> tuple[NDArray[np.int64], SketchArray]:
    """Return ids, int64 (n,), and sketches, uint8 (n, width), as views of a part.

    Raises:
        TamperError: the part does not hold a whole number of references.
    """
    count, rest = divmod(len(part), _ID.itemsize + width)
    if rest:
        raise TamperError("integrity: a gallery's snapshot is for sketches of another width")
    ids = np.frombuffer(part, dtype=_ID, count=count)
    sketches = np.frombuffer(part, dtype=np.uint8, offset=count * _ID.itemsize).reshape(count, width)
    return ids, sketches
