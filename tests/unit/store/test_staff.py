"""Members of staff: one link for one passkey, recovery by another operator."""

import pytest
from house import House
from signing import make_passkey

from volens.consent import InputError, RefusedError
from volens.consent.subject_key import SubjectPublicKey
from volens.store.programs import Role


@pytest.fixture
def key() -> SubjectPublicKey:
    return make_passkey().public


def test_a_member_signs_in_with_the_passkey_that_the_link_made(house: House, key: SubjectPublicKey) -> None:
    staff = house.site.programs.staff
    credential, token = staff.add(label="reception", role=Role.DESK, zone="lobby")
    assert staff.list()[0].passkey_added_at is None
    made = staff.register(token.reveal(), "id-1", key)
    found = staff.passkey("id-1")
    assert found == made
    assert found.credential == credential
    assert (found.credential.role, found.credential.purpose) == (Role.DESK, "lobby")
    assert staff.list()[0].passkey_added_at == house.clock.time


def test_a_link_works_once_and_not_for_ever(house: House, key: SubjectPublicKey) -> None:
    staff = house.site.programs.staff
    _, used = staff.add(label="reception", role=Role.DESK)
    staff.register(used.reveal(), "id-1", key)
    _, late = staff.add(label="reception", role=Role.DESK, link_hours=1)
    house.clock.move(hours=1)
    for token in (used.reveal(), late.reveal(), "volens_nothing", ""):
        with pytest.raises(RefusedError, match="link is not in force"):
            staff.of_link(token)
        with pytest.raises(RefusedError, match="link is not in force"):
            staff.register(token, "id-2", make_passkey().public)


def test_the_token_of_a_link_is_no_credential_for_programs(house: House) -> None:
    _, token = house.site.programs.staff.add(label="reception", role=Role.DESK)
    with pytest.raises(RefusedError, match="not in force"):
        house.site.programs.credentials.check(token.reveal())


def test_the_token_of_a_program_makes_no_passkey(house: House, key: SubjectPublicKey) -> None:
    _, token = house.site.programs.credentials.issue(label="desk program", role=Role.DESK)
    with pytest.raises(RefusedError, match="link is not in force"):
        house.site.programs.staff.register(token.reveal(), "id-1", key)


def test_an_ended_or_expired_member_signs_in_no_more(house: House, key: SubjectPublicKey) -> None:
    staff = house.site.programs.staff
    credential, token = staff.add(label="reception", role=Role.DESK, valid_days=10)
    staff.register(token.reveal(), "id-1", key)
    house.clock.move(days=10)
    with pytest.raises(RefusedError):
        staff.passkey("id-1")
    other, token = staff.add(label="reception", role=Role.DESK)
    staff.register(token.reveal(), "id-2", make_passkey().public)
    house.site.programs.credentials.end(other.credential_id)
    with pytest.raises(RefusedError):
        staff.passkey("id-2")
    assert staff.list() == []
    assert {one.credential.credential_id for one in staff.list(all_of_them=True)} == {
        credential.credential_id,
        other.credential_id,
    }


def test_recovery_ends_the_old_passkey_and_takes_another_operator(house: House, key: SubjectPublicKey) -> None:
    staff = house.site.programs.staff
    mine, token = staff.add(label="operator A", role=Role.OPERATOR)
    staff.register(token.reveal(), "id-1", key)
    with pytest.raises(RefusedError, match="second operator"):
        staff.recover(mine.credential_id, by=mine.credential_id)
    assert staff.passkey("id-1").credential == mine
    second, _ = staff.add(label="operator B", role=Role.OPERATOR)
    again, token = staff.recover(mine.credential_id, by=second.credential_id)
    with pytest.raises(RefusedError):
        staff.passkey("id-1")
    assert (again.label, again.role, again.purpose) == (mine.label, mine.role, mine.purpose)
    staff.register(token.reveal(), "id-2", make_passkey().public)
    assert staff.passkey("id-2").credential == again


def test_what_does_not_fit_is_refused(house: House, key: SubjectPublicKey) -> None:
    staff, credentials = house.site.programs.staff, house.site.programs.credentials
    program, _ = credentials.issue(label="desk program", role=Role.DESK)
    member, token = staff.add(label="reception", role=Role.DESK)
    staff.register(token.reveal(), "id-1", key)
    _, other = staff.add(label="reception", role=Role.DESK)
    for wrong in (
        lambda: staff.add(label="door", role=Role.DOOR, zone="lobby"),
        lambda: staff.add(label="auditor", role=Role.AUDITOR, zone="lobby"),
        lambda: staff.add(label="desk", role=Role.DESK, link_hours=0),
        lambda: staff.add(label="desk", role=Role.DESK, zone="nowhere"),
        lambda: staff.recover(program.credential_id),
        lambda: staff.recover("0" * 16),
        lambda: credentials.rotate(member.credential_id),
        lambda: staff.register(other.reveal(), "id-1", make_passkey().public),
    ):
        with pytest.raises(InputError):
            wrong()
