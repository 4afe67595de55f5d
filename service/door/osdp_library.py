"""OSDP library: the typed seam around `libosdp` (PyPI), which speaks OSDP v2 with the secure channel (IEC 60839-11-5).

`libosdp` ships no types and has two modules. This one uses `osdp_sys`, the binding of the C code, and not the classes
of `osdp`: those start a thread that is not a daemon, and keep every command in a queue without a limit (docs/adr/0072).

What this module makes up for in the binding of 3.2.9:

1. A command handler that raises, or that returns no pair, ends the process. `_guarded` catches everything.
2. For each command to a peripheral the binding releases the second item of the handler's pair once too often, and
   never the pair. One pair is used for ever, and `None` gets the reference back (`_answer`).
3. It never releases the dictionary of an event. Handlers get a copy, and the original is emptied.
4. It prints to standard output what it takes for an emergency, such as an answer that could not be written. The channel
   takes every answer, and the link ends the session.
5. Another distribution, `osdp`, installs the import name `osdp` too. This one is not imported.
"""

import ctypes
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Protocol, TypeAlias, final

from volens.consent import UnavailableError

Message: TypeAlias = dict[str, Any]
"""A command or an event as the binding has it: names and numbers, and `data` in bytes."""

OUTPUT_CAPABILITY: Final = 2
LED_CAPABILITY: Final = 4
BUZZER_CAPABILITY: Final = 5

_ACCEPTED: Final = (0, None)
_REFUSED: Final = (-1, None)


class Channel(Protocol):
    """What the library reads from and writes to. No method may raise or block.

    Attributes:
        id: the number of the bus.
    """

    id: int

    def read(self, limit: int, /) -> bytes:
        """Return at most `limit` bytes that have arrived."""

    def write(self, data: bytes, /) -> int:
        """Write bytes; return how many."""

    def flush(self) -> None:
        """Discard unread input."""


class PanelContext(Protocol):
    """A control panel with one device, number 0. All calls from one thread."""

    def refresh(self) -> None:
        """Do what is due: send, receive, call the event handler. At least every 50 ms."""

    def status(self) -> int:
        """Return 1 if the device is online."""

    def sc_status(self) -> int:
        """Return 1 if the secure channel is active."""

    def check_capability(self, device: int, capability: int, /) -> tuple[int, int]:
        """Return the level of a capability, and of how many items."""

    def submit_command(self, device: int, command: Message, /) -> bool:
        """Queue a command."""


class PeripheralContext(Protocol):
    """A peripheral. All calls from one thread."""

    def refresh(self) -> None:
        """Do what is due: receive, call the command handler, answer. At least every 50 ms."""

    def is_sc_active(self) -> bool:
        """Return whether the secure channel is active."""

    def submit_event(self, event: Message, /) -> bool:
        """Queue an event for the next poll."""

    def flush_events(self) -> int:
        """Discard queued events; return how many."""


