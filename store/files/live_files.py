"""Reading the files of a database that SQLite has open in this process, without taking its locks away.

POSIX drops every lock that a process has on a file as soon as it closes any descriptor of that file (fcntl(2)).
SQLite's own locks go with it: another process then writes at the same time, or takes the shared memory for abandoned
and empties it, and the database is damaged (sqlite.org/howtocorrupt.html, 2.2). So what is opened here of a database
that is open stays open until the database is closed.
"""

import os
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

_SUFFIXES: Final = ("-wal", "-shm", "-journal")
Identity: TypeAlias = tuple[int, int]
"""Of a file, whatever its name: device and inode."""

_lock: Final = threading.Lock()
_databases: Final = Counter[Identity]()
_kept: Final = dict[Path, tuple[Identity, int]]()


def identity_of(path: Path) -> Identity | None:
    """Return which file a path leads to; None where there is none."""
    try:
        return _identity(path.stat())
    except OSError:
        return None


def opened(identity: Identity) -> None:
    """Note that SQLite has a database open in this process; each call is ended by one of `closed`."""
    with _lock:
        _databases[identity] += 1


def closed(path: Path, identity: Identity) -> None:
    """Note that it is closed; after the last, what was kept of its files is given back."""
    with _lock:
        _databases[identity] -= 1
        if _databases[identity] > 0:
            return
        del _databases[identity]
        for suffix in ("", *_SUFFIXES):
            _, descriptor = _kept.pop(_name(f"{path}{suffix}"), (None, None))
            if descriptor is not None:
                os.close(descriptor)


@contextmanager
def readable(path: Path) -> Generator[int]:
    """Yield a descriptor to read a file by, with `os.preadv` only: where it stands is everybody's.

    Raises:
        OSError: the file is not there, or cannot be read.
    """
    with _lock:
        descriptor = _kept_open(path) if _is_of_an_open_database(path) else None
    if descriptor is not None:
        yield descriptor
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_of_an_open_database(path: Path) -> bool:
    names = {str(path), *(str(path).removesuffix(suffix) for suffix in _SUFFIXES)}
    return any(identity_of(Path(name)) in _databases for name in names)


def _kept_open(path: Path) -> int:
    name, now = _name(path), _identity(path.stat())
    identity, descriptor = _kept.get(name, (None, None))
    if descriptor is not None and identity == now:
        return descriptor
    if descriptor is not None:
        # SQLite makes a log or shared memory anew only when nobody has the old one open, so that no lock is lost here.
        os.close(descriptor)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    _kept[name] = _identity(os.fstat(descriptor)), descriptor
    return descriptor


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _name(path: Path | str) -> Path:
    return Path(os.path.realpath(path))
