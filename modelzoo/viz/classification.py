"""What a classifier makes of its samples: scores, confusions and mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from modelzoo import evaluation
from modelzoo._checks import check_integer, check_names
from modelzoo.classes import class_names as names_of
from modelzoo.datasets import Dataset, DigitImages, read_image
from modelzoo.datasets.checks import as_array
from modelzoo.errors import DataError, InputError
from modelzoo.viz import style
from modelzoo.viz.data import grid_of_images, plot_image, show_pixels
from modelzoo.viz.samples import Samples, image_for, images_of, is_model, labels_of, samples_of


def class_probabilities(model: Any, x: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes, shape ``(n, num_classes)``; a decision counts as certain.

    Parameters
    ----------
    model
        A Keras classifier, or its name or directory; a function from samples to probabilities, ``(n, num_classes)`` or
        ``(n,)`` or ``(n, 1)`` of class 1 of two; or such probabilities.
    x
        The samples, shape ``(n, ...)``.
    """
    if is_model(model):
        model = evaluation.ready(model)
        found = evaluation.interpret(model, evaluation.predict(model, x))
        return np.eye(len(names_of(model)))[found.classes] if found.probabilities is None else found.probabilities
    if isinstance(model, type) or model is None:
        raise InputError(f"model must be a Keras model, a function or probabilities; got {model!r:.80}.")
    rows = evaluation.probabilities_of(model(x) if callable(model) else as_array(model, "probabilities"))
    if len(rows) != len(x):
        raise DataError(f"There must be one row of probabilities a sample; got {rows.shape} for {len(x)} samples.")
    return rows


def scored(truth: Any, predictions: Any, class_names: Sequence[str] = ()) -> tuple[Samples, np.ndarray]:
    """Return labelled samples, with one name a class, and the probabilities of their classes.

    Parameters
    ----------
    truth, predictions
        As for :func:`plot_confusion_matrix`, but predictions are probabilities.
    class_names
        As for :func:`samples_of`.
    """
    if is_model(truth) or callable(truth):
        found = samples_of(predictions, model=truth, class_names=class_names)
        predictions = truth
    else:
        found = _truth(truth, predictions, class_names)
    p = class_probabilities(predictions, found.x)
    return found.named(p.shape[1]), p


