"""Attacks of a program that can write volens.db and has no key: plain sqlite3, triggers dropped and put back.

Each was tried from outside once and succeeded, or is a variation of one that did. Each is done on a closed site, and on
one that is open all the time.
"""

import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dying
import pytest
from house import House, Person
from pins import cheap_pins
from signing import make_passkey
from sqlalchemy import update

from tests.unit.store.raw import DATA, KEYRING, drop_triggers, lawless, peek, tamper
from volens.consent import (
    RefusedError,
    SecondFactor,
    ShownFactor,
    TamperError,
    UnavailableError,
)
from volens.consent.errors import DamagedDataError
from volens.erase import OperatorKey, RestoreOrder, approve
from volens.erase.order import Selection
from volens.service.sample_notice import publish_sample_notice
from volens.store.people import authenticate_consents, broken_rows
from volens.store.programs import Role
from volens.store.schema import Scope
from volens.store.schema import data_tables as tables

PROLONG = (
    "UPDATE live_consent SET expires_at = (SELECT expires_at FROM receipt WHERE receipt_id = live_consent.receipt_id)"
)
BY_US = "were changed by another program"


@pytest.fixture(params=["closed", "open"])
def attack(request: pytest.FixtureRequest, house: House) -> Callable[..., None]:
    """Run statements on the data file as the attacker does, with the site closed or open meanwhile."""

    def run(*statements: str | tuple[str, *tuple[object, ...]]) -> None:
        if request.param == "closed":
            house.site.close()
        for one in statements:
            tamper(house.site.home / DATA, *((one,) if isinstance(one, str) else one))
        if request.param == "closed":
            house.reopen()

    return run


@pytest.fixture(autouse=True)
def _pins_cost_nothing() -> Iterator[None]:
    with cheap_pins():
        yield


def is_refused(house: House, person: Person, zone: str = "lobby", factor: ShownFactor | None = None) -> bool:
    """Return whether the door stays closed for a person, and says why."""
    try:
        decision = house.look_at(person.face, zone, factor=factor)
    except TamperError:
        return True
    assert decision.match is None, "the attack opened the door"
    return False


def named(house: House) -> str:
    """Return what `volens audit verify` says of the rows."""
    with pytest.raises(TamperError, match="volens restore") as caught:
        house.site.log.verify()
    return str(caught.value)


def test_a_leaving_date_that_is_deleted_lets_nobody_in(house: House, attack: Callable[..., None]) -> None:
    person, other = house.admit(), house.admit()
    house.site.clocks.leave([person.receipt_id], house.clock() + timedelta(days=10))

    attack("DELETE FROM leaving", PROLONG)

    house.clock.move(days=40)
    assert is_refused(house, person)
    assert house.sees(other)
    with pytest.raises(TamperError, match=person.receipt_id):
        house.site.sweep()
    assert person.receipt_id in named(house)
    assert "leaving" in named(house)


@pytest.mark.parametrize(
    "statement", ["DELETE FROM shorter_retention", "UPDATE shorter_retention SET retention_days = 80"]
)
def test_a_shortened_retention_that_is_taken_back_lets_nobody_in(
    house: House, attack: Callable[..., None], statement: str
) -> None:
    person = house.admit()
    house.site.clocks.shorten_retention("lobby", 10)

    attack(statement, PROLONG)

    house.clock.move(days=40)
    assert is_refused(house, person)
    with pytest.raises(TamperError, match="integrity"):
        house.site.sweep()
    assert "zone 'lobby'" in named(house)


def test_a_notice_that_asks_again_and_is_made_harmless_lets_nobody_in(
    house: House, attack: Callable[..., None]
) -> None:
    person = house.admit()
    publish_sample_notice(house.site, "lobby", more="We ask again.", supersedes_within_days=5)

    attack("UPDATE notice SET supersedes_within_days = NULL WHERE version = 2", PROLONG)

    house.clock.move(days=40)
    assert is_refused(house, person)
    with pytest.raises(TamperError, match="integrity"):
        house.site.sweep()
    assert "notice" in named(house)


