"""Liveness at the command line: the model of a pack, and the zones that ask for one."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from brightness_model import LICENCE, MODEL, manifest, written
from PIL import Image
from presentations import ATTACKS, face_photo, frames_of, turning_head
from said import Command

from volens.consent.json_reader import read_json
from volens.face import Extractor, RgbImage
from volens.service import samples
from volens.service.cli.options import PackOptions


def test_the_model_of_a_pack_is_taken_from_a_file_after_its_licence_was_accepted(
    volens: Command, tmp_path: Path
) -> None:
    pack, copy = tmp_path / "pack", tmp_path / "brightness.onnx"
    pack.mkdir()
    written(pack, None)
    copy.write_bytes(MODEL)
    refused = volens("models", "pull-liveness", pack, "--from", copy)
    assert (refused.code, f'pass --liveness-licence "{LICENCE}"' in refused.err) == (1, True)
    pulled = volens("models", "pull-liveness", pack, "--liveness-licence", LICENCE, "--from", copy, "--json")
    assert (pulled.code, pulled.json["downloaded"], pulled.json["licence"]) == (0, True, LICENCE)
    assert "is present, unchanged" in volens("models", "pull-liveness", pack, "--liveness-licence", LICENCE).out
    assert volens("models", "pull-liveness", tmp_path / "nowhere").code == 2


def test_a_zone_that_asks_to_turn_the_head_refuses_pictures_and_doors(
    enrolled: Path, volens: Command, album: Path, tmp_path: Path
) -> None:
    changed = volens("zone", "change", "lobby", "--liveness", "challenge")
    assert (changed.code, "has liveness challenge" in changed.out) == (0, True)
    assert volens("zone", "list", "--json").json[0]["liveness"] == "challenge"
    (tmp_path / "frames").mkdir()
    for command in (
        ("identify", "--zone", "lobby", album / "ada-door.png"),
        ("verify", enrolled, album / "ada-door.png"),
        ("door", "run", "--zone", "lobby", "--folder", tmp_path / "frames", "--once"),
    ):
        refused = volens(*command)
        assert (refused.code, "asks each person to turn the head" in refused.err) == (1, True), command
    assert volens("zone", "change", "lobby").code == 2
    assert volens("zone", "change", "lobby", "--liveness", "none", "--lease-seconds", 60).code == 2
    assert volens("zone", "change", "lobby", "--liveness", "high").code == 2


def test_a_longer_lease_asks_first_and_a_shorter_one_does_not(enrolled: Path, volens: Command) -> None:
    assert enrolled.exists()
    asked = volens("zone", "change", "lobby", "--lease-seconds", 60)
    assert (asked.code, "1 person agreed without knowing this" in asked.err) == (2, True)
    changed = volens("zone", "change", "lobby", "--lease-seconds", 60, "--yes")
    assert (changed.code, "--supersedes-within-days 30" in changed.out) == (0, True)
    assert volens("zone", "list", "--json").json[0]["lease_seconds"] == 60
    ended = volens("zone", "change", "lobby", "--lease-seconds", 0)
    assert (ended.code, "online only" in ended.out) == (0, True)
    assert volens("zone", "change", "lobby", "--lease-seconds", 901).code == 2


def test_a_zone_with_a_model_needs_the_model_and_its_licence(
    enrolled: Path, volens: Command, album: Path, tmp_path: Path
) -> None:
    assert enrolled.exists()
    added = volens(
        *("zone", "add", "attic", "--custody", "badge", "--alternative", "a key", "--retention-days", 30),
        *("--liveness", "pack", "--json"),
    )
    assert (added.code, added.json["liveness"]) == (0, "pack")
    assert volens("zone", "change", "lobby", "--liveness", "pack", "--yes").code == 0
    frame = ("identify", "--zone", "lobby", album / "ada-door.png")
    missing = volens(*frame)
    assert (missing.code, "pass --liveness-pack" in missing.err) == (6, True)
    pack = tmp_path / "pack"
    pack.mkdir()
    written(pack, document=manifest(min_score=0.01))
    assert volens(*frame, "--liveness-licence", LICENCE).code == 2
    assert volens(*frame, "--liveness-pack", pack).code == 1
    found = volens(*frame, "--liveness-pack", pack, "--liveness-licence", LICENCE, "--json")
    assert (found.code, found.json["faces"][0]["decision"]) == (0, "match")


def test_photos_are_enrolled_in_a_zone_with_a_model_if_it_takes_them_for_live(
    lobby: Path, give: Command, volens: Command, album: Path, tmp_path: Path
) -> None:
    assert lobby.is_dir()
    give("--yes-i-read-it")
    assert volens("zone", "change", "lobby", "--liveness", "pack", "--yes").code == 0
    photos = [album / f"ada-{number}.png" for number in (1, 2, 3)]
    missing = volens("enroll", "ada.receipt.json", *photos)
    assert (missing.code, "pass --liveness-pack" in missing.err) == (6, True)
    pack = tmp_path / "pack"
    pack.mkdir()
    model = ("--liveness-pack", pack, "--liveness-licence", LICENCE)
    written(pack)
    refused = volens("enroll", "ada.receipt.json", *photos, *model)
    assert (refused.code, "ada-3.png: the liveness model does not take this for" in refused.err) == (1, True)
    written(pack, document=manifest(min_score=1e-30))
    assert volens("enroll", "ada.receipt.json", *photos, *model).code == 0
    written(pack)
    added = volens("enroll", "ada.receipt.json", album / "ada-3.png", "--add-photos", *model)
    assert (added.code, "ada-3.png: the liveness model" in added.err) == (1, True)


class FakeCamera:
    """Shows some pictures in turn, and notes whether it was opened and released."""

    opened = 0

    def __init__(self, pictures: Sequence[RgbImage]) -> None:
        self.pictures, self.number, self.released = pictures, 0, False
        FakeCamera.opened += 1

    def isOpened(self) -> bool:  # noqa: N802  OpenCV's name
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        picture = self.pictures[self.number // 3 % len(self.pictures)]
        self.number += 1
        return True, np.ascontiguousarray(picture.pixels[:, :, ::-1])

    def release(self) -> None:
        self.released = True


@pytest.fixture(scope="module")
def head(loaded: Extractor) -> dict[str, RgbImage]:
    near = cv2.resize(samples.astronaut().pixels[20:245, 120:420], (640, 480), interpolation=cv2.INTER_LINEAR)
    return turning_head(loaded, RgbImage(np.asarray(near)))


def test_a_claim_before_a_camera_is_confirmed_after_the_head_turned(
    enrolled: Path, volens: Command, head: dict[str, RgbImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    cameras: list[FakeCamera] = []

    def show(*names: str) -> None:
        pictures = [head[one] for one in names]
        monkeypatch.setattr(cv2, "VideoCapture", lambda _index: cameras.append(FakeCamera(pictures)) or cameras[-1])

    volens("zone", "change", "lobby", "--liveness", "challenge")
    show("ahead", "left", "ahead", "right")
    turned = volens("verify", enrolled, "--camera", 0, "--json")
    assert (turned.code, turned.json["face"]["decision"]) == (0, "match")
    told = turned.err.splitlines()
    assert {"<--  turn your head to the left", "turn your head to the right  -->"} <= set(told)
    assert (told[0], told[-1], cameras[-1].released) == ("look straight into the camera", "thank you", True)

    ticks = iter(range(1000))
    monkeypatch.setattr("volens.service.cli.verify_commands.time.monotonic", lambda: float(next(ticks)))
    show("ahead")
    still = volens("verify", enrolled, "--camera", 0)
    assert (still.code, "the head was not turned in time" in still.out, cameras[-1].released) == (3, True, True)


def test_no_camera_is_opened_for_a_claim_without_a_consent_or_with_a_frame(
    enrolled: Path, volens: Command, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", lambda _index: pytest.fail("the camera was opened"))
    for arguments in (
        ("--camera", 0),
        (enrolled, album / "ada-door.png", "--camera", 0),
        (album / "ada-door.png",),
        (),
    ):
        refused = volens("verify", *arguments)
        assert (refused.code, "expected a receipt and a frame" in refused.err) == (2, True)
    assert volens("withdraw", enrolled).code == 0
    assert volens("verify", enrolled, "--camera", 0).code == 1


@pytest.fixture
def recordings(tmp_path: Path, head: dict[str, RgbImage], loaded: Extractor) -> Path:
    """Two people, one of whom does not turn; a print, and a video of the person who turns."""
    folder = tmp_path / "recordings"
    turning = [head[one] for one in ("ahead", "right", "ahead", "left", "ahead")]
    astronaut = samples.astronaut()
    shown = face_photo(astronaut, loaded.detect(astronaut)[0])
    for name, frames in (
        ("bona-fide/turning", turning),
        ("bona-fide/still", [head["ahead"]] * 2),
        ("attacks/print/1", list(frames_of(ATTACKS[0], shown, seed=1))),
        ("attacks/replayed video/1", turning),
    ):
        (folder / name).mkdir(parents=True)
        for number, frame in enumerate(frames):
            Image.fromarray(frame.pixels).save(folder / name / f"{number}.png")
    Image.new("RGB", (300, 300), "grey").save(folder / "bona-fide" / "empty.png")
    return folder


def test_the_error_rates_of_a_level_are_measured_on_recordings(lobby: Path, volens: Command, recordings: Path) -> None:
    assert lobby.is_dir()
    refused = volens("pad", "measure", recordings, "--zone", "lobby")
    assert (refused.code, "pass --level challenge" in refused.err) == (2, True)
    measured = volens("pad", "measure", recordings, "--zone", "lobby", "--level", "challenge", "--json").json
    assert (measured["level"], measured["worst_attack"]) == ("challenge", "replayed video")
    assert {name: (one["errors"], one["presentations"]) for name, one in measured["apcer"].items()} == {
        "print": (0, 1),
        "replayed video": (1, 1),
    }
    people = measured["bpcer"]
    assert (people["errors"], people["presentations"], people["no_response"]) == (2, 3, 1)
    assert people["low"] < people["rate"] < people["high"]
    # So few frames in a second that the time of the challenge is over.
    slow = volens("pad", "measure", recordings, "--zone", "lobby", "--level", "challenge", "--fps", 0.1).out
    (row,) = [one.split() for one in slow.splitlines() if one.startswith("APCER replayed video")]
    assert row == ["APCER", "replayed", "video", "1", "0", "0", "0.0%", "0.0%", "to", "97.5%"]
    assert "print: 1 presentations are too few to claim an APCER" in slow


def test_a_model_is_measured_by_its_best_look(lobby: Path, volens: Command, recordings: Path, tmp_path: Path) -> None:
    assert lobby.is_dir()
    pack = tmp_path / "pack"
    pack.mkdir()
    written(pack, document=manifest(min_score=1e-30))
    model = ("--liveness-pack", pack, "--liveness-licence", LICENCE)
    measured = volens("pad", "measure", recordings, "--zone", "lobby", "--level", "pack", *model, "--json").json
    assert [one["errors"] for one in measured["apcer"].values()] == [1, 1]
    assert (measured["bpcer"]["errors"], measured["bpcer"]["no_response"]) == (1, 1)


def test_recordings_that_cannot_be_measured_are_one_sentence(
    lobby: Path, volens: Command, recordings: Path, tmp_path: Path
) -> None:
    assert lobby.is_dir()
    measure = ("--zone", "lobby", "--level", "challenge")
    for folder in (tmp_path / "nowhere", recordings / "bona-fide" / "still"):
        refused = volens("pad", "measure", folder, *measure)
        assert (refused.code, "bona-fide/ and attacks/NAME/" in refused.err) == (2, True)
    assert volens("pad", "measure", recordings, "--zone", "lobby", "--level", "pack").code == 6
    (recordings / "attacks" / "print" / "notes.txt").write_text("shown at noon")
    broken = volens("pad", "measure", recordings, *measure)
    assert (broken.code, "notes.txt" in broken.err) == (2, True)


def test_the_options_of_a_liveness_model_reach_the_worker_processes(tmp_path: Path) -> None:
    options = PackOptions(liveness_pack=tmp_path, liveness_licence=LICENCE)
    assert PackOptions.parse(read_json(json.dumps(options.document()))) == options
    assert not options.has_embedder_options
    assert PackOptions(pack=tmp_path, liveness_pack=tmp_path).has_embedder_options
