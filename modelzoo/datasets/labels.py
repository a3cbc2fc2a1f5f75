"""Class labels: one-hot rows, renumbering and stratified splitting."""

from __future__ import annotations

import numpy as np

from modelzoo.datasets.checks import check_fraction, check_int, check_labels, check_seed
from modelzoo.errors import DataError

_MAX_BYTES = 4 << 30  # of one-hot rows


def one_hot(y: np.ndarray, num_classes: int) -> np.ndarray:
    """Return integer labels as one-hot rows.

    Parameters
    ----------
    y
        Integers of shape ``(n,)`` in ``0..num_classes-1``.
    num_classes
        Width of a row.

    Returns
    -------
    numpy.ndarray
        float32 of shape ``(n, num_classes)``, a single 1 in each row.

    Raises
    ------
    DataError
        A label is out of range or no integer.
    """
    num_classes = check_int(num_classes, "num_classes", minimum=1)
    labels = check_labels(y, num_classes=num_classes, where="one_hot")
    if len(labels) * num_classes * 4 > _MAX_BYTES:
        raise DataError(
            f"one_hot: {len(labels)} rows of {num_classes} numbers need more than {_MAX_BYTES} bytes. Train on integer "
            "labels, with the loss 'sparse_categorical_crossentropy'."
        )
    rows = np.zeros((len(labels), num_classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def stratified_split(
    y: np.ndarray, held_out: float | int, seed: int, *, where: str = "split"
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
        What is split, for the error.

    Returns
    -------
    tuple of numpy.ndarray
        Sorted indices ``(kept, held)``. Both hold every class.

    Raises
    ------
    InputError
        ``held_out`` is neither a fraction nor a number from 1 to n - 1.
    DataError
        A class has one sample only, or the parts are too small to hold every class.
    """
    n = len(y)
    if isinstance(held_out, (float, np.floating)):
        held_out = max(1, round(check_fraction(held_out, where) * n))
    held_out = check_int(held_out, where, minimum=1, maximum=max(1, n - 1))
    labels, counts = np.unique(y, return_counts=True)
    if counts.min() < 2:
        raise DataError(f"{where}: class {labels[counts.argmin()]} has one sample. A split needs two or more a class.")
    if not len(labels) <= held_out <= n - len(labels):
        raise DataError(
            f"{where}: {held_out} of {n} samples cannot hold out all {len(labels)} classes and keep all. "
            f"Give a number from {len(labels)} to {n - len(labels)}."
        )
    quota = _quota(counts, held_out)
    rng = np.random.default_rng([check_seed(seed), 0x5B117])  # a stream of its own, apart from other uses of the seed
    held = np.zeros(n, bool)
    for label, size in zip(labels, quota, strict=True):
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


def as_text(values: np.ndarray) -> np.ndarray:
    """Return an array's values as text; bytes are taken as UTF-8, with bad ones replaced."""
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values.astype(str)


def number_classes(y: np.ndarray, y_test: np.ndarray | None = None, *, where: str) -> tuple[np.ndarray, ...]:
    """Renumber labels 0..k-1 in the order of their values, so that 1..10, -1/+1 or text all work.

    Parameters
    ----------
    y
        Labels, shape ``(n,)``: integers, whole floats or text.
    y_test
        More labels, numbered the same way; a class that ``y`` lacks is refused.
    where
        What they are, for the error.

    Returns
    -------
    tuple of numpy.ndarray
        ``(y, y_test, names)`` or ``(y, names)``: int64 labels and the original values as text.

    Raises
    ------
    DataError
        A label is no whole number or text, or a test label does not occur in training.
    """
    arrays = [y] if y_test is None else [y, y_test]
    for index, labels in enumerate(arrays):
        if labels.ndim != 1 or labels.size == 0:
            raise DataError(f"{where}: labels have shape {labels.shape}. Give one label for each sample, shape (n,).")
        if labels.dtype.kind == "S":
            arrays[index] = as_text(labels)
        if labels.dtype.kind == "f":
            whole = np.isfinite(labels) & (labels == np.floor(labels)) & (np.abs(labels) < 2**53)
            if not whole.all():
                bad = int(np.argmin(whole))
                raise DataError(f"{where}: label {labels[bad]} at index {bad} is no class. Labels are whole numbers.")
            arrays[index] = labels.astype(np.int64)
    if len({labels.dtype.kind == "U" for labels in arrays}) == 2:
        raise DataError(f"{where}: training and test labels are not both numbers or both text. Save them alike.")
    values = np.unique(arrays[0])
    if len(values) > 65536:
        raise DataError(f"{where}: {len(values)} different labels. Are these measurements? Labels are class numbers.")
    numbered = [np.minimum(np.searchsorted(values, labels), len(values) - 1) for labels in arrays]
    for positions, labels in zip(numbered, arrays, strict=True):
        unseen = values[positions] != labels
        if unseen.any():
            raise DataError(f"{where}: test label {labels[unseen.argmax()]!s} does not occur in the training labels.")
    return (*numbered, as_text(values))
