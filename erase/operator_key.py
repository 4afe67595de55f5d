"""An operator's own signing key, and the approvals signed with it: of plans, and of changes to who may approve.

The site keeps public keys only. The operator keeps the private key, in a file that a passphrase may protect.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NamedTuple, Self, final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from volens.consent import InputError, RefusedError, SignedDocument, TamperError, format_time, jws, parse_time
from volens.consent.private_key import PrivateKey
from volens.store import Store, Transaction
from volens.store.promises import list_operators, operators_required


class Approval(NamedTuple):
    """What an operator signed; `operator_key` as base64url."""

    operator_key: str
    plan_sha256: str
    approved_at: datetime


def _read_approval(document: dict[str, Any], _token: str) -> Approval:
    return Approval(str(document["operator_key"]), str(document["plan_sha256"]), parse_time(document["approved_at"]))


def _read_change(document: dict[str, Any], _token: str) -> dict[str, Any]:
    parse_time(document["at"])
    return document


APPROVAL: Final = SignedDocument(
    typ="volens-approval+jws",
    name="an approval",
    advice="use it as 'volens erase --approve' wrote it",
    read=_read_approval,
    member="approval",
    signed_error=InputError,
    version_error=InputError,
)
OPERATOR_CHANGE: Final = SignedDocument(
    typ="volens-operator-change+jws", name="an approved change", advice="see the audit log", read=_read_change
)


@final
class OperatorKey(PrivateKey):
    """The private key of an operator or a recipient."""

    __slots__ = ()

    @classmethod
    def from_pem(cls, data: bytes, passphrase: bytes | None) -> Self:
        """Read a PKCS #8 PEM file.

        Raises:
            InputError: the bytes are not such a file, the key is of another kind, or the passphrase is missing,
                superfluous or wrong.
        """
        try:
            key = load_pem_private_key(data, password=passphrase)
        except (ValueError, TypeError):
            raise InputError(
                "got an operator key that does not open; expected a file of 'volens operator keygen', and its "
                "passphrase if it has one"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError("got an operator key of another kind; expected one of 'volens operator keygen'")
        return cls(key)


def is_protected(data: bytes) -> bool:
    """Return whether a key file is protected by a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data


def public_pem(public_key: bytes) -> bytes:
    """Return a public key as PEM, for the site."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_pem(data: bytes) -> bytes:
    """Return the 32 bytes of a public key that `public_pem` wrote.

    Raises:
        InputError: the bytes are not an Ed25519 public key.
    """
    try:
        key = load_pem_public_key(data)
    except (ValueError, TypeError):
        raise InputError(
            "got a file that is not a public key; give the .pub that 'volens operator keygen' wrote, never the private "
            "key"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("got a public key of another kind; expected Ed25519")
    return key.public_bytes_raw()


def approve(key: OperatorKey, plan_token: str, cohort_id: str, now: datetime) -> str:
    """Sign an approval of a plan. It is valid for exactly these bytes of a plan."""
    content = {
        "version": APPROVAL.version,
        "cohort_id": cohort_id,
        "plan_sha256": token_sha256(plan_token),
        "operator_key": jws.b64url(key.public_key),
        "approved_at": format_time(now),
    }
    return APPROVAL.sign(key, content)


def check_approvals(
    approvals: Iterable[str],
    plan_token: str,
    known: Mapping[str, bytes],
    *,
    required: int,
    between: tuple[datetime, datetime],
) -> list[str]:
    """Return the labels of the operators who approved a plan, one for each approval, in order.

    1. Each approval is signed by the key of a known operator who has not approved already.
    2. It is of this plan, byte for byte, and was made while the plan was good.
    3. There are as many as required. If one is enough, the operator at the desk is that one.

    `known` has the public keys (32 bytes) by label; `between` is when the plan was made, and until when it is good.

    Raises:
        RefusedError: one of these does not hold.
    """
    by_key = {jws.b64url(public): (label, public) for label, public in known.items()}
    labels: list[str] = []
    for token in approvals:
        # 1.
        try:
            label, public = by_key[APPROVAL.peek(token).operator_key]
            approval = APPROVAL.verify(token, public)
        except (KeyError, InputError, TamperError):
            raise RefusedError(
                "got an approval that is not by an operator of this site; 'volens operator list' shows who may"
            ) from None
        if label in labels:
            raise RefusedError("got two approvals by one operator; the second must be another's, with another key")
        # 2.
        if approval.plan_sha256 != token_sha256(plan_token):
            raise RefusedError("got an approval of another plan; have this one approved with 'volens erase --approve'")
        if not between[0] <= approval.approved_at <= between[1]:
            raise RefusedError("got an approval from before the plan was made or after it expired; make a new plan")
        labels.append(label)
    # 3.
    if required > 1 and len(labels) < required:
        raise RefusedError(
            f"got {len(labels)} approvals; this site requires {required} different operators; have the plan approved "
            "with 'volens erase --approve PLAN --operator-key FILE'; a site with one operator can require fewer with "
            "'volens operator require 1', which is logged"
        )
    return labels


def change_approved(
    store: Store, tx: Transaction, change: Mapping[str, str | int], keys: Sequence[OperatorKey]
) -> dict[str, str | int]:
    """Approve a change to the approval rule with as many operators as the present rule requires, and there are.

    The first operators of a site, and a higher number, weaken nothing and need no approval. Each operator signs the
    change with its time, at the same desk. Return the operators and their signatures for the audit log.

    Raises:
        RefusedError: the keys are too few, not different, or not of operators.
    """
    operators, rule = list_operators(tx.connection), operators_required(tx.connection)
    is_first = change["change"] == "add" and len(operators) < rule
    is_higher = change["change"] == "require" and int(change["required"]) >= rule
    if rule == 1 or not operators or is_first or is_higher:  # one is the operator at the desk
        return {}
    required = min(rule, len(operators))
    content = {
        "version": OPERATOR_CHANGE.version,
        "site_id": store.site.controller.site_id,
        "at": format_time(tx.now),
        **change,
    }
    known = {one.public_key: one.label for one in operators}
    tokens = [OPERATOR_CHANGE.sign(key, content) for key in keys]
    labels = {known[key.public_key] for key in keys if key.public_key in known}
    if len(labels) < required or len(labels) != len(keys):
        raise RefusedError(
            f"got {len(labels)} different operators' keys; this site requires {required}, for this change too; give "
            "--operator-key for each"
        )
    return {"approved_by": ", ".join(sorted(labels)), "approvals": "\n".join(tokens)}


def token_sha256(token: str) -> str:
    """Return the SHA-256 of a signed document, in hexadecimal."""
    return sha256(token.encode("ascii")).hexdigest()
