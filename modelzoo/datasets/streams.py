"""Data sets that stay on disk: samples are read when they are wanted, in the order that arrays would come in."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_seed
from modelzoo._keras import tf
from modelzoo.card import usable_cores
from modelzoo.datasets.dataset import PARTS, Dataset, stratified_split
from modelzoo.datasets.order import shuffled
from modelzoo.errors import DataError, InputError


class StoredSamples:
    """Samples on disk with their labels in memory; indexing reads some, as it would of arrays.

    Parameters
    ----------
    read
        From indices, int64 of shape ``(k,)``, to samples, shape ``(k, *shape)``; called by several threads at once.
    labels
        Integer labels of all samples, shape ``(n,)``.
    shape
        Shape of one sample.
    dtype, label_dtype
        Types of samples and labels when they are read.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        labels: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype | type,
        label_dtype: np.dtype | type | str = np.int64,
    ) -> None:
        self._read = read
        self.labels = labels
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.label_dtype = np.dtype(label_dtype)
        self._failures: list[Exception] = []

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.labels)

    def __repr__(self) -> str:
        return f"StoredSamples({len(self)} of shape {self.shape}, {self.dtype})"

    def __getitem__(self, index: slice | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read samples: a slice, or an array of indices, gives ``(x, y)`` in memory.

        Raises
        ------
        DataError
            A sample cannot be read; its file is named.
        InputError
            The index is neither, or names a sample that does not exist.
        """
        count = len(self)
        indices = np.arange(*index.indices(count)) if isinstance(index, slice) else np.asarray(index)
        if indices.ndim != 1 or indices.dtype.kind not in "iu":
            raise InputError(f"{index!r:.60} is no index of stored samples. Give a slice, or an array of integers.")
        if len(indices) and not -count <= int(indices.min()) <= int(indices.max()) < count:
            raise InputError(
                f"{index!r:.60} is no index of {count} stored samples. Give integers from {-count} to {count - 1}."
            )
        indices = np.where(indices < 0, indices + count, indices).astype(np.int64)
        return self._read(indices), self.labels[indices].astype(self.label_dtype)

    def select(self, indices: np.ndarray) -> StoredSamples:
        """Return the samples of these indices, in this order, still on disk."""
        chosen = np.asarray(indices, np.min_scalar_type(len(self)))  # kept as long as the samples are

        def read(wanted: np.ndarray) -> np.ndarray:
            return self._read(chosen[wanted].astype(np.int64))

        return StoredSamples(read, self.labels[chosen], self.shape, self.dtype, self.label_dtype)

    def batches(
        self, batch_size: int, seed: int = 0, *, first_step: int = 0, rows: slice | None = None
    ) -> tf.data.Dataset:
        """Return endless shuffled batches, the very ones that arrays in memory give to :func:`modelzoo.train`.

        Parameters
        ----------
        batch_size
            Samples a batch; with the number of samples or more, every batch is all of them in order.
        seed
            Seed of the order.
        first_step
            Batches to leave out at the start; they are not read.
        rows
            Read these rows of each batch only, the others are 0: what a worker needs that takes a share of it.

        Returns
        -------
        tf.data.Dataset
            Of ``(x, y)``, x of shape ``(batch_size, *shape)``. What reads them is Python of this process: a data set to
            train and measure with, not to be saved or sent elsewhere. :meth:`watched` turns its errors into ours.

        Raises
        ------
        InputError
            An argument is not usable.
        """
        size = min(check_integer("batch_size", batch_size, 1), len(self))
        seed, count = check_seed(seed), len(self)
        own = np.zeros(size, bool)
        own[slice(None) if rows is None else rows] = True

        def plan(step: Any) -> Any:
            everything = tf.range(size, dtype=tf.int64)
            indices = everything if size == count else shuffled(step * size + everything, count, seed)
            return indices if own.all() else tf.where(own, indices, -1)

        first = check_integer("first_step", first_step, 0)
        return self._fetched(tf.data.Dataset.range(first, tf.int64.max).map(plan), size)

    def in_order(self, batch_size: int) -> tf.data.Dataset:
        """Return all samples once, in order, in batches; the last one may be smaller.

        Parameters
        ----------
        batch_size
            Samples a batch.
        """
        size = check_integer("batch_size", batch_size, 1)
        starts = tf.data.Dataset.range(0, len(self), size)
        return self._fetched(starts.map(lambda start: tf.range(start, tf.minimum(start + size, len(self)))), None)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Raise what kept a sample from being read in place of the error that TensorFlow makes of it."""
        try:
            yield
        except tf.errors.OpError as error:
            text = str(error)
            for failure in self._failures:
                if str(failure) in text:
                    raise failure from None
            raise

    def _fetched(self, plans: tf.data.Dataset, size: int | None) -> tf.data.Dataset:
        """Return the batches of a data set of their indices."""
        # TensorFlow never lets go of a Python function: of this one, that would keep files open and labels in memory.
        planned = weakref.WeakMethod(self._planned)

        def read(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            method = planned()
            if method is None:
                raise DataError("The samples of these batches are gone. Keep the stream as long as it is read from.")
            return method(indices)

        def fetch(indices: Any) -> tuple[Any, Any]:
            x, y = tf.numpy_function(
                read, [indices], [tf.as_dtype(self.dtype), tf.as_dtype(self.label_dtype)], stateful=False
            )
            x.set_shape((size, *self.shape))
            y.set_shape((size,))
            return x, y

        # A batch for each core is read ahead; how many tf.data would choose grows with the memory that it sees.
        fetched = plans.map(fetch, num_parallel_calls=usable_cores(), deterministic=True)
        fetched._samples = self  # what is made of these batches, and iterators, refer to them
        return fetched

    def _planned(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Read a batch by its plan, indices of samples or -1 for a row of 0."""
        try:
            if indices.min() >= 0:
                return self[indices]
            x, y = np.zeros((len(indices), *self.shape), self.dtype), np.zeros(len(indices), self.label_dtype)
            own = indices >= 0
            if own.any():
                x[own], y[own] = self[indices[own]]
            return x, y
        except Exception as error:
            self._failures.append(error)
            raise


@dataclass(frozen=True, eq=False)
class Stream:
    """Samples on disk, and where they come from: a :class:`Dataset` that need not fit in memory.

    ``train``, ``evaluate`` and ``finetune`` take it in the place of a Dataset.

    Parameters
    ----------
    train, test, validation
        The samples of each part; ``None`` for a test or validation part that the data do not have.
    name, class_names, source, license, options
        As of a :class:`Dataset`.
    checksum
        64 hexadecimal digits that identify the data.
    """

    train: StoredSamples
    test: StoredSamples = None  # type: ignore[assignment]
    validation: StoredSamples | None = None
    _: dataclasses.KW_ONLY
    name: str
    class_names: tuple[str, ...]
    checksum: str
    source: str = ""
    license: str = "unknown"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part}={len(samples)}" for part, samples in self.parts.items())
        return (
            f"Stream({self.name!r}, {sizes}, input_shape={self.input_shape}, dtype={self.train.dtype}, "
            f"num_classes={self.num_classes})"
        )

    @property
    def parts(self) -> dict[str, StoredSamples]:
        """The parts there are, by name."""
        return {part: samples for part in PARTS if (samples := getattr(self, part)) is not None}

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.train.shape

    def hold_out(self, fraction_or_n: float | int = 0.1) -> Stream:
        """Move training samples into the validation part, the same ones as :meth:`Dataset.hold_out` moves."""
        if self.validation is not None:
            raise InputError(f"{self.name} has a validation part of {len(self.validation)} samples already. Use it.")
        kept, held = stratified_split(self.train.labels, fraction_or_n, 0, where="hold_out")
        checksum = hashlib.sha256(f"{self.checksum} hold_out {len(held)}".encode()).hexdigest()
        return dataclasses.replace(
            self, train=self.train.select(kept), validation=self.train.select(held), checksum=checksum
        )

    def read(self, *, max_bytes: int) -> Dataset:
        """Return everything in memory.

        Parameters
        ----------
        max_bytes
            Refuse more than this.

        Raises
        ------
        DataError
            The samples need more, or one cannot be read.
        """
        count = sum(map(len, self.parts.values()))
        size = count * int(np.prod(self.input_shape)) * self.train.dtype.itemsize
        if size > max_bytes:
            raise DataError(
                f"{count} samples of shape {self.input_shape} need {size} bytes; at most {max_bytes} are loaded. "
                "Give a smaller size, or read them as training goes: datasets.stream, or --stream."
            )
        return Dataset(
            *self.train[:],
            *((None, None) if self.test is None else self.test[:]),
            *((None, None) if self.validation is None else self.validation[:]),
            name=self.name,
            class_names=self.class_names,
            source=self.source,
            license=self.license,
            options=self.options,
        )


def split_samples(samples: StoredSamples, *, test_fraction: float, seed: int) -> tuple[StoredSamples, StoredSamples]:
    """Return training and test samples by a stratified split."""
    train, test = stratified_split(samples.labels, test_fraction, seed, where="test_fraction")
    return samples.select(train), samples.select(test)


def check_streamed_size(batch_size: int | None, samples: StoredSamples) -> int:
    """Return the batch size of a recipe, or raise InputError where it takes all samples at once."""
    if batch_size is None:
        raise InputError(
            f"batch_size=None takes all {len(samples)} samples in each step, which a stream does not hold in memory. "
            "Give a batch_size (--batch-size), or load the data (datasets.load)."
        )
    return batch_size
