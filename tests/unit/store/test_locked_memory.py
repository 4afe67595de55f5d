"""Locked memory: zero at first, wiped when it is given back, out of core dumps, child processes and the swap."""

import os
import re
from pathlib import Path

import pytest

from volens.store.files.locked_memory import LockedMemory

SIZE = 3 << 20


def flags_of(memory: LockedMemory) -> set[str]:
    """Return the kernel's flags of the mapping that holds the memory."""
    import ctypes  # noqa: PLC0415  only here

    address = ctypes.addressof(ctypes.c_char.from_buffer(memory.view))
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(found[1], 16) <= address < int(found[2], 16)
        elif inside and line.startswith("VmFlags:"):
            return set(line.split()[1:])
    raise AssertionError("the mapping is not there")


def test_it_is_zero_writable_and_wiped() -> None:
    memory = LockedMemory(SIZE)
    assert len(memory.view) == SIZE
    assert not any(memory.view[:4096])
    memory.view[100:105] = b"bytes"
    assert bytes(memory.view[100:105]) == b"bytes"

    memory.wipe()

    assert bytes(memory.view[100:105]) == bytes(5)
    memory.close()


def test_the_kernel_keeps_it_out_of_core_dumps_child_processes_and_swap() -> None:
    memory = LockedMemory(SIZE)
    flags = flags_of(memory)
    assert {"dd", "wf"} <= flags
    assert ("lo" in flags) is memory.locked
    assert "sh" not in flags
    memory.close()


def test_a_child_process_finds_zeros() -> None:
    memory = LockedMemory(4096)
    memory.view[:5] = b"bytes"
    child = os.fork()
    if not child:
        os._exit(0 if bytes(memory.view[:5]) == bytes(5) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert bytes(memory.view[:5]) == b"bytes"
    memory.close()


def test_it_works_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("volens.store.files.locked_memory.lock_page", lambda _buffer: False)
    memory = LockedMemory(4096)
    assert not memory.locked
    memory.view[:5] = b"bytes"
    memory.close()
