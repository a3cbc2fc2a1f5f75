"""Single images and grids of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.errors import DataError
from modelzoo.viz import style
from modelzoo.viz.inputs import check_count, images_of, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_image(image: Any, label: object = None, *, ax: Axes | None = None) -> Axes:
    """Draw one image with its label as the title; grey-scale images as dark ink on the light ground.

    Parameters
    ----------
    image
        Array of shape ``(height, width)`` or ``(height, width, 1)``, whose brightest value is drawn black, or of
        shape ``(height, width, 3)`` with colours of 0–255 (integers) or 0–1.
    label
        The title, if any.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the image.

    Raises
    ------
    DataError
        ``image`` is not an image.
    """
    pixels = numbers(image, "image")
    pixels = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if pixels.ndim != 2 and pixels.shape[2:] != (3,):
        raise DataError(f"An image has shape (height, width); received {pixels.shape}. Pass one image of a batch.")
    ax = style.new_axes(ax, (2.5, 2.5))
    show_pixels(ax, pixels)
    if label is not None:
        ax.set_title(str(label))
    return ax


def show_pixels(ax: Axes, pixels: np.ndarray, **options: Any) -> None:
    """Draw the pixels of an image and its outline; ``options`` go to ``imshow``."""
    if pixels.ndim == 3:
        pixels = pixels.clip(0, 255).astype("uint8") if pixels.max() > 1 else pixels.clip(0, 1)
    ax.imshow(pixels, **{"cmap": style.ink_cmap(), "interpolation": "nearest", **options})
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=style.muted(), linewidth=0.6)


def tile(images: np.ndarray, columns: int, *, gap: int = 1, fill: float = np.nan) -> np.ndarray:
    """Lay images side by side, row by row.

    Parameters
    ----------
    images
        Shape ``(n, height, width)``.
    columns
        Images in a row.
    gap
        Pixels between two images.
    fill
        What stands in the gaps and in the places that are left over.

    Returns
    -------
    numpy.ndarray
        Shape ``(rows * (height + gap) - gap, columns * (width + gap) - gap)``.
    """
    n, height, width = images.shape
    rows = math.ceil(n / columns)
    cells = np.full((rows * columns, height + gap, width + gap), fill, dtype=np.result_type(images.dtype, "float32"))
    cells[:n, :height, :width] = images
    by_line = cells.reshape(rows, columns, height + gap, width + gap).swapaxes(1, 2)
    canvas = by_line.reshape(rows * (height + gap), columns * (width + gap))
    return canvas[: canvas.shape[0] - gap, : canvas.shape[1] - gap]


def plot_images(
    data: Any,
    labels: Any = None,
    *,
    count: int = 20,
    columns: int = 10,
    seed: int | None = None,
    class_names: Sequence[str] = (),
    split: str = "train",
) -> Figure:
    """Draw a grid of images with their labels.

    Parameters
    ----------
    data
        A data set, ``(images, labels)``, or images of shape ``(n, height, width)`` or ``(n, height, width, 1 or 3)``.
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
    split
        Which part of a data set, ``"train"`` or ``"test"``.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes an image.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The data are not images, or the labels do not fit.
    """
    found = images_of(data, labels, split=split, class_names=class_names)
    count = min(check_count(count, "count"), len(found.x))
    columns = min(check_count(columns, "columns"), count)
    if seed is None:
        chosen = np.arange(count)
    else:
        chosen = np.random.default_rng(check_count(seed, "seed", 0)).permutation(len(found.x))[:count]
    titles = [] if found.y is None else [found.class_names[label] for label in found.y[chosen]]
    return grid_of_images(list(found.x[chosen]), titles, columns)


def grid_of_images(images: Sequence[np.ndarray], titles: Sequence[str], columns: int, **title: Any) -> Figure:
    """Draw images row by row, each with its title; ``title`` goes to ``set_title``."""
    rows = math.ceil(len(images) / columns)
    side = min(1.6, style.PAGE_WIDTH / columns)
    lines = max((text.count("\n") + 1 for text in titles), default=0)
    figure, axes = style.new_grid(rows, columns, (columns * side, rows * (side + 0.17 * lines)), layout="compressed")
    for ax in axes.flat:
        style.bare(ax)
    for i, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        show_pixels(ax, image)
        if titles:
            ax.set_title(titles[i], **{"fontsize": 10, "pad": 3, **title})
    return figure
