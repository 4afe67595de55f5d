"""Minors: what a receipt says about the age, who is refused, and the guardian's signature over the same bytes."""

import pytest

from volens.consent import InputError, RefusedError, SubjectKey
from volens.consent.age_statement import AgeAnswer, AgeStatement, sign_as_guardian
from volens.consent.declarations import ZoneFact
from volens.consent.law import ProfileCatalogue
from volens.consent.law.minors import state_age
from volens.consent.reason import Reason
from volens.consent.subject_key import SubjectPublicKey

PERSON, GUARDIAN, OTHER = (SubjectKey.from_seed(bytes([one]) * 32) for one in (1, 2, 3))
TAKES = {ZoneFact.MINORS: "guardian"}


def stated(answer: AgeAnswer, facts: dict[ZoneFact, str] | None = None, jurisdiction: str = "FR") -> AgeStatement:
    profile = ProfileCatalogue().profile_of(jurisdiction)
    return state_age(profile, "lobby", facts or {}, person=PERSON.public, answer=answer)


@pytest.mark.parametrize(("jurisdiction", "age"), [("FR", 15), ("DE", 16), ("CA-QC", 14), ("US-IL", 18)])
def test_the_age_that_is_asked_for_is_that_of_the_persons_law(jurisdiction: str, age: int) -> None:
    said = stated(AgeAnswer(of_age=True), jurisdiction=jurisdiction)
    assert said.to_json() == {"consent_age": age, "of_age": True}


@pytest.mark.parametrize("facts", [{}, {ZoneFact.MINORS: "refused"}])
def test_a_zone_takes_no_minors_unless_that_is_declared(facts: dict[ZoneFact, str]) -> None:
    with pytest.raises(RefusedError, match=r"no one younger than 15 years .*45.*zone lobby minors guardian") as no:
        stated(AgeAnswer(of_age=False, guardian=GUARDIAN.public), facts)
    assert no.value.reason is Reason.MINOR_REFUSED


def test_a_minor_consents_with_a_guardian_or_not_at_all() -> None:
    with pytest.raises(RefusedError, match=r"together with a guardian \(loi 78-17, article 45") as no:
        stated(AgeAnswer(of_age=False), TAKES)
    assert no.value.reason is Reason.GUARDIAN_NEEDED
    with pytest.raises(RefusedError, match="is the person's own"):
        stated(AgeAnswer(of_age=False, guardian=PERSON.public), TAKES)
    with pytest.raises(InputError, match="leave the guardian out"):
        stated(AgeAnswer(of_age=True, guardian=GUARDIAN.public), TAKES)
    said = stated(AgeAnswer.at_desk(of_age=False, guardian=GUARDIAN), TAKES)
    assert (said.of_age, said.guardian) == (False, GUARDIAN.public)


def test_a_guardian_signs_exactly_the_receipt_of_the_person() -> None:
    said = AgeStatement(15, of_age=False, guardian=GUARDIAN.public)
    document = said.added_to(b'{"record_id":"1"}')
    said.check_guardian(document, sign_as_guardian(document, GUARDIAN))
    wrong = {
        "none": None,
        "by another": sign_as_guardian(document, OTHER),
        "by the person": sign_as_guardian(document, PERSON),
        "over another receipt": sign_as_guardian(said.added_to(b'{"record_id":"2"}'), GUARDIAN),
    }
    for token in wrong.values():
        with pytest.raises(RefusedError, match="has not signed it") as no:
            said.check_guardian(document, token)
        assert no.value.reason is Reason.GUARDIAN_NEEDED
    with pytest.raises(InputError):
        said.check_guardian(document, GUARDIAN.sign(document, "volens-receipt+jws"))
    with pytest.raises(InputError, match="names no guardian"):
        AgeStatement(15, of_age=True).check_guardian(document, wrong["by another"])


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"consent_age": 15, "of_age": False},
        {"consent_age": 15, "of_age": True, "guardian_key": GUARDIAN.public.to_jwk()},
        {"consent_age": 0, "of_age": True},
        {"consent_age": True, "of_age": True},
        {"consent_age": 15, "of_age": 1},
        {"consent_age": 15, "of_age": True, "born_on": "2012-01-01"},
    ],
)
def test_a_statement_of_another_form_is_refused(said: object) -> None:
    with pytest.raises(InputError, match="expected an age statement"):
        AgeStatement.from_json(said)


def test_a_statement_is_read_as_it_was_written() -> None:
    for said in (AgeStatement(15, of_age=True), AgeStatement(18, of_age=False, guardian=GUARDIAN.public)):
        assert AgeStatement.from_json(said.to_json()) == said
    p256 = {"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}
    p256["y"] = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
    assert SubjectPublicKey.from_jwk(p256).ed25519 is None
    with pytest.raises(InputError, match="not Ed25519"):
        AgeStatement.from_json({"consent_age": 15, "of_age": False, "guardian_key": p256})
