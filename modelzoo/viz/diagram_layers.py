"""A Keras model as a list of layers: what a diagram needs to know, read from the live graph."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from modelzoo.errors import InputError


class NotDrawableError(InputError):
    """A kind of diagram does not suit a model."""


@dataclasses.dataclass(frozen=True)
class LayerInfo:
    """One layer, or one operation, of a model.

    Attributes
    ----------
    name
        Name of the layer in Keras.
    kind
        Its class, e.g. ``"Dense"``.
    output_shape
        Shape of its output without the batch dimension; ``None`` where a length is open. Empty if unknown.
    num_params
        Number of its parameters; 0 where a layer stands a second time, because it shares them.
    weight_shapes
        Shape of each of its weights.
    activation
        Name of its activation, e.g. ``"relu"``; empty if it has none or a linear one.
    inputs
        Indices, in the list of layers, of the layers that it reads.
    group
        Names of the nested models it is in, outermost first.
    output
        Whether the model returns what it gives.
    shared
        Whether the layer stood in the list before.
    layer
        The Keras layer.
    """

    name: str
    kind: str
    output_shape: tuple[int | None, ...]
    num_params: int = 0
    weight_shapes: tuple[tuple[int, ...], ...] = ()
    activation: str = ""
    inputs: tuple[int, ...] = ()
    group: tuple[str, ...] = ()
    output: bool = False
    shared: bool = False
    layer: Any = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def arithmetic(self) -> str:
        """How its parameters are counted, e.g. ``"784×500 + 500"``; empty if there are none."""
        return "" if self.shared else parameter_arithmetic(self.weight_shapes)


def parameter_arithmetic(shapes: Sequence[tuple[int, ...]]) -> str:
    """Return how the parameters in weights of these shapes are counted.

    Equal shapes are joined: ``[(64,)] * 4`` is ``"4×64"``.
    """
    terms = []
    for shape, count in Counter(tuple(shape) for shape in shapes).items():
        factors = ([str(count)] if count > 1 else []) + [str(length) for length in shape]
        terms.append("×".join(factors) or "1")
    return " + ".join(terms)


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape as text, e.g. ``"28×28×1"``, with ``?`` for an open length."""
    return "×".join("?" if length is None else str(length) for length in shape)


def read_layers(model: Any) -> tuple[LayerInfo, ...]:
    """Read the layers of a Keras model in the order in which they are computed.

    Nested functional models are opened; their layers carry the nested model's name as ``group``.

    Parameters
    ----------
    model
        A Sequential or functional Keras model, or a subclassed one that has been called, whose graph is not known:
        its layers are listed as it holds them, without inputs.

    Raises
    ------
    InputError
        ``model`` is no Keras model, has not been built, or has no layers.
    """
    if not hasattr(model, "layers") or not hasattr(model, "count_params"):
        raise InputError(
            f"model must be a Keras model; received {type(model).__name__}. "
            "Build one, e.g. with modelzoo.create_model(name), or load one with modelzoo.load(name)."
        )
    name = getattr(model, "name", type(model).__name__)
    if not model.layers:
        raise InputError(f"The model {name!r} has no layers. Add some before drawing it.")
    if getattr(model, "inputs", None) and getattr(model, "outputs", None):
        layers: list[LayerInfo] = []
        ends = set(_walk(model, None, (), layers, set()))
        return tuple(dataclasses.replace(info, output=index in ends) for index, info in enumerate(layers))
    if not model.built or not all(layer.built for layer in model.layers):
        raise InputError(
            f"The model {name!r} has not been built, so its shapes are not known. Begin it with keras.Input(shape), "
            "or call model.build(input_shape) or the model itself on a batch first."
        )
    return tuple(_info(layer, (), (), (), shared=False) for layer in model.layers)


