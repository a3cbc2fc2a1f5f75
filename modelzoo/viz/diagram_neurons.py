"""A dense network as neurons: units, biases, and weights coloured by sign."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_hex, to_rgba

from modelzoo.viz import style
from modelzoo.viz.diagram_canvas import (
    EDGE,
    GLYPH,
    LABEL,
    SMALL,
    Canvas,
    draw_heading,
    fitted,
    quiet,
    text_width,
    widest,
)
from modelzoo.viz.diagram_layers import NotDrawableError
from modelzoo.viz.diagram_stages import Stage

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ICON = 0.62


@dataclasses.dataclass(frozen=True)
class Column:
    """The units of one layer, and the weights that lead to them.

    Attributes
    ----------
    name
        Name of the layer, or its kind.
    units
        Number of units, biases not counted.
    activation
        Name of the activation as Keras has it.
    lines
        What is written under the units.
    weights
        Weights from the units of the column before to these, shape ``(units before, units)``; ``None`` for inputs.
    bias
        Weights from the bias unit of the column before, shape ``(units,)``; ``None`` without one.
    image
        Height and width of the image that the inputs, or the outputs, are; ``None`` if they are none.
    num_params
        Number of parameters.
    arithmetic
        How they are counted.
    group
        Names of the nested models around the layer.
    """

    name: str
    units: int
    activation: str = ""
    lines: tuple[str, ...] = ()
    weights: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    bias: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)
    image: tuple[int, int] | None = None
    num_params: int = 0
    arithmetic: str = ""
    group: tuple[str, ...] = ()


def neuron_columns(stages: Sequence[Stage]) -> tuple[Column, ...]:
    """Return the stages of a dense network as columns of units; flattening and dropout become notes.

    Raises
    ------
    NotDrawableError
        A layer is not dense, or none is.
    """
    wrong = next((stage for stage in stages if stage.role in ("conv", "pool")), None)
    dense = [stage for stage in stages if stage.role == "dense"]
    if wrong is not None or not dense:
        what = f"the layer {wrong.heading!r} has maps" if wrong is not None else "there is no dense layer"
        raise NotDrawableError(f"Neurons show dense layers only: {what}.")
    columns: list[Column] = []
    for stage in stages:
        if stage.role == "input":
            image = (stage.shape[0], stage.shape[1]) if len(stage.shape) > 1 else None
            columns.append(Column(stage.heading, stage.size, lines=stage.notes, image=image))
        elif stage.role == "dense":
            columns.append(_dense(stage, absorbed=len(columns) == 1 and stages[0].constant))
        elif stage.role == "dropout":
            columns[-1] = dataclasses.replace(
                columns[-1], lines=(*columns[-1].lines, " ".join(stage.operation), *stage.notes)
            )
        elif stage.role == "image" and stage is stages[-1]:
            columns[-1] = dataclasses.replace(columns[-1], image=(stage.shape[0], stage.shape[1]))
    return tuple(columns)


def _dense(stage: Stage, *, absorbed: bool) -> Column:
    kernel, *rest = (np.asarray(weight, np.float32) for weight in stage.layer.get_weights())
    bias = rest[0] if rest else None
    if absorbed:  # the last row of the matrix belongs to the column of ones
        kernel, bias = kernel[:-1], kernel[-1]
    return Column(
        stage.heading,
        stage.size,
        stage.activation,
        (stage.activation_text or "linear", *stage.notes),
        kernel,
        bias,
        num_params=stage.num_params,
        arithmetic=stage.arithmetic,
        group=stage.group,
    )


def shown_units(units: int, max_units: int) -> tuple[int | None, ...]:
    """Return the indices of the units that are drawn, top to bottom, with ``None`` where some are left out."""
    if units <= max_units:
        return tuple(range(units))
    half = max(1, (max_units - 1) // 2)
    return (*range(half), None, *range(units - half, units))


def draw_neurons(layout: NeuronsLayout, title: str, ax: Any = None, *, show_weights: bool | None = None) -> Any:
    """Draw columns of units; the arguments are those of :func:`modelzoo.viz.plot_architecture`."""
    columns = layout.columns
    canvas = Canvas(ax, layout.width, layout.height)
    draw_heading(canvas, title, sum(column.num_params for column in columns))
    shares = [_room_for_values(layout, i) for i in range(1, len(columns))]
    if show_weights is None:
        show_weights = all(share is not None for share in shares)
    for i, share in enumerate(shares, start=1):
        _draw_weights(canvas, layout, i, (share or 0.3) if show_weights else None)
    for i in range(len(columns)):
        _draw_column(canvas, layout, i)
    _draw_images(canvas, layout)
    _draw_legend(canvas, layout)
    return canvas.ax


class NeuronsLayout:
    """Where everything is, in inches: ``x`` of each column, ``y`` of each of its units."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        max_units: int = 10,
        input_names: Sequence[str] = (),
        output_names: Sequence[str] = (),
    ) -> None:
        self.columns = columns
        self.lines = [
            (*column.lines, column.arithmetic, f"= {column.num_params:,}") if column.num_params else column.lines
            for column in columns
        ]
        self.shown = [shown_units(column.units, max_units) for column in columns]
        self.has_bias = [following.bias is not None for following in columns[1:]] + [False]
        rows = max(len(shown) + bias for shown, bias in zip(self.shown, self.has_bias, strict=True))
        self.spacing = float(np.interp(rows, [3, 6, 11], [0.74, 0.5, 0.37]))
        self.radius = 0.33 * self.spacing
        self.labels = [
            _labels(self.shown[0], input_names, "x"),
            _labels(self.shown[-1], output_names, "y"),
        ]

        margins = []
        for column, labels in ((columns[0], self.labels[0]), (columns[-1], self.labels[1])):
            beside = self.radius + 0.08 + widest(labels, LABEL) + 0.12
            if column.image:
                beside += _ICON + 0.24
            margins.append(beside)
        blocks = [self._block_width(i) for i in range(len(columns))]
        margins = [
            max(margin, block / 2 + 0.12) for margin, block in zip(margins, (blocks[0], blocks[-1]), strict=True)
        ]
        pitch = max(0.9, max(blocks) + 0.1)
        gaps = len(columns) - 1
        self.width = max(style.PAGE_WIDTH, sum(margins) + pitch * gaps)
        pitch = min(3.3 if gaps == 1 else 2.6, (self.width - sum(margins)) / gaps)
        left = margins[0] + (self.width - sum(margins) - pitch * gaps) / 2
        self.pitch = pitch
        self.x = [left + pitch * i for i in range(len(columns))]

        self.footer = max(map(len, self.lines))
        units_height = self.spacing * max(rows, 2)
        bottom = 0.32 + 0.16 * self.footer + 0.1
        self.height = bottom + units_height + 0.86
        self.middle = bottom + units_height / 2
        self.top, self.bottom = bottom + units_height, bottom
        self.y = [
            self.middle + self.spacing * ((len(shown) + bias - 1) / 2 - np.arange(len(shown) + bias))
            for shown, bias in zip(self.shown, self.has_bias, strict=True)
        ]

    def _block_width(self, i: int) -> float:
        """Width of what is written over and under column ``i``."""
        name = min(text_width(self.columns[i].name, LABEL, "bold"), 1.0)
        return max(name, widest([_count(self.columns[i]), *self.lines[i]]))

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


