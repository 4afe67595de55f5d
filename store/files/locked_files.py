"""File descriptors of database files: reading a file that this process has locked must not drop its POSIX locks.

POSIX drops every lock that a process has on a file as soon as it closes any descriptor of that file (fcntl(2)). The
locks of an embedded database go with it: another process then writes at the same time, or empties shared memory that
it takes for abandoned, and the database is damaged (sqlite.org/howtocorrupt.html, 2.2). So every descriptor opened
here is registered, and closed once, when

1. no thread reads by it any more: a number that is closed is given to the next file, socket or lock of the process; and
2. this process no longer has the database open, or the descriptor is of a companion file (a log, shared memory) that
   was removed: a database removes those only when no connection of any process has them open, so no lock is on them.
"""

import os
import threading
from collections import Counter
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

Identity: TypeAlias = tuple[int, int]
"""Identity of a file under any name: device and inode."""


@dataclass(slots=True, eq=False)
class _File:
    """An open descriptor, the database file that its file belongs to, and how many threads read by it now."""

    descriptor: int
    identity: Identity
    database: Identity
    readers: int = 0


_lock: Final = threading.Lock()
_databases: Final = Counter[Identity]()
_suffixes: Final = set[str]()
_files: Final = list[_File]()


def identity_of(path: Path) -> Identity | None:
    """Return which file a path leads to; None if there is none."""
    try:
        return _identity(path.stat())
    except OSError:
        return None


def opened(identity: Identity, companions: Iterable[str]) -> None:
    """Note that this process has a database open; each call is ended by one of `closed`.

    `companions` is what the database appends to its file's name for its other files.
    """
    with _lock:
        _suffixes.update(companions)
        _databases[identity] += 1


def closed(identity: Identity) -> None:
    """Note that it is closed; the last call closes the descriptors of its files."""
    with _lock:
        _databases[identity] -= 1
        if not _databases[identity]:
            del _databases[identity]
        _close_unneeded()


@contextmanager
def readable(path: Path) -> Generator[int]:
    """Yield a descriptor to read a file, with `os.preadv` only: threads share it, and so its file offset.

    Raises:
        OSError: the file is not there, or cannot be read.
    """
    with _lock:
        file = _opened(path)
        file.readers += 1
    try:
        yield file.descriptor
    finally:
        with _lock:
            file.readers -= 1
            _close_unneeded()


def _opened(path: Path) -> _File:
    identity = identity_of(path)
    for file in _files:
        if file.identity == identity:
            return file
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    identity = _identity(os.fstat(descriptor))
    file = _File(descriptor, identity, _database_of(path) or identity)
    _files.append(file)
    return file


def _database_of(path: Path) -> Identity | None:
    name = str(path)
    for suffix in _suffixes:
        name = name.removesuffix(suffix)
    return identity_of(Path(name))


def _close_unneeded() -> None:
    for file in [one for one in _files if not (one.readers or _is_needed(one))]:
        _files.remove(file)  # first, so that no failure leaves a number here that is closed
        os.close(file.descriptor)


def _is_needed(file: _File) -> bool:
    if file.database not in _databases:
        return False
    return file.identity == file.database or os.fstat(file.descriptor).st_nlink > 0


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino
