"""Terms of the Data Privacy Vocabulary (DPV 2.2) in the policy, in access answers, and for records of processing.

A test compares every term with a list of those that were found in the vocabulary. A member of ours has the prefix
``volens``; where DPV has no term, there is none, and the words say it.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from volens.consent import EndReason
from volens.consent.law import Right
from volens.consent.processing_record import Comparison, ProcessingRecord

DPV_CONTEXT: Final = {
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "pd": "https://w3id.org/dpv/pd#",
    "dct": "http://purl.org/dc/terms/",
}
PERSONAL_DATA: Final = ("pd:FacialPrint", "pd:Name")
"""`volens.consent.processing_record.ATTRIBUTES` in DPV's categories of personal data."""

_GDPR: Final = "eu-gdpr:"
_RIGHTS: Final = {
    Right.ACCESS: "eu-gdpr:A15",
    Right.RECTIFICATION: "eu-gdpr:A16",
    Right.ERASURE: "eu-gdpr:A17",
    Right.RESTRICTION: "eu-gdpr:A18",
    Right.PORTABILITY: "eu-gdpr:A20",
    Right.OBJECTION: "eu-gdpr:A21",
    Right.WITHDRAWAL: "eu-gdpr:A7-3",
    Right.COMPLAINT: "eu-gdpr:A77",
}
"""Rights of the GDPR. For an explanation DPV has none: article 22 is about the decision, not about its reasons."""

_STATUS: Final = {
    **dict.fromkeys((EndReason.WITHDRAWN, EndReason.REQUESTED), "dpv:ConsentWithdrawn"),
    **dict.fromkeys((EndReason.EXPIRED, EndReason.RETENTION, EndReason.INACTIVE), "dpv:ConsentExpired"),
    **dict.fromkeys((EndReason.SUPERSEDED, EndReason.RENEWED), "dpv:ConsentExpired"),
    **dict.fromkeys((EndReason.LEFT, EndReason.ORDERED, EndReason.LOST), "dpv:ConsentRevoked"),
    EndReason.ZONE_REMOVED: "dpv:ConsentRevoked",
}
"""Withdrawn is what the person ended, expired what time did, revoked what others did."""


def purpose_terms(comparison: Comparison) -> list[str]:
    """Return the purposes of a zone. One that searches all references never says that it verifies an identity."""
    if comparison is Comparison.VERIFICATION:
        return ["dpv:EnforceAccessControl", "dpv:IdentityVerification"]
    return ["dpv:EnforceAccessControl"]


def legal_basis_terms(records: Iterable[ProcessingRecord]) -> list[str]:
    """Return the legal bases of the profiles of some records, each once."""
    return list(dict.fromkeys(term for one in records for term in one.profile.legal_basis_terms))


def right_terms(records: Sequence[ProcessingRecord]) -> list[str]:
    """Return the rights of the profiles that are of the GDPR, each once; DPV has no terms for those of other laws."""
    gdpr = [one for one in records if any(term.startswith(_GDPR) for term in one.profile.legal_basis_terms)]
    promised = {right for one in gdpr for right in one.profile.rights}
    return [term for right, term in _RIGHTS.items() if right in promised]


def status_term(ended: EndReason | None) -> str:
    """Return the status of a consent; without an end it is given."""
    return "dpv:ConsentGiven" if ended is None else _STATUS[ended]