def _labels(shown: Sequence[int | None], names: Sequence[str], letter: str) -> list[str]:
    if names:
        return ["" if unit is None else str(names[unit]) for unit in shown]
    if shown == (0,):
        return [letter]
    return ["" if unit is None else letter + str(unit + 1).translate(_SUBSCRIPTS) for unit in shown]


def _count(column: Column) -> str:
    kind = "input" if column.weights is None else "unit"
    return f"{column.units:,} {kind}" + ("" if column.units == 1 else "s")


def sign_colors() -> tuple[str, str]:
    """Return the colours of positive and negative weights on the present ground."""
    share = 0.35 if style.is_dark() else 0.0
    return style.mix(style.POSITIVE_COLOR, "#FFFFFF", share), style.mix(style.NEGATIVE_COLOR, "#FFFFFF", share)


def _draw_weights(canvas: Canvas, layout: NeuronsLayout, i: int, at: float | None) -> None:
    ends, weights = layout.edges(i)
    strength = np.abs(np.nan_to_num(weights, posinf=0.0, neginf=0.0))
    order = np.argsort(strength, kind="stable")  # strong ones on top
    size = strength / max(strength.max(), 1e-30)
    many = float(np.interp(len(weights), [12, 80], [0.0, 1.0]))
    positive, negative = sign_colors()
    colors = np.array([to_rgba(positive if weight > 0 else negative if weight < 0 else quiet()) for weight in weights])
    colors[:, 3] = (0.4 - 0.25 * many) + (0.6 - 0.1 * many) * size
    widths = 0.4 + (2.2 - 1.0 * many) * size
    canvas.lines(ends[order], colors[order], widths[order], zorder=EDGE)
    if at is None:
        return
    for (start, end), weight, color in zip(ends, weights, colors, strict=True):
        x, y = start + at * (end - start)
        ground = {"boxstyle": "square,pad=0.12", "facecolor": style.background(), "edgecolor": "none"}
        canvas.text(
            x,
            y,
            _number(weight),
            SMALL - 0.5,
            color=style.mix(to_hex(color), style.foreground(), 0.25),
            bbox=ground,
            zorder=5,
        )


