"""A chain of layers as the stages of a picture: what changes the numbers is a stage, the rest is a note on one."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Literal

from modelzoo.viz.diagram_layers import (
    ACTIVATION_LAYERS,
    LayerInfo,
    NotDrawableError,
    parameter_arithmetic,
    read_chain,
    shape_text,
)

Role = Literal["input", "dense", "conv", "pool", "flatten", "dropout", "image"]

_CONVOLUTIONS = {
    "Conv2D": "",
    "Conv2DTranspose": "transposed",
    "DepthwiseConv2D": "depthwise",
    "SeparableConv2D": "separable",
}
_POOLS = {"MaxPooling2D": "max pool", "AveragePooling2D": "mean pool"}
_GLOBAL_POOLS = {"GlobalMaxPooling2D": "max pool", "GlobalAveragePooling2D": "mean pool"}
_RESIZINGS = {"UpSampling2D": "upsample", "ZeroPadding2D": "pad", "Cropping2D": "crop"}
_NORMALIZATIONS = {
    "BatchNormalization": "batch norm",
    "GroupNormalization": "group norm",
    "LayerNormalization": "layer norm",
    "UnitNormalization": "unit norm",
}
_DROPOUTS = {"Dropout", "AlphaDropout", "GaussianDropout", "SpatialDropout2D"}
_ACTIVATION_NAMES = {
    "elu": "ELU",
    "gelu": "GELU",
    "leaky_relu": "leaky ReLU",
    "prelu": "PReLU",
    "relu": "ReLU",
    "relu6": "ReLU6",
    "selu": "SELU",
    "silu": "SiLU",
    "swish": "SiLU",
}


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
    activation
        Name of the activation as Keras has it, e.g. ``"relu"``.
    notes
        What else is done here, e.g. ``("batch norm",)``.
    window
        Height and width of the kernel or the pool.
    num_params
        Number of parameters, those of a folded normalisation included.
    weight_shapes
        Shape of each weight.
    group
        Names of the nested models around it.
    constant
        Whether a column of ones follows the units, as a bias.
    layer
        The Keras layer.
    """

    role: Role
    name: str
    shape: tuple[int, ...]
    operation: tuple[str, ...] = ()
    activation: str = ""
    notes: tuple[str, ...] = ()
    window: tuple[int, int] | None = None
    num_params: int = 0
    weight_shapes: tuple[tuple[int, ...], ...] = ()
    group: tuple[str, ...] = ()
    constant: bool = False
    layer: Any = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def heading(self) -> str:
        """Its name, or what it does if it has none."""
        return self.name or (self.operation[0] if self.operation else self.role)

    @property
    def size(self) -> int:
        """Number of values."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def size_text(self) -> str:
        """The size as diagrams give it: ``"32@28×28"`` or ``"1,024"``."""
        if len(self.shape) == 1:
            return f"{self.shape[0]:,}"
        height, width, maps = self.shape
        return f"{maps}@{height}×{width}"

    @property
    def arithmetic(self) -> str:
        """How the parameters are counted."""
        return parameter_arithmetic(self.weight_shapes)

    @property
    def activation_text(self) -> str:
        """Name of the activation for readers, e.g. ``"ReLU"``."""
        return _ACTIVATION_NAMES.get(self.activation, self.activation.replace("_", " "))


def read_stages(layers: Sequence[LayerInfo]) -> tuple[Stage, ...]:
    """Fold the layers of a model into stages.

    Activations, normalisations, rescalings and reshapings become part of the stage before.

    Raises
    ------
    NotDrawableError
        The layers are no chain, or one of them has no place in a picture.
    """
    chain = read_chain(layers)
    stages = [_input(chain[0])]
    for info in chain[1:]:
        _place(stages, info)
    last = chain[-1]
    if last.kind in {"Activation", *ACTIVATION_LAYERS} and _own_name(last):
        stages[-1] = dataclasses.replace(stages[-1], name=last.name)  # "probabilities" says more than "logits"
    return tuple(stages)


def _input(info: LayerInfo) -> Stage:
    return Stage("input", _own_name(info), _volume(info), group=info.group, layer=info.layer)


def _place(stages: list[Stage], info: LayerInfo) -> None:
    """Add ``info`` to the stages, as one of its own or as a part of the last."""
    last, kind, layer = stages[-1], info.kind, info.layer
    flat = len(info.output_shape) == 1
    if kind in {"Activation", *ACTIVATION_LAYERS}:
        if last.activation:
            stages[-1] = _noted(last, info, info.activation)
        else:
            stages[-1] = dataclasses.replace(_noted(last, info), activation=info.activation)
    elif kind == "Dense" and flat and len(last.shape) == 1:
        stages.append(_stage("dense", info, ("dense",)))
    elif kind in _CONVOLUTIONS and _channels_last(info):
        window = tuple(layer.kernel_size)
        stride = "" if set(layer.strides) == {1} else f"stride {_sides(layer.strides)}"
        operation = (_CONVOLUTIONS[kind], f"conv {shape_text(window)}", stride)
        stages.append(_stage("conv", info, operation, window))
    elif kind in _POOLS and _channels_last(info):
        window = tuple(layer.pool_size)
        stages.append(_stage("pool", info, (_POOLS[kind], shape_text(window)), window))
    elif kind in _GLOBAL_POOLS and flat and _channels_last(info):
        stages.append(_stage("flatten", info, (_GLOBAL_POOLS[kind], "global")))
    elif kind in _RESIZINGS and _channels_last(info):
        factor = shape_text(layer.size) if kind == "UpSampling2D" else ""
        stages.append(_stage("pool", info, (_RESIZINGS[kind], factor)))
    elif kind in {"Flatten", "Reshape"}:
        _reshape(stages, info)
    elif kind in _DROPOUTS:
        if flat and last.role != "input":
            stages.append(_stage("dropout", info, ("dropout", f"{layer.rate:g}")))
        else:
            stages[-1] = _noted(last, info, f"dropout {layer.rate:g}")
    elif kind in _NORMALIZATIONS:
        stages[-1] = _noted(last, info, _NORMALIZATIONS[kind])
    elif kind == "Rescaling":
        stages[-1] = _noted(last, info, _rescaling(layer))
    elif kind in {"Normalization", "GaussianNoise"} or kind.startswith("Random"):
        stages[-1] = _noted(last, info, _words(kind))
    elif kind == "ColumnOfOnes" and last.role == "input" and flat:
        stages[-1] = dataclasses.replace(last, constant=True)
    else:
        raise NotDrawableError(
            f"The layer {info.name!r} ({kind}, output {shape_text(info.output_shape)}) has no place."
        )


def _reshape(stages: list[Stage], info: LayerInfo) -> None:
    last = stages[-1]
    flat, was_flat = len(info.output_shape) == 1, len(last.shape) == 1
    if flat and was_flat:
        return
    if flat:
        stages.append(_stage("flatten", info, ("flatten",)))
    elif was_flat:
        stages.append(_stage("image", info, ("reshape",)))
    elif _volume(info) != last.shape:
        raise NotDrawableError(f"The layer {info.name!r} gives {last.size_text} the shape {info.output_shape}.")


def _stage(role: Role, info: LayerInfo, operation: Sequence[str], window: Any = None) -> Stage:
    return Stage(
        role,
        _own_name(info),
        _volume(info),
        operation=tuple(line for line in operation if line),
        activation=info.activation,
        window=window,
        num_params=info.num_params,
        weight_shapes=info.weight_shapes,
        group=info.group,
        layer=info.layer,
    )


def _noted(stage: Stage, info: LayerInfo, *notes: str) -> Stage:
    return dataclasses.replace(
        stage,
        notes=(*stage.notes, *notes),
        num_params=stage.num_params + info.num_params,
        weight_shapes=stage.weight_shapes + info.weight_shapes,
    )


def _volume(info: LayerInfo) -> tuple[int, ...]:
    """Return the output's shape, an image without channels as one map."""
    shape = tuple(length for length in info.output_shape if length is not None)
    if len(shape) != len(info.output_shape) or len(shape) not in (1, 2, 3):
        raise NotDrawableError(f"The layer {info.name!r} has the output shape {info.output_shape}.")
    return (*shape, 1) if len(shape) == 2 else shape


def _channels_last(info: LayerInfo) -> bool:
    return getattr(info.layer, "data_format", "channels_last") == "channels_last"


def _sides(lengths: Sequence[int]) -> str:
    return str(lengths[0]) if len(set(lengths)) == 1 else shape_text(lengths)


def _rescaling(layer: Any) -> str:
    scale, offset = layer.scale, layer.offset
    if not isinstance(scale, int | float) or not isinstance(offset, int | float) or not scale:
        return "rescaled"
    inverse = 1 / scale
    factor = f"÷ {inverse:.5g}" if inverse > 1 and abs(inverse - round(inverse, 1)) < 1e-6 else f"× {scale:.3g}"
    return factor + (f" {'+' if offset > 0 else '−'} {abs(offset):g}" if offset else "")


def _words(kind: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", kind).lower()


def _own_name(info: LayerInfo) -> str:
    """Return the layer's name, or nothing if Keras named it after its class: ``"re_lu_3"``."""
    default = re.sub(r"([a-z])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", info.kind)).lower()
    return "" if re.fullmatch(rf"{default}(_\d+)?", info.name) else info.name
