"""Where a classifier of points in the plane draws its boundaries: regions, probabilities, and straight lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelzoo._checks import check_integer, check_interval
from modelzoo.errors import InputError
from modelzoo.network import read_network
from modelzoo.viz import style
from modelzoo.viz.classification import class_probabilities
from modelzoo.viz.data import place_legend, scatter_classes
from modelzoo.viz.samples import Samples, points_of
from modelzoo.viz.weights import layer_weights

#: A rectangle in the plane, ``((x1 low, high), (x2 low, high))``.
Limits = tuple[tuple[float, float], tuple[float, float]]


def check_limits(limits: Any) -> Limits:
    """Return the limits of a rectangle, ``((x1 low, high), (x2 low, high))``, as floats."""
    if np.shape(limits) != (2, 2):
        raise InputError(f"limits must be ((x1 low, x1 high), (x2 low, x2 high)); got limits={limits!r:.80}.")
    return check_interval("limits", limits[0]), check_interval("limits", limits[1])


def limits_of(points: np.ndarray, margin: float = 0.08) -> Limits:
    """Return the rectangle around points, widened by a share on each side."""
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    pad = margin * np.where(high > low, high - low, 1)
    return check_limits(np.transpose([low - pad, high + pad]).tolist())


def plane_grid(limits: Any, resolution: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the coordinates of a grid, each ``(resolution, resolution)``, and its points, row by row."""
    x_limits, y_limits = check_limits(limits)
    side = check_integer("resolution", resolution, 2)
    x1, x2 = np.meshgrid(np.linspace(*x_limits, side), np.linspace(*y_limits, side))
    return x1, x2, np.column_stack([x1.ravel(), x2.ravel()])


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


def probability_grid(model: Any, limits: Any, *, resolution: int = 400) -> ProbabilityGrid:
    """Compute the probabilities of the classes on a grid.

    Parameters
    ----------
    model
        A Keras classifier of ``(batch, 2)`` points, or a function from such an array to probabilities: ``(n,)`` or
        ``(n, 1)`` of class 1 of two, or ``(n, num_classes)``.
    limits
        The rectangle, ``((x1 low, high), (x2 low, high))``.
    resolution
        Points along each side, at least 2.
    """
    x1, x2, points = plane_grid(limits, resolution)
    return ProbabilityGrid(x1, x2, class_probabilities(model, points).reshape(*x1.shape, -1))


def plot_regions(
    model: Any, data: Any, *, limits: Limits | None = None, resolution: int = 400, ax: Axes | None = None
) -> Axes:
    """Draw which class a model predicts where, with the data on top.

    Parameters
    ----------
    model
        A Keras classifier of ``(batch, 2)`` points, or a function as for :func:`probability_grid`.
    data
        A data set, whose test part is drawn, or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    resolution
        Points of the grid along each side.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the regions and one collection of points a class.
    """
    found, grid = _points_and_grid(model, data, limits, resolution)
    classes = len(found.class_names)
    ax = style.new_axes(ax)
    colors = style.class_colors(classes)
    regions = grid.probabilities.argmax(axis=2)
    ax.contourf(grid.x1, grid.x2, regions, levels=np.arange(classes + 1) - 0.5, colors=colors, alpha=0.28)
    scatter_classes(ax, found)
    place_legend(ax)
    ax.set(xlim=grid.x1[0, [0, -1]], ylim=grid.x2[[0, -1], 0], xlabel="$x_1$", ylabel="$x_2$")
    ax.locator_params(nbins=7)
    return ax


def plot_probability_maps(model: Any, data: Any, *, limits: Limits | None = None, resolution: int = 400) -> Figure:
    """Draw one map a class of its probability over the plane, with the points of that class on top.

    Parameters
    ----------
    model
        A Keras classifier of ``(batch, 2)`` points, or a function as for :func:`probability_grid`.
    data
        A data set, whose test part is drawn, or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    resolution
        Points of the grid along each side.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes a class, in rows of at most five, and one colour bar.
    """
    found, grid = _points_and_grid(model, data, limits, resolution)
    columns = min(len(found.class_names), 5)
    width = 1.25 * style.PAGE_WIDTH if columns > 2 else style.PAGE_WIDTH
    titles = [f"class {name}" for name in found.class_names]
    look: Any = {"size": style.roomy(width, width / columns + 0.1), "cmap": "viridis", "vmin": 0, "vmax": 1}
    figure, axes = draw_maps(*grid, titles, "probability of the class", columns=columns, **look)
    size = float(np.clip(8000 / len(found.x), 8, 30))
    for k, ax in enumerate(axes):
        own = found._replace(x=found.x[found.labels == k], y=found.labels[found.labels == k])
        scatter_classes(ax, own, size=size, edgecolors="white", linewidths=0.4)
    return figure


