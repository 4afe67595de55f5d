"""Journal of decisions that a door made with a lease: a file that is delivered when the service answers again.

A line has the lease, the minute, and who it was: a handle that only the site opens. No name, no face.
"""

import base64
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, final

from volens.consent import format_time
from volens.consent.json_reader import read_json

MAX_ENTRIES: Final = 10_000
"""The oldest are dropped beyond that: two days of a busy door."""
DELIVERED_TOGETHER: Final = 200


@final
class LeaseJournal:
    """The decisions of one door that are not delivered yet. Thread-safe."""

    def __init__(self, path: Path) -> None:
        """Use a file, which need not exist; it is made readable by its owner alone."""
        self._path = path
        self._lock = threading.Lock()

    def add(self, lease_id: str, at: datetime, handle: bytes) -> None:
        """Note that a person matched.

        Raises:
            OSError: the disk refuses.
        """
        entry = {
            "lease_id": lease_id,
            "minute": format_time(at.replace(second=0, microsecond=0)),
            "who": base64.urlsafe_b64encode(handle).rstrip(b"=").decode("ascii"),
        }
        with self._lock:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "ab") as file:
                file.write(json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())

    def waiting(self) -> Sequence[Mapping[str, Any]]:
        """Return what is not delivered yet, oldest first; lines that a kill cut off are left out."""
        with self._lock:
            return self._read()

    def deliver(self, send: Callable[[Sequence[Mapping[str, Any]]], None]) -> int:
        """Deliver what waits, and return how much; what `send` does not raise about is deleted.

        Raises:
            VolensError: `send` failed; what it was called with waits on.
        """
        count = 0
        while True:
            with self._lock:
                entries = self._read()[:DELIVERED_TOGETHER]
            if not entries:
                return count
            send(entries)
            count += len(entries)
            with self._lock:
                self._write(self._read()[len(entries) :])

    def _read(self) -> list[Mapping[str, Any]]:
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        found: list[Mapping[str, Any]] = []
        for line in lines[-MAX_ENTRIES:]:
            try:
                entry = read_json(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and all(
                isinstance(entry.get(one), str) for one in ("lease_id", "minute", "who")
            ):
                found.append(entry)
        return found

    def _write(self, entries: Sequence[Mapping[str, Any]]) -> None:
        new = self._path.with_name(f"{self._path.name}.new")
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(json.dumps(one, separators=(",", ":")).encode("ascii") + b"\n" for one in entries)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self._path)
