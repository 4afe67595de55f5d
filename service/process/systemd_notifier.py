"""Notifies systemd of the state of the service, by the protocol of sd_notify(3). Without systemd it does nothing."""

import os
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import final


@final
class SystemdNotifier:
    """Notifies the service manager that started this process, if it wants notifications."""

    def __init__(
        self, environment: Mapping[str, str] = os.environ, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """Read the manager's address; `on_ready` is called as well when the service is ready."""
        self._on_ready = on_ready
        self._address = environment.get("NOTIFY_SOCKET", "")
        # A signal for each half of the interval.
        microseconds = environment.get("WATCHDOG_USEC", "")
        self._watchdog_s = int(microseconds) / 2e6 if microseconds.isdigit() else None
        self._ended = threading.Event()

    def ready(self) -> None:
        """Notify that the service is ready, and send watchdog signals from now on."""
        self._notify("READY=1")
        self._on_ready()
        if self._watchdog_s is not None and self._address:
            threading.Thread(target=self._watch, args=(self._watchdog_s,), name="watchdog", daemon=True).start()

    def stopping(self) -> None:
        """Notify that the service is shutting down."""
        self._ended.set()
        self._notify("STOPPING=1")

    def _watch(self, every_s: float) -> None:
        while not self._ended.wait(every_s):
            self._notify("WATCHDOG=1")

    def _notify(self, state: str) -> None:
        if not self._address:
            return
        # An address that begins with @ is in the abstract namespace, which begins with a zero byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
            one.sendto(state.encode("ascii"), address)
