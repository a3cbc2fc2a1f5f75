"""Activations: the functions, and what the units and maps of a network make of points and images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from modelzoo._checks import check_choice, check_integer, check_names
from modelzoo._keras import graph_function, keras, tf
from modelzoo.classes import class_names as names_of
from modelzoo.errors import InputError
from modelzoo.evaluation import loaded, predict
from modelzoo.network import logits_model
from modelzoo.reference import ACTIVATIONS
from modelzoo.training.data import check_model
from modelzoo.viz import style
from modelzoo.viz.boundaries import Limits, check_limits, draw_maps, limits_of, plane_grid, segment_in_box, unit_lines
from modelzoo.viz.data import plot_image, scatter_classes, show_pixels, tile
from modelzoo.viz.samples import image_for, points_of
from modelzoo.viz.weights import shown_part

_FORMULAS = {
    "identity": ("$h(z) = z$", "$h'(z) = 1$"),
    "logistic": (r"$\sigma(z) = 1/(1+e^{-z})$", r"$\sigma(z)\,(1 - \sigma(z))$"),
    "tanh": (r"$\tanh z$", r"$1 - \tanh^2 z$"),
    "relu": (r"$\max(0, z)$", "$1$ where $z > 0$, else $0$"),
}


def plot_activations() -> Figure:
    """Draw activation functions in the first row and their derivatives in the second, one column an activation."""
    z = np.linspace(-5, 5, 1001)
    figure, axes = style.new_grid(2, len(_FORMULAS), style.roomy(1.25 * style.PAGE_WIDTH, 4.4), sharex=True)
    for column, (name, formulas) in zip(axes.T, _FORMULAS.items(), strict=True):
        functions = (ACTIVATIONS[name].function, ACTIVATIONS[name].derivative)
        looks = zip(column, functions, formulas, (style.BLUE, style.VERMILLION), strict=True)
        for ax, function, formula, color in looks:
            values = function(z)
            # A jump is left open: no vertical stroke where the function has no value in between.
            steep = np.abs(np.diff(values, append=values[-1])) > 0.5
            ax.axhline(0, color=style.muted(), linewidth=0.7)
            ax.axvline(0, color=style.muted(), linewidth=0.7)
            ax.plot(z, np.where(steep, np.nan, values), color=color, linewidth=2)
            ax.set_title(formula, fontsize=style.points(10))
            style.open_frame(ax)
            if np.ptp(values) <= 2:  # activations that stay within −1…1 share one scale
                ax.set_ylim(-1.1 if values.min() < -0.5 else -0.1, 1.1)
        place: Any = {"xy": (0.5, 1.17), "xycoords": "axes fraction", "ha": "center"}
        column[0].annotate(name, fontsize=style.points(11), fontweight="bold", **place)
        column[1].set_xlabel("pre-activation $z$")
    axes[0, 0].set_ylabel("activation")
    axes[1, 0].set_ylabel("derivative")
    return figure


# ---------------------------------------------------------------------------------- units over the plane


class UnitGrid(NamedTuple):
    """The activations of a layer's units over a rectangle of the plane.

    Attributes
    ----------
    x1, x2
        Coordinates of the grid's points, shape ``(resolution, resolution)``; ``x1`` grows along rows.
    activations
        Shape ``(resolution, resolution, units)``.
    """

    x1: np.ndarray
    x2: np.ndarray
    activations: np.ndarray


def unit_grid(model: Any, limits: Any, *, layer: str | None = None, resolution: int = 200) -> UnitGrid:
    """Compute the activations of a layer's units on a grid.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points.
    limits
        The rectangle, ``((x1 low, high), (x2 low, high))``.
    layer
        Name of a layer with outputs ``(batch, units)``; the first dense layer by default.
    resolution
        Points along each side, at least 2.
    """
    model = loaded(model)
    check_model(model)
    if layer is None:
        layer = next((each.name for each in model.layers if type(each).__name__ == "Dense"), None)
    units = tapped(model, [layer])
    if len(units.output_shape) != 2:
        raise InputError(f"Units have outputs (batch, units); the layer {layer!r} has {units.output_shape}.")
    x1, x2, points = plane_grid(limits, resolution)
    return UnitGrid(x1, x2, predict(units, points).reshape(*x1.shape, -1))


def tapped(model: Any, layers: Sequence[Any]) -> Any:
    """Return the model that ends at one or several layers of a functional or Sequential model."""
    names = [check_choice("layer", name, [layer.name for layer in model.layers]) for name in layers]
    ends = [model.get_layer(name).output for name in names]
    return keras.Model(model.inputs, ends if len(ends) > 1 else ends[0])


def plot_unit_maps(
    model: Any, data: Any, *, layer: str | None = None, limits: Limits | None = None, columns: int = 4
) -> Figure:
    """Draw one map a unit of its activation over the plane, with the data and, in the first layer, w·x + b = 0.

    Parameters
    ----------
    model
        A Keras model of ``(batch, 2)`` points.
    data
        A data set, whose test part is drawn, or ``(points, labels)``.
    layer
        Name of a layer with outputs ``(batch, units)``; the first dense layer by default.
    limits
        The rectangle to draw, ``((x1 low, high), (x2 low, high))``; that of the data by default.
    columns
        Maps in a row.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes a unit, in rows of ``columns``, and one colour bar.
    """
    model = loaded(model)
    found = points_of(data, model=model)
    box = limits_of(found.x) if limits is None else check_limits(limits)
    grid = unit_grid(model, box, layer=layer)
    units = grid.activations.shape[2]
    columns = min(check_integer("columns", columns), units)
    low, high = float(grid.activations.min()), float(grid.activations.max())
    look: Any = {"cmap": "viridis", "vmin": 0, "vmax": max(high, 1)}
    if low < 0:
        look = {"cmap": style.signed_cmap(), "vmin": -max(-low, high), "vmax": max(-low, high)}
    try:
        lines = unit_lines(model, layer)
    except InputError:  # units deeper in the network do not see the points themselves
        lines = None
    width = 1.25 * style.PAGE_WIDTH * (columns + 0.4) / max(columns + 0.4, 4.4)
    size = (width, width / (columns + 0.4) + 0.15)
    titles = [f"unit {k + 1}" for k in range(units)]
    figure, axes = draw_maps(*grid, titles, "activation of the unit", columns=columns, size=size, **look)
    marker = float(np.clip(3000 / len(found.x), 4, 30))
    for k, ax in enumerate(axes):
        scatter_classes(ax, found, size=marker, edgecolors="white", linewidths=0.25, alpha=0.6)
        ends = None if lines is None else segment_in_box(lines.weights[k], lines.bias[k], box)
        if ends is not None:
            ax.plot(*ends.T, color="white", linewidth=3)
            ax.plot(*ends.T, color="black", linewidth=1.3)
        ax.locator_params(nbins=4)
    return figure


# ------------------------------------------------------------------------------------- maps of an image

# Layers whose outputs show nothing that the layer before does not.
_DULL = {"InputLayer", "Rescaling", "Reshape", "Flatten", "Dropout", "Normalization", "Permute"}


def feature_maps(model: Any, image: Any, layers: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Compute what the layers of a network make of an image, in one call.

    Parameters
    ----------
    model
        A functional or sequential Keras model of images.
    image
        One image as :func:`modelzoo.predict` takes it: an array, a file, or a Pillow image.
    layers
        Names of layers; all that compute something by default.

    Returns
    -------
    dict
        For each layer its maps, shape ``(maps, height, width)``, or its activations, shape ``(units,)``.
    """
    model = loaded(model)
    pixels = image_for(model, image)[None].astype("float32")
    chosen = [layer.name for layer in model.layers if type(layer).__name__ not in _DULL]
    chosen = chosen if layers is None else list(check_names("layers", layers))
    ends = tapped(model, chosen)
    outputs = graph_function(lambda x: ends(x, training=False))(tf.constant(pixels))
    found = {}
    for name, output in zip(chosen, outputs if len(chosen) > 1 else [outputs], strict=True):
        values = tf.cast(output, tf.float32).numpy()[0]
        found[name] = values.transpose(2, 0, 1) if values.ndim == 3 else values[None] if values.ndim == 2 else values
    return found


