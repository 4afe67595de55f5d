"""Retries pending stops and restrictions in a background thread, in touch with the other processes of the site.

Every process that decides about faces runs one: each worker of `volens serve`, and `volens door run` with its own site.
"""

import threading
from typing import Self, final

from volens import Site
from volens.service.process.stop_channel import StopChannel


@final
class StopKeeper:
    """Keeps the pending stops of one open site. Close it before the site."""

    def __init__(self, site: Site) -> None:
        self._stops = site.stops
        self._restrictions = site.changes.pending
        self._channel = StopChannel(site)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take the stops of other processes, make the reserve, and retry from now on."""
        self._stops.reserve.keep()
        self._restrictions.wake = self._stops.changed.set
        self._channel.start()
        self._stops.peers = self._restrictions.peers = self._channel
        self._stops.retries = self._restrictions.retries = True
        self._thread = threading.Thread(target=self._run, name="stop keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; what is still pending then is lost with the process, as after a kill."""
        self._ended.set()
        self._stops.changed.set()
        if self._thread is not None:
            self._thread.join()
        self._stops.retries = self._restrictions.retries = False
        self._channel.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        while True:
            wait_s = min(self._stops.work(), self._restrictions.work())
            if self._ended.is_set():
                return
            self._stops.changed.wait(wait_s)
            self._stops.changed.clear()