@pytest.mark.parametrize("opening", ["kept", "deleted"])
def test_a_second_factor_that_is_switched_off_opens_no_vault(
    house: House, attack: Callable[..., None], opening: str
) -> None:
    house.declare("vault", second_factor="pin")
    person, other = house.admit("vault"), house.admit()
    house.site.factors.set(person.receipt_id, ShownFactor.of(SecondFactor.PIN, "719035"))
    hidden = ["DELETE FROM audit_opening WHERE details LIKE '%second_factor%'"] if opening == "deleted" else []

    attack("UPDATE zone SET second_factor = 'none' WHERE purpose = 'vault'", *hidden)

    assert house.sees(other)  # the other zone is not closed
    assert is_refused(house, person, "vault")
    assert "zone 'vault'" in named(house)


def test_a_credential_that_is_inserted_is_refused(house: House, attack: Callable[..., None]) -> None:
    genuine, mine = house.site.programs.credentials.issue(label="door", role=Role.DOOR, zone="lobby")
    token = "volens_abababababababab_" + "A" * 43
    digest = sha256(b"volens credential v1\0" + token.encode()).digest()

    attack(
        (
            """INSERT INTO api_credential SELECT 'abababababababab', 'door panel', 'privacy_officer', NULL, ?,
            log_index, issued_at, expires_at, NULL, NULL, NULL FROM api_credential""",
            digest,
        )
    )

    with pytest.raises(TamperError, match="credential 'abababababababab'"):
        house.site.programs.credentials.check(token)
    assert house.site.programs.credentials.check(mine.reveal()) == genuine
    assert "api_credential" in named(house)


@pytest.mark.parametrize(
    "change",
    [
        "role = 'privacy_officer', purpose = NULL",
        "expires_at = '2200-01-01T00:00:00Z'",
        "ended_at = NULL",
        "token_mac = zeroblob(32)",
        "log_index = 0",
    ],
)
def test_a_credential_that_is_changed_is_refused(house: House, attack: Callable[..., None], change: str) -> None:
    credential, token = house.site.programs.credentials.issue(label="door", role=Role.DOOR, zone="lobby")
    if "ended_at" in change:
        house.site.programs.credentials.end(credential.credential_id)

    attack(f"UPDATE api_credential SET {change}")  # noqa: S608  words of this test

    with pytest.raises((TamperError, RefusedError)) as caught:
        house.site.programs.credentials.check(token.reveal())
    assert "ended_at" in change or caught.type is DamagedDataError


def test_a_credential_whose_leaf_was_changed_is_refused(house: House) -> None:
    _credential, token = house.site.programs.credentials.issue(label="door", role=Role.DOOR, zone="lobby")

    tamper(
        house.site.home / DATA,
        "UPDATE audit_opening SET details = replace(details, 'door', 'desk') WHERE details LIKE '%\"role\":\"door\"%'",
    )
    with house.store.write() as tx:
        tx.log("test.noted", {})  # the log grows, and so the row is read again

    with pytest.raises(TamperError, match=r"entry \d+ of the audit log is not the credential"):
        house.site.programs.credentials.check(token.reveal())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE staff_passkey SET public_key = {key}",
        "UPDATE staff_passkey SET log_index = 0",
        "INSERT INTO staff_passkey SELECT 'id-2', credential_id, {key}, log_index, added_at FROM staff_passkey",
        "UPDATE api_credential SET link_until = NULL",
    ],
)
def test_a_passkey_that_another_program_writes_signs_nobody_in(
    house: House, attack: Callable[..., None], change: str
) -> None:
    staff = house.site.programs.staff
    _, token = staff.add(label="reception", role=Role.DESK)
    staff.register(token.reveal(), "id-1", make_passkey().public)

    attack(change.format(key=f"x'{make_passkey().public.jwk.hex()}'"))

    with pytest.raises(TamperError, match="credential"):
        staff.passkey("id-1")
    with pytest.raises((TamperError, RefusedError)):
        staff.passkey("id-2")
    with pytest.raises(TamperError):
        house.site.programs.credentials.check(token.reveal())


def operators(house: House, *labels: str) -> dict[str, OperatorKey]:
    keys: dict[str, OperatorKey] = {}
    for label in labels:
        key = OperatorKey.from_seed(house.bits.randbytes(32))
        house.site.cohorts.add_operator(label, key.public_key, list(keys.values()))
        keys[label] = key
    return keys


