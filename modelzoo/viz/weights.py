"""The weights of the first layers of an image network, as images."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from modelzoo._checks import check_choice, check_integer
from modelzoo.errors import InputError
from modelzoo.evaluation import loaded
from modelzoo.network import read_network, with_paths
from modelzoo.viz import style
from modelzoo.viz.data import tile


def layer_weights(model: Any, kind: str, layer: str | None) -> tuple[str, list[np.ndarray]]:
    """Return the name and the weights of the first layer of a kind, or of the one with a name.

    Parameters
    ----------
    model
        A Keras model; nested ones are searched too.
    kind
        Class of the layer, e.g. ``"Dense"``.
    layer
        Its name.
    """
    model = loaded(model)
    found = [each for each in read_network(model).layers if each.kind == kind]
    if not found:
        raise InputError(f"{model.name!r} has no {kind} layer.")
    name = found[0].name if layer is None else check_choice("layer", layer, [each.name for each in found])
    variables = dict(with_paths(model))
    weights = next(each.weights for each in found if each.name == name)
    return name, [variables[weight.path].numpy() for weight in weights]


def first_layer_weights(
    model: Any, *, layer: str | None = None, image_shape: tuple[int, int] | None = None
) -> np.ndarray:
    """Return the weights of the units of a dense layer that sees an image, as images.

    Parameters
    ----------
    model
        A Keras model.
    layer
        Name of the layer; the first dense layer by default.
    image_shape
        Height and width; those of the model's input by default.

    Returns
    -------
    numpy.ndarray
        Shape ``(units, height, width)``.
    """
    model = loaded(model)
    name, (kernel, *_) = layer_weights(model, "Dense", layer)
    shape = tuple(model.input_shape[1:] if image_shape is None else image_shape)
    shape = shape[:2] if shape[2:] == (1,) else shape
    if len(shape) != 2 or None in shape or shape[0] * shape[1] != len(kernel):
        raise InputError(
            f"Layer {name!r} has {len(kernel)} inputs, which are not the pixels of an image {shape}. "
            "Name a layer that sees the image, or give image_shape=(height, width)."
        )
    return kernel.T.reshape(-1, *shape)


def kernels(model: Any, *, layer: str | None = None, channel: int = 0) -> np.ndarray:
    """Return the kernels of a convolution for one of its input channels, shape ``(filters, height, width)``.

    Parameters
    ----------
    model
        A Keras model.
    layer
        Name of the layer; the first ``Conv2D`` by default.
    channel
        Which input channel, from 0.
    """
    _, (kernel, *_) = layer_weights(model, "Conv2D", layer)
    return kernel[:, :, check_integer("channel", channel, 0, kernel.shape[2] - 1)].transpose(2, 0, 1)


def plot_weights(
    model: Any,
    *,
    layer: str | None = None,
    count: int = 40,
    image_shape: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights of the units of a dense layer that sees an image, as images on one scale.

    Parameters
    ----------
    model
        A Keras model.
    layer
        Name of the layer; the first dense layer by default.
    count
        How many units at most, the first ones.
    image_shape
        Height and width; those of the model's input by default.
    ax
        Where to draw; a new figure by default.
    """
    model = loaded(model)
    images = first_layer_weights(model, layer=layer, image_shape=image_shape)
    shown = images[: check_integer("count", count)]
    name, _ = layer_weights(model, "Dense", layer)
    return _draw_signed(shown, 10, f"{name}: weights of {shown_part(len(shown), len(images))} units", ax)


def plot_kernels(
    model: Any, *, layer: str | None = None, channel: int = 0, count: int = 64, ax: Axes | None = None
) -> Axes:
    """Draw the kernels of a convolution for one of its input channels, on one scale.

    Parameters
    ----------
    model
        A Keras model.
    layer
        Name of the layer; the first ``Conv2D`` by default.
    channel
        Which input channel, from 0.
    count
        How many kernels at most, the first ones.
    ax
        Where to draw; a new figure by default.
    """
    model = loaded(model)
    images = kernels(model, layer=layer, channel=channel)
    shown = images[: check_integer("count", count)]
    name, (kernel, *_) = layer_weights(model, "Conv2D", layer)
    source = "" if kernel.shape[2] == 1 else f", input channel {channel}"
    size = f"{images.shape[1]}×{images.shape[2]}"
    return _draw_signed(shown, 8, f"{name}: {shown_part(len(shown), len(images))} {size} kernels{source}", ax)


def shown_part(shown: int, all_of_them: int) -> str:
    """Return in words how many of all are shown."""
    return f"all {shown}" if shown == all_of_them else f"the first {shown} of {all_of_them}"


def _draw_signed(images: np.ndarray, columns: int, title: str, ax: Axes | None) -> Axes:
    """Draw images of signed values on one scale, with its colour bar."""
    columns = min(columns, len(images))
    _, height, image_width = images.shape
    gap = max(1, height // 14)
    canvas = tile(images, columns, gap=gap)
    width = min(style.PAGE_WIDTH, 1.0 + 0.85 * columns)
    ax = style.new_axes(ax, (width, (width - 0.9) * canvas.shape[0] / canvas.shape[1] + 0.4))
    largest = float(np.abs(images).max()) or 1.0
    drawn = ax.imshow(canvas, cmap=style.signed_cmap(), vmin=-largest, vmax=largest, interpolation="nearest")
    for i in range(len(images)):  # the frame of each image, for weights near zero have the colour of the ground
        corner = (i % columns * (image_width + gap) - 0.5, i // columns * (height + gap) - 0.5)
        ax.add_patch(Rectangle(corner, image_width, height, fill=False, edgecolor=style.muted(), linewidth=0.5))
    style.bare(ax).set_title(title)
    ax.figure.colorbar(drawn, ax=ax, label="weight", shrink=0.9, pad=0.02, aspect=25)
    return ax
