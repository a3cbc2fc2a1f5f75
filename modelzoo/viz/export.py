"""Writing figures to files that are the same, byte for byte, in every run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

from modelzoo._checks import check_path
from modelzoo._io import atomic_file
from modelzoo.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib writes the time into SVG and PDF files; None leaves it out.
_METADATA: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}, ".png": {}}


#: What Matplotlib's renderer takes along a side, and what 1 GiB of memory holds.
_MAX_SIDE, _MAX_PIXELS = 2**16, 2**28


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
    InputError
        ``figure`` is neither figure nor axes, or the suffix is not one of the three.
    TargetExistsError
        The file exists and ``overwrite`` is false.
    TargetError
        The file cannot be written.
    """
    found: Any = figure.figure if isinstance(figure, mpl.axes.Axes) else figure
    if isinstance(found, mpl.figure.SubFigure):
        found = found.figure  # the whole figure it is a part of
    if not isinstance(found, mpl.figure.Figure):
        raise InputError(f"figure must be a Matplotlib Figure or Axes; received {type(figure).__name__}.")
    path = check_path(path, "the figure to write")
    suffix = path.suffix.lower()
    if suffix not in _METADATA:
        raise InputError(f"A figure is written as .svg, .pdf or .png; received {str(path)!r}. Choose one of these.")
    width, height = found.get_size_inches().tolist()
    is_number = isinstance(dpi, int | float | np.integer | np.floating) and not isinstance(dpi, bool)
    fits = is_number and 0 < dpi <= (_MAX_PIXELS / width / height) ** 0.5
    if not fits or (suffix == ".png" and not 1 <= max(width, height) * dpi < _MAX_SIDE):
        raise InputError(
            f"dpi={dpi!r:.80} is not usable. Give a number that makes at most {_MAX_PIXELS} pixels of "
            f"{width:g} × {height:g} inches, 1 to {_MAX_SIDE} a side in a PNG."
        )
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "modelzoo", "pdf.fonttype": 42}
    with atomic_file(path, overwrite=overwrite) as temporary, mpl.rc_context(settings):
        found.savefig(
            temporary, format=suffix[1:], dpi=float(dpi), facecolor=found.get_facecolor(), metadata=_METADATA[suffix]
        )
    return path
