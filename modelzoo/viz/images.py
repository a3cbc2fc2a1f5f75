"""Single images and what a classifier makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np

from modelzoo.errors import DataError
from modelzoo.viz.history import TEST_COLOR, TRAIN_COLOR

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_image(image: Any, label: object = None, *, ax: Axes | None = None) -> Axes:
    """Draw one grey-scale image, dark ink on white, with its label as the title.

    Parameters
    ----------
    image
        Array of shape ``(height, width)``; the brightest value is drawn black.
    label
        The title, if any.
    ax
        Where to draw; a new figure by default.

    Raises
    ------
    DataError
        ``image`` is not two-dimensional.
    """
    pixels = np.asarray(image)
    if pixels.ndim != 2:
        raise DataError(f"An image has shape (height, width); received {pixels.shape}. Pass one image of a batch.")
    ax = plt.subplots(figsize=(2.5, 2.5), layout="constrained")[1] if ax is None else ax
    ax.imshow(pixels, cmap="gray_r", interpolation="nearest")
    ax.set(xticks=[], yticks=[])
    if label is not None:
        ax.set_title(str(label))
    return ax


def plot_class_scores(
    scores: Any, class_names: Sequence[str] = (), *, truth: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the scores of one sample, one bar a class ("what am I?").

    Parameters
    ----------
    scores
        Probabilities, shape ``(num_classes,)``.
    class_names
        Names of the classes; their numbers by default.
    truth
        The true class, whose bar has another colour.
    ax
        Where to draw; a new figure by default.

    Raises
    ------
    DataError
        ``scores`` is not one-dimensional, or there is not one name a class.
    """
    values = np.asarray(scores, float)
    names = list(class_names) or [str(i) for i in range(values.size)]
    if values.ndim != 1 or len(names) != values.size:
        raise DataError(f"Expected one score and one name a class; received {values.shape} and {len(names)} names.")
    ax = plt.subplots(figsize=(4, 2.8), layout="constrained")[1] if ax is None else ax
    colors = [TEST_COLOR if truth == i else TRAIN_COLOR for i in range(values.size)]
    bars = ax.barh(range(values.size), values, color=colors)
    ax.bar_label(bars, labels=[f"{value:.1%}" if value >= 0.005 else "" for value in values], padding=3)
    ax.set(yticks=range(values.size), yticklabels=names, xlim=(0, 1.2), xlabel="probability", ylabel="class")
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.invert_yaxis()
    ax.spines[["top", "right"]].set_visible(False)
    return ax
