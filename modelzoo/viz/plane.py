"""A rectangle of the plane: what a model answers on its grid, and one map for each of the answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.viz import style
from modelzoo.viz.inputs import MAX_RESOLUTION, check_count, check_limits
from modelzoo.viz.outputs import outputs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def evaluate_plane(model: Any, limits: Any, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evaluate a model of points on a grid, in one call.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points, or such a function of arrays.
    limits
        The rectangle, ``((x1 low, high), (x2 low, high))``.
    resolution
        Points along each side, at least 2.

    Returns
    -------
    x1, x2, outputs
        Coordinates of the grid's points, shape ``(resolution, resolution)``; ``x1`` grows along rows. The outputs have
        one row a point of the grid, row by row.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The model does not take points in the plane.
    """
    x_limits, y_limits = check_limits(limits)
    side = check_count(resolution, "resolution", 2, MAX_RESOLUTION)
    x1, x2 = np.meshgrid(np.linspace(*x_limits, side), np.linspace(*y_limits, side))
    return x1, x2, outputs_of(model, np.column_stack([x1.ravel(), x2.ravel()]))


def draw_maps(
    x1: np.ndarray,
    x2: np.ndarray,
    maps: np.ndarray,
    *,
    columns: int,
    size: tuple[float, float],
    cmap: Any,
    scale: tuple[float, float],
    titles: Sequence[str],
    label: str,
    add: Callable[[int, Axes], None],
) -> Figure:
    """Draw maps of the plane in rows, with one colour bar.

    Parameters
    ----------
    x1, x2
        The grid, as :func:`evaluate_plane` returns it.
    maps
        Shape ``(resolution, resolution, maps)``.
    columns
        Maps in a row.
    size
        Width of the figure and height of a row, in inches.
    cmap
        Colour map.
    scale
        Values at its two ends.
    titles
        One a map.
    label
        Of the colour bar.
    add
        Draws on top: called with the number of a map and its Axes.
    """
    count = maps.shape[2]
    rows = math.ceil(count / columns)
    figure, axes = style.new_grid(rows, columns, (size[0], rows * size[1]), sharex=True, sharey=True)
    (left, right), (bottom, top) = x1[0, [0, -1]], x2[[0, -1], 0]
    dx, dy = (right - left) / (len(x1) - 1) / 2, (top - bottom) / (len(x1) - 1) / 2  # half a pixel
    extent = (left - dx, right + dx, bottom - dy, top + dy)
    for k, ax in enumerate(axes.flat):
        if k >= count:
            ax.set_visible(False)
            continue
        # An image, for scikit-learn's display would draw each point of the grid as a polygon.
        drawn = ax.imshow(
            maps[..., k], cmap=cmap, vmin=scale[0], vmax=scale[1], origin="lower", aspect="auto", extent=extent
        )
        add(k, ax)
        ax.set(title=titles[k], xlim=(left, right), ylim=(bottom, top))
        if k + columns >= count:
            ax.set_xlabel("$x_1$")
            ax.xaxis.set_tick_params(labelbottom=True)
        if k % columns == 0:
            ax.set_ylabel("$x_2$")
    figure.colorbar(drawn, ax=axes, label=label, pad=0.01, fraction=0.05, aspect=15 * rows)
    return figure
