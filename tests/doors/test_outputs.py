"""Outputs: what they write, and that one that hangs or fails holds up nobody."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.doors.conftest import until
from volens.consent import InputError, UnavailableError
from volens.service.door.door_events import Verdict
from volens.service.door.door_state import Lock, Standing
from volens.service.door.osdp import OsdpOutput
from volens.service.door.output_threads import ThreadedOutput
from volens.service.door.outputs import ConsoleOutput, FileOutput, parse_output

LOCKED = Standing(Lock.LOCKED, offline=False)
HELD = Standing(Lock.HELD_OPEN, offline=True)


def open_for(seconds: float) -> Standing:
    return Standing(Lock.UNLOCKED, offline=False, open_until_s=time.monotonic() + seconds)


@dataclass
class Relay:
    """An output that keeps what it was told, and fails or hangs as it is told."""

    name: str = "relay"
    told: list[str] = field(default_factory=list)
    fails: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    closed: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    def _take(self, what: str) -> None:
        self.gate.wait(20)
        if self.fails:
            self.fails -= 1
            raise UnavailableError("the relay is gone")
        self.told.append(what)

    def open_for(self, seconds: float) -> None:
        assert 0 < seconds <= 60
        self._take("open")

    def keep_closed(self) -> None:
        self._take("closed")

    def hold_open(self) -> None:
        self._take("held")

    def show(self, verdict: Verdict) -> None:
        self._take(verdict.value)

    def tend(self) -> None:
        return

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def relay() -> Iterator[Relay]:
    one = Relay()
    yield one
    one.gate.set()


def test_an_output_is_closed_first_then_does_what_it_is_told_and_is_left_as_it_was_said(relay: Relay) -> None:
    driven = ThreadedOutput(relay)
    until(lambda: relay.told == ["closed"], "it is closed first")
    driven.order(open_for(30))
    until(lambda: relay.told[-1] == "open", "it opens")
    driven.show(Verdict.MATCH)
    until(lambda: relay.told[-1] == "match", "it shows")
    driven.end(Lock.HELD_OPEN)
    assert driven.join(20)
    assert relay.told == ["closed", "open", "match", "held"]
    assert relay.closed


def test_what_could_not_be_carried_out_is_tried_again_and_told_of_until_then(relay: Relay) -> None:
    driven = ThreadedOutput(relay)
    until(lambda: bool(relay.told), "it begins")
    relay.fails = 2
    driven.order(HELD)
    until(lambda: not driven.health().is_well, "it is not well")
    assert driven.health().sentence == "the relay is gone"
    until(lambda: relay.told[-1] == "held", "it does it")
    until(lambda: driven.health().is_well, "it is well")
    driven.end(Lock.LOCKED)
    assert driven.join(20)


def test_an_output_that_hangs_holds_up_nobody_and_does_not_open_for_somebody_who_is_gone(
    relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("volens.service.door.output_threads.HANGS_AFTER_S", 0.2)
    driven = ThreadedOutput(relay)
    until(lambda: bool(relay.told), "it begins")
    relay.gate.clear()
    driven.show(Verdict.NO_MATCH)
    until(lambda: not driven.health().is_well, "that it hangs is noticed")
    assert driven.health().sentence == "it hangs"
    driven.order(open_for(0.1))
    driven.order(open_for(0.2))
    time.sleep(0.3)
    relay.gate.set()
    until(lambda: len(relay.told) == 3, "it goes on")
    assert relay.told == ["closed", "no_match", "closed"]
    relay.gate.clear()
    driven.order(HELD)
    driven.end(Lock.LOCKED)
    assert not driven.join(0.1)
    relay.gate.set()
    assert driven.join(20)
    assert relay.told[-1] == "closed"


def test_an_output_with_a_bug_is_one_sentence_and_is_still_closed() -> None:
    class Buggy(Relay):
        def keep_closed(self) -> None:
            raise KeyError("secret")

    one = Buggy()
    driven = ThreadedOutput(one)
    until(lambda: not driven.health().is_well, "it is told of")
    assert driven.health().sentence == "internal error (KeyError)"
    driven.end(Lock.LOCKED)
    assert driven.join(20)
    assert one.closed


def test_a_file_says_how_the_door_stands_and_until_when_for_its_readers_close_by_themselves(tmp_path: Path) -> None:
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


def test_a_file_whose_folder_went_away_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    output = FileOutput(tmp_path / "a" / "state")
    (tmp_path / "a").rmdir()
    with pytest.raises(UnavailableError, match="cannot write"):
        output.keep_closed()


def test_outputs_are_named_by_options(tmp_path: Path) -> None:
    said: list[tuple[Lock, float | None]] = []
    console = parse_output("console", lambda lock, seconds: said.append((lock, seconds)))
    assert isinstance(console, ConsoleOutput)
    console.open_for(5)
    console.keep_closed()
    console.hold_open()
    assert said == [(Lock.UNLOCKED, 5), (Lock.LOCKED, None), (Lock.HELD_OPEN, None)]
    assert isinstance(parse_output(f"file:{tmp_path}/state", lambda *_: None), FileOutput)
    osdp = parse_output("osdp:/dev/ttyUSB9?address=3&relay=1&reader=1&baud=115200", lambda *_: None)
    assert isinstance(osdp, OsdpOutput)
    assert osdp.name == "osdp:/dev/ttyUSB9"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected console, file:PATH or osdp"),
        ("gpio:17", "expected console, file:PATH or osdp"),
        ("console:1", "expected console, file:PATH or osdp"),
        ("file:", "expected console, file:PATH or osdp"),
        ("file:/none/such/folder/state", "a folder that is there"),
        ("osdp:", "expected console, file:PATH or osdp"),
        ("osdp:/dev/x?relay=256", "from 0 to 255"),
        ("osdp:/dev/x?address=127", "from 0 to 126"),
        ("osdp:/dev/x?address=-1", "from 0 to 126"),
        ("osdp:/dev/x?address=", "from 0 to 126"),
        ("osdp:/dev/x?colour=1", "expected osdp:DEVICE"),
        ("osdp:/dev/x?relay=1&relay=2", "expected osdp:DEVICE"),
    ],
)
def test_an_output_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        parse_output(text, lambda *_: None)
