"""Acknowledgements: what a recipient answers about an erasure (GDPR 19), inside the certificate's file.

The recipient's statement is a JWS by the recipient's key that names the certificate. The site signs around it when, by
whom and under which key the answer arrived. If a recipient has no key, the site signs what its operator recorded.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from volens.consent import InputError, SignedDocument, TamperError, format_time, from_b64url
from volens.consent.jws import b64url
from volens.consent.signed_document import Signer

MAX_STATEMENT_BYTES: Final = 8 * 1024
_ERASED: Final = "erased"
_KEY_BYTES: Final = 32


STATEMENT: Final = SignedDocument(
    typ="volens-recipient-statement+jws",
    name="a recipient's statement",
    advice="use one as 'volens recipient sign' writes it",
    read=lambda document, _token: (document["certificate_id"], document["statement"]),
    versions=(),
    max_bytes=MAX_STATEMENT_BYTES,
    signed_error=InputError,
)


def _acknowledged(document: dict[str, Any], _token: str) -> Mapping[str, Any]:
    texts = [document[name] for name in ("certificate_id", "recipient", "acknowledged_at")]
    if "statement" in document:
        texts += [document["statement"], document["recipient_key"]]
        if len(from_b64url(document["recipient_key"])) != _KEY_BYTES:
            raise ValueError("got a recipient's key of another length")
    if not all(isinstance(one, str) for one in texts):
        raise TypeError("got a member that is not text")
    return document


ACKNOWLEDGEMENT: Final = SignedDocument(
    typ="volens-erasure-acknowledgement+jws",
    name="an acknowledgement",
    advice="ask the site for the certificate's file again",
    read=_acknowledged,
    versions=(),
    error=TamperError,  # it exists only inside a certificate's file
)


def sign_statement(key: Signer, certificate_id: str, now: datetime) -> bytes:
    """Return the file in which a recipient states that they erased the data that a certificate is about."""
    stated = {"certificate_id": certificate_id, "statement": _ERASED, "stated_at": format_time(now)}
    return STATEMENT.to_file(STATEMENT.sign(key, stated))


def check_statement(data: bytes, certificate_id: str, public_key: bytes) -> str:
    """Return a recipient's statement as a token, if the recipient signed it and it is about this certificate.

    Raises:
        InputError: the bytes are not a statement, or it is about another certificate.
        TamperError: it is not signed by this key.
    """
    token, _ = STATEMENT.from_file(data)
    if STATEMENT.verify(token, public_key) != (certificate_id, _ERASED):
        raise InputError("got a statement about another certificate; ask the recipient for the right one")
    return token


def acknowledgement_content(
    certificate_id: str, recipient: str, now: datetime, statement: bytes, public_key: bytes | None
) -> dict[str, Any]:
    """Return the content that the site signs.

    `statement` is the recipient's file, already checked if the recipient has a key; without a `public_key` it is any
    file that the operator recorded.
    """
    document: dict[str, Any] = {
        "certificate_id": certificate_id,
        "recipient": recipient,
        "acknowledged_at": format_time(now),
        "statement_sha256": sha256(statement).hexdigest(),
        "recorded_by": "operator" if public_key is None else "recipient",
    }
    if public_key is not None:
        document["recipient_key"] = b64url(public_key)
        document["statement"] = statement.decode("ascii").strip()
    return document


def open_acknowledgement(token: str, certificate_id: str, site_keys: Sequence[bytes]) -> Mapping[str, Any]:
    """Return an acknowledgement that the site signed for a certificate; a statement of the recipient in it holds too.

    Raises:
        TamperError: a signature does not hold, the form is another, or it is about another certificate.

    Not checked: that the key is the recipient's. The site vouches for it; in doubt, ask the recipient.
    """
    answer = ACKNOWLEDGEMENT.verify(token, *site_keys)
    if "statement" in answer:
        key = from_b64url(answer["recipient_key"])
        try:
            check_statement(answer["statement"].encode("utf-8"), answer["certificate_id"], key)
        except InputError:
            raise TamperError("integrity: a recipient's statement is about something else; ask the site") from None
    if answer["certificate_id"] != certificate_id:
        raise TamperError("integrity: an acknowledgement is of another certificate; ask the site for the file again")
    return answer
