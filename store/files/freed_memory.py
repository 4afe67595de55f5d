"""Overwriting of freed memory by the C library (glibc): database drivers and Python do not wipe what they free.

A long-running program starts so that all memory is overwritten as soon as it is freed (`volens.memory_wiping`). Any
other process that uses this library has it overwritten during an erasure only (`overwritten`).
"""

import ctypes
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Final

from volens.memory_wiping import FILL, is_wiping

# malloc.h of the GNU C library: it fills freed memory with this byte, and new memory with its complement.
_M_PERTURB: Final = -6
_ALLOCATIONS: Final = 1 << 14


@contextmanager
def overwritten() -> Generator[None]:
    """Let the C library overwrite all memory that any thread frees inside the `with`; without glibc, do nothing.

    Not reached, unless the process was started so: memory that was freed before, up to seven blocks of each size that a
    thread keeps for itself, and small objects, whose memory Python reuses itself.
    """
    set_option = _mallopt()
    if set_option is None or is_wiping():  # the option is set, and stays
        yield
        return
    set_option(_M_PERTURB, FILL)
    try:
        yield
    finally:
        set_option(_M_PERTURB, 0)


def overwrite_freed_bytes(size_bytes: int) -> None:
    """Overwrite the memory of freed `bytes` objects of one size, below 480, that Python keeps for reuse.

    Python reuses such memory before it takes new memory, so this allocates more zeroed objects than it is likely to
    have kept.
    """
    [bytes(size_bytes) for _ in range(_ALLOCATIONS)]


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    try:
        found = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return None
    found.argtypes, found.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return lambda option, value: int(found(option, value))
