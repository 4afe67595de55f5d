"""`Site.invitations`: invites people to a zone, and takes their yes or no.

An invitation is a link for one person and one use. The site keeps the name sealed, so that the desk sees whom it
invited and the person need not type it, and only until the invitation ends. Who said no is recorded nowhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, Final, final

from volens.consent import (
    InputError,
    Notice,
    Purpose,
    ReceiptId,
    RefusedError,
    UnknownError,
    VolensError,
    Zone,
    parse_purpose,
)
from volens.consent.invitation import InvitationState, InvitationToken
from volens.consent.jurisdiction import parse_jurisdiction
from volens.consent.reason import Reason
from volens.consent.receipt_offer import end_of_term
from volens.consent.refusal import sign_refusal
from volens.consent.typed_text import comparison_key
from volens.enroll.giving import parse_name, zone_of_newest
from volens.enroll.invitation_table import DEFAULT_DAYS, Invitee, read_invitees
from volens.enroll.invitation_views import Invitation, InvitationsPage, InvitationView, InvitedRow, ListedInvitation
from volens.enroll.opening import refuse_to_ask
from volens.index import Installation
from volens.store import Transaction
from volens.store.people import invitation_rows as rows
from volens.store.people import stored_receipt
from volens.store.people.disclosures import COMMAND_LINE
from volens.store.people.external_ids import add_external_digest, consent_with_digest, external_digest
from volens.store.people.invitation_rows import InvitationCount, StoredInvitation
from volens.store.promises import notice_of, processing_record, zone_of
from volens.store.promises.declared_facts import site_facts
from volens.store.promises.site_profiles import refuse_unlawful
from volens.store.promises.stated_jurisdictions import refuse_not_stated

MAX_DAYS: Final = 90
_GONE: Final = "there is no open invitation of this id; 'volens invite list' shows them"


@final
@dataclass(frozen=True, slots=True)
class _Invited:
    """The people with an open invitation to a zone: keys of their names, keyed hashes of their external ids."""

    zone: Purpose
    names: set[str]
    digests: set[bytes]

    def add(self, name: str, digest: bytes | None) -> None:
        """Add a person.

        Raises:
            RefusedError: this person is invited already. Without an external id, the name decides.
        """
        key = comparison_key(name)
        if digest in self.digests or (digest is None and key in self.names):
            what = (
                "this name; give an external id to tell two people apart"
                if digest is None
                else "this external id; wait"
            )
            raise RefusedError(
                f"zone {self.zone!r} has an open invitation for {what}, or send that one a new link",
                reason=Reason.INVITED_NAME if digest is None else Reason.INVITED_ID,
            )
        self.names.add(key)
        if digest is not None:
            self.digests.add(digest)


@final
class Invitations:
    """The invitations of one site. Times are aware UTC."""

    def __init__(self, installation: Installation) -> None:
        self._store = installation.store

    def invite(
        self,
        zone: str,
        *,
        name: str,
        jurisdiction: str,
        language: str | None = None,
        external_id: str | None = None,
        valid_days: int | None = None,
        valid_until: datetime | None = None,
        days: int = DEFAULT_DAYS,
        invited_by: str = COMMAND_LINE,
    ) -> Invitation:
        """Invite one person to a zone.

        Args:
            zone: its name; it is in use and has a notice.
            name: 1 to 200 characters; stored sealed, until the invitation ends.
            jurisdiction: ISO 3166 code of the law that protects the person, such as ``FR``.
            language: of the notice, a BCP 47 tag; None where the zone has one notice.
            external_id: the person's id in the staff list; only a keyed hash is stored.
            valid_days: the term of the consent; None for the zone's retention.
            valid_until: or when the consent ends (aware); the invitation is open until then at most.
            days: how long the invitation is open, 1 to `MAX_DAYS`.
            invited_by: the id of the caller, for the list and the log.

        Raises:
            InputError: a value is not valid, or there is no such zone or notice.
            RefusedError: the zone was removed or is not open (`refuse_to_ask`), or a person with this external id has a
                consent in force or an open invitation.
        """
        person = Invitee(zone, name, jurisdiction, language, external_id, valid_days, days, valid_until)
        (made,) = self.invite_each([person], invited_by=invited_by)
        if isinstance(made, VolensError):
            raise made
        return made

    def invite_each(
        self, people: Sequence[Invitee], *, invited_by: str = COMMAND_LINE
    ) -> Sequence[Invitation | VolensError]:
        """Invite people in one transaction; return for each the invitation, or why there is none (see `invite`)."""
        with self._store.write() as tx:
            # Each is read once for all people of a table.
            of_zone, invited = cache(partial(self._asked, tx)), cache(partial(self._invited, tx))
            checked: list[tuple[str, dict[str, Any]] | VolensError] = []
            for one in people:
                try:
                    name = parse_name(one.name)
                    columns = self._columns(tx, one, *of_zone(one.zone, one.language, one.jurisdiction))
                    invited(columns["purpose"]).add(name, columns["external_digest"])
                    checked.append((name, columns | {"invited_by": invited_by}))
                except (InputError, RefusedError) as problem:
                    checked.append(problem)
            good = [one for one in checked if not isinstance(one, VolensError)]
            made = iter(rows.add_invitations(tx, self._store.keyring, good))
        return [one if isinstance(one, VolensError) else self._made(next(made)) for one in checked]

    def import_csv(
        self,
        data: bytes,
        *,
        zone: str,
        jurisdiction: str,
        invited_by: str = COMMAND_LINE,
        days: int = DEFAULT_DAYS,
        only_zone: bool = False,
    ) -> Sequence[InvitedRow]:
        """Invite the people of a table; return a report on each row, in the order of the table.

        The columns are those of `volens.enroll.invitation_table`. `zone` and `jurisdiction` are for rows that have
        none. A row that is refused does not stop the others; a second call does not invite a person again. With
        `only_zone`, rows of other zones are refused.

        Raises:
            InputError: the bytes are not such a table.
        """
        table = read_invitees(data, zone=zone, jurisdiction=jurisdiction, days=days)
        elsewhere = RefusedError(
            f"this row is for another zone than {zone!r}; import it there, or leave its zone empty",
            reason=Reason.TABLE_OTHER_ZONE,
        )
        is_here = [not only_zone or comparison_key(one.zone) == comparison_key(zone) for _number, one in table]
        here = [one for (_number, one), wanted in zip(table, is_here, strict=True) if wanted]
        made = iter(self.invite_each(here, invited_by=invited_by))
        outcomes = [next(made) if wanted else elsewhere for wanted in is_here]
        return [
            InvitedRow(number, person, one, "")
            if isinstance(one, Invitation)
            else InvitedRow(number, person, None, str(one), one.reason)
            for (number, person), one in zip(table, outcomes, strict=True)
        ]

    def open(self, token: str) -> InvitationView:
        """Return what the holder of a token, or of a link, may see.

        Raises:
            UnknownInvitationError: there is no open invitation with this token.
            InvitationEndedError: it was used, cancelled or replaced, or has expired; `state` says which.
            RefusedError: the zone was removed.
            TamperError: its row was changed by another program.
        """
        shown = InvitationToken.parse(token)
        with self._store.read() as connection:
            one = rows.invitation_for(connection, shown, self._store.now())
            zone = zone_of(connection, one.purpose)
            zone.check_not_removed()
            notice = notice_of(connection, one.purpose, one.language)
        return InvitationView(
            zone=zone,
            notice=notice,
            name=one.name(self._store.keyring) or "",
            language=one.language,
            jurisdiction=one.jurisdiction,
            valid_days=one.valid_days,
            valid_until=one.valid_until,
            expires_at=one.expires_at,
            is_linked=one.external_digest is not None,
        )

    def use(self, tx: Transaction, token: str, receipt_id: ReceiptId) -> None:
        """Mark an invitation used, in the transaction that records the consent; link the external id to the consent.

        Pass it as the `in_transaction` of the call that records the consent: if it raises, no consent is recorded.

        Raises:
            UnknownInvitationError, InvitationEndedError, TamperError: see `open`.
            RefusedError: the consent is for another zone or jurisdiction, or another person has the external id.
        """
        one = rows.invitation_for(tx.connection, InvitationToken.parse(token), tx.now)
        stored = stored_receipt(tx.connection, receipt_id)
        agreed = None if stored is None else stored.verified().claims
        if agreed is None or (agreed.purpose, agreed.jurisdiction) != (one.purpose, one.jurisdiction):
            raise RefusedError(
                "this invitation is for another zone or another law than the consent; open the link again",
                reason=Reason.OTHER_INVITATION,
            )
        if one.external_digest is not None:
            add_external_digest(tx, receipt_id, one.external_digest)
        rows.end_invitations(tx, [one], InvitationState.USED)

    def refuse(self, token: str, *, receipt_wanted: bool = False) -> bytes | None:
        """Take a no: delete the invitation, and count it. Return a signed refusal receipt if the person wants one.

        Raises:
            UnknownInvitationError, InvitationEndedError, TamperError: see `open`.
        """
        shown, store = InvitationToken.parse(token), self._store
        with store.write() as tx:
            one = rows.invitation_for(tx.connection, shown, tx.now)
            rows.refuse_invitation(tx, one)
            if not receipt_wanted:
                return None
            return sign_refusal(store.keyring, store.site.controller, one.purpose, tx.random(16).hex(), tx.now)

    def cancel(self, invitation_id: str, *, zone: str | None = None) -> None:
        """Cancel an open invitation. With `zone`, only one of that zone.

        Raises:
            UnknownError: there is no open invitation of this id.
        """
        with self._store.write() as tx:
            rows.end_invitations(tx, [_open_one(tx, invitation_id, zone)], InvitationState.CANCELLED)

    def resend(self, invitation_id: str, *, days: int = DEFAULT_DAYS, zone: str | None = None) -> Invitation:
        """Make a new link for an open invitation; the older links open nothing any more. It is open for `days` again.

        Raises:
            InputError: `days` is not 1 to `MAX_DAYS`.
            UnknownError: there is no open invitation of this id.
        """
        with self._store.write() as tx:
            one = _open_one(tx, invitation_id, zone)
            return self._made(rows.renew_link(tx, one, _open_until(tx.now, days, one.valid_until)))

    def list(
        self, zone: str | None = None, state: InvitationState | None = None, *, shown_to: str = COMMAND_LINE
    ) -> list[ListedInvitation]:
        """Return invitations by expiry, of one zone or all. Names are shown, so the log records who looked.

        Those that have ended are listed for 30 days, without a name; those that were refused are not listed.

        Raises:
            UnknownError: there is no such zone.
            TamperError: a row was changed by another program.
        """
        return list(self.page(zone, state, limit=None, shown_to=shown_to).entries)

    def page(
        self,
        zone: str | None = None,
        state: InvitationState | None = None,
        *,
        offset: int = 0,
        limit: int | None,
        shown_to: str = COMMAND_LINE,
    ) -> InvitationsPage:
        """Return a part of the list, `limit` invitations from the `offset`-th on; only their names are opened.

        Raises:
            UnknownError, TamperError: see `list`.
        """
        purpose = None if zone is None else parse_purpose(zone)
        with self._store.write() as tx:
            if purpose is not None:
                zone_of(tx.connection, purpose)
            ids = rows.invitation_ids(tx.connection, purpose=purpose)
            found = rows.invitations(tx.connection, ids).values()
            wanted = [one for one in found if state in {None, one.state_at(tx.now)}]
            end = None if limit is None else offset + limit
            listed = tuple(self._listed(one, tx.now) for one in wanted[offset:end])
            named = sum(one.name is not None for one in listed)
            tx.log(rows.LISTED, {"shown_to": shown_to, "zone": purpose or "", "people": named})
        return InvitationsPage(listed, len(wanted))

    def number_open(self, zone: str | None = None) -> int:
        """Return how many people are invited and have not answered. No name is opened, so nothing is recorded.

        Raises:
            TamperError: a row was changed by another program.
        """
        purpose = None if zone is None else parse_purpose(zone)
        with self._store.read() as connection:
            ids, now = rows.invitation_ids(connection, purpose=purpose, state=InvitationState.OPEN), self._store.now()
            found = rows.invitations(connection, ids).values()
        return sum(one.state_at(now) is InvitationState.OPEN for one in found)

    def counts(self, zone: str | None = None) -> Sequence[InvitationCount]:
        """Return how many were sent, used, refused, cancelled and expired, by zone and day."""
        with self._store.read() as connection:
            return rows.count_invitations(connection, None if zone is None else parse_purpose(zone))

    def _asked(self, tx: Transaction, zone: str, language: str | None, jurisdiction: str) -> tuple[Zone, Notice, str]:
        """Return the zone, the notice to show, and the jurisdiction, if people may be asked there."""
        purpose, jurisdiction = parse_purpose(zone), parse_jurisdiction(jurisdiction)
        refuse_not_stated(tx.connection, site_facts(tx.connection), jurisdiction)
        notice = notice_of(tx.connection, purpose, language)
        found = zone_of_newest(tx.connection, notice)
        refuse_to_ask(self._store, tx.connection, jurisdiction, purpose)
        refuse_unlawful(tx.connection, jurisdiction, found.custody, purpose)
        return found, notice, jurisdiction

    def _columns(
        self, tx: Transaction, person: Invitee, zone: Zone, notice: Notice, jurisdiction: str
    ) -> dict[str, Any]:
        """Return the columns of a new invitation.

        Raises:
            InputError, RefusedError: see `invite`.
        """
        purpose, digest = zone.purpose, None
        record = processing_record(tx.connection, self._store.site.controller, purpose, jurisdiction)
        ends_at = end_of_term(record, tx.now, valid_days=person.valid_days, valid_until=person.valid_until)
        valid_until = None if person.valid_until is None else ends_at
        if person.external_id is not None:
            digest = external_digest(self._store.keyring, purpose, person.external_id)
            if consent_with_digest(tx.connection, purpose, digest) is not None:
                raise RefusedError(
                    f"the person with this external id has a consent in zone {purpose!r} already",
                    reason=Reason.ID_TAKEN,
                )
        return {
            "purpose": purpose,
            "jurisdiction": jurisdiction,
            "language": notice.language,
            "external_digest": digest,
            "valid_days": person.valid_days,
            "valid_until": valid_until,
            "invited_at": tx.now,
            "expires_at": _open_until(tx.now, person.days, valid_until),
        }

    def _invited(self, tx: Transaction, purpose: Purpose) -> _Invited:
        ids = rows.invitation_ids(tx.connection, purpose=purpose, state=InvitationState.OPEN)
        found = [one for one in rows.invitations(tx.connection, ids).values() if one.expires_at > tx.now]
        names = {comparison_key(one.name(self._store.keyring) or "") for one in found}
        return _Invited(purpose, names, {one.external_digest for one in found if one.external_digest is not None})

    def _made(self, one: StoredInvitation) -> Invitation:
        keyring = self._store.keyring
        name, token = one.name(keyring) or "", one.token(keyring)
        return Invitation(one.invitation_id, one.purpose, name, one.language, one.expires_at, token)

    def _listed(self, one: StoredInvitation, now: datetime) -> ListedInvitation:
        state = one.state_at(now)
        return ListedInvitation(
            invitation_id=one.invitation_id,
            zone=one.purpose,
            name=one.name(self._store.keyring) if state is InvitationState.OPEN else None,
            state=state,
            language=one.language,
            jurisdiction=one.jurisdiction,
            is_linked=one.external_digest is not None,
            invited_by=one.invited_by,
            invited_at=one.invited_at,
            expires_at=one.expires_at,
        )


def _open_one(tx: Transaction, invitation_id: str, zone: str | None) -> StoredInvitation:
    one = rows.invitations(tx.connection, [invitation_id]).get(invitation_id)
    is_open = one is not None and one.state_at(tx.now) is InvitationState.OPEN
    if one is None or not is_open or (zone is not None and one.purpose != zone):
        raise UnknownError(_GONE)
    return one


def _open_until(now: datetime, days: int, valid_until: datetime | None) -> datetime:
    """Return until when an invitation is open: for some days, and not after the end of the consent that it offers."""
    if not 1 <= days <= MAX_DAYS:
        raise InputError(f"got an invitation of {days} days; expected 1 to {MAX_DAYS}", reason=Reason.LINK_DAYS)
    expires_at = now + timedelta(days=days)
    return expires_at if valid_until is None else min(expires_at, valid_until)
