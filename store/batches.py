"""Batches: rows are read and changed in lists of a limited length, so that no statement has too many parameters."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

BATCH: Final = 500

Item = TypeVar("Item")


def batches(items: Sequence[Item], size: int = BATCH) -> Iterator[list[Item]]:
    """Yield the items in lists of at most `size`, in their order."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
