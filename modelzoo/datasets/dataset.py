"""The :class:`Dataset` that every loader returns: which samples train, validate and test."""

from __future__ import annotations

import abc
import dataclasses
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from modelzoo._checks import check_fraction, check_integer, check_names, check_number, check_seed
from modelzoo.datasets.checks import MAX_CLASSES, as_array, check_arrays, check_labels
from modelzoo.errors import DataError, InputError

Pair = tuple[np.ndarray, np.ndarray]
Data = TypeVar("Data", bound="_Parts")
MAX_BYTES = 4 << 30  # of one data set that is read into memory; larger ones are streamed
#: The parts, with the ending of their arrays' names.
PARTS = {"train": "train", "test": "test", "validation": "val"}
#: What folders and arrays of parts are called, in lower case.
PART_NAMES = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(("test", "testing"), "test")
PART_NAMES |= dict.fromkeys(("val", "valid", "validation"), "validation")


class _Parts(abc.ABC):
    """What samples in memory and on disk share: a training, a test and a validation part of some classes."""

    name: str
    class_names: tuple[str, ...]

    def __repr__(self) -> str:
        samples = {part: found[0] if isinstance(found, tuple) else found for part, found in self.parts.items()}
        sizes = ", ".join(f"{part}={len(found)}" for part, found in samples.items())
        return (
            f"{type(self).__name__}({self.name!r}, {sizes}, input_shape={self.input_shape}, "
            f"dtype={samples['train'].dtype}, num_classes={self.num_classes})"
        )

    @property
    def parts(self) -> dict[str, Any]:
        """The samples of the parts there are, by name: ``"train"``, ``"test"``, ``"validation"``."""
        return {part: samples for part in PARTS if (samples := getattr(self, part)) is not None}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        train = self.parts["train"]
        return train[0].shape[1:] if isinstance(train, tuple) else train.shape

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def hold_out(self: Data, fraction_or_n: float | int = 0.1) -> Data:
        """Move training samples into the validation part, each class in proportion, the same ones in every run.

        Recipes and hyper-parameters are chosen on the validation part; the test part stays as it is.

        Parameters
        ----------
        fraction_or_n
            Fraction (float) or number (int) of the training samples to move.
        """
        if "validation" in self.parts:
            raise InputError(f"{self.name} has a validation part already. Use it.")
        return self._split("validation", fraction_or_n, 0, where="hold_out")

    def split_test(self: Data, test_fraction: float, seed: int = 0) -> Data:
        """Move training samples into the test part, each class in proportion; a fraction of 0 moves none."""
        if not check_fraction("test_fraction", test_fraction):
            return self
        if "test" in self.parts:
            raise InputError(f"{self.name} has a test part already. Use it.")
        return self._split("test", test_fraction, seed, where="test_fraction")

    @abc.abstractmethod
    def _split(self: Data, part: str, amount: float | int, seed: int, *, where: str) -> Data:
        """Move training samples into another part."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(_Parts):
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
                    f"{self.name}: label {count - 1} would make {count} classes. Make the data with "
                    "modelzoo.datasets.from_arrays, which numbers the labels that occur."
                )
            names = tuple(map(str, range(count)))
        object.__setattr__(self, "class_names", names)

    def _check_part(self, part: str, ending: str, num_classes: int | None) -> None:
        x, y = getattr(self, f"x_{ending}"), getattr(self, f"y_{ending}")
        if x is None or y is None:
            raise DataError(f"{self.name}: x_{ending} and y_{ending} must be given together. Give both, or neither.")
        where = f"{self.name}, {part} part"
        check_arrays(x, y, num_classes=num_classes, where=where)
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
        return dataclasses.replace(self, **fields_of(parts), **changes)

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

    def _split(self, part: str, amount: float | int, seed: int, *, where: str) -> Dataset:
        kept, held = stratified_split(_integers(self.y_train), amount, seed, where=where)
        x, y = self.train
        return self._replace({"train": (x[kept], y[kept]), part: (x[held], y[held])})

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


def fields_of(parts: Mapping[str, Pair]) -> dict[str, Any]:
    """Return the pairs of parts as the fields of a :class:`Dataset`."""
    return {
        f"{axis}_{PARTS[part]}": values for part, pair in parts.items() for axis, values in zip("xy", pair, strict=True)
    }


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
        Sorted indices ``(kept, held)``. Every class is among the kept, and among the held too if their number and that
        of its samples allow.
    """
    n = len(y)
    labels, counts = np.unique(y, return_counts=True)
    most = n - len(labels)  # one of each class stays
    if isinstance(held_out, float | np.floating):
        held_out = min(max(1, round(check_number(where, held_out, 0, 1, exclusive=True) * n)), max(1, most))
    held_out = check_integer(where, held_out, 1, max(1, n - 1))
    if held_out > most:
        raise DataError(
            f"{where}: of {n} samples in {len(labels)} classes at most {most} can be held out, so that each keeps "
            f"one; got {held_out}. Give more samples, or test_fraction=0 to hold out none."
        )
    rng = np.random.default_rng([check_seed(seed), 0x5B117])  # a stream of its own, apart from other uses of the seed
    held = np.zeros(n, bool)
    for label, size in zip(labels, _quota(counts, held_out), strict=True):
        held[rng.permutation(np.flatnonzero(y == label))[:size]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def _quota(counts: np.ndarray, total: int) -> np.ndarray:
    """Share ``total`` among classes in proportion to ``counts``; each leaves one, and gets one if there are enough."""
    exact = counts * (total / counts.sum())
    least = np.minimum(counts - 1, total >= (counts > 1).sum())
    quota = np.clip(np.floor(exact).astype(int), least, counts - 1)
    while quota.sum() != total:
        step = 1 if quota.sum() < total else -1
        room = quota < counts - 1 if step > 0 else quota > least
        quota[np.argmax(np.where(room, (exact - quota) * step, -np.inf))] += step
    return quota


def from_arrays(
    x: Any,
    y: Any,
    x_test: Any = None,
    y_test: Any = None,
    x_val: Any = None,
    y_val: Any = None,
    *,
    class_names: Sequence[str] = (),
    name: str = "arrays",
    source: str = "",
) -> Dataset:
    """Make a data set of arrays with labels of any kind: 1…k, {3, 5, 8}, -1 and 1, texts, whole floats, columns.

    Parameters
    ----------
    x, x_test, x_val
        Samples of the training, the test and the validation part, shape ``(n, ...)``.
    y, y_test, y_val
        A label for each sample, shape ``(n,)`` or ``(n, 1)``, or one-hot rows.
    class_names
        Names of the classes: those that the labels are, or else one for each number from 0, or one for each value of
        the labels in rising order. By default the values name the classes, and 0…k-1 have no names.
    name, source
        See :class:`Dataset`.

    Returns
    -------
    Dataset
        Its labels number the classes 0…k-1 in the order of ``class_names``, or of their values: numbers as numbers.

    Examples
    --------
    >>> from modelzoo import datasets
    >>> data = datasets.from_arrays([[0.0], [1.0], [2.0]], ["low", "high", "high"])
    >>> data.class_names, data.y_train.tolist()
    (('high', 'low'), [1, 0, 0])
    """
    given = {"train": y, "test": y_test, "validation": y_val}
    plain = {part: _plain(labels, f"{name}, {part} part") for part, labels in given.items() if labels is not None}
    if len({labels.dtype.kind for labels in plain.values()}) > 1:
        raise DataError(f"{name}: labels must be numbers in all parts, or text in all. Give them alike.")
    found = {part: np.unique(labels, return_inverse=True) for part, labels in plain.items()}
    trained, values = found["train"][0].tolist(), {value for unique, _ in found.values() for value in unique.tolist()}
    ordered, names = sorted(values, key=lambda value: by_number(str(value))), check_names("class_names", class_names)
    numeric = plain["train"].dtype.kind == "i"
    if {str(value) for value in values} <= set(names):
        place = {value: names.index(str(value)) for value in values}
    elif names and numeric and ordered[0] >= 0 and ordered[-1] < len(names):
        place = {value: value for value in values}
    elif not names or (numeric and len(names) == len(values)):
        place = {value: number for number, value in enumerate(ordered)}
        if unseen := values - set(trained):
            raise DataError(f"{name}: the label {min(unseen)!r} does not occur in the training part. Add samples.")
        names = names or (() if ordered == list(range(len(ordered))) else tuple(map(str, ordered)))
    else:
        raise DataError(
            f"{name}: class_names must name the {len(values)} classes of the labels "
            f"({', '.join(map(str, ordered)):.100}); got {names!r:.100}."
        )
    numbered = {part: np.array([place[v] for v in unique.tolist()])[where] for part, (unique, where) in found.items()}
    return Dataset(
        x,
        numbered["train"],
        x_test,
        numbered.get("test"),  # type: ignore[arg-type]
        x_val,
        numbered.get("validation"),
        name=name,
        class_names=names,
        source=source,
        license="unknown",
    )


def _plain(labels: Any, where: str) -> np.ndarray:
    """Return labels as int64 or text of shape ``(n,)``."""
    y = as_array(labels, f"{where}: labels")
    if not isinstance(labels, np.ndarray) or y.dtype.kind == "O":  # text makes text of all else, "nan" of a missing one
        values = np.array(labels, dtype=object).ravel()
        text = np.array([isinstance(value, str | bytes) for value in values], bool)
        if text.any() and not text.all():
            bad = int(np.argmin(text))
            raise DataError(f"{where}: label {values[bad]!r} at index {bad} is no text; others are. Give them alike.")
        if text.any():  # NumPy takes the names of an Enum's members, cut to the length of their values
            y = np.array([v if isinstance(v, bytes) else str.__str__(v) for v in values]).reshape(y.shape)
    if y.dtype.kind == "O":  # a column of a table
        y = np.array(y.tolist())
    if y.ndim == 2:
        y = y[:, 0] if y.shape[1] == 1 else check_labels(y, where=where)
    if y.ndim != 1 or y.size == 0:
        raise DataError(f"{where}: labels must have shape (n,), one for each sample; got {y.shape}.")
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.floor(y)) & (np.abs(y) < 2**53)
        if not whole.all():
            bad = int(np.argmin(whole))
            raise DataError(f"{where}: label {y[bad]} at index {bad} must be a whole number or text.")
    if y.dtype.kind not in "biufSU":
        raise DataError(f"{where}: labels must be whole numbers or text; got dtype {y.dtype}.")
    return as_text(y) if y.dtype.kind in "SU" else y.astype(np.int64)


def as_text(values: np.ndarray) -> np.ndarray:
    """Return an array's values as text; bytes are taken as UTF-8, with bad ones replaced."""
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values.astype(str)


def by_number(name: str) -> tuple[Any, ...]:
    """Return what sorts names with numbers as numbers: 9 before 10, and a9 before a10."""
    if re.fullmatch(r"[+-]?\d+(\.\d+)?", name):
        return (0, float(name), [])
    return (1, 0.0, [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)])
