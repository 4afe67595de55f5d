"""What is kept of an ending consent, in memory only, from before its end to the proof: what to search for afterwards.

The search by the person's own old embedding runs twice with the same sketch: before the key dies it finds the person,
which shows that the search works; afterwards it must not. The sketch dies with the process, so whoever resumes an
erasure in another process can look by id and byte by byte, but not by search.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from sqlalchemy import Connection

from volens.consent import ModelId, Purpose, ReceiptId, ReferenceId, TamperError, UnitVector
from volens.erase.journal import Held
from volens.erase.needles import Needles
from volens.index import Galleries, Gallery, SketchArray
from volens.store import Store
from volens.store.keys import GrantSecret
from volens.store.people import SealedReference, count_references

_PROPOSED: Final = 32
"""How many nearest the search with an old embedding looks at; its own reference must be the first."""

BUILD_AT_MOST: Final = 2_000
"""References, for each person who leaves, of a gallery that is built only to be searched once: about 0.2 s of delay."""

_Key = tuple[Purpose, ModelId]


@final
@dataclass(frozen=True, slots=True, eq=False)
class OldSearch:
    """A search by one old embedding: what `ranks` needs to run it, before the end and after."""

    model_id: ModelId
    reference_id: ReferenceId
    gallery: Gallery = field(repr=False)
    sketch: SketchArray = field(repr=False)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Remains:
    """Of one consent: needles, and searches to run; `not_searched` says for which models there is none, and why."""

    needles: Needles
    searches: Sequence[OldSearch] = ()
    not_searched: Sequence[Mapping[str, str]] = ()

    def search_report(self, found: Mapping[ReferenceId, int]) -> list[dict[str, str | int | bool]]:
        """Return what the searches found, for the certificate; the rank is the place in the shortlist, from 1."""
        report: list[dict[str, str | int | bool]] = []
        for one in self.searches:
            report.append({"model": one.model_id, "found": one.reference_id in found})
            if one.reference_id in found:
                report[-1]["rank"] = found[one.reference_id]
        return report + [dict(one) for one in self.not_searched]

    def wipe(self) -> None:
        """Zero needles and sketches."""
        self.needles.wipe()
        for one in self.searches:
            one.sketch.fill(0)


def gather(store: Store, connection: Connection, galleries: Galleries, held: Mapping[ReceiptId, Held]) -> "Gatherer":
    """Open what is needed to gather remains: the secrets, and the galleries that the people are in.

    Damage keeps nobody in: a secret that does not open, or a gallery that cannot be built, is done without.

    Args:
        store: of the site.
        connection: a snapshot from before the end; not the transaction that stops, which would wait for galleries.
        galleries: of this process.
        held: the people.
    """
    secrets = _secrets(store, held)
    wanted = dict.fromkeys((one.receipt.purpose, one.model_id) for its in held.values() for one in its.references)
    built: dict[_Key, Gallery | str] = {}
    for purpose, model_id in wanted:
        of_both = (
            one
            for its in held.values()
            for one in its.references
            if (one.receipt.purpose, one.model_id) == (purpose, model_id)
        )
        dimension = next((d for one in of_both if (d := _dimension(one, secrets)) is not None), None)
        limit = BUILD_AT_MOST * len(held)
        built[purpose, model_id] = _gallery(connection, galleries, purpose, model_id, dimension, limit)
    return Gatherer(secrets, built)


@final
class Gatherer:
    """Secrets and galleries of some people, from which the remains of each are made. Use as a context manager."""

    def __init__(self, secrets: Mapping[ReceiptId, GrantSecret], built: Mapping[_Key, Gallery | str]) -> None:
        """Hold what `gather` opened."""
        self._secrets = secrets
        self._built = built

    def __enter__(self) -> "Gatherer":
        return self

    def __exit__(self, *_: object) -> None:
        for secret in self._secrets.values():
            secret.wipe()

    def remains_of(self, receipt_id: ReceiptId, boxes: Iterable[tuple[str, bytes]], held: Held) -> Remains:
        """Return the needles of one person, sealed and plain, and the searches by their old embedding."""
        values: list[tuple[str, bytes | bytearray | memoryview]] = list(boxes)
        searches: list[OldSearch] = []
        not_searched: list[dict[str, str]] = []
        vectors: list[UnitVector] = []
        secret = self._secrets.get(receipt_id)
        if secret is not None:
            values.append(("grant secret", secret.buffer))
        for reference in held.references:
            its = {"model": reference.model_id}
            vector = None if secret is None else _opened(reference, secret)
            gallery = self._built.get((reference.receipt.purpose, reference.model_id), "it was enrolled just now")
            if vector is None:
                # What cannot be opened cannot lie about in the open; the sealed bytes are searched for all the same.
                not_searched.append(its | {"not_run": "the sealed embedding does not open"})
                continue
            vectors.append(vector)
            values.append(("plain embedding", vector.array.data.cast("B")))
            if isinstance(gallery, str) or gallery.projection.dimension != vector.dimension:
                not_searched.append(its | {"not_run": str(gallery) if isinstance(gallery, str) else "another model"})
                continue
            sketch = gallery.projection.sketch(vector.array)
            values.append(("gallery sketch", sketch.data.cast("B")))
            searches.append(OldSearch(reference.model_id, reference.reference_id, gallery, sketch))
        remains = Remains(Needles.of(values, owner=receipt_id), searches, not_searched)
        for vector in vectors:
            vector.wipe()
        return remains


def ranks(remains: Iterable[Remains]) -> dict[ReferenceId, int]:
    """Run the searches, each gallery's at once; return the place of each own reference that is proposed."""
    of_gallery: dict[int, list[OldSearch]] = {}
    for search in (search for one in remains for search in one.searches):
        of_gallery.setdefault(id(search.gallery), []).append(search)
    found: dict[ReferenceId, int] = {}
    for searches in of_gallery.values():
        sketches = np.stack([one.sketch for one in searches])
        shortlists = searches[0].gallery.engine.shortlists(sketches, _PROPOSED)
        sketches.fill(0)
        for search, shortlist in zip(searches, shortlists, strict=True):
            proposed = shortlist.ids.tolist()
            shortlist.wipe()
            if search.reference_id in proposed:
                found[search.reference_id] = proposed.index(search.reference_id) + 1
    return found


