"""The retention registry: every table has a period, or a reason why it names neither a person nor a moment of one."""

import pytest

from volens.consent.law import CLOCK_NAMES
from volens.store.people import disclosures, invitation_rows
from volens.store.programs import door_reports, idempotency_store, inbox, jobs
from volens.store.schema import PERSONAL, data_tables
from volens.store.schema.retention import NAMELESS, RETENTION, Period

DECLARED_ELSEWHERE = {
    "name_disclosure": disclosures.KEPT_DAYS,
    "kept_answer": idempotency_store.KEPT_FOR.days,
    "invitation": invitation_rows.KEPT_AFTER_END.days,
    "webhook_message": inbox.REMEMBERED_DAYS,
    "job": jobs.KEPT_FOR.days,
    "door_report": door_reports.KEPT_FOR.days,
}


@pytest.mark.parametrize("table", sorted(data_tables.metadata.tables))
def test_every_table_has_a_period_or_a_reason_why_it_needs_none(table: str) -> None:
    assert (table in RETENTION) != (table in NAMELESS)
    assert RETENTION[table].since if table in RETENTION else NAMELESS[table]


def test_the_registry_has_no_table_that_is_gone() -> None:
    assert {*RETENTION, *NAMELESS} == set(data_tables.metadata.tables)


def test_a_table_with_a_receipt_is_never_called_nameless() -> None:
    about_people = {one.table.name for one in PERSONAL}
    about_people |= {name for name, table in data_tables.metadata.tables.items() if "receipt_id" in table.columns}
    assert about_people.isdisjoint(NAMELESS)


def test_fixed_periods_are_those_that_the_code_uses() -> None:
    fixed = {name: one.days for name, one in RETENTION.items() if one.period is Period.FIXED}
    assert fixed == DECLARED_ELSEWHERE
    assert all(one.days is None for one in RETENTION.values() if one.period is not Period.FIXED)


def test_the_other_periods_are_clocks_of_a_profile() -> None:
    assert {Period.EVIDENCE.value, Period.REQUESTS.value, Period.LOG.value} <= set(CLOCK_NAMES)
