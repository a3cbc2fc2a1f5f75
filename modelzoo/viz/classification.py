"""What a classifier makes of its samples: scores, confusions and mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.errors import DataError
from modelzoo.viz import style
from modelzoo.viz.images import grid_of_images, plot_image
from modelzoo.viz.inputs import check_count, check_names, images_of, integer_labels, numbers
from modelzoo.viz.outputs import outputs_of, probabilities_of, scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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

    Returns
    -------
    matplotlib.axes.Axes
        With one bar a class.

    Raises
    ------
    DataError
        ``scores`` is not one-dimensional, there is not one name a class, or ``truth`` is none of them.
    """
    values = numbers(scores, "scores").astype(float)
    names = list(check_names(class_names, "class_names")) or [str(i) for i in range(values.size)]
    if values.ndim != 1 or not values.size or len(names) != values.size:
        raise DataError(f"Expected one score and one name a class; received {values.shape} and {len(names)} names.")
    if truth is not None and (truth := integer_labels([truth], 1)[0]) >= values.size:
        raise DataError(f"truth={truth} is no class of these scores. Give the number of one, 0 to {values.size - 1}.")
    ax = style.new_axes(ax, (4, max(2.8, 0.24 * values.size)))
    colors = [style.TEST_COLOR if truth == i else style.TRAIN_COLOR for i in range(values.size)]
    bars = ax.barh(range(values.size), values, color=colors)
    ax.bar_label(bars, labels=[style.percent(value) if value >= 0.005 else "" for value in values], padding=3)
    ax.set(yticks=range(values.size), yticklabels=names, xlim=(0, 1.2), xlabel="probability", ylabel="class")
    ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
    ax.invert_yaxis()
    return style.open_frame(ax)


def plot_prediction(
    model: Any,
    image: Any,
    class_names: Sequence[str] = (),
    *,
    truth: int | None = None,
    from_logits: bool = False,
) -> Figure:
    """Draw one image and the scores of its classes beside it ("what am I?").

    Parameters
    ----------
    model
        A Keras model, or a function of a batch of images.
    image
        Array of shape ``(height, width)`` or with channels, as the model takes it (raw 0–255 for zoo models).
    class_names
        Names of the classes; their numbers by default.
    truth
        The true class, whose bar has another colour.
    from_logits
        The model's outputs are logits, not probabilities.

    Returns
    -------
    matplotlib.figure.Figure
        With the image and the bars.

    Raises
    ------
    InputError
        The model cannot be called.
    DataError
        The image does not fit the model, or its outputs are not probabilities.
    """
    pixels = numbers(image, "image")
    scores = probabilities_of(outputs_of(model, pixels[None]), from_logits=from_logits)[0]
    names = list(check_names(class_names, "class_names")) or [str(i) for i in range(scores.size)]
    figure, axes = style.new_grid(1, 2, (6.4, max(2.7, 0.24 * scores.size)), width_ratios=(1, 1.3))
    plot_class_scores(scores, names, truth=truth, ax=axes[0, 1]).set_title(f"I am: {names[int(scores.argmax())]}")
    plot_image(pixels, "What am I?" if truth is None else f"What am I? (truth: {names[truth]})", ax=axes[0, 0])
    return figure


