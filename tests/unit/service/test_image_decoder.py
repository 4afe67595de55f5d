"""The decoding process: the same result as here, no bytes that stay, and an end that the service survives."""

import mmap
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S
from PIL import Image

from volens.face import EncodedImage, ImageError, RgbImage, decode
from volens.face.image_formats import NETWORK_FORMATS
from volens.face.pixel_budget import DOOR_FRAME, ENROLLMENT_PHOTO, PixelBudget
from volens.service.process.image_decoder import ImageDecoder

ORIENTATION = 0x0112


def picture(width: int, height: int) -> Image.Image:
    """Return noise that every format keeps well: small, and enlarged."""
    noise = np.random.default_rng(1).integers(0, 256, (height // 50, width // 50, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    out = BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return saved(image, "JPEG", exif=exif)


@cache
def huge() -> bytes:
    """Return a JPEG of nearly as many pixels as an image may have, which is decoded at half its size."""
    return saved(picture(6300, 6300), "JPEG", quality=70, progressive=True)


@cache
def large() -> bytes:
    """Return a JPEG that is just large enough for the process."""
    return saved(picture(2500, 2000), "JPEG")


@pytest.fixture
def decoder() -> Iterator[ImageDecoder]:
    decoder = ImageDecoder()
    yield decoder
    decoder.close()


def photo(data: bytes, decoder: ImageDecoder, budget: PixelBudget = ENROLLMENT_PHOTO) -> EncodedImage:
    return EncodedImage(data, "photo 2", NETWORK_FORMATS, budget, decoder.decode)


@pytest.mark.parametrize(
    ("make", "budget", "reduced_by"),
    [
        pytest.param(large, ENROLLMENT_PHOTO, 1, id="JPEG"),
        pytest.param(huge, ENROLLMENT_PHOTO, 2, id="progressive JPEG of 40 million pixels"),
        pytest.param(huge, DOOR_FRAME, 2, id="the same as a frame of a door"),
        pytest.param(
            lambda: turned(picture(2500, 2000), 6), ENROLLMENT_PHOTO, 1, id="JPEG that is turned by its metadata"
        ),
        pytest.param(lambda: saved(picture(2500, 2000).convert("L"), "JPEG"), ENROLLMENT_PHOTO, 1, id="grey JPEG"),
        pytest.param(
            lambda: saved(picture(2500, 2000).convert("RGBA"), "PNG"), ENROLLMENT_PHOTO, 1, id="PNG with alpha"
        ),
        pytest.param(
            lambda: saved(picture(2500, 2000).convert("P"), "PNG"), ENROLLMENT_PHOTO, 1, id="PNG with a palette"
        ),
        pytest.param(lambda: saved(picture(2500, 2000), "WEBP"), ENROLLMENT_PHOTO, 1, id="WebP"),
    ],
)
def test_a_large_image_is_decoded_as_it_would_be_in_the_service(
    make: Callable[[], bytes], budget: PixelBudget, reduced_by: int, decoder: ImageDecoder
) -> None:
    data = make()
    there, here = photo(data, decoder, budget).decode(), decode(data, "photo 2", NETWORK_FORMATS, budget)
    assert decoder.pid is not None
    assert (there.reduced_by, here.reduced_by) == (reduced_by, reduced_by)
    assert np.array_equal(there.pixels, here.pixels)
    assert not there.pixels.flags.writeable


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: large()[: len(large()) // 2], id="truncated"),
        pytest.param(lambda: saved(picture(2500, 2000).convert("CMYK"), "JPEG"), id="CMYK without a profile"),
        pytest.param(lambda: saved(Image.new("L", (7000, 7000)), "PNG"), id="too many pixels"),
        pytest.param(bytes, id="empty"),
        pytest.param(lambda: b"GIF89a", id="another format"),
    ],
)
def test_an_image_is_refused_with_the_sentence_of_the_service(make: Callable[[], bytes], decoder: ImageDecoder) -> None:
    data = make()
    with pytest.raises(ImageError) as here:
        decode(data, "photo 2", NETWORK_FORMATS, ENROLLMENT_PHOTO)
    with pytest.raises(ImageError) as there:
        photo(data, decoder).decode()
    assert str(there.value) == str(here.value)
    assert photo(large(), decoder).decode().width == 2500


def test_an_ordinary_frame_starts_no_process(decoder: ImageDecoder) -> None:
    assert photo(saved(picture(1920, 1080), "JPEG"), decoder, DOOR_FRAME).decode().width == 1920
    assert decoder.pid is None


def test_several_threads_share_one_process(decoder: ImageDecoder) -> None:
    views = [saved(picture(2500 + 50 * number, 2000), "JPEG") for number in range(4)]
    with ThreadPoolExecutor(4) as crowd:
        widths = [one.width for one in crowd.map(lambda view: photo(view, decoder).decode(), views)]
    assert widths == [2500, 2550, 2600, 2650]
    assert len(shared_memories()) == 1


def test_no_byte_of_an_image_stays_in_the_shared_memory(decoder: ImageDecoder) -> None:
    photo(large(), decoder).decode()
    assert written() == 0
    with pytest.raises(ImageError):
        photo(large()[: len(large()) // 2], decoder).decode()
    assert written() == 0


def test_pages_that_someone_still_maps_are_overwritten(decoder: ImageDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(large(), decoder).decode()
    # Without the return of the pages, so that only overwriting empties them.
    monkeypatch.setattr("volens.service.process.image_decoder._return_pages", lambda _: None)
    photo(large(), decoder).decode()
    assert written() > len(large())
    (memory,) = shared_memories()
    with memory.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        assert not np.frombuffer(view, np.uint8).any()


@pytest.mark.parametrize("killed", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_dies_costs_one_image(decoder: ImageDecoder, killed: signal.Signals) -> None:
    photo(large(), decoder).decode()
    first = decoder.pid
    assert first is not None
    with stopped_with(decoder) as held:
        assert written() > 0
        os.kill(first, killed)
        os.kill(first, signal.SIGCONT)
        with pytest.raises(ImageError, match=r"photo 2 could not be decoded .* take it again"):
            held.result(PATIENCE_S)
    assert shared_memories() == []
    assert photo(large(), decoder).decode().width == 2500
    assert decoder.pid not in {None, first}


def test_a_process_that_hangs_is_killed_and_costs_one_image() -> None:
    decoder = ImageDecoder(timeout_s=PATIENCE_S)
    photo(large(), decoder).decode()
    first = decoder.pid
    assert first is not None
    os.kill(first, signal.SIGSTOP)
    decoder.timeout_s = 0.2
    with pytest.raises(ImageError, match=r"photo 2 could not be decoded .* take it again"):
        photo(large(), decoder).decode()
    assert has_ended(first)
    decoder.timeout_s = PATIENCE_S
    assert photo(large(), decoder).decode().width == 2500
    decoder.close()


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        pytest.param(resource.RLIMIT_CPU, 1, id="processor time"),
        pytest.param(resource.RLIMIT_AS, 1 << 26, id="memory"),
    ],
)
def test_an_image_that_takes_too_much_ends_no_service(decoder: ImageDecoder, limit: int, most: int) -> None:
    photo(large(), decoder).decode()
    assert decoder.pid is not None
    resource.prlimit(decoder.pid, limit, (most, most))
    with pytest.raises(ImageError):
        decode_often(decoder)
    assert photo(saved(picture(640, 480), "JPEG"), decoder).decode().width == 640


def decode_often(decoder: ImageDecoder) -> None:
    for _ in range(100):
        photo(large(), decoder).decode()


def test_the_process_yields_to_others_and_can_open_nothing(decoder: ImageDecoder) -> None:
    photo(large(), decoder).decode()
    assert decoder.pid is not None
    assert os.sched_getscheduler(decoder.pid) == os.SCHED_IDLE
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        assert resource.prlimit(decoder.pid, limit) == (0, 0)
    assert resource.prlimit(decoder.pid, resource.RLIMIT_AS)[1] != resource.RLIM_INFINITY


def test_the_process_cannot_make_the_shared_memory_smaller(decoder: ImageDecoder) -> None:
    photo(large(), decoder).decode()
    (memory,) = shared_memories()
    with memory.open("r+b") as file, pytest.raises(PermissionError):
        file.truncate(0)


def test_the_process_ends_with_a_service_that_is_killed() -> None:
    program = (
        "import sys; from volens.service.process.image_decoder import *; d = ImageDecoder(); "
        "d.decode(sys.stdin.buffer.read(), 'it', NETWORK_FORMATS, BUDGETS[0]); print(d.pid, flush=True); "
        "import time; time.sleep(1000)"
    )
    service = subprocess.Popen(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert service.stdin is not None
    assert service.stdout is not None
    service.stdin.write(large())
    service.stdin.close()
    pid = int(service.stdout.readline())
    os.kill(pid, signal.SIGTERM)  # systemd sends it to all processes of a service; this one finishes its work
    assert not has_ended(pid, within_s=0.2)
    service.kill()
    service.wait()
    service.stdout.close()
    assert has_ended(pid)


def test_closing_ends_the_process_and_returns_the_memory(decoder: ImageDecoder) -> None:
    photo(large(), decoder).decode()
    pid = decoder.pid
    assert pid is not None
    decoder.close()
    assert has_ended(pid)
    assert shared_memories() == []


class stopped_with:  # noqa: N801  a context manager
    """Decode in a thread while the process is stopped; the image is in the shared memory, and never answered."""

    def __init__(self, decoder: ImageDecoder) -> None:
        assert decoder.pid is not None
        os.kill(decoder.pid, signal.SIGSTOP)
        self._crowd = ThreadPoolExecutor(1)
        self._held = self._crowd.submit(photo(large(), decoder).decode)

    def __enter__(self) -> "Future[RgbImage]":
        wait_until(lambda: written() > 0)
        return self._held

    def __exit__(self, *_: object) -> None:
        self._crowd.shutdown()


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


def shared_memories() -> list[Path]:
    """Return the shared memories that this process has open."""
    found = {}
    for one in Path("/proc/self/fd").iterdir():
        try:
            if str(one.readlink()).startswith("/memfd:image"):
                found[one.stat().st_ino] = one
        except OSError:  # closed meanwhile
            continue
    return list(found.values())


def written() -> int:
    """Return how many bytes of the shared memory take up pages."""
    return sum(one.stat().st_blocks * 512 for one in shared_memories())


def has_ended(pid: int, within_s: float = PATIENCE_S) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False
