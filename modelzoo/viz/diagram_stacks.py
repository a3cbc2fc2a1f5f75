"""A convolutional network as stacks of feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo.viz import style
from modelzoo.viz.diagram_canvas import (
    FACE,
    GLYPH,
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
from modelzoo.viz.diagram_stages import Stage

_STEP = 0.05  # from one map of a stack to the next
_BAR = 0.14
_NAME = 1.0
_LINE = 0.16
_FEW_UNITS = 12


def shown_maps(maps: int) -> int:
    """Return how many maps of a stack are drawn, 1 to 8: one more each time the number doubles."""
    return int(min(8, 1 + round(float(np.log2(maps)))))


class StacksLayout:
    """Where each stage stands, in inches: the left edge ``x``, the size ``boxes`` and the column ``widths``.

    Parameters
    ----------
    stages
        Stages of the network.
    output_names
        Names of the outputs; their numbers by default.

    Raises
    ------
    NotDrawableError
        There are no maps.
    """

    def __init__(self, stages: Sequence[Stage], *, output_names: Sequence[str] = ()) -> None:
        if not any(stage.role in ("conv", "pool") for stage in stages):
            raise NotDrawableError("Stacks show convolutions and pools: the model has neither.")
        self.stages = stages
        last = stages[-1]
        self.units = last.size if last.role == "dense" and last.size <= _FEW_UNITS else 0
        self.output_names = list(output_names) or ([str(unit) for unit in range(self.units)] if self.units > 1 else [])
        self.lines = [_lines(stage) for stage in stages]
        self.x: list[float] = []
        self.width = 0.0
        beside = widest(self.output_names, SMALL) + 0.06 if self.units else 0.0
        for side in np.arange(1.2, 0.54, -0.05):  # the largest maps that fit the page
            self._place(float(side), beside)
            if self.width <= style.PAGE_WIDTH:
                break
        spare = max(style.PAGE_WIDTH - self.width, 0.0)
        gap = min(spare / (len(stages) - 1), 0.35)
        inset = (spare - gap * (len(stages) - 1)) / 2
        self.x = [x + inset + gap * i for i, x in enumerate(self.x)]
        self.width = max(self.width, style.PAGE_WIDTH)

        self.footer = max(len(lines) for lines in self.lines)
        tallest = max(height for _, height in self.boxes)
        bottom = _LINE * self.footer + 0.42
        self.middle = bottom + tallest / 2
        self.bottom, self.top = bottom, bottom + tallest
        self.height = self.top + 0.72

    def _place(self, side: float, beside: float) -> None:
        longest = max(max(stage.shape[:2]) for stage in self.stages if len(stage.shape) == 3)
        self.boxes, self.fronts = [], []
        for stage in self.stages:
            if len(stage.shape) == 3:
                front = tuple(side * float(np.sqrt(length / longest)) for length in stage.shape[1::-1])
                depth = _STEP * (shown_maps(stage.shape[2]) - 1)
                self.fronts.append(front)
                self.boxes.append((front[0] + depth, front[1] + depth))
            else:
                height = 0.5 + 0.34 * float(np.log10(stage.size))
                if stage is self.stages[-1] and self.units:
                    height = 0.165 * max(self.units, 2)
                self.fronts.append((_BAR, height))
                self.boxes.append((_BAR, height))
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


def _lines(stage: Stage) -> list[str]:
    lines = [line for line in stage.operation if line != stage.heading]
    lines += [*stage.notes, stage.activation_text]
    lines += [f"{stage.num_params:,}"] if stage.num_params else []
    return [line for line in lines if line]


def stage_colors(stage: Stage, *, is_output: bool = False) -> tuple[str, str]:
    """Return fill and outline of a stage."""
    color = {"conv": style.BLUE, "pool": style.SKY, "dense": style.PURPLE}.get(stage.role, style.muted())
    if is_output:
        color = style.GREEN
    edge = style.mix(color, "#FFFFFF", 0.25) if style.is_dark() else style.mix(color, "#000000", 0.15)
    return style.mix(style.background(), color, 0.3), edge


def draw_stacks(layout: StacksLayout, title: str, ax: Any = None) -> Any:
    """Draw stages of a convolutional network; the arguments are those of :func:`modelzoo.viz.plot_architecture`."""
    canvas = Canvas(ax, layout.width, layout.height)
    draw_heading(canvas, title, sum(stage.num_params for stage in layout.stages))
    for i, stage in enumerate(layout.stages):
        if len(stage.shape) == 3:
            _draw_maps(canvas, layout, i)
        else:
            _draw_vector(canvas, layout, i)
        _write(canvas, layout, i)
    for i in range(1, len(layout.stages)):
        _connect(canvas, layout, i)
    return canvas.ax


def _draw_maps(canvas: Canvas, layout: StacksLayout, i: int) -> None:
    stage, (x, y), (width, height) = layout.stages[i], layout.corner(i), layout.fronts[i]
    count = shown_maps(stage.shape[2])
    if stage.role in ("input", "image") and count == 1:
        canvas.image_icon(x + width / 2, y + height / 2, width, height)
        return
    fill, edge = stage_colors(stage)
    for k in reversed(range(count)):
        canvas.box(x + k * _STEP, y + k * _STEP, width, height, face=fill, edge=edge, zorder=NODE)


def _draw_vector(canvas: Canvas, layout: StacksLayout, i: int) -> None:
    stage, (x, y), (width, height) = layout.stages[i], layout.corner(i), layout.fronts[i]
    is_output = i == len(layout.stages) - 1
    fill, edge = stage_colors(stage, is_output=is_output and stage.role == "dense")
    if is_output and layout.units:
        radius = 0.066
        for unit in range(layout.units):
            center = y + height * (1 - (unit + 0.5) / layout.units)
            canvas.circle(x + width / 2, center, radius, face=fill, edge=edge, width=0.9)
            if layout.output_names:
                canvas.text(x + width + 0.06, center, layout.output_names[unit], SMALL, ha="left")
    elif stage.role == "dropout":
        canvas.box(x, y, width, height, face=style.background(), edge=edge, zorder=NODE, linestyle=(0, (2, 1.5)))
        count = max(int(height / 0.2), 2)
        for center in y + height * (np.arange(count) + 0.5) / count:  # some units of a layer are crossed out
            arm = 0.035
            cross = [
                ((x + width / 2 - arm, center - s * arm), (x + width / 2 + arm, center + s * arm)) for s in (-1, 1)
            ]
            canvas.lines(cross, edge, 0.8, zorder=GLYPH)
    else:
        canvas.box(x, y, width, height, face=fill, edge=edge, zorder=NODE)


def _write(canvas: Canvas, layout: StacksLayout, i: int) -> None:
    stage, width = layout.stages[i], layout.widths[i]
    x = layout.x[i] + layout.boxes[i][0] / 2
    canvas.text(x, layout.middle + layout.boxes[i][1] / 2 + 0.14, stage.size_text, SMALL)
    y = layout.bottom - 0.16
    canvas.text(x, y, fitted(stage.heading, max(width, _NAME) + 0.02, LABEL, "bold"), LABEL, weight="bold")
    for line, words in enumerate(layout.lines[i]):
        is_count = stage.num_params and line == len(layout.lines[i]) - 1
        color = quiet() if is_count else style.foreground()
        canvas.text(x, y - 0.03 - _LINE * (line + 1), words, SMALL, color=color)


def _connect(canvas: Canvas, layout: StacksLayout, i: int) -> None:
    """Draw how stage ``i`` comes from the one before: its window, or the fan of a dense layer."""
    before, stage = layout.stages[i - 1], layout.stages[i]
    (x0, y0), (x1, y1) = layout.corner(i - 1), layout.corner(i)
    (width0, height0), (width1, height1) = layout.fronts[i - 1], layout.fronts[i]
    if stage.window is not None and len(before.shape) == 3:
        rows, columns = before.shape[:2]
        window = (
            min(max(stage.window[1] / columns, 0.1), 1) * width0,
            min(max(stage.window[0] / rows, 0.1), 1) * height0,
        )
        left, bottom = x0 + 0.8 * (width0 - window[0]), y0 + 0.2 * (height0 - window[1])
        ink = style.mix(style.VERMILLION, "#FFFFFF", 0.25) if style.is_dark() else style.VERMILLION
        ground = style.background() if before.role in ("input", "image") else stage_colors(before)[0]
        canvas.box(left, bottom, *window, face=style.mix(ground, ink, 0.3), edge=ink, zorder=GLYPH)
        end = (x1 + 0.15 * width1, y1 + 0.25 * height1)
        right = left + window[0]
        canvas.lines([((right, bottom), end), ((right, bottom + window[1]), end)], ink, 0.8, zorder=GLYPH)
        canvas.circle(*end, 0.02, face=ink, edge="none", zorder=GLYPH)
        return
    left = x0 + width0
    if before.role == "dropout" or stage.role in {"dense", "dropout"}:
        face = style.mix(style.background(), style.foreground(), 0.07)
        canvas.polygon([(left, y0), (left, y0 + height0), (x1, y1 + height1), (x1, y1)], face=face, zorder=FACE)
        return
    ends = [((left, y0), (x1, y1)), ((left, y0 + height0), (x1, y1 + height1))]
    canvas.lines(ends, style.muted(), 0.6, linestyles=[(0, (3, 2))])
