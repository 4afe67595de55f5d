"""Row seals: every operation leaves every seal valid, and only what was sealed is read."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from house import MODEL, House
from pins import cheap_pins
from signing import make_passkey
from small_witness import SmallWitness
from sqlalchemy import func, insert, select

from tests.unit.erase.orders import FRENCH, approval, carry_out, planned
from tests.unit.store.raw import DATA, peek
from volens.consent import EndReason, Purpose, SecondFactor, ShownFactor, TamperError
from volens.consent.panel_badge import PanelBadge
from volens.erase import OperatorKey
from volens.erase.order import Selection
from volens.service.sample_notice import publish_sample_notice
from volens.store.authenticated_rows import rows_mac
from volens.store.people import authenticate_consents, broken_rows, end_consents
from volens.store.programs import JobKind, JobState, Role
from volens.store.promises import set_threshold_shift, zone_of
from volens.store.schema import Scope, scoped_tables
from volens.store.schema import data_tables as tables

KEY = bytearray(range(32))
SWISS = b"""
code = "CH"
based_on = "EU"
not_checked = ["everything"]
names = { en = "Switzerland", fr = "Suisse", de = "Schweiz" }
checked = [{ where = "https://law.example", checked_on = 2026-11-30, what = "nothing yet" }]
"""


@pytest.fixture(autouse=True)
def _pins_cost_nothing() -> Iterator[None]:
    with cheap_pins():
        yield


def operations(house: House, folder: Path) -> list[tuple[str, Callable[[], object]]]:
    """Return everything that writes rows, in an order in which it can be done."""
    site, clock, found = house.site, house.clock, dict[str, Any]()
    pin = {one: ShownFactor.of(SecondFactor.PIN, one) for one in ("719035", "428163", "555111")}
    keys = [OperatorKey.from_seed(bytes([number]) * 32) for number in range(3)]

    def keep(name: str, make: Callable[[], object]) -> Callable[[], object]:
        def run() -> None:
            found[name] = make()

        return run

    def receipt(name: str) -> Any:  # noqa: ANN401  a receipt id
        return found[name].receipt_id

    def order() -> None:
        data = planned(house, Selection(jurisdiction="DE"))
        carry_out(house, data, [approval(house, data, key) for key in keys[:2]])

    def calibrated() -> None:
        with house.store.write() as tx:
            set_threshold_shift(tx, Purpose("vault"), MODEL, 0.02)

    return [
        ("add a zone", lambda: house.declare("vault", second_factor="pin")),
        ("add a zone of badges", lambda: house.declare("gate", custody="badge")),
        ("add a zone of keys", lambda: house.declare("lab", custody="subject_key")),
        ("give consent", keep("ann", lambda: house.invite("vault"))),
        ("enroll", lambda: house.enroll(found["ann"])),
        ("enroll with a key", keep("key", lambda: house.admit("lab"))),
        ("issue a badge", keep("badge", lambda: house.admit("gate"))),
        ("link an external id", lambda: site.link_external_id(receipt("ann"), "4711")),
        ("set a PIN", lambda: site.factors.set(receipt("ann"), pin["719035"])),
        ("replace the PIN", lambda: site.factors.set(receipt("ann"), pin["428163"])),
        ("try a wrong PIN", lambda: house.look_at(found["ann"].face, "vault", factor=pin["555111"])),
        ("use the PIN", lambda: house.look_at(found["ann"].face, "vault", factor=pin["428163"])),
        ("visit", lambda: (clock.move(days=1), house.visit(found["ann"]))),
        ("restrict", lambda: site.changes.restrict(receipt("ann"))),
        ("lift the restriction", lambda: site.changes.lift_restriction(receipt("ann"))),
        ("set a number at the panel", lambda: site.panel_badges.set(receipt("ann"), PanelBadge(118, 1603))),
        ("remove the number at the panel", lambda: site.panel_badges.remove(receipt("ann"))),
        ("remove the PIN", lambda: site.factors.remove(receipt("ann"))),
        ("leave later", lambda: site.clocks.leave([receipt("ann")], clock() + timedelta(days=60))),
        ("leave earlier", lambda: site.clocks.leave([receipt("ann")], clock() + timedelta(days=50))),
        ("publish a notice", lambda: publish_sample_notice(site, "lab", "fr", more="Bonjour.")),
        (
            "ask again",
            lambda: publish_sample_notice(site, "lab", more="Again.", supersedes_within_days=20),
        ),
        ("set defaults", lambda: site.defaults.set(jurisdiction="FR", time_zone="Europe/Paris")),
        ("add a profile", lambda: site.jurisdictions.add(SWISS)),
        ("remove a profile", lambda: site.jurisdictions.remove("CH")),
        ("rename a zone", lambda: site.zones.rename("vault", "The Vault")),
        ("change the rate of strangers", lambda: site.zones.set_fpir("vault", "0.01%")),
        ("calibrate a zone", calibrated),
        ("change the trigger", lambda: site.zones.set_trigger("lobby", "request")),
        ("ask to turn the head", lambda: site.zones.set_liveness("vault", "challenge")),
        ("lend to doors", lambda: site.zones.set_lease("lobby", 60)),
        ("pause a zone", lambda: site.zones.pause("gate")),
        ("resume a zone", lambda: site.zones.resume("gate")),
        ("remove a zone", lambda: (house.declare("attic"), site.zones.remove("attic"))),
        ("shorten the retention", lambda: site.clocks.shorten_retention("vault", 40)),
        ("issue a credential", keep("card", lambda: site.programs.credentials.issue(label="x", role=Role.AUDITOR)[0])),
        (
            "rotate a credential",
            keep("next", lambda: site.programs.credentials.rotate(found["card"].credential_id)[0]),
        ),
        ("revoke a credential", lambda: site.programs.credentials.end(found["next"].credential_id)),
        (
            "add a door",
            keep("door", lambda: site.programs.credentials.issue(label="x", role=Role.DOOR, zone="lobby")[0]),
        ),
        (
            "give a lease",
            lambda: site.programs.leases.reserve(found["door"].credential_id, lease_id="1" * 32),
        ),
        (
            "give a lease up",
            lambda: site.programs.leases.acknowledge(found["door"].credential_id, "1" * 32, holds=False),
        ),
        (
            "add a member of staff",
            keep("link", lambda: site.programs.staff.add(label="x", role=Role.AUDITOR)[1]),
        ),
        (
            "make a passkey",
            keep("staff", lambda: site.programs.staff.register(found["link"].reveal(), "id", make_passkey().public)),
        ),
        ("add a sender", keep("sender", lambda: site.programs.senders.add(label="hr").sender.sender_id)),
        ("rotate a sender", lambda: site.programs.senders.rotate(found["sender"])),
        ("end a sender", lambda: site.programs.senders.end(found["sender"])),
        ("add a recipient", lambda: site.rights.recipients.add("vault", "Payroll", contact="p@example.org")),
        (
            "add an endpoint",
            keep("hook", lambda: site.programs.endpoints.add("vault", "Payroll", url="https://x.org").endpoint_id),
        ),
        ("rotate an endpoint", lambda: site.programs.endpoints.rotate(found["hook"])),
        ("disable an endpoint", lambda: site.programs.endpoints.disable(found["hook"])),
        ("enable an endpoint", lambda: site.programs.endpoints.enable(found["hook"])),
        ("remove a recipient", lambda: site.rights.recipients.remove("vault", "Payroll")),
        ("add a witness", lambda: site.log.witnesses.add("one", url="https://x.org", key=SmallWitness().vkey)),
        ("remove a witness", lambda: site.log.witnesses.remove("one")),
        ("begin a job", keep("job", lambda: site.programs.jobs.begin(JobKind.SWEEP, "x").job_id)),
        ("advance a job", lambda: site.programs.jobs.advance(found["job"], 1, 2)),
        ("end a job", lambda: site.programs.jobs.end(found["job"], JobState.DONE, {"done": 2})),
        ("invite", keep("guest", lambda: site.invitations.invite("lab", name="Eve", jurisdiction="FR", language="en"))),
        ("invite again", keep("guest", lambda: site.invitations.resend(found["guest"].invitation_id))),
        ("refuse", lambda: site.invitations.refuse(found["guest"].token.reveal())),
        (
            "invite another",
            keep("guest", lambda: site.invitations.invite("lab", name="Fay", jurisdiction="FR", language="fr")),
        ),
        ("cancel an invitation", lambda: site.invitations.cancel(found["guest"].invitation_id)),
        ("add an operator", lambda: site.cohorts.add_operator("one", keys[0].public_key)),
        ("add a second operator", lambda: site.cohorts.add_operator("two", keys[1].public_key)),
        ("add a third operator", lambda: site.cohorts.add_operator("three", keys[2].public_key, keys[:2])),
        ("require two operators", lambda: site.cohorts.require_operators(2)),
        ("remove an operator", lambda: site.cohorts.remove_operator("three", keys[:2])),
        ("declare a fact", lambda: site.declarations.declare({"dpo": "Dana Doe, dpo@example.org"})),
        ("declare a fact of a zone", lambda: site.declarations.declare_zone("vault", {"dpia": "2099-01-31"})),
        ("make a paper", lambda: site.papers.make("record", "lobby", "FR", folder)),
        ("stop collecting", keep("stop", lambda: site.cohorts.stop_collecting("IT", None).order_id)),
        ("propose an order", keep("order", lambda: site.cohorts.propose(FRENCH, "ada").cohort_id)),
        ("approve it", lambda: site.cohorts.approve_proposal(found["order"], "ben")),
        ("lift the stop", lambda: site.cohorts.lift_stop(found["stop"], keys[:2])),
        ("admit somebody for an order", lambda: house.admit(jurisdiction="DE")),
        ("carry out an order", order),
        ("withdraw by receipt", lambda: house.withdraw(house.admit())),
        ("withdraw by code", lambda: site.withdraw(code=house.admit().code)),
        ("back up", lambda: site.backup(folder / "backup")),
        ("rotate the keys", site.keys.rotate),
        ("prune jobs", lambda: (clock.move(days=35), site.programs.jobs.begin(JobKind.SWEEP, "x"))),
        ("sweep", site.sweep),
        ("open again", house.reopen),
    ]


def test_after_every_operation_every_seal_holds(house: House, tmp_path: Path) -> None:
    seen = set[str]()
    for what, operation in operations(house, tmp_path):
        operation()
        assert broken_rows(house.store) == [], what
        with house.store.read() as connection:
            for one in (one for scope in Scope for one in scoped_tables(scope)):
                if connection.scalar(select(func.count()).select_from(one.table)):
                    seen.add(one.table.name)
    assert seen == {one.table.name for scope in Scope for one in scoped_tables(scope)}


def test_a_writer_that_forgets_to_seal_fails_at_the_next_read(house: House) -> None:
    person = house.admit()
    with house.store.write() as tx:
        row = {"receipt_id": person.receipt_id, "subject_id": person.subject_id, "purpose": "lobby"}
        tx.connection.execute(insert(tables.leaving), row | {"leaves_at": house.clock()})
        tx.log("test.forgotten", {})

    with house.store.read() as connection, pytest.raises(TamperError, match=person.receipt_id):
        authenticate_consents(connection, [person.receipt_id])


def test_a_change_without_an_entry_in_the_log_is_not_sealed(house: House) -> None:
    with (
        pytest.raises(RuntimeError, match="without an entry"),
        house.store.write() as tx,
        tx.changing(Scope.ZONE, ["lobby"]),
    ):
        pass


def test_what_a_transaction_read_is_not_remembered_if_it_is_rolled_back(house: House) -> None:
    lobby = Purpose("lobby")

    def shorten_and_fail() -> None:
        with house.store.write() as tx:
            with tx.changing(Scope.ZONE, [lobby]):
                row = {"purpose": lobby, "retention_days": 5, "decided_at": tx.now}
                tx.connection.execute(insert(tables.shorter_retention), row)
                tx.log("zone.retention_shortened", {"zone": lobby})
            assert zone_of(tx.connection, lobby).retention_days == 5
            raise KeyError

    with pytest.raises(KeyError):
        shorten_and_fail()
    with house.store.write() as tx:
        tx.log("test.other", {})

    with house.store.read() as connection:
        assert zone_of(connection, lobby).retention_days == 90


def test_a_snapshot_from_before_a_change_is_read_as_it_was(house: House) -> None:
    person = house.admit()
    with house.store.read() as before:
        old = authenticate_consents(before, [person.receipt_id])[person.receipt_id]
        house.site.clocks.leave([person.receipt_id], house.clock() + timedelta(days=5))
        house.store.seals._cache.clear()

        again = authenticate_consents(before, [person.receipt_id])[person.receipt_id]
        with house.store.write() as tx:
            end_consents(tx, [person.receipt_id], EndReason.WITHDRAWN)
            tx.log("consent.ended", {"zone": "lobby"})
        gone = authenticate_consents(before, [person.receipt_id])[person.receipt_id]

    assert old.ends_at == again.ends_at == gone.ends_at
    with house.store.read() as after:
        assert authenticate_consents(after, [person.receipt_id]) == {}


def test_nothing_of_an_ended_consent_keeps_a_seal(house: House) -> None:
    person, other = house.admit(), house.admit()
    house.withdraw(person)

    assert peek(house.site.home / DATA, "SELECT scope_id FROM row_seal WHERE scope = 'consent'") == [
        (other.receipt_id,)
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"scope": "zone"},
        {"scope_id": "b"},
        {"generation": 2},
        {"tables": {}},
        {"tables": {"u": [("a", 1)]}},
        {"tables": {"t": []}},
        {"tables": {"t": [("a", 1), ("a", 1)]}},
        {"tables": {"t": [("a", "1")]}},
        {"tables": {"t": [("a", None)]}},
        {"tables": {"t": [("a", True)]}},
        {"tables": {"t": [(b"a", 1)]}},
        {"tables": {"t": [("61", 1)]}},
        {"tables": {"t": [("a",), (1,)]}},
        {"tables": {"t": [("a", 1)], "u": []}},
    ],
)
def test_other_rows_have_another_mac(other: dict[str, Any]) -> None:
    usual = {"scope": "consent", "scope_id": "a", "generation": 1, "tables": {"t": [("a", 1)]}}
    assert rows_mac(KEY, **usual) != rows_mac(KEY, **usual | other)  # type: ignore[arg-type]


def test_the_order_of_rows_does_not_matter() -> None:
    rows = [("a", 1, None, b"\x00"), ("b", None, 2, b"")]
    assert rows_mac(KEY, "s", "i", 1, {"t": rows}) == rows_mac(KEY, "s", "i", 1, {"t": rows[::-1]})


def test_long_texts_are_told_apart() -> None:
    one, two = "x" * 4000, "x" * 3999 + "y"
    assert rows_mac(KEY, "s", "i", 1, {"t": [(one,)]}) != rows_mac(KEY, "s", "i", 1, {"t": [(two,)]})


def test_the_mac_is_the_one_that_was_computed_before() -> None:
    """A constant: a file sealed by one version verifies with the next."""
    mac = rows_mac(KEY, "consent", "a", 7, {"t": [("a", 1, None, b"\x01"), ("é", 2, "x" * 600, b"")], "u": []})
    assert mac.hex() == "06088175cbc18dc98a0a3fd0074f192f3342dbd8e86c8aa747f3a73e510628bd"
