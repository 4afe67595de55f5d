"""Sample photos for the demo and the tests: downloaded like the models, checked by hash, cached next to the models.

The astronaut is Eileen Collins in a NASA portrait (public domain). The group is a publicity photo that comes with
InsightFace: it is used as a sample on this machine only, and must not be published. Neither is part of Volens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from volens.consent import UnavailableError
from volens.face import RgbImage, decode
from volens.face.downloads import Download, Downloader, Source, cache_folder, describe, replace_file


@dataclass(frozen=True, slots=True)
class SamplePhoto(Download):
    """One photo in a wheel of the package registry.

    Attributes:
        origin: what it shows and whose it is, for people who see it.
    """

    origin: str


ASTRONAUT: Final = SamplePhoto(
    name="astronaut.png",
    sha256="88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    wheel="scikit-image==0.26.0",
    member="skimage/data/astronaut.png",
    url="https://gitlab.com/scikit-image/data/-/raw/5c090b56df3988d988ff97928e2ef2d2cbe38e1b/astronaut.png",
    origin="Eileen Collins, NASA portrait, public domain, from scikit-image",
)
GROUP: Final = SamplePhoto(
    name="t1.jpg",
    sha256="47f682e945b659f93a9e490b9c9c4a2a864abe64dace9e1a2893845ddfd69489",
    wheel="insightface==2.1",
    member="insightface/data/images/t1.jpg",
    url="https://raw.githubusercontent.com/deepinsight/insightface/c42cc3ea77235d3004f135cce4f3cb2896ceeb17"
    "/python-package/insightface/data/images/t1.jpg",
    origin="a group of six, publicity photo from InsightFace: a sample for this machine only, do not publish it",
)
PHOTOS: Final = (ASTRONAUT, GROUP)

# (degrees turned, brightness factor, scale): differences between photos of one person at a desk.
_VIEWS: Final = ((0, 1.0, 1.0), (4, 1.1, 0.9), (-4, 0.9, 1.1), (3, 1.05, 0.85), (-6, 0.95, 1.2))
_MARGIN: Final = 0.8


class SampleCache:
    """Sample photos on this machine, in the folder ``samples`` of the model cache."""

    def __init__(
        self, folder: Path, *, photos: Sequence[SamplePhoto] = PHOTOS, downloader: Downloader | None = None
    ) -> None:
        """Use a folder, which need not exist yet; `downloader` is an argument so that tests need no network."""
        self.folder = folder
        self._photos = photos
        self._downloader = downloader or Downloader()

    def pull(self, source: Source = "registry", progress: Callable[[str], None] | None = None) -> None:
        """Download and check the photos that are missing or changed; nothing is downloaded if all are present.

        Raises:
            DownloadHashError: a file is not the one that the catalogue names; nothing of it is kept.
            DownloadError: the source cannot be reached or lacks all missing photos.
            UnavailableError: the folder cannot be written.
        """
        wanted = [photo for photo in self._photos if self._cached(photo) is None]
        if not wanted:
            return
        if progress is not None:
            progress(f"fetching {len(wanted)} of {len(self._photos)} sample photos from {describe(source)}")
        for name, data in self._downloader.fetch(wanted, source).items():
            try:
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(self.folder / name, data)
            except OSError as error:
                raise UnavailableError(
                    f"cannot write the sample photos to {self.folder} ({type(error).__name__}); "
                    "make it writable or set VOLENS_MODELS to another folder"
                ) from error

    def read(self, photo: SamplePhoto) -> RgbImage:
        """Return a photo, and download it from the registry first if it is missing or changed.

        Raises:
            DownloadHashError: the downloaded file is not the one that the catalogue names.
            DownloadError: the registry cannot be reached or lacks it.
        """
        data = self._cached(photo)
        if data is None:
            self.pull()
            data = (self.folder / photo.name).read_bytes()
        return decode(data, photo.name)

    def _cached(self, photo: SamplePhoto) -> bytes | None:
        try:
            data = (self.folder / photo.name).read_bytes()
        except OSError:
            return None
        return data if sha256(data).hexdigest() == photo.sha256 else None


def default_cache() -> SampleCache:
    """Return the sample photos next to the default models."""
    return SampleCache(cache_folder() / "samples")


def astronaut() -> RgbImage:
    """Return one person, 512x512."""
    return default_cache().read(ASTRONAUT)


def group() -> RgbImage:
    """Return six people, 1280x886."""
    return default_cache().read(GROUP)


def views(image: RgbImage, count: int) -> list[RgbImage]:
    """Return a photo in up to five variants: slightly turned, brighter or darker, larger or smaller."""
    picture = Image.fromarray(image.pixels)
    variants = []
    for turn_degrees, gain, scale in _VIEWS[:count]:
        size = (round(picture.width * scale), round(picture.height * scale))
        turned = picture.resize(size).rotate(turn_degrees, Image.Resampling.BICUBIC)
        variants.append(RgbImage(np.clip(np.asarray(turned) * gain, 0, 255).astype(np.uint8)))
    return variants


def around(image: RgbImage, box: Sequence[float]) -> RgbImage:
    """Return the part of a photo around a face's box (x, y, width, height)."""
    x, y, width, height = box
    left, top = max(0, round(x - _MARGIN * width)), max(0, round(y - _MARGIN * height))
    right, bottom = round(x + (1 + _MARGIN) * width), round(y + (1 + _MARGIN) * height)
    return RgbImage(np.ascontiguousarray(image.pixels[top:bottom, left:right]))
