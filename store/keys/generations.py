"""Generations of sealed rows in the keyring: what the data file must not fall behind. See `volens.store.row_seals`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from volens.consent import ReceiptId
from volens.store.keys.keyring import Keyring
from volens.store.prepared_query import InList, PreparedQuery
from volens.store.schema.keyring_tables import sealed_scope, withdrawal_code

_BATCH: Final = 500
_sealed = sealed_scope.c
_GENERATIONS: Final = PreparedQuery(
    select(_sealed.scope_id, _sealed.generation, _sealed.is_over).where(
        _sealed.scope == bindparam("scope"), InList(_sealed.scope_id, "ids")
    )
)
_FORGET: Final = delete(sealed_scope).where(_sealed.scope == bindparam("of"), _sealed.scope_id == bindparam("one"))
_END: Final = (
    update(sealed_scope)
    .where(_sealed.scope == bindparam("of"), _sealed.scope_id == bindparam("one"))
    .values(generation=bindparam("size"), is_over=1)
)


class Remembered(NamedTuple):
    """What the keyring remembers of a scope: its newest generation, and whether it ended since."""

    generation: int
    is_over: bool


def remembered_generations(keyring: Keyring, scope: str, scope_ids: Iterable[str]) -> dict[str, Remembered]:
    """Return what is remembered of scopes; only of those that were ever sealed. One query for each 500."""
    wanted, found = list(scope_ids), dict[str, Remembered]()
    for start in range(0, len(wanted), _BATCH):
        with keyring.engine.read_prepared() as snapshot:
            rows = _GENERATIONS.rows(snapshot, {"scope": scope, "ids": wanted[start : start + _BATCH]})
        found |= {scope_id: Remembered(generation, bool(is_over)) for scope_id, generation, is_over in rows}
    return found


def all_remembered(kept: Connection, scope: str) -> dict[str, Remembered]:
    """Return what is remembered of all scopes of a kind."""
    rows = kept.execute(select(_sealed.scope_id, _sealed.generation, _sealed.is_over).where(_sealed.scope == scope))
    return {row.scope_id: Remembered(row.generation, bool(row.is_over)) for row in rows}


def remember_generations(kept: Connection, seals: Sequence[tuple[str, str, int]]) -> None:
    """Remember seals: scope, id and generation of each. `kept` is a write transaction of the keyring."""
    rows = [{"scope": scope, "scope_id": one, "generation": number, "is_over": 0} for scope, one, number in seals]
    if rows:
        forget(kept, [(scope, one) for scope, one, _number in seals])
        kept.execute(insert(sealed_scope), rows)


def remember_over(kept: Connection, scope: str, scope_ids: Iterable[str], size: int) -> None:
    """Remember that scopes ended: no seal of before `size` is valid again."""
    rows = [{"of": scope, "one": one, "size": size} for one in scope_ids]
    if rows:
        kept.execute(_END, rows)


def forget(kept: Connection, scopes: Iterable[tuple[str, str]]) -> None:
    """Forget scopes that are gone for a reason that the keyring cannot know."""
    rows = [{"of": scope, "one": one} for scope, one in scopes]
    if rows:
        kept.execute(_FORGET, rows)


def remember_codes(kept: Connection, digests: Mapping[ReceiptId, bytes]) -> None:
    """Remember the digest of the withdrawal code of each consent; one that is remembered is not changed."""
    table = withdrawal_code.c
    known = set[str]()
    wanted = list(digests)
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        known.update(kept.scalars(select(table.receipt_id).where(table.receipt_id.in_(batch))))
    rows = [{"receipt_id": one, "digest": digest} for one, digest in digests.items() if one not in known]
    if rows:
        kept.execute(insert(withdrawal_code), rows)


def replace_codes(kept: Connection, digests: Mapping[ReceiptId, bytes]) -> None:
    """Remember the digest of a code that was issued again, and forget the one before. The caller verified the rows."""
    table = withdrawal_code.c
    for receipt_id, digest in digests.items():
        kept.execute(delete(withdrawal_code).where(table.receipt_id == receipt_id))
        kept.execute(insert(withdrawal_code), {"receipt_id": receipt_id, "digest": digest})


def receipt_of_digest(keyring: Keyring, digest: bytes) -> ReceiptId | None:
    """Return the consent that a withdrawal code's digest belongs to."""
    with keyring.read() as kept:
        found = kept.scalar(select(withdrawal_code.c.receipt_id).where(withdrawal_code.c.digest == digest))
    return None if found is None else ReceiptId(found)
