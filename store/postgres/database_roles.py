"""SQL for roles with no more rights than the rules of the tables: `volens store roles` prints it.

The role that made the schemas owns them: it can change every definition, so it should be used by `volens init` only. An
application role cannot change or delete what the tables' rules do not let it; the triggers say the same, but its owner
could drop them. A door role reads what a door of some zones needs, and row-level security hides the rows of others.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Table

from volens.consent import InputError
from volens.store.postgres.postgres_catalogue import declared
from volens.store.schema.table_builder import rule_of

APP_POLICY: Final = "volens_app"
DOOR_POLICY: Final = "volens_door"
_ROLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_DOOR_TABLES: Final = ("zone", "live_consent", "biometric_reference", "restriction", "score_counts")
"""What a door of a zone reads; all have the column `purpose`."""


def app_role(role: str, data: str, keyring: str) -> list[str]:
    """Return the SQL for the role of application nodes; `data` and `keyring` are the names of the schemas.

    Raises:
        InputError: this is not the name of a role.
    """
    _check_role(role)
    lines = [f"CREATE ROLE {role} LOGIN;", f"-- then, in psql: \\password {role}"]
    for line, schema in (("data", data), ("keyring", keyring)):
        lines += [f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;", f"GRANT USAGE ON SCHEMA {schema} TO {role};"]
        lines.append(f"GRANT SELECT ON {schema}.alembic_version TO {role};")
        for table in declared(line).metadata.sorted_tables:
            lines += _rights_on(table, f"{schema}.{table.name}", role)
        lines.append(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role};")
    return lines


def door_role(role: str, data: str, app: str, zones: Sequence[str]) -> list[str]:
    """Return the SQL for a role that reads the rows of some zones only.

    Row-level security is on for these tables then, for every role but their owner, so the application role gets a
    policy of its own.

    Raises:
        InputError: `role` or `app` is not the name of a role.
    """
    _check_role(role)
    _check_role(app)
    listed = ", ".join(f"'{zone}'" for zone in zones)
    lines = [f"CREATE ROLE {role} LOGIN;", f"GRANT USAGE ON SCHEMA {data} TO {role};"]
    for name in _DOOR_TABLES:
        table = f"{data}.{name}"
        lines += [
            f"GRANT SELECT ON {table} TO {role};",
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
            f"DROP POLICY IF EXISTS {APP_POLICY} ON {table};",
            f"CREATE POLICY {APP_POLICY} ON {table} TO {app} USING (true) WITH CHECK (true);",
            f"CREATE POLICY {DOOR_POLICY}_{role} ON {table} FOR SELECT TO {role} USING (purpose IN ({listed}));",
        ]
    return lines


def _check_role(role: str) -> None:
    if not _ROLE.fullmatch(role) or role.startswith("pg_"):
        raise InputError("a role is named by small letters, digits and underscores (63 at most), and not pg_...")


def _rights_on(table: Table, name: str, role: str) -> Iterator[str]:
    rule = rule_of(table)
    yield f"GRANT SELECT, INSERT ON {name} TO {role};"
    if rule is None:
        yield f"GRANT UPDATE, DELETE ON {name} TO {role};"
        return
    if rule.changeable:
        yield f"GRANT UPDATE ({', '.join(sorted(rule.changeable))}) ON {name} TO {role};"
    if rule.deletable or rule.kept_while is not None:
        yield f"GRANT DELETE ON {name} TO {role};"
