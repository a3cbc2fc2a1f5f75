"""The sheet a diagram is drawn on, measured in inches, and the little curves of the activations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.textpath import text_to_path

from modelzoo.viz import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Sizes of text in points, for a figure as wide as a page.
TITLE, LABEL, SMALL = 11.0, 9.0, 8.0

#: What is drawn over what.
FACE, EDGE, NODE, GLYPH = 1, 2, 3, 4


class Canvas:
    """Axes whose data coordinates are inches of the drawing; in smaller axes the whole drawing shrinks, text too.

    Parameters
    ----------
    ax
        Where to draw; a new figure of just the drawing's size by default.
    width, height
        Size of the drawing in inches.
    """

    def __init__(self, ax: Axes | None, width: float, height: float) -> None:
        self.ax = style.new_axes(ax, (width, height))
        self.width, self.height, self.scale = width, height, 1.0
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

    def text(self, x: float, y: float, words: str, size: float = SMALL, **options: Any) -> None:
        """Write one line; ``ha`` is ``"center"`` and ``va`` ``"center"`` unless given."""
        options = {"ha": "center", "va": "center", "zorder": 6, "parse_math": False, **options}
        self.ax.text(x, y, words, fontsize=size * self.scale, **options)

    def lines(self, segments: Any, colors: Any, widths: Any = 1.0, **options: Any) -> None:
        """Draw straight lines, each ``((x, y), (x, y))``."""
        options = {"zorder": EDGE, "capstyle": "round", **options}
        widths = np.asarray(widths) * self.scale
        self.ax.add_collection(LineCollection(segments, colors=colors, linewidths=widths, **options), autolim=False)

    def circle(self, x: float, y: float, radius: float, *, face: str, edge: str, width: float = 1.0, **options: Any):
        """Draw a disc with an outline."""
        options = {"zorder": NODE, **options}
        self.ax.add_patch(
            Circle((x, y), radius, facecolor=face, edgecolor=edge, linewidth=width * self.scale, **options)
        )

    def polygon(self, corners: Any, *, face: str, edge: str = "none", width: float = 0.8, **options: Any) -> None:
        """Draw a filled polygon."""
        options = {"zorder": FACE, "joinstyle": "miter", **options}
        self.ax.add_patch(Polygon(corners, facecolor=face, edgecolor=edge, linewidth=width * self.scale, **options))

    def box(self, x: float, y: float, width: float, height: float, *, face: str, edge: str = "none", **options: Any):
        """Draw a filled rectangle from its lower left corner."""
        corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
        self.polygon(corners, face=face, edge=edge, **options)

    def rounded_box(self, x: float, y: float, width: float, height: float, *, face: str, edge: str, line: float = 1.0):
        """Draw a filled rectangle with round corners from its lower left corner."""
        shape = f"round,pad=0,rounding_size={min(width, height) * 0.35}"
        box = FancyBboxPatch(
            (x, y), width, height, boxstyle=shape, facecolor=face, edgecolor=edge, linewidth=line * self.scale
        )
        box.set_zorder(NODE)
        self.ax.add_patch(box)

    def image_icon(self, x: float, y: float, width: float, height: float) -> None:
        """Draw an image as a sheet of pixels, centred at ``(x, y)``."""
        left, bottom = x - width / 2, y - height / 2
        faint, edge = style.mix(style.background(), style.foreground(), 0.06), style.muted()
        self.box(left, bottom, width, height, face=faint, edge=edge, zorder=NODE)
        cells = 7
        rows = [
            ((left, bottom + height * i / cells), (left + width, bottom + height * i / cells)) for i in range(cells)
        ]
        columns = [
            ((left + width * i / cells, bottom), (left + width * i / cells, bottom + height)) for i in range(cells)
        ]
        faint = style.mix(style.background(), style.foreground(), 0.22)
        self.lines(rows[1:] + columns[1:], faint, 0.5, zorder=NODE, capstyle="butt")

    def glyph(self, activation: str, x: float, y: float, size: float, color: str, width: float = 1.2) -> None:
        """Draw the curve of an activation in a square of side ``size`` around ``(x, y)``; an unknown one has none."""
        if activation == "softmax":
            heights, bar = np.array([0.35, 1.0, 0.55]), size * 0.22
            for i, height in enumerate(heights * size):
                left = x + (i - 1) * bar * 1.45 - bar / 2
                self.box(left, y - size / 2, bar, height, face=color, zorder=GLYPH)
            return
        curve = glyph_curve(activation)
        if curve is None:
            return
        points = np.array([x, y]) + size / 2 * curve
        self.ax.add_line(_line(points, color, width * self.scale))


def quiet() -> str:
    """Return the colour of what is read second: fainter than text, with a contrast of 4.5 to 1 still."""
    return style.mix(style.foreground(), style.background(), 0.36)


def _line(points: np.ndarray, color: str, width: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(points[:, 0], points[:, 1], color=color, linewidth=width, zorder=GLYPH, solid_capstyle="round")


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


#: Each activation and how far left and right of 0 its curve is drawn.
_CURVES: Mapping[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "": (lambda z: z, 1.0),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), 2.5),
    "exponential": (np.exp, 2.0),
    "gelu": (lambda z: z * _sigmoid(1.702 * z), 2.5),
    "hard_sigmoid": (lambda z: np.clip(z / 6 + 0.5, 0, 1), 5.0),
    "leaky_relu": (lambda z: np.where(z > 0, z, 0.2 * z), 1.0),
    "prelu": (lambda z: np.where(z > 0, z, 0.2 * z), 1.0),
    "relu": (lambda z: np.maximum(z, 0), 1.0),
    "relu6": (lambda z: np.clip(z, 0, 6), 9.0),
    "selu": (lambda z: np.where(z > 0, z, 1.67 * np.expm1(z)), 2.5),
    "sigmoid": (_sigmoid, 5.0),
    "silu": (lambda z: z * _sigmoid(z), 4.0),
    "softplus": (lambda z: np.log1p(np.exp(z)), 4.0),
    "softsign": (lambda z: z / (1 + np.abs(z)), 5.0),
    "swish": (lambda z: z * _sigmoid(z), 4.0),
    "tanh": (np.tanh, 2.6),
}


def glyph_curve(activation: str) -> np.ndarray | None:
    """Return the points ``(x, y)`` of an activation's curve, scaled to −1…1 both ways; ``None`` if unknown."""
    if activation == "step":
        return np.array([(-1.0, -1.0), (0.0, -1.0), (0.0, 1.0), (1.0, 1.0)])
    if activation not in _CURVES:
        return None
    function, reach = _CURVES[activation]
    x = np.linspace(-1, 1, 41)
    y = function(reach * x)
    return np.column_stack([x, 2 * (y - y.min()) / (y.max() - y.min()) - 1])


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


def widest(words: Sequence[str], size: float = SMALL, weight: str = "normal") -> float:
    """Return the width in inches of the widest line, 0 if there is none."""
    return max((text_width(line, size, weight) for line in words), default=0.0)


def draw_heading(canvas: Canvas, name: str, num_params: int) -> None:
    """Write the model's name and the number of its parameters along the upper edge."""
    y = canvas.height - 0.2
    count = f"{num_params:,} parameter" + ("" if num_params == 1 else "s")
    room = canvas.width - text_width(count, LABEL) - 0.5
    title = fitted(name, room, TITLE, "bold")
    canvas.text(0.12, y, title, TITLE, ha="left", weight="bold")
    canvas.text(canvas.width - 0.12, y, count, LABEL, ha="right", color=quiet())
