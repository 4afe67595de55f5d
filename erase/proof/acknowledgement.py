"""What a recipient answers about an erasure (GDPR 19), as it stands in the certificate's file, and its check offline.

The recipient's own statement is a JWS by the recipient's key that names the certificate. The site signs around it when,
by whom and under which key it came in; where a recipient signs nothing, the site signs what its operator recorded.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.consent import InputError, TamperError, format_time
from volens.consent import jws as consent_jws
from volens.erase.operator_key import OperatorKey

ACKNOWLEDGEMENT_TYPE: Final = "volens-erasure-acknowledgement+jws"
STATEMENT_TYPE: Final = "volens-recipient-statement+jws"
MAX_STATEMENT_BYTES: Final = 8 * 1024
_ERASED: Final = "erased"


def sign_statement(key: OperatorKey, certificate_id: str, now: datetime) -> bytes:
    """Return the file in which a recipient states that they erased what a certificate is about."""
    payload = {"certificate_id": certificate_id, "statement": _ERASED, "stated_at": format_time(now)}
    return key.sign(rfc8785.dumps(payload), STATEMENT_TYPE).encode("ascii") + b"\n"


def check_statement(data: bytes, certificate_id: str, public_key: bytes) -> str:
    """Return a recipient's statement as a token, if it is theirs and about this certificate.

    Raises:
        InputError: it is no statement, or about another certificate.
        TamperError: it is not signed by this key.
    """
    problem = "got a file that is no recipient's statement; use one as 'volens recipient sign' writes it"
    if len(data) > MAX_STATEMENT_BYTES:
        raise InputError(problem)
    try:
        token = data.decode("ascii").strip()
        payload = consent_jws.verify(token, STATEMENT_TYPE, Ed25519PublicKey.from_public_bytes(public_key))
        stated = json.loads(payload)
        named, what = stated["certificate_id"], stated["statement"]
    except (ValueError, KeyError, TypeError):
        raise InputError(problem) from None
    if (named, what) != (certificate_id, _ERASED):
        raise InputError("got a statement about another certificate; ask the recipient for the right one")
    return token


def acknowledgement_payload(
    certificate_id: str, recipient: str, now: datetime, statement: bytes, public_key: bytes | None
) -> bytes:
    """Return what the site signs.

    Args:
        certificate_id: of the erasure.
        recipient: the name, as in the certificate.
        now: when the answer came in.
        statement: the recipient's file, already checked if they have a key; else whatever the operator was given.
        public_key: of the recipient; None where the operator recorded the answer.
    """
    document: dict[str, Any] = {
        "certificate_id": certificate_id,
        "recipient": recipient,
        "acknowledged_at": format_time(now),
        "statement_sha256": sha256(statement).hexdigest(),
        "recorded_by": "operator" if public_key is None else "recipient",
    }
    if public_key is not None:
        document["recipient_key"] = consent_jws.b64url(public_key)
        document["statement"] = statement.decode("ascii").strip()
    return rfc8785.dumps(document)


def open_acknowledgement(token: str, signer: Ed25519PublicKey) -> Mapping[str, Any]:
    """Return an acknowledgement that the site signed; if the recipient signed a statement, it holds too.

    Raises:
        TamperError: a signature does not hold, or the recipient's statement is about something else.
        InputError, KeyError, TypeError, ValueError: it has not the form of one.

    Not checked: that the key is the recipient's. The site vouches for it; whoever doubts asks the recipient.
    """
    answer: Mapping[str, Any] = json.loads(consent_jws.verify(token, ACKNOWLEDGEMENT_TYPE, signer))
    if "statement" in answer:
        key = consent_jws.from_b64url(answer["recipient_key"])
        try:
            check_statement(answer["statement"].encode("ascii"), answer["certificate_id"], key)
        except InputError:
            raise TamperError("integrity: a recipient's statement is about something else; ask the site") from None
    return answer
