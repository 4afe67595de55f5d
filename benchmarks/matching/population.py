"""Filled site for benchmarks, written in bulk. Keys, receipts, secrets, seals and log are real; the API is bypassed.

The statements of giving consent and enrolling (`volens.enroll.give_consent`, `add_reference`) are made for thousands of
people in one transaction. All triggers of the database are on, the log is signed after each batch, and a sample of the
rows is read back through the store. A home of a million takes minutes and gigabytes, so it is kept and copied.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from benchmarks.matching.faces import FloatArray
from volens import Site
from volens.audit import SALT_BYTES, Event, leaf_bytes, leaf_hash, new_nodes
from volens.consent import (
    DataSubjectId,
    ModelId,
    Notice,
    Purpose,
    ReceiptId,
    ReferenceId,
    SubjectKey,
    Zone,
    format_time,
)
from volens.consent.jws import b64url
from volens.consent.receipt import RECEIPT
from volens.consent.receipt_offer import compose_receipt, end_of_term
from volens.consent.receipt_signature import SignatureForm, SignatureTerms
from volens.service.sample_notice import publish_sample_notice
from volens.store import Store
from volens.store.keys import GrantSecret, KeyId, sealing
from volens.store.keys.secrets import BucketKey
from volens.store.keys.wrapped_keys import bucket_context, secret_context
from volens.store.log import log_size, node_reader
from volens.store.people import live_candidates, reference_ids
from volens.store.promises import processing_record, zone_of
from volens.store.schema import Scope
from volens.store.schema.keyring_tables import BUCKET_SIZE, bucket

ZONE: Final = "door"
MODEL: Final = ModelId("benchmark@00000000")
_BATCH: Final = 5000
_SAMPLE: Final = 50
_CACHE: Final = "PRAGMA cache_size = -1000000"  # a gigabyte: receipt ids are random, so all pages are accessed
_JURISDICTION: Final = "FR"

_Row = tuple[Any, ...]


def home_of(folder: Path, name: str, faces: FloatArray) -> Path:
    """Return a home in which all are enrolled; reference n + 1 is face n. It is made once, then kept.

    Callers copy it before use, so that it does not change.
    """
    home = folder / f"{name}-{len(faces)}"
    if not home.exists():
        draft = folder / f"{name}-{len(faces)}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        fill(draft, faces)
        draft.rename(home)
        print(f"wrote a home of {len(faces)} people in {time.monotonic() - start:.0f} s", flush=True)
    return home


def fill(home: Path, faces: FloatArray, *, match_history_days: int = 0) -> None:
    """Make a site with one zone, and enroll all people."""
    with Site.create(home, name="benchmark", contact="tester") as site:
        site.add_zone(
            ZONE,
            custody="operator",
            justification="measured",
            alternative="none",
            retention_days=365,
            match_history_days=match_history_days,
        )
        site.declarations.declare_zone(ZONE, {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
        notice = publish_sample_notice(site, ZONE, more="benchmark")
        store = site.installation.store
        with store.read() as connection:
            zone = zone_of(connection, Purpose(ZONE))
        first = _given(store, zone, notice)
        for start in range(0, len(faces), _BATCH):
            _write(store, first, faces[start : start + _BATCH], start)
        _look(site, len(faces))


@dataclass(frozen=True, slots=True)
class _Given:
    """A template consent, made by the product: the payload of all others, except id and key."""

    payload: bytes
    receipt_id: str
    subject_id: str
    jwk: bytes
    expires_at: datetime
    issued_at: datetime

    def again(self, receipt_id: str, key: SubjectKey) -> str:
        """Return the token of another person's receipt."""
        payload = (
            self.payload.replace(self.receipt_id.encode(), receipt_id.encode())
            .replace(self.subject_id.encode(), key.public.subject_id.encode())
            .replace(self.jwk, _x(key))
        )
        return key.sign(payload, RECEIPT.typ)


