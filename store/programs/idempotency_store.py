"""Idempotency: stored responses, encrypted under a key derived from the site's key and the caller's idempotency key.

A caller chooses an idempotency key for each request, and repeats the request with the same key if it got no response.
The store keeps for 24 hours: the SHA-256 of caller, operation and key, a fingerprint of the request, and the response,
sealed. Fingerprint and sealing key are derived from the site's key and the caller's key together: without the caller's
key, the files open no response, and names cannot be tried against a fingerprint.

A response about a person is also sealed under their grant secret, so it is erased with their consent, in backups too.
If the person holds half of the key, or gets a badge, no response is stored: the site never keeps what opens an
embedding there.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Final, final

from sqlalchemy import bindparam, delete, insert, select, update

from volens.consent import InputError, ReceiptId, RefusedError
from volens.store.keys import sealing
from volens.store.keys.secrets import DerivedKey
from volens.store.schema.data_tables import kept_answer as table
from volens.store.schema.data_tables import live_consent
from volens.store.schema.personal_tables import OWNER
from volens.store.store import Store
from volens.store.transaction import Transaction

KEPT_FOR: Final = timedelta(hours=24)
BEGUN_FOR: Final = timedelta(minutes=2)
"""A request begun this long ago without a response counts as cut off, and may be begun again."""
MIN_KEY_LENGTH: Final = 16
MAX_KEY_LENGTH: Final = 255

# Values are given as parameters, because a value inside a statement stays in SQLAlchemy's statement cache.
_KEEP: Final = update(table).where(table.c.key_sha256 == bindparam("begun"), table.c.sealed_answer.is_(None))


class RequestInProgressError(RefusedError):
    """A request with the same idempotency key is being processed."""


class ResponseUnavailableError(RefusedError):
    """The request was processed, but its response is not stored."""


class KeyReusedError(InputError):
    """The idempotency key was used for another request."""


@final
@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The idempotency key of one request, for one caller and one operation.

    Attributes:
        text: chosen by the caller; 16 to 255 printable ASCII characters, hard to guess.
        scope: the caller and the operation; no other pair has the same parts.

    Raises:
        InputError: the text is not valid.
    """

    text: str
    scope: Sequence[str]

    def __post_init__(self) -> None:
        fits = MIN_KEY_LENGTH <= len(self.text) <= MAX_KEY_LENGTH
        if not fits or not self.text.isascii() or not self.text.isprintable():
            raise InputError(
                f"got an idempotency key of {len(self.text)} characters; expected {MIN_KEY_LENGTH} to {MAX_KEY_LENGTH} "
                "printable ASCII characters, such as a new UUID for each request"
            )

    def digest(self) -> bytes:
        """Return the SHA-256 under which the store keeps it."""
        return sha256(sealing.context("idempotency key", *self.scope, self.text)).digest()

    def __repr__(self) -> str:
        """Leave out the text."""
        return f"IdempotencyKey(..., {self.scope!r})"


