"""OSDP with the real library on both ends of a cable: as the panel of a device, and as the reader of a panel."""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import osdp_sys
import pytest
from osdp_bus import ADDRESS, KEY, Cable, LibraryDevice, LibraryPanel, cable
from patience import PATIENCE_S

from tests.doors.conftest import RecordedEvents, until
from volens.consent import InputError, UnavailableError
from volens.consent.panel_badge import PanelBadge
from volens.service.door import Event, Verdict
from volens.service.door.door_events import CardSent, DeviceReported, Factor, FactorPresented
from volens.service.door.osdp_key import OsdpKey
from volens.service.door.osdp_library import OsdpLibrary
from volens.service.door.osdp_pairing import pair_with_device, pair_with_panel
from volens.service.door.osdp_panel import OsdpOutput
from volens.service.door.osdp_reader import OsdpReader
from volens.service.door.serial_line import SerialLine
from volens.service.door.wiegand import FORMATS

POLL, RAW, ACK = 0x60, 0x50, 0x40
BADGE = PanelBadge(118, 1603)
WIEGAND = {"event": osdp_sys.EVENT_CARDREAD, "reader_no": 0, "direction": 0, "format": osdp_sys.CARD_FMT_RAW_WIEGAND}


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Cable]:
    (tmp_path / "bus").mkdir()
    with cable(tmp_path / "bus") as one:
        yield one


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    OsdpKey(KEY).write(tmp_path / "osdp.key")
    return tmp_path / "osdp.key"


@pytest.fixture
def device(bus: Cable) -> Iterator[LibraryDevice]:
    one = LibraryDevice(bus.device)
    yield one
    one.link.close()


@pytest.fixture
def panel(bus: Cable) -> Iterator[LibraryPanel]:
    one = LibraryPanel(bus.panel)
    yield one
    one.link.close()


@pytest.fixture
def output(bus: Cable, key_file: Path) -> Iterator[OsdpOutput]:
    one = new_output(bus, key_file)
    yield one
    one.close()


@pytest.fixture
def reader(bus: Cable, key_file: Path) -> Iterator[OsdpReader]:
    line = lambda: SerialLine(bus.device, 9600)  # noqa: E731  a short function
    # The time stands still: on a busy machine a badge number would be discarded before the panel fetches it.
    one = OsdpReader(line, address=ADDRESS, key_file=key_file, card_format=FORMATS["26"], clock=lambda: 1000.0)
    yield one
    one.close()


def new_output(bus: Cable, key_file: Path | None, relay: int = 2, **more: object) -> OsdpOutput:
    line = lambda: SerialLine(bus.panel, 9600)  # noqa: E731  a short function
    return OsdpOutput(line, address=ADDRESS, relay=relay, reader=0, key_file=key_file, **more)  # type: ignore[arg-type]


def until_works(call: Callable[[], object]) -> None:
    """Call until it works, as the thread of an output does."""
    last = time.monotonic() + PATIENCE_S
    while True:
        with suppress(UnavailableError):
            call()
            return
        if time.monotonic() > last:
            raise TimeoutError
        time.sleep(0.02)


def until_raised(call: Callable[[], object], why: str) -> str:
    """Call until it raises this error, and return the message."""
    last = time.monotonic() + PATIENCE_S
    while time.monotonic() < last:
        try:
            call()
        except UnavailableError as error:
            if re.search(why, str(error)):
                return str(error)
        time.sleep(0.02)
    raise TimeoutError


def relay_commands(device: LibraryDevice) -> list[tuple[int, int, int]]:
    """Return what the relay did; a command that was repeated, because its answer came late, is one."""
    found = device.commands.of(command=osdp_sys.CMD_OUTPUT)
    return [one for one, _ in groupby((one["output_no"], one["control_code"], one["timer_count"]) for one in found)]


def test_an_opening_is_timed_by_the_device_and_encrypted(bus: Cable, device: LibraryDevice, output: OsdpOutput) -> None:
    until_works(output.keep_closed)
    until_works(lambda: output.open_for(5))
    until_works(output.hold_open)
    assert relay_commands(device) == [(2, 1, 0), (2, 5, 50), (2, 2, 0)]
    assert bytes([2, 5, 50, 0]) not in bytes(bus.recorded)


def test_a_long_opening_is_renewed_while_it_lasts(bus: Cable, device: LibraryDevice, key_file: Path) -> None:
    now = 1000.0
    output = new_output(bus, key_file, clock=lambda: now)
    until_works(lambda: output.open_for(60))
    assert relay_commands(device) == [(2, 5, 255)]
    for passed_s, expected in ((1, []), (15, [(2, 5, 255)]), (40, [(2, 5, 40)]), (10, [])):
        now += passed_s
        device.commands.messages.clear()
        until_works(output.poll)
        assert relay_commands(device) == expected
    output.close()


