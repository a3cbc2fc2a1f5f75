"""What a model gets right: predictions, metrics over whole data sets, calibration, robustness and cost."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from modelzoo import datasets
from modelzoo._keras import inference_function, keras, tf
from modelzoo.datasets import CORRUPTIONS, check_labels
from modelzoo.errors import DataError, InputError, unknown_name
from modelzoo.recipe import Recipe
from modelzoo.registry import get_spec, origin_of
from modelzoo.saving import load
from modelzoo.training import check_fits, check_model, compute_metrics, training_data, warn_of_scaled_pixels

#: Samples a call of a model takes at once in :func:`predict`, so that memory stays bounded.
PREDICTION_BATCH = 1000


def recipe_of(model: keras.Model) -> Recipe:
    """Return the recipe a zoo model was trained with, or its lesson recipe."""
    origin = origin_of(model)
    if origin.training:
        return Recipe.from_dict(origin.training["recipe"])
    return get_spec(origin.name).recipe("lesson")


def own_data(model: keras.Model) -> datasets.Dataset:
    """Return the data set a zoo model was trained on, or is declared for.

    It is loaded by the name and the options in the model's card and compared with the checksum there.

    Raises
    ------
    InputError
        It was trained on other data, which only the caller can give.
    """
    origin = origin_of(model)
    name, options = get_spec(origin.name).dataset, recipe_of(model).data_options
    trained_on = (origin.training or {}).get("dataset", {})
    if "options" in trained_on and trained_on.get("name") in datasets.list_datasets():
        name, options = trained_on["name"], trained_on["options"]
    data = datasets.load(name, **options)
    if trained_on.get("checksum", data.checksum) != data.checksum or trained_on.get("name") == "tf.data":
        raise InputError(
            f"{origin.name} was trained on {trained_on.get('name')!r}, which is not {data.name!r} as its card says to "
            "load it. Say what to evaluate on (data=…, or --data)."
        )
    return data


def evaluate(
    model: keras.Model | str | os.PathLike[str],
    data: Any = None,
    *,
    split: Literal["test", "train"] = "test",
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
        Which part of the data, where they have two.
    recipe
        Names the loss; that of the model's last training, or its lesson recipe, by default.

    Returns
    -------
    dict
        ``loss``, and ``accuracy`` for classifiers; every sample counts once.

    Raises
    ------
    InputError
        An argument is not usable, or the model was trained on data that only the caller can give.
    DataError
        The data do not fit the model.
    ArtifactError
        The artifact is incomplete or altered.
    """
    if split not in ("test", "train"):
        raise unknown_name("split", split, ("test", "train"))
    if not isinstance(model, keras.Model):
        model = load(model)
    recipe = recipe or recipe_of(model)
    data = own_data(model) if data is None else data
    given = training_data(data, None, model, reconstruct=recipe.reconstruct, single_class=True)
    return compute_metrics(model, given.train if split == "train" or given.test is None else given.test, recipe)


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

    Raises
    ------
    DataError
        The samples do not fit the model.
    InputError
        They are a stream.
    """
    check_model(model)
    if isinstance(samples, datasets.Stream | datasets.StoredSamples):
        raise InputError("predict needs arrays; received a stream. Read some samples at a time: stream.test[:1000][0].")
    samples = datasets.as_array(samples, "samples")
    check_fits(samples, None, model, "samples")
    warn_of_scaled_pixels(samples, model, "samples")
    function = inference_function(model)
    parts = [samples[i : i + PREDICTION_BATCH] for i in range(0, len(samples), PREDICTION_BATCH)]
    return np.concatenate([function(tf.constant(part, tf.float32)).numpy() for part in parts])


#: Bins of the calibration error, as Guo et al. (2017) have them.
BINS = 15

#: Of a diagram that anyone could read; more would only cost memory.
MAX_BINS = 10_000


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

    Raises
    ------
    DataError
        The two do not fit together, or a confidence is outside 0–1.
    InputError
        ``bins`` is no integer from 1 to ``MAX_BINS``.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or not 1 <= bins <= MAX_BINS:
        raise InputError(f"bins={bins!r:.80} is not usable. Give an integer from 1 to {MAX_BINS}.")
    try:
        p, right = np.asarray(confidence, float), np.asarray(correct, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"Confidence and answers must be numbers: {error}.") from None
    if p.shape != right.shape or p.ndim != 1 or not p.size:
        raise DataError(f"Expected one confidence and one answer a sample; received {p.shape} and {right.shape}.")
    if not (p.min() >= 0 and p.max() <= 1 + 1e-2):  # rounding of float32 or bfloat16 may lie above
        raise DataError(f"Confidence lies between 0 and 1; received {p.min():.3g} to {p.max():.3g}.")
    edges = np.linspace(0, 1, bins + 1)
    # Only the inner edges: a confidence a rounding error above 1 belongs to the last bin.
    place = np.digitize(p, edges[1:-1], right=True)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin is the NaN it should be
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (p, right)]
    return Reliability(edges, means[0], means[1], count)


def measure(
    model: keras.Model | str | os.PathLike[str],
    data: Any = None,
    *,
    corruptions: bool = True,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Return what a zoo model does on test data, and what it costs.

    Parameters
    ----------
    model
        A model, the name of a pretrained one, or the directory of an artifact.
    data
        A :class:`modelzoo.datasets.Dataset`, ``((x_train, y_train), (x_test, y_test))`` or ``(x, y)``; the data set
        the model was trained on by default. The test part is used where there is one.
    corruptions
        Measure an image model on :data:`modelzoo.datasets.CORRUPTIONS` too.
    progress
        Called with the name of each part before it is measured.

    Returns
    -------
    dict
        ``test_loss``
            The loss of the model's last training, or of its lesson recipe.
        ``test_accuracy``
            0–1, of classifiers.
        ``calibration_error``
            0–1, see :func:`expected_calibration_error`, of classifiers. ``None`` where the outputs are decisions, as a
            threshold unit's: they claim no probability that could be compared with how often they are right.
        ``corruptions``
            For each corruption the share of wrong predictions, 0–1, or the mean squared difference between the
            reconstruction of the corrupted image and the clean one, both on the scale of 0–1. Image models only.
        ``num_params``, ``multiply_adds``
            Numbers of parameters, and of multiplications with additions a sample, see :func:`multiply_adds`.

    Raises
    ------
    InputError
        An argument is not usable, or the model was trained on data that only the caller can give.
    DataError
        The data do not fit the model.
    ArtifactError
        The artifact is incomplete or altered.
    """
    if not isinstance(model, keras.Model):
        model = load(model)
    recipe = recipe_of(model)
    data = own_data(model) if data is None else data
    given = training_data(data, None, model, reconstruct=recipe.reconstruct, single_class=True)
    test = given.train if given.test is None else given.test
    if not isinstance(test, tuple):
        raise InputError(
            "measure needs arrays; received a stream or a tf.data.Dataset. Give a modelzoo Dataset or (x, y)."
        )
    x, y = test
    report = progress or (lambda part: None)

    report("test data")
    scores = evaluate(model, data, recipe=recipe)
    result: dict[str, Any] = {f"test_{name}": value for name, value in scores.items()}
    to_probabilities = None if recipe.reconstruct else _to_probabilities(model, recipe)
    if not recipe.reconstruct:
        result["calibration_error"] = (
            expected_calibration_error(to_probabilities(predict(model, x)), y) if to_probabilities else None
        )
    if corruptions and len(model.input_shape) == 3:  # images
        result["corruptions"] = {}
        for name, corrupt in CORRUPTIONS.items():
            report(name)
            outputs = predict(model, corrupt(x))
            if recipe.reconstruct:
                value = np.mean(np.square(outputs - x / np.float32(255)), dtype=np.float64)
            else:
                value = np.mean(_decisions(to_probabilities(outputs) if to_probabilities else outputs) != y)
            result["corruptions"][name] = float(value)
    return {**result, "num_params": int(model.count_params()), "multiply_adds": multiply_adds(model)}


