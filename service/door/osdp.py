"""A relay behind an OSDP peripheral, in the clear: the control panel's side of the conversation.

1. Every command is answered within `ANSWER_S`, or is sent again with the same number, up to `TRIES` times; the
   peripheral recognises a repetition by the number and does not carry it out twice.
2. Numbers go 1, 2, 3, 1 and so on; 0 begins a conversation anew, after a silence or when the peripheral lost count.
3. An opening is a timed output: the peripheral closes by itself, whatever becomes of this program or the cable.
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
    light,
    output_off,
    output_on,
    output_on_for,
    parse,
    size_of,
)

ANSWER_S: Final = 0.3
TRIES: Final = 3
_BUSY_TRIES: Final = 10
_SHOWN_S: Final = 2.0
_SHOWS: Final = {Verdict.MATCH: (GREEN, 1), Verdict.NO_MATCH: (RED, 3), Verdict.FACTOR_REQUIRED: (AMBER, 2)}


class Line(Protocol):
    """What bytes go over."""

    def write(self, data: bytes, within_s: float) -> None:
        """Write all of it, or raise UnavailableError."""

    def read(self, limit: int, within_s: float) -> bytes:
        """Return what comes in time; nothing if nothing does."""

    def forget(self) -> None:
        """Throw away what came."""

    def close(self) -> None:
        """Let go."""


class _RefusedError(UnavailableError):
    """The peripheral answered NAK."""

    def __init__(self, code: int) -> None:
        reason = Nak(code).name.lower().replace("_", " ") if code in set(Nak) else f"reason {code}"
        super().__init__(f"the OSDP peripheral refuses a command ({reason}); see docs/doors.md")
        self.code = code


@final
class OsdpOutput:
    """One relay of one peripheral."""

    def __init__(
        self,
        opened: Callable[[], Line],
        *,
        address: int,
        relay: int,
        reader: int,
        name: str = "osdp",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Talk to the peripheral at an address; the line is opened when it is needed, and again after a failure."""
        self.name = name
        self._opened = opened
        self._address = address
        self._relay = relay
        self._reader = reader
        self._clock = clock
        self._line: Line | None = None
        self._sequence = 0
        self._overlooked: set[int] = set()

    def open_for(self, seconds: float) -> None:
        """Switch the relay on for a while."""
        # 3.
        self._command(Command.OUT, output_on_for(self._relay, seconds))

    def keep_closed(self) -> None:
        """Switch the relay off."""
        self._command(Command.OUT, output_off(self._relay))

    def hold_open(self) -> None:
        """Switch the relay on, and leave it."""
        self._command(Command.OUT, output_on(self._relay))

    def show(self, verdict: Verdict) -> None:
        """Light and sound; a peripheral that has no light or buzzer is not asked again."""
        colour, beeps = _SHOWS[verdict]
        shows = ((Command.LED, light(self._reader, colour, _SHOWN_S)), (Command.BUZ, beep(self._reader, beeps)))
        for command, data in shows:
            if command in self._overlooked:
                continue
            try:
                self._command(command, data)
            except _RefusedError:
                self._overlooked.add(command)

    def tend(self) -> None:
        """Poll, so that the peripheral knows that somebody is there, and the other way round."""
        if self._command(Command.POLL, b""):
            raise UnavailableError("the OSDP peripheral began anew; it is told again how the door stands")

    def close(self) -> None:
        """Give the line back."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def _command(self, command: Command, data: bytes) -> bool:
        """Return whether the peripheral had lost count: it may have been without power, and its relay with it."""
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
            self._line = self._opened()
        packet = Packet(self._address, self._sequence, command, data).to_bytes()
        tries = busy = 0
        while tries < TRIES:
            self._line.forget()
            # A mark before the packet lets a peripheral's receiver settle.
            self._line.write(bytes([MARK]) + packet, ANSWER_S * TRIES)
            reply = self._reply(self._line)
            # 1.
            if reply is None:
                tries += 1
                continue
            if reply.code == Reply.BUSY:
                busy += 1
                if busy > _BUSY_TRIES:
                    break
                continue
            if reply.code == Reply.NAK:
                # A refused packet has used up its number all the same.
                self._count()
                raise _RefusedError(reply.data[0] if reply.data else 0)
            # 2.
            self._count()
            return
        raise UnavailableError(
            f"the OSDP peripheral at address {self._address} does not answer; check it and its cable"
        )

    def _count(self) -> None:
        self._sequence = self._sequence % 3 + 1

    def _reply(self, line: Line) -> Packet | None:
        until = self._clock() + ANSWER_S
        got = bytearray()
        while (left_s := until - self._clock()) > 0:
            got += line.read(MAX_PACKET_BYTES, left_s)
            with suppress(PacketError):
                reply = self._whole(got)
                if reply is not None:
                    return reply
                continue
            # What is no packet ends the wait: the command is sent again.
            return None
        return None

    def _whole(self, got: bytearray) -> Packet | None:
        begin = got.find(SOM)
        del got[: begin if begin >= 0 else len(got)]
        size = size_of(bytes(got))
        if size is None or len(got) < size:
            return None
        reply = parse(bytes(got[:size]))
        is_ours = reply.is_reply and reply.address == self._address
        if not is_ours or (reply.code != Reply.BUSY and reply.sequence != self._sequence):
            raise PacketError("it answers something else")
        return reply
