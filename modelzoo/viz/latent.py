"""The latent plane of an autoencoder and what lies in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from modelzoo.errors import DataError, InputError
from modelzoo.viz import style
from modelzoo.viz.data import place_legend, same_size, scatter_classes
from modelzoo.viz.images import show_pixels, tile
from modelzoo.viz.inputs import (
    BATCH,
    Limits,
    Samples,
    check_count,
    check_limits,
    images_of,
    limits_of,
    numbers,
    samples_of,
)
from modelzoo.viz.outputs import is_keras_model, outputs_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: The part of the latent plane that the lesson decodes.
LESSON_LIMITS: Limits = ((-8.0, 4.0), (-4.0, 6.0))


def _part(model: Any, name: str) -> Any:
    """Return the encoder or decoder of an autoencoder."""
    part = getattr(model, name, None)
    if part is None and is_keras_model(model):
        part = next((layer for layer in model.layers if layer.name == name), None)
    if part is None:
        raise InputError(
            f"{getattr(model, 'name', type(model).__name__)!r} has no {name}. Give an autoencoder with the attributes "
            "encoder and decoder, or with two layers (models) of these names."
        )
    return part


def encode(model: Any, x: Any) -> np.ndarray:
    """Return the latent codes of samples, shape ``(n, latent_dim)``.

    Parameters
    ----------
    model
        An autoencoder with the attribute ``encoder``, or a layer of that name.
    x
        Samples as the encoder takes them, shape ``(n, ...)``.

    Raises
    ------
    InputError
        The model has no encoder.
    DataError
        The samples do not fit it.
    """
    return outputs_of(_part(model, "encoder"), numbers(x, "samples"), batch=BATCH, name="encoder")


def decode(model: Any, codes: Any) -> np.ndarray:
    """Return the images that latent codes stand for, shape ``(n, height, width)``, in one call of the decoder.

    Parameters
    ----------
    model
        An autoencoder with the attribute ``decoder``, or a layer of that name.
    codes
        Shape ``(n, latent_dim)``.

    Raises
    ------
    InputError
        The model has no decoder.
    DataError
        The codes do not fit it, or it does not return images.
    """
    images = outputs_of(_part(model, "decoder"), numbers(codes, "codes"), name="decoder")
    return images_of(images).x


def is_raw(images: np.ndarray) -> bool:
    """Return whether grey levels go to 255, not to 1; a decoder far from its data overshoots 1 severalfold."""
    return images.dtype.kind in "iu" or float(images.max()) > 20


def unit_scale(images: np.ndarray) -> np.ndarray:
    """Return images on the scale 0–1, whether they came as 0–255 or 0–1."""
    return images / 255 if is_raw(images) else images


def _plane(model: Any, data: Any, split: str, class_names: Sequence[str] = ()) -> Samples:
    """Return the latent codes of samples, which have to be points in the plane."""
    found = samples_of(data, split=split, class_names=class_names)
    codes = encode(model, found.x)
    if codes.ndim != 2 or codes.shape[1] != 2:
        raise DataError(f"The latent space is drawn as a plane; these codes have shape {codes.shape[1:]}.")
    return found._replace(x=codes)


def plot_latent(
    model: Any, data: Any, *, split: str = "test", class_names: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw where an autoencoder puts the samples in its latent plane, by class.

    Parameters
    ----------
    model
        An autoencoder with two latent coordinates and the attribute ``encoder``, or a layer of that name.
    data
        A data set or ``(x, y)``.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    class_names
        Names of the classes; those of the data set by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one collection of points a class.

    Raises
    ------
    InputError
        The model has no encoder, or another argument is not usable.
    DataError
        The data have no labels or do not fit, or the latent space is not a plane.
    """
    found = _plane(model, data, split, class_names).labelled()
    ax = style.new_axes(ax)
    _draw_latent(ax, found)
    place_legend(ax)
    return ax


def _draw_latent(ax: Axes, found: Samples) -> None:
    scatter_classes(ax, found, alpha=0.6, rasterized=len(found.x) > 5000)
    style.open_frame(ax).set(xlabel="latent coordinate 1", ylabel="latent coordinate 2")


