"""What is asked for twice is done once; what is kept for that opens to nobody else, and goes with the consent."""

import sqlite3
from contextlib import closing

import pytest
from house import House

from tests.unit.store.raw import DATA, peek
from volens.consent import InputError, SubjectKey, TamperError
from volens.store.programs import IdempotencyStore
from volens.store.programs.idempotency_store import AnswerKey, OtherRequestError, UnderWayError

ASKED = ("0123456789abcdef", "give_consent", "lobby")
KEY = AnswerKey("0b5e3a86-canary-key-ed4b2d2c", ASKED)
ONE, OTHER = b"1" * 32, b"2" * 32
ANSWER = b'{"take_home": "canary-answer"}'


def kept(house: House) -> IdempotencyStore:
    return house.site.idempotency_store


def test_the_answer_to_what_was_done_is_told_again(house: House) -> None:
    assert kept(house).begin(KEY, ONE) is None
    kept(house).write(KEY, ANSWER)
    assert kept(house).begin(KEY, ONE) == ANSWER
    house.reopen()
    assert kept(house).begin(KEY, ONE) == ANSWER


def test_nothing_that_was_told_stands_in_the_file(house: House) -> None:
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER)
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert b"canary" not in path.read_bytes()


def test_while_it_is_done_the_same_is_not_begun_again(house: House) -> None:
    kept(house).begin(KEY, ONE)
    with pytest.raises(UnderWayError, match="at this moment"):
        kept(house).begin(KEY, ONE)


def test_what_was_cut_off_is_begun_again_after_a_while(house: House) -> None:
    kept(house).begin(KEY, ONE)
    house.clock.move(minutes=2)
    assert kept(house).begin(KEY, ONE) is None
    with pytest.raises(UnderWayError):
        kept(house).begin(KEY, ONE)


def test_what_failed_is_begun_again_at_once(house: House) -> None:
    kept(house).begin(KEY, ONE)
    kept(house).drop(KEY)
    assert kept(house).begin(KEY, ONE) is None


def test_what_was_answered_is_not_dropped(house: House) -> None:
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER)
    kept(house).drop(KEY)
    assert kept(house).begin(KEY, ONE) == ANSWER


def test_a_key_is_for_one_request(house: House) -> None:
    kept(house).begin(KEY, ONE)
    for _ in range(2):
        with pytest.raises(OtherRequestError, match="another request"):
            kept(house).begin(KEY, OTHER)
        kept(house).write(KEY, ANSWER)


@pytest.mark.parametrize("asked", [("another", *ASKED[1:]), (ASKED[0], "enroll", "lobby"), (*ASKED[:2], "lab")])
def test_another_caller_operation_or_place_has_keys_of_its_own(house: House, asked: tuple[str, ...]) -> None:
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER)
    assert kept(house).begin(AnswerKey(KEY.text, asked), OTHER) is None


def test_an_answer_is_kept_for_a_day(house: House) -> None:
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER)
    house.clock.move(hours=23)
    assert kept(house).begin(KEY, ONE) == ANSWER
    house.clock.move(hours=1)
    assert kept(house).begin(KEY, ONE) is None
    assert len(peek(house.site.home / DATA, "SELECT 1 FROM kept_answer")) == 1


def test_an_answer_about_a_person_goes_with_their_consent_and_is_counted_and_searched_for(house: House) -> None:
    person = house.admit()
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER, person.receipt_id)
    (sealed,) = (bytes(row[0]) for row in peek(house.site.home / DATA, "SELECT sealed_answer FROM kept_answer"))

    certificate = house.withdraw(person).certificate_path.read_text()

    assert peek(house.site.home / DATA, "SELECT 1 FROM kept_answer") == []
    assert "kept answers" in certificate_payload(certificate)
    for path in house.site.home.rglob("*"):
        if path.is_file():
            assert sealed[13:] not in path.read_bytes()
    assert kept(house).begin(KEY, ONE) is None


def test_an_answer_about_a_person_does_not_outlive_the_consent_in_a_copy_of_the_file(house: House) -> None:
    person = house.admit()
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER, person.receipt_id)
    copied = peek(house.site.home / DATA, "SELECT key_sha256, request_sha256, begun_at, sealed_answer FROM kept_answer")
    house.withdraw(person)

    # As if a copy from before were read by somebody with the site's keys and the caller's.
    with closing(sqlite3.connect(house.site.home / DATA)) as raw, raw:
        raw.execute("DROP TRIGGER kept_answer_begins_empty")
        raw.executemany("INSERT INTO kept_answer VALUES (?, ?, ?, ?, NULL, NULL, NULL)", copied)
    with pytest.raises(TamperError):
        kept(house).begin(KEY, ONE)


def test_the_file_does_not_tell_what_was_asked_to_somebody_who_guesses_it(house: House) -> None:
    kept(house).begin(KEY, ONE)
    ((fingerprint,),) = peek(house.site.home / DATA, "SELECT request_sha256 FROM kept_answer")
    assert fingerprint != ONE
    kept(house).begin(AnswerKey("another-key-of-the-caller", ASKED), ONE)
    assert len(set(peek(house.site.home / DATA, "SELECT request_sha256 FROM kept_answer"))) == 2


def test_a_sweep_forgets_answers_though_nobody_asks_anything_more(house: House) -> None:
    kept(house).begin(KEY, ONE)
    kept(house).write(KEY, ANSWER)
    house.clock.move(hours=24)
    house.site.sweep()
    assert peek(house.site.home / DATA, "SELECT 1 FROM kept_answer") == []


def test_an_answer_about_a_person_who_left_meanwhile_is_not_kept(house: House) -> None:
    person = house.admit()
    kept(house).begin(KEY, ONE)
    house.withdraw(person)
    kept(house).write(KEY, ANSWER, person.receipt_id)
    assert peek(house.site.home / DATA, "SELECT sealed_answer FROM kept_answer") == [(None,)]


def test_an_answer_that_is_kept_beside_a_consent_is_there_exactly_when_the_consent_is(house: House) -> None:
    kept(house).begin(KEY, ONE)
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
        in_transaction=lambda tx, home: kept(house).keep(tx, KEY, ANSWER, home.receipt.claims.receipt_id),
    )
    assert kept(house).begin(KEY, ONE) == ANSWER
    house.site.withdraw(receipt=given.to_json())
    assert kept(house).begin(KEY, ONE) is None


@pytest.mark.parametrize("text", ["", "x" * 15, "x" * 256, "x" * 20 + "\n", "é" * 20])
def test_a_key_that_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(InputError, match="expected 16 to 255") as refused:
        AnswerKey(text, ASKED)
    assert not text or text not in str(refused.value)


def test_a_key_says_nothing_of_itself() -> None:
    assert "canary" not in repr(KEY)


def certificate_payload(file: str) -> str:
    import base64  # noqa: PLC0415  once
    import json  # noqa: PLC0415  once

    payload = json.loads(file)["certificate"].split(".")[1]
    return base64.urlsafe_b64decode(payload + "==").decode()
