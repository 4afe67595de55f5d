"""Withdrawal, expiry and erasure carried out everywhere; certificates."""

from erase.access_answer import AccessAnswer, answer_access, is_about
from erase.access_check import MAX_FILE_BYTES as MAX_ANSWER_BYTES
from erase.access_check import verify_answer
from erase.acknowledgement import MAX_STATEMENT_BYTES, sign_statement
from erase.certificate import Certificate, verify_certificate
from erase.certify import CERTIFICATES, Erased
from erase.clocks import SiteClocks
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
from erase.policy import build_policy, policy_file, policy_page, verify_policy
from erase.procedure import erase_consent, erase_consents, resume, resume_all, resume_begun
from erase.prove import Absent, Erasures
from erase.renewal import make_way
from erase.replay import Progress, Restored, RestoreOrder, restore_site
from erase.requests import Rights
from erase.revocations import Revocation, RevocationKind, Revocations
from erase.right import consent_of_code, consent_of_receipt, consent_shown, consents_meant
from erase.sweep import DUE_SOON, STALE_AFTER, DueReport, SweepReport, due, outliving, sweep

__all__ = [
    "CERTIFICATES",
    "DUE_SOON",
    "MAX_ANSWER_BYTES",
    "MAX_STATEMENT_BYTES",
    "STALE_AFTER",
    "Absent",
    "AccessAnswer",
    "AnswerRequests",
    "Certificate",
    "CohortErased",
    "Cohorts",
    "Dossier",
    "DueReport",
    "Erased",
    "Erasures",
    "OperatorKey",
    "Plan",
    "Progress",
    "RestoreOrder",
    "Restored",
    "Revocation",
    "RevocationKind",
    "Revocations",
    "Rights",
    "SiteClocks",
    "SweepReport",
    "answer_access",
    "approval_file",
    "approve",
    "build_policy",
    "consent_of_code",
    "consent_of_receipt",
    "consent_shown",
    "consents_meant",
    "due",
    "erase_consent",
    "erase_consents",
    "is_about",
    "is_protected",
    "make_way",
    "outliving",
    "policy_file",
    "policy_page",
    "public_pem",
    "read_approval_file",
    "read_plan",
    "read_plan_file",
    "read_public_pem",
    "restore_site",
    "resume",
    "resume_all",
    "resume_begun",
    "sign_statement",
    "sweep",
    "verify_answer",
    "verify_certificate",
    "verify_dossier",
    "verify_policy",
]
