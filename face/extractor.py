"""Embedding extraction: the only way from pixels to an embedding, and it requires a capability."""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from volens.consent import ConsentedEmbedding, ConsentGrant, UnitVector
from volens.consent.embedding import ProbeEmbedding
from volens.consent.grant import ProbePermit
from volens.face import model_catalog as catalog
from volens.face.alignment import align
from volens.face.detector import FAR_SIDE_PX, LONGEST_SIDE_PX, DetectedFace, YuNetDetector
from volens.face.embedder import EmbeddingModel, FaceEmbedder, SFaceEmbedder
from volens.face.image import RgbImage
from volens.face.liveness import Liveness
from volens.face.model_cache import ModelCache
from volens.face.pixel_types import Pixels
from volens.face.quality import QualityReport, assess

_ENOUGH: Final = 1.25
"""An image so much larger than it was looked at shows nothing new."""
_FINEST_SIDE_PX: Final = 1920
_SURE: Final = 0.8
"""Detection score from which a face in a photo that was turned counts: what is no face scores less."""


class Extractor:
    """Detects faces (with `detector`) and computes embeddings (with `embedder`).

    Detection needs no capability, because it does not identify a person. An embedding requires one: either a
    `ConsentGrant` (the result can be stored) or a `ProbePermit` (the result can only be compared).

    Attributes:
        liveness: the model that a site brings for liveness, or None.
        embeddings_computed: number of embeddings that this extractor has computed; tests check that it stays 0 without
            consent. Not exact if several threads share the extractor.
    """

    def __init__(self, detector: YuNetDetector, embedder: FaceEmbedder, liveness: Liveness | None = None) -> None:
        self._detector = detector
        self._embedder = embedder
        self.liveness = liveness
        self.embeddings_computed = 0

    @classmethod
    def load_default(cls, cache: ModelCache | None = None, threads: int = 1) -> Self:
        """Load YuNet and SFace from the model cache; `threads`, from 1, is for each of the two networks.

        Raises:
            ModelMissingError: a model is not in the cache; the message says how to get it.
            ModelHashError: a cached model was changed.
        """
        cache = cache or ModelCache.default()
        return cls(
            YuNetDetector(cache.read(catalog.YUNET.name), threads),
            SFaceEmbedder(cache.read(catalog.SFACE.name), threads),
        )

    def with_liveness(self, liveness: Liveness) -> Self:
        """Return an extractor with the same models and a liveness model."""
        return type(self)(self._detector, self._embedder, liveness)

    @property
    def model(self) -> EmbeddingModel:
        """The embedding model."""
        return self._embedder.model

    def detect(self, image: RgbImage, *, longest_side: int = LONGEST_SIDE_PX) -> list[DetectedFace]:
        """Find faces, largest first; see `YuNetDetector.detect`.

        Raises:
            TypeError: `image` is no RgbImage, such as the path of one.
        """
        if not isinstance(image, RgbImage):
            raise TypeError(f"got an image of type {type(image).__name__}; expected RgbImage; read it with read_image")
        return self._detector.detect(image, longest_side=longest_side)

    def search(self, image: RgbImage, *, thorough: bool = False) -> list[DetectedFace]:
        """Find faces as `detect`; if there is none, look closer if the image has more pixels to show.

        For a single image, after which no other comes; see `YuNetDetector.detect_far`. A `thorough` search, of a photo
        for an enrollment, looks at the whole image once more at 1920 px. Cost: where a face is near, that of `detect`;
        where there is none, 3 to 4 times that in an image of 1920x1080 px, and 12 times if thorough (docs/accuracy.md).

        Raises:
            TypeError: see `detect`.
        """
        found, longest = self.detect(image), max(image.width, image.height)
        if not found and longest > LONGEST_SIDE_PX * _ENOUGH:
            found = self._detector.detect_far(image)
        if not found and thorough and longest > FAR_SIDE_PX * _ENOUGH:
            found = self.detect(image, longest_side=_FINEST_SIDE_PX)
        return found

    def assess(self, image: RgbImage, face: DetectedFace) -> QualityReport:
        """Measure the quality of a face; no embedding is computed."""
        roll, score = self._detector.roll(image, face)
        return assess(image, face, roll=roll, roll_score=score)

    def turned_by(self, image: RgbImage) -> int | None:
        """Return by how many degrees (90, 180 or 270) a photo in which no face is found must be turned to find one.

        None if none is found at any of them. Clockwise. Cost: three detections.
        """
        for quarters in (1, 2, 3):
            turned = RgbImage(np.ascontiguousarray(np.rot90(image.pixels, -quarters)))
            if self._detector.detect(turned, score_threshold=_SURE):
                return 90 * quarters
        return None

    def is_turned(self, image: RgbImage, face: DetectedFace) -> bool:
        """Return whether a face is turned by more than 60 degrees; no embedding is computed."""
        return self._detector.is_turned(image, face)

    def crop(self, image: RgbImage, face: DetectedFace) -> Pixels:
        """Crop a face that `detect` found, as the embedder takes it; no embedding is computed. The caller zeroes it."""
        return align(image, face.landmarks)

    def consented(self, crop: Pixels, grant: ConsentGrant) -> ConsentedEmbedding:
        """Compute the embedding of a face that `crop` cut out, with its grant; the caller zeroes the vector.

        Raises:
            TypeError: `grant` is not a ConsentGrant; nothing was computed.

        Not checked: that the consent is still in force (the store checks when it writes), or that the face belongs to
        the person who consented (the operator who takes the photos is responsible for that).
        """
        # Checked at run time too, because callers of the library may not use a type checker.
        if not isinstance(grant, ConsentGrant):
            raise TypeError(
                f"got {type(grant).__name__}; expected a ConsentGrant; get one from volens.consent.gate.admit"
            )
        return ConsentedEmbedding(grant, self._embed(crop), self.model.model_id)

    def probes(self, image: RgbImage, faces: Sequence[DetectedFace], permit: ProbePermit) -> list[ProbeEmbedding]:
        """Compute one probe for each face, in their order; the caller zeroes each vector after the comparison.

        Raises:
            TypeError: `permit` is not a ProbePermit; nothing was computed.
        """
        if not isinstance(permit, ProbePermit):
            raise TypeError(
                f"got {type(permit).__name__}; expected a ProbePermit; get one from volens.consent.gate.permit_probe"
            )
        return [ProbeEmbedding(permit, self._embed_face(image, face), self.model.model_id) for face in faces]

    def _embed_face(self, image: RgbImage, face: DetectedFace) -> UnitVector:
        crop = self.crop(image, face)
        try:
            return self._embed(crop)
        finally:
            crop.fill(0)

    def _embed(self, crop: Pixels) -> UnitVector:
        self.embeddings_computed += 1
        return self._embedder.embed(crop)
