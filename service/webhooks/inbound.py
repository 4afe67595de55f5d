"""Messages of senders that the site knows: bytes in, a revocation that somebody known has signed out, or an exception.

Thin: a message says what happened and to whom, by the receipt's id or by what the sender calls the person. ::

    {"type": "employee.terminated", "timestamp": "2026-11-24T12:00:00Z", "data": {"external_id": "4711"}}
"""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from volens.consent import InputError, ReceiptId
from volens.erase.revocations import Revocation, RevocationKind
from volens.service.webhooks.signatures import SymmetricKey, VerifiedMessage, VerifyKey, verify
from volens.store.programs import Sender, SenderKey, Senders

_RECEIPT_ID: Final = re.compile(r"[0-9a-f]{32}")
_KNOWN: Final = frozenset({"receipt_id", "external_id"})


def signed_by(
    senders: Senders, headers: Mapping[str, str], body: bytes, now: datetime
) -> tuple[Sender, VerifiedMessage]:
    """Return a message and who sent it.

    Raises:
        SignatureError, StaleError: see `verify`.
    """
    known = senders.keys_in_force()
    keys = [key_of(senders, one) for one in known]
    try:
        message = verify(headers, body, keys, now)
    finally:
        for key in keys:
            if isinstance(key, SymmetricKey):
                key.wipe()
    return known[message.key].sender, message


def key_of(senders: Senders, key: SenderKey) -> SymmetricKey | VerifyKey:
    """Return what messages of a sender are verified with; the caller wipes a secret."""
    if key.public_key is not None:
        return VerifyKey(key.public_key)
    with senders.secret(key) as secret:
        return SymmetricKey(secret.buffer)


def revocation_in(body: bytes) -> Revocation:
    """Read what a message asks for. Members that are not known are passed over, as the specification wants it.

    Raises:
        InputError: it is no JSON object of a kind that is known here, or does not say who is meant.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise InputError("got a message that is no JSON; send an object with type, timestamp and data") from None
    kind = _member(document, "type")
    if kind not in set(RevocationKind):
        raise InputError(
            f"got a message of another type; this address takes {' and '.join(RevocationKind)}, send nothing else to it"
        )
    data = _member(document, "data")
    if not isinstance(data, dict) or not all(isinstance(data.get(name, ""), str) for name in _KNOWN):
        raise InputError("got no data that says who is meant; send receipt_id or external_id, as text")
    receipt_id = data.get("receipt_id")
    if receipt_id is not None and _RECEIPT_ID.fullmatch(receipt_id) is None:
        raise InputError("got a receipt_id that is none; expected 32 hexadecimal digits, in lower case")
    return Revocation(
        RevocationKind(kind), None if receipt_id is None else ReceiptId(receipt_id), data.get("external_id")
    )


def _member(document: Any, name: str) -> Any:  # noqa: ANN401  whatever JSON holds
    return document.get(name) if isinstance(document, dict) else None
