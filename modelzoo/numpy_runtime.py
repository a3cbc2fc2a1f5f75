"""Run a network in NumPy: what an artifact's card says is enough, without TensorFlow and Keras.

This is an implementation of its own, which the tests compare Keras, SavedModels, ONNX and LiteRT with.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from modelzoo.card import Card, read_card, read_weights, set_card, usable_cores
from modelzoo.errors import ArtifactError, ModelZooError
from modelzoo.network import Layer, Network, mappings_in
from modelzoo.reference import logistic, softmax
from modelzoo.saving import find

Array = np.ndarray
Step = Callable[..., Array]

#: Bytes of the largest layer that are computed at once: they should stay in the processor's cache.
COMPUTED = 1 << 22

#: Samples from which a batch is shared among threads.
SHARED = 16

#: Bytes that a convolution unfolds at once: they should stay in the processor's cache.
UNFOLDED = 1 << 20

#: Bytes of a matrix from which its rows for zeros, such as ReLU gives, are left out of its product with one sample.
SPARSE = 1 << 22


class UnknownLayerError(ModelZooError):
    """A layer is of a kind, or has a setting, that only Keras computes."""


class Runtime:
    """A network with its weights, ready to be called.

    Parameters
    ----------
    network
        The layers and how they connect.
    weights
        The values by path, as in ``Weight.path``; float32 arrays are used as they are, mapped files too.

    Attributes
    ----------
    name, input_shape, output_shape
        As those of a Keras model; the batch axis is ``None``.
    weights
        As given.

    Raises
    ------
    UnknownLayerError
        A layer is not known here.
    """

    def __init__(self, network: Network, weights: Mapping[str, Array]) -> None:
        if (len(network.inputs), len(network.outputs)) != (1, 1):
            raise UnknownLayerError(f"{network.name!r} has several inputs or outputs, which only Keras computes.")
        self.network, self.name, self.weights = network, network.name, weights
        self.weights_digest: str | None = None  # as the card has it
        self.input_shape = (None, *network.input.output_shape)
        self.output_shape = (None, *network.output.output_shape)
        largest = max(math.prod(side or 1 for side in layer.output_shape) for layer in network.layers)
        self._count = max(1, COMPUTED // (4 * largest))
        reader = {index: number for number, layer in enumerate(network.layers) for index in layer.inputs}
        self._steps = [
            (_step(layer, weights), layer.inputs, {index for index in layer.inputs if reader[index] == number})
            for number, layer in enumerate(network.layers)
        ]

    def __call__(self, samples: Array) -> Array:
        """Return the outputs, float32, for samples of shape ``(n, …)``."""
        _touch_workspace()
        if len(samples) < SHARED:
            return self._run(samples)
        cores = usable_cores()
        size = min(self._count, -(-len(samples) // cores))
        if len(samples) <= size:
            return self._run(samples)
        # One thread a core with a part of the samples each: threads that share one product wait for each other, for
        # very long where other processes want the cores, too.
        parts = (samples[i : i + size] for i in range(0, len(samples), size))
        with _products().limit(limits=1, user_api="blas"), futures.ThreadPoolExecutor(cores) as pool:
            return np.concatenate(list(pool.map(self._run, parts)))

    @functools.cached_property
    def logits(self) -> Runtime | None:
        """The network up to its logits, as training takes them; ``None`` if it has none, or in a nested model."""
        network, last = self.network, self.network.output
        if network.gives_logits:
            return self
        known = last.kind == "Dense" or (last.is_activation and "args" not in last.config)
        if not network.gives_probabilities or last.group or not known:
            return None
        kind, config = last.kind if last.kind == "Dense" else "Activation", {**last.config, "activation": "linear"}
        before = dataclasses.replace(last, kind=kind, config=config)
        layers = tuple(before if layer is last else layer for layer in network.layers)
        return Runtime(dataclasses.replace(network, layers=layers), self.weights)

    def _run(self, samples: Array) -> Array:
        values: list[Any] = [None] * len(self._steps)
        for number, (step, inputs, read_last) in enumerate(self._steps):
            values[number] = step(*[values[index] for index in inputs]) if inputs else step(samples)
            for index in read_last:  # so that memory holds one or two layers, not all
                values[index] = None
        return values[self.network.outputs[0]]


@functools.cache
def _products() -> Any:
    """Return what controls the threads of NumPy's matrix products."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()


