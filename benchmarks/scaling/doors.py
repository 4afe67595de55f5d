"""Measurement of a real store: the time that the gate adds to a scan, and the bytes of a reference on disk."""

import os
import sqlite3
import tempfile
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.enrolling import enroll_face
from volens import Site
from volens.consent import ConsentedEmbedding, ModelId, Notice, ProbeEmbedding, SubjectKey, UnitVector, permit_probe
from volens.consent.embedding import FloatArray
from volens.index import SCAN_DEVIATIONS, distance_bound, identify
from volens.service.sample_notice import publish_sample_notice

THRESHOLD: Final = 0.4
MODEL: Final = ModelId("benchmark@00000000")


def doors(people: int, dimension: int, probes: int, seed: int) -> dict[str, Any]:
    """Fill a store with made-up faces; return its bytes on disk, and nanoseconds of whole identifications and scans.

    Args:
        people: enrolled, each with one reference.
        dimension: of an embedding.
        probes: genuine ones (score 0.6, standard deviation 0.1), and as many strangers.
        seed: of the faces.
    """
    rng = np.random.default_rng([seed, dimension])
    faces = [_face(dimension, rng) for _ in range(people)]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        site = Site.create(home, name="benchmark", contact="tester")
        zone = site.add_zone(
            "door", custody="operator", justification="measured", alternative="none", retention_days=30
        )
        site.declarations.declare_zone("door", {"works_agreement": "2024-01-15", "dpia": "2024-01-15"})
        notice = publish_sample_notice(site, "door", more="benchmark")
        # The space that the first reference allocates (tables, a first page of each) is not counted for the others.
        _enroll(site, notice, _face(dimension, rng))
        site.close()
        empty, tables_empty = on_disk(home), in_tables(home)
        site = Site.open(home)
        for face in faces:
            _enroll(site, notice, face)
        store, galleries = site.installation.store, site.installation.galleries
        with store.read() as connection:
            gallery = galleries.of(connection, zone.purpose, MODEL, dimension)
        within = int(distance_bound(THRESHOLD, gallery.projection.bits, SCAN_DEVIATIONS))
        seen: dict[str, list[int]] = {"genuine_ns": [], "stranger_ns": [], "scan_ns": []}
        opened: dict[str, list[int]] = {"genuine_opened": [], "stranger_opened": []}
        for number in range(probes + 10):
            for kind, face in (
                ("genuine", _seen_again(faces[number % people], rng)),
                ("stranger", _face(dimension, rng)),
            ):
                probe = ProbeEmbedding(permit_probe(zone), UnitVector.normalised(face), MODEL)
                start = time.perf_counter_ns()
                decision = identify(store, galleries, probe, THRESHOLD, store.now())
                seen[f"{kind}_ns"].append(time.perf_counter_ns() - start)
                opened[f"{kind}_opened"].append(decision.sealed_opened)
                start = time.perf_counter_ns()
                gallery.propose([face], within, THRESHOLD)
                seen["scan_ns"].append(time.perf_counter_ns() - start)
        site.close()
        full, tables_full = on_disk(home), in_tables(home)
    return {
        "people": people,
        "dimension": dimension,
        "bits": gallery.projection.bits,
        "threshold": THRESHOLD,
        "disk_before": empty,
        "disk_after": full,
        "tables_before": tables_empty,
        "tables_after": tables_full,
        **{kind: times[20 if kind == "scan_ns" else 10 :] for kind, times in seen.items()},
        **{kind: counts[10:] for kind, counts in opened.items()},
    }


def on_disk(home: Path) -> dict[str, int]:
    """Return the size of each file below a home, in bytes."""
    return {str(path.relative_to(home)): path.stat().st_size for path in sorted(home.rglob("*")) if path.is_file()}


def in_tables(home: Path) -> dict[str, int]:
    """Return the bytes of the pages of each table, its indexes included, of the data file and the keyring."""
    found: dict[str, int] = {}
    for path in sorted(home.glob("*.db")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            found |= connection.execute(
                "SELECT coalesce(tbl_name, dbstat.name), sum(pgsize) FROM dbstat"
                " LEFT JOIN sqlite_master AS known ON known.name = dbstat.name GROUP BY 1"
            ).fetchall()
    return found


def _enroll(site: Site, notice: Notice, face: FloatArray) -> None:
    """Give consent and store a face as enrollment does after the photos."""
    store = site.installation.store
    key = SubjectKey.from_seed(os.urandom(32))
    receipt = site.give_consent(notice, name="person", jurisdiction="FR", key=key).receipt
    vector = UnitVector.normalised(face)
    enroll_face(store, receipt, partial(ConsentedEmbedding, vector=vector, model_id=MODEL))


def _face(dimension: int, rng: np.random.Generator) -> FloatArray:
    face = rng.standard_normal(dimension).astype(np.float32)
    return np.asarray(face / np.linalg.norm(face), dtype=np.float32)


def _seen_again(face: FloatArray, rng: np.random.Generator) -> FloatArray:
    score = float(np.clip(rng.normal(0.6, 0.1), 0.0, 0.99))
    away = _face(len(face), rng)
    away -= (away @ face) * face
    away /= np.linalg.norm(away)
    return np.asarray(score * face + np.sqrt(1 - score**2) * away, dtype=np.float32)
