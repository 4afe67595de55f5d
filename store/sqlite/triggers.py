"""SQLite triggers: what the tables' rules, the registry of personal tables and a few rules of their own forbid.

SQLite's foreign keys are off on every new connection, so each one that protects a person is stated again as a trigger.
INSERT OR REPLACE skips delete triggers, so a row that may not be deleted may not be inserted a second time either.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from sqlalchemy import Table

from volens.store.schema import data_tables, keyring_tables
from volens.store.schema.personal_tables import CUSTODIES, OWNER, PERSONAL, Personal
from volens.store.schema.program_tables import MESSAGES_OF_LIVE_CONSENT
from volens.store.schema.table_builder import RowRule, rule_of, unique_columns

_OWNED: Final = " AND ".join(f"live.{column} = NEW.{column}" for column in OWNER)
_LIVE: Final = f"SELECT 1 FROM live_consent AS live WHERE {_OWNED}"
_CUSTODY: Final = "(SELECT custody FROM zone WHERE purpose = NEW.purpose)"
_MESSAGES: Final = f"({', '.join(map(repr, MESSAGES_OF_LIVE_CONSENT))})"


def data_triggers() -> list[str]:
    """Return the CREATE TRIGGER statements of the data file."""
    tables = data_tables.metadata.sorted_tables
    return [*_rule_triggers(tables), *_personal_triggers(), *_SINGLE_RULES]


def keyring_triggers() -> list[str]:
    """Return the CREATE TRIGGER statements of the keyring."""
    return list(_rule_triggers(keyring_tables.metadata.sorted_tables))


def refuse(name: str, before: str, table: str, when: str | None = None) -> str:
    """Return a trigger that refuses an INSERT, UPDATE or DELETE, always or under a condition.

    Its message is the name of the table and of the rule, as in ``leaving is not taken back``.
    """
    condition = "" if when is None else f"WHEN {when} "
    return (
        f"CREATE TRIGGER {table}_{name} BEFORE {before} ON {table} {condition}"
        f"BEGIN SELECT RAISE(ABORT, 'volens: {table} {name.replace('_', ' ')}'); END"
    )


def _rule_triggers(tables: Iterable[Table]) -> Iterator[str]:
    for table in tables:
        rule = rule_of(table)
        if rule is not None:
            yield from _of_rule(table, rule)


def _of_rule(table: Table, rule: RowRule) -> Iterator[str]:
    name = table.name
    fixed = [column.name for column in table.columns if column.name not in rule.changeable]
    changed = " OR ".join(f"NEW.{one} IS NOT OLD.{one}" for one in fixed)
    yield refuse("is_not_changed", "UPDATE", name, changed if rule.changeable else None)
    if rule.closed_by is not None:
        yield refuse("is_not_changed_when_closed", "UPDATE", name, f"OLD.{rule.closed_by} IS NOT NULL")
    for one in rule.only_earlier:
        later = f"NEW.{one} > OLD.{one} OR (NEW.{one} IS NULL AND OLD.{one} IS NOT NULL)"
        yield refuse(f"{one}_is_only_moved_earlier", "UPDATE", name, later)
    for one in rule.only_higher:
        yield refuse(f"{one}_never_decreases", "UPDATE", name, f"NEW.{one} < OLD.{one}")
    if rule.appended_by is not None:
        gap = f"NEW.{rule.appended_by} <> (SELECT COALESCE(MAX({rule.appended_by}) + 1, 0) FROM {name})"
        yield refuse("is_appended", "INSERT", name, gap)
    if rule.kept_while is not None:
        yield refuse("is_not_deleted_before_its_end", "DELETE", name, rule.kept_while)
        yield refuse_replacing(table)
    elif not rule.deletable:
        yield refuse("is_not_deleted", "DELETE", name)
        yield refuse_replacing(table)


def refuse_replacing(table: Table) -> str:
    """Return a trigger that refuses a row with the key, or another unique value, of a row that is there."""
    keys = [[column.name for column in table.primary_key], *unique_columns(table)]
    same = " OR ".join(f"({' AND '.join(f'{one} = NEW.{one}' for one in columns)})" for columns in sorted(keys))
    return refuse("is_not_replaced", "INSERT", table.name, f"EXISTS (SELECT 1 FROM {table.name} WHERE {same})")


def _personal_triggers() -> Iterator[str]:
    deletions = " ".join(f"DELETE FROM {one.table.name} WHERE receipt_id = OLD.receipt_id;" for one in PERSONAL)
    yield f"CREATE TRIGGER live_consent_deletes_personal_rows AFTER DELETE ON live_consent BEGIN {deletions} END"
    for one in PERSONAL:
        yield from _of_personal(one)


def _of_personal(personal: Personal) -> Iterator[str]:
    name = personal.table.name
    event, has_owner = ("UPDATE", "NEW.receipt_id IS NOT NULL AND ") if personal.is_owned_later else ("INSERT", "")
    yield refuse("needs_live_consent", event, name, f"{has_owner}NOT EXISTS ({_LIVE})")
    if personal.custodies != CUSTODIES:
        custodies = ", ".join(map(repr, personal.custodies))
        yield refuse("needs_its_custody", event, name, f"COALESCE({_CUSTODY}, 'none') NOT IN ({custodies})")


_SINGLE_RULES: Final = (
    refuse(
        "needs_its_receipt",
        "INSERT",
        "live_consent",
        """NOT EXISTS (
            SELECT 1 FROM receipt
            WHERE receipt.receipt_id = NEW.receipt_id AND receipt.subject_id = NEW.subject_id
            AND receipt.purpose = NEW.purpose AND receipt.expires_at >= NEW.expires_at
        ) OR EXISTS (SELECT 1 FROM consent_end WHERE consent_end.receipt_id = NEW.receipt_id)""",
    ),
    refuse(
        "code_is_changed_while_in_force_only",
        "UPDATE",
        "receipt",
        "NOT EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = OLD.receipt_id)",
    ),
    # The jurisdiction stands in the signed receipt only: `refuse_if_stopped` enforces an order for a jurisdiction.
    refuse(
        "is_not_given_where_collecting_is_stopped",
        "INSERT",
        "live_consent",
        """EXISTS (
            SELECT 1 FROM collection_stop
            WHERE lifted_at IS NULL AND jurisdiction IS NULL AND purpose = NEW.purpose
        )""",
    ),
    refuse(
        "needs_an_unexpired_consent",
        "INSERT",
        "biometric_reference",
        f"NOT EXISTS ({_LIVE} AND live.expires_at > NEW.enrolled_at"
        " AND live.expires_at > strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
    ),
    refuse(
        "needs_the_persons_commitment",
        "INSERT",
        "biometric_reference",
        f"{_CUSTODY} = 'subject_key' AND NOT EXISTS (SELECT 1 FROM subject_secret WHERE receipt_id = NEW.receipt_id)",
    ),
    refuse(
        "is_not_added_under_an_order",
        "INSERT",
        "biometric_reference",
        """EXISTS (
            SELECT 1 FROM cohort_member JOIN cohort ON cohort.cohort_id = cohort_member.cohort_id
            WHERE cohort_member.receipt_id = NEW.receipt_id AND cohort.finished_at IS NULL
        )""",
    ),
    refuse(
        "is_not_taken_back",
        "DELETE",
        "leaving",
        "EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = OLD.receipt_id)",
    ),
    refuse_replacing(data_tables.leaving),
    refuse("begins_empty", "INSERT", "kept_answer", "NEW.sealed_answer IS NOT NULL"),
    refuse(
        "is_of_the_kind_that_the_zone_requires",
        "INSERT",
        "second_factor",
        "NEW.kind IS NOT (SELECT second_factor FROM zone WHERE purpose = NEW.purpose)",
    ),
    refuse(
        "tries_are_limited",
        "UPDATE",
        "second_factor",
        "NEW.failures NOT BETWEEN 0 AND 5 OR (NEW.tried_at IS NULL AND OLD.tried_at IS NOT NULL)",
    ),
    refuse(
        "has_a_second_factor_in_operator_custody_only",
        "INSERT",
        "zone",
        "NEW.second_factor <> 'none' AND NEW.custody <> 'operator'",
    ),
    refuse(
        "is_shorter",
        "INSERT",
        "shorter_retention",
        """NEW.retention_days >= (SELECT MIN(days) FROM (
            SELECT retention_days AS days FROM zone WHERE purpose = NEW.purpose
            UNION ALL SELECT retention_days FROM shorter_retention WHERE purpose = NEW.purpose
        ))""",
    ),
    refuse(
        "is_extended_once_and_in_time",
        "UPDATE",
        "access_request",
        """(NEW.due_at <> OLD.due_at OR NEW.extended_at IS NOT OLD.extended_at
            OR NEW.extended_for IS NOT OLD.extended_for)
        AND (OLD.extended_at IS NOT NULL OR NEW.extended_at IS NULL OR NEW.extended_at > OLD.due_at)""",
    ),
    refuse(
        "needs_its_approvals",
        "INSERT",
        "cohort",
        "NEW.approval IS NULL AND COALESCE((SELECT required FROM operators_required ORDER BY seq DESC LIMIT 1), 2) > 1",
    ),
    refuse(
        "needs_live_consent",
        "INSERT",
        "webhook_outbox",
        f"NEW.kind IN {_MESSAGES} AND NOT EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = NEW.receipt_id)",
    ),
    f"""CREATE TRIGGER live_consent_deletes_messages_about_it AFTER DELETE ON live_consent
    BEGIN DELETE FROM webhook_outbox WHERE receipt_id = OLD.receipt_id AND kind IN {_MESSAGES}; END""",
    refuse(
        "stays_with_its_opening", "DELETE", "opening_term", "EXISTS (SELECT 1 FROM audit_opening WHERE seq = OLD.seq)"
    ),
    """CREATE TRIGGER audit_opening_deletes_its_term AFTER DELETE ON audit_opening
    BEGIN DELETE FROM opening_term WHERE seq = OLD.seq; END""",
)
