"""Frame sources: a watched folder, a video, cameras that fail and come back, and camera URLs."""

import json
import os
import shutil
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
from patience import PATIENCE_S
from PIL import Image

from tests.doors.conftest import RecordedEvents, picture, until
from volens.consent import InputError
from volens.face import ImageError, RgbImage
from volens.service.door import DoorFailed, Frame, FrameQueue, InputRejected, SourceEnded, SourceLost, SourceReady
from volens.service.door import watched_folder as folder_module
from volens.service.door.frame_queue import MAX_ATTEMPTS
from volens.service.door.frame_sources import Camera, Source, Video, camera_address, start_source
from volens.service.door.seen_files import SeenFile, SeenFiles, journal_of
from volens.service.door.watched_folder import Folder

ROOT = Path(__file__).parents[2]
START = Callable[[Source], FrameQueue]


def png(shade: int) -> bytes:
    out = BytesIO()
    Image.fromarray(picture(shade).pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def start(recorded: RecordedEvents) -> Iterator[Callable[[Source], FrameQueue]]:
    stopped, threads = threading.Event(), list[threading.Thread]()

    def begin(source: Source) -> FrameQueue:
        frames = FrameQueue()
        threads.append(start_source(source, frames, recorded, stopped))
        return frames

    yield begin
    stopped.set()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def images_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix not in {".jsonl", ".txt"}]


def shades(frames: FrameQueue, count: int) -> list[int]:
    """Process `count` frames, and return how bright they are."""
    found: list[int] = []
    end = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < end:
        frame = frames.take(0.1)
        if frame is not None:
            found.append(int(frame.image.pixels[0, 0, 0]))
            frame.mark_done()
    return found


