"""The extractor: the only way from pixels to an embedding, and it needs a capability."""

from collections.abc import Sequence
from typing import Self

from volens.consent import ConsentedEmbedding, ConsentGrant, UnitVector
from volens.consent.embedding import ProbeEmbedding
from volens.consent.grant import ProbePermit
from volens.face import model_catalog as catalog
from volens.face.alignment import align
from volens.face.detector import LONGEST_SIDE_PX, DetectedFace, YuNetDetector
from volens.face.embedder import EmbeddingModel, FaceEmbedder, SFaceEmbedder
from volens.face.image import RgbImage
from volens.face.model_cache import ModelCache
from volens.face.quality import QualityReport, assess


class Extractor:
    """Detects faces and computes embeddings.

    Detection needs no capability: it says that there is a face, not whose. An embedding does: either a `ConsentGrant`
    (the result can be stored) or a `ProbePermit` (the result can only be compared).

    Attributes:
        embeddings_computed: how many embeddings this extractor has computed; tests count on it staying at 0 without
            consent. Not exact if several threads share the extractor.
    """

    def __init__(self, detector: YuNetDetector, embedder: FaceEmbedder) -> None:
        """Join a detector and an embedder."""
        self._detector = detector
        self._embedder = embedder
        self.embeddings_computed = 0

    @classmethod
    def load_default(cls, cache: ModelCache | None = None, threads: int = 1) -> Self:
        """Load YuNet and SFace from the model cache.

        Args:
            cache: by default `ModelCache.default()`.
            threads: for each of the two networks, from 1.

        Raises:
            ModelMissingError: a model is not there; the message says how to get it.
            ModelHashError: a cached model was changed.
        """
        cache = cache or ModelCache.default()
        return cls(
            YuNetDetector(cache.read(catalog.YUNET.name), threads),
            SFaceEmbedder(cache.read(catalog.SFACE.name), threads),
        )

    @property
    def model(self) -> EmbeddingModel:
        """The embedding model."""
        return self._embedder.model

    def detect(self, image: RgbImage, *, longest_side: int = LONGEST_SIDE_PX) -> list[DetectedFace]:
        """Find faces, largest first; see `YuNetDetector.detect`."""
        return self._detector.detect(image, longest_side=longest_side)

    def assess(self, image: RgbImage, face: DetectedFace) -> QualityReport:
        """Measure the quality of a face; no embedding is computed."""
        return assess(image, face, roll=self._detector.roll_degrees(image, face))

    def consented(self, image: RgbImage, face: DetectedFace, grant: ConsentGrant) -> ConsentedEmbedding:
        """Compute the embedding of a face whose owner agreed.

        Args:
            image: the photo.
            face: a face that `detect` found in it.
            grant: the person's consent, checked by `volens.consent.gate.admit`.

        Returns:
            The embedding with its grant; the caller wipes its vector.

        Raises:
            TypeError: `grant` is no ConsentGrant; nothing was computed.

        Not checked: that the grant is still in force (the store checks when it writes), or that the face is its owner's
        (whoever takes the photos answers for that).
        """
        # At run time too: the type checker does not see code that is written at the door.
        if not isinstance(grant, ConsentGrant):
            raise TypeError(
                f"got {type(grant).__name__}; expected a ConsentGrant; ask for consent with volens.consent.gate.admit"
            )
        return ConsentedEmbedding(grant, self._embed(image, face), self.model.model_id)

    def probes(self, image: RgbImage, faces: Sequence[DetectedFace], permit: ProbePermit) -> list[ProbeEmbedding]:
        """Compute embeddings to compare, in the order of `faces`.

        Returns:
            One probe for each face; the caller wipes each vector after the comparison.

        Raises:
            TypeError: `permit` is no ProbePermit; nothing was computed.
        """
        if not isinstance(permit, ProbePermit):
            raise TypeError(
                f"got {type(permit).__name__}; expected a ProbePermit; get one from volens.consent.gate.permit_probe"
            )
        return [ProbeEmbedding(permit, self._embed(image, face), self.model.model_id) for face in faces]

    def _embed(self, image: RgbImage, face: DetectedFace) -> UnitVector:
        crop = align(image, face.landmarks)
        try:
            self.embeddings_computed += 1
            return self._embedder.embed(crop)
        finally:
            crop.fill(0)
