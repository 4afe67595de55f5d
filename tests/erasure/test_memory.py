"""After a withdrawal the memory of a process holds no embedding, sketch, opened grant secret or key that opens one.

Each scenario runs in a process of its own, which searches itself (tests/support/remembering.py). Not promised, and not
checked here: photos and frames, names, and sealed values. The *wrapped* grant secret is sealed: SQLite frees copies of
it before the erasure without overwriting them, and the whole of it may remain (LIMITATIONS.md).
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from patience import PATIENCE_S

KEYS = {"root key", "store key", "bucket key"}
"""In use until the erasure, which replaces them."""

SUPPORT = Path(__file__).parents[1] / "support"


def remembered(scenario: str, home: Path, blas_threads: int = 1) -> dict[str, dict[str, int]]:
    """Run a scenario; return the values found in its memory, by step."""
    path = os.pathsep.join([str(SUPPORT), *sys.path])
    done = subprocess.run(
        [sys.executable, SUPPORT / "remembering.py", scenario, home],
        env=os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": str(blas_threads)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return cast("dict[str, dict[str, int]]", json.loads(done.stdout))


def opened(found: dict[str, int]) -> dict[str, int]:
    """Return the findings about a person, without the wrapped grant secret: its remains are not excluded yet."""
    return {name: count for name, count in found.items() if name != "wrapped grant secret"}


@pytest.mark.parametrize("scenario", ["made_up_faces", "made_up_large_faces"])
def test_after_a_withdrawal_no_opened_value_is_found_in_memory(tmp_path: Path, scenario: str) -> None:
    report = remembered(scenario, tmp_path / "home")

    assert set(report["held"]) >= {"embedding", "sketch", "grant secret", "reference key"}
    # Between two decisions there is the sketch in the gallery, the database's copy of what it wrote, and nothing else.
    assert opened(report["before"]).keys() == {"sketch", *KEYS}
    assert opened(report["after"]) == {}
    assert opened(report["later"]) == {}


def test_real_photos_leave_nothing_opened_in_models_threads_or_matrix_library(tmp_path: Path) -> None:
    report = remembered("real_faces", tmp_path / "home", blas_threads=2)

    assert opened(report["before"]).keys() == {"sketch", *KEYS}
    assert opened(report["after"]) == {}


def test_a_gallery_built_from_the_store_forgets_what_was_opened(tmp_path: Path) -> None:
    report = remembered("reopened", tmp_path / "home")

    assert opened(report["before"]).keys() == {"sketch", *KEYS}
    assert opened(report["after"]) == {}


def test_an_erasure_that_cannot_finish_yet_has_forgotten_what_was_opened(tmp_path: Path) -> None:
    report = remembered("refused_midway", tmp_path / "home")

    assert opened(report["refused"]) == {}
    assert opened(report["after"]) == {}