@functools.cache
def _touch_workspace() -> None:
    """Let the workspace of matrix products be written to once.

    OpenBLAS prefetches beyond what it has packed there. As long as the pages behind were never written, that costs up
    to two thirds of the speed of products with few columns, as those of convolutions are.
    """
    np.matmul(np.ones((64, 400), np.float32), np.ones((400, 1024), np.float32))


def _step(layer: Layer, weights: Mapping[str, Array]) -> Step:
    """Return the function of one layer or operation, from its inputs to its output."""
    if layer.kind == "InputLayer":
        return lambda samples: samples.astype(np.float32, copy=False)
    if "args" in layer.config:
        return _operation(layer)
    make = _LAYERS.get(layer.kind)
    if make is None or layer.config.get("data_format") == "channels_first":
        raise _unknown(layer, layer.kind)
    try:
        step = make(layer, **{weight.name: weights[weight.path] for weight in layer.weights})
    except TypeError:  # it has other weights than its kind has by itself, such as those of an adapter
        raise _unknown(layer, f"{layer.kind} with {', '.join(weight.name for weight in layer.weights)}") from None
    if layer.is_activation or not layer.activation:
        return step
    activation = _activation(layer, layer.config["activation"])
    if layer.activation == "relu":  # in place, as it is by far the most common one
        return lambda *inputs: _relu(y := step(*inputs), out=y)
    return lambda *inputs: activation(step(*inputs))


def _unknown(layer: Layer, what: str) -> UnknownLayerError:
    return UnknownLayerError(f"The layer {layer.name!r} ({what}) is computed by Keras only.")


# --- activations, as in keras.activations


def _relu(x: Array, out: Array | None = None) -> Array:
    return np.maximum(x, np.zeros(x.shape[1:], x.dtype), out=out)  # five times as fast as with one zero


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _softplus(x: Array) -> Array:
    return np.logaddexp(x, np.float32(0))


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _gelu(x: Array) -> Array:
    erf = np.frompyfunc(math.erf, 1, 1)
    return x * (0.5 + 0.5 * np.asarray(erf(x / math.sqrt(2)), x.dtype))


def _glu(x: Array) -> Array:
    values, gates = np.split(x, 2, axis=-1)
    return values * logistic(gates)


ACTIVATIONS: dict[str, Step] = {
    "celu": _elu,  # equal at alpha = 1
    "elu": _elu,
    "exponential": np.exp,
    "gelu": _gelu,
    "glu": _glu,
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": _hard_sigmoid,
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "hard_swish": lambda x: x * _hard_sigmoid(x),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, x * np.float32(0.2)),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -_softplus(-x),
    "log_softmax": lambda x: x - np.logaddexp.reduce(x, axis=-1, keepdims=True),
    "mish": lambda x: x * np.tanh(_softplus(x)),
    "relu": _relu,
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: np.float32(1.05070098735548) * _elu(x, 1.67326324235437),
    "sigmoid": logistic,
    "silu": lambda x: x * logistic(x),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - np.float32(0.5), 0),
    "softmax": softmax,
    "softplus": _softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x < 1, np.square(np.maximum(x + 1, 0)) / 4, x),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "squareplus": lambda x: (x + np.sqrt(np.square(x) + 4)) / 2,
    "swish": lambda x: x * logistic(x),
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
}


def _activation(layer: Layer, activation: Any) -> Step:
    """Return the function of an activation: its name, or a layer that stands for one."""
    if isinstance(activation, Mapping) and activation.get("class_name") in _ACTIVATION_LAYERS:
        return _LAYERS[activation["class_name"]](Layer(activation["class_name"], layer.name, activation["config"]))
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise _unknown(layer, str(activation))
    return ACTIVATIONS[activation]


def _relu_layer(layer: Layer) -> Step:
    top = layer.config.get("max_value")
    threshold, slope = layer.config.get("threshold") or 0.0, layer.config.get("negative_slope") or 0.0

    def step(x: Array) -> Array:
        y = np.where(x >= threshold, x, np.float32(slope) * (x - np.float32(threshold)))
        return y if top is None else np.minimum(y, np.float32(top))

    return step


