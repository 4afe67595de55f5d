"""Gates of a jurisdiction: what is missing on a day, by the dates that are declared, and the words of the refusal."""

from datetime import date

import pytest

from volens.consent import RefusedError
from volens.consent.declarations import ZoneFact
from volens.consent.law import GateKind, ProfileCatalogue
from volens.consent.law.gates import FACTS, ClosedGate, check_open, closed_gates
from volens.consent.reason import Reason


def closed(jurisdiction: str, today: str, **facts: str) -> tuple[ClosedGate, ...]:
    profile = ProfileCatalogue().profile_of(jurisdiction)
    declared = {ZoneFact(name): day for name, day in facts.items()}
    return closed_gates(profile, "lobby", jurisdiction, declared, date.fromisoformat(today))


@pytest.mark.parametrize(
    ("jurisdiction", "facts", "missing"),
    [
        ("FR", {}, ["works_agreement", "dpia"]),
        ("FR", {"dpia": "2026-11-01"}, ["works_agreement"]),
        ("DE-BY", {"dpia": "2026-11-01", "works_agreement": "2026-11-30"}, []),
        ("PL", {}, ["dpia"]),
        ("US-IL", {}, []),
        ("CA-QC", {"dpia": "2026-11-01"}, ["declaration"]),
    ],
)
def test_a_gate_is_closed_until_its_date_is_declared(
    jurisdiction: str, facts: dict[str, str], missing: list[str]
) -> None:
    assert [one.gate.kind for one in closed(jurisdiction, "2026-11-30", **facts)] == missing


def test_a_date_in_the_future_opens_on_that_day() -> None:
    (gate,) = closed("PL", "2026-11-30", dpia="2026-12-01")
    assert gate.opens_on == date(2026, 12, 1)
    assert closed("PL", "2026-12-01", dpia="2026-12-01") == ()


def test_quebec_counts_sixty_days_from_the_declaration() -> None:
    facts = {"dpia": "2026-10-01", "declared_on": "2026-10-01"}
    (gate,) = closed("CA-QC", "2026-11-29", **facts)
    assert (gate.opens_on, gate.gate.days_before) == (date(2026, 11, 30), 60)
    assert closed("CA-QC", "2026-11-30", **facts) == ()


def test_the_last_day_that_can_be_declared_never_opens_too_early() -> None:
    (gate,) = closed("CA-QC", "2026-11-30", dpia="2026-10-01", declared_on="9999-12-31")
    assert gate.opens_on == date.max


def test_a_refusal_has_article_question_and_command_of_each_gate() -> None:
    with pytest.raises(RefusedError) as refused:
        check_open(closed("FR", "2026-11-30", dpia="2026-12-24"))
    text = str(refused.value)
    assert text.startswith("zone 'lobby' is not open to people of FR yet, and nothing was recorded: ")
    assert "works council (CSE) give its opinion" in text
    assert "(Code du travail, L. 2312-38); answer with 'volens declare zone lobby works-agreement YYYY-MM-DD'" in text
    assert "by the declared date it opens on 2026-12-24 (GDPR 35(1)" in text
    assert refused.value.reason is Reason.ZONE_NOT_OPEN
    check_open(())


def test_every_kind_of_gate_is_answered_by_a_date() -> None:
    assert set(FACTS) == set(GateKind)
    assert closed("FR", "2026-11-30")[0].sentence("de").startswith("An welchem Tag hat der Betriebsrat")
