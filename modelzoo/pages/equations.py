"""The equation of a network, written from its live layers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Sequence

from modelzoo.pages.layers import Step, fraction
from modelzoo.viz.diagram_layers import ACTIVATION_LAYERS

Parameters = dict[str, tuple[int, ...]]

#: Networks with more steps than this are written as a table only.
MAX_STEPS = 40

_ACTIVATIONS = {
    "relu": r"\mathrm{ReLU}",
    "sigmoid": r"\sigma",
    "tanh": r"\tanh",
    "softmax": r"\mathrm{softmax}",
    "step": r"\mathrm{step}",
}

_DEFINITIONS = {
    "relu": r"\mathrm{ReLU}(t) = \max(0, t)",
    "sigmoid": r"\sigma(t) = \frac{1}{1 + e^{-t}}",
    "tanh": r"\tanh(t) = \frac{e^{t} - e^{-t}}{e^{t} + e^{-t}}",
    "softmax": r"\mathrm{softmax}(t)_i = \frac{e^{t_i}}{\sum_j e^{t_j}}",
    "step": r"\mathrm{step}(t) = 1 \text{ if } t > 0 \text{, else } 0",
}


@dataclasses.dataclass(frozen=True)
class Equation:
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

    @property
    def latex(self) -> str:
        """The lines as one ``aligned`` environment."""
        rows = [
            f"{symbol} &= {expression} && \\in {space}" if expression else f"{symbol} &\\in {space}"
            for symbol, expression, space in self.lines
        ]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def equation_of(steps: Sequence[Step]) -> Equation | None:
    """Write the equation of a network.

    Parameters
    ----------
    steps
        What :func:`modelzoo.pages.read_steps` returned.

    Returns
    -------
    Equation or None
        ``None`` where the graph is not known or there are more than ``MAX_STEPS`` steps.
    """
    if len(steps) > MAX_STEPS or not all(step.symbol for step in steps):
        return None
    lines, used = [], []
    parameters: Parameters = {}
    for step in steps:
        expression, own = _expression(step)
        parameters |= own
        activation = step.info.activation
        if activation and _ends_in_activation(step):
            expression = f"{_function(activation)}({expression})"
            used.append(activation)
        lines.append((step.symbol, expression, space(step.info.output_shape)))
    definitions = [_DEFINITIONS[name] for name in dict.fromkeys(used) if name in _DEFINITIONS]
    notes = _notes(steps)
    if any(line[1].startswith(f"{_roman(step.info.kind)}(") for line, step in zip(lines, steps, strict=True)):
        notes.append(
            "Other functions are the Keras layers and operations of these names; their settings are not shown."
        )
    return Equation(tuple(lines), tuple(parameters.items()), tuple(definitions), tuple(notes))


def _ends_in_activation(step: Step) -> bool:
    """Return whether the activation is the last thing a layer does; a recurrent one has it inside."""
    kind = step.info.kind
    if kind == "Activation" or kind in ACTIVATION_LAYERS:
        return _is_plain_activation(step)
    return bool(re.fullmatch(r"(Einsum)?Dense|(Depthwise|Separable)?Conv\dD(Transpose)?", kind))


def _is_plain_activation(step: Step) -> bool:
    """Return whether a layer is nothing but its activation; a ReLU that leaks or is cut is a function of its own."""
    kind, layer = step.info.kind, step.info.layer
    changed = kind == "ReLU" and (layer.max_value is not None or layer.negative_slope or layer.threshold)
    return (kind == "Activation" or kind in ACTIVATION_LAYERS) and not step.info.weight_shapes and not changed


def _function(activation: str) -> str:
    return _ACTIVATIONS.get(activation) or _roman(activation)


def _roman(name: str) -> str:
    """Return a name as upright letters; only what LaTeX takes for letters and digits is left of it."""
    return rf"\mathrm{{{re.sub(r'[^A-Za-z0-9]+', chr(92) + ' ', name).strip()}}}"


def space(shape: Sequence[int | None]) -> str:
    r"""Return LaTeX for the arrays of a shape, e.g. ``\mathbb{R}^{5 \times 5}``."""
    lengths = r" \times ".join(r"\cdot" if length is None else str(length) for length in shape)
    return rf"\mathbb{{R}}^{{{lengths}}}" if lengths else r"\mathbb{R}"


def _expression(step: Step) -> tuple[str, Parameters]:
    """Return what a layer does before its activation, and its parameters."""
    info, k = step.info, step.index
    kind, layer, shapes = info.kind, info.layer, info.weight_shapes
    h = step.sources[0] if step.sources else ""
    pool = re.fullmatch(r"(Max|Average)Pooling\dD", kind)
    weights = {f"W_{{{k}}}": shapes[0]} | ({f"b_{{{k}}}": shapes[1]} if len(shapes) > 1 else {}) if shapes else {}
    bias = f" + b_{{{k}}}" if len(shapes) > 1 else ""
    if kind == "InputLayer":
        return "", {}
    if kind == "Dense" and len(shapes) <= 2:
        return rf"{h}\, W_{{{k}}}{bias}", weights
    if re.fullmatch(r"Conv\dD", kind) and len(shapes) <= 2 and layer.groups == 1:
        return rf"W_{{{k}}} * {h}{bias}", weights
    if kind in ("BatchNormalization", "LayerNormalization") and len(shapes) == (4 if kind[0] == "B" else 2):
        own = {rf"\gamma_{{{k}}}": shapes[0], rf"\beta_{{{k}}}": shapes[1]}
        mean, variance = rf"\mu_{{{k}}}", rf"\sigma_{{{k}}}^2"
        if kind[0] == "B":
            own |= {mean: shapes[2], variance: shapes[3]}
        scaled = rf"\frac{{{h} - {mean}}}{{\sqrt{{{variance} + \epsilon}}}}"
        return rf"\gamma_{{{k}}} \odot {scaled} + \beta_{{{k}}}", own
    if pool and not shapes:
        size = r" \times ".join(map(str, layer.pool_size))
        return rf"\mathrm{{{'max' if pool[1] == 'Max' else 'avg'}pool}}_{{{size}}}({h})", {}
    if kind == "Reshape":
        return rf"\mathrm{{reshape}}({h})", {}
    if kind == "Flatten":
        return rf"\mathrm{{vec}}({h})", {}
    if kind == "Dropout":
        return rf"\mathrm{{dropout}}_{{{layer.rate:g}}}({h})", {}
    if kind == "Rescaling" and isinstance(layer.scale, int | float) and isinstance(layer.offset, int | float):
        scale = fraction(layer.scale)
        factor = rf"\tfrac{{1}}{{{scale[2:]}}}" if "/" in scale else scale
        offset = f"{layer.offset:+g}".replace("+", "+ ").replace("-", "- ") if layer.offset else ""
        return rf"{factor}\, {h} {offset}".strip(), {}
    if _is_plain_activation(step):
        return h, {}
    if kind == "ReLU":  # one with settings
        return rf"\mathrm{{ReLU}}'({h})", {}
    if kind == "ColumnOfOnes":
        return f"[{h}, 1]", {}
    if kind == "Concatenate" and not shapes:
        return f"[{', '.join(step.sources)}]", {}
    if kind in ("Add", "Multiply") and len(step.sources) > 1:
        return (" + " if kind == "Add" else r" \odot ").join(step.sources), {}
    arguments = ", ".join(step.sources)
    if shapes:
        theta = rf"\theta_{{{k}}}"
        return rf"{_roman(kind)}({arguments}; {theta})", {theta: (sum(map(math.prod, shapes)),)}
    return rf"{_roman(kind)}({arguments})", {}


def _notes(steps: Sequence[Step]) -> list[str]:
    kinds = {step.info.kind for step in steps}
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
    if any(step.info.kind == "ReLU" and not _is_plain_activation(step) for step in steps):
        notes.append(r"$\mathrm{ReLU}'$ is a ReLU with the settings in the table of layers.")
    if "LayerNormalization" in kinds:
        notes.append(r"Layer normalisation takes $\mu$ and $\sigma^2$ over the features of each sample.")
    return notes
