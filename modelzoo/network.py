"""A network as data: its layers in the order of computation, how they connect, what they end in and what they cost.

Everything that asks about an architecture asks here: training for the logits, fine-tuning for the head, diagrams,
equations and tables for the layers, exports for the names of input and output.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from modelzoo._keras import all_layers, keras, swapped, tf
from modelzoo.errors import InputError, reason_of

Shape = tuple[int | None, ...]

#: Layers that are nothing but an activation, with the name of its function.
ACTIVATION_LAYERS = {
    "ELU": "elu",
    "LeakyReLU": "leaky_relu",
    "PReLU": "prelu",
    "ReLU": "relu",
    "Softmax": "softmax",
}

#: Kinds whose multiply-adds are counted: one for each weight of the kernel that meets an input.
_COUNTED = {"Dense", "Conv1D", "Conv2D", "Conv3D"}
#: Kinds with weights that scale and shift, which multiply-adds leave out as they do biases.
_FREE = {"BatchNormalization", "GroupNormalization", "LayerNormalization", "Normalization", "RMSNormalization"}
#: Kinds that leave numbers as they are, and what they mean.
_RESHAPING = {"Dropout", "Flatten", "Identity", "Reshape"}
#: Kinds, besides pools and zero padding, for which f(c x) = c f(x) for c > 0, if their biases are multiplied by c too.
_HOMOGENEOUS = {"Activation", "Conv1D", "Conv2D", "Conv3D", "Dense", "LeakyReLU", "ReLU", *_RESHAPING}
#: Settings of a layer that say how it is trained or stored, not what it computes.
_TRAINING_SETTINGS = {"name", "trainable", "dtype", "seed", "quantization_config"}
_TRAINING_SUFFIXES = ("_initializer", "_regularizer", "_constraint")


@dataclasses.dataclass(frozen=True)
class Weight:
    """One weight of a layer.

    Attributes
    ----------
    path
        Its path in the model without the scopes that hold all weights, e.g. ``"encoder_1/kernel"``.
    shape
        Its shape.
    """

    path: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The last part of the path, e.g. ``"kernel"``."""
        return self.path.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Number of its elements."""
        return math.prod(self.shape)


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer, or one operation, where it is computed.

    Attributes
    ----------
    kind
        Its class in Keras, e.g. ``"Dense"``.
    name
        Its name in Keras; that of an operation without the number that Keras gives it.
    config
        The settings in Keras' configuration that change what it computes, such as ``kernel_size``; ready for JSON. Of
        an operation also its ``args`` and ``kwargs``, where ``{"input": 0}`` stands for what ``inputs[0]`` gives.
    inputs
        Indices, in ``Network.layers``, of the layers that it reads.
    output_shape
        Shape of its output without the batch dimension; ``None`` where a length is open.
    weights
        Its weights, in Keras' order.
    group
        Names of the nested models it is in, outermost first.
    shared
        Whether it stood in the list before, with the same weights.
    """

    kind: str
    name: str
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    inputs: tuple[int, ...] = ()
    output_shape: Shape = ()
    weights: tuple[Weight, ...] = ()
    group: tuple[str, ...] = ()
    shared: bool = False

    @property
    def activation(self) -> str:
        """Name of its activation, e.g. ``"relu"``; empty if it has none or a linear one."""
        activation = ACTIVATION_LAYERS.get(self.kind, self.config.get("activation"))
        if isinstance(activation, Mapping):  # a layer, or a function that its author registered
            config = activation.get("config")
            registered = config.get("name") if isinstance(config, Mapping) else config
            kind = str(activation.get("class_name"))
            activation = ACTIVATION_LAYERS.get(kind) or (registered if kind == "function" else kind)
        return "" if activation in (None, "linear") else str(activation)

    @property
    def is_activation(self) -> bool:
        """Whether it is nothing but an activation."""
        return self.kind == "Activation" or self.kind in ACTIVATION_LAYERS

    @property
    def num_params(self) -> int:
        """Number of its parameters; 0 where it stands a second time."""
        return 0 if self.shared else sum(weight.size for weight in self.weights)

    @property
    def arithmetic(self) -> str:
        """How its parameters are counted, e.g. ``"784×500 + 500"``; empty without parameters."""
        return "" if self.shared else parameter_arithmetic([weight.shape for weight in self.weights])

    @property
    def multiply_adds(self) -> int | None:
        """Multiplications with additions for one sample; ``None`` where its kind or shape does not tell."""
        if self.kind in _COUNTED:
            # Each output is a sum over all axes of the kernel but its last, whose place says which output it is.
            sides = [side for side in self.output_shape if side is not None]
            known = len(sides) == len(self.output_shape) and bool(self.weights)
            return math.prod(sides) * math.prod(self.weights[0].shape[:-1]) if known else None
        return None if self.weights and self.kind not in _FREE else 0


