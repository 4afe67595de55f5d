"""Progress of one erasure, for the person: what is gone, what is still being done, and who has not answered yet.

Everything that is told as done is read from the certificate, which the site signed after it had searched.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, final

from volens.consent import EndReason, NoLiveConsentError, Purpose, ReceiptId, parse_time
from volens.consent.lease import LeaseHolding
from volens.erase import ErasureState, certificates_of, states_of
from volens.erase.proof import CERTIFICATE, Certificate, verify_certificate
from volens.store import Store
from volens.store.people import consent_ended, stored_receipt
from volens.store.promises import acknowledgements_of

_SHREDDED: Final = frozenset(ErasureState) - {ErasureState.STOPPED}


class ErasureStage(StrEnum):
    """How far the end of a consent has come."""

    IN_FORCE = "in_force"
    PENDING = "pending"
    """It no longer matches in the processes that know, and the store could not record it yet."""
    RUNNING = "running"
    """It has ended in the store, and the erasure is not certified yet."""
    CERTIFIED = "certified"


@final
@dataclass(frozen=True, slots=True)
class RecipientAnswer:
    """A recipient that was told of the erasure; `answered_at` is None while it has not acknowledged it."""

    name: str
    answered_at: datetime | None


@final
@dataclass(frozen=True, slots=True)
class ErasureProgress:
    """The end of one consent.

    Attributes:
        reason: None unless the end is recorded.
        is_key_destroyed: the key of the embedding does not exist any more.
        certificate: verified; None while the erasure is not certified.
    """

    receipt_id: ReceiptId
    zone: Purpose
    stage: ErasureStage
    reason: EndReason | None
    ended_at: datetime | None
    is_key_destroyed: bool
    certificate: Certificate | None

    @property
    def pieces(self) -> int:
        """How many traces of the person were searched for; none was found, or there would be no certificate."""
        return sum(int(one["pieces"]) for one in self._statement("searched", ()))

    @property
    def holders(self) -> list[LeaseHolding]:
        """The doors that held a lease when the consent ended, as the certificate states them."""
        return [LeaseHolding.from_json(one) for one in self._statement("lease_holders", ())]

    @property
    def stopped_everywhere_at(self) -> datetime | None:
        """From when on no door decided about the person; None while the erasure is not certified."""
        at = self._statement("stopped_everywhere_at", None)
        return None if at is None else parse_time(at)

    @property
    def other_processes(self) -> tuple[int, int]:
        """How many other processes served the site, and how many of them confirmed."""
        told = self._statement("keys", {}).get("other_processes", {})
        return int(told.get("others", 0)), int(told.get("confirmed", 0))

    @property
    def is_root_key_destroyed(self) -> bool:
        """Whether the root key was replaced too, so that older copies of the keyring open with nothing here."""
        return bool(self._statement("keys", {}).get("root_key_destroyed"))

    @property
    def recipients(self) -> list[RecipientAnswer]:
        """The recipients of the zone's data, by name."""
        if self.certificate is None:
            return []
        answered = {str(one.get("recipient")): one.get("acknowledged_at") for one in self.certificate.acknowledgements}
        return [
            RecipientAnswer(one["name"], parse_time(answered[one["name"]]) if answered.get(one["name"]) else None)
            for one in self._statement("recipients", ())
        ]

    def _statement(self, name: str, default: Any) -> Any:  # noqa: ANN401  a member of a verified JSON document
        return default if self.certificate is None else self.certificate.statement.get(name, default)


def erasure_progress(store: Store, receipt_id: ReceiptId) -> ErasureProgress:
    """Return how far the end of a consent has come; at the time of the call.

    Raises:
        NoLiveConsentError: it was never given here.
        TamperError: a stored certificate does not verify.
    """
    with store.read() as connection:
        stored = stored_receipt(connection, receipt_id)
        if stored is None:
            raise NoLiveConsentError("there is no consent for this receipt or code here")
        end = consent_ended(connection, receipt_id)
        state = states_of(connection, [receipt_id]).get(receipt_id)
        issued = certificates_of(connection, [receipt_id]).get(receipt_id)
        answers = acknowledgements_of(connection, [receipt_id]).get(receipt_id, ())
    certificate = None
    if issued is not None:
        certificate = verify_certificate(CERTIFICATE.to_file(issued.token, answers), store.verifier_key)
    if end is None:
        stage = ErasureStage.PENDING if receipt_id in store.stopped else ErasureStage.IN_FORCE
    else:
        stage = ErasureStage.RUNNING if certificate is None else ErasureStage.CERTIFIED
    reason, ended_at = end or (None, None)
    return ErasureProgress(receipt_id, stored.purpose, stage, reason, ended_at, state in _SHREDDED, certificate)
