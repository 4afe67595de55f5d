"""What a program asked for twice is done once: answers that are kept for a day, for whoever has the key to them.

A caller names what it asks for by a key of its own making, and asks again with the same key when it got no answer. The
store keeps SHA-256 of who asked for what by which key, a fingerprint of the request, and the answer, sealed. Keys that
are made of the site's and the caller's make both: whoever has the files but not the caller's key opens no answer, and
cannot try names against a fingerprint.

An answer about a person is sealed under their grant secret besides, and dies with their consent, in backups too. Where
the person holds a half of the key, or is handed a badge, no answer is kept: what opens an embedding there is never with
the site.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, final

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from volens.consent import InputError, ReceiptId, RefusedError
from volens.store.keys import sealing
from volens.store.keys.secrets import DerivedKey
from volens.store.schema.data_tables import live_consent
from volens.store.schema.schema_answers import kept_answer as table
from volens.store.store import Store, Transaction

KEPT_FOR: Final = timedelta(hours=24)
BEGUN_FOR: Final = timedelta(minutes=2)
"""After so long, what was begun and has no answer is taken for cut off, and may be begun again."""
MIN_KEY_LENGTH: Final = 16
MAX_KEY_LENGTH: Final = 255

# As parameters: a value inside a statement lives on in SQLAlchemy's cache of statements.
_KEEP: Final = (
    update(table)
    .where(table.c.key_sha256 == bindparam("begun"), table.c.sealed_answer.is_(None))
    .values(
        sealed_answer=bindparam("answer"),
        receipt_id=bindparam("of"),
        subject_id=bindparam("whose"),
        purpose=bindparam("where"),
    )
)


class UnderWayError(RefusedError):
    """The same is being done at this moment."""


class ToldOnceError(RefusedError):
    """It was done, and its answer is not kept."""


class OtherRequestError(InputError):
    """The key was used for another request."""


@final
@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What a caller calls one thing that it asks for.

    Attributes:
        text: the caller's own words; 16 to 255 printable ASCII characters, not to be guessed.
        asked: who asks for what: parts that no other caller or operation has.

    Raises:
        InputError: the text is none.
    """

    text: str
    asked: Sequence[str]

    def __post_init__(self) -> None:
        """Check that."""
        fits = MIN_KEY_LENGTH <= len(self.text) <= MAX_KEY_LENGTH
        if not fits or not self.text.isascii() or not self.text.isprintable():
            raise InputError(
                f"got an idempotency key of {len(self.text)} characters; expected {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} "
                "printable ASCII characters, such as a new UUID for each thing that is asked for"
            )

    def digest(self) -> bytes:
        """Return the 32 bytes by which the store knows it."""
        return sha256(sealing.context("idempotency key", *self.asked, self.text)).digest()

    def __repr__(self) -> str:
        """Say nothing of the text."""
        return f"AnswerKey(..., {self.asked!r})"


