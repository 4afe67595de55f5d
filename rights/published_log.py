"""The audit log as those read it who do not trust the site: leaves, signed heads, and proofs that both belong together.

Leaves are commitments: nothing in them names a person, and what opens them stays here. So all of it may be shown.
"""

from typing import Final, final

from sqlalchemy import select

from volens.audit import Event, consistency_proof, inclusion_proof
from volens.consent import InputError
from volens.store import Store
from volens.store.log import LogReport, entries_about_nobody, log_size, node_reader, verify_log
from volens.store.schema import data_tables as tables

MAX_ENTRIES: Final = 1000


@final
class PublishedLog:
    """Reads the log of a site; every answer is from one snapshot."""

    def __init__(self, store: Store) -> None:
        """Read the log of a store."""
        self._store = store

    def verify(self) -> LogReport:
        """Verify the whole audit log; see `verify_log`."""
        with self._store.read() as connection:
            return verify_log(connection, self._store.verifier_key)

    def checkpoint(self) -> str:
        """Return the newest signed head: a C2SP signed note."""
        notes = tables.audit_checkpoint.c
        with self._store.read() as connection:
            return str(connection.scalars(select(notes.note).order_by(notes.size.desc()).limit(1)).one())

    def entries(self, start: int, count: int) -> list[bytes]:
        """Return some leaves, the first being leaf `start`; fewer or none at the end of the log.

        Raises:
            InputError: `start` is below 0, or `count` is not 1 to `MAX_ENTRIES`.
        """
        if start < 0 or not 1 <= count <= MAX_ENTRIES:
            raise InputError(f"got entries from {start}, {count} of them; expected from 0, 1 to {MAX_ENTRIES} of them")
        event = tables.audit_event.c
        with self._store.read() as connection:
            rows = connection.scalars(select(event.leaf).where(event.seq >= start).order_by(event.seq).limit(count))
            return [bytes(leaf) for leaf in rows]

    def opened(self, kind: str | None = None) -> list[Event]:
        """Return the events about no person that can be opened, for whoever runs the site; never over the network.

        Raises:
            TamperError: an opening is not that of its leaf.
        """
        with self._store.read() as connection:
            return entries_about_nobody(connection, kind)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the proof that leaf `index` is among the first `size` (RFC 6962, 2.1.1): hashes of 32 bytes.

        Raises:
            InputError: there is no such leaf, or the log is smaller.
        """
        with self._store.read() as connection:
            if not 0 <= index < size <= log_size(connection):
                raise InputError(_beyond(f"leaf {index} of {size}", log_size(connection)))
            return inclusion_proof(index, size, node_reader(connection))

    def consistency(self, old_size: int, size: int) -> list[bytes]:
        """Return the proof that the first `old_size` leaves are the same in a log of `size` (RFC 6962, 2.1.2).

        Raises:
            InputError: `old_size` is larger than `size`, or the log is smaller.
        """
        with self._store.read() as connection:
            if not 0 <= old_size <= size <= log_size(connection):
                raise InputError(_beyond(f"{old_size} and {size} leaves", log_size(connection)))
            return consistency_proof(old_size, size, node_reader(connection))


def _beyond(got: str, size: int) -> str:
    return f"got {got}; expected less, for the log has {size} leaves; ask for its checkpoint first"