def _truth(truth: Any, predictions: Any, class_names: Sequence[str]) -> Samples:
    """Return true labels, with their samples where these are known."""
    try:
        if isinstance(predictions, Dataset | tuple):
            raise DataError(f"the predictions are a {type(predictions).__name__}")
        if isinstance(truth, Dataset | tuple):
            return samples_of(truth, class_names=class_names)
        y = labels_of(truth, class_names)
    except DataError as error:
        raise DataError(
            f"The truth comes first, then the predictions, as in scikit-learn: labels or a data set, then predicted "
            f"labels or probabilities ({error})"
        ) from None
    return Samples(np.empty((len(y), 0)), y, check_names("class_names", class_names))


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
    """
    values = as_array(scores, "scores").astype(float)
    names = check_names("class_names", class_names) or tuple(map(str, range(values.size)))
    if values.ndim != 1 or len(names) != values.size:
        raise DataError(f"Expected one score and one name a class; got {values.shape} and {len(names)} names.")
    if truth is not None:
        check_integer("truth", truth, 0, values.size - 1)
    ax = style.new_axes(ax, style.roomy(4, max(2.8, 0.24 * values.size)))
    colors = [style.TEST_COLOR if truth == i else style.TRAIN_COLOR for i in range(values.size)]
    bars = ax.barh(range(values.size), values, color=colors)
    ax.bar_label(bars, labels=[style.percent(value) if value >= 0.005 else "" for value in values], padding=3)
    ax.set(yticks=range(values.size), yticklabels=names, ylabel="class")
    ax.set(xlim=(0, 1.2), xticks=[0, 0.25, 0.5, 0.75, 1], xlabel="probability")
    ax.invert_yaxis()
    return style.open_frame(ax)


def plot_prediction(model: Any, image: Any, class_names: Sequence[str] = (), *, truth: int | None = None) -> Figure:
    """Draw one image and the scores of its classes beside it ("what am I?"); of several digits boxes and best classes.

    Parameters
    ----------
    model
        A Keras classifier, its name or directory, or a function from a batch of images to probabilities.
    image
        One image as :func:`modelzoo.predict` takes it: an array, a file, or a Pillow image. A file or a Pillow image
        may hold several digits, which :func:`modelzoo.datasets.load_digit_images` finds.
    class_names
        Names of the classes; the model's by default.
    truth
        The true class, whose bar has another colour; of one digit alone.

    Returns
    -------
    matplotlib.figure.Figure
        With the image and the bars, or with the picture of several digits.
    """
    if is_model(model):
        model = evaluation.ready(model)
        digits = evaluation.digits_of(model, image)
        if digits and len(digits.samples) > 1:
            if truth is not None:
                raise InputError(f"truth is for one digit; got {truth!r} for {len(digits.samples)}. Leave it out.")
            return _boxed_digits(model, image, digits, check_names("class_names", class_names) or names_of(model))
    pixels = image_for(model, image)
    scores = class_probabilities(model, pixels[None])[0]
    known = names_of(model) if is_model(model) else tuple(map(str, range(scores.size)))
    names = check_names("class_names", class_names) or known
    figure, axes = style.new_grid(1, 2, style.roomy(6.4, max(2.7, 0.24 * scores.size)), width_ratios=(1, 1.3))
    plot_class_scores(scores, names, truth=truth, ax=axes[0, 1]).set_title(f"I am: {names[int(scores.argmax())]}")
    plot_image(pixels, "What am I?" if truth is None else f"What am I? (truth: {names[truth]})", ax=axes[0, 0])
    return figure


def _boxed_digits(model: Any, picture: Any, digits: DigitImages, names: Sequence[str]) -> Figure:
    """Draw a picture with a box around each digit; its class and probability above, in another colour if doubtful."""
    pixels = read_image(picture, grayscale=False)
    scores = class_probabilities(model, digits.samples)
    margin = (digits.boxes[:, 3] - digits.boxes[:, 1]).max()  # of an empty page no more is shown
    left, top = np.maximum(digits.boxes[:, :2].min(axis=0) - margin, 0)
    right, bottom = np.minimum(digits.boxes[:, 2:].max(axis=0) + margin, pixels.shape[1::-1])
    share = (bottom - top) / (right - left)
    figure, ((ax,),) = style.new_grid(1, 1, (style.PAGE_WIDTH, max(1.2, style.PAGE_WIDTH * min(1.2, share))))
    show_pixels(ax, pixels)
    above: Any = {"textcoords": "offset points", "ha": "center", "va": "bottom", "fontsize": style.points(8)}
    ax.set(xlim=(left - 0.5, right - 0.5), ylim=(bottom - 0.5, top - 0.5))
    for (left, top, right, bottom), row, doubt in zip(
        digits.boxes, scores, evaluation.doubts(digits, scores), strict=True
    ):
        color = style.TEST_COLOR if doubt else style.TRAIN_COLOR
        ax.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=color, linewidth=1.5))
        text = f"{names[row.argmax()]}{'?' if doubt else ''}\n{style.percent(row.max())}"
        ax.annotate(text, ((left + right) / 2, top), (0, 2), color=color, **above)
    ax.set_title(f"I am: {evaluation.text_of(digits, [names[i] for i in scores.argmax(axis=1)])}")
    return figure


def plot_confusion_matrix(
    y_true: Any, y_pred: Any, *, normalize: bool = False, class_names: Sequence[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw how often each class was taken for each other: ``(y_true, y_pred)``, or ``(model, data)``.

    Parameters
    ----------
    y_true
        The true classes: labels, a data set, or ``(x, y)``. Or a classifier, whose data come second: a Keras model, its
        name or directory, or a function from samples to probabilities.
    y_pred
        The predicted classes, as labels or as probabilities: ``(n, num_classes)``, or ``(n, 1)`` of class 1 of two. Or,
        after a classifier, a data set or ``(x, y)``.
    normalize
        Show shares of each true class in per cent instead of numbers of samples.
    class_names
        Names of the classes; those of the model or of the data set by default, and else the labels.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the matrix: true classes downwards, predicted ones to the right; classes without samples are there.
    """
    truth, predicted, names = _compared(y_true, y_pred, check_names("class_names", class_names))
    return draw_confusions(evaluation.count_confusions(truth, predicted, len(names)), names, normalize=normalize, ax=ax)


def draw_confusions(
    counts: np.ndarray, names: Sequence[str], *, normalize: bool = False, ax: Axes | None = None
) -> Axes:
    """Draw counts as :func:`plot_confusion_matrix` does."""
    matrix, classes = counts, len(names)
    if normalize:
        matrix = 100 * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(1.6 + 0.46 * classes, 3.4, style.PAGE_WIDTH))
    ax = style.new_axes(ax, (side + 0.3, side))
    # The colours grow with the square root, or the few mistakes would all look like none.
    norm = PowerNorm(0.5, 0, max(matrix.max(), 1))
    ax.imshow(matrix, cmap=style.fading_cmap(style.BLUE), norm=norm, interpolation="nearest")
    for (i, j), value in np.ndenumerate(matrix) if classes <= 20 else ():
        dark_cell = float(norm(value)) > 0.5 or style.is_dark()
        color = "#FFFFFF" if dark_cell else style.foreground() if value else style.muted()
        text = f"{value:.1f}" if normalize else f"{value:,d}"
        ax.text(j, i, text, ha="center", va="center", color=color, fontsize=style.points(9 if classes <= 10 else 7))
    ax.set(xticks=range(classes), yticks=range(classes), xticklabels=names, yticklabels=names)
    count = counts.sum()
    wrong = count - counts.trace()
    title = f"{wrong:,} of {count:,} wrong, accuracy {1 - wrong / count:.2%}" + (", rows in %" if normalize else "")
    ax.set(xlabel="predicted class", ylabel="true class", title=title)
    if max(map(len, names)) > 3 and classes > 4:
        ax.tick_params(axis="x", rotation=45)
    return ax


