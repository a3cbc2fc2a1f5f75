"""The :class:`Dataset` that every loader returns."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelzoo.datasets.batches import Batches
from modelzoo.datasets.checks import (
    MAX_CLASSES,
    as_array,
    check_arrays,
    check_classes,
    check_fraction,
    check_int,
    check_seed,
)
from modelzoo.datasets.labels import one_hot, stratified_split
from modelzoo.errors import DataError, InputError

Pair = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training and test samples with their labels, and where they come from.

    Unpacks the Keras way: ``(x_train, y_train), (x_test, y_test) = dataset``. The arrays are read-only.

    Parameters
    ----------
    x_train, x_test
        Samples of shape ``(n, ...)``; images are uint8 0-255 ``(n, height, width)``, points float32 ``(n, 2)``.
    y_train, y_test
        Integer labels of shape ``(n,)``, or one-hot rows ``(n, num_classes)``.
    name
        Name of the data set.
    class_names
        One name a class, in the order of the labels; empty takes the labels themselves.
    source
        Where the data come from.
    license
        Under which terms.
    options
        What :func:`load` was called with, ready for JSON: with ``name`` it loads the same data again. What is derived
        from them (:meth:`subset`, :meth:`take`, ...) keeps the options, and differs in its checksum.

    Raises
    ------
    DataError
        The arrays do not fit together, are empty, hold NaN or infinity, or labels are out of range.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    _: dataclasses.KW_ONLY
    name: str
    class_names: tuple[str, ...] = ()
    source: str = ""
    license: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for field in ("x_train", "y_train", "x_test", "y_test"):
            view = as_array(getattr(self, field), f"{self.name}: {field}").view()
            view.flags.writeable = False  # the checksum and every other holder of this data rely on it
            object.__setattr__(self, field, view)
        for field, kind in (("name", str), ("source", str | None), ("license", str | None)):
            if not isinstance(getattr(self, field), kind):
                raise InputError(f"{field}={getattr(self, field)!r:.80} is not usable. Give a text.")
        given: Any = self.class_names
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise InputError(f"class_names={given!r:.80} is not usable. Give one name a class, in a sequence.")
        names = tuple(str(name) for name in given)
        width = len(names) or None
        train, test = f"{self.name} training set", f"{self.name} test set"
        check_arrays(*self.train, num_classes=width, where=train, allow_single_class=True)
        check_arrays(*self.test, num_classes=width, where=test, allow_single_class=True)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise DataError(
                f"{self.name}: training samples have shape {self.x_train.shape[1:]}, test samples "
                f"{self.x_test.shape[1:]}. Give both the same shape."
            )
        if self.y_train.ndim != self.y_test.ndim or self.y_train.shape[1:] != self.y_test.shape[1:]:
            raise DataError(f"{self.name}: y_train {self.y_train.shape} and y_test {self.y_test.shape} differ in form.")
        if not names:
            one_hot_width = self.y_train.shape[1] if self.y_train.ndim == 2 else 0
            count = one_hot_width or 1 + int(max(self.y_train.max(), self.y_test.max()))
            if count > MAX_CLASSES:
                raise DataError(
                    f"{self.name}: label {count - 1} would make {count} classes. Renumber the labels: "
                    "numpy.unique(y, return_inverse=True)[1]."
                )
            names = tuple(map(str, range(count)))
        object.__setattr__(self, "class_names", names)

    def __iter__(self) -> Iterator[Pair]:
        """Give the training pair, then the test pair."""
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, train={len(self.x_train)}, test={len(self.x_test)}, "
            f"input_shape={self.input_shape}, dtype={self.x_train.dtype}, num_classes={self.num_classes})"
        )

    @property
    def train(self) -> Pair:
        """The training pair ``(x_train, y_train)``."""
        return self.x_train, self.y_train

    @property
    def test(self) -> Pair:
        """The test pair ``(x_test, y_test)``."""
        return self.x_test, self.y_test

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.x_train.shape[1:]

    @cached_property
    def checksum(self) -> str:
        """SHA-256 of the four arrays (name, shape, dtype, bytes in C order): 64 hexadecimal digits.

        It identifies the samples and labels, not their names or origin, and does not depend on the byte order
        of the machine.
        """
        digest = hashlib.sha256()
        for field in ("x_train", "y_train", "x_test", "y_test"):
            array = getattr(self, field)
            array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            digest.update(f"{field} {array.shape} {array.dtype.str}\n".encode())
            digest.update(array.data)
        return digest.hexdigest()

    def _labels(self) -> Pair:
        """Return training and test labels as integers, whichever form they have."""
        return (
            self.y_train if self.y_train.ndim == 1 else self.y_train.argmax(axis=1),
            self.y_test if self.y_test.ndim == 1 else self.y_test.argmax(axis=1),
        )

    def subset(self, classes: Iterable[int]) -> Dataset:
        """Return the samples of some classes, relabelled 0..k-1.

        Parameters
        ----------
        classes
            Labels to keep. Their numerical order stays, whatever order they are given in, so
            ``mnist.subset((1, 5, 6))`` labels a one 0, a five 1 and a six 2. One class alone is accepted, which
            suits an autoencoder; the trainer refuses it for a classifier.

        Returns
        -------
        Dataset
            The samples in their original order; ``class_names`` keeps the original names, ``("1", "5", "6")``.

        Raises
        ------
        InputError
            A label does not exist, is repeated, or none is given.
        DataError
            The training or the test set has no sample of these classes.
        """
        kept = check_classes(classes, self.num_classes)
        if len(kept) == self.num_classes:
            return self
        renumber = np.full(self.num_classes, -1)
        renumber[list(kept)] = np.arange(len(kept))
        parts = []
        for (x, y), labels in zip(self, self._labels(), strict=True):
            chosen = np.flatnonzero(renumber[labels] >= 0)
            if y.ndim == 2:
                parts += [x[chosen], y[chosen][:, list(kept)]]
            else:
                parts += [x[chosen], renumber[y[chosen]].astype(y.dtype)]
        x_train, y_train, x_test, y_test = parts
        return dataclasses.replace(
            self,
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
            class_names=tuple(self.class_names[label] for label in kept),
        )

    def one_hot(self) -> Dataset:
        """Return the same data with labels as float32 one-hot rows, shape ``(n, num_classes)``."""
        y_train, y_test = (one_hot(labels, self.num_classes) for labels in self._labels())
        return dataclasses.replace(self, y_train=y_train, y_test=y_test)

    def split_validation(self, fraction_or_n: float | int = 0.1, seed: int = 0) -> Dataset:
        """Split the *training* set in two; the second part, for validation, stands where the test set was.

        Recipes and hyper-parameters are chosen on this; the real test set is not in the result and stays unseen.

        Parameters
        ----------
        fraction_or_n
            The fraction (float) or the number (int) of training samples that become validation samples.
        seed
            Seed of the choice.

        Returns
        -------
        Dataset
            Named ``"<name>/validation"``; both parts hold each class in proportion (stratified), in the
            original order.

        Raises
        ------
        InputError
            The fraction or number is not usable.
        DataError
            The training set is too small to give both parts every class.
        """
        kept, held = stratified_split(self._labels()[0], fraction_or_n, seed, where="split_validation")
        (x, y), _ = self
        return dataclasses.replace(
            self, x_train=x[kept], y_train=y[kept], x_test=x[held], y_test=y[held], name=f"{self.name}/validation"
        )

    def take(self, *, per_class: int, seed: int = 0) -> Dataset:
        """Return a small training set: ``per_class`` samples of each class; the test set stays whole.

        Parameters
        ----------
        per_class
            Training samples of each class to keep, >= 1.
        seed
            Seed of the choice. With one seed, a smaller choice is part of a larger one.

        Returns
        -------
        Dataset
            ``per_class * num_classes`` training samples, in their original order.

        Raises
        ------
        InputError
            ``per_class`` is no integer >= 1.
        DataError
            A class has fewer samples.
        """
        per_class = check_int(per_class, "per_class", minimum=1)
        labels, _ = self._labels()
        rng = np.random.default_rng([check_seed(seed), 0x7A4E])
        chosen = []
        for label, class_name in enumerate(self.class_names):
            members = rng.permutation(np.flatnonzero(labels == label))
            if len(members) < per_class:
                raise DataError(
                    f"per_class={per_class}: class {class_name!r} of {self.name} has {len(members)} training samples. "
                    f"Give at most {min(np.bincount(labels, minlength=self.num_classes))}."
                )
            chosen.append(members[:per_class])
        indices = np.sort(np.concatenate(chosen))
        return dataclasses.replace(self, x_train=self.x_train[indices], y_train=self.y_train[indices])

    def batches(self, batch_size: int, seed: int = 0, *, shuffle: bool = True) -> Batches:
        """Return endless mini-batches of the training set, in the style of TensorFlow 1's ``next_batch``.

        Parameters
        ----------
        batch_size
            Samples a batch, >= 1.
        seed
            Seed of the order.
        shuffle
            False keeps the order of the training set.

        Returns
        -------
        Batches
            With ``next_batch()``, and a ``for`` loop that gives one epoch.
        """
        return Batches(*self.train, batch_size, seed, shuffle=shuffle)


def split_arrays(
    x: np.ndarray, y: np.ndarray, *, test_fraction: float, seed: int, where: str, **facts: object
) -> Dataset:
    """Make a Dataset of one array by a stratified split; ``facts`` are the Dataset's name, class_names, ..."""
    check_arrays(x, y, where=where)
    train, test = stratified_split(y, check_fraction(test_fraction, "test_fraction"), seed, where="test_fraction")
    return Dataset(x[train], y[train], x[test], y[test], **facts)  # type: ignore[arg-type]
