"""What ``train`` and ``evaluate`` may be given, checked once against the model, and the batches that come of it."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from modelzoo._keras import is_tf_data, keras, tf
from modelzoo.classes import adopted_names, match_labels, num_classes
from modelzoo.datasets import Dataset, StoredSamples, Stream, stratified_split
from modelzoo.datasets.checks import as_array, check_arrays, check_labels, check_shape
from modelzoo.datasets.streaming import shuffled
from modelzoo.errors import DataError, InputError, unknown_name
from modelzoo.network import Network, check_keras_model, read_network
from modelzoo.recipe import Recipe
from modelzoo.registry import card_for

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """The parts of training data, and what a card says of them.

    Attributes
    ----------
    train, validation, test
        Samples and labels as a pair of arrays, ``StoredSamples`` on disk, or a ``tf.data.Dataset`` of batches.
    held_out
        How many samples were moved from the training into the validation part.
    facts
        Name, checksum, sizes, source and licence, as far as known.
    class_names
        Names of the classes of the model that saw these data, which its labels number.
    preparation
        How image files become samples of the model: as the data were prepared, or else as the model says.
    weights
        Weight of each training sample, float32 of shape ``(n,)``, or ``None``.
    """

    train: Any
    validation: Any = None
    test: Any = None
    held_out: int = 0
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    preparation: str | None = None
    weights: np.ndarray | None = None

    @property
    def evaluated(self) -> tuple[str, Any]:
        """What is evaluated while training, with the prefix of its metrics: validation data, or else test data."""
        return ("test", self.test) if self.validation is None else ("val", self.validation)

    @property
    def identity(self) -> str:
        """What tells these training data from others; of a ``tf.data.Dataset`` no more than its form is known."""
        if isinstance(self.train, tf.data.Dataset):
            return f"tf.data of {int(self.train.cardinality())} x {self.train.element_spec}"
        return self.facts["checksum"]

    def total_steps(self, recipe: Recipe) -> int:
        """Return how many steps a recipe makes on the training part."""
        if not isinstance(self.train, tf.data.Dataset):
            return recipe.total_steps(self.facts["num_train"])
        batches = int(self.train.cardinality())
        if recipe.steps is None and batches <= 0:
            raise InputError(
                f"epochs={recipe.epochs} cannot be counted on a tf.data.Dataset of unknown length. Give steps instead."
            )
        return recipe.steps or max(1, round((recipe.epochs or 0) * batches))


def training_data(
    data: Any,
    validation_data: Any,
    model: keras.Model,
    *,
    reconstruct: bool,
    hold_out: int = 0,
    evaluating: bool = False,
    sample_weight: Any = None,
) -> TrainingData:
    """Bring data into one form, check them against the model, and number their labels as the model's outputs.

    Parameters
    ----------
    data
        A :class:`modelzoo.datasets.Dataset` or :class:`modelzoo.datasets.Stream`, ``((x_train, y_train), (x_test,
        y_test))``, ``(x, y)``, or a ``tf.data.Dataset`` of (samples, labels) or (samples, labels, weights) batches; to
        reconstruct, an array of samples will do.
    validation_data
        ``(x, y)``, stored samples or a ``tf.data.Dataset``, in the place of the validation part of ``data``; labels
        mean the same.
    model
        The model that will see the data.
    reconstruct
        The target is the input, so that one class is enough, and arrays need no labels.
    hold_out
        Training samples to move into the validation part, the same in every run, unless the data have such a part.
    evaluating
        Nothing is trained: one class is enough, and data in one part are no training data.
    sample_weight
        Weight of each sample of the training part, which must be an array.
    """
    check_model(model)
    if isinstance(data, str | os.PathLike):
        raise InputError(
            f"data must be loaded: modelzoo.datasets.load({os.fspath(data)!r}); got a {type(data).__name__}."
        )
    names: tuple[str, ...] = ()  # of the classes of the data, where these have any
    preparation = card_for(model).preparation
    facts: dict[str, Any]
    train, test, validation = data, None, validation_data
    if isinstance(data, Dataset | Stream):
        train, test, names = data.train, data.test, data.class_names if data.named and not reconstruct else ()
        preparation = _agreed_preparation(data, preparation)
        validation = data.validation if validation_data is None else validation_data
        facts = {"name": data.name, "checksum": data.checksum, "source": data.source, "license": data.license}
        facts["options"] = dict(data.options)
    elif isinstance(data, StoredSamples):
        raise InputError("data must be a Stream; got its samples alone. Give the stream that they are of.")
    elif is_tf_data(data):
        facts = {"name": "tf.data"}
    else:
        if reconstruct and isinstance(data, np.ndarray):
            data = (data, np.zeros(len(data), np.int64))
        train, test = as_pairs(data)
        facts = {"name": "arrays"}
    if validation is not None and not (isinstance(validation, StoredSamples) or is_tf_data(validation)):
        validation = _pair(validation)
    model_names = adopted_names(model, names)
    alone = evaluating and test is None and validation is None
    places = ("data" if alone else "training data", "test data", "validation data")
    if names and model_names:
        train, test, validation = (
            _matched(part, names, model_names, where)
            for part, where in zip((train, test, validation), places, strict=True)
        )
    train = _checked(train, model, places[0], single_class=reconstruct or evaluating)
    test = None if test is None else _checked(test, model, places[1])
    if isinstance(train, tuple) and "checksum" not in facts:
        facts["checksum"] = _checksum(train)
    weights = None if sample_weight is None else _weights(sample_weight, train)
    if weights is not None:
        facts["sample_weight"] = hashlib.sha256(weights.tobytes()).hexdigest()
    if validation is not None:
        hold_out, validation = 0, _checked(validation, model, places[2])
    elif hold_out:
        train, validation, kept = _split(train, hold_out)
        weights = None if weights is None else weights[kept]
    evaluated, name = (test, "num_test") if validation is None else (validation, "num_validation")
    for size, part in (("num_train", train), (name, evaluated)):
        if isinstance(part, tuple | StoredSamples):
            facts[size] = len(part[0] if isinstance(part, tuple) else part)
    return TrainingData(train, validation, test, hold_out, facts, model_names, preparation, weights)


def _agreed_preparation(data: Dataset | Stream, wanted: str | None) -> str | None:
    """Return how the data were made of image files, or the model's way if they were not; refuse a way nobody chose."""
    given = data.preparation or wanted
    if wanted is not None and given != wanted:
        if given == "resize" and "prepare" not in data.options:
            raise InputError(
                f"{data.name} must be prepared as the pictures the model was trained on, cropped, centred and inverted "
                f"like MNIST's digits. Load its folder with prepare={wanted!r}, or with prepare='resize' to leave the "
                f"pictures as they are; write shards again: write_tfrecord(stream_images(…, prepare={wanted!r}), …)."
            )
        logger.warning("%s: pictures are prepared by %r, the model's were by %r.", data.name, given, wanted)
    return given