def _secrets(store: Store, held: Mapping[ReceiptId, Held]) -> dict[ReceiptId, GrantSecret]:
    try:
        return dict(store.keyring.grant_secrets(held))
    except TamperError:
        found: dict[ReceiptId, GrantSecret] = {}
        for one in held:  # one by one, so that only what is broken is missing
            try:
                found.update(store.keyring.grant_secrets([one]))
            except TamperError:
                continue
        return found


def _opened(reference: SealedReference, secret: GrantSecret) -> UnitVector | None:
    try:
        return reference.open(secret)
    except TamperError:
        return None


def _dimension(reference: SealedReference, secrets: Mapping[ReceiptId, GrantSecret]) -> int | None:
    secret = secrets.get(reference.receipt.receipt_id)
    vector = None if secret is None else _opened(reference, secret)
    if vector is None:
        return None
    dimension = vector.dimension
    vector.wipe()
    return dimension


def _gallery(
    connection: Connection, galleries: Galleries, purpose: Purpose, model_id: ModelId, dimension: int | None, limit: int
) -> Gallery | str:
    if dimension is None:
        return "the sealed embedding does not open"
    size = count_references(connection, purpose).get(model_id, 0)
    if model_id not in galleries.of_zone(purpose) and size > limit:
        return "no gallery was in memory, and to build one would have delayed the end"
    try:
        return galleries.of(connection, purpose, model_id, dimension)
    except TamperError:
        return "the gallery could not be built: a seal of somebody else's does not hold"
