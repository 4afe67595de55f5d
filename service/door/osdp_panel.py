"""OSDP output: this door is the control panel of a reader or a relay board (peripheral), over the secure channel.

1. A command is done when the device confirmed it. Without a confirmation within `COMMAND_TIMEOUT_S` the session is
   dropped, with the command in it, and the output reports a failure: a command never arrives later than that.
2. An opening is a timed output: the device closes by itself, also if this program or the cable fails. The library can
   count to 25.5 s; a longer opening is renewed while it lasts.
3. A device that comes back may have lost power, and its relay its state: `poll` reports it, and the door sends the
   state again.
4. The library drops a session when a device refuses a command. So light and sound are sent only to a device that says
   that it has them.
5. A card or a PIN that the device reads is the second factor of the door; tamper and power loss are logged.
"""

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, final

from volens.consent import UnavailableError
from volens.service.door.door_events import DeviceReported, EventSink, Factor, FactorPresented, InputRejected, Verdict
from volens.service.door.osdp_channel import Line, LineChannel
from volens.service.door.osdp_key import OsdpKey
from volens.service.door.osdp_library import (
    BUZZER_CAPABILITY,
    LED_CAPABILITY,
    OUTPUT_CAPABILITY,
    Message,
    OsdpLibrary,
    PanelContext,
)
from volens.service.door.osdp_link import OsdpLink
from volens.service.door.read_cards import KeypadDigits, card_number

READY_TIMEOUT_S: Final = 2.0
COMMAND_TIMEOUT_S: Final = 2.5
RENEW_BEFORE_S: Final = 10.0
_MOST_TENTHS: Final = 255
_OFF, _ON, _ON_FOR = 1, 2, 5
_RED, _GREEN, _AMBER = 1, 2, 3
_SIGNAL_TENTHS: Final = 20
_SIGNALS: Final = {Verdict.MATCH: (_GREEN, 1), Verdict.NO_MATCH: (_RED, 3), Verdict.FACTOR_REQUIRED: (_AMBER, 2)}


class _Pending:
    """A command on its way."""

    def __init__(self, command: Message) -> None:
        self.command = command
        self.is_answered = threading.Event()
        self.is_done = False

    def answer(self, *, is_done: bool) -> None:
        self.is_done = is_done
        self.is_answered.set()


