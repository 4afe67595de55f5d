"""What is asked for twice is done once: ``Idempotency-Key`` on everything that creates (`store.kept_answers`).

The header is that of draft-ietf-httpapi-idempotency-key-header. A key is a caller's for one operation, for a day.
Errors are not kept: whoever got one may ask again with the same key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, TypeAlias, final

from fastapi import Header, Response
from pydantic import BaseModel

from consent import ReceiptId
from service.http.workroom import Workroom
from store import AnswerKey, KeptAnswers, Transaction
from volens import Site

REPLAYED: Final = "Idempotency-Replayed"

OnceKey: TypeAlias = Annotated[
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
class Done:
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
class Asked:
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
        self._kept: KeptAnswers = site.kept_answers
        self._key = None if key is None else AnswerKey(key, (caller, operation))
        self._said = said
        self._is_kept = False

    def keep(self, tx: Transaction, done: Done) -> None:
        """Keep an answer in the transaction that does what is asked for."""
        if self._key is not None:
            self._kept.keep(tx, self._key, done.kept(), done.about)
            self._is_kept = True

    def do(self, work: Callable[[], Done]) -> Response:
        """Do it and answer 201, unless it was done: then tell the same again.

        Raises:
            UnderWayError, ToldOnceError: see `KeptAnswers.begin`.
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


async def once(room: Workroom, asked: Asked, work: Callable[[], Done]) -> Response:
    """Do what is asked for in a workroom; see `Asked.do`."""
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
