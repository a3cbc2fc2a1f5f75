"""Where a classifier of points in the plane draws its boundaries."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelzoo.errors import DataError
from modelzoo.viz import style
from modelzoo.viz.data import place_legend, scatter_classes
from modelzoo.viz.inputs import Limits, Samples, limits_of, points_of
from modelzoo.viz.outputs import probabilities_of
from modelzoo.viz.plane import draw_maps, evaluate_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class ProbabilityGrid(NamedTuple):
    """The probabilities of the classes over a rectangle of the plane.

    Attributes
    ----------
    x1, x2
        Coordinates of the grid's points, shape ``(resolution, resolution)``; ``x1`` grows along rows.
    probabilities
        Shape ``(resolution, resolution, num_classes)``, at least two classes.
    """

    x1: np.ndarray
    x2: np.ndarray
    probabilities: np.ndarray


def probability_grid(model: Any, limits: Any, *, resolution: int = 400, from_logits: bool = False) -> ProbabilityGrid:
    """Compute the probabilities of the classes on a grid, in one call of the model.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points with one output (class 1 of two) or one a class, or such a function.
    limits
        The rectangle, ``((x1 low, high), (x2 low, high))``.
    resolution
        Points along each side, at least 2.
    from_logits
        The outputs are logits, not probabilities.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The model does not take points in the plane, or its outputs are not probabilities.
    """
    x1, x2, outputs = evaluate_plane(model, limits, resolution)
    return ProbabilityGrid(x1, x2, probabilities_of(outputs, from_logits=from_logits).reshape(*x1.shape, -1))


def plot_regions(
    model: Any,
    data: Any,
    *,
    limits: Limits | None = None,
    resolution: int = 400,
    class_names: Sequence[str] = (),
    split: str = "test",
    from_logits: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw which class a model predicts where, with the data on top.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points with one output or one a class, or such a function of arrays.
    data
        A data set or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    resolution
        Points of the grid along each side.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    from_logits
        The outputs are logits, not probabilities.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the regions and one collection of points a class.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The model or the data are not for points in the plane.
    """
    found, grid = _points_and_grid(model, data, limits, resolution, class_names, split, from_logits)
    classes = grid.probabilities.shape[2]
    ax = style.new_axes(ax)
    _display(grid, grid.probabilities.argmax(axis=2)).plot(
        plot_method="contourf",
        ax=ax,
        cmap=style.class_cmap(classes),
        levels=np.arange(classes + 1) - 0.5,
        alpha=0.28,
        xlabel="$x_1$",
        ylabel="$x_2$",
    )
    scatter_classes(ax, found)
    place_legend(ax)
    ax.set(xlim=grid.x1[0, [0, -1]], ylim=grid.x2[[0, -1], 0])
    ax.locator_params(nbins=7)
    return ax


def plot_probability_maps(
    model: Any,
    data: Any,
    *,
    limits: Limits | None = None,
    resolution: int = 400,
    class_names: Sequence[str] = (),
    split: str = "test",
    from_logits: bool = False,
) -> Figure:
    """Draw one map a class of its probability over the plane, with the points of that class on top.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points with one output or one a class, or such a function of arrays.
    data
        A data set or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    resolution
        Points of the grid along each side.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    from_logits
        The outputs are logits, not probabilities.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes a class, in rows of at most five, and one colour bar.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The model or the data are not for points in the plane.
    """
    found, grid = _points_and_grid(model, data, limits, resolution, class_names, split, from_logits)
    classes = grid.probabilities.shape[2]
    columns = min(classes, 5)
    width = 1.25 * style.PAGE_WIDTH if columns > 2 else style.PAGE_WIDTH

    def add_points(k: int, ax: Axes) -> None:
        scatter_classes(
            ax,
            found._replace(x=found.x[found.labels == k], y=found.labels[found.labels == k]),
            size=float(np.clip(8000 / len(found.x), 8, 30)),
            edgecolors="white",
            linewidths=0.4,
        )

    return draw_maps(
        *grid,
        columns=columns,
        size=(width, width / columns + 0.1),
        cmap="viridis",
        scale=(0, 1),
        titles=[f"class {name}" for name in found.class_names],
        label="probability of the class",
        add=add_points,
    )


def _points_and_grid(
    model: Any, data: Any, limits: Any, resolution: int, class_names: Sequence[str], split: str, from_logits: bool
) -> tuple[Samples, ProbabilityGrid]:
    """Return labelled points and the grid around them, with as many names as the model has classes."""
    found = points_of(data, split=split, class_names=class_names)
    box = limits_of(found.x) if limits is None else limits
    grid = probability_grid(model, box, resolution=resolution, from_logits=from_logits)
    classes = grid.probabilities.shape[2]
    names = found.class_names
    if found.labels.max() >= classes or (len(names) > classes):
        raise DataError(f"The model tells {classes} classes apart, the data have {len(names)}. Give it its own data.")
    return found._replace(class_names=names + tuple(map(str, range(len(names), classes)))), grid


def _display(grid: ProbabilityGrid, response: np.ndarray) -> Any:
    """Return scikit-learn's display, set to leave colours to us."""
    from sklearn.inspection import DecisionBoundaryDisplay

    # From 1.9 on it asks for the number of classes; two mean one plain map, as in all versions before.
    wanted = inspect.signature(DecisionBoundaryDisplay).parameters
    extra = {"n_classes": 2} if "n_classes" in wanted else {}
    return DecisionBoundaryDisplay(xx0=grid.x1, xx1=grid.x2, response=response, **extra)


# ----------------------------------------------------------------------------------------------- lines
