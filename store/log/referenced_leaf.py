"""A leaf of the audit log that a row refers to: what the row grants must stand in the log."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select

from volens import audit
from volens.consent import TamperError
from volens.consent.errors import DamagedDataError
from volens.consent.json_reader import read_json
from volens.store.keys.keyring import Keyring
from volens.store.prepared_query import PreparedQuery, ReadSnapshot
from volens.store.schema import data_tables as tables
from volens.store.schema.keyring_tables import log_leaf

_event, _opening = tables.audit_event.c, tables.audit_opening.c
_OPENED: Final = PreparedQuery(
    select(_event.leaf, _opening.details, _opening.salt)
    .join_from(tables.audit_event, tables.audit_opening, _opening.seq == _event.seq)
    .where(_event.seq == bindparam("index"))
)
_KEPT: Final = PreparedQuery(select(log_leaf.c.leaf).where(log_leaf.c.seq == bindparam("index")))


def check_logged(
    connection: Connection | ReadSnapshot,
    keyring: Keyring,
    index: int,
    kinds: tuple[str, ...],
    facts: Mapping[str, Any],
) -> None:
    """Check that leaf `index` of the log is an event of one of some kinds, whose details contain these facts.

    The leaf is the one that the keyring has, unless it was appended just now.

    Raises:
        TamperError: it is not; the message names the leaf.
    """
    rows = _OPENED.rows(connection, {"index": index})
    with keyring.engine.read_prepared() as kept:
        known = _KEPT.rows(kept, {"index": index})
    try:
        ((leaf, text, salt),) = rows
        details = read_json(text)
        kind, _at = audit.open_leaf(leaf, details, salt)
        holds = kind in kinds and facts.items() <= details.items() and all(bytes(one) == leaf for (one,) in known)
    except (ValueError, TypeError, AttributeError, TamperError):
        holds = False
    if not holds:
        raise DamagedDataError(f"entry {index} of the audit log is not the {' or '.join(kinds)} that a row refers to")
