"""Data sets: points in the plane, and an overview of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
from matplotlib.collections import PathCollection

from modelzoo.errors import DataError
from modelzoo.viz import style
from modelzoo.viz.images import show_pixels
from modelzoo.viz.inputs import Samples, points_of, samples_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend


class ClassOverview(NamedTuple):
    """How many samples each class has, and what they look like on average.

    Attributes
    ----------
    train, test
        Number of samples of each class, shape ``(num_classes,)``.
    means
        Mean training sample of each class, shape ``(num_classes, ...)``; NaN for a class without samples.
    class_names
        One name a class.
    """

    train: np.ndarray
    test: np.ndarray
    means: np.ndarray
    class_names: tuple[str, ...]


def scatter_classes(ax: Axes, found: Samples, *, size: float | None = None, **options: Any) -> None:
    """Draw points by class, colour and marker; few points are drawn larger than many."""
    colors = style.class_colors(len(found.class_names))
    size = float(np.clip(12_000 / max(1, len(found.x)), 7, 45)) if size is None else size
    for label, name in enumerate(found.class_names):
        chosen = found.labels == label
        ax.scatter(
            found.x[chosen, 0],
            found.x[chosen, 1],
            s=size,
            color=colors[label],
            marker=style.MARKERS[label % len(style.MARKERS)],
            label=name,
            **{"edgecolors": style.background(), "linewidths": 0.3 if size > 10 else 0, **options},
        )


def place_legend(ax: Axes, title: str = "class") -> None:
    """Put the legend beside the axes, where it hides no point."""
    columns = -(-len(ax.get_legend_handles_labels()[1]) // 13)  # as many as stand beside axes of the usual height
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1), "borderaxespad": 0.3, "frameon": False}
    same_size(ax.legend(title=title, ncols=columns, columnspacing=0.6, **place))


def same_size(legend: Legend) -> None:
    """Draw the marks of a legend large and opaque, however small the points are."""
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(sizes=[36], alpha=1)


def plot_points(
    data: Any,
    labels: Any = None,
    *,
    class_names: Sequence[str] = (),
    split: str = "train",
    ax: Axes | None = None,
) -> Axes:
    """Draw points in the plane, coloured by class.

    Parameters
    ----------
    data
        A data set, ``(points, labels)``, or points of shape ``(n, 2)``.
    labels
        Labels of points given alone, integers ``(n,)`` or one-hot rows.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one collection of points a class.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The data are not labelled points in the plane.
    """
    found = points_of(data, labels, split=split, class_names=class_names)
    ax = style.new_axes(ax)
    scatter_classes(ax, found)
    style.open_frame(ax).set(xlabel="$x_1$", ylabel="$x_2$")
    place_legend(ax)
    return ax


def class_overview(data: Any) -> ClassOverview:
    """Count the samples of each class and average them.

    Parameters
    ----------
    data
        A data set, or ``((x_train, y_train), (x_test, y_test))``.

    Raises
    ------
    DataError
        The data do not have these two parts, or no labels.
    """
    if not hasattr(data, "x_train") and not (isinstance(data, tuple) and data and isinstance(data[0], tuple)):
        raise DataError("An overview needs training and test data. Pass a Dataset or ((x, y), (x_test, y_test)).")
    train, test = samples_of(data, split="train"), samples_of(data, split="test")
    names = max(train.class_names, test.class_names, key=len)
    means = np.full((len(names), *train.x.shape[1:]), np.nan)
    for label in np.unique(train.labels):
        means[label] = train.x[train.labels == label].mean(axis=0)
    counts = [np.bincount(part.labels, minlength=len(names)) for part in (train, test)]
    return ClassOverview(counts[0], counts[1], means, names)


def plot_dataset(data: Any) -> Figure:
    """Draw an overview of a data set: samples per class, and the mean image of each class or the points themselves.

    Parameters
    ----------
    data
        A data set, or ``((x_train, y_train), (x_test, y_test))``.

    Returns
    -------
    matplotlib.figure.Figure
        The first Axes holds the counts.

    Raises
    ------
    DataError
        The data do not have these two parts, or no labels.
    """
    import matplotlib.pyplot as plt

    overview = class_overview(data)
    shape = overview.means.shape[1:]
    names = overview.class_names
    images = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    figure = plt.figure(figsize=(style.PAGE_WIDTH, max(3.4, 0.24 * len(names))), layout="constrained")
    left: Any = figure
    right: Any = None
    if images or shape == (2,):
        left, right = cast("Any", figure.subfigures(1, 2, width_ratios=(1, 1.25)))
    counts = style.open_frame(left.subplots())
    positions = np.arange(len(names))
    for offset, color, values, name in (
        (-0.2, style.TRAIN_COLOR, overview.train, "training"),
        (0.2, style.TEST_COLOR, overview.test, "test"),
    ):
        counts.barh(positions + offset, values, height=0.4, color=color, label=f"{name} ({values.sum():,})")
    counts.set(yticks=positions, yticklabels=names, ylabel="class", xlabel="number of samples")
    counts.set_xlim(0, 1.05 * max(overview.train.max(), overview.test.max()))
    counts.invert_yaxis()
    counts.locator_params(axis="x", nbins=5)
    counts.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=2, frameon=False, columnspacing=1)
    if images:
        columns = int(np.ceil(np.sqrt(1.4 * len(names))))
        axes = right.subplots(int(np.ceil(len(names) / columns)), columns, squeeze=False)
        right.suptitle("mean training image of each class", fontsize=10)
        for ax in axes.flat:
            style.bare(ax)
        for ax, mean, name in zip(axes.flat, overview.means.reshape(-1, *shape), names, strict=False):
            if np.isfinite(mean).all():
                show_pixels(ax, mean[..., 0] if mean.shape[2:] == (1,) else mean)
            ax.set_title(name, fontsize=10, pad=3)
    elif right is not None:
        plot_points(data, ax=right.subplots()).set_title("training points")
    return figure
