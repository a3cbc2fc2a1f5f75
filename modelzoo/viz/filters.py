"""The weights of the first layers of an image network, as images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.errors import InputError, unknown_name
from modelzoo.viz import style
from modelzoo.viz.images import tile
from modelzoo.viz.inputs import check_count, check_items
from modelzoo.viz.outputs import check_keras_model, input_shape_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _all_layers(model: Any) -> Iterator[Any]:
    for layer in model.layers:
        yield from _all_layers(layer) if hasattr(layer, "layers") else (layer,)


def _layer(model: Any, kind: str, name: str | None) -> Any:
    """Return the first layer of a kind, or the one with a name, nested models included."""
    check_keras_model(model)
    layers = [layer for layer in _all_layers(model) if type(layer).__name__ == kind]
    if not layers:
        raise InputError(f"{model.name!r} has no {kind} layer.")
    if name is None:
        return layers[0]
    for layer in layers:
        if layer.name == name:
            return layer
    raise unknown_name(f"{kind} layer", name, [layer.name for layer in layers])


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

    Raises
    ------
    InputError
        There is no such layer, or its inputs are not the pixels of such an image.
    """
    found = _layer(model, "Dense", layer)
    kernel = found.get_weights()[0]
    shape: tuple[Any, ...] = (
        input_shape_of(model) if image_shape is None else check_items(image_shape, "image_shape", "(height, width)")
    )
    shape = shape[:2] if shape[2:] == (1,) else shape
    known = len(shape) == 2 and all(isinstance(side, int | np.integer) for side in shape)
    if not known or shape[0] * shape[1] != kernel.shape[0]:
        raise InputError(
            f"Layer {found.name!r} has {kernel.shape[0]} inputs, which are not the pixels of an image {shape}. "
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

    Raises
    ------
    InputError
        There is no such layer or channel.
    """
    found = _layer(model, "Conv2D", layer)
    kernel = found.get_weights()[0]
    if check_count(channel, "channel", 0) >= kernel.shape[2]:
        raise InputError(f"Layer {found.name!r} has {kernel.shape[2]} input channels; received channel={channel}.")
    return kernel[:, :, channel].transpose(2, 0, 1)


def _draw_signed(images: np.ndarray, columns: int, title: str, ax: Axes | None) -> Axes:
    """Draw images of signed values on one scale, with its colour bar."""
    from matplotlib.patches import Rectangle

    canvas = tile(images, columns, gap=max(1, images.shape[1] // 14))
    width = min(style.PAGE_WIDTH, 1.0 + 0.85 * columns)
    ax = style.new_axes(ax, (width, (width - 0.9) * canvas.shape[0] / canvas.shape[1] + 0.4))
    largest = float(np.abs(images).max()) or 1.0
    drawn = ax.imshow(canvas, cmap=style.signed_cmap(), vmin=-largest, vmax=largest, interpolation="nearest")
    # The frame of each image, for weights near zero have the colour of the ground.
    height, step = images.shape[1], images.shape[1] + max(1, images.shape[1] // 14)
    step_x = images.shape[2] + step - height
    for i in range(len(images)):
        corner = (i % columns * step_x - 0.5, i // columns * step - 0.5)
        ax.add_patch(Rectangle(corner, images.shape[2], height, fill=False, edgecolor=style.muted(), linewidth=0.5))
    style.bare(ax).set_title(title)
    ax.figure.colorbar(drawn, ax=ax, label="weight", shrink=0.9, pad=0.02, aspect=25)
    return ax


def plot_weights(
    model: Any,
    *,
    layer: str | None = None,
    count: int = 40,
    columns: int = 10,
    image_shape: tuple[int, int] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the weights of the units of a dense layer that sees an image, as images.

    Parameters
    ----------
    model
        A Keras model.
    layer
        Name of the layer; the first dense layer by default.
    count
        How many units at most, the first ones.
    columns
        Images in a row.
    image_shape
        Height and width; those of the model's input by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With all images on one scale.

    Raises
    ------
    InputError
        There is no such layer, its inputs are not such an image, or another argument is not usable.
    """
    images = first_layer_weights(model, layer=layer, image_shape=image_shape)
    shown = images[: check_count(count, "count")]
    name = _layer(model, "Dense", layer).name
    return _draw_signed(
        shown,
        min(check_count(columns, "columns"), len(shown)),
        f"{name}: weights of {shown_part(len(shown), len(images))} units",
        ax,
    )


def shown_part(shown: int, all_of_them: int) -> str:
    """Return in words how many of all are shown."""
    return f"all {shown}" if shown == all_of_them else f"the first {shown} of {all_of_them}"


def plot_kernels(
    model: Any,
    *,
    layer: str | None = None,
    channel: int = 0,
    count: int = 64,
    columns: int = 8,
    ax: Axes | None = None,
) -> Axes:
    """Draw the kernels of a convolution for one of its input channels.

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
    columns
        Kernels in a row.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With all kernels on one scale.

    Raises
    ------
    InputError
        There is no such layer or channel, or another argument is not usable.
    """
    images = kernels(model, layer=layer, channel=channel)
    shown = images[: check_count(count, "count")]
    found = _layer(model, "Conv2D", layer)
    source = "" if found.get_weights()[0].shape[2] == 1 else f", input channel {channel}"
    size = f"{images.shape[1]}×{images.shape[2]}"
    title = f"{found.name}: {shown_part(len(shown), len(images))} {size} kernels{source}"
    return _draw_signed(shown, min(check_count(columns, "columns"), len(shown)), title, ax)
