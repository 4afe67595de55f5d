"""An ONNX model made here that takes a face for live if the crop is bright, and the liveness pack around it."""

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from volens.face.liveness_pack import MANIFEST

LICENCE = "Example Licence 1.0"


def brightness_model(side: int = 80, classes: int = 3, channels: int = 3, *, probabilities: bool = False) -> bytes:
    """Two classes of darkness and one of light: logits (0, mean - 128, 0)."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, channels, side, side])
    result = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, classes])
    weights = np.zeros((channels, classes), np.float32)
    weights[:, 1 % classes] = 1 / channels
    bias = np.zeros(classes, np.float32)
    bias[1 % classes] = -128
    nodes = [
        helper.make_node("GlobalAveragePool", ["image"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum" if probabilities else "scores"]),
    ]
    if probabilities:
        nodes.append(helper.make_node("Softmax", ["sum"], ["scores"]))
    constants = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(bias, "bias")]
    graph = helper.make_graph(nodes, "brightness", [image], [result], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


MODEL = brightness_model()


def manifest(of: bytes = MODEL, **changed: object) -> dict[str, object]:
    return {
        "name": "brightness",
        "model": "brightness.onnx",
        "sha256": sha256(of).hexdigest(),
        "licence": LICENCE,
        "url": "https://models.example.org/brightness.onnx",
        "side_px": 80,
        "scale": 2.7,
        "channels": "bgr",
        "divide_by": 1,
        "output": "logits",
        "live_class": 1,
        "min_score": 0.8,
    } | changed


def written(folder: Path, model: bytes | None = MODEL, document: Mapping[str, object] | None = None) -> Path:
    (folder / MANIFEST).write_text(json.dumps(manifest() if document is None else document), encoding="utf-8")
    if model is not None:
        (folder / "brightness.onnx").write_bytes(model)
    return folder
