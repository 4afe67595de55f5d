"""Matching benchmark: it runs from a grid to the page, and states nothing that was not observed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from benchmarks.matching.faces import distribution, made_up
from benchmarks.matching.figures import BEGIN, END, page
from benchmarks.matching.grid import FOLDER, Grid
from benchmarks.matching.population import MODEL, ZONE, fill
from benchmarks.matching.rows import KEYS, find, load, rows, summary
from benchmarks.matching.stopwatch import PARTS, stopwatch
from benchmarks.matching.targets import Target, targets
from volens import Site
from volens.consent import ProbeEmbedding, Purpose, UnitVector, permit_probe
from volens.index import Galleries, identify
from volens.store.promises import zone_of

ROOT: Final = Path(__file__).parent.parent.parent
SIZE: Final = 300


def run(module: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.matching{module}", *arguments],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.stdout


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw observations of the tiny grid."""
    folder = tmp_path_factory.mktemp("benchmark")
    run("", "tiny", "--out", str(folder / "matching"), "--build", str(folder / "build"))
    return folder / "matching"


@pytest.fixture
def observed(results: Path) -> dict[str, Any]:
    """The observations of a run with people; tests may change them."""
    return deepcopy(dict(next(one for one in load(results) if "run" in one)))


@contextmanager
def filled(home: Path, count: int = 20, dimension: int = 64) -> Iterator[tuple[Site, Any]]:
    faces = made_up(dimension).draw(count, np.random.default_rng(1))
    fill(home, faces)
    with Site.open(home) as site:
        yield site, faces


def test_the_tiny_grid_gives_a_row_for_each_task_and_the_summary_has_its_keys(results: Path) -> None:
    found = summary(load(results))
    assert set(found) == {"machine", "rows"}
    assert found["machine"]["cores"]
    for row in found["rows"]:
        assert set(KEYS) <= set(row)
        assert isinstance(row["contestant"], str)
        assert isinstance(row["task"], str)
        assert isinstance(row["gated"], bool)
        assert 0 < row["p99_ms"] >= row["p50_ms"] >= 0
        assert row["agreement"] is None or 0 <= row["agreement"] <= 1
    tasks = {row["task"] for row in found["rows"] if row["contestant"] == "volens"}
    assert {
        "identify",
        "identify genuine",
        "identify stranger",
        "enroll",
        "withdraw",
        "open without a snapshot",
        "gate",
    } <= tasks
    assert find(found["rows"], contestant="faiss-flat", task="identify", size=SIZE, agreement=1.0, gated=False)
    assert find(found["rows"], contestant="volens", task="identify", size=SIZE, threads=1, gated=True)
    json.dumps(found, allow_nan=False)


def test_volens_agrees_with_the_exact_search_on_every_probe_of_the_tiny_grid(results: Path) -> None:
    row = find(rows(load(results)), contestant="volens", task="identify")
    assert row is not None
    assert row["agreement"] == 1.0


def test_a_contestant_that_did_not_run_is_listed(observed: dict[str, Any]) -> None:
    observed["contestants"]["hnswlib"] = {"not_run": "not installed: hnswlib"}
    assert "Not run: hnswlib (not installed: hnswlib)." in page([observed])


def test_a_wrong_answer_costs_agreement(observed: dict[str, Any]) -> None:
    queries = observed["contestants"]["volens"]["queries"]
    queries["found"][0] = SIZE + 1
    row = find(rows([observed]), contestant="volens", task="identify")
    assert row is not None
    assert row["agreement"] == pytest.approx(1 - 1 / len(queries["found"]))


