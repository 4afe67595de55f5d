"""Steps 6 and 7 of an erasure, in batches: sign, log and store the certificates, then write their files."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from volens.audit import LogEntry, LoggedStatement, NodeReader
from volens.consent import Purpose, ReceiptId, TamperError, format_time, parse_time
from volens.consent.declarations import SiteFact
from volens.consent.lease import LeaseHolding, stopped_everywhere_at
from volens.consent.processing_record import comparison_of
from volens.erase.journal import (
    ErasureState,
    StoredCertificate,
    add_certificates,
    advance,
    certificates_of,
    entries,
    settle,
)
from volens.erase.proof.certificate import CERTIFICATE, EVENT, log_details
from volens.store import Store, Transaction
from volens.store.batches import batches
from volens.store.files import make_home_folder, write_public_files
from volens.store.log import CERTIFICATES, node_reader
from volens.store.programs import MessageKind, enqueue
from volens.store.promises import Recipient, acknowledgements_of, zone_of
from volens.store.promises.declared_facts import site_facts
from volens.store.promises.recipients import recipients_to_notify

NOT_PROMISED: Final = (
    "copies that were made before the erasure of the keyring together with its root key, and memory of other running "
    "processes; a badge or secret that the person carries stays with the person, and opens nothing any more"
)
NOT_PROMISED_ON_SERVER: Final = (
    f"{NOT_PROMISED}; the files of the database server, its write-ahead log, replicas and backups, which were not "
    "searched: what they keep of the embedding is sealed under keys that were destroyed"
)
"""Of a site whose databases have no place that an erasure can search."""
_METHOD: Final = "every key that wrapped the person's key destroyed, the gallery's row overwritten and zeroed"
_DESTROYED: Final = "replaced by its holder, and destroyed there; a copy of it that was made before may be in: {copies}"
_KEPT_ROOT: Final = (
    "not replaced, because its holder did not answer; until it is, a copy of the keyring made before the erasure opens "
    "with it"
)
_KEPT: Final = ("zone", "reason", "processes", "leases")
"""What the journal keeps of a certified erasure."""
_STATED: Final = (
    *("receipt_sha256", "zone", "reason", "ended_at", "erased_at", "times", "existed", "destroyed"),
    *("search_before", "search_after", "searched"),
)
_OTHERS: Final = "cannot match; sketches go when they next follow the log"
_OTHERS_RENEWED: Final = "match only the reference of the new consent; old sketches go when they next follow the log"
"""What the certificate states as the journal has it."""

_Facts = Mapping[ReceiptId, Mapping[str, Any]]


@final
@dataclass(frozen=True, slots=True)
class Erased:
    """A finished erasure."""

    certificate_id: str
    certificate_path: Path
    zone: str
    reason: str


def certify(store: Store, facts: _Facts) -> None:
    """Sign, log and store the certificates of a batch of verified erasures, and enqueue notifications; one transaction.

    An erasure that has a certificate already, because another process resumed it and was faster, gets no second.
    """
    with store.write() as tx:
        issued = certificates_of(tx.connection, list(facts))
        kept = {one: {name: its[name] for name in _KEPT if name in its} for one, its in facts.items()}
        for its in kept.values():
            if not its["leases"]["holders"]:
                del its["leases"]
        recipients = recipients_to_notify(tx.connection, {one: Purpose(its["zone"]) for one, its in facts.items()})
        statements = {
            one: _statement(store, tx, its, recipients[one]) for one, its in facts.items() if one not in issued
        }
        if statements:
            events = tx.log_all(EVENT, [log_details(statement) for statement in statements.values()])
            head, note = tx.sign_log()
            # Proofs of neighbours share most of their nodes.
            read: NodeReader = functools.cache(node_reader(tx.connection))
            certificates: dict[ReceiptId, StoredCertificate] = {}
            for (one, statement), (index, event) in zip(statements.items(), events, strict=True):
                logged = LoggedStatement(statement, LogEntry.of(event, index, head.size, read), note)
                token = CERTIFICATE.sign(store.keyring, logged.to_json())
                certificates[one] = StoredCertificate(statement["certificate_id"], token, tx.now)
            add_certificates(tx, certificates)
            members = ("reason", "erased_at", "certificate_id")
            erased = {one: {name: its[name] for name in members} for one, its in statements.items()}
            enqueue(tx, MessageKind.SUBJECT_ERASED, erased)
        settle(tx, ErasureState.VERIFIED, kept)


def publish(store: Store, home: Path, facts: _Facts) -> None:
    """Write the files of a batch of certificates.

    Raises:
        UnavailableError: the disk refuses.
        TamperError: a certificate that the journal names is missing.
    """
    with store.read() as connection:
        certificates = certificates_of(connection, list(facts))
    if len(certificates) < len(facts):
        raise store.seals.damaged("a certificate that the journal names is missing")
    _write(home, [(one, ()) for one in certificates.values()])
    with store.write() as tx:
        advance(tx, ErasureState.CERTIFIED, {one: {} for one in facts})


def published(store: Store, home: Path, receipt_ids: Sequence[ReceiptId]) -> dict[ReceiptId, Erased]:
    """Return the results of finished erasures; a lost certificate file is written again.

    Raises:
        UnavailableError: the disk refuses.
        TamperError: an erasure has no certificate.
    """
    erased: dict[ReceiptId, Erased] = {}
    for ids in batches(receipt_ids):
        with store.read() as connection:
            certificates, journal = certificates_of(connection, ids), entries(connection, ids)
            answers = acknowledgements_of(connection, ids)
        for one in ids:
            if one not in certificates:
                raise store.seals.damaged("a finished erasure has no certificate")
            facts = journal[one].facts
            path = certificate_path(home, certificates[one])
            if not path.exists():
                _write(home, [(certificates[one], answers.get(one, ()))])
            erased[one] = Erased(certificates[one].certificate_id, path, facts["zone"], facts["reason"])
    return erased


def certificate_path(home: Path, certificate: StoredCertificate) -> Path:
    """Return the path of a certificate's file."""
    return home / CERTIFICATES / f"{certificate.certificate_id}.json"


