"""OSDP output: a relay of an OSDP peripheral, not encrypted. This is the control panel's side of the protocol.

1. A command without an answer within `ANSWER_TIMEOUT_S` is repeated with the same sequence number, up to
   `MAX_ATTEMPTS` times; the peripheral recognises the repetition by its number and does not execute it twice.
2. Sequence numbers are 1, 2, 3, 1 and so on; 0 starts a new session, after a silence or when the peripheral lost count.
3. An opening is a timed output: the peripheral closes by itself, also if this program or the cable fails.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol, final

from volens.consent import UnavailableError
from volens.service.door.door_events import Verdict
from volens.service.door.osdp_packets import (
    AMBER,
    GREEN,
    MARK,
    MAX_PACKET_BYTES,
    RED,
    SOM,
    Command,
    Nak,
    Packet,
    PacketError,
    Reply,
    beep,
    led,
    output_off,
    output_on,
    output_on_for,
    packet_size,
    parse,
)

ANSWER_TIMEOUT_S: Final = 0.3
MAX_ATTEMPTS: Final = 3
_MAX_BUSY: Final = 10
_SIGNAL_S: Final = 2.0
_SIGNALS: Final = {Verdict.MATCH: (GREEN, 1), Verdict.NO_MATCH: (RED, 3), Verdict.FACTOR_REQUIRED: (AMBER, 2)}


class Line(Protocol):
    """A connection that carries bytes."""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Write all bytes, or raise UnavailableError."""

    def read(self, limit: int, timeout_s: float) -> bytes:
        """Return the bytes that arrive in time; empty if there are none."""

    def discard_input(self) -> None:
        """Discard unread input."""

    def close(self) -> None:
        """Close the connection."""


class _RefusedError(UnavailableError):
    """The peripheral answered NAK."""

    def __init__(self, code: int) -> None:
        reason = Nak(code).name.lower().replace("_", " ") if code in set(Nak) else f"reason {code}"
        super().__init__(f"the OSDP peripheral refused a command ({reason}); see docs/doors.md")
        self.code = code


@final
class OsdpOutput:
    """One relay of one peripheral."""

    def __init__(
        self,
        open_line: Callable[[], Line],
        *,
        address: int,
        relay: int,
        reader: int,
        name: str = "osdp",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use the peripheral at an address; the line is opened at the first command, and again after a failure."""
        self.name = name
        self._open_line = open_line
        self._address = address
        self._relay = relay
        self._reader = reader
        self._clock = clock
        self._line: Line | None = None
        self._sequence = 0
        self._unsupported: set[int] = set()

    def open_for(self, seconds: float) -> None:
        """Switch the relay on for a time."""
        # 3.
        self._command(Command.OUT, output_on_for(self._relay, seconds))

    def keep_closed(self) -> None:
        """Switch the relay off."""
        self._command(Command.OUT, output_off(self._relay))

    def hold_open(self) -> None:
        """Switch the relay on until another command."""
        self._command(Command.OUT, output_on(self._relay))

    def show(self, verdict: Verdict) -> None:
        """Use light and sound; if the peripheral has no LED or buzzer, the command is not sent again."""
        colour, beeps = _SIGNALS[verdict]
        shows = ((Command.LED, led(self._reader, colour, _SIGNAL_S)), (Command.BUZ, beep(self._reader, beeps)))
        for command, data in shows:
            if command in self._unsupported:
                continue
            try:
                self._command(command, data)
            except _RefusedError:
                self._unsupported.add(command)

    def poll(self) -> None:
        """Send POLL, so that both sides notice if the other one is gone."""
        if self._command(Command.POLL, b""):
            raise UnavailableError("the OSDP peripheral was restarted; the state of the door is sent again")

    def close(self) -> None:
        """Close the line."""
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def _command(self, command: Command, data: bytes) -> bool:
        """Send a command; return whether the peripheral lost count: it may have lost power, and the relay its state."""
        try:
            self._exchange(command, data)
        except _RefusedError as error:
            if error.code != Nak.BAD_SEQUENCE:
                raise
            # 2.
            self._sequence = 0
            self._exchange(command, data)
            return True
        except UnavailableError:
            self.close()
            self._sequence = 0
            raise
        return False

    def _exchange(self, command: Command, data: bytes) -> None:
        if self._line is None:
            self._line = self._open_line()
        packet = Packet(self._address, self._sequence, command, data).to_bytes()
        attempts = busy = 0
        while attempts < MAX_ATTEMPTS:
            self._line.discard_input()
            # A mark byte before the packet lets the peripheral's receiver synchronise.
            self._line.write(bytes([MARK]) + packet, ANSWER_TIMEOUT_S * MAX_ATTEMPTS)
            reply = self._read_reply(self._line)
            # 1.
            if reply is None:
                attempts += 1
                continue
            if reply.code == Reply.BUSY:
                busy += 1
                if busy > _MAX_BUSY:
                    break
                continue
            if reply.code == Reply.NAK:
                # A refused packet uses up its sequence number too.
                self._advance_sequence()
                raise _RefusedError(reply.data[0] if reply.data else 0)
            # 2.
            self._advance_sequence()
            return
        raise UnavailableError(
            f"the OSDP peripheral at address {self._address} does not answer; check the device and its cable"
        )

    def _advance_sequence(self) -> None:
        self._sequence = self._sequence % 3 + 1

    def _read_reply(self, line: Line) -> Packet | None:
        until = self._clock() + ANSWER_TIMEOUT_S
        got = bytearray()
        while (left_s := until - self._clock()) > 0:
            got += line.read(MAX_PACKET_BYTES, left_s)
            with suppress(PacketError):
                reply = self._complete_packet(got)
                if reply is not None:
                    return reply
                continue
            # A malformed packet ends the wait; the command is repeated.
            return None
        return None

    def _complete_packet(self, got: bytearray) -> Packet | None:
        begin = got.find(SOM)
        del got[: begin if begin >= 0 else len(got)]
        size = packet_size(bytes(got))
        if size is None or len(got) < size:
            return None
        reply = parse(bytes(got[:size]))
        is_ours = reply.is_reply and reply.address == self._address
        if not is_ours or (reply.code != Reply.BUSY and reply.sequence != self._sequence):
            raise PacketError("it is not the answer to this command")
        return reply
