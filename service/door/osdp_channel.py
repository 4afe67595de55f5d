"""OSDP channel: a serial line as `libosdp` uses it. It never raises and never blocks; a failure is kept for the link.

The channel also follows which answer of ours the panel got, because the library does not tell. The control byte and the
code of a packet are readable without a key, also in the secure channel:

1. An answer with the code RAW is a card.
2. The panel got it if its next command has the following sequence number. It repeats the number of a command whose
   answer it did not get, and begins at 0 again after a failure.
"""

from typing import Final, Protocol, final

from volens.consent import UnavailableError

RAW: Final = 0x50
_SOM: Final = 0x53
_SEQUENCE: Final = 0x03
_HAS_SECURITY_BLOCK: Final = 0x08
_HEADER_BYTES: Final = 5
_PACKET_BYTES: Final = range(_HEADER_BYTES + 1, 1441)
_WRITE_TIMEOUT_S: Final = 0.2


class Line(Protocol):
    """A connection that carries bytes."""

    def wait(self, timeout_s: float) -> None:
        """Wait until bytes arrive, or the time is over."""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Write all bytes, or raise UnavailableError."""

    def read(self, limit: int, timeout_s: float) -> bytes:
        """Return the bytes that arrive in time; empty if there are none."""

    def discard_input(self) -> None:
        """Discard unread input, or raise UnavailableError."""

    def close(self) -> None:
        """Close the connection."""


@final
class LineChannel:
    """A line in the form that the library expects.

    Attributes:
        failure: why the line is gone; None while it works.
        received: how many bytes have arrived.
        fetched: True after the panel got the last card, False after it did not, None while neither is known.
    """

    def __init__(self, line: Line, address: int) -> None:
        self.id = 0
        self.failure: UnavailableError | None = None
        self.received = 0
        self.fetched: bool | None = None
        self._line = line
        self._address = address
        self._command = bytearray()
        self._sequence = 0
        self._card_sequence: int | None = None

    def read(self, limit: int, /) -> bytes:
        """Return what has arrived; nothing if the line is gone."""
        if self.failure is not None:
            return b""
        try:
            data = self._line.read(limit, 0.0)
        except UnavailableError as error:
            self.failure = error
            return b""
        self.received += len(data)
        self._follow_command(data)
        return data

    def write(self, data: bytes, /) -> int:
        """Write all bytes. If the line is gone, the link ends the session; told of it, the library prints to stdout."""
        if self.failure is not None:
            return len(data)
        try:
            self._line.write(data, _WRITE_TIMEOUT_S)
        except UnavailableError as error:
            self.failure = error
            return len(data)
        # 1.
        if code_of(data) == RAW:
            self._card_sequence, self.fetched = self._sequence, None
        return len(data)

    def flush(self) -> None:
        """Discard unread input."""
        if self.failure is not None:
            return
        try:
            self._line.discard_input()
        except UnavailableError as error:
            self.failure = error

    def _follow_command(self, data: bytes) -> None:
        self._command += data
        while (begin := self._command.find(_SOM)) >= 0:
            del self._command[:begin]
            size = int.from_bytes(self._command[2:4], "little")
            if len(self._command) < _HEADER_BYTES:
                return
            if self._command[1] != self._address or size not in _PACKET_BYTES:
                del self._command[0]
                continue
            if len(self._command) < size:
                return
            self._sequence = self._command[4] & _SEQUENCE
            # 2.
            if self._card_sequence is not None:
                self.fetched = self._sequence not in {0, self._card_sequence}
                self._card_sequence = None
            del self._command[:size]
        self._command.clear()


def code_of(packet: bytes) -> int | None:
    """Return the code of the command or reply in a whole packet; None if it is not one."""
    start = packet.find(_SOM)
    if start < 0 or len(packet) < start + _HEADER_BYTES + 1:
        return None
    at = start + _HEADER_BYTES
    if packet[start + 4] & _HAS_SECURITY_BLOCK:
        at += packet[at]
    return packet[at] if at < len(packet) else None
