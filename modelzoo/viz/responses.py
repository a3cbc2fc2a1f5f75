"""What an image network makes of an image: feature maps, and what the score of a class depends on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo._keras import graph_function, keras, tf
from modelzoo.errors import DataError, InputError
from modelzoo.viz import style
from modelzoo.viz.filters import shown_part
from modelzoo.viz.images import plot_image, show_pixels, tile
from modelzoo.viz.inputs import check_count, check_names, numbers
from modelzoo.viz.outputs import check_keras_model, input_shape_of, tapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure


# Layers whose outputs show nothing that the layer before does not.
_DULL = {"InputLayer", "Rescaling", "Reshape", "Flatten", "Dropout", "Normalization", "Permute"}


def feature_maps(model: Any, image: Any, layers: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Compute what the layers of a network make of an image, in one call.

    Parameters
    ----------
    model
        A functional or sequential Keras model of images.
    image
        As the model takes it, without the batch: shape ``(height, width)`` or ``(height, width, channels)``.
    layers
        Names of layers; all that compute something by default.

    Returns
    -------
    dict
        For each layer its maps, shape ``(maps, height, width)``, or its activations, shape ``(units,)``.

    Raises
    ------
    InputError
        There is no such layer, or the model's layers cannot be tapped.
    DataError
        The image does not fit the model.
    """
    check_keras_model(model)
    pixels = _fitting(model, image)
    chosen = [layer.name for layer in model.layers if type(layer).__name__ not in _DULL]
    if layers is not None:
        chosen = [layers] if isinstance(layers, str) else list(check_names(layers, "layers"))
        if not chosen:
            raise InputError(f"layers={layers!r} names no layer. Give at least one, or leave it out.")
    ends = tapped(model, chosen)
    outputs = graph_function(lambda x: ends(x, training=False))(tf.constant(pixels[None]))
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    found = {}
    for name, output in zip(chosen, outputs, strict=True):
        values = tf.cast(output, tf.float32).numpy()[0]
        found[name] = values.transpose(2, 0, 1) if values.ndim == 3 else values[None] if values.ndim == 2 else values
    return found


def _fitting(model: Any, image: Any) -> np.ndarray:
    pixels = numbers(image, "image").astype("float32")
    shape = input_shape_of(model)
    if (
        len(shape) not in (2, 3)
        or len(shape) != pixels.ndim
        or any(a not in (None, b) for a, b in zip(shape, pixels.shape, strict=True))
    ):
        raise DataError(f"{model.name!r} takes inputs of shape {shape}; received an image of shape {pixels.shape}.")
    return pixels


