"""The answer to an access request (GDPR 15 and 20): a zip that proves itself.

1. Everything held under the person's consents is read in one snapshot (`volens.rights.held_data`).
2. Each consent becomes a record (JSON-LD, the fields of ISO/IEC TS 27560, terms of the Data Privacy Vocabulary), with
   the signed receipt, the text of the notice, and the embedding in numbers, which is personal data as the photos were.
3. The audit log gets an entry for the answer, with only the digest of its statement.
4. The site signs the statement (the files with the SHA-256 of each, what was searched) and the log entry's proof.

An invitation that is open is held too: about a person who has not agreed to anything yet.

If nothing is held, the answer has no records but is signed and logged in the same way: it states what was searched, how
many rows of each kind were found, and which certificates were issued. It is never about no one: it names the text or
the receipt that was searched for, the identifiers that it was compared with, and what was not searched.
"""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, final

from volens.audit import LogEntry, LoggedStatement
from volens.consent import (
    Custody,
    InputError,
    ReceiptId,
    RefusedError,
    SecondFactor,
    SignedDocument,
    UnverifiedReceipt,
    Zone,
    format_time,
)
from volens.consent.canonical import canonical_sha256
from volens.consent.declarations import SiteFact
from volens.consent.processing_record import ProcessingRecord
from volens.consent.typed_text import parse_text, same_text
from volens.erase.pages import DEFAULT_LANGUAGE, PageWords, page_language, render_page
from volens.index import opened
from volens.rights.dpv_terms import DPV_CONTEXT, legal_basis_terms, purpose_terms, right_terms, status_term
from volens.rights.held_data import HeldConsent, held_under, recipients_named
from volens.rights.promised_rights import rights_of
from volens.store import Store
from volens.store.log import node_reader
from volens.store.people import count_live, count_receipts, receipts_of, sealed_references
from volens.store.people.invitation_rows import StoredInvitation, invitations_about, invitations_linked
from volens.store.people.people_search import COMPARED_WITH, MAX_SEARCH_LENGTH, SeveralPeopleError
from volens.store.promises.declared_facts import site_facts

EVENT: Final = "access.answered"
SIGNED_FILE: Final = "answer.jws"
_CONTEXT: Final = {**DPV_CONTEXT, "volens": "urn:volens:access#"}
EMBEDDING_IN_WORDS: Final = (
    "a direction in the model's space: a unit vector, the mean of your photos' embeddings. It is not a photo, and a "
    "photo cannot be read off it, but anyone who has the same model can compare faces with it: keep it safe"
)
_WORDS: Final = PageWords("access_answer", DEFAULT_LANGUAGE)
_FACTS: Final = (SiteFact.ADDRESS, SiteFact.REPRESENTATIVE, SiteFact.DPO, SiteFact.STORAGE_PLACE, SiteFact.TRANSFERS)
"""What was declared about the controller and belongs in an answer (GDPR 15(1)(c) and 15(2))."""
NOT_SEARCHED: Final = (
    "other spellings, earlier names and nicknames; names of consents that have ended, which are erased with the "
    "consent; photos and faces; other organisations"
)


ACCESS_ANSWER: Final = SignedDocument(
    typ="volens-access-answer+jws",
    name="an access answer",
    advice="use one as 'volens export' writes it",
    read=lambda document, _token: LoggedStatement.from_json(document),
    version_member="statement.version",
    version_error=InputError,
)


@final
@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """An answer, ready for the person.

    Attributes:
        data: the zip's bytes; personal data, for the person only.
        held: the number of consents under which data is held.
        invitations: the number of open invitations.
    """

    data: bytes
    held: int
    invitations: int
    answer_id: str


def answer_access(
    store: Store,
    receipt_ids: Sequence[ReceiptId],
    *,
    with_embedding: bool = True,
    searched_for: str | None = None,
    visits_from: datetime | None = None,
) -> AccessAnswer:
    """Answer a request for access with what is held under a person's consents, in force or ended.

    Without `with_embedding`, the answer states only that there is an embedding, and its model. With `visits_from`, it
    lists no older visits, and states that they were left out. `searched_for` is the text by which the consents were
    found; without it they were found by their receipts.

    Raises:
        InputError: no consent is named; see `answer_unknown`.
        TamperError: a stored receipt or a seal does not hold.
        UnavailableError: the store refuses.
    """
    if not receipt_ids:
        raise InputError("got no consent to answer about; name the text that was searched for, as with --unknown")
    if searched_for is None:
        terms = [_Terms(one, (COMPARED_WITH[0],)) for one in receipt_ids]
        with store.read() as connection:
            invited = invitations_linked(connection, receipt_ids)
    else:
        terms, invited = [_Terms(searched_for, COMPARED_WITH)], invitations_about(store, searched_for)
    return _answer(store, receipt_ids, terms, invited, with_embedding=with_embedding, visits_from=visits_from)


