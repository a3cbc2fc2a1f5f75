"""The :class:`Dataset` that every loader returns: which samples train, validate and test."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_names, check_number, check_seed
from modelzoo.datasets.checks import MAX_CLASSES, as_array, check_arrays, check_labels
from modelzoo.errors import DataError, InputError

Pair = tuple[np.ndarray, np.ndarray]
MAX_BYTES = 4 << 30  # of one data set that is read into memory; larger ones are streamed
#: The parts, with the ending of their arrays' names.
PARTS = {"train": "train", "test": "test", "validation": "val"}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Training samples with labels, optionally a test and a validation part, and where they come from.

    Unpacks the Keras way: ``(x_train, y_train), (x_test, y_test) = dataset``. The arrays are read-only.

    Parameters
    ----------
    x_train, x_test, x_val
        Samples of shape ``(n, ...)``; images are uint8 0-255 ``(n, height, width)``, points float32 ``(n, 2)``.
    y_train, y_test, y_val
        Integer labels of shape ``(n,)``, or one-hot rows of shape ``(n, num_classes)``. ``None`` for samples and labels
        of a part that the data set does not have.
    name
        Name of the data set.
    class_names
        One name a class, in the order of the labels; the numbers of the labels by default.
    source
        Where the data come from.
    license
        Under which terms.
    options
        What :func:`load` was called with, ready for JSON: with ``name`` it loads the same data again. Data derived
        from others (:meth:`subset`, :meth:`take`, ...) keep the options and have another checksum.
    preparation
        How image files became samples: ``"digit"``, as :func:`load_digit_image` does and MNIST's authors did, or
        ``"resize"``; ``None`` if the samples came as arrays.
    named
        Whether the classes have names, by which a model's outputs are found. Otherwise ``class_names`` are the numbers
        of the labels, and labels count the model's outputs. By default true if ``class_names`` are given.

    Raises
    ------
    DataError
        The arrays do not fit together, are empty, hold NaN or infinity, or labels are out of range.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    # Typed as present, as in nearly all data sets: else every use of a test part would need a check for None.
    x_test: np.ndarray = None  # type: ignore[assignment]
    y_test: np.ndarray = None  # type: ignore[assignment]
    x_val: np.ndarray | None = None
    y_val: np.ndarray | None = None
    _: dataclasses.KW_ONLY
    name: str
    class_names: tuple[str, ...] = ()
    source: str = ""
    license: str = ""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    preparation: str | None = None
    named: bool = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        names = check_names("class_names", self.class_names)
        if len(set(names)) < len(names):
            raise DataError(f"{self.name}: class_names must differ; got {names!r:.80}.")
        # Names that are no numbers were given, also where dataclasses.replace hands on that there were none.
        if self.named is None or names != tuple(map(str, range(len(names)))):
            object.__setattr__(self, "named", bool(names))
        for part, ending in PARTS.items():
            for field in (f"x_{ending}", f"y_{ending}"):
                if getattr(self, field) is not None or part == "train":
                    view = as_array(getattr(self, field), f"{self.name}: {field}").view()
                    view.flags.writeable = False  # the checksum and every other holder of this data rely on it
                    object.__setattr__(self, field, view)
            if getattr(self, f"x_{ending}") is not None or getattr(self, f"y_{ending}") is not None:
                self._check_part(part, ending, len(names) or None)
        if not names:
            labels = [y for _, y in self.parts.values()]
            count = labels[0].shape[1] if labels[0].ndim == 2 else 1 + int(max(y.max() for y in labels))
            if count > MAX_CLASSES:
                raise DataError(
                    f"{self.name}: label {count - 1} would make {count} classes. Renumber the labels: "
                    "numpy.unique(y, return_inverse=True)[1]."
                )
            names = tuple(map(str, range(count)))
        object.__setattr__(self, "class_names", names)

    def _check_part(self, part: str, ending: str, num_classes: int | None) -> None:
        x, y = getattr(self, f"x_{ending}"), getattr(self, f"y_{ending}")
        if x is None or y is None:
            raise DataError(f"{self.name}: x_{ending} and y_{ending} must be given together. Give both, or neither.")
        where = f"{self.name}, {part} part"
        check_arrays(x, y, num_classes=num_classes, where=where, allow_single_class=True)
        if x.shape[1:] != self.x_train.shape[1:]:
            raise DataError(
                f"{where}: samples have shape {x.shape[1:]}, training samples {self.x_train.shape[1:]}. Give both the "
                "same shape."
            )
        if y.shape[1:] != self.y_train.shape[1:]:
            raise DataError(f"{where}: labels {y.shape} and training labels {self.y_train.shape} differ in form.")

    def __iter__(self) -> Iterator[Pair]:
        """Give the training pair, then the test pair (``None`` without a test part)."""
        return iter((self.train, self.test))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{part}={len(x)}" for part, (x, _) in self.parts.items())
        return (
            f"Dataset({self.name!r}, {sizes}, input_shape={self.input_shape}, dtype={self.x_train.dtype}, "
            f"num_classes={self.num_classes})"
        )

    @property
    def parts(self) -> dict[str, Pair]:
        """The pairs of the parts there are, by name: ``"train"``, ``"test"``, ``"validation"``."""
        return {part: pair for part in PARTS if (pair := getattr(self, part)) is not None}

    @property
    def train(self) -> Pair:
        """The training pair ``(x_train, y_train)``."""
        return self.x_train, self.y_train

    @property
    def test(self) -> Pair:
        """The test pair ``(x_test, y_test)``, or ``None``."""
        return None if self.x_test is None else (self.x_test, self.y_test)

    @property
    def validation(self) -> Pair | None:
        """The validation pair ``(x_val, y_val)``, or ``None``."""
        return None if self.x_val is None or self.y_val is None else (self.x_val, self.y_val)

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
        """SHA-256 of the arrays (name, shape, dtype, bytes in C order): 64 hexadecimal digits.

        It identifies samples, labels and parts, not names or origin, and does not depend on the byte order of the
        machine.
        """
        digest = hashlib.sha256()
        for part, pair in self.parts.items():
            for axis, values in zip("xy", pair, strict=True):
                array = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))
                digest.update(f"{axis}_{PARTS[part]} {array.shape} {array.dtype.str}\n".encode())
                digest.update(array.data)
        return digest.hexdigest()

    def _replace(self, parts: Mapping[str, Pair], **changes: Any) -> Dataset:
        """Return these data with other arrays in some parts."""
        arrays: dict[str, Any] = {
            f"{axis}_{PARTS[part]}": array
            for part, pair in parts.items()
            for axis, array in zip("xy", pair, strict=True)
        }
        return dataclasses.replace(self, **arrays, **changes)

    def subset(self, classes: Iterable[int]) -> Dataset:
        """Return the samples of some classes, relabelled 0..k-1.

        Parameters
        ----------
        classes
            Labels to keep. Their numerical order stays, whatever order they are given in: ``mnist.subset((1, 5, 6))``
            labels a one 0, a five 1 and a six 2. One class alone suits an autoencoder; the trainer refuses it for a
            classifier.

        Returns
        -------
        Dataset
            The samples in their original order; ``class_names`` keeps the original names, ``("1", "5", "6")``.
        """
        if isinstance(classes, str | bytes) or not isinstance(classes, Iterable):
            raise InputError(f"classes must be a sequence of labels, such as (1, 5, 6); got {classes!r:.80}.")
        given = [check_integer("a label of classes", label, 0, self.num_classes - 1) for label in classes]
        kept = sorted(set(given))
        if len(kept) < max(1, len(given)):
            raise InputError(f"classes must name at least one label, and each once; got {tuple(given)}.")
        if len(kept) == self.num_classes:
            return self
        renumber = np.full(self.num_classes, -1)
        renumber[kept] = np.arange(len(kept))
        parts = {}
        for part, (x, y) in self.parts.items():
            chosen = np.flatnonzero(renumber[_integers(y)] >= 0)
            labels = y[chosen][:, kept] if y.ndim == 2 else renumber[y[chosen]].astype(y.dtype)
            parts[part] = x[chosen], labels
        return self._replace(parts, class_names=tuple(self.class_names[label] for label in kept))

    def one_hot(self) -> Dataset:
        """Return the same data with labels as float32 one-hot rows, shape ``(n, num_classes)``."""
        return self._replace(
            {part: (x, one_hot(_integers(y), self.num_classes)) for part, (x, y) in self.parts.items()}
        )

    def hold_out(self, fraction_or_n: float | int = 0.1) -> Dataset:
        """Move training samples into the validation part, each class in proportion, the same ones in every run.

        Recipes and hyper-parameters are chosen on the validation part; the test part stays as it is.

        Parameters
        ----------
        fraction_or_n
            Fraction (float) or number (int) of the training samples to move.
        """
        if self.validation is not None:
            raise InputError(f"{self.name} has a validation part of {len(self.validation[0])} samples already. Use it.")
        kept, held = stratified_split(_integers(self.y_train), fraction_or_n, 0, where="hold_out")
        x, y = self.train
        return self._replace({"train": (x[kept], y[kept]), "validation": (x[held], y[held])})

    def take(self, *, per_class: int, seed: int = 0) -> Dataset:
        """Return a small training part: ``per_class`` samples of each class; the other parts stay whole.

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
        """
        per_class = check_integer("per_class", per_class)
        labels = _integers(self.y_train)
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
        return self._replace({"train": (self.x_train[indices], self.y_train[indices])})

    def batches(self, batch_size: int, seed: int = 0) -> Iterator[Pair]:
        """Return endless shuffled mini-batches of the training part, for a loop of your own: ``x, y = next(batches)``.

        Every sample comes once an epoch, and batches run on across epochs, so that each is full. The order of an epoch
        depends on ``(seed, epoch)`` alone.
        """
        return _batches(*self.train, check_integer("batch_size", batch_size), check_seed(seed))


def _batches(x: np.ndarray, y: np.ndarray, size: int, seed: int) -> Iterator[Pair]:
    order = np.empty(0, int)
    for epoch in itertools.count():
        order = np.concatenate([order, np.random.default_rng([seed, epoch]).permutation(len(x))])
        while len(order) >= size:
            chosen, order = order[:size], order[size:]
            yield x[chosen], y[chosen]


def _integers(y: np.ndarray) -> np.ndarray:
    """Return labels as integers, whichever form they have."""
    return y if y.ndim == 1 else y.argmax(axis=1)


def one_hot(y: np.ndarray, num_classes: int) -> np.ndarray:
    """Return integer labels of shape ``(n,)``, 0..num_classes-1, as float32 one-hot rows ``(n, num_classes)``."""
    labels = check_labels(y, num_classes=check_integer("num_classes", num_classes), where="one_hot")
    rows = np.zeros((len(labels), num_classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def stratified_split(
    y: np.ndarray, held_out: float | int, seed: int, *, where: str = "held_out"
) -> tuple[np.ndarray, np.ndarray]:
    """Split indices so that each part has each class in proportion.

    Parameters
    ----------
    y
        Integer labels, shape ``(n,)``.
    held_out
        The fraction (a float in 0..1) or the number (an int) of samples to hold out.
    seed
        Seed of the choice.
    where
        Name of the option that gives ``held_out``, for errors.

    Returns
    -------
    tuple of numpy.ndarray
        Sorted indices ``(kept, held)``. Both hold every class.
    """
    n = len(y)
    if isinstance(held_out, float | np.floating):
        held_out = max(1, round(check_number(where, held_out, 0, 1, exclusive=True) * n))
    held_out = check_integer(where, held_out, 1, max(1, n - 1))
    labels, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise DataError(f"{where}: class {labels[counts.argmin()]} has one sample. A split needs two or more a class.")
    if not len(labels) <= held_out <= n - len(labels):
        raise DataError(
            f"{where}: {held_out} of {n} samples cannot hold out all {len(labels)} classes and keep all. "
            f"Give a number from {len(labels)} to {n - len(labels)}."
        )
    rng = np.random.default_rng([check_seed(seed), 0x5B117])  # a stream of its own, apart from other uses of the seed
    held = np.zeros(n, bool)
    for label, size in zip(labels, _quota(counts, held_out), strict=True):
        held[rng.permutation(np.flatnonzero(y == label))[:size]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _quota(counts: np.ndarray, total: int) -> np.ndarray:
    """Share ``total`` among classes in proportion to ``counts``; each gets one at least and leaves one."""
    exact = counts * (total / counts.sum())
    quota = np.clip(np.floor(exact).astype(int), 1, counts - 1)
    while quota.sum() != total:
        step = 1 if quota.sum() < total else -1
        room = quota < counts - 1 if step > 0 else quota > 1
        quota[np.argmax(np.where(room, (exact - quota) * step, -np.inf))] += step
    return quota


def check_fraction(test_fraction: Any) -> float:
    """Return ``test_fraction`` if it is a fraction between 0 and 1."""
    return check_number("test_fraction", test_fraction, 0, 1, exclusive=True)
