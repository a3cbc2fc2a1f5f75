"""What a user may hand to ``train`` and ``evaluate``, brought into one form and checked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelzoo._keras import keras, tf
from modelzoo.datasets import (
    Dataset,
    StoredSamples,
    Stream,
    as_array,
    check_arrays,
    check_labels,
    check_samples,
    stratified_split,
)
from modelzoo.datasets.checks import check_several_classes
from modelzoo.errors import DataError, InputError

Pair = tuple[np.ndarray, np.ndarray]

logger = logging.getLogger(__name__)

_INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
_NUMBERS = (*_INTEGERS, "bool", "float16", "bfloat16", "float32", "float64")


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """Training data with optional test data, and what a card says of them.

    Attributes
    ----------
    train
        Samples and labels in arrays, on disk, or a ``tf.data.Dataset`` of batches.
    test
        The same for the test data, or ``None``.
    facts
        Name, checksum, sizes, source and licence, as far as known.
    held_out
        Whether ``test`` is validation data: held out, or given as ``validation_data``.
    class_names
        Names of the classes, empty when not known.
    """

    train: Pair | StoredSamples | tf.data.Dataset
    test: Pair | StoredSamples | tf.data.Dataset | None
    facts: Mapping[str, Any]
    class_names: tuple[str, ...] = ()
    held_out: bool = False

    @property
    def evaluated(self) -> str:
        """Prefix of the metrics taken on ``test``: ``"val"`` for validation data, ``"test"`` for test data."""
        return "val" if self.held_out else "test"

    def hold_out(self, num_samples: int) -> TrainingData:
        """Return these data with samples of the training set, the same in every run, in the place of the test data.

        Raises
        ------
        InputError
            The data are a ``tf.data.Dataset``, or hold too few samples.
        DataError
            The parts would not hold every class.
        """
        if not isinstance(self.train, tuple | StoredSamples):
            raise InputError(
                f"validation_size={num_samples} cannot be held out of a tf.data.Dataset. Give validation_data, or a "
                "recipe with validation_size=0."
            )
        labels = self.train[1] if isinstance(self.train, tuple) else self.train.labels
        split = stratified_split(labels, num_samples, seed=0, where="validation_size")
        train, test = (_selected(self.train, indices) for indices in split)
        facts = {name: value for name, value in self.facts.items() if name != "num_test"}
        facts |= {"num_train": len(split[0]), "num_validation": len(split[1])}
        return dataclasses.replace(self, train=train, test=test, facts=facts, held_out=True)


def training_data(
    data: Any, validation_data: Any, model: keras.Model, *, reconstruct: bool, single_class: bool = False
) -> TrainingData:
    """Bring training data into one form and check it against the model.

    Parameters
    ----------
    data
        A :class:`modelzoo.datasets.Dataset` or :class:`modelzoo.datasets.Stream`, ``((x_train, y_train), (x_test,
        y_test))``, ``(x, y)``, or a ``tf.data.Dataset`` of (samples, labels) batches; to reconstruct, an array of
        samples will do.
    validation_data
        Validation data, evaluated instead of the test part of ``data``: ``(x, y)``, stored samples or a
        ``tf.data.Dataset``.
    model
        The model that will see the data.
    reconstruct
        The target is the input, so that one class is enough, and arrays need no labels.
    single_class
        One class is enough all the same.

    Raises
    ------
    InputError
        ``data`` is none of these.
    DataError
        Shapes, values or labels do not fit the model.
    """
    check_model(model)
    class_names: tuple[str, ...] = ()
    facts: dict[str, Any] = {}
    train: Any
    test: Any = None
    arrays: Pair | None = None
    if isinstance(data, Dataset | Stream):
        train, test = data.train, data.test
        class_names = data.class_names
        facts = {"name": data.name, "checksum": data.checksum, "source": data.source, "license": data.license}
        facts["options"] = dict(data.options)
    elif isinstance(data, StoredSamples):
        raise InputError("These are stored samples without a test part. Give the stream that they are of.")
    elif isinstance(data, tf.data.Dataset):
        train = data
        facts = {"name": "tf.data"}
    else:
        if reconstruct and isinstance(data, np.ndarray):
            data = (data, np.zeros(len(data), np.int64))
        train, test = _pairs(data)
        arrays, facts = train, {"name": "arrays"}
    if validation_data is not None:
        stays = isinstance(validation_data, StoredSamples | tf.data.Dataset)
        test = validation_data if stays else _pair(validation_data)
    train = _checked(train, model, "training data", single_class=reconstruct or single_class)
    where = "test data" if validation_data is None else "validation data"
    test = test if test is None else _checked(test, model, where, single_class=True)
    if arrays is not None:
        facts["checksum"] = _checksum(arrays)
    for part, pair in (("num_train", train), ("num_test" if validation_data is None else "num_validation", test)):
        if isinstance(pair, tuple | StoredSamples):
            facts[part] = len(pair[0] if isinstance(pair, tuple) else pair)
    try:
        json.dumps([facts, class_names], allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise DataError(
            f"name, class_names, source, license and options of the data are not ready for a card: {error}. Give text, "
            "and numbers or lists as options."
        ) from None
    return TrainingData(train, test, facts, class_names, held_out=validation_data is not None)


def check_model(model: Any) -> None:
    """Refuse what is no Keras model with one input and one output.

    Raises
    ------
    InputError
        It is none.
    """
    if not isinstance(model, keras.Model):
        raise InputError(
            f"model must be a Keras model; received {type(model).__name__}. Write train(model, data), with a model "
            "from modelzoo.create_model or modelzoo.load."
        )
    inputs, outputs = (len(getattr(model, ends, None) or ()) for ends in ("inputs", "outputs"))  # absent before a build
    if (inputs, outputs) != (1, 1):
        raise InputError(
            f"{model.name!r} must have one input and one output; it has {inputs} and {outputs}. Give a model with one "
            "keras.Input."
        )


def check_fits(x: Any, y: Any, model: keras.Model, where: str, *, single_class: bool = True) -> None:
    """Refuse samples or labels that the model cannot take.

    Parameters
    ----------
    x, y
        Samples, and labels or ``None``.
    model
        The model.
    where
        What the arrays are, for the error.
    single_class
        Accept labels that are all the same.

    Raises
    ------
    DataError
        With one line that names the value, what was allowed and the next step.
    """
    if np.ndim(x) == 1 and np.ndim(y) > 1:
        raise DataError(
            f"{where}: samples have shape {np.shape(x)}, labels {np.shape(y)}. Are they swapped? Give (x, y)."
        )
    _check_shape(tuple(getattr(x, "shape", (0,)))[1:], model, where)
    if y is None:
        check_samples(x, where=where)
    else:
        check_arrays(x, y, num_classes=classes_of(model), where=where, allow_single_class=single_class)


def _check_shape(given: tuple[int, ...], model: keras.Model, where: str) -> None:
    wanted = tuple(model.input_shape[1:])
    if len(given) and given != wanted:
        raise DataError(
            f"{where}: samples have shape {given}, but {model.name!r} takes {wanted}. "
            "Reshape the data, or build the model for this shape."
        )


def _selected(part: Pair | StoredSamples, indices: np.ndarray) -> Pair | StoredSamples:
    if isinstance(part, StoredSamples):
        return part.select(indices)
    x, y = part
    return x[indices], y[indices]


def warn_of_scaled_pixels(x: np.ndarray, model: keras.Model, where: str) -> None:
    """Log a warning where a model that divides by 255 itself gets pixels that are no 0–255: it sees black, or glare.

    Parameters
    ----------
    x
        Samples that :func:`check_fits` accepts.
    model
        The model.
    where
        What the samples are.
    """
    low, high = x.min(), x.max()
    if (low >= 0 and 1 < high <= 255) or low == high:
        return
    if any(isinstance(layer, keras.layers.Rescaling) and np.isclose(layer.scale, 1 / 255) for layer in model.layers):
        logger.warning(
            "%s: pixels from %.3g to %.3g, but %r takes raw pixels of 0 to 255 and scales them itself. Undo the "
            "scaling (x * 255, say).",
            where,
            low,
            high,
            model.name,
        )


def classes_of(model: keras.Model) -> int | None:
    """Return how many classes labels may name, or ``None`` where the output is an image like the input."""
    shape = tuple(model.output_shape[1:])
    if shape == tuple(model.input_shape[1:]) and len(shape) > 1:
        return None
    return max(int(np.prod(shape)), 2)


def _checked(pair: Any, model: keras.Model, where: str, *, single_class: bool) -> Any:
    if isinstance(pair, tuple):
        x, y = pair
        check_fits(x, y, model, where, single_class=single_class)
        warn_of_scaled_pixels(x, model, where)
        return x, y if y.ndim == 1 else y.argmax(axis=1)
    if isinstance(pair, StoredSamples):
        _check_shape(pair.shape, model, where)
        check_labels(pair.labels, num_classes=classes_of(model), where=where)
        if not single_class:
            check_several_classes(pair.labels, where=where)
        return pair
    spec = pair.element_spec
    if not (isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(part, tf.TensorSpec) for part in spec)):
        raise InputError(
            f"{where}: a tf.data.Dataset must yield (samples, labels) batches; its elements are {spec!s:.200}. Map it "
            "to pairs of dense tensors and call .batch(batch_size)."
        )
    samples, labels = spec
    if samples.shape.rank is None or labels.shape.rank is None:
        raise InputError(
            f"{where}: the tf.data.Dataset does not say the shape of its batches. Map it through tf.ensure_shape(x, "
            f"{tuple(model.input_shape)})."
        )
    if samples.dtype.name not in _NUMBERS or labels.dtype.name not in (
        _NUMBERS if labels.shape.rank == 2 else _INTEGERS
    ):
        raise DataError(
            f"{where}: batches are of {samples.dtype.name} with labels of {labels.dtype.name}. Give real numbers, with "
            "integer labels 0, 1, 2, ..."
        )
    if tuple(samples.shape[1:]) != tuple(model.input_shape[1:]):
        raise DataError(
            f"{where}: batches have shape {tuple(samples.shape)}, but {model.name!r} takes {tuple(model.input_shape)}. "
            "Map the tf.data.Dataset to that shape, and batch it."
        )
    classes = classes_of(model)
    if classes and labels.shape.rank == 2 and labels.shape[1] not in (None, classes):
        raise DataError(f"{where}: one-hot labels are {labels.shape[1]} wide, but there are {classes} classes.")
    if int(pair.cardinality()) == tf.data.INFINITE_CARDINALITY and where != "training data":
        raise InputError(f"{where}: the tf.data.Dataset never ends. Leave .repeat() out, or end it with .take(n).")
    return pair


def _pairs(data: Any) -> tuple[Pair, Pair | None]:
    try:
        first, second = data
    except (TypeError, ValueError):
        raise InputError(
            f"data of type {type(data).__name__} is not usable. Give a modelzoo Dataset, (x, y), "
            "((x_train, y_train), (x_test, y_test)) or a tf.data.Dataset."
        ) from None
    if isinstance(first, tuple | list) and len(first) == 2 and np.ndim(first[0]) > 1:  # not two samples in a list
        return _pair(first), _pair(second)
    return _pair(data), None


def _pair(data: Any) -> Pair:
    try:
        x, y = data
        if isinstance(x, tuple) or isinstance(data, Dataset):
            raise TypeError
    except (TypeError, ValueError):
        raise InputError(
            f"Expected one pair (samples, labels); received {type(data).__name__}. Of a Dataset give .test."
        ) from None
    return as_array(x, "samples"), as_array(y, "labels")


def _checksum(pair: Pair) -> str:
    digest = hashlib.sha256()
    for array in pair:
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
