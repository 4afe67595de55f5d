"""Jurisdiction profiles: each shipped one is complete, and a file with a gap is refused in one sentence."""

import tomllib
from datetime import date
from importlib.resources import files

import pytest

from volens.consent import Custody, InputError, RefusedError, UnknownError
from volens.consent.law import (
    CLOCK_NAMES,
    LANGUAGES,
    PLACEHOLDERS,
    JurisdictionProfile,
    ProfileCatalogue,
    Right,
    base_of,
    parse_profile,
    shipped_profiles,
    shortest,
)
from volens.consent.reason import Reason
from volens.consent.zone import MAX_RETENTION_DAYS

EU = files("volens.consent.law.profiles").joinpath("eu.toml").read_text(encoding="utf-8")
OWN = """
code = "CH"
based_on = "EU"
law = "FADP"
not_checked = ["everything"]
[names]
en = "Switzerland"
fr = "Suisse"
de = "Schweiz"
[[checked]]
where = "https://law.example"
checked_on = 2026-11-30
what = "nothing yet"
"""
ALL = sorted(shipped_profiles())


def eu() -> JurisdictionProfile:
    return shipped_profiles()["EU"]


def own(**changes: str) -> JurisdictionProfile:
    """Return the profile OWN, with lines put before its tables."""
    lines = "".join(f"{name} = {value}\n" for name, value in changes.items())
    return parse_profile(lines.encode() + OWN.encode(), eu())


@pytest.mark.parametrize("code", ALL)
def test_a_shipped_profile_is_written_in_three_languages(code: str) -> None:
    profile = shipped_profiles()[code]
    texts = [profile.names, profile.release, profile.authority.name, *(gate.question for gate in profile.gates)]
    assert all(set(one) == set(LANGUAGES) and len(set(one.values())) > 1 for one in texts[1:])
    assert set(texts[0]) == set(LANGUAGES)


@pytest.mark.parametrize("code", ALL)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_release_text_names_who_where_how_long_and_why(code: str, language: str) -> None:
    values = {"controller": "Example {zone} SA", "zone": "Lobby", "days": 77, "purpose": "open the doors"}
    text = shipped_profiles()[code].release_text(language, **values)  # type: ignore[arg-type]
    assert all(str(value) in text for value in values.values())


@pytest.mark.parametrize("code", ALL)
def test_each_clock_of_a_shipped_profile_has_days_and_a_reason(code: str) -> None:
    clocks = shipped_profiles()[code].clocks
    assert 1 <= clocks.max_term_days <= MAX_RETENTION_DAYS
    assert 1 <= clocks.inactive_after_days <= 1095
    assert all(clocks.days(name) >= 0 and len(clocks.reasons[name]) > 10 for name in CLOCK_NAMES)
    assert min(clocks.evidence_days, clocks.log_openings_days, clocks.requests_days) > 0


@pytest.mark.parametrize("code", ALL)
def test_a_shipped_profile_says_what_was_checked_on_which_day(code: str) -> None:
    profile = shipped_profiles()[code]
    assert profile.checked
    assert all(one.checked_on >= date(2026, 11, 30) and one.what for one in profile.checked)
    assert all(one.where.startswith(("https://", "http://")) for one in profile.checked)
    assert profile.not_checked


@pytest.mark.parametrize("code", ALL)
def test_a_shipped_profile_names_rights_evidence_and_an_authority(code: str) -> None:
    profile = shipped_profiles()[code]
    assert {Right.ACCESS, Right.ERASURE, Right.WITHDRAWAL, Right.COMPLAINT} <= set(profile.rights)
    assert profile.evidence
    assert profile.authority.url.startswith("https://")
    assert 0 < profile.minors.consent_age <= 18


@pytest.mark.parametrize("code", ALL)
def test_a_shipped_file_has_the_name_of_its_code(code: str) -> None:
    data = files("volens.consent.law.profiles").joinpath(f"{code.lower()}.toml").read_bytes()
    assert tomllib.loads(data.decode())["code"] == code


def test_every_file_of_the_folder_is_shipped() -> None:
    found = {one.name for one in files("volens.consent.law.profiles").iterdir() if one.name.endswith(".toml")}
    assert found == {f"{code.lower()}.toml" for code in ALL}


@pytest.mark.parametrize(
    ("person", "code"),
    [
        *(("EU", "EU"), ("PL", "EU"), ("NO", "EU"), ("ES-MD", "EU")),
        *(("FR", "FR"), ("FR-BRE", "FR"), ("DE-BY", "DE"), ("GB-SCT", "GB"), ("BR-SP", "BR")),
        *(("US-IL", "US-IL"), ("US-TX", "US-TX"), ("US-CO", "US-CO"), ("CA-QC", "CA-QC")),
    ],
)
def test_a_person_has_the_profile_of_the_place_the_country_or_the_eu(person: str, code: str) -> None:
    assert ProfileCatalogue().profile_of(person).code == code


def test_there_are_27_states_of_the_eu_and_three_of_the_eea() -> None:
    assert len(set(eu().members)) == 30
    assert {"IS", "LI", "NO"} <= set(eu().members)
    assert not {"GB", "CH"} & set(eu().members)


