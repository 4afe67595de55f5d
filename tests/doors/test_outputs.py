"""Outputs: what they write, and that one that hangs or fails delays nothing else."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from patience import PATIENCE_S

from tests.doors.conftest import until
from volens.consent import InputError, UnavailableError
from volens.service.door import DoorStatus, Lock, ThreadedOutput, Verdict
from volens.service.door.osdp_key import OsdpKey
from volens.service.door.osdp_panel import OsdpOutput
from volens.service.door.osdp_reader import OsdpReader
from volens.service.door.outputs import ConsoleOutput, FileOutput, parse_output

LOCKED = DoorStatus(Lock.LOCKED, offline=False)
HELD = DoorStatus(Lock.HELD_OPEN, offline=True)


def open_for(seconds: float) -> DoorStatus:
    return DoorStatus(Lock.UNLOCKED, offline=False, open_until_s=time.monotonic() + seconds)


@dataclass
class Relay:
    """An output that records its commands, and fails or hangs on request."""

    name: str = "relay"
    commands: list[str] = field(default_factory=list)
    fails: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    def _handle(self, what: str) -> None:
        self.gate.wait(PATIENCE_S)
        if self.fails:
            self.fails -= 1
            raise UnavailableError("the relay is gone")
        self.commands.append(what)

    def open_for(self, seconds: float) -> None:
        assert 0 < seconds <= 60
        self._handle("open")

    def keep_closed(self) -> None:
        self._handle("closed")

    def hold_open(self) -> None:
        self._handle("held")

    def show(self, verdict: Verdict) -> None:
        self._handle(verdict.value)

    def poll(self) -> None:
        return

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def relay() -> Iterator[Relay]:
    one = Relay()
    yield one
    one.gate.set()


def test_an_output_starts_closed_executes_commands_and_ends_in_the_given_state(relay: Relay) -> None:
    threaded = ThreadedOutput(relay)
    until(lambda: relay.commands == ["closed"], "the output is closed first")
    threaded.set_status(open_for(30))
    until(lambda: relay.commands[-1] == "open", "the output opens")
    threaded.show(Verdict.MATCH)
    until(lambda: relay.commands[-1] == "match", "the decision is shown")
    threaded.end(Lock.HELD_OPEN)
    assert threaded.join(PATIENCE_S)
    assert relay.commands == ["closed", "open", "match", "held"]
    assert relay.closed


def test_a_failed_command_is_retried_and_reported_until_it_succeeds(relay: Relay) -> None:
    threaded = ThreadedOutput(relay)
    until(lambda: bool(relay.commands), "the thread has started")
    relay.fails = 2
    threaded.set_status(HELD)
    until(lambda: not threaded.health().is_ok, "the failure is reported")
    assert threaded.health().reason == "the relay is gone"
    until(lambda: relay.commands[-1] == "held", "the command succeeds")
    until(lambda: threaded.health().is_ok, "the output is healthy")
    threaded.end(Lock.LOCKED)
    assert threaded.join(PATIENCE_S)


def test_an_output_that_hangs_does_not_block_and_does_not_open_too_late(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.service.door.output_threads.HANG_TIMEOUT_S", 0.2)
    threaded = ThreadedOutput(relay)
    until(lambda: bool(relay.commands), "the thread has started")
    relay.gate.clear()
    threaded.show(Verdict.NO_MATCH)
    until(lambda: not threaded.health().is_ok, "the hang is detected")
    assert threaded.health().reason == "it does not respond"
    threaded.set_status(open_for(0.1))
    threaded.set_status(open_for(0.2))
    time.sleep(0.3)
    relay.gate.set()
    until(lambda: len(relay.commands) == 3, "the output continues")
    assert relay.commands == ["closed", "no_match", "closed"]
    relay.gate.clear()
    threaded.set_status(HELD)
    threaded.end(Lock.LOCKED)
    assert not threaded.join(0.1)
    relay.gate.set()
    assert threaded.join(PATIENCE_S)
    assert relay.commands[-1] == "closed"


def test_a_bug_in_an_output_is_reported_and_the_output_is_closed() -> None:
    class Buggy(Relay):
        def keep_closed(self) -> None:
            raise KeyError("secret")

    one = Buggy()
    threaded = ThreadedOutput(one)
    until(lambda: not threaded.health().is_ok, "the error is reported")
    assert threaded.health().reason == "internal error (KeyError)"
    threaded.end(Lock.LOCKED)
    assert threaded.join(PATIENCE_S)
    assert one.closed


def test_a_file_contains_the_state_and_the_end_of_an_opening(tmp_path: Path) -> None:
    file = tmp_path / "door.state"
    output = FileOutput(file, clock=lambda: datetime(2026, 11, 27, 8, tzinfo=UTC))
    output.open_for(5)
    assert json.loads(file.read_text()) == {
        "lock": "unlocked",
        "until": "2026-11-27T08:00:05.000Z",
        "at": "2026-11-27T08:00:00.000Z",
    }
    assert file.stat().st_mode & 0o777 == 0o600
    output.hold_open()
    assert json.loads(file.read_text())["lock"] == "held_open"
    output.keep_closed()
    assert json.loads(file.read_text()) == {"lock": "locked", "until": None, "at": "2026-11-27T08:00:00.000Z"}
    assert [one.name for one in tmp_path.iterdir()] == ["door.state"]


def test_a_file_in_a_deleted_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    output = FileOutput(tmp_path / "a" / "state")
    (tmp_path / "a").rmdir()
    with pytest.raises(UnavailableError, match="cannot write"):
        output.keep_closed()


def test_outputs_are_parsed_from_options(tmp_path: Path) -> None:
    reported: list[tuple[Lock, float | None]] = []
    console = parse_output("console", lambda lock, seconds: reported.append((lock, seconds)))
    assert isinstance(console, ConsoleOutput)
    console.open_for(5)
    console.keep_closed()
    console.hold_open()
    assert reported == [(Lock.UNLOCKED, 5), (Lock.LOCKED, None), (Lock.HELD_OPEN, None)]
    assert isinstance(parse_output(f"file:{tmp_path}/state", lambda *_: None), FileOutput)
    OsdpKey(bytes(16)).write(tmp_path / "a key")
    key = f"key={tmp_path}/a%20key"
    osdp = parse_output(f"osdp:/dev/ttyUSB9?{key}&address=3&relay=1&reader=1&baud=115200", lambda *_: None)
    assert isinstance(osdp, OsdpOutput)
    assert osdp.name == "osdp:/dev/ttyUSB9"
    assert isinstance(parse_output("osdp:/dev/ttyUSB9?in_clear=yes", lambda *_: None), OsdpOutput)
    reader = parse_output(f"osdp-reader:/dev/ttyUSB9?{key}&format=37-plain", lambda *_: None)
    assert isinstance(reader, OsdpReader)
    assert reader.name == "osdp-reader:/dev/ttyUSB9"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected console, file:PATH, osdp"),
        ("gpio:17", "expected console, file:PATH, osdp"),
        ("console:1", "expected console, file:PATH, osdp"),
        ("file:", "expected console, file:PATH, osdp"),
        ("file:/none/such/folder/state", "an existing folder"),
        ("osdp:", "expected console, file:PATH, osdp"),
        ("osdp:/dev/x?relay=256", "from 0 to 255"),
        ("osdp:/dev/x?address=127", "from 0 to 126"),
        ("osdp:/dev/x?address=-1", "from 0 to 126"),
        ("osdp:/dev/x?address=", "from 0 to 126"),
        ("osdp:/dev/x?colour=1", "expected osdp:DEVICE"),
        ("osdp:/dev/x", "without a key; make one with 'volens door pair'"),
        ("osdp:/dev/x?key=", "without a key"),
        ("osdp:/dev/x?in_clear=no", "without a key"),
        ("osdp:/dev/x?key=a&in_clear=yes", "without a key"),
        ("osdp:/dev/x?format=26&in_clear=yes", "expected osdp:DEVICE"),
        ("osdp:/dev/x?in_clear=yes&baud=1234", "got baud=1234; expected one of 9600"),
        ("osdp-reader:/dev/x", "without a key"),
        ("osdp-reader:/dev/x?in_clear=yes", "expected osdp-reader:DEVICE"),
        ("osdp-reader:/dev/x?key=a&format=27", "expected one of 26, 34, 35, 37, 37-plain"),
        ("osdp:/dev/x?relay=1&relay=2", "expected osdp:DEVICE"),
    ],
)
def test_an_invalid_output_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_output(text, lambda *_: None)
