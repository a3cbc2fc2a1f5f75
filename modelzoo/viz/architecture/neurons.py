"""A dense network as neurons: units, biases, and weights coloured by sign."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex, to_rgba

from modelzoo.network import NotAChainError
from modelzoo.viz import style
from modelzoo.viz.architecture.canvas import EDGE, GLYPH, LABEL, SMALL, Canvas, fitted, page_width, text_width, widest
from modelzoo.viz.architecture.stages import Stage

_LEGEND = ("positive weight", "negative weight", "thicker: larger in its layer", "dashed: bias")
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ICON, _LINE = 0.62, 0.16

#: Layers with more units show the first and the last of them around a "⋮".
_MAX_UNITS = 10


@dataclasses.dataclass(frozen=True)
class Column:
    """The units of one layer, and the weights that lead to them.

    Attributes
    ----------
    stage
        The layer.
    lines
        What is written under the units.
    image
        Shape of the image that the inputs, or the outputs, are; empty for plain numbers.
    weights
        Weights from the units of the column before to these, shape ``(units before, units)``; ``None`` for inputs.
    bias
        Weights from the bias unit of the column before, shape ``(units,)``; ``None`` without one.
    """

    stage: Stage
    lines: tuple[str, ...]
    image: tuple[int, ...] = ()
    weights: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    bias: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def units(self) -> int:
        """Number of units, biases not counted."""
        return self.stage.size

    @property
    def counted(self) -> tuple[str, ...]:
        """How the parameters are counted, and their number; empty without parameters."""
        return (self.stage.arithmetic, f"= {self.stage.num_params:,}") if self.stage.num_params else ()


def neuron_columns(stages: Sequence[Stage], variables: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the stages of a dense network as columns of units; flattening and dropout become notes.

    Parameters
    ----------
    stages
        Stages of the network.
    variables
        The model's variables by their paths.

    Raises
    ------
    NotAChainError
        The network has maps, or no dense layer.
    """
    maps = next((stage for stage in stages if stage.role in ("conv", "pool")), None)
    if maps is not None or not any(stage.role == "dense" for stage in stages):
        what = f"the layer {maps.heading!r} has maps" if maps is not None else "it has no dense layer"
        raise NotAChainError(f"Neurons show dense layers only: {what}.")
    columns: list[Column] = []
    for stage in stages:
        if stage.role == "input":
            columns.append(Column(stage, stage.notes, image=stage.shape if len(stage.shape) > 1 else ()))
        elif stage.role == "dense":
            # By name, for the weights of a folded normalisation follow those of the layer.
            values = {weight.name: np.asarray(variables[weight.path], np.float32) for weight in stage.weights}
            kernel, bias = values["kernel"], values.get("bias")
            if len(columns) == 1 and stages[0].constant:  # the last row belongs to the column of ones
                kernel, bias = kernel[:-1], kernel[-1]
            columns.append(Column(stage, (stage.activation_text or "linear", *stage.notes), weights=kernel, bias=bias))
        elif stage.role == "dropout":
            lines = (*columns[-1].lines, " ".join(stage.operation), *stage.notes)
            columns[-1] = dataclasses.replace(columns[-1], lines=lines)
        elif stage.role == "image" and stage is stages[-1]:
            columns[-1] = dataclasses.replace(columns[-1], image=stage.shape)
    return tuple(columns)


def shown_units(units: int) -> tuple[int | None, ...]:
    """Return the indices of the units that are drawn, top to bottom, with ``None`` where some are left out."""
    if units <= _MAX_UNITS:
        return tuple(range(units))
    half = (_MAX_UNITS - 1) // 2
    return (*range(half), None, *range(units - half, units))


