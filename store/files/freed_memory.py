"""Overwriting of freed memory by the C library (glibc): database drivers and Python do not wipe what they free.

A long-running program starts with `wiping_environment`, so that all memory is overwritten as soon as it is freed. Any
other process that uses this library has it overwritten during an erasure only (`overwritten`).
"""

import ctypes
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Final

# malloc.h of the GNU C library: it fills freed memory with this byte, and new memory with its complement.
_M_PERTURB: Final = -6
_FILL: Final = 0x5A
_ALLOCATIONS: Final = 1 << 14
_TUNABLES: Final = "GLIBC_TUNABLES"
_WIPING: Final = f"glibc.malloc.perturb={_FILL}:glibc.malloc.tcache_count=0"


def wiping_environment(inherited: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables with which a process overwrites all memory that it frees; they count at its start only.

    1. glibc fills what is freed, and keeps no cache for each thread: what is freed into a cache is not filled (seven
       blocks of each size up to 1032 bytes, found by a search of our own memory).
    2. Python uses the C library for small objects too, instead of memory that it reuses itself.
    3. The dynamic linker looks all functions up at the start. At a first call it would save the vector registers on the
       stack, and with them a part of an embedding (found as above).

    Another C library, or another system, ignores them. Measured cost: docs/adr/0036.
    """
    before = inherited.get(_TUNABLES, "")
    tunables = before if _WIPING in before else ":".join(filter(None, (before, _WIPING)))
    return {_TUNABLES: tunables, "PYTHONMALLOC": "malloc", "LD_BIND_NOW": "1"}


@contextmanager
def overwritten() -> Generator[None]:
    """Let the C library overwrite all memory that any thread frees inside the `with`; without glibc, do nothing.

    Not reached, unless the process was started with `wiping_environment`: memory that was freed before, up to seven
    blocks of each size that a thread keeps for itself, and small objects, whose memory Python reuses itself.
    """
    set_option = _mallopt()
    if set_option is None or _WIPING in os.environ.get(_TUNABLES, ""):  # the option is set, and stays
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
