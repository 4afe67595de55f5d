"""Outputs that open the door. Here: console and file; `volens.service.door.osdp_outputs` has those that speak OSDP."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Protocol, TypeAlias, final, runtime_checkable

from volens.consent import InputError, UnavailableError
from volens.consent.panel_badge import PanelBadge
from volens.service.door.door_events import EventSink, Verdict
from volens.service.door.door_state import Lock
from volens.store import utc_now
from volens.store.files import write_private

MAX_OUTPUTS: Final = 8

Report: TypeAlias = Callable[[Lock, float | None], None]
"""Takes the state of the lock, and the seconds of an opening."""


class Output(Protocol):
    """A relay or its substitute. One thread calls it; a call may take time or raise, and is then repeated.

    Attributes:
        name: the name in health messages, without secrets.

    Raises:
        UnavailableError: from every method but `close`: the output is not reachable, or did not get the command.
    """

    name: str

    def open_for(self, seconds: float) -> None:
        """Open for a time; the output closes by itself after it, also if this program has ended."""

    def keep_closed(self) -> None:
        """Close now and stay closed."""

    def hold_open(self) -> None:
        """Open and stay open until another call."""

    def show(self, verdict: Verdict) -> None:
        """Show a decision to the person in front of the door, if the output has light or sound."""

    def poll(self) -> None:
        """Check the connection; called regularly while nothing else happens."""

    def close(self) -> None:
        """Release the device; the state of the relay does not change."""


@runtime_checkable
class ListeningOutput(Protocol):
    """An output whose device also reads cards, or reports about itself."""

    def listen(self, emit: EventSink) -> None:
        """Emit what the device reads and reports; called once, before the door runs."""


@runtime_checkable
class PanelOutput(Protocol):
    """An output that sends badge numbers to a panel, which opens the door."""

    def send_badge(self, badge: PanelBadge) -> None:
        """Send one. Thread-safe, does not block.

        Raises:
            InputError: it does not fit the format of the panel's cards; the message does not repeat it.
        """

    def pass_on(self, number: str) -> None:
        """Send the number of a badge that a reader of this door has read (`read_cards`); as `send_badge`."""


class _ReportingOutput:
    """Reports the state of the lock, and the seconds of an opening; it has no light, no sound and no connection."""

    def __init__(self, name: str, report: Report) -> None:
        self.name = name
        self._report = report

    def open_for(self, seconds: float) -> None:
        self._report(Lock.UNLOCKED, seconds)

    def keep_closed(self) -> None:
        self._report(Lock.LOCKED, None)

    def hold_open(self) -> None:
        self._report(Lock.HELD_OPEN, None)

    def show(self, verdict: Verdict) -> None:
        pass

    def poll(self) -> None:
        pass

    def close(self) -> None:
        pass


@final
class ConsoleOutput(_ReportingOutput):
    """Prints what a relay would do."""

    def __init__(self, report: Report) -> None:
        super().__init__("console", report)


@final
class FileOutput(_ReportingOutput):
    """Writes the state of the door into a file, atomically each time, for a program that drives a relay.

    ``{"lock": "unlocked", "until": "2026-11-27T08:00:05Z", "at": "2026-11-27T08:00:00Z"}``. The reading program must
    close at `until`, also if the file has not changed, because this program may have ended.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = utc_now) -> None:
        """Write to a file.

        Raises:
            InputError: its folder does not exist, or it is a folder itself.
        """
        if not path.parent.is_dir() or path.is_dir():
            raise InputError(f"got output file:{path}; expected a file in an existing folder; check --output")
        super().__init__(f"file:{path.name}", self._write)
        self._path = path
        self._clock = clock

    def _write(self, lock: Lock, seconds: float | None) -> None:
        now = self._clock()
        until = None if seconds is None else _format_time(now + timedelta(seconds=seconds))
        document = {"lock": lock.value, "until": until, "at": _format_time(now)}
        try:
            write_private(self._path, json.dumps(document).encode("ascii") + b"\n", replace=True)
        except OSError as error:
            raise UnavailableError(f"cannot write {self._path}: {error.strerror}; check the folder") from None


def parse_output(text: str, report: Report) -> Output:
    """Parse an output: ``console``, ``file:PATH``, ``osdp:DEVICE?key=FILE`` or ``osdp-reader:DEVICE?key=FILE``.

    Raises:
        InputError: the text is not a valid output, or a key file is not one.
        UnavailableError: a key file cannot be read, or `libosdp` is not installed.
    """
    from volens.service.door.osdp_outputs import parse_osdp  # noqa: PLC0415  imports this module's Protocol

    kind, _, rest = text.partition(":")
    if text == "console":
        return ConsoleOutput(report)
    if kind == "file" and rest:
        return FileOutput(Path(rest))
    if kind in {"osdp", "osdp-reader"} and rest:
        return parse_osdp(kind, rest)
    raise InputError(
        f"got output {text[:100]!r}; expected console, file:PATH, osdp:DEVICE?key=FILE or osdp-reader:DEVICE?key=FILE"
    )


def _format_time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