def _walk(
    model: Any, outer: Sequence[int] | None, group: tuple[str, ...], layers: list[LayerInfo], seen: set[int]
) -> list[int]:
    """Append the layers of ``model``, inputs first, and return the indices of those that give its outputs."""
    made = {} if outer is None else {id(tensor): index for tensor, index in zip(model.inputs, outer, strict=True)}
    waiting = list(reversed(model.inputs + model.outputs if outer is None else model.outputs))
    while waiting:  # depth first, without recursion: a network may be deep
        tensor = waiting[-1]
        if id(tensor) in made:
            waiting.pop()
            continue
        operation, node_index, _ = tensor._keras_history
        node = operation._inbound_nodes[node_index]
        missing = [source for source in node.input_tensors if id(source) not in made]
        if missing:
            waiting.extend(reversed(missing))
            continue
        waiting.pop()
        inputs = [made[id(source)] for source in node.input_tensors]
        if _opens(operation, inputs):
            found = _walk(operation, inputs, (*group, operation.name), layers, seen)
        else:
            shape = tuple(node.output_tensors[0].shape[1:])
            layers.append(_info(operation, shape, tuple(inputs), group, shared=id(operation) in seen))
            seen.add(id(operation))
            found = [len(layers) - 1] * len(node.output_tensors)
        made.update(zip(map(id, node.output_tensors), found, strict=True))
    return [made[id(tensor)] for tensor in model.outputs]


def _opens(operation: Any, inputs: Sequence[int]) -> bool:
    nested = hasattr(operation, "layers") and getattr(operation, "outputs", None)
    return bool(nested) and len(getattr(operation, "inputs", None) or ()) == len(inputs)


def _info(layer: Any, shape: tuple, inputs: tuple[int, ...], group: tuple[str, ...], *, shared: bool) -> LayerInfo:
    weights = getattr(layer, "weights", None) or []
    return LayerInfo(
        name=layer.name,
        kind=type(layer).__name__,
        output_shape=shape,
        num_params=0 if shared or not weights else int(layer.count_params()),
        weight_shapes=tuple(tuple(weight.shape) for weight in weights),
        activation=_activation(layer),
        inputs=inputs,
        group=group,
        shared=shared and bool(weights),
        layer=layer,
    )


#: Layers that are nothing but an activation, with the name of its function.
ACTIVATION_LAYERS = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ReLU": "relu",
    "Softmax": "softmax",
}


def _activation(layer: Any) -> str:
    kind = type(layer).__name__
    if kind in ACTIVATION_LAYERS:
        return ACTIVATION_LAYERS[kind]
    activation = getattr(layer, "activation", None)
    if activation is None:
        return ""
    name = getattr(activation, "__name__", None) or ACTIVATION_LAYERS.get(type(activation).__name__)
    name = str(name or getattr(activation, "name", type(activation).__name__))
    return "" if name == "linear" else name


def read_chain(layers: Sequence[LayerInfo]) -> tuple[LayerInfo, ...]:
    """Return the layers as one chain from the input to the output, each reading only the one before.

    Two small detours are taken for one layer each: the threshold of a step unit (``"step"`` as activation), whose
    gradient takes another way than its value, and a column of ones that stands for a bias (kind ``"ColumnOfOnes"``).

    Raises
    ------
    NotDrawableError
        There are several inputs, several outputs or branches, or the graph is not known.
    """
    roots = [info.name for info in layers if info.kind == "InputLayer"]
    ends = [info.name for info in layers if info.output]
    if len(roots) != 1 or len(ends) != 1:
        what = f"its inputs are {roots}, its outputs {ends}" if roots else "Keras does not know its graph"
        raise NotDrawableError(f"The model is not one chain of layers: {what}.")
    chain = [layers[0]]
    start = 0
    while start < len(layers) - 1:
        end = next(i for i in range(start + 1, len(layers)) if _closes(layers, i))
        chain.append(_joined(layers[start : end + 1]))
        start = end
    return tuple(chain)


def _closes(layers: Sequence[LayerInfo], end: int) -> bool:
    """Return whether everything after ``end`` depends on what is before only through ``end``."""
    return all(index >= end for info in layers[end + 1 :] for index in info.inputs)


_STEP = {"Greater", "GreaterEqual", "Cast", "Subtract", "StopGradient", "Add"}
_ONES = {"GetItem", "OnesLike", "Concatenate"}


def _joined(part: Sequence[LayerInfo]) -> LayerInfo:
    before, *between, last = part
    if not between:
        return last
    kinds = {info.kind for info in part[1:]}
    if kinds <= _STEP and kinds & {"Greater", "GreaterEqual"} and last.output_shape == before.output_shape:
        return dataclasses.replace(last, kind="Activation", activation="step")
    if kinds == _ONES:
        return dataclasses.replace(last, kind="ColumnOfOnes")
    raise NotDrawableError(f"The model is not one chain of layers: it branches after {before.name!r}.")
