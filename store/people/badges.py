"""Issued badges in the data file: the fact and the digest. The sealed embedding is only on the badge."""

import hmac
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from volens.consent import (
    Badge,
    ConsentedEmbedding,
    ConsentGrant,
    Custody,
    ModelId,
    NoLiveConsentError,
    PersonSecret,
    ReceiptId,
    ReferenceId,
    RefusedError,
    SiteId,
    TamperError,
)
from volens.consent.errors import ForeignReceiptError
from volens.store.keys.secrets import GrantSecret
from volens.store.people.consents import authenticate_consents
from volens.store.people.references import SealedReference, insert_reference, new_reference_id, seal_embedding
from volens.store.schema import data_tables as tables
from volens.store.store import Store
from volens.store.transaction import Transaction

_badge = tables.badge.c


def issue_badge(
    tx: Transaction,
    site_id: SiteId,
    embedding: ConsentedEmbedding,
    secret: GrantSecret,
    *,
    licence: str,
    photo_count: int,
    renewed_from: datetime | None = None,
) -> Badge:
    """Seal an embedding into a new badge under both halves of a new key, and record that it was issued.

    The badge is valid once the transaction is committed. It is handed to the person and wiped; the embedding does not
    open without it. `secret` is the site's half.

    Raises:
        NoLiveConsentError: the consent ended since the grant was made; the database refuses as well.
        RefusedError: a badge of this model was already issued under this consent, or collecting is stopped.
    """
    grant = embedding.grant
    reference_id = new_reference_id(tx, tables.badge, embedding)
    person = PersonSecret.generate(tx.random)
    with secret.joined(person) as whole:
        box = seal_embedding(tx, embedding, whole, reference_id)
    badge = Badge(site_id, grant.receipt_id, reference_id, embedding.model_id, person, box)
    facts: dict[str, Any] = {
        "model_licence": licence,
        "photo_count": photo_count,
        "enrolled_at": renewed_from or tx.now,
    }
    facts |= {"reference_id": reference_id, "badge_sha256": badge.digest()}
    try:
        insert_reference(tx, tables.badge, embedding, facts, "badge.issued")
    except NoLiveConsentError:
        badge.wipe()
        raise
    return badge


def check_badge_site(store: Store, badge: Badge) -> None:
    """Check that a badge was issued by this site.

    Raises:
        ForeignReceiptError: another site issued it.
    """
    if badge.site_id != store.site.controller.site_id:
        raise ForeignReceiptError("this badge is of another site; use it at the site that issued it")


def badge_reference(connection: Connection, grant: ConsentGrant, badge: Badge) -> SealedReference:
    """Return the reference that a badge holds, if it is byte for byte the badge issued under this consent.

    Raises:
        RefusedError: the badge belongs to another consent, or none was issued under this one, or it was replaced.
        TamperError: the badge was changed, or combined from other badges; or the rows of the consent were changed.
    """
    if badge.receipt_id != grant.receipt_id:
        raise RefusedError("this badge goes with another receipt; show the badge and the receipt of one person")
    consent = authenticate_consents(connection, [grant.receipt_id]).get(grant.receipt_id)
    issued = [] if consent is None else consent.rows.records(tables.badge)
    if consent is None or not issued:
        raise RefusedError("no badge was issued under this consent; enroll the person first")
    digest = badge.digest()
    for row in issued:
        if hmac.compare_digest(row["badge_sha256"], digest):
            return SealedReference(
                ReferenceId(row["reference_id"]),
                ModelId(row["model_id"]),
                badge.sealed_embedding,
                grant.expires_at,
                consent.receipt,
                Custody.BADGE,
            )
    replaced = tables.replaced_reference.c
    older = connection.scalars(select(replaced.recognised_by).where(replaced.receipt_id == grant.receipt_id)).all()
    if any(hmac.compare_digest(one, digest) for one in older):
        raise RefusedError("this badge was replaced by a newer one; show the newer one")
    raise TamperError(
        "integrity: this badge is not the one that was issued under this consent; it was changed, or "
        "combined from other badges"
    )


def is_issued_badge(connection: Connection, badge: Badge) -> bool:
    """Return whether a badge is byte for byte one that is in force; the rows are not authenticated."""
    query = select(_badge.badge_sha256).where(_badge.receipt_id == badge.receipt_id)
    digest = badge.digest()
    return any(hmac.compare_digest(one, digest) for one in connection.scalars(query))


def has_badge(connection: Connection, receipt_id: ReceiptId, model_id: ModelId) -> bool:
    """Return whether a badge of a model was issued under a consent that is in force."""
    query = select(_badge.reference_id).where(_badge.receipt_id == receipt_id, _badge.model_id == model_id)
    return connection.scalar(query) is not None
