"""The refusal receipt: the site signs that it asked a person about a zone, and that this person said no.

It names no one. Its number is random, and the site does not keep it: it is about the person who keeps the file.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final, final

from volens.consent.errors import InputError
from volens.consent.ids import RECEIPT_ID, check_purpose
from volens.consent.receipt import Controller
from volens.consent.signed_document import SignedDocument, Signer

STATEMENT: Final = (
    "a person was invited to let this zone recognise their face, and said no; the site recorded no name, no face and "
    "not who it was, and may not treat that person worse for it"
)


@final
@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal receipt says.

    Attributes:
        refusal_id: 32 random hex digits, which the site does not keep.
        refused_on: the day, in UTC.
    """

    refusal_id: str
    site_id: str
    controller: str
    contact: str
    zone: str
    refused_on: date


def _refusal(document: dict[str, Any], _token: str) -> Refusal:
    controller, number = document["controller"], document["refusal_id"]
    texts = (controller["site_id"], controller["name"], controller["contact"], number, document["zone"])
    if document["statement"] != STATEMENT or not all(isinstance(one, str) for one in texts):
        raise InputError("another form than this version writes")
    if not RECEIPT_ID.fullmatch(number):
        raise InputError("expected a number of 32 hexadecimal digits")
    return Refusal(
        refusal_id=number,
        site_id=controller["site_id"],
        controller=controller["name"],
        contact=controller["contact"],
        zone=check_purpose(document["zone"]),
        refused_on=date.fromisoformat(document["refused_on"]),
    )


REFUSAL: Final = SignedDocument(
    typ="volens-refusal+jws",
    name="a refusal receipt",
    advice="use the file that the person saved",
    read=_refusal,
    member="refusal",
    version_error=InputError,
)


def sign_refusal(signer: Signer, controller: Controller, zone: str, refusal_id: str, now: datetime) -> bytes:
    """Return the file of a refusal receipt: JSON with one member, a compact JWS that the site signed."""
    token = REFUSAL.sign(
        signer,
        {
            "version": REFUSAL.version,
            "refusal_id": refusal_id,
            "controller": {"site_id": controller.site_id, "name": controller.name, "contact": controller.contact},
            "zone": zone,
            "refused_on": f"{now:%Y-%m-%d}",
            "statement": STATEMENT,
        },
    )
    return REFUSAL.to_file(token)


def verify_refusal(data: bytes, *public_keys: bytes) -> Refusal:
    """Return what a refusal receipt says, if one of the site's public keys (Ed25519, 32 bytes each) signed it.

    Raises:
        InputError: the bytes are not a refusal receipt of this version.
        TamperError: the signature is not by one of these keys over these bytes.

    Not checked: whose it is; it names no one.
    """
    token, _ = REFUSAL.from_file(data)
    return REFUSAL.verify(token, *public_keys)