def _points_and_grid(model: Any, data: Any, limits: Any, resolution: int) -> tuple[Samples, ProbabilityGrid]:
    """Return labelled points and the grid around them, with as many names as the model has classes."""
    found = points_of(data, model=model)
    grid = probability_grid(model, limits_of(found.x) if limits is None else limits, resolution=resolution)
    return found.named(grid.probabilities.shape[2]), grid


def draw_maps(
    x1: np.ndarray,
    x2: np.ndarray,
    maps: np.ndarray,
    titles: Sequence[str],
    label: str,
    *,
    columns: int,
    size: tuple[float, float],
    **look: Any,
) -> tuple[Figure, list[Axes]]:
    """Draw maps of the plane in rows of a new figure, with one colour bar; return the figure and their axes.

    Parameters
    ----------
    x1, x2
        The grid, as :func:`plane_grid` returns it.
    maps
        Shape ``(resolution, resolution, maps)``.
    titles
        One a map.
    label
        Of the colour bar.
    columns
        Maps in a row.
    size
        Width of the figure and height of a row, in inches.
    look
        Colour map and scale, for ``imshow``.
    """
    count = maps.shape[2]
    rows = math.ceil(count / columns)
    figure, axes = style.new_grid(rows, columns, (size[0], rows * size[1]), sharex=True, sharey=True)
    (left, right), (bottom, top) = x1[0, [0, -1]], x2[[0, -1], 0]
    dx, dy = (right - left) / (len(x1) - 1) / 2, (top - bottom) / (len(x1) - 1) / 2  # half a pixel
    look |= {"extent": (left - dx, right + dx, bottom - dy, top + dy), "origin": "lower", "aspect": "auto"}
    for ax in axes.flat[count:]:
        ax.set_visible(False)
    for k, ax in enumerate(axes.flat[:count]):
        # An image, for scikit-learn's display would draw each point of the grid as a polygon.
        drawn = ax.imshow(maps[..., k], **look)
        ax.set(title=titles[k], xlim=(left, right), ylim=(bottom, top))
        if k + columns >= count:
            ax.set_xlabel("$x_1$")
            ax.xaxis.set_tick_params(labelbottom=True)
        if k % columns == 0:
            ax.set_ylabel("$x_2$")
    figure.colorbar(drawn, ax=axes, label=label, pad=0.01, fraction=0.05, aspect=15 * rows)
    return figure, list(axes.flat[:count])


# ------------------------------------------------------------------------------------------------- lines


class Lines(NamedTuple):
    """Straight lines w·x + b = 0 in the plane.

    Attributes
    ----------
    weights
        Shape ``(lines, 2)``; each row points to the positive side of its line.
    bias
        Shape ``(lines,)``.
    """

    weights: np.ndarray
    bias: np.ndarray


def unit_lines(model: Any, layer: str | None = None) -> Lines:
    """Return the line w·x + b = 0 of each unit of a layer that sees the points themselves.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points, or ``(weights, bias)``: weights ``(2, units)`` or ``(2,)``.
    layer
        Name of the layer; the first dense layer by default. Where it has no bias and three inputs, the third is the
        column of ones that absorbs the bias.
    """
    if isinstance(model, tuple):
        weights, bias = (np.asarray(part, float) for part in model)
        weights, bias = weights.reshape(len(weights), -1).T, np.atleast_1d(bias)
        if weights.shape != (len(bias), 2):
            raise InputError(
                f"(weights, bias) must have shapes (2, units) and (units,); got {weights.T.shape} and {bias.shape}."
            )
        return Lines(weights, bias)
    name, arrays = layer_weights(model, "Dense", layer)
    kernel = arrays[0].astype(float)
    if len(arrays) == 1 and len(kernel) == 3:
        return Lines(kernel[:2].T, kernel[2])
    if len(kernel) != 2:
        raise InputError(f"Layer {name!r} has {len(kernel)} inputs; units with a line in the plane have two inputs.")
    return Lines(kernel.T, arrays[1].astype(float) if len(arrays) == 2 else np.zeros(kernel.shape[1]))


