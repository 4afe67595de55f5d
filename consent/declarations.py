"""Declarations: facts about a site and its zones that the program cannot know, and that notices and papers state.

The controller declares them in its own words or as a date or a number. A fact that no one declared is a gap: notices
and papers name the question and never make up an answer.
"""

from datetime import date
from enum import StrEnum
from typing import Final, TypeVar

from volens.consent.errors import InputError
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.typed_text import comparison_key, nearest, parse_text

MAX_FACT_CHARACTERS: Final = 2000
MAX_WAIT_S: Final = 24 * 60 * 60


class SiteFact(StrEnum):
    """A fact about the controller and its whole site (GDPR 13(1), 30(1), 33)."""

    ADDRESS = "address"
    """The postal address of the controller."""
    REPRESENTATIVE = "representative"
    """The representative in the Union, with a contact (GDPR 27)."""
    DPO = "dpo"
    """The data protection officer, with a contact (GDPR 37)."""
    SECURITY_CONTACT = "security_contact"
    """Who receives reports of weaknesses."""
    INCIDENT_CONTACT = "incident_contact"
    """Who leads the response to a personal data breach."""
    INCIDENT_PROTOCOL = "incident_protocol"
    """What the controller does when data is lost or stolen (C.R.S. 6-1-1314 wants it in the public policy)."""
    JURISDICTIONS = "jurisdictions"
    """Of which jurisdictions people are asked, as ISO 3166 codes; without it, of all that have a profile."""
    STORAGE_PLACE = "storage_place"
    """Where the machines stand, and who runs them."""
    TRANSFERS = "transfers"
    """To which third countries data goes, and by which safeguard (GDPR 44 to 49); ``none`` if to none."""
    WORKERS_REPRESENTATIVES = "workers_representatives"
    """The works council, union or staff delegation that was informed."""


class ZoneFact(StrEnum):
    """A fact about one zone.

    The first four are the answers that the CNIL asks of a controller which keeps the key itself (model regulation
    2019-001); the answer why types 1 and 2 are not enough is the zone's justification.
    """

    AFFECTED = "affected"
    """Whose faces are processed, such as the staff of one building."""
    CONTEXT = "context"
    """What is protected there, and from what."""
    WHY_NOT_BADGE = "why_not_badge"
    """Why a badge, a PIN or a guard is not enough."""
    WHY_FACE = "why_face"
    """Why this biometric characteristic and no other."""
    ALTERNATIVE_COST = "alternative_cost"
    """What the alternative costs the person; ``nothing`` is the answer that consent needs."""
    ALTERNATIVE_TIME = "alternative_time"
    """How long the alternative takes, compared with the face."""
    ALTERNATIVE_PLACE = "alternative_place"
    """Where the alternative is: at the same door, or where else."""
    HUMAN_WAY = "human_way"
    """Who opens, and where to ask, when the door refuses a person (GDPR 22(3))."""
    WORKS_AGREEMENT = "works_agreement"
    """The day on which the works agreement was signed."""
    DPIA = "dpia"
    """The day on which the data protection impact assessment was approved (GDPR 35)."""
    DECLARED_ON = "declared_on"
    """The day on which the biometric database was declared to the authority that asks for it."""
    MINORS = "minors"
    """``refused``, or ``guardian`` if minors are taken with the signature of a guardian."""
    FACE_WAIT_S = "face_wait_s"
    """Seconds that people wait at the doors that compare faces, as the operator measured it."""
    ALTERNATIVE_WAIT_S = "alternative_wait_s"
    """Seconds that people wait who use the alternative, as the operator measured it."""


DATES: Final = frozenset({ZoneFact.WORKS_AGREEMENT, ZoneFact.DPIA, ZoneFact.DECLARED_ON})
SECONDS: Final = frozenset({ZoneFact.FACE_WAIT_S, ZoneFact.ALTERNATIVE_WAIT_S})
CHOICES: Final[dict[SiteFact | ZoneFact, tuple[str, ...]]] = {ZoneFact.MINORS: ("refused", "guardian")}
_Fact = TypeVar("_Fact", SiteFact, ZoneFact)


def parse_fact(kind: type[_Fact], name: str) -> _Fact:
    """Return the fact of a typed name, such as ``works-agreement``.

    Raises:
        InputError: there is no such fact.
    """
    wanted = comparison_key(name).replace("-", "_")
    try:
        return kind(wanted)
    except ValueError:
        close = nearest(wanted, kind)
        hint = f"; did you mean {close[0]}" if close else ""
        raise InputError(f"there is no fact {name[:40]!r}{hint}; expected one of {', '.join(kind)}") from None


def parse_declaration(fact: SiteFact | ZoneFact, text: str) -> str:
    """Return the value of a fact in its stored form.

    Raises:
        InputError: a date is not ``YYYY-MM-DD``, a number of seconds not 0 to 86400, a choice not one of its words, a
            jurisdiction not an ISO 3166 code, or a text not 1 to 2,000 characters (`volens.consent.typed_text`).

    Not checked: whether it is true.
    """
    value = parse_text(text, f"the fact {fact.value!r}", MAX_FACT_CHARACTERS, lines=True)
    if fact in DATES:
        return _day(fact, value)
    if fact in SECONDS:
        return _seconds(fact, value)
    if fact is SiteFact.JURISDICTIONS:
        return _codes(value)
    if fact in CHOICES and value not in CHOICES[fact]:
        raise InputError(f"got {fact.value} {value[:40]!r}; expected one of {', '.join(CHOICES[fact])}")
    return value


def declared_jurisdictions(value: str) -> tuple[str, ...]:
    """Return the codes of a stored `SiteFact.JURISDICTIONS`, in the order in which they were declared."""
    return tuple(value.split(", "))


def declared_day(value: str) -> date:
    """Return the date of a stored fact of `DATES`."""
    return date.fromisoformat(value)


def _codes(value: str) -> str:
    codes = dict.fromkeys(map(parse_jurisdiction, value.replace(",", " ").split()))
    if not codes:
        raise InputError(f"got jurisdictions {value[:40]!r}; expected ISO 3166 codes such as 'FR, US-IL'")
    return ", ".join(codes)


def _day(fact: SiteFact | ZoneFact, value: str) -> str:
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise InputError(f"got {fact.value} {value[:40]!r}; expected a date such as 2026-11-30") from None


def _seconds(fact: SiteFact | ZoneFact, value: str) -> str:
    if not (value.isascii() and value.isdigit() and int(value) <= MAX_WAIT_S):
        raise InputError(f"got {fact.value} {value[:40]!r}; expected a number of seconds from 0 to {MAX_WAIT_S}")
    return str(int(value))
