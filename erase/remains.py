"""Search terms of an erasure, held in memory from before the end of the consent until the proof.

The search by the person's own old embedding runs twice with the same sketch: before the key is destroyed it finds the
person, which shows that the search works; afterwards it must not. The sketch is lost with the process, so a process
that resumes an erasure searches by id and byte by byte, but not by embedding.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, final

import numpy as np
from sqlalchemy import Connection

from volens.consent import ModelId, Purpose, ReceiptId, ReferenceId, TamperError, UnitVector
from volens.erase.journal import Held
from volens.erase.needles import Needles
from volens.index import Galleries, Gallery, Installation, SketchArray
from volens.store import Store
from volens.store.keys import GrantSecret
from volens.store.people import SealedReference, count_references

_PROPOSED: Final = 32
"""How many nearest references a search by an old embedding returns; the person's own is expected to be the first."""

BUILD_AT_MOST: Final = 2_000
"""The most references, per erased person, of a gallery that is built only for this search: about 0.2 s of delay."""

_Key = tuple[Purpose, ModelId]


@final
@dataclass(frozen=True, slots=True, eq=False)
class OldSearch:
    """One search by an old embedding, which `ranks` runs before the end of the consent and after it."""

    model_id: ModelId
    reference_id: ReferenceId
    gallery: Gallery = field(repr=False)
    sketch: SketchArray = field(repr=False)


@final
@dataclass(frozen=True, slots=True, eq=False)
class Remains:
    """Search terms of one consent: needles and searches; `not_searched` says which models have no search, and why."""

    needles: Needles
    searches: Sequence[OldSearch] = ()
    not_searched: Sequence[Mapping[str, str]] = ()

    def search_report(self, found: Mapping[ReferenceId, int]) -> list[dict[str, str | int | bool]]:
        """Return the results of the searches for the certificate; the rank is the place in the shortlist, from 1."""
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


def gather(
    installation: Installation, connection: Connection, held: Mapping[ReceiptId, Held], *, no_search: str = ""
) -> "Gatherer":
    """Open the grant secrets, and build the galleries, from which the search terms of some people are made.

    Damage does not stop an erasure: a secret that does not open, and a gallery that cannot be built, is left out.
    `no_search` is why no gallery is searched by the old embeddings; empty if they are.

    `connection` is a snapshot from before the end of the consents: the write transaction must not wait for galleries.
    """
    secrets = _secrets(installation.store, held)
    references = [one for its in held.values() for one in its.references]
    wanted = dict.fromkeys((one.receipt.purpose, one.model_id) for one in references)
    built: dict[_Key, Gallery | str] = {}
    for purpose, model_id in wanted:
        if no_search:
            built[purpose, model_id] = no_search
            continue
        of_both = [one for one in references if (one.receipt.purpose, one.model_id) == (purpose, model_id)]
        dimension = next((d for one in of_both if (d := _dimension(one, secrets)) is not None), None)
        limit = BUILD_AT_MOST * len(held)
        built[purpose, model_id] = _gallery(connection, installation.galleries, purpose, model_id, dimension, limit)
    return Gatherer(secrets, built)


@final
class Gatherer:
    """Grant secrets and galleries of some people, from which the search terms of each are made. A context manager."""

    def __init__(self, secrets: Mapping[ReceiptId, GrantSecret], built: Mapping[_Key, Gallery | str]) -> None:
        self._secrets = secrets
        self._built = built

    def __enter__(self) -> "Gatherer":
        return self

    def __exit__(self, *_: object) -> None:
        for secret in self._secrets.values():
            secret.wipe()

    def remains_of(self, receipt_id: ReceiptId, boxes: Iterable[tuple[str, bytes]], held: Held) -> Remains:
        """Return the search terms of one person: sealed and plain values, and searches by the old embedding."""
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
                # An embedding that does not open was never in the open; its sealed bytes are searched for nevertheless.
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
    """Run the searches of each gallery together; return the rank of each person's own reference that was proposed."""
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
            shortlist.sketches.fill(0)
            if search.reference_id in proposed:
                found[search.reference_id] = proposed.index(search.reference_id) + 1
    return found


def _secrets(store: Store, held: Mapping[ReceiptId, Held]) -> dict[ReceiptId, GrantSecret]:
    try:
        return dict(store.keyring.grant_secrets(held))
    except TamperError:
        found: dict[ReceiptId, GrantSecret] = {}
        for one in held:  # one by one, so that only damaged secrets are left out
            with suppress(TamperError):
                found.update(store.keyring.grant_secrets([one]))
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
    is_built = (purpose, model_id) in galleries.built()
    if not is_built and count_references(connection, purpose).get(model_id, 0) > limit:
        return "no gallery was in memory, and building one would have delayed the end of the consent"
    try:
        return galleries.of(connection, purpose, model_id, dimension)
    except TamperError:
        return "the gallery could not be built: the sealed embedding of another person does not open"