def _compared(y_true: Any, y_pred: Any, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Return true and predicted classes as integers, and the name of each class."""
    predicted = None if isinstance(y_pred, Dataset | tuple) else np.asarray(y_pred)
    if is_model(y_true) or callable(y_true) or predicted is None or not _are_labels(predicted):
        found, p = scored(y_true, y_pred, names)
        return found.labels, p.argmax(axis=1), found.class_names
    if isinstance(y_true, Dataset | tuple) or np.ndim(y_true) > 1:
        found = _truth(y_true, y_pred, names)
        truth, names = found.labels, found.class_names
    else:
        truth = as_array(y_true, "y_true")
    if len(truth) != len(predicted):
        raise DataError(f"y_true and y_pred must be of one length; got {len(truth)} and {len(predicted)}.")
    if not names:  # the labels themselves are the names
        values = np.unique(np.concatenate([truth, predicted]))
        return np.searchsorted(values, truth), np.searchsorted(values, predicted), tuple(map(str, values.tolist()))
    return _numbered(truth, names), _numbered(predicted, names), names


def _are_labels(values: np.ndarray) -> bool:
    """Return whether values are labels: texts, or whole numbers of shape ``(n,)``; else they are probabilities."""
    return values.ndim == 1 and (values.dtype.kind in "biuSU" or bool((values == np.floor(values)).all()))


def _numbered(labels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return labels, numbers or names of classes, as numbers."""
    if labels.dtype.kind != "U":
        return labels_of(labels.astype(int), names)
    if unknown := set(labels.tolist()) - set(names):
        raise DataError(f"The label {sorted(unknown)[0]!r} is not a class: {', '.join(names)}.")
    return np.array([names.index(label) for label in labels.tolist()])


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


def mistakes(y_true: Any, y_prob: Any, *, top: int = 3) -> Mistakes:
    """Find the samples a classifier got wrong, the surest mistake first.

    Parameters
    ----------
    y_true
        True classes: integers ``(n,)``, one-hot rows, a data set or ``(x, y)``.
    y_prob
        Probabilities of shape ``(n, num_classes)`` or ``(n, 1)``.
    top
        How many of the best guesses to keep.
    """
    found, p = scored(y_true, y_prob)
    wrong = np.flatnonzero(p.argmax(axis=1) != found.labels)
    wrong = wrong[np.argsort(-p[wrong].max(axis=1), kind="stable")]
    best = np.argsort(-p[wrong], axis=1, kind="stable")[:, : check_integer("top", top)]
    return Mistakes(wrong, found.labels[wrong], best, np.take_along_axis(p[wrong], best, axis=1))


def plot_misclassified(data: Any, y_prob: Any, *, count: int = 12, class_names: Sequence[str] = ()) -> Figure:
    """Draw the images a classifier got wrong, the surest mistake first, with its three best guesses and the truth.

    Parameters
    ----------
    data, y_prob
        A data set or ``(images, labels)``, then probabilities; or a classifier, then its data. As for
        :func:`plot_confusion_matrix`.
    count
        How many images at most.
    class_names
        Names of the classes; those of the model or of the data set by default.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes an image.

    Raises
    ------
    DataError
        The classifier makes no mistake on them.
    """
    found, p = scored(data, y_prob, class_names)
    images, wrong, names = images_of(found.x).x, mistakes(found.labels, p), found.class_names
    if not len(wrong.index):
        raise DataError(f"All {len(p):,} images are classified correctly; the figure needs a mistake.")
    titles = []
    for top, shares, truth in zip(wrong.top, wrong.probabilities, wrong.truth, strict=True):
        guesses = [f"{names[k]}: {style.percent(share)}" for k, share in zip(top, shares, strict=True)]
        titles.append("\n".join([*guesses, f"truth: {names[truth]}"]))
    shown = wrong.index[: check_integer("count", count)]
    figure = grid_of_images(images[shown], titles, 6, fontsize=style.points(8.5))
    title = f"{len(wrong.index):,} of {len(p):,} wrong"
    if len(shown) > 2:  # else there is no room, and little to order
        title += "; the surest mistakes first"
    figure.suptitle(title, fontsize=style.points(11))
    return figure