@final
class IdempotencyStore:
    """Begins what is asked for, and keeps answers."""

    def __init__(self, store: Store) -> None:
        """Work on an open store."""
        self._store = store

    def begin(self, key: AnswerKey, request_sha256: bytes) -> bytes | None:
        """Begin what is asked for by a key; or return its answer, if it was done.

        Raises:
            OtherRequestError: the key was used for something else.
            UnderWayError: it was begun, and there is no answer yet.
            ToldOnceError: it was done, and the answer held what the site does not keep.
        """
        digest, row, fingerprint = key.digest(), table.c, self._fingerprint(key, request_sha256)
        with self._store.write() as tx:
            prune_answers(tx)
            found = tx.connection.execute(select(table).where(row.key_sha256 == digest)).one_or_none()
            if found is None:
                values = {"key_sha256": digest, "request_sha256": fingerprint, "begun_at": tx.now}
                tx.connection.execute(insert(table), values)
                return None
            if not hmac.compare_digest(found.request_sha256, fingerprint):
                raise OtherRequestError(
                    "got an idempotency key that was used for another request; make a new key for each thing that is "
                    "asked for"
                )
            if found.sealed_answer is None:
                if tx.now - found.begun_at < BEGUN_FOR:
                    raise UnderWayError("this is being done at this moment; ask again with the same key in a moment")
                tx.connection.execute(update(table).where(row.key_sha256 == digest).values(begun_at=tx.now))
                return None
            about = None if found.receipt_id is None else ReceiptId(found.receipt_id)
            answer = self._opened(key, bytes(found.sealed_answer), about)
        if not answer:
            raise ToldOnceError("this was done, and its answer is told once; withdraw the consent, and begin again")
        return answer

    def keep(self, tx: Transaction, key: AnswerKey, answer: bytes, receipt_id: ReceiptId | None = None) -> None:
        """Keep the answer to what was begun, in the transaction that does it, or in a later one.

        With `receipt_id` it is about the person of that consent, and goes when the consent goes. An empty answer says
        that it was told once.
        """
        digest = key.digest()
        with self._key(key, receipt_id) as secret:
            sealed = sealing.seal(answer, secret, _context(digest), tx.random)
        owner: dict[str, str | None] = {"of": None, "whose": None, "where": None}
        if receipt_id is not None:
            live = tx.connection.execute(select(live_consent).where(live_consent.c.receipt_id == receipt_id)).one()
            owner = {"of": receipt_id, "whose": live.subject_id, "where": live.purpose}
        tx.connection.execute(_KEEP, {"begun": digest, "answer": sealed, **owner})

    def write(self, key: AnswerKey, answer: bytes, receipt_id: ReceiptId | None = None) -> None:
        """Keep an answer in a transaction of its own; one about a consent that ended meanwhile is not kept."""
        with self._store.write() as tx:
            known = select(live_consent.c.receipt_id).where(live_consent.c.receipt_id == receipt_id)
            if receipt_id is None or tx.connection.scalar(known) is not None:
                self.keep(tx, key, answer, receipt_id)

    def drop(self, key: AnswerKey) -> None:
        """Forget what was begun and failed: asked again, it is begun again."""
        with self._store.write() as tx:
            tx.connection.execute(
                delete(table).where(table.c.key_sha256 == key.digest(), table.c.sealed_answer.is_(None))
            )

    def _opened(self, key: AnswerKey, sealed: bytes, receipt_id: ReceiptId | None) -> bytes:
        answer = bytearray(len(sealed) - sealing.OVERHEAD_BYTES)
        with self._key(key, receipt_id) as secret:
            sealing.open_into(sealed, secret, _context(key.digest()), answer)
        told = bytes(answer)
        answer[:] = bytes(len(answer))
        return told

    def _key(self, key: AnswerKey, receipt_id: ReceiptId | None) -> DerivedKey:
        both = self._both_halves("kept answers", key)
        if receipt_id is None:
            return both
        with both, self._store.keyring.grant_secret(receipt_id) as persons:
            return DerivedKey(hmac.digest(persons.buffer, both.buffer, "sha256"))

    def _fingerprint(self, key: AnswerKey, request_sha256: bytes) -> bytes:
        with self._both_halves("kept requests", key) as secret:
            return hmac.digest(secret.buffer, request_sha256, "sha256")

    def _both_halves(self, use: str, key: AnswerKey) -> DerivedKey:
        # The site's alone opens nothing, and a caller's that is easily guessed opens nothing without it.
        with self._store.keyring.derived_key(use) as site:
            return DerivedKey(hmac.digest(site.buffer, key.text.encode("ascii"), "sha256"))


def prune_answers(tx: Transaction) -> None:
    """Delete what was kept for `KEPT_FOR`. Called by the sweep, and when something is begun."""
    tx.connection.execute(delete(table).where(table.c.begun_at <= tx.now - KEPT_FOR))


def answers_about(connection: Connection, receipt_id: ReceiptId) -> list[bytes]:
    """Return the sealed answers about a person, for an erasure to search for afterwards."""
    query = select(table.c.sealed_answer).where(table.c.receipt_id == receipt_id)
    return [bytes(one) for one in connection.scalars(query) if one is not None]


def _context(digest: bytes) -> bytes:
    return sealing.context("kept answer", digest.hex())
