"""Credentials (bearer tokens) of programs that call the HTTP API: their role, their zone, their expiry.

A token is random and shown once. The store keeps its HMAC under a key of the keyring: 256 random bits cannot be
guessed, so a slow hash would only delay doors. The row is sealed (`volens.store.row_seals`), and counts only with the
leaf of the audit log that says that the credential was issued: a program that can write the data file, and has no key,
makes no credential.
"""

import base64
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self, final

from sqlalchemy import Connection, insert, select, update

from volens.consent import InputError, Purpose, RefusedError, UnknownError, format_time, parse_purpose
from volens.consent.in_process import InProcess
from volens.store.keys.keyring import Keyring
from volens.store.log.referenced_leaf import check_logged
from volens.store.prepared_query import ReadSnapshot
from volens.store.promises.label_bounds import DEFAULT_GRACE_HOURS, MAX_GRACE_HOURS, check_within, plain_label
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import RowSeals, SealedRows
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import api_credential as table
from volens.store.store import Store
from volens.store.transaction import Transaction

MAX_VALID_DAYS: Final = 825
DEFAULT_VALID_DAYS: Final = 365
CREDENTIAL_PREFIX: Final = "volens_"
"""The prefix of these tokens, and of no other kind of token."""

ISSUED: Final = "credential.issued"
ROTATED: Final = "credential.rotated"
RECOVERED: Final = "credential.recovered"
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
        link_until: None for the credential of a program. That of a member of staff is used with a passkey
            (`volens.store.programs.staff`); its token is only good for the link that makes one, until then.
        ended_at: None unless it was revoked before it expired.
        leases_refused_at: since when the door gets no lease, because they were revoked (`volens lease revoke`).
    """

    credential_id: str
    label: str
    role: Role
    purpose: Purpose | None
    issued_at: datetime
    expires_at: datetime
    link_until: datetime | None
    ended_at: datetime | None
    leases_refused_at: datetime | None = None


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

    def mac(self, seals: RowSeals) -> bytes:
        """Return the keyed hash that the store keeps: HMAC-SHA256, 32 bytes."""
        return seals.token_mac(b"volens credential v2\0" + self.reveal().encode("ascii"))


@final
class Credentials:
    """Issues, rotates, revokes and checks the credentials of a site."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._logged: dict[str, SealedRows] = {}

    def issue(
        self,
        *,
        label: str,
        role: Role,
        zone: str | None = None,
        valid_days: int = DEFAULT_VALID_DAYS,
        by: str | None = None,
    ) -> tuple[Credential, CredentialToken]:
        """Issue a credential; the token itself is not stored. `by` is the operator who does it on the pages.

        Raises:
            InputError: the label is not valid, there is no such zone, a door has no zone, or a role for the whole
                site has one; or the term is not 1 to `MAX_VALID_DAYS` days.
        """
        purpose = None if zone is None else parse_purpose(zone)
        check_reach(role, purpose)
        label = plain_label(label)
        check_within(valid_days, 1, MAX_VALID_DAYS, "days")
        with self._store.write() as tx:
            if purpose is not None:
                zone_of(tx.connection, purpose)
            more = {} if by is None else {"by": by}
            return issue_credential(tx, self._store.seals, ISSUED, label, role, purpose, valid_days, more=more)

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
            old = known_credential(tx, credential_id)
            if old.ended_at is not None or old.expires_at <= tx.now:
                raise InputError("this credential is no longer in force; issue a new one")
            if old.link_until is not None:
                raise InputError(
                    "this credential is that of a member of staff, who signs in with a passkey; "
                    "use 'volens staff recover'"
                )
            until = min(old.expires_at, tx.now + timedelta(hours=grace_hours))
            issued = issue_credential(tx, self._store.seals, ROTATED, old.label, old.role, old.purpose, valid_days)
            with tx.changing(Scope.CREDENTIAL, [credential_id]):
                ends = update(table).where(table.c.credential_id == credential_id).values(expires_at=until)
                tx.connection.execute(ends)
            return issued

    def end(self, credential_id: str, *, by: str | None = None) -> None:
        """Revoke a credential at once. A repeated call changes nothing. `by` is the operator, as in `issue`.

        Raises:
            InputError: there is no such credential.
        """
        with self._store.write() as tx:
            if known_credential(tx, credential_id).ended_at is None:
                end_credential(tx, credential_id, by=by)

    def list(self, *, all_of_them: bool = False) -> list[Credential]:
        """Return the credentials in force by label; with `all_of_them`, expired and revoked ones too.

        Raises:
            TamperError: the row of one does not verify.
        """
        now = self._store.now()
        with self._store.read() as connection:
            ids = connection.scalars(select(table.c.credential_id)).all()
            rows = self._store.seals.verified(connection, Scope.CREDENTIAL, ids).values()
            found = sorted((credential_of(one.records(table)[0]) for one in rows), key=lambda one: one.label)
        return [one for one in found if all_of_them or (one.ended_at is None and one.expires_at > now)]

    def check(self, token: str) -> Credential:
        """Return the credential in force that a token belongs to.

        Raises:
            RefusedError: there is none. Unknown, wrong, revoked and expired tokens get the same answer, and so does
                that of a link for a member of staff.
            TamperError: the row of the credential does not verify, or the log does not say that it was issued.

        Cost: until the log grows, one query.
        """
        credential = self.shown(token)
        if credential.link_until is not None:
            raise RefusedError(_NOT_IN_FORCE)
        return credential

    def shown(self, token: str) -> Credential:
        """Return the credential in force that a token belongs to, that of a member of staff too.

        Raises:
            RefusedError, TamperError: as `check`.
        """
        try:
            shown = CredentialToken.parse(token)
        except InputError:
            raise RefusedError(_NOT_IN_FORCE) from None
        row = self._row(shown.credential_id)
        # Compared in any case; which ids exist is no secret, the log has them.
        same = hmac.compare_digest(shown.mac(self._store.seals), bytes(32) if row is None else row["token_mac"])
        return self._in_force(row if same else None)

    def in_force(self, credential_id: str) -> Credential:
        """Return a credential whose token was checked before, such as when a kiosk was paired.

        Raises:
            RefusedError: it was revoked or has expired, or there is none.
            TamperError: as `check`.
        """
        return self._in_force(self._row(credential_id))

    def _row(self, credential_id: str) -> Mapping[str, Any] | None:
        with self._store.read_prepared() as snapshot:
            rows = self._store.seals.cached(snapshot, Scope.CREDENTIAL, credential_id)
            row = None if rows is None else rows.records(table)[0]
            if row is not None and rows is not None and self._logged.get(credential_id) is not rows:
                _check_issued(snapshot, self._store.keyring, row)
                self._logged[credential_id] = rows
        return row

    def _in_force(self, row: Mapping[str, Any] | None) -> Credential:
        credential = None if row is None else credential_of(row)
        if credential is None or credential.ended_at is not None or credential.expires_at <= self._store.now():
            raise RefusedError(_NOT_IN_FORCE)
        return credential

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


