"""A file as a place to search: read at a position, without dropping the POSIX locks of this process."""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, final

from volens.store.files.locked_files import readable

ReadAt: TypeAlias = Callable[[memoryview, int], int]
"""Reads into a buffer, from a position; returns how many bytes were read, 0 at the end."""


@final
@dataclass(frozen=True, slots=True)
class FilePlace:
    """A file, and what certificates call it."""

    path: Path
    name: str

    def size_bytes(self) -> int:
        """Return the size of the file; OSError if it is gone."""
        return self.path.stat().st_size

    @contextmanager
    def reading(self) -> Generator[ReadAt]:
        """Open the file; OSError if it cannot be read."""
        with readable(self.path) as descriptor:
            yield lambda buffer, position: os.preadv(descriptor, [buffer], position)