def test_images_of_a_folder_are_processed_once_oldest_first_and_kept(
    tmp_path: Path, start: START, recorded: RecordedEvents
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
    assert len(images_in(tmp_path)) == 5
    assert recorded.of(SourceReady)


def test_with_consume_images_are_deleted_after_processing_and_not_before(tmp_path: Path, start: START) -> None:
    file = tmp_path / "1.png"
    file.write_bytes(png(1))
    frames = start(Folder(tmp_path, consume=True))
    frame = None
    while frame is None:
        frame = frames.take(1)
    time.sleep(0.3)
    assert file.exists()
    frame.mark_done()
    until(lambda: not file.exists(), "the file is deleted")


def test_an_incomplete_image_is_processed_when_it_is_complete(
    tmp_path: Path, start: START, recorded: RecordedEvents
) -> None:
    whole = png(7)
    with (tmp_path / "7.png").open("wb") as file:
        file.write(whole[:40])
        file.flush()
        frames = start(Folder(tmp_path))
        time.sleep(0.8)  # unchanged for long enough, but not an image yet
        assert frames.take(0) is None
        file.write(whole[40:])
    assert shades(frames, 1) == [7]
    assert not recorded.of(InputRejected)


def test_a_file_that_never_becomes_an_image_is_rejected(
    tmp_path: Path, start: START, recorded: RecordedEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "INCOMPLETE_S", 0.5)
    (tmp_path / "bad.png").write_bytes(b"\x89PNG no")
    (tmp_path / "large.png").write_bytes(bytes(folder_module.MAX_FILE_BYTES + 1))
    (tmp_path / "good.png").write_bytes(png(9))
    frames = start(Folder(tmp_path, consume=True))
    assert shades(frames, 1) == [9]
    recorded.wait_for(InputRejected, 2)
    until(lambda: not images_in(tmp_path), "all are deleted")


def test_an_old_image_is_rejected(tmp_path: Path, start: START, recorded: RecordedEvents) -> None:
    file = tmp_path / "old\x1b[31m.png"
    file.write_bytes(png(5))
    os.utime(file, (time.time() - 60, time.time() - 60))
    frames = start(Folder(tmp_path, max_age_s=30, end_when_empty=True))
    recorded.wait_for(SourceEnded)
    (commands,) = recorded.of(InputRejected)
    assert isinstance(commands, InputRejected)
    assert "s old and was not processed; see --max-age-s" in commands.reason
    assert "\x1b" not in commands.reason
    assert not frames.received_any


def processed(folder: Path, recorded: RecordedEvents, start: START, **options: object) -> list[int]:
    """Process what is in a folder as a door that is started anew, and return how bright the images are."""
    before = len(recorded.of(SourceEnded))
    frames = start(Folder(folder, end_when_empty=True, **options))  # type: ignore[arg-type]
    found: list[int] = []
    while len(recorded.of(SourceEnded)) == before:
        if (frame := frames.take(0.1)) is not None:
            found.append(int(frame.image.pixels[0, 0, 0]))
            frame.mark_done()
    return found


HOUR_S = 3600


@pytest.mark.parametrize(
    ("camera_s", "machine_s", "shades_found"),
    [
        pytest.param(0, 0, [7], id="all clocks are right"),
        pytest.param(HOUR_S, 0, [7], id="the camera's clock is ahead"),
        pytest.param(20 * 365 * 24 * HOUR_S, 0, [7], id="the camera's clock is ahead by years"),
        pytest.param(-HOUR_S, 0, [], id="the camera's clock is behind, or the image is old"),
        pytest.param(0, -30 * 365 * 24 * HOUR_S, [7], id="this machine's clock begins at 1996"),
        pytest.param(0, HOUR_S, [], id="this machine's clock is ahead"),
    ],
)
def test_an_image_is_processed_at_most_once_whatever_the_clocks_say(
    tmp_path: Path, start: START, recorded: RecordedEvents, camera_s: float, machine_s: float, shades_found: list[int]
) -> None:
    file = tmp_path / "7.png"
    file.write_bytes(png(7))
    os.utime(file, (time.time() + camera_s,) * 2)
    assert processed(tmp_path, recorded, start, wall_clock=lambda: time.time() + machine_s) == shades_found
    rejected = len(recorded.of(InputRejected))
    for _ in range(2):  # restarts, also after the clocks were set right
        assert processed(tmp_path, recorded, start) == []
    assert len(recorded.of(InputRejected)) == rejected  # said once


@pytest.mark.parametrize("change", ["renamed", "touched", "copied", "moved to another time zone"])
def test_the_same_image_is_not_new_under_another_name_or_time(
    tmp_path: Path, start: START, recorded: RecordedEvents, change: str
) -> None:
    file = tmp_path / "7.png"
    file.write_bytes(png(7))
    assert processed(tmp_path, recorded, start) == [7]
    match change:
        case "renamed":
            file.rename(tmp_path / "8.png")
        case "touched":
            file.touch()
        case "copied":
            shutil.copy(file, tmp_path / "8.png")
        case _:
            os.utime(file, (time.time() + HOUR_S,) * 2)
    assert processed(tmp_path, recorded, start) == []
    (tmp_path / "9.png").write_bytes(png(9))
    assert processed(tmp_path, recorded, start) == [9]


def test_a_file_that_gets_new_content_is_a_new_image(tmp_path: Path, start: START, recorded: RecordedEvents) -> None:
    for shade in (7, 8):
        (tmp_path / "latest.png").write_bytes(png(shade))
        assert processed(tmp_path, recorded, start) == [shade]


def test_two_doors_look_at_one_folder_each(tmp_path: Path, start: START, recorded: RecordedEvents) -> None:
    (tmp_path / "7.png").write_bytes(png(7))
    for door in ("left", "right"):
        assert processed(tmp_path, recorded, start, door=door) == [7]
        assert processed(tmp_path, recorded, start, door=door) == []


KILLED = """
import os, signal, sys, threading
from pathlib import Path
from volens.service.door import FrameQueue
from volens.service.door.seen_files import SeenFile, SeenFiles
from volens.service.door.watched_folder import Folder

class Queue(FrameQueue):
    def put(self, frame):
        print("queued", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

Folder(Path(sys.argv[1]), consume=True).run(Queue(), print, threading.Event())
"""


def test_an_image_of_a_program_that_was_killed_is_not_processed_again(
    tmp_path: Path, start: START, recorded: RecordedEvents
) -> None:
    (tmp_path / "7.png").write_bytes(png(7))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert b"queued" in killed.stdout, killed.stderr
    assert killed.returncode < 0
    (journal,) = tmp_path.glob("*.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"name": "8.png", "si')  # a line that was cut off
    assert processed(tmp_path, recorded, start, consume=True) == []
    assert not images_in(tmp_path)
    (tmp_path / "8.png").write_bytes(png(8))
    assert processed(tmp_path, recorded, start) == [8]


def test_the_journal_has_names_sizes_times_and_hashes_and_is_private(
    tmp_path: Path, start: START, recorded: RecordedEvents
) -> None:
    (tmp_path / "7.png").write_bytes(png(7))
    state = tmp_path / "state" / "door.jsonl"
    state.parent.mkdir()
    assert processed(tmp_path, recorded, start, state=state) == [7]
    assert not list(tmp_path.glob("*.jsonl"))
    header, line = map(json.loads, state.read_text().splitlines())
    assert header == {"format": "volens-seen-files/1"}
    assert set(line) == {"name", "size", "modified_ns", "sha256"}
    assert state.stat().st_mode & 0o777 == 0o600


def test_the_journal_of_a_service_is_in_its_state_folder(tmp_path: Path) -> None:
    places = {
        journal_of(tmp_path / folder, door, environment)
        for folder in ("in", "out")
        for door in ("left", "right")
        for environment in ({}, {"STATE_DIRECTORY": "/var/lib/volens-door:/var/lib/other"})
    }
    assert len(places) == 8
    assert {one.parent for one in places} == {tmp_path / "in", tmp_path / "out", Path("/var/lib/volens-door")}


def test_what_left_the_folder_is_forgotten(tmp_path: Path) -> None:
    seen = SeenFiles(tmp_path / "journal", keep_s=30)
    seen.load()
    for number in range(3000):
        seen.add(SeenFile(f"{number}.png", 1, 1, f"{number:064x}"))
    seen.forget_missing({"7.png"}, 100.0)
    assert seen.knows_content(f"{8:064x}")  # it may be renamed
    seen.forget_missing({"7.png"}, 131.0)
    assert not seen.knows_content(f"{8:064x}")
    assert seen.knows("7.png", 1, 1)
    assert len((tmp_path / "journal").read_bytes().splitlines()) == 2


def test_a_journal_that_cannot_be_written_ends_the_door_with_advice(
    tmp_path: Path, start: START, recorded: RecordedEvents
) -> None:
    start(Folder(tmp_path, state=tmp_path / "none" / "journal"))
    recorded.wait_for(DoorFailed)
    (failed,) = recorded.of(DoorFailed)
    assert isinstance(failed, DoorFailed)
    assert "give another file with --folder-state" in str(failed.error)


def test_a_missing_folder_is_reported_once_and_used_when_it_is_back(
    tmp_path: Path, start: START, recorded: RecordedEvents
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    frames = start(Folder(folder))
    recorded.wait_for(SourceReady)
    shutil.rmtree(folder)
    recorded.wait_for(SourceLost)
    folder.mkdir()
    recorded.wait_for(SourceReady, 2)
    (folder / "1.png").write_bytes(png(1))
    assert shades(frames, 1) == [1]
    assert len(recorded.of(SourceLost)) == 1


def test_a_folder_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="check --folder"):
        Folder(tmp_path / "none")


def test_every_frame_of_a_video_is_processed_and_then_the_source_ends(
    tmp_path: Path, start: START, recorded: RecordedEvents
) -> None:
    file = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for number in range(20):
        writer.write(np.full((64, 64, 3), 10 * number, dtype=np.uint8))
    writer.release()
    frames = start(Video(file))
    found = shades(frames, 10)
    recorded.wait_for(SourceEnded)
    assert len(found) == 10
    assert found == sorted(found)
    assert found[-1] > 150


def test_a_missing_video_ends_the_door(tmp_path: Path, start: START, recorded: RecordedEvents) -> None:
    start(Video(tmp_path / "none.mp4"))
    (broken,) = recorded.wait_for(DoorFailed)
    assert isinstance(broken, DoorFailed)
    assert "there is no video file" in str(broken.error)


def test_a_camera_keeps_its_newest_frame_and_is_reopened_after_a_failure(
    start: START, recorded: RecordedEvents
) -> None:
    opened = 0
    go_on = threading.Event()

    def open_camera() -> Iterator[tuple[str, RgbImage]]:
        nonlocal opened
        opened += 1
        if opened == 1:
            yield from ((f"{shade}", picture(shade)) for shade in range(5))
            raise ImageError("the camera delivers no frames")
        if opened == 2:
            raise ImageError("the camera cannot be opened")
        yield "9", picture(9)
        go_on.wait(PATIENCE_S)

    frames = start(Camera(open_camera, chance=lambda: 0.0))
    recorded.wait_for(SourceLost)
    assert shades(frames, 1) == [4]
    recorded.wait_for(SourceReady, 2)
    assert shades(frames, 1) == [9]
    assert len(recorded.of(SourceLost)) == 2
    go_on.set()


def test_a_camera_that_changes_its_size_is_reported_once_and_goes_on(start: START, recorded: RecordedEvents) -> None:
    go_on = threading.Event()

    def open_camera() -> Iterator[tuple[str, RgbImage]]:
        yield from (("", picture(side=side)) for side in (64, 64, 32, 32))
        yield "", picture(9, side=32)
        go_on.wait(PATIENCE_S)

    frames = start(Camera(open_camera, chance=lambda: 0.0))
    (said,) = recorded.wait_for(InputRejected)
    assert isinstance(said, InputRejected)
    assert said.reason.startswith("the camera has changed its size from 64x64 to 32x32; --near and --region hold")
    until(lambda: shades(frames, 1) == [9], "the newest frame comes")
    assert len(recorded.of(InputRejected)) == 1
    go_on.set()


def test_a_frame_is_given_up_when_it_is_too_old_or_was_tried_too_often() -> None:
    frames = FrameQueue(max_age_s=0.0)
    frame = Frame(picture(), 0.0)
    frames.put(frame)
    time.sleep(0.01)
    assert frames.take(0) is None
    assert frames.is_idle

    frames = FrameQueue()
    frames.put(frame := Frame(picture(), 0.0))
    for _ in range(MAX_ATTEMPTS):
        assert frames.take(0) is frame
        assert not frame.wait_done(0)
        frames.put_back(frame)
    assert frame.wait_done(0)
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
def test_an_invalid_camera_url_or_one_with_a_password_is_refused(url: str, why: str) -> None:
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


def test_a_camera_failure_is_reported_without_its_url_and_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("Canary4711\n")
    file.chmod(0o600)
    output = run_until_source_fails(file)
    assert "the camera cannot be opened" in output
    assert "Canary" not in output


def run_until_source_fails(file: Path) -> str:
    """Run a separate process, because FFmpeg itself writes to stderr."""
    command = [
        sys.executable,
        "-c",
        "from volens.program import main; main()",
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
        output = ""
        for line in process.stdout:
            output += line
            if '"event": "source"' in line:
                process.terminate()
        assert process.wait(PATIENCE_S) == 0
        return output
