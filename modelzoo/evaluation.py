"""What a model gets right: predictions, metrics over whole data sets, calibration, robustness and cost."""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from modelzoo import datasets, reference
from modelzoo._checks import check_choice, check_integer, check_path
from modelzoo._keras import inference_function, keras, tf
from modelzoo.card import artifact_name
from modelzoo.classes import class_names
from modelzoo.datasets import CORRUPTIONS
from modelzoo.datasets.checks import as_array, check_samples
from modelzoo.errors import DataError, InputError
from modelzoo.network import read_network
from modelzoo.numpy_runtime import Runtime, UnknownLayerError, load_runtime
from modelzoo.recipe import Recipe
from modelzoo.registry import base_recipe, card_for, spec_of
from modelzoo.saving import load
from modelzoo.training import compute_metrics
from modelzoo.training.data import check_model, training_data, warn_of_other_pixels

logger = logging.getLogger(__name__)

#: Samples a call of a model takes at once in :func:`predict`, so that memory stays bounded.
PREDICTION_BATCH = 1000

#: A digit found in a picture whose best class has a smaller probability may be none.
DOUBTFUL_SCORE = 0.6

#: Bins of the calibration error, as in Guo et al. (2017).
BINS = 15


def predict(
    model: keras.Model | Runtime | str | os.PathLike[str],
    samples: Any,
    *,
    prepare: Literal["digit", "resize"] | None = None,
) -> np.ndarray:
    """Return a model's outputs for samples.

    A live model computes them in a compiled function that is kept with it; a network named here runs in NumPy, without
    TensorFlow, where :mod:`modelzoo.numpy_runtime` knows all its layers. Each call with a name compares every file with
    the card's hashes and reads the weights; :func:`modelzoo.numpy_runtime.load_runtime` does so once for many calls.

    Parameters
    ----------
    model
        Any Keras model with one input and one output, the name of a pretrained one, the directory of an artifact, or
        what :func:`modelzoo.numpy_runtime.load_runtime` returned.
    samples
        Raw 0–255 images, or points: an array of shape ``(n, …)`` as the model takes them, or one sample without the
        batch axis; a last axis of length 1 may be there or not. Or image files, ``.csv`` tables and Pillow images, one
        or several: each image is a sample, and each row of a table.
    prepare
        How image files and Pillow images become samples: ``"digit"`` (:func:`modelzoo.datasets.load_digit_image`) or
        ``"resize"`` (scaled to the model's height and width, nothing else). By default as the training data were.

    Returns
    -------
    numpy.ndarray
        The outputs in float32, shape ``(n, …)``; n is 1 for one sample.

    Raises
    ------
    ArtifactError
        A file of the artifact is missing or was altered.

    Examples
    --------
    >>> import modelzoo
    >>> modelzoo.predict("logistic_perceptron", [0.5, -1.0]).shape
    (1, 1)
    """
    model = ready(model)
    samples = as_batch(model, samples, prepare=prepare)
    if isinstance(model, Runtime):
        return model(samples)
    function = inference_function(model)
    parts = [samples[i : i + PREDICTION_BATCH] for i in range(0, len(samples), PREDICTION_BATCH)]
    return np.concatenate([tf.cast(function(tf.constant(part, tf.float32)), tf.float32).numpy() for part in parts])


def ready(model: Any) -> Any:
    """Return what computes outputs: a live model itself, or the artifact that is named, if possible in NumPy."""
    if not isinstance(model, str | os.PathLike):
        return model
    try:
        return load_runtime(model)
    except UnknownLayerError as error:
        logger.info("%s So Keras loads %s.", error, model)
        return load(model)


def loaded(model: Any) -> Any:
    """Return a model in Keras: itself, or of a name, a directory, or an artifact that NumPy runs."""
    source = card_for(model).artifact if isinstance(model, Runtime) else model
    return load(source) if isinstance(source, str | os.PathLike) else source