def _given(store: Store, zone: Zone, notice: Notice) -> _Given:
    key = SubjectKey.from_seed(os.urandom(32))
    receipt_id = ReceiptId(os.urandom(16).hex())
    issued_at = store.now()
    with store.read() as connection:
        record = processing_record(connection, store.site.controller, zone.purpose, _JURISDICTION)
    expires_at = end_of_term(record, issued_at)
    payload = compose_receipt(
        record,
        notice,
        receipt_id=receipt_id,
        key=key.public,
        signature=SignatureTerms(SignatureForm.PERSON_KEY),
        issued_at=issued_at,
        expires_at=expires_at,
    )
    return _Given(payload, receipt_id, key.public.subject_id, _x(key), expires_at, issued_at)


def _x(key: SubjectKey) -> bytes:
    return b64url(key.public_key).encode()


@dataclass(frozen=True, slots=True)
class _Person:
    """The rows of one person."""

    receipt_id: ReceiptId
    subject_id: DataSubjectId
    subject_key: bytes
    token: str
    reference_id: ReferenceId
    bucket: KeyId
    wrapped_secret: bytes
    sealed_name: bytes
    sealed_embedding: bytes

    @classmethod
    def made(
        cls, store: Store, given: _Given, face: FloatArray, number: int, bucket: tuple[KeyId, BucketKey]
    ) -> "_Person":
        """Give consent and enroll in memory, as the product does it: secret, receipt, keys derived from both, seals."""
        key = SubjectKey.from_seed(os.urandom(32))
        receipt_id, subject_id = ReceiptId(os.urandom(16).hex()), key.public.subject_id
        reference_id, purpose = ReferenceId(number + 1), Purpose(ZONE)
        token = given.again(receipt_id, key)
        digest, (key_id, bucket_key) = sha256(token.encode()).digest(), bucket
        owner = (receipt_id, subject_id, purpose)
        with GrantSecret.generate(os.urandom) as secret:
            place = secret_context(store.keyring.site_id, receipt_id, key_id)
            wrapped = sealing.seal(secret.buffer, bucket_key, place, os.urandom)
            with secret.profile_key(digest) as profile:
                name = sealing.seal(b"person", profile, sealing.context("name", *owner), os.urandom)
            with secret.reference_key(digest, MODEL) as seal:
                context = sealing.reference_context(reference_id, *owner, MODEL)
                box = sealing.seal(face.data.cast("B"), seal, context, os.urandom)
        return cls(receipt_id, subject_id, key.public.jwk, token, reference_id, key_id, wrapped, name, box)

    def events(self) -> Iterator[tuple[str, dict[str, str | int]]]:
        """Yield the log entries of this person."""
        owner = {"receipt_id": self.receipt_id, "subject_id": self.subject_id, "purpose": ZONE}
        yield "consent.given", {**owner, "receipt_sha256": sha256(self.token.encode()).hexdigest()}
        yield (
            "reference.enrolled",
            {**owner, "reference_id": self.reference_id, "model_id": MODEL, "photo_count": 3},
        )


