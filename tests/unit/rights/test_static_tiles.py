"""The public log as static files: what a run writes, and what it refuses to write over."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from house import House
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey

from volens.audit import VerifierKey, open_checkpoint
from volens.audit.tiles import Tile, verify_tiles
from volens.consent import InputError, TamperError

AT_ONCE, DAY = timedelta(), timedelta(days=1)


class OnDisk:
    """The backend of a reader that is not ours."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, *path: str) -> bytes | None:
        file = self._folder.joinpath(*path)
        return file.read_bytes() if file.is_file() else None


def grow(house: House, leaves: int) -> None:
    if leaves:
        with house.store.write() as tx:
            tx.log_all("decisions.counted", [{"number": number} for number in range(leaves)])


def files(folder: Path) -> dict[str, int]:
    """Every file with its time of writing."""
    return {str(one.relative_to(folder)): one.stat().st_mtime_ns for one in folder.rglob("*") if one.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "www" / "log"


def test_another_implementation_verifies_the_files_of_two_runs(house: House, folder: Path) -> None:
    grow(house, 300)
    first = house.site.log.write_tiles(folder, AT_ONCE)
    before = files(folder)
    grow(house, 300)
    second = house.site.log.write_tiles(folder, AT_ONCE)
    after = files(folder)

    reader = TilesReader(OnDisk(folder))
    head = reader.get_checkpoint()
    head.verify(Vkey.from_string(house.site.verifier_key.line()))
    assert (head.size, head.root_hash) == (second.head.size, second.head.root)
    assert reader.calculate_root_hash() == second.head.root
    reader.get_consistency_proof(first.head.size, head.size).check(first.head.root, head.root_hash)
    verify_tiles(first.head, second.head, lambda tile: (folder / tile.path).read_bytes())
    assert VerifierKey.parse((folder / "site.pub").read_text("utf-8")) == house.site.verifier_key

    old_tiles = {name for name in before if name.startswith("tile/")}
    assert {name: after[name] for name in old_tiles} == {name: before[name] for name in old_tiles}
    assert len(after) - len(before) == second.tiles > 0
    assert all((folder / name).stat().st_mode & 0o777 == 0o644 for name in after)


def test_a_run_without_anything_new_writes_no_tile(house: House, folder: Path) -> None:
    assert house.site.log.write_tiles(folder, AT_ONCE).tiles > 0
    assert house.site.log.write_tiles(folder, AT_ONCE).tiles == 0


def test_a_run_that_was_killed_goes_on(house: House, folder: Path) -> None:
    grow(house, 600)
    whole = house.site.log.write_tiles(folder, AT_ONCE)
    (folder / "checkpoint").unlink()
    (folder / Tile(0, 1).path).unlink()
    again = house.site.log.write_tiles(folder, AT_ONCE)
    assert (again.head, again.tiles) == (whole.head, 1)


def test_static_files_end_with_yesterday_as_the_served_log_does(house: House, folder: Path) -> None:
    house.admit()
    assert house.site.log.write_tiles(folder, DAY).head.size == 1
    house.clock.move(days=1)
    assert house.site.log.write_tiles(folder, DAY).head.size == house.site.log.verify().size


def test_a_folder_that_was_published_more_often_is_not_set_back(house: House, folder: Path) -> None:
    grow(house, 5)
    ahead = house.site.log.write_tiles(folder, AT_ONCE).head
    assert house.site.log.write_tiles(folder, DAY).head == ahead
    assert open_checkpoint((folder / "checkpoint").read_text("utf-8"), house.site.verifier_key) == ahead


def test_a_folder_with_other_files_is_refused(house: House, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hello")
    with pytest.raises(InputError, match="has other files; name a folder of its own"):
        house.site.log.write_tiles(tmp_path, AT_ONCE)
    assert {one.name for one in tmp_path.iterdir()} >= {"index.html"}
    assert not (tmp_path / "checkpoint").exists()


def test_a_changed_tile_is_named_and_not_written_over(house: House, folder: Path) -> None:
    grow(house, 600)
    house.site.log.write_tiles(folder, AT_ONCE)
    (folder / "checkpoint").unlink()
    (folder / Tile(0, 0).path).write_bytes(bytes(8192))
    with pytest.raises(TamperError, match=r"tile/0/000 is of another log"):
        house.site.log.write_tiles(folder, AT_ONCE)
    assert (folder / Tile(0, 0).path).read_bytes() == bytes(8192)


@pytest.mark.parametrize("leaves", [0, 3, 9])
def test_a_folder_that_a_copy_of_the_site_does_not_continue_is_kept(
    house: House, folder: Path, tmp_path: Path, leaves: int
) -> None:
    shutil.copytree(house.site.home, tmp_path / "copy")
    grow(house, 5)
    house.site.log.write_tiles(folder, AT_ONCE)
    before = files(folder)
    older = House.copied(tmp_path / "copy", tmp_path / "older")
    older.bits.seed(leaves)  # other salts than the site's, so that a longer copy is a fork
    grow(older, leaves)
    with older.site, pytest.raises(TamperError, match="does not continue; keep the folder as evidence"):
        older.site.log.write_tiles(folder, AT_ONCE)
    assert files(folder) == before


def test_a_folder_of_another_site_is_refused(house: House, folder: Path) -> None:
    folder.mkdir(parents=True)
    vectors = Path(__file__).parents[2] / "vectors"
    last = (vectors / "worked_log.jsonl").read_text("utf-8").splitlines()[-1]
    (folder / "checkpoint").write_text(json.loads(last)["checkpoint"], "utf-8")
    with pytest.raises(TamperError, match="none by the log's key"):
        house.site.log.write_tiles(folder, AT_ONCE)
