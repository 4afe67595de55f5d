"""What mypy must refuse where embeddings, keys and grants are used: store, index, enroll and the library.

Never run, never imported; `test_refused.py` reads it. `# refused: <error code>` marks each error; there is no other.
"""

from datetime import datetime

from volens import Site
from volens.consent import (
    ConsentedEmbedding,
    ConsentGrant,
    ProbeEmbedding,
    ReferenceId,
    UnverifiedReceipt,
    VerifiedReceipt,
    WithdrawalCode,
)
from volens.consent.grant import ProbePermit
from volens.face import DetectedFace, Extractor, RgbImage
from volens.index import FlatEngine, Galleries, identify, verify_claim
from volens.store import Store, Transaction
from volens.store.keys import GrantSecret, RootKey, seal
from volens.store.people import SealedReference, add_consent, add_reference


def storing(tx: Transaction, mine: ConsentedEmbedding, seen: ProbeEmbedding, secret: GrantSecret) -> None:
    add_reference(tx, mine, secret, licence="MIT", photo_count=3)
    add_reference(tx, seen, secret, licence="MIT", photo_count=3)  # refused: arg-type
    add_reference(tx, mine.vector, secret, licence="MIT", photo_count=3)  # refused: arg-type


def extracting(
    extractor: Extractor, photo: RgbImage, face: DetectedFace, grant: ConsentGrant, permit: ProbePermit
) -> None:
    crop = extractor.crop(photo, face)
    extractor.consented(crop, grant)
    extractor.consented(crop, permit)  # refused: arg-type
    extractor.consented(crop)  # refused: call-arg
    extractor.probes(photo, [face], grant)  # refused: arg-type
    extractor.probes(photo, [face], None)  # refused: arg-type


def matching(
    store: Store, galleries: Galleries, mine: ConsentedEmbedding, seen: ProbeEmbedding, receipt: VerifiedReceipt
) -> None:
    now: datetime = store.now()
    identify(store, galleries, seen, 0.5, now)
    identify(store, galleries, mine, 0.5, now)  # refused: arg-type
    identify(store, galleries, seen.vector, 0.5, now)  # refused: arg-type
    verify_claim(store, receipt, seen, 0.45)  # refused: arg-type


def opening(reference: SealedReference, secret: GrantSecret, root: RootKey) -> None:
    reference.open(secret)
    reference.open(root)  # refused: arg-type
    seal(b"", secret.buffer, b"", bytes)  # refused: arg-type


def consenting(tx: Transaction, shown: UnverifiedReceipt, code: WithdrawalCode, secret: GrantSecret) -> None:
    add_consent(tx, shown, code, "Ada", secret)  # refused: arg-type


def proposing(engine: FlatEngine, wanted: ReferenceId) -> None:
    engine.remove(wanted)
    engine.remove(7)  # refused: arg-type


def using(site: Site, photo: RgbImage) -> None:
    site.identify("lobby", photo)
    site.identify("lobby", photo.pixels)  # refused: arg-type
    site.identify("lobby", photo, "719035")  # refused: arg-type
    site.withdraw(code=b"ABCDE")  # refused: arg-type