@dataclasses.dataclass(frozen=True)
class Network:
    """The layers of a model in the order in which they are computed.

    Attributes
    ----------
    name
        Name of the model.
    layers
        Nested models are opened; their layers carry the nested model's name in ``Layer.group``.
    outputs
        Indices of the layers whose outputs the model returns.
    """

    name: str
    layers: tuple[Layer, ...]
    outputs: tuple[int, ...]

    @property
    def inputs(self) -> tuple[int, ...]:
        """Indices of the input layers."""
        return tuple(index for index, layer in enumerate(self.layers) if layer.kind == "InputLayer")

    @property
    def input(self) -> Layer:
        """The input layer of a network with one."""
        (index,) = self.inputs
        return self.layers[index]

    @property
    def output(self) -> Layer:
        """The last layer of a network with one output."""
        (index,) = self.outputs
        return self.layers[index]

    @property
    def num_params(self) -> int:
        """Number of parameters; shared ones count once."""
        return sum(layer.num_params for layer in self.layers)

    @property
    def multiply_adds(self) -> int:
        """Number of multiplications with additions for one sample, half of what is often given as FLOPs.

        Products of weights and inputs in dense and convolutional layers are counted, also where a convolution's
        padding makes them 0, and each use of a shared layer. Biases, activations, pools and normalisation are not,
        nor are operations between tensors without weights.

        Raises
        ------
        InputError
            A layer with weights is of another kind, or its output has no fixed shape.
        """
        counts = [layer.multiply_adds for layer in self.layers]
        if None in counts:
            layer = self.layers[counts.index(None)]
            raise InputError(
                f"The multiply-adds of {layer.name!r} ({layer.kind}, output {shape_text(layer.output_shape)}) are not "
                f"known: only {', '.join(sorted(_COUNTED))} layers with outputs of a fixed shape are counted."
            )
        return sum(count for count in counts if count is not None)

    @property
    def gives_probabilities(self) -> bool:
        """Whether the outputs are probabilities: a softmax of several, or the sigmoid of one."""
        return self.squashes and (self.output.activation == "sigmoid") == (self.output.output_shape[-1:] == (1,))

    @property
    def squashes(self) -> bool:
        """Whether the outputs come from a softmax or sigmoids, be they probabilities or not."""
        return len(self.outputs) == 1 and self.output.activation in ("softmax", "sigmoid")

    @property
    def gives_logits(self) -> bool:
        """Whether the output comes from the head without an activation, one number a class."""
        head = self.head
        after = self.layers[self.layers.index(head[0]) :] if head else ()
        return bool(after) and all(
            not layer.activation and (layer in head or layer.kind in _RESHAPING or "GlobalAverage" in layer.kind)
            for layer in after
        )

    @property
    def head(self) -> tuple[Layer, ...]:
        """The layers that other classes replace: the last that mixes units, and what scales its outputs after it.

        Each class has one of their outputs, or one of their maps. Empty where the outputs are not one row of numbers,
        or no single layer gives them.
        """
        mixing = [
            index
            for index, layer in enumerate(self.layers)
            if layer.weights and layer.kind not in _FREE and not layer.is_activation
        ]
        if len(self.outputs) != 1 or len(self.output.output_shape) != 1 or not mixing:
            return ()
        layer = self.layers[mixing[-1]]
        alone = self._closes(mixing[-1]) and not layer.shared and layer.output_shape[-1:] == self.output.output_shape
        return tuple(layer for layer in self.layers[mixing[-1] :] if layer.weights) if alone else ()

    @property
    def rescalable(self) -> tuple[Layer, ...]:
        """The layers with kernels before the head whose outputs may be multiplied by a factor that only the head sees.

        They are the last of a chain of dense layers and convolutions without activation or with ReLU.
        """
        if not self.head:
            return ()
        index, found = self.layers.index(self.head[0]), []
        while self.layers[index].inputs == (index - 1,) and self._closes(index - 1):
            index -= 1
            layer = self.layers[index]
            if layer.shared or not _is_homogeneous(layer):
                break
            found += [layer] * bool(layer.weights)
        return tuple(reversed(found))

    @property
    def takes_raw_pixels(self) -> bool:
        """Whether it divides its inputs by 255 itself."""
        scales = (layer.config.get("scale") for layer in self.layers if layer.kind == "Rescaling")
        return any(isinstance(scale, int | float) and math.isclose(scale, 1 / 255, rel_tol=1e-5) for scale in scales)

    @property
    def is_convolutional(self) -> bool:
        """Whether any layer is a convolution."""
        return any("Conv" in layer.kind for layer in self.layers)

    def chain(self) -> tuple[Layer, ...]:
        """Return the layers as one chain from the input to the output, each reading only the one before.

        Two small detours are taken for one layer each: the threshold of a step unit (``"step"`` as activation), whose
        gradient takes another way than its value, and a column of ones that stands for a bias (kind
        ``"ColumnOfOnes"``).

        Raises
        ------
        NotAChainError
            There are several inputs, several outputs or branches.
        """
        if (len(self.inputs), len(self.outputs)) != (1, 1):
            names = [[self.layers[index].name for index in ends] for ends in (self.inputs, self.outputs)]
            raise NotAChainError(f"The model is not one chain of layers: inputs {names[0]}, outputs {names[1]}.")
        chain, start = [self.layers[0]], 0
        while start < len(self.layers) - 1:
            end = next(i for i in range(start + 1, len(self.layers)) if self._closes(i))
            joined = _joined(self.layers[start : end + 1])
            chain.append(dataclasses.replace(joined, inputs=(len(chain) - 1,)))
            start = end
        return tuple(chain)

    def _closes(self, end: int) -> bool:
        """Return whether everything after ``end`` depends on what is before only through ``end``."""
        return all(index >= end for layer in self.layers[end + 1 :] for index in layer.inputs)

    def same_as(self, other: Network) -> bool:
        """Return whether both compute the same with weights of the same paths; other names may differ.

        Settings that only one of them has are left aside, because each version of Keras writes some of its own.
        """
        return (self.outputs, len(self.layers)) == (other.outputs, len(other.layers)) and all(
            dataclasses.replace(a, name="", group=(), config={}) == dataclasses.replace(b, name="", group=(), config={})
            and all(a.config[key] == b.config[key] for key in a.config.keys() & b.config.keys())
            for a, b in zip(self.layers, other.layers, strict=True)
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON; :meth:`from_dict` reads it."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Network:
        """Rebuild a network from :meth:`to_dict`, without TensorFlow."""
        import msgspec

        return msgspec.convert(facts, cls)


class NotAChainError(InputError):
    """The layers of a network do not follow each other one by one."""


def _is_homogeneous(layer: Layer) -> bool:
    """Return whether a layer multiplies its output by c > 0 if its inputs and its biases are multiplied by it."""
    known = layer.kind in _HOMOGENEOUS or "Pooling" in layer.kind or layer.kind.startswith("ZeroPadding")
    bends = layer.config.get("max_value") is not None or layer.config.get("threshold")
    return known and not bends and layer.activation in ("", "relu", "leaky_relu")


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


_STEP = {"Greater", "GreaterEqual", "Cast", "Subtract", "StopGradient", "Add"}
_ONES = {"GetItem", "OnesLike", "Concatenate"}


def _joined(part: Sequence[Layer]) -> Layer:
    """Return one layer for those after the first of ``part``, which alone reads what is before."""
    before, *between, last = part
    if not between:
        return last
    kinds = {layer.kind for layer in part[1:]}
    if kinds <= _STEP and kinds & {"Greater", "GreaterEqual"} and last.output_shape == before.output_shape:
        return dataclasses.replace(last, kind="Activation", config={"activation": "step"})
    if kinds == _ONES:
        return dataclasses.replace(last, kind="ColumnOfOnes")
    raise NotAChainError(f"The model is not one chain of layers: it branches after {before.name!r}.")


def reconstructs(model: Any) -> bool:
    """Return whether a model's outputs have the shape of its inputs, which are more than rows of numbers."""
    shape = tuple(model.output_shape[1:])
    return len(shape) > 1 and shape == tuple(model.input_shape[1:])


def check_keras_model(model: Any) -> None:
    """Raise InputError unless it is a live Keras model."""
    if not isinstance(model, keras.Model):
        raise InputError(
            f"model must be a Keras model; got {type(model).__name__}. Build one with modelzoo.create_model, or load "
            "one with modelzoo.load."
        )


def check_model_name(name: Any) -> None:
    """Raise InputError unless a model may have that name."""
    # TensorFlow refuses the others as names of scopes, in the midst of a call: Keras then stays in that scope, and
    # gives its path to the weights of every model built after it.
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9.][A-Za-z0-9_.>-]*", name):
        raise InputError(
            "name must be ASCII letters, digits, '_', '.', '-' and '>', the first a letter, a digit or '.'; "
            f"got name={name!r:.80}."
        )