@pytest.mark.parametrize("person", ["CH", "US-WY", "US", "CA-ON", "CA", "JP"])
def test_a_person_whose_law_has_no_profile_is_refused_with_the_next_step(person: str) -> None:
    with pytest.raises(RefusedError, match="volens jurisdictions add FILE") as refused:
        ProfileCatalogue().profile_of(person)
    assert refused.value.reason is Reason.NO_PROFILE


def test_a_profile_of_the_site_counts_before_a_shipped_one() -> None:
    catalogue = ProfileCatalogue([own()])
    assert catalogue.profile_of("CH-ZH").law == "FADP"
    assert catalogue.is_own("CH")
    assert not catalogue.is_own("EU")
    assert [one.code for one in catalogue.profiles] == sorted({*ALL, "CH"})


def test_a_profile_takes_what_it_leaves_out_from_the_one_it_is_based_on() -> None:
    profile = own(lawful_basis='"consent"')
    assert (profile.lawful_basis, profile.clocks, profile.rights) == ("consent", eu().clocks, eu().rights)
    assert profile.release == eu().release
    assert profile.names["de"] == "Schweiz"
    assert [one.where for one in profile.checked] == ["https://law.example"]


def test_one_clock_can_differ_from_the_base() -> None:
    profile = own(**{"clocks.after_purpose_days": '{ days = 30, reason = "a reason" }'})
    assert profile.clocks.after_purpose_days == 30
    assert profile.clocks.reasons["after_purpose_days"] == "a reason"
    assert profile.clocks.max_term_days == eu().clocks.max_term_days


def test_the_shortest_clock_wins_and_says_whose_it_is() -> None:
    profile = own(**{"clocks.inactive_after_days": '{ days = 9, reason = "a reason" }'})
    clocks = shortest([("CH", profile.clocks), ("EU", eu().clocks)])
    assert (clocks.inactive_after_days, clocks.reasons["inactive_after_days"]) == (9, "CH: a reason")
    assert clocks.max_term_days == eu().clocks.max_term_days
    assert shortest([("EU", eu().clocks)]).days("evidence_days") == eu().clocks.evidence_days


def test_a_forbidden_custody_is_refused_with_its_article() -> None:
    profile = own(**{"forbidden_custodies.operator": '"Article 7"'})
    profile.check_custody(Custody.BADGE, "lobby")
    with pytest.raises(
        RefusedError, match=r"zone 'lobby' has custody 'operator'.* CH forbids \(Article 7\); use"
    ) as no:
        profile.check_custody(Custody.OPERATOR, "lobby")
    assert no.value.reason is Reason.CUSTODY_FORBIDDEN


@pytest.mark.parametrize("name", CLOCK_NAMES)
def test_a_profile_with_a_missing_clock_is_refused(name: str) -> None:
    without = "\n".join(line for line in EU.splitlines() if not line.startswith(f"{name} ="))
    with pytest.raises(InputError, match=f"profile EU: got no clocks.{name}; expected a number of days with its art"):
        parse_profile(without.encode(), None)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_profile_without_one_of_the_languages_is_refused(language: str) -> None:
    lines = EU.splitlines()
    del lines[next(at for at, line in enumerate(lines) if line.startswith(f'{language} = "'))]
    with pytest.raises(InputError, match=f"got no names.{language}; expected a text in each of en, fr, de; add it"):
        parse_profile("\n".join(lines).encode(), None)


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_release_text_without_a_placeholder_is_refused(placeholder: str) -> None:
    changed = EU.replace(f"{{{placeholder}}}", "this", 1)
    with pytest.raises(InputError, match=r"got release.en with .*; expected exactly \{controller\}, \{zone\}"):
        parse_profile(changed.encode(), None)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('code = "EU"', "", "the profile has no code; expected an ISO 3166 code such as FR or US-IL"),
        ('code = "EU"', "code = 3", "the profile has no code"),
        ('code = "EU"', 'code = "Europe"', "got jurisdiction 'Europe'; expected an ISO 3166 code"),
        ('code = "EU"', 'code "EU"', r"is not TOML \(.*line 4.*\); correct that line"),
        ('code = "EU"', 'code = "EU"\nlow = 1', "got unknown low; expected the names of docs/jurisdictions.md"),
        ("[names]", '[names]\nit = "Unione"', "got unknown names.it; expected the names"),
        ('"access", ', '"access", "human_decision", ', "got 'human_decision' in rights; expected one of access, "),
        ("law = ", "laws = ", "got no law; expected a value; add it, or name a profile in based_on"),
        ('law = "Regulation (EU) 2016/679 (GDPR)"', "law = 5", "got a number in law; expected a text"),
        ('law = "Regulation (EU) 2016/679 (GDPR)"', 'law = " "', "got a text in law that cannot be used"),
        ("{ days = 0,", "{ days = -1,", "got -1 in clocks.after_purpose_days.days; expected a whole number from 0"),
        ("{ days = 0,", "{ days = true,", "got True in clocks.after_purpose_days.days; expected a whole number"),
        ("{ days = 0,", "{ days = 0.5,", "got a number in clocks.after_purpose_days.days; expected a whole number"),
        ("{ days = 0, reason = ", "{ days = 0, because = ", "got no clocks.after_purpose_days.reason; expected"),
        ("checked_on = 2026-11-30", 'checked_on = "2026-11-30"', "got a text; expected a day in checked.checked_on"),
        ("checked_on = 2026-11-30", "checked_on = 2026-11-30T12:00:00Z", "got a date or time; expected a day in"),
        ('url = "https://', 'url = "http://', "got authority.url 'http://www.edpb.europa.eu/'; expected an address"),
        ('guardian = "signature"', 'guardian = "asked"', "got 'asked' in minors.guardian; expected one of signature, "),
        ("required = false", 'required = "no"', "got a text; expected true or false in public_policy.required"),
        ('kind = "dpia"', 'kind = "vote"', "got 'vote' in gates.kind; expected one of works_agreement, dpia, "),
        ("forbidden_custodies = {}", 'forbidden_custodies = { cloud = "x" }', "got 'cloud' in forbidden_custodies"),
        ("evidence = [", "evidence = []\nold = [", "got an empty list evidence; expected at least one sentence"),
        ("members = [", 'members = ["Poland", ', "got jurisdiction 'Poland'; expected an ISO 3166 code"),
        ("{days} days", "{days} days {", "got release.en with "),
        ('code = "EU"', 'code = "EU"\nbased_on = 3', "got a number; expected a code in based_on"),
    ],
)
def test_a_value_of_another_form_is_refused_in_one_sentence(old: str, new: str, problem: str) -> None:
    assert old in EU
    with pytest.raises(InputError, match=problem) as refused:
        parse_profile(EU.replace(old, new, 1).encode(), None)
    assert "\n" not in str(refused.value)


