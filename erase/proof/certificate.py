"""The erasure certificate: what was destroyed, what was searched for and not found, and its place in the audit log.

A compact JWS by the site. With the certificate and the site's public key a reader can check all of it without access to
the store, the log or the network. It names no person: it has only the SHA-256 of the receipt, by which the holder of
the receipt recognises it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, final

from volens.audit import Checkpoint, LogEntry, LoggedStatement, VerifierKey, refuse_other_signer
from volens.audit.witnessed_head import WitnessedHead
from volens.consent import InputError, SignedDocument, TamperError, VerifiedReceipt, parse_time
from volens.consent.canonical import canonical_sha256
from volens.erase.proof.acknowledgement import open_acknowledgement

EVENT: Final = "erasure.certified"


class _Payload(NamedTuple):
    """What the site signed; `found` if a search after the erasure found something."""

    logged: LoggedStatement
    ended_at: datetime
    erased_at: datetime
    found: bool


def _read(document: dict[str, Any], _token: str) -> _Payload:
    logged = LoggedStatement.from_json(document)
    statement = logged.statement
    if not all(isinstance(statement[name], str) for name in ("certificate_id", "receipt_sha256", "zone", "reason")):
        raise TypeError("got a statement with a member that is not text")
    found = [one["found"] for one in statement["searched"]]
    found += [one.get("found", False) for one in statement.get("search_after", ())]
    return _Payload(logged, parse_time(statement["ended_at"]), parse_time(statement["erased_at"]), any(found))


CERTIFICATE: Final = SignedDocument(
    typ="volens-erasure-certificate+jws",
    name="an erasure certificate",
    advice="use the file as the site wrote it, or ask the site for it again",
    read=_read,
    versions=(1, 2, 3),
    version_member="statement.version",
    max_bytes=256 * 1024,
    member="certificate",
    list_member="acknowledgements",
    evidence_member="witnessed",
)


@final
@dataclass(frozen=True, slots=True)
class Certificate:
    """A verified certificate.

    Attributes:
        statement: of the site, as written; signature and log cover all of it.
        checkpoint: the signed tree head that includes it.
        entry: its place in the log.
        acknowledgements: what recipients have answered since, each signed by the site; possibly none yet.
        witnessed: a later checkpoint of the same log that witnesses have cosigned; None if there was none yet.
    """

    certificate_id: str
    receipt_sha256: str
    zone: str
    reason: str
    ended_at: datetime
    erased_at: datetime
    checkpoint: Checkpoint
    entry: LogEntry = field(repr=False)
    statement: Mapping[str, Any] = field(repr=False)
    acknowledgements: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    witnessed: WitnessedHead | None = field(default=None, repr=False)


def log_details(statement: Mapping[str, Any]) -> dict[str, str | int]:
    """Return the details to which the log's leaf commits: the whole statement, by its hash."""
    return {"certificate_id": str(statement["certificate_id"]), "statement_sha256": canonical_sha256(statement)}


def verify_certificate(data: bytes, key: VerifierKey) -> Certificate:
    """Verify a certificate's file with nothing but the site's public key.

    1. The file is exactly what `CERTIFICATE.to_file` writes.
    2. The site has signed these exact bytes, and they are a statement of a known version.
    3. The entry in the log is a certification, and commits to this statement.
    4. The entry is in the log whose head the site has signed.
    5. Nothing that was searched for was found.
    6. Each acknowledgement is signed by the site, and is of this certificate; so is the recipient's statement in it.
    7. The later checkpoint, if there is one, is signed by the site, and its log continues that of the certificate.

    Not checked: whether acknowledgements were left out. The statement names the recipients. Nor who has cosigned the
    later checkpoint: see `volens.audit.cosignature.require_quorum`, with the witnesses that the reader trusts.

    The key is pinned by the caller (``site.pub``), never taken from the certificate.

    Raises:
        InputError: the file is not a certificate.
        WrongKeyError: the certificate says that another site signed it.
        TamperError: any of 2 to 7 does not hold.
    """
    # 1.
    token, acknowledgements, evidence = CERTIFICATE.read_file(data)
    witnessed = None if evidence is None else _read_witnessed(evidence)
    # 2.
    try:
        payload = CERTIFICATE.verify(token, *key.public_keys)
    except TamperError:
        with suppress(InputError):
            refuse_other_signer("this certificate", CERTIFICATE.peek(token).logged.note, key)
        raise
    statement = payload.logged.statement
    # 3. and 4.
    checkpoint = payload.logged.verify(key, EVENT, log_details(statement))
    # 5.
    if payload.found:
        raise TamperError("integrity: the certificate states an erasure that left something behind; ask the site")
    # 6.
    certificate_id: str = statement["certificate_id"]
    answers = [open_acknowledgement(one, certificate_id, key.public_keys) for one in acknowledgements]
    # 7.
    if witnessed is not None:
        witnessed.verify(key, checkpoint)
    return Certificate(
        certificate_id,
        statement["receipt_sha256"],
        statement["zone"],
        statement["reason"],
        payload.ended_at,
        payload.erased_at,
        checkpoint,
        payload.logged.entry,
        statement,
        answers,
        witnessed,
    )


def _read_witnessed(evidence: Any) -> WitnessedHead:  # noqa: ANN401  JSON
    try:
        return WitnessedHead.from_json(evidence)
    except (ValueError, TypeError, LookupError, AttributeError):
        raise InputError(
            "the certificate's cosigned checkpoint has another form; use the file as the site wrote it, or remove the "
            "member witnessed"
        ) from None


def is_for(certificate: Certificate, receipt: VerifiedReceipt) -> bool:
    """Return whether a verified certificate is about the consent of exactly this receipt.

    Raises:
        TamperError: it names the receipt, and states something else than the receipt: another site or zone, or an end
            before the receipt was signed.
    """
    if certificate.receipt_sha256 != receipt.sha256.hex():
        return False
    claims = receipt.claims
    same = (certificate.statement["site_id"], certificate.zone) == (claims.site_id, claims.purpose)
    if not same or certificate.ended_at < claims.issued_at:
        raise TamperError("integrity: the certificate names this receipt, but contradicts it; ask the site")
    return True
