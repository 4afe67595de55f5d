"""The self-check of a PostgreSQL database: how it is asked; see `volens.store.schema.forbidden_acts`."""

from typing import Any, Final

import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from volens.store.schema import data_tables, forbidden_acts
from volens.store.schema.forbidden_acts import Act, Manner


def _replacing(table: sa.Table, row: dict[str, Any]) -> sa.Insert:
    others = {name: value for name, value in row.items() if not table.c[name].primary_key}
    new = insert(table).inline().values(row)
    if not others:
        return new
    return new.on_conflict_do_update(index_elements=list(table.primary_key), set_=others)


_MANNER: Final = Manner(
    PGDialect_psycopg(),  # type: ignore[no-untyped-call]
    _replacing,
    sa.Connection.exec_driver_sql,
    fails_whole=True,
    lacks_right=lambda error: isinstance(error.orig, errors.InsufficientPrivilege),
    more=tuple(f"TRUNCATE {one.name} CASCADE" for one in data_tables.metadata.sorted_tables),
)


def check_refusals(connection: sa.Connection, those: list[Act] | None = None) -> None:
    """Try each forbidden act, or those given.

    Raises:
        TamperError: the database accepts one.
    """
    forbidden_acts.check_refusals(connection, _MANNER, those)