def test_light_and_sound_are_sent_to_a_device_that_has_them(device: LibraryDevice, output: OsdpOutput) -> None:
    until_works(lambda: output.show(Verdict.MATCH))
    light = device.commands.of(command=osdp_sys.CMD_LED)[-1]
    assert (light["temporary"], light["on_color"], light["timer_count"]) == (True, 2, 20)
    assert {one["rep_count"] for one in device.commands.of(command=osdp_sys.CMD_BUZZER)} == {1}


def test_a_relay_board_without_light_gets_no_light_commands(bus: Cable, output: OsdpOutput) -> None:
    board = LibraryDevice(bus.device, lights=0)
    until_works(lambda: output.show(Verdict.NO_MATCH))
    until_works(output.keep_closed)
    board.link.close()
    assert {one["command"] for one in board.commands.messages} == {osdp_sys.CMD_OUTPUT}


@pytest.mark.usefixtures("device")
def test_a_relay_that_the_device_lacks_is_one_sentence(bus: Cable, key_file: Path) -> None:
    output = new_output(bus, key_file, relay=4)
    until_raised(lambda: output.open_for(1), "got relay=4, but the OSDP device has 4 outputs")
    output.close()


def test_a_device_with_another_key_is_one_sentence(bus: Cable, key_file: Path) -> None:
    stranger, output = LibraryDevice(bus.device, bytes(16)), new_output(bus, key_file, ready_timeout_s=0.05)
    why = until_raised(lambda: output.open_for(1), "answers, but not with the key in")
    assert why.endswith("pair it with 'volens door pair'")
    stranger.link.close()
    output.close()
    assert not stranger.commands.messages
    assert KEY.hex() not in bus.recorded.hex()


def test_a_device_that_never_answers_is_one_sentence(bus: Cable, key_file: Path) -> None:
    output = new_output(bus, key_file, ready_timeout_s=0.1)
    with pytest.raises(UnavailableError, match="at address 5 does not answer; check its power, address"):
        output.open_for(1)
    output.close()


def test_a_command_whose_answer_is_lost_is_done_or_reported(
    bus: Cable, device: LibraryDevice, output: OsdpOutput
) -> None:
    until_works(output.keep_closed)
    lost: list[int | None] = []
    bus.loses = lambda code: not lost and code == ACK and (lost.append(code) or True)  # type: ignore[func-returns-value]
    until_works(lambda: output.open_for(1))
    assert lost == [ACK]
    assert relay_commands(device)[-1] == (2, 5, 10)


def test_a_device_that_lost_power_gets_the_state_of_the_door_again(device: LibraryDevice, output: OsdpOutput) -> None:
    until_works(output.hold_open)
    until_works(output.poll)
    device.restart()
    until_raised(output.poll, "was away or restarted; the state of the door is sent again")
    until_works(output.poll)
    until_works(output.hold_open)
    assert relay_commands(device)[-1] == (2, 2, 0)


def test_an_unplugged_cable_is_reported_and_works_again(bus: Cable, output: OsdpOutput) -> None:
    first = LibraryDevice(bus.device)
    until_works(output.keep_closed)
    bus.unplug()
    until_raised(lambda: output.open_for(1), "disconnected|cannot open")
    first.link.close()
    bus.plug_in()
    second = LibraryDevice(bus.device)
    until_works(output.poll)
    until_works(lambda: output.open_for(1))
    second.link.close()
    assert relay_commands(second)[-1] == (2, 5, 10)


def test_cards_and_pins_become_second_factors_and_tamper_is_reported(device: LibraryDevice, output: OsdpOutput) -> None:
    events = RecordedEvents()
    output.listen(events)
    until_works(output.keep_closed)
    card = FORMATS["26"].encode(BADGE)
    reports: tuple[tuple[type[Event], dict[str, object]], ...] = (
        (FactorPresented, {**WIEGAND, "length": card.length, "data": card.data}),
        (FactorPresented, {"event": osdp_sys.EVENT_KEYPRESS, "reader_no": 0, "data": b"99\x7f4711\r"}),
        (
            DeviceReported,
            {"event": osdp_sys.EVENT_STATUS, "type": osdp_sys.STATUS_REPORT_LOCAL, "report": b"\1\0"},
        ),
    )
    for kind, report in reports:
        before = len(events.of(kind))

        def has_come(kind: type[Event] = kind, before: int = before) -> bool:
            return len(events.of(kind)) > before

        # On a busy machine the answer with the report comes too late, and the device has no second try.
        while not has_come():
            device.event(**report)
            with suppress(AssertionError):
                until(has_come, "the report", 5.0)
    presented = [one for one in events.of(FactorPresented) if isinstance(one, FactorPresented)]
    assert {(one.factor, one.value) for one in presented} == {(Factor.BADGE, "11801603"), (Factor.PIN, "4711")}
    assert "1603" not in repr(presented)
    assert events.of(DeviceReported)[0] == DeviceReported("osdp", tampered=True, without_power=False)