def read_network(model: Any) -> Network:
    """Read the network of a live model, through Keras' public configuration.

    Parameters
    ----------
    model
        A Sequential or functional Keras model, possibly of models; or anything that has its ``network`` already.

    Raises
    ------
    InputError
        It is not, or it has not been built.
    """
    if isinstance(known := getattr(model, "network", None), Network):
        return known
    check_keras_model(model)
    if not _is_graph(model):
        raise InputError(
            f"The layers of {model.name!r} are not known as a graph. Give a functional or Sequential model that is "
            "built: begin it with keras.Input(shape)."
        )
    reader = _Reader({id(weight): path for path, weight in with_paths(model)})
    outputs = reader.read(model, None, ())
    return Network(model.name, tuple(reader.layers), tuple(dict.fromkeys(outputs)))


def logits_model(model: Any) -> Any:
    """Return the model up to its logits, with the same layers; ``None`` if it has none, or in a nested model."""
    network = read_network(model)
    if network.gives_logits:
        return model
    last, call, _ = model.outputs[0]._keras_history  # in this model's graph: its layers may have calls in others
    if not network.gives_probabilities or network.output.group:
        return None
    before = last._inbound_nodes[call].input_tensors[0]
    if network.output.is_activation:
        return keras.Model(model.inputs, before)
    return keras.Model(model.inputs, _without_activation(last)(before)) if network.output.kind == "Dense" else None


