"""The channel below the OSDP library: what it learns from the packets, and a line that fails."""

from dataclasses import dataclass, field

import pytest

from volens.consent import UnavailableError
from volens.service.door.osdp_channel import RAW, LineChannel, code_of

POLL, ACK = 0x60, 0x40


def packet(address: int, sequence: int, code: int, *, secure: bool = False) -> bytes:
    """Return a packet with a wrong check sum: the channel leaves that to the library."""
    block = b"\x02\x15" if secure else b""
    body = bytes([0x04 | sequence | (0x08 if secure else 0)]) + block + bytes([code]) + b"\xca\xfe"
    return bytes([0x53, address]) + (len(body) + 4).to_bytes(2, "little") + body


@dataclass
class FakeLine:
    arrives: list[bytes] = field(default_factory=list)
    written: bytearray = field(default_factory=bytearray)
    fails: bool = False

    def wait(self, timeout_s: float) -> None:
        pass

    def write(self, data: bytes, timeout_s: float) -> None:  # noqa: ARG002  as the Protocol
        self._check()
        self.written += data

    def read(self, limit: int, timeout_s: float) -> bytes:  # noqa: ARG002  as the Protocol
        self._check()
        return self.arrives.pop(0) if self.arrives else b""

    def discard_input(self) -> None:
        self._check()

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.fails:
            raise UnavailableError("the serial device was disconnected")


def take(channel: LineChannel, line: FakeLine, *data: bytes) -> None:
    line.arrives += data
    for _ in data:
        channel.read(4096)


@pytest.mark.parametrize("secure", [False, True], ids=["in clear", "in the secure channel"])
@pytest.mark.parametrize(
    ("next_sequence", "fetched"), [(2, True), (1, False), (0, False)], ids=["the next", "the same", "a new session"]
)
def test_a_card_was_fetched_if_the_next_command_has_the_next_number(
    *, next_sequence: int, fetched: bool, secure: bool
) -> None:
    line = FakeLine()
    channel = LineChannel(line, 5)
    take(channel, line, packet(5, 1, POLL, secure=secure))
    assert channel.write(b"\xff" + packet(0x85, 1, RAW, secure=secure)) == len(line.written)
    assert channel.fetched is None
    whole = packet(5, next_sequence, POLL, secure=secure)
    take(channel, line, b"\xff\x00" + whole[:3], whole[3:7])
    assert channel.fetched is None  # half a packet says nothing
    take(channel, line, whole[7:])
    assert channel.fetched is fetched


def test_packets_of_others_and_other_answers_say_nothing_about_a_card() -> None:
    line = FakeLine()
    channel = LineChannel(line, 5)
    take(channel, line, packet(5, 1, POLL))
    channel.write(packet(0x85, 1, ACK))
    take(channel, line, packet(5, 2, POLL))
    assert channel.fetched is None
    channel.write(packet(0x85, 2, RAW))
    take(channel, line, packet(6, 3, POLL) + packet(0x86, 3, ACK) + b"\x53\x05\x01\x00\x00noise\x53\x05\xff\xff\x00")
    assert channel.fetched is None
    take(channel, line, packet(5, 3, POLL))
    assert channel.fetched is True


@pytest.mark.parametrize(
    ("data", "code"),
    [(packet(5, 0, RAW), RAW), (b"\xff" + packet(5, 0, ACK, secure=True), ACK), (b"", None), (b"\x53\x05", None)],
)
def test_the_code_of_a_packet_is_read_with_and_without_a_security_block(data: bytes, code: int | None) -> None:
    assert code_of(data) == code
    assert code_of(b"\x53\x05\xff\xff\x0c\xff\x15") is None  # its security block is longer than the packet


def test_a_line_that_fails_never_raises_into_the_library() -> None:
    line = FakeLine(fails=True)
    for call, failed in (
        (lambda channel: channel.read(10), b""),
        (lambda channel: channel.write(b"x"), 1),
        (lambda channel: channel.flush(), None),
    ):
        channel = LineChannel(line, 5)
        assert call(channel) == failed
        assert str(channel.failure) == "the serial device was disconnected"
        assert (channel.read(10), channel.write(b"x"), channel.flush()) == (b"", 1, None)  # type: ignore[func-returns-value]