def test_operators_that_are_inserted_erase_nobody(house: House, attack: Callable[..., None], tmp_path: Path) -> None:
    operators(house, "one", "two")
    person = house.admit()
    forged = [OperatorKey.from_seed(house.bits.randbytes(32)) for _ in range(2)]
    plan, file = house.site.cohorts.plan(Selection.declare(zone="lobby"))

    attack(
        *(
            (
                "INSERT INTO operator_key SELECT ?, ?, log_index, added_at, NULL FROM operator_key WHERE name = 'one'",
                label,
                key.public_key,
            )
            for label, key in zip(("three", "four"), forged, strict=True)
        )
    )

    approvals = [approve(one, plan.token, plan.cohort_id, house.store.now()) for one in forged]
    with pytest.raises(TamperError, match="operator_key"):
        house.site.cohorts.execute(file, approvals, tmp_path / "dossier", answers=tmp_path / "answers")
    assert "site" in named(house)
    assert house.sees(person)


def test_an_order_that_is_inserted_erases_nobody(house: House, attack: Callable[..., None]) -> None:
    operators(house, "one", "two")
    person = house.admit()
    plan, _file = house.site.cohorts.plan(Selection.declare(zone="lobby"))

    attack(
        (
            "INSERT INTO cohort VALUES (?, ?, '[\"x\"]', '2099-03-01T12:00:00Z', NULL, '{\"resumed\":0}')",
            plan.cohort_id,
            plan.token,
        ),
        ("INSERT INTO cohort_member VALUES (?, ?)", plan.cohort_id, person.receipt_id),
    )

    with pytest.raises(TamperError, match="order"):
        house.site.sweep()
    assert house.sees(person)
    assert "cohort_member" in named(house)


def test_a_number_of_operators_that_is_lowered_counts_for_nothing(
    house: House, attack: Callable[..., None], tmp_path: Path
) -> None:
    person = house.admit()
    _plan, file = house.site.cohorts.plan(Selection.declare(zone="lobby"))

    attack("INSERT INTO operators_required VALUES (0, 1, '2099-03-01T12:00:00Z')")

    with pytest.raises(TamperError, match="operators_required"):
        house.site.cohorts.execute(file, [], tmp_path / "dossier", answers=tmp_path / "answers")
    assert house.sees(person)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE proposed_order SET approved_by = 'ben', approved_at = '2099-03-01T12:00:00Z', approval_index = 0",
        """INSERT OR REPLACE INTO proposed_order SELECT cohort_id, plan, 'ben', proposed_at, log_index, 'ada',
        '2099-03-01T12:00:00Z', log_index FROM proposed_order""",
        "DELETE FROM proposed_order",
    ],
)
def test_a_second_approval_that_another_program_writes_erases_nobody(
    house: House, attack: Callable[..., None], tmp_path: Path, change: str
) -> None:
    house.site.cohorts.require_operators(1)
    person = house.admit()
    cohort_id = house.site.cohorts.propose(Selection.declare(zone="lobby"), "ada").cohort_id
    file = house.site.cohorts.plan_file(cohort_id)

    attack(change)

    with pytest.raises(TamperError, match="proposal"):
        house.site.cohorts.execute(file, [], tmp_path / "dossier", answers=tmp_path / "answers")
    with pytest.raises(TamperError, match="proposal"):
        house.site.cohorts.proposal(cohort_id)
    assert house.sees(person)


def test_a_second_approval_counts_only_with_its_entry_in_the_log(house: House, tmp_path: Path) -> None:
    house.site.cohorts.require_operators(1)
    person = house.admit()
    cohort_id = house.site.cohorts.propose(Selection.declare(zone="lobby"), "ada").cohort_id
    with house.store.write() as tx, tx.changing(Scope.PROPOSAL, [cohort_id]):
        index, _event = tx.log("test.other", {"cohort_id": cohort_id, "officer": "ben"})
        values = {"approved_by": "ben", "approved_at": tx.now, "approval_index": index}
        tx.connection.execute(update(tables.proposed_order).values(values))

    with pytest.raises(TamperError, match=r"cohort\.approved"):
        house.site.cohorts.execute(
            house.site.cohorts.plan_file(cohort_id), [], tmp_path / "dossier", answers=tmp_path / "answers"
        )
    assert house.sees(person)


def test_rewritten_triggers_make_no_prolonged_consent_valid(house: House) -> None:
    person = house.admit()
    house.site.clocks.leave([person.receipt_id], house.clock() + timedelta(days=10))
    drop_triggers(
        house.site.home / DATA, "live_consent_is_not_changed", "live_consent_expires_at_is_only_moved_earlier"
    )

    with closing(sqlite3.connect(house.site.home / DATA, isolation_level=None)) as plain:
        plain.execute(PROLONG)

    house.clock.move(days=40)
    assert is_refused(house, person)


