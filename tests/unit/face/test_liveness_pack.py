"""Liveness packs: licence, hash, download and shape are checked before a model decides.

The model is made here: it takes a face for live if the crop is bright.
"""

import json
from contextlib import closing
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from brightness_model import LICENCE, MODEL, brightness_model, manifest, written

from volens.consent import InputError
from volens.consent.zone import LivenessLevel
from volens.face import DetectedFace, Downloader, DownloadHashError, ModelMissingError, RgbImage
from volens.face.face_errors import ModelHashError, ModelLicenceError
from volens.face.liveness import Look, NotLive
from volens.face.liveness_pack import MANIFEST, crop_box, load_liveness_pack, pull_liveness_pack


def look(grey: int) -> Look:
    landmarks = np.array([[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]], np.float32)
    face = DetectedFace((30.0, 20.0, 40.0, 50.0), landmarks, 0.9)
    return Look(RgbImage(np.full((120, 100, 3), grey, np.uint8)), face, 0.0)


def test_a_pack_decides_by_the_mean_score_of_its_looks(tmp_path: Path) -> None:
    liveness = load_liveness_pack(written(tmp_path), accept_licence=LICENCE)
    assert liveness.level is LivenessLevel.PACK
    assert liveness.examine([look(200)]).passed
    assert liveness.examine([look(200), look(190)]).passed
    assert liveness.examine([look(100)]).reason is NotLive.LOW_SCORE
    assert liveness.examine([look(200), look(100)]).reason is NotLive.LOW_SCORE
    assert liveness.examine([]).reason is NotLive.LOW_SCORE
    assert liveness.score(look(128)) == pytest.approx(1 / 3)


def test_a_model_whose_output_are_probabilities_scores_the_same(tmp_path: Path) -> None:
    model = brightness_model(probabilities=True)
    document = manifest(model, output="probabilities")
    liveness = load_liveness_pack(written(tmp_path, model, document), accept_licence=LICENCE)
    assert liveness.score(look(130)) == pytest.approx(np.exp(2) / (2 + np.exp(2)), rel=1e-4)


@pytest.mark.parametrize("accepted", [None, "", "yes", LICENCE.lower()])
def test_without_the_exact_licence_nothing_is_loaded_or_fetched(tmp_path: Path, accepted: str | None) -> None:
    folder = written(tmp_path, None)
    with pytest.raises(ModelLicenceError, match=r'pass --liveness-licence "Example Licence 1\.0"'):
        load_liveness_pack(folder, accept_licence=accepted)
    with pytest.raises(ModelLicenceError):
        pull_liveness_pack(folder, accepted, downloader=Downloader(open_url=lambda _url: pytest.fail("fetched")))


def test_a_changed_file_is_not_loaded_and_a_missing_one_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="volens models pull-liveness"):
        load_liveness_pack(written(tmp_path, None), accept_licence=LICENCE)
    with pytest.raises(ModelHashError, match=r"integrity: got brightness\.onnx with sha256"):
        load_liveness_pack(written(tmp_path, MODEL + b"\0"), accept_licence=LICENCE)


def test_the_model_is_fetched_from_its_publisher_and_checked(tmp_path: Path) -> None:
    folder, asked = written(tmp_path, None), []

    def serve(data: bytes) -> Downloader:
        return Downloader(open_url=lambda url: (asked.append(url), closing(BytesIO(data)))[1])  # type: ignore[func-returns-value]

    with pytest.raises(DownloadHashError):
        pull_liveness_pack(folder, LICENCE, downloader=serve(MODEL[:-1]))
    assert not (folder / "brightness.onnx").exists()
    assert pull_liveness_pack(folder, LICENCE, downloader=serve(MODEL))
    assert not pull_liveness_pack(folder, LICENCE, downloader=serve(b"not asked for"))
    assert asked == ["https://models.example.org/brightness.onnx"] * 2
    assert load_liveness_pack(folder, accept_licence=LICENCE).examine([look(220)]).passed
    with pytest.raises(InputError, match="registry has no liveness models"):
        pull_liveness_pack(folder, LICENCE, "registry")


@pytest.mark.parametrize(
    "model",
    [
        brightness_model(side=112),
        brightness_model(channels=1),
        brightness_model(classes=1),
    ],
    ids=["another side", "one channel", "one class"],
)
def test_a_model_of_another_shape_is_one_sentence(tmp_path: Path, model: bytes) -> None:
    with pytest.raises(ModelMissingError, match=r"expected one input \(1, 3, 80, 80\)") as caught:
        load_liveness_pack(written(tmp_path, model, manifest(model)), accept_licence=LICENCE)
    assert "\n" not in str(caught.value)


def test_bytes_that_are_no_model_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match=r"ONNX Runtime cannot load brightness\.onnx"):
        load_liveness_pack(written(tmp_path, b"no model", manifest(b"no model")), accept_licence=LICENCE)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("[]", "the document"),
        ("{", "cannot be read"),
        (json.dumps(manifest(model="../brightness.onnx")), "'model'"),
        (json.dumps(manifest(url="http://models.example.org/x")), "'url'"),
        (json.dumps(manifest(live_class=-1)), "'live_class'"),
        (json.dumps(manifest(min_score=0)), "'min_score'"),
        (json.dumps(manifest(mean=[0, 0, 0])), "'mean'"),
        (json.dumps({key: value for key, value in manifest().items() if key != "licence"}), "'licence'"),
        (" " * 70_000, "above 64 KiB"),
    ],
)
def test_a_manifest_with_a_fault_names_the_member(tmp_path: Path, document: str, said: str) -> None:
    (tmp_path / MANIFEST).write_text(document, encoding="utf-8")
    with pytest.raises(InputError, match=said):
        load_liveness_pack(tmp_path, accept_licence=LICENCE)


def test_a_folder_without_a_manifest_is_no_pack(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected the folder of a liveness pack"):
        load_liveness_pack(tmp_path / "nowhere", accept_licence=LICENCE)


def test_the_crop_is_a_multiple_of_the_face_and_stays_in_the_picture() -> None:
    assert crop_box((100, 100, 40, 50), 400, 400, 2) == (80, 75, 160, 175)
    assert crop_box((0, 0, 40, 50), 400, 400, 2) == (0, 0, 80, 100)
    assert crop_box((-20, 380, 40, 50), 400, 400, 2) == (0, 300, 80, 400)
    assert crop_box((10, 10, 380, 390), 400, 400, 2.7) == (5, 0, 395, 400)