def plot_decodings(
    model: Any, data: Any, points: Any, *, split: str = "test", class_names: Sequence[str] = ()
) -> Figure:
    """Draw the latent plane with some numbered points, and beside it the images that these stand for.

    Parameters
    ----------
    model
        An autoencoder with two latent coordinates and the attributes ``encoder`` and ``decoder``, or such layers.
    data
        A data set or ``(x, y)``.
    points
        The latent points to decode, shape ``(n, 2)``.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    class_names
        Names of the classes; those of the data set by default.

    Returns
    -------
    matplotlib.figure.Figure
        With the scatter, then one Axes a point.

    Raises
    ------
    InputError
        The model has no encoder or decoder.
    DataError
        ``points`` are not in the plane, or the data do not fit.
    """
    import matplotlib.pyplot as plt

    chosen = numbers(points, "points").astype(float)
    if chosen.ndim != 2 or chosen.shape[1] != 2 or not len(chosen):
        raise DataError(f"points must have shape (n, 2); received {chosen.shape}.")
    found, images = _plane(model, data, split, class_names).labelled(), decode(model, chosen)
    columns = 1 if len(chosen) <= 3 else 2 if len(chosen) <= 8 else 4
    figure = plt.figure(figsize=(style.PAGE_WIDTH, 4.2), layout="constrained")
    left, right = cast("Any", figure.subfigures(1, 2, width_ratios=(1.9, 1)))
    ax = left.subplots()
    _draw_latent(ax, found)
    same_size(ax.legend(title="class", loc="best"))
    mark = {"boxstyle": "circle,pad=0.2", "facecolor": style.background(), "edgecolor": style.foreground()}
    for i, (x, y) in enumerate(chosen, start=1):
        ax.annotate(str(i), (x, y), ha="center", va="center", fontsize=9, fontweight="bold", bbox=mark, zorder=5)
    ax.update_datalim(chosen)
    ax.autoscale_view()
    axes = right.subplots(-(-len(chosen) // columns), columns, squeeze=False)
    for cell in axes.flat:
        style.bare(cell)
    for i, (cell, image) in enumerate(zip(axes.flat, images, strict=False), start=1):
        show_pixels(cell, image, vmin=0, vmax=255 if is_raw(images) else 1)
        cell.set_title(str(i), fontsize=9, fontweight="bold", pad=2)
    right.suptitle("decoded", fontsize=10)
    return figure


def manifold(model: Any, limits: Any = LESSON_LIMITS, *, count: int = 20) -> np.ndarray:
    """Decode a grid of latent points into one canvas, in one call of the decoder.

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

    Raises
    ------
    InputError
        The model has no decoder, or ``limits`` or ``count`` are not usable.
    DataError
        The decoder does not take points in the plane, or does not return images.
    """
    ranges, side = check_limits(limits), check_count(count, "count", 2, 500)
    u, v = np.meshgrid(np.linspace(*ranges[0], side), np.linspace(*ranges[1], side)[::-1])
    images = decode(model, np.column_stack([u.ravel(), v.ravel()]))
    if images.ndim != 3:
        raise DataError(f"The canvas is of grey images (height, width); the decoder returned {images.shape[1:]}.")
    return tile(images, side, gap=0)


def plot_manifold(
    model: Any,
    data: Any = None,
    *,
    limits: Any = None,
    count: int = 20,
    split: str = "test",
    ax: Axes | None = None,
) -> Axes:
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
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the canvas, in latent coordinates.

    Raises
    ------
    InputError
        The model has no decoder, or an argument is not usable.
    DataError
        The data do not fit, or the latent space is not a plane.
    """
    if limits is None:
        limits = LESSON_LIMITS if data is None else limits_of(_plane(model, data, split).x, margin=0)
    (left, right), (bottom, top) = check_limits(limits)
    canvas = manifold(model, limits, count=count)
    ax = style.new_axes(ax, (6.6, 6.6))
    # The outer images are centred on the border of the rectangle, so the canvas reaches half an image further.
    dx, dy = (right - left) / (count - 1) / 2, (top - bottom) / (count - 1) / 2
    ax.imshow(
        canvas,
        cmap=style.ink_cmap(),
        vmin=0,
        vmax=255 if is_raw(canvas) else 1,
        extent=(left - dx, right + dx, bottom - dy, top + dy),
        aspect="auto",
        interpolation="antialiased",
    )
    ax.set(xlabel="latent coordinate 1", ylabel="latent coordinate 2", title=f"{count} × {count} decoded latent points")
    return ax
