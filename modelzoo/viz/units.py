"""What the hidden units of a network of points see: a map of the plane for each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelzoo.errors import InputError, unknown_name
from modelzoo.frameworks import keras
from modelzoo.viz import style
from modelzoo.viz.data import scatter_classes
from modelzoo.viz.inputs import Limits, check_count, check_limits, limits_of, points_of
from modelzoo.viz.lines import segment_in_box, unit_lines
from modelzoo.viz.outputs import check_keras_model, outputs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class UnitGrid(NamedTuple):
    """The activations of a layer's units over a rectangle of the plane.

    Attributes
    ----------
    x1, x2
        Coordinates of the grid's points, shape ``(resolution, resolution)``; ``x1`` grows along rows.
    activations
        Shape ``(resolution, resolution, units)``.
    """

    x1: np.ndarray
    x2: np.ndarray
    activations: np.ndarray


def unit_grid(model: Any, limits: Any, *, layer: str | None = None, resolution: int = 200) -> UnitGrid:
    """Compute the activations of a layer's units on a grid, in one call of the model.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points.
    limits
        The rectangle, ``((x1 low, high), (x2 low, high))``.
    layer
        Name of a layer with outputs ``(batch, units)``; the first dense layer by default.
    resolution
        Points along each side, at least 2.

    Raises
    ------
    InputError
        There is no such layer, or another argument is not usable.
    DataError
        The model does not take points in the plane.
    """
    x_limits, y_limits = check_limits(limits)
    side = check_count(resolution, "resolution", 2)
    tapped = _tapped(model, layer)
    x1, x2 = np.meshgrid(np.linspace(*x_limits, side), np.linspace(*y_limits, side))
    values = outputs_of(tapped, np.column_stack([x1.ravel(), x2.ravel()]))
    return UnitGrid(x1, x2, values.reshape(side, side, -1))


def _tapped(model: Any, layer: str | None) -> Any:
    """Return the model that ends at a layer."""
    check_keras_model(model)
    by_name = {candidate.name: candidate for candidate in model.layers}
    if layer is None:
        layer = next((name for name, each in by_name.items() if type(each).__name__ == "Dense"), None)
    if layer not in by_name:
        raise unknown_name("layer", layer, by_name)
    try:
        output = by_name[layer].output
        tapped = keras.Model(model.inputs, output)
    except (AttributeError, ValueError) as error:
        raise InputError(f"Layer {layer!r} of {model.name!r} cannot be tapped: {error}") from error
    if len(output.shape) != 2:
        raise InputError(f"Layer {layer!r} has outputs of shape {tuple(output.shape)}. Units have (batch, units).")
    return tapped


def plot_unit_maps(
    model: Any,
    data: Any,
    *,
    layer: str | None = None,
    limits: Limits | None = None,
    resolution: int = 200,
    columns: int = 4,
    class_names: Sequence[str] = (),
    split: str = "test",
) -> Figure:
    """Draw one map a unit of its activation over the plane, with the data and, in the first layer, w·x + b = 0.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points.
    data
        A data set or ``(points, labels)``.
    layer
        Name of a layer with outputs ``(batch, units)``; the first dense layer by default.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    resolution
        Points of the grid along each side.
    columns
        Maps in a row.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes a unit, in rows of ``columns``, and one colour bar.

    Raises
    ------
    InputError
        There is no such layer, or another argument is not usable.
    DataError
        The model or the data are not for points in the plane.
    """
    found = points_of(data, split=split, class_names=class_names)
    box = check_limits(limits or limits_of(found.x))
    grid = unit_grid(model, box, layer=layer, resolution=resolution)
    units = grid.activations.shape[2]
    columns = min(check_count(columns, "columns"), units)
    rows = math.ceil(units / columns)
    low, high = float(grid.activations.min()), float(grid.activations.max())
    signed = low < 0
    low, high = (-max(-low, high), max(-low, high)) if signed else (0.0, max(high, 1.0))
    cmap: Any = style.signed_cmap() if signed else "viridis"
    lines = _lines(model, layer)
    width = 1.25 * style.PAGE_WIDTH * (columns + 0.4) / max(columns + 0.4, 4.4)
    figure, axes = style.new_grid(
        rows, columns, (width, rows * (width / (columns + 0.4) + 0.15)), sharex=True, sharey=True
    )
    pixel = [(end - start) / (resolution - 1) / 2 for start, end in box]
    extent = (box[0][0] - pixel[0], box[0][1] + pixel[0], box[1][0] - pixel[1], box[1][1] + pixel[1])
    for k, ax in enumerate(axes.flat):
        if k >= units:
            ax.set_visible(False)
            continue
        drawn = ax.imshow(
            grid.activations[..., k], cmap=cmap, vmin=low, vmax=high, origin="lower", aspect="auto", extent=extent
        )
        scatter_classes(
            ax, found, size=float(np.clip(3000 / len(found.x), 4, 30)), edgecolors="white", linewidths=0.25, alpha=0.6
        )
        ends = None if lines is None else segment_in_box(lines.weights[k], lines.bias[k], box)
        if ends is not None:
            ax.plot(*ends.T, color="white", linewidth=3)
            ax.plot(*ends.T, color="black", linewidth=1.3)
        ax.set(title=f"unit {k + 1}", xlim=box[0], ylim=box[1])
        ax.locator_params(nbins=4)
        if k + columns >= units:
            ax.set_xlabel("$x_1$")
            ax.xaxis.set_tick_params(labelbottom=True)
        if k % columns == 0:
            ax.set_ylabel("$x_2$")
    figure.colorbar(drawn, ax=axes, label="activation of the unit", pad=0.01, fraction=0.05, aspect=15 * rows)
    return figure


def _lines(model: Any, layer: str | None) -> Any:
    """Return the lines of units that see the points themselves; ``None`` for units deeper in the network."""
    try:
        return unit_lines(model, layer)
    except InputError:
        return None
