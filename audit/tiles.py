"""Tiles of the audit log: the hashes of the Merkle tree in files that never change (C2SP tlog-tiles).

A full tile is 256 hashes of one level, which is every eighth level of `volens.audit.tree`; the last tile of a level may
be partial. With a checkpoint and the tiles a reader computes every root and every proof without help of the log. Entry
bundles, the leaves themselves, are not part of this: a leaf shows kind and time of an event (docs/adr/0039).

Source: c2sp.org/tlog-tiles.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias, final

from volens.audit.checkpoint import Checkpoint
from volens.audit.tree import HASH_BYTES, NodeReader, consistency_proof, node_hash, root, verify_consistency
from volens.consent import TamperError

TILE_WIDTH: Final = 256
"""Hashes in a full tile; a tile spans 8 levels of the tree."""

TILE_LEVELS: Final = 8
MAX_LEVEL: Final = 7
"""No log of at most 2**63 - 1 leaves has a tile of a higher level."""

_DIGITS: Final = 1000


@final
@dataclass(frozen=True, slots=True)
class Tile:
    """The place of a tile: its level, its index within the level, and how many hashes it has, 1 to 256."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the prefix of the log, such as ``tile/0/x001/x234/067.p/5``."""
        rest, last = divmod(self.index, _DIGITS)
        parts = [f"{last:03}"]
        while rest:
            rest, digits = divmod(rest, _DIGITS)
            parts.insert(0, f"x{digits:03}")
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{self.level}/{'/'.join(parts)}{partial}"


TileReader: TypeAlias = Callable[[Tile], bytes]
"""Returns the content of a tile, 32 bytes for each hash; called only for tiles that a log of the given size has."""


def hashes_of_level(size: int, level: int) -> int:
    """Return how many hashes the tiles of a level have together, in a log of `size` leaves."""
    return size >> (TILE_LEVELS * level) if 0 <= level <= MAX_LEVEL else 0


def new_tiles(old_size: int, size: int) -> Iterator[Tile]:
    """Yield the tiles of a log of `size` leaves that a log of `old_size` leaves does not have, level by level.

    They grow with what is new, not with the log.
    """
    for level in range(MAX_LEVEL + 1):
        before, now = hashes_of_level(old_size, level), hashes_of_level(size, level)
        if now == before:
            return
        for index in range(before // TILE_WIDTH, -(-now // TILE_WIDTH)):
            yield Tile(level, index, min(TILE_WIDTH, now - index * TILE_WIDTH))


def nodes_of_tiles(size: int, read_tile: TileReader) -> NodeReader:
    """Return a function that computes the nodes of a log of `size` leaves from its tiles; each tile is read once.

    Raises (when a node is read):
        TamperError: a tile has another length than its place says.
    """
    read_once = cache(read_tile)

    def read(level: int, index: int, /) -> bytes:
        tile_level, height = divmod(level, TILE_LEVELS)
        first = index << height
        number, offset = divmod(first, TILE_WIDTH)
        width = min(TILE_WIDTH, hashes_of_level(size, tile_level) - number * TILE_WIDTH)
        tile = Tile(tile_level, number, width)
        content = read_once(tile)
        if len(content) != width * HASH_BYTES:
            raise TamperError(f"integrity: the tile {tile.path} has {len(content)} bytes; get the tiles again")
        hashes = [content[at : at + HASH_BYTES] for at in range(offset * HASH_BYTES, len(content), HASH_BYTES)]
        hashes = hashes[: 1 << height]
        while len(hashes) > 1:
            hashes = [node_hash(left, right) for left, right in zip(hashes[::2], hashes[1::2], strict=True)]
        return hashes[0]

    return read


def verify_tiles(old: Checkpoint, new: Checkpoint, read_tile: TileReader) -> None:
    """Verify from tiles alone that the log of `old` is the beginning of the log of `new`.

    1. Both checkpoints are of one log, and the newer one is not shorter.
    2. The tiles have the root of the newer checkpoint.
    3. The consistency proof that the tiles give holds for both roots (RFC 9162 section 2.1.4.2).

    The signatures of both checkpoints are verified before, with a key that the caller pins.
    Reads O(log size) tiles, whatever lies between the two.

    Raises:
        TamperError: 1, 2 or 3 does not hold: other tiles, a log that was rolled back, or a fork.
    """
    # 1.
    if old.origin != new.origin:
        raise TamperError("integrity: the two checkpoints are of different logs; use checkpoints of one site")
    if old.size > new.size:
        raise TamperError(
            f"integrity: the log has {new.size} entries and had {old.size} at the earlier checkpoint; it was rolled "
            "back; get the newest, and ask the site for the reason"
        )
    # 2.
    read = nodes_of_tiles(new.size, read_tile)
    if root(new.size, read) != new.root:
        raise TamperError(
            "integrity: the tiles are not those of the checkpoint; get the checkpoint and the tiles again"
        )
    # 3.
    try:
        verify_consistency(old.size, new.size, consistency_proof(old.size, new.size, read), old.root, new.root)
    except TamperError:
        raise TamperError(
            f"integrity: the first {old.size} entries of the log are not those of the earlier checkpoint; the site "
            "shows two different logs: keep both checkpoints, they prove it"
        ) from None
