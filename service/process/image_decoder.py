"""Decoding of large images in a process of low priority, so that doors do not wait for a processor or the interpreter.

1. The service creates shared memory (an anonymous file, memfd) that cannot be resized, and starts one process
   (`volens.face.decoder_process`) with it and a socket. It starts with the first large image.
2. For each image, one at a time, the service copies the encoded bytes into the memory and sends a header of fixed size.
3. The process writes the pixels behind them, and sends a header with their size, or the sentence of an error.
4. The service copies the pixels, overwrites the memory, and gives it back to the system.
5. A process that ends or takes too long is killed; the image is refused, and the next one starts another process.

Nothing is pickled. The process is believed only in numbers that fit the memory, and in a short text.
"""

import ctypes
import fcntl
import mmap
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from typing import Final, final

import numpy as np

from volens.consent import UnavailableError
from volens.consent.plain_text import escaped
from volens.face import MIN_SIDE_PX, EncodedImage, ImageError, RgbImage, decode
from volens.face.decoder_process import (
    BUDGETS,
    DECODED,
    MEMORY_BYTES,
    READY,
    REFUSED,
    REPLY,
    REQUEST,
    VERSION,
)
from volens.face.image import MAX_FILE_BYTES
from volens.face.image_formats import NETWORK_FORMATS, Formats
from volens.face.pixel_budget import MAX_PIXELS, PixelBudget
from volens.memory_wiping import wiping_environment
from volens.service.process.process_memory import may_lock_all

LARGE_PIXELS: Final = 4_000_000
"""Images of more pixels, by their header, are decoded in the process; a smaller one takes some 30 ms here."""

_TIMEOUT_S: Final = 120.0
_LEAST_S: Final = 0.001
_END_S: Final = 5.0
_MAX_TEXT_BYTES: Final = 1000
_INHERITED: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG")
_PUNCH_HOLE: Final = 1 | 2  # linux/falloc.h: KEEP_SIZE and PUNCH_HOLE


@final
class ImageDecoder:
    """Decodes like `volens.face.decode`; large images in a process of its own. For several threads.

    Attributes:
        timeout_s: how long an image may take; one that takes longer is refused.
    """

    def __init__(self, timeout_s: float = _TIMEOUT_S) -> None:
        """Start nothing yet."""
        self.timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: _Process | None = None

    @property
    def pid(self) -> int | None:
        """The id of the process, if there is one."""
        process = self._process
        return None if process is None else process.pid

    def decode(self, data: bytes, name: str, formats: Formats, budget: PixelBudget) -> RgbImage:
        """Decode one image; see `volens.face.decode`. Without shared memory of this kind (Linux), decode it here.

        Raises:
            ImageError: it is refused, or the process ended while it decoded the image, or took too long.
            UnavailableError: the process cannot be started.
        """
        image = EncodedImage(data, name, formats, budget)
        is_known = formats is NETWORK_FORMATS and budget in BUDGETS and hasattr(os, "memfd_create")
        if not is_known or image.pixel_count <= LARGE_PIXELS:
            return decode(data, name, formats, budget)
        with self._lock:
            try:
                if self._process is None:
                    self._process = _Process()
                return self._process.decode(image, self.timeout_s)
            except (OSError, _ProtocolError):
                self._end(at_once=True)
                # 5.
                raise ImageError(
                    f"{name} could not be decoded with the time and memory that an image may take; expected an "
                    "ordinary photo; save it again as JPEG, or take it again"
                ) from None

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _end(self, *, at_once: bool = False) -> None:
        if self._process is not None:
            self._process.close(0 if at_once else _END_S)
            self._process = None


class _ProtocolError(Exception):
    """The process sent what it never sends."""


