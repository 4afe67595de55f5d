"""The start-up check: whichever rule was taken out of the database, the store refuses to open and names it."""

import pytest
from house import House
from sqlalchemy import text

from tests.unit.store.raw import DATA, change_schema, drop_triggers, peek
from volens import Site
from volens.consent import TamperError
from volens.store.sqlite.self_check import FORBIDDEN, check_refusals

_TO_LIVE = (
    ",\n    FOREIGN KEY (receipt_id, subject_id, purpose)\n"
    "        REFERENCES live_consent (receipt_id, subject_id, purpose) ON DELETE CASCADE"
)
_TO_LIVE_12 = _TO_LIVE.replace("\n    ", "\n        ").replace("\n            REF", "\n            REF")
_LIVE_TO_RECEIPT = "receipt_id TEXT NOT NULL REFERENCES receipt (receipt_id)"
_WITHOUT = "receipt_id TEXT NOT NULL"

# What is accepted -> the triggers and the keys that refuse it, all of which must be taken out before it is accepted.
GUARDS: dict[str, tuple[list[str], list[tuple[str, str, str]]]] = {
    "a reference without consent": (
        ["biometric_reference_needs_live_consent"],
        [("biometric_reference", _TO_LIVE, "")],
    ),
    "a reference of another person": (
        ["biometric_reference_needs_live_consent"],
        [("biometric_reference", _TO_LIVE, "")],
    ),
    "a reference under an expired consent": (["biometric_reference_needs_live_consent"], []),
    "a changed reference": (["biometric_reference_is_never_changed"], []),
    "a credential that comes back": (["api_credential_is_only_shortened"], []),
    "a credential that lasts longer than it was issued for": (["api_credential_is_only_shortened"], []),
    "a credential that was never issued, as far as anybody sees": (["api_credential_stays"], []),
    "an opening of the log that is kept longer": (["opening_term_is_never_changed"], []),
    "an opening of the log that is kept for ever": (["opening_term_stays_with_its_opening"], []),
    "a longer consent": (["live_consent_is_only_shortened"], []),
    "a later leaving date": (["leaving_is_only_moved_earlier"], []),
    "a leaving date taken back": (["leaving_is_not_taken_back"], []),
    "a longer retention": (["shorter_retention_is_shorter"], []),
    "a consent without a receipt": (
        ["live_consent_needs_its_receipt"],
        [("live_consent", _LIVE_TO_RECEIPT, _WITHOUT)],
    ),
    "a deleted receipt": (
        ["receipt_is_not_deleted"],
        [
            ("live_consent", _LIVE_TO_RECEIPT, _WITHOUT),
            ("webhook_outbox", " REFERENCES receipt (receipt_id)", ""),
        ],
    ),
    "a replaced log entry": (["audit_event_is_appended", "audit_event_is_not_replaced"], []),
    "a gap in the log": (["audit_event_is_appended"], []),
    "a reference on the server in badge custody": (
        ["biometric_reference_stays_off_the_server_in_badge_custody"],
        [],
    ),
    "a reference whose person holds no half of the key": (
        ["biometric_reference_needs_the_persons_commitment"],
        [],
    ),
    "a badge in another custody": (["badge_is_for_badge_custody"], []),
    "a badge without consent": (["badge_needs_live_consent"], [("badge", _TO_LIVE, "")]),
    "a changed badge": (["badge_is_never_changed"], []),
    "a commitment in another custody": (["subject_secret_is_for_subject_key_custody"], []),
    "a deleted log entry": (["audit_event_is_not_deleted"], []),
    "a consent where collecting is stopped": (["live_consent_is_not_given_where_collecting_is_stopped"], []),
    "a reference of somebody who is being erased": (["biometric_reference_is_not_added_under_an_order"], []),
    "a deleted stop": (["collection_stop_is_not_deleted"], []),
    "a cohort without a second operator": (["cohort_needs_its_approvals"], []),
    "an operator who comes back": (["operator_key_is_only_removed"], []),
    "a request that waits longer and says not why": (["access_request_is_extended_once_and_in_time"], []),
    "a deleted request": (["access_request_is_not_deleted"], []),
    "a recipient under another name": (["recipient_is_only_removed"], []),
    "a deleted recipient": (
        ["recipient_is_not_deleted"],
        [("webhook_endpoint", " REFERENCES recipient (recipient_id)", "")],
    ),
    "an endpoint that sends elsewhere": (["webhook_endpoint_sends_where_it_was_added_for"], []),
    "a deleted endpoint": (
        ["webhook_endpoint_stays"],
        [("webhook_outbox", " REFERENCES webhook_endpoint (endpoint_id)", "")],
    ),
    "a message that says something else": (["webhook_outbox_says_what_it_said"], []),
    "a message about a person without consent": (["webhook_outbox_tells_of_the_living_only"], []),
    "an answer about a person without consent": (
        ["kept_answer_is_of_a_live_consent"],
        [("kept_answer", _TO_LIVE_12, "")],
    ),
    "a changed answer": (["kept_answer_is_kept_once"], []),
    "a job that goes on after its end": (["job_ends_once"], []),
    "a process that goes back": (["process_follows_and_never_goes_back"], []),
    "a sender who comes back": (["webhook_sender_is_only_ended"], []),
    "a deleted sender": (
        ["webhook_sender_stays"],
        [("webhook_sender_key", " REFERENCES webhook_sender (sender_id)", "")],
    ),
    "a sender's key that lasts longer": (["webhook_sender_key_is_only_shortened"], []),
    "a deleted key of a sender": (["webhook_sender_key_stays"], []),
    "an external id without consent": (["external_id_needs_live_consent"], [("external_id", _TO_LIVE_12, "")]),
    "a changed external id": (["external_id_is_never_changed"], []),
    "a second factor where the person carries the key": (
        ["zone_has_a_second_factor_in_operator_custody_only"],
        [("zone", " AND (second_factor = 'none' OR custody = 'operator')", "")],
    ),
    "a second factor without consent": (["second_factor_needs_live_consent"], [("second_factor", _TO_LIVE_12, "")]),
    "a second factor that the zone does not ask for": (["second_factor_is_what_the_zone_asks_for"], []),
    "a changed second factor": (["second_factor_is_set_anew_never_changed"], []),
    "a sixth try of a PIN": (
        ["second_factor_is_tried_five_times_and_then_locked"],
        [("second_factor", "failures BETWEEN 0 AND 5", "failures >= 0")],
    ),
    "a reference that outlives its consent": (
        ["live_consent_ends_with_all_that_hangs_on_it"],
        [("biometric_reference", " ON DELETE CASCADE", " DEFERRABLE INITIALLY DEFERRED")],
    ),
}


