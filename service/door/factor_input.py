"""Input of people at a door: lines from a badge reader, a keypad or a button that works like a keyboard.

A line is ``badge:NUMBER``, ``pin:DIGITS``, or ``ask``, which a button sends; `kind` is the type of any other line. No
line is printed, logged or stored.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, final

from volens.consent.plain_text import plain_bytes
from volens.service.backoff import again_in_s
from volens.service.door.door_events import (
    MAX_FACTOR_CHARS,
    EventSink,
    Factor,
    FactorPresented,
    InputRejected,
    Presented,
    RecognitionRequested,
)

ASK: Final = "ask"
_MAX_LINE_BYTES: Final = MAX_FACTOR_CHARS + 16


class _Readable(Protocol):
    def readline(self, limit: int = -1, /) -> bytes: ...


def parse_factor(line: bytes, kind: Factor | None) -> Presented | None:
    """Parse one line. None: it is empty or malformed."""
    text = plain_bytes(line).decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or len(line) > _MAX_LINE_BYTES:
        return None
    if text == ASK:
        return RecognitionRequested(time.monotonic())
    name, colon, value = text.partition(":")
    if colon and name in {one.value for one in Factor}:
        factor, value = Factor(name), value.strip()
    elif kind is not None:
        factor, value = kind, text
    else:
        return None
    is_fit = value.isdigit() if factor is Factor.PIN else bool(value)
    return FactorPresented(factor, value, time.monotonic()) if is_fit and len(value) <= MAX_FACTOR_CHARS else None


@final
class FactorInput:
    """Reads lines in a thread: from standard input (``-``), a device or a pipe, which is reopened when it ends.

    A regular file is read only once, because old factors must not be presented again.
    """

    def __init__(self, path: str, kind: Factor | None) -> None:
        self._path = path
        self._kind = kind

    def start(self, emit: EventSink, stopped: threading.Event) -> None:
        """Emit each second factor until the door ends."""
        threading.Thread(target=self._run, args=(emit, stopped), name="door-factors", daemon=True).start()

    def _run(self, emit: EventSink, stopped: threading.Event) -> None:
        failures = 0
        while not stopped.is_set():
            was_read = False
            try:
                with self._open() as stream:
                    was_read = True
                    for line in _lines(stream):
                        failures = 0
                        presented = parse_factor(line, self._kind)
                        if presented is not None:
                            emit(presented)
                        elif line.strip():
                            emit(
                                InputRejected(
                                    "got a line that is neither a badge number, a PIN nor 'ask'; check "
                                    "--factor-input-kind"
                                )
                            )
            except OSError as error:
                failures += 1
                emit(InputRejected(f"cannot read --factor-input ({error.strerror}); retrying"))
            if self._path == "-" or (was_read and Path(self._path).is_file()):
                return
            stopped.wait(again_in_s(max(1, failures), 1.0))

    @contextmanager
    def _open(self) -> Iterator[_Readable]:
        if self._path == "-":
            yield sys.stdin.buffer
        else:
            # The device must not become the controlling terminal of this process, which could then send it signals.
            with open(self._path, "rb", buffering=0, opener=_open_without_terminal) as stream:
                yield stream


def _open_without_terminal(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOCTTY)


def _lines(stream: _Readable) -> Iterator[bytes]:
    """Yield the lines; of a line that is too long only its beginning, which `parse_factor` then refuses."""
    while True:
        line = stream.readline(_MAX_LINE_BYTES + 1)
        if not line:
            return
        rest = line
        while not rest.endswith(b"\n") and len(rest) > _MAX_LINE_BYTES:
            rest = stream.readline(_MAX_LINE_BYTES + 1)
        yield line