def expected_calibration_error(probabilities: Any, labels: Any, bins: int = BINS) -> float:
    """Return by how much, on average, a classifier's confidence misses its accuracy (Guo et al. 2017, equation 3).

    Predictions are sorted by the probability of the predicted class into bins of equal width; the differences between
    mean probability and share of right predictions are averaged over the samples.

    Parameters
    ----------
    probabilities
        Shape ``(n, classes)``, or the probability of class 1 of two, shape ``(n,)`` or ``(n, 1)``.
    labels
        Integers of shape ``(n,)``, or one-hot rows.
    bins
        Number of bins from 0 to 1.

    Returns
    -------
    float
        From 0, perfectly calibrated, to 1.

    Raises
    ------
    DataError
        The probabilities or labels are none, or do not fit together.
    InputError
        ``bins`` is no integer >= 1.
    """
    return reliability_curve(probabilities, labels, bins).calibration_error


def reliability_curve(probabilities: Any, labels: Any, bins: int = BINS) -> Reliability:
    """Return confidence and accuracy in bins of confidence, what a reliability diagram shows.

    All arguments are as in :func:`expected_calibration_error`.

    Returns
    -------
    Reliability
        Limits, mean confidence, accuracy and number of samples of each bin.

    Raises
    ------
    DataError
        The probabilities or labels are none, or do not fit together.
    InputError
        ``bins`` is no integer >= 1.
    """
    rows = _checked_probabilities(probabilities)
    classes = check_labels(np.asarray(labels), num_classes=rows.shape[1], where="labels")
    if len(classes) != len(rows):
        raise DataError(f"{len(rows)} rows of probabilities but {len(classes)} labels. Give one label for each row.")
    return reliability(rows.max(axis=1), rows.argmax(axis=1) == classes, bins=bins)


