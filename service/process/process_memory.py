"""Memory of our own processes: no core dumps, wiping and return of freed memory, and memory locking against swap.

Only programs call this. A library does not change the process that uses it.
"""

import ctypes
import resource
import sys
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Final

# linux/prctl.h, asm-generic/mman-common.h, linux/capability.h
_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK: Final = 14
# malloc.h of the GNU C library
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
_LARGE_BYTES: Final = 1 << 20
_ARENAS: Final = 4


class SwapProtection(StrEnum):
    """Whether this process's memory can reach a swap device."""

    LOCKED = "all memory is locked"
    KEYS_ONLY = "only the long-lived keys are locked; encrypt the swap, or raise the limit (LimitMEMLOCK=infinity)"


def forbid_core_dumps() -> None:
    """Prevent core dumps of this process, also by other processes of the same user while it runs.

    On Linux this also stops debuggers of the same user from attaching (PR_SET_DUMPABLE). Root still can.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def may_lock_all() -> bool:
    """Return whether the system allows this process to lock all its memory, now and later."""
    if sys.platform != "linux":
        return False
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return hard == resource.RLIM_INFINITY or _has_capability(_CAP_IPC_LOCK)


def lock_all() -> SwapProtection:
    """Lock all memory of a long-running process, now and later, so that it is never swapped.

    Not tried under a limit, because the lock also applies to later allocations, and exceeding the limit would end the
    process. The long-lived keys are locked in any case (`volens.store.files.page_lock`).
    """
    if not may_lock_all():
        return SwapProtection.KEYS_ONLY
    _, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    # On fault: a page is locked when it is first used. Without it, the stacks of all threads would be filled at once.
    refused = ctypes.CDLL(None).mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)
    return SwapProtection.KEYS_ONLY if refused else SwapProtection.LOCKED


def bound_heap() -> None:
    """Return large blocks to the system as soon as they are freed, and keep fewer heaps; without glibc, do nothing.

    1. glibc learns from the first image that is freed to take all later ones from its heaps, which hardly ever shrink:
       a burst of large photos would stay in memory for good. A fixed threshold (M_MMAP_THRESHOLD) turns that off: 1 MiB
       and more is mapped, and unmapped when it is freed, also if all memory is locked.
    2. Threads share 4 heaps (M_ARENA_MAX), instead of 8 for each processor, in each of which freed memory would stay.
    """
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        # 1.
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        # 2.
        libc.mallopt(_M_ARENA_MAX, _ARENAS)


def return_freed_memory() -> None:
    """Return free pages of all heaps to the system (malloc_trim), after large images; without glibc, do nothing."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _has_capability(number: int) -> bool:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> number & 1)
    return False