def _without_activation(layer: Any) -> Any:
    """Return a layer that computes what ``layer`` does before its own activation, with the same weights."""

    class Logits(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__(name=f"{layer.name}_logits")
            self.layer = layer

        def call(self, inputs: Any) -> Any:
            with swapped("activation", {layer: None}):
                return layer(inputs)

    return Logits()


#: Keras' layers that run code or read files which their configuration names.
_UNSAFE_LAYERS = {
    "FlaxLayer",
    "IntegerLookup",
    "JaxLayer",
    "Lambda",
    "StringLookup",
    "TFSMLayer",
    "TextVectorization",
    "TorchModuleWrapper",
}
#: Where Keras' configuration has what else a layer needs: nothing there names code.
_SAFE_MODULES = ("keras.constraints", "keras.initializers", "keras.layers", "keras.regularizers", "keras.src.ops.")
_SAFE_CLASSES = {"DTypePolicy", "Functional", "Sequential"}
_VALUES = {"__ellipsis__", "__keras_tensor__", "__numpy__", "__slice__", "__tensor__"}


def keras_config(model: Any) -> dict[str, Any]:
    """Return Keras' configuration of a model, ready for JSON, as :func:`build_from_config` takes it."""
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model), default=_plain))


def without_defaults(config: Any) -> Any:
    """Return Keras' configuration without settings that are at their defaults, which an older Keras may not know."""
    if isinstance(config, list):
        return [without_defaults(value) for value in config]
    if not isinstance(config, Mapping):
        return config
    config = {key: without_defaults(value) for key, value in config.items()}
    module = getattr(keras, str(config.get("module")).removeprefix("keras."), None)
    kind, settings = getattr(module, str(config.get("class_name")), None), config.get("config")
    if isinstance(kind, type) and isinstance(settings, Mapping):
        defaults: dict[str, str] = {}
        for base in [base for base in reversed(kind.__mro__[:-1]) if "__init__" in vars(base)]:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
            defaults |= {parameter.name: json.dumps(parameter.default, default=str) for parameter in parameters}
        asks = "from_config" in vars(kind)  # by name for what it needs, which is never a None
        config["config"] = {
            k: v for k, v in settings.items() if defaults.get(k) != json.dumps(v) or (asks and v is not None)
        }
    return config


