"""Small file systems for tests: a tmpfs that can be filled, and an ext4 file system that turns read-only by itself."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

MIB: Final = 1 << 20

needs_mounts = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mkfs.ext4") is None or not Path("/dev/loop-control").exists(),
    reason="this system does not let a test mount a file system",
)


class SmallDisk:
    """A mounted file system of a few megabytes."""

    def __init__(self, path: Path, device: str = "") -> None:
        self.path = path
        self._device = device
        self._filler = path / "filler"

    def fill(self) -> None:
        """Use all free space."""
        with self._filler.open("ab", buffering=0) as file:
            for block in (MIB, 4096, 1):
                try:
                    while file.write(bytes(block)) == block:
                        pass
                except OSError:
                    pass

    def make_room(self) -> None:
        self._filler.unlink()

    def fail(self) -> None:
        """Let the kernel find an error: from now on nothing can be written, also to files that are open."""
        Path(f"/sys/fs/ext4/{self._device}/trigger_fs_error").write_text("1")


@contextmanager
def tmpfs(path: Path, size_mib: int) -> Iterator[SmallDisk]:
    path.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size_mib}m", "tmpfs", str(path))
    try:
        yield SmallDisk(path)
    finally:
        _run("umount", "--lazy", str(path))


@contextmanager
def ext4(path: Path, image: Path) -> Iterator[SmallDisk]:
    """Mount an image; it is made if it does not exist."""
    path.mkdir(exist_ok=True)
    if not image.exists():
        with image.open("wb") as file:
            file.truncate(32 * MIB)
        _run("mkfs.ext4", "-q", "-F", str(image))
    device = _run("losetup", "--find", "--show", str(image)).strip()
    try:
        _run("mount", "-o", "errors=remount-ro", device, str(path))
        try:
            yield SmallDisk(path, Path(device).name)
        finally:
            _run("umount", str(path))
    finally:
        _run("losetup", "--detach", device)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