def _check_issued(snapshot: Connection | ReadSnapshot, keyring: Keyring, row: Mapping[str, Any]) -> None:
    """Check that the log says that a credential was issued, for this role and zone."""
    facts = {"credential": row["credential_id"], "role": row["role"]}
    zone = {} if row["purpose"] is None else {"zone": row["purpose"]}
    check_logged(snapshot, keyring, row["log_index"], (ISSUED, ROTATED, RECOVERED), facts | zone)


def issue_credential(
    tx: Transaction,
    seals: RowSeals,
    event: str,
    label: str,
    role: Role,
    purpose: Purpose | None,
    valid_days: int,
    *,
    link_until: datetime | None = None,
    more: Mapping[str, str] | None = None,
) -> tuple[Credential, CredentialToken]:
    """Insert a credential and log it; `more` are further details of the entry. Not checked: that the values fit."""
    token = CredentialToken.generate(tx.random)
    expires_at = tx.now + timedelta(days=valid_days)
    credential = Credential(token.credential_id, label, role, purpose, tx.now, expires_at, link_until, None)
    details = {"credential": credential.credential_id, "role": role.value, "expires_at": format_time(expires_at)}
    zone = {} if purpose is None else {"zone": purpose}
    with tx.changing(Scope.CREDENTIAL, [credential.credential_id]):
        index, _event = tx.log(event, details | zone | dict(more or {}))
        values = {**asdict(credential), "token_mac": token.mac(seals), "log_index": index}
        tx.connection.execute(insert(table), values)
    return credential, token


def end_credential(tx: Transaction, credential_id: str, *, by: str | None = None) -> None:
    """End a credential that has not ended, and log it, with the operator who did it on the pages."""
    ended = update(table).where(table.c.credential_id == credential_id).values(ended_at=tx.now)
    with tx.changing(Scope.CREDENTIAL, [credential_id]):
        tx.connection.execute(ended)
        revoke_leases(tx, credential_id=credential_id)
        tx.log("credential.ended", {"credential": credential_id} | ({} if by is None else {"by": by}))


def known_credential(tx: Transaction, credential_id: str) -> Credential:
    """Return a credential, in force or not.

    Raises:
        UnknownError: there is none of this id.
    """
    query = select(table).where(table.c.credential_id == credential_id)
    row = tx.connection.execute(query).mappings().one_or_none()
    if row is None:
        raise UnknownError("there is no credential of this id; 'volens credential list' shows them")
    return credential_of(row)


def credential_of(row: Mapping[Any, Any]) -> Credential:
    """Return the credential of a row."""
    plain = ("credential_id", "label", "issued_at", "expires_at", "link_until", "ended_at", "leases_refused_at")
    known = {name: row[name] for name in plain}
    purpose = None if row["purpose"] is None else Purpose(row["purpose"])
    return Credential(role=Role(row["role"]), purpose=purpose, **known)
