"""The straight lines of the units that see points in the plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelzoo.errors import InputError, unknown_name
from modelzoo.viz import style
from modelzoo.viz.data import place_legend, scatter_classes
from modelzoo.viz.inputs import Limits, check_limits, limits_of, points_of
from modelzoo.viz.outputs import check_keras_model, is_keras_model

if TYPE_CHECKING:
    from matplotlib.axes import Axes


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

    Raises
    ------
    InputError
        There is no such layer, or it does not see points in the plane.
    """
    if not is_keras_model(model):
        return _given_lines(model)
    dense = [candidate for candidate in model.layers if type(candidate).__name__ == "Dense"]
    if layer is not None:
        dense = [candidate for candidate in dense if candidate.name == layer]
    if not dense:
        names = [candidate.name for candidate in model.layers if type(candidate).__name__ == "Dense"]
        raise unknown_name("dense layer", layer, names)
    check_keras_model(model)
    arrays = dense[0].get_weights()
    kernel = arrays[0].astype(float)
    if len(arrays) == 1 and kernel.shape[0] == 3:
        return Lines(kernel[:2].T, kernel[2])
    if kernel.shape[0] != 2:
        raise InputError(
            f"Layer {dense[0].name!r} has {kernel.shape[0]} inputs. Lines in the plane belong to units with two inputs."
        )
    return Lines(kernel.T, arrays[1].astype(float) if len(arrays) == 2 else np.zeros(kernel.shape[1]))


def _given_lines(pair: Any) -> Lines:
    try:
        weights, bias = (np.asarray(part, float) for part in pair)
    except (TypeError, ValueError):
        raise InputError(
            f"model must be a Keras model or (weights, bias) of lines in the plane; received {type(pair).__name__}."
        ) from None
    weights = weights.reshape(2, -1).T if weights.size and weights.shape[0] == 2 else np.empty((0, 2))
    bias = np.atleast_1d(bias)
    if bias.shape != (len(weights),) or not len(weights) or not np.isfinite([*weights.flat, *bias]).all():
        raise InputError("(weights, bias) must be finite numbers, weights (2,) or (2, units), bias one a unit.")
    return Lines(weights, bias)


def decision_lines(model: Any) -> Lines:
    """Return the line on which a perceptron without hidden layer changes its mind.

    Parameters
    ----------
    model
        A Keras model with one dense layer of one unit, or of two under a softmax, whose line is where both are
        equal; or ``(weights, bias)``.

    Raises
    ------
    InputError
        The model has more layers or more classes.
    """
    lines = unit_lines(model)
    if is_keras_model(model):
        dense = [layer.name for layer in model.layers if type(layer).__name__ == "Dense"]
        if len(dense) > 1 or len(lines.bias) > 2:
            raise InputError(
                f"The boundary of {model.name!r} is not one straight line: it has {len(dense)} dense layers, the first "
                f"with {len(lines.bias)} units. Use plot_regions, or plot_hidden_units for its units."
            )
        if len(lines.bias) == 2:
            return Lines(np.diff(lines.weights, axis=0), np.diff(lines.bias))
    elif len(lines.bias) != 1:
        raise InputError(f"Expected one line; received {len(lines.bias)}. Use plot_hidden_units for several.")
    return lines


def segment_in_box(weights: Any, bias: float, limits: Limits) -> np.ndarray | None:
    """Return where the line w·x + b = 0 enters and leaves a rectangle, shape ``(2, 2)``; ``None`` if it misses it."""
    w = np.asarray(weights, float)
    if not w.any():
        return None
    corners = np.array(limits)
    foot = -bias / (w @ w) * w
    direction = np.array([-w[1], w[0]]) / np.hypot(*w)
    low, high = -np.inf, np.inf
    for axis in range(2):
        if direction[axis] == 0:
            if not corners[axis, 0] <= foot[axis] <= corners[axis, 1]:
                return None
            continue
        ends = np.sort((corners[axis] - foot[axis]) / direction[axis])
        low, high = max(low, ends[0]), min(high, ends[1])
    return None if low >= high else foot + np.outer([low, high], direction)


