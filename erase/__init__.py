"""Withdrawal, expiry and erasure carried out everywhere; certificates."""

from erase.certificate import Certificate, verify_certificate
from erase.procedure import CERTIFICATES, Erased, erase_consent, erase_consents, resume
from erase.right import consent_of_code, consent_of_receipt
from erase.sweep import SweepReport, sweep

__all__ = [
    "CERTIFICATES",
    "Certificate",
    "Erased",
    "SweepReport",
    "consent_of_code",
    "consent_of_receipt",
    "erase_consent",
    "erase_consents",
    "resume",
    "sweep",
    "verify_certificate",
]
