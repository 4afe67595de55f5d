"""`volens door` as a command: errors, configuration, the site on this machine, signals, and a kill."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import osdp_sys
import pytest
from broker import LoopbackBroker, loopback_broker, subscriber
from command_line import run
from declared_gates import open_gates
from fake_service import MATCH, TOKEN, fake_service
from osdp_bus import ADDRESS, Cable, LibraryDevice, LibraryPanel
from patience import PATIENCE_S
from rich.console import Console

from benchmarks.group_photo import six_people_photo
from tests.doors.conftest import RecordedEvents, until
from tests.doors.test_osdp import bus, device, key_file, relay_commands
from tests.service.conftest import jpeg
from volens import Site, SubjectKey
from volens.consent import InputError, ShownFactor, UnavailableError
from volens.consent.panel_badge import PanelBadge
from volens.face import ImageError, RgbImage
from volens.identify import DoorStream, Identification
from volens.service import samples
from volens.service.door import (
    DeciderLost,
    DeciderReady,
    DecisionReceived,
    DoorConfig,
    DoorLog,
    Factor,
    FactorPresented,
    Frame,
    FrameProcessed,
    FrameQueue,
    InputRejected,
    Limits,
    Verdict,
    osdp_reader,
)
from volens.service.door.decider import LocalDecider
from volens.service.door.door_assembly import DoorPlan
from volens.service.door.wiegand import FORMATS
from volens.service.sample_notice import publish_sample_notice
from volens.store.programs.credentials import CredentialToken

__all__ = ["bus", "device", "key_file"]

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-c", "from volens.program import main; main()", "door", "run"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site with one person."""
    home = tmp_path_factory.mktemp("doors") / "site"
    with Site.create(home, name="Example Ltd", contact="privacy@example.org") as site:
        terms = {"justification": "a", "alternative": "b", "trigger": "passing"}
        site.add_zone("lobby", custody="operator", retention_days=30, **terms)
        open_gates(site, "lobby")
        notice = publish_sample_notice(site, "lobby")
        key = SubjectKey.from_seed(os.urandom(32))
        receipt = site.give_consent(notice, name="Ada Canary", jurisdiction="FR", key=key).to_json()
        site.enroll(receipt, samples.views(samples.astronaut(), 3))
    return home


def ada() -> RgbImage:
    return samples.views(samples.astronaut(), 4)[3]


USAGE: dict[str, tuple[list[str], int, str]] = {
    "no source": (["--zone", "lobby"], 2, "got no source of frames, or several"),
    "two sources": (["--zone", "lobby", "--camera", "0", "--video", "a"], 2, "or several"),
    "no zone": (["--camera", "0"], 2, "got no zone"),
    "an invalid zone name": (["--zone", "../x", "--camera", "0"], 2, "expected 1 to 63 characters"),
    "a service without a token": (["--zone", "a", "--camera", "0", "--url", "https://x"], 2, "--url and --token"),
    "a token in the clear": (
        ["--zone", "a", "--camera", "0", "--url", "http://x", "--token", "t"],
        2,
        "reveal the token",
    ),
    "no such folder": (["--zone", "a", "--folder", "none"], 2, "check --folder"),
    "--consume without --folder": (["--zone", "a", "--camera", "0", "--consume"], 2, "--consume without --folder"),
    "a door that never closes": (["--zone", "a", "--camera", "0", "--open-s", "1e9"], 2, "expected 0.1 to 600"),
    "neither secure nor safe": (["--zone", "a", "--camera", "0", "--when-offline", "open"], 2, "'secure' or 'safe'"),
    "an invalid output": (["--zone", "a", "--camera", "0", "--output", "gpio:1"], 2, "expected console, file"),
    "one device twice": (
        ["--zone", "a", "--camera", "0", *["--output", "osdp:/dev/x?in_clear=yes"] * 2],
        2,
        "an OSDP line has one device",
    ),
    "a broker in the clear": (["--zone", "a", "--camera", "0", "--mqtt", "mqtt://b"], 2, "--mqtt-in-clear"),
    "a broker's user without one": (["--zone", "a", "--camera", "0", "--mqtt-user", "b"], 2, "without --mqtt"),
    "a factor kind without an input": (
        ["--zone", "a", "--camera", "0", "--factor-input-kind", "pin"],
        2,
        "without --factor-input",
    ),
    "a password in an address": (["--zone", "a", "--rtsp", "rtsp://a:Canary@b/c"], 2, "--rtsp-password-file"),
    "a region outside the frame": (["--zone", "a", "--camera", "0", "--region", "0,0,1.2,1"], 2, "each from 0 to 1"),
    "a reversed region": (["--zone", "a", "--camera", "0", "--region", "0.9,0,0.1,1"], 2, "left less than right"),
    "a region of no numbers": (["--zone", "a", "--camera", "0", "--region", "nan,0,1,1"], 2, "got region nan,0,1,1"),
    "a region of three": (["--zone", "a", "--camera", "0", "--region", "0,0,1"], 2, "expected four numbers"),
    "a negative dwell": (["--zone", "a", "--camera", "0", "--dwell=-1"], 2, "got a dwell of -1 s"),
    "a face as near as nothing": (["--zone", "a", "--camera", "0", "--near", "nan"], 2, "change --near"),
    "no such zone": (["--zone", "nowhere", "--folder", "."], 2, "nowhere"),
}


