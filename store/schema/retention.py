"""Retention registry: how long rows are kept that name a person, or that say when a person did something.

Every table of the data file is here: in `RETENTION` with its period, or in `NAMELESS` with the reason why it needs
none. The sweep carries the periods out (`volens.erase.outdated_evidence`), the retention policy lists them by kind
(`volens.rights.kept_kinds`), and a test finds a table that is in neither.

Only the leaves of the main log stay for ever: kind, time and a hash, about no one by themselves. Leaves of visits are
in shards, which are deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from volens.store.schema.personal_tables import PERSONAL


class Period(StrEnum):
    """Which period counts. The values of the last three are names of clocks of a jurisdiction profile."""

    CONSENT = "consent"
    """While the consent is in force."""
    ZONE = "match_history_days"
    """The days for which the zone keeps visits."""
    FIXED = "fixed"
    """The same number of days everywhere."""
    EVIDENCE = "evidence_days"
    REQUESTS = "requests_days"
    LOG = "log_openings_days"


class Kind(StrEnum):
    """What rows are about, as the retention policy lists it."""

    FACE_DATA = "face_data"
    VISITS = "visits"
    NAMES_SHOWN = "names_shown"
    STORED_ANSWERS = "stored_answers"
    EVIDENCE = "evidence"
    ORDERS = "orders"
    REQUESTS = "requests"
    LOG_DETAILS = "log_details"
    INVITATIONS = "invitations"
    MESSAGES = "messages"
    JOBS = "jobs"
    DOORS = "doors"
    CREDENTIALS = "credentials"
    DECLARATIONS = "declarations"
    OPERATORS = "operators"


@final
@dataclass(frozen=True, slots=True)
class Retention:
    """How long the rows of a table are kept at most.

    Attributes:
        since: the event from which the days count.
        days: of a fixed period.
    """

    kind: Kind
    period: Period
    since: str
    days: int | None = None


_CONSENT: Final = Retention(Kind.FACE_DATA, Period.CONSENT, "until the consent ends")
_EVIDENCE: Final = Retention(Kind.EVIDENCE, Period.EVIDENCE, "the end of the consent")
_ORDER: Final = Retention(Kind.ORDERS, Period.EVIDENCE, "the first end of a consent that it lists")
_LOGGED: Final = Retention(Kind.LOG_DETAILS, Period.LOG, "the entry in the log")
_CREDENTIAL: Final = Retention(Kind.CREDENTIALS, Period.LOG, "the end of the credential")
_DECLARED: Final = Retention(Kind.DECLARATIONS, Period.LOG, "a newer declaration of the same fact")

RETENTION: Final[Mapping[str, Retention]] = {
    "live_consent": _CONSENT,
    **{one.table.name: _CONSENT for one in PERSONAL},
    **dict.fromkeys(("passage", "shard_opening"), Retention(Kind.VISITS, Period.ZONE, "the visit")),
    "name_disclosure": Retention(Kind.NAMES_SHOWN, Period.FIXED, "the day", 366),
    "kept_answer": Retention(Kind.STORED_ANSWERS, Period.FIXED, "the request", 1),
    **dict.fromkeys(("receipt", "consent_end", "erasure", "certificate", "acknowledgement"), _EVIDENCE),
    "webhook_outbox": _EVIDENCE,
    **dict.fromkeys(("cohort", "cohort_member", "proposed_order"), _ORDER),
    "access_request": Retention(Kind.REQUESTS, Period.REQUESTS, "the answer"),
    "audit_opening": _LOGGED,
    "invitation": Retention(Kind.INVITATIONS, Period.FIXED, "the end of the invitation", 30),
    "webhook_message": Retention(Kind.MESSAGES, Period.FIXED, "its arrival", 30),
    "job": Retention(Kind.JOBS, Period.FIXED, "its end", 30),
    "door_report": Retention(Kind.DOORS, Period.FIXED, "the last sign of the door", 30),
    **dict.fromkeys(("api_credential", "staff_passkey"), _CREDENTIAL),
    **dict.fromkeys(("site_declaration", "zone_declaration"), _DECLARED),
    "operator_key": Retention(Kind.OPERATORS, Period.EVIDENCE, "the removal of the operator"),
}
"""By table. Rows that belong to a consent are deleted with it even if another period is longer."""

NAMELESS: Final[Mapping[str, str]] = {
    "site": "the controller, an organisation, and the site's public key",
    **dict.fromkeys(
        ("zone", "zone_change", "shorter_retention", "zone_calibration"), "what a zone promises to everyone"
    ),
    "notice": "a text for everyone",
    **dict.fromkeys(("operators_required", "site_default"), "settings of the site"),
    "jurisdiction_profile": "the law of a place, as the site reads it",
    "made_paper": "the hash and the day of a document about a zone",
    "collection_stop": "an order about a zone or a jurisdiction",
    "recipient": "an organisation that gets data; people are told of former ones too (GDPR 15(1)(c))",
    "witness": "an organisation that cosigns the log",
    **dict.fromkeys(("webhook_endpoint", "webhook_sender", "webhook_sender_key"), "a program of an organisation"),
    "lease": "a permission of a door, about a whole zone; deleted an hour after its end, or with the credential",
    "process": "a program of the site; deleted ten minutes after its last sign",
    "row_seal": "MACs of rows that are there; deleted with them",
    **dict.fromkeys(
        ("audit_event", "audit_node", "audit_checkpoint", "cosignature"),
        "hashes, kinds and times of a log about no one",
    ),
    **dict.fromkeys(("log_shard", "shard_leaf"), "as of the log; deleted when the period of its last visit is over"),
}
"""Tables whose rows name no person and no moment of a person, and why."""