def test_a_target_is_reached_or_missed_or_not_measured(observed: dict[str, Any]) -> None:
    assert Target("t", 1.0, at_least=True, value=1.0).verdict == "reached"
    assert Target("t", 1.0, at_least=False, value=1.5, unit=" ms").verdict == "**missed** by 0.5 ms"
    assert Target("t", 1.0, at_least=True, value=None).measured == "not measured"
    for size in (10_000, 100_000):
        observed["run"] |= {"size": size, "dimension": 512}
        ours, exact = (observed["contestants"][name]["queries"] for name in ("volens", "faiss-flat"))
        ours["ns"] = [10] * len(ours["ns"])
        exact["ns"] = [50] * len(exact["ns"])
        (one,) = [
            one
            for one in targets(rows([observed]))
            if one.said.startswith(f"{size:,} references, 512-d: at least") and "ungated" in one.said
        ]
        assert (one.value, one.verdict) == (5.0, "reached" if size == 10_000 else "**missed** by 10 times")


def test_the_page_is_written_between_its_marks(results: Path, tmp_path: Path) -> None:
    target = tmp_path / "performance.md"
    target.write_text(f"before\n{BEGIN}\nstale words\n{END}\nafter\n")
    run(".figures", "--results", str(results), "--page", str(target))
    text = target.read_text()
    assert text.startswith(f"before\n{BEGIN}")
    assert text.endswith(f"{END}\nafter\n")
    assert "stale words" not in text
    assert "| volens | yes | 1 |" in text
    assert json.loads((results.parent / "summary.json").read_text())["rows"]


def test_the_page_in_the_repository_has_the_marks_and_every_grid_can_be_read() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert text.count(BEGIN) == text.count(END) == 1
    for path in FOLDER.glob("*.yaml"):
        assert Grid.read(path).runs


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("contestants: [unknown]", r"got data 'made-up' and contestants \['unknown'\]; expected made-up or photos"),
        ("nonsense: 1", "got nonsense in a run; expected data, dimension"),
    ],
)
def test_a_grid_with_an_unknown_contestant_or_key_is_refused(change: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    one = f"{{data: made-up, dimension: 8, size: 2, probes: 2, seconds: 0, {change}}}"
    path.write_text(f"seed: 1\nagreement: 1\nruns: [{one}]\n")
    with pytest.raises(ValueError, match=said):
        Grid.read(path)


def test_a_site_filled_in_bulk_holds_what_the_product_would_have_written(tmp_path: Path) -> None:
    with filled(tmp_path / "home") as (site, faces):
        report = site.log.verify()
        assert report.kinds["consent.given"] == report.kinds["reference.enrolled"] == len(faces)
        assert site.status().zones[0].live_consents == len(faces)
        store = site.installation.store
        with store.read() as connection:
            permit = permit_probe(zone_of(connection, Purpose(ZONE)))
        for row, face in enumerate(faces):
            probe = ProbeEmbedding(permit, UnitVector(face), MODEL)
            match = identify(store, site.installation.galleries, probe, 0.4, store.now()).match
            assert match is not None
            assert match.reference_id == row + 1


def test_the_stopwatch_times_every_part_and_unwraps_all_functions(tmp_path: Path) -> None:
    with filled(tmp_path / "home") as (site, faces):
        store = site.installation.store
        with store.read() as connection:
            permit = permit_probe(zone_of(connection, Purpose(ZONE)))
        probe = ProbeEmbedding(permit, UnitVector(faces[0]), MODEL)
        before = Galleries.at
        with stopwatch() as spent:
            assert identify(store, site.installation.galleries, probe, 0.4, store.now()).match is not None
        assert all(spent[part] > 0 for part in PARTS)
        assert Galleries.at is before


def test_made_up_faces_resemble_each_other_as_the_spectrum_says() -> None:
    drawn = made_up(512)
    rng = np.random.default_rng(2)
    faces = drawn.references(500, rng)
    scores = (faces[:250] @ faces[250:].T).ravel()
    assert np.std(scores) == pytest.approx(0.066, abs=0.003)
    genuine = [one.face for one in drawn.probes(faces, 2000, rng) if one.kind == "genuine"]
    own = np.max(np.stack(genuine) @ faces.T, axis=1)
    assert (np.mean(own), np.std(own)) == (pytest.approx(0.6, abs=0.02), pytest.approx(0.1, abs=0.02))


def test_without_photos_the_record_names_the_replacement(tmp_path: Path) -> None:
    assert distribution("photos", 128, tmp_path / "none").said.startswith("no photos here; made up")
