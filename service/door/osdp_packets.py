"""OSDP packets (IEC 60839-11-5) without encryption: framing, CRC, and the commands that a door needs. Pure.

``SOM 0x53 | address | length, 2 bytes, little-endian | control | command or reply | data | CRC, 2 bytes``. The length
counts all bytes from SOM to CRC. Control: bits 0 and 1 are the sequence number, bit 2 marks a CRC, bit 3 marks a
security block. Bit 7 of the address marks a reply.
"""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, final

SOM: Final = 0x53
MARK: Final = 0xFF
REPLY: Final = 0x80
HAS_CRC: Final = 0x04
HAS_SECURITY_BLOCK: Final = 0x08
SEQUENCE: Final = 0x03
MAX_PACKET_BYTES: Final = 1440
_HEADER_BYTES: Final = 5
_CRC_BYTES: Final = 2
_SMALLEST: Final = _HEADER_BYTES + 1 + _CRC_BYTES
_TENTHS: Final = 10


class Command(IntEnum):
    """Commands to a peripheral."""

    POLL = 0x60
    OUT = 0x68
    LED = 0x69
    BUZ = 0x6A


class Reply(IntEnum):
    """Replies that a door distinguishes."""

    ACK = 0x40
    NAK = 0x41
    BUSY = 0x79


class Nak(IntEnum):
    """Reason codes of a NAK."""

    BAD_CRC = 0x01
    BAD_LENGTH = 0x02
    UNKNOWN_COMMAND = 0x03
    BAD_SEQUENCE = 0x04
    SECURITY_NOT_SUPPORTED = 0x05
    SECURITY_REQUIRED = 0x06


class PacketError(ValueError):
    """The bytes are not a valid packet."""


@final
@dataclass(frozen=True, slots=True)
class Packet:
    """One command or reply."""

    address: int
    sequence: int
    code: int
    data: bytes = field(default=b"", repr=False)
    is_reply: bool = False

    def to_bytes(self) -> bytes:
        """Return the packet with its frame and CRC."""
        size = _SMALLEST + len(self.data)
        head = bytes([SOM, self.address | (REPLY if self.is_reply else 0), size & 0xFF, size >> 8])
        body = head + bytes([HAS_CRC | self.sequence, self.code]) + self.data
        return body + crc(body).to_bytes(2, "little")


def crc(data: bytes) -> int:
    """Return the CRC-16 of OSDP (CRC-16/AUG-CCITT: polynomial 0x1021, initial value 0x1D0F)."""
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = ((value << 1) ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def packet_size(start: bytes) -> int | None:
    """Return the length of a packet from its first bytes; None if there are too few bytes.

    Raises:
        PacketError: a packet cannot begin with these bytes.
    """
    if start and start[0] != SOM:
        raise PacketError("it does not begin with SOM")
    if len(start) < 4:  # noqa: PLR2004  the length is in bytes 2 and 3
        return None
    size = int.from_bytes(start[2:4], "little")
    if not _SMALLEST <= size <= MAX_PACKET_BYTES:
        raise PacketError("its length is out of range")
    return size


def parse(data: bytes) -> Packet:
    """Parse one complete packet.

    Raises:
        PacketError: it is malformed, its CRC is wrong, or it has no CRC or a security block.
    """
    if packet_size(data) != len(data):
        raise PacketError("its length differs from the number of bytes")
    control = data[4]
    if not control & HAS_CRC or control & HAS_SECURITY_BLOCK:
        raise PacketError("it has no CRC, or a security block")
    if crc(data[:-2]) != int.from_bytes(data[-2:], "little"):
        raise PacketError("its CRC is wrong")
    return Packet(data[1] & ~REPLY & 0xFF, control & SEQUENCE, data[5], data[6:-2], bool(data[1] & REPLY))


def output_off(relay: int) -> bytes:
    """Return the data of OUT that switches off permanently."""
    return bytes([relay, 0x01, 0, 0])


def output_on(relay: int) -> bytes:
    """Return the data of OUT that switches on permanently."""
    return bytes([relay, 0x02, 0, 0])


def output_on_for(relay: int, seconds: float) -> bytes:
    """Return the data of OUT that switches on for a time; the peripheral switches off by itself."""
    return bytes([relay, 0x05]) + _tenths(seconds).to_bytes(2, "little")


def led(reader: int, colour: int, seconds: float) -> bytes:
    """Return the data of LED that sets a reader's first LED to a colour for a time; after it the LED is red again."""
    temporary = bytes([0x02, 5, 0, colour, 0]) + _tenths(seconds).to_bytes(2, "little")
    return bytes([reader, 0]) + temporary + bytes([0x01, 5, 0, RED, 0])


def beep(reader: int, count: int) -> bytes:
    """Return the data of BUZ that sounds a reader's buzzer `count` times."""
    return bytes([reader, 0x02, 1, 1, count])


RED: Final = 1
GREEN: Final = 2
AMBER: Final = 3


def _tenths(seconds: float) -> int:
    return max(1, min(0xFFFF, round(seconds * _TENTHS)))
