"""The search of an erasure: every file below the home, every place of the databases, the galleries of this process."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, final

from volens.consent import ErasureIncompleteError, UnavailableError
from volens.erase.needles import Hit
from volens.index import Installation
from volens.store import Place, Store
from volens.store.files import FilePlace, check_home_entry

RESUME: Final = "volens erase resume"
IN_MEMORY: Final = "the gallery in memory"
_NAMED: Final = 40
SearchedPlace = dict[str, str | int]


class Searcher(Protocol):
    """Searches for something; the haystacks are only read."""

    def search(self, haystack: memoryview, where: str) -> list[Hit]:
        """Return what is found in a buffer."""
        ...

    def search_place(self, place: Place) -> list[Hit]:
        """Return what is found in a place; OSError if it cannot be read."""
        ...


@final
@dataclass(frozen=True, slots=True)
class Searched:
    """The result of one pass over all places.

    Attributes:
        hits: what was found, and where.
        places: name and size of each file at the top of the home and of each other place of a database, of each folder
            with its number of files, and of each gallery in memory.
    """

    hits: Sequence[Hit]
    places: Sequence[SearchedPlace]


def scrub(store: Store) -> None:
    """Remove what is left of deleted rows from both databases and from the memory of this process.

    Raises:
        ErasureIncompleteError: another process reads a database; bytes of deleted rows may be left in it.
    """
    scrubbed = store.scrub()
    if not scrubbed.complete:
        raise ErasureIncompleteError(f"matching has stopped, but {scrubbed.obstacle}; run '{RESUME}' when it is done")


def search_places(searcher: Searcher, installation: Installation) -> Searched:
    """Read every place once and search it: hidden files below the home too; then the galleries.

    Raises:
        ErasureIncompleteError: a place cannot be read, or a link below the home leads to a folder.

    Not searched: inside of compressed files.
    """
    home = installation.home
    hits: list[Hit] = []
    named: list[SearchedPlace] = []
    # Folder by folder: a line for every certificate would outgrow the certificate after some hundred erasures.
    folders: dict[str, tuple[int, int]] = {}
    for place in _places(installation.store, home):
        try:
            hits += searcher.search_place(place)
            size_bytes = place.size_bytes()
        except FileNotFoundError:
            continue  # another process removed it in the meantime
        except OSError as error:
            raise ErasureIncompleteError(
                f"cannot search {place.name}: {error.strerror}; make it readable or remove it, then run '{RESUME}'"
            ) from None
        folder, inside, _ = place.name.partition("/")
        if not inside and len(named) < _NAMED:
            named.append({"name": place.name, "size_bytes": size_bytes})
        else:
            name = f"{folder}/" if inside else "other files"
            count, total_bytes = folders.get(name, (0, 0))
            folders[name] = (count + 1, total_bytes + size_bytes)
    named += [
        {"name": name, "files": count, "size_bytes": total_bytes} for name, (count, total_bytes) in folders.items()
    ]
    for gallery in installation.galleries.built().values():
        for buffer in gallery.engine.buffers():
            hits += searcher.search(buffer, IN_MEMORY)
            named.append({"name": IN_MEMORY, "size_bytes": len(buffer)})
    return Searched(hits, named)


def _places(store: Store, home: Path) -> list[Place]:
    """Return the files below the home, and the places of the databases that are not among them."""
    below = sorted(home.rglob("*"))
    try:
        for one in below:
            check_home_entry(one, home)
    except UnavailableError as error:
        raise ErasureIncompleteError(f"cannot search the whole home: {error}; then run '{RESUME}'") from None
    files = [FilePlace(one, one.relative_to(home).as_posix()) for one in below if one.is_file()]
    known = {one.path.absolute() for one in files}
    return [
        *files,
        *(one for one in store.places() if not isinstance(one, FilePlace) or one.path.absolute() not in known),
    ]
