"""Labels of any kind as class numbers."""

from __future__ import annotations

import numpy as np

from modelzoo.errors import DataError


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
