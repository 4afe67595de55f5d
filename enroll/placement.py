"""Placement of a new reference, by the custody of its zone: in the store under one key or two, or on a badge."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias, final

from sqlalchemy import Connection

from volens.consent import (
    Badge,
    ConsentedEmbedding,
    ConsentGrant,
    Custody,
    InputError,
    ModelId,
    PersonSecret,
    ReferenceId,
    RefusedError,
    UnverifiedReceipt,
    Zone,
)
from volens.consent.errors import DamagedDataError
from volens.consent.reason import Reason
from volens.store import Store, Transaction
from volens.store.keys import GrantSecret
from volens.store.people import check_person_secret
from volens.store.people.badges import has_badge, issue_badge
from volens.store.people.references import add_reference, has_reference
from volens.store.promises import zone_of

HandOver: TypeAlias = Callable[[Badge], None]
"""Puts a badge into the person's hands, or raises."""

_NEEDED: Final = {
    Custody.OPERATOR: "neither a secret nor a place for a badge",
    Custody.SUBJECT_KEY: "the person's secret (--secret or --secret-qr), and nothing else",
    Custody.BADGE: "a place for the badge (--badge-out), and nothing else",
}


@final
@dataclass(frozen=True, slots=True, eq=False)
class ReferencePlacement:
    """A zone and the inputs that its custody needs, checked."""

    zone: Zone
    grant: ConsentGrant
    secret: PersonSecret | None = field(repr=False)
    hand_over: HandOver | None

    @classmethod
    def of(
        cls,
        connection: Connection,
        receipt: UnverifiedReceipt,
        grant: ConsentGrant,
        secret: PersonSecret | None,
        hand_over: HandOver | None,
    ) -> Self:
        """Check that the inputs are complete, before a photo is analysed. The grant is for this receipt.

        Raises:
            InputError: the inputs are not those that the zone needs.
            ZonePausedError: the operator paused the zone.
            RefusedError: the secret is another person's, or the zone was removed.
            TamperError: the zone's custody is not the one that the person signed.
        """
        zone = zone_of(connection, grant.purpose)
        zone.check_in_use()
        if receipt.claims.custody is not zone.custody:
            raise DamagedDataError(
                f"the person agreed to custody {receipt.claims.custody.value!r}, and the zone now says "
                f"{zone.custody.value!r}"
            )
        wanted = (zone.custody is Custody.SUBJECT_KEY, zone.custody is Custody.BADGE)
        if (secret is not None, hand_over is not None) != wanted:
            raise InputError(f"zone {zone.purpose!r} has custody {zone.custody.value!r}; give {_NEEDED[zone.custody]}")
        if secret is not None:
            check_person_secret(connection, grant, secret)
        return cls(zone, grant, secret, hand_over)

    def refuse_second(self, connection: Connection, model_id: ModelId) -> None:
        """Refuse a second reference of one model.

        Raises:
            RefusedError: the consent has one already.
        """
        has_one = has_badge if self.zone.custody is Custody.BADGE else has_reference
        if has_one(connection, self.grant.receipt_id, model_id):
            raise RefusedError(
                "this consent already has a reference of this model; to enroll again, withdraw and give a new consent",
                reason=Reason.ENROLLED_BEFORE,
            )

    def keep(
        self,
        tx: Transaction,
        store: Store,
        embedding: ConsentedEmbedding,
        secret: GrantSecret,
        *,
        licence: str,
        photo_count: int,
    ) -> ReferenceId:
        """Seal the embedding and store it, or issue it as a badge; see `add_reference` and `issue_badge`.

        The secret is from the keyring: the whole secret, or the site's half. A badge that was handed over is valid once
        the transaction is committed.
        """
        if self.hand_over is not None:
            site_id = store.site.controller.site_id
            badge = issue_badge(tx, site_id, embedding, secret, licence=licence, photo_count=photo_count)
            try:
                self.hand_over(badge)
            finally:
                badge.wipe()
            return badge.reference_id
        if self.secret is not None:
            with secret.joined(self.secret) as whole:
                return add_reference(tx, embedding, whole, licence=licence, photo_count=photo_count)
        return add_reference(tx, embedding, secret, licence=licence, photo_count=photo_count)
