"""What an autoencoder makes of images: reconstructions, its latent plane, and the ways through it."""

from __future__ import annotations

from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelzoo._checks import check_integer
from modelzoo.datasets import Dataset
from modelzoo.datasets.checks import as_array
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import as_batch, loaded, predict
from modelzoo.viz import style
from modelzoo.viz.boundaries import Limits, check_limits, limits_of, plane_grid
from modelzoo.viz.data import choose, image_cmap, place_legend, same_size, scatter_classes, show_pixels, tile
from modelzoo.viz.samples import Samples, image_for, images_of, is_model, samples_of

#: The part of the latent plane that the lesson decodes.
LESSON_LIMITS: Limits = ((-8.0, 4.0), (-4.0, 6.0))


def _part(model: Any, name: str) -> Any:
    """Return the encoder or decoder of an autoencoder."""
    model = loaded(model)
    layers = {layer.name: layer for layer in getattr(model, "layers", ())}
    part = getattr(model, name, layers.get(name))
    if part is None:
        raise InputError(
            f"model must be an autoencoder with models encoder and decoder; got {getattr(model, 'name', model)!r:.80}."
        )
    return part


def encode(model: Any, x: Any) -> np.ndarray:
    """Return the latent codes of samples, shape ``(n, latent_dim)``.

    Parameters
    ----------
    model
        An autoencoder with the attribute ``encoder``, or a layer of that name.
    x
        Samples as :func:`modelzoo.predict` takes them.
    """
    model = loaded(model)
    return predict(_part(model, "encoder"), as_batch(model, x) if is_model(model) else x)


def decode(model: Any, codes: Any) -> np.ndarray:
    """Return the images that latent codes stand for, shape ``(n, height, width)``.

    Parameters
    ----------
    model
        An autoencoder with the attribute ``decoder``, or a layer of that name.
    codes
        Shape ``(n, latent_dim)``.
    """
    return images_of(predict(_part(model, "decoder"), codes)).x


def is_raw(images: np.ndarray) -> bool:
    """Return whether grey levels go to 255, not to 1; a decoder far from its data overshoots 1 severalfold."""
    return images.dtype.kind in "iu" or float(images.max()) > 20


def unit_scale(images: np.ndarray) -> np.ndarray:
    """Return images on the scale 0–1, whether they came as 0–255 or 0–1."""
    return images / 255 if is_raw(images) else images


def plot_reconstructions(model: Any, data: Any, *, count: int = 10, seed: int | None = None) -> Figure:
    """Draw images and, below each, what the autoencoder makes of it.

    Parameters
    ----------
    model
        A Keras model whose output has the shape of its input.
    data
        A data set, whose test part is drawn, or images as :func:`modelzoo.predict` takes them.
    count
        How many images at most.
    seed
        Choose the images at random with this seed; the first ones by default.

    Returns
    -------
    matplotlib.figure.Figure
        With two rows of Axes; below each pair its mean squared error, both images on the scale 0–1.
    """
    model = loaded(model)
    x = samples_of(data).x if isinstance(data, Dataset | tuple) else as_batch(model, data)
    x = x[choose(len(x), count, seed)]
    outputs = predict(model, x)
    if outputs.shape != x.shape:
        raise DataError(f"The outputs have shape {outputs.shape[1:]}, the images {x.shape[1:]}. Give an autoencoder.")
    pairs = [unit_scale(images_of(images).x) for images in (x, outputs)]
    width = max(2.5, min(style.PAGE_WIDTH - 1, 1.1 * len(x)))
    figure, axes = style.new_grid(2, len(x), style.roomy(width + 1, 2 * width / len(x) + 0.6), layout="compressed")
    for row, images, name in zip(axes, pairs, ("input", "reconstruction"), strict=True):
        for ax, image in zip(row, images, strict=True):
            show_pixels(ax, image, vmin=0, vmax=1)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, one, other in zip(axes[1], *pairs, strict=True):
        ax.set_xlabel(f"{np.mean((one - other) ** 2):.3f}", fontsize=style.points(9))
    figure.supxlabel("mean squared error of the pixels (0–1)", fontsize=style.points(9))
    return figure


