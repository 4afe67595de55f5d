"""What an event of the audit log changes for a gallery and its hot set; of a kind that is unknown here, everything.

| events | gallery | rows of the hot set |
|---|---|---|
| ``reference.enrolled``, ``reference.renewed`` | one more sketch | none: the new one is read when it is needed |
| ``reference.replaced`` | one more sketch, another is removed | the row of the other is removed |
| ``consent.ended`` | a sketch is removed | its row is removed |
| ``consent.restricted``, ``consent.resumed`` | the set of restricted references is read again | none |
| ``zone``, ``notice``, ``leaving``, ``keys``, ``store`` and unknown ones | none | all are read again |
| all others, such as visits, requests, certificates, papers, offers, new consents, witnesses | none | none |
"""

from collections.abc import Iterable
from typing import Final

from volens.store.log import CONSENT_ENDED, REFERENCE_REPLACED
from volens.store.people.restrictions import RESTRICTED, RESUMED

REMOVING: Final = frozenset({CONSENT_ENDED, REFERENCE_REPLACED})
"""Events that remove references."""

RESTRICTING: Final = frozenset({RESTRICTED, RESUMED})
"""Events that restrict the processing of a person's data, or lift that."""

_ADDING: Final = frozenset({"reference.enrolled", "reference.renewed", REFERENCE_REPLACED})
_ABOUT_A_CONSENT: Final = frozenset(
    {"consent.offered", "consent.given", "consent.renewed", "consent.corrected", "consent.code_reissued"}
)

_WITHOUT_EFFECT: Final = frozenset(
    {
        *(
            "access",
            "backup",
            "badge",
            "cohort",
            "collecting",
            "credential",
            "door",
            "endpoint",
            "enrollment",
        ),
        *(
            "erasure",
            "evidence",
            "external_id",
            "factor",
            "invitation",
            "job",
            "lease",
            "message",
            "offer",
            "openings",
            "operator",
            "paper",
            "people",
            "recipient",
            "request",
            "revocation",
            "sender",
            "service",
            "shard",
            "witness",
        ),
    }
)
"""Kinds up to the dot. What a second factor or an order says is read from the store where it is needed."""


def changes_nothing(kinds: Iterable[str]) -> bool:
    """Return whether neither a gallery nor its hot set need change after events of these kinds."""
    return all(kind.partition(".")[0] in _WITHOUT_EFFECT or kind in _ABOUT_A_CONSENT for kind in kinds)


def outdates_rows(kinds: frozenset[str] | set[str]) -> bool:
    """Return whether these events may have changed the end of a consent, a rule of a zone, or how secrets are wrapped.

    Not the end of a consent itself: its row is removed. An erasure may also wrap other people's secrets again; a row of
    before does not open then, and is read again.
    """
    return not changes_nothing(kinds - REMOVING - _ADDING - RESTRICTING)