def plot_feature_maps(
    model: Any, image: Any, layers: Sequence[str] | None = None, *, count: int = 32, columns: int = 16
) -> Figure:
    """Draw what the layers of a network make of an image, layer by layer.

    Parameters
    ----------
    model
        A functional or sequential Keras model of images.
    image
        As the model takes it, without the batch: shape ``(height, width)`` or ``(height, width, channels)``.
    layers
        Names of layers; all that compute something by default.
    count
        How many maps of a layer at most, the first ones.
    columns
        Maps in a row.

    Returns
    -------
    matplotlib.figure.Figure
        The image, then one Axes a layer. Each layer has its own scale, from its smallest to its largest value. The
        units of a dense layer are the cells of one picture, row by row.

    Raises
    ------
    InputError
        There is no such layer, or another argument is not usable.
    DataError
        The image does not fit the model.
    """
    import matplotlib.pyplot as plt

    found = feature_maps(model, image, layers)
    count, columns = check_count(count, "count"), check_count(columns, "columns")
    canvases, titles = [], []
    for name, maps in found.items():
        if maps.ndim == 1:
            width = min(len(maps), 8 * columns)
            cells = np.full(-(-len(maps) // width) * width, np.nan)
            cells[: len(maps)] = maps
            canvases.append(cells.reshape(-1, width))
            titles.append(f"{name}: {len(maps)} units")
        else:
            canvases.append(tile(maps[:count], min(columns, len(maps), count), gap=1 + maps.shape[1] // 14))
            titles.append(
                f"{name}: {shown_part(min(count, len(maps)), len(maps))} maps of {maps.shape[1]}×{maps.shape[2]}"
            )
    # A layer takes the height that its shape needs at full width, within reason.
    heights = [1.0, *(_height(canvas) for canvas in canvases)]
    figure, axes = plt.subplots(
        len(heights),
        1,
        figsize=(style.PAGE_WIDTH, sum(heights) + 0.3 * len(heights)),
        height_ratios=heights,
        layout="constrained",
    )
    show_pixels(axes[0], np.squeeze(numbers(image, "image")))
    axes[0].set_title("image", fontsize=10)
    cmap = plt.get_cmap("viridis").with_extremes(bad=style.background())
    for ax, name, canvas, title in zip(axes[1:], found, canvases, titles, strict=True):
        low, high = np.nanmin(canvas), np.nanmax(canvas)
        vector = found[name].ndim == 1
        ax.imshow(
            np.ma.masked_invalid(canvas), cmap=cmap, interpolation="nearest", aspect="auto" if vector else "equal"
        )
        style.bare(ax)
        if vector and canvas.shape[1] <= 20:
            ax.set_xticks(range(canvas.shape[1]))
        ax.set_title(f"{title}, {low:.2g} to {high:.2g}", fontsize=10)
    return figure


def _height(canvas: np.ndarray) -> float:
    rows, columns = canvas.shape
    return 0.22 if rows == 1 else float(np.clip(style.PAGE_WIDTH * rows / columns, 0.3, 1.8))


def saliency(model: Any, image: Any, class_index: int | None = None) -> tuple[np.ndarray, int]:
    """Compute the gradient of a class's score with respect to the pixels (Simonyan et al., 2014).

    The score is the logit where the network ends in a softmax or sigmoid, whose own gradient vanishes where the network
    is sure.

    Parameters
    ----------
    model
        A functional or sequential Keras classifier of images.
    image
        As the model takes it, without the batch: shape ``(height, width)`` or ``(height, width, channels)``.
    class_index
        Which class; the predicted one by default. A model with one output has one score, that of class 1.

    Returns
    -------
    gradient : numpy.ndarray
        Change of the score per grey level, in the shape of ``image``.
    class_index : int
        The class.

    Raises
    ------
    InputError
        There is no such class.
    DataError
        The image does not fit the model.
    """
    check_keras_model(model)
    pixels = tf.constant(_fitting(model, image)[None])
    scores = _scores(model)
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        values = scores(pixels)
        if len(values.shape) != 2:
            raise InputError(f"{model.name!r} is no classifier: its outputs have shape {tuple(values.shape[1:])}.")
        classes = int(values.shape[1])
        if class_index is None:
            class_index = 1 if classes == 1 else int(tf.argmax(values[0]))
        if check_count(class_index, "class_index", 0) >= max(classes, 2):
            raise InputError(f"There are {max(classes, 2)} classes; received class_index={class_index}. Count from 0.")
        score = (1 if class_index else -1) * values[0, 0] if classes == 1 else values[0, class_index]
    return tape.gradient(score, pixels).numpy()[0], class_index


def _scores(model: Any) -> Any:
    """Return the function from a batch to scores before the last softmax or sigmoid."""
    last = model.layers[-1]
    ending = getattr(getattr(last, "activation", None), "__name__", None)
    if ending not in ("softmax", "sigmoid"):
        return lambda x: model(x, training=False)
    body = keras.Model(model.inputs, last.input)
    if type(last).__name__ == "Dense":
        bias = last.bias if last.use_bias else 0.0
        return lambda x: tf.matmul(body(x, training=False), last.kernel) + bias
    return lambda x: body(x, training=False)


def plot_saliency(model: Any, image: Any, class_index: int | None = None, *, class_names: Sequence[str] = ()) -> Figure:
    """Draw an image beside what the score of its class depends on: the size of the gradient at each pixel.

    Parameters
    ----------
    model
        A functional or sequential Keras classifier of images.
    image
        As the model takes it, without the batch: shape ``(height, width)`` or ``(height, width, channels)``.
    class_index
        Which class; the predicted one by default.
    class_names
        Names of the classes; their numbers by default.

    Returns
    -------
    matplotlib.figure.Figure
        With the image and the map; of several colours, the largest gradient counts.

    Raises
    ------
    InputError
        There is no such class.
    DataError
        The image does not fit the model.
    """
    names = check_names(class_names, "class_names")
    gradient, label = saliency(model, image, class_index)
    size = np.abs(gradient)
    size = size.max(axis=2) if size.ndim == 3 else size
    name = names[label] if label < len(names) else str(label)
    figure, axes = style.new_grid(1, 2, (6.2, 2.9), layout="compressed")
    pixels = np.asarray(image, float)
    plot_image(image, "image", ax=axes[0, 0])
    drawn = axes[0, 1].imshow(size, cmap="magma", interpolation="nearest")
    outline = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    if np.ptp(outline):  # where the ink is
        axes[0, 1].contour(outline, levels=[(outline.min() + outline.max()) / 2], colors="white", linewidths=1)
    style.bare(axes[0, 1]).set_title(f"saliency of class {name}")
    bar = figure.colorbar(drawn, ax=axes[0, 1], label="|change of the score\nper grey level|")
    bar.ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    return figure
