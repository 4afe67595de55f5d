"""Having freed memory overwritten, where the C library can: what SQLite gives back is not wiped by anybody else."""

import ctypes
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from typing import Final

# malloc.h of the GNU C library: freed memory is filled with this byte, new memory with its complement.
_M_PERTURB: Final = -6
_FILL: Final = 0x5A
_ASKED_FOR: Final = 1 << 14


@contextmanager
def overwritten() -> Generator[None]:
    """Have everything that the C library frees inside the `with` overwritten, by any thread; elsewhere do nothing.

    Not reached: memory that was freed before, and Python's own small objects, which it keeps for itself.
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
    """Have `bytes` objects of one size, below 480, that Python has freed and keeps for itself, overwritten.

    Python gives out such memory again before it takes new, so we ask for more than it is likely to have, zeroed.
    """
    [bytes(size_bytes) for _ in range(_ASKED_FOR)]


@cache
def _mallopt() -> Callable[[int, int], int] | None:
    try:
        found = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return None
    found.argtypes, found.restype = (ctypes.c_int, ctypes.c_int), ctypes.c_int
    return lambda option, value: int(found(option, value))