def build_from_config(config: Mapping[str, Any], network: Network | None = None) -> Any:
    """Return a model built from Keras' configuration, with fresh weights that are all trainable.

    Parameters
    ----------
    config
        As :func:`keras_config` gives it.
    network
        What must come of it; it is built in a graph of its own first, where nothing is allocated.

    Raises
    ------
    InputError
        The configuration has more than Keras' own layers, makes another network, or Keras cannot build it.
    """
    if network is not None:
        with tf.Graph().as_default():
            made = read_network(build_from_config(config))
        if not made.same_as(network):
            raise InputError(f"Keras' configuration of {network.name!r} does not make the network that is described.")
    config = _checked_config(config)
    try:
        model = keras.saving.deserialize_keras_object(config, safe_mode=True)
        read_network(model)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise InputError(f"Keras cannot build the model from its configuration: {reason_of(error):.200}") from error
    for layer in (model, *all_layers(model)):  # Keras keeps some of what was frozen
        layer.trainable = True
    return model


def frozen_layers(source: Any) -> set[str]:
    """Return the paths of the layers that are not trainable in a model or in Keras' configuration of one."""
    return {path for path, layer in _below(source).items() if _setting(layer, "trainable") is False}


def take_over(model: Any, trainable: Mapping[str, bool], frozen: Collection[str]) -> None:
    """Make a newly built model what its assigned weights are of.

    Parameters
    ----------
    model
        The model; adapted layers read their weights anew.
    trainable
        Whether a weight trains, by the paths of the assigned weights.
    frozen
        What :func:`frozen_layers` gives. A layer with other weights than the assigned ones stays trainable.
    """
    paths = with_paths(model)
    fresh = {id(weight) for path, weight in paths if path not in trainable}
    for path, layer in _below(model).items():  # outer ones first: what is set for a model is set for its layers
        if fresh.isdisjoint(map(id, layer.weights)):
            layer.trainable = path not in frozen
    still = {id(weight) for path, weight in paths if not trainable.get(path, True)}
    for variable in model.trainable_variables:
        variable.trainable = id(variable) not in still
    for layer in all_layers(model):
        if isinstance(layer, keras.layers.Normalization):  # it computes with values that it took of its weights
            layer.finalize_state()


def _below(source: Any) -> dict[str, Any]:
    """Return the layers in a model, or in Keras' configuration of one, outer ones first, by their paths.

    A path is the layer's name, with those of the models and wrappers around it only where others have the same name.
    """
    found: list[tuple[tuple[str, ...], Any]] = []
    waiting: list[tuple[tuple[str, ...], Any]] = [((), source)]
    for group, outer in waiting:
        inner = _setting(outer, "layers") or [_setting(outer, "layer")]
        named = [((*group, str(_setting(layer, "name"))), layer) for layer in inner if _setting(layer, "name")]
        found += named
        waiting += named
    counts = Counter(path[-1] for path, _ in found)
    return {path[-1] if counts[path[-1]] == 1 else "/".join(path): layer for path, layer in found}


