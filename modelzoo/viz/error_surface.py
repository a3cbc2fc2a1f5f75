"""The error of a network over one or two of its weights, drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.errors import DataError, InputError
from modelzoo.viz import style
from modelzoo.viz.descent import descent_cmap
from modelzoo.viz.inputs import MAX_RESOLUTION, check_count, check_interval, check_limits, numbers, samples_of
from modelzoo.viz.weight_errors import ErrorOverWeights, error_over_weights, find_weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_FORMULAS = {"sum_of_squares": r"$\frac{1}{2}(y - t)^2$", "cross_entropy": r"$-\ln p_t$"}


def plot_error_curves(
    model: Any,
    data: Any,
    weight: Mapping[str, str] | str,
    *,
    limits: tuple[float, float] = (-10.0, 10.0),
    resolution: int = 201,
    error: str = "sum_of_squares",
    split: str = "train",
    ax: Axes | None = None,
) -> Axes:
    """Draw the error over one weight, for each sample and in sum; the others stay as they are.

    Parameters
    ----------
    model
        A Keras model with outputs ``(batch, 1)`` or ``(batch, num_classes)``.
    data
        A data set or ``(x, y)``; with more than eight samples only their sum has a name in the legend.
    weight
        Which weight, as ``"layer/kernel[0, 0]"``; ``{"w1": "layer/kernel[0, 0]"}`` gives it a name.
    limits
        Lowest and highest value of the weight.
    resolution
        Number of values.
    error, split
        As for :func:`error_over_weights`.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line a sample and, last, the sum.

    Raises
    ------
    InputError
        The weight does not exist, or an argument is not usable.
    DataError
        The data do not fit the model.
    """
    low, high = check_interval(limits)
    values = np.linspace(low, high, check_count(resolution, "resolution", 2, MAX_RESOLUTION))
    found = error_over_weights(model, data, weight, values[:, None], error=error, split=split)
    samples = samples_of(data, split=split)
    ax = style.new_axes(ax)
    few = len(samples.x) <= 8
    colors = style.class_colors(len(samples.x)) if few else [style.muted()] * len(samples.x)
    for i, (x, label) in enumerate(zip(samples.x, samples.labels, strict=True)):
        name = f"({', '.join(f'{v:g}' for v in x)}) → {label}" if few and x.ndim == 1 and x.size <= 4 else f"sample {i}"
        width, alpha = (1.6, 1) if few else (0.6, 0.25)
        dashes = ("-", "--", "-.", ":")[i % 4] if few else "-"  # curves of equal samples coincide
        ax.plot(
            values,
            found.errors[:, i],
            color=colors[i],
            linestyle=dashes,
            linewidth=width,
            alpha=alpha,
            label=name if few else "_" + name,
        )
    ax.plot(values, found.total, color=style.foreground(), linewidth=2.4, label="sum over the samples")
    ax.axvline(
        found.current[0], color=style.muted(), linestyle=":", linewidth=1.2, label=f"now: {found.current[0]:.3g}"
    )
    ax.set(xlabel=f"weight {found.names[0]}", ylabel=f"error {_FORMULAS[error]}", xlim=(low, high), ylim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, title="sample")
    return style.open_frame(ax)


def plot_error_surface(
    model: Any,
    data: Any,
    weights: Mapping[str, str] | Sequence[str],
    *,
    limits: Any = ((-10.0, 10.0), (-10.0, 10.0)),
    resolution: int = 81,
    trace: Any = None,
    error: str = "sum_of_squares",
    split: str = "train",
) -> Figure:
    """Draw the error over two weights as a surface and as contours, with the path of an optimiser on top.

    Parameters
    ----------
    model
        A Keras model with outputs ``(batch, 1)`` or ``(batch, num_classes)``.
    data
        A data set or ``(x, y)``.
    weights
        Which two, as ``"layer/kernel[0, 0]"``; ``{"w1": "layer/kernel[0, 0]", …}`` gives them names.
    limits
        Lowest and highest value of each, ``((low, high), (low, high))``.
    resolution
        Number of values of each.
    trace
        The two weights on their way, shape ``(steps, 2)``: what :func:`descend_weights` returned, or the callback of
        :func:`record_weights` after training. Their height is the error with all other weights as the model has them
        now; where training moved these too, the path is the shadow of the real one on this surface.
    error, split
        As for :func:`error_over_weights`.

    Returns
    -------
    matplotlib.figure.Figure
        With the surface and the contours.

    Raises
    ------
    InputError
        The weights are not two that exist, or an argument is not usable.
    DataError
        The data do not fit the model, or the trace has another shape.
    """
    side = check_count(resolution, "resolution", 2, MAX_RESOLUTION)
    ranges = check_limits(limits)
    chosen = find_weights(model, weights)
    if len(chosen) != 2:
        raise InputError(f"A surface is over two weights; received {len(chosen)}.")
    a, b = np.meshgrid(*(np.linspace(low, high, side) for low, high in ranges))
    found = error_over_weights(model, data, weights, np.stack([a, b], axis=-1), error=error, split=split)
    path = None
    if trace is not None:
        points = numbers(getattr(trace, "recorded", trace), "trace").astype(float)
        if points.ndim != 2 or points.shape[1] != 2 or not len(points):
            raise DataError(f"trace has shape (steps, 2), two weights on their way; received {points.shape}.")
        path = error_over_weights(model, data, weights, points, error=error, split=split)

    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    figure = plt.figure(figsize=(1.25 * style.PAGE_WIDTH, 4.3), layout="constrained")
    # Axes3D is computed by its own rules: zorder by hand, or the path vanishes behind the surface.
    left = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    right = figure.add_subplot(1, 2, 2)
    total = found.total
    left.plot_surface(
        a, b, total, cmap="viridis", rcount=60, ccount=60, linewidth=0, antialiased=True, alpha=0.9, zorder=1
    )
    left.set_zlabel("error")
    left.view_init(elev=28, azim=-130)
    left.set_box_aspect(None, zoom=0.84)
    left.locator_params(nbins=5)
    for axis in (left.xaxis, left.yaxis, left.zaxis):
        axis.pane.set_facecolor(style.background())
        axis.pane.set_edgecolor(style.muted())
    contours = right.contourf(a, b, total, levels=30, cmap="viridis")
    right.contour(a, b, total, levels=15, colors="white", linewidths=0.4, alpha=0.6)
    figure.colorbar(contours, ax=right, label=f"sum over samples of {_FORMULAS[error]}", pad=0.02, ticks=MaxNLocator(6))
    if path is not None:
        _draw_path(left, right, path)
    for ax in (left, right):
        ax.set(xlabel=f"weight {found.names[0]}", ylabel=f"weight {found.names[1]}", xlim=ranges[0], ylim=ranges[1])
    left.set_title("error surface")
    right.set_title("the same from above")
    return figure


def _draw_path(left: Any, right: Axes, path: ErrorOverWeights) -> None:
    (u, v), height = path.settings.T, path.total
    kept = np.unique(np.linspace(0, len(u) - 1, min(len(u), 200)).astype(int))
    colors = descent_cmap()(kept / max(1, len(u) - 1))
    lift = 0.01 * np.ptp(left.get_zlim())
    left.plot(u, v, height + lift, color="white", linewidth=1.2, zorder=4)
    left.scatter(u[kept], v[kept], height[kept] + lift, color=colors, s=9, depthshade=False, zorder=5)
    right.plot(u, v, color="white", linewidth=1.2)
    right.scatter(u[kept], v[kept], color=colors, s=9, zorder=3)
    for i, color, name in ((0, style.START_COLOR, "start"), (-1, style.END_COLOR, "end")):
        left.scatter(u[i], v[i], height[i] + lift, color=color, s=60, edgecolors="white", depthshade=False, zorder=6)
        right.scatter(
            u[i], v[i], color=color, s=60, edgecolors="white", zorder=4, label=f"{name}: error {height[i]:.3g}"
        )
    right.legend(loc="best", fontsize=8)
