"""What people show at a door besides their face: lines from a badge reader or a keypad that writes as a keyboard does.

A line is ``badge:NUMBER`` or ``pin:DIGITS``; a bare line is what `kind` says. Nothing of it is printed, logged or kept.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Protocol, final

from volens.service.backoff import again_in_s
from volens.service.door.door_events import MAX_SHOWN_CHARS, Factor, Shown, Tell, Unusable

_MAX_LINE_BYTES: Final = MAX_SHOWN_CHARS + 16


class _Readable(Protocol):
    def readline(self, limit: int = -1, /) -> bytes: ...


def parse_line(line: bytes, kind: Factor | None) -> Shown | None:
    """Read one line. None: it is empty, or nothing that anybody shows."""
    text = line.decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or len(line) > _MAX_LINE_BYTES:
        return None
    name, colon, value = text.partition(":")
    if colon and name in {one.value for one in Factor}:
        factor, value = Factor(name), value.strip()
    elif kind is not None:
        factor, value = kind, text
    else:
        return None
    is_fit = value.isdigit() if factor is Factor.PIN else bool(value)
    return Shown(factor, value, time.monotonic()) if is_fit and len(value) <= MAX_SHOWN_CHARS else None


@final
class FactorInput:
    """Reads lines in a thread: from standard input (``-``), a device or a pipe, which is opened again when it ends.

    A file is read once: what was shown yesterday must not be shown again.
    """

    def __init__(self, path: str, kind: Factor | None) -> None:
        """Read nothing yet."""
        self._path = path
        self._kind = kind

    def start(self, tell: Tell, stopped: threading.Event) -> None:
        """Tell what is shown, until the door ends."""
        threading.Thread(target=self._run, args=(tell, stopped), name="door-factors", daemon=True).start()

    def _run(self, tell: Tell, stopped: threading.Event) -> None:
        failures = 0
        while not stopped.is_set():
            was_read = False
            try:
                with self._opened() as stream:
                    was_read = True
                    for line in _lines(stream):
                        failures = 0
                        shown = parse_line(line, self._kind)
                        if shown is not None:
                            tell(shown)
                        elif line.strip():
                            tell(Unusable("got a line that is no badge and no PIN; see --factor-input-kind"))
            except OSError as error:
                failures += 1
                tell(Unusable(f"cannot read --factor-input ({error.strerror}); it is tried again"))
            if self._path == "-" or (was_read and Path(self._path).is_file()):
                return
            stopped.wait(again_in_s(max(1, failures), 1.0))

    @contextmanager
    def _opened(self) -> Iterator[_Readable]:
        if self._path == "-":
            yield sys.stdin.buffer
        else:
            # A terminal must not become this process's own, whose signals it would then send.
            with open(self._path, "rb", buffering=0, opener=_without_terminal) as stream:
                yield stream


def _without_terminal(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOCTTY)


def _lines(stream: _Readable) -> Iterator[bytes]:
    """Yield lines as they come; of one that is too long, its beginning, which then is too long to be read."""
    while True:
        line = stream.readline(_MAX_LINE_BYTES + 1)
        if not line:
            return
        rest = line
        while not rest.endswith(b"\n") and len(rest) > _MAX_LINE_BYTES:
            rest = stream.readline(_MAX_LINE_BYTES + 1)
        yield line
