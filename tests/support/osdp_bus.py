"""OSDP on pseudo-terminals: two ends of a cable that loses what a test wants, and devices made of the real library."""

import ctypes
import os
import select
import threading
import tty
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import osdp_sys
from patience import PATIENCE_S

from volens.service.door.osdp_channel import LineChannel, code_of
from volens.service.door.osdp_library import Message
from volens.service.door.osdp_link import OsdpLink
from volens.service.door.serial_line import SerialLine

Context: TypeAlias = Any
"""Of the library, which has no types."""

KEY = bytes(range(0x50, 0x60))
ADDRESS = 5


@dataclass
class Cable:
    """Joins two pseudo-terminals. `panel` and `device` are links to the ends, which stay when it is plugged in again.

    Attributes:
        loses: says of each write of the peripheral's end whether the cable loses it.
        packets: the codes that went over it, in both directions, also of lost ones.
    """

    folder: Path
    loses: Callable[[int | None], bool] = lambda _: False
    packets: list[int | None] = field(default_factory=list)
    recorded: bytearray = field(default_factory=bytearray)
    _masters: list[int] = field(default_factory=list)
    _unplugged: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    @property
    def panel(self) -> Path:
        return self.folder / "panel"

    @property
    def device(self) -> Path:
        return self.folder / "device"

    def plug_in(self) -> None:
        self._unplugged = threading.Event()
        self._masters = []
        for end in (self.panel, self.device):
            master, slave = os.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            end.unlink(missing_ok=True)
            end.symlink_to(os.ttyname(slave))
            self._masters.append(master)
            self._kept = [*getattr(self, "_kept", []), slave]
        self._thread = threading.Thread(target=self._carry, args=(self._unplugged,), daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        self._unplugged.set()
        if self._thread is not None:
            self._thread.join(PATIENCE_S)
        for one in (*self._masters, *self._kept):
            os.close(one)
        self._masters, self._kept = [], []
        for end in (self.panel, self.device):
            end.unlink()

    def _carry(self, unplugged: threading.Event) -> None:
        panel, device = self._masters
        while not unplugged.is_set():
            for source in select.select([panel, device], [], [], 0.05)[0]:
                with suppress(BlockingIOError):
                    data = os.read(source, 4096)
                    code = code_of(data)
                    self.packets.append(code)
                    self.recorded += data
                    if source == device and self.loses(code):
                        continue
                    os.write(device if source == panel else panel, data)


@contextmanager
def cable(folder: Path) -> Iterator[Cable]:
    one = Cable(folder)
    one.plug_in()
    try:
        yield one
    finally:
        if one._masters:
            one.unplug()


@dataclass
class Recorder:
    """Records messages, and waits for them."""

    messages: list[Message] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, message: Message) -> None:
        with self.came:
            self.messages.append(dict(message))
            self.came.notify_all()

    def of(self, **wanted: object) -> list[Message]:
        with self.came:
            return [one for one in self.messages if wanted.items() <= one.items()]

    def wait_for(self, count: int = 1, **wanted: object) -> list[Message]:
        with self.came:
            assert self.came.wait_for(lambda: len(self.of(**wanted)) >= count, PATIENCE_S), self.messages
        return self.of(**wanted)


class LibraryDevice:
    """A peripheral made of the library: a reader with relays."""

    def __init__(self, device: Path, key: bytes | None = KEY, *, relays: int = 4, lights: int = 1) -> None:
        self.commands = Recorder()
        self._key, self._relays, self._lights = key, relays, lights
        self.is_secure = threading.Event()
        self.link: OsdpLink[Context] = OsdpLink(
            "device", ADDRESS, lambda: SerialLine(device, 9600), self._make, self._step
        )
        self.link.start()

    def _make(self, channel: LineChannel) -> Context:
        flags = osdp_sys.FLAG_INSTALL_MODE if self._key is None else osdp_sys.FLAG_ENFORCE_SECURE
        numbers = {osdp_sys.CAP_OUTPUT_CONTROL: self._relays, osdp_sys.CAP_READER_LED_CONTROL: self._lights}
        numbers |= {osdp_sys.CAP_READER_AUDIBLE_OUTPUT: self._lights, osdp_sys.CAP_CARD_DATA_FORMAT: 1}
        capabilities = [
            {"function_code": code, "compliance_level": 1, "num_items": number}
            for code, number in numbers.items()
            if number
        ]
        made = osdp_sys.PeripheralDevice(_info(channel, self._key, flags), capabilities=capabilities)
        made.set_command_callback(self._obey)
        return made

    def _obey(self, command: Message) -> tuple[int, None]:
        self.commands(command)
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(None))  # the binding releases it once too often
        return 0, None

    def _step(self, context: Context, _: LineChannel) -> None:
        (self.is_secure.set if context.is_sc_active() else self.is_secure.clear)()

    def event(self, **event: object) -> None:
        self.link.run_soon(lambda context: context.submit_event(event))

    def restart(self) -> None:
        """Lose power for a moment."""
        self.link.restart(failed=False)


class LibraryPanel:
    """A control panel made of the library."""

    def __init__(self, device: Path, key: bytes | None = KEY, *, enforce: bool = True) -> None:
        self.events = Recorder()
        self._key, self._enforce = key, enforce
        self._wanted: deque[Message] = deque()
        self._is_sent = False
        self.is_secure = threading.Event()
        self.link: OsdpLink[Context] = OsdpLink(
            "panel", ADDRESS, lambda: SerialLine(device, 9600), self._make, self._step
        )
        self.link.start()

    def _make(self, channel: LineChannel) -> Context:
        self._is_sent = False
        flags = osdp_sys.FLAG_ENABLE_NOTIFICATION | (osdp_sys.FLAG_ENFORCE_SECURE if self._enforce else 0)
        made = osdp_sys.ControlPanel([_info(channel, self._key, flags)])
        made.set_event_callback(self._handle)
        return made

    def _handle(self, _: int, event: Message) -> int:
        self.events(event)
        if event["event"] == osdp_sys.EVENT_NOTIFICATION and event["type"] == 0:
            self._is_sent = False
            if event["arg1"] and self._wanted:
                self._wanted.popleft()
        if event["event"] == osdp_sys.EVENT_NOTIFICATION and event["type"] == 2 and not event["arg0"]:
            self.link.restart(failed=True)  # the library would wait for five minutes
        return 0

    def _step(self, context: Context, _: LineChannel) -> None:
        (self.is_secure.set if context.sc_status() else self.is_secure.clear)()
        if self._wanted and not self._is_sent and context.sc_status():
            self._is_sent = context.submit_command(0, self._wanted[0])

    def command(self, **command: object) -> None:
        """Send a command, again if it was not confirmed."""
        self._wanted.append(command)


def _info(channel: LineChannel, key: bytes | None, flags: int) -> Message:
    numbers = {"version": 1, "model": 1, "vendor_code": 1, "serial_number": 1, "firmware_version": 1}
    return {"name": "test", "address": ADDRESS, "flags": flags, "scbk": key, "channel": channel} | numbers