def _softmax_layer(layer: Layer) -> Step:
    axis = layer.config.get("axis", -1)
    if not isinstance(axis, int):
        raise _unknown(layer, f"a softmax over axes {axis}")
    return lambda x: np.moveaxis(softmax(np.moveaxis(x, axis, -1)), -1, axis)


# --- layers


def _dense(layer: Layer, kernel: Array, bias: Array | None = None) -> Step:
    finite = False

    def step(x: Array) -> Array:
        nonlocal finite
        if finite and x.ndim == 2 and len(x) == 1:  # memory limits it: rows of the kernel for zeros need not be read
            used = np.flatnonzero(x != 0)
            if 4 * len(used) < x.size:
                return _plus(x[:, used] @ kernel.take(used, axis=0), bias)
        y = x @ kernel
        if not finite and kernel.nbytes >= SPARSE:  # 0 times infinity or NaN is NaN: no weight is, if no output is
            finite = len(x) > 0 and bool(np.isfinite(y).all())
        return _plus(y, bias)

    return step


def _plus(y: Array, bias: Array | None) -> Array:
    if bias is not None:
        y += bias
    return y


def _windows(
    layer: Layer, sides: Sequence[int], dilation: Sequence[int] = (1, 1), filling: float = 0
) -> Callable[[Array], Array]:
    """Return what gives the windows of images, padded as the layer says.

    ``sides`` are height and width of a window; the windows have the shape ``(n, rows, columns, channels, *sides)``.
    """
    (down, right), same = layer.config["strides"], layer.config["padding"] == "same"
    lengths = [(k - 1) * d + 1 for k, d in zip(sides, dilation, strict=True)]

    def windows(x: Array) -> Array:
        sizes = (height, width) = x.shape[1:3]
        lacking = [max(-n % s + k - s, 0) for n, s, k in zip(sizes, (down, right), lengths, strict=True)]
        if same and any(lacking):
            top, left = (total // 2 for total in lacking)
            padded = np.full((len(x), height + lacking[0], width + lacking[1], x.shape[3]), filling, x.dtype)
            padded[:, top : top + height, left : left + width] = x  # ten times as fast as numpy.pad
            x = padded
        seen = sliding_window_view(x, lengths, axis=(1, 2))
        return seen[:, ::down, ::right, :, :: dilation[0], :: dilation[1]]

    return windows


def _conv2d(layer: Layer, kernel: Array, bias: Array | None = None) -> Step:
    if layer.config.get("groups", 1) != 1:
        raise _unknown(layer, "a convolution in groups")
    windows, filters = _windows(layer, kernel.shape[:2], layer.config["dilation_rate"]), kernel.shape[3]
    matrix = np.ascontiguousarray(kernel.reshape(-1, filters))

    def step(x: Array) -> Array:
        # In this order of axes the pixels that a window copies lie side by side.
        seen = windows(x).transpose(0, 1, 2, 4, 5, 3)
        _, rows, columns, *window = seen.shape
        result = np.empty((len(x), rows * columns, filters), np.float32)
        count = min(len(x), max(1, UNFOLDED // (rows * columns * len(matrix) * x.itemsize)))
        unfolded = np.empty((count, rows, columns, *window), np.float32)
        for i in range(0, len(x), count):
            part = result[i : i + count]
            np.copyto(unfolded[: len(part)], seen[i : i + count])
            np.matmul(unfolded[: len(part)].reshape(-1, len(matrix)), matrix, out=part.reshape(-1, filters))
        return _plus(result.reshape(len(x), rows, columns, filters), bias)

    return step


def _depthwise_conv2d(layer: Layer, kernel: Array, bias: Array | None = None) -> Step:
    sides, units = kernel.shape[:2], math.prod(kernel.shape[2:])
    windows = _windows(layer, sides, layer.config["dilation_rate"])

    def step(x: Array) -> Array:
        seen = windows(x)[..., np.newaxis]
        y = _total(np.add, (seen[..., i, j, :] * kernel[i, j] for i, j in np.ndindex(*sides)))
        return _plus(y.reshape(*y.shape[:3], units), bias)

    return step


def _total(function: Any, arrays: Any) -> Array:
    """Join arrays by a function of two."""
    first = next(arrays)
    total = first.copy()
    for array in arrays:
        function(total, array, out=total)
    return total


def _pooling(function: Any, layer: Layer, filling: float) -> Step:
    sides = layer.config["pool_size"]
    windows = _windows(layer, sides, filling=filling)

    def step(x: Array) -> Array:
        seen = windows(x)
        return _total(function, (seen[..., i, j] for i, j in np.ndindex(*sides)))

    return step


def _average_pooling(layer: Layer) -> Step:
    total = _pooling(np.add, layer, 0)
    return lambda x: total(x) / total(np.ones_like(x[:1, :, :, :1]))  # padding does not count


def _global_pooling(function: Any) -> Callable[..., Step]:
    return lambda layer: lambda x: function(x, axis=(1, 2), keepdims=bool(layer.config.get("keepdims")))


def _batch_normalization(
    layer: Layer, moving_mean: Array, moving_variance: Array, gamma: Array | None = None, beta: Array | None = None
) -> Step:
    axis = layer.config["axis"]
    (axis,) = axis if isinstance(axis, list | tuple) else (axis,)
    scale = (1 if gamma is None else gamma) / np.sqrt(moving_variance + np.float32(layer.config["epsilon"]))
    shift = (0 if beta is None else beta) - moving_mean * scale

    def step(x: Array) -> Array:
        shape = [1] * x.ndim
        shape[axis] = -1
        return _plus(x * scale.reshape(shape), shift.reshape(shape))

    return step


def _normalization(
    layer: Layer, mean: Array | None = None, variance: Array | None = None, count: Array | None = None
) -> Step:
    axis = layer.config.get("axis")
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    last = len(layer.output_shape)
    if axes not in ([None], [-1], [last]) or layer.config.get("invert"):
        raise _unknown(layer, "a normalisation along other axes than the last, or an inverted one")
    mean = np.asarray(layer.config["mean"] if mean is None else mean, np.float32)
    variance = np.asarray(layer.config["variance"] if variance is None else variance, np.float32)
    return lambda x: (x - mean) / np.maximum(np.sqrt(variance), np.float32(1e-7))


def _rescaling(layer: Layer) -> Step:
    scale, offset = (np.asarray(layer.config[name], np.float32) for name in ("scale", "offset"))
    return lambda x: x * scale + offset


def _joined(function: Any) -> Callable[..., Step]:
    def make(layer: Layer) -> Step:
        return lambda *inputs: _total(function, iter(np.broadcast_arrays(*_of_one_rank(inputs))))

    return make


def _of_one_rank(inputs: Sequence[Array]) -> list[Array]:
    """Insert axes after the batch axis, as Keras does to join images and vectors."""
    rank = max(x.ndim for x in inputs)
    return [x.reshape(len(x), *[1] * (rank - x.ndim), *x.shape[1:]) for x in inputs]


def _unchanged(layer: Layer, **state: Array) -> Step:
    return lambda x: x


#: Layers that do something in training only.
_TRAINING_ONLY = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomRotation",
    "RandomTranslation",
    "RandomZoom",
    "SpatialDropout1D",
    "SpatialDropout2D",
]

_ACTIVATION_LAYERS: dict[str, Callable[..., Step]] = {
    "ELU": lambda layer: lambda x: _elu(x, layer.config["alpha"]),
    "LeakyReLU": _relu_layer,
    "ReLU": _relu_layer,
    "Softmax": _softmax_layer,
}

_LAYERS: dict[str, Callable[..., Step]] = {
    **_ACTIVATION_LAYERS,
    **dict.fromkeys(_TRAINING_ONLY, _unchanged),
    "Activation": lambda layer: _activation(layer, layer.config["activation"]),
    "Add": _joined(np.add),
    "Average": lambda layer: lambda *inputs: _joined(np.add)(layer)(*inputs) / np.float32(len(inputs)),
    "AveragePooling2D": _average_pooling,
    "BatchNormalization": _batch_normalization,
    "Concatenate": lambda layer: lambda *inputs: np.concatenate(inputs, axis=layer.config.get("axis", -1)),
    "Conv2D": _conv2d,
    "Dense": _dense,
    "DepthwiseConv2D": _depthwise_conv2d,
    "Flatten": lambda layer: lambda x: x.reshape(len(x), -1),
    "GlobalAveragePooling2D": _global_pooling(np.mean),
    "GlobalMaxPooling2D": _global_pooling(np.max),
    "MaxPooling2D": lambda layer: _pooling(np.maximum, layer, -np.inf),
    "Maximum": _joined(np.maximum),
    "Minimum": _joined(np.minimum),
    "Multiply": _joined(np.multiply),
    "Normalization": _normalization,
    "PReLU": lambda layer, alpha: lambda x: np.where(x > 0, x, alpha * x),
    "Rescaling": _rescaling,
    "Reshape": lambda layer: lambda x: x.reshape(len(x), *layer.config["target_shape"]),
    "Subtract": _joined(np.subtract),
    "ZeroPadding2D": lambda layer: lambda x: np.pad(x, [(0, 0), *layer.config["padding"], (0, 0)]),
}

# --- operations between tensors, as in keras.ops

_OPERATIONS: dict[str, Step] = {
    "Add": np.add,
    "Cast": lambda x, dtype: x.astype(dtype),
    "Concatenate": lambda xs, axis=0: np.concatenate(xs, axis=axis),
    "Divide": np.divide,
    "Exp": np.exp,
    "GetItem": lambda x, key: x[key],
    "Greater": np.greater,
    "GreaterEqual": np.greater_equal,
    "Multiply": np.multiply,
    "Negative": np.negative,
    "OnesLike": np.ones_like,
    "StopGradient": lambda x: x,
    "Subtract": np.subtract,
    "TrueDivide": np.divide,
}


def _operation(layer: Layer) -> Step:
    """Return the function of an operation, with the arguments that Keras' configuration says."""
    settings = dict(layer.config)
    args, kwargs = settings.pop("args"), settings.pop("kwargs")
    function = _OPERATIONS.get(layer.kind)
    if function is None or not _is_plain([args, kwargs]):
        raise _unknown(layer, layer.kind)
    return lambda *inputs: function(*_filled(args, inputs), **_filled(kwargs, inputs), **settings)


def _is_plain(arguments: Any) -> bool:
    """Return whether arguments are inputs, slices and constants only."""
    if isinstance(arguments, Mapping):
        return set(arguments) in ({"input"}, {"slice"}) or (
            "class_name" not in arguments and all(map(_is_plain, arguments.values()))
        )
    return all(map(_is_plain, arguments)) if isinstance(arguments, list | tuple) else True


def _filled(arguments: Any, inputs: Sequence[Array]) -> Any:
    """Put the values of inputs, and slices, in their places."""
    if isinstance(arguments, Mapping):
        if "input" in arguments:
            return inputs[arguments["input"]]
        if "slice" in arguments:
            return slice(*arguments["slice"])
        return {name: _filled(value, inputs) for name, value in arguments.items()}
    return tuple(_filled(value, inputs) for value in arguments) if isinstance(arguments, list | tuple) else arguments


def load_runtime(source: str | os.PathLike[str]) -> Runtime:
    """Return a pretrained network, or one that :func:`modelzoo.save` wrote, ready to be called.

    Every file is checked against the card first, and the weights are mapped into memory, not copied.

    Parameters
    ----------
    source
        Name of a pretrained model, or a SavedModel directory with a card; of numbered versions in it the highest.

    Raises
    ------
    ArtifactError
        A file is missing or was altered.
    UnknownLayerError
        A layer is known to Keras only, or computes in another precision than float32.
    """
    directory = find(source)
    card = read_card(directory)
    policies = [config.get("dtype") for config in mappings_in(card["keras"])]
    named = {str(policy["config"]["name"]) for policy in policies if isinstance(policy, Mapping)}
    if half := named - {"float32"}:
        raise UnknownLayerError(f"{card['name']} computes in {min(half)}, which only Keras does.")
    names = [weight["path"] for weight in card["weights"]]
    weights = dict(zip(names, read_weights(directory, card), strict=True))
    network = Network.from_dict(card["network"])
    for weight in (weight for layer in network.layers for weight in layer.weights):
        if weight.path not in weights or weights[weight.path].shape != weight.shape:
            raise ArtifactError(
                f"{directory}: the weight {weight.path!r} does not have the shape that its layer needs."
            )
    runtime = Runtime(network, weights)
    runtime.weights_digest = card["weights_digest"]
    set_card(runtime, Card.from_file(card, directory))
    return runtime
