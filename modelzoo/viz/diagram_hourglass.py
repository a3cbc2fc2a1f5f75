"""An autoencoder as an hourglass: bars for the layers, wide to narrow to wide."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo.viz import style
from modelzoo.viz.diagram_canvas import (
    FACE,
    LABEL,
    NODE,
    SMALL,
    Canvas,
    draw_heading,
    fitted,
    quiet,
    text_width,
    widest,
)
from modelzoo.viz.diagram_layers import NotDrawableError
from modelzoo.viz.diagram_neurons import Column

_TALLEST, _BAR, _LINE, _ICON = 2.3, 0.26, 0.16, 0.6


def bottleneck(columns: Sequence[Column]) -> int:
    """Return the index of the narrowest layer of an autoencoder.

    Raises
    ------
    NotDrawableError
        The output is not as wide as the input, or no layer between is narrower than both.
    """
    units = [column.units for column in columns]
    narrow = int(np.argmin(units))
    if units[0] != units[-1] or units[narrow] >= units[0]:
        widths = " → ".join(map(str, units))
        raise NotDrawableError(
            f"An hourglass is as wide at its end as at its beginning, and narrower between: {widths}."
        )
    return narrow


class HourglassLayout:
    """Where each bar stands, in inches: its centre ``x`` and its height ``bars``, as the root of its units.

    Raises
    ------
    NotDrawableError
        The columns are no autoencoder.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.narrow = bottleneck(columns)
        units = np.array([column.units for column in columns], float)
        self.bars = np.maximum(_TALLEST * np.sqrt(units / units.max()), 0.12)
        if units[self.narrow] <= 4:  # drawn one by one
            self.bars[self.narrow] = max(0.3 * units[self.narrow], 0.3)
        self.lines = [_lines(column) for column in columns]
        blocks = [
            max(min(text_width(column.name, LABEL, "bold"), 1.0), widest([f"{column.units:,}", *lines]), 0.55)
            for column, lines in zip(columns, self.lines, strict=True)
        ]
        self.pitches = np.array([(left + right) / 2 + 0.1 for left, right in itertools.pairwise(blocks)])
        margins = [
            max(block / 2 + 0.12, (_BAR / 2 + 0.25 + _ICON + 0.12) if column.image else 0.0)
            for column, block in ((columns[0], blocks[0]), (columns[-1], blocks[-1]))
        ]
        last = len(columns) - 1
        self.parts = [_part(columns, 1, self.narrow, "encoder"), _part(columns, self.narrow + 1, last, "decoder")]
        natural = float(self.pitches.sum()) + sum(margins)
        self.width = max(style.PAGE_WIDTH, natural)
        room = sum(text_width(label, LABEL) for _, _, label in self.parts) / 2 + 0.3  # the labels side by side
        spare = min((self.width - natural) / last, max(0.9, 2 * (room - self.pitches.mean() * last / 2) / last))
        self.pitches += spare
        left = margins[0] + (self.width - natural - spare * len(self.pitches)) / 2
        self.x = left + np.concatenate([[0.0], np.cumsum(self.pitches)])
        self.blocks = blocks
        self.bottom = _LINE * max(map(len, self.lines)) + 0.65
        self.middle = self.bottom + _TALLEST / 2
        self.top = self.bottom + _TALLEST
        self.height = self.top + 0.9


def _lines(column: Column) -> tuple[str, ...]:
    if not column.num_params:
        return column.lines
    first, *rest = column.arithmetic.split(" + ")
    return (*column.lines, first, *(f"+ {term}" for term in rest), f"= {column.num_params:,}")


def _part(columns: Sequence[Column], start: int, end: int, name: str) -> tuple[int, int, str]:
    """Return the first and the last column of the encoder or the decoder, and its label."""
    part = columns[start : end + 1]
    groups = {column.group for column in part}
    if len(groups) == 1 and (group := groups.pop()):
        name = group[-1]
    return start, end, f"{name}: {sum(column.num_params for column in part):,} parameters"