def _write(store: Store, given: _Given, faces: FloatArray, start: int) -> None:
    buckets = _buckets(store, len(faces))
    people = [
        _Person.made(store, given, face, start + number, buckets[number // BUCKET_SIZE])
        for number, face in enumerate(faces)
    ]
    until, now = format_time(given.expires_at), format_time(given.issued_at)
    with store.keyring.write() as connection:
        secrets = [(one.receipt_id, *one.bucket, one.wrapped_secret, now) for one in people]
        _insert(connection, "grant_secret", "receipt_id, bucket_id, key_number, wrapped, created_at", secrets)
    owners = [(one.receipt_id, one.subject_id, ZONE) for one in people]
    with store.write() as tx:
        connection = tx.connection
        connection.exec_driver_sql(_CACHE)
        _insert(
            connection,
            "receipt",
            "receipt_id, subject_id, purpose, jurisdiction, subject_key, token, withdrawal_digest, expires_at",
            [
                (*owner, _JURISDICTION, one.subject_key, one.token, os.urandom(32), until)
                for owner, one in zip(owners, people, strict=True)
            ],
        )
        columns = "receipt_id, subject_id, purpose, "
        _insert(connection, "live_consent", columns + "expires_at", [(*owner, until) for owner in owners])
        visits = [(*owner, now, store.seals.interaction_mac(owner[0], now)) for owner in owners]
        _insert(connection, "last_interaction", columns + "interacted_at, mac", visits)
        names = [(*owner, one.sealed_name) for owner, one in zip(owners, people, strict=True)]
        _insert(connection, "subject_profile", columns + "sealed_name", names)
        _insert(
            connection,
            "biometric_reference",
            columns + "reference_id, model_id, model_licence, sealed_embedding, photo_count, enrolled_at",
            [
                (*owner, one.reference_id, MODEL, "none", one.sealed_embedding, 3, now)
                for owner, one in zip(owners, people, strict=True)
            ],
        )
        _log(connection, people, given.issued_at)
        store.seals.write(connection, Scope.CONSENT, [one.receipt_id for one in people], log_size(connection))


def _buckets(store: Store, people: int) -> list[tuple[KeyId, BucketKey]]:
    """Make the buckets of so many new people, all of them full but the last."""
    keyring, made = store.keyring, list[tuple[KeyId, BucketKey]]()
    with keyring.write() as connection, keyring.current(connection) as keys:
        for first in range(0, people, BUCKET_SIZE):
            key_id, key = KeyId(keyring.engine.next_id(connection, bucket), 1), BucketKey.generate(os.urandom)
            box = sealing.seal(key.buffer, keys.store_key, bucket_context(keyring.site_id, key_id), os.urandom)
            row = (*key_id, min(BUCKET_SIZE, people - first), box)
            _insert(connection, "bucket", "bucket_id, number, held, wrapped", [row])
            made.append((key_id, key))
    for key_id, key in made:
        keyring.unlocked.add(key_id, key)
    return made


def _log(connection: Connection, people: Sequence[_Person], at: datetime) -> None:
    stored, fresh = node_reader(connection), dict[tuple[int, int], bytes]()

    def read(level: int, index: int, /) -> bytes:
        return fresh.get((level, index)) or stored(level, index)

    leaves: list[_Row] = []
    openings: list[_Row] = []
    index = log_size(connection)
    for person in people:
        for kind, details in person.events():
            salt = os.urandom(SALT_BYTES)
            leaf = leaf_bytes(Event(kind, at, details, salt))
            fresh.update({(level, place): node for level, place, node in new_nodes(index, leaf_hash(leaf), read)})
            leaves.append((index, leaf))
            openings.append((index, person.receipt_id, _canonical(details), salt))
            index += 1
    _insert(connection, "audit_event", "seq, leaf", leaves)
    nodes = [(level, position, node) for (level, position), node in fresh.items()]
    _insert(connection, "audit_node", "level, position, hash", nodes)
    _insert(connection, "audit_opening", "seq, receipt_id, details, salt", openings)


def _canonical(details: dict[str, str | int]) -> str:
    """Return the RFC 8785 form; for plain names and numbers the standard library gives the same bytes, faster."""
    return json.dumps(details, sort_keys=True, separators=(",", ":"))


def _insert(connection: Connection, table: str, columns: str, rows: list[_Row]) -> None:
    marks = ", ".join("?" * (columns.count(",") + 1))
    connection.exec_driver_sql(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)  # noqa: S608  our own names


def _look(site: Site, count: int) -> None:
    """Read a sample through the store: embeddings open, and the receipts are those of their owners.

    Raises:
        TamperError: a row does not verify.
        RuntimeError: a person is missing.
    """
    store = site.installation.store
    with store.read() as connection:
        ids = reference_ids(connection, Purpose(ZONE), MODEL)
        if len(ids) != count:
            raise RuntimeError(f"got {len(ids)} references; expected {count}")
        some = sorted(ids)[:: max(1, count // _SAMPLE)]
        live = live_candidates(connection, Purpose(ZONE), MODEL, some, store.now())
    for reference_id in some:
        reference = live[reference_id]
        reference.receipt.verified()
        with store.keyring.grant_secret(reference.receipt.receipt_id) as secret:
            reference.open(secret).wipe()
