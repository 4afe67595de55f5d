"""What a gallery holds as bytes, to be sealed, and back. Numbers only: whose they are, the seal says."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from volens.consent import TamperError
from volens.index.engine import Engine
from volens.index.projection import SketchArray

PART_ROWS: Final = 1 << 16
"""References in a part: 4.5 MiB with 512-bit sketches."""

_ID: Final = np.dtype("<i8")


def packed(engine: Engine) -> list[bytearray]:
    """Return ids and sketches of one moment in parts, at least one: the ids (little-endian int64), then the sketches.

    The caller wipes them.
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
        TamperError: it is not of a whole number of references.
    """
    count, rest = divmod(len(part), _ID.itemsize + width)
    if rest:
        raise TamperError("integrity: a gallery's snapshot is for sketches of another width")
    ids = np.frombuffer(part, dtype=_ID, count=count)
    sketches = np.frombuffer(part, dtype=np.uint8, offset=count * _ID.itemsize).reshape(count, width)
    return ids, sketches
