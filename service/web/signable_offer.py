"""An offer as a browser signs it: for a first consent, and for a renewal."""

from typing import Self

from volens.consent.receipt_offer import ReceiptOffer, read_offer
from volens.consent.receipt_signature import SignatureForm
from volens.service.http.consent_routes import OfferAnswer


class SignableOffer(OfferAnswer):
    """An offer, and the algorithm of the key that is to sign it (RFC 9053 names, such as ES256)."""

    algorithm: str

    @classmethod
    def of(cls, offer: ReceiptOffer) -> Self:
        """Return the answer to a browser that asked for an offer."""
        claims = read_offer(offer.document).claims
        is_passkey = claims.signature.form is SignatureForm.PASSKEY
        algorithm = claims.subject_key.passkey_algorithm if is_passkey else "Ed25519"
        return cls(**OfferAnswer.of(offer).model_dump(), algorithm=algorithm)
