"""OSDP without encryption: packets against published ones, and an output against a fake peripheral on a pty."""

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
from volens.service.door import Verdict
from volens.service.door.osdp import MAX_ATTEMPTS, OsdpOutput
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
    packet_size,
    parse,
)
from volens.service.door.serial_line import SerialLine


def test_the_crc_has_the_published_check_value() -> None:
    # The check value of CRC-16/SPI-FUJITSU, also called AUG-CCITT, over the digits 1 to 9.
    assert crc(b"123456789") == 0xE5CC


def test_a_poll_is_framed_as_in_the_standard() -> None:
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
def test_a_packet_is_parsed_as_it_was_encoded(
    address: int, sequence: int, code: int, data: bytes, *, is_reply: bool
) -> None:
    packet = Packet(address, sequence, code, data, is_reply)
    assert parse(packet.to_bytes()) == packet


@given(data=st.binary(max_size=60), at=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_packet_with_one_changed_byte_is_refused(data: bytes, at: int, flip: int) -> None:
    changed = bytearray(Packet(5, 1, Command.OUT, data).to_bytes())
    changed[at % len(changed)] ^= flip
    with pytest.raises(PacketError):
        parse(bytes(changed))


@pytest.mark.parametrize(
    "start",
    [
        b"\x54",
        bytes([SOM, 0, 7, 0]),
        bytes([SOM, 0, 0xFF, 0xFF]),
        bytes([SOM, 0]) + (MAX_PACKET_BYTES + 1).to_bytes(2, "little"),
    ],
    ids=["another first byte", "too short", "the largest length", "longer than allowed"],
)
def test_bytes_that_cannot_become_a_packet_are_refused_at_once(start: bytes) -> None:
    with pytest.raises(PacketError):
        packet_size(start)


def test_a_packet_without_crc_or_with_a_security_block_is_refused() -> None:
    whole = bytearray(Packet(0, 1, Reply.ACK, is_reply=True).to_bytes())
    for control in (0x01, HAS_CRC | 0x08 | 1):
        whole[4] = control
        whole[-2:] = crc(bytes(whole[:-2])).to_bytes(2, "little")
        with pytest.raises(PacketError, match="CRC, or a security block"):
            parse(bytes(whole))


def test_output_times_are_tenths_of_seconds_from_one_to_the_maximum() -> None:
    assert output_on_for(3, 5) == bytes([3, 5, 50, 0])
    assert output_on_for(3, 0.001) == bytes([3, 5, 1, 0])
    assert output_on_for(3, 10**6) == bytes([3, 5, 0xFF, 0xFF])


@dataclass
class Peripheral:
    """A fake peripheral: checks CRC and sequence number, records what it executed, and misbehaves on request."""

    device: Path
    controller: int
    address: int = 7
    executed: list[tuple[Command, bytes]] = field(default_factory=list)
    repeated: int = 0
    # Wrong answers, one for each packet; None is silence.
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
        self.executed.append((Command(packet.code), packet.data))
        return self.answer(packet)

    def run(self) -> None:
        got = bytearray()
        while not self.ended.is_set():
            try:
                got += os.read(self.controller, 4096)
            except (BlockingIOError, OSError):
                self.ended.wait(0.005)
                continue
            while (
                (begin := got.find(SOM)) >= 0 and (size := packet_size(bytes(got[begin:]))) and len(got) >= begin + size
            ):
                raw = bytes(got[begin : begin + size])
                del got[: begin + size]
                reply = self.take(raw)
                if reply is not None:
                    with suppress(OSError):
                        os.write(self.controller, reply)

    @property
    def relay(self) -> list[bytes]:
        return [data for command, data in self.executed if command is Command.OUT]


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
    line = lambda: SerialLine(peripheral.device, 9600)  # noqa: E731  a short function
    one = OsdpOutput(line, address=7, relay=2, reader=0)
    yield one
    one.close()


def test_an_opening_is_timed_by_the_peripheral(output: OsdpOutput, peripheral: Peripheral) -> None:
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


def test_sequence_numbers_go_from_three_to_one_and_never_to_zero(output: OsdpOutput, peripheral: Peripheral) -> None:
    for _ in range(8):
        output.poll()
    assert len(peripheral.executed) == 8
    assert peripheral.expected == 2


def test_a_lost_packet_is_repeated_with_its_number_and_executed_once(
    output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.keep_closed()

    def executed_and_lost(packet: Packet) -> None:
        peripheral.obey(packet, packet.to_bytes())

    peripheral.mischief = [lambda _: None, executed_and_lost]
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
def test_a_command_without_a_valid_answer_is_repeated_and_then_fails(
    name: str, output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.keep_closed()
    wrong = WRONG[name]
    peripheral.mischief = [lambda packet: wrong(peripheral, packet)] * MAX_ATTEMPTS
    with pytest.raises(UnavailableError, match="at address 7 does not answer"):
        output.open_for(1)
    output.open_for(2)
    assert peripheral.relay[-1] == bytes([2, 5, 20, 0])


def test_a_busy_reply_and_a_mark_before_a_reply_are_accepted(output: OsdpOutput, peripheral: Peripheral) -> None:
    peripheral.mischief = [
        lambda packet: peripheral.answer(packet, Reply.BUSY, sequence=0),
        lambda packet: b"\xff\xff" + peripheral.obey(packet, packet.to_bytes()),
    ]
    output.open_for(1)
    assert len(peripheral.relay) == 1


def test_a_nak_is_reported_with_its_reason(output: OsdpOutput, peripheral: Peripheral) -> None:
    peripheral.mischief = [lambda packet: peripheral.answer(packet, Reply.NAK, bytes([Nak.SECURITY_REQUIRED]))]
    with pytest.raises(UnavailableError, match=r"refused a command \(security required\); see"):
        output.open_for(1)


def test_a_restarted_peripheral_gets_the_state_of_the_door_again(output: OsdpOutput, peripheral: Peripheral) -> None:
    output.hold_open()
    output.poll()
    peripheral.expected, peripheral.last = 0, b""  # a restart resets them
    with pytest.raises(UnavailableError, match="was restarted"):
        output.poll()
    output.hold_open()
    assert peripheral.relay[-1] == bytes([2, 2, 0, 0])


def test_light_and_sound_commands_stop_after_the_peripheral_refuses_them(
    output: OsdpOutput, peripheral: Peripheral
) -> None:
    output.show(Verdict.MATCH)
    assert [command for command, _ in peripheral.executed] == [Command.LED, Command.BUZ]
    assert peripheral.executed[0][1][:9] == bytes([0, 0, 2, 5, 0, 2, 0, 20, 0])

    def unknown(packet: Packet) -> bytes:
        peripheral.obey(packet, packet.to_bytes())
        return peripheral.answer(packet, Reply.NAK, bytes([Nak.UNKNOWN_COMMAND]))

    peripheral.executed.clear()
    peripheral.mischief = [unknown, unknown]
    output.show(Verdict.NO_MATCH)
    output.show(Verdict.NO_MATCH)
    output.open_for(1)
    assert [command for command, _ in peripheral.executed] == [Command.LED, Command.BUZ, Command.OUT]


def test_a_device_that_is_missing_or_not_serial_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="check the device and its permissions"):
        SerialLine(tmp_path / "none", 9600)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="is not a serial device"):
        SerialLine(tmp_path / "file", 9600)
    with pytest.raises(InputError, match="expected one of 9600"):
        SerialLine(tmp_path / "none", 1234)


def test_a_device_that_does_not_accept_data_is_an_error(peripheral: Peripheral) -> None:
    peripheral.ended.set()
    time.sleep(0.05)
    line = SerialLine(peripheral.device, 9600)
    with pytest.raises(UnavailableError, match="does not accept data"):
        line.write(bytes(1 << 20), 0.1)
    line.close()
