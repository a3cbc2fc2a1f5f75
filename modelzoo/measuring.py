"""What is worth knowing of a trained model beside its accuracy: calibration, robustness and cost."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from modelzoo.calibration import BINS, Reliability, reliability
from modelzoo.datasets import CORRUPTIONS, check_labels
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import evaluate, own_data, predict, recipe_of
from modelzoo.frameworks import keras
from modelzoo.saving import load
from modelzoo.spec import Recipe
from modelzoo.training import training_data


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
