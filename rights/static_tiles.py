"""The public audit log as static files, for any web server: checkpoint, site.pub and tiles (C2SP tlog-tiles).

A run writes only the tiles that the folder lacks, each atomically, and the checkpoint last: a reader never sees a
checkpoint whose tiles are missing, and a run that was killed goes on where it stopped. Partial tiles of earlier
checkpoints stay, because a reader may have one of these checkpoints.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final, final

from volens.audit import MAX_NOTE_BYTES, Checkpoint, VerifierKey, empty_root, open_checkpoint
from volens.audit.tiles import TILE_WIDTH, Tile, new_tiles
from volens.audit.tree import HASH_BYTES
from volens.consent import InputError, TamperError
from volens.rights.public_log import PublicLog
from volens.store.files import make_public_folder, read_private, read_small_file, write_public, write_public_files

CHECKPOINT_FILE: Final = "checkpoint"
KEY_FILE: Final = "site.pub"
_BATCH: Final = 256
_TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES


@final
@dataclass(frozen=True, slots=True)
class WrittenTiles:
    """The result of a run: the checkpoint that the folder has now, and how many tiles were written for it."""

    head: Checkpoint
    tiles: int


def write_tiles(public: PublicLog, key: VerifierKey, folder: Path) -> WrittenTiles:
    """Bring a folder up to date with the public log; make it if it is not there.

    1. The folder is empty or new, or has a checkpoint that the log continues, or tiles of a run that was killed.
    2. Write the tiles that a log of the folder's size does not have; a tile that is there must be the same.
    3. Write the site's public keys, then the checkpoint.

    A folder that is ahead, because it was published more often before, stays as it is.

    Raises:
        InputError: the folder holds something else.
        TamperError: its checkpoint is of another site, or of a log that this one does not continue.
        UnavailableError: the disk refuses.
    """
    # 1.
    note = public.checkpoint()
    head = open_checkpoint(note, key)
    old = _published(public, key, folder)
    if old.size > head.size:
        return WrittenTiles(old, 0)
    make_public_folder(folder)
    # 2.
    written = sum(_write_missing(public, folder, batch) for batch in _batches(new_tiles(old.size, head.size)))
    # 3.
    write_public(folder / KEY_FILE, key.text().encode("utf-8"), replace=True)
    write_public(folder / CHECKPOINT_FILE, note.encode("utf-8"), replace=True)
    return WrittenTiles(head, written)


def read_tile(folder: Path, tile: Tile) -> bytes:
    """Read a tile from such a folder; a `TileReader`. Of a partial tile that is gone, the full one is read.

    Raises:
        InputError: it is missing or unreadable.
    """
    path, full = folder / tile.path, folder / Tile(tile.level, tile.index).path
    if not path.exists() and full.exists():
        return read_small_file(full, "tile", _TILE_BYTES)[: tile.width * HASH_BYTES]
    return read_small_file(path, "tile", _TILE_BYTES, "copy the whole folder again")


def _published(public: PublicLog, key: VerifierKey, folder: Path) -> Checkpoint:
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        if folder.exists() and {one.name for one in folder.iterdir()} - {"tile", KEY_FILE}:
            raise InputError(f"{folder} has other files; name a folder of its own for the tiles")
        return Checkpoint(key.name, 0, empty_root())
    try:
        old = open_checkpoint(read_private(path, MAX_NOTE_BYTES).decode("utf-8"), key)
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a checkpoint; name a folder of its own for the tiles") from None
    if public.root_at(old.size) != old.root:
        raise TamperError(
            f"integrity: {folder} has tiles of a log of {old.size} entries that the log of this site does not "
            "continue; keep the folder as evidence, find out why, and publish into a new one"
        )
    return old


def _batches(tiles: Iterable[Tile]) -> Iterator[list[Tile]]:
    """Group tiles that are in one folder, so that they are synced together."""
    for _, group in groupby(tiles, key=lambda tile: (Path(tile.path).parent, tile.index // _BATCH)):
        yield list(group)


def _write_missing(public: PublicLog, folder: Path, tiles: list[Tile]) -> int:
    missing = {}
    for tile in tiles:
        path, data = folder / tile.path, public.tile(tile.level, tile.index, tile.width)
        if not path.exists():
            missing[path.name] = data
        elif read_private(path, len(data)) != data:
            raise TamperError(f"integrity: {path} is of another log; find out why, and publish into a new folder")
    if missing:
        parent = (folder / tiles[0].path).parent
        make_public_folder(parent)
        write_public_files(parent, missing)
    return len(missing)
