"""The catalogue of a PostgreSQL schema, compared with the schema that this version declares, or with that of a rollout.

A role that owns the tables can drop or rewrite triggers and constraints without changing a row. What is expected is not
listed here: the declared tables are made as temporary ones, in a transaction that is rolled back, and described by the
same queries. So what a version of PostgreSQL makes of a CHECK need not be known.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final, final

from sqlalchemy import Connection, MetaData, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.schema import CreateIndex, CreateTable

from volens.consent import TamperError
from volens.store.catalogue_difference import catalogue_digest, describe_difference, is_expected
from volens.store.engine import SchemaRollout
from volens.store.postgres.change_listener import announcements
from volens.store.postgres.expanded_schema import Entry, extends
from volens.store.postgres.postgres_policies import check_policies
from volens.store.postgres.postgres_triggers import Function, Trigger, triggers_of
from volens.store.schema.schema_lines import METADATA, laws_of
from volens.store.signpost import NAME, SiteMovedError, read_signpost

REVISION_TABLE: Final = "CREATE TABLE alembic_version (version_num TEXT NOT NULL PRIMARY KEY)"
_ADVICE: Final = "another program changed it; restore it from a backup"
_DIALECT: Final = PGDialect_psycopg()  # type: ignore[no-untyped-call]

_TABLES: Final = """
SELECT 'relation', c.relname::text,
    concat_ws(' ', c.relkind::text, c.relispartition, c.relhassubclass, c.relhasrules, c.relpersistence = 'u',
        c.reloptions::text)
FROM pg_class c WHERE c.relnamespace = CAST(:space AS oid) AND c.relkind NOT IN ('t', 'I')
UNION ALL
SELECT 'column', c.relname || '.' || a.attname,
    concat_ws(' ', a.attnum, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text,
        a.attgenerated::text, k.collname, pg_get_expr(d.adbin, d.adrelid))
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid LEFT JOIN pg_collation k ON k.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = CAST(:space AS oid) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', c.relname || '.' || n.conname,
    concat_ws(' ', pg_get_constraintdef(n.oid), n.convalidated, n.condeferrable)
FROM pg_constraint n JOIN pg_class c ON c.oid = n.conrelid WHERE c.relnamespace = CAST(:space AS oid)
UNION ALL
SELECT 'index', c.relname::text, concat_ws(' ', pg_get_indexdef(c.oid), i.indisvalid, i.indisready)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = CAST(:space AS oid)
"""
_RULES: Final = """
SELECT 'function', p.proname::text,
    concat_ws(E'\\n', l.lanname, p.provolatile::text, p.prosecdef, p.proconfig::text, p.prosrc)
FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = CAST(:space AS oid)
UNION ALL
SELECT 'trigger', c.relname || '.' || t.tgname, concat_ws(' ', t.tgenabled::text, pg_get_triggerdef(t.oid))
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = CAST(:space AS oid) AND NOT t.tgisinternal
UNION ALL
SELECT 'disabled constraint trigger', c.relname || '.' || t.tgname, t.tgenabled::text
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = CAST(:space AS oid) AND t.tgisinternal AND t.tgenabled <> 'O'
"""
_FINGERPRINT: Final = """
SELECT md5(string_agg(row, '|' ORDER BY row COLLATE "C")) FROM (
    SELECT concat_ws(' ', 'c', oid, xmin::text) AS row FROM pg_class WHERE relnamespace = CAST(:space AS oid)
    UNION ALL SELECT concat_ws(' ', 'a', count(*), sum(hashint8(a.xmin::text::bigint)))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = CAST(:space AS oid)
    UNION ALL SELECT concat_ws(' ', 't', t.oid, t.xmin::text)
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = CAST(:space AS oid)
    UNION ALL SELECT concat_ws(' ', 'n', oid, xmin::text) FROM pg_constraint WHERE connamespace = CAST(:space AS oid)
    UNION ALL SELECT concat_ws(' ', 'p', oid, xmin::text) FROM pg_proc WHERE pronamespace = CAST(:space AS oid)
    UNION ALL SELECT concat_ws(' ', 'y', y.oid, y.xmin::text)
        FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid WHERE c.relnamespace = CAST(:space AS oid)
    UNION ALL SELECT concat_ws(' ', 's', current_setting('session_replication_role'))
) AS rows
"""


@final
@dataclass(frozen=True, slots=True)
class DeclaredSchema:
    """What a line of the schema declares.

    Attributes:
        metadata: its tables.
        functions: its trigger functions.
        triggers: its triggers.
    """

    metadata: MetaData
    functions: tuple[Function, ...]
    triggers: tuple[Trigger, ...]

    def table_statements(self) -> list[str]:
        """Return what makes tables and indexes."""
        tables = self.metadata.sorted_tables
        made = [CreateTable(one) for one in tables], [CreateIndex(index) for one in tables for index in one.indexes]
        return [REVISION_TABLE, *(str(one.compile(dialect=_DIALECT)) for kind in made for one in kind)]

    def rule_statements(self, schema: str) -> list[str]:
        """Return what makes functions and triggers in a schema."""
        made = [one.statement(schema) for one in self.functions]
        return [*made, *(statement for one in self.triggers for statement in one.statements)]


def declared(line: str) -> DeclaredSchema:
    """Return what is declared for a line, which is data or keyring."""
    metadata = METADATA[line]
    (functions, triggers), (announcing, announced) = triggers_of(metadata, laws_of(line)), announcements(metadata)
    return DeclaredSchema(metadata, (*functions, *announcing), (*triggers, *announced))


def fingerprint(connection: Connection, schema: str) -> str:
    """Return a value that changes whenever a definition in the schema does; costs one query."""
    return str(connection.scalar(text(_FINGERPRINT), {"space": _space(connection, schema)}))


def fingerprint_of(schema: str) -> str:
    """Return the query of `fingerprint` for a schema, without parameters."""
    return _FINGERPRINT.replace(":space AS oid", f"'{schema}' AS regnamespace")


def entries_of(connection: Connection, schema: str) -> frozenset[Entry]:
    """Return every definition in a schema."""
    space = _space(connection, schema)
    return frozenset([*_described(connection, _TABLES, space, schema), *_described(connection, _RULES, space, schema)])


def check_schema(
    connection: Connection, name: str, line: str, schema: str, rollout: SchemaRollout | None = None
) -> bytes:
    """Compare a schema with what this version declares, inside a transaction that the caller rolls back.

    Returns the SHA-256 of what was found, as a rollout announces it.

    Raises:
        SiteMovedError: there is a signpost.
        UnavailableError: a newer release has upgraded the schema while this process had it open.
        TamperError: something is missing, additional or different. The message names the first, in alphabetical order.
    """
    space = _space(connection, schema)
    check_policies(connection, name, space)
    expected, found = declared(line), entries_of(connection, schema)
    connection.exec_driver_sql("SET LOCAL search_path = pg_temp")
    for statement in expected.table_statements():
        connection.exec_driver_sql(statement.replace("CREATE TABLE", "CREATE TEMPORARY TABLE", 1))
    temporary = str(connection.scalar(text("SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()")))
    tables = set(_described(connection, _TABLES, _space(connection, temporary), temporary))
    connection.exec_driver_sql(f"SET LOCAL search_path = {schema}")
    wanted = tables | set(_rules_of(expected, schema))
    if found != wanted:
        if ("relation", NAME) in {one[:2] for one in found}:
            raise SiteMovedError(read_signpost(connection))
        if rollout is None or not _is_expanded(connection, found, wanted, rollout, schema, name):
            raise TamperError(f"integrity: {name} {describe_difference(found, wanted)}; {_ADVICE}")
    return catalogue_digest(found)


def _is_expanded(
    connection: Connection,
    found: AbstractSet[Entry],
    ours: AbstractSet[Entry],
    rollout: SchemaRollout,
    schema: str,
    name: str,
) -> bool:
    """Return whether a rollout expects what was found; raises as `check_schema` if a newer release is here."""
    if not {one for one in ours if one[1].startswith("alembic_version")} <= found:
        return False
    revision = connection.scalar(text(f"SELECT version_num FROM {schema}.alembic_version"))  # noqa: S608  not a temporary table
    return is_expected(found, str(revision), rollout, lambda: extends(found, ours), engine="postgresql", name=name)


def _rules_of(expected: DeclaredSchema, schema: str) -> Iterable[Entry]:
    for one in expected.functions:
        settings = f'{{"search_path={schema}, pg_temp"}}'
        yield "function", one.name, f"plpgsql\nv\nf\n{settings}\n{one.body}"
    for trigger in expected.triggers:
        yield "trigger", f"{trigger.table}.{trigger.name}", f"A {trigger.statements[0]}"


def _space(connection: Connection, schema: str) -> int:
    found = connection.scalar(text("SELECT oid FROM pg_namespace WHERE nspname = :schema"), {"schema": schema})
    if found is None:
        raise TamperError("integrity: the database lacks the schema of Volens; restore it from a backup")
    return int(found)


def _described(connection: Connection, query: str, space: int, schema: str) -> Iterable[Entry]:
    for kind, name, what in connection.execute(text(query), {"space": space}):
        yield kind, name, what.replace(f"{schema}.", "").replace("pg_temp.", "")
