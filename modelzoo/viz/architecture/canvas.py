"""The sheet a diagram is drawn on, measured in inches, and the text and little curves on it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon
from matplotlib.textpath import text_to_path

from modelzoo.numpy_runtime import ACTIVATIONS
from modelzoo.viz import style

#: Sizes of text in points, for a figure as wide as a page.
TITLE, LABEL, SMALL = 11.0, 9.0, 8.0

#: What is drawn over what.
FACE, EDGE, NODE, GLYPH = 1, 2, 3, 4


class Canvas:
    """Axes whose data coordinates are inches of the drawing where ``rcParams["font.size"]`` is 10; it grows with that.

    In smaller axes the whole drawing shrinks, text too.

    Parameters
    ----------
    ax
        Where to draw; a new figure of just the drawing's size by default.
    width, height
        Size of the drawing in inches.
    """

    def __init__(self, ax: Axes | None, width: float, height: float) -> None:
        self.width, self.height, self.scale = width, height, style.points(1)
        self.ax = style.new_axes(ax, (width * self.scale, height * self.scale))
        if ax is None:
            figure: Any = self.ax.figure
            figure.set_layout_engine("none")
            self.ax.set_position((0, 0, 1, 1))
        else:
            room = self.ax.get_window_extent()
            inch = self.ax.figure.dpi
            self.scale = min(room.width / inch / width, room.height / inch / height)
        self.ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
        self.ax.axis("off")

    def heading(self, name: str, num_params: int) -> None:
        """Write the model's name and the number of its parameters along the upper edge."""
        y = self.height - 0.2
        count = f"{num_params:,} parameter" + ("" if num_params == 1 else "s")
        room = self.width - text_width(count, LABEL) - 0.5
        self.text(0.12, y, fitted(name, room, TITLE, "bold"), TITLE, ha="left", weight="bold")
        self.text(self.width - 0.12, y, count, LABEL, ha="right", color=style.quiet())

    def text(self, x: float, y: float, words: str, size: float = SMALL, **options: Any) -> None:
        """Write one line; ``ha`` is ``"center"`` and ``va`` ``"center"`` unless given."""
        options = {"ha": "center", "va": "center", "zorder": 6, "parse_math": False, **options}
        self.ax.text(x, y, words, fontsize=size * self.scale, **options)

    def lines(self, segments: Any, colors: Any, widths: Any = 1.0, **options: Any) -> None:
        """Draw straight lines, each ``((x, y), (x, y))``."""
        options = {"zorder": EDGE, "capstyle": "round", **options}
        widths = np.asarray(widths) * self.scale
        self.ax.add_collection(LineCollection(segments, colors=colors, linewidths=widths, **options), autolim=False)

    def circle(
        self, x: float, y: float, radius: float, *, face: str, edge: str = "none", width: float = 1.0, **options: Any
    ) -> None:
        """Draw a disc with an outline."""
        options = {"zorder": NODE, "facecolor": face, "edgecolor": edge, "linewidth": width * self.scale, **options}
        self.ax.add_patch(Circle((x, y), radius, **options))

    def polygon(self, corners: Any, *, face: str, edge: str = "none", zorder: float = FACE, **options: Any) -> None:
        """Draw a filled polygon."""
        options = {"joinstyle": "miter", "linewidth": 0.8 * self.scale, **options}
        self.ax.add_patch(Polygon(corners, facecolor=face, edgecolor=edge, zorder=zorder, **options))

    def box(self, x: float, y: float, width: float, height: float, **options: Any) -> None:
        """Draw a filled rectangle from its lower left corner."""
        self.polygon([(x, y), (x + width, y), (x + width, y + height), (x, y + height)], **options)

    def image(self, x: float, y: float, width: float, height: float) -> None:
        """Draw an image as a sheet of pixels, centred at ``(x, y)``."""
        left, bottom = x - width / 2, y - height / 2
        ground, ink, cells = style.background(), style.foreground(), 7
        self.box(left, bottom, width, height, face=style.mix(ground, ink, 0.06), edge=style.muted(), zorder=NODE)
        inner = np.arange(1, cells) / cells
        rows = [((left, bottom + height * i), (left + width, bottom + height * i)) for i in inner]
        columns = [((left + width * i, bottom), (left + width * i, bottom + height)) for i in inner]
        self.lines(rows + columns, style.mix(ground, ink, 0.22), 0.5, zorder=NODE, capstyle="butt")

    def flattened_image(self, x: float, y: float, side: float, shape: Sequence[int], edge: float, heights: Any) -> None:
        """Draw an image that becomes a column of units, or a column that becomes an image.

        Parameters
        ----------
        x, y
            Centre of the image.
        side
            Its longer side in inches.
        shape
            Its height and width in pixels, which is written below.
        edge
            Where the column stands.
        heights
            The upper and the lower end of the column.
        """
        height, width = (side * length / max(shape) for length in shape[:2])
        self.image(x, y, width, height)
        corner = x + width / 2 if edge > x else x - width / 2
        ends = [((corner, y + s * height / 2), (edge, end)) for s, end in zip((1, -1), heights, strict=True)]
        self.lines(ends, style.muted(), 0.6, linestyles=[(0, (3, 2))])
        self.text(x, y - height / 2 - 0.13, f"{shape[0]}×{shape[1]}", SMALL, color=style.quiet())

    def glyph(self, activation: str, x: float, y: float, size: float) -> None:
        """Draw the curve of an activation in a square of side ``size`` around ``(x, y)``; an unknown one has none."""
        color, curve = style.foreground(), glyph_curve(activation)
        if activation == "softmax":
            bar = size * 0.22
            for i, height in enumerate((0.35, 1.0, 0.55)):
                left = x + (i - 1) * bar * 1.45 - bar / 2
                self.box(left, y - size / 2, bar, height * size, face=color, zorder=GLYPH)
        elif curve is not None:
            options: Any = {"color": color, "linewidth": 1.2 * self.scale, "solid_capstyle": "round", "zorder": GLYPH}
            self.ax.add_line(Line2D(*(np.array([x, y]) + size / 2 * curve).T, **options))


