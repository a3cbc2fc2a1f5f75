"""A network as a list of computing steps, each with the symbol that equation and layer table share."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from modelzoo.viz.diagram_layers import LayerInfo, NotDrawableError, read_chain, read_layers, shape_text


@dataclasses.dataclass(frozen=True)
class Step:
    """One layer of a network.

    Attributes
    ----------
    info
        What is known of the layer.
    symbol
        LaTeX of what it gives, e.g. ``"h_{2}"``; empty where the graph is not known.
    sources
        Symbols of what it reads.
    index
        Number of its weights, counted from 1 along the network; 0 where it has none.
    """

    info: LayerInfo
    symbol: str = ""
    sources: tuple[str, ...] = ()
    index: int = 0

    @property
    def name(self) -> str:
        """The layer's name after those of the nested models it is in, e.g. ``"encoder/latent"``."""
        return "/".join((*self.info.group, self.info.name))

    @property
    def kind(self) -> str:
        """Class, settings and activation, e.g. ``"Conv2D 5 × 5, padding same, relu"``."""
        info = self.info
        activation = "" if info.activation == info.kind.lower() else info.activation
        return ", ".join(filter(None, (f"{info.kind} {_size(info.layer)}".strip(), *_settings(info), activation)))

    @property
    def shape(self) -> str:
        """Shape of its output without the batch dimension, e.g. ``"28 × 28 × 32"``."""
        return times(self.info.output_shape)

    @property
    def arithmetic(self) -> str:
        """How its parameters are counted, e.g. ``"784 × 500 + 500 = 392,500"``; empty if there are none."""
        if self.info.shared:
            return "shared"
        counted = self.info.arithmetic.replace("×", " × ")
        total = f"{self.info.num_params:,}"
        return counted if counted in ("", total) else f"{counted} = {total}"


def times(shape: Sequence[int | None]) -> str:
    """Return a shape as text, e.g. ``"5 × 5"``, with ``?`` for an open length."""
    return shape_text(shape).replace("×", " × ")


def read_steps(model: Any, *, joined: bool = True) -> tuple[Step, ...]:
    """Read the layers of a Keras model in the order in which they are computed.

    Parameters
    ----------
    model
        A Sequential or functional Keras model, or a built one whose graph is not known.
    joined
        Take the operations of a threshold, and those of a column of ones, for one step each, as the zoo's models
        mean them.

    Returns
    -------
    tuple of Step
        The output is called ŷ; that of a model with an ``encoder`` and a ``decoder`` x̂, and its code z.

    Raises
    ------
    InputError
        ``model`` is no Keras model, or has not been built.
    """
    layers = read_layers(model)
    if not (getattr(model, "inputs", None) and getattr(model, "outputs", None)):
        return tuple(Step(info) for info in layers)
    if joined:
        try:
            chain = read_chain(layers)
            layers = tuple(dataclasses.replace(info, inputs=(i - 1,) if i else ()) for i, info in enumerate(chain))
        except NotDrawableError:
            pass
    symbols = _symbols(layers, codes=hasattr(model, "encoder") and hasattr(model, "decoder"))
    indices: dict[int, int] = {}
    for info in layers:
        if info.weight_shapes:
            indices.setdefault(id(info.layer), len(indices) + 1)
    return tuple(
        Step(info, symbol, tuple(symbols[i] for i in info.inputs), indices.get(id(info.layer), 0))
        for info, symbol in zip(layers, symbols, strict=True)
    )


def _symbols(layers: Sequence[LayerInfo], *, codes: bool) -> list[str]:
    outputs = [i for i, info in enumerate(layers) if info.output]
    inputs = [i for i, info in enumerate(layers) if info.kind == "InputLayer"]
    symbols, hidden = [], 0
    for i, info in enumerate(layers):
        after = layers[i + 1].group if i + 1 < len(layers) else ()
        if i in inputs:
            symbols.append("x" if len(inputs) == 1 else f"x_{{{inputs.index(i) + 1}}}")
        elif i in outputs:
            letter = r"\hat{x}" if codes else r"\hat{y}"
            symbols.append(letter if len(outputs) == 1 else f"{letter}_{{{outputs.index(i) + 1}}}")
        elif codes and info.group[-1:] == ("encoder",) and after[-1:] != ("encoder",):
            symbols.append("z")
        else:
            hidden += 1
            symbols.append(f"h_{{{hidden}}}")
    return symbols


def _size(layer: Any) -> str:
    return times(getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or ())


def _settings(info: LayerInfo) -> list[str]:
    layer, found = info.layer, []
    if re.fullmatch(r"(Depthwise|Separable)?Conv\dD(Transpose)?|(Max|Average)Pooling\dD", info.kind):
        usual = (1,) * len(layer.strides) if "Conv" in info.kind else tuple(layer.pool_size)
        if tuple(layer.strides) != usual:
            found.append(f"stride {times(layer.strides)}")
        if (layer.padding, "Conv" in info.kind) != ("valid", False):
            found.append(f"padding {layer.padding}")
        if any(rate != 1 for rate in getattr(layer, "dilation_rate", ())):
            found.append(f"dilation {times(layer.dilation_rate)}")
        if getattr(layer, "groups", 1) != 1:
            found.append(f"{layer.groups} groups")
    elif info.kind == "Rescaling" and isinstance(layer.scale, int | float):
        found.append(f"scale {fraction(layer.scale)}")
    elif info.kind == "ReLU":
        settings = {"cut at": layer.max_value, "slope below": layer.negative_slope, "threshold": layer.threshold}
        found += [f"{what} {float(value):g}" for what, value in settings.items() if value]
    elif info.kind == "Dropout":
        found.append(f"rate {layer.rate:g}")
    return found


def fraction(value: float) -> str:
    """Return a number as text, 1/n where it is that."""
    if 0 < abs(value) < 1 and abs(1 / value - round(1 / value)) < 1e-6:
        return f"1/{round(1 / value)}"
    return f"{value:g}"
