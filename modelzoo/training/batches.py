"""Where the loop's batches come from: arrays held on the device, or a ``tf.data.Dataset``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from modelzoo._keras import keras, tf
from modelzoo.datasets.streaming import shuffled
from modelzoo.errors import DataError, InputError
from modelzoo.training.inputs import check_fits

#: Batches that wait for training: a fixed number, so that memory does not depend on what tf.data chooses.
PREFETCHED = 2


class ArrayBatches:
    """Batches drawn from arrays by a stateless shuffle of (seed, step).

    Sample ``i`` of the endless stream is sample ``i mod n`` of a permutation that depends only on the seed
    and the epoch ``i div n``, so each epoch sees every sample once, and neither an interruption nor the
    number of workers changes the order. Without a batch size every batch is the whole set, in order.

    Parameters
    ----------
    x, y
        Samples and labels; they stay on the device, in their own dtype.
    batch_size
        Samples a step, or ``None`` for the full batch.
    seed
        Seed of the order.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int | None, seed: int) -> None:
        self.num_samples = len(x)
        self.batch_size = None if batch_size is None or batch_size >= len(x) else batch_size
        self._x, self._y = tf.constant(x), tf.constant(y)
        self._seed = seed

    @property
    def arrays(self) -> tuple[Any, Any]:
        """The samples and labels as tensors."""
        return self._x, self._y

    def plan(self, first_step: Any, num_steps: int) -> Any:
        """Return what :meth:`batch` needs for ``num_steps`` steps: sample indices, (steps, batch_size)."""
        if self.batch_size is None:
            return tf.zeros((0,), tf.int32)
        position = tf.cast(first_step, tf.int64) * self.batch_size
        position += tf.range(num_steps * self.batch_size, dtype=tf.int64)
        # XLA has no kernel for the shuffle, therefore all indices of a call are drawn ahead of its loop.
        indices = shuffled(position, self.num_samples, self._seed)
        return tf.reshape(tf.cast(indices, tf.int32), (num_steps, self.batch_size))

    def batch(self, plan: Any, index: Any) -> tuple[Any, Any]:
        """Return the samples and labels of one step of a plan."""
        if self.batch_size is None:
            return self._x, self._y
        return tf.gather(self._x, plan[index]), tf.gather(self._y, plan[index])


class StreamBatches:
    """Batches taken as they come from a ``tf.data.Dataset`` of (samples, labels) batches.

    Parameters
    ----------
    dataset
        A batched data set; it is repeated as often as training needs.
    first_step
        Batches to skip when training resumes. That gives the same weights only if the data set gives the same
        batches each time it is read: seed its shuffles.
    check
        What each batch goes through, such as :func:`sound`.

    Raises
    ------
    InputError
        The elements are not pairs of batches, or there are none.
    """

    def __init__(self, dataset: tf.data.Dataset, first_step: int = 0, check: Callable[..., Any] | None = None) -> None:
        spec = dataset.element_spec
        if not (isinstance(spec, tuple) and len(spec) == 2 and all(s.shape.rank != 0 for s in spec)):
            raise InputError(
                f"A tf.data.Dataset must yield (samples, labels) batches; received elements {spec}. "
                "Map it to pairs and call .batch(batch_size)."
            )
        length = int(dataset.cardinality())
        if length == 0 or (length < 0 and not any(True for _ in dataset.take(1))):
            raise InputError("The tf.data.Dataset is empty. Give at least one batch.")
        if check is not None:
            dataset = dataset.map(check)
        self._iterator = iter(dataset.repeat().skip(first_step).prefetch(PREFETCHED))

    def plan(self, first_step: Any, num_steps: int) -> Any:
        """Return an empty plan: the order is the data set's own."""
        return tf.zeros((0,), tf.int32)

    def batch(self, plan: Any, index: Any) -> tuple[Any, Any]:
        """Return the next batch."""
        x, y = next(self._iterator)
        return x, y


def checked_batches(dataset: tf.data.Dataset, model: keras.Model, where: str) -> Iterator[tuple[Any, Any]]:
    """Give the batches of a ``tf.data.Dataset`` after checking each.

    Raises
    ------
    DataError
        A batch does not fit the model, or the data set fails; the error counts the batches from 0.
    """
    batches, number = iter(dataset), 0
    while True:
        try:
            x, y = next(batches)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise DataError(f"{where}: batch {number} of the tf.data.Dataset fails: {reason_of(error)}") from error
        check_fits(x.numpy(), y.numpy(), model, f"{where}, batch {number}")
        yield x, y
        number += 1


def reason_of(error: tf.errors.OpError) -> str:
    """Return the line of one of TensorFlow's errors that says what happened."""
    lines = [line.strip() for line in str(error.message).splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"\w*(Error|Exception): ", line)]
    return f"{(told or lines or [type(error).__name__])[0]:.200}"


def sound(x: Any, y: Any, num_classes: int | None) -> tuple[Any, Any]:
    """Return a batch, or stop where training would take it amiss without a word.

    That is an empty batch, or one with a sample that is not finite or an integer label of no class.

    Parameters
    ----------
    x, y
        Samples and labels.
    num_classes
        How many classes labels may name, or ``None`` for any number.
    """
    good = (tf.shape(x)[0] > 0) & (tf.shape(x)[0] == tf.shape(y)[0])
    if x.dtype.is_floating:
        good &= tf.reduce_all(tf.math.is_finite(x))
    if num_classes is not None and y.shape.rank == 1:
        labels = tf.cast(y, tf.int64)
        good &= tf.reduce_all((labels >= 0) & (labels < num_classes))
    with tf.control_dependencies([tf.debugging.Assert(good, ["a batch is not sound"])]):
        return tf.identity(x), tf.identity(y)
