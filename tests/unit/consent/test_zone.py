"""Declaration of a zone: refused unless every promise is stated."""

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.consent.samples import NOW, zone
from volens.consent import Custody, InputError, RefusedError, parse_purpose
from volens.consent.ids import check_purpose
from volens.consent.zone import MAX_RETENTION_DAYS

BROKEN_PROMISES: dict[str, tuple[dict[str, Any], str]] = {
    "no alternative": ({"alternative": None}, "no alternative; give --alternative"),
    "an empty alternative": ({"alternative": ""}, "no alternative; give --alternative"),
    "an alternative of spaces": ({"alternative": " \t\n"}, "no alternative; give --alternative"),
    "no justification": ({"justification": None}, "has no justification; give --justification"),
    "an empty justification": ({"justification": ""}, "has no justification; give --justification"),
    "a justification of spaces": ({"justification": "   "}, "has no justification; give --justification"),
    "no retention": ({"retention_days": None}, "got no retention; give --retention-days"),
    "a retention of no day": ({"retention_days": 0}, "got a retention of 0 days"),
    "a negative retention": ({"retention_days": -1}, "got a retention of -1 days"),
    "a retention of more than three years": ({"retention_days": 1099}, "between 1 and 1098"),
    "custody by badge without an alternative": ({"custody": "badge", "alternative": ""}, "no alternative"),
}

BAD_NAMES = {
    "empty": "",
    "a space": "front door",
    "a leading hyphen": "-door",
    "a leading underscore": "_door",
    "64 characters": "d" * 64,
    "a slash": "../door",
    "a newline inside": "front\ndoor",
    "a letter that only looks like a": "d\N{CYRILLIC SMALL LETTER O}or",
    "a digit of another script": "door\N{ARABIC-INDIC DIGIT TWO}",
    "a quotation mark": "door'--",
    "a NUL": "door\0",
}


@pytest.mark.parametrize(
    "typed",
    [
        "front-door",
        "Front-Door",
        " front-door\n",
        "\uff26\uff32\uff2f\uff2e\uff34\N{NON-BREAKING HYPHEN}door",
        "front\N{EN DASH}door",
    ],
)
def test_a_zone_name_is_typed_in_any_case_and_width(typed: str) -> None:
    assert parse_purpose(typed) == "front-door"


@pytest.mark.parametrize("typed", ["Front-Door", "front-door\n"])
def test_a_zone_name_in_a_document_has_one_spelling(typed: str) -> None:
    with pytest.raises(InputError, match="got zone name"):
        check_purpose(typed)


@pytest.mark.parametrize("case", BROKEN_PROMISES)
def test_a_zone_is_refused_with(case: str) -> None:
    changes, words = BROKEN_PROMISES[case]
    with pytest.raises(RefusedError) as caught:
        zone(**changes)
    assert words in str(caught.value)
    assert "'front-door'" in str(caught.value)


@pytest.mark.parametrize("custody", ["badge", "subject_key"])
def test_a_zone_whose_people_hold_the_key_allows_no_identification(custody: str) -> None:
    made = zone(custody=custody, justification=None)

    assert made.justification == ""
    with pytest.raises(
        RefusedError, match=f"custody '{custody}', which allows no identification \\(1:N\\); ask for the person's"
    ):
        made.check_searchable()
    zone(custody="operator").check_searchable()


@pytest.mark.parametrize("case", BAD_NAMES)
def test_a_zone_name_is_refused_if_it_is(case: str) -> None:
    with pytest.raises(InputError, match="got zone name"):
        zone(BAD_NAMES[case])
    with pytest.raises(InputError, match="choose another name"):
        parse_purpose(BAD_NAMES[case])


@pytest.mark.parametrize("name", ["a", "0", "front-door", "lab_2", "d" * 63])
def test_a_zone_name_of_the_right_form_is_kept_as_it_is(name: str) -> None:
    assert zone(name).purpose == name


def test_a_long_bad_name_is_cut_in_the_message() -> None:
    with pytest.raises(InputError) as caught:
        zone("X" * 10_000)
    assert len(str(caught.value)) < 300


def test_an_unknown_custody_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="got custody 'cloud'; expected one of badge, subject_key, operator"):
        zone(custody="cloud")


@pytest.mark.parametrize("promise", ["justification", "alternative"])
def test_a_promise_of_more_than_2000_characters_is_refused(promise: str) -> None:
    assert zone(**{promise: "x" * 2000})
    with pytest.raises(InputError, match="got a text of 2001 characters; expected 1 to 2000"):
        zone(**{promise: "x" * 2001})


@pytest.mark.parametrize("days", [1, MAX_RETENTION_DAYS])
def test_the_shortest_and_the_longest_retention_are_allowed(days: int) -> None:
    assert zone(retention_days=days).retention_days == days


def test_a_zone_stores_its_terms_stripped_and_its_time_in_utc() -> None:
    paris = timezone(timedelta(hours=2))
    made = zone(
        alternative="  a key\n", justification="\tdough ", now=datetime(2099, 7, 1, 12, 0, 0, 999_999, tzinfo=paris)
    )
    assert (made.alternative, made.justification, made.custody) == ("a key", "dough", Custody.OPERATOR)
    assert made.created_at == datetime(2099, 7, 1, 10, 0, tzinfo=UTC)
    assert made.created_at.utcoffset() == timedelta(0)


def test_a_zone_cannot_be_changed_after_people_have_agreed_to_it() -> None:
    with pytest.raises(FrozenInstanceError):
        zone().alternative = "none"  # type: ignore[misc]


def test_a_naive_clock_is_a_callers_bug() -> None:
    with pytest.raises(ValueError, match="naive time"):
        zone(now=NOW.replace(tzinfo=None))
