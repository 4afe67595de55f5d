"""Inbound webhooks: verify the signature of a registered sender, and parse the revocation.

A message names the event and the person, by the receipt's id or by the sender's own id of the person. ::

    {"type": "employee.terminated", "timestamp": "2026-11-24T12:00:00Z", "data": {"external_id": "4711"}}
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from volens.consent import InputError, ReceiptId
from volens.consent.json_reader import DuplicateMemberError, JsonError, read_json
from volens.erase.revocations import Revocation, RevocationKind
from volens.service.webhooks.signatures import SymmetricKey, VerifiedMessage, VerifyKey, verify
from volens.store.programs import Sender, SenderKey, Senders

_RECEIPT_ID: Final = re.compile(r"[0-9a-f]{32}")
_KNOWN: Final = frozenset({"receipt_id", "external_id"})


def verify_sender(
    senders: Senders, headers: Mapping[str, str], body: bytes, now: datetime
) -> tuple[Sender, VerifiedMessage]:
    """Verify a message; return its sender and the message.

    Raises:
        SignatureError, StaleError: see `verify`.
    """
    known = senders.keys_in_force()
    keys = [verification_key(senders, one) for one in known]
    try:
        message = verify(headers, body, keys, now)
    finally:
        for key in keys:
            if isinstance(key, SymmetricKey):
                key.wipe()
    return known[message.key].sender, message


def verification_key(senders: Senders, key: SenderKey) -> SymmetricKey | VerifyKey:
    """Return the key that verifies a sender's messages; the caller must wipe a `SymmetricKey`."""
    if key.public_key is not None:
        return VerifyKey(key.public_key)
    with senders.secret(key) as secret:
        return SymmetricKey(secret.buffer)


def parse_revocation(body: bytes) -> Revocation:
    """Parse a message. Unknown members are ignored, as the specification requires.

    Raises:
        InputError: it is not a JSON object of a supported type, or does not identify a person.
    """
    try:
        document = read_json(body)
    except DuplicateMemberError as error:
        raise InputError(str(error)) from None
    except JsonError:
        raise InputError("got a message that is not JSON; send an object with type, timestamp and data") from None
    kind = _member(document, "type")
    if not isinstance(kind, str) or kind not in set(RevocationKind):  # a list or an object has no hash
        raise InputError(
            f"got a message of an unsupported type; this address accepts {' and '.join(RevocationKind)} only"
        )
    data = _member(document, "data")
    if not isinstance(data, dict) or not all(isinstance(data.get(name, ""), str) for name in _KNOWN):
        raise InputError("got no data that identifies a person; send receipt_id or external_id, as text")
    receipt_id = data.get("receipt_id")
    if receipt_id is not None and _RECEIPT_ID.fullmatch(receipt_id) is None:
        raise InputError("got an invalid receipt_id; expected 32 hexadecimal digits, in lower case")
    return Revocation(
        RevocationKind(kind), None if receipt_id is None else ReceiptId(receipt_id), data.get("external_id")
    )


def _member(document: Any, name: str) -> Any:  # noqa: ANN401  any JSON value
    return document.get(name) if isinstance(document, dict) else None
