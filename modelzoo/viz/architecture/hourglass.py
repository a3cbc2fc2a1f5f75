"""An autoencoder as an hourglass: bars for the layers, wide to narrow to wide."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.patches import FancyBboxPatch

from modelzoo.network import NotAChainError
from modelzoo.viz import style
from modelzoo.viz.architecture.canvas import LABEL, NODE, Canvas, fitted, page_width, text_width, widest
from modelzoo.viz.architecture.neurons import Column

_TALLEST, _BAR, _LINE, _ICON = 2.3, 0.26, 0.16, 0.6


class Hourglass:
    """Where each bar stands, in inches: its centre ``x`` and its height ``bars``, as the root of its units.

    Raises
    ------
    NotAChainError
        The columns are not an autoencoder: as wide at the end as at the beginning, and narrower between.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        units = np.array([column.units for column in columns])
        self.columns, self.narrow = columns, int(np.argmin(units))
        if units[0] != units[-1] or units[self.narrow] >= units[0]:
            raise NotAChainError(
                f"An hourglass narrows, and ends as wide as it began; got {' → '.join(map(str, units))}."
            )
        self.bars = np.maximum(_TALLEST * np.sqrt(units / units.max()), 0.12)
        self.latent_units = int(units[self.narrow]) if units[self.narrow] <= 4 else 0  # drawn one by one
        if self.latent_units:
            self.bars[self.narrow] = 0.3 * self.latent_units
        # Bars are narrower than columns of units: each term of the arithmetic has a line of its own.
        self.lines = [
            "\n".join([*column.lines, *column.counted]).replace(" + ", "\n+ ").splitlines() for column in columns
        ]
        self.blocks = [
            max(min(text_width(column.stage.heading, LABEL, "bold"), 1.0), widest([f"{column.units:,}", *lines]), 0.55)
            for column, lines in zip(columns, self.lines, strict=True)
        ]
        pitches = np.array([(left + right) / 2 + 0.1 for left, right in itertools.pairwise(self.blocks)])
        margins = [
            max(self.blocks[i] / 2 + 0.12, (_BAR / 2 + 0.37 + _ICON) if columns[i].image else 0.0) for i in (0, -1)
        ]
        last = len(columns) - 1
        self.parts = [_part(columns, 1, self.narrow, "encoder"), _part(columns, self.narrow + 1, last, "decoder")]
        natural = float(pitches.sum()) + sum(margins)
        self.width = max(page_width(), natural)
        room = sum(text_width(label, LABEL) for *_, label in self.parts) / 2 + 0.3  # the labels side by side
        spare = min((self.width - natural) / last, max(0.9, 2 * (room - pitches.mean() * last / 2) / last))
        left = margins[0] + (self.width - natural - spare * last) / 2
        self.x = left + np.concatenate([[0.0], np.cumsum(pitches + spare)])
        self.bottom = _LINE * max(map(len, self.lines)) + 0.65
        self.middle = self.bottom + _TALLEST / 2
        self.top = self.bottom + _TALLEST
        self.height = self.top + 0.9

    def draw(self, canvas: Canvas) -> None:
        """Draw the bars, the funnels between them, the images at both ends, and the brackets of the two parts."""
        for i in range(1, len(self.columns)):
            ends = [(self.x[i - 1] + _BAR / 2, self.bars[i - 1] / 2), (self.x[i] - _BAR / 2, self.bars[i] / 2)]
            corners = [(x, self.middle + s * half) for s, side in ((1, 1), (-1, -1)) for x, half in ends[::side]]
            canvas.polygon(corners, face=style.mix(style.background(), self._side_color(i), 0.12))
        for i in range(len(self.columns)):
            self._draw_bar(canvas, i)
        for i, side in ((0, -1), (-1, 1)):
            if self.columns[i].image:
                edge, height = self.x[i] + side * _BAR / 2, self.bars[i] * 0.47
                width = _ICON * self.columns[i].image[1] / max(self.columns[i].image[:2])
                heights = self.middle + height, self.middle - height
                x = edge + side * (0.22 + width / 2)
                canvas.flattened_image(x, self.middle, _ICON, self.columns[i].image, edge, heights)
        for start, end, label in self.parts:
            left, right = self.x[start] - self.blocks[start] / 2, self.x[end] + self.blocks[end] / 2
            y, tick = 0.42, 0.06
            bracket = [((left, y), (right, y)), ((left, y), (left, y + tick)), ((right, y), (right, y + tick))]
            canvas.lines(bracket, style.outline(self._side_color(end)), 1.4)
            canvas.text((left + right) / 2, 0.22, label, LABEL)

    def _side_color(self, i: int) -> str:
        return style.BLUE if i <= self.narrow else style.GREEN

    def _draw_bar(self, canvas: Canvas, i: int) -> None:
        column, x, height = self.columns[i], self.x[i], self.bars[i]
        color = style.ORANGE if i == self.narrow else self._side_color(i) if i else style.muted()
        corner, rounding = (x - _BAR / 2, self.middle - height / 2), min(_BAR, height) * 0.35
        face, shape = style.mix(style.background(), color, 0.35), f"round,pad=0,rounding_size={rounding}"
        look: Any = {"facecolor": face, "edgecolor": style.outline(color), "linewidth": canvas.scale, "zorder": NODE}
        canvas.ax.add_patch(FancyBboxPatch(corner, _BAR, height, boxstyle=shape, **look))
        if i == self.narrow and self.latent_units:
            for unit in range(self.latent_units):
                y = self.middle + 0.3 * ((self.latent_units - 1) / 2 - unit)
                canvas.circle(x, y, 0.085, face=color, edge=style.outline(color), zorder=NODE + 1)
        elif i and height > 0.3:
            canvas.glyph(column.stage.activation, x, self.middle, _BAR * 0.62)
        name = fitted(column.stage.heading, max(self.blocks[i], 0.6) + 0.05, LABEL, "bold")
        canvas.text(x, self.top + 0.34, name, LABEL, weight="bold")
        canvas.text(x, self.top + 0.16, f"{column.units:,}", color=style.quiet())
        for line, words in enumerate(self.lines[i]):
            color = style.quiet() if line else style.foreground()
            canvas.text(x, self.bottom - 0.12 - _LINE * line, words, color=color)


def _part(columns: Sequence[Column], start: int, end: int, name: str) -> tuple[int, int, str]:
    """Return the first and the last column of the encoder or the decoder, and its label."""
    stages = [column.stage for column in columns[start : end + 1]]
    groups = {stage.group for stage in stages}
    if len(groups) == 1 and (group := groups.pop()):
        name = group[-1]
    return start, end, f"{name}: {sum(stage.num_params for stage in stages):,} parameters"