def _room_for_values(layout: NeuronsLayout, i: int) -> float | None:
    """Return the share of the way to column ``i`` where its few weights' values are clear of one another, if any."""
    ends, weights = layout.edges(i)
    if layout.pitch < 1.5 or len(weights) > 8:
        return None
    shares = np.linspace(0.2, 0.5, 31)
    heights = np.sort(ends[:, :1, 1] + shares * np.diff(ends[:, :, 1]), axis=0)
    distances = np.diff(heights, axis=0).min(axis=0) if len(weights) > 1 else np.full(len(shares), np.inf)
    clear = shares[distances > 0.16]
    return float(clear[np.argmin(np.abs(clear - 0.35))]) if len(clear) else None


def _number(weight: float) -> str:
    digits = 2 if abs(weight) < 10 else 1 if abs(weight) < 100 else 0
    return f"{weight:.{digits}f}".replace("-", "−")


def _draw_column(canvas: Canvas, layout: NeuronsLayout, i: int) -> None:
    column, x, radius = layout.columns[i], layout.x[i], layout.radius
    ink, ground = style.foreground(), style.background()
    is_input, is_output = i == 0, i == len(layout.columns) - 1
    face = style.mix(ground, ink, 0.13) if is_input else ground
    if is_output:
        face = style.mix(ground, style.GREEN, 0.22)
    for row, unit in enumerate(layout.shown[i]):
        y = layout.y[i][row]
        if unit is None:
            for step in (-1, 0, 1):
                canvas.circle(x, y + 0.2 * step * layout.spacing, 0.022, face=ink, edge="none", zorder=GLYPH)
            continue
        canvas.circle(x, y, radius, face=face, edge=ink, width=1.0)
        if not is_input:
            canvas.glyph(column.activation, x, y, radius * 1.05, ink, 1.1)
        if is_input:
            canvas.text(x - radius - 0.08, y, layout.labels[0][row], LABEL, ha="right")
        if is_output:
            canvas.text(x + radius + 0.08, y, layout.labels[1][row], LABEL, ha="left")
    if layout.has_bias[i]:
        y, faint = layout.y[i][-1], quiet()
        canvas.circle(x, y, radius * 0.8, face=ground, edge=faint, linestyle=(0, (2, 1.5)))
        canvas.text(x, y, "1", SMALL, color=faint)

    name = fitted(column.name, min(max(layout.pitch - 0.1, 0.7), 1.5), LABEL, "bold")
    canvas.text(x, layout.top + 0.34, name, LABEL, weight="bold")
    canvas.text(x, layout.top + 0.16, _count(column), SMALL, color=quiet())
    for line, words in enumerate(layout.lines[i]):
        canvas.text(x, layout.bottom - 0.1 - 0.16 * line, words, SMALL, color=ink if line == 0 else quiet())


def _draw_images(canvas: Canvas, layout: NeuronsLayout) -> None:
    """Draw the image that is flattened into the inputs, or that the outputs are put together to."""
    for side, i in ((-1, 0), (1, len(layout.columns) - 1)):
        image = layout.columns[i].image
        if image is None:
            continue
        labels = layout.labels[0 if side < 0 else 1]
        edge = layout.x[i] + side * (layout.radius + 0.08 + widest(labels, LABEL) + 0.1)
        x = edge + side * (0.14 + _ICON / 2)
        height, width = (_ICON * length / max(image) for length in image)
        canvas.image_icon(x, layout.middle, width, height)
        corner = x - side * width / 2
        ends = [
            ((corner, layout.middle + height / 2), (edge, layout.y[i][0] + layout.radius * 0.6)),
            ((corner, layout.middle - height / 2), (edge, layout.drawn(i)[1][-1] - layout.radius * 0.6)),
        ]
        canvas.lines(ends, style.muted(), 0.6, linestyles=[(0, (3, 2))])
        canvas.text(x, layout.middle - height / 2 - 0.13, f"{image[0]}×{image[1]}", SMALL, color=quiet())


def _draw_legend(canvas: Canvas, layout: NeuronsLayout) -> None:
    x, y = 0.12, 0.16
    for color, words in zip(sign_colors(), ("positive weight", "negative weight"), strict=True):
        canvas.lines([((x, y), (x + 0.25, y))], color, 2.0)
        canvas.text(x + 0.32, y, words, SMALL, ha="left", color=quiet())
        x += 0.32 + text_width(words, SMALL) + 0.2
    words = "thicker: larger in its layer"
    canvas.text(x, y, words, SMALL, ha="left", color=quiet())
    if any(layout.has_bias):
        canvas.text(canvas.width - 0.12, y, "dashed: bias", SMALL, ha="right", color=quiet())
