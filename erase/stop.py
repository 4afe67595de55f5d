"""Step 1 of an erasure, for many at once: in one transaction the consents end, and with them all matching."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import Connection

from volens.consent import EndReason, ReceiptId, format_time
from volens.erase.journal import Held, held_by, open_entries
from volens.erase.remains import Remains, gather, ranks
from volens.index import Galleries
from volens.store import Store
from volens.store.keys import nonce_of
from volens.store.log import forget_all
from volens.store.people.badges import kept_digests
from volens.store.people.consents import end_consents
from volens.store.people.second_factors import kept_of_factor
from volens.store.programs import MessageKind, tell
from volens.store.programs.idempotency_store import answers_about

STOP_TOGETHER: Final = 250
"""People whose consents end in one transaction: others who write wait for it, a second at most."""

SALT_BYTES: Final = 16
_OF_TIME: Final = frozenset({EndReason.EXPIRED, EndReason.RETENTION, EndReason.INACTIVE})


def stop(
    store: Store,
    galleries: Galleries,
    receipt_ids: Sequence[ReceiptId],
    reason: EndReason,
    remains: dict[ReceiptId, Remains],
) -> None:
    """End those of the consents that are in force.

    1. Before the write lock is taken: the secrets are opened, and the galleries brought level.
    2. In one transaction: what there is of each person is listed, copied to search for it later, and looked for with
       the old embedding; the consents end, and references and names go with them; what opens the audit leaves goes;
       the journal is opened; a leaf for each person tells that a consent ended; what ran out is told.

    Args:
        store: of the site.
        galleries: of this process.
        receipt_ids: at most some hundred, so that others who write wait a second at most.
        reason: why they end.
        remains: is filled, also where the commit fails, for then nobody knows whether it reached the disk.

    Raises:
        UnavailableError: the store refuses; nothing was changed, or at least that was the last that could be learnt.
    """
    # 1.
    with store.read() as connection:
        gatherer = gather(store, connection, galleries, held_by(connection, receipt_ids))
    # 2.
    with gatherer, store.write() as tx:
        wrapped = store.keyring.wrapped_all(receipt_ids)
        facts: dict[ReceiptId, dict[str, Any]] = {}
        held = held_by(tx.connection, receipt_ids)
        boxes_of = {
            one: [*_boxes(its, wrapped.get(one)), *_digests(tx.connection, one, its)] for one, its in held.items()
        }
        for one, its in held.items():
            gathered = gatherer.remains_of(one, boxes_of[one] + _guessable(tx.connection, one, its), its)
            if one in remains:  # of an attempt that failed
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
                "existed": [_existed(what, box, tx.random(SALT_BYTES)) for what, box in boxes],
                "destroyed": _destroyed(boxes, its, remains[one]),
                "search_before": remains[one].search_report(found),
            }
        ended = end_consents(tx, list(held), reason)
        openings = forget_all(tx.connection, ended)
        for one in ended:
            facts[one]["destroyed"]["openings of audit leaves"] = openings.get(one, 0)
        open_entries(tx, {one: facts[one] for one in ended})
        if reason in _OF_TIME:
            said = {"reason": reason.value, "ended_at": format_time(tx.now)}
            tell(tx, MessageKind.CONSENT_EXPIRED, dict.fromkeys(ended, said))
        tx.log_all("consent.ended", [{"reason": reason.value, "zone": held[one].receipt.purpose} for one in ended])


_KINDS: Final = ("sealed embedding", "sealed name", "wrapped grant secret")


def _boxes(held: Held, wrapped: bytes | None) -> list[tuple[str, bytes]]:
    """Return every sealed thing there is of a person, with what it is."""
    embedding, name, secret = _KINDS
    boxes = [(embedding, reference.sealed_embedding) for reference in held.references]
    boxes += [] if held.sealed_name is None else [(name, held.sealed_name)]
    return boxes + ([] if wrapped is None else [(secret, wrapped)])


def _digests(connection: Connection, receipt_id: ReceiptId, held: Held) -> list[tuple[str, bytes]]:
    """Return what is kept of the things that the person carries or may be told; random to everybody, as sealed is."""
    found: list[tuple[str, bytes]] = []
    if any(held.rows.get(table) for table in ("badge records", "commitments to personal secrets")):
        found += [(what, one) for what, kept in kept_digests(connection, receipt_id).items() for one in kept]
    if held.rows.get("kept answers"):
        found += [("kept answer", one) for one in answers_about(connection, receipt_id)]
    return found


def _guessable(connection: Connection, receipt_id: ReceiptId, held: Held) -> list[tuple[str, bytes]]:
    """Return what is searched for in memory only, and leaves no fingerprint in the certificate.

    Whoever has the site's keys could try badge numbers against it for as long as the certificate exists.
    """
    return list(kept_of_factor(connection, receipt_id).items()) if held.rows.get("second factors") else []


def _existed(what: str, box: bytes, salt: bytes) -> dict[str, str]:
    """Return the salted hash of a sealed thing, by which an old copy is recognised whole, and its nonce, to find it by.

    Never of anything plain: an embedding could be guessed from its hash by trying photos. A sealed box is random to
    everybody who has no key to it, and nobody has; its nonce is a random number about nothing (docs/adr/0007).
    """
    return {
        "what": what,
        "salt": salt.hex(),
        "salted_sha256": sha256(salt + box).hexdigest(),
        "fingerprint": nonce_of(box).hex(),
    }


def _destroyed(boxes: Sequence[tuple[str, bytes]], held: Held, remains: Remains) -> dict[str, int]:
    counts = {kind: sum(what == kind for what, _box in boxes) for kind in _KINDS}
    held_by_gallery = sum(one.reference_id in one.gallery.engine for one in remains.searches)
    return counts | {"gallery sketch": held_by_gallery} | dict(held.rows)
