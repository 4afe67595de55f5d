"""The loop of a door: made-up sources and deciders, real state, outputs and lines that people read."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.doors.conftest import Heard, picture, until
from tests.doors.test_outputs import Relay
from volens.consent import Purpose, RefusedError, TamperError
from volens.service.door.broadcast import Broadcast
from volens.service.door.door_events import (
    Decided,
    Event,
    Factor,
    Looked,
    Lost,
    Ready,
    Shown,
    SourceBroken,
    SourceEnded,
    SourceWell,
    Tell,
    Unusable,
    Verdict,
)
from volens.service.door.door_log import DoorLog
from volens.service.door.door_loop import Door, Limits, Outcome
from volens.service.door.door_state import DoorRules, Lock, Standing, WhenOffline
from volens.service.door.factor_input import FactorInput, parse_line
from volens.service.door.frame_queue import Frame, Frames
from volens.service.door.mqtt_messages import Health, Topics
from volens.service.door.output_threads import OutputHealth, ThreadedOutput

WHO = "c0ffee" * 5
READY = Ready("lobby", "made-up", None)
NEVER_OLD = -3600.0  # tables are made long before their tests


def decided(verdict: Verdict = Verdict.MATCH, passage: str = "a" * 16, age_s: float = 0.0) -> Decided:
    return Decided(verdict, passage, time.monotonic() - age_s, WHO)


@dataclass
class Still:
    """A source that says what it is told to, and then nothing."""

    says: Sequence[Event] = (SourceWell(),)
    is_quiet: bool = True
    frame: Frame | None = None

    def run(self, frames: Frames, tell: Tell, stopped: threading.Event) -> None:
        for event in self.says:
            tell(event)
        if self.frame is not None:
            frames.put(self.frame)
        stopped.wait(20)


@dataclass
class Told:
    """A decider that says what the test wants, when it wants it."""

    says: Sequence[Event] = (READY,)
    raises: Exception | None = None
    shown: list[Shown] = field(default_factory=list)
    tell: Tell | None = None

    def decide(self, frames: Frames, tell: Tell) -> None:
        self.tell = tell
        for event in self.says:
            tell(event)
        if self.raises is not None:
            raise self.raises
        while not frames.is_closed:
            time.sleep(0.01)

    def present(self, shown: Shown) -> None:
        self.shown.append(shown)

    def say(self, event: Event) -> None:
        until(lambda: self.tell is not None, "the decider runs")
        assert self.tell is not None
        self.tell(event)


@dataclass
class Watched:
    """A door in a thread, its relay, and what was read of it."""

    door: Door
    relay: Relay
    text: StringIO
    thread: threading.Thread
    outcome: list[Outcome | Exception] = field(default_factory=list)

    def join(self) -> Outcome | Exception:
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.outcome[0]

    def stop(self) -> Outcome | Exception:
        self.door.stop()
        return self.join()


def watch(
    decider: Told,
    source: Still | None = None,
    rules: DoorRules | None = None,
    limits: Limits | None = None,
    *,
    as_json: bool = False,
    factor_input: FactorInput | None = None,
) -> Watched:
    relay, text = Relay(), StringIO()
    console = Console(file=text, width=200)
    teller = DoorLog(console, Console(file=StringIO()), as_json=as_json)
    door = Door(
        rules or DoorRules(open_s=0.3),
        source or Still(),
        decider,
        [ThreadedOutput(relay)],
        teller,
        Broadcast(Topics(Purpose("lobby"), "door"), None),
        factor_input=factor_input,
        limits=limits or Limits(),
    )
    one = Watched(door, relay, text, threading.Thread())

    def run() -> None:
        with teller:
            try:
                one.outcome.append(door.run())
            except Exception as error:  # noqa: BLE001  the test looks at it
                one.outcome.append(error)

    one.thread = threading.Thread(target=run)
    one.thread.start()
    return one


def test_a_match_opens_and_time_closes() -> None:
    decider = Told([READY, decided(), Looked(1, 1)])
    one = watch(decider)
    until(lambda: one.relay.told.count("closed") == 2, "it closed again")
    assert one.stop() == Outcome(frames=1, openings=1, is_by_itself=False)
    assert [what for what in one.relay.told if what != "match"] == ["closed", "open", "closed", "closed"]
    assert "match" in one.relay.told
    assert "decision: match (passage aaaaaaaaaaaaaaaa)" in one.text.getvalue()


@pytest.mark.parametrize(
    "events",
    [
        [decided(Verdict.NO_MATCH)],
        [decided(Verdict.FACTOR_REQUIRED)],
        [decided(age_s=60)],
        [Decided(Verdict.MATCH, "a" * 16, None, WHO)],
    ],
    ids=["a stranger", "a face alone where a PIN is asked for", "a frame of a minute ago", "a frame of long ago"],
)
def test_a_door_does_not_open_for(events: list[Event]) -> None:
    one = watch(Told([READY, *events]))
    until(lambda: "decision" in one.text.getvalue(), "the decision is told")
    outcome = one.stop()
    assert isinstance(outcome, Outcome)
    assert outcome.openings == 0
    assert "open" not in one.relay.told


def test_the_same_passage_opens_once_however_often_it_is_told() -> None:
    decider = Told([READY, decided()])
    one = watch(decider)
    until(lambda: one.relay.told[-1:] == ["closed"] and "open" in one.relay.told, "it closed again")
    decider.say(decided())
    until(lambda: "comes too late or again" in one.text.getvalue(), "it is told again")
    outcome = one.stop()
    assert isinstance(outcome, Outcome)
    assert outcome.openings == 1


@pytest.mark.parametrize("quiet", [True, False], ids=["a folder", "a camera"])
def test_a_safe_door_is_released_while_nobody_decides_and_closed_when_somebody_does(*, quiet: bool) -> None:
    rules = DoorRules(offline_after_s=1, when_offline=WhenOffline.SAFE)
    decider = Told([Lost("the service is not there")])
    one = watch(decider, Still(is_quiet=quiet), rules)
    until(lambda: one.relay.told[-1:] == ["held"], "it is released")
    assert "offline: nobody decides; the door is held open" in one.text.getvalue()
    decider.say(READY)
    decider.say(Looked(0, 0))
    until(lambda: one.relay.told[-1:] == ["closed"], "it is closed")
    one.stop()
    assert one.relay.told[-1] == "held"  # nobody decides after the end


BROKEN: dict[str, tuple[Told, Still]] = {
    "the service is away": (Told([Lost("away")]), Still()),
    "the camera is away": (Told([READY]), Still([SourceBroken("away")], is_quiet=False)),
    "the folder is away": (Told([READY]), Still([SourceBroken("away")])),
    "the camera says nothing": (Told([READY]), Still([], is_quiet=False)),
    "all frames are dropped": (Told([READY, Looked(0, 0, dropped=True)]), Still(is_quiet=False)),
    "a photo is not answered": (Told([READY]), Still(frame=Frame(picture(), 0.0))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_door_is_offline_and_secure_by_default_when(name: str) -> None:
    decider, source = BROKEN[name]
    one = watch(decider, source, DoorRules(offline_after_s=1))
    until(lambda: "offline: nobody decides; the door is closed" in one.text.getvalue(), "it is offline")
    one.stop()
    assert set(one.relay.told) == {"closed"}


def test_a_folder_with_nothing_in_it_is_not_offline() -> None:
    one = watch(Told([READY]), Still(), DoorRules(offline_after_s=1))
    time.sleep(1.5)
    assert "offline" not in one.text.getvalue()
    one.stop()


@pytest.mark.parametrize(
    "error", [RefusedError("no"), TamperError("broken"), KeyError("a bug")], ids=lambda it: type(it).__name__
)
def test_what_trying_again_does_not_mend_ends_the_door_closed(error: Exception) -> None:
    one = watch(Told([READY, decided()], raises=error))
    assert one.join() is error
    assert one.relay.told[-1] == "closed"
    assert one.relay.closed


LIMITS: dict[str, tuple[Limits, Sequence[Event], Outcome]] = {
    "so many frames": (Limits(frames=2), [Looked(0, 0)] * 2, Outcome(2, 0, is_by_itself=True)),
    "dropped frames do not count": (
        Limits(frames=1),
        [Looked(0, 0, dropped=True), Looked(0, 0)],
        Outcome(1, 0, is_by_itself=True),
    ),
    "a first match": (Limits(once=True), [decided(age_s=NEVER_OLD), Looked(1, 1)], Outcome(1, 1, is_by_itself=True)),
    "a first stranger": (
        Limits(once=True),
        [decided(Verdict.NO_MATCH, age_s=NEVER_OLD)],
        Outcome(0, 0, is_by_itself=True),
    ),
    "a source without more": (Limits(), [SourceEnded()], Outcome(0, 0, is_by_itself=True)),
    "a PIN that is asked for is no end": (
        Limits(once=True),
        [decided(Verdict.FACTOR_REQUIRED, "b" * 16, NEVER_OLD), decided(age_s=NEVER_OLD)],
        Outcome(0, 1, is_by_itself=True),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_door_ends_by_itself_after(name: str) -> None:
    limits, events, expected = LIMITS[name]
    one = watch(Told([READY, *events]), limits=limits)
    assert one.join() == expected
    # Whoever it opened for has had their time.
    assert one.relay.told[-1] == "closed"


def test_as_json_each_event_is_a_line_and_nobody_is_in_it() -> None:
    one = watch(Told([READY, decided(), Lost("away"), Unusable("odd")]), as_json=True)
    until(lambda: "unusable" in one.text.getvalue(), "all is told")
    one.stop()
    lines = [json.loads(line) for line in one.text.getvalue().splitlines()]
    assert {line["event"] for line in lines} >= {"ready", "decision", "decider", "unusable", "state", "health"}
    (decision,) = [line for line in lines if line["event"] == "decision"]
    assert decision["opens"] is True
    assert decision.keys() == {"event", "at", "decision", "passage", "opens"}
    assert WHO not in one.text.getvalue()


def test_people_read_a_line_for_each_event_and_a_status_line_on_a_terminal() -> None:
    out, err = StringIO(), StringIO()
    health = Health(
        12.0,
        0.1,
        source_ok=True,
        decider_ok=True,
        outputs=(OutputHealth("relay", is_well=False, sentence="it hangs"),),
        version="1",
    )
    with DoorLog(Console(file=out, width=200), Console(file=err, force_terminal=True, width=200), as_json=False) as one:
        for event in (
            Ready("lobby", "made-up", Factor.PIN),
            decided(Verdict.FACTOR_REQUIRED),
            Lost("the service is away"),
            SourceBroken("the camera is away"),
            SourceWell(),
            Unusable("odd"),
            Unusable("odd"),
        ):
            one.event(event)
        one.health(health, broker=False)
        one.status(Standing(Lock.HELD_OPEN, offline=True), 12.0)
    assert out.getvalue().splitlines() == [
        "deciding about lobby with made-up; people show a PIN as well",
        "decision: a face is known; a PIN is asked for (passage aaaaaaaaaaaaaaaa)",
        "no decisions: the service is away",
        "no frames: the camera is away",
        "frames come",
        "not used: odd",
        "not well: relay: it hangs; broker: not connected",
    ]
    assert "held open, offline | 12.0 frames/s | last: factor required" in err.getvalue()


def test_a_reader_that_stalls_holds_up_no_door(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(Console, "out", lambda *_, **__: gate.wait(20))
    decider = Told([READY])
    one = watch(decider)
    for number in range(1000):
        decider.say(decided(passage=f"{number:016x}"))
    until(lambda: "open" in one.relay.told, "it opens all the same")
    gate.set()
    one.stop()


@pytest.mark.parametrize(
    ("line", "kind", "expected"),
    [
        (b"badge:AB-12\r\n", None, (Factor.BADGE, "AB-12")),
        (b"pin: 1234 \n", None, (Factor.PIN, "1234")),
        (b"1234\n", Factor.PIN, (Factor.PIN, "1234")),
        (b"0042:17\n", Factor.BADGE, (Factor.BADGE, "0042:17")),
        (b"pin:1234\n", Factor.BADGE, (Factor.PIN, "1234")),
        (b"1234\n", None, None),
        (b"pin:12a4\n", None, None),
        (b"badge:\n", None, None),
        (b"\n", Factor.PIN, None),
        (b"pin:\xb2\xb3\n", None, None),
        (b"badge:a\x1bb\n", None, None),
        (b"badge:" + b"1" * 300, None, None),
    ],
)
def test_a_line_of_a_reader_or_keypad_is_read_as(
    line: bytes, kind: Factor | None, expected: tuple[Factor, str] | None
) -> None:
    shown = parse_line(line, kind)
    assert (None if shown is None else (shown.factor, shown.value)) == expected


def test_what_is_shown_reaches_the_decider_and_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "keypad"
    file.write_bytes(b"pin:918273\nnonsense-918273\n" + b"9" * 5000 + b"\nbadge:AB918273\n")
    decider = Told()
    one = watch(decider, as_json=True, factor_input=FactorInput(str(file), None))
    until(lambda: len(decider.shown) >= 2, "both are shown")
    one.stop()
    assert [(shown.factor, shown.value) for shown in decider.shown[:2]] == [
        (Factor.PIN, "918273"),
        (Factor.BADGE, "AB918273"),
    ]
    assert "no badge and no PIN" in one.text.getvalue()
    assert "918273" not in one.text.getvalue()


def test_a_reader_that_is_not_there_is_told_of_and_tried_again(tmp_path: Path, heard: Heard) -> None:
    stopped = threading.Event()
    FactorInput(str(tmp_path / "none"), Factor.PIN).start(heard, stopped)
    heard.wait_for(Unusable)
    (tmp_path / "none").write_bytes(b"12\n")
    heard.wait_for(Shown)
    stopped.set()
