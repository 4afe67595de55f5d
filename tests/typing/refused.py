"""What mypy must refuse, line by line: `# refused: <error code>` marks each error, and there must be no other.

Never run, never imported; `test_refused.py` reads it. The functions at the top stand for any code that requires the
right type, so that the test covers the types of `consent` and `audit` and not their present callers.
"""

import copy
from dataclasses import replace
from datetime import datetime
from typing import Any

from volens.audit import Event, VerifierKey, open_checkpoint
from volens.consent import (
    ConsentedEmbedding,
    ConsentGrant,
    DataSubjectId,
    ModelId,
    Notice,
    ProbeEmbedding,
    Purpose,
    ReceiptId,
    ReferenceId,
    SiteId,
    SubjectKey,
    TakeHome,
    UnitVector,
    UnverifiedReceipt,
    VerifiedReceipt,
    WithdrawalCode,
    Zone,
    parse_purpose,
    permit_probe,
)
from volens.consent.embedding import FloatArray
from volens.consent.gate import ConsentLedger, admit
from volens.consent.grant import ProbePermit
from volens.consent.processing_record import ProcessingRecord
from volens.consent.receipt import Controller, verify_receipt
from volens.consent.receipt_offer import ReceiptOffer, compose_receipt
from volens.consent.receipt_signature import SignatureForm, SignatureTerms
from volens.consent.subject_key import SubjectPublicKey


def store(embedding: ConsentedEmbedding) -> None: ...
def search(probe: ProbeEmbedding) -> None: ...
def extract(grant: ConsentGrant) -> None: ...
def look(permit: ProbePermit) -> None: ...
def ask(receipt_id: ReceiptId, subject_id: DataSubjectId, purpose: Purpose) -> None: ...
def open_reference(reference_id: ReferenceId) -> None: ...


def the_gate(
    signed: UnverifiedReceipt,
    checked: VerifiedReceipt,
    ledger: ConsentLedger,
    site: SiteId,
    door: Purpose,
    now: datetime,
) -> None:
    admit(checked, site_id=site, purpose=door, ledger=ledger, now=now)
    admit(signed, site_id=site, purpose=door, ledger=ledger, now=now)  # refused: arg-type
    admit(signed.token, site_id=site, purpose=door, ledger=ledger, now=now)  # refused: arg-type
    admit(checked, site_id="site-5c1e", purpose=door, ledger=ledger, now=now)  # refused: arg-type
    admit(checked, site_id=site, purpose="front-door", ledger=ledger, now=now)  # refused: arg-type
    admit(checked, site_id=door, purpose=door, ledger=ledger, now=now)  # refused: arg-type
    admit(checked, site_id=site, purpose=site, ledger=ledger, now=now)  # refused: arg-type
    admit(checked, site_id=site, purpose=door, ledger=None, now=now)  # refused: arg-type
    admit(checked, site_id=site, purpose=door, ledger={}, now=now)  # refused: arg-type
    admit(checked, site_id=site, purpose=door, ledger=ledger)  # refused: call-arg
    admit(checked, site, door, ledger, now)  # refused: call-arg


def the_signature(
    signed: UnverifiedReceipt, checked: VerifiedReceipt, key: SubjectPublicKey, secret: SubjectKey
) -> None:
    verify_receipt(signed, key)
    verify_receipt(signed)  # refused: call-arg
    verify_receipt(signed, secret)  # refused: arg-type
    verify_receipt(signed, key.jwk)  # refused: arg-type
    verify_receipt(checked, key)  # refused: arg-type
    verify_receipt(signed.token, key)  # refused: arg-type
    as_verified: VerifiedReceipt = signed  # refused: assignment
    as_unverified: UnverifiedReceipt = checked  # refused: assignment
    TakeHome(checked, WithdrawalCode.generate(bytes), as_unverified.token)  # refused: arg-type
    as_verified.claims.purpose = Purpose("vault")  # refused: misc
    secret.raw  # refused: attr-defined  # noqa: B018


def the_capabilities(grant: ConsentGrant, permit: ProbePermit, zone: Zone, door: Purpose) -> None:
    extract(grant)
    look(permit_probe(zone))
    extract(permit)  # refused: arg-type
    look(grant)  # refused: arg-type
    extract(True)  # refused: arg-type
    extract(None)  # refused: arg-type
    extract(door)  # refused: arg-type
    permit_probe(door)  # refused: arg-type
    permit_probe(grant)  # refused: arg-type
    grant.purpose = door  # refused: misc
    permit.purpose = door  # refused: misc
    ConsentGrant(purpose=door)  # refused: call-arg
    ProbePermit(door, object())  # refused: call-arg

    class Wider(ConsentGrant): ...  # refused: misc

    class Looser(ProbePermit): ...  # refused: misc

    class Believed(VerifiedReceipt): ...  # refused: misc


