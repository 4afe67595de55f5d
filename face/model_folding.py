"""Constant folding: makes OpenCV Zoo's int8 block-quantised ONNX files load and run fast in ONNX Runtime.

ONNX Runtime rejects the published files: initialisers are listed among the graph's inputs, and per-tensor biases carry
a block attribute. Folding dequantises once, when a model is pulled:

1. Each DequantizeLinear over constants becomes a float32 initialiser: (quantised - zero point) * scale.
2. Each PRelu with one slope for each channel becomes slope * x + (1 - slope) * relu(x), equal up to rounding of the
   last bit. The runtime has no fast kernel for PRelu and converts its blocked layout for it: half of SFace's time
   (docs/adr/0019).
3. Unused initialisers are removed, and so are graph inputs that are initialisers.
4. Shapes recorded for intermediate values are removed; the runtime infers them.
5. If requested, height and width of the input become variable.

Source: ONNX operators DequantizeLinear, versions 10 to 21 (per tensor, per axis, blocked), and PRelu.
"""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from volens.consent import InputError


def fold(onnx_bytes: bytes, *, free_spatial: bool) -> bytes:
    """Return the same network with float32 constants, in a form that ONNX Runtime loads.

    The same bytes give the same result, bit for bit: measured on x86-64 with onnx 1.17, 1.20 and 1.23, numpy 1.26 to
    2.5, protobuf 5 and 7, and Python 3.11 to 3.13. The caller has checked the hash of the bytes. With `free_spatial`,
    height and width of the input (NCHW) may vary from call to call.

    Raises:
        InputError: the bytes are not a valid ONNX model, or a quantised constant has an unknown form.
    """
    try:
        model = onnx.load_model_from_string(onnx_bytes)
    except Exception as error:  # protobuf's DecodeError has no stable place to import it from
        raise InputError("got bytes that are not an ONNX model; expected an .onnx file; fetch it again") from error
    graph = model.graph
    # 1.
    initialisers = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in initialisers for name in node.input):
            values = _dequantised(node, [numpy_helper.to_array(initialisers[name]) for name in node.input])
            initialisers[node.output[0]] = numpy_helper.from_array(values, node.output[0])
        else:
            nodes.append(node)
    # 2.
    nodes = [part for node in nodes for part in _without_prelu(node, initialisers)]
    # 3.
    used = {name for node in nodes for name in node.input}
    inputs = [value for value in graph.input if value.name in used and value.name not in initialisers]
    for field, kept in (
        (graph.node, nodes),
        (graph.initializer, [tensor for name, tensor in initialisers.items() if name in used]),
        (graph.input, inputs),
        # 4.
        (graph.value_info, []),
    ):
        del field[:]
        field.extend(kept)
    # 5.
    if free_spatial:
        dimensions = graph.input[0].type.tensor_type.shape.dim
        dimensions[2].dim_param, dimensions[3].dim_param = "height", "width"
        for output in graph.output:
            output.type.tensor_type.shape.dim[1].dim_param = f"cells_{output.name}"
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _dequantised(node: onnx.NodeProto, inputs: list[NDArray[np.generic]]) -> NDArray[np.float32]:
    """Compute one DequantizeLinear; `inputs` are the quantised values, the scale and, if given, the zero point."""
    attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    quantised = inputs[0].astype(np.float32)
    scale = inputs[1].astype(np.float32)
    zero = inputs[2].astype(np.float32) if len(inputs) > 2 else np.zeros_like(scale)  # noqa: PLR2004  ONNX: x, scale, zero
    block = int(attributes.get("block_size", 0))
    try:
        if scale.size == 1:
            # A per-tensor scale may carry a meaningless block_size: one reason why ONNX Runtime refuses these files.
            scale, zero = scale.reshape(()), zero.reshape(())
        else:
            axis = int(attributes.get("axis", 1)) % quantised.ndim
            scale = _along(scale, axis, block, quantised.shape)
            zero = _along(zero, axis, block, quantised.shape)
        values = np.broadcast_to((quantised - zero) * scale, quantised.shape)
    except (ValueError, IndexError):
        raise InputError(
            f"got a scale of shape {inputs[1].shape} for a constant of shape {quantised.shape}; expected one per "
            "tensor, axis or block; use the file that the catalogue names"
        ) from None
    return np.ascontiguousarray(values, dtype=np.float32)


def _without_prelu(node: onnx.NodeProto, initialisers: dict[str, onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Return nodes that compute the same as `node`: the node itself unless it is a PRelu with one slope per channel."""
    if node.op_type != "PRelu" or node.input[1] not in initialisers:
        return [node]
    slopes = numpy_helper.to_array(initialisers[node.input[1]])
    if slopes.ndim != 3 or slopes.shape[1:] != (1, 1):  # noqa: PLR2004  channels, 1, 1
        return [node]
    name, slope = node.output[0], slopes.reshape(-1).astype(np.float32)
    for suffix, values in (
        ("slope", slope),
        ("rest", np.float32(1) - slope),
        ("zero", np.zeros_like(slope)),
        ("one", np.ones_like(slope)),
    ):
        initialisers[f"{name}_{suffix}"] = numpy_helper.from_array(values, f"{name}_{suffix}")

    def scaled(of: str, by: str) -> onnx.NodeProto:
        # Scales each channel, with an operator that has a fast kernel.
        others = [f"{name}_{one}" for one in (by, "zero", "zero", "one")]
        return helper.make_node("BatchNormalization", [of, *others], [f"{name}_times_{by}"], epsilon=0.0)

    positive = helper.make_node("Relu", [node.input[0]], [f"{name}_relu"])
    both = [scaled(node.input[0], "slope"), scaled(f"{name}_relu", "rest")]
    return [positive, *both, helper.make_node("Add", [one.output[0] for one in both], [name])]


def _along(values: NDArray[np.float32], axis: int, block: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Broadcast scales or zero points over `shape`: one value for each `block` along `axis`, or one for each index."""
    if not block:
        return values.reshape([-1 if dimension == axis else 1 for dimension in range(len(shape))])
    # The last block may be shorter.
    return np.take(np.repeat(values, block, axis=axis), np.arange(shape[axis]), axis=axis)
