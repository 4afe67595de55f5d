"""Sample values for the tests of consent and of the rooms above it. Keys come from fixed seeds."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from signing import sign_receipt

from volens.consent import (
    ConsentGrant,
    DataSubjectId,
    Notice,
    Purpose,
    ReceiptId,
    SiteId,
    SubjectKey,
    UnverifiedReceipt,
    Zone,
    from_b64url,
)
from volens.consent.gate import admit
from volens.consent.jws import b64url
from volens.consent.receipt import RECEIPT, Controller, verify_receipt

NOW: Final = datetime(2099, 3, 14, 9, 26, 53, tzinfo=UTC)
SITE: Final = SiteId("site-5c1e")
DOOR: Final = Purpose("front-door")
RECEIPT_ID: Final = ReceiptId("00112233445566778899aabbccddeeff")
HEADER: Final = b'{"alg":"Ed25519","typ":"' + RECEIPT.typ.encode() + b'"}'

ANN_SEED: Final = bytes(range(32))
ANN: Final = SubjectKey.from_seed(ANN_SEED)
BOB_SEED: Final = bytes(range(100, 132))
BOB: Final = SubjectKey.from_seed(BOB_SEED)

CONTROLLER: Final = Controller(SITE, "Lakeside Bakery", "privacy@lakeside.example")
NOTICE_TEXT: Final = "We keep a number made from your face — not the photo — to open the front door.\r\n".encode()


def zone(name: str = "front-door", **changes: Any) -> Zone:  # noqa: ANN401  any argument of declare()
    """Declare a complete zone, with changes."""
    promises: dict[str, Any] = {
        "custody": "operator",
        "justification": "bakers come in with dough on both hands",
        "alternative": "a key, from the desk",
        "retention_days": 365,
        "now": NOW,
    }
    return Zone.declare(name, **promises | changes)


def notice(purpose: Purpose = DOOR, **changes: Any) -> Notice:  # noqa: ANN401  any argument of publish()
    """Publish a valid notice, with changes."""
    given: dict[str, Any] = {"language": "en", "version": 1, "text": NOTICE_TEXT, "now": NOW}
    return Notice.publish(purpose, **given | changes)


def receipt(
    *,
    key: SubjectKey = ANN,
    receipt_id: ReceiptId = RECEIPT_ID,
    jurisdiction: str = "FR",
    retention_days: int = 365,
    now: datetime = NOW,
) -> UnverifiedReceipt:
    """Sign a receipt for the front door."""
    return sign_receipt(
        zone(retention_days=retention_days),
        notice(),
        CONTROLLER,
        receipt_id=receipt_id,
        jurisdiction=jurisdiction,
        key=key,
        now=now,
    )


def document(token: str) -> dict[str, Any]:
    """Return the payload of a token as plain JSON."""
    parsed: dict[str, Any] = json.loads(from_b64url(token.split(".")[1]))
    return parsed


def token(payload: object, *, header: bytes = HEADER, seed: bytes = ANN_SEED) -> str:
    """Sign anything under any header, without the library under test; bytes as they are, else canonical JSON."""
    body = payload if isinstance(payload, bytes) else rfc8785.dumps(payload)  # type: ignore[arg-type]
    signed = f"{b64url(header)}.{b64url(body)}"
    return f"{signed}.{b64url(Ed25519PrivateKey.from_private_bytes(seed).sign(signed.encode('ascii')))}"


class FakeLedger:
    """A ledger with one consent in force until a moment; checks that the gate passes the right three values."""

    def __init__(self, live_until: datetime | None = NOW + timedelta(days=365), *, restricted: bool = False) -> None:
        self.answer = live_until
        self.restricted = restricted
        self.asked: list[tuple[ReceiptId, DataSubjectId, Purpose]] = []

    def live_until(self, receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose) -> datetime | None:
        """Return the given answer, and record the arguments."""
        assert len(receipt_id) == 32
        assert len(subject_id) == 43
        self.asked.append((receipt_id, subject_id, purpose))
        return self.answer

    def is_restricted(self, receipt_id: ReceiptId) -> bool:
        """Return what was given."""
        assert len(receipt_id) == 32
        return self.restricted


def grant() -> ConsentGrant:
    """Pass the gate with Ann's receipt."""
    verified = verify_receipt(receipt(), ANN.public)
    return admit(verified, site_id=SITE, purpose=DOOR, ledger=FakeLedger(), now=NOW)
