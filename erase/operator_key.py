"""An operator's own signing key, and what is signed with it: approvals of plans, and of changes to who may approve.

The site keeps public keys only. The private one is the operator's, in a file that a passphrase may protect.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, NoReturn, Self, final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from volens.consent import InputError, RefusedError, TamperError, format_time, parse_time
from volens.consent import jws as consent_jws
from volens.store import Store, Transaction
from volens.store.promises import Operator, list_operators, operators_required

APPROVAL_TYPE: Final = "volens-approval+jws"
CHANGE_TYPE: Final = "volens-operator-change+jws"
MAX_FILE_BYTES: Final = 64 * 1024
_VERSION: Final = 1


@final
class OperatorKey:
    """The private half. `repr` and pickling show nothing."""

    __slots__ = ("_key",)

    def __init__(self, key: Ed25519PrivateKey) -> None:
        """Wrap a private key."""
        self._key = key

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """Make the key of a 32-byte random seed."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def from_pem(cls, data: bytes, passphrase: bytes | None) -> Self:
        """Read a PKCS #8 PEM file.

        Raises:
            InputError: it is none, is of another kind, or the passphrase is missing, superfluous or wrong.
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

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """Return the key as PKCS #8 PEM, encrypted if there is a passphrase; to be written 0600."""
        protection: KeySerializationEncryption = (
            NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
        )
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)

    @property
    def public_key(self) -> bytes:
        """The public half, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, payload: bytes, typ: str) -> str:
        """Sign `payload` as a compact JWS."""
        return consent_jws.sign(payload, typ, self._key)

    def __repr__(self) -> str:
        """Say nothing about the key."""
        return "OperatorKey(...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("an OperatorKey is not pickled; use to_pem()")


def is_protected(data: bytes) -> bool:
    """Tell whether a key file asks for a passphrase."""
    return b"-----BEGIN ENCRYPTED PRIVATE KEY-----" in data


def public_pem(public_key: bytes) -> bytes:
    """Return a public key as PEM, for the site."""
    key = Ed25519PublicKey.from_public_bytes(public_key)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public_pem(data: bytes) -> bytes:
    """Read what `public_pem` writes: 32 bytes.

    Raises:
        InputError: it is no Ed25519 public key.
    """
    try:
        key = load_pem_public_key(data)
    except (ValueError, TypeError):
        raise InputError(
            "got a file that is no public key; give the .pub that 'volens operator keygen' wrote, never the private one"
        ) from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("got a public key of another kind; expected Ed25519")
    return key.public_bytes_raw()


def approve(key: OperatorKey, plan_token: str, cohort_id: str, now: datetime) -> str:
    """Sign that a plan shall be carried out. The approval is good for exactly these bytes of a plan."""
    return key.sign(
        rfc8785.dumps(
            {
                "version": _VERSION,
                "cohort_id": cohort_id,
                "plan_sha256": token_sha256(plan_token),
                "operator_key": consent_jws.b64url(key.public_key),
                "approved_at": format_time(now),
            }
        ),
        APPROVAL_TYPE,
    )


def approval_file(token: str) -> bytes:
    """Return the content of an approval's file."""
    return json.dumps({"approval": token}).encode("ascii") + b"\n"


def read_approval_file(data: bytes) -> str:
    """Read what `approval_file` writes; nothing is checked yet.

    Raises:
        InputError: it is none.
    """
    try:
        token = json.loads(data)["approval"]
        if not isinstance(token, str) or approval_file(token) != data:
            raise InputError("got a file that is no approval; use it as 'volens erase --approve' wrote it")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("got a file that is no approval; use it as 'volens erase --approve' wrote it") from None
    return token


def check_approvals(
    approvals: Iterable[str],
    plan_token: str,
    known: Mapping[str, bytes],
    *,
    required: int,
    between: tuple[datetime, datetime],
) -> list[str]:
    """Return the labels of those who approved a plan, one for each approval, in order.

    1. Each approval is signed by the key of an operator who is known, who has not approved already.
    2. It is of this plan, byte for byte, and was made while the plan was good.
    3. There are as many as required. Where only one is required, whoever sits at the desk is that one.

    Args:
        approvals: as signed.
        plan_token: the plan as signed.
        known: public keys (32 bytes) by label.
        required: by how many operators.
        between: when the plan was made, and until when it is good.

    Raises:
        RefusedError: one of these does not hold.
    """
    by_key = {consent_jws.b64url(public): (label, public) for label, public in known.items()}
    labels: list[str] = []
    for token in approvals:
        # 1.
        label, said = _said(token, APPROVAL_TYPE, by_key)
        if label in labels:
            raise RefusedError("got two approvals by one operator; the second must be another's, with another key")
        # 2.
        try:
            meant = said["plan_sha256"] == token_sha256(plan_token) and said["version"] == _VERSION
            in_time = between[0] <= parse_time(said["approved_at"]) <= between[1]
        except (KeyError, TypeError, InputError):
            meant = in_time = False
        if not meant:
            raise RefusedError("got an approval of another plan; have this one approved with 'volens erase --approve'")
        if not in_time:
            raise RefusedError("got an approval from before the plan was made or after it had run out; make a new plan")
        labels.append(label)
    # 3.
    if required > 1 and len(labels) < required:
        raise RefusedError(
            f"got {len(labels)} approvals; this site asks for {required} different operators; have the plan approved "
            "with 'volens erase --approve PLAN --operator-key FILE'"
        )
    return labels


def change_approved(
    store: Store, tx: Transaction, change: Mapping[str, str | int], keys: Sequence[OperatorKey]
) -> dict[str, str | int]:
    """Have a change to the rule of approval approved by as many operators as the rule asks for now.

    Each signs the change with its time, at the same desk; the audit log keeps the signatures.

    Returns:
        By whom it was approved, for the audit log.

    Raises:
        RefusedError: too few, not different, or not operators.
    """
    required = operators_required(tx.connection)
    if required < 2:  # noqa: PLR2004  one is whoever sits at the desk
        return {}
    payload = rfc8785.dumps(
        {"version": _VERSION, "site_id": store.site.controller.site_id, "at": format_time(tx.now), **change}
    )
    known = {consent_jws.b64url(one.public_key): (one.label, one.public_key) for one in list_operators(tx.connection)}
    tokens = [key.sign(payload, CHANGE_TYPE) for key in keys]
    labels = {known[public][0] for key in keys if (public := consent_jws.b64url(key.public_key)) in known}
    if len(labels) < required or len(labels) != len(keys):
        raise RefusedError(
            f"got {len(labels)} different operators' keys; this site asks for {required}, for such a change too; give "
            "--operator-key for each"
        )
    return {
        "approved_by": ", ".join(sorted(labels)),
        "approvals": "\n".join(tokens),
    }


def known_keys(of: Iterable[Operator]) -> dict[str, bytes]:
    """Return public keys by label."""
    return {one.label: one.public_key for one in of}


def token_sha256(token: str) -> str:
    """Return the SHA-256 of a signed document, in hexadecimal."""
    return sha256(token.encode("ascii")).hexdigest()


def _said(token: str, typ: str, by_key: Mapping[str, tuple[str, bytes]]) -> tuple[str, Any]:
    stranger = "got an approval that is not by an operator of this site; 'volens operator list' shows who may"
    try:
        said = json.loads(consent_jws.peek(token, typ))
        label, public = by_key[said["operator_key"]]
        consent_jws.verify(token, typ, Ed25519PublicKey.from_public_bytes(public))
    except (ValueError, KeyError, TypeError, InputError, TamperError):
        raise RefusedError(stranger) from None
    return label, said
