"""Credentials of the programs that ask over the network: who they are, what they may, until when.

A credential is a random token that is shown once. The store keeps SHA-256 of it: of 256 random bits nothing can be
guessed, so that a slow hash would only slow down doors.
"""

import base64
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, NoReturn, Self, final

from sqlalchemy import bindparam, insert, select, update

from volens.consent import InputError, Purpose, RefusedError, UnknownError, format_time, parse_purpose, parse_time
from volens.store.promises.label_bounds import DEFAULT_GRACE_HOURS, MAX_GRACE_HOURS, check_within, plain_label
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema import data_tables as tables
from volens.store.sqlite.prepared_query import PreparedQuery
from volens.store.store import Store, Transaction

MAX_VALID_DAYS: Final = 825
DEFAULT_VALID_DAYS: Final = 365
CREDENTIAL_PREFIX: Final = "volens_"
"""How tokens of credentials begin, and no others."""

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(CREDENTIAL_PREFIX + r"([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NOT_IN_FORCE: Final = "got a credential that is not in force; ask the operator for a new one"


class Role(StrEnum):
    """What a credential is for."""

    DOOR = "door"
    """Asks who is in a frame, in its own zone; never sees names."""
    DESK = "desk"
    """Records consents and enrolls, in one zone or in all."""
    AUDITOR = "auditor"
    """Reads the log and the proofs; no biometrics."""
    PRIVACY_OFFICER = "privacy_officer"
    """Erases, exports, answers requests."""
    OPERATOR = "operator"
    """Prepares zones and notices; no biometrics."""


_OF_A_ZONE: Final = frozenset({Role.DOOR, Role.DESK})


@final
@dataclass(frozen=True, slots=True)
class Credential:
    """What is known of a credential; not the secret.

    Attributes:
        purpose: the only zone it is good for; None for all. A door has one.
        ended_at: None unless it was ended before its time.
    """

    credential_id: str
    label: str
    role: Role
    purpose: Purpose | None
    issued_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@final
class CredentialToken:
    """The secret that a program shows: ``volens_`` + id + ``_`` + 32 random bytes in base64url."""

    __slots__ = ("_secret", "credential_id")

    def __init__(self, credential_id: str, secret: str) -> None:
        """Wrap what `parse` or `generate` made."""
        self.credential_id = credential_id
        self._secret = secret

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """Make a token from `random`, a function that returns n random bytes."""
        secret = base64.urlsafe_b64encode(random(_SECRET_BYTES)).rstrip(b"=").decode("ascii")
        return cls(random(_ID_BYTES).hex(), secret)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a token.

        Raises:
            InputError: it is none. The message does not repeat it.
        """
        found = _TOKEN.fullmatch(text)
        if found is None:
            raise InputError(f"got {len(text)} characters that are no credential; expected 'volens_' and what follows")
        return cls(found[1], found[2])

    def reveal(self) -> str:
        """Return the token, for whoever will show it."""
        return f"{CREDENTIAL_PREFIX}{self.credential_id}_{self._secret}"

    def digest(self) -> bytes:
        """Return the 32 bytes that the store keeps."""
        return sha256(b"volens credential v1\0" + self.reveal().encode("ascii")).digest()

    def __repr__(self) -> str:
        """Say nothing of the secret."""
        return f"CredentialToken({self.credential_id!r}, ...)"

    def __reduce__(self) -> NoReturn:
        """Refuse pickling."""
        raise TypeError("a CredentialToken is not pickled")


@final
class Credentials:
    """Issues, rotates, ends and checks the credentials of a site."""

    def __init__(self, store: Store) -> None:
        """Work on an open store."""
        self._store = store

    def issue(
        self, *, label: str, role: Role, zone: str | None = None, valid_days: int = DEFAULT_VALID_DAYS
    ) -> tuple[Credential, CredentialToken]:
        """Issue a credential; the token is not kept.

        Raises:
            InputError: a label that does not print, no such zone, a door without a zone, or a zone for a role that has
                none; or a term that is not 1 to `MAX_VALID_DAYS` days.
        """
        purpose = None if zone is None else parse_purpose(zone)
        check_reach(role, purpose)
        label = plain_label(label)
        check_within(valid_days, 1, MAX_VALID_DAYS, "days")
        with self._store.write() as tx:
            if purpose is not None:
                zone_of(tx.connection, purpose)
            return _issue(tx, "credential.issued", label, role, purpose, valid_days)

    def rotate(
        self, credential_id: str, *, grace_hours: int = DEFAULT_GRACE_HOURS, valid_days: int = DEFAULT_VALID_DAYS
    ) -> tuple[Credential, CredentialToken]:
        """Issue another for the same; the old one is good for `grace_hours` more, never longer than before.

        Raises:
            InputError: no such credential is in force, or a number is out of its range.
        """
        check_within(grace_hours, 0, MAX_GRACE_HOURS)
        check_within(valid_days, 1, MAX_VALID_DAYS, "days")
        with self._store.write() as tx:
            old = _known(tx, credential_id)
            if old.ended_at is not None or old.expires_at <= tx.now:
                raise InputError("this credential is not in force any more; issue a new one")
            until = min(old.expires_at, tx.now + timedelta(hours=grace_hours))
            row = tables.api_credential
            tx.connection.execute(update(row).where(row.c.credential_id == credential_id).values(expires_at=until))
            return _issue(tx, "credential.rotated", old.label, old.role, old.purpose, valid_days)

    def end(self, credential_id: str) -> None:
        """End a credential at once. Doing it twice does no harm.

        Raises:
            InputError: there never was such a credential.
        """
        with self._store.write() as tx:
            if _known(tx, credential_id).ended_at is None:
                row = tables.api_credential
                tx.connection.execute(update(row).where(row.c.credential_id == credential_id).values(ended_at=tx.now))
                tx.log("credential.ended", {"credential": credential_id})

    def list(self, *, all_of_them: bool = False) -> list[Credential]:
        """Return the credentials in force by label; on request also those that ran out or were ended."""
        now = self._store.now()
        with self._store.read() as connection:
            rows = connection.execute(select(tables.api_credential).order_by(tables.api_credential.c.label))
            found = [_credential(row) for row in rows]
        return [one for one in found if all_of_them or (one.ended_at is None and one.expires_at > now)]

    def check(self, token: str) -> Credential:
        """Return the credential in force that a token is of.

        Raises:
            RefusedError: there is none. Unknown, wrong, ended and run out are one answer.
        """
        try:
            shown = CredentialToken.parse(token)
        except InputError:
            raise RefusedError(_NOT_IN_FORCE) from None
        with self._store.glance() as glance:
            rows = _ONE.rows(glance, {"wanted": shown.credential_id})
        # Compared in any case, so that time does not tell which ids there are.
        kept = bytes(rows[0][-1]) if rows else bytes(32)
        same = hmac.compare_digest(shown.digest(), kept)
        if not rows or not same:
            raise RefusedError(_NOT_IN_FORCE)
        credential_id, label, role, purpose, issued_at, expires_at, ended_at, _ = rows[0]
        if ended_at is not None or parse_time(expires_at) <= self._store.now():
            raise RefusedError(_NOT_IN_FORCE)
        where = None if purpose is None else Purpose(purpose)
        times = parse_time(issued_at), parse_time(expires_at)
        return Credential(credential_id, label, Role(role), where, *times, None)

    def now(self) -> datetime:
        """Return the time by which credentials run out, UTC, whole seconds."""
        return self._store.now()

    def name_for(self, issuer: str, subject: str) -> str:
        """Return the id that stands for somebody whom an issuer vouches for: ``oidc:`` and 16 hexadecimal digits.

        Keyed, for subjects are often addresses or staff numbers, and easily tried. The same as long as the site lives.
        """
        with self._store.keyring.derived_key("oidc callers") as key:
            digest = hmac.digest(key.buffer, json.dumps([issuer, subject]).encode("ascii"), "sha256")
        return f"oidc:{digest[:_ID_BYTES].hex()}"


def check_reach(role: Role, zone: Purpose | None) -> None:
    """Check that a role may have just this zone, or none.

    Raises:
        InputError: a door without a zone, or a zone for a role that has none.
    """
    if role is Role.DOOR and zone is None:
        raise InputError("got a door without a zone; say for which zone it opens")
    if role not in _OF_A_ZONE and zone is not None:
        raise InputError(f"got a zone for the role {role.value!r}, which is for the whole site; leave it out")


_ONE: Final = PreparedQuery(
    select(
        *(
            tables.api_credential.c[name]
            for name in (
                "credential_id",
                "label",
                "role",
                "purpose",
                "issued_at",
                "expires_at",
                "ended_at",
                "secret_sha256",
            )
        )
    ).where(tables.api_credential.c.credential_id == bindparam("wanted"))
)


def _issue(
    tx: Transaction, event: str, label: str, role: Role, purpose: Purpose | None, valid_days: int
) -> tuple[Credential, CredentialToken]:
    token = CredentialToken.generate(tx.random)
    expires_at = tx.now + timedelta(days=valid_days)
    credential = Credential(token.credential_id, label, role, purpose, tx.now, expires_at, None)
    tx.connection.execute(
        insert(tables.api_credential).values(
            credential_id=credential.credential_id,
            label=label,
            role=role.value,
            purpose=purpose,
            secret_sha256=token.digest(),
            issued_at=credential.issued_at,
            expires_at=credential.expires_at,
        )
    )
    details = {"credential": credential.credential_id, "role": role.value, "expires_at": format_time(expires_at)}
    tx.log(event, details if purpose is None else details | {"zone": purpose})
    return credential, token


def _known(tx: Transaction, credential_id: str) -> Credential:
    row = tx.connection.execute(
        select(tables.api_credential).where(tables.api_credential.c.credential_id == credential_id)
    ).one_or_none()
    if row is None:
        raise UnknownError("there is no credential of this id; 'volens credential list' shows them")
    return _credential(row)


def _credential(row: Any) -> Credential:  # noqa: ANN401  SQLAlchemy's row has no narrower type
    purpose = None if row.purpose is None else Purpose(row.purpose)
    return Credential(
        row.credential_id, row.label, Role(row.role), purpose, row.issued_at, row.expires_at, row.ended_at
    )
