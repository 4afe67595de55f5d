"""Step 1 of an erasure, for many people at once: one transaction ends the consents, and with them all matching."""

from collections.abc import Sequence
from typing import Any, Final

from volens.consent import EndReason, ReceiptId, format_time
from volens.erase.box_search import BoxHash
from volens.erase.journal import Held, held_by, open_entries
from volens.erase.remains import Remains, gather, ranks
from volens.index import Installation
from volens.store.keys import nonce_of
from volens.store.log import erase_openings
from volens.store.people.consents import end_consents
from volens.store.programs import MessageKind, enqueue
from volens.store.schema.personal_tables import PERSONAL

STOP_TOGETHER: Final = 250
"""How many consents end in one transaction. Other writers wait for it, one second at most."""

SALT_BYTES: Final = 16
_OF_TIME: Final = frozenset({EndReason.EXPIRED, EndReason.RETENTION, EndReason.INACTIVE})


def stop(
    installation: Installation, receipt_ids: Sequence[ReceiptId], reason: EndReason, remains: dict[ReceiptId, Remains]
) -> None:
    """End those of the consents that are in force.

    1. Before the write lock is taken: the grant secrets are opened, and the galleries are brought up to date.
    2. In one transaction: the data of each person is listed, copied for the later search, and searched for with the
       old embedding. The consents end, and references and names are deleted with them. The openings of the audit leaves
       are deleted, the journal is opened, and one leaf for each person logs that a consent ended. Expiries are
       enqueued as webhooks.

    `receipt_ids` are at most some hundred, so that other writers wait one second at most. `remains` receives what to
    search for; also if the commit fails, which may have reached the disk all the same.

    Raises:
        UnavailableError: the store cannot be written. Nothing was changed, as far as can be known.
    """
    store = installation.store
    # 1.
    with store.read() as connection:
        gatherer = gather(installation, connection, held_by(connection, receipt_ids))
    # 2.
    with gatherer, store.write() as tx:
        wrapped = store.keyring.wrapped_secrets(receipt_ids)
        facts: dict[ReceiptId, dict[str, Any]] = {}
        held = held_by(tx.connection, receipt_ids)
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
                "destroyed": _destroyed(boxes, its, remains[one]),
                "search_before": remains[one].search_report(found),
            }
        ended = end_consents(tx, list(held), reason)
        openings = erase_openings(tx.connection, ended)
        for one in ended:
            facts[one]["destroyed"]["openings of audit leaves"] = openings.get(one, 0)
        open_entries(tx, {one: facts[one] for one in ended})
        tx.log_all("consent.ended", [{"reason": reason.value, "zone": held[one].receipt.purpose} for one in ended])
        if reason in _OF_TIME:
            expiry = {"reason": reason.value, "ended_at": format_time(tx.now)}
            enqueue(tx, MessageKind.CONSENT_EXPIRED, dict.fromkeys(ended, expiry))


_WRAPPED: Final = "wrapped grant secret"


def _destroyed(boxes: Sequence[tuple[str, bytes]], held: Held, remains: Remains) -> dict[str, int]:
    always = {one.counted_as: 0 for one in PERSONAL if one.always_counted}
    secrets = sum(what == _WRAPPED for what, _box in boxes)
    held_by_gallery = sum(one.reference_id in one.gallery.engine for one in remains.searches)
    return always | held.rows | {_WRAPPED: secrets, "gallery sketch": held_by_gallery}
