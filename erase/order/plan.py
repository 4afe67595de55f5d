"""The plan of an erasure by order: the selection, the number of people now, the date of expiry. Signed by the site.

It names no person. The people are in it as a salted hash over the SHA-256 of their receipts: a reader can check later
that exactly the planned people were erased, and cannot find out from the plan who they are.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, final

from sqlalchemy import Connection

from volens.audit import VerifierKey, origin_of, refuse_other_origin
from volens.consent import InputError, SignedDocument, TamperError, format_time, parse_time
from volens.erase.order.order_rows import receipts_with_open_requests
from volens.erase.order.selection import SelectedConsent, Selection, count_consents, members_sha256, select_live
from volens.store import Store
from volens.store.promises import operators_required, zone_of

GOOD_FOR: Final = timedelta(days=7)
SALT_BYTES: Final = 32


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that the site has signed.

    Attributes:
        token: as signed.
        counts: of a dry run: the cohort, everyone else, damaged receipts, open requests.
        members: salted hash over the receipts of the cohort, in hexadecimal.
        good_until: the plan cannot begin later; once begun, it is finished.
    """

    token: str
    cohort_id: str
    site_id: str
    controller: str
    selection: Selection
    counts: Mapping[str, Any]
    required: int
    salt: bytes = field(repr=False)
    members: str
    made_at: datetime
    good_until: datetime


def _read(document: dict[str, Any], token: str) -> Plan:
    return Plan(
        token,
        str(document["cohort_id"]),
        str(document["site_id"]),
        str(document["controller"]),
        Selection.of(document["selection"]),
        document["counts"],
        int(document["operators_required"]),
        bytes.fromhex(document["salt"]),
        str(document["members_sha256"]),
        parse_time(document["made_at"]),
        parse_time(document["good_until"]),
    )


PLAN: Final = SignedDocument(
    typ="volens-cohort-plan+jws",
    name="a plan",
    advice="use the file as 'volens erase' wrote it, or make a new plan",
    read=_read,
    max_bytes=128 * 1024,
    member="plan",
    list_member="approvals",
    list_required=True,
)


def make_plan(store: Store, selection: Selection) -> Plan:
    """Do a dry run: count, sign, and log the plan. No data is erased.

    Raises:
        UnknownError: there is no such zone. Without this error an order for a misspelt zone would erase no data, and
            prove it.
        UnavailableError: the store refuses.

    Cost: the signature of every receipt in force is checked, about 0.5 ms each.
    """
    made_at = store.now()  # before the selection, so that a person who leaves meanwhile counts as having left since
    with store.read() as connection:
        selected = _select(connection, selection)
    with store.write() as tx:
        inside = [one for one in selected if one.inside]
        salt, cohort_id = tx.random(SALT_BYTES), tx.random(16).hex()
        document: dict[str, Any] = {
            "version": PLAN.version,
            "cohort_id": cohort_id,
            "site_id": store.site.controller.site_id,
            "controller": store.site.controller.name,
            "selection": selection.document(),
            "counts": _counts(tx.connection, selected),
            "operators_required": operators_required(tx.connection),
            "salt": salt.hex(),
            "members_sha256": members_sha256(salt, (one.receipt.sha256 for one in inside)),
            "made_at": format_time(made_at),
            "good_until": format_time(made_at + GOOD_FOR),
        }
        token = PLAN.sign(store.keyring, document)
        tx.log("cohort.planned", {"cohort_id": cohort_id, "consents": len(inside)})
    return read_plan(token, store.verifier_key)


def count_selected(store: Store, selection: Selection) -> dict[str, Any]:
    """Return the counts that a plan would have. Nothing is signed or logged; errors and cost as `make_plan`."""
    with store.read() as connection:
        return _counts(connection, _select(connection, selection))


def _select(connection: Connection, selection: Selection) -> list[SelectedConsent]:
    if selection.zone is not None:
        zone_of(connection, selection.zone)
    return select_live(connection, selection)


def _counts(connection: Connection, selected: Sequence[SelectedConsent]) -> dict[str, Any]:
    inside = [one.receipt_id for one in selected if one.inside]
    return census(selected) | {"open_requests": len(receipts_with_open_requests(connection, inside))}


def census(selected: Sequence[SelectedConsent]) -> dict[str, Any]:
    """Return the counts of the cohort and of everyone else; a person with consents in both counts in both."""
    return {
        "cohort": count_consents([one for one in selected if one.inside]),
        "outside": count_consents([one for one in selected if not one.inside]),
        "damaged_receipts": sum(one.damaged for one in selected if one.inside),
    }


def read_plan(token: str, key: VerifierKey) -> Plan:
    """Return a plan that the site has signed.

    Raises:
        InputError: the token is not a plan.
        WrongKeyError: the plan says that it is of another site.
        TamperError: it is not signed by this site, or has another form than this version writes.
    """
    try:
        return PLAN.verify(token, *key.public_keys)
    except TamperError:
        with suppress(InputError):
            refuse_other_origin("this plan", origin_of(PLAN.peek(token).site_id), key)
        raise
