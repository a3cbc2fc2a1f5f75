"""What figures accept: data sets, arrays and models, checked and brought to one form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from modelzoo.errors import DataError, InputError, unknown_name

#: A rectangle in the plane, ``((x1 low, high), (x2 low, high))``.
Limits = tuple[tuple[float, float], tuple[float, float]]

#: Classes that a figure tells apart; a label far above is a measurement, and would cost a matrix of its size.
MAX_CLASSES = 1000

#: Farthest limit of an axis: networks take float32, and Matplotlib adds margins.
MAX_LIMIT = 1e30

#: Points along each side of a grid: far more than a page can show, and the square of it still fits in memory.
MAX_RESOLUTION = 4000

#: Samples that a network takes at once where a figure needs the whole data set, so that memory stays bounded.
BATCH = 1000


class Samples(NamedTuple):
    """Samples ``x`` with integer labels ``y`` and one name a class; ``y`` is ``None`` for samples without labels."""

    x: np.ndarray
    y: np.ndarray | None
    class_names: tuple[str, ...]

    def labelled(self) -> Samples:
        """Return these samples, whose labels have to be there."""
        return self._replace(y=self.labels)

    @property
    def labels(self) -> np.ndarray:
        """The labels, which have to be there."""
        if self.y is None:
            raise DataError("This figure needs labels. Pass a Dataset, or samples and labels as (x, y).")
        return self.y


def samples_of(data: Any, labels: Any = None, *, split: str = "test", class_names: Sequence[str] = ()) -> Samples:
    """Bring data to one form.

    Parameters
    ----------
    data
        A data set (anything with ``x_train``, ``y_train``, ``x_test``, ``y_test`` and ``class_names``),
        ``((x_train, y_train), (x_test, y_test))``, ``(x, y)``, or the samples alone.
    labels
        Labels of samples given alone: integers ``(n,)`` or one-hot rows ``(n, num_classes)``.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    class_names
        Names of the classes; those of the data set, or their numbers, by default.

    Raises
    ------
    InputError
        ``split`` is neither, or there is no such part.
    DataError
        The samples and labels do not fit together or are not numbers.
    """
    if not isinstance(split, str) or split not in ("train", "test"):
        raise unknown_name("split", split, ("train", "test"))
    names = check_names(class_names, "class_names")
    if hasattr(data, f"x_{split}"):
        x, y, names = getattr(data, f"x_{split}"), getattr(data, f"y_{split}"), names or data.class_names
        if x is None:
            raise InputError(f"These data have no {split} part. Pass another split, or (x, y).")
    elif isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, tuple) for part in data):
        if not all(len(part) == 2 for part in data):
            raise DataError("Expected ((x_train, y_train), (x_test, y_test)); received two tuples of other lengths.")
        x, y = data[split == "test"]
    elif isinstance(data, tuple) and len(data) == 2:
        x, y = data
    else:
        x, y = data, labels
    x = numbers(x, "samples")
    if x.ndim < 2 or not len(x):
        raise DataError(f"Samples have shape (n, ...) with at least one sample; received {x.shape}.")
    if y is None:
        return Samples(x, None, tuple(map(str, names)))
    y = integer_labels(y, len(x))
    names = tuple(map(str, names)) or tuple(map(str, range(int(y.max()) + 1)))
    if y.max() >= len(names):
        raise DataError(f"Label {y.max()} has no name: there are {len(names)} class names. Give one name a class.")
    return Samples(x, y, names)


def integer_labels(labels: Any, count: int) -> np.ndarray:
    """Return ``count`` labels, integers or one-hot rows, as integers from 0.

    Raises
    ------
    DataError
        They are not.
    """
    y = numbers(labels, "labels")
    if y.ndim == 2 and y.shape[1] > 1:
        y = y.argmax(axis=1)
    y = y.reshape(-1) if y.ndim == 2 else y
    if y.shape != (count,) or not count:
        raise DataError(f"Expected {count} labels, one a sample; received shape {y.shape}.")
    if (y != np.round(y)).any() or y.min() < 0:
        raise DataError(f"Labels are the numbers of the classes, 0, 1, …; received values such as {y[:3].tolist()}.")
    if y.max() >= MAX_CLASSES:
        raise DataError(f"Label {y.max():.0f} is the number of no class: figures tell at most {MAX_CLASSES} apart.")
    return y.astype(int)


def numbers(value: Any, name: str) -> np.ndarray:
    """Return ``value`` as an array of finite numbers.

    Raises
    ------
    DataError
        It is none.
    """
    if np.ma.is_masked(value):
        raise DataError(f"{name}: {np.ma.count_masked(value)} values are masked. Leave their rows out, or fill them.")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise DataError(f"{name}: not a rectangular array: {error}.") from error
    if array.dtype.kind not in "buif":
        raise DataError(f"{name}: expected an array of numbers; received dtype {array.dtype}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(f"{name}: some values are NaN or infinite. Give finite numbers.")
    return array


def points_of(data: Any, labels: Any = None, **options: Any) -> Samples:
    """Return :func:`samples_of` data in the plane, with labels.

    Raises
    ------
    DataError
        The samples are not of shape ``(n, 2)``, or have no labels.
    """
    found = samples_of(data, labels, **options)
    if found.x.shape[1:] != (2,):
        raise DataError(f"This figure shows points in the plane, shape (n, 2); received {found.x.shape}.")
    return found.labelled()


def images_of(data: Any, labels: Any = None, **options: Any) -> Samples:
    """Return :func:`samples_of` data whose samples are images; a single grey channel is dropped.

    Raises
    ------
    DataError
        The samples are not of shape ``(n, height, width)`` or ``(n, height, width, 1 or 3)``.
    """
    found = samples_of(data, labels, **options)
    shape = found.x.shape
    if not (len(shape) == 3 or (len(shape) == 4 and shape[3] in (1, 3))):
        raise DataError(
            f"This figure shows images, shape (n, height, width) or (n, height, width, 1 or 3); received {shape}. "
            "A single image goes in a batch of one: image[None]."
        )
    return found._replace(x=found.x[..., 0]) if shape[3:] == (1,) else found


def check_names(names: Any, name: str) -> tuple[str, ...]:
    """Return ``names`` as a tuple of texts; ``None`` has none.

    Raises
    ------
    InputError
        They are no sequence.
    """
    return tuple(map(str, check_items(() if names is None else names, name, "a sequence of names")))


def check_items(items: Any, name: str, what: str) -> tuple[Any, ...]:
    """Return what a sequence, a set, an array or another iterable holds.

    Raises
    ------
    InputError
        It is none, or a text.
    """
    if isinstance(items, str | bytes) or not np.iterable(items):
        raise InputError(f"{name} must be {what}; received {name}={items!r:.80}.")
    return tuple(items)


def check_count(value: Any, name: str, minimum: int = 1, maximum: int | None = None) -> int:
    """Return ``value`` if it is an integer of at least ``minimum``, and at most ``maximum`` where there is one.

    Raises
    ------
    InputError
        It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < minimum:
        raise InputError(f"{name} must be an integer of at least {minimum}; received {name}={value!r:.80}.")
    if maximum is not None and value > maximum:
        raise InputError(f"{name} must be an integer of at most {maximum}; received {name}={value!r}.")
    return int(value)


