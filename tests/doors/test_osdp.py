"""OSDP in the clear: packets beside published ones, and an output beside a peripheral of our own on a pty."""

import os
import threading
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from volens.consent import InputError, UnavailableError
from volens.service.door.door_events import Verdict
from volens.service.door.osdp import TRIES, OsdpOutput
from volens.service.door.osdp_packets import (
    HAS_CRC,
    MAX_PACKET_BYTES,
    SOM,
    Command,
    Nak,
    Packet,
    PacketError,
    Reply,
    crc,
    output_on_for,
    parse,
    size_of,
)
from volens.service.door.serial_line import SerialLine


def test_the_crc_is_the_one_of_the_catalogue() -> None:
    # The check value of CRC-16/SPI-FUJITSU, also called AUG-CCITT, over the digits 1 to 9.
    assert crc(b"123456789") == 0xE5CC


def test_a_poll_is_framed_as_the_standard_frames_it() -> None:
    data = Packet(address=0, sequence=0, code=Command.POLL).to_bytes()
    assert data[:-2] == bytes([0x53, 0x00, 0x08, 0x00, 0x04, 0x60])
    assert data[-2:] == crc(data[:-2]).to_bytes(2, "little")


@given(
    address=st.integers(0, 0x7F),
    sequence=st.integers(0, 3),
    code=st.integers(0, 255),
    data=st.binary(max_size=200),
    is_reply=st.booleans(),
)
def test_a_packet_is_read_as_it_was_written(
    address: int, sequence: int, code: int, data: bytes, *, is_reply: bool
) -> None:
    packet = Packet(address, sequence, code, data, is_reply)
    assert parse(packet.to_bytes()) == packet


