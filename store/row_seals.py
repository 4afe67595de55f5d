"""Row seals: the MACs of authenticated rows, in the data file; their key and their generations are in the keyring.

1. Each scope (`volens.store.schema.authenticated`) has one row in `row_seal`: a MAC over all rows of the scope and over
   a generation, the size of the audit log when they were sealed. So rows that were changed, added or deleted by a
   program without the keyring are noticed when they are read.
2. The keyring remembers the newest generation of each scope, in the transaction in which it remembers the head of the
   log (`volens.store.log.remembrance`). So old rows with their old seal are noticed too.
3. A write transaction verifies a scope before it changes it, and seals it afterwards (`Transaction.changing`). So it
   never seals what another program has changed.

A scope that does not verify is refused with TamperError; every other scope goes on working. Its erasure is not stopped.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hmac import compare_digest, digest
from typing import Any, Final, final

from sqlalchemy import Connection, Table, bindparam, delete, insert, select

from volens.consent import ReceiptId, TamperError
from volens.consent.errors import DamagedDataError
from volens.store.authenticated_rows import Row, rows_mac
from volens.store.engine import StoreEngine
from volens.store.keys.generations import Remembered, remembered_generations
from volens.store.keys.keyring import Keyring
from volens.store.keys.secrets import LongLivedSecret
from volens.store.log.audit_log import log_size
from volens.store.prepared_query import InList, PreparedQuery, ReadSnapshot, attached
from volens.store.recovery_advice import advised
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import DELETED_SCOPES, Scope, ScopedTable, scoped_tables
from volens.store.schema.table_builder import read_value

_ATTACHED: Final = "row seals"
_seal = tables.row_seal.c
_SEALS: Final = PreparedQuery(
    select(_seal.scope_id, _seal.generation, _seal.mac).where(
        _seal.scope == bindparam("scope"), InList(_seal.scope_id, "ids")
    )
)
_ENDED: Final = PreparedQuery(
    select(tables.consent_end.c.receipt_id).where(tables.consent_end.c.receipt_id == bindparam("of"))
)
_DELETE: Final = delete(tables.row_seal).where(_seal.scope == bindparam("of"), _seal.scope_id == bindparam("one"))


@final
@dataclass(frozen=True, slots=True)
class SealedRows:
    """The rows of one scope, whose seal was verified; values as the database stores them."""

    scope: Scope
    scope_id: str
    generation: int
    tables: Mapping[str, Sequence[Row]]

    def records(self, table: Table) -> list[dict[str, Any]]:
        """Return the rows of a table as mappings of column names to values, times as aware UTC."""
        scoped = next(one for one in scoped_tables(self.scope) if one.table is table)
        columns = [table.c[name] for name in scoped.columns]
        return [
            {column.name: read_value(column, value) for column, value in zip(columns, row, strict=True)}
            for row in self.tables[table.name]
        ]


@final
class RowSeals:
    """Verifies and writes the row seals of one store. `close` wipes the key."""

    def __init__(self, data: StoreEngine, keyring: Keyring) -> None:
        self.keyring = keyring
        self._data = data
        self._cache: dict[tuple[Scope, str], tuple[int, SealedRows]] = {}
        with keyring.derived_key("authenticated rows") as key:
            self._key = LongLivedSecret(key.buffer)
        with keyring.derived_key("last interactions") as key:
            self._visits_key = LongLivedSecret(key.buffer)
        with keyring.derived_key("credentials") as key:
            self._credentials_key = LongLivedSecret(key.buffer)
        data.attached[_ATTACHED] = self

    def verified(
        self, connection: Connection | ReadSnapshot, scope: Scope, scope_ids: Iterable[str]
    ) -> dict[str, SealedRows]:
        """Return the rows of those scopes that exist.

        Raises:
            TamperError: a scope does not verify; the message says which.
        """
        found = self.inspected(connection, scope, scope_ids)
        for one in found.values():
            if isinstance(one, TamperError):
                raise one
        return {scope_id: one for scope_id, one in found.items() if isinstance(one, SealedRows)}

    def inspected(
        self, connection: Connection | ReadSnapshot, scope: Scope, scope_ids: Iterable[str]
    ) -> dict[str, SealedRows | TamperError]:
        """Return the rows of those scopes that exist, or what is wrong with them.

        A snapshot that is older than the newest seal of a scope is accepted if the data file has that seal now.
        Cost: one query for each table of the scope, two more, and 10 us for each consent.
        """
        wanted = list(dict.fromkeys(scope_ids))
        rows = _read(connection, scope, wanted)
        seals = {
            scope_id: (generation, mac)
            for scope_id, generation, mac in _SEALS.rows(connection, {"scope": scope.value, "ids": wanted})
        }
        known = remembered_generations(self.keyring, scope.value, wanted)
        anchor, key = scoped_tables(scope)[0].table.name, self._key.buffer
        found: dict[str, SealedRows | TamperError] = {}
        for one in wanted:
            its, seal, kept = rows[one], seals.get(one), known.get(one)
            if not its[anchor]:
                if self._is_missing(connection, scope, one, seal is not None, kept):
                    found[one] = self._problem(scope, one, "are missing")
            elif seal is None:
                found[one] = self._problem(scope, one, "have no seal")
            elif not compare_digest(seal[1], rows_mac(key, scope, one, seal[0], its)):
                found[one] = self._problem(scope, one, "were changed by another program")
            elif kept is not None and seal[0] < kept.generation and not self._is_stale(connection, kept):
                found[one] = self._problem(scope, one, "are older than the keyring remembers")
            else:
                found[one] = SealedRows(scope, one, seal[0], its)
        return found

    def rolled_back(self, connection: Connection, scope: Scope, scope_ids: Sequence[str]) -> list[str]:
        """Return the scopes whose rows verify, but under an older seal than the keyring remembers: a restored backup.

        Scopes that ended since are left out.
        """
        rows, known = _read(connection, scope, scope_ids), remembered_generations(self.keyring, scope.value, scope_ids)
        seals = _SEALS.rows(connection, {"scope": scope.value, "ids": list(scope_ids)})
        return [
            one
            for one, generation, mac in seals
            if one in known and not known[one].is_over and generation < known[one].generation
            if compare_digest(mac, rows_mac(self._key.buffer, scope, one, generation, rows[one]))
        ]

    def newer_than(self, connection: Connection, size: int) -> int | None:
        """Return the highest generation above a size of the log, of scopes that verify; None if there is none.

        A genuine seal is never newer than the log, unless entries were cut off the log's end.
        """
        rows = connection.execute(select(_seal.scope, _seal.scope_id, _seal.generation).where(_seal.generation > size))
        genuine = [
            row.generation
            for row in rows.all()
            if row.scope in set(Scope)
            and isinstance(self.inspected(connection, Scope(row.scope), [row.scope_id]).get(row.scope_id), SealedRows)
        ]
        return max(genuine, default=None)

    def cached(self, connection: Connection | ReadSnapshot, scope: Scope, scope_id: str) -> SealedRows | None:
        """Return the rows of one scope; None if it does not exist. Read again only after the log has grown.

        Raises:
            TamperError: it does not verify.
        """
        if isinstance(connection, Connection) and connection.info.get(_ATTACHED) is WRITING:
            return self.verified(connection, scope, [scope_id]).get(scope_id)
        size, key = log_size(connection), (scope, scope_id)
        known = self._cache.get(key)
        if known is not None and known[0] == size:
            return known[1]
        found = self.verified(connection, scope, [scope_id]).get(scope_id)
        if found is not None:  # ids that do not exist would fill the memory
            self._cache[key] = (size, found)
        return found

    def codes_of(self, connection: Connection, receipt_ids: Sequence[str]) -> dict[ReceiptId, bytes]:
        """Return the digests of the withdrawal codes of consents in force whose rows verify; others are left out."""
        return {
            ReceiptId(receipt_id): rows.records(tables.receipt)[0]["withdrawal_digest"]
            for receipt_id, rows in self.inspected(connection, Scope.CONSENT, receipt_ids).items()
            if isinstance(rows, SealedRows)
        }

    def damaged(self, problem: str) -> DamagedDataError:
        """Return an error about rows, also one that is not raised in a transaction, with what the engine advises."""
        return advised(DamagedDataError(problem), self._data.advice)

    def _problem(self, scope: Scope, scope_id: str, what: str) -> DamagedDataError:
        names = ", ".join(one.table.name for one in scoped_tables(scope))
        return self.damaged(f"the rows of {scope.value} {scope_id!r} ({names}) {what}; it is closed")

    def site(self, connection: Connection | ReadSnapshot) -> SealedRows:
        """Return the rows of the site itself; cached.

        Raises:
            TamperError: they do not verify.
        """
        found = self.cached(connection, Scope.SITE, self.keyring.site_id)
        if found is None:
            raise self._problem(Scope.SITE, self.keyring.site_id, "are missing")
        return found

    def write(self, connection: Connection, scope: Scope, scope_ids: Sequence[str], generation: int) -> None:
        """Seal scopes as they are now, and delete the seals of those that are gone.

        Not checked: that no other program has changed them; `Transaction.changing` does that before the change.
        """
        rows, anchor = _read(connection, scope, scope_ids), scoped_tables(scope)[0].table.name
        self.delete(connection, scope, scope_ids)
        seals = [
            {
                "scope": scope.value,
                "scope_id": one,
                "generation": generation,
                "mac": rows_mac(self._key.buffer, scope, one, generation, its),
            }
            for one, its in rows.items()
            if its[anchor]
        ]
        if seals:
            connection.execute(insert(tables.row_seal), seals)

    def delete(self, connection: Connection, scope: Scope, scope_ids: Iterable[str]) -> None:
        """Delete the seals of scopes that end."""
        gone = [{"of": scope.value, "one": one} for one in scope_ids]
        if gone:
            connection.execute(_DELETE, gone)

    def interaction_mac(self, receipt_id: str, interacted_at: str) -> bytes:
        """Return the MAC of a person's last interaction, 32 bytes; `interacted_at` as the database stores it.

        It has no generation: an older date with its MAC only ends the consent earlier.
        """
        return digest(self._visits_key.buffer, f"{receipt_id} {interacted_at}".encode(), "sha256")

    def lease_mac(self, lease_id: str, number: int, values: Row) -> bytes:
        """Return the MAC of the row of a lease, 32 bytes; the values as the database stores them.

        It has no generation: the number of a door's newest lease is in the keyring (`store.promises.lease_rows`).
        """
        return rows_mac(self._key.buffer, "lease", lease_id, number, {"lease": [values]})

    def token_mac(self, token: bytes) -> bytes:
        """Return the keyed hash of a credential's token, 32 bytes."""
        return digest(self._credentials_key.buffer, token, "sha256")

    def close(self) -> None:
        """Wipe the keys."""
        self._key.wipe()
        self._credentials_key.wipe()
        self._visits_key.wipe()
        self._cache.clear()

    def _is_missing(
        self,
        connection: Connection | ReadSnapshot,
        scope: Scope,
        scope_id: str,
        has_seal: bool,  # noqa: FBT001  a fact of the caller
        kept: Remembered | None,
    ) -> bool:
        """Return whether rows that are not there should be: their seal is there, or the keyring remembers them."""
        if scope in DELETED_SCOPES:
            return False
        if has_seal:
            return True
        if kept is None or kept.is_over or self._is_stale(connection, kept):
            return False
        # The keyring may not know yet that the consent ended.
        return scope is not Scope.CONSENT or not _ENDED.rows(connection, {"of": scope_id})

    def _is_stale(self, connection: Connection | ReadSnapshot, kept: Remembered) -> bool:
        """Return whether a scope was sealed again since this snapshot was begun, and the data file has that change."""
        if log_size(connection) >= kept.generation:
            return False
        with self._data.read_prepared() as now:
            return log_size(now) >= kept.generation


