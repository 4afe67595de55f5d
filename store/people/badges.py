"""Badges in the data file: that one was issued, and its digest. The embedding leaves with the person."""

import hmac

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.exc import IntegrityError

from volens.consent import (
    Badge,
    ConsentedEmbedding,
    ConsentGrant,
    Custody,
    ModelId,
    NoLiveConsentError,
    PersonSecret,
    Purpose,
    ReceiptId,
    ReferenceId,
    RefusedError,
    SiteId,
    TamperError,
)
from volens.consent.errors import ForeignReceiptError
from volens.store.keys import sealing
from volens.store.keys.secrets import GrantSecret
from volens.store.people.consents import stored_receipt
from volens.store.people.references import SealedReference, refuse_second_reference, require_live
from volens.store.schema import data_tables as tables
from volens.store.store import Store, Transaction

_badge = tables.badge.c


def issue_badge(
    tx: Transaction,
    site_id: SiteId,
    embedding: ConsentedEmbedding,
    secret: GrantSecret,
    *,
    licence: str,
    photo_count: int,
) -> Badge:
    """Seal an embedding into a new badge under both halves of a new key, and note that it was issued.

    Args:
        tx: the transaction; the badge counts once it is committed.
        site_id: of the site.
        embedding: with the grant that allows it.
        secret: the site's half.
        licence: of the model.
        photo_count: how many photos it was made of.

    Returns:
        The badge, to be handed to the person and wiped; nothing in the store opens without it.

    Raises:
        NoLiveConsentError: the consent ended since the grant was made; the database refuses as well.
        RefusedError: a badge of this model was already issued under this consent.
    """
    grant = embedding.grant
    owner = {"receipt_id": grant.receipt_id, "subject_id": grant.subject_id, "purpose": grant.purpose}
    if has_badge(tx.connection, grant.receipt_id, embedding.model_id):
        refuse_second_reference()
    require_live(tx, grant)
    last = tx.connection.scalar(text("SELECT seq FROM sqlite_sequence WHERE name = 'badge'"))
    reference_id = ReferenceId((last or 0) + 1)
    context = sealing.reference_context(
        reference_id, grant.receipt_id, grant.subject_id, grant.purpose, embedding.model_id
    )
    person = PersonSecret.generate(tx.random)
    with secret.joined(person) as whole, whole.reference_key(grant.receipt_sha256, embedding.model_id) as key:
        box = sealing.seal(embedding.vector.array.data.cast("B"), key, context, tx.random)
    badge = Badge(site_id, grant.receipt_id, reference_id, embedding.model_id, person, box)
    try:
        tx.connection.execute(
            insert(tables.badge),
            {
                **owner,
                "reference_id": reference_id,
                "model_id": embedding.model_id,
                "model_licence": licence,
                "badge_sha256": badge.digest(),
                "photo_count": photo_count,
                "enrolled_at": tx.now,
            },
        )
    except IntegrityError:
        badge.wipe()
        raise NoLiveConsentError(
            "the consent ended while the photos were looked at; nothing was stored, and no badge issued"
        ) from None
    tx.log(
        "badge.issued",
        {**owner, "reference_id": reference_id, "model_id": embedding.model_id, "photo_count": photo_count},
        receipt_id=grant.receipt_id,
    )
    return badge


def check_badge_site(store: Store, badge: Badge) -> None:
    """Refuse the badge of another site.

    Raises:
        ForeignReceiptError: it is of another site.
    """
    if badge.site_id != store.site.controller.site_id:
        raise ForeignReceiptError("this badge is of another site; use it at the site that issued it")


def badge_reference(connection: Connection, grant: ConsentGrant, badge: Badge) -> SealedReference:
    """Return what a badge holds as a reference, once the badge is, byte for byte, the one issued under this consent.

    Raises:
        RefusedError: it belongs to another consent, or none was issued under this one.
        TamperError: it was changed, or put together from others.
    """
    if badge.receipt_id != grant.receipt_id:
        raise RefusedError("this badge goes with another receipt; show the badge and the receipt of one person")
    issued = connection.execute(
        select(_badge.badge_sha256, _badge.reference_id, _badge.model_id).where(_badge.receipt_id == grant.receipt_id)
    ).all()
    receipt = stored_receipt(connection, grant.receipt_id)
    if not issued or receipt is None:
        raise RefusedError("no badge was issued under this consent; enroll the person first")
    digest = badge.digest()
    for row in issued:
        if hmac.compare_digest(row.badge_sha256, digest):
            return SealedReference(
                ReferenceId(row.reference_id),
                ModelId(row.model_id),
                badge.sealed_embedding,
                grant.expires_at,
                receipt,
                Custody.BADGE,
            )
    raise TamperError(
        "integrity: this badge is not the one that was issued under this consent; it was changed, or put together from "
        "others"
    )


def has_badge(connection: Connection, receipt_id: ReceiptId, model_id: ModelId) -> bool:
    """Tell whether a badge of a model was issued under a consent that is in force."""
    query = select(_badge.reference_id).where(_badge.receipt_id == receipt_id, _badge.model_id == model_id)
    return connection.scalar(query) is not None


def count_badges(connection: Connection, purpose: Purpose) -> int:
    """Return the number of badges of a zone that are in force."""
    return int(connection.scalar(select(func.count()).where(_badge.purpose == purpose)) or 0)


def kept_digests(connection: Connection, receipt_id: ReceiptId) -> dict[str, list[bytes]]:
    """Return what is kept of the things that a person carries, for an erasure to count and to search for afterwards."""
    commitment = tables.subject_secret.c
    badges = connection.scalars(select(_badge.badge_sha256).where(_badge.receipt_id == receipt_id)).all()
    secrets = connection.scalars(select(commitment.commitment).where(commitment.receipt_id == receipt_id)).all()
    found = {"digest of a badge": list(badges), "commitment to the person's secret": list(secrets)}
    return {what: digests for what, digests in found.items() if digests}
