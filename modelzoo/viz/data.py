"""Data sets: points in the plane, images, an overview of the classes, and the one form in which figures take data."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.legend import Legend

from modelzoo._checks import check_integer, check_names, check_seed
from modelzoo.classes import class_names as names_of
from modelzoo.datasets import Dataset
from modelzoo.datasets.checks import as_array, check_labels, check_samples
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import as_batch, loaded, part_of
from modelzoo.viz import style

#: Classes that a figure tells apart; a label far above is a measurement, and would cost a matrix of its size.
MAX_CLASSES = 1000


class Samples(NamedTuple):
    """Samples ``x`` with integer labels ``y``, ``None`` without labels, and one name a class, empty if unknown."""

    x: np.ndarray
    y: np.ndarray | None
    class_names: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        """The labels, for figures that need them."""
        if self.y is None:
            raise DataError("This figure needs labels. Give a Dataset, or samples and labels as (x, y).")
        return self.y

    def named(self, num_classes: int | None = None) -> Samples:
        """Return labelled samples of ``num_classes`` classes with a name for each, their numbers by default."""
        count = num_classes or len(self.class_names) or int(self.labels.max()) + 1
        names = self.class_names or tuple(map(str, range(count)))
        if len(names) != count or self.labels.max() >= count:
            raise DataError(
                f"The model tells {count} classes apart, the data have labels up to {self.labels.max()} and "
                f"{len(names)} class names. Give it data of the same classes."
            )
        return self._replace(class_names=names)


def is_model(value: Any) -> bool:
    """Return whether a figure was given a Keras model, or the name or the directory of one."""
    return hasattr(value, "get_config") or isinstance(value, str | os.PathLike)


def image_for(model: Any, image: Any) -> np.ndarray:
    """Return one image as a Keras model takes it, without the batch; of other models as it is."""
    batch = as_batch(loaded(model), image) if is_model(model) else as_array(image, "image")[None]
    if len(batch) != 1:
        raise DataError(f"This figure shows one image; got {len(batch)}. Give one of them.")
    return batch[0]


def samples_of(
    data: Any, labels: Any = None, *, model: Any = None, part: str = "test", class_names: Sequence[str] = ()
) -> Samples:
    """Bring data to one form.

    Parameters
    ----------
    data
        A data set, ``((x_train, y_train), (x_test, y_test))``, ``(x, y)``, or the samples alone.
    labels
        Labels of samples given alone: integers ``(n,)`` or one-hot rows ``(n, num_classes)``.
    model
        A classifier. Where it is a Keras model, labels are numbered and classes named as its outputs.
    part
        Which part of a data set, ``"train"`` or ``"test"``.
    class_names
        Names of the classes; those of the model or of the data set by default.
    """
    names = check_names("class_names", class_names)
    if is_model(model):
        model = loaded(model)
        x, y = part_of(model, data, part, arrays=True)
        return Samples(x, y, names or names_of(model))
    if isinstance(data, Dataset):
        pair, names = getattr(data, part), names or data.class_names
        if pair is None:
            raise InputError(f"{data.name!r} has no {part} part. Give another one, such as data.train.")
    elif isinstance(data, tuple) and len(data) == 2:
        pair = data[part == "test"] if all(isinstance(each, tuple) for each in data) else data
    else:
        pair = data, labels
    x = check_samples(pair[0], where="samples")
    if pair[1] is None:
        return Samples(x, None, names)
    y = labels_of(pair[1], names)
    if len(y) != len(x):
        raise DataError(f"Expected {len(x)} labels, one a sample; got {len(y)}.")
    return Samples(x, y, names)


def labels_of(labels: Any, names: Sequence[str] = ()) -> np.ndarray:
    """Return labels, integers ``(n,)`` or one-hot rows, as integers of classes that a figure can tell apart."""
    y = check_labels(np.atleast_1d(as_array(labels, "labels")), num_classes=len(names) or None, where="labels")
    if y.max() >= MAX_CLASSES:
        raise DataError(f"Label {y.max()} is out of range: figures tell at most {MAX_CLASSES} classes apart.")
    return y


def points_of(data: Any, labels: Any = None, **options: Any) -> Samples:
    """Return :func:`samples_of` data that have to be labelled points in the plane, shape ``(n, 2)``."""
    found = samples_of(data, labels, **options)
    if found.x.shape[1:] != (2,):
        raise DataError(f"This figure shows points in the plane, shape (n, 2); got {found.x.shape}.")
    return found.named()


def images_of(data: Any, labels: Any = None, **options: Any) -> Samples:
    """Return :func:`samples_of` data that have to be images; a single grey channel is dropped."""
    found = samples_of(data, labels, **options)
    shape = found.x.shape
    if len(shape) != 3 and shape[3:] not in ((1,), (3,)):
        raise DataError(
            f"This figure shows images, shape (n, height, width[, 1 or 3]); got {shape}. A single one is image[None]."
        )
    return found._replace(x=found.x[..., 0]) if shape[3:] == (1,) else found


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
