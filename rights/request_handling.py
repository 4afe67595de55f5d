"""`Site.rights`: data subject requests (GDPR 15 to 21), opened, answered and closed.

A request for access or portability is answered with a zip file (`volens.rights.access_answer`) about all consents of
the person. The file is on disk before the request is closed; a process killed between the two writes the file again.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TypeVar, final

from volens.consent import EndReason, InputError, NoLiveConsentError, ReceiptId, RefusedError, parse_purpose
from volens.consent.typed_text import comparison_key
from volens.erase import Progress, erase_consents
from volens.erase.proof import Erased, Recipients
from volens.face.embedder import EmbeddingModel
from volens.index import Installation
from volens.rights import request_rows
from volens.rights.access_answer import AccessAnswer, answer_access, answer_unknown
from volens.rights.decision_explanation import Explanation, explain_decisions
from volens.rights.erasure_list import (
    ErasureSteps,
    UnansweredErasure,
    list_erasures,
    one_erasure,
    unanswered_erasures,
)
from volens.rights.own_data import OwnData
from volens.rights.refusal_explanation import RefusalExplanation, explain_refusals
from volens.rights.request_rows import ExtensionReason, Outcome, PersonsRequest, RequestKind
from volens.rights.stale_papers import StalePaper, stale_papers
from volens.rights.who_may_withdraw import consent_to_withdraw
from volens.store.files import make_private_folder, write_private
from volens.store.people import receipts_of, stored_receipt
from volens.store.people.consents import live_owner

_Choice = TypeVar("_Choice", bound=StrEnum)


@final
class Rights:
    """Opens, answers and closes data subject requests.

    Attributes:
        recipients: the recipients of a zone's data, and their acknowledgements of erasures.
        own: what the holder of a receipt or code sees and saves alone.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._store = installation.store
        self.recipients = Recipients(installation)
        self.own = OwnData(installation.store)

    def open(self, kind: str, receipt_ids: Sequence[ReceiptId]) -> PersonsRequest:
        """Open a request of one person; see `RequestKind`. Without consents only a number is stored.

        Raises:
            InputError: there is no such kind.
        """
        wanted = _one_of(RequestKind, kind, "kind of request")
        with self._store.write() as tx:
            return request_rows.open_request(tx, wanted, receipt_ids[0] if receipt_ids else None)

    def open_access(self, *, receipt: bytes | None = None, code: str | None = None) -> PersonsRequest:
        """Open an access request for the holder of a receipt or withdrawal code, or return the one that is open.

        The desk hands the answer over to the person, because a receipt or code does not show who sent the request.

        Raises:
            NoLiveConsentError: there never was such a consent here.
            InputError, ReceiptError: see `consent_to_withdraw`.
        """
        with self._store.write() as tx:
            receipt_id = consent_to_withdraw(tx.connection, receipt, code)
            opened = [
                one
                for one in request_rows.open_requests_of(tx.connection, [receipt_id])
                if one.kind is RequestKind.ACCESS
            ]
            return opened[0] if opened else request_rows.open_request(tx, RequestKind.ACCESS, receipt_id)

    def consent_shown(self, *, receipt: bytes | None = None, code: str | None = None) -> ReceiptId:
        """Return the consent of a receipt or code, which may end it; see `consent_to_withdraw`. Nothing is changed."""
        with self._store.read() as connection:
            return consent_to_withdraw(connection, receipt, code)

    def explain(self, *, receipt: bytes | None = None, code: str | None = None) -> Explanation:
        """Explain to a person what the doors decided lately; see `explain_decisions`."""
        return explain_decisions(self._store, receipt=receipt, code=code)

    def explain_refusals(
        self, zone: str, model: EmbeddingModel, consent: ReceiptId | None = None
    ) -> RefusalExplanation:
        """Explain to the operator what a refusal can come from; see `explain_refusals`."""
        return explain_refusals(self._store, parse_purpose(zone), model, consent)

    def request(self, request_id: str) -> PersonsRequest:
        """Return a request, open or closed.

        Raises:
            InputError: there is no request of this number.
        """
        with self._store.read() as connection:
            return request_rows.request_of(connection, request_id)

    def carry_out(self, request_id: str) -> list[Erased]:
        """Carry out a request for erasure or an objection: erase the person's consents, and close it (GDPR 17, 21).

        Raises:
            InputError: there is no such request.
            RefusedError: it is of another kind, or closed.
            ErasureIncompleteError: matching has stopped; the request stays open until it is carried out again.
        """
        request = self.request(request_id)
        if request.closed_at is not None or request.kind not in {RequestKind.ERASURE, RequestKind.OBJECTION}:
            raise RefusedError("this request is closed or not about erasure; see 'volens request list --all'")
        erased = erase_consents(self._installation, self._consents_of(request), EndReason.REQUESTED)
        with self._store.write() as tx:
            request_rows.close_request(tx, request_id, Outcome.CARRIED_OUT if erased else Outcome.NOTHING_HELD)
        return erased

    def erase_at_once(self, receipt_ids: Sequence[ReceiptId], progress: Progress | None = None) -> list[Erased]:
        """Erase the consents of a person who asks for it at the desk, without a request that is open for some days.

        The way out for a person who has lost receipt and code (GDPR 17(1)(b)). Consents that ended are ignored.

        Raises:
            NoLiveConsentError: none of them is in force.
            ErasureIncompleteError: matching has stopped, but the erasure is not finished.

        Not checked: that the person is who they say; the operator is responsible for that.
        """
        with self._store.read() as connection:
            live = [one for one in receipt_ids if live_owner(connection, one) is not None]
        if not live:
            raise NoLiveConsentError("no consent of this person is in force; nothing was changed")
        return erase_consents(self._installation, live, EndReason.REQUESTED, progress)

    def requests(self, *, closed: bool = False) -> list[PersonsRequest]:
        """Return the open requests in the order in which they are due; with `closed`, the closed ones too."""
        with self._store.read() as connection:
            return request_rows.list_requests(connection, closed=closed)

    def overdue(self) -> list[PersonsRequest]:
        """Return the open requests that are past their due date."""
        now = self._store.now()
        return [one for one in self.requests() if one.overdue(now)]

    def erasures(self) -> list[ErasureSteps]:
        """Return the erasures that run or finished lately; see `volens.rights.erasure_list.list_erasures`."""
        return list_erasures(self._store)

    def erasure(self, receipt_id: str) -> ErasureSteps:
        """Return one erasure; see `volens.rights.erasure_list.one_erasure`."""
        return one_erasure(self._store, ReceiptId(receipt_id))

    def unanswered(self) -> list[UnansweredErasure]:
        """Return recipients that have not acknowledged an erasure; see `unanswered_erasures`."""
        return unanswered_erasures(self._store)

    def stale_papers(self) -> list[StalePaper]:
        """Return the notices that are older than what they tell; see `volens.rights.stale_papers.stale_papers`."""
        return stale_papers(self._store)

    def extend(self, request_id: str, reason: str) -> PersonsRequest:
        """Extend a request by two months, within the first month; see `volens.rights.request_rows.extend_request`."""
        why = _one_of(ExtensionReason, reason, "reason (GDPR 12(3))")
        with self._store.write() as tx:
            return request_rows.extend_request(tx, request_id, why)

    def close(self, request_id: str, outcome: str) -> PersonsRequest:
        """Close a request with an outcome. Access and portability end with `answer`, unless refused or taken back.

        Raises:
            InputError: no such request or outcome.
            RefusedError: it is closed already, or must be answered with a file.
        """
        how = _one_of(Outcome, outcome, "outcome")
        with self._store.write() as tx:
            kind = request_rows.request_of(tx.connection, request_id).kind
            if kind.needs_file and how not in {Outcome.REFUSED, Outcome.TAKEN_BACK}:
                raise RefusedError(f"a request for {kind.value} is closed by its answer; use 'volens request answer'")
            return request_rows.close_request(tx, request_id, how)

    def answer(
        self,
        request_id: str,
        path: Path,
        *,
        with_embedding: bool = True,
        searched_for: str | None = None,
        replace: bool = False,
    ) -> AccessAnswer:
        """Answer a request for access or portability: write the zip file, and close the request.

        The mode of the file is 0600. For `with_embedding` see `answer_access`. If the person was not found when the
        request was opened, `searched_for` is the name or id from the letter; it is searched for again, and the answer
        states it (`answer_unknown`).

        Raises:
            InputError: there is no such request, or the file exists and `replace` is false; or the person was not found
                and `searched_for` is missing, or the reverse.
            RefusedError: the request is closed, or of another kind.
            UnavailableError: the file cannot be written; the request stays open.
        """
        request = self.request(request_id)
        if request.closed_at is not None:
            raise RefusedError("this request is closed; see 'volens request list --all'")
        answer = self._answer_of(request, with_embedding=with_embedding, searched_for=searched_for)
        write_private(path, answer.data, replace=replace)
        self._close_answered(request_id, answer)
        return answer

    def hand_over(
        self, request_id: str, *, with_embedding: bool = True, searched_for: str | None = None
    ) -> AccessAnswer:
        """Return the answer to a request, and close it. A repeated call makes the answer again; see `answer`.

        Raises:
            InputError: there is no such request, or `searched_for` is missing, or given for a person who is known.
            RefusedError: it is of another kind, or was refused or taken back.
        """
        request = self.request(request_id)
        if request.outcome not in {None, Outcome.ANSWERED, Outcome.NOTHING_HELD}:
            raise RefusedError("this request was closed without a file; open a new one")
        answer = self._answer_of(request, with_embedding=with_embedding, searched_for=searched_for)
        if request.outcome is None:
            self._close_answered(request_id, answer)
        return answer

    def answer_all(self, receipt_ids: Sequence[ReceiptId], folder: Path) -> int:
        """Write the answers to the open requests of these consents into a folder; see `AnswerRequests`."""
        with self._store.read() as connection:
            requests = request_rows.open_requests_of(connection, receipt_ids)
        make_private_folder(folder)
        for one in requests:
            self.answer(one.request_id, folder / f"{one.request_id}.zip", replace=True)
        return len(requests)

    def _consents_of(self, request: PersonsRequest) -> list[ReceiptId]:
        """Return all consents of the person of a request; none if the person was not found."""
        if request.receipt_id is None:
            return []
        with self._store.read() as connection:
            receipt = stored_receipt(connection, request.receipt_id)
        return [] if receipt is None else receipts_of(self._store, receipt.subject_id)

    def _answer_of(self, request: PersonsRequest, *, with_embedding: bool, searched_for: str | None) -> AccessAnswer:
        if not request.kind.needs_file:
            raise RefusedError(
                f"a request for {request.kind.value} is not answered with a file; see 'volens request list --all'"
            )
        if (request.receipt_id is None) != (searched_for is not None):
            raise InputError(
                "the person of this request was not found, and the answer must state what was searched for; give the "
                "name or number from the letter"
                if searched_for is None
                else "the person of this request is known; answer it without a text to search for"
            )
        if searched_for is not None:
            return answer_unknown(self._store, searched_for)
        return answer_access(self._store, self._consents_of(request), with_embedding=with_embedding)

    def _close_answered(self, request_id: str, answer: AccessAnswer) -> None:
        with self._store.write() as tx:
            request_rows.close_request(
                tx, request_id, Outcome.ANSWERED if answer.held or answer.invitations else Outcome.NOTHING_HELD
            )


def _one_of(choices: type[_Choice], text: str, what: str) -> _Choice:
    try:
        return choices(comparison_key(text))
    except ValueError:
        raise InputError(f"got an unknown {what}; expected one of {', '.join(choices)}") from None
