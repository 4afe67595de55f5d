"""Credentials (bearer tokens) of programs that call the HTTP API: their role, their zone, their expiry.

A token is random and shown once. The store keeps its SHA-256: 256 random bits cannot be guessed, so a slow hash would
only delay doors.
"""

import base64
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final, Self, final

from sqlalchemy import bindparam, insert, select, update

from volens.consent import InputError, Purpose, RefusedError, UnknownError, format_time, parse_purpose, parse_time
from volens.consent.in_process import InProcess
from volens.store.prepared_query import PreparedQuery
from volens.store.promises.label_bounds import DEFAULT_GRACE_HOURS, MAX_GRACE_HOURS, check_within, plain_label
from volens.store.promises.zones_and_notices import zone_of
from volens.store.schema.data_tables import api_credential as table
from volens.store.store import Store, Transaction

MAX_VALID_DAYS: Final = 825
DEFAULT_VALID_DAYS: Final = 365
CREDENTIAL_PREFIX: Final = "volens_"
"""The prefix of these tokens, and of no other kind of token."""

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_TOKEN: Final = re.compile(CREDENTIAL_PREFIX + r"([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NOT_IN_FORCE: Final = "got a credential that is not in force; ask the operator for a new one"


class Role(StrEnum):
    """The role of a credential: which operations it may call."""

    DOOR = "door"
    """Identifies faces in its own zone; never sees names."""
    DESK = "desk"
    """Records consents and enrolls people, in one zone or in all."""
    AUDITOR = "auditor"
    """Reads the log and the proofs; no biometrics."""
    PRIVACY_OFFICER = "privacy_officer"
    """Erases, exports, and answers data subject requests."""
    OPERATOR = "operator"
    """Adds zones and publishes notices; no biometrics."""


_OF_A_ZONE: Final = frozenset({Role.DOOR, Role.DESK})


@final
@dataclass(frozen=True, slots=True)
class Credential:
    """A credential, without its secret.

    Attributes:
        purpose: the only zone in which it is valid; None for all. A door's credential has one.
        ended_at: None unless it was revoked before it expired.
    """

    credential_id: str
    label: str
    role: Role
    purpose: Purpose | None
    issued_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@final
class CredentialToken(InProcess):
    """The token that a program sends: ``volens_`` + id + ``_`` + 32 random bytes in base64url."""

    __slots__ = ("_secret", "credential_id")

    def __init__(self, credential_id: str, secret: str) -> None:
        self.credential_id = credential_id
        self._secret = secret

    @classmethod
    def generate(cls, random: Callable[[int], bytes]) -> Self:
        """Make a token from `random`, a function that returns n random bytes."""
        secret = base64.urlsafe_b64encode(random(_SECRET_BYTES)).rstrip(b"=").decode("ascii")
        return cls(random(_ID_BYTES).hex(), secret)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a token.

        Raises:
            InputError: the text is not a token. The message does not repeat it.
        """
        found = _TOKEN.fullmatch(text)
        if found is None:
            raise InputError(
                f"got {len(text)} characters that are no credential; expected a token that begins with 'volens_'"
            )
        return cls(found[1], found[2])

    def reveal(self) -> str:
        """Return the token as text, to hand it over."""
        return f"{CREDENTIAL_PREFIX}{self.credential_id}_{self._secret}"

    def digest(self) -> bytes:
        """Return the SHA-256 that the store keeps."""
        return sha256(b"volens credential v1\0" + self.reveal().encode("ascii")).digest()


@final
class Credentials:
    """Issues, rotates, revokes and checks the credentials of a site."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def issue(
        self, *, label: str, role: Role, zone: str | None = None, valid_days: int = DEFAULT_VALID_DAYS
    ) -> tuple[Credential, CredentialToken]:
        """Issue a credential; the token itself is not stored.

        Raises:
            InputError: the label is not printable, there is no such zone, a door has no zone, or a role for the whole
                site has one; or the term is not 1 to `MAX_VALID_DAYS` days.
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
        """Issue a new token for the same program. The old one stays valid for `grace_hours`, never longer than before.

        Raises:
            InputError: no such credential is in force, or a number is out of range.
        """
        check_within(grace_hours, 0, MAX_GRACE_HOURS)
        check_within(valid_days, 1, MAX_VALID_DAYS, "days")
        with self._store.write() as tx:
            old = _known(tx, credential_id)
            if old.ended_at is not None or old.expires_at <= tx.now:
                raise InputError("this credential is no longer in force; issue a new one")
            until = min(old.expires_at, tx.now + timedelta(hours=grace_hours))
            tx.connection.execute(update(table).where(table.c.credential_id == credential_id).values(expires_at=until))
            return _issue(tx, "credential.rotated", old.label, old.role, old.purpose, valid_days)

    def end(self, credential_id: str) -> None:
        """Revoke a credential at once. A repeated call changes nothing.

        Raises:
            InputError: there is no such credential.
        """
        with self._store.write() as tx:
            if _known(tx, credential_id).ended_at is None:
                ended = update(table).where(table.c.credential_id == credential_id).values(ended_at=tx.now)
                tx.connection.execute(ended)
                tx.log("credential.ended", {"credential": credential_id})

    def list(self, *, all_of_them: bool = False) -> list[Credential]:
        """Return the credentials in force by label; with `all_of_them`, expired and revoked ones too."""
        now = self._store.now()
        with self._store.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.label))
            found = [_credential(row) for row in rows]
        return [one for one in found if all_of_them or (one.ended_at is None and one.expires_at > now)]

    def check(self, token: str) -> Credential:
        """Return the credential in force that a token belongs to.

        Raises:
            RefusedError: there is none. Unknown, wrong, revoked and expired tokens get the same answer.
        """
        try:
            shown = CredentialToken.parse(token)
        except InputError:
            raise RefusedError(_NOT_IN_FORCE) from None
        with self._store.read_prepared() as snapshot:
            rows = _ONE.rows(snapshot, {"wanted": shown.credential_id})
        # Compared in any case, so that timing does not reveal which ids exist.
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

    def name_for(self, issuer: str, subject: str) -> str:
        """Return the pseudonym of a subject of an OIDC issuer: ``oidc:`` and 16 hexadecimal digits.

        It is a keyed hash, because subjects are often addresses or staff numbers, which are easy to guess. It never
        changes during the life of the site.
        """
        with self._store.keyring.derived_key("oidc callers") as key:
            digest = hmac.digest(key.buffer, json.dumps([issuer, subject]).encode("ascii"), "sha256")
        return f"oidc:{digest[:_ID_BYTES].hex()}"


def check_reach(role: Role, zone: Purpose | None) -> None:
    """Check that a role fits a zone, or none.

    Raises:
        InputError: a door has no zone, or a role for the whole site has one.
    """
    if role is Role.DOOR and zone is None:
        raise InputError("got a door without a zone; name the zone in which it identifies people")
    if role not in _OF_A_ZONE and zone is not None:
        raise InputError(f"got a zone for the role {role.value!r}, which is for the whole site; leave the zone out")


_ONE: Final = PreparedQuery(
    select(*(table.c[each.name] for each in fields(Credential)), table.c.secret_sha256).where(
        table.c.credential_id == bindparam("wanted")
    )
)


def _issue(
    tx: Transaction, event: str, label: str, role: Role, purpose: Purpose | None, valid_days: int
) -> tuple[Credential, CredentialToken]:
    token = CredentialToken.generate(tx.random)
    expires_at = tx.now + timedelta(days=valid_days)
    credential = Credential(token.credential_id, label, role, purpose, tx.now, expires_at, None)
    tx.connection.execute(insert(table).values(**asdict(credential), secret_sha256=token.digest()))
    details = {"credential": credential.credential_id, "role": role.value, "expires_at": format_time(expires_at)}
    tx.log(event, details if purpose is None else details | {"zone": purpose})
    return credential, token


def _known(tx: Transaction, credential_id: str) -> Credential:
    row = tx.connection.execute(select(table).where(table.c.credential_id == credential_id)).one_or_none()
    if row is None:
        raise UnknownError("there is no credential of this id; 'volens credential list' shows them")
    return _credential(row)


def _credential(row: Any) -> Credential:  # noqa: ANN401  SQLAlchemy's row has no narrower type
    purpose = None if row.purpose is None else Purpose(row.purpose)
    return Credential(
        row.credential_id, row.label, Role(row.role), purpose, row.issued_at, row.expires_at, row.ended_at
    )
