"""What an autoencoder makes of images, and the way between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.errors import DataError
from modelzoo.viz import style
from modelzoo.viz.images import show_pixels
from modelzoo.viz.inputs import check_count, images_of, numbers, samples_of
from modelzoo.viz.latent import decode, encode, unit_scale
from modelzoo.viz.outputs import outputs_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_reconstructions(
    model: Any, data: Any, *, count: int = 10, seed: int | None = None, split: str = "test"
) -> Figure:
    """Draw images and, below each, what the autoencoder makes of it.

    Parameters
    ----------
    model
        A Keras model whose output has the shape of its input, or such a function of arrays.
    data
        A data set, or images of shape ``(n, height, width)``.
    count
        How many images at most.
    seed
        Choose the images at random with this seed; the first ones by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.

    Returns
    -------
    matplotlib.figure.Figure
        With two rows of Axes; below each pair its mean squared error, both images on the scale 0–1.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The data are not images, or the outputs have another shape.
    """
    found = samples_of(data, split=split)
    count = min(check_count(count, "count"), len(found.x))
    if seed is None:
        chosen = np.arange(count)
    else:
        chosen = np.random.default_rng(check_count(seed, "seed", 0)).permutation(len(found.x))[:count]
    outputs = outputs_of(model, found.x[chosen])
    if outputs.shape != found.x[chosen].shape:
        raise DataError(
            f"The outputs have shape {outputs.shape[1:]}, the images {found.x.shape[1:]}. Give an autoencoder."
        )
    pairs = [unit_scale(images_of(images).x) for images in (found.x[chosen], outputs)]
    width = max(2.5, min(style.PAGE_WIDTH - 1, 1.1 * count))
    figure, axes = style.new_grid(2, count, (width + 1, 2 * width / count + 0.6), layout="compressed")
    for row, images, name in zip(axes, pairs, ("input", "reconstruction"), strict=True):
        for ax, image in zip(row, images, strict=True):
            show_pixels(ax, image, vmin=0, vmax=1)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, one, other in zip(axes[1], *pairs, strict=True):
        ax.set_xlabel(f"{np.mean((one - other) ** 2):.3f}", fontsize=9)
    figure.supxlabel("mean squared error of the pixels (0–1)", fontsize=9)
    return figure


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

    Raises
    ------
    InputError
        The model has no encoder or decoder, or ``steps`` is not usable.
    DataError
        The samples do not fit.
    """
    ends = [numbers(sample, "sample") for sample in (first, second)]
    if ends[0].shape != ends[1].shape:
        raise DataError(f"The two samples have shapes {ends[0].shape} and {ends[1].shape}. Give two of one kind.")
    alpha = np.linspace(0, 1, check_count(steps, "steps", 2, 1000))[:, None]
    f = encode(model, np.stack(ends))
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

    Raises
    ------
    InputError
        The model has no encoder or decoder, or ``steps`` is not usable.
    DataError
        The images do not fit.
    """
    images = unit_scale(interpolate(model, first, second, steps=steps))
    ends = [unit_scale(np.squeeze(np.asarray(image))) for image in (first, second)]
    figure, axes = style.new_grid(
        1, steps + 2, (style.PAGE_WIDTH, style.PAGE_WIDTH / (steps + 2) + 0.5), layout="compressed"
    )
    alphas = [f"{alpha:.3g}" for alpha in np.linspace(0, 1, steps)]
    for ax, image, title in zip(axes[0], [ends[0], *images, ends[1]], ["$x$", *alphas, "$x'$"], strict=True):
        show_pixels(ax, image, vmin=0, vmax=1)
        ax.set_title(title, fontsize=9, pad=3)
    figure.supxlabel(r"$g\,((1-\alpha)\,f(x) + \alpha\,f(x'))$ for $\alpha$ from 0 to 1", fontsize=10)
    return figure
