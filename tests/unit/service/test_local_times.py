"""Times that people type and read, in the time zone of the site."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from said import Command

from volens.consent import InputError, parse_time
from volens.service.local_times import local_text, parse_moment, parse_until, system_time_zone

PARIS = ZoneInfo("Europe/Paris")
NOON = datetime(2026, 12, 1, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "moment"),
    [
        ("18:00", "2026-12-01T17:00:00Z"),
        (" 18:00\n", "2026-12-01T17:00:00Z"),
        ("2026-12-24", "2026-12-24T23:00:00Z"),
        ("2026-12-24T18:00", "2026-12-24T17:00:00Z"),
        ("2026-12-24 18:00", "2026-12-24T17:00:00Z"),
        ("2026-12-24T17:00:00Z", "2026-12-24T17:00:00Z"),
        ("2027-07-01T18:00", "2027-07-01T16:00:00Z"),  # summer time
        ("2027-03-28", "2027-03-28T22:00:00Z"),  # a day of 23 hours
        ("2027-10-31T02:30", "2027-10-31T00:30:00Z"),  # comes twice: the first is meant
    ],
)
def test_a_typed_time_is_of_the_sites_time_zone(typed: str, moment: str) -> None:
    assert parse_until(typed, NOON, PARIS) == parse_time(moment)


@pytest.mark.parametrize("typed", ["11:59", "12:00", "2026-11-30", "2026-12-01T12:00"])
def test_a_time_that_is_past_is_refused(typed: str) -> None:
    with pytest.raises(InputError, match="past in the time zone Europe/Paris"):
        parse_until(typed, NOON, PARIS)


@pytest.mark.parametrize("typed", ["", "6pm", "25:00", "tomorrow", "2026-13-01", "9999-12-31", "24.12.2026"])
def test_another_form_is_refused_with_the_forms_that_work(typed: str) -> None:
    with pytest.raises(InputError, match="expected a time such as 18:00"):
        parse_until(typed, NOON, PARIS)


def test_late_in_the_evening_today_is_the_sites_day_and_not_utc() -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    late = datetime(2026, 12, 1, 16, 0, tzinfo=UTC)  # 01:00 on the second
    assert parse_until("18:00", late, tokyo) == datetime(2026, 12, 2, 9, 0, tzinfo=UTC)
    assert local_text(late, tokyo) == "2026-12-02 01:00 JST"


@pytest.mark.parametrize(
    ("typed", "moment"),
    [("today", "2026-12-01T23:00:00Z"), ("TODAY ", "2026-12-01T23:00:00Z"), ("2020-01-01", "2020-01-01T23:00:00Z")],
)
def test_a_day_ends_at_midnight_of_the_site_and_may_be_past(typed: str, moment: str) -> None:
    assert parse_moment(typed, NOON, PARIS) == parse_time(moment)


def test_the_time_zone_of_this_machine_is_one_that_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ZoneInfo(system_time_zone())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert system_time_zone() == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "JST-9")
    assert ZoneInfo(system_time_zone())


def test_a_visitor_may_come_until_the_evening(lobby: Path, volens: Command) -> None:
    assert lobby.is_dir()
    assert volens("defaults", "set", "--jurisdiction", "FR", "--time-zone", "Asia/Tokyo").code == 0
    until = datetime.now(UTC) + timedelta(hours=30)
    typed = until.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%Y-%m-%d %H:%M")
    give = ("consent", "give", "--name", "Ada", "--new-key", "a.key", "--out", "a.json", "--yes-i-read-it")
    said = volens(*give, "--until", typed)
    assert said.code == 0, said.err
    assert f"until {typed} JST" in said.out
    (listed,) = volens("people", "list", "--json").json
    assert listed["ends_at"] == until.strftime("%Y-%m-%dT%H:%M:00Z")
    assert typed in volens("people", "list").out


@pytest.mark.parametrize("term", [("--until", "2020-01-01"), ("--until", "2199-01-01"), ("--until", "x")])
def test_a_term_that_is_past_or_too_long_is_refused(lobby: Path, volens: Command, term: tuple[str, str]) -> None:
    give = ("consent", "give", "--name", "A", "--jurisdiction", "FR", "--new-key", "a.key", "--out", "a.json")
    assert volens(*give, "--yes-i-read-it", *term).code == 2
    assert volens(*give, "--yes-i-read-it", "--until", "23:59", "--valid-days", "1").code == 2
    assert not (lobby / "a.key").exists()


def test_defaults_stand_for_options_that_are_left_out(enrolled: Path, volens: Command, album: Path) -> None:
    assert enrolled.exists()
    assert volens("identify", album / "ada-door.png").code == 0  # the only zone
    give = ("consent", "give", "--name", "Eva", "--new-key", "e.key", "--out", "e.json", "--yes-i-read-it")
    asked = volens(*give)
    assert (asked.code, "volens defaults set --jurisdiction FR" in asked.err) == (2, True)
    assert volens("defaults", "set", "--jurisdiction", "FR").code == 0
    assert volens("defaults", "show", "--json").json["jurisdiction"] == "FR"
    assert volens(*give).code == 0
    assert volens("notice", "show").code == 0


def test_init_sets_defaults_and_refuses_wrong_ones_before_it_makes_a_site(home: Path, volens: Command) -> None:
    refused = volens("init", "--time-zone", "Nowhere/Here")
    assert (refused.code, home.exists()) == (2, False)
    said = volens("init", "--zone", "lobby", "--jurisdiction", "FR", "--time-zone", "Europe/Paris", "--json").json
    defaults = {"zone": "lobby", "jurisdiction": "FR", "time_zone": "Europe/Paris", "public_url": None}
    assert said["defaults"] == defaults
    assert volens("defaults", "show", "--json").json == said["defaults"]