@pytest.mark.parametrize("name", USAGE)
def test_door_run_fails_with_a_one_line_error_for(
    name: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, code, why = USAGE[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t").write_text(TOKEN)
    (tmp_path / "t").chmod(0o600)
    monkeypatch.setenv("VOLENS_HOME", str(home))
    with kept_handlers():
        assert run(["door", "run", *arguments]) == code
    output = capsys.readouterr().err
    assert why in output
    assert "Canary" not in output
    assert len(output.splitlines()) == 1


@contextmanager
def kept_handlers() -> Iterator[None]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def test_the_environment_overrides_the_file_and_the_command_line_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "door.toml"
    file.write_text('zone = "lobby"\ncamera = 1\nopen_s = 3\noutput = ["console", "file:/tmp/door"]\n')
    monkeypatch.setenv("VOLENS_DOOR_OPEN_S", "4")
    assert run(["door", "check", str(file), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["zone"], output["camera"], output["open_s"], len(output["output"])) == ("lobby", 1, 4.0, 2)
    with kept_handlers():
        assert run(["door", "run", "--config", str(file), "--open-s", "1000"]) == 2
    assert "got an opening time of 1000.0 s" in capsys.readouterr().err
    monkeypatch.setenv("VOLENS_DOOR_COLOUR", "red")
    file.write_text('camera = "first"\nflavour = 1\n')
    assert run(["door", "check", str(file)]) == 2
    output = capsys.readouterr().err
    assert all(one in output for one in ("DOOR_COLOUR, which is not a setting", "camera: ", "no setting 'flavour'"))


def test_the_example_shows_each_way_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["door", "example"]) == 0
    text = capsys.readouterr().out
    assert all(f"{name} = " in text for name in ("near", "region", "dwell", "ask_timeout"))
    assert all(one in text for one in ("badge:NUMBER", "pin:DIGITS", "ask (a button)", "QR codes"))


def test_the_example_lists_every_setting_with_its_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["door", "example"]) == 0
    text = capsys.readouterr().out
    assert set(re.findall(r"^(?:# )?([a-z_]+) =", text, flags=re.MULTILINE)) == set(DoorConfig.model_fields)
    file = tmp_path / "door.toml"
    file.write_text(text + 'zone = "lobby"\ncamera = 0\n')
    assert run(["door", "check", str(file), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert {name: output[name] for name in ("zone", "camera")} == {"zone": "lobby", "camera": 0}
    assert DoorConfig(**output | {"zone": None, "camera": None}) == DoorConfig()


def test_a_person_walking_through_a_video_opens_the_door_once(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "walk.avi"
    frame = np.zeros((600, 600, 3), dtype=np.uint8)
    person = ada().pixels[:400, :400, ::-1]
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (600, 600))
    for number in range(30):
        frame[:] = 0
        frame[40 + number : 40 + number + person.shape[0], 3 * number : 3 * number + person.shape[1]] = person
        writer.write(frame)
    writer.release()
    there = ["--home", str(home)]
    wanted = ["--url", "http://127.0.0.1:9/", "--allow-private", "--event", "door.decision"]
    assert run(["recipient", "add", "panels", "--zone", "lobby", *there, "--yes"]) == 0
    assert run(["webhook", "add", "panels", "--zone", "lobby", *wanted, "--out", str(tmp_path / "secret"), *there]) == 0
    capsys.readouterr()
    with kept_handlers():
        arguments = ["--video", str(file), "--open-s", "0.2", "--json", *there]
        assert run(["door", "run", "--zone", "lobby", *arguments]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["decision"] for line in lines if line["event"] == "decision"] == ["match"]
    assert [line["lock"] for line in lines if line["event"] == "output"][:3] == ["locked", "unlocked", "locked"]
    assert run(["webhook", "outbox", *there]) == 0
    assert capsys.readouterr().out.count("door.decision") == 1  # recipients get the same webhook as from a service


def test_photos_of_a_folder_are_processed_independently(home: Path, recorded: RecordedEvents) -> None:
    group = six_people_photo()
    with Site.open(home) as site:
        decide(LocalDecider(site, "lobby", photos=True), recorded, [group, ada(), group, ada()])
    processed = [(one.faces, one.matches) for one in recorded.of(FrameProcessed) if isinstance(one, FrameProcessed)]
    assert processed == [(6, 0), (1, 1), (6, 0), (1, 1)]
    # Ada appears twice within ten seconds, which is one visit.
    decision = [one.verdict for one in recorded.of(DecisionReceived) if isinstance(one, DecisionReceived)]
    assert decision.count(Verdict.MATCH) == 1


def test_a_zone_with_a_pin_does_not_open_without_a_pin_or_with_an_old_one(home: Path, recorded: RecordedEvents) -> None:
    with Site.open(home) as site:
        site.add_zone(
            "vault",
            custody="operator",
            justification="a",
            alternative="b",
            retention_days=30,
            second_factor="pin",
            trigger="near",
        )
        open_gates(site, "vault")
        publish_sample_notice(site, "vault", more="We look, and ask for a PIN.")
        key = SubjectKey.from_seed(bytes([9] * 32))
        given = site.give_consent(site.notice("vault"), name="Ada", jurisdiction="FR", key=key)
        site.enroll(given.to_json(), samples.views(ada(), 3))
        site.factors.set(given.receipt.claims.receipt_id, ShownFactor.pin("918273"))
        decider = LocalDecider(site, "vault", photos=True)

        decider.present(FactorPresented(Factor.PIN, "918273", time.monotonic() - 60))
        decide(decider, recorded, [ada()])
        decider.present(FactorPresented(Factor.PIN, "12", time.monotonic()))
        decide(decider, recorded, [ada()])
        decider.present(FactorPresented(Factor.PIN, "918273", time.monotonic()))
        decide(decider, recorded, [ada()])

    (first, *_) = (one for one in recorded.of(DeciderReady) if isinstance(one, DeciderReady))
    assert first.second_factor is Factor.PIN
    decision = [one for one in recorded.of(DecisionReceived) if isinstance(one, DecisionReceived)]
    assert {one.verdict for one in decision[:-1]} == {Verdict.FACTOR_REQUIRED}
    assert [one.subject_id for one in decision[:-1]] == [None] * (len(decision) - 1)
    assert (decision[-1].verdict, decision[-1].subject_id) == (Verdict.MATCH, given.receipt.claims.subject_id)
    output = [one for one in recorded.of(InputRejected) if isinstance(one, InputRejected)]
    assert len(output) == 1
    assert "918273" not in repr(recorded.events)


def test_a_match_sends_the_number_of_the_person_to_the_panel(
    home: Path,
    photos: Path,
    bus: Cable,
    key_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(osdp_reader, "CARD_VALID_S", PATIENCE_S)  # the machine may be busy
    badge = PanelBadge(118, 1603)
    output = f"osdp-reader:{bus.device}?address={ADDRESS}&key={key_file}"
    config = DoorConfig(zone="lobby", folder=photos, max_age_s=600, output=[output])
    panel = LibraryPanel(bus.panel)
    text = StringIO()
    with Site.open(home) as site:
        (receipt_id,) = site.receipts_of("Ada Canary")
        site.panel_badges.set(receipt_id, badge)
        with DoorLog(Console(file=text, width=200), Console(file=StringIO()), as_json=True) as log:
            watched = DoorPlan.of(config).build(log, Limits(max_age_s=600), site, lambda: site.extractor)
            thread = threading.Thread(target=watched.run)
            thread.start()
            card = panel.events.wait_for(event=osdp_sys.EVENT_CARDREAD)[0]
            until(lambda: '"sent": true' in text.getvalue(), "the door logs the card")
            watched.stop()
            thread.join(PATIENCE_S)
    panel.link.close()
    assert (card["length"], card["data"]) == (26, FORMATS["26"].encode(badge).data)
    assert "1603" not in text.getvalue() + "".join(capfd.readouterr())


def test_a_reader_of_a_panel_needs_the_site_on_its_machine(key_file: Path, token: Path, photos: Path) -> None:
    output = f"osdp-reader:/dev/ttyUSB9?key={key_file}"
    config = DoorConfig(zone="lobby", folder=photos, url="https://volens.example", token=token, output=[output])
    with pytest.raises(InputError, match=r"got an osdp-reader with --url; .* run this door there"):
        DoorPlan.of(config)


def test_a_door_with_leases_passes_badges_on_beside_an_output_that_opens(
    home: Path, key_file: Path, token: Path, photos: Path, tmp_path: Path
) -> None:
    reader = f"osdp-reader:/dev/ttyUSB9?key={key_file}"
    token.write_text(CredentialToken.generate(os.urandom).reveal())
    given: dict[str, Any] = {"zone": "lobby", "folder": photos, "url": "https://volens.example", "token": token}
    given |= {"lease": True, "site_key": home / "site.pub", "lease_journal": tmp_path / "journal"}
    assert DoorPlan.of(DoorConfig(**given, output=["console", reader])).leases is not None
    with pytest.raises(InputError, match="got no output that opens this door"):
        DoorPlan.of(DoorConfig(**given, output=[reader]))


def decide(decider: LocalDecider, recorded: RecordedEvents, images: list[RgbImage]) -> None:
    """Let a decider process independent photos."""
    frames = FrameQueue()
    thread = threading.Thread(target=decider.decide, args=(frames, recorded))
    thread.start()
    for number, image in enumerate(images):
        frame = Frame(image, float(number))
        frames.put(frame)
        assert frame.wait_done(PATIENCE_S)
    frames.close()
    thread.join(PATIENCE_S)


def test_a_busy_store_and_an_invalid_frame_do_not_end_the_door(
    home: Path, recorded: RecordedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = DoorStream.look
    errors: list[Exception] = [UnavailableError("the store is locked"), ImageError("it is too small")]

    def look(stream: DoorStream, image: RgbImage, at_s: float) -> Identification:
        if errors:
            raise errors.pop(0)
        return original(stream, image, at_s)

    monkeypatch.setattr(DoorStream, "look", look)
    with Site.open(home) as site:
        decider, frames = LocalDecider(site, "lobby"), FrameQueue()
        thread = threading.Thread(target=decider.decide, args=(frames, recorded))
        thread.start()
        for number in range(3):
            frames.put(frame := Frame(ada(), number / 5))
            assert frame.wait_done(PATIENCE_S)
        frames.close()
        thread.join(PATIENCE_S)
    assert [type(event) for event in recorded.events] == [
        DeciderReady,
        DeciderLost,
        InputRejected,
        DeciderReady,
        FrameProcessed,
        DecisionReceived,
        FrameProcessed,
    ]


@contextmanager
def door(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    with subprocess.Popen(
        [*COMMAND, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def broker() -> Iterator[LoopbackBroker]:
    with loopback_broker() as one:
        yield one


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.jpg").write_bytes(jpeg(samples.astronaut()))
    return tmp_path / "in"


def test_a_killed_door_leaves_a_last_will_and_an_opening_that_ends(
    broker: LoopbackBroker,
    photos: Path,
    tmp_path: Path,
    token: Path,
    bus: Cable,
    device: LibraryDevice,
    key_file: Path,
) -> None:
    state, relay = tmp_path / "state", f"osdp:{bus.panel}?address={ADDRESS}&relay=2&key={key_file}"
    with fake_service() as service, subscriber(broker.port) as panel:
        arguments = ["--zone", "lobby", "--folder", str(photos), "--url", service.url, "--token", str(token)]
        arguments += ["--output", f"file:{state}", "--output", relay, "--mqtt", broker.url, "--open-s", "60"]
        with door(*arguments) as process:
            panel.wait_for("/lobby/door/availability", payload="online")
            panel.wait_for("/lobby/door/decision")
            until(lambda: state.exists() and json.loads(state.read_text())["lock"] == "unlocked", "the door opened")
            until(lambda: relay_commands(device)[-1:] and relay_commands(device)[-1][:2] == (2, 5), "the relay opened")
            process.kill()
            process.wait(PATIENCE_S)
        panel.wait_for("/lobby/door/availability", payload="offline")
    # No program closes the door now: the readers of the file and of the broker close at `until`.
    left = panel.documents("/state")[-1]
    until_s = datetime.fromisoformat(left["until"]) - datetime.fromisoformat(left["at"])
    assert left["lock"] == "unlocked"
    assert timedelta(seconds=58) < until_s <= timedelta(seconds=60)
    assert json.loads(state.read_text())["until"] is not None
    # The relay was only switched on for a time, after which it switches off by itself. Before that it was closed, if
    # the device was heard by then.
    *closed, opened = relay_commands(device)
    assert {one for one in closed if one[1] != 5} <= {(2, 1, 0)}
    assert all(0 < timed[2] <= 255 for timed in [*closed, opened] if timed[1] == 5)
    assert opened[:2] == (2, 5)
    recorded = str(panel.heard)
    assert MATCH["subject_id"] not in recorded
    assert "0.71" not in recorded
    assert TOKEN not in recorded
    assert TOKEN not in (process.stdout.read() if process.stdout and not process.stdout.closed else "")


@pytest.mark.parametrize(
    ("number", "when_offline", "left"),
    [(signal.SIGTERM, "secure", "locked"), (signal.SIGINT, "safe", "held_open")],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_stopped_door_publishes_offline_and_is_left_in_its_offline_state(
    number: signal.Signals,
    when_offline: str,
    left: str,
    broker: LoopbackBroker,
    photos: Path,
    tmp_path: Path,
    token: Path,
) -> None:
    state, name = tmp_path / "state", f"{when_offline}-{number.name.lower()}"
    with fake_service() as service, subscriber(broker.port, f"volens/lobby/{name}/#") as panel:
        arguments = ["--zone", "lobby", "--folder", str(photos), "--url", service.url, "--token", str(token)]
        arguments += ["--door", name, "--when-offline", when_offline, "--mqtt-subject-ids", "--open-s", "60"]
        with door(*arguments, "--output", f"file:{state}", "--mqtt", broker.url, "--json") as process:
            panel.wait_for("/decision")
            panel.wait_for("/state", 2)
            process.send_signal(number)
            out, _ = process.communicate(timeout=PATIENCE_S)
            assert process.returncode == 0, out
        panel.wait_for("/availability", payload="offline")
    assert json.loads(state.read_text())["lock"] == left
    assert panel.documents("/state")[-1]["lock"] == left
    assert panel.documents("/decision")[0]["subject_id"] == MATCH["subject_id"]  # the option is set
    assert MATCH["subject_id"] not in out
    assert TOKEN not in out


def test_a_refused_credential_ends_the_command_with_code_1(
    photos: Path, token: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with fake_service(refuse=[(401, {})]) as service, kept_handlers():
        arguments = ["--zone", "lobby", "--folder", str(photos), "--url", service.url, "--token", str(token)]
        assert run(["door", "run", *arguments]) == 1
    output = capsys.readouterr().err
    assert "refuses this door's credential (401)" in output
    assert TOKEN not in output
