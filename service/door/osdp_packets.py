"""OSDP packets (IEC 60839-11-5), in the clear: framing, CRC, the commands that a door needs. Pure.

``SOM 0x53 | address | length, 2 bytes, little end first | control | command or reply | data | CRC, 2 bytes``. The
length counts everything from SOM to CRC. Control: bits 0 and 1 are the sequence number, bit 2 says that there is a CRC,
bit 3 that there is a security block. Bit 7 of the address says that it is a reply.
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
    """What is sent to a peripheral."""

    POLL = 0x60
    OUT = 0x68
    LED = 0x69
    BUZ = 0x6A


class Reply(IntEnum):
    """What comes back, as far as a door tells them apart."""

    ACK = 0x40
    NAK = 0x41
    BUSY = 0x79


class Nak(IntEnum):
    """Why a peripheral refuses."""

    BAD_CRC = 0x01
    BAD_LENGTH = 0x02
    UNKNOWN_COMMAND = 0x03
    BAD_SEQUENCE = 0x04
    SECURITY_NOT_SUPPORTED = 0x05
    SECURITY_REQUIRED = 0x06


class PacketError(ValueError):
    """Bytes that are no packet."""


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
        """Return it framed."""
        size = _SMALLEST + len(self.data)
        head = bytes([SOM, self.address | (REPLY if self.is_reply else 0), size & 0xFF, size >> 8])
        body = head + bytes([HAS_CRC | self.sequence, self.code]) + self.data
        return body + crc(body).to_bytes(2, "little")


def crc(data: bytes) -> int:
    """Return the CRC-16 that OSDP uses (CRC-16/AUG-CCITT: polynomial 0x1021, beginning with 0x1D0F)."""
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = ((value << 1) ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def size_of(begun: bytes) -> int | None:
    """Return how long a packet is that begins so; None if that is not said yet.

    Raises:
        PacketError: no packet begins so.
    """
    if begun and begun[0] != SOM:
        raise PacketError("it does not begin as a packet")
    if len(begun) < 4:  # noqa: PLR2004  the length is in bytes 2 and 3
        return None
    size = int.from_bytes(begun[2:4], "little")
    if not _SMALLEST <= size <= MAX_PACKET_BYTES:
        raise PacketError("its length is none of a packet")
    return size


def parse(data: bytes) -> Packet:
    """Read one whole packet.

    Raises:
        PacketError: it is none, its CRC does not hold, or it has no CRC or a security block.
    """
    if size_of(data) != len(data):
        raise PacketError("its length is another one")
    control = data[4]
    if not control & HAS_CRC or control & HAS_SECURITY_BLOCK:
        raise PacketError("it has no CRC, or a security block")
    if crc(data[:-2]) != int.from_bytes(data[-2:], "little"):
        raise PacketError("its CRC does not hold")
    return Packet(data[1] & ~REPLY & 0xFF, control & SEQUENCE, data[5], data[6:-2], bool(data[1] & REPLY))


def output_off(relay: int) -> bytes:
    """Return the data of OUT that ends whatever holds: off from now on."""
    return bytes([relay, 0x01, 0, 0])


def output_on(relay: int) -> bytes:
    """Return the data of OUT that switches on from now on."""
    return bytes([relay, 0x02, 0, 0])


def output_on_for(relay: int, seconds: float) -> bytes:
    """Return the data of OUT that switches on for a while; the peripheral switches off by itself."""
    return bytes([relay, 0x05]) + _tenths(seconds).to_bytes(2, "little")


def light(reader: int, colour: int, seconds: float) -> bytes:
    """Return the data of LED that lights a reader's first LED for a while; then it is red again, as always."""
    temporary = bytes([0x02, 5, 0, colour, 0]) + _tenths(seconds).to_bytes(2, "little")
    return bytes([reader, 0]) + temporary + bytes([0x01, 5, 0, RED, 0])


def beep(reader: int, count: int) -> bytes:
    """Return the data of BUZ that sounds a reader's buzzer so often."""
    return bytes([reader, 0x02, 1, 1, count])


RED: Final = 1
GREEN: Final = 2
AMBER: Final = 3


def _tenths(seconds: float) -> int:
    return max(1, min(0xFFFF, round(seconds * _TENTHS)))
