"""Capabilities: objects that prove a consent check and that extracting an embedding requires."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, final

from volens.consent._mint import Capability
from volens.consent.ids import DataSubjectId, Purpose, ReceiptId


@final
@dataclass(frozen=True, slots=True)
class ConsentGrant(Capability):
    """Proof that one receipt was verified and live at `checked_at`. A capability, not a record.

    Python cannot prevent `object.__new__`; the database can.
    """

    made_by: ClassVar = "gate.admit"
    receipt_id: ReceiptId
    subject_id: DataSubjectId
    purpose: Purpose
    checked_at: datetime
    expires_at: datetime
    receipt_sha256: bytes


@final
@dataclass(frozen=True, slots=True)
class ProbePermit(Capability):
    """Permit to compute a probe embedding for one zone. It gives no access to storage."""

    made_by: ClassVar = "gate.permit_probe"
    purpose: Purpose
