"""Deletion benchmark: the search finds known bytes, a failed control gives no figure, and Volens leaves nothing."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from benchmarks.deletion import table
from benchmarks.deletion.__main__ import observe
from benchmarks.deletion.contestants import NAMES
from benchmarks.deletion.needles import OVERLAP_BYTES, Findings, Needles, Sought, summary
from benchmarks.deletion.people import People
from benchmarks.deletion.places import family, search_files, search_memory

ROOT: Final = Path(__file__).parent.parent.parent
DELETION: Final = ROOT / "benchmarks" / "deletion"
DELETED: Final = 3
FACE: Final = People.made_up(1, 0, 128, seed=5).faces[0].tobytes()


def pieces(chunk: bytes, value: bytes = FACE) -> int:
    """Return how many 16-byte pieces of a value the search finds in a chunk; -1 if it finds less than one."""
    needles = Needles([Sought("face", 0, "deleted", value)])
    findings = needles.nothing()
    needles.search(np.frombuffer(chunk, dtype=np.uint8), "here", findings)
    group = found(needles, findings)
    return int(group["pieces_found"]) or -len(group["found"])


def found(needles: Needles, findings: Findings) -> dict[str, Any]:
    kinds: Any = summary(needles, findings)["kinds"]
    group: dict[str, Any] = kinds["face"]["deleted"]
    return group


@pytest.mark.parametrize("shift", range(16))
def test_the_search_finds_a_value_at_any_offset(shift: int) -> None:
    assert pieces(b"\1" * shift + FACE + b"\2" * 40) == len(FACE) // 16


@pytest.mark.parametrize("shift", range(8))
def test_the_search_finds_the_end_of_a_value_of_which_the_beginning_was_overwritten(shift: int) -> None:
    assert pieces(b"\1" * (100 + shift) + FACE[256:]) == len(FACE) // 32


def test_the_search_finds_sixteen_bytes_and_not_eight() -> None:
    assert pieces(b"\1" * 24 + FACE[32:48] + b"\2" * 24) == 1
    assert pieces(b"\1" * 24 + FACE[32:40] + b"\2" * 24) == 0


def test_the_search_is_not_fooled_by_zeros_or_by_another_persons_face() -> None:
    other = People.made_up(1, 0, 128, seed=6).faces[0].tobytes()
    assert pieces(bytes(4096) + other) == 0
    assert pieces(bytes(4096), np.zeros(64).tobytes() + FACE) == 0


def test_a_face_on_the_border_of_two_chunks_of_a_file_is_found(tmp_path: Path) -> None:
    needles = Needles([Sought("face", 0, "deleted", FACE)])
    border = 8 << 20
    assert len(FACE) > OVERLAP_BYTES
    for before in (8, 100, 500):
        (tmp_path / "file").write_bytes(bytes(border - before) + FACE + bytes(1000))
        assert found(needles, search_files(needles, tmp_path))["pieces_found"] == len(FACE) // 16


HOLDER: Final = """
import sys
held = bytearray(b"x" + sys.stdin.buffer.read(512))
print("ready", flush=True)
sys.stdin.buffer.raw.read(1)
"""


def test_the_memory_of_another_process_is_searched_from_outside(tmp_path: Path) -> None:
    needles = Needles([Sought("face", 0, "deleted", FACE)])
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(FACE)
        child.stdout.read(5)
        try:
            seen = found(needles, search_memory(needles, family(child.pid), tmp_path))
        except PermissionError:
            pytest.skip("this system does not let a parent read the memory of its child")
        finally:
            child.stdin.write(b"x")
    assert seen["pieces_found"] == len(FACE) // 16


@pytest.fixture(scope="module")
def documents() -> Mapping[str, Any]:
    """Return a tiny run of Volens, and of a contestant that needs no further package."""
    names = ("volens", "faiss-sqlite-plain")
    return {name: observe(name, people=12, deleted=DELETED, dimension=128, runs=1) for name in names}


def everything(document: Mapping[str, Any], phase: str, place: str) -> dict[str, list[int]]:
    """Return the deleted people of whom something was found, by kind."""
    kinds = document["runs"][0][phase][place].get("kinds")
    if kinds is None:
        pytest.skip("this system does not let a parent read the memory of its child")
    return {kind: groups["deleted"]["found"] for kind, groups in kinds.items() if groups["deleted"]["found"]}


@pytest.mark.parametrize("name", ["volens", "faiss-sqlite-plain"])
@pytest.mark.parametrize("place", ["memory", "files"])
def test_all_are_found_before_the_deletion_and_the_kept_people_afterwards(
    documents: Mapping[str, Any], name: str, place: str
) -> None:
    document = documents[name]
    assert "not_run" not in document
    everything(document, "deleted", place)
    cells = [table.left(document, phase, place) for phase in ("before", "deleted", "maintained", "restarted")]
    assert table.left(document, "before", place).startswith(("3 of 3", "0 of 3 (3 sealed)"))
    assert "not measured" not in cells
    assert document["runs"][0]["before"]["matched_deleted"] == DELETED


@pytest.mark.parametrize("phase", ["deleted", "maintained", "restarted"])
def test_volens_matches_no_deleted_person_and_leaves_no_byte_in_files(documents: Mapping[str, Any], phase: str) -> None:
    assert table.matched(documents["volens"], phase) == "0 of 3"
    assert everything(documents["volens"], phase, "files") == {}


@pytest.mark.parametrize("phase", ["deleted", "maintained", "restarted"])
def test_volens_leaves_no_embedding_sketch_or_opened_key_in_memory(documents: Mapping[str, Any], phase: str) -> None:
    # Sealed or wrapped values may stay in SQLite's freed pages until they are used again (LIMITATIONS.md).
    assert everything(documents["volens"], phase, "memory").keys() <= {"sealed embedding", "wrapped secret"}


def test_a_backup_of_volens_opens_no_embedding_and_its_restore_is_refused(documents: Mapping[str, Any]) -> None:
    assert everything(documents["volens"], "backup", "files").keys() == {"sealed embedding"}
    assert table.matched(documents["volens"], "restored") == "refused"
    assert "older data file" in documents["volens"]["runs"][0]["restored"]["refused"]


def test_the_harness_finds_what_a_deleted_row_leaves_behind(documents: Mapping[str, Any]) -> None:
    faiss = documents["faiss-sqlite-plain"]
    assert table.matched(faiss, "deleted") == "0 of 3"
    assert len(everything(faiss, "deleted", "files")["embedding"]) == DELETED
    assert everything(faiss, "deleted", "memory")
    assert table.matched(faiss, "restored") == "3 of 3"


def made_up_result(*, kept: list[int], deleted: Mapping[str, list[int]], before: list[int]) -> dict[str, Any]:
    def seen(of_deleted: Mapping[str, list[int]]) -> dict[str, Any]:
        kinds = {"embedding": {"kept": {"found": kept}}} | {
            kind.removesuffix(", whole"): {
                "kept": {"found": kept},
                "deleted": {"found": people, "whole": people if kind.endswith("whole") else []},
            }
            for kind, people in of_deleted.items()
        }
        return {"memory": {"kinds": kinds}}

    run = {
        "people": {"deleted": [1, 2], "kept": [3, 4]},
        "before": seen({"embedding": before}),
        "deleted": seen(deleted),
    }
    return {"runs": [run], "deleted": 2}


@pytest.mark.parametrize(
    ("kept", "before", "deleted", "cell"),
    [
        ([3, 4], [1, 2], {}, "0 of 2"),
        ([3, 4], [1, 2], {"embedding": [1]}, "1 of 2"),
        ([3, 4], [1, 2], {"sealed embedding": [1, 2]}, "0 of 2 (2 sealed)"),
        ([3, 4], [1, 2], {"sealed embedding": [1, 2], "wrapped secret": [2]}, "0 of 2 (2 sealed)"),
        ([3, 4], [1, 2], {"sealed embedding": [1, 2], "wrapped secret, whole": [2]}, "0 of 2 (2 sealed)"),
        ([3], [1, 2], {}, "not measured"),
        ([3, 4], [1], {}, "not measured"),
    ],
    ids=[
        "nothing",
        "a face",
        "sealed",
        "a part of its key",
        "sealed with its key",
        "the kept people are not found",
        "nothing to find before",
    ],
)
def test_a_cell_states_the_findings_or_that_the_control_failed(
    kept: list[int], before: list[int], deleted: Mapping[str, list[int]], cell: str
) -> None:
    assert table.left(made_up_result(kept=kept, deleted=deleted, before=before), "deleted", "memory") == cell


def test_the_page_shows_the_tables_of_the_stored_observations() -> None:
    page = (ROOT / "docs" / "deletion.md").read_text(encoding="utf-8")
    shown = page.partition(table.BEGIN)[2].partition(table.END)[0].strip()
    assert shown == table.tables(table.load())
    assert {one["contestant"] for one in table.load()} == set(NAMES)


def test_every_contestant_is_pinned_and_hashed() -> None:
    wanted = set(
        re.findall(r"^([a-z-]+)(?:\[[a-z]+\])?==\S+$", (DELETION / "requirements.in").read_text(), re.MULTILINE)
    )
    pinned = re.findall(
        r"^([a-z0-9.-]+)==\S+ \\\n    --hash=sha256:", (DELETION / "requirements.lock").read_text(), re.MULTILINE
    )
    assert len(wanted) == 9
    assert wanted <= set(pinned)