@given(data=st.binary(max_size=60), at=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_packet_with_one_byte_changed_is_none(data: bytes, at: int, flip: int) -> None:
    changed = bytearray(Packet(5, 1, Command.OUT, data).to_bytes())
    changed[at % len(changed)] ^= flip
    with pytest.raises(PacketError):
        parse(bytes(changed))


@pytest.mark.parametrize(
    "begun",
    [
        b"\x54",
        bytes([SOM, 0, 7, 0]),
        bytes([SOM, 0, 0xFF, 0xFF]),
        bytes([SOM, 0]) + (MAX_PACKET_BYTES + 1).to_bytes(2, "little"),
    ],
    ids=["another first byte", "too short", "as long as can be said", "longer than allowed"],
)
def test_what_cannot_become_a_packet_is_not_waited_for(begun: bytes) -> None:
    with pytest.raises(PacketError):
        size_of(begun)


def test_a_packet_without_crc_or_with_a_security_block_is_refused() -> None:
    whole = bytearray(Packet(0, 1, Reply.ACK, is_reply=True).to_bytes())
    for control in (0x01, HAS_CRC | 0x08 | 1):
        whole[4] = control
        whole[-2:] = crc(bytes(whole[:-2])).to_bytes(2, "little")
        with pytest.raises(PacketError, match="CRC, or a security block"):
            parse(bytes(whole))


def test_times_of_an_output_are_tenths_of_seconds_and_never_none_nor_more_than_there_is_room_for() -> None:
    assert output_on_for(3, 5) == bytes([3, 5, 50, 0])
    assert output_on_for(3, 0.001) == bytes([3, 5, 1, 0])
    assert output_on_for(3, 10**6) == bytes([3, 5, 0xFF, 0xFF])


@dataclass
class Peripheral:
    """A peripheral: checks every CRC and number, keeps what it carried out, and misbehaves when told to."""

    device: Path
    controller: int
    address: int = 7
    carried_out: list[tuple[Command, bytes]] = field(default_factory=list)
    repeated: int = 0
    # What to answer instead of the truth, one for each packet; None is silence.
    mischief: list[Callable[[Packet], bytes | None]] = field(default_factory=list)
    expected: int = 0
    last: bytes = b""
    ended: threading.Event = field(default_factory=threading.Event)

    def answer(self, packet: Packet, code: int = Reply.ACK, data: bytes = b"", **changed: int) -> bytes:
        address, sequence = changed.get("address", self.address), changed.get("sequence", packet.sequence)
        return Packet(address, sequence, code, data, is_reply=True).to_bytes()

    def take(self, raw: bytes) -> bytes | None:
        packet = parse(raw)
        assert packet.address == self.address
        assert not packet.is_reply
        if self.mischief:
            return self.mischief.pop(0)(packet)
        return self.obey(packet, raw)

    def obey(self, packet: Packet, raw: bytes) -> bytes:
        if packet.sequence == 0:
            self.expected = 0
        elif raw == self.last:
            self.repeated += 1
            return self.answer(packet)
        if packet.sequence != self.expected:
            return self.answer(packet, Reply.NAK, bytes([Nak.BAD_SEQUENCE]))
        self.expected, self.last = self.expected % 3 + 1, raw
        self.carried_out.append((Command(packet.code), packet.data))
        return self.answer(packet)

    def run(self) -> None:
        got = bytearray()
        while not self.ended.is_set():
            try:
                got += os.read(self.controller, 4096)
            except (BlockingIOError, OSError):
                self.ended.wait(0.005)
                continue
            while (begin := got.find(SOM)) >= 0 and (size := size_of(bytes(got[begin:]))) and len(got) >= begin + size:
                raw = bytes(got[begin : begin + size])
                del got[: begin + size]
                said = self.take(raw)
                if said is not None:
                    with suppress(OSError):
                        os.write(self.controller, said)

    @property
    def relay(self) -> list[bytes]:
        return [data for command, data in self.carried_out if command is Command.OUT]


@pytest.fixture
def peripheral() -> Iterator[Peripheral]:
    controller, device = os.openpty()
    tty.setraw(device)
    os.set_blocking(controller, False)
    one = Peripheral(Path(os.ttyname(device)), controller)
    thread = threading.Thread(target=one.run)
    thread.start()
    yield one
    one.ended.set()
    thread.join()
    for descriptor in (controller, device):
        os.close(descriptor)


@pytest.fixture
def output(peripheral: Peripheral) -> Iterator[OsdpOutput]:
    line = lambda: SerialLine(peripheral.device, 9600)  # noqa: E731  one line is what it is
    one = OsdpOutput(line, address=7, relay=2, reader=0)
    yield one
    one.close()


def test_an_opening_is_timed_by_the_peripheral_itself(output: OsdpOutput, peripheral: Peripheral) -> None:
    output.keep_closed()
    output.open_for(5)
    output.keep_closed()
    output.hold_open()
    assert peripheral.relay == [
        bytes([2, 1, 0, 0]),
        bytes([2, 5, 50, 0]),
        bytes([2, 1, 0, 0]),
        bytes([2, 2, 0, 0]),
    ]


def test_numbers_go_round_and_never_back_to_zero(output: OsdpOutput, peripheral: Peripheral) -> None:
    for _ in range(8):
        output.tend()
    assert len(peripheral.carried_out) == 8
    assert peripheral.expected == 2


def test_a_packet_that_was_lost_is_sent_again_with_its_number_and_carried_out_once(
    output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.keep_closed()

    def obeyed_and_lost(packet: Packet) -> None:
        peripheral.obey(packet, packet.to_bytes())

    peripheral.mischief = [lambda _: None, obeyed_and_lost]
    output.open_for(1)
    assert len(peripheral.relay) == 2
    assert peripheral.repeated == 1


WRONG: dict[str, Callable[[Peripheral, Packet], bytes | None]] = {
    "nothing": lambda _, __: None,
    "noise": lambda _, __: b"\x00\x53noise",
    "half a packet": lambda one, packet: one.answer(packet)[:-3],
    "a broken CRC": lambda one, packet: one.answer(packet)[:-1] + b"\x00",
    "the answer to an earlier command": lambda one, packet: one.answer(packet, sequence=(packet.sequence + 1) % 4),
    "the answer of another peripheral": lambda one, packet: one.answer(packet, address=8),
    "its own command": lambda _, packet: packet.to_bytes(),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_answer_is_asked_for_again_until_the_output_is_told_to_be_gone(
    name: str, output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.keep_closed()
    wrong = WRONG[name]
    peripheral.mischief = [lambda packet: wrong(peripheral, packet)] * TRIES
    with pytest.raises(UnavailableError, match="at address 7 does not answer"):
        output.open_for(1)
    output.open_for(2)
    assert peripheral.relay[-1] == bytes([2, 5, 20, 0])


def test_a_mark_before_an_answer_and_a_peripheral_that_is_busy_are_waited_for(
    output: OsdpOutput, peripheral: Peripheral
) -> None:
    peripheral.mischief = [
        lambda packet: peripheral.answer(packet, Reply.BUSY, sequence=0),
        lambda packet: b"\xff\xff" + peripheral.obey(packet, packet.to_bytes()),
    ]
    output.open_for(1)
    assert len(peripheral.relay) == 1


def test_a_refusal_is_told_with_its_reason(output: OsdpOutput, peripheral: Peripheral) -> None:
    peripheral.mischief = [lambda packet: peripheral.answer(packet, Reply.NAK, bytes([Nak.SECURITY_REQUIRED]))]
    with pytest.raises(UnavailableError, match=r"refuses a command \(security required\); see"):
        output.open_for(1)


def test_a_peripheral_that_had_no_power_is_told_again_how_the_door_stands(
    output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.hold_open()
    output.tend()
    peripheral.expected, peripheral.last = 0, b""  # what a restart forgets
    with pytest.raises(UnavailableError, match="began anew"):
        output.tend()
    output.hold_open()
    assert peripheral.relay[-1] == bytes([2, 2, 0, 0])


def test_light_and_sound_are_shown_and_a_peripheral_without_them_is_asked_once(
    output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.show(Verdict.MATCH)
    assert [command for command, _ in peripheral.carried_out] == [Command.LED, Command.BUZ]
    assert peripheral.carried_out[0][1][:9] == bytes([0, 0, 2, 5, 0, 2, 0, 20, 0])

    def unknown(packet: Packet) -> bytes:
        peripheral.obey(packet, packet.to_bytes())
        return peripheral.answer(packet, Reply.NAK, bytes([Nak.UNKNOWN_COMMAND]))

    peripheral.carried_out.clear()
    peripheral.mischief = [unknown, unknown]
    output.show(Verdict.NO_MATCH)
    output.show(Verdict.NO_MATCH)
    output.open_for(1)
    assert [command for command, _ in peripheral.carried_out] == [Command.LED, Command.BUZ, Command.OUT]


def test_a_device_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="check the device and its rights"):
        SerialLine(tmp_path / "none", 9600)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="is no serial device"):
        SerialLine(tmp_path / "file", 9600)
    with pytest.raises(InputError, match="expected one of 9600"):
        SerialLine(tmp_path / "none", 1234)


def test_a_device_that_takes_nothing_is_told_of(peripheral: Peripheral) -> None:
    peripheral.ended.set()
    time.sleep(0.05)
    line = SerialLine(peripheral.device, 9600)
    with pytest.raises(UnavailableError, match="takes nothing"):
        line.write(bytes(1 << 20), 0.1)
    line.close()