class Neurons:
    """Where everything is, in inches: ``x`` of each column, ``y`` of each of its units."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        input_names: Sequence[str] = (),
        output_names: Sequence[str] = (),
        show_weights: bool | None = None,
    ) -> None:
        self.columns = columns
        self.lines = [(*column.lines, *column.counted) for column in columns]
        self.shown = [shown_units(column.units) for column in columns]
        self.has_bias = [following.bias is not None for following in columns[1:]] + [False]
        rows = max(len(shown) + bias for shown, bias in zip(self.shown, self.has_bias, strict=True))
        self.spacing = float(np.interp(rows, [3, 6, 11], [0.74, 0.5, 0.37]))
        self.radius = 0.33 * self.spacing
        self.labels = {
            0: _labels(self.shown[0], input_names, "x"),
            len(columns) - 1: _labels(self.shown[-1], output_names, "y"),
        }

        blocks = [  # widths of what is written over and under the columns
            max(min(text_width(column.stage.heading, LABEL, "bold"), 1.0), widest([_count(column), *lines]))
            for column, lines in zip(columns, self.lines, strict=True)
        ]
        #: From the middle of an outer column to the end of its labels.
        self.beside = {i: self.radius + 0.08 + widest(labels, LABEL) for i, labels in self.labels.items()}
        margins = [
            max(beside + 0.12 + (_ICON + 0.24 if columns[i].image else 0), blocks[i] / 2 + 0.12)
            for i, beside in self.beside.items()
        ]
        pitch = max(0.9, max(blocks) + 0.1)
        gaps = len(columns) - 1
        legend = 1.7 + sum(map(text_width, _LEGEND))
        self.width = max(page_width(), sum(margins) + pitch * gaps, legend)
        self.pitch = min(3.3 if gaps == 1 else 2.6, (self.width - sum(margins)) / gaps)
        left = margins[0] + (self.width - sum(margins) - self.pitch * gaps) / 2
        self.x = [left + self.pitch * i for i in range(len(columns))]

        self.bottom = 0.42 + _LINE * max(map(len, self.lines))
        self.top = self.bottom + self.spacing * max(rows, 2)
        self.middle = (self.bottom + self.top) / 2
        self.height = self.top + 0.86
        self.y = [
            self.middle + self.spacing * ((len(shown) + bias - 1) / 2 - np.arange(len(shown) + bias))
            for shown, bias in zip(self.shown, self.has_bias, strict=True)
        ]
        room = [self._room_for_values(i) for i in range(1, len(columns))]
        write = all(share is not None for share in room) if show_weights is None else show_weights
        #: For each gap, the share of the way at which the values of the weights are written, if they are.
        self.values_at = [(share or 0.3) if write else None for share in room]

    def drawn(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the indices and heights of the units of column ``i`` that are drawn."""
        pairs = [(unit, y) for unit, y in zip(self.shown[i], self.y[i], strict=False) if unit is not None]
        return np.array([unit for unit, _ in pairs]), np.array([y for _, y in pairs])

    def edges(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the ends ``(n, 2, 2)`` and weights ``(n,)`` of the lines to column ``i``, source by source."""
        column, (sources, source_y), (targets, target_y) = self.columns[i], self.drawn(i - 1), self.drawn(i)
        assert column.weights is not None
        weights = column.weights[np.ix_(sources, targets)]
        if column.bias is not None:
            weights = np.vstack([weights, column.bias[targets]])
            source_y = np.append(source_y, self.y[i - 1][-1])
        ends = np.empty((*weights.shape, 2, 2))
        ends[..., 0, 0], ends[..., 1, 0] = self.x[i - 1], self.x[i]
        ends[..., 0, 1], ends[..., 1, 1] = source_y[:, np.newaxis], target_y
        return ends.reshape(-1, 2, 2), weights.ravel()

    def _room_for_values(self, i: int) -> float | None:
        """Return the share of the way to column ``i`` that keeps its few weights' values apart, if any."""
        ends, weights = self.edges(i)
        if self.pitch < 1.5 or len(weights) > 8:
            return None
        shares = np.linspace(0.2, 0.5, 31)
        heights = np.sort(ends[:, :1, 1] + shares * np.diff(ends[:, :, 1]), axis=0)
        distances = np.diff(heights, axis=0).min(axis=0, initial=np.inf)
        clear = shares[distances > 0.16]
        return float(clear[np.argmin(np.abs(clear - 0.35))]) if len(clear) else None

    def draw(self, canvas: Canvas) -> None:
        """Draw the columns, the weights between them and the legend."""
        for i, at in enumerate(self.values_at, start=1):
            self._draw_weights(canvas, i, at)
        for i in range(len(self.columns)):
            self._draw_column(canvas, i)
        x, y = 0.12, 0.16
        for color, words in zip(sign_colors(), _LEGEND[:2], strict=True):
            canvas.lines([((x, y), (x + 0.25, y))], color, 2.0)
            canvas.text(x + 0.32, y, words, ha="left", color=style.quiet())
            x += 0.32 + text_width(words) + 0.2
        canvas.text(x, y, _LEGEND[2], ha="left", color=style.quiet())
        if any(self.has_bias):
            canvas.text(canvas.width - 0.12, y, _LEGEND[3], ha="right", color=style.quiet())

    def _draw_weights(self, canvas: Canvas, i: int, values_at: float | None) -> None:
        ends, weights = self.edges(i)
        strength = np.abs(np.nan_to_num(weights, posinf=0.0, neginf=0.0))
        order = np.argsort(strength, kind="stable")  # strong ones on top
        size = strength / max(strength.max(), 1e-30)
        many = float(np.interp(len(weights), [12, 80], [0.0, 1.0]))
        positive, negative = sign_colors()
        colors = np.array([to_rgba(positive if w > 0 else negative if w < 0 else style.quiet()) for w in weights])
        colors[:, 3] = (0.4 - 0.25 * many) + (0.6 - 0.1 * many) * size
        widths = 0.4 + (2.2 - 1.0 * many) * size
        canvas.lines(ends[order], colors[order], widths[order], zorder=EDGE)
        if values_at is None:
            return
        ground = {"boxstyle": "square,pad=0.12", "facecolor": style.background(), "edgecolor": "none"}
        for (start, end), weight, color in zip(ends, weights, colors, strict=True):
            x, y = start + values_at * (end - start)
            ink = style.mix(to_hex(color), style.foreground(), 0.25)
            canvas.text(x, y, _number(weight), SMALL - 0.5, color=ink, bbox=ground, zorder=5)

    def _draw_column(self, canvas: Canvas, i: int) -> None:
        column, x, radius = self.columns[i], self.x[i], self.radius
        ink, ground = style.foreground(), style.background()
        is_input, is_output = i == 0, i == len(self.columns) - 1
        face = (
            style.mix(ground, ink, 0.13) if is_input else style.mix(ground, style.GREEN, 0.22) if is_output else ground
        )
        for unit, y in zip(self.shown[i], self.y[i], strict=False):
            if unit is None:
                for step in (-1, 0, 1):
                    canvas.circle(x, y + 0.2 * step * self.spacing, 0.022, face=ink, zorder=GLYPH)
                continue
            canvas.circle(x, y, radius, face=face, edge=ink)
            if not is_input:
                canvas.glyph(column.stage.activation, x, y, radius * 1.05)
        side = -1 if is_input else 1
        for y, words in zip(self.y[i], self.labels.get(i, ()), strict=False):
            canvas.text(x + side * (radius + 0.08), y, words, LABEL, ha="right" if is_input else "left")
        if self.has_bias[i]:
            y = self.y[i][-1]
            canvas.circle(x, y, radius * 0.8, face=ground, edge=style.quiet(), linestyle=(0, (2, 1.5)))
            canvas.text(x, y, "1", color=style.quiet())
        if column.image:
            edge = x + side * (self.beside[i] + 0.1)
            heights = self.y[i][0] + radius * 0.6, self.drawn(i)[1][-1] - radius * 0.6
            canvas.flattened_image(edge + side * (0.14 + _ICON / 2), self.middle, _ICON, column.image, edge, heights)
        name = fitted(column.stage.heading, min(max(self.pitch - 0.1, 0.7), 1.5), LABEL, "bold")
        canvas.text(x, self.top + 0.34, name, LABEL, weight="bold")
        canvas.text(x, self.top + 0.16, _count(column), color=style.quiet())
        for line, words in enumerate(self.lines[i]):
            canvas.text(x, self.bottom - 0.1 - _LINE * line, words, color=style.quiet() if line else ink)


def sign_colors() -> tuple[str, str]:
    """Return the colours of positive and negative weights on the present ground."""
    share = 0.35 if style.is_dark() else 0.0
    return style.mix(style.POSITIVE_COLOR, "#FFFFFF", share), style.mix(style.NEGATIVE_COLOR, "#FFFFFF", share)


def _labels(shown: Sequence[int | None], names: Sequence[str], letter: str) -> list[str]:
    if shown == (0,) and not names:
        return [letter]
    names = names or [letter + str(unit + 1).translate(_SUBSCRIPTS) for unit in range((shown[-1] or 0) + 1)]
    return ["" if unit is None else names[unit] for unit in shown]


def _count(column: Column) -> str:
    kind = "input" if column.weights is None else "unit"
    return f"{column.units:,} {kind}" + ("" if column.units == 1 else "s")


def _number(weight: float) -> str:
    digits = 2 if abs(weight) < 10 else 1 if abs(weight) < 100 else 0
    return f"{weight:.{digits}f}".replace("-", "−")