#: How far left and right of 0 the curve of an activation is drawn, where it is not 2.5.
_REACH = {"hard_sigmoid": 5.0, "relu6": 9.0, "sigmoid": 5.0, "silu": 4.0, "softplus": 4.0, "softsign": 5.0}


@functools.lru_cache
def glyph_curve(activation: str) -> np.ndarray | None:
    """Return the points ``(x, y)`` of an activation's curve, scaled to −1…1 both ways; ``None`` if unknown."""
    if activation == "step":
        return np.array([(-1.0, -1.0), (0.0, -1.0), (0.0, 1.0), (1.0, 1.0)])
    name = {"": "linear", "prelu": "leaky_relu"}.get(activation, activation)
    if name not in ACTIVATIONS or name in ("glu", "log_softmax", "softmax"):  # those mix units
        return None
    x = np.linspace(-1, 1, 41)
    y = ACTIVATIONS[name](_REACH.get(name, 2.5) * x)
    return np.column_stack([x, 2 * (y - y.min()) / (y.max() - y.min()) - 1])


def page_width() -> float:
    """Return the width of a page in inches of a drawing, which is less where text is larger."""
    return style.PAGE_WIDTH / style.points(1)


def text_width(words: str, size: float = SMALL, weight: str = "normal") -> float:
    """Return the width in inches of a line of text, ``size`` in points."""
    font = FontProperties(size=size, weight=weight)
    return text_to_path.get_text_width_height_descent(words, font, ismath=False)[0] / 72


def fitted(words: str, room: float, size: float = SMALL, weight: str = "normal") -> str:
    """Return the text, cut with an ellipsis where it is wider than ``room`` inches."""
    if text_width(words, size, weight) <= room:
        return words
    while len(words) > 1 and text_width(words + "…", size, weight) > room:
        words = words[:-1]
    return words.rstrip() + "…"


def widest(words: Sequence[str], size: float = SMALL) -> float:
    """Return the width in inches of the widest line, 0 without lines."""
    return max((text_width(line, size) for line in words), default=0.0)