def _setting(layer: Any, name: str) -> Any:
    """Return a setting of a live layer or of one in Keras' configuration; ``None`` if it has none of that name."""
    if isinstance(layer, Mapping):
        config = layer.get("config")
        return config.get(name) if isinstance(config, Mapping) else None
    return getattr(layer, name, None)


def _checked_config(config: Any) -> Any:
    """Return a configuration without what compiled or built it, or raise InputError if it names code."""
    if isinstance(config, list):
        return [_checked_config(value) for value in config]
    if not isinstance(config, Mapping):
        return config
    if (kind := config.get("class_name", "__keras_tensor__")) not in _VALUES:
        module, registered = str(config.get("module")), config.get("registered_name")
        own = module.startswith(_SAFE_MODULES) or (module.partition(".")[0] == "keras" and kind in _SAFE_CLASSES)
        own = own and registered in (None, kind) and ">" not in str(kind) and _is_keras_class(module, str(kind))
        if not own or kind in _UNSAFE_LAYERS:
            inner = config.get("config")
            name = inner.get("name") if isinstance(inner, Mapping) else inner
            raise InputError(
                "Only models of Keras' own layers can be rebuilt, without Lambda or custom classes and functions; "
                f"{name or 'the configuration'} is a {kind}. Register a builder with modelzoo.register_model, or use "
                "Keras' layers."
            )
        config = {**config, "registered_name": None}  # Keras would take what somebody registered under that name
    return {
        key: _checked_config(value) for key, value in config.items() if key not in ("build_config", "compile_config")
    }


def _is_keras_class(module: str, name: str) -> bool:
    """Return whether a module of Keras has a class of its own by that name."""
    found: Any = keras
    for part in [*module.split(".")[1:], name]:
        found = getattr(found, part, None)
    return isinstance(found, type) and found.__module__.partition(".")[0] == "keras"


def with_paths(model: Any) -> list[tuple[str, Any]]:
    """Return a model's weights with their paths: the name of the layer and the weight's own, as ``"hidden/kernel"``.

    They do not depend on the scopes that layers were built in: by a Sequential model, within a ``keras.name_scope``, or
    after a call that failed and left one open. Layers of one name in several nested models have the models' names too.
    """
    if isinstance(model.weights, Mapping):  # of a model in NumPy
        return list(model.weights.items())
    paths: dict[int, tuple[str, str]] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), layer) for layer in getattr(model, "layers", ())]
    for group, layer in waiting:
        if hasattr(layer, "layers") and _is_graph(layer):
            waiting += [((*group, layer.name), inner) for inner in layer.layers]
            continue
        for weight in layer.weights:
            *scopes, name = weight.path.split("/")
            own = scopes[len(scopes) - scopes[::-1].index(layer.name) :] if layer.name in scopes else []
            path = "/".join([layer.name, *own, name])
            paths.setdefault(id(weight), (path, "/".join([*group, path])))
    counts = Counter(path for path, _ in paths.values())
    named = {key: path if counts[path] == 1 else full for key, (path, full) in paths.items()}
    return [(named.get(id(weight), weight.path), weight) for weight in model.weights]


def _is_graph(model: Any) -> bool:
    """Return whether Keras knows what the model's layers read."""
    return bool(getattr(model, "inputs", None) and getattr(model, "outputs", None))


#: A call of a layer: its name and which of its calls.
_Call = tuple[str, int]