# ------------------------------------------------------------------------------------------ latent plane


def _codes(model: Any, data: Any) -> Samples:
    """Return the latent codes of samples, which have to be points in the plane."""
    found = samples_of(data)
    codes = encode(model, found.x)
    if codes.shape[1:] != (2,):
        raise DataError(f"The latent space is drawn as a plane; these codes have shape {codes.shape[1:]}.")
    return found._replace(x=codes)


def plot_latent(model: Any, data: Any, *, ax: Axes | None = None) -> Axes:
    """Draw where an autoencoder puts the samples in its latent plane, by class.

    Parameters
    ----------
    model
        An autoencoder with two latent coordinates and the attribute ``encoder``, or a layer of that name.
    data
        A data set, whose test part is drawn, or ``(x, y)``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one collection of points a class.
    """
    found = _codes(model, data).named()
    ax = style.new_axes(ax)
    _draw_latent(ax, found)
    place_legend(ax)
    return ax


def _draw_latent(ax: Axes, found: Samples) -> None:
    scatter_classes(ax, found, alpha=0.6, rasterized=len(found.x) > 5000)
    style.open_frame(ax).set(xlabel="latent coordinate 1", ylabel="latent coordinate 2")


def plot_decodings(model: Any, data: Any, points: Any) -> Figure:
    """Draw the latent plane with some numbered points, and beside it the images that these stand for.

    Parameters
    ----------
    model
        An autoencoder with two latent coordinates and the attributes ``encoder`` and ``decoder``, or such layers.
    data
        A data set, whose test part is drawn, or ``(x, y)``.
    points
        The latent points to decode, shape ``(n, 2)``.

    Returns
    -------
    matplotlib.figure.Figure
        With the scatter, then one Axes a point.
    """
    chosen = as_array(points, "points")
    found, images = _codes(model, data).named(), decode(model, chosen)
    columns = 1 if len(chosen) <= 3 else 2 if len(chosen) <= 8 else 4
    figure = plt.figure(figsize=(style.PAGE_WIDTH, 4.2), layout="constrained")
    left, right = cast("Any", figure.subfigures(1, 2, width_ratios=(1.9, 1)))
    ax = left.subplots()
    _draw_latent(ax, found)
    same_size(ax.legend(title="class", loc="best"))
    mark = {"boxstyle": "circle,pad=0.2", "facecolor": style.background(), "edgecolor": style.foreground()}
    ax.update_datalim(chosen)
    ax.autoscale_view()
    axes = right.subplots(-(-len(chosen) // columns), columns, squeeze=False)
    for cell in axes.flat:
        style.bare(cell)
    bold: Any = {"fontsize": style.points(9), "fontweight": "bold"}
    for i, (cell, point, image) in enumerate(zip(axes.flat, chosen, images, strict=False), start=1):
        ax.annotate(str(i), point, ha="center", va="center", bbox=mark, zorder=5, **bold)
        show_pixels(cell, image, vmin=0, vmax=255 if is_raw(images) else 1)
        cell.set_title(str(i), pad=2, **bold)
    right.suptitle("decoded", fontsize=style.points(10))
    return figure


def manifold(model: Any, limits: Any = LESSON_LIMITS, *, count: int = 20) -> np.ndarray:
    """Decode a grid of latent points into one canvas.

    Parameters
    ----------
    model
        An autoencoder with two latent coordinates and the attribute ``decoder``, or a layer of that name.
    limits
        The rectangle, ``((low, high), (low, high))``; its borders are part of the grid.
    count
        Points along each side, at least 2.

    Returns
    -------
    numpy.ndarray
        Shape ``(count * height, count * width)``: the first latent coordinate grows to the right, the second upwards.
    """
    u, v, _ = plane_grid(limits, check_integer("count", count, 2))
    images = decode(model, np.column_stack([u.ravel(), v[::-1].ravel()]))
    if images.ndim != 3:
        raise DataError(f"The canvas is of grey images (height, width); the decoder returned {images.shape[1:]}.")
    return tile(images, count, gap=0)


def plot_manifold(model: Any, data: Any = None, *, limits: Any = None, count: int = 20, ax: Axes | None = None) -> Axes:
    """Draw what the points of the latent plane stand for: decoded images on a grid.

    Parameters
    ----------
    model
        An autoencoder with two latent coordinates and the attribute ``decoder``, or a layer of that name.
    data
        A data set or samples to whose latent codes the rectangle is fitted, where ``limits`` are not given.
    limits
        The rectangle, ``((low, high), (low, high))``; without data the lesson's, −8…4 and −4…6.
    count
        Images along each side.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the canvas, in latent coordinates.
    """
    if limits is None:
        limits = LESSON_LIMITS if data is None else limits_of(_codes(model, data).x, margin=0)
    (left, right), (bottom, top) = check_limits(limits)
    canvas = manifold(model, limits, count=count)
    ax = style.new_axes(ax, (6.6, 6.6))
    # The outer images are centred on the border of the rectangle, so the canvas reaches half an image further.
    dx, dy = (right - left) / (count - 1) / 2, (top - bottom) / (count - 1) / 2
    scale: Any = {"cmap": image_cmap(canvas), "vmin": 0, "vmax": 255 if is_raw(canvas) else 1}
    extent = (left - dx, right + dx, bottom - dy, top + dy)
    ax.imshow(canvas, extent=extent, aspect="auto", interpolation="antialiased", **scale)
    ax.set(xlabel="latent coordinate 1", ylabel="latent coordinate 2", title=f"{count} × {count} decoded latent points")
    return ax


# ----------------------------------------------------------------------------------------- interpolation


def interpolate(model: Any, first: Any, second: Any, *, steps: int = 9) -> np.ndarray:
    """Decode the way between two samples: g((1 − α) f(x) + α f(x′)) with encoder f and decoder g.

    Parameters
    ----------
    model
        An autoencoder with the attributes ``encoder`` and ``decoder``, or such layers; any latent dimension.
    first, second
        The samples x and x′, without the batch.
    steps
        Number of values of α from 0 to 1, at least 2.

    Returns
    -------
    numpy.ndarray
        Shape ``(steps, height, width)``.
    """
    alpha = np.linspace(0, 1, check_integer("steps", steps, 2))[:, None]
    f = np.concatenate([encode(model, image) for image in (first, second)])
    return decode(model, (1 - alpha) * f[0] + alpha * f[1])


def plot_interpolation(model: Any, first: Any, second: Any, *, steps: int = 9) -> Figure:
    """Draw the way between two images through the latent space, with the images themselves at its ends.

    Parameters
    ----------
    model
        An autoencoder with the attributes ``encoder`` and ``decoder``, or such layers; any latent dimension.
    first, second
        The images x and x′, shape ``(height, width)``.
    steps
        Number of decoded images, at least 2.

    Returns
    -------
    matplotlib.figure.Figure
        With ``steps + 2`` Axes: x, the decoded images with their α, x′.
    """
    model = loaded(model)
    first, second = (image_for(model, image) for image in (first, second))
    images = unit_scale(interpolate(model, first, second, steps=steps))
    ends = [unit_scale(np.squeeze(image)) for image in (first, second)]
    size = (style.PAGE_WIDTH, style.PAGE_WIDTH / (steps + 2) + 0.5)
    figure, axes = style.new_grid(1, steps + 2, size, layout="compressed")
    alphas = [f"{alpha:.3g}" for alpha in np.linspace(0, 1, steps)]
    for ax, image, title in zip(axes[0], [ends[0], *images, ends[1]], ["$x$", *alphas, "$x'$"], strict=True):
        show_pixels(ax, image, vmin=0, vmax=1)
        ax.set_title(title, fontsize=style.points(9), pad=3)
    figure.supxlabel(r"$g\,((1-\alpha)\,f(x) + \alpha\,f(x'))$ for $\alpha$ from 0 to 1", fontsize=style.points(10))
    return figure
