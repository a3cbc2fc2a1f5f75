"""What a model gets right: predictions, metrics over whole data sets, calibration, robustness and cost."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from modelzoo import datasets
from modelzoo._checks import check_choice, check_integer
from modelzoo._keras import inference_function, keras, tf
from modelzoo.datasets import CORRUPTIONS
from modelzoo.errors import DataError, InputError
from modelzoo.network import read_network
from modelzoo.recipe import Recipe
from modelzoo.registry import base_recipe, card_for, spec_of
from modelzoo.saving import load
from modelzoo.training import check_fits, check_model, compute_metrics, training_data, warn_of_scaled_pixels

#: Samples a call of a model takes at once in :func:`predict`, so that memory stays bounded.
PREDICTION_BATCH = 1000

#: Bins of the calibration error, as in Guo et al. (2017).
BINS = 15


def predict(model: keras.Model, samples: Any) -> np.ndarray:
    """Return a model's outputs for samples, through a compiled function that is kept with the model.

    Parameters
    ----------
    model
        Any Keras model with one input and one output.
    samples
        Array of shape ``(n, …)`` as the model takes them: raw 0–255 images, or points.

    Returns
    -------
    numpy.ndarray
        The outputs, shape ``(n, …)``.
    """
    check_model(model)
    if isinstance(samples, datasets.Stream | datasets.StoredSamples):
        raise InputError("samples must be arrays; got a stream. Read some at a time: stream.test[:1000][0].")
    samples = datasets.as_array(samples, "samples")
    check_fits(samples, None, model, "samples")
    warn_of_scaled_pixels(samples, model, "samples")
    function = inference_function(model)
    parts = [samples[i : i + PREDICTION_BATCH] for i in range(0, len(samples), PREDICTION_BATCH)]
    return np.concatenate([function(tf.constant(part, tf.float32)).numpy() for part in parts])


class Prediction(NamedTuple):
    """What a classifier's outputs mean.

    Attributes
    ----------
    classes
        The predicted class of each sample, shape ``(n,)``.
    probabilities
        The probability of each class, shape ``(n, num_classes)``; ``None`` for outputs that are decisions, as a
        threshold unit's.
    """

    classes: np.ndarray
    probabilities: np.ndarray | None


def interpret(model: keras.Model, outputs: Any, *, recipe: Recipe | None = None) -> Prediction:
    """Return the classes and the probabilities in a classifier's outputs.

    Parameters
    ----------
    model
        The model that gave them.
    outputs
        Shape ``(n, num_classes)``, or ``(n, 1)`` for class 1 of two.
    recipe
        Its loss tells what linear outputs are: logits with a cross-entropy, decisions with any other. By default that
        of a zoo model; linear outputs of other models are logits.
    """
    network = read_network(model)
    logits = network.gives_logits
    if logits:
        logits = (recipe or recipe_of(model)).loss.endswith("crossentropy")
    if logits or network.gives_probabilities:
        probabilities = probabilities_of(outputs, from_logits=logits)
        return Prediction(probabilities.argmax(axis=1), probabilities)
    outputs = np.asarray(outputs)
    return Prediction(outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int), None)


def probabilities_of(outputs: Any, *, from_logits: bool = False) -> np.ndarray:
    """Return probabilities or logits as probabilities, one column a class.

    Parameters
    ----------
    outputs
        Shape ``(n, num_classes)``; ``(n,)`` or ``(n, 1)`` is the probability or the logit of class 1 of two.
    from_logits
        The outputs are logits.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, num_classes)``, float64, at least two columns.

    Raises
    ------
    DataError
        The outputs are not finite numbers of such a shape, or not probabilities.
    """
    rows = np.asarray(outputs)
    if rows.dtype.kind not in "biuf" or rows.ndim not in (1, 2) or rows.size == 0:
        raise DataError(
            f"The outputs of a classifier must be numbers of shape (n, num_classes) or (n, 1); got {rows.dtype} "
            f"of shape {rows.shape}."
        )
    rows = rows.astype(np.float64).reshape(len(rows), -1)
    if not np.isfinite(rows).all():
        raise DataError("The outputs of a classifier must be finite; got NaN or infinite values.")
    if from_logits:
        logits = np.column_stack([np.zeros(len(rows)), rows]) if rows.shape[1] == 1 else rows
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if rows.shape[1] == 1:
        rows = np.column_stack([1 - rows, rows])
    sums = rows.sum(axis=1)
    if rows.min() < -1e-4 or rows.max() > 1 + 1e-2 or np.abs(sums - 1).max() > 1e-2:  # bfloat16 rounds so much
        worst = int(np.abs(sums - 1).argmax())
        raise DataError(
            f"Probabilities must lie between 0 and 1 and sum to 1; got {rows.min():.3g} to {rows.max():.3g}, and row "
            f"{worst} sums to {sums[worst]:.3g}. If they are logits, say from_logits=True."
        )
    return rows


def evaluate(
    model: keras.Model | str | os.PathLike[str],
    data: Any = None,
    *,
    split: Literal["test", "validation", "train"] = "test",
    recipe: Recipe | None = None,
) -> dict[str, float]:
    """Return the loss and the metrics of a model over a whole data set, in inference mode and float32.

    Parameters
    ----------
    model
        A model, the name of a pretrained one, or the directory of an artifact.
    data
        As for :func:`modelzoo.train`; the data set it was trained on by default.
    split
        Which part of the data; data in one part are evaluated as they are.
    recipe
        Names the loss; by default that of the model's last training, or its lesson recipe.

    Returns
    -------
    dict
        ``loss``, and ``accuracy`` for classifiers; every sample counts once.
    """
    check_choice("split", split, ("test", "validation", "train"))
    model, recipe, samples = _resolved(model, data, recipe, split)
    return compute_metrics(model, samples, recipe)


def measure(
    model: keras.Model | str | os.PathLike[str], data: Any = None, *, corruptions: bool = True
) -> dict[str, Any]:
    """Return what a zoo model does on test data, and what it costs.

    Parameters
    ----------
    model
        A model, the name of a pretrained one, or the directory of an artifact.
    data
        A :class:`modelzoo.datasets.Dataset`, ``((x_train, y_train), (x_test, y_test))`` or ``(x, y)``; the data set
        the model was trained on by default. Data in two parts are measured on their test part.
    corruptions
        Measure an image model on :data:`modelzoo.datasets.CORRUPTIONS` too.

    Returns
    -------
    dict
        ``test_loss``
            The loss of the model's last training, or of its lesson recipe.
        ``test_accuracy``
            0–1, of classifiers.
        ``calibration_error``
            0–1, see :attr:`Reliability.calibration_error`, of classifiers; ``None`` for decisions, which claim no
            probability.
        ``corruptions``
            For each corruption the share of wrong predictions, 0–1, or the mean squared difference between the
            reconstruction of the corrupted image and the clean one, both on the scale of 0–1. Image models only.
        ``num_params``, ``multiply_adds``
            Numbers of parameters, and of multiplications with additions a sample, see
            :attr:`modelzoo.network.Network.multiply_adds`.
    """
    model, recipe, samples = _resolved(model, data, None, "test")
    if not isinstance(samples, tuple):
        raise InputError("measure needs arrays; got a stream or a tf.data.Dataset. Give a modelzoo Dataset or (x, y).")
    x, y = samples
    network = read_network(model)
    scores = compute_metrics(model, samples, recipe)
    result: dict[str, Any] = {f"test_{name}": value for name, value in scores.items()}
    if not recipe.reconstruct:
        classes, p = interpret(model, predict(model, x), recipe=recipe)
        result["calibration_error"] = None if p is None else reliability(p.max(axis=1), classes == y).calibration_error
    if corruptions and len(network.input.output_shape) == 2:  # images
        errors = result["corruptions"] = {}
        for name, corrupt in CORRUPTIONS.items():
            outputs = predict(model, corrupt(x))
            if recipe.reconstruct:
                error = np.mean(np.square(outputs - x / np.float32(255)), dtype=np.float64)
            else:
                error = np.mean(interpret(model, outputs, recipe=recipe).classes != y)
            errors[name] = float(error)
    return {**result, "num_params": network.num_params, "multiply_adds": network.multiply_adds}


def _resolved(model: Any, data: Any, recipe: Recipe | None, split: str) -> tuple[keras.Model, Recipe, Any]:
    """Return a live model, the recipe that names its loss, and one part of the data."""
    model = model if isinstance(model, keras.Model) else load(model)
    recipe = recipe or recipe_of(model)
    data = own_data(model) if data is None else data
    given = training_data(data, None, model, reconstruct=recipe.reconstruct, single_class=True)
    samples = getattr(given, split)
    if samples is None and split == "validation":
        raise InputError("The data must have a validation part; data.hold_out() makes one of training samples.")
    if samples is None and given.validation is not None:
        raise InputError(f"{given.facts['name']} has no test part. Say split='validation' or split='train'.")
    return model, recipe, given.train if samples is None else samples


def recipe_of(model: keras.Model) -> Recipe:
    """Return the recipe a zoo model was trained with, or its lesson recipe."""
    card = card_for(model)
    if card.training:
        return Recipe.from_dict(card.training["recipe"])
    return base_recipe(model)


def own_data(model: keras.Model) -> datasets.Dataset:
    """Return the data set a zoo model was trained on, or is declared for.

    It is loaded by the name and the options in the model's card and compared with the checksum there.

    Raises
    ------
    InputError
        The model was trained on other data, which only the caller can give.
    """
    card, spec = card_for(model), spec_of(model)
    name, options = None if spec is None else spec.dataset, recipe_of(model).data_options
    trained_on = (card.training or {}).get("dataset", {})
    if "options" in trained_on and trained_on.get("name") in datasets.list_datasets():
        name, options = trained_on["name"], trained_on["options"]
    if name is None:
        raise InputError(f"Nothing says which data {card.name!r} is for. Say what to evaluate on (data=…, or --data).")
    data = datasets.load(name, **options)
    if trained_on.get("checksum", data.checksum) != data.checksum or trained_on.get("name") == "tf.data":
        raise InputError(
            f"{card.name} was trained on {trained_on.get('name')!r}, which is not {data.name!r} as its card says to "
            "load it. Say what to evaluate on (data=…, or --data)."
        )
    return data


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy in bins of equal width, what a reliability diagram shows.

    Attributes
    ----------
    edges
        Limits of the bins from 0 to 1, shape ``(bins + 1,)``; a bin holds its upper limit.
    confidence, accuracy
        Mean probability of the predicted class and share of right predictions, 0–1, shape ``(bins,)``; NaN in an
        empty bin.
    count
        Number of samples in each bin, shape ``(bins,)``.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0–1: the gap between confidence and accuracy, averaged (equation 3)."""
        used = self.count > 0
        gaps = np.abs(self.confidence[used] - self.accuracy[used])
        return float(np.average(gaps, weights=self.count[used]))


def reliability(confidence: Any, correct: Any, *, bins: int = BINS) -> Reliability:
    """Sort predictions into bins by their confidence (Guo et al. 2017).

    Parameters
    ----------
    confidence
        Probability of the predicted class, 0–1, shape ``(n,)``.
    correct
        Whether the prediction is right, shape ``(n,)``.
    bins
        Number of bins from 0 to 1.
    """
    check_integer("bins", bins)
    p, right = np.asarray(confidence, float), np.asarray(correct, float)
    if p.shape != right.shape or p.ndim != 1 or not p.size:
        raise DataError(f"confidence and correct must be of one shape (n,); got {p.shape} and {right.shape}.")
    if not (p.min() >= 0 and p.max() <= 1 + 1e-2):  # rounding of float32 or bfloat16 may lie above
        raise DataError(f"confidence must lie between 0 and 1; got {p.min():.3g} to {p.max():.3g}.")
    edges = np.linspace(0, 1, bins + 1)
    # Only the inner edges: a confidence a rounding error above 1 belongs to the last bin.
    place = np.digitize(p, edges[1:-1], right=True)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin is the NaN it should be
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (p, right)]
    return Reliability(edges, means[0], means[1], count)
