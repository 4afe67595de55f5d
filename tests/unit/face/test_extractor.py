"""Embedding extraction: without a capability no embedding is computed."""

import cv2
import numpy as np
import pytest

from volens.consent import ConsentedEmbedding, ConsentGrant, ProbeEmbedding
from volens.consent.grant import ProbePermit
from volens.face import Extractor, ModelCache, ModelMissingError, RgbImage, eye_distance_px


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


def test_a_face_far_away_in_a_large_image_is_found_by_looking_closer(extractor: Extractor, astronaut: RgbImage) -> None:
    (face,) = extractor.detect(astronaut)
    scale = 16 / eye_distance_px(face.landmarks)
    small = cv2.resize(astronaut.pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pixels = np.full((1080, 1920, 3), 110, dtype=np.uint8)
    pixels[600 : 600 + len(small), 900 : 900 + small.shape[1]] = small
    far = RgbImage(pixels)

    assert extractor.detect(far) == []
    (found,) = extractor.search(far)
    (left, top), (right, bottom) = found.landmarks.min(axis=0), found.landmarks.max(axis=0)
    assert 900 < left < right < 900 + small.shape[1]
    assert 600 < top < bottom < 600 + len(small)
    assert [one.box for one in extractor.search(astronaut)] == [face.box]
    assert extractor.search(RgbImage(np.full((1080, 1920, 3), 110, dtype=np.uint8))) == []


def test_without_models_the_error_says_how_to_get_them(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(ModelMissingError, match="run 'volens models pull'"):
        Extractor.load_default(ModelCache(tmp_path_factory.mktemp("empty")))
