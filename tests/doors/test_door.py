"""Event loop of a door: fake sources and deciders, real state, outputs and log."""

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import StringIO
from pathlib import Path

import pytest
from patience import PATIENCE_S
from rich.console import Console

from tests.doors.conftest import RecordedEvents, picture, until
from tests.doors.test_outputs import Relay
from volens.consent import Purpose, RefusedError, TamperError
from volens.consent.panel_badge import PanelBadge
from volens.service.door import (
    DeciderLost,
    DeciderReady,
    DecisionReceived,
    Door,
    DoorLog,
    DoorRules,
    DoorStatus,
    Event,
    EventSink,
    Factor,
    FactorPresented,
    Frame,
    FrameProcessed,
    FrameQueue,
    Health,
    InputRejected,
    Limits,
    Lock,
    Outcome,
    OutputHealth,
    RecognitionRequested,
    SourceEnded,
    SourceLost,
    SourceReady,
    ThreadedOutput,
    Topics,
    Verdict,
    WhenOffline,
)
from volens.service.door.door_events import BadgesOnly, CardSent, DeviceReported
from volens.service.door.factor_input import FactorInput, parse_factor
from volens.service.door.wiegand import FORMATS

WHO = "c0ffee" * 5
READY = DeciderReady("lobby", "made-up", None)
NEVER_OLD = -3600.0  # the tables are built long before their tests run


def decision_event(verdict: Verdict = Verdict.MATCH, visit_id: str = "a" * 16, age_s: float = 0.0) -> DecisionReceived:
    return DecisionReceived(verdict, visit_id, time.monotonic() - age_s, WHO)


@dataclass
class FakeSource:
    """A source that emits its events and then nothing."""

    events: Sequence[Event] = (SourceReady(),)
    is_intermittent: bool = True
    frame: Frame | None = None

    def run(self, frames: FrameQueue, emit: EventSink, stopped: threading.Event) -> None:
        for event in self.events:
            emit(event)
        if self.frame is not None:
            frames.put(self.frame)
        stopped.wait(PATIENCE_S)


@dataclass
class FakeDecider:
    """A decider that emits what the test wants."""

    events: Sequence[Event] = (READY,)
    raises: Exception | None = None
    presented: list[FactorPresented | RecognitionRequested] = field(default_factory=list)
    emit: EventSink | None = None

    def decide(self, frames: FrameQueue, emit: EventSink) -> None:
        self.emit = emit
        for event in self.events:
            emit(event)
        if self.raises is not None:
            raise self.raises
        while not frames.is_closed:
            time.sleep(0.01)

    def present(self, presented: FactorPresented | RecognitionRequested) -> None:
        self.presented.append(presented)

    def say(self, event: Event) -> None:
        until(lambda: self.emit is not None, "the decider runs")
        assert self.emit is not None
        self.emit(event)


@dataclass
class Watched:
    """A door in a thread, its relay, and its log."""

    door: Door
    relay: Relay
    text: StringIO
    thread: threading.Thread
    outcome: list[Outcome | Exception] = field(default_factory=list)

    def join(self) -> Outcome | Exception:
        self.thread.join(PATIENCE_S)
        assert not self.thread.is_alive()
        return self.outcome[0]

    def stop(self) -> Outcome | Exception:
        self.door.stop()
        return self.join()


def watch(
    decider: FakeDecider,
    source: FakeSource | None = None,
    rules: DoorRules | None = None,
    limits: Limits | None = None,
    *,
    as_json: bool = False,
    factor_input: FactorInput | None = None,
    relay: Relay | None = None,
) -> Watched:
    relay, text = relay or Relay(), StringIO()
    console = Console(file=text, width=200)
    log = DoorLog(console, Console(file=StringIO()), as_json=as_json)
    door = Door(
        rules or DoorRules(open_s=1),
        source or FakeSource(),
        decider,
        [ThreadedOutput(relay)],
        log,
        Topics(Purpose("lobby"), "door"),
        factor_input=factor_input,
        limits=limits or Limits(),
    )
    one = Watched(door, relay, text, threading.Thread())

    def run() -> None:
        with log:
            try:
                one.outcome.append(door.run())
            except Exception as error:  # noqa: BLE001  the test inspects it
                one.outcome.append(error)

    one.thread = threading.Thread(target=run)
    one.thread.start()
    return one


