"""Withdrawal, expiry and erasure carried out everywhere; certificates."""

from erase.certificate import Certificate, verify_certificate
from erase.cohort import CohortErased, Cohorts
from erase.dossier_check import Dossier, verify_dossier
from erase.execution import AnswerRequests
from erase.operator_key import (
    OperatorKey,
    approval_file,
    approve,
    is_protected,
    public_pem,
    read_approval_file,
    read_public_pem,
)
from erase.plan import Plan, read_plan, read_plan_file
from erase.procedure import CERTIFICATES, Erased, erase_consent, erase_consents, resume
from erase.right import consent_of_code, consent_of_receipt
from erase.sweep import SweepReport, sweep

__all__ = [
    "CERTIFICATES",
    "AnswerRequests",
    "Certificate",
    "CohortErased",
    "Cohorts",
    "Dossier",
    "Erased",
    "OperatorKey",
    "Plan",
    "SweepReport",
    "approval_file",
    "approve",
    "consent_of_code",
    "consent_of_receipt",
    "erase_consent",
    "erase_consents",
    "is_protected",
    "public_pem",
    "read_approval_file",
    "read_plan",
    "read_plan_file",
    "read_public_pem",
    "resume",
    "sweep",
    "verify_certificate",
    "verify_dossier",
]
