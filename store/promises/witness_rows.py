"""Witnesses of the log: organisations that cosign the checkpoints of the public log (C2SP tlog-witness).

A witness is added and removed, never changed: who cosigns is promised to those who check the log.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection, insert, update

from volens.audit.cosignature import MAX_WITNESSES, WitnessKey
from volens.consent import RefusedError, TamperError, UnknownError
from volens.consent.typed_text import same_text
from volens.store.log.cosigned_heads import cosigned_note, lines_of
from volens.store.log.log_reading import SignedHead
from volens.store.promises.label_bounds import plain_label
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

_ID_BYTES: Final = 16


@final
@dataclass(frozen=True, slots=True)
class Witness:
    """A witness of the log.

    Attributes:
        name: what the site calls it, such as "Works council".
        url: the prefix of its address; ``/add-checkpoint`` follows.
        key: its verifier key.
        allow_private: whether the address may be in a private network, and http.
        removed_at: None while it is asked.
    """

    witness_id: str
    name: str
    url: str
    key: WitnessKey
    allow_private: bool
    added_at: datetime
    removed_at: datetime | None


def add_witness(tx: Transaction, name: str, url: str, key: WitnessKey, *, allow_private: bool) -> Witness:
    """Add a witness, which is asked to cosign from now on. Not checked: the address; the caller has parsed it.

    Raises:
        InputError: the name is not valid.
        RefusedError: a present witness has this name or this key, or there are as many as a note has room for.
    """
    name = plain_label(name)
    present = list_witnesses(tx.connection)
    if any(same_text(one.name, name) or one.key.public_key == key.public_key for one in present):
        raise RefusedError("a witness of this name or key is there already; remove it first, or choose another name")
    if len(present) >= MAX_WITNESSES:
        raise RefusedError(f"the site has {len(present)} witnesses, as many as a checkpoint has room for; remove one")
    witness_id = tx.random(_ID_BYTES).hex()
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        tx.connection.execute(
            insert(tables.witness).values(
                witness_id=witness_id,
                name=name,
                url=url,
                key=key.line(),
                allow_private=int(allow_private),
                added_at=tx.now,
            )
        )
        tx.log("witness.added", {"witness": name, "key": key.line()})
    return Witness(witness_id, name, url, key, allow_private, tx.now, None)


def remove_witness(tx: Transaction, name: str) -> Witness:
    """Remove a witness; it is not asked any more. Its cosignatures stay.

    Raises:
        UnknownError: there is no such witness.
    """
    found = next((one for one in list_witnesses(tx.connection) if same_text(one.name, name)), None)
    if found is None:
        raise UnknownError("there is no witness of this name; 'volens witness list' shows them")
    with tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id]):
        tx.connection.execute(
            update(tables.witness).where(tables.witness.c.witness_id == found.witness_id).values(removed_at=tx.now)
        )
        tx.log("witness.removed", {"witness": found.name, "key": found.key.line()})
    return found


def list_witnesses(connection: Connection, *, removed: bool = False) -> list[Witness]:
    """Return the witnesses by name; with `removed`, former ones too.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    rows = seals_of(connection).site(connection).records(tables.witness)
    found = [
        Witness(
            row["witness_id"],
            row["name"],
            row["url"],
            WitnessKey.parse(row["key"]),
            bool(row["allow_private"]),
            row["added_at"],
            row["removed_at"],
        )
        for row in rows
        if removed or row["removed_at"] is None
    ]
    return sorted(found, key=lambda one: (one.name, one.added_at))


def cosigned_by_witnesses(connection: Connection, head: SignedHead) -> str:
    """Return the note of a checkpoint with the cosignatures of present and former witnesses.

    Without them if the rows of the site do not verify: readers of the log and holders of a certificate need no rows,
    and 'volens doctor' names the broken ones.
    """
    if not lines_of(connection, head.size):
        return head.note
    try:
        return cosigned_note(connection, head, [one.key for one in list_witnesses(connection, removed=True)])
    except TamperError:
        return head.note