def limits_of(points: np.ndarray, margin: float = 0.08) -> Limits:
    """Return the rectangle around points, ``((x1 low, high), (x2 low, high))``, widened by a share on each side."""
    low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
    pad = margin * np.where(high > low, high - low, 1)
    (a, b), (c, d) = np.transpose([low - pad, high + pad]).tolist()
    return (a, b), (c, d)


def check_limits(limits: Any) -> Limits:
    """Return limits as ``((x1 low, high), (x2 low, high))``.

    Raises
    ------
    InputError
        They are not two pairs of rising finite numbers.
    """
    array = _rising(limits)
    if array.shape != (2, 2):
        raise InputError(f"limits must be ((x1 low, x1 high), (x2 low, x2 high)); received limits={limits!r:.80}.")
    (a, b), (c, d) = array.tolist()
    return (a, b), (c, d)


def check_interval(limits: Any) -> tuple[float, float]:
    """Return limits as ``(low, high)``.

    Raises
    ------
    InputError
        They are not two rising finite numbers.
    """
    array = _rising(limits)
    if array.shape != (2,):
        raise InputError(f"limits must be (low, high) with low < high, both finite; received limits={limits!r:.80}.")
    low, high = array.tolist()
    return low, high


def _rising(limits: Any) -> np.ndarray:
    """Return pairs of rising finite numbers as an array, or an empty one."""
    try:
        array = np.asarray(limits, float)
    except (TypeError, ValueError, OverflowError):
        return np.empty(0)
    pairs = array.reshape(-1, 2) if array.shape[-1:] == (2,) else np.empty((0, 2))
    good = np.isfinite(pairs).all() and (pairs[:, 0] < pairs[:, 1]).all() and np.abs(pairs).max(initial=0) <= MAX_LIMIT
    return array if good else np.empty(0)
