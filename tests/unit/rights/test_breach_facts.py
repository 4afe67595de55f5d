"""Facts of a breach: who was in force in that time, what a thief of which file opens, keys, and the 72-hour clock."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from house import START, House

from volens.consent import Custody, InputError
from volens.erase.pages import PageWords
from volens.rights.papers import verify_paper
from volens.rights.papers.breach_facts import Group

ROOT = Path(__file__).parents[3]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def house(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Day 0: four people agree, two of them French, one with a badge. Day 2: one withdraws. Day 4: one agrees."""
    house = House.copied(template, tmp_path_factory.mktemp("breach") / "home")
    house.declare("gate", custody="badge")
    leaver = house.admit()
    house.admit()
    house.admit(jurisdiction="DE")
    house.admit("gate")
    house.clock.move(days=2)
    house.withdraw(leaver)
    house.clock.move(days=2)
    house.admit(jurisdiction="DE")
    house.clock.move(days=1)
    yield house
    house.site.close()


def lobby(jurisdiction: str) -> Group:
    return Group("lobby", Custody.OPERATOR, jurisdiction)


GATE = Group("gate", Custody.BADGE, "FR")


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 1, {lobby("FR"): 2, lobby("DE"): 1, GATE: 1}),
        (2, 3, {lobby("FR"): 2, lobby("DE"): 1, GATE: 1}),  # the withdrawal was in that time
        (3, 3, {lobby("FR"): 1, lobby("DE"): 1, GATE: 1}),
        (3, 5, {lobby("FR"): 1, lobby("DE"): 2, GATE: 1}),
        (-5, -1, {}),
    ],
)
def test_consents_of_that_time_are_counted(house: House, first: int, last: int, expected: dict[Group, int]) -> None:
    facts = house.site.papers.breach(START + first * DAY, START + last * DAY)
    assert dict(facts.consents) == expected
    assert facts.people == sum(expected.values())
    assert facts.held_by(Custody.OPERATOR) == sum(expected.values()) - expected.get(GATE, 0)


def test_events_of_that_time_are_counted_by_kind(house: House) -> None:
    facts = house.site.papers.breach(START + DAY, START + 3 * DAY)
    assert facts.events["consent.ended"] == 1
    assert "consent.given" not in facts.events


def test_the_72_hours_count_from_when_it_was_learnt(house: House) -> None:
    now = house.clock()
    facts = house.site.papers.breach(START, now, now - timedelta(hours=10))
    assert facts.due_at == now + timedelta(hours=62)
    assert house.site.papers.breach(START, now).due_at is None


@pytest.mark.parametrize(
    ("learnt_hours_ago", "said"),
    [(10, "62 whole hours are left"), (80, "ended 8 hours ago: give the reasons for the delay"), (None, "33(1)")],
)
def test_the_paper_says_how_much_time_is_left(
    house: House, tmp_path: Path, learnt_hours_ago: int | None, said: str
) -> None:
    now = house.clock()
    learnt = None if learnt_hours_ago is None else now - timedelta(hours=learnt_hours_ago)
    written = house.site.papers.write_breach(house.site.papers.breach(START, now, learnt), tmp_path)
    assert said in written.files[2].read_text(encoding="utf-8").replace("\\", "")
    found = verify_paper(written.files[0].read_bytes(), house.site.verifier_key)
    assert found.content["kind"] == "breach"
    assert "record" not in found.content
    assert house.site.papers.made() == []


def test_a_key_that_is_still_in_use_is_to_be_rotated(house: House, tmp_path: Path) -> None:
    now = house.clock()
    old, new = START - 9 * DAY, START - 8 * DAY
    used = house.site.papers.write_breach(house.site.papers.breach(START, now), tmp_path / "now")
    replaced = house.site.papers.write_breach(house.site.papers.breach(old, new), tmp_path / "old")
    assert "still in use" in used.files[2].read_text(encoding="utf-8")
    assert "still in use" not in replaced.files[2].read_text(encoding="utf-8")


def test_a_paper_names_no_person_and_counts_what_a_thief_opens(house: House, tmp_path: Path) -> None:
    written = house.site.papers.write_breach(house.site.papers.breach(START, house.clock()), tmp_path)
    text = written.files[0].read_text(encoding="utf-8")
    assert "Canary" not in text
    assert all(person.receipt_id not in text and person.subject_id not in text for person in house.people)
    (thieves,) = [one["table"]["rows"] for one in json.loads(text)["sections"] if "thief" in one["heading"]]
    assert [row[2] for row in thieves] == [*["0"] * 5, "at most 4", "all of custody operator at its time", "1"]


@pytest.mark.parametrize(
    ("thief", "words"),
    [
        ("data", ("nothing: ciphertext", "subject ids in receipts (pseudonyms)")),
        ("keyring", ("nothing: wrapped keys", "number of consents")),
        ("server", ("of custody `operator`", "can sign as the site")),
    ],
)
def test_what_a_thief_opens_is_what_the_threat_model_says(thief: str, words: tuple[str, ...]) -> None:
    document = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    said = PageWords("paper_breach", "en").text(f"opens {thief}")
    name = {"data": "thief of the data file", "keyring": "thief of the keyring", "server": "thief of the server"}[thief]
    (row,) = [one for one in document.splitlines() if one.startswith(f"| {name} |") and one.count("|") > 5]
    for one in words:
        assert one in row
        assert one.replace("`", "") in said


@pytest.mark.parametrize(
    ("first", "last", "learnt", "words"),
    [(2, 1, None, "ends before it begins"), (0, 9, None, "in the future"), (0, 1, 9, "in the future")],
)
def test_a_time_that_cannot_be_is_refused(house: House, first: int, last: int, learnt: int | None, words: str) -> None:
    with pytest.raises(InputError, match=words):
        house.site.papers.breach(
            START + first * DAY, START + last * DAY, None if learnt is None else START + learnt * DAY
        )