class _Reader:
    """Collects the layers of a model, nested ones opened."""

    def __init__(self, paths: Mapping[int, str]) -> None:
        self.layers: list[Layer] = []
        self._paths = paths
        self._seen: set[int] = set()

    def read(self, model: Any, outer: Sequence[int] | None, group: tuple[str, ...]) -> list[int]:
        """Append the layers of ``model``, inputs first, and return the indices of those that give its outputs.

        ``outer`` are the indices of the layers that a nested model reads in the place of its inputs.
        """
        if isinstance(model, keras.Sequential):  # whose configuration has no calls
            model = keras.Model(model.inputs, model.outputs, name=model.name)  # Keras counts up the names that it makes
        config = json.loads(json.dumps(model.get_config(), default=_plain))
        configs = {layer["name"]: layer for layer in config["layers"]}
        live = {layer.name: layer for layer in model.layers}
        tensors = {
            (name, number): [m["config"] for m in mappings_in(node) if m.get("class_name") == "__keras_tensor__"]
            for name, layer in configs.items()
            for number, node in enumerate(layer["inbound_nodes"])
        }
        reads = {call: [_call_of(tensor) for tensor in read] for call, read in tensors.items()}
        shapes = {_call_of(tensor): tuple(tensor["shape"]) for read in tensors.values() for tensor in read}
        # Keras counts the making of a nested functional model as its first call here, and nowhere else.
        made_once = {name for name, layer in configs.items() if layer["class_name"] == "Functional"}
        ends = [(name, number - (name in made_once)) for name, number, _ in _histories(config["output_layers"])]
        shapes |= {end: tuple(output.shape) for end, output in zip(ends, model.outputs, strict=True)}
        starts = [(name, 0) for name, *_ in _histories(config["input_layers"])]
        made: dict[_Call, int] = {} if outer is None else dict(zip(starts, outer, strict=True))
        waiting = list(reversed(starts + ends if outer is None else ends))
        while waiting:  # depth first, without recursion: a network may be deep
            call = waiting[-1]
            missing = [source for source in reads.get(call, []) if source not in made]
            if call in made:
                waiting.pop()
            elif missing:
                waiting.extend(reversed(missing))
            else:
                waiting.pop()
                name, number = call
                inputs = [made[source] for source in reads.get(call, [])]
                config = configs[name]
                if name not in live:
                    config = {**config, "config": config["config"] | _arguments(config["inbound_nodes"][number])}
                made[call] = self._append(live.get(name), config, inputs, shapes[call], group)
        return [made[end] for end in ends]

    def _append(self, layer: Any, config: Any, inputs: Sequence[int], shape: Shape, group: tuple[str, ...]) -> int:
        """Append one call of a layer, an operation (``layer`` is ``None``) or a nested model's layers."""
        nested = layer is not None and hasattr(layer, "layers") and _is_graph(layer)
        if nested and len(layer.inputs) == len(inputs) and len(layer.outputs) == 1:
            return self.read(layer, inputs, (*group, layer.name))[0]
        weights = tuple(Weight(self._paths[id(w)], tuple(w.shape)) for w in getattr(layer, "weights", ()))
        unneeded = {"name"} if layer is None else _TRAINING_SETTINGS
        settings = {
            key: value
            for key, value in config["config"].items()
            if key not in unneeded and not key.endswith(_TRAINING_SUFFIXES)
        }
        shared = bool(weights) and id(layer) in self._seen
        self._seen.add(id(layer))
        name = config["config"]["name"]
        if layer is None:  # Keras numbers operations through the whole process; here, through the network
            kind = re.sub(r"_\d+$", "", name)
            count = sum(other.kind == config["class_name"] for other in self.layers)
            name = f"{kind}_{count}" if count else kind
        self.layers.append(
            Layer(config["class_name"], name, settings, tuple(inputs), tuple(shape[1:]), weights, group, shared)
        )
        return len(self.layers) - 1


def mappings_in(config: Any) -> Iterator[Mapping[str, Any]]:
    """Give all mappings in Keras' configuration, outer ones first."""
    if isinstance(config, Mapping):
        yield config
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from mappings_in(value)


def _arguments(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of an operation's call: places of its inputs, slices, and constants."""
    places = itertools.count()

    def simple(value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                return {"input": next(places)}
            if value.get("class_name") == "__slice__":
                return {"slice": [value["config"][end] for end in ("start", "stop", "step")]}
            return {name: simple(item) for name, item in value.items()}
        return [simple(item) for item in value] if isinstance(value, list) else value

    return {"args": simple(node["args"]), "kwargs": simple(node["kwargs"])}


def _call_of(tensor: Mapping[str, Any]) -> _Call:
    name, number, _ = tensor["keras_history"]
    return name, number


def _histories(ends: Any) -> list[Any]:
    """Return a list of ``[name, call, tensor]``, also where Keras gives a single one by itself or by name."""
    if isinstance(ends, Mapping):
        ends = list(ends.values())
    return [ends] if ends and isinstance(ends[0], str) else list(ends)


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)