def plot_confusion_matrix(
    model: Any,
    data: Any,
    *,
    normalize: bool = False,
    class_names: Sequence[str] = (),
    split: str = "test",
    from_logits: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw how often each class was taken for each other.

    Parameters
    ----------
    model
        A Keras model, a function of arrays, or the outputs for the samples: ``(n, num_classes)`` or ``(n, 1)``.
    data
        A data set or ``(x, y)``; in the place of a model with outputs, the labels alone will do.
    normalize
        Show shares of each true class in per cent instead of numbers of samples.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    from_logits
        The outputs are logits, not probabilities.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the matrix: true classes downwards, predicted ones to the right.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        Outputs and labels do not fit together.
    """
    from matplotlib.colors import PowerNorm
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    found, p = scored(model, data, split=split, class_names=class_names, from_logits=from_logits)
    classes = len(found.class_names)
    matrix = confusion_matrix(found.labels, p.argmax(axis=1), labels=range(classes))
    if normalize:
        matrix = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(1.6 + 0.46 * classes, 3.4, style.PAGE_WIDTH))
    ax = style.new_axes(ax, (side + 0.3, side))
    # The colours grow with the square root, or the few mistakes would all look like none.
    display = ConfusionMatrixDisplay(matrix, display_labels=found.class_names).plot(
        ax=ax,
        cmap=style.fading_cmap(style.BLUE),
        colorbar=False,
        include_values=classes <= 20,
        values_format=".1f" if normalize else ",d",
        im_kw={"norm": PowerNorm(0.5, 0, max(matrix.max(), 1))},
        text_kw={"fontsize": 9 if classes <= 10 else 7},
    )
    accuracy = float(np.mean(found.labels == p.argmax(axis=1)))
    wrong = int(np.sum(found.labels != p.argmax(axis=1)))
    for (i, j), text in [] if display.text_ is None else np.ndenumerate(display.text_):
        dark_cell = float(display.im_.norm(matrix[i, j])) > 0.5 or style.is_dark()
        text.set_color("#FFFFFF" if dark_cell else style.foreground() if matrix[i, j] else style.muted())
    ax.set(
        xlabel="predicted class",
        ylabel="true class",
        title=f"{wrong:,} of {len(p):,} wrong, accuracy {accuracy:.2%}" + (", rows in %" if normalize else ""),
    )
    if max(map(len, found.class_names)) > 3 and classes > 4:
        ax.tick_params(axis="x", rotation=45)
    return ax


@dataclass(frozen=True)
class Mistakes:
    """The samples a classifier got wrong, the surest mistake first.

    Attributes
    ----------
    index
        Their places in the data, shape ``(m,)``.
    truth
        Their true classes, shape ``(m,)``.
    top
        The classes with the highest probabilities, highest first, shape ``(m, k)``.
    probabilities
        Those probabilities, 0–1, shape ``(m, k)``.
    """

    index: np.ndarray
    truth: np.ndarray
    top: np.ndarray
    probabilities: np.ndarray


def mistakes(probabilities: Any, labels: Any, *, top: int = 3) -> Mistakes:
    """Find the samples a classifier got wrong, the surest mistake first.

    Parameters
    ----------
    probabilities
        Shape ``(n, num_classes)`` or ``(n, 1)``.
    labels
        True classes, integers ``(n,)`` or one-hot rows.
    top
        How many of the best guesses to keep.

    Raises
    ------
    DataError
        Probabilities and labels do not fit together.
    """
    found, p = scored(probabilities, labels, split="test")
    top = min(check_count(top, "top"), p.shape[1])
    wrong = np.flatnonzero(p.argmax(axis=1) != found.labels)
    wrong = wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")]
    best = np.argsort(-p[wrong], axis=1, kind="stable")[:, :top]
    return Mistakes(wrong, found.labels[wrong], best, np.take_along_axis(p[wrong], best, axis=1))


def plot_misclassified(
    model: Any,
    data: Any,
    *,
    count: int = 12,
    columns: int = 6,
    class_names: Sequence[str] = (),
    split: str = "test",
    from_logits: bool = False,
) -> Figure:
    """Draw the images a classifier got wrong, the surest mistake first, with its three best guesses and the truth.

    Parameters
    ----------
    model
        A Keras model, a function of arrays, or the outputs for the images: ``(n, num_classes)`` or ``(n, 1)``.
    data
        A data set, or ``(images, labels)``.
    count
        How many images at most.
    columns
        Images in a row.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    from_logits
        The outputs are logits, not probabilities.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes an image.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        Outputs, images and labels do not fit together, or the classifier makes no mistake on them.
    """
    found, p = scored(model, data, split=split, class_names=class_names, from_logits=from_logits)
    images = images_of(found.x).x
    wrong = mistakes(p, found.labels)
    if not len(wrong.index):
        raise DataError(f"All {len(p):,} images are classified correctly: there is no mistake to show.")
    count = min(check_count(count, "count"), len(wrong.index))
    names = found.class_names
    titles = [
        "\n".join(f"{names[k]}: {style.percent(share)}" for k, share in zip(*row[:2], strict=True))
        + f"\ntruth: {names[row[2]]}"
        for row in zip(wrong.top[:count], wrong.probabilities[:count], wrong.truth[:count], strict=True)
    ]
    figure = grid_of_images(
        list(images[wrong.index[:count]]), titles, min(check_count(columns, "columns"), count), fontsize=8.5
    )
    figure.suptitle(f"{len(wrong.index):,} of {len(p):,} wrong; the surest mistakes first", fontsize=11)
    return figure
