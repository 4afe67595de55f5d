"""Rows about staff whose period is over, and a whole site of which in the end no person and no moment is left."""

from contextlib import closing
from datetime import timedelta

import pytest
from house import House

from tests.unit.erase.orders import FRENCH, carry_out, desk_alone, operator, planned
from tests.unit.store.raw import DATA, KEYRING, peek, tamper
from volens import Site
from volens.consent import RefusedError, UnknownError
from volens.store.programs import DoorReport, JobKind, Role
from volens.store.schema import data_tables
from volens.store.schema.retention import RETENTION

AFTER = timedelta(days=90)
"""`log_openings_days` of France, the only jurisdiction in use."""


def rows(house: House, table: str) -> int:
    return int(peek(house.site.home / DATA, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608  names of our own


def test_a_credential_is_deleted_some_time_after_it_ended(house: House) -> None:
    credentials = house.site.programs.credentials
    ended, _token = credentials.issue(label="left door", role=Role.DOOR, zone="lobby")
    expiring, token = credentials.issue(label="right door", role=Role.DOOR, zone="lobby", valid_days=1)
    lasting, its_token = credentials.issue(label="desk", role=Role.DESK)
    credentials.end(ended.credential_id)
    house.admit()
    house.clock.time += AFTER
    assert house.site.sweep().outdated["credentials"] == 1
    house.clock.move(days=1)

    assert house.site.sweep().outdated["credentials"] == 1

    assert [one.credential_id for one in credentials.list()] == [lasting.credential_id]
    assert credentials.check(its_token.reveal()) == lasting
    with pytest.raises(RefusedError):
        credentials.check(token.reveal())
    with pytest.raises(UnknownError):
        credentials.end(expiring.credential_id)
    house.reopen()
    assert house.site.sweep().outdated.get("credentials") is None


def test_a_declaration_is_deleted_some_time_after_a_newer_one(house: House) -> None:
    house.admit()
    declarations = house.site.declarations
    before = rows(house, "site_declaration"), rows(house, "zone_declaration")
    for name in ("Dana Doe", "Erin Example"):
        declarations.declare({"dpo": name})
        declarations.declare_zone("lobby", {"human_way": name})
    house.clock.time += AFTER

    assert house.site.sweep().outdated["declarations"] >= 2

    assert (rows(house, "site_declaration"), rows(house, "zone_declaration")) == (before[0] + 1, before[1])
    house.reopen()
    assert "Erin Example" in house.site.declarations.of_site().values()
    house.site.declarations.declare({"dpo": "Fay Further"})


def test_a_removed_operator_stays_as_long_as_an_order_of_that_time(house: House) -> None:
    desk_alone(house)
    anna = operator(house, "anna")
    house.admit()
    carry_out(house, planned(house))
    house.site.cohorts.remove_operator("anna", [anna])
    house.clock.move(days=1827)
    tamper(house.site.home / DATA, "UPDATE consent_end SET evidence_until = '2110-01-01T00:00:00Z'")
    tamper(house.site.home / DATA, "UPDATE consent_end SET ended_at = '2105-01-01T00:00:00Z'")
    house.site.sweep()
    assert rows(house, "operator_key") == 1

    house.clock.move(days=5000)
    assert house.site.sweep().outdated["operators"] == 1

    assert rows(house, "operator_key") == 0
    house.reopen()


def test_in_the_end_nothing_names_a_person_or_a_moment_of_one(house: House) -> None:
    """With every kind of row that the site can have in one go."""
    house.site.declarations.declare({"dpo": "Dana Doe"})
    person, ordered = house.admit(), house.admit()
    house.visit(person)
    for kind in ("access", "objection"):
        request = house.site.rights.open(kind, [person.receipt_id])
        house.site.rights.close(request.request_id, "taken back")
    house.site.invitations.invite("lobby", name="Gil Guest", language="en", jurisdiction="FR", invited_by="desk")
    credential, _token = house.site.programs.credentials.issue(label="desk of Hal", role=Role.DESK)
    house.site.programs.jobs.begin(JobKind.SWEEP, credential.credential_id)
    house.site.programs.doors.record([DoorReport("door of Hal", house.site.now())])
    desk_alone(house)
    key = operator(house, "ida")
    house.withdraw(person)
    carry_out(house, planned(house, FRENCH))
    house.site.cohorts.remove_operator("ida", [key])
    house.site.declarations.declare({"dpo": ""})
    filled = {table for table in RETENTION if rows(house, table)}
    assert len(filled) > 12
    house.clock.move(days=4000)

    house.site.sweep()  # ends the invitation, whose rest is kept for 30 days more
    house.clock.move(days=100)
    house.site.sweep()

    # What the site reads of its own keys, and the entry of this sweep; what is declared now.
    left = {table for table in RETENTION if rows(house, table)}
    assert left == {"audit_opening", "site_declaration", "zone_declaration"}
    texts = "".join(data_and_keyring(house))
    for name in (person.receipt_id, person.subject_id, ordered.receipt_id, "Gil", "Hal", "ida", "Dana"):
        assert name not in texts
    assert peek(house.site.home / KEYRING, "SELECT count(*) FROM ended_consent") == [(0,)]
    house.site.check_rules()
    home, clock = house.site.home, house.clock
    house.site.close()
    with closing(Site.open(home, load_extractor=lambda: pytest.fail("no models"), clock=clock)) as again:
        again.log.verify()


def data_and_keyring(house: House) -> list[str]:
    """Return all values of both files as text, but for the leaves of the log, which are hashes."""
    names = [name for name in data_tables.metadata.tables if name not in {"audit_event", "audit_node"}]
    found = [str(peek(house.site.home / DATA, f"SELECT * FROM {one}")) for one in names]  # noqa: S608  ours
    kept = ("ended_consent", "withdrawal_code", "sealed_scope", "grant_secret")
    return found + [str(peek(house.site.home / KEYRING, f"SELECT * FROM {one}")) for one in kept]  # noqa: S608  ours
