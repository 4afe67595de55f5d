"""Idempotency: replays the stored response when an ``Idempotency-Key`` is sent again within 24 hours.

The header is that of draft-ietf-httpapi-idempotency-key-header. A key belongs to one caller and one operation.
Errors are not stored: after an error the caller may retry with the same key.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, TypeAlias, final

from fastapi import Depends, Header, Request, Response
from pydantic import BaseModel

from volens.consent import ReceiptId
from volens.service.http.app_state import SharedState
from volens.service.http.thread_pool import ThreadPool
from volens.service.principal import Principal
from volens.store import Transaction
from volens.store.programs import IdempotencyStore
from volens.store.programs.idempotency_store import IdempotencyKey

REPLAYED: Final = "Idempotency-Replayed"


@final
@dataclass(frozen=True, slots=True)
class StorableResponse:
    """The body of a response, and how it may be stored.

    Attributes:
        receipt_id: the consent of the person that the body is about; None if it is about no person.
        has_secret: the body contains what the site never stores, so a repeated request gets an error instead.
    """

    body: BaseModel
    receipt_id: ReceiptId | None = None
    has_secret: bool = False

    def to_json(self) -> bytes:
        """Return the body as it is sent."""
        return self.body.model_dump_json().encode("utf-8")

    def stored(self) -> bytes:
        """Return the body as it is stored; empty if it must not be."""
        return b"" if self.has_secret else self.to_json()


@final
class IdempotentRequest:
    """One creating request, of one caller for one operation."""

    def __init__(self, store: IdempotencyStore, caller_id: str, operation: str, key: str | None) -> None:
        self._store = store
        self._scope = (caller_id, operation)
        self._sent_key = key
        self._key: IdempotencyKey | None = None
        self._is_stored = False

    def store(self, tx: Transaction, response: StorableResponse) -> None:
        """Store a response in the transaction that executes the request."""
        if self._key is not None:
            self._store.complete(tx, self._key, response.stored(), response.receipt_id)
            self._is_stored = True

    async def run(
        self, pool: ThreadPool, execute: Callable[[], StorableResponse], *inputs: object, zone: str = ""
    ) -> Response:
        """Execute the request in a thread pool and respond with 201, or replay the stored response.

        `inputs` are everything that the response depends on: texts, bytes, numbers, or the parsed body. The request
        takes the turn of `zone` and of the caller.

        Raises:
            InputError: the key is invalid.
            RequestInProgressError, ResponseUnavailableError: see `IdempotencyStore.begin`.
            KeyReusedError: the key was used for another request.
        """
        self._key = None if self._sent_key is None else IdempotencyKey(self._sent_key, self._scope)
        return await pool.run(lambda: self._run(execute, inputs), zone=zone, caller=self._scope[0])

    def _run(self, execute: Callable[[], StorableResponse], inputs: tuple[object, ...]) -> Response:
        if self._key is None:
            return _created(execute().to_json())
        # Computed in the thread, and only if a key was sent: the inputs can be all photos of a form.
        stored = self._store.begin(self._key, _fingerprint(inputs))
        if stored is not None:
            return _created(stored, replayed=True)
        try:
            response = execute()
        except BaseException:
            self._store.release(self._key)
            raise
        if not self._is_stored:
            self._store.complete_alone(self._key, response.stored(), response.receipt_id)
        return _created(response.to_json())


async def _idempotent(
    request: Request,
    app_state: SharedState,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            json_schema_extra={"pattern": "^[ -~]{16,255}$"},  # described only: `IdempotencyKey` gives a better error
            description="a new UUID for each request; a repeated request with the same key is executed once",
            examples=["5f0c2a9e-3d0b-4c56-9a55-2f1f0f6f7c11"],
        ),
    ] = None,
) -> IdempotentRequest:
    caller: Principal | None = getattr(request.state, "caller", None)
    caller_id = "" if caller is None else caller.caller_id
    return IdempotentRequest(app_state.site.programs.idempotency_store, caller_id, request.scope["route"].name, key)


Idempotent: TypeAlias = Annotated[IdempotentRequest, Depends(_idempotent)]
"""The request of a creating route; the route's name is the operation."""


def _created(body: bytes, *, replayed: bool = False) -> Response:
    return Response(body, 201, {REPLAYED: "true"} if replayed else None, "application/json")


def _fingerprint(inputs: tuple[object, ...]) -> bytes:
    digest = sha256()
    for one in inputs:
        # `repr`, not JSON: a caller may send half of a surrogate pair, which has no UTF-8 encoding.
        plain = one.model_dump() if isinstance(one, BaseModel) else one
        data = plain if isinstance(plain, bytes) else repr(plain).encode("utf-8")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()