@final
class IdempotencyStore:
    """Records requests that are in progress, and stores their responses."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def begin(self, key: IdempotencyKey, request_sha256: bytes) -> bytes | None:
        """Begin a request and return None, or return the stored response if it was processed before.

        Raises:
            KeyReusedError: the key was used for another request.
            RequestInProgressError: the request was begun, and there is no response yet.
            ResponseUnavailableError: it was processed, and its response held data that the site does not store.
        """
        digest, row, fingerprint = key.digest(), table.c, self._fingerprint(key, request_sha256)
        with self._store.write() as tx:
            prune_responses(tx)
            found = tx.connection.execute(select(table).where(row.key_sha256 == digest)).one_or_none()
            if found is None:
                values = {"key_sha256": digest, "request_sha256": fingerprint, "begun_at": tx.now}
                tx.connection.execute(insert(table), values)
                return None
            if not hmac.compare_digest(found.request_sha256, fingerprint):
                raise KeyReusedError(
                    "this idempotency key was used for another request; use a new key for each request"
                )
            if found.sealed_answer is None:
                if tx.now - found.begun_at < BEGUN_FOR:
                    raise RequestInProgressError(
                        "this request is still being processed; repeat it with the same key in a moment"
                    )
                tx.connection.execute(update(table).where(row.key_sha256 == digest).values(begun_at=tx.now))
                return None
            about = None if found.receipt_id is None else ReceiptId(found.receipt_id)
            response = self._open(key, bytes(found.sealed_answer), about)
        if not response:
            raise ResponseUnavailableError(
                "this request was processed, and its response was sent once and not stored; withdraw the consent, and "
                "begin again"
            )
        return response

    def complete(
        self, tx: Transaction, key: IdempotencyKey, response: bytes, receipt_id: ReceiptId | None = None
    ) -> None:
        """Store the response to a request that was begun, in the transaction that processes it or in a later one.

        With `receipt_id`, the response is about the person of that consent, and is erased with it. An empty response
        means that the site does not store it.
        """
        digest = key.digest()
        with self._key(key, receipt_id) as secret:
            sealed = sealing.seal(response, secret, _context(digest), tx.random)
        values = {"begun": digest, "sealed_answer": sealed}
        if receipt_id is not None:
            live = tx.connection.execute(select(live_consent).where(live_consent.c.receipt_id == receipt_id)).one()
            values |= {name: getattr(live, name) for name in OWNER}
        tx.connection.execute(_KEEP, values)

    def complete_alone(self, key: IdempotencyKey, response: bytes, receipt_id: ReceiptId | None = None) -> None:
        """Store a response in its own transaction, unless it is about a consent that ended meanwhile."""
        with self._store.write() as tx:
            live = select(live_consent.c.receipt_id).where(live_consent.c.receipt_id == receipt_id)
            if receipt_id is None or tx.connection.scalar(live) is not None:
                self.complete(tx, key, response, receipt_id)

    def release(self, key: IdempotencyKey) -> None:
        """Delete the record of a request that failed, so that it can be begun again."""
        with self._store.write() as tx:
            tx.connection.execute(
                delete(table).where(table.c.key_sha256 == key.digest(), table.c.sealed_answer.is_(None))
            )

    def _open(self, key: IdempotencyKey, sealed: bytes, receipt_id: ReceiptId | None) -> bytes:
        buffer = bytearray(len(sealed) - sealing.OVERHEAD_BYTES)
        with self._key(key, receipt_id) as secret:
            sealing.open_into(sealed, secret, _context(key.digest()), buffer)
        response = bytes(buffer)
        buffer[:] = bytes(len(buffer))
        return response

    def _key(self, key: IdempotencyKey, receipt_id: ReceiptId | None) -> DerivedKey:
        both = self._both_halves("kept answers", key)
        if receipt_id is None:
            return both
        with both, self._store.keyring.grant_secret(receipt_id) as persons:
            return DerivedKey(hmac.digest(persons.buffer, both.buffer, "sha256"))

    def _fingerprint(self, key: IdempotencyKey, request_sha256: bytes) -> bytes:
        with self._both_halves("kept requests", key) as secret:
            return hmac.digest(secret.buffer, request_sha256, "sha256")

    def _both_halves(self, use: str, key: IdempotencyKey) -> DerivedKey:
        # Neither key opens a response alone, so a caller's key that is easy to guess is not enough.
        with self._store.keyring.derived_key(use) as site:
            return DerivedKey(hmac.digest(site.buffer, key.text.encode("ascii"), "sha256"))


def prune_responses(tx: Transaction) -> None:
    """Delete responses older than `KEPT_FOR`. Called by the sweep, and when a request is begun."""
    tx.connection.execute(delete(table).where(table.c.begun_at <= tx.now - KEPT_FOR))


def _context(digest: bytes) -> bytes:
    return sealing.context("kept answer", digest.hex())