def multiply_adds(model: keras.Model) -> int:
    """Return the number of multiply-adds a model needs for one sample.

    Products of weights and inputs in dense and convolutional layers are counted, one multiplication and one addition
    each, also where a convolution's padding makes them 0. Biases, activations, pools and normalisation are not, nor
    are operations between tensors without weights.

    Parameters
    ----------
    model
        A functional or sequential model, possibly of models; each use of a shared layer counts.

    Returns
    -------
    int
        Half of what is often given as FLOPs.

    Raises
    ------
    InputError
        The model is not a built functional or sequential one, or has a layer with weights of another kind.
    """
    graph = getattr(model, "_functional", None) or model  # a Sequential model keeps its graph there
    if not hasattr(graph, "_nodes_by_depth"):
        raise InputError(
            f"The layers of {model.name!r} are not known as a graph. Give a functional model, or build it first."
        )
    return sum(
        _multiply_adds_of(node.operation, node.outputs[0].shape)
        for nodes in graph._nodes_by_depth.values()
        for node in nodes
    )


def _multiply_adds_of(layer: Any, output_shape: tuple[Any, ...]) -> int:
    if isinstance(layer, keras.Model):
        return multiply_adds(layer)
    counted = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    free = (keras.layers.BatchNormalization, keras.layers.LayerNormalization)
    if isinstance(layer, counted):
        if None in output_shape[1:]:
            raise InputError(
                f"The layer {layer.name!r} has outputs of no fixed shape {output_shape}. Build it with one."
            )
        # Each output is a sum over all axes of the kernel but its last, whose place says which output it is.
        return math.prod(output_shape[1:]) * math.prod(layer.kernel.shape[:-1])
    if getattr(layer, "weights", ()) and not isinstance(layer, free):
        raise InputError(
            f"The layer {layer.name!r} is a {type(layer).__name__}, whose multiply-adds are not known here. "
            "Dense and convolutional layers are."
        )
    return 0


def _checked_probabilities(probabilities: Any) -> np.ndarray:
    """Return probabilities as float64 rows, one column a class."""
    rows = np.asarray(probabilities)
    if rows.dtype.kind not in "biuf" or rows.ndim not in (1, 2) or rows.size == 0:
        raise DataError(
            f"probabilities: shape {rows.shape}, dtype {rows.dtype}. Give numbers of shape (n, classes) or (n,)."
        )
    rows = rows.astype(np.float64).reshape(len(rows), -1)
    # Rounding of float32 or bfloat16 may lie on either side.
    if not (np.isfinite(rows).all() and rows.min() >= 0 and rows.max() <= 1 + 1e-2):
        raise DataError(
            f"probabilities lie between {rows.min():g} and {rows.max():g}. Give 0 to 1; apply softmax or sigmoid first."
        )
    if rows.shape[1] == 1:
        return np.concatenate([1 - rows, rows], axis=1)
    sums = rows.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-2:
        worst = int(np.abs(sums - 1).argmax())
        raise DataError(f"row {worst} of the probabilities sums to {sums[worst]:g}, not 1. Apply softmax first.")
    return rows


def _to_probabilities(model: keras.Model, recipe: Recipe) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return what makes probabilities of a classifier's outputs, or ``None`` where nothing does."""
    from scipy import special

    last = model.layers[-1]
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    if isinstance(last, keras.layers.Softmax):
        activation = "softmax"
    if activation == ("sigmoid" if model.output_shape[-1] == 1 else "softmax"):
        return lambda outputs: outputs
    if activation != "linear" or not recipe.loss.endswith("crossentropy"):
        return None
    if model.output_shape[-1] == 1:
        return special.expit
    return lambda logits: special.softmax(logits, axis=-1)


def _decisions(outputs: np.ndarray) -> np.ndarray:
    """Return the predicted classes, shape (n,), of probabilities or of a threshold unit's zeros and ones."""
    return outputs.argmax(axis=1) if outputs.shape[1] > 1 else (outputs[:, 0] > 0.5).astype(int)
