"""What a data subject agreed to: zone, notice, receipt, signature, grant, withdrawal. Pure: no I/O, SQL or FAISS."""

from consent.badge import Badge
from consent.clocks import (
    INACTIVE_AFTER_DAYS,
    LEGAL_SOURCES,
    MAX_SUPERSEDING_DAYS,
    ClockFacts,
    Deadline,
    Superseding,
    deadlines,
    first_deadline,
    fixed_deadline,
    inactive_at,
    superseded_at,
)
from consent.embedding import ConsentedEmbedding, FloatArray, ProbeEmbedding, UnitVector
from consent.errors import (
    ConsentExpiredError,
    EnrollmentError,
    ErasureIncompleteError,
    ForeignReceiptError,
    ForgedGrantError,
    InputError,
    NoLiveConsentError,
    ReceiptError,
    ReceiptSignatureError,
    RefusedError,
    TamperError,
    UnavailableError,
    UnknownError,
    VolensError,
)
from consent.gate import ConsentLedger, admit, permit_probe
from consent.grant import ConsentGrant, ProbePermit
from consent.ids import DataSubjectId, ModelId, Purpose, ReceiptId, ReferenceId, SiteId, parse_purpose
from consent.notice import Notice
from consent.person_secret import PersonSecret
from consent.receipt import (
    Controller,
    ReceiptClaims,
    UnverifiedReceipt,
    VerifiedReceipt,
    sign_receipt,
    verify_receipt,
    verify_stored,
)
from consent.shown_factor import ShownFactor, check_kind
from consent.subject_key import SubjectKey, SubjectPublicKey
from consent.take_home import TakeHome
from consent.times import format_time, months_later, parse_time, whole_seconds
from consent.withdrawal import EndReason, WithdrawalCode
from consent.zone import Custody, Promises, SecondFactor, Zone

__all__ = [
    "INACTIVE_AFTER_DAYS",
    "LEGAL_SOURCES",
    "MAX_SUPERSEDING_DAYS",
    "Badge",
    "ClockFacts",
    "ConsentExpiredError",
    "ConsentGrant",
    "ConsentLedger",
    "ConsentedEmbedding",
    "Controller",
    "Custody",
    "DataSubjectId",
    "Deadline",
    "EndReason",
    "EnrollmentError",
    "ErasureIncompleteError",
    "FloatArray",
    "ForeignReceiptError",
    "ForgedGrantError",
    "InputError",
    "ModelId",
    "NoLiveConsentError",
    "Notice",
    "PersonSecret",
    "ProbeEmbedding",
    "ProbePermit",
    "Promises",
    "Purpose",
    "ReceiptClaims",
    "ReceiptError",
    "ReceiptId",
    "ReceiptSignatureError",
    "ReferenceId",
    "RefusedError",
    "SecondFactor",
    "ShownFactor",
    "SiteId",
    "SubjectKey",
    "SubjectPublicKey",
    "Superseding",
    "TakeHome",
    "TamperError",
    "UnavailableError",
    "UnitVector",
    "UnknownError",
    "UnverifiedReceipt",
    "VerifiedReceipt",
    "VolensError",
    "WithdrawalCode",
    "Zone",
    "admit",
    "check_kind",
    "deadlines",
    "first_deadline",
    "fixed_deadline",
    "format_time",
    "inactive_at",
    "months_later",
    "parse_purpose",
    "parse_time",
    "permit_probe",
    "sign_receipt",
    "superseded_at",
    "verify_receipt",
    "verify_stored",
    "whole_seconds",
]
