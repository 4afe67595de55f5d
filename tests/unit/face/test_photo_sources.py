"""Photo sources: files, folders, videos and cameras."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from volens.face import ImageError, camera_frames, image_paths, is_video, video_frames


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """3 seconds at 10 frames a second, each frame 8 levels brighter; blue is 0 throughout."""
    path = tmp_path / "door.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(30):
        frame = np.full((48, 64, 3), number * 8, dtype=np.uint8)
        frame[:, :, 0] = 0
        writer.write(frame)
    writer.release()
    return path


def test_a_folder_gives_its_images_in_order_and_nothing_else(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "notes.txt", "c.pgm"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "sub.png").mkdir()
    assert [path.name for path in image_paths([tmp_path])] == ["a.png", "b.JPG", "c.pgm"]


def test_named_files_keep_their_order_and_are_returned_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"x")
    named = [tmp_path / "z.dat", tmp_path / "a.png", tmp_path]
    assert [path.name for path in image_paths(named)] == ["z.dat", "a.png"]


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"x")
    with pytest.raises(ImageError, match="contains no images"):
        image_paths([tmp_path])


def test_no_paths_at_all_are_refused() -> None:
    with pytest.raises(ImageError, match="got no image"):
        image_paths([])


@pytest.mark.parametrize(("name", "expected"), [("a.mp4", True), ("a.MOV", True), ("a.jpg", False), ("mp4", False)])
def test_videos_are_recognised_by_their_suffix(name: str, expected: bool) -> None:  # noqa: FBT001  a table's column
    assert is_video(Path(name)) is expected


def test_a_video_gives_frames_at_even_times_in_rgb(video: Path) -> None:
    frames = list(video_frames(video, every_s=1.0))
    assert [label for label, _ in frames] == ["door.avi at 0.0 s", "door.avi at 1.0 s", "door.avi at 2.0 s"]
    for (_, image), brightness in zip(frames, (0, 80, 160), strict=True):
        assert abs(float(image.pixels[:, :, 0].mean()) - brightness) < 6
        assert float(image.pixels[:, :, 2].mean()) < 6


def test_a_video_is_released_when_the_reader_stops_early(video: Path) -> None:
    frames = video_frames(video)
    assert next(frames)[0] == "door.avi at 0.0 s"
    frames.close()  # type: ignore[attr-defined]  a generator, by implementation
    video.unlink()
    with pytest.raises(StopIteration):
        next(frames)


def test_a_file_that_is_not_a_video_is_refused_with_one_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.avi").write_bytes(b"no video" * 100)
    with pytest.raises(ImageError, match=r"text\.avi cannot be opened as a video"):
        list(video_frames(tmp_path / "text.avi"))
    with pytest.raises(ImageError, match="there is no video file"):
        list(video_frames(tmp_path / "missing.avi"))
    assert "Traceback" not in capfd.readouterr().err


def test_a_camera_that_is_not_connected_is_refused_with_one_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageError, match="camera 63 cannot be opened"):
        list(camera_frames(63, 1))
    assert capfd.readouterr().err == ""


class FakeCamera:
    """Delivers numbered frames; fails on the first two reads and on all reads after `frames`."""

    def __init__(self, frames: int) -> None:
        self.frames = frames
        self.reads = 0
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.reads += 1
        number = self.reads - 2
        if not 1 <= number <= self.frames:
            return False, None
        return True, np.full((48, 64, 3), number, dtype=np.uint8)

    def release(self) -> None:
        self.released = True


def test_a_camera_warms_up_then_gives_every_nth_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera(frames=100)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: camera)
    frames = list(camera_frames(0, 3, every=2))
    assert [label for label, _ in frames] == ["camera 0 frame 1", "camera 0 frame 2", "camera 0 frame 3"]
    assert [int(image.pixels[0, 0, 0]) for _, image in frames] == [6, 8, 10]
    assert camera.released


def test_a_camera_that_stops_delivering_is_refused_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera(frames=6)
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: camera)
    with pytest.raises(ImageError, match="delivers no frames"):
        list(camera_frames(0, 3))
    assert camera.released


def test_a_frame_too_small_to_use_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = FakeCamera(frames=10)
    monkeypatch.setattr(camera, "read", lambda: (True, np.zeros((8, 8, 3), dtype=np.uint8)))
    monkeypatch.setattr(cv2, "VideoCapture", lambda _: camera)
    with pytest.raises(ImageError, match="cannot be used"):
        list(camera_frames(0, 1))


def test_numbers_out_of_range_are_a_value_error(video: Path) -> None:
    with pytest.raises(ValueError, match="every_s"):
        list(video_frames(video, every_s=0))
    with pytest.raises(ValueError, match="expected 0 or more"):
        list(camera_frames(-1, 1))
