"""Any model as a drawn table of its layers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo.viz import style
from modelzoo.viz.diagram_canvas import SMALL, Canvas, draw_heading, fitted, text_width, widest
from modelzoo.viz.diagram_layers import LayerInfo, shape_text

_ROW, _GAP, _EDGE, _INSET = 0.205, 0.16, 0.12, 0.2
_HEADS = ("layer", "type", "output shape", "parameters", "", "reads")
_NUMBERS = 4  # the column without a head


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: a layer, or several in a row that differ by name only.

    Attributes
    ----------
    name
        Name of the layer; the first and the last of several.
    kind
        Its class, how many of them, and its activation.
    shape
        Output shape without the batch dimension.
    arithmetic
        How the parameters are counted.
    num_params
        Number of parameters, of all of them.
    reads
        Names of the layers it reads, where they are not just the one before.
    depth
        How many nested models it is in.
    """

    name: str
    kind: str = ""
    shape: str = ""
    arithmetic: str = ""
    num_params: int = 0
    reads: str = ""
    depth: int = 0


def layer_rows(layers: Sequence[LayerInfo]) -> tuple[Row, ...]:
    """Return the rows of the table; a nested model begins with a row of its own."""
    rows: list[Row] = []
    group: tuple[str, ...] = ()
    start = 0
    while start < len(layers):
        info = layers[start]
        if info.group != group:
            rows += [
                Row(name, depth=depth)
                for depth, name in enumerate(info.group)
                if info.group[: depth + 1] != group[: depth + 1]
            ]
            group = info.group
        end = start + 1
        while end < len(layers) and _repeats(layers[end], layers[end - 1], end):
            end += 1
        if end - start < 3:
            end = start + 1
        rows.append(_row(layers, start, end))
        start = end
    return tuple(rows)


def _repeats(info: LayerInfo, before: LayerInfo, index: int) -> bool:
    same = dataclasses.replace(before, name=info.name, inputs=info.inputs, output=info.output) == info
    return same and info.inputs in ((index - 1,), ())


def _row(layers: Sequence[LayerInfo], start: int, end: int) -> Row:
    info, count = layers[start], end - start
    kind = f"{info.kind} ×{count}" if count > 1 else info.kind
    usual = start == 0 or info.inputs in ((start - 1,), ()) or info.kind == "InputLayer"
    arithmetic = "shared" if info.shared else info.arithmetic
    if count > 1 and arithmetic:
        arithmetic = f"{count} · ({arithmetic})"
    return Row(
        name=info.name if count == 1 else f"{info.name} … {layers[end - 1].name}",
        kind=kind + (f", {info.activation}" if info.activation and info.activation != info.kind.lower() else ""),
        shape=shape_text(info.output_shape) or "–",
        arithmetic=arithmetic,
        num_params=info.num_params * count,
        reads="" if usual else ", ".join(dict.fromkeys(layers[index].name for index in info.inputs)),
        depth=len(info.group),
    )


def draw_table(layers: Sequence[LayerInfo], title: str, ax: Any = None) -> Any:
    """Draw the table of a model's layers; parameters are whole numbers, shapes without the batch dimension."""
    rows = layer_rows(layers)
    cells = [
        (
            row.name,
            row.kind,
            row.shape,
            row.arithmetic,
            f"{row.num_params:,}" if row.kind else "",
            row.reads,
        )
        for row in rows
    ]
    columns = list(zip(*cells, strict=True))
    heads = [head if any(column) or head != "reads" else "" for head, column in zip(_HEADS, columns, strict=True)]
    total = sum(row.num_params for row in rows)
    widths = [max(text_width(head, SMALL, "bold"), widest(column)) for head, column in zip(heads, columns, strict=True)]
    widths[0] = max(widths[0], *(_INSET * row.depth + text_width(row.name) for row in rows))
    widths[_NUMBERS] = max(widths[_NUMBERS], text_width(f"{total:,}", SMALL, "bold"))
    gaps = sum(width > 0 for width in widths) - 1
    room = style.PAGE_WIDTH - 2 * _EDGE - _GAP * gaps
    while sum(widths) > room and max(widths) > 0.9:  # the widest columns are cut, their texts get an ellipsis
        widths[int(np.argmax(widths))] -= 0.02
    width = max(style.PAGE_WIDTH, sum(widths) + _GAP * gaps + 2 * _EDGE)
    spare = (width - sum(widths) - _GAP * gaps - 2 * _EDGE) / gaps

    canvas = Canvas(ax, width, _ROW * (len(rows) + 2) + 0.62)
    draw_heading(canvas, title, total)
    lefts, x = [], _EDGE
    for column_width in widths:
        lefts.append(x)
        x += column_width + (_GAP + spare if column_width else 0)

    ink, faint = style.foreground(), style.mix(style.background(), style.foreground(), 0.07)
    y = canvas.height - 0.55
    _rule(canvas, y + _ROW / 2, ink, 1.0)
    _write(canvas, heads, lefts, widths, y, weight="bold")
    _rule(canvas, y - _ROW / 2, ink, 0.6)
    for i, (row, line) in enumerate(zip(rows, cells, strict=True)):
        y -= _ROW
        if i % 2:
            canvas.box(_EDGE / 2, y - _ROW / 2, width - _EDGE, _ROW, face=faint)
        _write(canvas, line, lefts, widths, y, weight="normal" if row.kind else "bold", inset=_INSET * row.depth)
    y -= _ROW
    _rule(canvas, y + _ROW / 2, ink, 0.6)
    _write(canvas, ["total", "", "", "", f"{total:,}", ""], lefts, widths, y, weight="bold")
    _rule(canvas, y - _ROW / 2, ink, 1.0)
    return canvas.ax


def _write(
    canvas: Canvas,
    line: Sequence[str],
    lefts: Sequence[float],
    widths: Sequence[float],
    y: float,
    *,
    weight: str,
    inset: float = 0.0,
) -> None:
    for i, (words, left, width) in enumerate(zip(line, lefts, widths, strict=True)):
        if i == _NUMBERS and words:  # numbers end at the same place
            canvas.text(left + width, y, words, SMALL, ha="right", weight=weight)
        elif words:
            indent = inset if i == 0 else 0.0
            room = max(width - indent, 0.2) if weight == "normal" else style.PAGE_WIDTH
            canvas.text(left + indent, y, fitted(words, room + 0.01, SMALL, weight), SMALL, ha="left", weight=weight)


def _rule(canvas: Canvas, y: float, color: str, width: float) -> None:
    canvas.lines([((_EDGE / 2, y), (canvas.width - _EDGE / 2, y))], color, width, capstyle="butt")
