"""Illinois: the public policy (BIPA 15(a)) and the written release (15(b)), from the profile and the zone.

The release is the text that people of Illinois sign as their receipt; here it is with the longest term of the zone.
"""

from datetime import date
from typing import Final

from volens.consent.clocks import LEGAL_SOURCES
from volens.consent.declarations import SiteFact
from volens.consent.law import Source
from volens.rights.papers.paper import Draft, Gap, Row, Section
from volens.rights.papers.paper_facts import PaperFacts

SOURCES: Final = (
    Source(
        "http://laws9.com/statutes/illinois/chapter740/3004",
        date(2026, 11, 30),
        "740 ILCS 14/15(a) to (e): policy, release, no sale, disclosure by consent only, reasonable care",
    ),
)
NOT_CHECKED: Final = ("Whether the exemptions of BIPA 25 hold for this controller.",)


def bipa_paper(facts: PaperFacts) -> Draft:
    """Return policy and release of one zone."""
    words, policy, record = facts.words("paper_bipa"), facts.words("retention_policy"), facts.record
    days = {"days": record.max_term_days, "inactive_days": record.inactive_after_days}
    clocks = tuple(policy.text(f"clock {reason.value}", **days) for reason in LEGAL_SOURCES)

    def ask(name: str) -> Row:
        return Row(words.text(f"ask {name}"), Gap(words.text(f"question {name}"), None))

    release = record.profile.release_text(
        facts.language,
        controller=record.controller.name,
        zone=facts.zone_name,
        days=record.max_term_days,
        purpose=facts.purpose_words,
    )
    sections = (
        Section(
            words.text("heading policy"),
            text=(words.text("policy_text", controller=record.controller.name),),
            rows=(*facts.controller_rows()[:3], facts.row("purpose", facts.purpose), facts.row("data", facts.data)),
        ),
        Section(words.text("heading schedule"), text=(words.text("schedule_text"),), points=clocks),
        Section(
            words.text("heading destruction"),
            text=(f"{policy.text('afterwards')[:1].upper()}{policy.text('afterwards')[1:]}.",),
            rows=facts.period_rows(),
        ),
        Section(
            words.text("heading disclosure"),
            rows=(facts.row("recipients", facts.recipients), ask("sale"), ask("warrant")),
        ),
        Section(
            words.text("heading care"),
            rows=(
                *(Row(title, text) for title, text in facts.measures()),
                facts.site(SiteFact.STORAGE_PLACE),
                ask("published"),
            ),
        ),
        Section(words.text("heading release"), text=(" ".join(release.split()), words.text("release_text"))),
    )
    return Draft(words.text("title"), sections, SOURCES, NOT_CHECKED)
