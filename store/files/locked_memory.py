"""Locked memory: page-aligned memory of our own (mmap), kept out of swap, core dumps and child processes, and wiped.

Each protection is used as far as the system has it: a lock needs room in ``RLIMIT_MEMLOCK``, and without it the memory
works as well, but may be written to a swap device.
"""

import mmap
from contextlib import suppress
from typing import Final, final

from volens.store.files.page_lock import lock_page

_MADV_WIPEONFORK: Final = 18
"""linux/mman.h: a child process finds zeros here. The standard library does not name it."""

_ADVICE: Final = (getattr(mmap, "MADV_DONTDUMP", None), _MADV_WIPEONFORK if hasattr(mmap, "MADV_DONTDUMP") else None)


@final
class LockedMemory:
    """Private anonymous memory, zero at first, that this object wipes; it is never moved or handed to an allocator.

    Attributes:
        view: the memory, `size_bytes` long, writable; released by `close`.
        locked: whether the system keeps it out of the swap.
    """

    __slots__ = ("_map", "locked", "view")

    def __init__(self, size_bytes: int) -> None:
        """Allocate at least one byte.

        Raises:
            OSError, MemoryError: the system has no memory left.
        """
        private = getattr(mmap, "MAP_PRIVATE", None)
        # Windows has no flags, and no sharing between parent and child.
        if private is None:
            self._map = mmap.mmap(-1, size_bytes)
        else:
            self._map = mmap.mmap(-1, size_bytes, flags=private | mmap.MAP_ANONYMOUS)
        self.locked = lock_page(self._map)
        for advice in _ADVICE:
            if advice is not None:
                with suppress(OSError):
                    self._map.madvise(advice)
        self.view: memoryview = memoryview(self._map)

    def wipe(self) -> None:
        """Overwrite all of it with zeros."""
        self.view[:] = bytes(len(self.view))

    def close(self) -> None:
        """Wipe it, and give it back to the system; only without other views of it."""
        self.wipe()
        self.view.release()
        with suppress(BufferError):  # a view that is still in use: it is zero, and is freed with that view
            self._map.close()
