"""Evidence whose period is over: what the sweep deletes of ended consents, requests, orders and the log."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from house import House, Person

from tests.unit.erase.orders import FRENCH, carry_out, desk_alone, planned
from tests.unit.store.raw import DATA, KEYRING, peek, tamper
from volens import verify_certificate
from volens.consent import NoLiveConsentError, TamperError, UnknownError
from volens.erase.outdated_evidence import delete_outdated_evidence
from volens.store.log.outdated_openings import SITE_KINDS
from volens.store.programs import Role

EVIDENCE = ("receipt", "consent_end", "erasure", "certificate")
REMEMBERED = (
    "SELECT count(*) FROM ended_consent WHERE receipt_id = ?",
    "SELECT count(*) FROM withdrawal_code WHERE receipt_id = ?",
    "SELECT count(*) FROM sealed_scope WHERE scope_id = ?",
)


def left(house: House, person: Person) -> dict[str, int]:
    """Return how many rows name a consent, by table; for the keyring as a whole."""
    home, one = house.site.home, person.receipt_id
    found = {
        table: peek(home / DATA, f"SELECT count(*) FROM {table} WHERE receipt_id = ?", one)[0][0]  # noqa: S608  ours
        for table in EVIDENCE
    }
    found["keyring"] = sum(peek(home / KEYRING, query, one)[0][0] for query in REMEMBERED)
    return {name: count for name, count in found.items() if count}


@pytest.mark.parametrize(("jurisdiction", "days"), [("US-CO", 1096), ("FR", 1827), ("GB", 2192)])
def test_evidence_is_deleted_after_the_days_of_the_persons_profile(house: House, jurisdiction: str, days: int) -> None:
    person = house.admit(jurisdiction=jurisdiction)
    withdrawn = house.withdraw(person)
    certificate = Path(withdrawn.certificate_path)
    held = certificate.read_bytes()
    house.clock.move(days=days, seconds=-1)
    house.site.sweep()
    assert set(left(house, person)) == {*EVIDENCE, "keyring"}
    assert certificate.exists()

    house.clock.move(seconds=1)
    assert house.site.sweep().outdated.items() >= {"consents": 1, "certificates": 1}.items()

    assert left(house, person) == {}
    assert not certificate.exists()
    assert verify_certificate(held, house.site.verifier_key).reason == "withdrawn"
    house.reopen()
    house.site.log.verify()
    with pytest.raises(NoLiveConsentError, match="there is no consent for this receipt or code here"):
        house.withdraw(person)
    with pytest.raises(UnknownError, match="the certificate is genuine, and the site deletes its evidence"):
        house.site.erasures.of_certificate(held)


def test_what_is_still_going_on_keeps_the_evidence(house: House) -> None:
    asking, ordered = house.admit(), house.admit()
    request = house.site.rights.open("access", [asking.receipt_id])
    house.withdraw(asking)
    house.withdraw(ordered)
    order_in_progress(house, ordered)
    house.clock.move(days=1827)
    delete_outdated_evidence(house.store)
    assert left(house, asking).keys() >= set(EVIDENCE)
    assert left(house, ordered).keys() >= set(EVIDENCE)

    house.site.rights.close(request.request_id, "taken back")
    tamper(house.site.home / DATA, "UPDATE cohort SET finished_at = '2099-03-01T12:00:00Z'")
    outdated = delete_outdated_evidence(house.store)

    assert outdated.items() >= {"consents": 2, "requests": 1, "orders": 1}.items()
    assert left(house, asking) == left(house, ordered) == {}
    assert house.site.rights.requests(closed=True) == []


def order_in_progress(house: House, person: Person) -> None:
    """Record an order that lists a person and is not finished."""
    home = house.site.home / DATA
    tamper(home, "INSERT INTO cohort VALUES (?, 'p', 'a', '2099-03-01T12:00:00Z', NULL, '{}')", "0" * 32)
    tamper(home, "INSERT INTO cohort_member VALUES (?, ?)", "0" * 32, person.receipt_id)


def test_an_answered_request_is_deleted_after_its_own_days(house: House) -> None:
    person = house.admit()
    about, unknown = house.site.rights.open("access", [person.receipt_id]), house.site.rights.open("access", [])
    for one in (about, unknown):
        house.site.rights.close(one.request_id, "taken back")
    open_one = house.site.rights.open("objection", [])
    house.clock.move(days=1096, seconds=-1)
    house.site.sweep()
    assert len(house.site.rights.requests(closed=True)) == 3

    house.clock.move(seconds=1)
    assert house.site.sweep().outdated["requests"] == 2

    assert [one.request_id for one in house.site.rights.requests(closed=True)] == [open_one.request_id]


def test_a_finished_order_goes_as_a_whole_and_has_its_dossier_until_then(house: House) -> None:
    desk_alone(house)
    for _ in range(2):
        house.admit()
    plan = planned(house, FRENCH)
    carry_out(house, plan)
    house.clock.move(days=400)
    house.site.sweep()
    carry_out(house, plan, name="again")
    assert (house.site.home.parent / "again").is_dir()
    house.clock.move(days=1827 - 400)

    assert house.site.sweep().outdated.items() >= {"consents": 2, "orders": 1}.items()

    for table in ("cohort", "cohort_member", "proposed_order", "receipt"):
        assert peek(house.site.home / DATA, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608  ours
    house.reopen()
    assert house.site.sweep().outdated == {}


def test_details_of_the_log_are_erased_after_the_shortest_days_in_use(house: House) -> None:
    house.admit(jurisdiction="GB")
    house.site.programs.credentials.issue(label="front desk", role=Role.DESK)
    house.site.rights.open("access", [])
    house.clock.move(days=366)
    house.site.sweep()
    assert opened(house) >= {"credential.issued", "request.opened", "site.created"}

    house.admit(jurisdiction="FR")
    house.clock.move(seconds=1)
    assert house.site.sweep().outdated["openings"] >= 3

    assert opened(house).isdisjoint({"request.opened", "zone.added"})
    assert opened(house) >= {"credential.issued", "site.created"}, "a row refers to the one, the site reads the other"
    house.reopen()
    house.site.log.verify()


def opened(house: House) -> set[str]:
    query = "SELECT leaf FROM audit_event JOIN audit_opening USING (seq)"
    return {json.loads(leaf)["kind"] for (leaf,) in peek(house.site.home / DATA, query)}


def test_no_kind_that_stays_open_is_about_a_person(house: House) -> None:
    house.withdraw(house.admit())
    query = "SELECT leaf FROM audit_event JOIN audit_opening USING (seq) WHERE receipt_id IS NOT NULL"
    about_people = {json.loads(leaf)["kind"] for (leaf,) in peek(house.site.home / DATA, query)}
    assert about_people.isdisjoint(SITE_KINDS)


@pytest.mark.parametrize("table", ["receipt", "consent_end", "certificate"])
def test_the_database_refuses_to_delete_evidence_before_its_end(house: House, table: str) -> None:
    house.withdraw(house.admit())
    refused = f"volens: {table} is not deleted before its end"
    with closing(sqlite3.connect(house.site.home / DATA)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match=refused):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  a name of our own
        with pytest.raises(sqlite3.IntegrityError, match=f"volens: {table} is not replaced"):
            connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608  the same


def test_a_profile_that_became_shorter_counts_for_evidence_that_is_kept(house: House) -> None:
    person = house.admit(jurisdiction="US-CO")
    house.withdraw(person)
    tamper(house.site.home / DATA, "UPDATE consent_end SET evidence_until = '2150-01-01T00:00:00Z'")
    house.clock.move(days=1096)

    house.site.sweep()

    assert left(house, person) == {}


def test_rows_of_the_site_that_were_changed_keep_no_evidence(house: House) -> None:
    person = house.admit()
    house.site.declarations.declare({"dpo": "Dana Doe"})
    house.site.declarations.declare({"dpo": "Erin Example"})
    house.withdraw(person)
    house.clock.move(days=1827)
    tamper(house.site.home / DATA, "UPDATE site SET controller_contact = 'else'")

    with pytest.raises(TamperError, match="integrity: the rows of site"):
        house.site.sweep()

    assert left(house, person) == {}
