"""Rules of rows that are more than a CHECK: what a database refuses, and what it deletes together.

They are derived from the tables' rules, from the registry of personal tables and from a list of single rules. The
conditions are SQL that every engine understands, but for two expressions, `NOW` and `LOG_TIME`, which an engine
replaces. An engine makes triggers from them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, final

from sqlalchemy import Table

from volens.store.schema import data_tables, keyring_tables
from volens.store.schema.personal_tables import CUSTODIES, OWNER, PERSONAL, Personal
from volens.store.schema.program_tables import MESSAGES_OF_LIVE_CONSENT
from volens.store.schema.table_builder import RowRule, rule_of, unique_columns

NOW: Final = "volens_now()"
"""The time of the database's clock, as `UtcDateTime` stores times."""

_OWNED: Final = " AND ".join(f"live.{column} = NEW.{column}" for column in OWNER)
_LIVE: Final = f"SELECT 1 FROM live_consent AS live WHERE {_OWNED}"
_CUSTODY: Final = "(SELECT custody FROM zone WHERE purpose = NEW.purpose)"
_MESSAGES: Final = f"({', '.join(map(repr, MESSAGES_OF_LIVE_CONSENT))})"


@final
@dataclass(frozen=True, slots=True)
class Refusal:
    """An INSERT, UPDATE or DELETE of a row that is refused, always or under a condition.

    Attributes:
        table: whose rows.
        name: what the error says after the name of the table, with underscores for spaces.
        event: INSERT, UPDATE or DELETE.
        when: the condition on `NEW` and `OLD`; None for always.
    """

    table: str
    name: str
    event: str
    when: str | None = None


@final
@dataclass(frozen=True, slots=True)
class Cascade:
    """What is deleted after a row of a table was deleted.

    Attributes:
        table: whose rows.
        name: of the rule.
        deletions: DELETE statements, with conditions on `OLD`.
    """

    table: str
    name: str
    deletions: tuple[str, ...]


RowLaw = Refusal | Cascade


def data_laws() -> list[RowLaw]:
    """Return the rules of the data database."""
    tables = data_tables.metadata.sorted_tables
    return [*_of_rules(tables), *_personal_laws(), *_SINGLE_LAWS]


def keyring_laws() -> list[RowLaw]:
    """Return the rules of the keyring."""
    return list(_of_rules(keyring_tables.metadata.sorted_tables))


def _of_rules(tables: Iterable[Table]) -> Iterator[Refusal]:
    for table in tables:
        rule = rule_of(table)
        if rule is not None:
            yield from _of_rule(table, rule)


def _of_rule(table: Table, rule: RowRule) -> Iterator[Refusal]:
    name = table.name
    fixed = [column.name for column in table.columns if column.name not in rule.changeable]
    changed = " OR ".join(f"NEW.{one} IS DISTINCT FROM OLD.{one}" for one in fixed)
    yield Refusal(name, "is_not_changed", "UPDATE", changed if rule.changeable else None)
    if rule.closed_by is not None:
        yield Refusal(name, "is_not_changed_when_closed", "UPDATE", f"OLD.{rule.closed_by} IS NOT NULL")
    for one in rule.only_earlier:
        later = f"NEW.{one} > OLD.{one} OR (NEW.{one} IS NULL AND OLD.{one} IS NOT NULL)"
        yield Refusal(name, f"{one}_is_only_moved_earlier", "UPDATE", later)
    for one in rule.only_higher:
        yield Refusal(name, f"{one}_never_decreases", "UPDATE", f"NEW.{one} < OLD.{one}")
    if rule.appended_by is not None:
        rows = name if rule.appended_in is None else f"{name} WHERE {rule.appended_in} = NEW.{rule.appended_in}"
        gap = f"NEW.{rule.appended_by} <> (SELECT COALESCE(MAX({rule.appended_by}) + 1, 0) FROM {rows})"
        yield Refusal(name, "is_appended", "INSERT", gap)
    if rule.kept_while is not None:
        yield Refusal(name, "is_not_deleted_before_its_end", "DELETE", rule.kept_while)
        yield _refuse_replacing(table)
    elif not rule.deletable:
        yield Refusal(name, "is_not_deleted", "DELETE")
        yield _refuse_replacing(table)


def _refuse_replacing(table: Table) -> Refusal:
    """Refuse a row with the key, or another unique value, of a row that is there."""
    keys = [[column.name for column in table.primary_key], *unique_columns(table)]
    same = " OR ".join(f"({' AND '.join(f'{one} = NEW.{one}' for one in columns)})" for columns in sorted(keys))
    return Refusal(table.name, "is_not_replaced", "INSERT", f"EXISTS (SELECT 1 FROM {table.name} WHERE {same})")


def _personal_laws() -> Iterator[RowLaw]:
    deletions = tuple(f"DELETE FROM {one.table.name} WHERE receipt_id = OLD.receipt_id" for one in PERSONAL)
    yield Cascade("live_consent", "deletes_personal_rows", deletions)
    for one in PERSONAL:
        yield from _of_personal(one)


