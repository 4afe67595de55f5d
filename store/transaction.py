"""One write transaction of a store, whose audit log entries are signed before the commit."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import final

from sqlalchemy import Connection, Table

from volens.audit import Checkpoint, Event, origin_of
from volens.consent import ReceiptId, format_time
from volens.consent.lease_end import SteadyTime
from volens.store.engine import StoreEngine
from volens.store.keys.secrets import Random
from volens.store.log import audit_log
from volens.store.log.log_reading import newest_head
from volens.store.log.shard_log import ShardWriter
from volens.store.row_seals import RowSeals
from volens.store.schema.authenticated import Scope


@final
class Transaction:
    """One write transaction: rows and their audit leaves, committed together."""

    def __init__(
        self,
        connection: Connection,
        log_size: int,
        *,
        engine: StoreEngine,
        seals: RowSeals,
        random: Random,
        now: datetime,
        steady: SteadyTime,
    ) -> None:
        """Begin with a log of this size; the keyring is that of `seals`."""
        self.connection = connection
        self.now = now
        self.steady = steady
        self.random = random
        self._keyring = seals.keyring
        self._origin = origin_of(self._keyring.site_id)
        self._engine = engine
        self._seals = seals
        self._signed: tuple[Checkpoint, str] | None = None
        self._start = log_size
        self.shards = ShardWriter(connection, self._keyring, self._origin, random, self.log)

    def next_id(self, table: Table) -> int:
        """Return an id that no row of a table ever had; the caller inserts a row with it."""
        return self._engine.next_id(self.connection, table)

    def log(
        self,
        kind: str,
        details: Mapping[str, str | int],
        *,
        receipt_id: ReceiptId | None = None,
        at: datetime | None = None,
    ) -> tuple[int, Event]:
        """Append an audit event, of now or of a time; see `audit_log.append`."""
        (entry,) = audit_log.append(
            self.connection, kind, at or self.now, [details], receipt_id=receipt_id, random=self.random
        )
        return entry

    def log_all(self, kind: str, many_details: Sequence[Mapping[str, str | int]]) -> list[tuple[int, Event]]:
        """Append one audit event for each of `many_details`, about no consent in force; see `audit_log.append`."""
        return audit_log.append(self.connection, kind, self.now, many_details, receipt_id=None, random=self.random)

    def sign_log(self) -> tuple[Checkpoint, str]:
        """Sign the log's current head as a checkpoint, and store it; if that was done, return the same."""
        if self._signed is None or self._signed[0].size < audit_log.log_size(self.connection):
            head = audit_log.checkpoint(self.connection, self._origin)
            note = self._keyring.sign_checkpoint(head)
            audit_log.add_note(self.connection, head.size, note)
            self._signed = head, note
        return self._signed

    def newest_checkpoint(self) -> str:
        """Return the signed checkpoint of all entries so far, also of those that this transaction has added."""
        if audit_log.log_size(self.connection) > self._start:
            return self.sign_log()[1]
        return newest_head(self.connection).note

    @contextmanager
    def changing(self, scope: Scope, scope_ids: Iterable[str]) -> Generator[None]:
        """Change rows of scopes in the block: they are verified before it, and sealed again after it.

        The generation of the seals is the size of the log, so every change needs an entry in it, before the block or in
        it. Inside the block nothing may read the scopes as verified rows.

        Raises:
            TamperError: the rows were changed by another program; they are not sealed, nor is anything written.
        """
        wanted = list(dict.fromkeys(scope_ids))
        self._seals.verified(self.connection, scope, wanted)
        yield
        size = audit_log.log_size(self.connection)
        if size == self._start:
            raise RuntimeError(f"rows of {scope.value} were changed without an entry in the audit log")
        self._seals.write(self.connection, scope, wanted, size)

    def ending(self, scope: Scope, scope_ids: Iterable[str]) -> None:
        """Delete the seals of scopes that end, whether they verify or not: a broken seal never stops an erasure."""
        self._seals.delete(self.connection, scope, scope_ids)

    def interaction(self, receipt_id: str, at: datetime) -> dict[str, datetime | bytes]:
        """Return a last interaction with its MAC, as the columns of `last_interaction`."""
        return {"interacted_at": at, "mac": self._seals.interaction_mac(receipt_id, format_time(at))}

    def finish(self) -> bool:
        """Sign checkpoints if leaves are not covered by one; return whether the log or a shard grew."""
        have_shards_grown = self.shards.finish()
        has_grown = audit_log.log_size(self.connection) > self._start
        if has_grown:
            self.sign_log()
        return has_grown or have_shards_grown
