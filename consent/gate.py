"""The gate: the only module that issues capabilities (a grant to enroll, a permit to probe) for a consent."""

from datetime import datetime, timedelta
from typing import Final, Protocol

from volens.consent._mint import MINT
from volens.consent.errors import (
    ConsentExpiredError,
    ConsentRestrictedError,
    ForeignReceiptError,
    NoLiveConsentError,
    RefusedError,
)
from volens.consent.grant import ConsentGrant, ProbePermit
from volens.consent.ids import DataSubjectId, Purpose, ReceiptId, SiteId
from volens.consent.receipt import VerifiedReceipt
from volens.consent.zone import Zone

CLOCK_SKEW: Final = timedelta(minutes=5)


class ConsentLedger(Protocol):
    """Lookup of consents in force, as the gate needs it; `store` implements it, and so do the fakes in tests."""

    def live_until(self, receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose) -> datetime | None:
        """Return when the consent in force ends, or None if there is none."""
        ...

    def is_restricted(self, receipt_id: ReceiptId) -> bool:
        """Return whether the person has restricted the consent in force (GDPR 18)."""
        ...


def admit(
    receipt: VerifiedReceipt,
    *,
    site_id: SiteId,
    purpose: Purpose,
    ledger: ConsentLedger,
    now: datetime,
    even_if_restricted: bool = False,
) -> ConsentGrant:
    """Return a grant if this consent is in force at this site, for this purpose, now.

    1. The receipt is for this site.
    2. It is for this zone.
    3. Its term has begun and has not expired.
    4. The ledger holds it as live, until the same moment or earlier.
    5. The person has not restricted it. `even_if_restricted` is for what neither matches nor enrolls: a renewal.

    Raises:
        ForeignReceiptError: 1 or 2 fails.
        ConsentExpiredError: 3 fails, or the term in the ledger has expired.
        NoLiveConsentError: 4 fails; unknown, withdrawn and erased are one answer.
        ConsentRestrictedError: 5 fails.
        RefusedError: the receipt is dated in the future.
    """
    claims = receipt.claims
    # 1.
    if claims.site_id != site_id:
        raise ForeignReceiptError("this receipt was signed for another site; use one that was signed here")
    # 2.
    if claims.purpose != purpose:
        raise ForeignReceiptError(
            f"this receipt is for zone {claims.purpose!r}, not for {purpose!r}; ask for consent to this zone"
        )
    # 3.
    if claims.issued_at > now + CLOCK_SKEW:
        raise RefusedError("this receipt is dated in the future; check this machine's clock")
    if claims.expires_at <= now:
        raise ConsentExpiredError("this consent has expired; ask the person for a new one")
    # 4.
    live_until = ledger.live_until(claims.receipt_id, claims.subject_id, purpose)
    if live_until is None:
        raise NoLiveConsentError(
            "no consent is in force for this receipt; ask the person, and record it with 'volens consent give'"
        )
    if live_until <= now:
        raise ConsentExpiredError("this consent has expired; ask the person for a new one")
    # 5.
    if ledger.is_restricted(claims.receipt_id) and not even_if_restricted:
        raise ConsentRestrictedError(
            "the person has paused this consent: nothing is matched or enrolled under it until they resume it "
            "('volens consent resume')"
        )
    return ConsentGrant(
        receipt_id=claims.receipt_id,
        subject_id=claims.subject_id,
        purpose=purpose,
        checked_at=now,
        expires_at=min(live_until, claims.expires_at),
        receipt_sha256=receipt.sha256,
        mint=MINT,
    )


def permit_probe(zone: Zone) -> ProbePermit:
    """Return a permit to compute probe embeddings for one declared zone.

    The person before the camera is not identified yet, so no consent can be looked up. A probe is compared and wiped;
    a probe without a match leaves no trace.
    """
    return ProbePermit(zone.purpose, mint=MINT)