def test_a_withdrawal_code_works_though_its_digest_was_overwritten(house: House, attack: Callable[..., None]) -> None:
    person = house.admit()

    attack(("UPDATE receipt SET withdrawal_digest = zeroblob(32) WHERE receipt_id = ?", person.receipt_id))

    assert is_refused(house, person)
    assert "receipt" in named(house)
    assert house.site.withdraw(code=person.code).erased.reason == "withdrawn"
    with house.store.read() as connection:
        assert authenticate_consents(connection, [person.receipt_id]) == {}


def test_a_code_that_was_put_into_another_persons_row_ends_nothing(house: House, attack: Callable[..., None]) -> None:
    person, other = house.admit(), house.admit()
    house.site.withdraw(code=other.code)

    attack(
        "UPDATE receipt SET withdrawal_digest = zeroblob(32) WHERE receipt_id IN (SELECT receipt_id FROM consent_end)",
        (
            "UPDATE receipt SET withdrawal_digest = ? WHERE receipt_id = ?",
            sha256(b"volens withdrawal code v1\0" + b"0" * 26).digest(),
            person.receipt_id,
        ),
    )

    with pytest.raises(TamperError, match=person.receipt_id):
        house.site.withdraw(code="0" * 26)
    # The code of the person who is gone still names that person's certificate.
    assert house.site.withdraw(code=other.code).erased.reason == "withdrawn"


def test_an_order_to_stop_collecting_that_is_lifted_lets_nobody_enroll(
    house: House, attack: Callable[..., None]
) -> None:
    house.site.cohorts.stop_collecting("FR", None)

    attack("UPDATE collection_stop SET lifted_at = placed_at")

    with pytest.raises(TamperError, match="collection_stop"):
        house.invite()
    assert "site" in named(house)


def test_a_changed_leaf_of_the_log_is_noticed_at_opening(house: House) -> None:
    house.admit()
    house.site.close()
    tamper(house.site.home / DATA, "UPDATE audit_event SET leaf = CAST(leaf || ' ' AS BLOB) WHERE seq = 2")

    with pytest.raises(
        TamperError, match="an entry of the log is not the one that the keyring has; restore the data file"
    ):
        house.reopen()


def test_an_entry_that_is_cut_off_both_files_is_missed_by_the_row_that_it_issued(house: House, tmp_path: Path) -> None:
    ((size,),) = peek(house.site.home / DATA, "SELECT max(size) FROM audit_checkpoint")
    house.site.close()
    older = shutil.copy(house.site.home / KEYRING, tmp_path / KEYRING)
    house.reopen()
    house.site.programs.credentials.issue(label="door", role=Role.DOOR, zone="lobby")
    house.site.close()

    for statement in (
        f"DELETE FROM audit_opening WHERE seq >= {size}",  # noqa: S608  a number of this test
        f"DELETE FROM audit_event WHERE seq >= {size}",  # noqa: S608
        f"DELETE FROM audit_checkpoint WHERE size > {size}",  # noqa: S608
    ):
        tamper(house.site.home / DATA, statement)
    shutil.copy(older, house.site.home / KEYRING)
    (house.site.home / "checkpoint").unlink()

    with pytest.raises(TamperError, match="entries were cut off"):
        house.reopen()


def rows_of(house: House, query: str, *values: object) -> list[tuple[Any, ...]]:
    return peek(house.site.home / DATA, query, *values)


