"""The seam for a second database: only an engine knows a driver, a dialect or the files of a database. ADR 0033."""

import ast
from collections.abc import Iterator

from tests.architecture.code import imported_by, modules, room_of

ENGINES = ("volens.store.sqlite.", "volens.store.postgres.")
DRIVERS = ("sqlite3", "alembic", "psycopg", "sqlalchemy.dialects")
DIALECT_WORDS = (
    "PRAGMA",
    "VACUUM",
    "sqlite_",
    "sqlite://",
    "-wal",
    "OR IGNORE",
    "OR REPLACE",
    "ON CONFLICT",
    "json_each",
    "pg_",
    "nextval",
)
FILE_ADVICE = ("restore the data file", "keyring.db back", "restore the keyring")
# They know where the databases are: each has other advice for a server, or is for files only.
ADVISERS = {"volens.store.recovery_advice", "volens.store.log.freshness", "volens.store.log.rollback_check"}
PORTABLE_FUNCTIONS = {"count", "max", "min", "sum"}
# They build queries of their own. Others outside the store take a `Connection` and pass it on.
ROWS_OUTSIDE_THE_STORE = {
    "volens.erase.order.proposals",
    "volens.rights.erasure_list",
    "volens.identify.lease_delivery",
    "volens.rights.stale_papers",
    "volens.erase.journal",
    "volens.erase.outdated_evidence",
    "volens.erase.outdated_shards",
    "volens.erase.outdated_staff",
    "volens.erase.proof.certificate_list",
    "volens.erase.order.order_rows",
    "volens.erase.order.selection",
    "volens.rights.held_data",
    "volens.rights.policy",
    "volens.rights.request_rows",
}


def outside_the_engine() -> Iterator[tuple[str, ast.Module]]:
    return ((name, tree) for name, tree in modules().items() if not f"{name}.".startswith(ENGINES))


def test_only_the_engine_imports_its_driver_and_its_dialect() -> None:
    offenders = {
        f"{name}: {imported}"
        for name, tree in outside_the_engine()
        for imported in imported_by(tree)
        if f"{imported}.".startswith(tuple(f"{driver}." for driver in DRIVERS))
    }
    assert offenders == set()


def test_only_the_engine_has_words_of_its_dialect_in_a_string() -> None:
    offenders = {
        f"{name}:{node.lineno}: {word}"
        for name, tree in outside_the_engine()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in DIALECT_WORDS
        if word in node.value
    }
    assert offenders == set()


def test_only_what_knows_the_engine_says_to_restore_a_file() -> None:
    offenders = {
        f"{name}:{node.lineno}: {node.value}"
        for name, tree in outside_the_engine()
        if name not in ADVISERS and name != "volens.store.backup.restore"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if any(one in node.value for one in FILE_ADVICE)
    }
    assert offenders == set()


def test_queries_outside_the_engine_use_portable_functions_only() -> None:
    offenders = {
        f"{name}:{node.lineno}: func.{node.attr}"
        for name, tree in outside_the_engine()
        if "sqlalchemy.func" in set(imported_by(tree))
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "func"
        if node.attr not in PORTABLE_FUNCTIONS
    }
    assert offenders == set()


def test_no_query_is_given_to_the_driver_outside_the_engine() -> None:
    offenders = {
        f"{name}:{node.lineno}"
        for name, tree in outside_the_engine()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        if node.attr
        in {"exec_driver_sql", "driver_connection", "raw_connection", "prefix_with", "on_conflict_do_update"}
    }
    assert offenders == set()


def test_only_known_modules_outside_the_store_build_queries() -> None:
    building = {
        name
        for name, tree in modules().items()
        if room_of(name) != "store"
        and {one for one in imported_by(tree) if one.startswith("sqlalchemy.")} - {"sqlalchemy.Connection"}
    }
    assert building - ROWS_OUTSIDE_THE_STORE == set()
