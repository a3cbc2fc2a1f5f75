"""Any network as a drawn table of its layers."""

from __future__ import annotations

import itertools

import numpy as np

from modelzoo.network import Layer, Network, shape_text
from modelzoo.viz import style
from modelzoo.viz.architecture.canvas import EDGE, SMALL, Canvas, fitted, page_width, text_width, widest

_ROW, _GAP, _EDGE, _INSET, _LANE = 0.205, 0.16, 0.12, 0.2, 0.1
_HEADS = ("layer", "type", "output shape", "parameters", "", "reads")
_NUMBERS = 4  # the column without a head

#: The texts of a row, and how many nested models the layer is in.
Row = tuple[tuple[str, ...], int]


def layer_rows(network: Network) -> list[Row]:
    """Return the rows of the table: a layer, or three and more in a row that differ by name only.

    A nested model begins with a row that holds only its name.
    """
    rows: list[Row] = []
    group: tuple[str, ...] = ()
    alike = itertools.groupby(enumerate(network.layers), key=lambda item: (_facts(network, *item), item[1].group))
    for ((kind, shape, arithmetic, reads), inside), run in alike:
        for depth, name in enumerate(inside):
            if inside[: depth + 1] != group[: depth + 1]:
                rows.append(((name, "", "", "", "", ""), depth))
        group = inside
        layers = [layer for _, layer in run]
        if (count := len(layers)) > 2:
            name, total = f"{layers[0].name} … {layers[-1].name}", f"{count * layers[0].num_params:,}"
            times = f"{count} · ({arithmetic})" if arithmetic else ""
            rows.append(((name, f"{count} × {kind}", shape, times, total, reads), len(group)))
        else:
            rows += [
                ((layer.name, kind, shape, arithmetic, f"{layer.num_params:,}", reads), len(group)) for layer in layers
            ]
    return rows


def _facts(network: Network, index: int, layer: Layer) -> tuple[str, str, str, str]:
    """Return type, output shape, arithmetic, and what it reads where that is not the layer before."""
    shown = layer.activation and layer.activation != layer.kind.lower()
    reads = dict.fromkeys(network.layers[i].name for i in layer.inputs if layer.inputs != (index - 1,))
    return (
        f"{layer.kind}, {layer.activation}" if shown else layer.kind,
        shape_text(layer.output_shape) or "–",
        "shared" if layer.shared else layer.arithmetic,
        ", ".join(reads),
    )


def skip_connections(network: Network, rows: list[Row]) -> list[tuple[int, int, int]]:
    """Return what passes layers by: a lane beside the table, the row it comes from and the row it goes to."""
    row_of = {cells[0]: number for number, (cells, _) in enumerate(rows) if cells[1]}
    found: list[tuple[int, int, int]] = []
    ends: list[int] = []  # of the last one in each lane
    for number, layer in enumerate(network.layers):
        for source in (network.layers[i] for i in layer.inputs if i < number - 1):
            if source.name in row_of and layer.name in row_of:
                start, end = row_of[source.name], row_of[layer.name]
                lane = next((lane for lane, last in enumerate(ends) if last < start), len(ends))
                ends[lane : lane + 1] = [end]
                found.append((lane, start, end))
    return found


class Table:
    """Where each column begins, in inches; parameters are whole numbers, shapes without the batch dimension."""

    def __init__(self, network: Network) -> None:
        self.rows = layer_rows(network)
        self.total = f"{network.num_params:,}"
        columns = list(zip(*(cells for cells, _ in self.rows), strict=True))
        self.heads = [head if any(column) else "" for head, column in zip(_HEADS, columns, strict=True)]
        widths = [
            max(text_width(head, SMALL, "bold"), widest(column))
            for head, column in zip(self.heads, columns, strict=True)
        ]
        widths[0] = max(_INSET * depth + text_width(cells[0]) for cells, depth in self.rows)
        widths[_NUMBERS] = max(widths[_NUMBERS], text_width(self.total, SMALL, "bold"))
        gaps = sum(width > 0 for width in widths) - 1
        self.skips = skip_connections(network, self.rows)
        margin = _EDGE + _LANE * (1 + max((lane for lane, *_ in self.skips), default=-1))
        room = style.PAGE_WIDTH - _EDGE - margin - _GAP * gaps
        while sum(widths) > room and max(widths) > 0.9:  # the widest columns are cut, their texts get an ellipsis
            widths[int(np.argmax(widths))] -= 0.02
        self.widths = widths
        self.width = max(page_width(), sum(widths) + _GAP * gaps + _EDGE + margin)
        gap = (self.width - sum(widths) - _EDGE - margin) / gaps
        self.lefts = margin + np.cumsum([0.0] + [width + gap if width else 0.0 for width in widths[:-1]])
        self.height = _ROW * (len(self.rows) + 2) + 0.62

    def draw(self, canvas: Canvas) -> None:
        """Draw the heads, the rows and the total, with rules between them."""
        y = self.height - 0.55
        self._write(canvas, y, self.heads, bold=True)
        for number, (cells, depth) in enumerate(self.rows):
            y -= _ROW
            if number % 2:
                face = style.mix(style.background(), style.foreground(), 0.07)
                canvas.box(_EDGE / 2, y - _ROW / 2, self.width - _EDGE, _ROW, face=face)
            self._write(canvas, y, cells, bold=not cells[1], inset=_INSET * depth)
        for lane, *rows in self.skips:
            start, end = (self.height - 0.55 - _ROW * (row + 1) for row in rows)
            edge = self.lefts[0] - 0.04
            x = edge - _LANE * (lane + 0.6)
            corners = [(edge, start), (x, start), (x, end), (edge, end)]
            canvas.lines(list(itertools.pairwise(corners)), style.BLUE, 1.0)
            arrow = [(edge, end), (edge - 0.05, end + 0.03), (edge - 0.05, end - 0.03)]
            canvas.polygon(arrow, face=style.BLUE, zorder=EDGE)
        y -= _ROW
        self._write(canvas, y, ("total", "", "", "", self.total, ""), bold=True)
        top = self.height - 0.55 + _ROW / 2
        for rule, width in ((top, 1.0), (top - _ROW, 0.6), (y + _ROW / 2, 0.6), (y - _ROW / 2, 1.0)):
            ends = (_EDGE / 2, rule), (self.width - _EDGE / 2, rule)
            canvas.lines([ends], style.foreground(), width, capstyle="butt")

    def _write(
        self, canvas: Canvas, y: float, cells: tuple[str, ...] | list[str], *, bold: bool, inset: float = 0.0
    ) -> None:
        weight = "bold" if bold else "normal"
        for i, (words, left, width) in enumerate(zip(cells, self.lefts, self.widths, strict=True)):
            if i == _NUMBERS:  # numbers end at the same place
                canvas.text(left + width, y, words, ha="right", weight=weight)
            elif words:
                indent = 0.0 if i else inset
                room = style.PAGE_WIDTH if bold else max(width - indent, 0.2) + 0.01
                canvas.text(left + indent, y, fitted(words, room, SMALL, weight), ha="left", weight=weight)
