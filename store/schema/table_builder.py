"""Builds tables with their rules: columns with CHECK constraints, strict types, and `RowRule`, which triggers enforce.

A CHECK that databases state in different words is `InDialect`; everything else is standard SQL.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ColumnElement,
    Dialect,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import SchemaItem, UniqueConstraint
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeDecorator

from volens.consent import format_time, parse_time

metadata: Final = MetaData()
"""All tables of the data file."""

LOG_TIME: Final = "volens_log_time()"
"""The time of the newest leaf, whose canonical form begins with ``{"at":"``. An engine replaces it in conditions."""

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, as SQLite does."""

INTEGER: Final = BigInteger().with_variant(Integer, "sqlite")
"""An integer of 64 bits."""


class InDialect(ColumnElement[bool]):
    """A condition that each database states in its own words; engines compile it."""

    inherit_cache = False
    type = Boolean()

    def __init__(self, **words: str) -> None:
        """Give the condition of each dialect, by the name of the dialect."""
        self._words = words

    def of(self, dialect: str) -> str:
        """Return the condition in the words of a dialect."""
        return self._words[dialect]


@compiles(InDialect)
def _in_dialect(element: InDialect, compiler: SQLCompiler, **options: object) -> str:
    del options
    return element.of(compiler.dialect.name)


@final
@dataclass(frozen=True, slots=True)
class RowRule:
    """Which changes of its rows a table allows. The default is an append-only table.

    Attributes:
        changeable: columns that may change; all others never do.
        closed_by: a column; once it has a value, the row never changes again.
        only_earlier: columns whose value only ever decreases, and that keep a value once they have one.
        only_higher: columns whose value never decreases.
        appended_by: the key column that counts the rows: 0, 1, 2 and so on, without a gap.
        appended_in: a column; the rows of each of its values are counted separately.
        deletable: rows may be deleted. Otherwise they are not replaced either.
        kept_while: a condition in SQL on ``OLD``; rows may be deleted once it does not hold, and are never replaced.
    """

    changeable: frozenset[str] = frozenset()
    closed_by: str | None = None
    only_earlier: tuple[str, ...] = ()
    only_higher: tuple[str, ...] = ()
    appended_by: str | None = None
    appended_in: str | None = None
    deletable: bool = False
    kept_while: str | None = None


APPEND_ONLY: Final = RowRule()


@final
class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in whole seconds, stored as ``2026-11-23T16:00:00Z``: sorting the text sorts the times."""

    impl = TEXT
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        """Write a time."""
        del dialect
        return None if value is None else format_time(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> datetime | None:
        """Read a time."""
        del dialect
        return None if value is None else parse_time(value)


def read_value(column: Column[Any], value: Any) -> Any:  # noqa: ANN401  a value of the column's type
    """Return a value as SQLAlchemy would, from what the database stores."""
    return parse_time(value) if isinstance(column.type, UtcDateTime) and value is not None else value


def build_table(
    name: str, *items: SchemaItem, rule: RowRule | None, of: MetaData = metadata, autoincrement: bool = False
) -> Table:
    """Declare a strict table; `rule` is None where rows may change freely. `autoincrement` never reuses an id."""
    return Table(name, of, *items, info={"rule": rule}, sqlite_strict=True, sqlite_autoincrement=autoincrement)


def rule_of(table: Table) -> RowRule | None:
    """Return the rule that a table was declared with."""
    rule: RowRule | None = table.info["rule"]
    return rule


def unique_columns(table: Table) -> list[list[str]]:
    """Return the columns of each UNIQUE constraint of a table."""
    return [[column.name for column in one.columns] for one in table.constraints if isinstance(one, UniqueConstraint)]


def key(column: Column[Any]) -> Column[Any]:
    """Make a column part of the primary key."""
    column.primary_key = True
    return column


def text(name: str, *, nullable: bool = False, unique: bool | None = None, index: bool | None = None) -> Column[str]:
    """Return a column of any text."""
    return Column(name, TEXT, nullable=nullable, unique=unique, index=index)


def nonblank(name: str) -> Column[str]:
    """Return a column of text that is more than white space."""
    return Column(name, TEXT, CheckConstraint(f"trim({name}) <> ''"), nullable=False)


def text_of(name: str, length: int, *, unique: bool | None = None, index: bool | None = None) -> Column[str]:
    """Return a column of text of a fixed length."""
    check = CheckConstraint(f"length({name}) = {length}")
    return Column(name, TEXT, check, nullable=False, unique=unique, index=index, info={"example": "~" * length})


def one_of(name: str, *values: str, nullable: bool = False) -> Column[str]:
    """Return a column of text with one of a few values."""
    check = CheckConstraint(f"{name} IN ({', '.join(map(repr, values))})")
    return Column(name, TEXT, check, nullable=nullable, info={"example": values[0], "is_choice": True})


def integer(
    name: str,
    condition: str | None = None,
    *,
    primary_key: bool = False,
    nullable: bool = False,
    index: bool | None = None,
) -> Column[int]:
    """Return a column of an integer; `condition` follows the column's name in its CHECK, as in ``>= 1``."""
    checks = [] if condition is None else [CheckConstraint(f"{name} {condition}")]
    return Column(name, INTEGER, *checks, primary_key=primary_key, nullable=nullable, autoincrement=False, index=index)


def row_id(name: str) -> Column[int]:
    """Return the primary key of a table whose ids the database counts."""
    return Column(name, INTEGER, primary_key=True)


def blob(name: str, condition: str | None = None, *, example: bytes = b"~", nullable: bool = False) -> Column[bytes]:
    """Return a column of bytes; `condition` follows their length in its CHECK, as in ``> 29``."""
    checks = [] if condition is None else [CheckConstraint(f"length({name}) {condition}")]
    return Column(name, LargeBinary, *checks, nullable=nullable, info={"example": example})


def bytes_of(name: str, length: int, *, nullable: bool = False, unique: bool | None = None) -> Column[bytes]:
    """Return a column of a fixed number of bytes."""
    column = blob(name, f"= {length}", example=b"~" * length, nullable=nullable)
    column.unique = unique
    return column


def utc_time(name: str, also: str = "", *, nullable: bool = False, index: bool | None = None) -> Column[datetime]:
    """Return a column of a time; `also` is a further condition of its CHECK."""
    day, time = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]", "[0-9][0-9]:[0-9][0-9]:[0-9][0-9]"
    form = InDialect(sqlite=f"{name} GLOB '{day}T{time}Z'{also}", postgresql=f"{name} ~ '^{day}T{time}Z$'{also}")
    return Column(name, UtcDateTime, CheckConstraint(form), nullable=nullable, index=index)


def of_zone(*, nullable: bool = False, primary_key: bool = False) -> Column[str]:
    """Return the column that names the zone of a row."""
    return Column("purpose", TEXT, ForeignKey("zone.purpose"), nullable=nullable, primary_key=primary_key)


def of_row(
    name: str, target: str, *, nullable: bool = False, primary_key: bool = False, index: bool | None = None
) -> Column[str]:
    """Return a column that refers to a row of another table, named as ``table.column``."""
    return Column(name, TEXT, ForeignKey(target), nullable=nullable, primary_key=primary_key, index=index)
