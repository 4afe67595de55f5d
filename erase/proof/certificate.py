"""The erasure certificate: what was destroyed, what was searched for and not found, and its place in the audit log.

A compact JWS (``alg: Ed25519``) by the site over canonical JSON (RFC 8785). Whoever has the certificate and the site's
public key can check all of it without access to the store, the log or the network. It names no person: only the SHA-256
of the receipt, by which the person who holds the receipt recognises it.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.audit import Checkpoint, VerifierKey, leaf_hash, open_checkpoint, open_leaf, verify_inclusion
from volens.consent import InputError, TamperError, parse_time
from volens.consent import jws as consent_jws
from volens.erase.proof.acknowledgement import open_acknowledgement

CERTIFICATE_TYPE: Final = "volens-erasure-certificate+jws"
VERSION: Final = 2
READABLE: Final = (1, VERSION)
EVENT: Final = "erasure.certified"
MAX_FILE_BYTES: Final = 256 * 1024


@final
@dataclass(frozen=True, slots=True)
class LogEntry:
    """Where the certificate stands in the audit log, with all that is needed to check it."""

    leaf: bytes
    details: Mapping[str, str | int]
    salt: bytes
    index: int
    proof: Sequence[bytes]
    note: str


@final
@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate.

    Attributes:
        statement: what the site states, as written; all of it is covered by signature and log.
        checkpoint: the signed tree head that includes it.
        acknowledgements: what recipients have answered since, each signed by the site; none may be there yet.
    """

    certificate_id: str
    receipt_sha256: str
    zone: str
    reason: str
    ended_at: datetime
    erased_at: datetime
    checkpoint: Checkpoint
    statement: Mapping[str, Any] = field(repr=False)
    acknowledgements: Sequence[Mapping[str, Any]] = field(default=(), repr=False)


def log_details(statement: Mapping[str, Any]) -> dict[str, str | int]:
    """Return what the log's leaf commits to: the whole statement, by its hash."""
    return {
        "certificate_id": str(statement["certificate_id"]),
        "statement_sha256": sha256(rfc8785.dumps(dict(statement))).hexdigest(),
    }


def certificate_payload(statement: Mapping[str, Any], entry: LogEntry) -> bytes:
    """Return the bytes that the site signs."""
    log: dict[str, Any] = {
        "leaf": _b64(entry.leaf),
        "details": dict(entry.details),
        "salt": _b64(entry.salt),
        "index": entry.index,
        "proof": [_b64(value) for value in entry.proof],
        "checkpoint": entry.note,
    }
    return rfc8785.dumps({"statement": dict(statement), "log": log})


def certificate_file(token: str, acknowledgements: Sequence[str] = ()) -> bytes:
    """Return the content of a certificate file: its only form, so that no byte can be another.

    Args:
        token: the certificate, as issued.
        acknowledgements: tokens signed by the site that name this certificate; see
            `volens.erase.proof.acknowledgement`. They come after the certificate was signed, so each has a signature.
    """
    document: dict[str, Any] = {"certificate": token}
    if acknowledgements:
        document["acknowledgements"] = list(acknowledgements)
    return json.dumps(document).encode("ascii") + b"\n"


def verify_certificate(data: bytes, key: VerifierKey) -> Certificate:
    """Check a certificate file with nothing but the site's public key.

    1. The file is exactly what `certificate_file` writes.
    2. The site has signed these exact bytes.
    3. The log's leaf is a certification, and commits to the statement in front of us.
    4. The leaf is in the log whose head the site has signed.
    5. The statement makes sense: of a known version, the same id, and nothing searched for was found.
    6. Each acknowledgement is signed by the site, and is of this certificate; so is the recipient's statement in it.

    Not checked: whether acknowledgements were left out. Recipients are named in the statement.

    Args:
        data: the file's bytes.
        key: pinned by the caller (``site.pub``), never taken from the certificate.

    Raises:
        InputError: the file is no certificate.
        TamperError: any of 2 to 6 does not hold.
    """
    # 1.
    token, acknowledgements = _tokens(data)
    # 2.
    signer = Ed25519PublicKey.from_public_bytes(key.public_key)
    payload = consent_jws.verify(token, CERTIFICATE_TYPE, signer)
    try:
        document = json.loads(payload)
        statement, log = document["statement"], document["log"]
        entry = LogEntry(
            _unb64(log["leaf"]),
            log["details"],
            _unb64(log["salt"]),
            log["index"],
            [_unb64(value) for value in log["proof"]],
            log["checkpoint"],
        )
        # 3.
        kind, _at = open_leaf(entry.leaf, entry.details, entry.salt)
        committed = log_details(statement)
        # 4.
        checkpoint = open_checkpoint(entry.note, key)
        verify_inclusion(leaf_hash(entry.leaf), entry.index, checkpoint.size, entry.proof, checkpoint.root)
        # 5.
        counts = [one["found"] for one in statement["searched"]]
        counts += [one.get("found", False) for one in statement.get("search_after", ())]
        left = any(counts) or statement["version"] not in READABLE
        # 6.
        answers = [open_acknowledgement(one, signer) for one in acknowledgements]
        others = any(one["certificate_id"] != statement["certificate_id"] for one in answers)
        certificate = _certificate(statement, checkpoint, answers)
    except (KeyError, TypeError, ValueError, AttributeError, InputError):
        raise TamperError("integrity: the certificate is signed but has not the form of one; ask the site") from None
    if kind != EVENT or committed != entry.details:
        raise TamperError("integrity: the log's entry does not commit to this certificate's statement")
    if others:
        raise TamperError("integrity: an acknowledgement is of another certificate; ask the site for the file anew")
    if left:
        raise TamperError("integrity: the certificate states an erasure that left something behind; ask the site")
    return certificate


def _tokens(data: bytes) -> tuple[str, list[str]]:
    problem = "got a file that is no erasure certificate; use the file as it was written"
    if len(data) > MAX_FILE_BYTES:
        raise InputError(problem)
    try:
        document = json.loads(data)
        token, more = document["certificate"], document.get("acknowledgements", [])
        if not all(isinstance(one, str) for one in (token, *more)) or certificate_file(token, more) != data:
            raise InputError(problem)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(problem) from None
    return token, more


def _certificate(
    statement: Mapping[str, Any], checkpoint: Checkpoint, acknowledgements: Sequence[Mapping[str, Any]]
) -> Certificate:
    return Certificate(
        certificate_id=str(statement["certificate_id"]),
        receipt_sha256=str(statement["receipt_sha256"]),
        zone=str(statement["zone"]),
        reason=str(statement["reason"]),
        ended_at=parse_time(statement["ended_at"]),
        erased_at=parse_time(statement["erased_at"]),
        checkpoint=checkpoint,
        statement=statement,
        acknowledgements=acknowledgements,
    )


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes:
    data = base64.b64decode(text, validate=True)
    if _b64(data) != text:
        raise ValueError("not canonical base64")
    return data
