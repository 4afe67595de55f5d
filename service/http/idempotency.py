"""Idempotency: replays the stored response when an ``Idempotency-Key`` is sent again within 24 hours.

The header is that of draft-ietf-httpapi-idempotency-key-header. A key is a caller's for one operation, for a day.
Errors are not kept: whoever got one may ask again with the same key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, TypeAlias, final

from fastapi import Header, Response
from pydantic import BaseModel

from volens import Site
from volens.consent import ReceiptId
from volens.service.http.thread_pool import ThreadPool
from volens.store import Transaction
from volens.store.programs import IdempotencyStore
from volens.store.programs.idempotency_store import AnswerKey

REPLAYED: Final = "Idempotency-Replayed"

IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        json_schema_extra={"pattern": "^[ -~]{16,255}$"},  # said only: `AnswerKey` refuses with more help
        description="a new UUID for each thing that is asked for; asked twice with it, it is done once",
        examples=["5f0c2a9e-3d0b-4c56-9a55-2f1f0f6f7c11"],
    ),
]


@final
@dataclass(frozen=True, slots=True)
class StoredOutcome:
    """What was done.

    Attributes:
        answer: to tell.
        about: the consent of the person that it is about; None if it is about nobody.
        is_told_once: it holds what the site never keeps.
    """

    answer: BaseModel
    about: ReceiptId | None = None
    is_told_once: bool = False

    def kept(self) -> bytes:
        """Return what is kept to be told again."""
        return b"" if self.is_told_once else _bytes(self.answer)


@final
class IdempotentRequest:
    """One thing that is asked for, by whom, under which key."""

    def __init__(self, site: Site, caller: str, operation: str, key: str | None, *said: object) -> None:
        """Name it.

        Args:
            site: keeps the answer.
            caller: the id of who asks.
            operation: for what.
            key: as sent; None where the caller names it nothing.
            said: all that the answer depends on: texts, bytes, numbers, or the body as it was read.

        Raises:
            InputError: the key is none.
        """
        self._kept: IdempotencyStore = site.idempotency_store
        self._key = None if key is None else AnswerKey(key, (caller, operation))
        self._said = said
        self._is_kept = False

    def keep(self, tx: Transaction, done: StoredOutcome) -> None:
        """Keep an answer in the transaction that does what is asked for."""
        if self._key is not None:
            self._kept.keep(tx, self._key, done.kept(), done.about)
            self._is_kept = True

    def do(self, work: Callable[[], StoredOutcome]) -> Response:
        """Do it and answer 201, unless it was done: then tell the same again.

        Raises:
            UnderWayError, ToldOnceError: see `IdempotencyStore.begin`.
            OtherRequestError: the key was used for another request.
        """
        if self._key is None:
            return _created(_bytes(work().answer))
        # Here, in a thread, and only for who may ask again: it can be all photos of a form.
        kept = self._kept.begin(self._key, _fingerprint(self._said))
        if kept is not None:
            return _created(kept, replayed=True)
        try:
            done = work()
        except BaseException:
            self._kept.drop(self._key)
            raise
        if not self._is_kept:
            self._kept.write(self._key, done.kept(), done.about)
        return _created(_bytes(done.answer))


async def idempotent(room: ThreadPool, asked: IdempotentRequest, work: Callable[[], StoredOutcome]) -> Response:
    """Do what is asked for in a workroom; see `IdempotentRequest.do`."""
    return await room.do(lambda: asked.do(work))


def _created(body: bytes, *, replayed: bool = False) -> Response:
    return Response(body, 201, {REPLAYED: "true"} if replayed else None, "application/json")


def _bytes(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode("utf-8")


def _fingerprint(said: tuple[object, ...]) -> bytes:
    digest = sha256()
    for one in said:
        # Not as JSON: half a surrogate pair, which a caller may send, has no UTF-8, and `repr` has a way to write it.
        plain = one.model_dump() if isinstance(one, BaseModel) else one
        data = plain if isinstance(plain, bytes) else repr(plain).encode("utf-8")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
