"""Idempotency: a stored response is replayed, opens only with the caller's key, and is erased with the consent."""

import pytest
from house import House

from tests.unit.store.raw import DATA, lawless, peek
from volens.consent import InputError, SubjectKey, TamperError
from volens.store.programs import IdempotencyKey, IdempotencyStore, KeyReusedError, RequestInProgressError

SCOPE = ("0123456789abcdef", "give_consent", "lobby")
KEY = IdempotencyKey("0b5e3a86-canary-key-ed4b2d2c", SCOPE)
ONE, OTHER = b"1" * 32, b"2" * 32
RESPONSE = b'{"take_home": "canary-answer"}'


def responses_of(house: House) -> IdempotencyStore:
    return house.site.programs.idempotency_store


def test_a_stored_response_is_replayed(house: House) -> None:
    assert responses_of(house).begin(KEY, ONE) is None
    responses_of(house).complete_alone(KEY, RESPONSE)
    assert responses_of(house).begin(KEY, ONE) == RESPONSE
    house.reopen()
    assert responses_of(house).begin(KEY, ONE) == RESPONSE


def test_no_file_contains_a_response_in_plain_text(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE)
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes()


def test_a_request_in_progress_is_not_begun_again(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    with pytest.raises(RequestInProgressError, match="still being processed"):
        responses_of(house).begin(KEY, ONE)


def test_a_request_that_was_cut_off_is_begun_again_after_two_minutes(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    house.clock.move(minutes=2)
    assert responses_of(house).begin(KEY, ONE) is None
    with pytest.raises(RequestInProgressError):
        responses_of(house).begin(KEY, ONE)


def test_a_failed_request_is_begun_again_at_once(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    responses_of(house).release(KEY)
    assert responses_of(house).begin(KEY, ONE) is None


def test_a_completed_request_is_not_released(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE)
    responses_of(house).release(KEY)
    assert responses_of(house).begin(KEY, ONE) == RESPONSE


def test_a_key_with_a_different_body_is_refused(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    for _ in range(2):
        with pytest.raises(KeyReusedError, match="another request"):
            responses_of(house).begin(KEY, OTHER)
        responses_of(house).complete_alone(KEY, RESPONSE)


@pytest.mark.parametrize("scope", [("another", *SCOPE[1:]), (SCOPE[0], "enroll", "lobby"), (*SCOPE[:2], "lab")])
def test_keys_are_separate_for_each_caller_operation_and_zone(house: House, scope: tuple[str, ...]) -> None:
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE)
    assert responses_of(house).begin(IdempotencyKey(KEY.text, scope), OTHER) is None


def test_a_response_is_kept_for_a_day(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE)
    house.clock.move(hours=23)
    assert responses_of(house).begin(KEY, ONE) == RESPONSE
    house.clock.move(hours=1)
    assert responses_of(house).begin(KEY, ONE) is None
    assert len(peek(house.site.home / DATA, "SELECT 1 FROM kept_answer")) == 1


def test_a_response_about_a_person_is_erased_counted_and_searched_for(house: House) -> None:
    person = house.admit()
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE, person.receipt_id)
    (sealed,) = (bytes(row[0]) for row in peek(house.site.home / DATA, "SELECT sealed_answer FROM kept_answer"))

    certificate = house.withdraw(person).certificate_path.read_text()

    assert peek(house.site.home / DATA, "SELECT 1 FROM kept_answer") == []
    assert "kept answers" in certificate_payload(certificate)
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert sealed[13:] not in path.read_bytes()
    assert responses_of(house).begin(KEY, ONE) is None


@pytest.mark.of_files
def test_a_copy_of_the_file_does_not_open_a_response_after_the_consent_ended(house: House) -> None:
    person = house.admit()
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE, person.receipt_id)
    copied = peek(house.site.home / DATA, "SELECT key_sha256, request_sha256, begun_at, sealed_answer FROM kept_answer")
    house.withdraw(person)

    # Simulates an earlier copy that is read with the site's keys and the caller's key.
    with lawless(house.site.home / DATA) as raw:
        raw.executemany("INSERT INTO kept_answer VALUES (?, ?, ?, ?, NULL, NULL, NULL)", copied)
    with pytest.raises(TamperError):
        responses_of(house).begin(KEY, ONE)


def test_the_stored_fingerprint_does_not_confirm_a_guessed_request(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    ((fingerprint,),) = peek(house.site.home / DATA, "SELECT request_sha256 FROM kept_answer")
    assert fingerprint != ONE
    responses_of(house).begin(IdempotencyKey("another-key-of-the-caller", SCOPE), ONE)
    assert len(set(peek(house.site.home / DATA, "SELECT request_sha256 FROM kept_answer"))) == 2


def test_a_sweep_deletes_old_responses(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    responses_of(house).complete_alone(KEY, RESPONSE)
    house.clock.move(hours=24)
    house.site.sweep()
    assert peek(house.site.home / DATA, "SELECT 1 FROM kept_answer") == []


def test_a_response_about_a_person_whose_consent_ended_is_not_stored(house: House) -> None:
    person = house.admit()
    responses_of(house).begin(KEY, ONE)
    house.withdraw(person)
    responses_of(house).complete_alone(KEY, RESPONSE, person.receipt_id)
    assert peek(house.site.home / DATA, "SELECT sealed_answer FROM kept_answer") == [(None,)]


def test_a_response_stored_with_a_consent_exists_exactly_when_the_consent_does(house: House) -> None:
    responses_of(house).begin(KEY, ONE)
    notice, key = house.site.notice("lobby"), SubjectKey.from_seed(bytes(32))
    who = {"name": "Ada", "jurisdiction": "FR"}

    def fail(*_: object) -> None:
        raise InputError("no")

    with pytest.raises(InputError, match="no"):
        house.site.give_consent(notice, **who, key=key, in_transaction=fail)
    assert house.site.status().zones[0].live_consents == 0

    given = house.site.give_consent(
        notice,
        **who,
        key=key,
        in_transaction=lambda tx, home: responses_of(house).complete(tx, KEY, RESPONSE, home.receipt.claims.receipt_id),
    )
    assert responses_of(house).begin(KEY, ONE) == RESPONSE
    house.site.withdraw(receipt=given.to_json())
    assert responses_of(house).begin(KEY, ONE) is None


@pytest.mark.parametrize("text", ["", "x" * 15, "x" * 256, "x" * 20 + "\n", "é" * 20])
def test_an_invalid_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match="expected 16 to 255") as refused:
        IdempotencyKey(text, SCOPE)
    assert not text or text not in str(refused.value)


def test_the_representation_of_a_key_hides_its_text() -> None:
    assert "canary" not in repr(KEY)


def certificate_payload(file: str) -> str:
    import base64  # noqa: PLC0415  once
    import json  # noqa: PLC0415  once

    payload = json.loads(file)["certificate"].split(".")[1]
    return base64.urlsafe_b64decode(payload + "==").decode()
