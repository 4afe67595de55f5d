"""Step 5 of an erasure, for many at once: they are looked for by id, by search and byte by byte, and not found."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, final

from volens.consent import ErasureIncompleteError, ReceiptId, ReferenceId, VolensError, format_time
from volens.erase.journal import rows_left
from volens.erase.needles import Needles
from volens.erase.places import RESUME, Searched, search_places
from volens.erase.remains import Remains, ranks
from volens.index import Galleries
from volens.store import Store

_BY_ANOTHER: Final = "another process finished the erasure, and the old embedding opens no more"
_TOGETHER: Final = 500


@final
@dataclass(frozen=True, slots=True)
class Absence:
    """What the search came to.

    Attributes:
        findings: of those who are gone: what was searched, for the journal and the certificate.
        left: of the others: what is left of them, and where.
    """

    findings: Mapping[ReceiptId, Mapping[str, Any]]
    left: Mapping[ReceiptId, VolensError] = field(repr=False)


def verify_absence(
    store: Store,
    galleries: Galleries,
    home: Path,
    facts: Mapping[ReceiptId, Mapping[str, Any]],
    remains: Mapping[ReceiptId, Remains],
    cut_logs: Callable[[Store], None],
) -> Absence:
    """Look for people whose erasure has come to its end; one pass over the files for all of them.

    What is found is an error of the person it is of, and nobody else's.

    1. No row hangs on the consent, and the keyring has no secret of it.
    2. No gallery of this process holds or proposes a reference, not by the old embedding either.
    3. No needle is in any file of the home or in a gallery's memory. Where one is, both files are rewritten without
       free space, and all is searched once more.

    Args:
        store: of the site.
        galleries: of this process.
        home: every file below it is read.
        facts: from the journal.
        remains: of those whose consents this process ended.
        cut_logs: cuts both write-ahead logs.

    Raises:
        ErasureIncompleteError: a file cannot be read.
    """
    left: dict[ReceiptId, VolensError] = {}
    # 1.
    everybody = list(facts)
    for start in range(0, len(everybody), _TOGETHER):
        ids = everybody[start : start + _TOGETHER]
        with store.read() as connection:
            rows = rows_left(connection, ids)
        left |= {one: _left("the data file still has rows of the erased consent") for one in rows}
        kept = store.keyring.wrapped_all(ids)
        left |= {one: _left("the keyring still has the erased consent's secret") for one in kept}
    # 2.
    held = {one for gallery in galleries.built() for one in gallery.engine.held()}
    proposed = ranks(remains[one] for one in facts if one in remains)
    for one, its in facts.items():
        ids_of = {ReferenceId(reference_id) for reference_id in its["reference_ids"]}
        if ids_of & held or ids_of & proposed.keys():
            left[one] = _left("a gallery still proposes the erased person")
    # 3.
    needles = Needles.gathered(
        [*(its.needles for one, its in remains.items() if one in facts), *map(fingerprints, facts, facts.values())]
    )
    try:
        searched = search_places(needles, home, galleries)
        if searched.hits:
            store.vacuum()
            cut_logs(store)
            searched = search_places(needles, home, galleries)
        for hit in searched.hits:
            owner = ReceiptId(hit.owner)
            left.setdefault(owner, _left(f"found {hit.what} in {hit.where}; remove it", then="then "))
        return Absence(
            {one: _findings(store, one, needles, searched, remains.get(one)) for one in facts if one not in left}, left
        )
    finally:
        needles.wipe()


def fingerprints(receipt_id: ReceiptId, facts: Mapping[str, Any]) -> Needles:
    """Return the nonces of what existed: all that is left to search for once the keys are gone."""
    return Needles.of(
        ((f"fingerprint of {one['what']}", bytes.fromhex(one["fingerprint"])) for one in facts["existed"]), receipt_id
    )


def _findings(
    store: Store, receipt_id: ReceiptId, needles: Needles, searched: Searched, remains: Remains | None
) -> dict[str, Any]:
    counts = sorted(needles.counts(receipt_id).items())
    # Who was proposed is not here: that is an error.
    searches = [{"not_run": _BY_ANOTHER}] if remains is None else remains.search_report({})
    return {
        "searched": [{"what": what, "pieces": pieces, "found": 0} for what, pieces in counts],
        "files": list(searched.places),
        "search_after": searches,
        "erased_at": format_time(store.now()),
    }


def _left(what: str, then: str = "") -> ErasureIncompleteError:
    return ErasureIncompleteError(f"{what}, {then}run '{RESUME}'" if then else f"{what}; run '{RESUME}'")
