"""Invitations: a link for one person and one use, and nothing about a person is left when it has ended."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from house import START, House

from tests.unit.store.raw import DATA, peek
from volens.consent import InputError, RefusedError, SubjectKey, TakeHome, TamperError, UnknownError
from volens.consent.invitation import InvitationEndedError, InvitationState, InvitationToken, UnknownInvitationError
from volens.consent.refusal import verify_refusal
from volens.enroll import Invitation
from volens.rights import AccessAnswer, verify_answer
from volens.store import Transaction

NAME = "Ada Canary Example"


def invite(house: House, **facts: object) -> Invitation:
    wanted: dict[str, object] = {"name": NAME, "jurisdiction": "FR", "external_id": "employee-4711"}
    return house.site.invitations.invite("lobby", **wanted | facts)  # type: ignore[arg-type]


def say_yes(house: House, token: str) -> TakeHome:
    """Give consent as the pages do: with what the invitation says, in one transaction with its use."""
    view = house.site.invitations.open(token)

    def use(tx: Transaction, given: TakeHome) -> None:
        house.site.invitations.use(tx, token, given.receipt.claims.receipt_id)

    key = SubjectKey.from_seed(house.bits.randbytes(32))
    return house.site.give_consent(
        view.notice, name=view.name, jurisdiction=view.jurisdiction, key=key, in_transaction=use
    )


def rows(house: House) -> list[tuple[object, ...]]:
    return peek(house.site.home / DATA, "SELECT state, sealed_name, external_digest FROM invitation")


def run(house: House, statement: str) -> None:
    with closing(sqlite3.connect(house.site.home / DATA)) as connection:
        connection.execute(statement)
        connection.commit()


def ended_as(house: House, token: str) -> InvitationState:
    with pytest.raises(InvitationEndedError) as ended:
        house.site.invitations.open(token)
    return ended.value.state


def test_the_holder_of_the_link_sees_what_the_desk_wrote(house: House) -> None:
    made = invite(house, valid_days=30)
    for text in (made.token.reveal(), made.token.link("https://door.example")):
        view = house.site.invitations.open(text)
        assert (view.zone.purpose, view.name, view.jurisdiction, view.valid_days) == ("lobby", NAME, "FR", 30)
        assert (view.notice.language, view.is_linked) == ("en", True)
        assert view.expires_at == house.clock() + timedelta(days=14)


def test_no_object_shows_the_token_or_the_name_in_its_text(house: House) -> None:
    made = invite(house)
    token = made.token.reveal()
    (listed,) = house.site.invitations.list()
    shown = f"{made!r} {made.token!r} {house.site.invitations.open(token)!r} {listed!r}"
    assert token not in shown
    assert NAME not in shown


def test_the_files_have_neither_the_token_nor_the_name_nor_the_id(house: House) -> None:
    token = invite(house).token
    house.site.close()
    for path in house.site.home.rglob("*.db*"):
        data = path.read_bytes()
        for secret in (token.reveal().encode(), NAME.encode(), b"employee-4711"):
            assert secret not in data, path
    house.reopen()


def test_a_yes_uses_the_invitation_in_the_transaction_of_the_consent(house: House) -> None:
    token = invite(house).token.reveal()
    given = say_yes(house, token)

    assert ended_as(house, token) is InvitationState.USED
    assert house.site.receipts_of("Employee-4711") == [given.receipt.claims.receipt_id]
    assert rows(house) == [("used", None, None)]
    with pytest.raises(InvitationEndedError):
        say_yes(house, token)


def test_a_yes_that_comes_second_records_no_consent(house: House) -> None:
    token = invite(house).token.reveal()
    view = house.site.invitations.open(token)
    say_yes(house, token)
    key = SubjectKey.from_seed(house.bits.randbytes(32))
    with pytest.raises(InvitationEndedError):
        house.site.give_consent(
            view.notice,
            name="Bob",
            jurisdiction="FR",
            key=key,
            in_transaction=lambda tx, given: house.site.invitations.use(tx, token, given.receipt.claims.receipt_id),
        )
    assert house.site.status().zones[0].live_consents == 1


def test_a_consent_that_fails_leaves_the_invitation_open(house: House) -> None:
    token = invite(house).token.reveal()

    def fail(tx: Transaction, given: TakeHome) -> None:
        house.site.invitations.use(tx, token, given.receipt.claims.receipt_id)
        raise RefusedError("the disk is full")

    key = SubjectKey.from_seed(bytes(32))
    with pytest.raises(RefusedError, match="disk"):
        house.site.give_consent(house.site.notice("lobby"), name=NAME, jurisdiction="FR", key=key, in_transaction=fail)
    assert house.site.invitations.open(token).name == NAME


@pytest.mark.parametrize(("zone", "law"), [("garage", "FR"), ("lobby", "DE")])
def test_an_invitation_is_no_use_for_another_zone_or_law(house: House, zone: str, law: str) -> None:
    house.declare("garage")
    token = invite(house).token.reveal()
    with pytest.raises(RefusedError, match="another zone or another law"):
        house.site.give_consent(
            house.site.notice(zone),
            name=NAME,
            jurisdiction=law,
            key=SubjectKey.from_seed(bytes(32)),
            in_transaction=lambda tx, given: house.site.invitations.use(tx, token, given.receipt.claims.receipt_id),
        )
    assert house.site.invitations.open(token).name == NAME


def test_a_no_leaves_no_row_and_no_word_of_whose_it_was(house: House) -> None:
    made = invite(house)
    assert house.site.invitations.refuse(made.token.reveal()) is None

    assert rows(house) == []
    with pytest.raises(UnknownInvitationError):
        house.site.invitations.open(made.token.reveal())
    entries = peek(house.site.home / DATA, "SELECT details FROM audit_opening")
    assert not any(made.invitation_id in str(details) or "Canary" in str(details) for (details,) in entries)
    assert house.site.invitations.list() == []


def test_the_refusal_receipt_is_the_sites_word_and_names_nobody(house: House) -> None:
    made = invite(house)
    data = house.site.invitations.refuse(made.token.reveal(), receipt_wanted=True)
    assert data is not None
    said = verify_refusal(data, *house.site.verifier_key.public_keys)

    assert (said.zone, said.controller, f"{said.refused_on}") == ("lobby", "Example Ltd", "2099-03-01")
    assert made.invitation_id != said.refusal_id
    for word in (NAME, "4711", made.invitation_id, made.token.reveal()):
        assert word.encode() not in data
    stored = b"".join(path.read_bytes() for path in house.site.home.rglob("*.db*"))
    assert said.refusal_id.encode() not in stored


def test_a_changed_refusal_receipt_or_another_key_is_refused(house: House) -> None:
    data = house.site.invitations.refuse(invite(house).token.reveal(), receipt_wanted=True) or b""
    with pytest.raises(TamperError):
        verify_refusal(data, bytes(31) + b"\1")
    for broken in (b"", b"{}", data[:-3], b"x" * 70_000):
        with pytest.raises(InputError, match="refusal receipt"):
            verify_refusal(broken, *house.site.verifier_key.public_keys)


def test_the_holder_learns_how_it_ended_and_nobody_else_does(house: House) -> None:
    tokens = [invite(house, name=f"Person {one}", external_id=None).token.reveal() for one in range(3)]
    cancelled, expired, used = tokens
    say_yes(house, used)
    house.site.invitations.cancel(InvitationToken.parse(cancelled).invitation_id)
    house.clock.move(days=14)
    for _swept in range(2):
        assert [ended_as(house, one) for one in tokens] == ["cancelled", "expired", "used"]
        house.site.sweep()
    for one in tokens:
        other = InvitationToken(InvitationToken.parse(one).invitation_id, bytes(16)).reveal()
        with pytest.raises(UnknownInvitationError):
            house.site.invitations.open(other)
    assert expired in tokens


@pytest.mark.parametrize("text", ["", "x", "A" * 43, "A" * 42 + "B", "ä" * 43, "A" * 5000, "https://door.example/#"])
def test_a_text_that_is_no_token_gets_one_answer_that_repeats_nothing(house: House, text: str) -> None:
    with pytest.raises(UnknownInvitationError) as refused:
        house.site.invitations.open(text)
    assert str(refused.value) == str(UnknownInvitationError())


def test_the_sweep_erases_the_name_and_after_thirty_days_the_row(house: House) -> None:
    invite(house)
    house.clock.move(days=14)
    assert house.site.invitations.list()[0].name is None
    house.site.sweep()
    assert rows(house) == [("expired", None, None)]
    house.clock.move(days=30)
    house.site.sweep()
    assert rows(house) == []
    assert peek(house.site.home / DATA, "SELECT scope_id FROM row_seal WHERE scope = 'invitation'") == []


def test_the_counts_by_zone_and_day_outlive_the_rows(house: House) -> None:
    house.declare("garage")
    for zone, end in [("lobby", "refuse"), ("lobby", "refuse"), ("garage", "cancel")]:
        made = house.site.invitations.invite(zone, name=f"P {house.bits.random()}", jurisdiction="FR")
        if end == "refuse":
            house.site.invitations.refuse(made.token.reveal())
        else:
            house.site.invitations.cancel(made.invitation_id, zone="garage")
    house.clock.move(days=60)
    house.site.sweep()
    found = [(one.purpose, one.day, one.event, one.count) for one in house.site.invitations.counts()]
    assert found == [
        ("garage", "2099-03-01", "cancelled", 1),
        ("garage", "2099-03-01", "sent", 1),
        ("lobby", "2099-03-01", "refused", 2),
        ("lobby", "2099-03-01", "sent", 2),
    ]
    assert {one.purpose for one in house.site.invitations.counts("lobby")} == {"lobby"}


def test_a_new_link_ends_the_old_one_and_keeps_what_was_written(house: House) -> None:
    first = invite(house)
    house.clock.move(days=10)
    second = house.site.invitations.resend(first.invitation_id)

    assert second.invitation_id == first.invitation_id
    assert ended_as(house, first.token.reveal()) is InvitationState.CANCELLED
    view = house.site.invitations.open(second.token.reveal())
    assert (view.name, view.expires_at) == (NAME, house.clock() + timedelta(days=14))


def test_a_person_is_not_invited_twice(house: House) -> None:
    invite(house)
    with pytest.raises(RefusedError, match="open invitation for this external id"):
        invite(house, name="Somebody Else", external_id="EMPLOYEE-4711")
    with pytest.raises(RefusedError, match="open invitation for this name"):
        invite(house, name=NAME.upper(), external_id=None)
    invite(house, external_id="employee-4712")  # another person of this name
    house.clock.move(days=14)
    invite(house)


def test_who_has_a_consent_is_not_invited(house: House) -> None:
    say_yes(house, invite(house).token.reveal())
    with pytest.raises(RefusedError, match="has a consent in zone 'lobby'"):
        invite(house)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"name": ""}, "a name"),
        ({"jurisdiction": "France"}, "ISO 3166"),
        ({"language": "fr"}, "language"),
        ({"days": 0}, "1 to 90"),
        ({"days": 91}, "1 to 90"),
        ({"valid_days": 91}, "1 to 90"),
        ({"valid_until": START - timedelta(hours=1)}, "expected a moment within 90 days"),
        ({"valid_until": START + timedelta(days=91)}, "expected a moment within 90 days"),
        ({"valid_until": START + timedelta(days=1), "valid_days": 1}, "give one of the two"),
        ({"external_id": "x" * 201}, "external id"),
    ],
)
def test_what_cannot_be_an_invitation_is_one_sentence_and_no_row(
    house: House, facts: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        invite(house, **facts)
    assert rows(house) == []


def test_nobody_is_invited_where_collecting_is_stopped_or_the_zone_is_gone(house: House) -> None:
    token = invite(house).token.reveal()
    house.site.zones.remove("lobby")
    assert ended_as(house, token) is InvitationState.CANCELLED
    assert rows(house) == [("cancelled", None, None)]
    with pytest.raises(RefusedError, match="removed"):
        invite(house)


def test_cancel_and_resend_need_an_open_invitation_of_the_zone(house: House) -> None:
    made = invite(house)
    for zone, one in [("garage", made.invitation_id), (None, "0" * 32)]:
        with pytest.raises(UnknownError):
            house.site.invitations.cancel(one, zone=zone)
        with pytest.raises(UnknownError):
            house.site.invitations.resend(one, zone=zone)
    house.site.invitations.refuse(made.token.reveal())
    with pytest.raises(UnknownError):
        house.site.invitations.cancel(made.invitation_id)


@pytest.mark.parametrize(
    "change",
    [
        "expires_at = '2999-01-01T00:00:00Z'",
        "number = 2",
        "state = 'used', ended_at = '2099-03-01T12:00:00Z', sealed_name = NULL, external_digest = NULL",
    ],
)
def test_a_row_that_another_program_changed_opens_nothing(house: House, change: str) -> None:
    token = invite(house).token.reveal()
    run(house, f"UPDATE invitation SET {change}")  # noqa: S608  from the table above
    with pytest.raises(TamperError, match="invitation"):
        house.site.invitations.open(token)


def test_a_refused_invitation_that_is_put_back_stays_closed(house: House) -> None:
    token = invite(house).token.reveal()
    ((row,), (seal,)) = (
        peek(house.site.home / DATA, f"SELECT * FROM {one} WHERE {where}")  # noqa: S608  from this line
        for one, where in (("invitation", "true"), ("row_seal", "scope = 'invitation'"))
    )
    house.site.invitations.refuse(token)
    with closing(sqlite3.connect(house.site.home / DATA)) as connection:
        for name, values in (("invitation", row), ("row_seal", seal)):
            marks = ", ".join("?" * len(values))
            connection.execute(f"INSERT INTO {name} VALUES ({marks})", values)  # noqa: S608  from this line
        connection.commit()
    for _ in range(2):
        with pytest.raises(TamperError, match="older than the keyring remembers"):
            house.site.invitations.open(token)
        house.reopen()
    house.clock.move(days=14)
    house.site.sweep()
    assert rows(house) == []


def test_a_table_of_people_is_invited_with_a_reason_for_each_row_that_is_not(house: House) -> None:
    table = (
        "name;external_id;valid_days\r\n"
        "Ada Example;4711;30\r\n;4712;\r\nGrace Example;4711;\r\nGrace Example;4713;91\r\nGrace Example;4713;\r\n"
    ).encode("utf-8-sig")
    done = house.site.invitations.import_csv(table, zone="lobby", jurisdiction="FR")

    assert [(one.number, one.invitation is not None) for one in done] == [
        (2, True),
        (3, False),
        (4, False),
        (5, False),
        (6, True),
    ]
    assert [bool(one.reason) for one in done] == [False, True, True, True, False]
    assert {one.name for one in house.site.invitations.list()} == {"Ada Example", "Grace Example"}
    again = house.site.invitations.import_csv(table, zone="lobby", jurisdiction="FR")
    assert not any(one.invitation for one in again)
    assert len(house.site.invitations.list()) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"name\n",
        b"\xff\xfe",
        b"surname\nx\n",
        b"name,valid_days\nAda,soon\n",
        b'name\n"Ada\n',
        b"name,name2\nA,B\n",
    ],
)
def test_a_table_of_another_form_invites_nobody(house: House, data: bytes) -> None:
    with pytest.raises(InputError) as refused:
        house.site.invitations.import_csv(data, zone="lobby", jurisdiction="FR")
    assert "Ada" not in str(refused.value)
    assert rows(house) == []


def test_the_list_is_recorded_with_its_reader(house: House) -> None:
    invite(house)
    house.site.invitations.list("lobby", InvitationState.OPEN, shown_to="0011223344556677")
    details = [str(one) for (one,) in peek(house.site.home / DATA, "SELECT details FROM audit_opening")]
    assert any("0011223344556677" in one and '"people":1' in one for one in details)


def statement_of(answer: AccessAnswer, house: House) -> dict[str, Any]:
    return dict(verify_answer(answer.data, house.site.verifier_key))


@pytest.mark.parametrize("by", ["name", "number", "link"])
def test_an_access_answer_states_an_open_invitation(house: House, by: str) -> None:
    made = invite(house)
    text = {"name": NAME.upper(), "number": "Employee-4711", "link": made.token.link("https://door.example")}[by]
    answer = house.site.answer_unknown(text)
    statement = statement_of(answer, house)
    (one,) = statement["invitations"]
    assert (one["zone"], one["name"], one["external_id"]) == ("lobby", NAME, "only a keyed hash")
    assert (answer.invitations, statement["holds_anything"]) == (1, True)
    assert house.site.answer_unknown("somebody else").invitations == 0

    house.site.invitations.refuse(made.token.reveal())
    assert statement_of(house.site.answer_unknown(text), house)["holds_anything"] is False


def test_an_access_answer_about_a_consent_states_the_invitation_for_the_same_number(house: House) -> None:
    made = invite(house)
    person = house.invite()
    house.site.link_external_id(person.receipt_id, "employee-4711")
    for answer in (
        house.site.answer_access([person.receipt_id]),
        house.site.answer_access([person.receipt_id], searched_for="employee-4711"),
    ):
        assert len(statement_of(answer, house)["invitations"]) == 1
    house.site.invitations.cancel(made.invitation_id)
    assert statement_of(house.site.answer_access([person.receipt_id]), house)["invitations"] == []


def test_an_order_to_stop_collecting_cancels_the_invitations_that_it_applies_to(house: House) -> None:
    house.declare("garage")
    french, german = invite(house), invite(house, name="Grace", jurisdiction="DE", external_id=None)
    broken = house.site.invitations.invite("garage", name="Alan", jurisdiction="FR")
    run(house, f"UPDATE invitation SET number = 9 WHERE invitation_id = '{broken.invitation_id}'")  # noqa: S608
    house.site.cohorts.stop_collecting("FR", None)
    assert ended_as(house, french.token.reveal()) is InvitationState.CANCELLED
    assert house.site.invitations.open(german.token.reveal()).name == "Grace"
    assert len(rows(house)) == 2
    with pytest.raises(RefusedError, match="collecting is stopped"):
        invite(house)
