"""SQLite triggers for the rules of rows (`volens.store.schema.row_laws`).

SQLite's foreign keys are off on every new connection, so each one that protects a person is stated again as a trigger.
INSERT OR REPLACE skips delete triggers, so a row that may not be deleted may not be inserted a second time either.
"""

from typing import Final

from volens.store.schema.row_laws import NOW, Cascade, Refusal
from volens.store.schema.schema_lines import laws_of
from volens.store.schema.table_builder import LOG_TIME

_EXPRESSIONS: Final = {
    NOW: "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')",
    LOG_TIME: (
        "(SELECT CAST(substr(leaf, 8, 20) AS TEXT) FROM audit_event WHERE seq = (SELECT MAX(seq) FROM audit_event))"
    ),
    "IS DISTINCT FROM": "IS NOT",
}


def triggers_of(line: str) -> list[str]:
    """Return the CREATE TRIGGER statements of a file; `line` is data or keyring."""
    return [_cascade(one) if isinstance(one, Cascade) else _refusal(one) for one in laws_of(line)]


def _refusal(law: Refusal) -> str:
    """Return a trigger whose message is the name of the table and of the rule, as in ``leaving is not taken back``."""
    condition = "" if law.when is None else f"WHEN {_in_dialect(law.when)} "
    return (
        f"CREATE TRIGGER {law.table}_{law.name} BEFORE {law.event} ON {law.table} {condition}"
        f"BEGIN SELECT RAISE(ABORT, 'volens: {law.table} {law.name.replace('_', ' ')}'); END"
    )


def _cascade(law: Cascade) -> str:
    deletions = " ".join(f"{one};" for one in law.deletions)
    return f"CREATE TRIGGER {law.table}_{law.name} AFTER DELETE ON {law.table} BEGIN {deletions} END"


def _in_dialect(condition: str) -> str:
    for portable, own in _EXPRESSIONS.items():
        condition = condition.replace(portable, own)
    return condition