@final
class _Process:
    """One process, its socket and the memory that is shared with it."""

    def __init__(self) -> None:
        # 1.
        self._end_s, self._until = 0.0, time.monotonic() + _TIMEOUT_S
        with ExitStack() as made:
            try:
                self._start(made)
            except (OSError, _ProtocolError):
                raise UnavailableError(
                    "the process that decodes large images cannot be started; check the memory and the limits of the "
                    "service"
                ) from None
            self._made = made.pop_all()

    def _start(self, made: ExitStack) -> None:
        self._fd = os.memfd_create("image", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        made.callback(os.close, self._fd)
        os.ftruncate(self._fd, MEMORY_BYTES)
        # Else the process could make it smaller, and reading it would end the service.
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        self._map = made.enter_context(mmap.mmap(self._fd, MEMORY_BYTES))
        for advice in (mmap.MADV_DONTDUMP, mmap.MADV_DONTFORK):
            with suppress(OSError):
                self._map.madvise(advice)
        made.callback(self._wipe)
        self._link, theirs = socket.socketpair()
        with theirs:
            numbers = (theirs.fileno(), self._fd, int(may_lock_all()))
            self._child = subprocess.Popen(  # noqa: S603  our own module, without a shell
                [sys.executable, "-P", "-m", "volens.face.decoder_process", *map(str, numbers)],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                pass_fds=numbers[:2],
                process_group=0,  # Ctrl-C goes to the service, which ends it when it has finished
            )
        made.callback(self._wait)
        made.callback(self._link.close)
        if self._reply()[0] != READY:
            raise _ProtocolError

    def _wait(self) -> None:
        """Wait for the process, whose socket was closed, and kill it if it goes on."""
        try:
            self._child.wait(self._end_s)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._child.pid

    def decode(self, image: EncodedImage, timeout_s: float) -> RgbImage:
        """Decode one image, and overwrite the memory.

        Raises:
            ImageError: it is refused.
            OSError, _ProtocolError: the process ended, took too long, or is broken.
        """
        memory = np.frombuffer(self._map, np.uint8)
        self._link.settimeout(timeout_s)
        self._until = time.monotonic() + timeout_s
        try:
            # 2. numpy copies without the interpreter lock.
            memory[: len(image.data)] = np.frombuffer(image.data, np.uint8)
            name = image.name.encode("utf-8")
            header = REQUEST.pack(VERSION, BUDGETS.index(image.budget), len(image.data), len(name))
            self._link.sendall(header + name)
            # 3.
            state, height, width, reduced_by, text = self._reply()
            if state == REFUSED and text:
                raise ImageError(escaped(text))
            size = 3 * height * width
            if state != DECODED or min(height, width) < MIN_SIDE_PX or size > 3 * MAX_PIXELS or not reduced_by:
                raise _ProtocolError
            # 4.
            pixels = memory[MAX_FILE_BYTES : MAX_FILE_BYTES + size].reshape(height, width, 3).copy()
            return RgbImage(pixels, reduced_by)
        finally:
            del memory
            self._wipe()

    def close(self, timeout_s: float) -> None:
        """End the process, with a kill if it has not ended after some time; wipe the memory and give it back."""
        self._end_s = timeout_s
        self._made.close()

    def _wipe(self) -> None:
        """Overwrite all that was written into the memory, and give it back to the system."""
        memory = np.frombuffer(self._map, np.uint8)
        end = 0
        with suppress(OSError):  # there is no more data
            while True:
                start = os.lseek(self._fd, end, os.SEEK_DATA)
                end = os.lseek(self._fd, start, os.SEEK_HOLE)
                memory[start:end] = 0
        del memory
        _return_pages(self._fd)

    def _reply(self) -> tuple[int, int, int, int, str]:
        """Return state, height, width, by how much it is reduced, and the text."""
        version, state, height, width, reduced_by, size = REPLY.unpack(self._received(REPLY.size))
        if version != VERSION or size > _MAX_TEXT_BYTES:
            raise _ProtocolError
        return state, height, width, reduced_by, self._received(size).decode("utf-8", "replace")

    def _received(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            # A deadline for all of it: the process may send byte by byte.
            self._link.settimeout(max(_LEAST_S, self._until - time.monotonic()))
            part = self._link.recv(size - len(found))
            if not part:
                raise ConnectionResetError
            found += part
        return found


def _return_pages(fd: int) -> None:
    """Give all pages of the shared memory back to the system, which reads as zeros then."""
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).fallocate(fd, _PUNCH_HOLE, ctypes.c_int64(0), ctypes.c_int64(MEMORY_BYTES))


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return kept | wiping_environment() | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
