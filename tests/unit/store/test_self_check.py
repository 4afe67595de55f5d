"""Self-check: with all rules every act is refused, and if any rule is missing, the check names what is accepted."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from connections import pragmas
from house import House
from sqlalchemy import Connection, text

from tests.unit.store.raw import DATA, change_schema, peek, remove_foreign_keys, rolled_back
from volens import Site
from volens.consent import TamperError
from volens.store.schema import REVISIONS
from volens.store.sqlite import SqliteEngine, check_refusals, forbidden_acts

# Triggers that together refuse one statement: it is accepted only if all of a row are missing.
TOGETHER = (
    ("audit_event_is_appended", "audit_event_is_not_replaced"),
    ("shard_leaf_is_appended", "shard_leaf_is_not_replaced"),
    ("operators_required_is_appended", "operators_required_is_not_replaced"),
    ("site_default_is_appended", "site_default_is_not_replaced"),
    ("site_declaration_is_appended", "site_declaration_is_not_replaced"),
    ("jurisdiction_profile_is_appended", "jurisdiction_profile_is_not_replaced"),
    ("shorter_retention_is_shorter", "shorter_retention_is_not_replaced"),
    ("biometric_reference_needs_live_consent", "biometric_reference_needs_an_unexpired_consent"),
    ("second_factor_needs_its_custody", "second_factor_is_of_the_kind_that_the_zone_requires"),
)
# Rules that a CHECK states as well.
CHECKED = {
    "zone": "CHECK (second_factor = 'none' OR custody = 'operator')",
    "second_factor": "CHECK (failures BETWEEN 0 AND 5)",
}
BY_KEY_TOO = {
    *(f"a {name} row {whose}" for name in ("badge", "passage") for whose in ("without consent", "of another person")),
    *("a consent without a receipt", "a deleted receipt row", "a deleted zone row", "a deleted recipient row"),
    *("a deleted webhook_endpoint row", "a deleted webhook_sender row", "a deleted cohort row"),
    "a sixth try of a PIN",
    "a second factor where the person carries the key",
}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / DATA
    SqliteEngine(path, "data", REVISIONS, create=True).close()
    return path


@contextmanager
def without(path: Path, *triggers: str) -> Iterator[Connection]:
    """Drop triggers inside a transaction that is rolled back."""
    with rolled_back(path) as connection:
        for name in triggers:
            connection.execute(text(f"DROP TRIGGER {name}"))
        yield connection


def triggers_of(path: Path) -> set[str]:
    return {name for (name,) in peek(path, "SELECT name FROM sqlite_master WHERE type = 'trigger'")}


def is_refused_by_all(connection: Connection) -> bool:
    try:
        check_refusals(connection)
    except TamperError:
        return False
    return True


def test_any_trigger_that_is_missing_is_noticed(path: Path, tmp_path: Path) -> None:
    """Each in a file without foreign keys and without the CHECKs that state the same rule."""
    copy = tmp_path / DATA
    copy.write_bytes(path.read_bytes())
    remove_foreign_keys(copy)
    for table, check in CHECKED.items():
        change_schema(copy, table, check, "CHECK (true)")
    with without(copy) as connection:
        assert is_refused_by_all(connection)
    paired = {name for names in TOGETHER for name in names}
    groups = [*TOGETHER, *((name,) for name in triggers_of(copy) - paired)]

    unnoticed = []
    for names in groups:
        with without(copy, *names) as connection:
            unnoticed += [names] if is_refused_by_all(connection) else []

    assert unnoticed == []


def test_rules_that_a_key_or_a_check_also_states_hold_without_triggers(path: Path) -> None:
    acts = {act.what: act for act in forbidden_acts()}
    everything = triggers_of(path) - {"live_consent_deletes_messages_about_it"}
    with without(path, *everything) as connection:
        check_refusals(connection, [acts[what] for what in sorted(BY_KEY_TOO)])
        for what in set(acts) - BY_KEY_TOO:
            if "without consent" in what and "message" not in what:
                check_refusals(connection, [acts[what]])


@pytest.mark.parametrize(
    ("trigger", "what"),
    [
        ("biometric_reference_is_not_changed", "a changed biometric_reference row"),
        ("receipt_is_not_replaced", "a replaced receipt row"),
        ("live_consent_expires_at_is_only_moved_earlier", "a later expires_at of live_consent"),
        ("badge_needs_its_custody", "a badge row in a zone of another custody"),
        ("job_is_not_changed_when_closed", "a job row that is changed after outcome"),
        ("biometric_reference_needs_an_unexpired_consent", "a reference under an expired consent"),
        ("live_consent_deletes_messages_about_it", "a webhook_outbox row that outlives its consent"),
    ],
)
def test_a_missing_rule_is_called_by_the_act_that_it_forbids(path: Path, trigger: str, what: str) -> None:
    with (
        without(path, trigger) as connection,
        pytest.raises(TamperError, match=f"integrity: the database accepts {what}; its rules were removed"),
    ):
        check_refusals(connection)


def test_rows_that_outlive_their_consent_are_noticed(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / DATA
    copy.write_bytes(path.read_bytes())
    remove_foreign_keys(copy)

    with (
        without(copy, "live_consent_deletes_personal_rows") as connection,
        pytest.raises(TamperError, match="accepts a biometric_reference row that outlives its consent"),
    ):
        check_refusals(connection)


def test_foreign_keys_that_are_off_are_noticed(house: House) -> None:
    house.site.close()
    refused = pytest.raises(TamperError, match="integrity: the database does not enforce its foreign keys")
    with pragmas("PRAGMA foreign_keys = OFF"), refused:
        Site.open(house.site.home, clock=house.clock)


def test_a_database_that_refuses_too_much_is_noticed(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / DATA
    copy.write_bytes(path.read_bytes())
    change_schema(copy, "biometric_reference", "photo_count >= 1", "photo_count >= 2")

    with (
        rolled_back(copy) as connection,
        pytest.raises(TamperError, match="integrity: the database refuses what it should accept"),
    ):
        check_refusals(connection)


def test_the_statements_of_the_check_leave_no_trace(house: House) -> None:
    house.admit()
    path = house.site.home / DATA
    everything = "SELECT group_concat(name || ':' || sql) FROM sqlite_master"
    sequence = "SELECT seq FROM sqlite_sequence"
    before = peek(path, everything), peek(path, sequence), house.site.status()

    house.site.check_rules()

    assert (peek(path, everything), peek(path, sequence), house.site.status()) == before
    house.site.log.verify()


def test_the_check_works_with_any_name_of_a_zone(house: House) -> None:
    for name in ("operator", "badge", "zone"):
        house.site.add_zone(name, custody="operator", justification="a", alternative="b", retention_days=1)

    house.site.check_rules()

    assert len(house.site.status().zones) == 4


def test_the_check_is_part_of_the_callers_transaction(house: House) -> None:
    with house.store.data.write() as connection:
        check_refusals(connection)
        assert connection.scalar(text("SELECT count(*) FROM zone")) == 1
