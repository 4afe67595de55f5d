"""Face embedding: computes a unit vector from an aligned crop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from volens.consent import ModelId, UnitVector
from volens.face import model_catalog as catalog
from volens.face.alignment import CROP_SIDE_PX
from volens.face.inference import session
from volens.face.pixel_types import Pixels
from volens.face.thresholds import SFACE as SFACE_THRESHOLDS
from volens.face.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """Description of an embedding model.

    Embeddings of two models (`model_id`) are never compared. The licence is that of the weights, and is recorded with
    every reference; the thresholds were measured for this model.
    """

    model_id: ModelId
    dimension: int
    licence: str
    thresholds: Thresholds


class FaceEmbedder(Protocol):
    """Interface of an embedding model: aligned face in, embedding out."""

    model: EmbeddingModel

    def embed(self, aligned: Pixels) -> UnitVector:
        """Return the embedding (of `model.dimension`) of a face that `align` cropped, uint8 (112, 112, 3), RGB.

        It is a new vector that the caller zeroes.

        Raises:
            ValueError: the crop has another shape or type.
        """
        ...


SFACE_MODEL: Final = EmbeddingModel(
    model_id=ModelId(f"sface_2021dec_int8bq@{catalog.SFACE.sha256[:8]}"),
    dimension=128,
    licence=catalog.SFACE.licence,
    thresholds=SFACE_THRESHOLDS,
)


class SFaceEmbedder:
    """SFace in ONNX Runtime. One instance may serve several threads.

    Source: Zhong, Deng and others, "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition", IEEE
    TIP 30 (2021).
    """

    def __init__(self, model: Path | bytes, threads: int = 1) -> None:
        """Load a folded SFace; see `volens.face.inference.session` for the arguments and errors."""
        self._session = session(model, threads)
        self.model = SFACE_MODEL

    def embed(self, aligned: Pixels) -> UnitVector:
        """Return the embedding of one aligned face; see `FaceEmbedder.embed`."""
        check_crop(aligned)
        # RGB, 0..255: the network normalises by itself. With BGR it works too, with lower accuracy.
        blob = np.ascontiguousarray(aligned.transpose(2, 0, 1)[None], dtype=np.float32)
        (output,) = self._session.run(None, {"data": blob})
        vector = UnitVector.normalised(output[0])
        output.fill(0)
        blob.fill(0)
        return vector


def check_crop(aligned: Pixels) -> None:
    """Validate shape and type of an aligned face.

    Raises:
        ValueError: it is not uint8 (112, 112, 3).
    """
    if aligned.shape != (CROP_SIDE_PX, CROP_SIDE_PX, 3) or aligned.dtype != np.uint8:
        raise ValueError(f"got a crop of shape {aligned.shape} and type {aligned.dtype}; expected uint8 (112, 112, 3)")
