"""What opens the door: an output. References without wires (text, a file); `volens.service.door.osdp` has wires."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, final
from urllib.parse import parse_qsl

from volens.consent import InputError, UnavailableError
from volens.service.door.door_events import Verdict
from volens.service.door.door_state import Lock
from volens.store import utc_now
from volens.store.files import write_private

MAX_OUTPUTS: Final = 8


class Output(Protocol):
    """A relay, or what stands for one. Called by one thread; each call may take its time, or raise and be tried again.

    Attributes:
        name: what it is called in health, without secrets.
    """

    name: str

    def open_for(self, seconds: float) -> None:
        """Open, and close again by itself after so long, even if this program is gone by then.

        Raises:
            UnavailableError: it could not be told.
        """

    def keep_closed(self) -> None:
        """Close now, and stay closed.

        Raises:
            UnavailableError: it could not be told.
        """

    def hold_open(self) -> None:
        """Open, and stay open until it is told something else.

        Raises:
            UnavailableError: it could not be told.
        """

    def show(self, verdict: Verdict) -> None:
        """Tell the person in front of the door, if it can; what it cannot show it overlooks.

        Raises:
            UnavailableError: it could not be told.
        """

    def tend(self) -> None:
        """Do what is to be done now and then while nothing happens.

        Raises:
            UnavailableError: it is not there.
        """

    def close(self) -> None:
        """Let go of it; how it stands stays as it is."""


@final
class ConsoleOutput:
    """Says what a relay would do."""

    def __init__(self, say: Callable[[Lock, float | None], None]) -> None:
        """Say it with a function: how the door stands, and for how many seconds."""
        self.name = "console"
        self._say = say

    def open_for(self, seconds: float) -> None:
        """Say that it is open."""
        self._say(Lock.UNLOCKED, seconds)

    def keep_closed(self) -> None:
        """Say that it is closed."""
        self._say(Lock.LOCKED, None)

    def hold_open(self) -> None:
        """Say that it stays open."""
        self._say(Lock.HELD_OPEN, None)

    def show(self, verdict: Verdict) -> None:
        """Say nothing: whoever reads the console reads the decisions as well."""

    def tend(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


@final
class FileOutput:
    """Writes how the door stands into a file, whole each time, for a program that drives a relay.

    ``{"lock": "unlocked", "until": "2026-11-27T08:00:05Z", "at": "2026-11-27T08:00:00Z"}``. Whoever reads it closes at
    `until`, whether the file has changed by then or not: this program may be gone.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        """Write to a file.

        Raises:
            InputError: its folder is not there.
        """
        if not path.parent.is_dir() or path.is_dir():
            raise InputError(f"got output file:{path}; expected a file in a folder that is there; check --output")
        self.name = f"file:{path.name}"
        self._path = path
        self._clock = clock

    def open_for(self, seconds: float) -> None:
        """Write that it is open, and until when."""
        self._write(Lock.UNLOCKED, seconds)

    def keep_closed(self) -> None:
        """Write that it is closed."""
        self._write(Lock.LOCKED)

    def hold_open(self) -> None:
        """Write that it stays open."""
        self._write(Lock.HELD_OPEN)

    def show(self, verdict: Verdict) -> None:
        """Write nothing: a file shows nobody anything."""

    def tend(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def _write(self, lock: Lock, seconds: float | None = None) -> None:
        now = self._clock()
        until = None if seconds is None else _seconds_of(now + timedelta(seconds=seconds))
        document = {"lock": lock.value, "until": until, "at": _seconds_of(now)}
        try:
            write_private(self._path, json.dumps(document).encode("ascii") + b"\n", replace=True)
        except OSError as error:
            raise UnavailableError(f"cannot write {self._path}: {error.strerror}; check the folder") from None


def parse_output(text: str, say: Callable[[Lock, float | None], None]) -> Output:
    """Return the output that an option names: ``console``, ``file:PATH`` or ``osdp:DEVICE?address=0&relay=0``.

    Raises:
        InputError: it names none.
    """
    from volens.service.door.osdp import OsdpOutput  # noqa: PLC0415  knows this module's Protocol
    from volens.service.door.serial_line import SerialLine  # noqa: PLC0415  not on every system

    kind, _, rest = text.partition(":")
    if text == "console":
        return ConsoleOutput(say)
    if kind == "file" and rest:
        return FileOutput(Path(rest))
    if kind == "osdp" and rest:
        device, _, query = rest.partition("?")
        asked = {"address": 0, "relay": 0, "reader": 0, "baud": 9600}
        given = parse_qsl(query, keep_blank_values=True)
        if len({name for name, _ in given}) != len(given) or any(name not in asked for name, _ in given):
            raise InputError(f"got output {text[:100]!r}; expected osdp:DEVICE?address=0&relay=0&reader=0&baud=9600")
        for name, value in given:
            asked[name] = _number(name, value)
        baud = asked.pop("baud")
        return OsdpOutput(lambda: SerialLine(Path(device), baud), **asked, clock=time.monotonic, name=f"osdp:{device}")
    raise InputError(f"got output {text[:100]!r}; expected console, file:PATH or osdp:DEVICE?address=0&relay=0")


def _number(name: str, value: str) -> int:
    limit = {"address": 126, "relay": 255, "reader": 255, "baud": 230_400}[name]
    if not (value.isascii() and value.isdigit() and len(value) <= 6 and int(value) <= limit):  # noqa: PLR2004
        raise InputError(f"got {name}={value[:20]!r} of an OSDP output; expected a number from 0 to {limit}")
    return int(value)


def _seconds_of(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
