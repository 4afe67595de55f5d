"""Embedding extraction: without a capability no embedding is computed."""

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from volens.consent import ConsentedEmbedding, ConsentGrant, ProbeEmbedding
from volens.consent.grant import ProbePermit
from volens.face import Extractor, ModelCache, ModelMissingError, RgbImage, YuNetDetector, eye_distance_px


class Models:
    """A stand-in for any model that fails when it is used."""

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"a model was used: {name}")


def test_without_a_grant_no_model_runs(astronaut: RgbImage, permit: ProbePermit) -> None:
    extractor = Extractor(Models(), Models())  # type: ignore[arg-type]
    for wrong in (None, permit, object(), ConsentGrant):
        with pytest.raises(TypeError, match="expected a ConsentGrant"):
            extractor.consented(astronaut.pixels, wrong)  # type: ignore[arg-type]
    assert extractor.embeddings_computed == 0


def test_without_a_permit_no_model_runs(astronaut: RgbImage, grant: ConsentGrant) -> None:
    extractor = Extractor(Models(), Models())  # type: ignore[arg-type]
    for wrong in (None, grant, object(), ProbePermit):
        with pytest.raises(TypeError, match="expected a ProbePermit"):
            extractor.probes(astronaut, [None], wrong)  # type: ignore[arg-type,list-item]
    assert extractor.embeddings_computed == 0


def test_detection_computes_no_embedding(extractor: Extractor, six_people: RgbImage) -> None:
    assert len(extractor.detect(six_people)) == 6
    assert extractor.embeddings_computed == 0


def test_a_consented_embedding_carries_its_grant_and_model(
    extractor: Extractor, astronaut: RgbImage, grant: ConsentGrant
) -> None:
    embedding = extractor.consented(extractor.crop(astronaut, extractor.detect(astronaut)[0]), grant)
    assert isinstance(embedding, ConsentedEmbedding)
    assert embedding.grant is grant
    assert embedding.model_id == extractor.model.model_id
    assert extractor.embeddings_computed == 1


def test_probes_come_in_the_order_of_the_faces(extractor: Extractor, six_people: RgbImage, permit: ProbePermit) -> None:
    faces = extractor.detect(six_people)
    probes = extractor.probes(six_people, faces, permit)
    backwards = extractor.probes(six_people, faces[::-1], permit)
    assert all(isinstance(probe, ProbeEmbedding) and probe.permit is permit for probe in probes)
    assert extractor.embeddings_computed == 12
    for probe, same in zip(probes, backwards[::-1], strict=True):
        np.testing.assert_array_equal(probe.vector.array, same.vector.array)


def test_six_people_are_six_different_people(extractor: Extractor, six_people: RgbImage, permit: ProbePermit) -> None:
    probes = extractor.probes(six_people, extractor.detect(six_people), permit)
    stack = np.stack([probe.vector.array for probe in probes])
    scores = stack @ stack.T
    assert scores[~np.eye(6, dtype=bool)].max() < extractor.model.thresholds.claim_value


def scene(astronaut: RgbImage, extractor: Extractor, *placed: tuple[int, int, int]) -> RgbImage:
    """Return 1920x1080 pixels with the astronaut at some places: left, top, and the distance between the eyes."""
    (face,) = extractor.detect(astronaut)
    pixels = np.full((1080, 1920, 3), 110, dtype=np.uint8)
    for left, top, eyes_px in placed:
        scale = eyes_px / eye_distance_px(face.landmarks)
        small = cv2.resize(astronaut.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        pixels[top : top + len(small), left : left + small.shape[1]] = small
    return RgbImage(pixels)


def test_faces_far_away_in_a_large_image_are_found_by_looking_closer(extractor: Extractor, astronaut: RgbImage) -> None:
    far = scene(astronaut, extractor, (900, 600, 14), (200, 100, 14))
    assert extractor.detect(far) == []
    found = extractor.search(far)
    assert len(found) == 2
    for one, (left, top) in zip(sorted(found, key=lambda face: -face.box[0]), ((900, 600), (200, 100)), strict=True):
        (first_x, first_y), (last_x, last_y) = one.landmarks.min(axis=0), one.landmarks.max(axis=0)
        assert left < first_x < last_x < left + 160
        assert top < first_y < last_y < top + 160
        assert eye_distance_px(one.landmarks) == pytest.approx(14, rel=0.25)


def test_an_image_without_a_face_is_searched_twice_and_a_photo_to_enroll_once_more(
    extractor: Extractor, astronaut: RgbImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, small = scene(astronaut, extractor), RgbImage(np.full((480, 640, 3), 110, dtype=np.uint8))
    near, face = scene(astronaut, extractor, (900, 300, 60)), extractor.detect(astronaut)[0]
    looked_at: list[int] = []
    run = YuNetDetector._run

    def noted(detector: YuNetDetector, blob: NDArray[np.float32], *others: Any) -> Any:  # noqa: ANN401
        looked_at.append(blob.shape[3])
        return run(detector, blob, *others)

    monkeypatch.setattr(YuNetDetector, "_run", noted)
    for image, thorough, sides in (
        (empty, False, [640, 960]),
        (empty, True, [640, 960, 1920]),
        (small, True, [640]),
        (near, True, [640]),
    ):
        looked_at.clear()
        assert len(extractor.search(image, thorough=thorough)) == (image is near)
        assert looked_at == sides
    assert [one.box for one in extractor.search(astronaut)] == [face.box]


def test_without_models_the_error_says_how_to_get_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ModelMissingError, match="run 'volens models pull'"):
        Extractor.load_default(ModelCache(tmp_path_factory.mktemp("empty")))
