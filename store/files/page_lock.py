"""Memory locking (mlock): keeps one buffer out of the swap, as far as the system allows."""

import ctypes
import mmap
from functools import cache


def lock_page(buffer: bytearray | mmap.mmap) -> bool:
    """Lock the memory of `buffer`, so that it is not written to a swap device (mlock, POSIX.1-2001).

    The lock covers whole pages. It is never released while they exist, because another secret may be on a page by then;
    a map gives its pages back with their locks. The buffer must not be resized afterwards.

    Returns:
        False if the system has no such lock, or the process has used up its limit (``RLIMIT_MEMLOCK``).
    """
    lock = _mlock()
    if lock is None:
        return False
    first = ctypes.addressof(ctypes.c_char.from_buffer(buffer))
    return bool(lock(first, len(buffer)) == 0)


@cache
def _mlock() -> "ctypes._NamedFuncPointer | None":
    try:
        lock = ctypes.CDLL(None).mlock
    except (OSError, AttributeError, TypeError):
        return None
    lock.argtypes, lock.restype = (ctypes.c_void_p, ctypes.c_size_t), ctypes.c_int
    return lock
