"""Verification of an erasure (step 5): a search by id, by the old embedding and byte by byte must find nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, final

from volens.consent import ErasureIncompleteError, ReceiptId, ReferenceId, VolensError, format_time
from volens.erase.journal import rows_left
from volens.erase.needles import Needles
from volens.erase.places import RESUME, Searched, scrub, search_places
from volens.erase.remains import Remains, ranks
from volens.index import Installation
from volens.store import Store
from volens.store.batches import batches

_BY_ANOTHER: Final = "another process finished the erasure, and the old embedding opens no more"


@final
@dataclass(frozen=True, slots=True)
class Absence:
    """The result of the verification.

    Attributes:
        findings: for each consent of which nothing is left: what was searched, for the journal and the certificate.
        left: for each of the others: what is left of it, and where.
    """

    findings: Mapping[ReceiptId, Mapping[str, Any]]
    left: Mapping[ReceiptId, VolensError] = field(repr=False)


def verify_absence(
    installation: Installation, facts: Mapping[ReceiptId, Mapping[str, Any]], remains: Mapping[ReceiptId, Remains]
) -> Absence:
    """Verify that nothing is left of erased people; one pass over all places for all of them.

    What is found is an error of the consent that it belongs to, not of the others.

    1. No row refers to the consent, and the keyring has no secret of it.
    2. No gallery of this process holds or proposes a reference, also not when it is searched by the old embedding.
    3. No needle is in a file of the home, in another place of a database, or in the memory of a gallery. If one is,
       both databases are rewritten without free space, and everything is searched once more.

    Every file below the home is read. `facts` are from the journal; `remains` are of the consents that this process
    ended.

    Raises:
        ErasureIncompleteError: a place cannot be read, or another process reads a database.
    """
    store = installation.store
    left: dict[ReceiptId, VolensError] = {}
    # 1.
    for ids in batches(list(facts)):
        with store.read() as connection:
            rows = rows_left(connection, ids)
        left |= {one: _left("the data still has rows of the erased consent") for one in rows}
        kept = store.keyring.wrapped_secrets(ids)
        left |= {one: _left("the keyring still has the erased consent's secret") for one in kept}
    # 2.
    held = {one for gallery in installation.galleries.built().values() for one in gallery.engine.held()}
    proposed = ranks(remains[one] for one in facts if one in remains)
    for one, its in facts.items():
        ids_of = {ReferenceId(reference_id) for reference_id in its["reference_ids"]}
        if ids_of & held or ids_of & proposed.keys():
            left[one] = _left("a gallery still proposes the erased person")
    # 3.
    needles = Needles.gathered(
        [*(its.needles for one, its in remains.items() if one in facts), *map(beginnings, facts, facts.values())]
    )
    try:
        searched = search_places(needles, installation)
        if searched.hits:
            store.compact()
            scrub(store)
            searched = search_places(needles, installation)
        for hit in searched.hits:
            owner = ReceiptId(hit.owner)
            left.setdefault(owner, _left(f"found {hit.what} in {hit.where}; remove it", then="then "))
        return Absence(
            {one: _findings(store, one, needles, searched, remains.get(one)) for one in facts if one not in left}, left
        )
    finally:
        needles.wipe()


def beginnings(receipt_id: ReceiptId, facts: Mapping[str, Any]) -> Needles:
    """Return the nonces of the sealed values that existed: what the journal keeps for another process to search for.

    They are deleted with the rest of the facts when the certificate is signed; the certificate has only hashes.
    """
    found = ((f"beginning of {one['what']}", bytes.fromhex(one["nonce"])) for one in facts["beginnings"])
    return Needles.of(found, receipt_id)


def _findings(
    store: Store, receipt_id: ReceiptId, needles: Needles, searched: Searched, remains: Remains | None
) -> dict[str, Any]:
    counts = sorted(needles.counts(receipt_id).items())
    # A person who was still proposed is not here: that is an error.
    searches = [{"not_run": _BY_ANOTHER}] if remains is None else remains.search_report({})
    return {
        "searched": [{"what": what, "pieces": pieces, "found": 0} for what, pieces in counts],
        "files": list(searched.places),
        "search_after": searches,
        "erased_at": format_time(store.now()),
    }


def _left(what: str, then: str = "") -> ErasureIncompleteError:
    return ErasureIncompleteError(f"{what}, {then}run '{RESUME}'" if then else f"{what}; run '{RESUME}'")
