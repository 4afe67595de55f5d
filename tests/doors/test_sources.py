"""Where frames come from: a folder that others write to, a video, cameras that come and go, and their addresses."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.doors.conftest import Heard, picture, until
from volens.consent import InputError
from volens.face import ImageError, RgbImage
from volens.service.door import watched_folder as folder_module
from volens.service.door.door_events import SourceBroken, SourceEnded, SourceWell, Unusable
from volens.service.door.frame_queue import MAX_TRIES, Frame, Frames
from volens.service.door.frame_sources import Camera, Source, Video, camera_address, started
from volens.service.door.watched_folder import Folder

ROOT = Path(__file__).parents[2]
START = Callable[[Source], Frames]


def png(shade: int) -> bytes:
    out = BytesIO()
    Image.fromarray(picture(shade).pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def start(heard: Heard) -> Iterator[Callable[[Source], Frames]]:
    stopped, threads = threading.Event(), list[threading.Thread]()

    def begin(source: Source) -> Frames:
        frames = Frames()
        threads.append(started(source, frames, heard, stopped))
        return frames

    yield begin
    stopped.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def shades(frames: Frames, count: int) -> list[int]:
    """Look at so many frames, and return how bright they are."""
    found: list[int] = []
    end = time.monotonic() + 20
    while len(found) < count and time.monotonic() < end:
        frame = frames.take(0.1)
        if frame is not None:
            found.append(int(frame.image.pixels[0, 0, 0]))
            frame.settle()
    return found


def test_images_of_a_folder_are_looked_at_once_the_oldest_first_and_left_there(
    tmp_path: Path, start: START, heard: Heard
) -> None:
    now = time.time()
    for shade, age in ((10, 3), (20, 9), (30, 6)):
        (tmp_path / f"{shade}.png").write_bytes(png(shade))
        os.utime(tmp_path / f"{shade}.png", (now - age, now - age))
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".40.png").write_bytes(png(40))
    frames = start(Folder(tmp_path))
    assert shades(frames, 3) == [20, 30, 10]
    (tmp_path / "50.jpg").write_bytes(png(50))
    assert shades(frames, 1) == [50]
    time.sleep(0.5)
    assert frames.take(0) is None
    assert len(list(tmp_path.iterdir())) == 6
    assert heard.of(SourceWell)


def test_images_are_deleted_after_they_were_looked_at_and_not_before_if_that_was_asked_for(
    tmp_path: Path, start: START
) -> None:
    file = tmp_path / "1.png"
    file.write_bytes(png(1))
    frames = start(Folder(tmp_path, consume=True))
    frame = None
    while frame is None:
        frame = frames.take(1)
    time.sleep(0.3)
    assert file.exists()
    frame.settle()
    until(lambda: not file.exists(), "the file is deleted")


def test_what_is_still_being_written_is_waited_for(tmp_path: Path, start: START, heard: Heard) -> None:
    whole = png(7)
    with (tmp_path / "7.png").open("wb") as file:
        file.write(whole[:40])
        file.flush()
        frames = start(Folder(tmp_path))
        time.sleep(0.8)  # it has stood still for long enough, and is no image
        assert frames.take(0) is None
        file.write(whole[40:])
    assert shades(frames, 1) == [7]
    assert not heard.of(Unusable)


def test_what_never_becomes_an_image_is_told_of_and_given_up(
    tmp_path: Path, start: START, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "INCOMPLETE_S", 0.5)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no")
    (tmp_path / "large.png").write_bytes(bytes(folder_module.MAX_FILE_BYTES + 1))
    (tmp_path / "good.png").write_bytes(png(9))
    frames = start(Folder(tmp_path, consume=True))
    assert shades(frames, 1) == [9]
    heard.wait_for(Unusable, 2)
    until(lambda: not list(tmp_path.iterdir()), "all are deleted")


def test_an_old_image_opens_no_door(tmp_path: Path, start: START, heard: Heard) -> None:
    file = tmp_path / "old\x1b[31m.png"
    file.write_bytes(png(5))
    os.utime(file, (time.time() - 60, time.time() - 60))
    frames = start(Folder(tmp_path, max_age_s=30, ends=True))
    heard.wait_for(SourceEnded)
    (told,) = heard.of(Unusable)
    assert isinstance(told, Unusable)
    assert "s old and was not looked at; see --max-age-s" in told.sentence
    assert "\x1b" not in told.sentence
    assert not frames.has_come


def test_a_folder_that_goes_away_is_told_of_once_and_used_when_it_is_back(
    tmp_path: Path, start: START, heard: Heard
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    frames = start(Folder(folder))
    heard.wait_for(SourceWell)
    folder.rmdir()
    heard.wait_for(SourceBroken)
    folder.mkdir()
    heard.wait_for(SourceWell, 2)
    (folder / "1.png").write_bytes(png(1))
    assert shades(frames, 1) == [1]
    assert len(heard.of(SourceBroken)) == 1


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check --folder"):
        Folder(tmp_path / "none")


def test_every_frame_of_a_video_is_looked_at_and_then_it_ends(tmp_path: Path, start: START, heard: Heard) -> None:
    file = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for number in range(20):
        writer.write(np.full((64, 64, 3), 10 * number, dtype=np.uint8))
    writer.release()
    frames = start(Video(file))
    found = shades(frames, 10)
    heard.wait_for(SourceEnded)
    assert len(found) == 10
    assert found == sorted(found)
    assert found[-1] > 150


def test_a_video_that_is_none_ends_the_door(tmp_path: Path, start: START, heard: Heard) -> None:
    from volens.service.door.door_events import Broken  # noqa: PLC0415  only here

    start(Video(tmp_path / "none.mp4"))
    (broken,) = heard.wait_for(Broken)
    assert isinstance(broken, Broken)
    assert "there is no video file" in str(broken.error)


def test_of_a_camera_only_the_newest_frame_waits_and_it_is_opened_again_when_it_breaks_off(
    start: START, heard: Heard
) -> None:
    opened = 0
    go_on = threading.Event()

    def open_camera() -> Iterator[tuple[str, RgbImage]]:
        nonlocal opened
        opened += 1
        if opened == 1:
            yield from ((f"{shade}", picture(shade)) for shade in range(5))
            raise ImageError("it delivers no frames")
        if opened == 2:
            raise ImageError("it cannot be opened")
        yield "9", picture(9)
        go_on.wait(20)

    frames = start(Camera(open_camera, chance=lambda: 0.0))
    heard.wait_for(SourceBroken)
    assert shades(frames, 1) == [4]
    heard.wait_for(SourceWell, 2)
    assert shades(frames, 1) == [9]
    assert len(heard.of(SourceBroken)) == 2
    go_on.set()


def test_a_frame_that_waited_too_long_or_was_handed_over_too_often_is_given_up() -> None:
    frames = Frames(max_age_s=0.0)
    frame = Frame(picture(), 0.0)
    frames.put(frame)
    time.sleep(0.01)
    assert frames.take(0) is None
    assert frames.is_answered

    frames = Frames()
    frames.put(frame := Frame(picture(), 0.0))
    for _ in range(MAX_TRIES):
        assert frames.take(0) is frame
        assert not frame.is_settled(0)
        frames.give_back(frame)
    assert frame.is_settled(0)
    assert frames.take(0) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://camera/stream", "expected --rtsp"),
        ("rtsp://", "expected --rtsp"),
        ("rtsp://a b/c", "expected --rtsp"),
        ("rtsp://camera:99999/", "expected --rtsp"),
        ("rtsp://camera/\n", "expected --rtsp"),
        ("file:///etc/passwd", "expected --rtsp"),
        ("/etc/passwd", "expected --rtsp"),
        ("rtsp://ada:Canary4711@camera/stream", "--rtsp-password-file FILE"),
    ],
)
def test_an_address_that_is_none_of_a_camera_or_shows_a_password_is_refused(url: str, why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        camera_address(url)
    assert "Canary" not in str(refused.value)


def test_a_cameras_password_comes_from_a_file_and_is_quoted(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/w:rd\n")
    file.chmod(0o600)
    assert camera_address("rtsp://ada@camera:554/s?x=1", file) == "rtsp://ada:p%40ss%2Fw%3Ard@camera:554/s?x=1"
    assert camera_address("rtsp://camera/s") == "rtsp://camera/s"
    with pytest.raises(InputError, match="without a user"):
        camera_address("rtsp://camera/s", file)


def test_a_camera_that_refuses_is_told_of_without_its_address_and_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("Canary4711\n")
    file.chmod(0o600)
    done = watched_for_a_while(file)
    assert "the camera cannot be opened" in done
    assert "Canary" not in done


def watched_for_a_while(file: Path) -> str:
    """Run a process of its own, for what FFmpeg itself writes."""
    command = [
        sys.executable,
        "-c",
        "from volens.service.cli.app import main; main()",
        "door",
        "run",
        "--zone",
        "lobby",
    ]
    command += ["--rtsp", "rtsp://Canaryuser@127.0.0.1:9/Canarypath", "--rtsp-password-file", str(file)]
    command += ["--url", "http://127.0.0.1:9", "--token", str(file), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if '"event": "source"' in line:
                process.terminate()
        assert process.wait(20) == 0
        return said