def answer_unknown(store: Store, searched_for: str) -> AccessAnswer:
    """Answer a person without a consent, whom a text names: a receipt's id, a subject id, a name, a number, a link.

    1. The text is searched for now, so that the answer is never older than the search.
    2. The answer states the text, with which identifiers it was compared, and the open invitations that it found; if
       there are none, that nothing is held.

    Raises:
        InputError: the text has a character that no name has.
        RefusedError: 1 finds a consent; answer with `answer_access`.
        TamperError, UnavailableError: see `answer_access`.
    """
    text = parse_text(searched_for, "a name or id", MAX_SEARCH_LENGTH)
    # 1.
    try:
        found = receipts_of(store, text)
    except SeveralPeopleError as several:
        found = list(several.receipt_ids)
    if found:
        raise RefusedError("a person is found by this text, so it cannot be answered that nothing is held; name them")
    # 2.
    return _answer(store, [], [_Terms(text, COMPARED_WITH)], invitations_about(store, text), with_embedding=False)


def is_about(statement: Mapping[str, Any], shown: str | UnverifiedReceipt) -> bool:
    """Return whether an answer is about this receipt, or was searched for by this id or name."""
    if isinstance(shown, UnverifiedReceipt):
        digest = sha256(shown.token.encode("ascii")).hexdigest()
        if any(one["receipt_sha256"] == digest for one in statement["searched"]):
            return True
        shown = shown.claims.receipt_id
    return any(same_text(one["text"], shown) for one in statement["searched_for"])


def log_details(statement: Mapping[str, Any]) -> dict[str, str | int]:
    """Return the details to which the log's leaf commits: the whole statement, by its hash."""
    return {"answer_sha256": canonical_sha256(statement)}


@final
@dataclass(frozen=True, slots=True)
class _Terms:
    """A text that was searched for, and the identifiers that it was compared with."""

    text: str
    compared_with: Sequence[str]


def _answer(
    store: Store,
    receipt_ids: Sequence[ReceiptId],
    searched_for: Sequence[_Terms],
    invited: Sequence[StoredInvitation],
    *,
    with_embedding: bool,
    visits_from: datetime | None = None,
) -> AccessAnswer:
    # 1.
    with store.read() as connection:
        held_data = (held_under(store, connection, each) for each in receipt_ids)
        found = [one if visits_from is None else one.with_visits_from(visits_from) for one in held_data if one]
        facts = site_facts(connection)
        among = {"receipts": count_receipts(connection), "names": count_live(connection)}
        recipients = {one.zone.purpose: recipients_named(connection, one.zone.purpose) for one in found}
    # 2.
    files: dict[str, bytes] = {}
    for number, held in enumerate(found, start=1):
        files |= _record(store, held, recipients[held.zone.purpose], f"consent-{number}", with_embedding=with_embedding)
    statement = _statement(store, found, invited, len(receipt_ids))
    statement["controller"] |= {fact.value: facts[fact] for fact in _FACTS if fact in facts}
    statement |= {"searched_for": [asdict(one) for one in searched_for], "searched_among": among}
    statement |= {"not_searched": NOT_SEARCHED}
    if visits_from is not None:
        statement |= {"left_out": {"visits_before": format_time(visits_from)}}
    language = page_language(found[-1].agreed["pii_processing"]["language"] if found else None)
    page = render_page(
        "access_answer.html",
        statement=statement,
        controller=statement["controller"],
        found=found,
        recipients=recipients,
        second_factor=any(one.zone.second_factor is not SecondFactor.NONE for one in found),
        rights=rights_of([one.record for one in found if one.record], language),
        language=language,
    )
    files["index.html"] = page.encode("utf-8")
    statement["files"] = {name: sha256(data).hexdigest() for name, data in sorted(files.items())}
    # 3. and 4.
    files[SIGNED_FILE] = _signed(store, statement).encode("ascii")
    consents = sum(one.anything for one in found)
    return AccessAnswer(_zip(files), consents, len(invited), statement["answer_id"])


def _statement(
    store: Store, found: Sequence[HeldConsent], invited: Sequence[StoredInvitation], requested: int
) -> dict[str, Any]:
    controller = store.site.controller
    return {
        "version": ACCESS_ANSWER.version,
        "answer_id": store.random(16).hex(),
        "answered_at": format_time(store.now()),
        "controller": {"site_id": controller.site_id, "name": controller.name, "contact": controller.contact},
        "consents_asked_for": requested,
        "holds_anything": bool(invited) or any(one.anything for one in found),
        "invitations": [
            {
                "zone": one.purpose,
                "name": one.name(store.keyring),
                "external_id": "only a keyed hash" if one.external_digest else None,
                "language": one.language,
                "jurisdiction": one.jurisdiction,
                "invited_by": one.invited_by,
                "invited_at": format_time(one.invited_at),
                "erased_after": format_time(one.expires_at),
            }
            for one in invited
        ],
        "searched": [
            {
                "receipt_sha256": sha256(one.token.encode("ascii")).hexdigest(),
                "rows": dict(one.counts),
                "ended": None if one.ended is None else one.ended[0].value,
                "certificate_id": one.certificate_id,
            }
            for one in found
        ],
    }


