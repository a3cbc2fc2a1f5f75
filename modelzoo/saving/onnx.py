"""``save_onnx``: a live zoo model becomes one ONNX file."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_path
from modelzoo._io import atomic_file, check_target
from modelzoo._keras import graph_function, keras, tf
from modelzoo.errors import InputError
from modelzoo.network import read_network, with_paths
from modelzoo.saving.saved_model import conversion_error, export_facts

logger = logging.getLogger(__name__)

#: The operator sets that a file may use, from the first to the last.
OPSETS = (9, 18)


def save_onnx(
    model: keras.Model, path: str | os.PathLike[str], *, opset: int = OPSETS[1], overwrite: bool = False
) -> None:
    """Write a zoo model as one ONNX file, with its preprocessing inside.

    Input and output have the names of the SavedModel's signature, ``images`` or ``points`` and ``probabilities``,
    ``logits`` or ``reconstruction`` for instance, and a dynamic dimension ``batch``. The metadata carry the facts of
    the card: name, network, class names, digest of the weights, recipe, data set and its licence. Initialisers have
    the names of the weights. The same weights give the same bytes, with the same versions of the packages.

    Parameters
    ----------
    model
        A model made by a zoo builder.
    path
        The file to write, which ends in ``.onnx``; it is complete or absent, whatever happens meanwhile.
    opset
        Version of the operators in the file, 9 to 18; ONNX Runtime reads 18 since 1.14. Older runtimes and some
        compilers need a lower one.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        The model is not a zoo model or cannot be converted, ``path`` has another ending, or the packages of the
        extra ``onnx`` are missing.
    TargetExistsError
        ``path`` exists and ``overwrite`` is false.
    TargetError
        ``path`` cannot be written.
    """
    path = check_path(path, "the .onnx file to write", suffix=".onnx")
    opset = check_integer("opset", opset, *OPSETS)
    try:
        import onnx
        import tf2onnx
    except ImportError as error:
        raise InputError(
            f"Writing ONNX needs the package {error.name}, which is not installed. Run: "
            "pip install 'keras-modelzoo[onnx]', or in a clone pip install '.[onnx]'."
        ) from None
    facts = export_facts(model)
    check_target(path, overwrite=overwrite)
    network = read_network(model)
    input_name, output_name = network.input.name, network.output.name
    function = graph_function(lambda x: {output_name: model(x, training=False)})
    spec = tf.TensorSpec(model.input_shape, tf.float32, name=input_name)
    try:
        proto, _ = tf2onnx.convert.from_function(function, [spec], opset=opset)
        proto = _with_constant_reshapes(proto)
        _describe(proto, model, facts)
        _rename(proto, model)
        onnx.checker.check_model(proto, full_check=True)  # the converter passes on what it does not know
    except Exception as error:  # of many kinds
        raise conversion_error(model, "ONNX", error) from error
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(proto.SerializeToString(deterministic=True))
    logger.info("Saved %s to %s.", facts["name"], path)


def _describe(proto: Any, model: keras.Model, facts: dict[str, str]) -> None:
    """Say in the file what it holds; the converter's own words have counters in them."""
    from onnx import helper

    (given,), (returned,) = proto.graph.input, proto.graph.output
    for value in (given, returned):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    takes = "raw pixels of 0–255" if len(model.input_shape) > 2 else "coordinates of points"
    given.doc_string = f"float32 ({', '.join(['batch', *map(str, model.input_shape[1:])])}), {takes}"
    proto.graph.name, proto.graph.doc_string = facts["name"], ""
    proto.producer_name, proto.producer_version = "modelzoo", facts["modelzoo"]
    source = f" ({facts['source']})" if "source" in facts else ""
    network = f" {facts['network']}." if "network" in facts else ""
    proto.doc_string = (
        f"{facts['name']}{source}.{network} Input {given.name!r}: {given.doc_string}. "
        f"Output {returned.name!r}. The preprocessing is inside."
    )
    helper.set_model_props(proto, facts)
    domains = {node.domain for node in proto.graph.node}
    used = [opset for opset in proto.opset_import if opset.domain in domains]
    del proto.opset_import[:]
    proto.opset_import.extend(used)


def _with_constant_reshapes(proto: Any) -> Any:
    """Give each Reshape a constant shape, with −1 for the batch, in place of operations that compute it."""
    from onnx import numpy_helper, shape_inference
    from tf2onnx.graph import GraphUtil

    graph = proto.graph
    inferred = shape_inference.infer_shapes(proto, data_prop=True).graph
    shapes = {value.name: value.type.tensor_type.shape.dim for value in [*inferred.value_info, *inferred.output]}
    constants = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Reshape" and node.input[1] not in constants and node.output[0] in shapes:
            sides = [side.dim_value if side.HasField("dim_value") else -1 for side in shapes[node.output[0]]]
            if sides.count(-1) == 1:
                name = f"{node.output[0]}/shape"
                graph.initializer.append(numpy_helper.from_array(np.array(sides, np.int64), name))
                node.input[1] = name
    return GraphUtil.optimize_model_proto(proto, catch_errors=False)  # drops what is not used any more


def _rename(proto: Any, model: keras.Model) -> None:
    """Name initialisers after the weights they hold, and all else by order: the converter's names hold counters."""
    from onnx import numpy_helper

    graph = proto.graph
    names = {value.name: value.name for value in [*graph.input, *graph.output]}
    # Nodes are in order of use, which makes that of the constants the same in every run.
    order = {name: i for i, name in enumerate(dict.fromkeys(name for node in graph.node for name in node.input))}
    constants = sorted(graph.initializer, key=lambda tensor: order[tensor.name])
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in constants}
    for path, weight in with_paths(model):
        value = weight.numpy()
        stored = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value  # convolution kernels are OIHW in ONNX
        for name, array in arrays.items():
            if name not in names and array.shape == stored.shape and np.array_equal(array, stored):
                names[name] = path
                break
    for i, name in enumerate(name for name in arrays if name not in names):
        names[name] = f"constant_{i}"
    for i, node in enumerate(graph.node):
        node.name, node.doc_string = f"{node.op_type}_{i}", ""
        for k, name in enumerate(node.output):
            names.setdefault(name, f"{node.name}:{k}")
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    for tensor in constants:
        tensor.name = names[tensor.name]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.value_info[:]
