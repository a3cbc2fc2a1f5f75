"""A network as computing steps with symbols, and the equation and the rows of the layer table written from them."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from modelzoo.network import Layer, Network, NotAChainError, shape_text

Parameters = dict[str, tuple[int, ...]]

#: Networks with more steps than this are written as a table only.
MAX_STEPS = 40

#: LaTeX of an activation, and its definition.
_ACTIVATIONS = {
    "relu": (r"\mathrm{ReLU}", r"\mathrm{ReLU}(t) = \max(0, t)"),
    "sigmoid": (r"\sigma", r"\sigma(t) = \frac{1}{1 + e^{-t}}"),
    "tanh": (r"\tanh", r"\tanh(t) = \frac{e^{t} - e^{-t}}{e^{t} + e^{-t}}"),
    "softmax": (r"\mathrm{softmax}", r"\mathrm{softmax}(t)_i = \frac{e^{t_i}}{\sum_j e^{t_j}}"),
    "step": (r"\mathrm{step}", r"\mathrm{step}(t) = 1 \text{ if } t > 0 \text{, else } 0"),
}


@dataclasses.dataclass(frozen=True)
class Step:
    """One layer of a network.

    Attributes
    ----------
    layer
        The layer.
    symbol
        LaTeX of what it gives, e.g. ``"h_{2}"``.
    sources
        Symbols of what it reads.
    index
        Number of its weights, counted from 1 along the network; 0 if it has none.
    """

    layer: Layer
    symbol: str
    sources: tuple[str, ...]
    index: int

    @property
    def name(self) -> str:
        """The layer's name after those of the nested models it is in, e.g. ``"encoder/latent"``."""
        return "/".join((*self.layer.group, self.layer.name))

    @property
    def kind(self) -> str:
        """Class, settings and activation, e.g. ``"Conv2D 5 × 5, padding same, relu"``."""
        layer = self.layer
        size = times(layer.config.get("kernel_size") or layer.config.get("pool_size") or ())
        activation = "" if layer.activation == layer.kind.lower() else layer.activation
        return ", ".join(filter(None, (f"{layer.kind} {size}".strip(), *_settings(layer), activation)))

    @property
    def shape(self) -> str:
        """Shape of its output without the batch dimension, e.g. ``"28 × 28 × 32"``."""
        return times(self.layer.output_shape)

    @property
    def arithmetic(self) -> str:
        """How its parameters are counted, e.g. ``"784 × 500 + 500 = 392,500"``; empty without parameters."""
        if self.layer.shared:
            return "shared"
        counted = self.layer.arithmetic.replace("×", " × ")
        total = f"{self.layer.num_params:,}"
        return counted if counted in ("", total) else f"{counted} = {total}"


def times(shape: Sequence[int | None]) -> str:
    """Return a shape as text, e.g. ``"5 × 5"``, with ``?`` for an open length."""
    return shape_text(shape).replace("×", " × ")


#: Settings that the table of layers shows where they are not Keras' defaults, and what they are called there.
_SETTINGS = {"strides": "stride", "padding": "padding", "dilation_rate": "dilation", "groups": "groups"}
_SETTINGS |= {"scale": "scale", "max_value": "cut at", "negative_slope": "slope below", "threshold": "threshold"}
_SETTINGS |= {"rate": "rate"}


def _settings(layer: Layer) -> list[str]:
    found = []
    for key, word in _SETTINGS.items():
        value = layer.config.get(key)
        if isinstance(value, list) and value != layer.config.get("pool_size") and set(map(str, value)) != {"1"}:
            found.append(f"{word} {times(value)}")
        elif isinstance(value, int | float | str) and value not in (0, 1, "valid"):
            found.append(f"{word} {value if isinstance(value, str) else fraction(value)}")
    return found


def fraction(value: float) -> str:
    """Return a number as text, a small one as 1/n if it is that."""
    if 0 < abs(value) < 0.1 and abs(1 / value - round(1 / value)) < 1e-6:
        return f"1/{round(1 / value)}"
    return f"{value:g}"