@final
class OsdpOutput:
    """One relay of one device, and the light, sound, card reader and keypad of the same device."""

    def __init__(
        self,
        open_line: Callable[[], Line],
        *,
        address: int,
        relay: int,
        reader: int,
        key_file: Path | None,
        name: str = "osdp",
        clock: Callable[[], float] = time.monotonic,
        ready_timeout_s: float = READY_TIMEOUT_S,
    ) -> None:
        """Prepare the device; the line is opened at the first command. Without a key nothing is encrypted.

        Raises:
            InputError: the key file is no key, or other users can read it.
            UnavailableError: it cannot be read, or `libosdp` is not installed.
        """
        self.name = name
        self._library = OsdpLibrary()
        self._key_file = key_file
        if key_file is not None:
            OsdpKey.read(key_file).wipe()
        self._address = address
        self._relay = relay
        self._reader = reader
        self._clock = clock
        self._ready_timeout_s = ready_timeout_s
        self._emit: EventSink | None = None
        self._keypad = KeypadDigits()
        self._capabilities: dict[int, int] = {}
        self._is_ready = threading.Event()
        self._sessions = 0
        self._seen_sessions = 0
        self._received = False
        self._was_offline = False
        self._pending: _Pending | None = None
        self._open_until_s: float | None = None
        self._renew_at_s = 0.0
        self._link: OsdpLink[PanelContext] = OsdpLink(
            name, address, open_line, self._make, self._step, self._end_session
        )

    def listen(self, emit: EventSink) -> None:
        """Send cards, PINs and reports of the device to the door."""
        self._emit = emit

    def open_for(self, seconds: float) -> None:
        """Switch the relay on for a time."""
        # 2.
        self._open_until_s = None
        self._switch_on_for(seconds)
        self._open_until_s = self._clock() + seconds

    def keep_closed(self) -> None:
        """Switch the relay off."""
        self._open_until_s = None
        self._switch(_OFF)

    def hold_open(self) -> None:
        """Switch the relay on until another command."""
        self._open_until_s = None
        self._switch(_ON)

    def show(self, verdict: Verdict) -> None:
        """Use light and sound, if the device says that it has them."""
        colour, tones = _SIGNALS[verdict]
        # 4.
        self._wait_until_ready()
        if self._capabilities.get(LED_CAPABILITY):
            self._send(self._library.led_command(self._reader, colour, _SIGNAL_TENTHS))
        if self._capabilities.get(BUZZER_CAPABILITY):
            self._send(self._library.buzzer_command(self._reader, tones))

    def poll(self) -> None:
        """Check that the device is there, and renew a long opening.

        Raises:
            UnavailableError: it is not, or was away for a moment.
        """
        self._wait_until_ready()
        # 3.
        if self._seen_sessions != self._sessions:
            self._seen_sessions = self._sessions
            raise UnavailableError("the OSDP device was away or restarted; the state of the door is sent again")
        now, until = self._clock(), self._open_until_s
        if until is not None and now >= self._renew_at_s and until - now > 0:
            self._switch_on_for(until - now)

    def close(self) -> None:
        """Close the line."""
        self._link.close()

    def _switch_on_for(self, seconds: float) -> None:
        tenths = max(1, min(_MOST_TENTHS, round(seconds * 10)))
        self._switch(_ON_FOR, tenths)
        is_whole = seconds * 10 <= _MOST_TENTHS
        self._renew_at_s = float("inf") if is_whole else self._clock() + tenths / 10 - RENEW_BEFORE_S

    def _switch(self, code: int, tenths: int = 0) -> None:
        self._wait_until_ready()
        self._seen_sessions = self._sessions
        outputs = self._capabilities.get(OUTPUT_CAPABILITY, 0)
        if self._relay >= outputs:
            raise UnavailableError(
                f"got relay={self._relay}, but the OSDP device has {outputs} outputs; give one of them, counted from 0"
            )
        self._send(self._library.output_command(self._relay, code, tenths))

    def _wait_until_ready(self) -> None:
        self._link.start()
        if self._is_ready.wait(self._ready_timeout_s) and not self._link.problem:
            return
        if self._link.problem:
            raise UnavailableError(self._link.problem)
        if self._received and self._was_offline and self._key_file is not None:
            raise UnavailableError(
                f"the OSDP device at address {self._address} answers, but not with the key in {self._key_file}; "
                "pair it with 'volens door pair'"
            )
        raise UnavailableError(
            f"the OSDP device at address {self._address} does not answer; check its power, address, baud rate and cable"
        )

    def _send(self, command: Message) -> None:
        pending = _Pending(command)
        self._link.run_soon(partial(self._submit, pending))
        # 1.
        if pending.is_answered.wait(COMMAND_TIMEOUT_S) and pending.is_done:
            return
        if self._link.problem:
            raise UnavailableError(self._link.problem)
        if self._is_ready.is_set():
            self._is_ready.clear()
            self._link.restart(failed=True)
        raise UnavailableError(
            f"the OSDP device at address {self._address} did not confirm a command; check the device and its cable"
        )

    # The methods below run in the thread of the link.

    def _make(self, channel: LineChannel) -> PanelContext:
        self._is_ready.clear()
        self._received = False
        if self._key_file is None:
            return self._library.panel(channel, self._address, None, self._handle, enforce=False)
        with OsdpKey.read(self._key_file) as key:
            return self._library.panel(channel, self._address, bytes(key.buffer), self._handle, enforce=True)

    def _end_session(self) -> None:
        self._is_ready.clear()
        if self._pending is not None:
            self._pending.answer(is_done=False)

    def _submit(self, pending: _Pending, context: PanelContext) -> None:
        self._pending = pending
        if not context.submit_command(0, pending.command):
            pending.answer(is_done=False)

    def _step(self, context: PanelContext, channel: LineChannel) -> None:
        self._received = self._received or channel.received > 0
        is_up = bool(context.status()) and (self._key_file is None or bool(context.sc_status()))
        if is_up and not self._is_ready.is_set():
            for one in (OUTPUT_CAPABILITY, LED_CAPABILITY, BUZZER_CAPABILITY):
                level, items = context.check_capability(0, one)
                self._capabilities[one] = max(items, 1) if level else 0
            self._sessions += 1
            self._was_offline = False
            self._link.succeeded()
            self._is_ready.set()
        elif not is_up:
            self._is_ready.clear()

    def _handle(self, event: Message) -> None:
        kind = self._library.kind_of_event(event)
        if kind in {"done", "failed"} and self._pending is not None:
            self._pending.answer(is_done=kind == "done")
        elif kind == "offline":
            self._was_offline = True
            self._is_ready.clear()
            self._link.restart(failed=True)
        elif self._emit is not None and kind == "card":
            self._present(Factor.BADGE, card_number(event["length"], event["data"]))
        elif self._emit is not None and kind == "keypad":
            for digits in self._keypad.typed(event["data"]):
                self._present(Factor.PIN, digits)
        elif self._emit is not None and kind == "local status":
            self._report(event["report"])

    def _present(self, factor: Factor, value: str | None) -> None:
        if self._emit is None:
            return
        if value is None:
            self._emit(InputRejected("the OSDP reader read a card that has no number in Wiegand format"))
        else:
            self._emit(FactorPresented(factor, value, time.monotonic()))

    def _report(self, report: bytes) -> None:
        # 5.
        if self._emit is not None and len(report) >= 2:  # noqa: PLR2004  tamper and power
            self._emit(DeviceReported(self.name, tampered=bool(report[0]), without_power=bool(report[1])))