def draw_hourglass(layout: HourglassLayout, title: str, ax: Any = None) -> Any:
    """Draw an autoencoder; the arguments are those of :func:`modelzoo.viz.plot_architecture`."""
    canvas = Canvas(ax, layout.width, layout.height)
    draw_heading(canvas, title, sum(column.num_params for column in layout.columns))
    for i in range(1, len(layout.columns)):
        _draw_funnel(canvas, layout, i)
    for i in range(len(layout.columns)):
        _draw_bar(canvas, layout, i)
    for i, side in ((0, -1), (len(layout.columns) - 1, 1)):
        _draw_image(canvas, layout, i, side)
    for start, end, label in layout.parts:
        _draw_bracket(canvas, layout, start, end, label)
    return canvas.ax


def _color(layout: HourglassLayout, i: int) -> str:
    if i == layout.narrow:
        return style.ORANGE
    return style.muted() if i == 0 else style.BLUE if i < layout.narrow else style.GREEN


def _outline(color: str) -> str:
    return style.mix(color, "#FFFFFF", 0.25) if style.is_dark() else style.mix(color, "#000000", 0.15)


def _draw_funnel(canvas: Canvas, layout: HourglassLayout, i: int) -> None:
    left, right = layout.x[i - 1] + _BAR / 2, layout.x[i] - _BAR / 2
    color = style.BLUE if i <= layout.narrow else style.GREEN
    tall, following = layout.bars[i - 1] / 2, layout.bars[i] / 2
    corners = [
        (left, layout.middle - tall),
        (left, layout.middle + tall),
        (right, layout.middle + following),
        (right, layout.middle - following),
    ]
    canvas.polygon(corners, face=style.mix(style.background(), color, 0.12), zorder=FACE)


def _draw_bar(canvas: Canvas, layout: HourglassLayout, i: int) -> None:
    column, x, height = layout.columns[i], layout.x[i], layout.bars[i]
    color = _color(layout, i)
    fill, edge = style.mix(style.background(), color, 0.35), _outline(color)
    canvas.rounded_box(x - _BAR / 2, layout.middle - height / 2, _BAR, height, face=fill, edge=edge, line=1.0)
    if i == layout.narrow and column.units <= 4:
        for unit in range(column.units):
            y = layout.middle + 0.3 * ((column.units - 1) / 2 - unit)
            canvas.circle(x, y, 0.085, face=color, edge=edge, width=1.0, zorder=NODE + 1)
    elif i and height > 0.3:
        canvas.glyph(column.activation, x, layout.middle, _BAR * 0.62, style.foreground(), 1.2)
    room = max(layout.blocks[i], 0.6) + 0.05
    canvas.text(x, layout.top + 0.34, fitted(column.name, room, LABEL, "bold"), LABEL, weight="bold")
    canvas.text(x, layout.top + 0.16, f"{column.units:,}", SMALL, color=quiet())
    for line, words in enumerate(layout.lines[i]):
        color = style.foreground() if line == 0 else quiet()
        canvas.text(x, layout.bottom - 0.12 - _LINE * line, words, SMALL, color=color)


def _draw_image(canvas: Canvas, layout: HourglassLayout, i: int, side: int) -> None:
    image = layout.columns[i].image
    if image is None:
        return
    height, width = (_ICON * length / max(image) for length in image)
    edge = layout.x[i] + side * _BAR / 2
    x = edge + side * (0.22 + width / 2)
    canvas.image_icon(x, layout.middle, width, height)
    ends = [
        ((x - side * width / 2, layout.middle + s * height / 2), (edge, layout.middle + s * layout.bars[i] * 0.47))
        for s in (-1, 1)
    ]
    canvas.lines(ends, style.muted(), 0.6, linestyles=[(0, (3, 2))])
    canvas.text(x, layout.middle - height / 2 - 0.13, f"{image[0]}×{image[1]}", SMALL, color=quiet())


def _draw_bracket(canvas: Canvas, layout: HourglassLayout, start: int, end: int, label: str) -> None:
    left, right = layout.x[start] - layout.blocks[start] / 2, layout.x[end] + layout.blocks[end] / 2
    color, y, tick = _outline(style.BLUE if end == layout.narrow else style.GREEN), 0.42, 0.06
    canvas.lines([((left, y), (right, y)), ((left, y), (left, y + tick)), ((right, y), (right, y + tick))], color, 1.4)
    canvas.text((left + right) / 2, 0.22, label, LABEL)
