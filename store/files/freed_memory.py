"""Overwriting of freed memory by the C library (glibc `mallopt`): database drivers do not wipe what they free."""

import ctypes
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Final

# malloc.h of the GNU C library: it fills freed memory with this byte, and new memory with its complement.
_M_PERTURB: Final = -6
_FILL: Final = 0x5A
_ALLOCATIONS: Final = 1 << 14


@contextmanager
def overwritten() -> Generator[None]:
    """Let the C library overwrite all memory that any thread frees inside the `with`; without glibc, do nothing.

    Not reached: memory that was freed before, and Python's small objects, whose memory Python reuses itself.
    """
    set_option = _mallopt()
    if set_option is None:
        yield
        return
    set_option(_M_PERTURB, _FILL)
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