WRITING: Final = object()
"""Mark of a connection in a write transaction, whose changes may be rolled back: nothing it reads is cached."""


def mark_writing(connection: Connection, *, writing: bool) -> None:
    """Mark the connection of a write transaction while it lasts."""
    if writing:
        connection.info[_ATTACHED] = WRITING
    else:
        connection.info.pop(_ATTACHED, None)


def seals_of(connection: Connection | ReadSnapshot) -> RowSeals:
    """Return the row seals of the store that a connection belongs to."""
    found: RowSeals = attached(connection)[_ATTACHED]
    return found


def _read(
    connection: Connection | ReadSnapshot, scope: Scope, scope_ids: Sequence[str]
) -> dict[str, dict[str, Sequence[Row]]]:
    """Return the rows of scopes by id and table. One query for each table."""
    scoped = scoped_tables(scope)
    none: dict[str, Sequence[Row]] = {one.table.name: () for one in scoped}
    found = {one: none.copy() for one in scope_ids}
    values = {"ids": list(scope_ids)}
    for one in scoped:
        query, at = _query(one)
        name = one.table.name
        if at is None:
            for its in found.values():
                its[name] = query.rows(connection, {})
            continue
        for row in query.rows(connection, values):
            its = found[row[at]]
            its[name] = (*its[name], row)
    return found


@cache
def _query(scoped: ScopedTable) -> tuple[PreparedQuery, int | None]:
    """Return the query for the rows of a table, and the position of the scope's id in them."""
    query = select(*(scoped.table.c[name] for name in scoped.columns))
    if scoped.key is None:
        return PreparedQuery(query), None
    return PreparedQuery(query.where(InList(scoped.table.c[scoped.key], "ids"))), scoped.columns.index(scoped.key)
