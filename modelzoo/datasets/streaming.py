"""Samples that stay on disk, read by index; ``tf.data`` schedules the reading, and (seed, step) gives the order."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_seed
from modelzoo._keras import tf
from modelzoo.datasets.dataset import MAX_BYTES, Dataset, _Parts, fields_of, stratified_split
from modelzoo.errors import DataError, InputError

#: Batches that are read ahead in parallel: a fixed number, because what tf.data chooses grows with the memory it sees.
READERS = min(os.cpu_count() or 1, 8)


def shuffled(position: Any, num_samples: int, seed: int) -> Any:
    """Return which samples stand at some positions of the endless shuffled stream.

    Position ``i`` holds sample ``i mod n`` of a permutation that depends only on the seed and the epoch ``i div n``:
    each epoch has every sample once, and any position is computed without those before it.

    Parameters
    ----------
    position
        int64 tensor of positions, shape ``(k,)``.
    num_samples, seed
        How many samples there are, and the seed of the order.

    Returns
    -------
    tf.Tensor
        int64 indices of samples, shape ``(k,)``.
    """
    epoch = position // num_samples
    return tf.raw_ops.RandomIndexShuffle(
        index=position % num_samples,
        seed=tf.stack([tf.fill(tf.shape(epoch), tf.constant(seed, tf.int64)), epoch, epoch * 0], axis=1),
        max_index=tf.constant(num_samples - 1, tf.int64),
        rounds=4,
    )


class StoredSamples:
    """Samples on disk with their labels in memory: one part of a :class:`Stream`.

    ``len(samples)``, ``samples.labels``, ``samples.shape`` and ``samples.dtype`` need no reading; ``samples[indices]``
    reads some; :meth:`batches` and :meth:`in_order` give a ``tf.data.Dataset``.

    Parameters
    ----------
    read
        From indices, int64 of shape ``(k,)``, to samples, shape ``(k, *shape)``; called by several threads at once.
    labels
        Integer labels of all samples, shape ``(n,)``.
    shape
        Shape of one sample.
    dtype
        Type of the samples.
    """

    def __init__(
        self,
        read: Callable[[np.ndarray], np.ndarray],
        labels: np.ndarray,
        shape: tuple[int, ...],
        dtype: np.dtype | type,
    ) -> None:
        self._read = read
        self.labels = labels
        self.shape = shape
        self.dtype = np.dtype(dtype)

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
        """
        indices = np.arange(*index.indices(len(self))) if isinstance(index, slice) else np.asarray(index, np.int64)
        if indices.ndim != 1:
            raise InputError(f"Stored samples are indexed by a slice or an array of integers; got {index!r:.60}.")
        return self._read(indices % len(self)), self.labels[indices]  # IndexError beyond the labels, as of an array

    def select(self, indices: np.ndarray) -> StoredSamples:
        """Return the samples of these indices, in this order, still on disk."""
        chosen = np.asarray(indices)
        return StoredSamples(lambda wanted: self._read(chosen[wanted]), self.labels[chosen], self.shape, self.dtype)

    def relabelled(self, labels: np.ndarray) -> StoredSamples:
        """Return the same samples with other labels."""
        return StoredSamples(self._read, labels, self.shape, self.dtype)

    def batches(
        self, batch_size: int, seed: int = 0, *, first_step: int = 0, rows: slice | None = None
    ) -> tf.data.Dataset:
        """Return endless shuffled batches, in the order in which :func:`modelzoo.train` takes samples of arrays.

        Parameters
        ----------
        batch_size
            Samples a batch, at most all.
        seed
            Seed of the order.
        first_step
            Number of the first batch; those before it are not read.
        rows
            Read these rows of each batch only, and leave 0 in the others: what one of several workers needs.

        Returns
        -------
        tf.data.Dataset
            Of ``(x, y)``, x of shape ``(batch_size, *shape)``. :meth:`watched` turns its errors into ours.
        """
        size = min(check_integer("batch_size", batch_size), len(self))
        seed, own = check_seed(seed), rows or slice(None)

        def read(indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            x, y = np.zeros((size, *self.shape), self.dtype), np.zeros(size, self.labels.dtype)
            x[own], y[own] = self[indices[own]]
            return x, y

        def indices_of(step: Any) -> Any:
            return shuffled(step * size + tf.range(size, dtype=tf.int64), len(self), seed)

        steps = tf.data.Dataset.range(check_integer("first_step", first_step, 0), tf.int64.max)
        return self._read_by(read, steps.map(indices_of), size)

    def in_order(self, batch_size: int) -> tf.data.Dataset:
        """Return all samples once, in order, in batches of ``batch_size``; the last one may be smaller."""
        size = check_integer("batch_size", batch_size)
        return self._read_by(self.__getitem__, tf.data.Dataset.range(len(self)).batch(size), None)

    def _read_by(self, read: Callable[..., Any], indices: tf.data.Dataset, size: int | None) -> tf.data.Dataset:
        def fetch(wanted: Any) -> tuple[Any, Any]:
            types = [tf.as_dtype(self.dtype), tf.as_dtype(self.labels.dtype)]
            x, y = tf.numpy_function(read, [wanted], types, stateful=False)
            return tf.ensure_shape(x, (size, *self.shape)), tf.ensure_shape(y, (size,))

        return indices.map(fetch, num_parallel_calls=READERS, deterministic=True)

    @staticmethod
    @contextlib.contextmanager
    def watched() -> Iterator[None]:
        """Raise the DataError that names a damaged file, where TensorFlow wraps it in an error of its own."""
        try:
            yield
        except tf.errors.OpError as error:
            found = re.search(r"\bDataError: (.*)", str(error))
            if found is None:
                raise
            raise DataError(found[1]) from None


@dataclass(frozen=True, eq=False, repr=False)
class Stream(_Parts):
    """Samples on disk, and where they come from: a :class:`Dataset` that need not fit in memory.

    ``train``, ``evaluate`` and ``finetune`` take it in the place of a Dataset.

    Parameters
    ----------
    train, test, validation
        The samples of each part; ``None`` for a test or validation part that the data do not have.
    name, class_names, source, license, options, preparation, named
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
    preparation: str | None = None
    named: bool = True

    def _split(self, part: str, amount: float | int, seed: int, *, where: str) -> Stream:
        changes: dict[str, Any] = {}
        changes["train"], changes[part] = (
            self.train.select(i) for i in stratified_split(self.train.labels, amount, seed, where=where)
        )
        checksum = hashlib.sha256(f"{self.checksum} {part} {amount} {seed}".encode()).hexdigest()
        return dataclasses.replace(self, checksum=checksum, **changes)

    def read(self) -> Dataset:
        """Return everything in memory, or raise DataError if it needs too much."""
        count = sum(map(len, self.parts.values()))
        size = count * int(np.prod(self.input_shape)) * self.train.dtype.itemsize
        if size > MAX_BYTES:
            raise DataError(
                f"{count} samples of shape {self.input_shape} need {size} bytes; at most {MAX_BYTES} are loaded. "
                "Give a smaller size, or read them as training goes: datasets.stream, or --stream."
            )
        arrays = fields_of({part: samples[:] for part, samples in self.parts.items()})
        facts = ("name", "class_names", "source", "license", "options", "preparation", "named")
        return Dataset(**arrays, **{fact: getattr(self, fact) for fact in facts})
