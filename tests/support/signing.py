"""The one place of the tests where a person signs: with a key of theirs, or with a passkey in software."""

import json
import os
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from httpx2 import Response
from starlette.testclient import TestClient

from volens.consent import Notice, ReceiptId, SubjectKey, UnverifiedReceipt, Zone
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.jws import b64url, from_b64url
from volens.consent.law import ProfileCatalogue
from volens.consent.passkey_assertion import PasskeyAssertion
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import Controller
from volens.consent.receipt_offer import ReceiptOffer, compose_receipt, end_of_term
from volens.consent.receipt_signature import SignatureForm, SignatureTerms, passkey_token
from volens.consent.relying_party import RelyingParty
from volens.consent.subject_key import SubjectPublicKey

DOOR_PAGE = RelyingParty.parse("https://door.example")
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED, EXTENDED = 0x01, 0x04, 0x08, 0x10, 0x40, 0x80


def sign_receipt(
    zone: Zone,
    notice: Notice,
    controller: Controller,
    *,
    receipt_id: ReceiptId,
    jurisdiction: str,
    key: SubjectKey,
    now: datetime,
    valid_days: int | None = None,
    valid_until: datetime | None = None,
    form: SignatureForm = SignatureForm.DESK,
    record: ProcessingRecord | None = None,
) -> UnverifiedReceipt:
    """Compose a receipt and sign it with a key; without a record, of a zone about which nothing is declared."""
    code = parse_jurisdiction(jurisdiction)
    record = record or ProcessingRecord(controller, zone, code, ProfileCatalogue().profile_of(code))
    document = compose_receipt(
        record,
        notice,
        receipt_id=receipt_id,
        key=key.public,
        signature=SignatureTerms(form),
        issued_at=now,
        expires_at=end_of_term(record, now, valid_days=valid_days, valid_until=valid_until),
    )
    return UnverifiedReceipt.parse(ReceiptOffer(document).sign(key))


@dataclass
class Passkey:
    """An authenticator in software, with one key. Flags, client data and extension data can be set to anything."""

    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
    flags: int = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
    counter: int = 0
    extension_data: bytes = b""
    client: dict[str, Any] = field(default_factory=dict)
    party: RelyingParty = DOOR_PAGE

    @property
    def public(self) -> SubjectPublicKey:
        return SubjectPublicKey.of(self.private.public_key())

    def sign(self, data: bytes) -> bytes:
        match self.private:
            case ed25519.Ed25519PrivateKey():
                return self.private.sign(data)
            case ec.EllipticCurvePrivateKey():
                return self.private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True))
            case _:
                return self.private.sign(data, padding.PKCS1v15(), SHA256())

    def assertion(self, document: bytes) -> PasskeyAssertion:
        """Answer as navigator.credentials.get does, with the challenge of a document."""
        said = {
            "type": "webauthn.get",
            "challenge": b64url(sha256(document).digest()),
            "origin": self.party.origin,
            "crossOrigin": False,
        } | self.client
        client_data = json.dumps({name: value for name, value in said.items() if value is not None}).encode()
        flags = self.flags | (EXTENDED if self.extension_data else 0)
        data = sha256(self.party.rp_id.encode()).digest() + bytes([flags]) + self.counter.to_bytes(4, "big")
        data += self.extension_data
        signature = self.sign(data + sha256(client_data).digest())
        return PasskeyAssertion(data, client_data, signature, said)

    def token(self, document: bytes) -> str:
        """Sign a receipt."""
        return passkey_token(document, self.public, self.assertion(document))


def make_passkey(algorithm: str = "ES256") -> Passkey:
    """Return a passkey with a new key."""
    match algorithm:
        case "EdDSA":
            return Passkey(ed25519.Ed25519PrivateKey.generate())
        case "ES256":
            return Passkey(ec.generate_private_key(ec.SECP256R1()))
        case _:
            return Passkey(rsa.generate_private_key(65537, 2048))


def cose_of(key: SubjectPublicKey) -> bytes:
    """Return the key in the form of py_webauthn: a COSE key."""
    members = {name: from_b64url(value) for name, value in key.to_jwk().items() if name in {"x", "y", "n", "e"}}
    match key.passkey_algorithm:
        case "EdDSA":
            return b"\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" + members["x"]
        case "ES256":
            return b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + members["x"] + b"\x22\x58\x20" + members["y"]
        case _:
            size = len(members["n"]).to_bytes(2, "big")
            return b"\xa4\x01\x03\x03\x39\x01\x00\x20\x59" + size + members["n"] + b"\x21\x43" + members["e"]


@dataclass
class Signer:
    """A person with a key of their own, at a desk that talks HTTP."""

    key: SubjectKey = field(default_factory=lambda: SubjectKey.from_seed(os.urandom(32)))

    def offered(self, client: TestClient, headers: dict[str, str], zone: str = "lobby", **more: object) -> Response:
        """Ask for a receipt to sign."""
        wanted = {
            "public_key": self.key.public.to_jwk(),
            "form": "person_key",
            "jurisdiction": "FR",
            "notice_sha256": client.get(f"/v1/zones/{zone}/notice", headers=headers).json()["sha256"],
        }
        shown = {name: value for name, value in headers.items() if name != "Idempotency-Key"}
        return client.post(f"/v1/zones/{zone}/consents/offers", headers=shown, json=wanted | more)

    def signed(self, client: TestClient, headers: dict[str, str], zone: str = "lobby", **more: object) -> str:
        """Ask for a receipt, and sign it."""
        offer = self.offered(client, headers, zone, **more)
        assert offer.status_code == 200, offer.text
        return self.sign(offer)

    def sign(self, offer: Response) -> str:
        """Sign an offered receipt."""
        return ReceiptOffer(offer.json()["document"].encode()).sign(self.key).decode()

    def consent(
        self, client: TestClient, headers: dict[str, str], zone: str = "lobby", name: str = "Ada", **more: object
    ) -> Response:
        """Give consent."""
        new = {"name": name, "signed": self.signed(client, headers, zone)} | more
        return client.post(f"/v1/zones/{zone}/consents", headers=headers, json=new)
