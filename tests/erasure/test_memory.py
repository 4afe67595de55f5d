"""After a withdrawal the memory of a process holds no embedding, sketch, secret or key, and no wrapped secret.

Each scenario runs in a process of its own, started as `volens serve` starts itself, which searches itself
(tests/support/remembering.py). Not promised, and not checked here: photos and frames, names, sealed embeddings.
A service is searched from outside in tests/attacks.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from patience import PATIENCE_S

from volens.memory_wiping import wiping_environment

SUPPORT = Path(__file__).parents[1] / "support"


def remembered(scenario: str, home: Path, blas_threads: int = 1) -> dict[str, dict[str, int]]:
    """Run a scenario; return the values found in its memory, by step."""
    path = os.pathsep.join([str(SUPPORT), *sys.path])
    done = subprocess.run(
        [sys.executable, SUPPORT / "remembering.py", scenario, home],
        env=os.environ | wiping_environment() | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": str(blas_threads)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )
    return cast("dict[str, dict[str, int]]", json.loads(done.stdout))


HELD = {"sketch", "wrapped grant secret", "root key", "store key", "bucket key"}
"""What a process has between two decisions: in the gallery, in the hot set, in the database's cache, and its keys.

The keys are in use until the erasure, which replaces them.
"""


@pytest.mark.parametrize("scenario", ["made_up_faces", "made_up_large_faces"])
def test_after_a_withdrawal_no_opened_value_is_found_in_memory(tmp_path: Path, scenario: str) -> None:
    report = remembered(scenario, tmp_path / "home")

    assert set(report["held"]) >= {"embedding", "sketch", "grant secret", "reference key"}
    assert report["before"].keys() == HELD
    assert report["after"] == {}
    assert report["later"] == {}


def test_real_photos_leave_nothing_opened_in_models_threads_or_matrix_library(tmp_path: Path) -> None:
    report = remembered("real_faces", tmp_path / "home", blas_threads=2)

    assert report["before"].keys() == HELD
    assert report["after"] == {}


def test_a_gallery_built_from_the_store_forgets_what_was_opened(tmp_path: Path) -> None:
    report = remembered("reopened", tmp_path / "home")

    assert report["before"].keys() == HELD
    assert report["after"] == {}


def test_an_erasure_that_cannot_finish_yet_has_forgotten_what_was_opened(tmp_path: Path) -> None:
    report = remembered("refused_midway", tmp_path / "home")

    assert report["refused"] == {}
    assert report["after"] == {}
