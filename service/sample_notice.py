"""Publishes a drafted notice with sample answers, for the demo, benchmarks and tests; no real site has these."""

from collections.abc import Mapping
from typing import Final

from volens import Notice, Site
from volens.consent.declarations import SiteFact, ZoneFact
from volens.consent.law import LANGUAGES
from volens.consent.notice import parse_language

_TRANSFERS: Final = "none"
HUMAN_WAY: Final = "The desk opens for you."


def publish_sample_notice(
    site: Site,
    zone: str,
    language: str = "en",
    *,
    more: str = "",
    supersedes_within_days: int | None = None,
    trigger: str | None = None,
    translated: Mapping[str, str] | None = None,
) -> Notice:
    """Declare what a notice needs, if it is not declared yet, and publish the draft of a zone's notice.

    Args:
        site: an open one.
        zone: its name.
        language: of the notice; where there are no words in it, the English draft with its anchors is published.
        more: a last paragraph, by which versions differ.
        supersedes_within_days: so many days people have to agree to this version.
        trigger: that the notice announces.
        translated: texts that the controller declared, in the language of the notice.
    """
    declare_sample_facts(site, zone)
    words = language if parse_language(language).partition("-")[0] in LANGUAGES else "en"
    text, _gaps = site.notices.draft(zone, words, trigger=trigger)
    for declared, meant in (translated or {}).items():
        text = text.replace(declared, meant)
    if more.strip():
        text += f"\n{more}\n"
    return site.publish_notice(
        zone, language=language, text=text.encode("utf-8"), supersedes_within_days=supersedes_within_days
    )


def declare_sample_facts(site: Site, zone: str) -> None:
    """Declare the facts that a notice needs, where they are not declared yet."""
    if SiteFact.TRANSFERS not in site.declarations.of_site():
        site.declarations.declare({SiteFact.TRANSFERS.value: _TRANSFERS})
    if ZoneFact.HUMAN_WAY not in site.declarations.of_zone(zone):
        site.declarations.declare_zone(zone, {ZoneFact.HUMAN_WAY.value: HUMAN_WAY})
