"""InsightFace packs: nothing loads before the licence was accepted, and a loaded pack embeds as its model does.

No InsightFace weights are available: SFace's folded file, which insightface treats as an ArcFace model, replaces
them.
"""

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest

from volens.consent import UnitVector
from volens.face import SFACE, YUNET, ModelCache, ModelMissingError, SFaceEmbedder, load_pack
from volens.face.face_errors import ModelHashError, ModelLicenceError
from volens.face.inference import session
from volens.face.insightface_pack import DEFAULT_LICENCE
from volens.face.thresholds import SFACE as THRESHOLDS

# insightface 2.1 and what it imports warn about their own future; nothing that a caller can change.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

PINNED = SFACE.folded_sha256
PATTERNS = np.random.default_rng(11).integers(0, 256, (3, 112, 112, 3), dtype=np.uint8)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    folder = tmp_path / "office_pack"
    folder.mkdir()
    (folder / "w600k.onnx").write_bytes(ModelCache.default().read(SFACE.name))
    return folder


@pytest.mark.parametrize("accepted", [None, "", "yes", "Apache-2.0", DEFAULT_LICENCE.upper()])
def test_without_the_exact_licence_a_pack_is_refused_with_what_to_accept(pack: Path, accepted: str | None) -> None:
    with pytest.raises(ModelLicenceError, match="insightface non-commercial research") as caught:
        load_pack(pack, sha256=PINNED, accept_licence=accepted, thresholds=THRESHOLDS)
    assert f'accept_licence="{DEFAULT_LICENCE}"' in str(caught.value)


def test_an_invalid_licence_file_is_refused_even_if_accepted(pack: Path) -> None:
    (pack / "MODEL.LICENSE").write_text('{"license_version": 1, "grant": "commercial"}')
    for accepted in (DEFAULT_LICENCE, "insightface commercial"):
        with pytest.raises(ModelLicenceError, match="is not valid"):
            load_pack(pack, sha256=PINNED, accept_licence=accepted, thresholds=THRESHOLDS)


def test_a_pack_is_named_by_folder_and_hash_and_carries_its_licence(pack: Path) -> None:
    model = load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS).model
    name, digits = model.model_id.split("@")
    assert name == "office_pack"
    assert len(digits) == 8
    assert model.licence == DEFAULT_LICENCE
    assert model.dimension == 128
    assert model.thresholds is THRESHOLDS


def test_a_pack_gives_its_model_rgb_scaled_to_plus_minus_one(pack: Path) -> None:
    """Measured: ArcFaceONNX does not see that SFace scales by itself, so it applies (x - 127.5) / 127.5."""
    embedder = load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)
    sface = session(ModelCache.default().read(SFACE.name), threads=1)
    for pattern in PATTERNS:
        blob = (pattern.transpose(2, 0, 1)[None].astype(np.float32) - 127.5) / 127.5
        expected = UnitVector.normalised(sface.run(None, {"data": blob})[0][0])
        np.testing.assert_allclose(embedder.embed(pattern).array, expected.array, atol=1e-4)


def test_with_the_scaling_of_sface_a_pack_gives_the_same_embeddings(pack: Path) -> None:
    embedder = load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)
    embedder._arcface.input_mean, embedder._arcface.input_std = 0.0, 1.0  # type: ignore[attr-defined]
    ours = SFaceEmbedder(ModelCache.default().read(SFACE.name))
    for pattern in PATTERNS:
        np.testing.assert_allclose(embedder.embed(pattern).array, ours.embed(pattern).array, atol=1e-4)


def test_a_crop_of_another_shape_is_a_value_error(pack: Path) -> None:
    embedder = load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)
    with pytest.raises(ValueError, match="expected uint8"):
        embedder.embed(PATTERNS[0][:50])


def test_other_files_of_a_pack_are_not_parsed(pack: Path) -> None:
    (pack / "a_detector.onnx").write_bytes(b"not a model")
    load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)


@pytest.mark.parametrize("pinned", [None, "", PINNED[:8], PINNED.upper(), "0" * 64])
def test_without_the_exact_hash_a_pack_is_refused_with_the_hashes_that_are_there(
    pack: Path, pinned: str | None
) -> None:
    with pytest.raises(ModelHashError, match=rf"got w600k\.onnx with {PINNED}; compare with .*--pack-sha256"):
        load_pack(pack, sha256=pinned, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)


def test_a_changed_recognition_model_is_refused_and_not_loaded(pack: Path) -> None:
    with (pack / "w600k.onnx").open("ab") as file:
        file.write(b"\x00")
    with pytest.raises(ModelHashError, match="no file of the pack office_pack has the pinned sha256"):
        load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)


def test_a_pack_that_is_empty_or_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelHashError, match=r"got no \.onnx file"):
        load_pack(tmp_path / "empty", sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)
    with pytest.raises(ModelMissingError, match="there is no model pack"):
        load_pack(tmp_path / "missing", sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"not a model", "cannot load the pinned file"),
        (ModelCache.default().read(YUNET.name), "not a recognition model"),
    ],
    ids=["no model", "a detector"],
)
def test_a_pinned_file_that_is_no_recognition_model_is_refused(pack: Path, data: bytes, problem: str) -> None:
    (pack / "other.onnx").write_bytes(data)
    pinned = sha256(data).hexdigest()
    with pytest.raises(ModelMissingError, match=problem):
        load_pack(pack, sha256=pinned, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)


def test_a_model_with_external_data_finds_none(pack: Path) -> None:
    """The hash of the file does not cover what it refers to."""
    model = onnx.load_model_from_string((pack / "w600k.onnx").read_bytes())
    onnx.save_model(model, str(pack / "outside.onnx"), save_as_external_data=True, location="weights.bin")
    pinned = sha256((pack / "outside.onnx").read_bytes()).hexdigest()
    with pytest.raises(ModelMissingError, match="cannot load the pinned file"):
        load_pack(pack, sha256=pinned, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)


def test_without_insightface_the_error_says_how_to_install_it(pack: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "insightface"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "insightface", None)
    with pytest.raises(ModelMissingError, match=r"insightface cannot be imported .*pip install"):
        load_pack(pack, sha256=PINNED, accept_licence=DEFAULT_LICENCE, thresholds=THRESHOLDS)