def test_a_match_opens_the_door_and_it_closes_when_the_time_is_over() -> None:
    decider = FakeDecider([READY, decision_event(), FrameProcessed(1, 1)])
    one = watch(decider)
    until(lambda: one.relay.commands.count("closed") == 2, "the door closes again")
    assert one.stop() == Outcome(frames=1, openings=1, ended_by_itself=False)
    assert [what for what in one.relay.commands if what != "match"] == ["closed", "open", "closed", "closed"]
    assert "match" in one.relay.commands
    assert "decision: match (visit aaaaaaaaaaaaaaaa)" in one.text.getvalue()


@pytest.mark.parametrize(
    "events",
    [
        [decision_event(Verdict.NO_MATCH)],
        [decision_event(Verdict.FACTOR_REQUIRED)],
        [decision_event(age_s=60)],
        [DecisionReceived(Verdict.MATCH, "a" * 16, None, WHO)],
    ],
    ids=["a stranger", "a face without the required PIN", "a frame of a minute ago", "a frame of unknown age"],
)
def test_a_door_does_not_open_for(events: list[Event]) -> None:
    one = watch(FakeDecider([READY, *events]))
    until(lambda: "decision" in one.text.getvalue(), "the decision is logged")
    outcome = one.stop()
    assert isinstance(outcome, Outcome)
    assert outcome.openings == 0
    assert "open" not in one.relay.commands


def test_repeated_decisions_about_one_visit_open_the_door_once() -> None:
    decider = FakeDecider([READY, decision_event()])
    one = watch(decider)
    until(lambda: one.relay.commands[-1:] == ["closed"] and "open" in one.relay.commands, "the door closes again")
    decider.say(decision_event())
    until(lambda: "too late or repeated" in one.text.getvalue(), "the repetition is logged")
    outcome = one.stop()
    assert isinstance(outcome, Outcome)
    assert outcome.openings == 1


@pytest.mark.parametrize("quiet", [True, False], ids=["a folder", "a camera"])
def test_a_safe_door_is_held_open_without_decisions_and_closed_with_them(*, quiet: bool) -> None:
    rules = DoorRules(offline_after_s=1, when_offline=WhenOffline.SAFE)
    decider = FakeDecider([DeciderLost("the service is unreachable")])
    one = watch(decider, FakeSource(is_intermittent=quiet), rules)
    until(lambda: one.relay.commands[-1:] == ["held"], "the door is held open")
    until(lambda: "offline: no decisions; the door is held open" in one.text.getvalue(), "the line is written")
    decider.say(READY)
    decider.say(FrameProcessed(0, 0))
    until(lambda: one.relay.commands[-1:] == ["closed"], "the door is closed")
    one.stop()
    assert one.relay.commands[-1] == "held"  # there are no decisions after the end


