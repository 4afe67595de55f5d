"""Places that are searched: the memory of other processes, and files."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.deletion.needles import OVERLAP_BYTES, Findings, Needles

_CHUNK_BYTES: Final = 8 << 20
_NOT_MEMORY: Final = ("[vvar", "[vsyscall", "[vdso")
_STAT_PARENT: Final = 1


def search_memory(needles: Needles, processes: Iterable[int], folder: Path) -> Findings:
    """Search the memory of processes. They must be stopped meanwhile, and this process must not be one of them.

    Left out: pages of read-only files outside `folder` (programs and libraries). Memory that several processes share
    is searched once. Regions that cannot be read are counted.

    Raises:
        PermissionError: the system does not allow it.
    """
    findings = needles.nothing()
    shared: set[tuple[str, str, str]] = set()
    for process in processes:
        with open(f"/proc/{process}/mem", "rb", buffering=0) as memory:  # noqa: PTH123  pathlib cannot unbuffer
            for start, stop, name, identity in _regions(process, folder):
                if identity is not None:
                    if identity in shared:
                        continue
                    shared.add(identity)
                _search_span(needles, memory.fileno(), start, stop, name, findings)
    return findings


def search_files(needles: Needles, folder: Path) -> Findings:
    """Search every file below a folder."""
    findings = needles.nothing()
    for path in sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()):
        with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            _search_span(needles, file.fileno(), 0, size, path.relative_to(folder).as_posix(), findings)
    return findings


def family(process: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name, in brackets, may hold anything.
            parent = int(stat.read_text().rpartition(")")[2].split()[_STAT_PARENT])
            children.setdefault(parent, []).append(int(stat.parent.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return found


def _regions(process: int, folder: Path) -> Iterator[tuple[int, int, str, tuple[str, str, str] | None]]:
    for line in Path(f"/proc/{process}/maps").read_text().splitlines():
        span, rights, offset, device, inode, *path = line.split(maxsplit=5)
        name = path[0] if path else "anonymous memory"
        if "r" not in rights or name.startswith(_NOT_MEMORY):
            continue
        is_file = name.startswith("/") and not name.startswith(("/dev/zero", "/dev/shm", "/memfd", "/SYSV"))  # noqa: S108
        if is_file and "w" not in rights and not name.startswith(f"{folder}/"):
            continue
        low, _, high = span.partition("-")
        identity = (device, inode, offset) if "s" in rights else None
        if "s" in rights:
            name = "shared memory"
        elif is_file:
            name = "data of libraries"
        yield int(low, 16), int(high, 16), name, identity


def _search_span(needles: Needles, descriptor: int, start: int, stop: int, name: str, findings: Findings) -> None:
    buffer = np.empty(_CHUNK_BYTES, dtype=np.uint8)
    at = start
    while at < stop:
        wanted = min(_CHUNK_BYTES, stop - at)
        try:
            got = os.preadv(descriptor, [buffer.data[:wanted]], at)
        except OSError:
            got = 0
        if got == 0:
            findings.unreadable_bytes += stop - at
            return
        needles.search(buffer[:got], name, findings)
        if at + got >= stop:
            return
        at += got - OVERLAP_BYTES if got > OVERLAP_BYTES else got
