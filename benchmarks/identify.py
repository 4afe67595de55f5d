"""One identification, whole, beside its parts and its peers.

Contestants: exact FAISS search without any gate (the baseline), FAISS HNSW, the sketch scan alone, and Volens whole:
consent query, unsealing, exact score and the winner's signature included.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np

from consent import (
    ConsentedEmbedding,
    FloatArray,
    ModelId,
    ProbeEmbedding,
    SubjectKey,
    UnitVector,
    permit_probe,
)
from index import identify
from store import Store, add_reference, admit_receipt
from volens import Site

RESULTS: Final = Path(__file__).parent / "results" / "identify.json"
THRESHOLD: Final = 0.4
PROBES: Final = 400
SEED: Final = 20261123

Search = Callable[[FloatArray], tuple[int | None, float]]


@dataclass
class Contestant:
    """Something that says who a probe is: the row of the person, or None, and the score."""

    name: str
    gated: bool
    search: Search


def people(count: int, dimension: int, rng: np.random.Generator) -> FloatArray:
    """Return unit vectors in random directions, float32 (count, dimension)."""
    faces = rng.standard_normal((count, dimension)).astype(np.float32)
    return faces / np.linalg.norm(faces, axis=1, keepdims=True)


def probes(faces: FloatArray, rng: np.random.Generator) -> Iterator[tuple[int | None, FloatArray]]:
    """Yield genuine probes (score 0.6, sd 0.1) and strangers in turn, with the row of the person."""
    for _ in range(PROBES // 2):
        row = int(rng.integers(len(faces)))
        score = float(np.clip(rng.normal(0.6, 0.1), 0.0, 0.99))
        away = people(1, faces.shape[1], rng)[0]
        away -= (away @ faces[row]) * faces[row]
        away /= np.linalg.norm(away)
        yield row, (score * faces[row] + np.sqrt(1 - score**2) * away).astype(np.float32)
        yield None, people(1, faces.shape[1], rng)[0]


def ungated(name: str, index: Any, faces: FloatArray) -> Contestant:  # noqa: ANN401  FAISS ships no types
    """Return a FAISS index of plain embeddings as a contestant."""
    index.add(faces)

    def search(face: FloatArray) -> tuple[int | None, float]:
        scores, rows = index.search(face[None], 1)
        score = float(scores[0, 0])
        return (int(rows[0, 0]), score) if score >= THRESHOLD else (None, score)

    return Contestant(name, gated=False, search=search)


def hnsw(faces: FloatArray) -> Contestant:
    """Return FAISS HNSW, tuned as in DESIGN.md 6."""
    index = faiss.IndexHNSWFlat(faces.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = 200
    index.hnsw.efSearch = 512
    return ungated("faiss-hnsw", index, faces)


def volens(home: Path, faces: FloatArray) -> tuple[Contestant, Contestant]:
    """Enroll everybody in a real store; return Volens whole, and its sketch scan alone."""
    site = Site.create(home, name="benchmark", contact="nobody")
    zone = site.add_zone("door", custody="operator", justification="measured", alternative="none", retention_days=30)
    notice = site.publish_notice("door", language="en", text=b"benchmark")
    store, galleries = site._store, site._galleries  # noqa: SLF001  the parts are what is measured
    model, permit = ModelId("benchmark@00000000"), permit_probe(zone)
    rows = {enroll(site, store, notice, face, model): row for row, face in progress(faces)}
    with store.read() as connection:
        gallery = galleries.of(connection, zone.purpose, model, faces.shape[1])

    def whole(face: FloatArray) -> tuple[int | None, float]:
        probe = ProbeEmbedding(permit, UnitVector.normalised(face), model)
        match = identify(store, galleries, probe, THRESHOLD, store.now()).match
        return (None, 0.0) if match is None else (rows[match.reference_id], match.comparison_score)

    def scan(face: FloatArray) -> tuple[int | None, float]:
        nearest = gallery.propose(face, 1)
        return rows[int(nearest.ids[0])], 0.0

    return Contestant("volens", gated=True, search=whole), Contestant("sketch-scan", gated=False, search=scan)


def enroll(site: Site, store: Store, notice: Any, face: FloatArray, model: ModelId) -> int:  # noqa: ANN401
    """Give consent and store a face as enrollment does after the photos."""
    key = SubjectKey.from_seed(os.urandom(32))
    receipt = site.give_consent(notice, name="nobody", jurisdiction="FR", key=key).receipt
    with store.read() as connection:
        grant = admit_receipt(store, connection, receipt)
    embedding = ConsentedEmbedding(grant, UnitVector.normalised(face), model)
    with store.keyring.grant_secret(grant.receipt_id) as secret, store.write() as tx:
        return add_reference(tx, embedding, secret, licence="none", photo_count=3)


def progress(faces: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Count on standard error while people enroll."""
    for row, face in enumerate(faces):
        if row % 100 == 0:
            print(f"\renrolling {row} of {len(faces)}", end="", file=sys.stderr, flush=True)
        yield row, face
    print(file=sys.stderr)


