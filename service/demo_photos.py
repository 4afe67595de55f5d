"""Writes the demo's photos to a folder, to try other commands and the pages with them."""

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from volens.consent import UnavailableError
from volens.face.downloads import Source
from volens.service import samples
from volens.service.drawing import write_png


def write_photos(
    folder: Path, source: Source = "registry", progress: Callable[[str], None] | None = None
) -> list[Path]:
    """Write the demo photos, to try other commands; existing files are replaced.

    Raises:
        DownloadError: a photo cannot be downloaded.
        UnavailableError: the disk refuses.
    """
    make_folder(folder)
    samples.default_cache().pull(source, progress)
    *photos, door = samples.views(samples.astronaut(), 4)
    named = {f"ada-{number}.png": photo for number, photo in enumerate(photos, start=1)}
    named |= {"ada-door.png": door, "group.png": samples.strangers()}
    for name, photo in named.items():
        write_png(Image.fromarray(photo.pixels), folder / name)
    return [folder / name for name in named]


def make_folder(folder: Path) -> None:
    """Create a folder, if there is none.

    Raises:
        UnavailableError: the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"cannot create {folder}: {error.strerror}; check the disk and the permissions"
        ) from None