def put_back(house: House, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Replace all rows of a table by older ones."""
    with lawless(house.site.home / DATA) as plain:
        plain.execute(f"DELETE FROM {table}")  # noqa: S608  names of our own
        for row in rows:
            plain.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608


@pytest.mark.parametrize("with_seal", [False, True])
def test_a_pin_that_was_replaced_cannot_be_put_back(house: House, with_seal: bool) -> None:  # noqa: FBT001  by name
    house.declare("vault", second_factor="pin")
    person = house.admit("vault")
    old, new = (ShownFactor.of(SecondFactor.PIN, text) for text in ("719035", "428163"))
    house.site.factors.set(person.receipt_id, old)
    factor, seals = (rows_of(house, f"SELECT * FROM {table}") for table in ("second_factor", "row_seal"))  # noqa: S608
    house.site.factors.set(person.receipt_id, new)

    put_back(house, "second_factor", factor)
    if with_seal:
        put_back(house, "row_seal", seals)

    assert is_refused(house, person, "vault", ShownFactor.of(SecondFactor.PIN, "719035"))
    assert ("older than the keyring remembers" if with_seal else BY_US) in named(house)


def test_old_rows_of_a_zone_with_their_old_seal_are_noticed(house: House) -> None:
    person = house.admit()
    seals = rows_of(house, "SELECT * FROM row_seal")
    house.site.clocks.shorten_retention("lobby", 10)

    tamper(house.site.home / DATA, "DELETE FROM shorter_retention")
    put_back(house, "row_seal", seals)
    tamper(house.site.home / DATA, PROLONG)
    house.reopen()

    assert is_refused(house, person)
    assert "are older than the keyring remembers" in named(house)


@pytest.mark.parametrize("scope", ["consent", "zone", "site"])
def test_rows_without_their_seal_are_refused(house: House, attack: Callable[..., None], scope: str) -> None:
    person = house.admit()

    attack(f"DELETE FROM row_seal WHERE scope = '{scope}'")  # noqa: S608  a word of this test

    assert f"{scope} " in named(house)
    assert "have no seal" in named(house)
    if scope != "site":
        assert is_refused(house, person)


def test_the_seals_of_two_people_cannot_be_swapped(house: House, attack: Callable[..., None]) -> None:
    people = [house.admit(), house.admit()]
    (one, two) = (person.receipt_id for person in people)

    attack(
        ("UPDATE row_seal SET scope_id = 'x' WHERE scope_id = ?", one),
        ("UPDATE row_seal SET scope_id = ? WHERE scope_id = ?", one, two),
        ("UPDATE row_seal SET scope_id = ? WHERE scope_id = 'x'", two),
    )

    assert all(is_refused(house, person) for person in people)


@pytest.mark.parametrize(
    ("scope", "statements"),
    [
        ("zone", ["DELETE FROM notice", "DELETE FROM zone", "DELETE FROM row_seal WHERE scope = 'zone'"]),
        ("consent", ["DELETE FROM live_consent", "DELETE FROM row_seal WHERE scope = 'consent'"]),
    ],
)
def test_rows_that_vanish_with_their_seal_are_missed(house: House, scope: str, statements: list[str]) -> None:
    house.admit()
    for one in statements:
        tamper(house.site.home / DATA, one)

    assert f"{scope} " in named(house)
    assert "are missing" in named(house)


def test_the_secret_of_a_consent_whose_rows_vanished_is_kept_for_a_restore(house: House) -> None:
    person = house.admit()
    house.clock.move(hours=2)
    house.site.close()
    tamper(house.site.home / DATA, "DELETE FROM live_consent")
    tamper(house.site.home / DATA, "DELETE FROM row_seal WHERE scope = 'consent'")
    tamper(house.site.home / DATA, "DELETE FROM last_interaction")
    house.reopen()

    with pytest.raises(TamperError, match="are missing"):
        house.site.sweep()

    assert house.store.keyring.grant_secrets([person.receipt_id])[person.receipt_id] is not None


def test_a_later_last_visit_prolongs_nothing(house: House, attack: Callable[..., None]) -> None:
    person = house.admit()

    attack("UPDATE last_interaction SET interacted_at = '2199-01-01T00:00:00Z'")

    assert is_refused(house, person)
    assert "last_interaction" in named(house)


def test_a_sealed_change_never_covers_what_somebody_else_changed(house: House) -> None:
    person = house.admit()
    tamper(house.site.home / DATA, "UPDATE live_consent SET expires_at = '2099-05-01T00:00:00Z'")

    with pytest.raises(TamperError, match=person.receipt_id):
        house.site.link_external_id(person.receipt_id, "4711")
    with pytest.raises(TamperError, match=person.receipt_id):
        house.site.clocks.leave([person.receipt_id], house.clock() + timedelta(days=10))
    assert BY_US in named(house)


def test_senders_endpoints_recipients_and_jobs_are_closed_one_by_one(house: House) -> None:
    programs = house.site.programs
    good, bad = (programs.senders.add(label=label).sender.sender_id for label in ("good", "bad"))
    house.site.rights.recipients.add("lobby", "Payroll", contact="payroll@example.org")
    endpoint = programs.endpoints.add("lobby", "Payroll", url="https://example.org/hook")
    with house.store.write() as tx:
        tx.log("test.noted", {})

    tamper(house.site.home / DATA, "UPDATE webhook_sender SET label = 'x' WHERE sender_id = ?", bad)
    tamper(house.site.home / DATA, "UPDATE webhook_endpoint SET url = 'https://evil.example'")

    assert {one.sender.sender_id for one in programs.senders.keys_in_force()} == {good}
    house.admit()
    assert programs.outbox.list() == []
    assert endpoint.endpoint_id in named(house)
    assert bad in named(house)


@pytest.mark.parametrize("way", ["receipt", "code", "leaving now"])
def test_a_broken_seal_never_stops_an_erasure(house: House, way: str) -> None:
    person = house.admit()
    tamper(house.site.home / DATA, "UPDATE live_consent SET expires_at = '2099-05-01T00:00:00Z'")
    tamper(house.site.home / DATA, "UPDATE zone SET alternative = 'none'")

    if way == "receipt":
        house.withdraw(person)
    elif way == "code":
        house.site.withdraw(code=person.code)
    else:
        house.site.clocks.leave([person.receipt_id])

    with house.store.read() as connection:
        assert authenticate_consents(connection, [person.receipt_id]) == {}
    assert rows_of(house, "SELECT * FROM row_seal WHERE scope = 'consent'") == []


def test_rows_of_an_ended_consent_that_are_put_back_with_their_seal_are_refused(house: House) -> None:
    person = house.admit()
    tables = ("live_consent", "last_interaction", "biometric_reference", "row_seal")
    old = {table: rows_of(house, f"SELECT * FROM {table}") for table in tables}  # noqa: S608  names of our own
    house.withdraw(person)

    for table, rows in old.items():
        put_back(house, table, rows)

    with house.store.read() as connection, pytest.raises(TamperError, match="older than the keyring remembers"):
        authenticate_consents(connection, [person.receipt_id])


def test_a_restored_backup_says_how_much_is_older_and_works(house: House, tmp_path: Path) -> None:
    person = house.admit()
    house.site.backup(tmp_path / "backup")
    house.site.clocks.leave([person.receipt_id], house.clock() + timedelta(days=10))
    _credential, token = house.site.programs.credentials.issue(label="door", role=Role.DOOR, zone="lobby")
    house.site.close()
    (house.site.home / DATA).unlink()

    restored = house.site.restore(
        house.site.home,
        RestoreOrder(tmp_path / "backup", in_place=True),
        clock=house.clock,
        random=house.bits.randbytes,
        progress=lambda _done, _total: None,
    )

    house.reopen()
    assert restored.older_rows == 2
    assert house.sees(person)
    assert broken_rows(house.store) == []
    with pytest.raises(RefusedError):
        house.site.programs.credentials.check(token.reveal())


def generation(house: House, person: Person) -> int:
    query = "SELECT generation FROM sealed_scope WHERE scope_id = ?"
    ((known,),) = peek(house.site.home / KEYRING, query, person.receipt_id)
    return int(known)


def test_a_process_killed_between_the_two_commits_leaves_a_keyring_that_catches_up(house: House) -> None:
    person = house.admit()
    before = generation(house, person)
    house.site.close()

    assert dying.run(dying.leave_and_die, house.site.home, person.receipt_id) == -signal.SIGKILL

    assert generation(house, person) == before
    house.reopen()
    assert generation(house, person) > before
    assert house.sees(person)
    assert broken_rows(house.store) == []
    house.clock.move(days=2)
    assert not house.sees(person)


def test_a_keyring_that_could_not_be_written_catches_up_at_the_next_change(house: House) -> None:
    person = house.admit()
    before = generation(house, person)
    with patch("volens.store.store.remember", side_effect=UnavailableError("injected: locked")):
        house.site.clocks.leave([person.receipt_id], house.clock() + timedelta(days=10))
    assert generation(house, person) == before
    assert house.sees(person)

    house.admit()

    assert generation(house, person) > before


def test_a_generation_that_was_made_up_closes_no_consent_for_good(house: House) -> None:
    person = house.admit()
    tamper(house.site.home / DATA, "UPDATE row_seal SET generation = 1000000 WHERE scope = 'consent'")

    house.admit()

    assert generation(house, person) < 1000000