def _of_personal(personal: Personal) -> Iterator[RowLaw]:
    name = personal.table.name
    event, has_owner = ("UPDATE", "NEW.receipt_id IS NOT NULL AND ") if personal.is_owned_later else ("INSERT", "")
    yield Refusal(name, "needs_live_consent", event, f"{has_owner}NOT EXISTS ({_LIVE})")
    if personal.custodies != CUSTODIES:
        custodies = ", ".join(map(repr, personal.custodies))
        yield Refusal(name, "needs_its_custody", event, f"COALESCE({_CUSTODY}, 'none') NOT IN ({custodies})")


_SINGLE_LAWS: Final[tuple[RowLaw, ...]] = (
    Refusal(
        "live_consent",
        "needs_its_receipt",
        "INSERT",
        """NOT EXISTS (
            SELECT 1 FROM receipt
            WHERE receipt.receipt_id = NEW.receipt_id AND receipt.subject_id = NEW.subject_id
            AND receipt.purpose = NEW.purpose AND receipt.expires_at >= NEW.expires_at
        ) OR EXISTS (SELECT 1 FROM consent_end WHERE consent_end.receipt_id = NEW.receipt_id)""",
    ),
    Refusal(
        "receipt",
        "code_is_changed_while_in_force_only",
        "UPDATE",
        "NOT EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = OLD.receipt_id)",
    ),
    # The jurisdiction stands in the signed receipt only: `refuse_if_stopped` enforces an order for a jurisdiction.
    Refusal(
        "live_consent",
        "is_not_given_where_collecting_is_stopped",
        "INSERT",
        """EXISTS (
            SELECT 1 FROM collection_stop
            WHERE lifted_at IS NULL AND jurisdiction IS NULL AND purpose = NEW.purpose
        )""",
    ),
    Refusal(
        "biometric_reference",
        "needs_an_unexpired_consent",
        "INSERT",
        f"NOT EXISTS ({_LIVE} AND live.expires_at > NEW.enrolled_at AND live.expires_at > {NOW})",
    ),
    Refusal(
        "biometric_reference",
        "needs_the_persons_commitment",
        "INSERT",
        f"{_CUSTODY} = 'subject_key' AND NOT EXISTS (SELECT 1 FROM subject_secret WHERE receipt_id = NEW.receipt_id)",
    ),
    Refusal(
        "biometric_reference",
        "is_not_added_under_an_order",
        "INSERT",
        """EXISTS (
            SELECT 1 FROM cohort_member JOIN cohort ON cohort.cohort_id = cohort_member.cohort_id
            WHERE cohort_member.receipt_id = NEW.receipt_id AND cohort.finished_at IS NULL
        )""",
    ),
    Refusal(
        "leaving",
        "is_not_taken_back",
        "DELETE",
        "EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = OLD.receipt_id)",
    ),
    _refuse_replacing(data_tables.leaving),
    Refusal("kept_answer", "begins_empty", "INSERT", "NEW.sealed_answer IS NOT NULL"),
    Refusal(
        "second_factor",
        "is_of_the_kind_that_the_zone_requires",
        "INSERT",
        "NEW.kind IS DISTINCT FROM (SELECT second_factor FROM zone WHERE purpose = NEW.purpose)",
    ),
    Refusal(
        "second_factor",
        "tries_are_limited",
        "UPDATE",
        "NEW.failures NOT BETWEEN 0 AND 5 OR (NEW.tried_at IS NULL AND OLD.tried_at IS NOT NULL)",
    ),
    Refusal(
        "zone",
        "has_a_second_factor_in_operator_custody_only",
        "INSERT",
        "NEW.second_factor <> 'none' AND NEW.custody <> 'operator'",
    ),
    Refusal(
        "shorter_retention",
        "is_shorter",
        "INSERT",
        """NEW.retention_days >= (SELECT MIN(days) FROM (
            SELECT retention_days AS days FROM zone WHERE purpose = NEW.purpose
            UNION ALL SELECT retention_days FROM shorter_retention WHERE purpose = NEW.purpose
        ) AS terms)""",
    ),
    Refusal(
        "access_request",
        "is_extended_once_and_in_time",
        "UPDATE",
        """(NEW.due_at <> OLD.due_at OR NEW.extended_at IS DISTINCT FROM OLD.extended_at
            OR NEW.extended_for IS DISTINCT FROM OLD.extended_for)
        AND (OLD.extended_at IS NOT NULL OR NEW.extended_at IS NULL OR NEW.extended_at > OLD.due_at)""",
    ),
    Refusal(
        "cohort",
        "needs_its_approvals",
        "INSERT",
        "NEW.approval IS NULL AND COALESCE((SELECT required FROM operators_required ORDER BY seq DESC LIMIT 1), 2) > 1",
    ),
    Refusal(
        "webhook_outbox",
        "needs_live_consent",
        "INSERT",
        f"NEW.kind IN {_MESSAGES} AND NOT EXISTS (SELECT 1 FROM live_consent WHERE receipt_id = NEW.receipt_id)",
    ),
    Cascade(
        "live_consent",
        "deletes_messages_about_it",
        (f"DELETE FROM webhook_outbox WHERE receipt_id = OLD.receipt_id AND kind IN {_MESSAGES}",),
    ),
    Refusal(
        "shard_leaf",
        "is_added_to_an_open_shard",
        "INSERT",
        "NOT EXISTS (SELECT 1 FROM log_shard WHERE log_index = NEW.shard AND closed_index IS NULL)",
    ),
)
