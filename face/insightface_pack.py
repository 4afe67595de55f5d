"""InsightFace model packs (buffalo_l, buffalo_s, antelopev2 ...), for a site that has one and accepts its licence.

Volens neither ships nor downloads them. `insightface` is an optional extra and takes a second to import, so it is
imported only here, and only when a pack is loaded.
"""

import hashlib
import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from volens.consent import ModelId, UnitVector
from volens.face.alignment import CROP_SIDE_PX
from volens.face.embedder import EmbeddingModel, FaceEmbedder, check_crop
from volens.face.face_errors import ModelHashError, ModelLicenceError, ModelMissingError
from volens.face.inference import runtime
from volens.face.pixel_types import Pixels
from volens.face.thresholds import Thresholds

DEFAULT_LICENCE: Final = "insightface non-commercial research"
"""The licence of a pack that has no signed licence of its own."""

COMMERCIAL_LICENCE: Final = "insightface commercial"


class PackEmbedder:
    """The recognition model of a pack, run by insightface's ArcFaceONNX on ONNX Runtime."""

    def __init__(self, arcface: Any, model: EmbeddingModel) -> None:  # noqa: ANN401  insightface ships no types
        """Wrap a loaded ArcFaceONNX; use `load_pack` instead."""
        self._arcface = arcface
        self.model = model

    def embed(self, aligned: Pixels) -> UnitVector:
        """Return the embedding of one aligned face; see `volens.face.embedder.FaceEmbedder.embed`."""
        check_crop(aligned)
        # get_feat takes BGR and swaps it itself.
        output = self._arcface.get_feat(np.ascontiguousarray(aligned[:, :, ::-1]))
        vector = UnitVector.normalised(output[0])
        output.fill(0)
        return vector


def load_pack(folder: Path, *, sha256: str | None, accept_licence: str | None, thresholds: Thresholds) -> FaceEmbedder:
    """Load the recognition model of a pack.

    1. Determine the licence: a signed MODEL.LICENSE in the folder, or else the non-commercial default. A licence file
       that is expired, not yet valid, malformed or for another pack is refused.
    2. Compare its name with the name that the site accepted, exactly.
    3. Find the .onnx file with the SHA-256 that the site pinned, and load exactly those bytes, from a private folder
       in which no other file can be loaded with them. It must be a recognition model: one image input of 112x112, one
       output.

    `folder` is the unpacked pack, such as ``~/.insightface/models/buffalo_l``; `accept_licence` is the licence's name,
    as the error message states it: the site's explicit statement that its use is covered. `sha256` is that of the
    recognition model's file, 64 hexadecimal digits, from a source that the site trusts: packs are not signed. The
    thresholds must be measured for this model; those of SFace are not valid for it. The id of the model is the folder's
    name @ the first 8 digits of `sha256`.

    Raises:
        ModelMissingError: insightface is not installed, or cannot load the file, or it is no recognition model.
        ModelLicenceError: the licence was not accepted, or is not valid.
        ModelHashError: no file of the pack has this SHA-256; the message lists those that are there.

    Not checked: whether the licence allows the site's use; whether the thresholds suit the model.
    """
    if not folder.is_dir():
        raise ModelMissingError(
            f"there is no model pack in {folder}; expected a folder with .onnx files; unpack it there"
        )
    runtime()  # disables telemetry before insightface imports the runtime
    try:
        from insightface import model_zoo  # noqa: PLC0415  optional, and takes a second
        from insightface.model_zoo import model_license  # noqa: PLC0415  the same
    except ImportError as error:
        raise ModelMissingError(
            f"insightface cannot be imported ({str(error)[:120]}); expected the packages of the extra 'insightface'; "
            "run \"pip install --no-deps 'insightface>=2.1,<3'\" and the other packages of that extra; "
            "--no-deps keeps the second OpenCV out (docs/adr/0006)"
        ) from error
    # 1.
    licence = _licence(folder, model_license)
    # 2.
    if accept_licence != licence:
        raise ModelLicenceError(
            f"the pack {folder.name} is licensed '{licence}'; expected the site to accept exactly that; "
            f'read the licence, and if your use is covered pass accept_licence="{licence}"'
        )
    # 3.
    arcface = _recognition_model(_pinned(folder, sha256), model_zoo)
    dimension = int(arcface.output_shape[1])
    model = EmbeddingModel(ModelId(f"{folder.name}@{str(sha256)[:8]}"), dimension, licence, thresholds)
    return PackEmbedder(arcface, model)


def _licence(folder: Path, model_license: Any) -> str:  # noqa: ANN401  insightface ships no types
    found = model_license.inspect_model_package_license(folder)
    if found.error is not None:
        raise ModelLicenceError(
            f"the licence of the pack {folder.name} is not valid ({found.status}: {str(found.message)[:160]}); "
            "get a valid one from its publisher"
        )
    return COMMERCIAL_LICENCE if found.commercial_use_permitted else DEFAULT_LICENCE


def _pinned(folder: Path, sha256: str | None) -> bytes:
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.onnx")):
        data = path.read_bytes()
        found[path.name] = hashlib.sha256(data).hexdigest()
        if found[path.name] == sha256:
            return data
    there = ", ".join(f"{name} with {digest}" for name, digest in found.items()) or "no .onnx file"
    raise ModelHashError(
        f"integrity: no file of the pack {folder.name} has the pinned sha256; got {there}; compare with the pack's "
        "publisher, then pass that of its recognition model with --pack-sha256"
    )


def _recognition_model(data: bytes, model_zoo: Any) -> Any:  # noqa: ANN401  insightface ships no types
    # insightface loads paths only. In a new folder no other program replaces the file after its hash was compared, and
    # the model finds no external data.
    with tempfile.TemporaryDirectory(prefix="volens-pack-") as private:
        path = Path(private) / "model.onnx"
        path.write_bytes(data)
        try:
            model = model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # insightface and the runtime share no public base class
            raise ModelMissingError(
                f"insightface cannot load the pinned file ({type(error).__name__}); unpack the pack again"
            ) from error
    if not isinstance(model, model_zoo.ArcFaceONNX) or tuple(model.input_size) != (CROP_SIDE_PX, CROP_SIDE_PX):
        raise ModelMissingError(
            "the pinned file is not a recognition model for 112x112 px; pass the sha256 of the pack's recognition model"
        )
    return model
