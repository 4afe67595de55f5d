"""SFace: its output for a fixed pattern, so that a changed channel order or changed weights fail a test."""

import numpy as np
import pytest

from volens.face import SFACE, ModelCache, SFaceEmbedder
from volens.face.embedder import SFACE_MODEL

# SFace's first eight components for `PATTERN`, computed once; no face is involved.
RGB = [-0.0359, 0.0407, 0.0441, 0.0164, 0.0924, 0.0678, 0.0506, 0.0116]
BGR = [-0.1028, 0.0379, 0.1330, 0.0583, 0.1302, 0.1179, 0.0891, -0.0161]
ROWS, COLUMNS = np.mgrid[0:112, 0:112]
PATTERN = np.stack([2 * COLUMNS % 256, 2 * ROWS % 256, ROWS * COLUMNS // 7 % 256], axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def embedder() -> SFaceEmbedder:
    return SFaceEmbedder(ModelCache.default().read(SFACE.name))


def test_the_channel_order_is_rgb(embedder: SFaceEmbedder) -> None:
    np.testing.assert_allclose(embedder.embed(PATTERN).array[:8], RGB, atol=2e-3)
    swapped = np.ascontiguousarray(PATTERN[:, :, ::-1])
    np.testing.assert_allclose(embedder.embed(swapped).array[:8], BGR, atol=2e-3)


def test_an_embedding_is_a_unit_vector_of_128_components_and_repeatable(embedder: SFaceEmbedder) -> None:
    first, again = embedder.embed(PATTERN), embedder.embed(PATTERN)
    assert first.dimension == SFACE_MODEL.dimension == 128
    assert float(np.linalg.norm(first.array)) == pytest.approx(1, abs=1e-5)
    np.testing.assert_array_equal(first.array, again.array)


def test_embedding_does_not_change_the_crop(embedder: SFaceEmbedder) -> None:
    crop = PATTERN.copy()
    embedder.embed(crop)
    np.testing.assert_array_equal(crop, PATTERN)


def test_the_model_is_named_by_the_hash_of_its_published_weights() -> None:
    assert SFACE_MODEL.model_id == "sface_2021dec_int8bq@fb143eea"
    assert SFACE_MODEL.licence == "Apache-2.0"


@pytest.mark.parametrize(
    "crop",
    [
        pytest.param(PATTERN[:100], id="too low"),
        pytest.param(PATTERN.astype(np.float32), id="floats"),
        pytest.param(PATTERN.transpose(2, 0, 1), id="channels first"),
    ],
)
def test_a_crop_of_another_shape_or_type_is_a_value_error(embedder: SFaceEmbedder, crop: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        embedder.embed(crop)