def as_batch(model: Any, samples: Any, *, prepare: str | None = None) -> np.ndarray:
    """Return samples in any form that :func:`predict` takes as one batch for ``model``."""
    check_model(model)
    if isinstance(samples, datasets.Dataset | datasets.Stream | datasets.StoredSamples):
        raise InputError(
            f"samples must be arrays or files; got a {type(samples).__name__}. Give one of its parts: data.x_test, or "
            "stream.test[:1000][0]."
        )
    items = samples if isinstance(samples, list | tuple) and len(samples) else [samples]
    if all(isinstance(item, str | os.PathLike) or hasattr(item, "getbands") for item in items):
        batch = np.concatenate([_read(item, model, prepare) for item in items])
    else:
        batch = _fitting(as_array(samples, "samples"), tuple(model.input_shape[1:]))
    check_samples(batch, model=model, where="samples")
    warn_of_other_pixels(batch, model, "samples")
    return batch


def _fitting(x: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return samples of a shape as a batch: with a batch axis, and with or without a last axis of length 1."""
    forms = [x, x[..., None] if shape[-1:] == (1,) else x[..., 0] if x.shape[-1:] == (1,) else x]
    fitting = (form for each in forms for form in (each, each[None]) if form.shape[1:] == shape)
    return next(fitting, x[None] if x.ndim == len(shape) else x)


def _read(item: Any, model: keras.Model, prepare: str | None) -> np.ndarray:
    """Return an image, or the rows of a table, as a batch."""
    shape = tuple(model.input_shape[1:])
    if isinstance(item, str | os.PathLike):
        item = check_path(item, "an image or a table")
        if item.is_dir():
            raise InputError(f"{item} is a folder. Give its images, or measure folders of classes: evaluate --data.")
        if item.suffix.lower() == ".csv":
            return datasets.read_csv(item, shape=shape)
    if len(shape) not in (2, 3) or shape[2:] not in ((), (1,), (3,)):
        raise InputError(f"{model.name!r} takes samples of shape {shape}, not images. Give arrays, or a .csv table.")
    prepare = prepare or card_for(model).preparation
    if prepare is None:
        raise InputError(
            f"How an image file becomes a sample of {model.name!r} is not known. Say prepare='digit' or 'resize', or "
            "give pixels: datasets.load_digit_image(path) finds the digit and centres it, white on black as in MNIST; "
            f"datasets.read_image(path, size={shape[:2]}) scales the whole picture."
        )
    if check_choice("prepare", prepare, ("digit", "resize")) == "resize":
        return _fitting(datasets.read_image(item, size=shape[:2], grayscale=shape[2:] != (3,)), shape)
    if shape not in ((28, 28), (28, 28, 1)):
        raise InputError(f"prepare='digit' makes images of 28×28; {model.name!r} takes {shape}. Say prepare='resize'.")
    return _fitting(datasets.load_digit_image(item), shape)


def digits_of(model: Any, item: Any, *, prepare: str | None = None) -> datasets.DigitImages | None:
    """Return the digits of a picture for a model whose images are prepared as digits; ``None`` for all else.

    Parameters
    ----------
    model
        As for :func:`predict`, but not a name.
    item
        Anything; an image file or a Pillow image can hold digits.
    prepare
        As for :func:`predict`.
    """
    if isinstance(item, str | os.PathLike):
        is_picture = not (os.path.isdir(item) or str(item).lower().endswith(".csv"))
    else:
        is_picture = hasattr(item, "getbands")
    prepared = (prepare or card_for(model).preparation) == "digit" and tuple(model.input_shape[1:3]) == (28, 28)
    return datasets.load_digit_images(item) if is_picture and prepared else None


def doubts(digits: datasets.DigitImages, probabilities: np.ndarray) -> list[str]:
    """Return for each digit of a picture why it may be none, or several that touch; an empty text without doubt."""
    return [
        "wide: several that touch?" if wide else "unsure: not one digit?" if score < DOUBTFUL_SCORE else ""
        for wide, score in zip(digits.wide, probabilities.max(axis=1), strict=True)
    ]


def text_of(digits: datasets.DigitImages, names: Sequence[str]) -> str:
    """Return the class names of a picture's digits as text, its lines apart."""
    gap = "" if all(len(name) == 1 for name in names) else " "
    lines = [
        [n for n, line in zip(names, digits.lines, strict=True) if line == k] for k in range(digits.lines.max() + 1)
    ]
    return " / ".join(map(gap.join, lines))


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
    logits = network.gives_logits and (recipe or recipe_of(model)).loss.endswith("crossentropy")
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
        return reference.softmax(logits)
    if rows.shape[1] == 1:
        rows = np.column_stack([1 - rows, rows])
    sums = rows.sum(axis=1)
    # By bfloat16, or each to a multiple of 1/256 by LiteRT's int8.
    rounded = min(max(1e-2, rows.shape[1] / 512), 5e-2)
    if rows.min() < -1e-4 or rows.max() > 1 + 1e-2 or np.abs(sums - 1).max() > rounded:
        worst = int(np.abs(sums - 1).argmax())
        raise DataError(
            f"Probabilities must lie between 0 and 1 and sum to 1; got {rows.min():.3g} to {rows.max():.3g}, and row "
            f"{worst} sums to {sums[worst]:.3g}. If they are logits, say from_logits=True."
        )
    return rows


def report_by_class(counts: np.ndarray, names: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    """Return precision, recall, F1 and number of samples of each class, as scikit-learn's report has them.

    Parameters
    ----------
    counts
        What :func:`count_confusions` returned.
    names
        One name a class. What a class without samples or predictions leaves undefined is ``None``.
    """
    right, samples, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    rows = {}
    for name, hit, own, taken in zip(names, right.tolist(), samples.tolist(), predicted.tolist(), strict=True):
        shares = {"precision": (hit, taken), "recall": (hit, own), "f1": (2 * hit, own + taken)}
        rows[name] = {key: part / whole if whole else None for key, (part, whole) in shares.items()} | {"samples": own}
    return rows


def count_confusions(truth: Any, classes: Any, count: int) -> np.ndarray:
    """Return how often each true class, a row, was taken for each class, a column: scikit-learn's confusion matrix."""
    return np.bincount(np.asarray(truth, np.int64) * count + classes, minlength=count * count).reshape(count, count)


def mcnemar_test(first: np.ndarray, second: np.ndarray) -> tuple[tuple[int, int], float]:
    """Compare which samples two classifiers get right; return how many each alone does, and the exact p-value."""
    only = int((first & ~second).sum()), int((second & ~first).sum())
    # Both tails of the binomial distribution at ½.
    tail = sum(math.comb(sum(only), k) for k in range(min(only) + 1))
    return only, min(1.0, 2 * tail / 2 ** sum(only))


#: The losses that are computed in NumPy, of logits or outputs and labels or targets.
_LOSSES: dict[str, Callable[[Any, Any], float]] = {
    "binary_crossentropy": reference.sigmoid_cross_entropy,
    "categorical_crossentropy": reference.softmax_cross_entropy,
    "mean_squared_error": reference.mean_squared_error,
    "sparse_categorical_crossentropy": reference.softmax_cross_entropy,
    "sum_of_squares": reference.sum_of_squares,
}


def score(
    model: Any, samples: Any, recipe: Recipe, *, classes: bool = False
) -> tuple[dict[str, float], Prediction | None]:
    """Return loss and metrics over all samples and, if ``classes``, what a classifier makes of each.

    An artifact is computed in NumPy, in one pass, where the loss is known here and the samples are no
    ``tf.data.Dataset``; Keras does the rest.

    Parameters
    ----------
    model
        A live model, or an artifact that is ready in NumPy.
    samples
        One part of data, as :func:`part_of` returns it.
    recipe
        Names the loss.
    classes
        Return a prediction; the samples must be arrays.
    """
    if isinstance(model, Runtime) and isinstance(samples, tuple | datasets.StoredSamples):
        crossentropy, width = recipe.loss.endswith("crossentropy"), model.output_shape[1:]
        computed, flat = model.logits if crossentropy else model, len(width) == 1
        fits = model.output_shape == model.input_shape if recipe.reconstruct else flat
        if crossentropy:
            fits = fits and flat and (recipe.loss == "binary_crossentropy") == (width == (1,))
        if computed is not None and fits and recipe.loss in _LOSSES and (flat or recipe.loss != "sum_of_squares"):
            metrics, outputs = _score_in_numpy(computed, samples, recipe, keep=classes)
            if classes and crossentropy:
                probabilities = probabilities_of(np.concatenate(outputs), from_logits=True)
                return metrics, Prediction(probabilities.argmax(axis=1), probabilities)
            return metrics, interpret(model, np.concatenate(outputs), recipe=recipe) if classes else None
    if isinstance(model, Runtime):
        logger.info("The loss %r of %s is computed by Keras.", recipe.loss, model.name)
        model = loaded(model)
    metrics = compute_metrics(model, samples, recipe)
    return metrics, interpret(model, predict(model, samples[0]), recipe=recipe) if classes else None


def _score_in_numpy(
    computed: Runtime, samples: Any, recipe: Recipe, *, keep: bool
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Return loss and metrics over all samples, and the outputs by batches if they are to be kept."""
    stored = isinstance(samples, datasets.StoredSamples)
    count = len(samples if stored else samples[0])
    total, right, outputs = 0.0, 0, []
    crossentropy, summed = recipe.loss.endswith("crossentropy"), recipe.loss == "sum_of_squares"
    threshold = 0.0 if crossentropy else 0.5
    for i in range(0, count, PREDICTION_BATCH):
        x, y = samples[i : i + PREDICTION_BATCH] if stored else (part[i : i + PREDICTION_BATCH] for part in samples)
        found = computed(x)
        if recipe.reconstruct:
            target = np.asarray(x, np.float32) / np.float32(255)
        else:
            one = found.shape[1] == 1
            right += int(((found[:, 0] > threshold if one else found.argmax(axis=1)) == y).sum())
            target = y[:, np.newaxis] if one else y if crossentropy else datasets.one_hot(y, found.shape[1])
        if keep:
            outputs.append(found)
        total += _LOSSES[recipe.loss](found, target) * (1 if summed else len(x))
    metrics = {"loss": total if summed else total / count}
    return metrics if recipe.reconstruct else metrics | {"accuracy": right / count}, outputs


def evaluate(
    model: keras.Model | str | os.PathLike[str],
    data: Any = None,
    *,
    split: Literal["test", "validation", "train", "all"] = "test",
    recipe: Recipe | None = None,
) -> dict[str, float]:
    """Return the loss and the metrics of a model over a whole data set, in inference mode and float32.

    Parameters
    ----------
    model
        A live model, which Keras computes, or the name of a pretrained one or the directory of an artifact, as for
        :func:`predict`.
    data
        As for :func:`modelzoo.train`; the data set it was trained on by default.
    split
        Which part of the data, or all of them. Data in one part need none: they are evaluated as they are.
    recipe
        Names the loss; by default that of the model's last training, or its lesson recipe.

    Returns
    -------
    dict
        ``loss``, and ``accuracy`` for classifiers; every sample counts once.
    """
    model = ready(model)
    recipe = recipe or recipe_of(model)
    return score(model, part_of(model, data, split, reconstruct=recipe.reconstruct), recipe)[0]


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
        ``classes``
            For each class of a classifier ``precision``, ``recall``, ``f1`` and ``samples``, see
            :func:`report_by_class`.
        ``confusion_matrix``
            How often each class was taken for each: a list for each true class, a number in it for each predicted one.
        ``corruptions``
            For each corruption the share of wrong predictions, 0–1, or the mean squared difference between the
            reconstruction of the corrupted image and the clean one, both on the scale of 0–1. Not of scaled images.
        ``num_params``, ``multiply_adds``
            Numbers of parameters, and of multiplications with additions a sample, see
            :attr:`modelzoo.network.Network.multiply_adds`; ``None`` with layers of a kind that is not counted.
    """
    model = ready(model)
    recipe, network = recipe_of(model), read_network(model)
    x, y = samples = part_of(model, data, "test", reconstruct=recipe.reconstruct, arrays=True)
    scores, found = score(model, samples, recipe, classes=not recipe.reconstruct)
    result: dict[str, Any] = {f"test_{name}": value for name, value in scores.items()}
    if found is not None:
        p, right = found.probabilities, found.classes == y
        result["calibration_error"] = None if p is None else reliability(right, p.max(axis=1)).calibration_error
        names = class_names(model)
        counts = count_confusions(y, found.classes, len(names))
        result |= {"classes": report_by_class(counts, names), "confusion_matrix": counts.tolist()}
    scaled = x.dtype.kind == "f" and (x.min() < 0 or x.max() <= 1)
    if corruptions and len(network.input.output_shape) == 2 and not scaled:  # images
        errors = result["corruptions"] = {}
        for name, corrupt in CORRUPTIONS.items():
            outputs = predict(model, corrupt(x))
            if recipe.reconstruct:
                error = np.mean(np.square(outputs - x / np.float32(255)), dtype=np.float64)
            else:
                error = np.mean(interpret(model, outputs, recipe=recipe).classes != y)
            errors[name] = float(error)
    result |= {"num_params": network.num_params, "multiply_adds": None}
    with contextlib.suppress(InputError):  # layers of a kind that is not counted
        result["multiply_adds"] = network.multiply_adds
    return result


def part_of(model: keras.Model, data: Any, split: str, *, reconstruct: bool = False, arrays: bool = False) -> Any:
    """Return one part of data as the trainer takes it, with labels numbered as the model's outputs.

    Parameters
    ----------
    model
        The model that will see them.
    data
        As for :func:`modelzoo.train`; ``None`` is the data set the model was trained on.
    split
        Which part, or ``"all"``; data in one part are taken as they are.
    reconstruct
        The samples are their own target, and need no labels.
    arrays
        Refuse what is not in memory.
    """
    check_choice("split", split, ("test", "validation", "train", "all"))
    own = data is None
    hold_out = recipe_of(model).validation_size if own and split != "test" else 0
    data = own_data(model) if own else data
    given = training_data(data, None, model, reconstruct=reconstruct, hold_out=hold_out, evaluating=True)
    parts = {part: found for part in ("train", "validation", "test") if (found := getattr(given, part)) is not None}
    samples = parts.get(split)
    if len(parts) == 1 and (split == "all" or (split == "test" and not own)):
        (samples,) = parts.values()
    elif split == "all" and all(isinstance(part, tuple) for part in parts.values()):
        samples = tuple(np.concatenate(arrays) for arrays in zip(*parts.values(), strict=True))
    elif samples is None:
        what = "several parts that are not in memory" if split == "all" else f"no {split} part"
        raise InputError(f"{given.facts['name']} has {what}. Choose one of its parts: {', '.join(parts)}.")
    if arrays and not isinstance(samples, tuple):
        raise InputError("The samples must be arrays; got a stream or a tf.data.Dataset. Give a Dataset or (x, y).")
    return samples


def recipe_of(model: keras.Model) -> Recipe:
    """Return the recipe a zoo model was trained with, or its lesson recipe."""
    card = card_for(model)
    if card.training:
        return Recipe.from_dict(card.training["recipe"])
    return base_recipe(model)


def own_data(model: keras.Model) -> datasets.Dataset:
    """Return the data set a model was trained on, or is declared for.

    It is loaded by the name, or from the place, and with the options in the model's card, and compared with the
    checksum there.

    Raises
    ------
    InputError
        The model was trained on other data, which only the caller can give.
    """
    card, spec = card_for(model), spec_of(model)
    used: Mapping[str, Any] = (card.training or {}).get("dataset", {})
    name = artifact_name(card.artifact) if card.artifact else card.name
    place, options = spec.dataset if spec else None, recipe_of(model).data_options
    if "options" in used:  # a data set or a folder, not arrays
        place = used["name"] if used["name"] in datasets.list_datasets() else used.get("source")
        options = used["options"]
    if place is None:
        raise InputError(f"Nothing says which data {name} is for. Say which: data=…, or --data.")
    data = _load_same(place, options, used.get("checksum"))
    if data is None or used.get("name") == "tf.data":
        raise InputError(
            f"{name} was trained on {used.get('name')!r}, which is not what is found as {place!r} now. Say where it "
            f"is: data=…, or add --data {place}."
        )
    return data


def own_options(model: keras.Model, place: str) -> dict[str, Any] | None:
    """Return the options with which a model or a parent of it was trained on the data of a name or path, if it was.

    A file or folder is what the model was trained on if it has the same path, name or checksum.
    """
    options = [_options_of(used, place) for used in _data_of_lineage(model)]
    found = [known for known in options if known is not None]
    whole = (known for known in found if known.get("test_fraction") == 0)  # then no part is a test
    return next(whole, found[0] if found else None)


def own_folder(model: keras.Model) -> Mapping[str, Any] | None:
    """Return what a card says of a folder that a model or a parent of it was trained on, if there is one."""
    named = datasets.list_datasets()
    found = (used for used in _data_of_lineage(model) if "options" in used and used["name"] not in named)
    return next((used for used in found if used.get("source") and not Path(used["source"]).suffix), None)


def _data_of_lineage(model: keras.Model) -> Iterator[Mapping[str, Any]]:
    """Give what the cards of a model and of its parents say of their training data."""
    card = card_for(model)
    training: Any = {"dataset": (card.training or {}).get("dataset"), "parent": card.parent}
    while training:
        used = training.get("dataset") or {}
        yield used
        if extra := used.get("options", {}).get("extra"):  # a data set whose samples were all added
            yield {"name": extra, "options": {"test_fraction": 0}}
        training = training.get("parent")


def _options_of(used: Mapping[str, Any], place: str) -> dict[str, Any] | None:
    """Return the options with which one training loaded the data of a name or path, or ``None`` if it used others."""
    named = datasets.list_datasets()
    if "options" not in used:
        return None
    if place in named:
        return dict(used["options"]) if used["name"] == place else None
    path, known = Path(place).resolve(), datasets.dataset_options(place)
    options = {option: value for option, value in used["options"].items() if option in known}
    if used["name"] == (path.stem if path.is_file() else path.name) or path == Path(used.get("source") or "").resolve():
        return options
    if used["name"] in named or "test_fraction" not in known:
        return None
    renamed = _load_same(place, options, used.get("checksum"))  # or copied
    return None if renamed is None else options


def _load_same(place: str, options: Mapping[str, Any], checksum: str | None) -> datasets.Dataset | None:
    """Return the data of a name or path if they have a checksum, in memory or as a stream (which has another)."""
    try:
        data = datasets.load(place, **options)
    except InputError:
        if place in datasets.list_datasets():
            raise
        return None
    if checksum in (None, data.checksum):
        return data
    with contextlib.suppress(InputError):
        if datasets.stream(place, **options).checksum == checksum:
            return data
    return None


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


def reliability(correct: Any, confidence: Any, *, bins: int = BINS) -> Reliability:
    """Sort predictions into bins by their confidence (Guo et al. 2017).

    Parameters
    ----------
    correct
        Whether the prediction is right, shape ``(n,)``.
    confidence
        Probability of the predicted class, 0–1, shape ``(n,)``.
    bins
        Number of bins from 0 to 1.
    """
    check_integer("bins", bins)
    p, right = np.asarray(confidence, float), np.asarray(correct, float)
    if p.shape != right.shape or p.ndim != 1 or not p.size:
        raise DataError(f"correct and confidence must be of one shape (n,); got {right.shape} and {p.shape}.")
    if not (p.min() >= 0 and p.max() <= 1 + 1e-2):  # rounding of float32 or bfloat16 may lie above
        raise DataError(f"confidence must lie between 0 and 1; got {p.min():.3g} to {p.max():.3g}.")
    edges = np.linspace(0, 1, bins + 1)
    # Only the inner edges: a confidence a rounding error above 1 belongs to the last bin.
    place = np.digitize(p, edges[1:-1], right=True)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin is the NaN it should be
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (p, right)]
    return Reliability(edges, means[0], means[1], count)
