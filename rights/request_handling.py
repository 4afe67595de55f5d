"""Requests of people, taken and answered: `Site.rights`.

A request for access or portability is answered with a zip (`volens.rights.access_answer`) over all consents of the
person. The file is on disk before the request is closed: a process killed between the two writes the same file again.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import final

from volens.consent import EndReason, InputError, ReceiptId, RefusedError, UnavailableError
from volens.erase import erase_consents
from volens.erase.order import AnswerRequests
from volens.erase.proof import Erased, Recipients
from volens.index import Galleries
from volens.rights.access_answer import AccessAnswer, answer_access
from volens.rights.request_rows import (
    ExtendedFor,
    Outcome,
    PersonsRequest,
    RequestKind,
    close_request,
    extend_request,
    open_request,
    open_requests_of,
    request_of,
    requests_kept,
)
from volens.rights.who_may_withdraw import consent_shown
from volens.store import Store
from volens.store.files import write_private
from volens.store.people import receipts_of, stored_receipt
from volens.store.programs import Outbox
from volens.store.programs.endpoints import Endpoints


@final
class Rights:
    """The desk where people ask about their data.

    Attributes:
        recipients: who receives data, and what they answer when somebody is erased.
        endpoints: where they want to be told.
        outbox: what they are still to be told.
    """

    def __init__(self, store: Store, home: Path, galleries: Galleries) -> None:
        """Work on what the site holds open."""
        self._store = store
        self._galleries = galleries
        self._home = home
        self.recipients = Recipients(store, home)
        self.endpoints = Endpoints(store)
        self.outbox = Outbox(store)

    def open(self, kind: str, receipt_ids: Sequence[ReceiptId]) -> PersonsRequest:
        """Take a request of one person.

        Args:
            kind: see `RequestKind`.
            receipt_ids: the person's consents; none where nobody was found, then no more than a number is kept.

        Raises:
            InputError: there is no such kind.
        """
        try:
            wanted = RequestKind(kind)
        except ValueError:
            raise InputError(f"got a request of another kind; expected one of {', '.join(RequestKind)}") from None
        with self._store.write() as tx:
            return open_request(tx, wanted, receipt_ids[0] if receipt_ids else None)

    def ask(self, *, receipt: bytes | None = None, code: str | None = None) -> PersonsRequest:
        """Take a request for access from whoever shows a receipt or a withdrawal code, or return the one that is open.

        The answer is for the desk to hand over, to the person: what is shown here says whose it is, not who asks.

        Raises:
            NoLiveConsentError: there never was such a consent here.
            InputError, ReceiptError: see `consent_shown`.
        """
        with self._store.write() as tx:
            receipt_id = consent_shown(tx.connection, receipt, code)
            asked = [one for one in open_requests_of(tx.connection, [receipt_id]) if one.kind is RequestKind.ACCESS]
            return asked[0] if asked else open_request(tx, RequestKind.ACCESS, receipt_id)

    def request(self, request_id: str) -> PersonsRequest:
        """Return a request, open or closed.

        Raises:
            InputError: there is none of this number.
        """
        with self._store.read() as connection:
            return request_of(connection, request_id)

    def carry_out(self, request_id: str) -> list[Erased]:
        """Erase what the person of a request for erasure, or an objection, allowed, and close it (GDPR 17, 21).

        Raises:
            InputError: there is no such request.
            RefusedError: it asks for something else, or is closed.
            ErasureIncompleteError: matching has stopped; the request is open until it is carried out once more.
        """
        request = self.request(request_id)
        if request.closed_at is not None or request.kind not in {RequestKind.ERASURE, RequestKind.OBJECTION}:
            raise RefusedError("this request is closed, or asks for no erasure; see 'volens request list --all'")
        theirs = self._theirs(request)
        erased = erase_consents(self._store, self._galleries, self._home, theirs, EndReason.WITHDRAWN)
        with self._store.write() as tx:
            close_request(tx, request_id, Outcome.CARRIED_OUT if erased else Outcome.NOTHING_HELD)
        return erased

    def requests(self, *, closed: bool = False) -> list[PersonsRequest]:
        """Return the open requests, those due first in front; on demand also the closed ones."""
        with self._store.read() as connection:
            return requests_kept(connection, closed=closed)

    def overdue(self) -> list[PersonsRequest]:
        """Return the open requests whose month is over."""
        now = self.now()
        return [one for one in self.requests() if one.overdue(now)]

    def extend(self, request_id: str, reason: str) -> PersonsRequest:
        """Take two months more, within the first; see `volens.rights.request_rows.extend_request`."""
        try:
            why = ExtendedFor(reason)
        except ValueError:
            raise InputError(f"got another reason; expected one of {', '.join(ExtendedFor)} (GDPR 12(3))") from None
        with self._store.write() as tx:
            return extend_request(tx, request_id, why)

    def close(self, request_id: str, outcome: str) -> PersonsRequest:
        """Note how a request ended; one for a file ends with `answer`, unless it is refused or taken back.

        Raises:
            InputError: no such request or outcome.
            RefusedError: it is closed, or would be closed as answered without an answer.
        """
        try:
            how = Outcome(outcome)
        except ValueError:
            raise InputError(f"got another outcome; expected one of {', '.join(Outcome)}") from None
        with self._store.write() as tx:
            kind = request_of(tx.connection, request_id).kind
            if kind.asks_for_a_file and how not in {Outcome.REFUSED, Outcome.TAKEN_BACK}:
                raise RefusedError(f"a request for {kind.value} ends with its file; use 'volens request answer'")
            return close_request(tx, request_id, how)

    def answer(
        self, request_id: str, path: Path, *, with_embedding: bool = True, replace: bool = False
    ) -> AccessAnswer:
        """Write the file that a request for access or portability asks for, and close the request.

        Args:
            request_id: of the request.
            path: the zip, 0600.
            with_embedding: see `answer_access`.
            replace: whether a file of this name may be replaced.

        Raises:
            InputError: no such request, or the file is already there.
            RefusedError: the request is closed, or asks for something else.
            UnavailableError: the disk refuses; the request stays open.
        """
        request = self.request(request_id)
        if request.closed_at is not None:
            raise RefusedError("this request is closed; see 'volens request list --all'")
        answer = self._made(request, with_embedding=with_embedding)
        write_private(path, answer.data, replace=replace)
        self._answered(request_id, answer)
        return answer

    def hand_over(self, request_id: str, *, with_embedding: bool = True) -> AccessAnswer:
        """Return the file that a request asks for, and close it; asked again, it is made again.

        Raises:
            InputError: there is no such request.
            RefusedError: it asks for something else, was refused, or taken back.
        """
        request = self.request(request_id)
        if request.outcome not in {None, Outcome.ANSWERED, Outcome.NOTHING_HELD}:
            raise RefusedError("this request was not answered with a file; take a new one")
        answer = self._made(request, with_embedding=with_embedding)
        if request.outcome is None:
            self._answered(request_id, answer)
        return answer

    def _theirs(self, request: PersonsRequest) -> list[ReceiptId]:
        """Return all consents of whoever a request is of; none where nobody was found."""
        if request.receipt_id is None:
            return []
        with self._store.read() as connection:
            receipt = stored_receipt(connection, request.receipt_id)
        return [] if receipt is None else receipts_of(self._store, receipt.subject_id)

    def _made(self, request: PersonsRequest, *, with_embedding: bool) -> AccessAnswer:
        if not request.kind.asks_for_a_file:
            raise RefusedError(f"a request for {request.kind.value} asks for no file; see 'volens request list --all'")
        return answer_access(self._store, self._theirs(request), with_embedding=with_embedding)

    def _answered(self, request_id: str, answer: AccessAnswer) -> None:
        with self._store.write() as tx:
            close_request(tx, request_id, Outcome.ANSWERED if answer.held else Outcome.NOTHING_HELD)

    def answerer(self) -> AnswerRequests:
        """Return what an erasure by order calls first: it answers the open requests of those who are meant."""
        return self._answer_all

    def now(self) -> datetime:
        """Return the site's time."""
        return self._store.now()

    def _answer_all(self, receipt_ids: Sequence[ReceiptId], folder: Path) -> int:
        with self._store.read() as connection:
            requests = open_requests_of(connection, receipt_ids)
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot make {folder}: {error.strerror}; check the disk and the rights") from None
        for one in requests:
            self.answer(one.request_id, folder / f"{one.request_id}.zip", replace=True)
        return len(requests)
