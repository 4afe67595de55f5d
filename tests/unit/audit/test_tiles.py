"""Tiles (C2SP tlog-tiles): their places, the nodes that they give, and two checkpoints compared from tiles alone."""

from collections.abc import Callable

import pytest

from tests.unit.audit.logs import MemoryLog, numbered, rfc_root
from volens.audit import Checkpoint, empty_root, inclusion_proof, root
from volens.audit.tiles import TILE_WIDTH, Tile, TileReader, new_tiles, nodes_of_tiles, verify_tiles
from volens.consent import TamperError

LARGEST = 70_000
"""The example of the specification: full and partial tiles on three levels."""

LOG = MemoryLog(numbered(LARGEST))
FORK = MemoryLog([*numbered(299), b"another", *numbered(1000)[300:]])
ORIGIN = "volens.example/front-door"


def head(size: int, log: MemoryLog = LOG) -> Checkpoint:
    return Checkpoint(ORIGIN, size, root(size, log) if size else empty_root())


def reader(log: MemoryLog = LOG, seen: list[Tile] | None = None) -> TileReader:
    def read(tile: Tile) -> bytes:
        if seen is not None:
            seen.append(tile)
        first = tile.index * TILE_WIDTH
        return b"".join(log.nodes[8 * tile.level, at] for at in range(first, first + tile.width))

    return read


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1_234_067), "tile/0/x001/x234/067"),
        (Tile(3, 1000, 5), "tile/3/x001/000.p/5"),
        (Tile(7, 999, 255), "tile/7/999.p/255"),
    ],
)
def test_the_path_of_a_tile_has_groups_of_three_digits(tile: Tile, path: str) -> None:
    assert tile.path == path


def test_a_log_of_70000_leaves_has_the_tiles_of_the_specification() -> None:
    tiles = list(new_tiles(0, LARGEST))
    assert [one for one in tiles if one.width == TILE_WIDTH] == [*(Tile(0, n) for n in range(273)), Tile(1, 0)]
    assert [one for one in tiles if one.width < TILE_WIDTH] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(new_tiles(0, 256)) == [Tile(0, 0), Tile(1, 0, 1)]
    assert list(new_tiles(0, 0)) == list(new_tiles(LARGEST, LARGEST)) == []


@pytest.mark.parametrize(("old", "new"), [(0, 1), (1, 255), (255, 256), (256, 257), (65_535, 65_537), (600, 70_000)])
def test_tiles_of_two_runs_are_those_of_one_but_for_partial_ones(old: int, new: int) -> None:
    parts = {one for size in ((0, old), (old, new)) for one in new_tiles(*size)}
    assert set(new_tiles(0, new)) <= parts
    assert all(one.width < TILE_WIDTH for one in parts - set(new_tiles(0, new)))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 513, 65_536, 66_000, LARGEST])
def test_tiles_give_the_root_and_every_proof_of_a_log(size: int) -> None:
    read = nodes_of_tiles(size, reader())
    assert root(size, read) == root(size, LOG)
    for index in {0, size // 2, size - 1}:
        assert inclusion_proof(index, size, read) == inclusion_proof(index, size, LOG)


def test_the_root_from_tiles_is_the_one_of_the_rfc() -> None:
    assert root(600, nodes_of_tiles(600, reader())) == rfc_root(numbered(600))


@pytest.mark.parametrize(("old", "new"), [(0, 5), (5, 5), (1, 2), (256, 257), (300, 1000), (65_536, LARGEST)])
def test_two_checkpoints_of_one_log_are_consistent_by_its_tiles(old: int, new: int) -> None:
    seen = list[Tile]()
    verify_tiles(head(old), head(new), reader(seen=seen))
    assert len(seen) == len(set(seen)) <= 8, "it reads tiles by the logarithm of the size, each once"


@pytest.mark.parametrize(
    ("old", "new", "tiles", "words"),
    [
        (head(300, FORK), head(1000), reader(), "the first 300 entries of the log are not those"),
        (head(1000), head(300), reader(), "the log has 300 entries and had 1000"),
        (head(200), head(1000), reader(FORK), "the tiles are not those of the checkpoint"),
        (head(200), head(1000), lambda tile: reader()(tile)[:-32], "has 7392 bytes; get the tiles again"),
        (Checkpoint("another.example", 0, empty_root()), head(5), reader(), "of different logs"),
    ],
)
def test_a_fork_a_rollback_and_changed_tiles_are_refused(
    old: Checkpoint, new: Checkpoint, tiles: Callable[[Tile], bytes], words: str
) -> None:
    with pytest.raises(TamperError, match=words):
        verify_tiles(old, new, tiles)
