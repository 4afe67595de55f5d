"""Operators who may approve: their public keys, and how many of them an erasure by order needs.

A change that weakens the rule needs the approval of as many operators as the rule requires. The caller checks the
approvals and passes the names of the operators for the audit log.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, final

from sqlalchemy import Connection, func, insert, select, update

from volens.consent import InputError, RefusedError, UnknownError
from volens.consent.typed_text import same_text
from volens.store.log.referenced_leaf import check_logged
from volens.store.promises.label_bounds import plain_label
from volens.store.row_seals import seals_of
from volens.store.schema import data_tables as tables
from volens.store.schema.authenticated import Scope
from volens.store.transaction import Transaction

MAX_REQUIRED: Final = 2
DEFAULT_REQUIRED: Final = 2
ADDED: Final = "operator.added"


@final
@dataclass(frozen=True, slots=True)
class Operator:
    """An operator who may approve. The fields are the columns of the table, in their order.

    Attributes:
        label: a name or a role; dossiers contain it.
        public_key: 32 bytes, Ed25519.
        log_index: the index of the leaf that says that the operator was added.
        removed_at: None while the operator may approve.
    """

    label: str
    public_key: bytes
    log_index: int
    added_at: datetime
    removed_at: datetime | None


def add_operator(tx: Transaction, label: str, public_key: bytes, approved: Mapping[str, str | int]) -> None:
    """Add an operator who may approve.

    Raises:
        InputError: the label is not valid.
        RefusedError: the label or the key was used before; they are never reassigned.
    """
    label = plain_label(label)
    known = list_operators(tx.connection, removed=True)
    if any(same_text(one.label, label) or one.public_key == public_key for one in known):
        raise RefusedError("an operator of this label or key was added before; choose another label, or make a new key")
    with _changing(tx):
        index, _event = tx.log(ADDED, {"operator": label, "public_key": public_key.hex(), **approved})
        tx.connection.execute(
            insert(tables.operator_key).values(name=label, public_key=public_key, log_index=index, added_at=tx.now)
        )


def remove_operator(tx: Transaction, label: str, approved: Mapping[str, str | int]) -> None:
    """Remove an operator's right to approve. Their earlier approvals stay on record.

    Raises:
        InputError: there is no such operator.
        RefusedError: fewer operators would be left than the site requires, so that no order could be approved.
    """
    present = list_operators(tx.connection)
    label = next((one.label for one in present if same_text(one.label, label)), "")
    if not label:
        raise UnknownError("there is no operator of this label; 'volens operator list' shows them")
    required = operators_required(tx.connection)
    if required > 1 and len(present) - 1 < required:
        raise RefusedError(
            f"the site requires {required} operators and has {len(present)}; add another first, or require fewer"
        )
    with _changing(tx):
        tx.connection.execute(
            update(tables.operator_key).where(tables.operator_key.c.name == label).values(removed_at=tx.now)
        )
        tx.log("operator.removed", {"operator": label, **approved})


def require_operators(tx: Transaction, required: int, approved: Mapping[str, str | int]) -> None:
    """Set how many operators an erasure by order needs.

    Raises:
        InputError: the number is neither 1 nor 2.
        RefusedError: there are fewer operators.
    """
    if not 1 <= required <= MAX_REQUIRED:
        raise InputError(f"got {required} operators; expected 1 or {MAX_REQUIRED}")
    present = len(list_operators(tx.connection))
    if required > 1 and present < required:
        raise RefusedError(f"there are {present} operators, and {required} would be required; add operators first")
    newest = tx.connection.scalar(select(func.max(tables.operators_required.c.seq)))
    with _changing(tx):
        tx.connection.execute(
            insert(tables.operators_required).values(
                seq=0 if newest is None else newest + 1, required=required, set_at=tx.now
            )
        )
        tx.log("operator.required", {"required": required, **approved})


def operators_required(connection: Connection) -> int:
    """Return how many operators an erasure by order needs; `DEFAULT_REQUIRED` unless set. 1 is the person at the desk.

    Raises:
        TamperError: the rows of the site do not verify.
    """
    rules = seals_of(connection).site(connection).records(tables.operators_required)
    return int(max(rules, key=lambda rule: rule["seq"])["required"]) if rules else DEFAULT_REQUIRED


def list_operators(connection: Connection, *, removed: bool = False) -> list[Operator]:
    """Return the operators by label; with `removed`, former ones too.

    An operator counts only with the leaf of the audit log that says that the operator was added.

    Raises:
        TamperError: the rows of the site do not verify, or an operator has no such leaf.
    """
    seals = seals_of(connection)
    rows = sorted(seals.site(connection).records(tables.operator_key), key=lambda row: str(row["name"]))
    for row in rows:
        facts = {"operator": row["name"], "public_key": row["public_key"].hex()}
        check_logged(connection, seals.keyring, row["log_index"], (ADDED,), facts)
    return [Operator(*row.values()) for row in rows if removed or row["removed_at"] is None]


def _changing(tx: Transaction) -> AbstractContextManager[None]:
    return tx.changing(Scope.SITE, [seals_of(tx.connection).keyring.site_id])