def _matched(part: Any, names: Sequence[str], model_names: Sequence[str], where: str) -> Any:
    """Return samples whose labels number ``names`` with the numbers of these names in the model."""
    if isinstance(part, tuple):
        return part[0], match_labels(part[1], names, model_names, where)
    if isinstance(part, StoredSamples):
        return part.relabelled(match_labels(part.labels, names, model_names, where))
    if part is not None and names != model_names[: len(names)]:
        raise InputError(f"{where}: a tf.data.Dataset must number labels as the model does. Give (x, y).")
    return part


def check_model(model: Any) -> None:
    """Refuse anything but a Keras model with one input and one output."""
    if isinstance(getattr(model, "network", None), Network):  # one in NumPy, which needs no Keras
        return
    check_keras_model(model)
    inputs, outputs = (len(getattr(model, ends, None) or ()) for ends in ("inputs", "outputs"))  # absent before a build
    if (inputs, outputs) != (1, 1):
        raise InputError(
            f"{model.name!r} must have one input and one output; it has {inputs} and {outputs}. Give a model with one "
            "keras.Input."
        )


def warn_of_other_pixels(x: np.ndarray, model: keras.Model, where: str) -> None:
    """Log a warning if pixels are not what the model was made for: scaled already, or digits dark on white."""
    low, high = float(x.min()), float(x.max())
    if (low < 0 or not 1 < high <= 255) and low != high and read_network(model).takes_raw_pixels:
        logger.warning(
            "%s: pixels from %.3g to %.3g, but %r takes raw pixels of 0 to 255 and scales them itself. Undo the "
            "scaling (x * 255, say).",
            where,
            low,
            high,
            model.name,
        )
    elif card_for(model).preparation == "digit" and x.mean() > low + 0.6 * (high - low):
        logger.warning(
            "%s: the background is bright, but %r was trained on white digits on black. Invert the images (255 - x).",
            where,
            model.name,
        )


def _is_real(spec: Any) -> bool:
    return spec.dtype.is_floating or spec.dtype.is_integer or spec.dtype.is_bool


