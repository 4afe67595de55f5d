"""The newest entry of the log that a process has seen: it notices a store that is set back while the process runs.

Data and keyring on a server can be set back together, by a standby that lagged behind, or by point-in-time recovery.
Then neither contradicts the other, but the process knows an entry that is not there any more. Leaves are salted, so a
log that went another way has another leaf in its place.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from sqlalchemy import Connection, bindparam, select

from volens.consent import TamperError
from volens.store.log.freshness import misfit_of_seen
from volens.store.log.home_evidence import certificates_folder
from volens.store.prepared_query import PreparedQuery, ReadSnapshot
from volens.store.schema import data_tables as tables
from volens.store.site_databases import is_on_server

_event: Final = tables.audit_event.c
_NEWEST: Final = PreparedQuery(select(_event.seq, _event.leaf).order_by(_event.seq.desc()).limit(1))
_LEAF: Final = PreparedQuery(select(_event.leaf).where(_event.seq == bindparam("at")))


@final
@dataclass(frozen=True, slots=True)
class LastEntry:
    """The last entry of a log of some size; the leaf of an empty log is empty."""

    size: int
    leaf: bytes


def last_entry(connection: Connection | ReadSnapshot) -> LastEntry:
    """Return the last entry of the log."""
    for seq, leaf in _NEWEST.rows(connection, {}):
        return LastEntry(seq + 1, bytes(leaf))
    return LastEntry(0, b"")


@final
class SeenLog:
    """What one process has seen of the log; threads share it.

    Attributes:
        last: the last entry of the longest log. Read it before a snapshot begins, because an older one rightly lacks
            what was committed since.
    """

    def __init__(self, home: Path, last: LastEntry) -> None:
        self.last = last
        self._home, self._is_set_back = home, False

    def note(self, last: LastEntry) -> None:
        """Note the last entry of the log."""
        if last.size > self.last.size:
            self.last = last

    def check_size(self, size: int, seen: LastEntry) -> None:
        """Check that a log is as long as when `last` was `seen`.

        Raises:
            TamperError: data and keyring were set back, now or before: a log that is long again is another one.
        """
        if size < seen.size or self._is_set_back:
            raise self._set_back(size, seen)

    def check(self, connection: Connection | ReadSnapshot, last: LastEntry, seen: LastEntry) -> None:
        """Check that the log, whose last entry is `last`, has the entry that was `seen` before this snapshot.

        Raises:
            TamperError: data and keyring were set back.
        """
        self.check_size(last.size, seen)
        leaves = [last.leaf]
        if last.size > seen.size > 0:
            leaves = [bytes(leaf) for (leaf,) in _LEAF.rows(connection, {"at": seen.size - 1})]
        if seen.size and leaves != [seen.leaf]:
            raise self._set_back(last.size, seen)

    def _set_back(self, size: int, seen: LastEntry) -> TamperError:
        self._is_set_back = True
        certificates = certificates_folder(self._home)
        return misfit_of_seen(seen.size, size, certificates, on_server=is_on_server(self._home)).error()