def test_a_profile_is_read_only_together_with_its_base() -> None:
    assert (base_of(OWN.encode()), base_of(EU.encode())) == ("EU", None)
    with pytest.raises(InputError, match="profile CH: got based_on 'EU'; expected the profile 'EU' together with it"):
        parse_profile(OWN.encode(), None)
    assert ProfileCatalogue.parse(OWN.encode()).code == "CH"
    with pytest.raises(InputError, match="based on CH, which is not shipped; expected one of EU, FR, "):
        ProfileCatalogue.parse(OWN.replace('"EU"', '"CH"').encode())


def test_files_that_are_too_large_or_too_deep_are_refused() -> None:
    with pytest.raises(InputError, match="has 70000 bytes; expected at most 65536"):
        parse_profile(b" " * 70_000, None)
    with pytest.raises(InputError, match=r"not TOML|nested too deeply"):
        parse_profile(b"a = " + b"[" * 30_000, None)
    with pytest.raises(InputError, match="the profile is in UTF-16"):
        parse_profile(EU.encode("utf-16"), None)


@pytest.mark.parametrize(
    ("code", "clock", "days", "article"),
    [
        ("US-TX", "after_purpose_days", 365, "503.001(c)(3)"),
        ("US-IL", "inactive_after_days", 1095, "BIPA 15(a)"),
        ("US-IL", "evidence_days", 1827, "Tims"),
        ("US-CO", "inactive_after_days", 730, "6-1-1314"),
        ("CA-QC", "evidence_days", 1096, "article 2925"),
        ("DE", "evidence_days", 1461, "BGB 195"),
        ("FR", "log_openings_days", 90, "2006-102"),
    ],
)
def test_a_period_that_a_law_names_is_in_its_profile(code: str, clock: str, days: int, article: str) -> None:
    clocks = shipped_profiles()[code].clocks
    assert clocks.days(clock) == days
    assert article in clocks.reasons[clock]


@pytest.mark.parametrize(
    ("code", "gates"),
    [
        ("EU", {"dpia": 0}),
        ("FR", {"works_agreement": 0, "dpia": 0}),
        ("DE", {"works_agreement": 0, "dpia": 0}),
        ("CA-QC", {"declaration": 60, "dpia": 0}),
        ("US-IL", {}),
    ],
)
def test_a_profile_names_what_must_be_done_before(code: str, gates: dict[str, int]) -> None:
    assert {gate.kind.value: gate.days_before for gate in shipped_profiles()[code].gates} == gates


@pytest.mark.parametrize("code", [code for code in ALL if code not in {"EU", "FR", "DE"}])
def test_people_outside_the_eu_sign_no_article_of_the_gdpr(code: str) -> None:
    profile = shipped_profiles()[code]
    signed = " ".join([profile.lawful_basis, *profile.release.values(), *profile.clocks.reasons.values()])
    assert "GDPR" not in signed.replace("UK GDPR", "")
    assert "DSGVO" not in signed
    assert not any(term.startswith("eu-gdpr:") for term in profile.legal_basis_terms)


def test_a_code_without_a_profile_is_unknown() -> None:
    with pytest.raises(UnknownError, match="there is no profile of this code; there are "):
        ProfileCatalogue().get("JP")
    assert ProfileCatalogue().get("eu").code == "EU"
