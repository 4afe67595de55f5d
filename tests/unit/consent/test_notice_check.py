"""Notices that are drafted from a zone, and notices that are held against it."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.unit.consent.samples import CONTROLLER, zone
from volens.consent import InputError, RefusedError
from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import LANGUAGES, ProfileCatalogue
from volens.consent.notice_check import NoticeProblemKind, check_notice
from volens.consent.notice_draft import draft_notice
from volens.consent.notice_reading import HARD_LIX, anchored, days_in, language_in, lix, without_anchors
from volens.consent.notice_statements import GAP
from volens.consent.notice_words import NoticeWords
from volens.consent.processing_record import NamedRecipient, ProcessingRecord
from volens.consent.receipt import Controller
from volens.consent.zone import AfterLease

CLEANER = NamedRecipient("Bright Floors", "office@bright.example")
SITE_FACTS = {SiteFact.TRANSFERS: "none", SiteFact.DPO: "Dana Doe, dpo@lakeside.example"}
ZONE_FACTS = {ZoneFact.HUMAN_WAY: "ring the bell at the counter"}


def record(
    jurisdiction: str = "FR",
    *,
    recipients: tuple[NamedRecipient, ...] = (),
    site: Mapping[SiteFact, str] = SITE_FACTS,
    zone_facts: Mapping[ZoneFact, str] = ZONE_FACTS,
    controller: Controller = CONTROLLER,
    **changes: Any,  # noqa: ANN401  any term of a zone
) -> ProcessingRecord:
    """Return a complete record, with changes."""
    profile = ProfileCatalogue().profile_of(jurisdiction)
    own = zone(**changes)
    return ProcessingRecord(controller, own, jurisdiction, profile, recipients, site, zone_facts)


def question(fact: SiteFact | ZoneFact) -> str:
    return f"What about {fact.value}?"


def draft(one: ProcessingRecord, language: str = "en") -> str:
    return draft_notice([one], language, question)


def found(text: str, one: ProcessingRecord, language: str = "en") -> dict[str, NoticeProblemKind]:
    return {problem.statement: problem.kind for problem in check_notice(text, language, [one]).problems}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("jurisdiction", ["FR", "DE", "GB", "US-IL", "US-TX", "US-CO", "CA-QC", "BR", "IT"])
def test_a_draft_passes_its_own_check_in_each_language_and_law(language: str, jurisdiction: str) -> None:
    one = record(jurisdiction, recipients=(CLEANER,))
    report = check_notice(draft(one, language), language, [one])
    assert report.problems == ()
    assert report.warnings == ()


@pytest.mark.parametrize(
    "changes",
    [
        {"custody": "badge"},
        {"custody": "subject_key", "liveness": "challenge"},
        {"second_factor": "pin", "liveness": "pack"},
        {"trigger": "passing", "match_history_days": 0},
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_draft_follows_each_rule_of_the_zone(language: str, changes: dict[str, Any]) -> None:
    one = record(**changes)
    text = draft(one, language)
    assert found(text, one, language) == {}
    assert set(found(text, record(), language)) & {"custody", "trigger", "match_history"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_says_for_how_long_a_door_may_still_know_a_person(language: str) -> None:
    leased = record(lease_seconds=75)
    text = draft(leased, language)
    assert found(text, leased, language) == {}
    assert "75" in text
    assert "lease" in found(draft(record(), language), leased, language)
    assert "lease" in found(text, record(lease_seconds=60), language)
    then_badge = draft(record(lease_seconds=75, after_lease=AfterLease.BADGE), language)
    assert found(then_badge, leased, language) == {}
    assert len(then_badge) > len(text)


def test_a_draft_names_each_fact_that_no_one_declared_as_a_gap_with_its_question() -> None:
    one = record(site={}, zone_facts={})
    text = draft(one)
    assert f"{GAP}What about transfers?]" in text
    assert f"{GAP}What about human_way?]" in text
    assert found(text, one) == dict.fromkeys(("", "transfers", "human_way"), NoticeProblemKind.GAP)
    assert found(text, record())[""] is NoticeProblemKind.GAP


def test_a_draft_begins_with_one_screen_and_has_one_statement_for_each_law() -> None:
    records = [record("FR"), record("US-IL")]
    text = draft_notice(records, "en", question)
    short, full = text.split("\n---\n")
    assert len(short.split()) < 220
    for one in records:
        assert one.profile.authority.url in full
    assert check_notice(text, "en", records).problems == ()
    assert "authority" in {one.statement for one in check_notice(draft(records[0]), "en", records).problems}


def test_no_draft_is_made_in_a_language_without_words() -> None:
    with pytest.raises(InputError, match=r"got language 'pl'; a notice can be drafted in en, fr, de; write one"):
        draft_notice([record()], "pl", question)


def test_a_notice_that_reads_hello_is_refused_with_all_that_it_lacks() -> None:
    report = check_notice("hello", "en", [record()])
    with pytest.raises(RefusedError, match=r"cannot be the notice of zone 'front-door'") as refused:
        report.refuse("front-door")
    assert {one.kind for one in report.problems} == {NoticeProblemKind.MISSING}
    for article in (
        "13(1)(a)",
        "13(1)(c)",
        "13(1)(e)",
        "13(1)(f)",
        "13(2)(a)",
        "13(2)(b)",
        "13(2)(d)",
        "22(3)",
        "7(4)",
    ):
        assert article in str(refused.value)
    assert 'add it, with "Lakeside Bakery"' in str(refused.value)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_recipients_is_a_contradiction_if_there_is_one(language: str) -> None:
    one = record(recipients=(CLEANER,))
    assert found(draft(record(), language), one, language) == {"recipients": NoticeProblemKind.CONTRADICTION}
    unnamed = draft(one, language).replace(CLEANER.name, "a company")
    assert found(unnamed, one, language) == {"recipients": NoticeProblemKind.MISSING}


@pytest.mark.parametrize(
    ("change", "statement"),
    [
        (("365 days", "30 days"), "retention"),
        (("privacy@lakeside.example", "us"), "contact"),
        (("Lakeside Bakery", "The bakery"), "controller"),
        (("dpo@lakeside.example", "the officer"), "dpo"),
        (("We hold the key to these numbers.", "You alone hold the key to these numbers."), None),
        (("<!-- volens:custody operator -->", "<!-- volens:custody badge -->"), "custody"),
        (("<!-- volens:transfers none -->", "<!-- volens:transfers declared -->"), "transfers"),
        (("<!-- volens:lease 0 -->", "<!-- volens:lease 900 -->"), "lease"),
    ],
)
def test_a_text_that_contradicts_the_zone_is_found(change: tuple[str, str], statement: str | None) -> None:
    one = record(site=SITE_FACTS)
    text = draft(one)
    assert change[0] in text
    problems = found(text.replace(*change), one)
    assert problems == {} if statement is None else statement in problems


def test_the_authority_is_found_by_its_name_or_its_address() -> None:
    one = record()
    authority = one.profile.authority
    by_name = draft(one).replace(authority.url, "its pages")
    assert found(by_name, one) == {}
    neither = by_name.replace(authority.name["en"], "the authority")
    assert found(neither, one) == {"authority": NoticeProblemKind.MISSING}


def test_a_sentence_of_another_custody_is_a_contradiction_even_beside_the_right_one() -> None:
    wrong = NoticeWords("en")("custody badge")
    assert found(f"{draft(record())}\n{wrong}\n", record()) == {"custody": NoticeProblemKind.CONTRADICTION}


def test_a_notice_may_announce_that_everyone_who_passes_is_compared_and_then_must() -> None:
    near, passing = record(), record(trigger="passing")
    assert found(draft(passing), near) == {}
    assert found(draft(near), passing) == {"trigger": NoticeProblemKind.CONTRADICTION}
    own = draft(passing).replace(NoticeWords("en")("trigger passing"), "It looks at all people.")
    assert found(own, passing) == {"trigger": NoticeProblemKind.MISSING}
    assert found(own, passing, "pl") == {"trigger": NoticeProblemKind.MISSING}


def test_own_words_with_anchors_are_enough_where_a_statement_has_no_names() -> None:
    one = record()
    sentence = NoticeWords("en")("automated")
    text = draft(one).replace(sentence, "Software opens the door, and it is sometimes wrong.")
    assert found(text, one) == {}
    bare = text.replace("<!-- volens:automated -->", "")
    assert found(bare, one) == {"automated": NoticeProblemKind.MISSING}
    assert found(text.replace("Software opens the door, and it is sometimes wrong.", ""), one) == {
        "automated": NoticeProblemKind.MISSING
    }


def test_a_notice_in_a_language_without_words_needs_its_facts_and_anchors() -> None:
    one = record()
    assert "automated" in found("Dzień dobry.", one, "pl")
    assert found(draft(one), one, "pl") == {}


@pytest.mark.parametrize(("written", "said"), [("en", "fr"), ("fr", "de"), ("de", "en")])
def test_a_text_in_another_language_than_it_says_is_found(written: str, said: str) -> None:
    one = record()
    assert found(draft(one, written), one, said)[""] is NoticeProblemKind.LANGUAGE
    assert language_in(draft(one, written)) == written
    assert language_in("hello") is None


def test_the_name_of_an_example_is_refused_unless_the_site_has_it() -> None:
    one = record()
    left = draft(one) + "\nExample Ltd, privacy@example.org\n"
    assert found(left, one) == {"": NoticeProblemKind.EXAMPLE}
    own = record(controller=Controller(CONTROLLER.site_id, "Example Ltd", "privacy@example.org"))
    assert found(draft(own), own) == {}


@pytest.mark.parametrize(
    ("language", "said", "denied"),
    [
        ("en", "You get a gift card if you agree.", "There is no gift and no reward."),
        ("en", "People who say no have to wait longer.", "You never wait longer."),
        ("fr", "Vous recevez un bon d'achat.", "Il n'y a aucun cadeau."),
        ("fr", "Le badge est à vos frais.", "Rien n'est à vos frais."),
        ("de", "Sie bekommen einen Gutschein.", "Es gibt keine Belohnung."),
        ("de", "Der Ausweis kostet eine Gebühr.", "Der Ausweis kostet keine Gebühr."),
    ],
)
def test_a_reward_or_a_worse_way_is_refused_and_its_denial_is_not(language: str, said: str, denied: str) -> None:
    one = record()
    text = draft(one, language)
    assert NoticeProblemKind.REWARD in found(f"{text}\n{said}\n", one, language).values()
    assert found(f"{text}\n{denied}\n", one, language) == {}


def test_a_hard_text_and_a_missing_officer_are_warnings() -> None:
    one = record(site={SiteFact.TRANSFERS: "none"})
    hard = " ".join(["Notwithstanding organisational confidentiality considerations"] * 120)
    report = check_notice(f"{draft(one)}\n{hard}.\n", "en", [one])
    assert report.problems == ()
    assert [one.statement for one in report.warnings] == ["dpo", ""]
    assert report.lix > HARD_LIX


def test_readability_is_words_per_sentence_plus_the_share_of_long_words() -> None:
    assert lix("") == 0
    assert lix("A cat sat here. It slept.") == 6 / 2
    assert lix("<!-- volens:controller -->\nConsiderable **information** here.") == 3 + 100 * 2 / 3


def test_days_are_read_in_three_languages_and_other_numbers_are_not() -> None:
    assert days_in("90 days, 1,098 days, 30 jours, 7 Tagen, 12 months and 2019-001") == {90, 1098, 30, 7}


def test_an_anchored_paragraph_ends_with_its_text() -> None:
    text = "<!-- volens:rights -->\nYou may:\n\n- see\n- erase\n\nOther.\n\n<!-- volens:data x -->We store.\n# End\n"
    assert anchored(text, "rights") == [("", "You may:\n\n- see\n- erase")]
    assert anchored(text, "data") == [("x", "We store.")]
    assert "volens:" not in without_anchors(text)
