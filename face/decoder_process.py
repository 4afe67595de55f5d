"""The decoding process: one long-lived process of low priority that decodes large images for a service.

Not a command for people: `volens.service.process.image_decoder` starts it as
``python -m volens.face.decoder_process SOCKET MEMORY LOCK`` with two inherited descriptors, and describes the protocol.

1. It gives up what it does not need: processor time while others want it, core dumps, more memory than an image takes,
   and, once everything is loaded, all further files, sockets and processes.
2. Each request is one encoded image in the shared memory. The pixels are written behind it.
3. An image that takes too much processor time ends the process. So does the end of the service, when its socket closes.
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from typing import Final

import numpy as np
from PIL import Image

from volens.face.face_errors import ImageError
from volens.face.image import MAX_FILE_BYTES, decode
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import DOOR_FRAME, ENROLLMENT_PHOTO, MAX_PIXELS

VERSION: Final = 1
REQUEST: Final = struct.Struct("!BBIH")
"""Version, place of the budget in `BUDGETS`, size of the encoded image, size of its name, which follows in UTF-8."""
REPLY: Final = struct.Struct("!BBIIBH")
"""Version, one of the states, height, width, reduced by, size of the text, which follows in UTF-8."""
READY, DECODED, REFUSED = range(3)
BUDGETS: Final = (ENROLLMENT_PHOTO, DOOR_FRAME)
MEMORY_BYTES: Final = MAX_FILE_BYTES + 3 * MAX_PIXELS
"""Size of the shared memory: the encoded image at its start, and the pixels from `MAX_FILE_BYTES` on."""

_CPU_S: Final = 30
_ADDRESS_SPACE_BYTES: Final = 3 << 30
_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4  # asm-generic/mman-common.h
_M_MMAP_THRESHOLD: Final = -3  # malloc.h of the GNU C library
_LARGE_BYTES: Final = 1 << 20


def main(arguments: Sequence[str]) -> int:
    """Decode until the socket is closed; return 0."""
    link_fd, memory_fd, lock = map(int, arguments)
    for one in (signal.SIGTERM, signal.SIGINT):  # the service ends it, after the last image
        signal.signal(one, signal.SIG_IGN)
    # 1.
    _give_up(lock=bool(lock))
    with socket.socket(fileno=link_fd) as link, mmap.mmap(memory_fd, MEMORY_BYTES) as memory:
        _load_decoders()
        _open_nothing_more()
        link.sendall(REPLY.pack(VERSION, READY, 0, 0, 0, 0))
        # 2.
        while header := _received(link, REQUEST.size):
            _version, budget, size, name_size = REQUEST.unpack(header)
            name = _received(link, name_size).decode("utf-8")
            # 3.
            _allow_cpu_time()
            link.sendall(_decoded(memory, size, name, budget))
    return 0


def _decoded(memory: mmap.mmap, size: int, name: str, budget: int) -> bytes:
    """Decode the image in the memory, and return the reply."""
    try:
        image = decode(memory[:size], name, NETWORK_FORMATS, BUDGETS[budget])
    except ImageError as error:
        text = str(error).encode("utf-8")
        return REPLY.pack(VERSION, REFUSED, 0, 0, 0, len(text)) + text
    shape = image.pixels.shape
    target = np.frombuffer(memory, np.uint8, image.pixels.size, MAX_FILE_BYTES).reshape(shape)
    np.copyto(target, image.pixels)
    return REPLY.pack(VERSION, DECODED, shape[0], shape[1], image.reduced_by, 0)


def _received(link: socket.socket, size: int) -> bytes:
    """Return so many bytes; fewer if the service has ended."""
    found = b""
    while len(found) < size and (part := link.recv(size - len(found))):
        found += part
    return found


def _give_up(*, lock: bool) -> None:
    """Lower the priority, and set limits. The memory of this process is locked if that of the service is."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_AS, _ADDRESS_SPACE_BYTES),
    ):
        resource.setrlimit(limit, (most, most))
    with suppress(OSError, AttributeError, TypeError):
        libc = ctypes.CDLL(None)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)  # large blocks are returned as soon as they are freed
        if lock:
            libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def _load_decoders() -> None:
    """Load all modules that a decoder needs: later none can be opened."""
    Image.init()
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in NETWORK_FORMATS:
        sample = BytesIO()
        Image.new("RGB", (32, 32)).save(sample, kind.plugin, exif=exif)
        decode(sample.getvalue(), "a sample", NETWORK_FORMATS, ENROLLMENT_PHOTO)


def _open_nothing_more() -> None:
    """Forbid to open any file or socket, and to start any process (root can start processes all the same)."""
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC):
        resource.setrlimit(limit, (0, 0))


def _allow_cpu_time() -> None:
    """Let the system end this process (SIGXCPU) when it computes for longer than `_CPU_S` from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + _CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
