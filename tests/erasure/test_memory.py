"""What a process that has withdrawn somebody still holds of them in its own memory: nothing.

Each scenario runs in a process of its own, which searches itself (tests/support/remembering.py). What is not promised,
and so not asked here: photos and frames, names, and what lies sealed (LIMITATIONS.md).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

SUPPORT = Path(__file__).parents[1] / "support"


def remembered(scenario: str, home: Path, blas_threads: int = 1) -> dict[str, dict[str, int]]:
    """Run a scenario; return what it found in its memory, and when."""
    path = os.pathsep.join([str(SUPPORT), *sys.path])
    done = subprocess.run(
        [sys.executable, SUPPORT / "remembering.py", scenario, home],
        env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": str(blas_threads)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return cast("dict[str, dict[str, int]]", json.loads(done.stdout))


# Words of 8 bytes, of the 11 of a wrapped secret. The C library and Python give freed memory to others piece by piece,
# and a piece that its new owner has not written on yet is reached by nobody (LIMITATIONS.md).
SCRAP_WORDS = 3


def left(found: dict[str, int]) -> dict[str, int]:
    """Return what was found of a person, but for a scrap of what lies sealed, which opens nothing by itself."""
    return {name: count for name, count in found.items() if name != "wrapped grant secret" or count > SCRAP_WORDS}


@pytest.mark.parametrize("scenario", ["made_up_faces", "made_up_large_faces"])
def test_the_search_finds_what_is_held_and_nothing_after_a_withdrawal(tmp_path: Path, scenario: str) -> None:
    report = remembered(scenario, tmp_path / "home")

    assert set(report["held"]) >= {"embedding", "sketch", "grant secret", "reference key"}
    # Between two decisions there is the sketch in the gallery, the database's copy of what it wrote, and nothing else.
    assert set(report["before"]) - {"wrapped grant secret"} == {"sketch"}
    assert left(report["after"]) == {}
    assert left(report["later"]) == {}


def test_real_photos_leave_nothing_in_the_models_the_threads_or_the_matrix_library(tmp_path: Path) -> None:
    report = remembered("real_faces", tmp_path / "home", blas_threads=2)

    assert set(report["before"]) - {"wrapped grant secret"} == {"sketch"}
    assert left(report["after"]) == {}


def test_a_gallery_built_from_the_store_forgets_as_well(tmp_path: Path) -> None:
    report = remembered("reopened", tmp_path / "home")

    assert set(report["before"]) - {"wrapped grant secret"} == {"sketch"}
    assert left(report["after"]) == {}


def test_an_erasure_that_cannot_finish_yet_has_forgotten_all_the_same(tmp_path: Path) -> None:
    report = remembered("refused_midway", tmp_path / "home")

    assert left(report["refused"]) == {}
    assert left(report["after"]) == {}
