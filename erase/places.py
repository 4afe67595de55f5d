"""Where an erasure looks for what is left: every file below the home, and the galleries of this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from volens.consent import ErasureIncompleteError
from volens.erase.needles import Hit, Needles
from volens.index import Galleries

RESUME: Final = "volens erase resume"
IN_MEMORY: Final = "the gallery in memory"
_NAMED: Final = 40
Place = dict[str, str | int]


@final
@dataclass(frozen=True, slots=True)
class Searched:
    """What one pass over all places came to.

    Attributes:
        hits: what was found, and where.
        places: name and size of each file at the top of the home, of each folder with its number of files, and of each
            gallery in memory.
        size_bytes: how much was read.
    """

    hits: Sequence[Hit]
    places: Sequence[Place]

    @property
    def size_bytes(self) -> int:
        """How much was read."""
        return sum(int(place["size_bytes"]) for place in self.places)


def search_places(needles: Needles, home: Path, galleries: Galleries) -> Searched:
    """Read every file below the home once, hidden ones too, and search it for all needles; then the galleries.

    Raises:
        ErasureIncompleteError: a file cannot be read.

    Not searched: what a link leads to outside the home if it is a folder; inside of compressed files.
    """
    hits: list[Hit] = []
    files: list[Place] = []
    # Folder by folder: a line for every certificate would outgrow the certificate after some hundred erasures.
    folders: dict[str, tuple[int, int]] = {}
    for path in sorted(one for one in home.rglob("*") if one.is_file()):
        where = path.relative_to(home).as_posix()
        try:
            hits += needles.search_file(path, where)
            size_bytes = path.stat().st_size
        except FileNotFoundError:
            continue  # another process took it away meanwhile
        except OSError as error:
            raise ErasureIncompleteError(
                f"cannot search {where}: {error.strerror}; make it readable or remove it, then run '{RESUME}'"
            ) from None
        folder, inside, _ = where.partition("/")
        if not inside and len(files) < _NAMED:
            files.append({"name": where, "size_bytes": size_bytes})
        else:
            name = f"{folder}/" if inside else "other files"
            count, total_bytes = folders.get(name, (0, 0))
            folders[name] = (count + 1, total_bytes + size_bytes)
    files += [
        {"name": name, "files": count, "size_bytes": total_bytes} for name, (count, total_bytes) in folders.items()
    ]
    for gallery in galleries.built():
        for buffer in gallery.engine.buffers():
            hits += needles.search(buffer, IN_MEMORY)
            files.append({"name": IN_MEMORY, "size_bytes": len(buffer)})
    return Searched(hits, files)
