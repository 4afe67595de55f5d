"""`volens jurisdictions`: the table of the page, what is shown, and profiles that a site adds and removes."""

import re
from pathlib import Path

import pytest
from said import Command

from volens.consent.law import ProfileCatalogue, Right, shipped_profiles
from volens.rights.request_rows import RequestKind
from volens.service.cli.jurisdiction_commands import markdown_table

PAGE = (Path(__file__).parents[3] / "docs" / "jurisdictions.md").read_text(encoding="utf-8")
(SWISS,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture
def swiss(lobby: Path) -> Path:
    path = lobby / "switzerland.toml"
    path.write_text(SWISS, encoding="utf-8")
    return path


def test_the_table_of_the_page_is_what_the_command_prints(lobby: Path, volens: Command) -> None:
    del lobby
    shown = volens("jurisdictions", "list", "--markdown").out
    assert shown == markdown_table(ProfileCatalogue()) + "\n"
    (between,) = re.findall(r"<!-- volens jurisdictions list --markdown -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    assert between == shown, "write the output of 'volens jurisdictions list --markdown' into docs/jurisdictions.md"


def test_the_page_lists_each_right_with_its_command() -> None:
    assert re.findall(r"\| `([a-z]+)` \| `(volens [^`]+)` \|", PAGE) == [(one.value, one.command) for one in Right]


def test_the_command_of_each_right_exists(lobby: Path, volens: Command) -> None:
    del lobby
    for right in Right:
        _program, *words = right.command.split(" --kind ")[0].split()
        helped = volens(*words, "--help")
        assert (helped.code, helped.err) == (0, ""), right
        _, _, kind = right.command.partition(" --kind ")
        assert not kind or kind in set(RequestKind)


def test_the_commands_of_the_page_work_in_their_order(swiss: Path, volens: Command) -> None:
    lines = re.findall(r"^\$ volens (.*)$", PAGE, flags=re.MULTILINE)
    assert len(lines) == 4
    said = [volens(*line.split()) for line in lines]
    assert [one.code for one in said] == [0, 0, 0, 0], [one.err for one in said]
    assert "valid: CH, Switzerland" in said[0].out
    assert "its law forbids the custody of 1 zone: lobby" in said[1].out
    assert "Ich willige ausdrücklich ein, dass <controller> mein Gesicht" in " ".join(said[2].out.split())
    assert "people of this law can no longer be asked" in said[3].out
    assert swiss.read_text(encoding="utf-8") == SWISS


@pytest.mark.parametrize("code", sorted(shipped_profiles()))
def test_each_profile_is_shown_with_its_days_and_sources(code: str, lobby: Path, volens: Command) -> None:
    del lobby
    profile = shipped_profiles()[code]
    said = volens("jurisdictions", "show", code)
    text = " ".join(said.out.split())
    assert said.code == 0
    assert all(f"{one.what}: {one.where}" in text for one in profile.checked)
    assert all(one in text for one in (*profile.not_checked, profile.law, profile.authority.url))
    assert "no legal advice" in text
    document = volens("jurisdictions", "show", code, "--json").json
    assert document["clocks"]["evidence_days"]["days"] == profile.clocks.evidence_days
    assert document["checked"][0]["checked_on"] == "2026-11-30"


def test_a_site_lists_its_own_profiles_as_its_own(swiss: Path, volens: Command) -> None:
    assert volens("jurisdictions", "add", swiss).code == 0
    own = [one["code"] for one in volens("jurisdictions", "list", "--json").json if one["own"]]
    assert own == ["CH"]
    assert "CH (own)" in volens("jurisdictions", "list").out


def test_a_forbidden_custody_is_refused_with_the_article(swiss: Path, volens: Command, give: Command) -> None:
    assert volens("jurisdictions", "add", swiss).code == 0
    said = give("--yes-i-read-it", "--jurisdiction", "CH", out="ada")
    assert said.code == 1
    assert "zone 'lobby' has custody 'operator', which the profile of CH forbids (our works agreement of" in said.err
    assert not (swiss.parent / "ada.receipt.json").exists()


@pytest.mark.parametrize(
    ("arguments", "problem", "code"),
    [
        (("show", "JP"), "there is no profile of this code; there are BR, CA-QC, DE", 2),
        (("show", "France"), "expected an ISO 3166 code such as FR or US-IL", 2),
        (("show", "FR", "--language", "it"), "got language 'it'; expected one of en, fr, de", 2),
        (("check", "gap.toml"), "profile CH: got no clocks.evidence_days; expected a number of days with its", 2),
        (("add", "gap.toml"), "profile CH: got no clocks.evidence_days; expected a number of days with its", 2),
        (("add", "nothing.toml"), "there is no profile", 2),
        (("check", "text.toml"), "the profile is not TOML", 2),
        (("remove", "FR"), "this site added no profile of FR, and shipped ones stay", 2),
    ],
)
def test_bad_input_gets_one_sentence(
    lobby: Path, volens: Command, arguments: tuple[str, ...], problem: str, code: int
) -> None:
    whole = (Path(__file__).parents[3] / "consent" / "law" / "profiles" / "eu.toml").read_text(encoding="utf-8")
    gap = re.sub(r"^(evidence_days|members) = .*?(?=^[a-z]+[a-z_]* = )", "", whole, flags=re.MULTILINE | re.DOTALL)
    (lobby / "gap.toml").write_text(gap.replace('code = "EU"', 'code = "CH"'), encoding="utf-8")
    (lobby / "text.toml").write_text("Dear Sir or Madam\n", encoding="utf-8")
    said = volens("jurisdictions", *arguments)
    assert (said.code, said.out) == (code, "")
    assert problem in " ".join(said.err.split())


def test_a_file_is_checked_without_a_site(home: Path, volens: Command) -> None:
    (home.parent / "switzerland.toml").write_text(SWISS, encoding="utf-8")
    assert "valid: CH, Switzerland" in volens("jurisdictions", "check", "switzerland.toml").out
    assert not home.exists()