def decision_lines(model: Any) -> Lines:
    """Return the line on which a perceptron without hidden layer changes its mind.

    Parameters
    ----------
    model
        A Keras model with one dense layer of one unit, or of two under a softmax, whose line is where both are
        equal; or ``(weights, bias)``.
    """
    lines, is_given = unit_lines(model), isinstance(model, tuple)
    if not is_given and len(lines.bias) == 2:
        lines = Lines(np.diff(lines.weights, axis=0), np.diff(lines.bias))
    dense = 1 if is_given else [layer.kind for layer in read_network(model).layers].count("Dense")
    if (dense, len(lines.bias)) != (1, 1):
        raise InputError(
            f"The boundary is one straight line for one dense layer, of one unit or of two under a softmax; got "
            f"{dense} with {len(lines.bias)} units. Use plot_regions, or plot_hidden_units for its units."
        )
    return lines


def segment_in_box(weights: Any, bias: float, limits: Limits) -> np.ndarray | None:
    """Return where the line w·x + b = 0 enters and leaves a rectangle, shape ``(2, 2)``; ``None`` if it misses it."""
    w = np.asarray(weights, float)
    if not w.any():
        return None
    foot, direction = -bias / (w @ w) * w, np.array([-w[1], w[0]]) / np.hypot(*w)
    with np.errstate(divide="ignore", invalid="ignore"):  # of a line along an axis
        places = np.sort((np.array(limits) - foot[:, None]) / direction[:, None])
    low, high = places[:, 0].max(), places[:, 1].min()
    return foot + np.outer([low, high], direction) if low < high else None


def plot_decision_line(
    model: Any, data: Any, *, limits: Limits | None = None, class_names: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw the line on which a perceptron changes its mind, computed from its weights; the arrow points to class 1.

    Parameters
    ----------
    model
        A Keras model with one dense layer of one unit or of two under a softmax, or ``(weights, bias)``.
    data
        A data set, whose test part is drawn, or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    class_names
        Names of the classes; those of the data set by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the points, and the line unless it misses the rectangle.
    """
    found = points_of(data, model=model, class_names=class_names)
    return _draw_lines(decision_lines(model), found, limits, ax)


def plot_hidden_units(
    model: Any, data: Any, *, limits: Limits | None = None, class_names: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw the line w·x + b = 0 of each hidden unit; the arrow points to the side where it is positive.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points, whose first dense layer is drawn, or ``(weights, bias)``: weights
        ``(2, units)``, bias ``(units,)``.
    data
        A data set, whose test part is drawn, or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    class_names
        One name a class; those of the model or the data set by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the points and one line a unit; those that miss the rectangle are named in the title.
    """
    lines = unit_lines(model)
    return _draw_lines(lines, points_of(data, model=model, class_names=class_names), limits, ax)


def _draw_lines(lines: Lines, found: Samples, limits: Any, ax: Axes | None) -> Axes:
    box = limits_of(found.x) if limits is None else check_limits(limits)
    ax = style.new_axes(ax)
    scatter_classes(ax, found, alpha=0.45)
    spans, ink = np.ptp(np.array(box), axis=1), style.foreground()
    mark = {"boxstyle": "circle,pad=0.2", "facecolor": style.background(), "edgecolor": ink}
    centred: Any = {"ha": "center", "va": "center", "fontsize": style.points(8), "fontweight": "bold", "zorder": 5}
    outside, marks = [], np.empty((0, 2))
    for number, (w, b) in enumerate(zip(*lines, strict=True), start=1):
        ends = segment_in_box(w, b, box)
        if ends is None:
            outside.append(str(number))
            continue
        ax.plot(*ends.T, color=ink, linewidth=1.3, label=f"_{number}")
        # The mark goes where the line is farthest from the marks of the others, near its middle if it is the first.
        places = ends[0] + np.linspace(0.12, 0.88, 33)[:, None] * (ends[1] - ends[0])
        gaps = np.linalg.norm((places[:, None] - marks) / spans, axis=2)
        place = places[gaps.min(axis=1).argmax()] if len(marks) else places[16]
        marks = np.vstack([marks, place])
        # An arrow at a right angle to the line as it is drawn, of the same length whatever the units of the axes.
        arrow = place + w * spans / np.hypot(*(w * spans)) * spans * 0.11
        ax.annotate("", arrow, place, arrowprops={"arrowstyle": "-|>", "color": ink, "linewidth": 1.3}, zorder=4)
        if len(lines.bias) > 1:
            ax.text(place[0], place[1], str(number), bbox=mark, **centred)
    style.open_frame(ax).set(xlim=box[0], ylim=box[1], xlabel="$x_1$", ylabel="$x_2$")
    ax.locator_params(nbins=7)
    if outside:
        names = ", ".join(outside) if len(lines.bias) > 1 else "boundary"
        ax.set_title(f"outside this view: {names}", fontsize=style.points(9))
    place_legend(ax)
    return ax