def plot_decision_line(
    model: Any,
    data: Any,
    *,
    limits: Limits | None = None,
    class_names: Sequence[str] = (),
    split: str = "test",
    ax: Axes | None = None,
) -> Axes:
    """Draw the line on which a perceptron changes its mind, computed from its weights; the arrow points to class 1.

    Parameters
    ----------
    model
        A Keras model with one dense layer of one unit or of two under a softmax, or ``(weights, bias)``.
    data
        A data set or ``(points, labels)``.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the points, and the line unless it misses the rectangle.

    Raises
    ------
    InputError
        The model's boundary is not one straight line, or another argument is not usable.
    DataError
        The data are not labelled points in the plane.
    """
    return _draw_lines(decision_lines(model), ["boundary"], data, limits, class_names, split, ax)


def plot_hidden_units(
    model: Any,
    data: Any,
    *,
    layer: str | None = None,
    limits: Limits | None = None,
    class_names: Sequence[str] = (),
    split: str = "test",
    ax: Axes | None = None,
) -> Axes:
    """Draw the line w·x + b = 0 of each hidden unit; the arrow points to the side where it is positive.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points, or ``(weights, bias)``: weights ``(2, units)``, bias ``(units,)``.
    data
        A data set or ``(points, labels)``.
    layer
        Name of the layer; the first dense layer by default.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the points and one line a unit; those that miss the rectangle are named in the title.

    Raises
    ------
    InputError
        There is no such layer, it does not see points in the plane, or another argument is not usable.
    DataError
        The data are not labelled points in the plane.
    """
    lines = unit_lines(model, layer)
    names = [str(i) for i in range(1, len(lines.bias) + 1)]
    return _draw_lines(lines, names, data, limits, class_names, split, ax)


def _draw_lines(
    lines: Lines, names: Sequence[str], data: Any, limits: Any, class_names: Sequence[str], split: str, ax: Axes | None
) -> Axes:
    found = points_of(data, split=split, class_names=class_names)
    box = check_limits(limits_of(found.x) if limits is None else limits)
    ax = style.new_axes(ax)
    scatter_classes(ax, found, alpha=0.45)
    spans = np.ptp(np.array(box), axis=1)
    outside, labels = [], np.empty((0, 2))
    for w, b, name in zip(lines.weights, lines.bias, names, strict=True):
        ends = segment_in_box(w, b, box)
        if ends is None:
            outside.append(name)
            continue
        ax.plot(*ends.T, color=style.foreground(), linewidth=1.3, label="_" + name)
        # The mark goes where the line is farthest from the marks of the others, near its middle if there are none.
        places = ends[0] + np.linspace(0.12, 0.88, 33)[:, None] * (ends[1] - ends[0])
        gaps = np.linalg.norm((places[:, None] - labels) / spans, axis=2)
        place = places[gaps.min(axis=1).argmax()] if len(labels) else places[16]
        labels = np.vstack([labels, place])
        # An arrow at a right angle to the line as it is drawn, of the same length whatever the units of the axes.
        arrow = place + w * spans / np.hypot(*(w * spans)) * spans * 0.11
        ax.annotate(
            "", arrow, place, arrowprops={"arrowstyle": "-|>", "color": style.foreground(), "linewidth": 1.3}, zorder=4
        )
        if len(names) > 1:
            mark = {"boxstyle": "circle,pad=0.2", "facecolor": style.background(), "edgecolor": style.foreground()}
            ax.text(
                place[0], place[1], name, ha="center", va="center", fontsize=8, fontweight="bold", bbox=mark, zorder=5
            )
    style.open_frame(ax).set(xlim=box[0], ylim=box[1], xlabel="$x_1$", ylabel="$x_2$")
    ax.locator_params(nbins=7)
    if outside:
        ax.set_title("outside this view: " + ", ".join(outside), fontsize=9)
    place_legend(ax)
    return ax
