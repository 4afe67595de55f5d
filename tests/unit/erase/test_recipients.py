"""Recipients: named in certificates, and their answers, each signed, in the certificate's file (GDPR 19)."""

import json
from pathlib import Path
from typing import Any

import pytest
from house import House

from volens.consent import InputError, RefusedError, TamperError
from volens.consent import jws as consent_jws
from volens.erase import OperatorKey
from volens.erase.proof import ACKNOWLEDGEMENT, CERTIFICATE, Certificate, Erased, sign_statement, verify_certificate


@pytest.fixture
def office(house: House) -> OperatorKey:
    """The key of a recipient who signs."""
    key = OperatorKey.from_seed(house.bits.randbytes(32))
    house.site.rights.recipients.add("lobby", "Badge office", contact="desk 3", public_key=key.public_key)
    return key


def checked(house: House, path: Path) -> Certificate:
    return verify_certificate(path.read_bytes(), house.site.verifier_key)


def named(house: House, erased: Erased) -> list[str]:
    return [one["name"] for one in checked(house, erased.certificate_path).statement["recipients"]]


def answer(house: House, erased: Erased, statement: bytes, name: str = "Badge office") -> Path:
    return house.site.rights.recipients.acknowledge(erased.certificate_id, name, statement)


def test_a_certificate_names_exactly_the_possible_recipients(house: House) -> None:
    recipients = house.site.rights.recipients
    house.declare("lab")
    recipients.add("lab", "Elsewhere")
    recipients.add("lobby", "Gone before")
    house.clock.move(days=1)
    recipients.remove("lobby", "Gone before")
    house.clock.move(days=1)
    person = house.admit()
    recipients.add("lobby", "Came and went")
    recipients.add("lobby", "Badge office")
    house.clock.move(days=1)
    recipients.remove("lobby", "Came and went")

    assert named(house, house.withdraw(person)) == ["Badge office", "Came and went"]
    assert [one.name for one in recipients.list("lobby")] == ["Badge office"]
    assert len(recipients.list(removed=True)) == 4


def test_a_signed_answer_is_in_the_file_and_checked_with_it(house: House, office: OperatorKey) -> None:
    erased = house.withdraw(house.admit())
    before = erased.certificate_path.read_bytes()
    assert not checked(house, erased.certificate_path).acknowledgements

    path = answer(house, erased, sign_statement(office, erased.certificate_id, house.clock()))

    assert path == erased.certificate_path
    (found,) = checked(house, path).acknowledgements
    assert (found["recipient"], found["recorded_by"]) == ("Badge office", "recipient")
    assert found["recipient_key"] == consent_jws.b64url(office.public_key)
    assert json.loads(path.read_bytes())["certificate"] == json.loads(before)["certificate"]
    assert path.stat().st_mode & 0o777 == 0o644
    house.site.log.verify()


def test_an_answer_is_stored_even_if_the_file_is_lost(house: House, office: OperatorKey) -> None:
    person = house.admit()
    erased = house.withdraw(person)
    path = answer(house, erased, sign_statement(office, erased.certificate_id, house.clock()))
    data = path.read_bytes()
    path.unlink()
    assert house.withdraw(person).certificate_path.read_bytes() == data


def test_an_answer_of_a_recipient_without_a_key_is_stored_as_a_hash_only(house: House) -> None:
    house.site.rights.recipients.add("lobby", "Badge office")
    erased = house.withdraw(house.admit())
    path = answer(house, erased, b"Dear Sir, it is gone. Yours, A. Clerk")

    (found,) = checked(house, path).acknowledgements
    assert (found["recorded_by"], len(found["statement_sha256"])) == ("operator", 64)
    assert b"Clerk" not in path.read_bytes()
    home = [one.read_bytes() for one in house.site.home.rglob("*") if one.is_file()]
    assert not any(b"A. Clerk" in data for data in home)


def test_a_statement_by_another_key_or_about_another_certificate_is_refused(house: House, office: OperatorKey) -> None:
    erased, other = house.withdraw(house.admit()), house.withdraw(house.admit())
    stranger = OperatorKey.from_seed(house.bits.randbytes(32))
    before = erased.certificate_path.read_bytes()
    with pytest.raises(TamperError, match="integrity: "):
        answer(house, erased, sign_statement(stranger, erased.certificate_id, house.clock()))
    with pytest.raises(InputError, match="about another certificate"):
        answer(house, erased, sign_statement(office, other.certificate_id, house.clock()))
    for nonsense in (b"gone", b"\xff", b"x" * 10_000):
        with pytest.raises(InputError):
            answer(house, erased, nonsense)
    assert erased.certificate_path.read_bytes() == before


def test_an_answer_is_accepted_once_and_only_from_a_named_recipient(house: House, office: OperatorKey) -> None:
    erased = house.withdraw(house.admit())
    statement = sign_statement(office, erased.certificate_id, house.clock())
    answer(house, erased, statement)
    with pytest.raises(RefusedError, match="acknowledged this erasure before"):
        answer(house, erased, statement)
    house.site.rights.recipients.add("lobby", "Late comer")
    with pytest.raises(RefusedError, match="does not name this recipient"):
        answer(house, erased, statement, "Late comer")
    with pytest.raises(InputError, match="no recipient of this name"):
        answer(house, erased, statement, "Nobody")
    with pytest.raises(InputError, match="no certificate of this id"):
        house.site.rights.recipients.acknowledge("0" * 32, "Badge office", statement)


def test_a_statement_that_the_recipient_did_not_sign_is_refused(house: House, office: OperatorKey) -> None:
    """The site signs around the recipient's own signature; a checker sees both."""
    erased, other = house.withdraw(house.admit()), house.withdraw(house.admit())
    data = json.loads(answer(house, erased, sign_statement(office, erased.certificate_id, house.clock())).read_bytes())
    document: dict[str, Any] = ACKNOWLEDGEMENT.peek_json(data["acknowledgements"][0])
    moved = document | {"certificate_id": other.certificate_id}
    token = ACKNOWLEDGEMENT.sign(house.store.keyring, moved)
    own = json.loads(other.certificate_path.read_bytes())["certificate"]
    with pytest.raises(TamperError, match="recipient's statement is about something else"):
        verify_certificate(CERTIFICATE.to_file(own, [token]), house.site.verifier_key)
    stranger = OperatorKey.from_seed(house.bits.randbytes(32))
    forged = document | {"recipient_key": consent_jws.b64url(stranger.public_key)}
    token = ACKNOWLEDGEMENT.sign(house.store.keyring, forged)
    with pytest.raises(TamperError, match="integrity: "):
        verify_certificate(CERTIFICATE.to_file(data["certificate"], [token]), house.site.verifier_key)


def test_the_name_of_a_recipient_is_never_reassigned(house: House) -> None:
    recipients = house.site.rights.recipients
    recipients.add("lobby", "Badge office")
    recipients.remove("lobby", "Badge office")
    with pytest.raises(RefusedError, match="has, or had, a recipient of this name"):
        recipients.add("lobby", " BADGE\N{NO-BREAK SPACE}office ")
    with pytest.raises(InputError, match="removed before"):
        recipients.remove("lobby", "Badge office")
    with pytest.raises(InputError, match="there is no zone"):
        recipients.add("attic", "Badge office")
    for bad in ("", "a\nb", "x" * 201):
        with pytest.raises(InputError, match=r"got a name or contact (of \d+ characters|with U\+000A LINE FEED)"):
            recipients.add("lobby", bad)
