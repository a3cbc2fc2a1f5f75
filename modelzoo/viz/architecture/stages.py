"""A chain of layers as the stages of a picture: what changes the numbers is a stage, the rest is a note on one."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import Any, Literal

from modelzoo.network import Layer, Network, NotAChainError, Weight, parameter_arithmetic, shape_text

Role = Literal["input", "dense", "conv", "pool", "flatten", "dropout", "image"]

#: Layers of maps: the role of their stage, and what is written first on it.
_SPATIAL: dict[str, tuple[Role, str]] = {
    "Conv2D": ("conv", ""),
    "Conv2DTranspose": ("conv", "transposed"),
    "DepthwiseConv2D": ("conv", "depthwise"),
    "SeparableConv2D": ("conv", "separable"),
    "MaxPooling2D": ("pool", "max pool"),
    "AveragePooling2D": ("pool", "mean pool"),
    "GlobalMaxPooling2D": ("flatten", "max pool"),
    "GlobalAveragePooling2D": ("flatten", "mean pool"),
    "UpSampling2D": ("pool", "upsample"),
    "ZeroPadding2D": ("pool", "pad"),
    "Cropping2D": ("pool", "crop"),
}
_DROPOUTS = {"Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout2D"}


@dataclasses.dataclass(frozen=True)
class Stage:
    """What one place of a picture shows: the numbers after a layer and what made them.

    Attributes
    ----------
    role
        ``"input"``; ``"dense"``; ``"conv"`` and ``"pool"`` (also resizing), which give maps; ``"flatten"`` (also
        global pooling) and ``"dropout"``, thin marks; ``"image"``, a vector given its image shape back.
    name
        Name of the layer; empty if Keras named it after its class, as in ``"dense_3"``.
    shape
        Shape of its output: ``(units,)``, or ``(height, width, maps)`` for maps and images.
    operation
        What the layer does, line by line, e.g. ``("conv 5×5", "stride 2")``.
    window
        Height and width of the kernel or the pool.
    activation
        Name of the activation as Keras has it, e.g. ``"relu"``.
    notes
        What else is done here, e.g. ``("batch norm",)``.
    num_params
        Number of parameters, those of a folded normalisation included.
    weights
        The weights of all layers that it stands for.
    group
        Names of the nested models around it.
    constant
        Whether a column of ones follows the units, as a bias.
    """

    role: Role
    name: str
    shape: tuple[int, ...]
    operation: tuple[str, ...] = ()
    window: tuple[int, ...] = ()
    activation: str = ""
    notes: tuple[str, ...] = ()
    num_params: int = 0
    weights: tuple[Weight, ...] = ()
    group: tuple[str, ...] = ()
    constant: bool = False

    @property
    def heading(self) -> str:
        """Its name, or what it does if it has none."""
        return self.name or (self.operation[0] if self.operation else self.role)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def size_text(self) -> str:
        """The size as diagrams give it: ``"32@28×28"`` or ``"1,024"``."""
        return f"{self.size:,}" if len(self.shape) == 1 else f"{self.shape[2]}@{shape_text(self.shape[:2])}"

    @property
    def arithmetic(self) -> str:
        """How the parameters are counted."""
        return parameter_arithmetic([weight.shape for weight in self.weights])

    @property
    def activation_text(self) -> str:
        """Name of the activation for readers, e.g. ``"ReLU"``."""
        words = self.activation.replace("_", " ").replace("prelu", "PReLU").replace("relu", "ReLU")
        return words.upper() if words in ("elu", "gelu", "selu") else words.replace("silu", "SiLU")


def read_stages(network: Network) -> tuple[Stage, ...]:
    """Fold the layers of a network into stages.

    Activations, normalisations, rescalings and reshapings become part of the stage before.

    Raises
    ------
    NotAChainError
        The layers do not follow each other one by one, or one of them has no place in a picture.
    """
    first, *others = network.chain()
    stages = [_stage("input", first)]
    for layer in others:
        _place(stages, layer)
    if others and others[-1].is_activation and _own_name(others[-1]):  # "probabilities" says more than "logits"
        stages[-1] = dataclasses.replace(stages[-1], name=others[-1].name)
    return tuple(stages)


def _place(stages: list[Stage], layer: Layer) -> None:
    """Add a layer to the stages, as one of its own or as a part of the last."""
    last, kind, config = stages[-1], layer.kind, layer.config
    flat, was_flat = len(layer.output_shape) == 1, len(last.shape) == 1
    if layer.is_activation and not last.activation:
        stages[-1] = dataclasses.replace(_noted(last, layer), activation=layer.activation)
    elif layer.is_activation:
        stages[-1] = _noted(last, layer, layer.activation)
    elif kind == "Dense" and flat and was_flat:
        stages.append(_stage("dense", layer, "dense"))
    elif kind in _SPATIAL and config.get("data_format") != "channels_first":
        stages.append(_spatial(layer))
    elif kind in {"Flatten", "Reshape"} and flat != was_flat:
        stages.append(_stage("flatten", layer, "flatten") if flat else _stage("image", layer, "reshape"))
    elif kind in {"Flatten", "Reshape"} and _volume(layer) == last.shape:
        pass
    elif kind in _DROPOUTS and flat and last.role != "input":
        stages.append(_stage("dropout", layer, "dropout", f"{config['rate']:g}"))
    elif kind in _DROPOUTS:
        stages[-1] = _noted(last, layer, f"dropout {config['rate']:g}")
    elif kind == "Rescaling":
        stages[-1] = _noted(last, layer, _rescaling(config["scale"], config["offset"]))
    elif re.match(r"Random|\w*(Normalization|Noise)$", kind) and "layer" not in config:  # not a wrapper of a layer
        stages[-1] = _noted(last, layer, _snake_case(kind).replace("_", " ").replace("normalization", "norm"))
    elif kind == "ColumnOfOnes" and last.role == "input" and flat:
        stages[-1] = dataclasses.replace(last, constant=True)
    else:
        raise NotAChainError(f"The layer {layer.name!r} ({kind}, {shape_text(layer.output_shape)}) has no place.")


def _stage(role: Role, layer: Layer, *operation: str, window: Sequence[int] = ()) -> Stage:
    return Stage(
        role,
        _own_name(layer),
        _volume(layer),
        operation=tuple(line for line in operation if line),
        window=tuple(window),
        activation=layer.activation,
        num_params=layer.num_params,
        weights=layer.weights,
        group=layer.group,
    )


def _spatial(layer: Layer) -> Stage:
    (role, words), config = _SPATIAL[layer.kind], layer.config
    window = config.get("kernel_size") or config.get("pool_size") or ()
    if role == "conv":
        step = shape_text(config["strides"] if len(set(config["strides"])) > 1 else config["strides"][:1])
        return _stage(
            role, layer, words, f"conv {shape_text(window)}", "" if step == "1" else f"stride {step}", window=window
        )
    size = "global" if role == "flatten" else shape_text(window or config.get("size", ()))
    return _stage(role, layer, words, size, window=window)


def _noted(stage: Stage, layer: Layer, *notes: str) -> Stage:
    """Return the stage with a layer folded into it."""
    return dataclasses.replace(
        stage,
        notes=(*stage.notes, *notes),
        num_params=stage.num_params + layer.num_params,
        weights=stage.weights + layer.weights,
    )


def _volume(layer: Layer) -> tuple[int, ...]:
    """Return the output's shape, an image without channels as one map."""
    shape = tuple(length for length in layer.output_shape if length is not None)
    if len(shape) != len(layer.output_shape) or len(shape) not in (1, 2, 3):
        raise NotAChainError(f"The layer {layer.name!r} has the output shape {shape_text(layer.output_shape)}.")
    return (*shape, 1) if len(shape) == 2 else shape


def _rescaling(scale: Any, offset: Any) -> str:
    """Return what a Rescaling does, e.g. ``"÷ 127.5 − 1"``."""
    if not isinstance(scale, int | float) or not isinstance(offset, int | float) or not scale:
        return "rescaled"
    divides = scale < 1 and abs(1 / scale - round(1 / scale, 1)) < 1e-6
    factor = f"÷ {1 / scale:.5g}" if divides else f"× {scale:.3g}"
    return factor + (f" {'+' if offset > 0 else '−'} {abs(offset):g}" if offset else "")


def _own_name(layer: Layer) -> str:
    """Return the layer's name; empty if Keras named it after its class: ``"re_lu_3"``."""
    return "" if re.fullmatch(rf"{_snake_case(layer.kind)}(_\d+)?", layer.name) else layer.name


def _snake_case(kind: str) -> str:
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)).lower()
