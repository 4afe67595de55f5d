"""One run: contestants are built and tuned, then get the same probes in turn, so that load affects all alike."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np

from benchmarks.enrolling import enroll_face
from benchmarks.matching.contestant import Answer, Contestant, Scene
from benchmarks.matching.contestants import contestant
from benchmarks.matching.contestants.volens_door import VolensDoor, answer
from benchmarks.matching.faces import Distribution, FloatArray, Probe
from benchmarks.matching.grid import Run
from benchmarks.matching.population import MODEL, ZONE
from benchmarks.matching.stopwatch import PARTS, stopwatch
from volens.consent import ConsentedEmbedding, SubjectKey, UnitVector
from volens.index import identify

SNAPSHOTS: Final = "galleries"

_TURN: Final = 32
_WARM_UP: Final = 32
_TUNED_ON: Final = 2000
_TUNING_S: Final = 60.0
_EXACT_AT_ONCE: Final = 256

Progress = Callable[[str], None]


@dataclass(slots=True, eq=False)
class _Observed:
    """A contestant and its observations."""

    contestant: Contestant
    build_s: float
    trail: list[dict[str, float]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)
    found: list[int | None] = field(default_factory=list)
    opened: list[int | None] = field(default_factory=list)
    ns: list[int] = field(default_factory=list)

    def ask(self, probes: Sequence[Probe], first: int) -> None:
        """Send the next probes, and record each answer with its time; in a batch, the time divided by its size."""
        batch = self.contestant.batch
        for start in range(first, min(first + max(_TURN, batch), len(probes)), batch):
            faces = [one.face for one in probes[start : start + batch]]
            begin = time.perf_counter_ns()
            answers = self.contestant.identify_many(faces) if batch > 1 else [self.contestant.identify(faces[0])]
            spent = (time.perf_counter_ns() - begin) // len(faces)
            self.asked += range(start, start + len(faces))
            self.found += [one.row for one in answers]
            self.opened += [one.opened for one in answers]
            self.ns += [spent] * len(faces)

    def document(self) -> dict[str, Any]:
        """Return the observations as JSON values."""
        one = self.contestant
        return {
            "gated": one.gated,
            "threads": one.threads,
            "batch": one.batch,
            "versions": {name: version(name) for name in one.packages},
            "settings": dict(one.settings()),
            "build_s": round(self.build_s, 3),
            "size_bytes": one.size_bytes(),
            "trail": self.trail,
            "queries": {"probe": self.asked, "found": self.found, "opened": self.opened, "ns": self.ns},
        }


def observe(run: Run, drawn: Distribution, scene: Scene, seed: int, agreement: float, say: Progress) -> dict[str, Any]:
    """Measure all tasks of a run."""
    probes = drawn.probes(scene.faces, run.probes, np.random.default_rng(seed + 1))
    exact = exactly(scene.faces, probes, scene.threshold)
    document: dict[str, Any] = {
        "data": drawn.said,
        "threshold": scene.threshold,
        "probes": {"kind": [one.kind for one in probes], "exact": exact},
        "contestants": {},
        "tasks": _opens(scene, run),
    }
    built: dict[str, _Observed] = {}
    for name in run.contestants:
        say(f"{name}: building")
        start = time.perf_counter()
        try:
            one = _Observed(contestant(name).build(scene), 0.0)
        except ImportError as error:
            document["contestants"][name] = {"not_run": f"not installed: {error.name}"}
            continue
        one.build_s = time.perf_counter() - start
        built[name] = one
        _tune(one, probes[:_TUNED_ON], exact, agreement, say)
        one.contestant.identify_many([probe.face for probe in probes[:_WARM_UP]])
    say("asking")
    _ask_in_turn(list(built.values()), probes, run.seconds)
    document["contestants"] |= {name: one.document() for name, one in built.items()}
    door = next((one.contestant for one in built.values() if type(one.contestant) is VolensDoor), None)
    if isinstance(door, VolensDoor):
        say("parts, enrolling, withdrawing")
        document["parts"] = _parts(door, probes[: run.parts], scene.threshold)
        document["tasks"] |= {"enroll": _enroll(door, scene, drawn, run.enroll, seed)}
        document["tasks"] |= {"withdraw": _withdraw(door, len(scene.faces), run.withdraw)}
    for one in built.values():
        one.contestant.close()
    return document


def exactly(faces: FloatArray, probes: Sequence[Probe], threshold: float) -> list[int | None]:
    """Return the correct answer for each probe, by comparison with all faces."""
    found: list[int | None] = []
    for start in range(0, len(probes), _EXACT_AT_ONCE):
        some = np.stack([one.face for one in probes[start : start + _EXACT_AT_ONCE]])
        scores, rows = faiss.knn(some, faces, 1, metric=faiss.METRIC_INNER_PRODUCT)
        found += [int(row) if score >= threshold else None for score, row in zip(scores[:, 0], rows[:, 0], strict=True)]
    return found


def _tune(
    one: _Observed, probes: Sequence[Probe], exact: Sequence[int | None], agreement: float, say: Progress
) -> None:
    """Select the least effort that reaches the agreement with the exact search, otherwise the largest.

    It is tuned on the probes of the measurement, so that latencies are compared at that agreement.
    """
    begin = time.perf_counter()
    for effort in one.contestant.efforts:
        one.contestant.tune(effort)
        asked = _Observed(one.contestant, 0.0)
        for start in range(0, len(probes), _TURN):
            asked.ask(probes, start)
        agrees = float(np.mean([mine == right for mine, right in zip(asked.found, exact, strict=False)]))
        one.trail.append({"effort": effort, "agreement": agrees, "p50_ms": float(np.median(asked.ns)) / 1e6})
        say(f"  effort {effort}: agreement {agrees:.4f}")
        if agrees >= agreement or time.perf_counter() - begin > _TUNING_S:
            return


def _ask_in_turn(contestants: Sequence[_Observed], probes: Sequence[Probe], seconds: float) -> None:
    for start in range(0, len(probes), _TURN):
        for one in contestants:
            if not seconds or sum(one.ns) < seconds * 1e9:
                one.ask(probes, start)


def _parts(door: VolensDoor, probes: Sequence[Probe], threshold: float) -> list[dict[str, Any]]:
    """Return the time of each part of each answer."""
    seen = []
    with stopwatch() as spent:
        for probe in probes:
            spent.update(dict.fromkeys(PARTS, 0))
            taken = door.probe(probe.face)
            start = time.perf_counter_ns()
            found: Answer = answer(identify(door.store, door.galleries, taken, threshold, door.store.now()))
            whole = time.perf_counter_ns() - start
            seen.append({"kind": probe.kind, "found": found.row, "whole": whole, **spent})
    return seen


def _enroll(door: VolensDoor, scene: Scene, drawn: Distribution, count: int, seed: int) -> list[int]:
    """Return the time of each enrollment, from an embedding and a receipt until the person matches."""
    site, spent = scene.site, []
    for face in drawn.draw(count, np.random.default_rng(seed + 3)):
        key = SubjectKey.from_seed(np.random.default_rng().bytes(32))
        receipt = site.give_consent(site.notice(ZONE), name="person", jurisdiction="FR", key=key).receipt
        start = time.perf_counter_ns()
        vector = UnitVector.normalised(face)
        reference_id = enroll_face(door.store, receipt, partial(ConsentedEmbedding, vector=vector, model_id=MODEL))
        found = door.identify(face).row
        spent.append(time.perf_counter_ns() - start)
        if found != reference_id - 1:
            raise RuntimeError("got another person than the one just enrolled")
    return spent


def _withdraw(door: VolensDoor, size: int, count: int) -> list[int]:
    """Return the time to remove each of some people from the gallery; their rows stay, because the home is a copy."""
    with door.store.read() as connection:
        (held,) = door.galleries.built().values()
        del connection
    spent = []
    for reference_id in np.random.default_rng(0).choice(size, size=min(count, size), replace=False) + 1:
        start = time.perf_counter_ns()
        removed = door.galleries.erase([reference_id])
        spent.append(time.perf_counter_ns() - start)
        if removed != 1 or reference_id in held.engine:
            raise RuntimeError("got a sketch that was missing before, or still there after the removal")
    return spent


def _opens(scene: Scene, run: Run) -> dict[str, Any]:
    """Return when each of some processes was started, had imported, had opened, and had answered one probe.

    The first makes the sketches from the sealed embeddings, and writes a snapshot if there are many; the others use it.
    """
    if not run.opens:
        return {}
    return {"open": [_opened(scene.copy, run.dimension) for _ in range(run.opens)]}


def _opened(home: Path, dimension: int) -> dict[str, int | bool]:
    snapshot = any((home / SNAPSHOTS).glob("*"))
    command = [sys.executable, "-m", "benchmarks.matching.opening", str(home), str(dimension)]
    start = time.time_ns()
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  our own module
    return {"snapshot": snapshot, "spawned": start, **json.loads(done.stdout)}
