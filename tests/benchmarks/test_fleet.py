"""Fleet benchmark: a tiny run on files and on a server answers every door, and the page has what was observed."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from postgres_server import server_folder

from benchmarks.fleet import page
from benchmarks.fleet.__main__ import TINY, measured, size_for
from benchmarks.fleet.measured_run import BEGINS, FILES, GOES_ON, SERVER
from benchmarks.fleet.prepared_site import PreparedSite
from benchmarks.fleet.processor_time import processor_s
from benchmarks.fleet.recorded_faces import (
    MODEL,
    PHOTOS,
    SCORES,
    RecordedFaces,
    draw,
    frame_of,
    number_in,
    photo_of,
    recorded_extractor,
)
from benchmarks.fleet.simulated_doors import poisson_arrivals
from volens.face import QualityRules, decode

PEOPLE: Final = 30
NONSENSE: Final = r"\bnan\b|\binf\b|\| -\d"


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    folder = server_folder()
    try:
        document = measured(folder / "site", size_for(TINY, PEOPLE, 1), TINY, lambda _: None) | {"tiny": True}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


def test_every_frame_of_busy_doors_is_a_match_on_files_and_on_a_server(tiny: dict[str, Any]) -> None:
    seen = {(one["where"], one["nodes"], one["visit"]): one for one in tiny["busy_doors"]}
    assert seen.keys() == {
        (where, nodes, visit) for where, nodes in ((FILES, 1), (SERVER, 1)) for visit in (GOES_ON, BEGINS)
    }
    for one in seen.values():
        assert one["statuses"].keys() == {"200"}
        assert one["matched"] == one["statuses"]["200"] == len(one["waited_us"]) > 0


def test_people_who_arrive_are_answered_and_their_visits_recorded(tiny: dict[str, Any]) -> None:
    assert [(one["where"], one["nodes"]) for one in tiny["many_doors"]] == [(FILES, 1), (SERVER, 1)]
    for one in tiny["many_doors"]:
        assert one["statuses"].keys() <= {"200"}
        assert one["matched"] <= len(one["waited_us"])
        assert len(one["waited_us"]) + one["unsent"] > 0
    for where in (FILES, SERVER):
        assert sum(one["recorded"] for one in (*tiny["many_doors"], *tiny["busy_doors"]) if one["where"] == where) > 0


def test_newcomers_enroll_and_withdraw_beside_the_doors(tiny: dict[str, Any]) -> None:
    assert [(one["where"], one["beside_per_s"] > 0) for one in tiny["newcomers"]] == [
        (where, beside) for where in (FILES, SERVER) for beside in (False, True)
    ]
    for one in tiny["newcomers"]:
        counts = {len(one[step]) for step in ("consent_us", "enroll_us", "withdraw_us")}
        assert len(counts) == 1
        assert counts.pop() >= 1


def test_the_tables_are_derived_from_a_tiny_run(tiny: dict[str, Any]) -> None:
    parts = page.blocks(tiny)
    assert "these are no figures" in parts["fleet/machine"]
    assert not any(re.search(NONSENSE, text) for text in parts.values())
    assert len(parts["fleet/nodes"].splitlines()) == 2 + len(tiny["busy_doors"])


def test_the_page_shows_the_stored_observations() -> None:
    document = json.loads(page.RESULTS.read_text(encoding="utf-8"))
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.filled(text, page.blocks(document), page.PARTS) == text
    assert not document["tiny"]


def test_a_folder_with_other_files_is_not_replaced_by_a_site(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(ValueError, match="give an empty folder"):
        PreparedSite.made(tmp_path, size_for(TINY, PEOPLE, 1), print)
    assert (tmp_path / "thesis.txt").exists()


def test_a_rate_holds_if_nearly_all_are_answered_in_time() -> None:
    answered: dict[str, Any] = {"statuses": {"200": 99, "503": 1}, "unsent": 0, "waited_us": [900_000] * 99}
    assert page._holds(answered)
    assert not page._holds(answered | {"unsent": 1})
    assert not page._holds(answered | {"waited_us": [900_000] * 90 + [1_100_000] * 9})
    assert not page._holds({"statuses": {}, "unsent": 0, "waited_us": []})


@pytest.mark.parametrize("number", [0, 1, 12_345, 102_029, 2**28 - 1])
@pytest.mark.parametrize("picture", [frame_of, photo_of])
def test_a_picture_carries_its_number_through_the_extractor(number: int, picture: Callable[[int], bytes]) -> None:
    extractor = recorded_extractor(RecordedFaces(draw(1, np.random.default_rng(1)), 1))
    image = decode(picture(number))
    (face,) = extractor.search(image)
    assert number_in(extractor.crop(image, face)) == number


def test_photos_of_newcomers_are_good_enough_and_of_one_person() -> None:
    enrolled = draw(50, np.random.default_rng(1))
    faces = RecordedFaces.made(enrolled, 2, seed=3)
    extractor = recorded_extractor(faces)
    for photos in faces.newcomers():
        assert len(photos) == PHOTOS
        vectors = faces.vectors[list(photos)]
        assert (vectors @ vectors.T).min() > MODEL.thresholds.claim_value
        assert (vectors @ enrolled.T).max() < MODEL.thresholds.duplicate(50)
        for number in photos:
            image = decode(photo_of(number))
            assert not list(QualityRules().problems(extractor.assess(image, extractor.search(image)[0])))


def test_recorded_faces_resemble_their_people_as_stated() -> None:
    enrolled = draw(3000, np.random.default_rng(1))
    faces = RecordedFaces.made(enrolled, 0, seed=3)
    scores = np.einsum("ij,ij->i", faces.vectors[:3000], enrolled)
    assert (scores.mean(), scores.std()) == (pytest.approx(SCORES[0], abs=0.01), pytest.approx(SCORES[1], abs=0.01))
    assert (faces.vectors[list(faces.strangers())] @ enrolled[:200].T).max() < SCORES[0]
    assert set(faces.recognised(enrolled).tolist()) == set(np.flatnonzero(scores > 0.54).tolist())


def test_arrivals_come_at_the_rate_and_at_random() -> None:
    plans = poisson_arrivals(500, 100, 20, lambda: 7, np.random.default_rng(1))
    due = sorted(one.due_s for plan in plans for one in plan)
    assert len(due) == pytest.approx(2000, rel=0.1)
    assert max(due) < 20
    gaps = np.diff(due)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.1)  # of a Poisson process
    assert {one.number for plan in plans for one in plan} == {7}


def test_processor_time_of_this_process_grows_with_work() -> None:
    before = processor_s([os.getpid()])
    while processor_s([os.getpid()]) - before < 0.05:
        sum(range(10_000))
    assert processor_s([2**22 + 1]) == 0