def test_a_device_without_a_key_works_only_in_clear(bus: Cable) -> None:
    board = LibraryDevice(bus.device, None)
    output = new_output(bus, None)
    until_works(lambda: output.open_for(5))
    output.close()
    board.link.close()
    assert relay_commands(board) == [(2, 5, 50)]
    assert bytes([2, 5, 50, 0]) in bytes(bus.recorded)


def test_a_match_sends_the_badge_number_encrypted_to_the_panel(
    bus: Cable, panel: LibraryPanel, reader: OsdpReader
) -> None:
    events = RecordedEvents()
    reader.listen(events)
    until_works(reader.poll)
    reader.send_badge(BADGE)
    card = panel.events.wait_for(event=osdp_sys.EVENT_CARDREAD)[0]
    expected = FORMATS["26"].encode(BADGE)
    assert (card["format"], card["length"], card["data"]) == (WIEGAND["format"], 26, expected.data)
    assert events.wait_for(CardSent) == [CardSent("osdp-reader", was_sent=True)]
    assert expected.data not in bytes(bus.recorded)


def test_a_badge_number_whose_answer_is_lost_is_sent_again(bus: Cable, panel: LibraryPanel, reader: OsdpReader) -> None:
    events = RecordedEvents()
    reader.listen(events)
    until_works(reader.poll)
    lost: list[int | None] = []
    bus.loses = lambda code: not lost and code == RAW and (lost.append(code) or True)  # type: ignore[func-returns-value]
    reader.send_badge(BADGE)
    assert events.wait_for(CardSent) == [CardSent("osdp-reader", was_sent=True)]
    assert lost == [RAW]
    panel.events.wait_for(event=osdp_sys.EVENT_CARDREAD)


def test_a_panel_that_never_polls_is_one_sentence_and_gets_no_late_badge(bus: Cable, key_file: Path) -> None:
    now = 1000.0
    events = RecordedEvents()
    line = lambda: SerialLine(bus.device, 9600)  # noqa: E731  a short function
    reader = OsdpReader(line, address=ADDRESS, key_file=key_file, card_format=FORMATS["26"], clock=lambda: now)
    reader.listen(events)
    with pytest.raises(UnavailableError, match="the panel does not poll the OSDP reader at address 5; check"):
        reader.poll()
    reader.send_badge(BADGE)
    now += 5
    assert events.wait_for(CardSent) == [CardSent("osdp-reader", was_sent=False)]
    late = LibraryPanel(bus.panel)
    until_works(reader.poll)
    late.link.close()
    reader.close()
    assert not late.events.of(event=osdp_sys.EVENT_CARDREAD)


def test_a_panel_with_another_key_is_one_sentence_and_gets_nothing(bus: Cable, reader: OsdpReader) -> None:
    stranger = LibraryPanel(bus.panel, bytes(16))
    reader.send_badge(BADGE)
    until_raised(reader.poll, "polls, but not with the key in")
    stranger.link.close()
    assert not stranger.events.of(event=osdp_sys.EVENT_CARDREAD)
    assert RAW not in bus.packets


def test_a_new_key_of_the_panel_is_in_the_file_and_used(
    bus: Cable, panel: LibraryPanel, reader: OsdpReader, key_file: Path
) -> None:
    until_works(reader.poll)
    new = bytes(range(16))
    panel.command(command=osdp_sys.CMD_KEYSET, type=1, data=new)
    until(lambda: OsdpKey.read(key_file).buffer == new, "the new key is in the file")
    assert key_file.stat().st_mode & 0o777 == 0o600
    panel.link.close()
    later = LibraryPanel(bus.panel, new)
    reader.send_badge(BADGE)
    later.events.wait_for(event=osdp_sys.EVENT_CARDREAD)
    later.link.close()


def test_the_library_takes_no_references_for_commands(panel: LibraryPanel, reader: OsdpReader) -> None:
    until_works(reader.poll)
    before = sys.getrefcount(None)
    for count in range(1, 31):
        panel.command(command=osdp_sys.CMD_BUZZER, reader=0, control_code=2, on_count=1, off_count=1, rep_count=1)
        panel.events.wait_for(count, event=osdp_sys.EVENT_NOTIFICATION, type=0, arg1=1)
    assert sys.getrefcount(None) > before - 20


def test_a_missing_library_is_one_sentence_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "osdp_sys", None)
    with pytest.raises(UnavailableError, match=r"libosdp is not installed; .* pip install 'volens\[osdp\]'"):
        OsdpLibrary()


