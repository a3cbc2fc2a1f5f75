"""Data sets: points in the plane, images, and an overview of the classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from modelzoo._checks import check_integer, check_seed
from modelzoo.datasets.checks import as_array
from modelzoo.viz import style
from modelzoo.viz.samples import Samples, images_of, points_of, samples_of

# ------------------------------------------------------------------------------------------------ points


def plot_points(data: Any, labels: Any = None, *, class_names: Sequence[str] = (), ax: Axes | None = None) -> Axes:
    """Draw points in the plane, coloured by class.

    Parameters
    ----------
    data
        A data set, whose training part is drawn, ``(points, labels)``, or points of shape ``(n, 2)``.
    labels
        Labels of points given alone, integers ``(n,)`` or one-hot rows.
    class_names
        Names of the classes; those of the data set by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one collection of points a class.
    """
    found = points_of(data, labels, part="train", class_names=class_names)
    ax = style.new_axes(ax)
    scatter_classes(ax, found)
    style.open_frame(ax).set(xlabel="$x_1$", ylabel="$x_2$")
    place_legend(ax)
    return ax


def scatter_classes(ax: Axes, found: Samples, *, size: float | None = None, **options: Any) -> None:
    """Draw points by class, colour and marker; few points are drawn larger than many."""
    colors = style.class_colors(len(found.class_names))
    size = float(np.clip(12_000 / max(1, len(found.x)), 7, 45)) if size is None else size
    options = {"edgecolors": style.background(), "linewidths": 0.3 if size > 10 else 0, **options}
    for label, name in enumerate(found.class_names):
        marker = style.MARKERS[label % len(style.MARKERS)]
        x1, x2 = found.x[found.labels == label].T
        ax.scatter(x1, x2, s=size, color=colors[label], marker=marker, label=name, **options)


def place_legend(ax: Axes) -> None:
    """Put the legend of the classes beside the axes, where it hides no point."""
    columns = -(-len(ax.get_legend_handles_labels()[1]) // 13)  # as many as stand beside axes of the usual height
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1, 1), "borderaxespad": 0.3, "frameon": False}
    same_size(ax.legend(title="class", ncols=columns, columnspacing=0.6, **place))


def same_size(legend: Legend) -> None:
    """Draw the marks of a legend large and opaque, however small the points are."""
    for handle in legend.legend_handles:
        if isinstance(handle, PathCollection):
            handle.set(sizes=[36], alpha=1)


# ------------------------------------------------------------------------------------------------ images


def plot_image(image: Any, label: object = None, *, ax: Axes | None = None) -> Axes:
    """Draw one image with its label as the title.

    Parameters
    ----------
    image
        Array of shape ``(height, width)`` or ``(height, width, 1)``, or of shape ``(height, width, 3)`` with colours of
        0–255 (integers) or 0–1. Grey images are drawn as they are, except for light ink on a black ground, such as
        MNIST's: that is drawn as ink of the theme, dark on light in the light one.
    label
        The title, if any.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the image.
    """
    pixels = images_of(as_array(image, "image")[None]).x[0]
    ax = style.new_axes(ax, (2.5, 2.5))
    show_pixels(ax, pixels)
    if label is not None:
        ax.set_title(str(label))
    return ax


def show_pixels(ax: Axes, pixels: np.ndarray, **options: Any) -> None:
    """Draw the pixels of an image and its outline; ``options`` go to ``imshow``."""
    if pixels.ndim == 3:
        pixels = pixels.clip(0, 255).astype("uint8") if pixels.max() > 1 else pixels.clip(0, 1)
    scale = {"vmin": 0, "vmax": 255} if pixels.dtype == np.uint8 else {}
    ax.imshow(pixels, **{"cmap": image_cmap(pixels), "interpolation": "nearest", **scale, **options})
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=style.muted(), linewidth=0.6)


def image_cmap(images: np.ndarray) -> str:
    """Return the map of grey images ``(…, height, width)``: that of ink if their borders are black, else plain grey."""
    borders = np.concatenate([images[..., [0, -1], :].ravel(), images[..., [0, -1]].ravel()])
    return style.ink_cmap() if np.median(borders) <= 0.05 * images.max() else "gray"


def plot_images(
    data: Any,
    labels: Any = None,
    *,
    count: int = 20,
    columns: int = 10,
    seed: int | None = None,
    class_names: Sequence[str] = (),
) -> Figure:
    """Draw a grid of images with their labels.

    Parameters
    ----------
    data
        A data set, whose training part is drawn, ``(images, labels)``, or images of shape ``(n, height, width)`` or
        ``(n, height, width, 1 or 3)``.
    labels
        Labels of images given alone; without them the images have no titles.
    count
        How many images at most.
    columns
        Images in a row.
    seed
        Choose the images at random with this seed; the first ones by default.
    class_names
        Names of the classes; those of the data set by default.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes an image.
    """
    found = images_of(data, labels, part="train", class_names=class_names)
    chosen = choose(len(found.x), count, seed)
    titles = [] if found.y is None else [found.named().class_names[label] for label in found.y[chosen]]
    return grid_of_images(found.x[chosen], titles, check_integer("columns", columns))


def choose(total: int, count: int, seed: int | None) -> np.ndarray:
    """Return the indices of at most ``count`` samples, the first ones or, with a seed, some at random."""
    count = min(check_integer("count", count), total)
    return np.arange(count) if seed is None else np.random.default_rng(check_seed(seed)).permutation(total)[:count]


def grid_of_images(images: np.ndarray, titles: Sequence[str], columns: int, **title: Any) -> Figure:
    """Draw images row by row, each with its title; ``title`` goes to ``set_title``."""
    columns = min(columns, len(images))
    rows = math.ceil(len(images) / columns)
    side = min(1.6, style.PAGE_WIDTH / columns)
    lines = max((text.count("\n") + 1 for text in titles), default=0)
    size = columns * side, rows * (side + 0.17 * lines)
    figure, axes = style.new_grid(rows, columns, style.roomy(*size) if lines > 1 else size, layout="compressed")
    for ax in axes.flat:
        style.bare(ax)
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        show_pixels(ax, image, cmap=image_cmap(images))
        if titles:
            ax.set_title(titles[i], **{"fontsize": style.points(10), "pad": 3, **title})
    return figure


def tile(images: np.ndarray, columns: int, *, gap: int = 1) -> np.ndarray:
    """Lay images ``(n, height, width)`` side by side, row by row, with ``gap`` pixels of NaN between them."""
    n, height, width = images.shape
    rows = math.ceil(n / columns)
    cells = np.full((rows * columns, height + gap, width + gap), np.nan, np.result_type(images.dtype, "float32"))
    cells[:n, :height, :width] = images
    by_line = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    canvas = by_line.reshape(rows * (height + gap), columns * (width + gap))
    return canvas[: canvas.shape[0] - gap, : canvas.shape[1] - gap]


# ---------------------------------------------------------------------------------------------- overview


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


def class_overview(data: Any) -> ClassOverview:
    """Count the samples of each class and average them.

    Parameters
    ----------
    data
        A data set, or ``((x_train, y_train), (x_test, y_test))``.
    """
    train, test = (samples_of(data, part=part).named() for part in ("train", "test"))
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
    """
    overview = class_overview(data)
    shape, names = overview.means.shape[1:], overview.class_names
    are_images = len(shape) == 2 or shape[2:] in ((1,), (3,))
    figure = plt.figure(figsize=style.roomy(style.PAGE_WIDTH, max(3.4, 0.24 * len(names))), layout="constrained")
    left: Any = figure
    right: Any = None
    if are_images or shape == (2,):
        left, right = cast("Any", figure.subfigures(1, 2, width_ratios=(1, 1.25)))
    counts = style.open_frame(left.subplots())
    positions = np.arange(len(names))
    bars = ((-0.2, style.TRAIN_COLOR, overview.train, "training"), (0.2, style.TEST_COLOR, overview.test, "test"))
    for offset, color, values, name in bars:
        counts.barh(positions + offset, values, height=0.4, color=color, label=f"{name} ({values.sum():,})")
    counts.set(yticks=positions, yticklabels=names, ylabel="class", xlabel="number of samples")
    counts.set_xlim(0, 1.05 * max(overview.train.max(), overview.test.max()))
    counts.invert_yaxis()
    counts.locator_params(axis="x", nbins=5)
    counts.legend(loc="lower center", bbox_to_anchor=(0.45, 1), ncols=2, frameon=False, columnspacing=1)
    if are_images:
        columns = math.ceil(math.sqrt(1.4 * len(names)))
        axes = right.subplots(math.ceil(len(names) / columns), columns, squeeze=False)
        right.suptitle("mean training image of each class", fontsize=style.points(10))
        for ax in axes.flat:
            style.bare(ax)
        for ax, mean, name in zip(axes.flat, overview.means, names, strict=False):
            if np.isfinite(mean).all():
                show_pixels(ax, mean[..., 0] if shape[2:] == (1,) else mean)
            ax.set_title(name, fontsize=style.points(10), pad=3)
    elif right is not None:
        plot_points(data, ax=right.subplots()).set_title("training points")
    return figure