def observe(contestant: Contestant, faces: FloatArray) -> list[dict[str, Any]]:
    """Ask a contestant every probe once, after a short warm-up."""
    for _row, probe in list(probes(faces, np.random.default_rng(1)))[:20]:
        contestant.search(probe)
    seen = []
    for row, probe in probes(faces, np.random.default_rng(SEED)):
        start = time.perf_counter_ns()
        found, score = contestant.search(probe)
        seen.append({"truth": row, "found": found, "score": round(score, 5), "ns": time.perf_counter_ns() - start})
    return seen


def run(size: int, dimension: int) -> None:
    """Measure every contestant and write down what was seen."""
    faiss.omp_set_num_threads(1)
    faces = people(size, dimension, np.random.default_rng(SEED))
    with tempfile.TemporaryDirectory() as folder:
        contestants = [
            ungated("faiss-flat", faiss.IndexFlatIP(dimension), faces),
            hnsw(faces),
            *volens(Path(folder) / "home", faces),
        ]
        observations = {one.name: {"gated": one.gated, "queries": observe(one, faces)} for one in contestants}
    document = {
        "machine": {"processor": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()},
        "versions": {name: version(name) for name in ("faiss-cpu", "numpy", "sqlalchemy", "cryptography", "volens")},
        "threads": 1,
        "size": size,
        "dimension": dimension,
        "threshold": THRESHOLD,
        "contestants": observations,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(document) + "\n")


def table() -> None:
    """Derive the figures from the raw observations."""
    document = json.loads(RESULTS.read_text())
    baseline = [query["found"] for query in document["contestants"]["faiss-flat"]["queries"]]
    flat_ms = 0.0
    print(f"{document['size']} references, {document['dimension']} dimensions, one thread\n")
    print("| contestant | consent checked | p50 ms | p99 ms | times exact | agrees with exact |")
    print("|---|---|---|---|---|---|")
    for name, entry in document["contestants"].items():
        times = np.array([query["ns"] for query in entry["queries"]]) / 1e6
        p50, p99 = np.percentile(times, [50, 99])
        flat_ms = flat_ms or float(p50)
        # The scan alone has no threshold, so it is compared where there is somebody to find.
        found = [query["found"] for query in entry["queries"]]
        pairs = [(f, exact) for f, exact in zip(found, baseline, strict=True) if exact is not None or entry["gated"]]
        agreement = float(np.mean([mine == exact for mine, exact in pairs]))
        gated = "yes" if entry["gated"] else "no"
        print(f"| {name} | {gated} | {p50:.3f} | {p99:.3f} | {flat_ms / p50:.1f} | {agreement:.3f} |")


def main() -> None:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=2000, help="people enrolled; each takes about 12 ms")
    parser.add_argument("--dimension", type=int, default=128)
    parser.add_argument("--table", action="store_true", help="only derive the table from the last run")
    arguments = parser.parse_args()
    if not arguments.table:
        run(arguments.size, arguments.dimension)
    table()


if __name__ == "__main__":
    main()
