"""What the hidden units of a network of points see: a map of the plane for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from modelzoo.errors import InputError
from modelzoo.viz import style
from modelzoo.viz.data import scatter_classes
from modelzoo.viz.inputs import Limits, check_count, check_limits, limits_of, points_of
from modelzoo.viz.lines import segment_in_box, unit_lines
from modelzoo.viz.outputs import check_keras_model, tapped
from modelzoo.viz.plane import draw_maps, evaluate_plane

if TYPE_CHECKING:
    from matplotlib.axes import Axes
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
    x1, x2, activations = evaluate_plane(_units(model, layer), limits, resolution)
    return UnitGrid(x1, x2, activations.reshape(*x1.shape, -1))


def _units(model: Any, layer: str | None) -> Any:
    """Return the model that ends at a layer of units, by default the first dense one."""
    check_keras_model(model)
    if layer is None:
        layer = next((each.name for each in model.layers if type(each).__name__ == "Dense"), None)
    units = tapped(model, layer)
    shape = units.outputs[0].shape
    if len(shape) != 2:
        raise InputError(f"Layer {layer!r} has outputs of shape {tuple(shape)}. Units have (batch, units).")
    return units


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
    box = check_limits(limits_of(found.x) if limits is None else limits)
    grid = unit_grid(model, box, layer=layer, resolution=resolution)
    units = grid.activations.shape[2]
    columns = min(check_count(columns, "columns"), units)
    low, high = float(grid.activations.min()), float(grid.activations.max())
    signed = low < 0
    lines = _lines(model, layer)
    width = 1.25 * style.PAGE_WIDTH * (columns + 0.4) / max(columns + 0.4, 4.4)

    def add_points_and_line(k: int, ax: Axes) -> None:
        scatter_classes(
            ax, found, size=float(np.clip(3000 / len(found.x), 4, 30)), edgecolors="white", linewidths=0.25, alpha=0.6
        )
        ends = None if lines is None else segment_in_box(lines.weights[k], lines.bias[k], box)
        if ends is not None:
            ax.plot(*ends.T, color="white", linewidth=3)
            ax.plot(*ends.T, color="black", linewidth=1.3)
        ax.locator_params(nbins=4)

    return draw_maps(
        *grid,
        columns=columns,
        size=(width, width / (columns + 0.4) + 0.15),
        cmap=style.signed_cmap() if signed else "viridis",
        scale=(-max(-low, high), max(-low, high)) if signed else (0.0, max(high, 1.0)),
        titles=[f"unit {k + 1}" for k in range(units)],
        label="activation of the unit",
        add=add_points_and_line,
    )


def _lines(model: Any, layer: str | None) -> Any:
    """Return the lines of units that see the points themselves; ``None`` for units deeper in the network."""
    try:
        return unit_lines(model, layer)
    except InputError:
        return None