@pytest.mark.parametrize("text", ["", "xyz", "00" * 15, "00" * 17, "zz" * 16])
def test_a_file_that_is_no_osdp_key_is_refused_without_its_content(text: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError) as caught:
        OsdpKey.read(path)
    assert not text or text not in str(caught.value)


def test_the_public_key_of_install_mode_is_refused_as_a_key(tmp_path: Path) -> None:
    path = tmp_path / "public.key"
    with pytest.raises(InputError, match="key of install mode, which is public"):
        OsdpKey(bytes(range(0x30, 0x40))).write(path)
    path.write_text(bytes(range(0x30, 0x40)).hex())
    path.chmod(0o600)
    with pytest.raises(InputError, match="key of install mode, which is public"):
        OsdpKey.read(path)


def test_a_device_that_is_missing_or_not_serial_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="check the device and its permissions"):
        SerialLine(tmp_path / "none", 9600)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="is not a serial device"):
        SerialLine(tmp_path / "file", 9600)
    with pytest.raises(InputError, match="expected one of 9600"):
        SerialLine(tmp_path / "none", 1234)


def test_a_device_that_does_not_accept_data_is_an_error(bus: Cable) -> None:
    taken = threading.Event()
    bus.loses = lambda _: taken.wait(PATIENCE_S)
    line = SerialLine(bus.device, 9600)
    with pytest.raises(UnavailableError, match="does not accept data"):
        line.write(bytes(1 << 20), 0.1)
    taken.set()
    line.close()


def test_pairing_gives_a_device_in_install_mode_a_key_and_then_refuses(bus: Cable, tmp_path: Path) -> None:
    path = tmp_path / "new.key"
    device = LibraryDevice(bus.device, None)
    pair_with_device(lambda: SerialLine(bus.panel, 9600), ADDRESS, path, PATIENCE_S)
    sent = device.commands.of(command=osdp_sys.CMD_KEYSET)[-1]
    assert OsdpKey.read(path).buffer == sent["data"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.glob("new.key*")] == ["new.key"]
    device.commands.messages.clear()
    with pytest.raises(InputError, match="exists: this device is paired; to pair it again, set the device back"):
        pair_with_device(lambda: SerialLine(bus.panel, 9600), ADDRESS, path, PATIENCE_S)
    assert not device.commands.messages
    output = new_output(bus, path)
    until_works(lambda: output.open_for(1))
    output.close()
    device.link.close()
    assert relay_commands(device) == [(2, 5, 10)]


def test_pairing_takes_the_key_of_a_panel_and_then_refuses(bus: Cable, tmp_path: Path) -> None:
    path = tmp_path / "new.key"
    panel = LibraryPanel(bus.panel, enforce=False)
    pair_with_panel(lambda: SerialLine(bus.device, 9600), ADDRESS, path, PATIENCE_S)
    assert OsdpKey.read(path).buffer == KEY
    with pytest.raises(InputError, match="exists: this device is paired"):
        pair_with_panel(lambda: SerialLine(bus.device, 9600), ADDRESS, path, PATIENCE_S)
    panel.link.close()


def test_a_paired_reader_refuses_the_key_of_install_mode(bus: Cable, reader: OsdpReader) -> None:
    other = LibraryPanel(bus.panel, bytes(16), enforce=False)
    with pytest.raises(UnavailableError, match="does not poll"):
        reader.poll()
    other.events.wait_for(event=osdp_sys.EVENT_NOTIFICATION, type=2)  # it gave up, and went on without
    other.link.close()
    assert not other.events.of(event=osdp_sys.EVENT_NOTIFICATION, type=1, arg0=1)
    assert not other.is_secure.is_set()


@pytest.mark.parametrize(("key", "why"), [(bytes(16), "is not in install mode"), (KEY, None)])
def test_pairing_with_a_device_that_has_a_key_is_one_sentence(
    key: bytes, why: str | None, bus: Cable, tmp_path: Path
) -> None:
    OsdpKey(KEY).write(tmp_path / "new.key.unconfirmed")  # left by a pairing whose last answer was lost
    device = LibraryDevice(bus.device, key)
    line = lambda: SerialLine(bus.panel, 9600)  # noqa: E731  a short function
    if why is None:
        pair_with_device(line, ADDRESS, tmp_path / "new.key", PATIENCE_S)
        assert OsdpKey.read(tmp_path / "new.key").buffer == KEY
    else:
        until_raised(lambda: pair_with_device(line, ADDRESS, tmp_path / "new.key", 0.4), why)
        assert not (tmp_path / "new.key").exists()
    device.link.close()


def test_pairing_without_a_panel_is_one_sentence_and_writes_no_key(bus: Cable, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="the panel of the OSDP reader at address 5 does not answer; check"):
        pair_with_panel(lambda: SerialLine(bus.device, 9600), ADDRESS, tmp_path / "new.key", 0.3)
    assert not list(tmp_path.glob("new.key*"))
