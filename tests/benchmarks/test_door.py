"""Door benchmark: its peers compute the same embeddings, and its table is derived from the observations."""

import numpy as np
import onnx

from benchmarks.door import table, with_prelu
from volens.face import SFACE, ModelCache, SFaceEmbedder


def test_the_network_as_published_computes_the_same_embeddings() -> None:
    folded = ModelCache.default().read(SFACE.name)
    published = with_prelu(folded)
    assert [node.op_type for node in onnx.load_model_from_string(published).graph.node].count("PRelu") == 27
    crop = np.random.default_rng(1).integers(0, 256, (112, 112, 3), dtype=np.uint8)

    one, other = (SFaceEmbedder(model).embed(crop).array for model in (folded, published))

    np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_table_is_derived_from_the_observations() -> None:
    row = {"scene": "photo", "contestant": "volens-photo", "ns": [9_000_000] * 10 + [2_000_000] * 10, "known": [1, 0]}
    assert table({"rows": [row]}).splitlines()[-1] == "| photo | volens-photo | 2.0 | 2.0 | 500 | 0.50 |"
