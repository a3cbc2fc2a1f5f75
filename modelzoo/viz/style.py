"""What all figures share: the palette, the light and dark theme, where a figure is drawn, and how it is written.

Figures follow Matplotlib's ``rcParams``, so a style of the user's own stays in force; ``theme`` sets ours for a while.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

from modelzoo._checks import check_choice, check_number, check_path
from modelzoo._io import atomic_file
from modelzoo.errors import InputError

#: Okabe and Ito's palette (Color Universal Design, 2008), which colour-blind readers tell apart.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW, GREY = "#E69F00", "#56B4E9", "#F0E442", "#808080"

#: Colours of training and test data.
TRAIN_COLOR, TEST_COLOR = BLUE, VERMILLION
#: Colours of positive and negative weights.
POSITIVE_COLOR, NEGATIVE_COLOR = BLUE, VERMILLION
#: Where a gradient descent starts and where it ends.
START_COLOR, END_COLOR = GREEN, "#E02424"

_FEW = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
# Petroff's ten colours (arXiv:2107.02270), made for colour-blind readers: the longest such list there is.
_TEN = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadb")
#: One marker a class, so that colour is never the only difference.
MARKERS = "os^DvPX<>p"

_THEMES = {"light": ("#FFFFFF", "#1A1A1A", "#D5D5D5"), "dark": ("#14181E", "#E6E6E6", "#3A424D")}

#: Width in inches of a figure that fills a page of documentation; at Matplotlib's 100 dpi it has 760 pixels.
PAGE_WIDTH = 7.6


def class_colors(num_classes: int) -> list[str]:
    """Return one colour a class, as hexadecimal RGB.

    Parameters
    ----------
    num_classes
        Number of classes, at least 1. Up to six get Okabe and Ito's colours, up to ten Petroff's; more get shades
        of a continuous map, which no reader tells apart with certainty.
    """
    if num_classes <= len(_FEW):
        return list(_FEW[:num_classes])
    if num_classes <= len(_TEN):
        return list(_TEN[:num_classes])
    return [mpl.colors.to_hex(color) for color in mpl.colormaps["turbo"](np.linspace(0.03, 0.97, num_classes))]


def theme_rc(name: str = "light", *, scale: float = 1.0) -> dict[str, Any]:
    """Return the ``rcParams`` of a theme, ``"light"`` or ``"dark"``; ``scale`` is as for :func:`theme`."""
    scale = check_number("scale", scale, 0, exclusive=True)
    ground, ink, faint = _THEMES[check_choice("theme", name, _THEMES)]
    colors = {
        ground: ("figure.facecolor", "axes.facecolor", "legend.facecolor"),
        ink: ("text.color", "axes.labelcolor", "axes.edgecolor", "axes.titlecolor", "xtick.color", "ytick.color"),
        faint: ("grid.color", "legend.edgecolor"),
    }
    sizes: dict[str, float] = {"font.size": 10, "axes.titlesize": 11, "axes.labelsize": 10, "legend.fontsize": 9}
    sizes |= {"lines.linewidth": 1.5, "lines.markersize": 6}
    return (
        {key: color for color, keys in colors.items() for key in keys}
        | {key: size * scale for key, size in sizes.items()}
        | {"axes.prop_cycle": cycler(color=_FEW)}
    )


def theme(name: str = "light", *, scale: float = 1.0) -> AbstractContextManager[None]:
    """Draw the figures of a ``with`` block in a theme.

    Parameters
    ----------
    name
        ``"light"`` or ``"dark"``.
    scale
        Text of so many times the usual 10 points, and lines as much thicker: 1.8 is for a beamer.
    """
    rc: Any = theme_rc(name, scale=scale)
    return mpl.rc_context(rc)


def points(size: float) -> float:
    """Return a size of text that is ``size`` points where ``rcParams["font.size"]`` is 10."""
    return size * mpl.rcParams["font.size"] / 10


def roomy(width: float, height: float) -> tuple[float, float]:
    """Return a size in inches for a figure full of text, which grows with the text so that nothing overlaps."""
    return points(width), points(height)


def background() -> str:
    """Return the colour that figures are drawn on."""
    color = mpl.rcParams["axes.facecolor"]
    return mpl.colors.to_hex(color) if color != "none" else "#FFFFFF"


def foreground() -> str:
    """Return the colour of text and outlines."""
    return mpl.colors.to_hex(mpl.rcParams["text.color"])


def muted() -> str:
    """Return the colour of what stays in the background: grids, frames, idle marks."""
    return mix(foreground(), background(), 0.6)


def quiet() -> str:
    """Return the colour of what is read second: fainter than text, with a contrast of 4.5 to 1 still."""
    return mix(foreground(), background(), 0.36)


def is_dark() -> bool:
    """Return whether figures are drawn on a dark ground."""
    return float(np.dot(to_rgb(background()), (0.2126, 0.7152, 0.0722))) < 0.5


def mix(color: str, other: str, share: float) -> str:
    """Return ``color`` blended with ``other``, of which 0 ≤ ``share`` ≤ 1 is taken."""
    r, g, b = (1 - share) * np.array(to_rgb(color)) + share * np.array(to_rgb(other))
    return mpl.colors.to_hex((r, g, b))


def outline(color: str) -> str:
    """Return the colour of the outline of what is filled with ``color``."""
    return mix(color, "#FFFFFF", 0.25) if is_dark() else mix(color, "#000000", 0.15)


def ink_cmap() -> str:
    """Return the map for images of ink: dark on a light ground, light on a dark one."""
    return "gray" if is_dark() else "gray_r"


def signed_cmap() -> LinearSegmentedColormap:
    """Return the map of signed values: negative, zero in the colour of the ground, positive."""
    far = "#FFFFFF" if is_dark() else "#000000"
    ends = mix(NEGATIVE_COLOR, far, 0.35), mix(POSITIVE_COLOR, far, 0.35)
    return LinearSegmentedColormap.from_list("signed", [ends[0], NEGATIVE_COLOR, background(), POSITIVE_COLOR, ends[1]])


def fading_cmap(color: str) -> LinearSegmentedColormap:
    """Return a map from the colour of the ground to ``color``."""
    return LinearSegmentedColormap.from_list("fading", [background(), color])


def new_axes(ax: Axes | None, size: tuple[float, float] = (5.2, 3.9), **options: Any) -> Axes:
    """Return ``ax``, or the axes of a new figure of ``size`` inches; ``options`` go to ``plt.subplots``."""
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained", **options)[1]
    if not isinstance(ax, mpl.axes.Axes):
        raise InputError(f"ax must be Matplotlib Axes or None; got {type(ax).__name__}.")
    return ax


def new_grid(rows: int, columns: int, size: tuple[float, float], **options: Any) -> tuple[Figure, np.ndarray]:
    """Return a new figure of ``size`` inches and its axes, shape ``(rows, columns)``."""
    return plt.subplots(rows, columns, figsize=size, squeeze=False, **{"layout": "constrained", **options})


def percent(share: float) -> str:
    """Return a share as per cent with one digit, never rounded to 0 or 100 where it is neither."""
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return ">99.9%"
    return f"{share:.1%}"


def bare(ax: Axes) -> Axes:
    """Take ticks and frame from ``ax``, for images."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return ax