def plot_feature_maps(model: Any, image: Any) -> Figure:
    """Draw what the layers of a network make of an image, layer by layer, at most 32 maps of each.

    Parameters
    ----------
    model
        A functional or sequential Keras model of images.
    image
        One image as :func:`modelzoo.predict` takes it: an array, a file, or a Pillow image.

    Returns
    -------
    matplotlib.figure.Figure
        The image, then one Axes a layer. Each layer has its own scale, from its smallest to its largest value. The
        units of a dense layer are the cells of one picture, row by row.
    """
    model = loaded(model)
    pixels, count, columns = image_for(model, image), 32, 16
    found = feature_maps(model, pixels)
    canvases, titles, heights = [], [], [1.0]
    for name, maps in found.items():
        if maps.ndim == 1:  # a cell a unit
            canvas = tile(maps[:, None, None], min(len(maps), 8 * columns), gap=0)
            titles.append(f"{name}: {len(maps)} units")
        else:
            canvas = tile(maps[:count], min(columns, len(maps), count), gap=1 + maps.shape[1] // 14)
            part = shown_part(min(count, len(maps)), len(maps))
            titles.append(f"{name}: {part} maps of {maps.shape[1]}×{maps.shape[2]}")
        canvases.append(canvas)
        # A layer takes the height that its shape needs at full width, within reason.
        height = style.PAGE_WIDTH * canvas.shape[0] / canvas.shape[1]
        heights.append(0.22 if len(canvas) == 1 else float(np.clip(height, 0.3, 1.8)))
    size = (style.PAGE_WIDTH, sum(heights) + 0.3 * len(heights))
    figure, axes = plt.subplots(len(heights), 1, figsize=size, height_ratios=heights, layout="constrained")
    show_pixels(axes[0], np.squeeze(pixels))
    axes[0].set_title("image", fontsize=style.points(10))
    cmap = plt.get_cmap("viridis").with_extremes(bad=style.background())
    for ax, maps, canvas, title in zip(axes[1:], found.values(), canvases, titles, strict=True):
        aspect: Any = "auto" if maps.ndim == 1 else "equal"
        ax.imshow(np.ma.masked_invalid(canvas), cmap=cmap, interpolation="nearest", aspect=aspect)
        style.bare(ax)
        if maps.ndim == 1 and canvas.shape[1] <= 20:
            ax.set_xticks(range(canvas.shape[1]))
        ax.set_title(f"{title}, {np.nanmin(canvas):.2g} to {np.nanmax(canvas):.2g}", fontsize=style.points(10))
    return figure


def saliency(model: Any, image: Any, class_index: int | None = None) -> tuple[np.ndarray, int]:
    """Compute the gradient of a class's score with respect to the pixels (Simonyan et al., 2014).

    The score is the logit where the network ends in a softmax or sigmoid, whose own gradient vanishes where the network
    is sure.

    Parameters
    ----------
    model
        A functional or sequential Keras classifier of images.
    image
        One image as :func:`modelzoo.predict` takes it: an array, a file, or a Pillow image.
    class_index
        Which class; the predicted one by default. A model with one output has one score, that of class 1.

    Returns
    -------
    gradient : numpy.ndarray
        Change of the score per grey level, in the shape that the model takes.
    class_index : int
        The class.
    """
    model = loaded(model)
    pixels = tf.constant(image_for(model, image)[None], tf.float32)
    if len(model.output_shape) != 2:
        raise InputError(f"model must be a classifier; {model.name!r} has outputs of shape {model.output_shape[1:]}.")
    scores, classes = logits_model(model) or model, model.output_shape[1]
    with tf.GradientTape() as tape:
        tape.watch(pixels)
        values = scores(pixels, training=False)[0]
        if class_index is None:
            class_index = 1 if classes == 1 else int(tf.argmax(values))
        check_integer("class_index", class_index, 0, max(classes, 2) - 1)
        score = (1 if class_index else -1) * values[0] if classes == 1 else values[class_index]
    return tape.gradient(score, pixels).numpy()[0], class_index


def plot_saliency(model: Any, image: Any, class_index: int | None = None, *, class_names: Sequence[str] = ()) -> Figure:
    """Draw an image beside what the score of its class depends on: the size of the gradient at each pixel.

    Parameters
    ----------
    model
        A functional or sequential Keras classifier of images.
    image
        One image as :func:`modelzoo.predict` takes it: an array, a file, or a Pillow image.
    class_index
        Which class; the predicted one by default.
    class_names
        Names of the classes; the model's by default.

    Returns
    -------
    matplotlib.figure.Figure
        With the image and the map; of several colours, the largest gradient counts.
    """
    model = loaded(model)
    image = image_for(model, image)
    gradient, label = saliency(model, image, class_index)
    names = check_names("class_names", class_names) or names_of(model)
    size, pixels = np.abs(gradient), image.astype(float)
    size, outline = (size.max(axis=2), pixels.mean(axis=2)) if size.ndim == 3 else (size, pixels)
    figure, axes = style.new_grid(1, 2, style.roomy(6.2, 2.9), layout="compressed")
    plot_image(image, "image", ax=axes[0, 0])
    drawn = axes[0, 1].imshow(size, cmap="magma", interpolation="nearest")
    if np.ptp(outline):  # where the ink is
        axes[0, 1].contour(outline, levels=[(outline.min() + outline.max()) / 2], colors="white", linewidths=1)
    style.bare(axes[0, 1]).set_title(f"saliency of class {names[label]}")
    bar = figure.colorbar(drawn, ax=axes[0, 1], label="|change of the score\nper grey level|")
    bar.ax.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    return figure
