"""Enrollment without photos: stores a given face under its person's consent, as `enroll` does after the photos."""

from collections.abc import Callable

from volens.consent import ConsentedEmbedding, ConsentGrant, ReferenceId, UnverifiedReceipt
from volens.store import Store
from volens.store.people import add_reference, admit_receipt


def enroll_face(
    store: Store, receipt: UnverifiedReceipt, embed: Callable[[ConsentGrant], ConsentedEmbedding]
) -> ReferenceId:
    """Admit a receipt, and store what `embed` returns for the grant; the embedding is wiped."""
    with store.read() as connection:
        grant = admit_receipt(store, connection, receipt)
    embedding = embed(grant)
    try:
        with store.keyring.grant_secret(grant.receipt_id) as secret, store.write() as tx:
            return add_reference(tx, embedding, secret, licence="none", photo_count=3)
    finally:
        embedding.vector.wipe()
