"""Constant folding: quantised constants become the floats that ONNX defines."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from volens.consent import InputError
from volens.face.model_folding import fold


def model_with(
    quantised: np.ndarray,
    scale: np.ndarray,
    zero: np.ndarray | None,
    *,
    listed_as_input: bool = False,
    **attributes: int,
) -> bytes:
    """Build y = x + DequantizeLinear(constants)."""
    constants = {"q": quantised, "s": scale} | ({} if zero is None else {"z": zero})
    nodes = [
        helper.make_node("DequantizeLinear", list(constants), ["w"], **attributes),
        helper.make_node("Add", ["x", "w"], ["y"]),
    ]
    shape = list(quantised.shape)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    if listed_as_input:
        inputs.append(helper.make_tensor_value_info("q", TensorProto.INT8, shape))
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
        value_info=[helper.make_tensor_value_info("w", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def run(model: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


Q = np.arange(-60, 60, dtype=np.int8).reshape(2, 60) % 50
CASES = [
    pytest.param(np.float32(0.5), np.int8(3), {}, id="one scale for the tensor"),
    pytest.param(np.array([0.5, 0.25], dtype=np.float32), np.array([3, -4], dtype=np.int8), {"axis": 0}, id="per row"),
    pytest.param(
        np.array([[0.5, 2.0, 0.1], [0.25, 1.0, 3.0]], dtype=np.float32),
        np.array([[1, 2, 3], [-1, -2, -3]], dtype=np.int8),
        {"axis": 1, "block_size": 20},
        id="in blocks",
    ),
    pytest.param(
        np.array([[0.5, 2.0, 0.1], [0.25, 1.0, 3.0]], dtype=np.float32),
        None,
        {"axis": -1, "block_size": 20},
        id="in blocks, axis from the end, no zero point",
    ),
]


@pytest.mark.parametrize(("scale", "zero", "attributes"), CASES)
def test_the_folded_model_computes_what_the_runtime_computes_unfolded(
    scale: np.ndarray, zero: np.ndarray | None, attributes: dict[str, int]
) -> None:
    zero = None if zero is None else np.asarray(zero)
    unfolded = model_with(Q, np.asarray(scale), zero, **attributes)
    folded = fold(unfolded, free_spatial=False)
    assert [node.op_type for node in onnx.load_model_from_string(folded).graph.node] == ["Add"]
    x = np.linspace(-1, 1, Q.size, dtype=np.float32).reshape(Q.shape)
    np.testing.assert_array_equal(run(folded, x), run(unfolded, x))


def test_a_shorter_last_block_keeps_its_own_scale() -> None:
    scale = np.array([[1.0, 10.0]], dtype=np.float32)
    folded = fold(model_with(np.ones((1, 5), np.int8), scale, None, axis=1, block_size=3), free_spatial=False)
    np.testing.assert_array_equal(run(folded, np.zeros((1, 5), np.float32)), [[1, 1, 1, 10, 10]])


def test_a_block_attribute_on_a_single_scale_is_ignored() -> None:
    model = model_with(Q, np.array([0.5], dtype=np.float32), np.array([3], dtype=np.int8), axis=0, block_size=64)
    folded = fold(model, free_spatial=False)
    np.testing.assert_array_equal(run(folded, np.zeros(Q.shape, np.float32)), (Q.astype(np.float32) - 3) * 0.5)


def test_initialisers_are_not_inputs_and_unused_ones_are_removed() -> None:
    folded = fold(model_with(Q, np.asarray(np.float32(0.5)), None, listed_as_input=True), free_spatial=False)
    graph = onnx.load_model_from_string(folded).graph
    assert [value.name for value in graph.input] == ["x"]
    assert [tensor.name for tensor in graph.initializer] == ["w"]
    assert len(graph.value_info) == 0


def test_folding_twice_gives_the_same_bytes() -> None:
    model = model_with(Q, np.asarray(np.float32(0.5)), None)
    assert fold(model, free_spatial=False) == fold(model, free_spatial=False)


def test_height_and_width_can_be_made_variable() -> None:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    dimensions = (
        onnx.load_model_from_string(fold(bytes(model.SerializeToString()), free_spatial=True))
        .graph.input[0]
        .type.tensor_type.shape.dim
    )
    assert [d.dim_value for d in dimensions] == [1, 3, 0, 0]
    assert [d.dim_param for d in dimensions] == ["", "", "height", "width"]


def test_bytes_that_are_not_a_model_are_refused() -> None:
    with pytest.raises(InputError, match="not an ONNX model"):
        fold(b"\xff\xfenot a model", free_spatial=False)


def test_a_scale_of_the_wrong_shape_is_refused() -> None:
    scale = np.ones((2, 60, 60), dtype=np.float32)
    with pytest.raises(InputError, match="expected one per tensor, axis or block"):
        fold(model_with(Q, scale, None, axis=0, block_size=1), free_spatial=False)


def prelu_model(slopes: np.ndarray, *, constant: bool = True) -> bytes:
    """Return a network that is one PRelu over (1, 3, 4, 5)."""
    inputs = [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 3, 4, 5])]
    if not constant:
        inputs.append(helper.make_tensor_value_info("slopes", onnx.TensorProto.FLOAT, list(slopes.shape)))
    graph = helper.make_graph(
        [helper.make_node("PRelu", ["x", "slopes"], ["y"])],
        "prelu",
        inputs,
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 3, 4, 5])],
        [numpy_helper.from_array(slopes, "slopes")] if constant else [],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    return bytes(model.SerializeToString())


def operators(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


def test_a_prelu_becomes_fast_operators_with_the_same_result() -> None:
    slopes = np.array([0.25, -0.5, 1.125], dtype=np.float32).reshape(3, 1, 1)
    model = prelu_model(slopes)
    folded = fold(model, free_spatial=False)
    x = np.random.default_rng(1).standard_normal((1, 3, 4, 5)).astype(np.float32)
    x[0, :, 0, 0] = 0

    assert operators(folded) == ["Relu", "BatchNormalization", "BatchNormalization", "Add"]
    np.testing.assert_allclose(run(folded, x), np.where(x > 0, x, slopes * x), rtol=3e-7, atol=0)


def test_a_prelu_of_another_form_is_not_changed() -> None:
    everywhere = np.full((3, 4, 5), 0.25, dtype=np.float32)
    channels = np.full((3, 1, 1), 0.25, dtype=np.float32)
    assert operators(fold(prelu_model(everywhere), free_spatial=False)) == ["PRelu"]
    assert operators(fold(prelu_model(channels, constant=False), free_spatial=False)) == ["PRelu"]
