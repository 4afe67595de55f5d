"""Driver process of a contestant: reads commands from standard input and answers on standard output.

A message is a length (4 bytes, big endian) and JSON; faces follow as raw bytes, which are read straight into one
array and overwritten after use, so that the benchmark itself leaves no copy of them in this process.
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, final

import numpy as np

from benchmarks.deletion.contestant import Contestant, FloatArray
from benchmarks.deletion.contestants import contestant

_PR_SET_DUMPABLE: Final = 4

Message = dict[str, Any]


@final
class Driver:
    """Carries out one message after the other."""

    def __init__(self, kind: type[Contestant], folder: Path, dimension: int) -> None:
        """Serve a kind of contestant in a folder."""
        self._kind = kind
        self._folder = folder
        self._dimension = dimension
        self._store: Contestant | None = None
        self._face: FloatArray = np.zeros(dimension, dtype=np.float32)

    def answer(self, message: Message) -> Message:
        """Execute one message; the answer has its duration, without the time to read the face."""
        acts: Mapping[str, Callable[[Message], Message | None]] = {
            "open": self._open,
            "enroll": self._enroll,
            "identify": self._identify,
            "delete": lambda m: self._opened.delete(m["person"]),
            "save": lambda _: self._opened.save(),
            "maintain": lambda _: self._opened.maintain(),
            "backup": lambda m: self._opened.backup(Path(m["folder"])),
            "restore": lambda m: self._kind.restore(self._folder, Path(m["folder"])),
            "processes": lambda _: {"processes": list(self._opened.processes())},
            "witness": self._witness,
            "close": lambda _: self._opened.close(),
        }
        if message.get("face"):
            _read_into(self._face.data.cast("B"))
        start = time.perf_counter_ns()
        answer = acts[message["do"]](message) or {}
        answer["ns"] = time.perf_counter_ns() - start
        self._face.fill(0)
        # Allow the search of the memory even if the contestant forbids it; this does not change its bytes.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
        return answer

    @property
    def _opened(self) -> Contestant:
        if self._store is None:
            raise RuntimeError("got a message for a store that is not open; open it first")
        return self._store

    def _open(self, _: Message) -> Message:
        self._store = self._kind.open(self._folder, self._dimension)
        packages = {name: version(name) for name in self._kind.packages}
        return {"versions": packages, "facts": dict(self._store.facts())}

    def _enroll(self, message: Message) -> None:
        self._opened.enroll(message["person"], self._face)

    def _identify(self, _: Message) -> Message:
        return {"found": self._opened.identify(self._face)}

    def _witness(self, message: Message) -> Message:
        faces = {}
        for person in message["people"]:
            face = np.zeros(self._dimension, dtype=np.float32)
            _read_into(face.data.cast("B"))
            faces[person] = face
        found = self._kind.witness(self._folder, self._dimension, faces)
        return {"kinds": {kind: {str(p): value.hex() for p, value in of.items()} for kind, of in found.items()}}


def _read_into(buffer: memoryview) -> None:
    at = 0
    while at < len(buffer):
        got = os.readv(0, [buffer[at:]])
        if got == 0:
            raise EOFError
        at += got


def _read_message() -> Message | None:
    head = bytearray(4)
    try:
        _read_into(memoryview(head))
    except EOFError:
        return None
    body = bytearray(int.from_bytes(head))
    _read_into(memoryview(body))
    message: Message = json.loads(body)
    return message


def main() -> None:
    """Serve until standard input ends."""
    name, folder, dimension = sys.argv[1:]
    # Output of libraries must not mix with the answers.
    out = os.dup(1)
    os.dup2(2, 1)
    driver: Driver | None = None
    while (message := _read_message()) is not None:
        try:
            driver = driver or Driver(contestant(name), Path(folder), int(dimension))
            answer = driver.answer(message)
        except Exception as error:  # noqa: BLE001  any error of a contestant is an observation
            answer = {"error": type(error).__name__, "said": str(error)[:400]}
        body = json.dumps(answer).encode()
        os.write(out, len(body).to_bytes(4) + body)


if __name__ == "__main__":
    main()