def open_frame(ax: Axes) -> Axes:
    """Leave only the left and the lower line of the frame."""
    ax.spines[["top", "right"]].set_visible(False)
    return ax


# Matplotlib writes the time into SVG and PDF files; None leaves it out.
_METADATA: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}


def save_figure(
    figure: Figure | Axes, path: str | os.PathLike[str], *, dpi: float = 200, overwrite: bool = False
) -> Path:
    """Write a figure as SVG, PDF or PNG, in the colours it was drawn in.

    The same figure gives the same bytes in every run of the same version of Matplotlib. Text in SVG stays text: it
    can be selected and searched, and the reader's browser brings the font.

    Parameters
    ----------
    figure
        The figure, or the axes that a function of :mod:`modelzoo.viz` returned.
    path
        Where to; the suffix ``.svg``, ``.pdf`` or ``.png`` says in which format.
    dpi
        Pixels an inch, of a PNG and of images inside the other two.
    overwrite
        Replace the file if it exists.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    TargetExistsError
        The file exists and ``overwrite`` is false.
    TargetError
        The file cannot be written.
    """
    found: Any = figure
    while isinstance(found, mpl.axes.Axes | mpl.figure.SubFigure):  # the whole figure that these are a part of
        found = found.figure
    if not isinstance(found, mpl.figure.Figure):
        raise InputError(f"figure must be a Matplotlib Figure or Axes; got {type(figure).__name__}.")
    path = check_path(path, "the figure to write")
    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        raise InputError(f"A figure is written as .svg, .pdf or .png; got {str(path)!r}. Choose one of these.")
    check_number("dpi", dpi, 0, exclusive=True)
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "modelzoo", "pdf.fonttype": 42}
    options: Any = {"format": suffix[1:], "dpi": dpi, "facecolor": found.get_facecolor(), "metadata": _METADATA[suffix]}
    with atomic_file(path, overwrite=overwrite) as temporary, mpl.rc_context(settings):
        found.savefig(temporary, **options)
    return path