def _checked(part: Any, model: keras.Model, where: str, *, single_class: bool = True) -> Any:
    """Return a part with integer labels that the model can take."""
    if is_tf_data(part):
        _check_batches(part, model, where)
        return part
    classes = num_classes(model)
    if isinstance(part, tuple):
        _, y = part = check_arrays(*part, model=model, num_classes=classes, where=where)
    else:
        check_shape(part.shape, model, where=where)
        y = check_labels(part.labels, num_classes=classes, where=where)
    if not single_class and y.min() == y.max():
        raise DataError(f"{where}: every label is {y[0]}. A classifier needs at least two classes; add some.")
    if isinstance(part, tuple):
        warn_of_other_pixels(part[0], model, where)
    return part


def _check_batches(batches: tf.data.Dataset, model: keras.Model, where: str) -> None:
    """Refuse a ``tf.data.Dataset`` whose declared batches the model cannot take."""
    spec = batches.element_spec
    weighted = isinstance(spec, tuple) and len(spec) == 3 and where == "training data"
    if weighted:  # as Keras' fit takes them
        *spec, weights = spec
        if not (isinstance(weights, tf.TensorSpec) and weights.shape.rank == 1 and _is_real(weights)):
            raise DataError(
                f"{where}: sample weights must be one number a sample, shape (batch,); got {weights!s:.80}."
            )
        spec = tuple(spec)
    if not (
        isinstance(spec, tuple) and len(spec) == 2 and all(isinstance(s, tf.TensorSpec) and s.shape.rank for s in spec)
    ):
        raise InputError(
            f"{where}: a tf.data.Dataset must yield (samples, labels) batches; its elements are {spec!s:.200}. Map it "
            f"to pairs of dense tensors, the samples through tf.ensure_shape(x, {tuple(model.input_shape)}), and call "
            ".batch(batch_size)."
        )
    samples, labels = spec
    integers = labels.dtype.is_integer or labels.shape.rank == 2
    if not (integers and all(map(_is_real, spec))):
        raise DataError(
            f"{where}: batches are of {samples.dtype.name} with labels of {labels.dtype.name}. Give real numbers, with "
            "integer labels 0, 1, 2, ..."
        )
    if tuple(samples.shape[1:]) != tuple(model.input_shape[1:]):
        raise DataError(
            f"{where}: batches have shape {tuple(samples.shape)}, but {model.name!r} takes {tuple(model.input_shape)}. "
            "Map the tf.data.Dataset to that shape, and batch it."
        )
    classes = num_classes(model)
    if classes and labels.shape.rank == 2 and labels.shape[1] not in (None, classes):
        raise DataError(f"{where}: one-hot labels are {labels.shape[1]} wide, but there are {classes} classes.")
    if int(batches.cardinality()) == tf.data.INFINITE_CARDINALITY and where != "training data":
        raise InputError(f"{where}: the tf.data.Dataset never ends. Leave .repeat() out, or end it with .take(n).")


def _weights(sample_weight: Any, train: Any) -> np.ndarray:
    """Return the weights of training samples in float32."""
    if not isinstance(train, tuple):
        raise InputError(
            "sample_weight needs training data in arrays; got a stream. Weigh classes: class_weight=…; or give a "
            "tf.data.Dataset of (samples, labels, weights) batches."
        )
    weights = as_array(sample_weight, "sample_weight")
    if weights.shape != (len(train[1]),):
        raise DataError(f"sample_weight must have shape {(len(train[1]),)}, one a sample; got {weights.shape}.")
    if weights.dtype.kind not in "biuf" or not np.isfinite(weights).all() or weights.min() < 0 or not weights.any():
        raise DataError("sample_weight must hold finite numbers of at least 0, one of them above 0.")
    return weights.astype(np.float32)


def _split(train: Any, num_samples: int) -> tuple[Any, Any, np.ndarray]:
    """Return training samples, those that are held out, and the indices of the first."""
    if is_tf_data(train):
        raise InputError(
            f"validation_size={num_samples} cannot be held out of a tf.data.Dataset. Give validation_data, or a recipe "
            "with validation_size=0."
        )
    if isinstance(train, StoredSamples):
        kept, held = stratified_split(train.labels, num_samples, seed=0, where="validation_size")
        return train.select(kept), train.select(held), kept
    x, y = train
    kept, held = stratified_split(y, num_samples, seed=0, where="validation_size")
    return (x[kept], y[kept]), (x[held], y[held]), kept


