"""A convolutional network as stacks of feature maps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelzoo.network import NotAChainError
from modelzoo.viz import style
from modelzoo.viz.architecture.canvas import GLYPH, LABEL, NODE, Canvas, fitted, page_width, text_width, widest
from modelzoo.viz.architecture.stages import Stage

_STEP = 0.05  # from one map of a stack to the next
_BAR, _LINE = 0.14, 0.16
_NAME = 1.0
_FEW_UNITS = 12


def shown_maps(maps: int) -> int:
    """Return how many maps of a stack are drawn, 1 to 8: one more each time the number doubles."""
    return int(min(8, 1 + round(float(np.log2(maps)))))


class Stacks:
    """Where each stage stands, in inches: the left edge ``x``, the size ``boxes`` and the column ``widths``.

    Parameters
    ----------
    stages
        Stages of the network.
    output_names
        Names of the outputs; their numbers by default.

    Raises
    ------
    NotAChainError
        There are no maps.
    """

    def __init__(self, stages: Sequence[Stage], *, output_names: Sequence[str] = ()) -> None:
        if not any(stage.role in ("conv", "pool") for stage in stages):
            raise NotAChainError("Stacks show convolutions and pools: the model has neither.")
        self.stages = stages
        last = stages[-1]
        self.units = last.size if last.role == "dense" and last.size <= _FEW_UNITS else 0
        self.output_names = list(output_names) or ([str(unit) for unit in range(self.units)] if self.units > 1 else [])
        self.lines = [_lines(stage) for stage in stages]
        self.x: list[float] = []
        self.width = 0.0
        beside = widest(self.output_names) + 0.06 if self.units else 0.0
        for side in np.arange(1.2, 0.54, -0.05):  # the largest maps that fit the page
            self._place(float(side), beside)
            if self.width <= page_width():
                break
        spare = max(page_width() - self.width, 0.0)
        gap = min(spare / (len(stages) - 1), 0.35)
        inset = (spare - gap * (len(stages) - 1)) / 2
        self.x = [x + inset + gap * i for i, x in enumerate(self.x)]
        self.width = max(self.width, page_width())
        tallest = max(height for _, height in self.boxes)
        self.bottom = _LINE * max(map(len, self.lines)) + 0.42
        self.middle = self.bottom + tallest / 2
        self.height = self.bottom + tallest + 0.72

    def _place(self, side: float, beside: float) -> None:
        longest = max(max(stage.shape[:2]) for stage in self.stages if len(stage.shape) == 3)
        self.boxes: list[tuple[float, float]] = []
        self.fronts: list[tuple[float, float]] = []
        for stage in self.stages:
            front, depth = (_BAR, 0.5 + 0.34 * float(np.log10(stage.size))), 0.0
            if len(stage.shape) == 3:
                width, height = (side * float(np.sqrt(length / longest)) for length in stage.shape[1::-1])
                front, depth = (width, height), _STEP * (shown_maps(stage.shape[2]) - 1)
            elif stage is self.stages[-1] and self.units:
                front = (_BAR, 0.165 * max(self.units, 2))
            self.fronts.append(front)
            self.boxes.append((front[0] + depth, front[1] + depth))
        self.widths = [
            max(box[0], min(text_width(stage.heading, LABEL, "bold"), _NAME), widest([stage.size_text, *lines]))
            for stage, box, lines in zip(self.stages, self.boxes, self.lines, strict=True)
        ]
        ends = np.cumsum([0.14] + [width + 0.13 for width in self.widths])
        self.x = [float(x + (width - box[0]) / 2) for x, width, box in zip(ends, self.widths, self.boxes, strict=False)]
        self.width = max(float(ends[-1]), self.x[-1] + self.boxes[-1][0] + beside + 0.12)

    def corner(self, i: int) -> tuple[float, float]:
        """Lower left corner of stage ``i``."""
        return self.x[i], self.middle - self.boxes[i][1] / 2

    def draw(self, canvas: Canvas) -> None:
        """Draw the stages, what is written on them, and how each comes from the one before."""
        for i, stage in enumerate(self.stages):
            if len(stage.shape) == 3:
                self._draw_maps(canvas, i)
            else:
                self._draw_vector(canvas, i)
            self._write(canvas, i)
            if i:
                self._connect(canvas, i)

    def _draw_maps(self, canvas: Canvas, i: int) -> None:
        stage, (x, y), (width, height) = self.stages[i], self.corner(i), self.fronts[i]
        count = shown_maps(stage.shape[2])
        if stage.role in ("input", "image") and count == 1:
            canvas.image(x + width / 2, y + height / 2, width, height)
            return
        fill, edge = _colors(stage)
        for k in reversed(range(count)):
            canvas.box(x + k * _STEP, y + k * _STEP, width, height, face=fill, edge=edge, zorder=NODE)

    def _draw_vector(self, canvas: Canvas, i: int) -> None:
        stage, (x, y), (width, height) = self.stages[i], self.corner(i), self.fronts[i]
        is_output = i == len(self.stages) - 1
        fill, edge = _colors(stage, is_output=is_output and stage.role == "dense")
        if is_output and self.units:
            for unit in range(self.units):
                center = y + height * (1 - (unit + 0.5) / self.units)
                canvas.circle(x + width / 2, center, 0.066, face=fill, edge=edge, width=0.9)
                if self.output_names:
                    canvas.text(x + width + 0.06, center, self.output_names[unit], ha="left")
        elif stage.role == "dropout":  # some units of a layer are crossed out
            canvas.box(x, y, width, height, face=style.background(), edge=edge, zorder=NODE, linestyle=(0, (2, 1.5)))
            middle, arm, count = x + width / 2, 0.035, max(int(height / 0.2), 2)
            for center in y + height * (np.arange(count) + 0.5) / count:
                ends = [((middle - arm, center - s * arm), (middle + arm, center + s * arm)) for s in (-1, 1)]
                canvas.lines(ends, edge, 0.8, zorder=GLYPH)
        else:
            canvas.box(x, y, width, height, face=fill, edge=edge, zorder=NODE)

    def _write(self, canvas: Canvas, i: int) -> None:
        stage, width = self.stages[i], self.widths[i]
        x, y = self.x[i] + self.boxes[i][0] / 2, self.bottom - 0.16
        canvas.text(x, self.middle + self.boxes[i][1] / 2 + 0.14, stage.size_text)
        canvas.text(x, y, fitted(stage.heading, max(width, _NAME) + 0.02, LABEL, "bold"), LABEL, weight="bold")
        for line, words in enumerate(self.lines[i], start=1):
            is_count = stage.num_params and line == len(self.lines[i])
            canvas.text(x, y - 0.03 - _LINE * line, words, color=style.quiet() if is_count else style.foreground())

    def _connect(self, canvas: Canvas, i: int) -> None:
        """Draw how stage ``i`` comes from the one before: its window, or the fan of a dense layer."""
        before, stage = self.stages[i - 1], self.stages[i]
        (x0, y0), (x1, y1) = self.corner(i - 1), self.corner(i)
        (width0, height0), (width1, height1) = self.fronts[i - 1], self.fronts[i]
        left = x0 + width0
        if stage.window and len(before.shape) == 3:
            sides = zip(stage.window[::-1], before.shape[1::-1], self.fronts[i - 1], strict=True)
            width, height = (min(max(window / length, 0.1), 1) * side for window, length, side in sides)
            left, bottom = x0 + 0.8 * (width0 - width), y0 + 0.2 * (height0 - height)
            ink = style.mix(style.VERMILLION, "#FFFFFF", 0.25) if style.is_dark() else style.VERMILLION
            ground = style.background() if before.role in ("input", "image") else _colors(before)[0]
            canvas.box(left, bottom, width, height, face=style.mix(ground, ink, 0.3), edge=ink, zorder=GLYPH)
            end = (x1 + 0.15 * width1, y1 + 0.25 * height1)
            right = left + width
            canvas.lines([((right, bottom), end), ((right, bottom + height), end)], ink, 0.8, zorder=GLYPH)
            canvas.circle(*end, 0.02, face=ink, zorder=GLYPH)
        elif before.role == "dropout" or stage.role in {"dense", "dropout"}:
            face = style.mix(style.background(), style.foreground(), 0.07)
            canvas.polygon([(left, y0), (left, y0 + height0), (x1, y1 + height1), (x1, y1)], face=face)
        else:
            ends = [((left, y0), (x1, y1)), ((left, y0 + height0), (x1, y1 + height1))]
            canvas.lines(ends, style.muted(), 0.6, linestyles=[(0, (3, 2))])


def _lines(stage: Stage) -> list[str]:
    lines = [line for line in stage.operation if line != stage.heading]
    lines += [*stage.notes, stage.activation_text, f"{stage.num_params:,}" if stage.num_params else ""]
    return [line for line in lines if line]


def _colors(stage: Stage, *, is_output: bool = False) -> tuple[str, str]:
    """Return fill and outline of a stage."""
    color = {"conv": style.BLUE, "pool": style.SKY, "dense": style.PURPLE}.get(stage.role, style.muted())
    color = style.GREEN if is_output else color
    return style.mix(style.background(), color, 0.3), style.outline(color)
