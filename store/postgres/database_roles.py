"""SQL for roles with no more rights than the rules of the tables: `volens store roles` prints it.

The role that made the schemas owns them: it can change every definition, so it should be used by `volens init` only. An
application role cannot change or delete what the tables' rules do not let it; the triggers say the same, but its owner
could drop them. A door role reads what a door of some zones needs, and row-level security hides the rows of others.

What is printed can be run again, after an upgrade or for other zones: it is one transaction for each database, so that
no node meets a state in between.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Table

from volens.consent import InputError
from volens.store.postgres.database_url import DatabaseUrl
from volens.store.postgres.postgres_policies import APP_POLICY, DOOR_POLICY, DOOR_TABLES
from volens.store.schema.schema_lines import METADATA
from volens.store.schema.table_builder import rule_of

_ROLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,50}")  # the name of its policy is longer, and at most 63
_MAINTAINS: Final = 170000
"""From this version on, a role that does not own a table can have the right to vacuum it."""


def app_role(role: str, data: DatabaseUrl, keyring: DatabaseUrl) -> list[str]:
    """Return the SQL for the role of application nodes.

    Raises:
        InputError: this is not the name of a role.
    """
    _check_role(role)
    lines: list[str] = []
    of_data, of_keyring = list(_app_rights(role, "data", data)), list(_app_rights(role, "keyring", keyring))
    if data.url == keyring.url:
        lines += _whole(role, data, [*of_data, *of_keyring])
    else:
        lines += [*_whole(role, data, of_data), *_whole(role, keyring, of_keyring)]
    return [*lines, f"-- then, in psql: \\password {role}"]


def door_role(role: str, data: DatabaseUrl, app: str, zones: Sequence[str]) -> list[str]:
    """Return the SQL for a role that reads the rows of some zones only.

    Row-level security is on for these tables then, for every role but their owner, so the application role gets a
    policy of its own.

    Raises:
        InputError: `role` or `app` is not the name of a role, or both are one.
    """
    _check_role(role)
    _check_role(app)
    if app == role:
        raise InputError(f"the role {app} cannot be both of nodes and of doors; name two")
    listed = ", ".join(f"'{zone}'" for zone in zones)
    lines = [f'GRANT USAGE ON SCHEMA {data.schema} TO "{role}";']
    for name in DOOR_TABLES:
        table, policy = f"{data.schema}.{name}", f'"{DOOR_POLICY}_{role}"'
        lines += [
            f'GRANT SELECT ON {table} TO "{role}";',
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
            f"DROP POLICY IF EXISTS {APP_POLICY} ON {table};",
            f'CREATE POLICY {APP_POLICY} ON {table} TO "{app}" USING (true) WITH CHECK (true);',
            f"DROP POLICY IF EXISTS {policy} ON {table};",
            f'CREATE POLICY {policy} ON {table} FOR SELECT TO "{role}" USING (purpose IN ({listed}));',
        ]
    return [*_whole(role, data, lines), f"-- then, in psql: \\password {role}"]


def _whole(role: str, where: DatabaseUrl, lines: Sequence[str]) -> Iterator[str]:
    host = where.url.host or "this server"
    yield f"-- in the database {where.url.database} of {host}, as the role that owns the tables of Volens:"
    yield "BEGIN;"
    is_new = f"IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
    yield f'DO $$ BEGIN {is_new} THEN CREATE ROLE "{role}" LOGIN; END IF; END $$;'
    yield f'GRANT CONNECT, TEMPORARY ON DATABASE "{where.url.database}" TO "{role}";'
    yield from lines
    yield "COMMIT;"


def _app_rights(role: str, line: str, where: DatabaseUrl) -> Iterator[str]:
    schema = where.schema
    yield f"REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;"
    yield f'REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM "{role}";'
    yield f'GRANT USAGE ON SCHEMA {schema} TO "{role}";'
    yield f'GRANT SELECT ON {schema}.alembic_version TO "{role}";'
    for table in METADATA[line].sorted_tables:
        yield from _rights_on(table, f"{schema}.{table.name}", role)
    yield f'GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO "{role}";'
    vacuum = f'GRANT MAINTAIN ON ALL TABLES IN SCHEMA {schema} TO "{role}"'
    is_known = f"IF current_setting('server_version_num')::int >= {_MAINTAINS}"
    yield f"DO $$ BEGIN {is_known} THEN EXECUTE '{vacuum}'; END IF; END $$;"


def _check_role(role: str) -> None:
    if not _ROLE.fullmatch(role) or role.startswith("pg_"):
        raise InputError("a role is named by small letters, digits and underscores (51 at most), and not pg_...")


def _rights_on(table: Table, name: str, role: str) -> Iterator[str]:
    rule = rule_of(table)
    yield f'GRANT SELECT, INSERT ON {name} TO "{role}";'
    if rule is None:
        yield f'GRANT UPDATE, DELETE ON {name} TO "{role}";'
        return
    if rule.changeable:
        yield f'GRANT UPDATE ({", ".join(sorted(rule.changeable))}) ON {name} TO "{role}";'
    if rule.deletable or rule.kept_while is not None:
        yield f'GRANT DELETE ON {name} TO "{role}";'
