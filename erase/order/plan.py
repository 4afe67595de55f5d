"""The plan of an erasure by order: whom it means, how many there are now, until when it is good. Signed by the site.

It names nobody. Who is meant stands in it as a salted hash over the SHA-256 of their receipts, so that others can see
later that the same people were erased who were planned, and nobody can read out of it who they are.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, final

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from volens.audit import VerifierKey
from volens.consent import InputError, TamperError, format_time, parse_time
from volens.consent import jws as consent_jws
from volens.erase.order.order_rows import receipts_with_open_requests
from volens.erase.order.selection import Selected, Selection, counted, members_sha256, select_live
from volens.store import Store
from volens.store.promises import operators_required, zone_of

PLAN_TYPE: Final = "volens-cohort-plan+jws"
GOOD_FOR: Final = timedelta(days=7)
SALT_BYTES: Final = 32
MAX_FILE_BYTES: Final = 128 * 1024
_VERSION: Final = 1


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """A plan that the site has signed.

    Attributes:
        token: as signed.
        cohort_id: 16 random bytes in hexadecimal.
        counts: what a dry run found: the cohort, those outside of it, damaged receipts, open requests.
        members: salted hash over the receipts of those meant, in hexadecimal.
        good_until: afterwards it is not begun any more; begun, it is finished.
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


def make_plan(store: Store, selection: Selection) -> Plan:
    """Do a dry run: count, sign, and note in the audit log that it was planned. Nobody is erased.

    Raises:
        UnknownError: there is no such zone. An order for a misspelt one would erase nobody, and prove it.
        UnavailableError: the store refuses.

    Cost: the signature of every receipt in force is checked, about 0.5 ms each.
    """
    made_at = store.now()  # before anybody is looked at, so that who leaves meanwhile has left since
    with store.read() as connection:
        if selection.zone is not None:
            zone_of(connection, selection.zone)
        everybody = select_live(connection, selection)
    with store.write() as tx:
        inside = [one for one in everybody if one.inside]
        salt, cohort_id = tx.random(SALT_BYTES), tx.random(16).hex()
        document: dict[str, Any] = {
            "version": _VERSION,
            "cohort_id": cohort_id,
            "site_id": store.site.controller.site_id,
            "controller": store.site.controller.name,
            "selection": selection.document(),
            "counts": census(everybody)
            | {"open_requests": len(receipts_with_open_requests(tx.connection, [one.receipt_id for one in inside]))},
            "operators_required": operators_required(tx.connection),
            "salt": salt.hex(),
            "members_sha256": members_sha256(salt, (one.receipt.sha256 for one in inside)),
            "made_at": format_time(made_at),
            "good_until": format_time(made_at + GOOD_FOR),
        }
        token = store.keyring.sign(rfc8785.dumps(document), PLAN_TYPE)
        tx.log("cohort.planned", {"cohort_id": cohort_id, "consents": len(inside)})
    return read_plan(token, store.verifier_key)


def census(everybody: Sequence[Selected]) -> dict[str, Any]:
    """Return how many are meant and how many stay. Who has a consent in and one outside is counted in both."""
    return {
        "cohort": counted([one for one in everybody if one.inside]),
        "outside": counted([one for one in everybody if not one.inside]),
        "damaged_receipts": sum(one.damaged for one in everybody if one.inside),
    }


def plan_file(token: str, approvals: Sequence[str]) -> bytes:
    """Return the content of a plan's file, with the approval of whoever made it."""
    return json.dumps({"plan": token, "approvals": list(approvals)}).encode("ascii") + b"\n"


def read_plan_file(data: bytes) -> tuple[str, list[str]]:
    """Return the plan and the approvals in a file; nothing is checked yet.

    Raises:
        InputError: it is no plan's file.
    """
    problem = "got a file that is no plan; use it as 'volens erase' wrote it"
    if len(data) > MAX_FILE_BYTES:
        raise InputError(problem)
    try:
        document = json.loads(data)
        token, approvals = document["plan"], document["approvals"]
        texts = isinstance(token, str) and isinstance(approvals, list) and all(isinstance(a, str) for a in approvals)
        if not texts or plan_file(token, approvals) != data:
            raise InputError(problem)
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(problem) from None
    return token, approvals


def read_plan(token: str, key: VerifierKey) -> Plan:
    """Return a plan that the site has signed.

    Raises:
        InputError: this is no plan.
        TamperError: it is not signed by this site, or has another form than this version writes.
    """
    payload = consent_jws.verify(token, PLAN_TYPE, Ed25519PublicKey.from_public_bytes(key.public_key))
    try:
        document = json.loads(payload)
        plan = Plan(
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
        known = document["version"] == _VERSION
    except (KeyError, TypeError, ValueError, InputError):
        known = False
    if not known:
        raise TamperError("integrity: the plan is signed but has not the form of one; make it again")
    return plan