BROKEN: dict[str, tuple[FakeDecider, FakeSource]] = {
    "the service is away": (FakeDecider([DeciderLost("away")]), FakeSource()),
    "the camera is away": (FakeDecider([READY]), FakeSource([SourceLost("away")], is_intermittent=False)),
    "the folder is away": (FakeDecider([READY]), FakeSource([SourceLost("away")])),
    "the camera sends nothing": (FakeDecider([READY]), FakeSource([], is_intermittent=False)),
    "all frames are dropped": (
        FakeDecider([READY, FrameProcessed(0, 0, dropped=True)]),
        FakeSource(is_intermittent=False),
    ),
    "a photo is not answered": (FakeDecider([READY]), FakeSource(frame=Frame(picture(), 0.0))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_door_is_offline_and_secure_by_default_when(name: str) -> None:
    decider, source = BROKEN[name]
    one = watch(decider, source, DoorRules(offline_after_s=1))
    until(lambda: "offline: no decisions; the door is closed" in one.text.getvalue(), "the door is offline")
    one.stop()
    assert set(one.relay.commands) == {"closed"}


def test_an_empty_folder_does_not_make_the_door_offline() -> None:
    one = watch(FakeDecider([READY]), FakeSource(), DoorRules(offline_after_s=1))
    time.sleep(1.5)
    assert "offline" not in one.text.getvalue()
    one.stop()


@pytest.mark.parametrize(
    "error", [RefusedError("no"), TamperError("broken"), KeyError("a bug")], ids=lambda it: type(it).__name__
)
def test_a_permanent_error_ends_the_door_closed(error: Exception) -> None:
    one = watch(FakeDecider([READY, decision_event()], raises=error))
    assert one.join() is error
    assert one.relay.commands[-1] == "closed"
    assert one.relay.closed


LIMITS: dict[str, tuple[Limits, Sequence[Event], Outcome]] = {
    "a number of frames": (Limits(frames=2), [FrameProcessed(0, 0)] * 2, Outcome(2, 0, ended_by_itself=True)),
    "dropped frames do not count": (
        Limits(frames=1),
        [FrameProcessed(0, 0, dropped=True), FrameProcessed(0, 0)],
        Outcome(1, 0, ended_by_itself=True),
    ),
    "a first match": (
        Limits(once=True),
        [decision_event(age_s=NEVER_OLD), FrameProcessed(1, 1)],
        Outcome(1, 1, ended_by_itself=True),
    ),
    "a first stranger": (
        Limits(once=True),
        [decision_event(Verdict.NO_MATCH, age_s=NEVER_OLD)],
        Outcome(0, 0, ended_by_itself=True),
    ),
    "a source without more frames": (Limits(), [SourceEnded()], Outcome(0, 0, ended_by_itself=True)),
    "a match after a PIN was required": (
        Limits(once=True),
        [decision_event(Verdict.FACTOR_REQUIRED, "b" * 16, NEVER_OLD), decision_event(age_s=NEVER_OLD)],
        Outcome(0, 1, ended_by_itself=True),
    ),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_door_ends_by_itself_after(name: str) -> None:
    limits, events, expected = LIMITS[name]
    one = watch(FakeDecider([READY, *events]), limits=limits)
    assert one.join() == expected
    # The opening lasts its full time.
    assert one.relay.commands[-1] == "closed"


def test_the_log_says_why_a_face_was_not_compared() -> None:
    turned = DecisionReceived(Verdict.NO_MATCH, "b" * 16, time.monotonic(), reason="turned")
    one = watch(FakeDecider([READY, turned]))
    until(lambda: "decision" in one.text.getvalue(), "the decision is logged")
    one.stop()
    assert (
        "decision: no match: the face is turned by 90 degrees or more; check how the camera is mounted (visit"
        in one.text.getvalue()
    )


def test_as_json_each_event_is_one_line_without_the_person() -> None:
    one = watch(FakeDecider([READY, decision_event(), DeciderLost("away"), InputRejected("odd")]), as_json=True)
    until(lambda: "unusable" in one.text.getvalue(), "all events are logged")
    one.stop()
    lines = [json.loads(line) for line in one.text.getvalue().splitlines()]
    assert {line["event"] for line in lines} >= {"ready", "decision", "decider", "unusable", "state", "health"}
    (decision,) = [line for line in lines if line["event"] == "decision"]
    assert decision["opens"] is True
    assert decision.keys() == {"event", "at", "decision", "passage", "opens", "reason", "looks"}
    assert WHO not in one.text.getvalue()


def test_text_has_a_line_for_each_event_and_a_terminal_a_status_line() -> None:
    out, err = StringIO(), StringIO()
    health = Health(
        12.0,
        0.1,
        source_ok=True,
        decider_ok=True,
        outputs=(OutputHealth("relay", is_ok=False, reason="it hangs"),),
        version="1",
    )
    with DoorLog(Console(file=out, width=200), Console(file=err, force_terminal=True, width=200), as_json=False) as one:
        for event in (
            DeciderReady("lobby", "made-up", Factor.PIN),
            decision_event(Verdict.FACTOR_REQUIRED),
            DeciderLost("the service is away"),
            SourceLost("the camera is away"),
            SourceReady(),
            InputRejected("odd"),
            InputRejected("odd"),
        ):
            one.event(event)
        one.health(health, broker=False)
        one.status_line(DoorStatus(Lock.HELD_OPEN, offline=True), 12.0)
    assert out.getvalue().splitlines() == [
        "ready: zone lobby, model made-up; people also present a PIN",
        "decision: second factor required: a PIN (visit aaaaaaaaaaaaaaaa)",
        "no decisions: the service is away",
        "no frames: the camera is away",
        "frames arrive",
        "rejected: odd",
        "failing: relay: it hangs; broker: not connected",
    ]
    assert "held open, offline | 12.0 frames/s | last: factor required" in err.getvalue()


def test_a_log_reader_that_blocks_does_not_delay_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(Console, "out", lambda *_, **__: gate.wait(PATIENCE_S))
    decider = FakeDecider([READY])
    one = watch(decider)
    for number in range(1000):
        decider.say(decision_event(visit_id=f"{number:016x}"))
    until(lambda: "open" in one.relay.commands, "the door opens")
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
def test_a_line_of_a_reader_or_keypad_is_parsed_as(
    line: bytes, kind: Factor | None, expected: tuple[Factor, str] | None
) -> None:
    presented = parse_factor(line, kind)
    assert (None if presented is None else factor_of(presented)) == expected


@pytest.mark.parametrize("kind", [None, *Factor])
def test_a_button_asks_whatever_a_bare_line_is(kind: Factor | None) -> None:
    assert isinstance(parse_factor(b"ask\r\n", kind), RecognitionRequested)
    assert factor_of(parse_factor(b"badge:ask\n", kind)) == (Factor.BADGE, "ask")
    assert not isinstance(parse_factor(b"ask me\n", kind), RecognitionRequested)


def factor_of(presented: object) -> tuple[Factor, str]:
    assert isinstance(presented, FactorPresented)
    return presented.factor, presented.value


def test_a_presented_factor_reaches_the_decider_and_not_the_log(tmp_path: Path) -> None:
    file = tmp_path / "keypad"
    file.write_bytes(b"pin:918273\nnonsense-918273\n" + b"9" * 5000 + b"\nbadge:AB918273\nask\n")
    decider = FakeDecider()
    one = watch(decider, as_json=True, factor_input=FactorInput(str(file), None))
    until(lambda: len(decider.presented) >= 3, "all are shown")
    one.stop()
    *factors, button = decider.presented[:3]
    assert [factor_of(presented) for presented in factors] == [(Factor.PIN, "918273"), (Factor.BADGE, "AB918273")]
    assert isinstance(button, RecognitionRequested)
    assert "neither a badge number, a PIN nor 'ask'" in one.text.getvalue()
    assert "918273" not in one.text.getvalue()


def test_a_missing_reader_is_reported_and_retried(tmp_path: Path, recorded: RecordedEvents) -> None:
    stopped = threading.Event()
    FactorInput(str(tmp_path / "none"), Factor.PIN).start(recorded, stopped)
    recorded.wait_for(InputRejected)
    (tmp_path / "none").write_bytes(b"12\n")
    recorded.wait_for(FactorPresented)
    stopped.set()


@dataclass
class Panel(Relay):
    """An output that sends badge numbers of format 26 to a panel."""

    name: str = "panel"
    sent: list[PanelBadge] = field(default_factory=list)

    def send_badge(self, badge: PanelBadge) -> None:
        FORMATS["26"].encode(badge)
        self.sent.append(badge)

    def pass_on(self, number: str) -> None:
        self.send_badge(FORMATS["26"].badge_read(number))


@pytest.mark.parametrize(
    ("badge", "age_s", "sent", "why"),
    [
        (PanelBadge(118, 1603), 0.0, 1, "decision: match"),
        (PanelBadge(118, 1603), 60.0, 0, "too late"),
        (
            PanelBadge(4711, 1603),
            0.0,
            0,
            "rejected: got a facility code that does not fit format 26; expected 0 to 255;",
        ),
        (
            None,
            0.0,
            0,
            "rejected: a person without a badge number for the panel; set it with 'volens consent panel-badge",
        ),
    ],
    ids=["a badge number", "an old frame", "a number of another format", "no number"],
)
def test_a_match_sends_the_badge_number_to_the_panel_once(
    badge: PanelBadge | None, age_s: float, sent: int, why: str
) -> None:
    event = replace(decision_event(age_s=age_s), panel_badge=badge)
    one = watch(FakeDecider([READY, event, event]), relay=(panel := Panel()))
    until(lambda: why in one.text.getvalue() and "repeated" in one.text.getvalue(), "the decision is logged")
    one.stop()
    assert panel.sent == [PanelBadge(118, 1603)] * sent
    assert "4711" not in one.text.getvalue()
    assert "1603" not in one.text.getvalue() + repr(event)


def read(value: str, factor: Factor = Factor.BADGE) -> FactorPresented:
    return FactorPresented(factor, value, time.monotonic())


def test_after_its_lease_a_door_passes_badges_on_and_shows_it_until_it_decides_again() -> None:
    decider = FakeDecider([READY, DeciderLost("x"), BadgesOnly()])
    one = watch(decider, relay=(panel := Panel()))
    until(lambda: "present your badge" in one.text.getvalue(), "the door says what to do")
    for event in (
        read("11801603"),
        read("918273", Factor.PIN),
        RecognitionRequested(time.monotonic()),
        read("99999999"),
    ):
        decider.say(event)
    until(lambda: "nothing was sent to the panel" in one.text.getvalue(), "a wrong number is refused")
    assert panel.sent == [PanelBadge(118, 1603)]
    assert decider.presented == []
    decider.say(READY)
    decider.say(read("11801603"))
    until(lambda: decider.presented, "the decider gets the badge again")
    one.stop()
    assert panel.sent == [PanelBadge(118, 1603)]
    for number in ("1603", "99999", "918273"):
        assert number not in one.text.getvalue()


def test_a_door_without_a_panel_stays_closed_after_its_lease_and_says_so() -> None:
    decider = FakeDecider([READY, DeciderLost("x"), BadgesOnly()])
    one = watch(decider)
    until(lambda: "no output osdp-reader to pass them on; it stays closed" in one.text.getvalue(), "the door says why")
    decider.say(read("11801603"))
    until(lambda: decider.presented, "the badge is for the decider, which drops it")
    one.stop()
    assert "present your badge" not in one.text.getvalue()


def test_the_log_says_what_became_of_a_badge_number_and_of_a_device() -> None:
    events = [CardSent("panel", was_sent=False), DeviceReported("osdp", tampered=True, without_power=True)]
    one = watch(FakeDecider([READY, *events, DeviceReported("osdp", tampered=False, without_power=False)]))
    until(lambda: "power well" in one.text.getvalue(), "the reports are logged")
    one.stop()
    assert "panel: the panel did not fetch the badge number\n" in one.text.getvalue()
    assert "osdp: its case is open and its power failed\n" in one.text.getvalue()