def the_embeddings(
    consented: ConsentedEmbedding,
    probe: ProbeEmbedding,
    grant: ConsentGrant,
    permit: ProbePermit,
    vector: UnitVector,
    array: FloatArray,
    model: ModelId,
) -> None:
    store(ConsentedEmbedding(grant, vector, model))
    search(ProbeEmbedding(permit, vector, model))
    store(probe)  # refused: arg-type
    search(consented)  # refused: arg-type
    store(vector)  # refused: arg-type
    store(array)  # refused: arg-type
    store((grant, vector, model))  # refused: arg-type
    ConsentedEmbedding(permit, vector, model)  # refused: arg-type
    ConsentedEmbedding(None, vector, model)  # refused: arg-type
    ConsentedEmbedding(grant, array, model)  # refused: arg-type
    ConsentedEmbedding(grant, vector, "sface")  # refused: arg-type
    ConsentedEmbedding(vector, model)  # refused: call-arg
    ProbeEmbedding(grant, vector, model)  # refused: arg-type
    ProbeEmbedding(permit, array, model)  # refused: arg-type
    consented.vector = probe.vector  # refused: misc
    consented.grant = grant  # refused: misc
    probe.grant  # refused: attr-defined  # noqa: B018
    vector.array = array  # refused: misc

    class Wider(ConsentedEmbedding): ...  # refused: misc

    class Storable(ProbeEmbedding): ...  # refused: misc

    class Mutable(UnitVector): ...  # refused: misc


def the_ids(
    receipt_id: ReceiptId, subject_id: DataSubjectId, door: Purpose, site: SiteId, reference: ReferenceId
) -> None:
    ask(receipt_id, subject_id, door)
    ask(subject_id, receipt_id, door)  # refused: arg-type, arg-type
    ask("00112233445566778899aabbccddeeff", subject_id, door)  # refused: arg-type
    ask(receipt_id, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", door)  # refused: arg-type
    ask(receipt_id, subject_id, "front-door")  # refused: arg-type
    ask(receipt_id, subject_id, site)  # refused: arg-type
    ask(receipt_id, subject_id, parse_purpose("front-door").upper())  # refused: arg-type
    open_reference(reference)
    open_reference(7)  # refused: arg-type
    open_reference(reference + 1)  # refused: arg-type
    open_reference(receipt_id)  # refused: arg-type


def the_agreement(
    zone: Zone, record: ProcessingRecord, notice: Notice, receipt_id: ReceiptId, key: SubjectKey, now: datetime
) -> None:
    terms: dict[str, Any] = {"signature": SignatureTerms(SignatureForm.DESK), "issued_at": now, "expires_at": now}
    mine = key.public
    compose_receipt(record, notice, receipt_id=receipt_id, key=mine, **terms)
    compose_receipt(record, notice, receipt_id="00", key=mine, **terms)  # refused: arg-type
    compose_receipt(record, notice, receipt_id=receipt_id, key=key, **terms)  # refused: arg-type
    compose_receipt(zone, notice, receipt_id=receipt_id, key=mine, **terms)  # refused: arg-type
    ReceiptOffer(b"").sign(mine)  # refused: arg-type
    SignatureTerms("passkey")  # refused: arg-type
    Notice.publish("front-door", language="en", version=1, text=b"text", now=now)  # refused: arg-type
    Notice.publish(zone.purpose, language="en", version=1, text="text", now=now)  # refused: arg-type
    Controller("site-5c1e", "Lakeside Bakery", "privacy@lakeside.example")  # refused: arg-type
    Zone.declare("front-door", custody="operator", justification="", retention_days=1, now=now)  # refused: call-arg
    zone.alternative = "none"  # refused: misc
    notice.text = "something else"  # refused: misc
    replace(copy.copy(zone), retention_days="for ever")  # refused: arg-type


def the_log(note: str, key: VerifierKey, now: datetime) -> None:
    open_checkpoint(note, key)
    open_checkpoint(note, key.public_key)  # refused: arg-type
    open_checkpoint(note.encode(), key)  # refused: arg-type
    Event("consent.withdrawn", now, {"zone": "front-door"}, bytes(32))
    Event("consent.withdrawn", now, {"score": 0.5}, bytes(32))  # refused: dict-item
    Event("consent.withdrawn", now, {"zone": b"front-door"}, bytes(32))  # refused: dict-item
    Event("consent.withdrawn", now, {"zone": "front-door"}, "salt")  # refused: arg-type