@final
class OsdpLibrary:
    """The installed library."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            UnavailableError: it is not installed, or another package has taken its name.
        """
        # 5.
        try:
            self._osdp: Any = import_module("osdp_sys")
        except ImportError:
            raise UnavailableError(
                "got an OSDP device, but libosdp is not installed; install the extra 'osdp': pip install 'volens[osdp]'"
            ) from None
        # 4.
        self._osdp.set_loglevel(self._osdp.LOG_EMERG)

    def panel(
        self, channel: Channel, address: int, key: bytes | None, on_event: Callable[[Message], None], *, enforce: bool
    ) -> PanelContext:
        """Return a control panel for a device. With `enforce`, nothing is sent outside the secure channel."""
        flags = self._osdp.FLAG_ENABLE_NOTIFICATION | (self._osdp.FLAG_ENFORCE_SECURE if enforce else 0)
        panel = self._osdp.ControlPanel([_info(channel, address, key, flags)])

        def handle(_: int, event: Message) -> int:
            copy = dict(event)
            event.clear()  # 3.
            _guarded(on_event, copy)
            return 0

        panel.set_event_callback(handle)
        return panel  # type: ignore[no-any-return]  # the library has no types

    def peripheral(
        self, channel: Channel, address: int, key: bytes | None, on_command: Callable[[Message], bool]
    ) -> PeripheralContext:
        """Return a reader with an LED and a buzzer. With a key it is secure; without one it is in install mode."""
        names = self._osdp
        flags = names.FLAG_INSTALL_MODE if key is None else names.FLAG_ENFORCE_SECURE
        capabilities = [
            {"function_code": code, "compliance_level": level, "num_items": 1}
            for code, level in (
                (names.CAP_CARD_DATA_FORMAT, 1),  # bits, not characters
                (names.CAP_READER_LED_CONTROL, 1),
                (names.CAP_READER_AUDIBLE_OUTPUT, 1),
                (names.CAP_READERS, 1),
            )
        ]
        reader = names.PeripheralDevice(_info(channel, address, key, flags), capabilities=capabilities)
        reader.set_command_callback(lambda command: _answer(_guarded(on_command, command) is True))
        return reader  # type: ignore[no-any-return]  # the library has no types

    def output_command(self, relay: int, code: int, tenths: int) -> Message:
        """Return the command OUT: 1 is off and 2 on, both permanently, and 5 is on for a time."""
        return {"command": self._osdp.CMD_OUTPUT, "output_no": relay, "control_code": code, "timer_count": tenths}

    def led_command(self, reader: int, colour: int, tenths: int) -> Message:
        """Return the command LED: a colour for a time; after it the LED shows what it showed before."""
        shown = {"on_color": colour, "off_color": 0, "on_count": 5, "off_count": 0, "timer_count": tenths}
        return {
            "command": self._osdp.CMD_LED,
            "reader": reader,
            "led_number": 0,
            "temporary": True,
            "control_code": 2,
        } | shown

    def buzzer_command(self, reader: int, count: int) -> Message:
        """Return the command BUZ: `count` short tones."""
        times = {"on_count": 1, "off_count": 1, "rep_count": count}
        return {"command": self._osdp.CMD_BUZZER, "reader": reader, "control_code": 2} | times

    def card_event(self, bits: int, data: bytes) -> Message:
        """Return the event of a card in Wiegand format: `bits` bits, in whole bytes from the left."""
        wiegand = {"format": self._osdp.CARD_FMT_RAW_WIEGAND, "length": bits, "data": data}
        return {"event": self._osdp.EVENT_CARDREAD, "reader_no": 0, "direction": 0} | wiegand

    def kind_of_event(self, event: Message) -> str:
        """Return what an event of a device is: card, keypad, local status, online, offline, secure, done, failed."""
        names, kind, of = self._osdp, event["event"], event.get("type")
        if kind == names.EVENT_STATUS:
            return "local status" if of == names.STATUS_REPORT_LOCAL else ""
        if kind != names.EVENT_NOTIFICATION:
            return {names.EVENT_CARDREAD: "card", names.EVENT_KEYPRESS: "keypad"}.get(kind, "")
        if of == names.EVENT_NOTIFICATION_COMMAND:
            return "done" if event["arg1"] else "failed"
        if of == names.EVENT_NOTIFICATION_PD_STATUS:
            return "online" if event["arg0"] else "offline"
        return "secure" if event["arg0"] and not event["arg1"] else ""

    def new_key_of(self, command: Message) -> bytes | None:
        """Return the key that a command of the panel sets; None if it is another command."""
        return bytes(command["data"]) if command["command"] == self._osdp.CMD_KEYSET else None


def _info(channel: Channel, address: int, key: bytes | None, flags: int) -> Message:
    device = {"version": 1, "model": 1, "vendor_code": 0, "serial_number": 0, "firmware_version": 1}
    return {"name": "volens", "address": address, "flags": flags, "scbk": key, "channel": channel} | device


def _guarded(handler: Callable[[Message], object], message: Message) -> object:
    # 1.
    try:
        return handler(message)
    except Exception:  # noqa: BLE001  an exception in C code would end the process; the handlers report their failures
        return None


def _answer(is_accepted: bool) -> tuple[int, None]:  # noqa: FBT001  the whole of its meaning
    # 2.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))
    return _ACCEPTED if is_accepted else _REFUSED
