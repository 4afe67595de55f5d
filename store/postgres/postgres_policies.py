"""Row-level security in a PostgreSQL schema: exactly the policies that `volens store roles` prints, and no other.

A policy hides rows without changing a definition that the comparison of the schema sees. An application node from which
rows are hidden, such as orders that stop collection, would act as if there were none.
"""

import re
from typing import Any, Final

from sqlalchemy import Connection, text

from volens.consent import TamperError
from volens.store.schema.schema_lines import METADATA

APP_POLICY: Final = "volens_app"
DOOR_POLICY: Final = "volens_door"
DOOR_TABLES: Final = ("zone", "live_consent", "biometric_reference", "restriction", "score_counts")
"""What a door of a zone reads; all have the column `purpose`."""

_ZONE: Final = "'[^']*'::text"
_OF_ZONES: Final = re.compile(rf"\(purpose = ({_ZONE}|ANY \(ARRAY\[{_ZONE}(, {_ZONE})*\]\))\)")
_FOUND: Final = """
SELECT c.relname::text AS table, c.relrowsecurity AS is_on, c.relforcerowsecurity AS is_forced,
    row_security_active(c.oid) AS is_for_us, y.polname::text AS policy, y.polcmd::text AS command,
    y.polpermissive AS is_permissive, pg_get_expr(y.polqual, y.polrelid) AS seen,
    pg_get_expr(y.polwithcheck, y.polrelid) AS written, ARRAY(
        SELECT coalesce(r.rolname::text, 'public') FROM unnest(y.polroles) AS one LEFT JOIN pg_roles r ON r.oid = one
    ) AS roles, EXISTS (
        SELECT 1 FROM unnest(y.polroles) AS one WHERE one <> 0 AND pg_has_role(current_user, one, 'USAGE')
    ) AS is_ours
FROM pg_class c LEFT JOIN pg_policy y ON y.polrelid = c.oid
WHERE c.relnamespace = CAST(:space AS oid) AND (c.relrowsecurity OR c.relforcerowsecurity OR y.oid IS NOT NULL)
ORDER BY c.relname, y.polname
"""


def check_policies(connection: Connection, name: str, space: int) -> None:
    """Compare row-level security with what `volens store roles` makes; `space` is the id of the schema.

    A table that this version does not declare is not looked at: it is one of a rollout, or the comparison of the schema
    refuses it.

    Raises:
        TamperError: a policy is another one, a table has it that needs none, or it hides rows from this role.
    """
    ours = {"alembic_version", *(name for metadata in METADATA.values() for name in metadata.tables)}
    found = [row for row in connection.execute(text(_FOUND), {"space": space}) if row.table in ours]
    for row in found:
        if row.table not in DOOR_TABLES or row.is_forced or not row.is_on or not _is_printed(row):
            raise TamperError(
                f"integrity: {name} has row-level security of {row.table!r} that 'volens store roles' did not print; "
                "remove it, or run again what that command prints"
            )
    shown = {row.table for row in found if row.policy == APP_POLICY and row.is_ours}
    if hidden := sorted({row.table for row in found if row.is_for_us} - shown):
        raise TamperError(
            f"integrity: {name} hides rows of {hidden[0]!r} from this role; run what 'volens store roles' prints for it"
        )


def _is_printed(row: Any) -> bool:  # noqa: ANN401  a row of the query
    """Return whether a policy is one that is printed; a table without any is judged by what it hides."""
    if row.policy is None:
        return True
    kind = (row.command, row.is_permissive, len(row.roles), "public" in row.roles)
    if row.policy == APP_POLICY:
        return bool(kind == ("*", True, 1, False) and (row.seen, row.written) == ("true", "true"))
    is_door = kind == ("r", True, 1, False) and row.policy == f"{DOOR_POLICY}_{row.roles[0]}"
    return bool(is_door and row.written is None and _OF_ZONES.fullmatch(row.seen))
