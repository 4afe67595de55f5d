"""InsightFace packs (buffalo_l, buffalo_s, antelopev2 and the like), for a site that has one and accepts its licence.

Volens neither ships nor fetches them. `insightface` is an optional extra and takes a second to import, so it is
imported only here, and only when a pack is loaded.
"""

from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np

from volens.consent import ModelId, UnitVector
from volens.face.embedder import EmbeddingModel, FaceEmbedder, check_crop
from volens.face.face_errors import ModelLicenceError, ModelMissingError
from volens.face.image import Pixels
from volens.face.inference import runtime
from volens.face.thresholds import Thresholds

DEFAULT_LICENCE: Final = "insightface non-commercial research"
"""What holds for a pack without a signed licence of its own."""

COMMERCIAL_LICENCE: Final = "insightface commercial"
_SIDE_PX: Final = 112


class PackEmbedder:
    """The recognition model of a pack, run by insightface's ArcFaceONNX on ONNX Runtime."""

    def __init__(self, arcface: Any, model: EmbeddingModel) -> None:  # noqa: ANN401  insightface ships no types
        """Wrap a loaded ArcFaceONNX; use `load_pack` instead."""
        self._arcface = arcface
        self._model = model

    @property
    def model(self) -> EmbeddingModel:
        """Pack name and hash, dimension, accepted licence and the thresholds that the site gave."""
        return self._model

    def embed(self, aligned: Pixels) -> UnitVector:
        """Return the embedding of one aligned face; see `volens.face.embedder.FaceEmbedder.embed`."""
        check_crop(aligned)
        # get_feat takes BGR and swaps it itself.
        output = self._arcface.get_feat(np.ascontiguousarray(aligned[:, :, ::-1]))
        vector = UnitVector.normalised(output[0])
        output.fill(0)
        return vector


def load_pack(folder: Path, *, accept_licence: str | None, thresholds: Thresholds) -> FaceEmbedder:
    """Load the recognition model of a pack.

    1. Find out which licence holds: a signed MODEL.LICENSE in the folder, or the non-commercial default. One that is
       there but expired, not yet valid, malformed or for another pack is refused.
    2. Compare it with what the site accepted, word for word.
    3. Find the one .onnx file that is a recognition model: one image input of 112x112, one output.

    Args:
        folder: the unpacked pack, such as ``~/.insightface/models/buffalo_l``.
        accept_licence: the licence's name, as the refusal states it: the site's explicit word that its use is covered.
        thresholds: limits measured for this model; those of SFace do not carry over.

    Returns:
        An embedder whose `model.model_id` is the folder's name @ the first 8 hexadecimal digits of the file's SHA-256.

    Raises:
        ModelMissingError: insightface is not installed, or the folder holds no recognition model, or several.
        ModelLicenceError: the licence was not accepted, or does not hold.

    Not checked: the weights' hash against a publisher (packs are not signed); whether the site's use is what the
    licence allows; whether the thresholds suit the model.
    """
    if not folder.is_dir():
        raise ModelMissingError(
            f"there is no model pack in {folder}; expected a folder with .onnx files; unpack it there"
        )
    runtime()  # before insightface imports it, and lets it report
    # 1.
    licence = _licence(folder)
    # 2.
    if accept_licence != licence:
        raise ModelLicenceError(
            f"the pack {folder.name} is licensed '{licence}'; expected the site to accept exactly that; "
            f'read the licence, and if your use is covered pass accept_licence="{licence}"'
        )
    # 3.
    path, arcface = _recognition_model(folder)
    dimension = int(arcface.output_shape[1])
    digest = sha256(path.read_bytes()).hexdigest()
    model = EmbeddingModel(ModelId(f"{folder.name}@{digest[:8]}"), dimension, licence, thresholds)
    return PackEmbedder(arcface, model)


def _licence(folder: Path) -> str:
    try:
        from insightface.model_zoo import model_license  # noqa: PLC0415  optional, and takes a second
    except ImportError as error:
        raise _not_installed(error) from error
    found = model_license.inspect_model_package_license(folder)
    if found.error is not None:
        raise ModelLicenceError(
            f"the licence of the pack {folder.name} does not hold ({found.status}: {str(found.message)[:160]}); "
            "ask its publisher for a valid one"
        )
    return COMMERCIAL_LICENCE if found.commercial_use_permitted else DEFAULT_LICENCE


def _recognition_model(folder: Path) -> tuple[Path, Any]:
    try:
        from insightface import model_zoo  # noqa: PLC0415  optional, and takes a second
    except ImportError as error:
        raise _not_installed(error) from error
    found: list[tuple[Path, Any]] = []
    for path in sorted(folder.glob("*.onnx")):
        try:
            model = model_zoo.get_model(str(path), providers=["CPUExecutionProvider"])
        except Exception as error:  # insightface and the runtime share no public base class
            raise ModelMissingError(
                f"insightface cannot load {path.name} ({type(error).__name__}); unpack the pack again"
            ) from error
        if isinstance(model, model_zoo.ArcFaceONNX) and tuple(model.input_size) == (_SIDE_PX, _SIDE_PX):
            found.append((path, model))
    if len(found) != 1:
        raise ModelMissingError(
            f"got {len(found)} recognition models for 112x112 px in {folder}; expected one .onnx file; "
            "keep one pack in one folder"
        )
    return found[0]


def _not_installed(error: ImportError) -> ModelMissingError:
    return ModelMissingError(
        f"insightface cannot be imported ({str(error)[:120]}); expected the extra that runs such packs; "
        "run \"pip install --no-deps 'insightface>=2.1,<3'\" with its other requirements, as README.md says"
    )
