"""Gradient descent on a curve."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patheffects import withStroke

from modelzoo.errors import DataError, InputError
from modelzoo.viz import style
from modelzoo.viz.inputs import check_interval, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def descent_cmap() -> LinearSegmentedColormap:
    """Return the colours of a descent, from its start to its end."""
    return LinearSegmentedColormap.from_list("descent", [style.START_COLOR, style.ORANGE, style.END_COLOR])


def plot_descent(
    function: Callable[[np.ndarray], Any],
    trace: Any,
    *,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the steps of a gradient descent on the graph of a function, from green to red.

    Parameters
    ----------
    function
        Maps an array of numbers to an array of the same shape.
    trace
        The points in the order in which they were visited, shape ``(steps + 1,)``; what
        ``modelzoo.reference.gradient_descent(..., trace=True)`` returns.
    limits
        The part of the x axis to draw; around the trace by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the graph and the points.

    Raises
    ------
    InputError
        ``function`` cannot be called, or ``limits`` are not two rising numbers.
    DataError
        ``trace`` is not a sequence of numbers, or ``function`` does not give one number a point.
    """
    if not callable(function):
        raise InputError(f"function must map an array to an array; received {type(function).__name__}.")
    points = numbers(trace, "trace").astype(float)
    if points.ndim != 1 or not points.size:
        raise DataError(f"trace has shape (steps + 1,), the points of a descent on a line; received {points.shape}.")
    if limits is None:
        width = float(np.ptp(points)) or 1.0
        limits = float(points.min() - 0.4 * width), float(points.max() + 0.3 * width)
    low, high = check_interval(limits)
    x = np.linspace(low, high, 600)
    heights, graph = (numbers(function(at), "function") for at in (points, x))
    if heights.shape != points.shape or graph.shape != x.shape:
        raise DataError(f"function returned shape {heights.shape} for {points.shape}. It must give one number a point.")
    ax = style.new_axes(ax)
    ax.plot(x, graph, color=style.muted(), linewidth=1.6, zorder=1)
    ax.plot(points, heights, color=style.foreground(), linewidth=0.6, alpha=0.5, zorder=2)
    colors = descent_cmap()(np.linspace(0, 1, len(points)))
    digits = 3 - int(np.floor(np.log10(np.ptp(x))))  # as many as tell points of this view apart
    ax.scatter(points, heights, color=colors, s=28, zorder=3, edgecolors=style.background(), linewidths=0.4)
    for i, color, name in ((0, style.START_COLOR, "start"), (-1, style.END_COLOR, "end")):
        ax.scatter(points[i], heights[i], color=color, s=70, zorder=4, edgecolors=style.background(), label=name)
        # The text goes to the side where the other points are not.
        left = points[i] <= points.mean()
        ax.annotate(
            f"{name}: x = {round(float(points[i]), digits) + 0.0:.3g}",
            (points[i], heights[i]),
            (-8 if left else 8, 6),
            textcoords="offset points",
            ha="right" if left else "left",
            color=color,
            path_effects=[withStroke(linewidth=3, foreground=style.background())],
            zorder=5,
        )
    ax.set(xlabel="$x$", ylabel="$f(x)$", xlim=(low, high), title=f"{len(points) - 1} steps of gradient descent")
    return style.open_frame(ax)
