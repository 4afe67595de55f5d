"""Collects when doors were heard of, and writes it every few seconds: one transaction for all doors of this process.

A heartbeat of 500 doors every half minute is one write in five seconds, not 17 in one. What is not written yet when the
process is killed is lost; the doors say it again.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, final

from volens.consent import VolensError
from volens.store.programs import DoorReport, DoorReports
from volens.store.programs.door_reports import MAX_DOORS, quarter_of

WRITE_S: Final = 5.0


@final
class DoorSightings:
    """Notes in memory, and writes in its own thread. Start it with the service; close it before the site."""

    def __init__(self, reports: DoorReports, clock: Callable[[], datetime]) -> None:
        self._reports = reports
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, DoorReport] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write from now on."""
        self._thread = threading.Thread(target=self._run, name="door reports", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, if the store can be written, and end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            with suppress(VolensError):
                self.write()

    def note(self, report: DoorReport) -> None:
        """Note what a door says. Does not block, because the event loop calls it."""
        with self._lock:
            known = self._waiting.get(report.door_id)
            if known is not None or len(self._waiting) < MAX_DOORS:
                self._waiting[report.door_id] = report if known is None else known.merged(report)

    def note_decision(self, door_id: str, zone: str | None) -> None:
        """Note that a door got a decision about a face just now."""
        now = self._clock()
        self.note(DoorReport(door_id, now, purpose=zone, decided_at=quarter_of(now)))

    def write(self) -> None:
        """Write what waits.

        Raises:
            VolensError: the store cannot be written now; it waits.
        """
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        try:
            self._reports.record(list(waiting.values()))
        except VolensError:
            with self._lock:
                for door_id, later in self._waiting.items():
                    waiting[door_id] = waiting[door_id].merged(later) if door_id in waiting else later
                self._waiting = waiting
            raise

    def _run(self) -> None:
        while not self._ended.wait(WRITE_S):
            with suppress(VolensError):  # the store is locked now; it is written the next time
                self.write()
