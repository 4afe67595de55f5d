"""Telling systemd how it goes, by the protocol of sd_notify(3); elsewhere, nothing."""

import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, final

_MICROSECONDS: Final = 1_000_000


@final
class Supervisor:
    """Whoever started this process, if it wants to be told."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Read where to tell, and how often it wants a sign of life."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        self._every_s = int(microseconds) / _MICROSECONDS / 2 if microseconds.isdigit() else None
        self._ended = threading.Event()

    def ready(self) -> None:
        """Tell that requests are answered from now on, and go on giving signs of life."""
        self._tell("READY=1")
        if self._every_s is not None and self._address:
            threading.Thread(target=self._signs_of_life, args=(self._every_s,), name="watchdog", daemon=True).start()

    def stopping(self) -> None:
        """Tell that what was begun is being finished."""
        self._ended.set()
        self._tell("STOPPING=1")

    def _signs_of_life(self, every_s: float) -> None:
        while not self._ended.wait(every_s):
            self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        # An address that begins with @ is in the abstract namespace, which begins with a zero byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(state.encode("ascii"), address)