def read_steps(network: Network) -> tuple[Step, ...]:
    """Return the layers of a network in the order in which they are computed, each with its symbol.

    The output is called ŷ; that of an autoencoder, whose halves are models named ``encoder`` and ``decoder``, x̂, and
    its code z.
    """
    layers, outputs = network.layers, network.outputs
    try:
        layers = network.chain()
        outputs = (len(layers) - 1,)
    except NotAChainError:
        pass
    inputs = [i for i, layer in enumerate(layers) if layer.kind == "InputLayer"]
    groups = {name for layer in layers for name in layer.group}
    codes = {"encoder", "decoder"} <= groups
    symbols: list[str] = []
    hidden = 0
    for i, layer in enumerate(layers):
        after = layers[i + 1].group if i + 1 < len(layers) else ()
        if i in inputs:
            symbols.append("x" if len(inputs) == 1 else f"x_{{{inputs.index(i) + 1}}}")
        elif i in outputs:
            letter = r"\hat{x}" if codes else r"\hat{y}"
            symbols.append(letter if len(outputs) == 1 else f"{letter}_{{{outputs.index(i) + 1}}}")
        elif codes and layer.group[-1:] == ("encoder",) and after[-1:] != ("encoder",):
            symbols.append("z")
        else:
            hidden += 1
            symbols.append(f"h_{{{hidden}}}")
    numbers = {
        weights: i for i, weights in enumerate(dict.fromkeys(layer.weights for layer in layers if layer.weights), 1)
    }
    return tuple(
        Step(layer, symbol, tuple(symbols[i] for i in layer.inputs), numbers.get(layer.weights, 0))
        for layer, symbol in zip(layers, symbols, strict=True)
    )


class Equation(NamedTuple):
    r"""What a network computes, as LaTeX.

    Attributes
    ----------
    lines
        One ``(symbol, expression, space)`` a step, e.g. ``("h_{1}", r"\sigma(x\, W_{1})", r"\mathbb{R}^{4}")``.
        The expression of an input is empty.
    parameters
        Symbol and shape of each parameter.
    definitions
        Equations of the functions in it.
    notes
        Sentences on what the symbols mean.
    """

    lines: tuple[tuple[str, str, str], ...]
    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    definitions: tuple[str, ...]
    notes: tuple[str, ...]


def equation_of(steps: Sequence[Step]) -> Equation | None:
    """Write the equation of a network; ``None`` if there are more than ``MAX_STEPS`` steps."""
    if len(steps) > MAX_STEPS:
        return None
    lines, used = [], []
    parameters: Parameters = {}
    for step in steps:
        expression, own = _expression(step)
        parameters |= own
        activation = step.layer.activation
        if activation and _ends_in_activation(step.layer):
            function, _ = _ACTIVATIONS.get(activation, (_roman(activation), ""))
            expression = f"{function}({expression})"
            used.append(activation)
        lines.append((step.symbol, expression, space(step.layer.output_shape)))
    definitions = [_ACTIVATIONS[name][1] for name in dict.fromkeys(used) if name in _ACTIVATIONS]
    notes = _notes(steps)
    if any(line[1].startswith(f"{_roman(step.layer.kind)}(") for line, step in zip(lines, steps, strict=True)):
        notes.append(
            "Other functions are the Keras layers and operations of these names; their settings are not shown."
        )
    return Equation(tuple(lines), tuple(parameters.items()), tuple(definitions), tuple(notes))


def _ends_in_activation(layer: Layer) -> bool:
    """Return whether the activation is the last thing a layer does; a recurrent one has it inside."""
    if layer.is_activation:
        return _is_plain_activation(layer)
    return bool(re.fullmatch(r"(Einsum)?Dense|(Depthwise|Separable)?Conv\dD(Transpose)?", layer.kind))


def _is_plain_activation(layer: Layer) -> bool:
    """Return whether a layer is nothing but its activation; a ReLU that leaks or is cut is a function of its own."""
    config = layer.config
    changed = layer.kind == "ReLU" and (
        config["max_value"] is not None or config["negative_slope"] or config["threshold"]
    )
    return layer.is_activation and not layer.weights and not changed


def _roman(name: str) -> str:
    """Return a name as upright letters; only what LaTeX takes for letters and digits is left of it."""
    return rf"\mathrm{{{re.sub(r'[^A-Za-z0-9]+', chr(92) + ' ', name).strip()}}}"


def space(shape: Sequence[int | None]) -> str:
    r"""Return LaTeX for the arrays of a shape, e.g. ``\mathbb{R}^{5 \times 5}``."""
    lengths = r" \times ".join(r"\cdot" if length is None else str(length) for length in shape)
    return rf"\mathbb{{R}}^{{{lengths}}}" if lengths else r"\mathbb{R}"


