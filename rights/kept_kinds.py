"""What is kept besides the data of a consent in force, kind by kind: its period, and for each jurisdiction the article.

Derived from the retention registry (`volens.store.schema.retention`), which the sweep carries out, and from the
profiles. It depends on no person.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from volens.consent.law import JurisdictionProfile
from volens.erase.pages import DEFAULT_LANGUAGE, PageWords
from volens.store.schema.retention import RETENTION, Kind, Period, Retention

_WORDS: Final = PageWords("retention_policy", DEFAULT_LANGUAGE)
_ELSEWHERE: Final = frozenset({Period.CONSENT, Period.ZONE})
"""The clocks of a zone state these."""


def kept_kinds(profiles: Sequence[tuple[str, JurisdictionProfile]]) -> list[dict[str, Any]]:
    """Return the kinds that have a period of their own, in the order of `Kind`.

    `profiles` are the jurisdictions that the policy states, each with its profile. A period that a profile sets is
    stated for each of them; the others are the same everywhere.
    """
    return [
        {
            "volens:kind": kind.value,
            "dct:description": _WORDS.text(f"kept {kind.value}"),
            "volens:since": its.since,
            "volens:periods": _periods(its, profiles),
        }
        for kind, its in _by_kind().items()
    ]


def _by_kind() -> Mapping[Kind, Retention]:
    found = {one.kind: one for one in RETENTION.values() if one.period not in _ELSEWHERE}
    return {kind: found[kind] for kind in Kind if kind in found}


def _periods(its: Retention, profiles: Sequence[tuple[str, JurisdictionProfile]]) -> list[dict[str, Any]]:
    if its.days is not None:
        return [{"volens:days": its.days}]
    return [
        {
            "volens:jurisdiction": code,
            "volens:days": profile.clocks.days(its.period.value),
            "dct:source": profile.clocks.reasons[its.period.value],
        }
        for code, profile in profiles
    ]