def _statement(
    store: Store, tx: Transaction, facts: Mapping[str, Any], recipients: Sequence[Recipient]
) -> dict[str, Any]:
    removed = facts["destroyed"].get("gallery sketch", 0)
    continued = {"continued": facts["continued"]} if "continued" in facts else {}
    is_file, is_searched = bool(store.data.places()), all((store.data.places(), store.keyring.engine.places()))
    return {
        "version": CERTIFICATE.version,
        "certificate_id": tx.random(16).hex(),
        "site_id": store.site.controller.site_id,
        "controller": store.site.controller.name,
        **{name: facts[name] for name in _STATED},
        **continued,
        **_leases(facts),
        **_contacts(store, tx),
        **_of_zone(tx, Purpose(facts["zone"])),
        "issued_at": format_time(tx.now),
        "touched": [
            {"what": "data file" if is_file else "database", "how": f"rows {store.data.describe_scrub()}"},
            {"what": "keyring", "how": f"grant secret {store.keyring.engine.describe_scrub()}; keys above it replaced"},
            {"what": "galleries of the process that ended the consent", "how": f"{removed} sketches overwritten"},
            {"what": "galleries of other processes", "how": _OTHERS_RENEWED if continued else _OTHERS},
        ],
        "method": f"rows {store.data.describe_scrub(2)}, {_METHOD}",
        "searched_in": facts["files"],
        "keys": _keys(store, facts),
        "not_promised": NOT_PROMISED if is_searched else NOT_PROMISED_ON_SERVER,
        "recipients": [{"recipient_id": one.recipient_id, "name": one.name} for one in recipients],
    }


def _of_zone(tx: Transaction, purpose: Purpose) -> dict[str, str]:
    """Return how the doors of the zone compare and what they do against photos; nothing if it does not verify."""
    try:
        zone = zone_of(tx.connection, purpose)
    except TamperError:
        return {}
    return {"comparison": comparison_of(zone).value, "liveness": zone.liveness.value}


def _leases(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return from when on no door decided about the person, as far as is known, and which doors held a lease."""
    holders = [LeaseHolding.from_json(one) for one in facts["leases"]["holders"]]
    until = stopped_everywhere_at(parse_time(facts["ended_at"]), holders)
    return {"stopped_everywhere_at": format_time(until), "lease_holders": [one.to_json() for one in holders]}


def _contacts(store: Store, tx: Transaction) -> dict[str, str]:
    """Return whom to ask about the erasure: the controller, and its data protection officer if one was declared."""
    contact = {"contact": store.site.controller.contact}
    try:
        dpo = site_facts(tx.connection).get(SiteFact.DPO)
    except TamperError:
        return contact
    return contact if dpo is None else contact | {"dpo": dpo}


def _keys(store: Store, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the certificate states about the keys that were destroyed, and where copies of them may still be."""
    keys, holder = facts["keys"], store.keyring.holder
    is_destroyed = bool(keys["root_key_destroyed"]) and holder is not None
    return {
        "store_key_destroyed": keys["store_key_epoch"],
        "root_key_destroyed": is_destroyed,
        "root_key": _DESTROYED.format(copies=holder.copies) if is_destroyed and holder is not None else _KEPT_ROOT,
        "root_key_holder": "none" if holder is None else holder.url.partition(":")[0],
        "other_processes": facts.get("processes", {"others": 0, "confirmed": 0}),
    }


def _write(home: Path, certificates: Iterable[tuple[StoredCertificate, Sequence[str]]]) -> None:
    write_public_files(
        make_home_folder(home, CERTIFICATES),
        {certificate_path(home, one).name: CERTIFICATE.to_file(one.token, answers) for one, answers in certificates},
    )
