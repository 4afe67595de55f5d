"""Step 1 of an erasure, for many people at once: one transaction ends the consents, and with them all matching."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol, final

from volens.consent import EndReason, Purpose, ReceiptId, format_time
from volens.erase.box_search import BoxHash
from volens.erase.journal import Held, held_by, open_entries
from volens.erase.remains import Remains, gather, ranks
from volens.index import Installation
from volens.store import Transaction
from volens.store.keys import nonce_of
from volens.store.log import erase_openings
from volens.store.log.shard_log import erase_shard_openings
from volens.store.people.consents import end_consents
from volens.store.programs import MessageKind, enqueue
from volens.store.programs.leases import holdings, newest_lease, with_uncertain
from volens.store.promises.lease_revocation import revoke_leases
from volens.store.promises.lease_rows import uncertain_doors
from volens.store.schema.personal_tables import PERSONAL

STOP_TOGETHER: Final = 250
"""How many consents end in one transaction. Other writers wait for it, one second at most."""

SALT_BYTES: Final = 16
_OF_TIME: Final = frozenset({EndReason.EXPIRED, EndReason.RETENTION, EndReason.INACTIVE})


@final
@dataclass(frozen=True, slots=True)
class Continued:
    """What goes on under the consent that takes the place of the one that ends; the certificate states it.

    Attributes:
        receipt_sha256: of the new receipt, hexadecimal.
        kept: how many rows of which kind (`Personal.counted_as`) are taken over unchanged. They are not destroyed.
        sealed_again: how many sealed values of which kind are sealed again, under the key of the new consent. The
            values sealed under the old key are destroyed.
    """

    receipt_sha256: str
    kept: Mapping[str, int]
    sealed_again: Mapping[str, int]


class Successor(Protocol):
    """The consent that takes the place of the one that ends, in the same transaction (renewal)."""

    def collect(self, tx: Transaction) -> Continued:
        """Read what goes on, while the old consent is still in force; raise if it must not be replaced."""
        ...

    def begin(self, tx: Transaction) -> None:
        """Put the new consent in force, after the old one has ended."""
        ...


def stop(
    installation: Installation,
    receipt_ids: Sequence[ReceiptId],
    reason: EndReason,
    remains: dict[ReceiptId, Remains],
    successor: Successor | None = None,
) -> None:
    """End those of the consents that are in force.

    1. Before the write lock is taken: the grant secrets are opened, and the galleries are brought up to date.
    2. In one transaction: the data of each person is listed, copied for the later search, and searched for with the
       old embedding. The consents end, and references and names are deleted with them. The openings of the audit leaves
       are deleted, the journal is opened, and one leaf for each person logs that a consent ended. Expiries are
       enqueued as webhooks. The leases of their zones are revoked, and their holders noted.

    `receipt_ids` are at most some hundred, so that other writers wait one second at most. `remains` receives what to
    search for; also if the commit fails, which may have reached the disk all the same. With a `successor` there is one
    receipt id: its rows that are taken over are neither counted nor searched for, and no search by the old embedding is
    run, because the person goes on matching.

    Raises:
        UnavailableError: the store cannot be written. Nothing was changed, as far as can be known.
        VolensError: the successor refused; nothing was changed.
    """
    store = installation.store
    no_search = "" if successor is None else "the person is still recognised, under the new consent"
    # 1.
    with store.read() as connection:
        gatherer = gather(installation, connection, held_by(connection, receipt_ids), no_search=no_search)
    # 2.
    with gatherer, store.write() as tx:
        continued = None if successor is None else successor.collect(tx)
        wrapped = store.keyring.wrapped_secrets(receipt_ids)
        facts: dict[ReceiptId, dict[str, Any]] = {}
        held = held_by(tx.connection, receipt_ids)
        if continued is not None:
            held = {one: its.without(continued.kept) for one, its in held.items()}
        keys = {one: [(_WRAPPED, box)] for one, box in wrapped.items()}
        boxes_of = {one: its.sealed + keys.get(one, []) for one, its in held.items()}
        for one, its in held.items():
            gathered = gatherer.remains_of(one, boxes_of[one] + its.found_by, its)
            if one in remains:  # left by a failed attempt
                remains[one].wipe()
            remains[one] = gathered
        found = ranks(remains[one] for one in held)
        for one, its in held.items():
            boxes = boxes_of[one]
            facts[one] = {
                "receipt_sha256": its.receipt.sha256.hex(),
                "zone": its.receipt.purpose,
                "reason": reason.value,
                "ended_at": format_time(tx.now),
                "times": {"stopped": format_time(tx.now)},
                "reference_ids": [reference.reference_id for reference in its.references],
                "existed": [BoxHash.of(what, box, tx.random(SALT_BYTES)).to_json() for what, box in boxes],
                "beginnings": [{"what": what, "nonce": nonce_of(box).hex()} for what, box in boxes],
                "destroyed": _destroyed(installation, boxes, its),
                "search_before": remains[one].search_report(found),
            }
            if continued is not None:
                facts[one]["continued"] = asdict(continued)
        ended = end_consents(tx, list(held), reason)
        openings, visits = erase_openings(tx.connection, ended), erase_shard_openings(tx.connection, ended)
        for one in ended:
            facts[one]["destroyed"]["openings of audit leaves"] = openings.get(one, 0) + visits.get(one, 0)
        for one, lent in _revoked_leases(tx, {one: held[one].receipt.purpose for one in ended}).items():
            facts[one]["leases"] = lent
        open_entries(tx, {one: facts[one] for one in ended})
        tx.log_all("consent.ended", [{"reason": reason.value, "zone": held[one].receipt.purpose} for one in ended])
        if reason in _OF_TIME:
            expiry = {"reason": reason.value, "ended_at": format_time(tx.now)}
            enqueue(tx, MessageKind.CONSENT_EXPIRED, dict.fromkeys(ended, expiry))
        if successor is not None:
            successor.begin(tx)


def _revoked_leases(tx: Transaction, zones: Mapping[ReceiptId, Purpose]) -> dict[ReceiptId, dict[str, Any]]:
    """Revoke the leases of some zones; return by consent which doors may hold one, and the number of the newest."""
    newest, lent = newest_lease(tx.connection), dict[Purpose, dict[str, Any]]()
    for purpose in set(zones.values()):
        revoke_leases(tx, purpose)
        uncertain = uncertain_doors(tx.connection, purpose, tx.now)
        holders = with_uncertain(holdings(tx.connection, purpose, tx.now, newest), uncertain)
        lent[purpose] = {"newest": newest, "holders": [one.to_json() for one in holders]}
        if uncertain:
            lent[purpose]["uncertain"] = [one.to_json() for one in uncertain]
    return {one: lent[purpose] for one, purpose in zones.items()}


_WRAPPED: Final = "wrapped grant secret"


def _destroyed(installation: Installation, boxes: Sequence[tuple[str, bytes]], held: Held) -> dict[str, int]:
    always = {one.counted_as: 0 for one in PERSONAL if one.always_counted}
    secrets = sum(what == _WRAPPED for what, _box in boxes)
    galleries = installation.galleries.built().values()
    held_by_gallery = sum(one.reference_id in each.engine for one in held.references for each in galleries)
    return always | held.rows | {_WRAPPED: secrets, "gallery sketch": held_by_gallery}