def test_every_forbidden_statement_has_its_case_here() -> None:
    assert {what for what, _, _ in FORBIDDEN} | {"a reference that outlives its consent"} == set(GUARDS)


@pytest.mark.parametrize("what", GUARDS)
def test_a_store_whose_database_accepts_the_forbidden_does_not_open(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    house.admit()
    house.site.close()
    triggers, keys = GUARDS[what]
    drop_triggers(house.site.home / DATA, *triggers)
    for table, old, new in keys:
        change_schema(house.site.home / DATA, table, old, new)
    # One missing rule may let several statements through: the case in question is tried first.
    first = sorted(FORBIDDEN, key=lambda one: one[0] != what)
    monkeypatch.setattr("volens.store.sqlite.self_check.FORBIDDEN", first)

    with pytest.raises(TamperError, match=f"integrity: the database accepts {what}; its rules were removed"):
        Site.open(house.site.home, clock=house.clock)


TWICE = [what for what, (_triggers, keys) in GUARDS.items() if keys]


@pytest.mark.parametrize("kept", ["trigger", "key"])
@pytest.mark.parametrize("what", TWICE)
def test_what_a_trigger_and_a_key_both_say_holds_with_either(
    house: House, monkeypatch: pytest.MonkeyPatch, what: str, kept: str
) -> None:
    house.site.close()
    triggers, keys = GUARDS[what]
    if kept == "key":
        drop_triggers(house.site.home / DATA, *triggers)
    for table, old, new in keys if kept == "trigger" else []:
        change_schema(house.site.home / DATA, table, old, new)
    monkeypatch.setattr("volens.store.sqlite.self_check.FORBIDDEN", [one for one in FORBIDDEN if one[0] == what])

    house.reopen()


def test_foreign_keys_that_are_off_are_seen(house: House) -> None:
    house.site.close()
    patch = pytest.MonkeyPatch()
    patch.setattr("volens.store.sqlite.database._PRAGMAS", ("PRAGMA journal_mode = WAL",))
    with patch.context(), pytest.raises(TamperError, match="integrity: the database does not hold its foreign keys"):
        Site.open(house.site.home, clock=house.clock)
    patch.undo()


def test_a_database_that_refuses_too_much_is_seen(house: House) -> None:
    house.site.close()
    change_schema(house.site.home / DATA, "biometric_reference", "photo_count >= 1", "photo_count >= 2")

    with pytest.raises(TamperError, match="integrity: the database refuses what it should accept"):
        Site.open(house.site.home, clock=house.clock)


def test_what_was_tried_leaves_no_trace(house: House) -> None:
    house.admit()
    path = house.site.home / DATA
    everything = "SELECT group_concat(name || ':' || sql) FROM sqlite_master"
    sequence = "SELECT seq FROM sqlite_sequence"
    before = peek(path, everything), peek(path, sequence), house.site.status()

    house.reopen()

    assert (peek(path, everything), peek(path, sequence), house.site.status()) == before
    house.site.log.verify()


def test_no_name_of_a_zone_gets_in_the_way_of_the_check(house: House) -> None:
    for name in ("self-check", "none", "zone"):
        house.site.add_zone(name, custody="operator", justification="a", alternative="b", retention_days=1)

    house.reopen()

    assert len(house.site.status().zones) == 4


def test_the_check_is_part_of_the_callers_transaction(house: House) -> None:
    with house.store._data.write() as connection:
        check_refusals(connection)
        assert connection.scalar(text("SELECT count(*) FROM zone")) == 1