def _record(
    store: Store, held: HeldConsent, recipients: Sequence[Mapping[str, Any]], folder: str, *, with_embedding: bool
) -> dict[str, bytes]:
    files = {f"{folder}/receipt.jws": held.token.encode("ascii"), f"{folder}/notice.txt": held.notice.encode("utf-8")}
    if held.guardian_token is not None:
        files[f"{folder}/guardian.jws"] = held.guardian_token.encode("ascii")
    embeddings = list(_embeddings(store, held)) if with_embedding else []
    for number, embedding in enumerate(embeddings, start=1):
        files[f"{folder}/embedding-{number}.json"] = _json(embedding)
    zone = held.zone
    records = [] if held.record is None else [held.record]
    record = {
        "@context": _CONTEXT,
        "@type": "dpv:ConsentRecord",
        "dct:identifier": held.receipt_id,
        "dct:conformsTo": held.agreed["schema_version"],
        "dpv:hasDataSubject": {"dct:identifier": held.subject_id, "dpv:hasName": held.name},
        "volens:panelBadge": held.panel_badge,
        "dpv:hasConsentStatus": status_term(held.ended[0] if held.ended else None),
        "dpv:hasLegalBasis": legal_basis_terms(records),
        "volens:agreed": held.agreed,
        "volens:inForceUntil": None if held.in_force_until is None else format_time(held.in_force_until),
        "volens:clocks": [{"reason": one.reason.value, "at": format_time(one.at)} for one in held.clocks],
        "volens:ended": None
        if held.ended is None
        else {"reason": held.ended[0].value, "at": format_time(held.ended[1])},
        "volens:certificate": held.certificate_id,
        "volens:zone": {
            "name": zone.purpose,
            "title": zone.title,
            "state": zone.state.value,
            "custody": zone.custody.value,
            "justification": zone.justification,
            "alternative": zone.alternative,
            "retention_days": zone.retention_days,
            "match_history_days": zone.match_history_days,
            "second_factor": zone.second_factor.value,
            "desk_signature": zone.desk_signature.value,
            "fpir": zone.fpir.value,
            "trigger": zone.trigger.value,
            "liveness": zone.liveness.value,
            "lease_seconds": zone.lease_seconds,
            "after_lease": zone.after_lease.value,
        },
        "volens:held": held.rows,
        "dpv:hasRecipient": recipients,
        "volens:logic": _logic(zone),
        "dpv:hasPurpose": [term for one in records for term in purpose_terms(one.comparison)],
        "dpv:hasRight": right_terms(records),
        "volens:rights": [_WORDS.text(key, **its) for key, its in rights_of(records, DEFAULT_LANGUAGE)],
        **({} if held.record is None else {"volens:law": _law(held.record)}),
        "volens:embeddings": [{key: value for key, value in one.items() if key != "values"} for one in embeddings]
        or _why_not(held, with_embedding=with_embedding),
    }
    files[f"{folder}/record.jsonld"] = _json(record)
    return files


def _law(record: ProcessingRecord) -> dict[str, Any]:
    profile = record.profile
    return {
        "jurisdiction": record.jurisdiction,
        "profile": profile.code,
        "law": profile.law,
        "lawful_basis": profile.lawful_basis,
        "authority": profile.authority.url,
        "comparison": record.comparison.value,
        "max_term_days": record.max_term_days,
        "inactive_after_days": record.inactive_after_days,
        "record_sha256": record.sha256,
    }


def _logic(zone: Zone) -> str:
    keys = ("logic",) if zone.second_factor is SecondFactor.NONE else ("logic", "logic_second_factor")
    return " ".join(_WORDS.text(key) for key in keys)


def _embeddings(store: Store, held: HeldConsent) -> Iterable[dict[str, Any]]:
    with store.read() as connection:
        references = sealed_references(connection, [held.receipt_id])
    for reference, vector in opened(store, references):
        yield {
            "model_id": reference.model_id,
            "dimension": vector.dimension,
            "what": EMBEDDING_IN_WORDS,
            "values": [float(value) for value in vector.array],
        }


def _why_not(held: HeldConsent, *, with_embedding: bool) -> str:
    if held.ended is not None or not (held.counts["biometric_reference"] or held.counts["badge"]):
        return "none is held"
    if held.zone.custody is Custody.BADGE:
        return "it is on the badge that you carry; the site holds none"
    if held.zone.custody is Custody.SUBJECT_KEY:
        return "sealed under a key of which you hold one half; the site cannot open it"
    return "held, and left out of this answer on request" if not with_embedding else "held, but it does not open"


def _signed(store: Store, statement: dict[str, Any]) -> str:
    with store.write() as tx:
        index, event = tx.log(EVENT, log_details(statement))
        head, note = tx.sign_log()
        entry = LogEntry.of(event, index, head.size, node_reader(tx.connection))
    return ACCESS_ANSWER.sign(store.keyring, LoggedStatement(statement, entry, note).to_json())


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            # A fixed time; the time of the answer is in the signed statement.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8") + b"\n"
