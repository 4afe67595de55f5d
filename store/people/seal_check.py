"""Checks the seals of all authenticated rows of a store, for `volens audit verify` and `volens doctor`."""

from sqlalchemy import select

from volens.consent import ReceiptId, TamperError
from volens.store.batches import batches
from volens.store.keys.generations import all_remembered
from volens.store.people.consents import inspect_consents
from volens.store.promises.lease_rows import lease_problems
from volens.store.schema.authenticated import Scope, row_seal, scoped_tables
from volens.store.store import Store


def broken_rows(store: Store) -> list[TamperError]:
    """Return what is wrong with rows of the data file, one error for each scope, or door, that does not verify.

    Every scope is checked that has rows, a seal, or a generation in the keyring. Cost: 20 us for each consent.
    """
    broken: list[TamperError] = []
    with store.read() as connection, store.keyring.read() as kept:
        for scope in Scope:
            anchor = scoped_tables(scope)[0]
            column = anchor.table.c[anchor.key or next(iter(anchor.table.primary_key)).name]
            ids = set(connection.scalars(select(column)))
            ids |= set(connection.scalars(select(row_seal.c.scope_id).where(row_seal.c.scope == scope.value)))
            ids |= all_remembered(kept, scope.value).keys()
            for batch in batches(sorted(ids)):
                if scope is Scope.CONSENT:
                    found = inspect_consents(connection, map(ReceiptId, batch)).values()
                    broken += [one for one in found if isinstance(one, TamperError)]
                else:
                    rows = store.seals.inspected(connection, scope, batch).values()
                    broken += [one for one in rows if isinstance(one, TamperError)]
        broken += lease_problems(connection, store.now())
    return broken
