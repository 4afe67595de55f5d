"""The self-check of an SQLite file: how SQLite is asked; see `volens.store.schema.forbidden_acts`."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import dialect

from volens.store.schema import forbidden_acts as acts
from volens.store.schema.forbidden_acts import Act, Manner


def _replacing(table: sa.Table, row: dict[str, Any]) -> sa.Insert:
    return sa.insert(table).prefix_with("OR REPLACE", dialect="sqlite").inline().values(row)


# SQLite undoes a refused statement by itself.
_MANNER: Final = Manner(dialect(paramstyle="qmark"), _replacing, sa.Connection.exec_driver_sql)


def check_refusals(connection: sa.Connection, those: Sequence[Act] | None = None) -> None:
    """Try each forbidden act, or those given.

    Raises:
        TamperError: the file accepts one.
    """
    acts.check_refusals(connection, _MANNER, those)


def forbidden_acts() -> list[Act]:
    """Return what is tried, in the order in which it is tried."""
    return acts.forbidden_acts(_MANNER)
