"""Members of staff who sign in to the pages with a passkey: the desk, the privacy officer, the operator, the auditor.

A member is a credential (`volens.store.programs.credentials`) whose token is only good for one link. The member opens
it and makes a passkey, whose public key is kept, sealed in the scope of the credential, and counts only with its leaf
of the audit log. Role, zone, expiry and end are those of the credential. A member who lost the passkey gets a new
credential from an operator, and the old one ends in the same transaction.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import bindparam, insert, select

from volens.consent import InputError, RefusedError, parse_purpose
from volens.consent.subject_key import SubjectPublicKey
from volens.store.log.referenced_leaf import check_logged
from volens.store.prepared_query import PreparedQuery
from volens.store.programs.credentials import (
    DEFAULT_VALID_DAYS,
    ISSUED,
    MAX_VALID_DAYS,
    RECOVERED,
    Credential,
    Credentials,
    CredentialToken,
    Role,
    check_reach,
    credential_of,
    end_credential,
    issue_credential,
    known_credential,
)
from volens.store.promises.label_bounds import check_within, plain_label
from volens.store.promises.zones_and_notices import zone_of
from volens.store.row_seals import SealedRows
from volens.store.schema.authenticated import Scope
from volens.store.schema.data_tables import api_credential, staff_passkey
from volens.store.store import Store

DEFAULT_LINK_HOURS: Final = 72
MAX_LINK_HOURS: Final = 336
MAX_PASSKEY_ID_CHARACTERS: Final = 1364
"""An id of 1023 bytes (WebAuthn Level 3, section 6.1) in base64url."""

ADDED_ON_PAGES: Final = (Role.DESK, Role.AUDITOR)
"""The roles that an operator who is signed in can add. A stolen session must not make itself an operator, nor two
privacy officers, who together erase everyone (docs/adr/0061)."""

_PASSKEY_ADDED: Final = "passkey.added"
_HOLDER: Final = PreparedQuery(
    select(staff_passkey.c.credential_id).where(staff_passkey.c.passkey_id == bindparam("passkey"))
)
_LINK_ENDED: Final = "this link is not in force; ask the operator for a new one"
_NOT_KNOWN: Final = "this site does not know this passkey; ask the operator for a link"


@final
@dataclass(frozen=True, slots=True)
class StaffMember:
    """A member of staff.

    Attributes:
        credential: label, role, zone, expiry; `credential.link_until` is the end of the link.
        passkey_added_at: when the member made the passkey; None before.
    """

    credential: Credential
    passkey_added_at: datetime | None


@final
@dataclass(frozen=True, slots=True)
class StaffPasskey:
    """A passkey of a member who may sign in: the credential in force that it stands for, and its public key."""

    passkey_id: str
    credential: Credential
    public_key: SubjectPublicKey


@final
class Staff:
    """Adds, recovers and lists the members of staff of a site, and finds the one who signs in."""

    def __init__(self, store: Store, credentials: Credentials) -> None:
        self._store = store
        self._credentials = credentials
        self._logged: dict[str, SealedRows] = {}

    def add(
        self,
        *,
        label: str,
        role: Role,
        zone: str | None = None,
        valid_days: int = DEFAULT_VALID_DAYS,
        link_hours: int = DEFAULT_LINK_HOURS,
        by: str | None = None,
    ) -> tuple[Credential, CredentialToken]:
        """Add a member; the token belongs into the link, and is not stored.

        Args:
            label: what the site calls the member, such as ``reception, early shift``.
            role: any except that of a door.
            zone: the only zone of a desk; None for all.
            valid_days: 1 to `MAX_VALID_DAYS`.
            link_hours: how long the link is good, 1 to `MAX_LINK_HOURS`.
            by: the credential of the operator who adds the member on the pages; None at the command line.

        Raises:
            InputError: a value is not valid, there is no such zone, or the role does not fit it.
            RefusedError: it was begun on the pages, and the role is none of `ADDED_ON_PAGES`.
        """
        if role is Role.DOOR:
            raise InputError("got the role of a door for a member of staff; a door has a credential of its own")
        if by is not None and role not in ADDED_ON_PAGES:
            raise RefusedError(
                "an operator or a privacy officer is added on the machine of the site only, with 'volens staff add "
                "LABEL --role ROLE', so that a stolen session cannot make itself one"
            )
        purpose = None if zone is None else parse_purpose(zone)
        check_reach(role, purpose)
        label = plain_label(label)
        check_within(valid_days, 1, MAX_VALID_DAYS, "days")
        check_within(link_hours, 1, MAX_LINK_HOURS)
        with self._store.write() as tx:
            if purpose is not None:
                zone_of(tx.connection, purpose)
            until = tx.now + timedelta(hours=link_hours)
            more = {} if by is None else {"by": by}
            seals = self._store.seals
            return issue_credential(tx, seals, ISSUED, label, role, purpose, valid_days, link_until=until, more=more)

    def recover(
        self,
        credential_id: str,
        *,
        by: str | None = None,
        valid_days: int = DEFAULT_VALID_DAYS,
        link_hours: int = DEFAULT_LINK_HOURS,
    ) -> tuple[Credential, CredentialToken]:
        """End a member's credential with its passkey, and issue one with a new link for the same member.

        Args:
            credential_id: of the member.
            by: the credential of the operator who does it on the pages; None at the command line.
            valid_days: as `add`.
            link_hours: as `add`.

        Raises:
            InputError: it is no credential of a member of staff, or a number is out of range.
            RefusedError: the operator is this member: a stolen session must not make itself a passkey. Or the member
                is a privacy officer, and it was begun on the pages.
        """
        check_within(valid_days, 1, MAX_VALID_DAYS, "days")
        check_within(link_hours, 1, MAX_LINK_HOURS)
        with self._store.write() as tx:
            old = known_credential(tx, credential_id)
            if old.link_until is None:
                raise InputError("this is the credential of a program; 'volens credential rotate' gives it a new token")
            if by == credential_id:
                raise RefusedError("an operator cannot recover their own sign-in; ask a second operator")
            if by is not None and old.role is Role.PRIVACY_OFFICER:
                raise RefusedError(
                    "a privacy officer is recovered on the machine of the site only, with 'volens staff recover'"
                )
            if old.ended_at is None:
                end_credential(tx, credential_id, by=by)
            until = tx.now + timedelta(hours=link_hours)
            more = {"replaces": credential_id} | ({} if by is None else {"by": by})
            return issue_credential(
                *(tx, self._store.seals, RECOVERED, old.label, old.role, old.purpose, valid_days),
                link_until=until,
                more=more,
            )

    def of_link(self, token: str) -> Credential:
        """Return the credential of a member who opens a link.

        Raises:
            RefusedError: the link is not in force: unknown, used, too old, or the credential has ended.
        """
        try:
            credential = self._credentials.shown(token)
        except RefusedError:
            raise RefusedError(_LINK_ENDED) from None
        until = credential.link_until
        if until is None or until <= self._store.now() or self._passkeys(credential.credential_id):
            raise RefusedError(_LINK_ENDED)
        return credential

    def register(self, token: str, passkey_id: str, public_key: SubjectPublicKey) -> StaffPasskey:
        """Record the passkey that a member made after opening a link; the link is used with that.

        Not checked: that `public_key` is of a passkey; `volens.service.passkey_registration` reads the registration.

        Raises:
            RefusedError: the link is not in force.
            InputError: this site has a passkey of this id.
        """
        with self._store.write() as tx:
            credential = self.of_link(token)
            table = staff_passkey.c
            # `of_link` reads a snapshot of its own, from before another registration that has just ended.
            used = select(table.passkey_id).where(table.credential_id == credential.credential_id)
            if tx.connection.scalar(used) is not None:
                raise RefusedError(_LINK_ENDED)
            if tx.connection.scalar(select(table.credential_id).where(table.passkey_id == passkey_id)) is not None:
                raise InputError("got a passkey that this site has already; make a new one")
            with tx.changing(Scope.CREDENTIAL, [credential.credential_id]):
                facts = _facts(credential.credential_id, public_key)
                index, _event = tx.log(_PASSKEY_ADDED, facts)
                values = {
                    "passkey_id": passkey_id,
                    "credential_id": credential.credential_id,
                    "public_key": public_key.jwk,
                    "log_index": index,
                    "added_at": tx.now,
                }
                tx.connection.execute(insert(staff_passkey), values)
        return StaffPasskey(passkey_id, credential, public_key)

    def passkey(self, passkey_id: str) -> StaffPasskey:
        """Return a passkey with the credential in force that it stands for. Until the log grows, two small queries.

        Raises:
            RefusedError: the site does not know it, or the credential has ended.
            TamperError: a row does not verify, or the log does not say that it was added.
        """
        with self._store.read_prepared() as snapshot:
            rows = _HOLDER.rows(snapshot, {"passkey": passkey_id[: MAX_PASSKEY_ID_CHARACTERS + 1]})
        if not rows:
            raise RefusedError(_NOT_KNOWN)
        ((credential_id,),) = rows
        credential = self._credentials.in_force(credential_id)
        for row in self._passkeys(credential_id):
            if row["passkey_id"] == passkey_id:
                return StaffPasskey(passkey_id, credential, SubjectPublicKey(row["public_key"]))
        raise RefusedError(_NOT_KNOWN)

    def _passkeys(self, credential_id: str) -> list[dict[str, Any]]:
        """Return the verified rows of the passkeys of a credential."""
        with self._store.read_prepared() as snapshot:
            rows = self._store.seals.cached(snapshot, Scope.CREDENTIAL, credential_id)
            if rows is None:
                return []
            found = rows.records(staff_passkey)
            if self._logged.get(credential_id) is not rows:
                for row in found:
                    facts = _facts(credential_id, SubjectPublicKey(row["public_key"]))
                    check_logged(snapshot, self._store.keyring, row["log_index"], (_PASSKEY_ADDED,), facts)
                self._logged[credential_id] = rows
        return found

    def list(self, *, all_of_them: bool = False) -> list[StaffMember]:
        """Return the members by label; with `all_of_them`, those whose credential has ended or expired too.

        Raises:
            TamperError: a row does not verify.
        """
        now = self._store.now()
        with self._store.read() as connection:
            ids = connection.scalars(
                select(api_credential.c.credential_id).where(api_credential.c.link_until.is_not(None))
            ).all()
            found = []
            for rows in self._store.seals.verified(connection, Scope.CREDENTIAL, ids).values():
                credential = credential_of(rows.records(api_credential)[0])
                passkeys = rows.records(staff_passkey)
                found.append(StaffMember(credential, passkeys[0]["added_at"] if passkeys else None))
        shown = [
            one for one in found if all_of_them or (one.credential.ended_at is None and one.credential.expires_at > now)
        ]
        return sorted(shown, key=lambda one: (one.credential.label, one.credential.issued_at))


def _facts(credential_id: str, public_key: SubjectPublicKey) -> dict[str, str]:
    return {"credential": credential_id, "key": public_key.subject_id}
