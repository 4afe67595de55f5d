"""The audit log for readers with a credential: leaves, checkpoints, proofs, and the export for an auditor.

Leaves are commitments that name no person, but they show the kind and the time of each event. What may be read without
a credential is in `volens.rights.public_log`.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, final

from volens.audit import Checkpoint, Event, consistency_proof, inclusion_proof
from volens.consent import InputError, TamperError
from volens.rights.log_export import export_lines, shard_lines
from volens.rights.public_log import PublicLog
from volens.rights.static_tiles import WrittenTiles, write_tiles
from volens.rights.witnesses import Witnesses
from volens.store import Store
from volens.store.log import (
    LogReport,
    entries_about_no_person,
    leaves_from,
    log_size,
    newest_head,
    node_reader,
    verify_log,
)
from volens.store.log.audit_log import newest_time_of_kind
from volens.store.log.log_growth import verify_log_from
from volens.store.log.rollback_check import check_shards
from volens.store.log.shard_entries import shard_entries_about_no_person
from volens.store.log.shard_report import ShardReport
from volens.store.log.shard_verification import verify_shards
from volens.store.people import broken_rows

MAX_ENTRIES: Final = 1000
MAX_NAMED: Final = 20
"""How many broken sets of rows an error names."""


@final
class PublishedLog:
    """Reads the log of a site; every call reads one snapshot. `witnesses` cosign the public log."""

    def __init__(self, store: Store) -> None:
        self.witnesses = Witnesses(store)
        self._store = store

    def verify(self, start: Checkpoint | None = None) -> LogReport:
        """Verify the main log, its shards, and the seals of all authenticated rows.

        See `verify_log`, `verify_shards` and `broken_rows`.

        With `start`, a checkpoint that this site has signed, only what was added to the log since; see
        `verify_log_from`. All rows are verified in both cases.

        Raises:
            TamperError: the log, a shard or a seal does not hold; the message names the rows.
        """
        report = replace(self.verify_entries(start), shards=self.verify_shards())
        self.verify_rows()
        return report

    def verify_entries(self, start: Checkpoint | None = None) -> LogReport:
        """Verify the whole main log, or what was added since `start`; see `verify_log` and `verify_log_from`."""
        with self._store.read() as connection:
            if start is None:
                return verify_log(connection, self._store.verifier_key)
            return verify_log_from(connection, self._store.verifier_key, start)

    def verify_shards(self, name: str | None = None) -> ShardReport:
        """Verify the shards that are there, or one, also against what the keyring remembers; see `verify_shards`.

        Raises:
            UnknownError: there is no shard of this name.
            TamperError: a shard does not hold, or is not the one that the keyring remembers.
        """
        with self._store.read() as connection:
            check_shards(self._store.folder, connection, self._store.keyring)
            return verify_shards(connection, self._store.verifier_key, name)

    def verify_rows(self) -> None:
        """Verify the seals of all authenticated rows; see `broken_rows`.

        Raises:
            TamperError: a seal does not hold; the message names the rows.
        """
        if broken := broken_rows(self._store):
            raise TamperError("; ".join(dict.fromkeys(map(str, broken[:MAX_NAMED]))) + _more(len(broken)))

    def public(self, period: timedelta) -> PublicLog:
        """Return what anyone may read; it grows at the end of each `period`."""
        return PublicLog(self._store, period)

    def write_tiles(self, folder: Path, period: timedelta) -> WrittenTiles:
        """Write the public log into a folder for a web server; see `volens.rights.static_tiles`."""
        return write_tiles(self.public(period), self._store.verifier_key, folder)

    def export(self, shard: str | None = None) -> Iterator[bytes]:
        """Yield the lines of the main log, or of one shard, as `volens.audit.verify_log_file` reads them.

        See `export_lines` and `shard_lines`.

        Raises:
            UnknownError: there is no shard of this name.
        """
        return export_lines(self._store) if shard is None else shard_lines(self._store, shard)

    def checkpoint(self) -> str:
        """Return the newest checkpoint: a C2SP signed note."""
        with self._store.read() as connection:
            return newest_head(connection).note

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return up to `count` leaves from leaf `start`; fewer or none at the end of the log.

        Raises:
            InputError: `start` is below 0, or `count` is not 1 to `MAX_ENTRIES`.
        """
        if start < 0 or not 1 <= count <= MAX_ENTRIES:
            raise InputError(
                f"got start {start} and count {count}; expected a start of 0 or more, and a count of 1 to {MAX_ENTRIES}"
            )
        with self._store.read() as connection:
            return leaves_from(connection, start, count)

    def opened(self, kind: str | None = None) -> list[Event]:
        """Return the events about no person with their details, for the operator; never over the network.

        Raises:
            TamperError: an opening does not match its leaf.
        """
        with self._store.read() as connection:
            found = entries_about_no_person(connection, kind) + shard_entries_about_no_person(connection, kind)
        return sorted(found, key=lambda one: one.at)

    def newest_backup_at(self) -> datetime | None:
        """Return when the newest backup was begun; None if there is none.

        Not checked: whether it was finished.
        """
        with self._store.read() as connection:
            return newest_time_of_kind(connection, "backup.begun", "with_keyring")

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the inclusion proof of leaf `index` in a log of `size` leaves (RFC 6962, 2.1.1): hashes of 32 bytes.

        Raises:
            InputError: there is no such leaf, or the log is smaller.
        """
        with self._store.read() as connection:
            if not 0 <= index < size <= log_size(connection):
                raise InputError(_beyond(f"leaf {index} of {size}", log_size(connection)))
            return inclusion_proof(index, size, node_reader(connection))

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the consistency proof from `old_size` to `size` leaves (RFC 6962, 2.1.2).

        Raises:
            InputError: `old_size` is larger than `size`, or the log is smaller.
        """
        with self._store.read() as connection:
            if not 0 <= old_size <= size <= log_size(connection):
                raise InputError(_beyond(f"{old_size} and {size} leaves", log_size(connection)))
            return consistency_proof(old_size, size, node_reader(connection))


def _more(count: int) -> str:
    return f"; and {count - MAX_NAMED} more" if count > MAX_NAMED else ""


def _beyond(got: str, size: int) -> str:
    return f"got {got}; expected at most {size}, the size of the log; read its checkpoint first"