def _expression(step: Step) -> tuple[str, Parameters]:
    """Return what a layer does before its activation, and its parameters."""
    layer, k = step.layer, step.index
    kind, config, shapes = layer.kind, layer.config, [weight.shape for weight in layer.weights]
    h = step.sources[0] if step.sources else ""
    pool = re.fullmatch(r"(Max|Average)Pooling\dD", kind)
    weights = {f"W_{{{k}}}": shapes[0]} | ({f"b_{{{k}}}": shapes[1]} if len(shapes) > 1 else {}) if shapes else {}
    bias = f" + b_{{{k}}}" if len(shapes) > 1 else ""
    if kind == "InputLayer":
        return "", {}
    if kind == "Dense" and len(shapes) <= 2:
        return rf"{h}\, W_{{{k}}}{bias}", weights
    if re.fullmatch(r"Conv\dD", kind) and len(shapes) <= 2 and config["groups"] == 1:
        return rf"W_{{{k}}} * {h}{bias}", weights
    if kind == "BatchNormalization" and len(shapes) == 4:
        names = [rf"\gamma_{{{k}}}", rf"\beta_{{{k}}}", rf"\mu_{{{k}}}", rf"\sigma_{{{k}}}^2"]
        gamma, beta, mean, variance = names
        scaled = rf"\frac{{{h} - {mean}}}{{\sqrt{{{variance} + \epsilon}}}}"
        return rf"{gamma} \odot {scaled} + {beta}", dict(zip(names, shapes, strict=True))
    if pool and not shapes:
        size = r" \times ".join(map(str, config["pool_size"]))
        return rf"\mathrm{{{'max' if pool[1] == 'Max' else 'avg'}pool}}_{{{size}}}({h})", {}
    if kind in ("Reshape", "Flatten"):
        return rf"\mathrm{{{'reshape' if kind == 'Reshape' else 'vec'}}}({h})", {}
    if kind == "Dropout":
        return rf"\mathrm{{dropout}}_{{{config['rate']:g}}}({h})", {}
    if kind == "Rescaling" and all(isinstance(config[key], int | float) for key in ("scale", "offset")):
        scale, shift = fraction(config["scale"]), config["offset"]
        factor = rf"\tfrac{{1}}{{{scale[2:]}}}" if "/" in scale else scale
        offset = f"{shift:+g}".replace("+", "+ ").replace("-", "- ") if shift else ""
        return rf"{factor}\, {h} {offset}".strip(), {}
    if _is_plain_activation(layer):
        return h, {}
    if kind == "ReLU":  # one with settings
        return rf"\mathrm{{ReLU}}'({h})", {}
    if kind == "ColumnOfOnes":
        return f"[{h}, 1]", {}
    if kind == "Concatenate" and not shapes:
        return f"[{', '.join(step.sources)}]", {}
    if kind == "Add" and len(step.sources) > 1:
        return " + ".join(step.sources), {}
    theta: Parameters = {rf"\theta_{{{k}}}": (sum(map(math.prod, shapes)),)} if shapes else {}
    return f"{_roman(kind)}({'; '.join([', '.join(step.sources), *theta])})", theta


def _notes(steps: Sequence[Step]) -> list[str]:
    kinds = {step.layer.kind for step in steps}
    notes = []
    if "Dense" in kinds:
        notes.append("Samples are row vectors, and kernels have the shape inputs × units, as in Keras.")
    if any(re.fullmatch(r"Conv\dD", kind) for kind in kinds):
        notes.append(
            "$W * h$ slides each kernel over the maps of $h$ and sums the products (cross-correlation); its size, "
            "padding and stride are in the table of layers."
        )
    if "Flatten" in kinds:
        notes.append(r"$\mathrm{vec}$ writes an array as one row.")
    if "Dropout" in kinds:
        notes.append(
            r"In training, $\mathrm{dropout}_p(h) = h \odot m / (1 - p)$ with $m_i$ drawn anew, 0 with probability $p$ "
            "and else 1; otherwise it is $h$ itself."
        )
    if any(step.layer.kind == "ReLU" and not _is_plain_activation(step.layer) for step in steps):
        notes.append(r"$\mathrm{ReLU}'$ is a ReLU with the settings in the table of layers.")
    return notes
