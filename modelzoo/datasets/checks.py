"""Checks of samples and labels, shared by every loader and by the trainer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo.errors import DataError

#: Of data whose classes have no names: a label of a billion is a measurement or a key, not the number of a class.
MAX_CLASSES = 1 << 20

_ANY_LABELS = "For labels of another kind: modelzoo.datasets.from_arrays(x, y)."


def check_arrays(
    x: Any, y: Any, *, model: Any = None, num_classes: int | None = None, where: str = "data"
) -> tuple[np.ndarray, np.ndarray]:
    """Refuse samples and labels on which nothing can be trained or measured.

    Parameters
    ----------
    x
        Samples, shape ``(n, ...)``, a real numeric dtype, all values finite.
    y
        Labels: integers of shape ``(n,)`` in ``0..num_classes-1``, or one-hot rows of shape ``(n, num_classes)``.
    model
        See :func:`check_shape`.
    num_classes
        How many classes the labels may name; None takes any label >= 0 (or the width of one-hot rows).
    where
        What the arrays are, for the error, e.g. ``"training data"``.

    Returns
    -------
    x, y : numpy.ndarray
        The samples, and integer labels of shape ``(n,)``.
    """
    x, y = as_array(x, f"{where}: x"), as_array(y, f"{where}: y")
    if x.ndim == 1 and y.ndim > 1 and x.size:
        raise DataError(f"{where}: samples have shape {x.shape}, labels {y.shape}. Are they swapped? Give (x, y).")
    x, y = check_samples(x, model=model, where=where), check_labels(y, num_classes=num_classes, where=where)
    if len(x) != len(y):
        raise DataError(f"{where}: {len(x)} samples but {len(y)} labels. Give one label for each sample.")
    return x, y


def as_array(value: Any, name: str) -> np.ndarray:
    """Return an array, a list or anything alike as an array.

    Parameters
    ----------
    value
        What the caller gave.
    name
        What it is, for the error.
    """
    if any(map(np.ma.is_masked, value if isinstance(value, list | tuple) else [value])):
        raise DataError(f"{name} has masked values. Leave their rows out, or fill them (x.filled(0)).")
    try:
        array = np.asarray(value)
    except ValueError as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise DataError(f"{name} must be a rectangular array: {reason}. Give all samples the same shape.") from None
    if array.dtype == object and array.ndim == 0:
        raise DataError(f"{name} is a {type(value).__name__}, not an array. Give an array or a list.")
    return array


def check_samples(x: Any, *, model: Any = None, where: str = "data") -> np.ndarray:
    """Refuse samples that are empty, not numeric, or not finite; return them as an array.

    Parameters
    ----------
    x
        An array, or what NumPy makes one of, of shape ``(n, ...)``.
    model
        See :func:`check_shape`.
    where
        What the array is, for the error.

    Returns
    -------
    numpy.ndarray
        The samples.
    """
    x = as_array(x, f"{where}: x")
    if x.dtype.kind not in "biuf" or x.dtype.itemsize > 8:
        raise DataError(f"{where}: x has dtype {x.dtype}. Give real numbers, such as uint8 or float32.")
    if x.ndim < 2:
        raise DataError(f"{where}: x has shape {x.shape}. Give (n, ...): one row or one image for each sample.")
    if x.size == 0:
        raise DataError(f"{where}: x is empty, shape {x.shape}. Give at least one sample.")
    check_shape(x.shape[1:], model, where=where)
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        index = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        raise DataError(f"{where}: x[{', '.join(map(str, index))}] is {x[index]}. Remove or replace NaN and infinity.")
    if x.dtype == np.float64 and (top := max(x.max(), -x.min())) > np.finfo(np.float32).max:
        raise DataError(f"{where}: x holds {top:.3g}, more than float32 can. Scale the samples.")
    return x


def check_shape(given: Sequence[int], model: Any, *, where: str) -> None:
    """Refuse samples of a shape that a model does not take.

    Parameters
    ----------
    given
        Shape of one sample.
    model
        Any with one ``input_shape``, in which a side may be ``None``, and a ``name``; ``None`` takes all.
    where
        What the samples are, for the error.
    """
    if model is None:
        return
    wanted = tuple(model.input_shape[1:])
    if len(given) == len(wanted) and all(side in (None, own) for own, side in zip(given, wanted, strict=True)):
        return
    rows = len(given) == 1 and None not in wanted and given[0] == math.prod(wanted)
    advice = f"Give shape={wanted} to datasets.load of a .csv, or x.reshape(-1, *{wanted})" if rows else "Reshape them"
    raise DataError(
        f"{where}: samples have shape {tuple(given)}, but {model.name!r} takes {wanted}. {advice}, or build it for "
        "these."
    )


def check_labels(y: Any, *, num_classes: int | None = None, where: str = "data") -> np.ndarray:
    """Refuse labels that are no class numbers; return them as integers of shape ``(n,)``.

    Parameters
    ----------
    y
        Integers of shape ``(n,)``, or one-hot rows of shape ``(n, num_classes)``.
    num_classes
        How many classes the labels may name; None takes any label >= 0.
    where
        What the array is, for the error.

    Returns
    -------
    numpy.ndarray
        Integer labels, shape ``(n,)``; one-hot rows become the index of their one.
    """
    y = as_array(y, f"{where}: y")
    if y.size == 0:
        raise DataError(f"{where}: y is empty, shape {y.shape}. Give at least one label.")
    if y.dtype.kind not in "biuf":
        raise DataError(f"{where}: y has dtype {y.dtype}. Give integer labels 0, 1, 2, ... {_ANY_LABELS}")
    if y.ndim == 2 and y.shape[1] == 1:
        raise DataError(f"{where}: y has shape {y.shape}, a column. Make it (n,): y.ravel().")
    if y.ndim == 2:
        return _from_one_hot(y, num_classes, where)
    if y.ndim != 1:
        raise DataError(f"{where}: y has shape {y.shape}. Give (n,) integer labels, or (n, classes) one-hot rows.")
    if y.dtype.kind not in "iu":
        raise DataError(f"{where}: y has dtype {y.dtype}. Labels are integers 0, 1, 2, ... {_ANY_LABELS}")
    bad = y < 0 if num_classes is None else (y < 0) | (y >= num_classes)
    if bad.any():
        index = int(np.argmax(bad))
        allowed = "0 or more" if num_classes is None else f"0 to {num_classes - 1}"
        raise DataError(
            f"{where}: label {y[index]} at index {index} is out of range. Labels here are {allowed}. {_ANY_LABELS}"
        )
    return y


def _from_one_hot(y: np.ndarray, num_classes: int | None, where: str) -> np.ndarray:
    if num_classes is not None and y.shape[1] != num_classes:
        raise DataError(f"{where}: one-hot labels are {y.shape[1]} wide, but there are {num_classes} classes.")
    good = ((y == 0) | (y == 1)).all(axis=1) & (y.sum(axis=1) == 1)
    if not good.all():
        index = int(np.argmin(good))
        raise DataError(
            f"{where}: row {index} of y is {y[index].tolist()!r:.60}, not one-hot. Give one 1 among 0s, or integers."
        )
    return y.argmax(axis=1)