def as_pairs(data: Any) -> tuple[Any, Any]:
    """Return data in arrays as a pair of samples and labels for training, and one for testing or ``None``."""
    try:
        first, second = data
    except (TypeError, ValueError):
        raise InputError(
            "data must be a modelzoo Dataset or Stream, (x, y), ((x_train, y_train), (x_test, y_test)) or a "
            f"tf.data.Dataset; got {type(data).__name__}."
        ) from None
    if all(isinstance(pair, tuple | list) and len(pair) == 2 and _is_batch(pair[0]) for pair in (first, second)):
        return _pair(first), _pair(second)
    return _pair(data), None


def _is_batch(x: Any) -> bool:
    """Return whether ``x`` may be samples: not a label, nor one sample of a list of two."""
    return as_array(x, "samples").ndim > 1


def _pair(data: Any) -> tuple[Any, Any]:
    try:
        x, y = data
        if isinstance(x, tuple) or isinstance(data, Dataset):
            raise TypeError
    except (TypeError, ValueError):
        raise InputError(
            f"Expected one pair (samples, labels); got {type(data).__name__}. Of a Dataset give .test."
        ) from None
    return x, y


def _checksum(pair: tuple[np.ndarray, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for array in pair:
        digest.update(f"{array.shape} {array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def weigh_classes(recipe: Recipe, given: TrainingData) -> tuple[Recipe, np.ndarray | None]:
    """Return the recipe with its class weights by name, and the weights in the order of the classes, if it has any."""
    if recipe.class_weight is None:
        return recipe, None
    names = given.class_names
    if not names or recipe.reconstruct:
        raise InputError("class_weight is for classifiers. Leave it out.")
    weights = np.ones(len(names))
    if recipe.class_weight == "balanced":
        if isinstance(given.train, tf.data.Dataset):
            raise InputError("class_weight='balanced' counts labels; for a tf.data.Dataset give a mapping.")
        labels = given.train[1] if isinstance(given.train, tuple) else given.train.labels
        present, counts = np.unique(labels, return_counts=True)
        weights[present] = len(labels) / (len(present) * counts)
        return recipe, weights
    by_name = {}
    for key, weight in recipe.class_weight.items():
        name = str(key)
        if name not in names:  # then a number is the position of a class
            if not isinstance(key, int | np.integer) or not 0 <= key < len(names):
                raise unknown_name("class in class_weight", key, names)
            name = names[key]
        if name in by_name:
            raise InputError(f"class_weight must weigh each class once; got two weights for {name!r}. Use class names.")
        by_name[name] = weight
        weights[names.index(name)] = weight
    if not weights.any():
        raise InputError("class_weight must leave at least one class above 0.")
    return recipe.replace(class_weight=by_name), weights


# --- batches


class ArrayBatches:
    """Batches drawn from arrays by a stateless shuffle of (seed, step).

    Sample ``i`` of the endless stream is sample ``i mod n`` of a permutation that depends only on the seed
    and the epoch ``i div n``, so each epoch sees every sample once, and neither an interruption nor the
    number of workers changes the order.

    Parameters
    ----------
    x, y
        Samples and labels; they stay on the device, in their own dtype.
    batch_size
        Samples a step, or ``None`` for all of them, in order.
    seed
        Seed of the order.
    weights
        Weights of the samples, or ``None``.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, batch_size: int | None, seed: int, weights: np.ndarray | None = None
    ) -> None:
        self.num_samples = len(x)
        self.batch_size = None if batch_size is None or batch_size >= len(x) else batch_size
        self._x, self._y = tf.constant(x), tf.constant(y)
        self._weights = None if weights is None else tf.constant(weights)
        self._seed = seed

    def plan(self, first_step: Any, num_steps: int) -> Any:
        """Return what :meth:`batch` needs for ``num_steps`` steps: sample indices, (steps, batch_size)."""
        if self.batch_size is None:
            return tf.zeros((0,), tf.int32)
        position = tf.cast(first_step, tf.int64) * self.batch_size
        position += tf.range(num_steps * self.batch_size, dtype=tf.int64)
        # XLA has no kernel for the shuffle, therefore all indices of a call are drawn ahead of its loop.
        indices = shuffled(position, self.num_samples, self._seed)
        return tf.reshape(tf.cast(indices, tf.int32), (num_steps, self.batch_size))

    def batch(self, plan: Any, index: Any) -> tuple[Any, Any, Any]:
        """Return the samples, labels and weights of one step of a plan."""
        if self.batch_size is None:
            return self._x, self._y, self._weights
        weights = None if self._weights is None else tf.gather(self._weights, plan[index])
        return tf.gather(self._x, plan[index]), tf.gather(self._y, plan[index]), weights


def training_batches(
    given: TrainingData,
    batch_size: int | None,
    seed: int,
    first_step: int,
    own_rows: Callable[[int], slice],
    classes: int | None,
) -> ArrayBatches | tf.data.Dataset:
    """Return the batches of the training part from ``first_step`` on; those of a ``tf.data.Dataset`` never end.

    Parameters
    ----------
    given, batch_size, seed, first_step
        The data, and what decides the order. A ``tf.data.Dataset`` is read again up to ``first_step``, which gives the
        same weights only if it gives the same batches each time: seed its shuffles.
    own_rows
        From the size of a batch to the rows that this process needs; the others of stored samples are not read.
    classes
        How many classes the labels of a ``tf.data.Dataset`` may name, checked as its batches come; ``None`` if the
        samples are their own target.
    """
    train = given.train
    if isinstance(train, tuple):
        return ArrayBatches(train[0], train[1], batch_size, seed, given.weights)
    if is_tf_data(train):
        length = int(train.cardinality())  # asked first: reading a batch moves the seed of a shuffle on
        if length == 0 or (length < 0 and not any(True for _ in train.take(1))):
            raise InputError("training data: the tf.data.Dataset is empty. Give at least one batch.")
        return train.map(lambda *batch: _sound(batch, classes)).repeat().skip(first_step)
    if batch_size is None:
        raise InputError(
            f"batch_size=None takes all {len(train)} samples in each step, which a stream does not hold in memory. "
            "Give a batch_size (--batch-size), or load the data (datasets.load)."
        )
    rows = own_rows(min(batch_size, len(train)))
    return train.batches(batch_size, seed, first_step=first_step, rows=rows)


def _sound(batch: Any, classes: int | None) -> tuple[Any, ...]:
    """Return a batch, or stop at what would pass silently: no samples, NaN, infinity, labels of no class."""
    x, y, *weights = batch
    good = tf.shape(x)[0] > 0
    for part in (y, *weights):
        good &= tf.shape(x)[0] == tf.shape(part)[0]
    for part in (x, *weights):
        if part.dtype.is_floating:
            good &= tf.reduce_all(tf.math.is_finite(part))
    for weight in weights:
        good &= tf.reduce_all(tf.cast(weight, tf.float32) >= 0)
    if classes is not None:
        if y.shape.rank == 2:  # one-hot, for of mixed or several classes the largest would count
            rows = tf.cast(y, tf.float32)
            good &= tf.reduce_all(rows == tf.one_hot(tf.argmax(rows, axis=1), tf.shape(y)[1]))
        else:
            labels = tf.cast(y, tf.int64)
            good &= tf.reduce_all((labels >= 0) & (labels < classes))
    with tf.control_dependencies([tf.debugging.Assert(good, ["a batch is not sound"])]):
        return tuple(map(tf.identity, batch))


def explain_failure(dataset: tf.data.Dataset, model: keras.Model, error: tf.errors.OpError) -> None:
    """Read a ``tf.data.Dataset`` that failed in training again, and raise DataError for what failed."""
    for _ in checked_batches(dataset, model, "training data"):
        pass
    raise DataError(f"training data: the tf.data.Dataset fails: {_reason_of(error):.200}") from error


def _reason_of(error: tf.errors.OpError) -> str:
    """Return the line of a TensorFlow error that tells what was raised."""
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"\w*(Error|Exception): ", line)]
    return (told or lines or [type(error).__name__])[0]


def checked_batches(dataset: tf.data.Dataset, model: keras.Model, where: str) -> Iterator[tuple[Any, ...]]:
    """Give the batches of a ``tf.data.Dataset`` after checking each; an error counts the batches from 0."""
    batches, number = iter(dataset), 0
    while True:
        try:
            x, y, *weights = next(batches)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            reason = _reason_of(error)
            raise DataError(f"{where}: batch {number} of the tf.data.Dataset fails: {reason:.200}") from error
        check_arrays(x, y, model=model, num_classes=num_classes(model), where=f"{where}, batch {number}")
        for weight in weights:
            value = weight.numpy()
            if value.shape != y.shape[:1] or not np.isfinite(value).all() or value.min() < 0:
                raise DataError(
                    f"{where}, batch {number}: sample weights must be finite numbers of at least 0, one each."
                )
        yield x, y, *weights
        number += 1
