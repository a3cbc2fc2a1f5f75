"""Reading csv tables of numbers, with errors that name the line."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from modelzoo._checks import check_integer
from modelzoo.datasets.checks import check_file
from modelzoo.datasets.dataset import Dataset, split_arrays
from modelzoo.datasets.files import MAX_BYTES
from modelzoo.datasets.labels import number_classes
from modelzoo.datasets.registry import register_file_loader
from modelzoo.errors import DataError, InputError


@register_file_loader(lambda path: path.is_file() and path.suffix.lower() == ".csv", "a .csv file")
def load_csv(
    path: str | os.PathLike[str],
    *,
    label: str | int = -1,
    shape: Sequence[int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load a data set from a table of numbers with a label column.

    Parameters
    ----------
    path
        UTF-8 text; comma, semicolon or tab between fields; a first line that is not all numbers is the header.
    label
        The label column: its name in the header, or its index (-1 is the last).
    shape
        Shape of one sample, e.g. ``(28, 28)`` for rows of 784 pixels; None keeps rows. With a shape, values that are
        whole numbers 0-255 become uint8 pixels.
    test_fraction, seed
        Share held out for testing, stratified, and the seed of that split.

    Returns
    -------
    Dataset
        float32 samples of shape ``(n, columns)``, or of ``shape``; labels renumbered 0..k-1, their original values
        in ``class_names``.

    Raises
    ------
    DataError
        The file is missing or empty, or a line is not usable; the error names the line.
    InputError
        An option is not usable, e.g. a label column that does not exist.
    """
    path = check_file(path, "a .csv file")
    header, table = _read_table(path)
    column = _label_column(label, header, table.shape[1], path)
    y, names = number_classes(table[:, column], where=str(path))
    with np.errstate(over="ignore"):  # 1e300 becomes infinite, which the check of the arrays names
        x = np.delete(table, column, axis=1).astype(np.float32)
    if shape is not None:
        sides = tuple(check_integer("shape", side, 1) for side in shape)
        if math.prod(sides) != x.shape[1]:
            raise InputError(
                f"shape={sides} needs {math.prod(sides)} values a row; {path} has {x.shape[1]} and a label."
            )
        x = x.reshape(-1, *sides)
        if x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all():
            x = x.astype(np.uint8)
    facts = {"name": path.stem, "source": path.name, "license": "unknown", "class_names": tuple(names)}
    return split_arrays(x, y, test_fraction=test_fraction, seed=seed, where=str(path), **facts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_table(path: Path) -> tuple[list[str] | None, np.ndarray]:
    """Return the header, if any, and the rows as float64 of shape ``(n, columns)``, n >= 1, columns >= 2."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES} bytes. Read it in parts with tf.data instead.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}. Give a readable .csv file.") from error
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not numbered:
        raise DataError(f"{path} is empty. Give at least two rows of numbers.")
    delimiter = max(",;\t", key=numbered[0][1].count)
    rows = csv.reader((line for _, line in numbered), delimiter=delimiter, skipinitialspace=True)
    try:
        first = next(rows)
    except csv.Error as error:
        raise DataError(f"{path}, line {numbered[0][0]}: {error}.") from error
    header = None if all(map(_is_number, first)) else [field.strip() for field in first]
    body = numbered[1:] if header else numbered
    if len(first) < 2 or not body:
        found = "one column" if len(first) < 2 else "a header and no rows"
        raise DataError(f"{path} has {found}. Give rows of numbers with a label column.")
    try:  # NumPy's parser is many times faster; its errors do not name the file's line, so the slow way repeats it
        table = np.loadtxt([line for _, line in body], delimiter=delimiter, comments=None, quotechar='"', ndmin=2)
        if table.shape == (len(body), len(first)) and np.isfinite(table).all():
            return header, table
    except ValueError:
        pass
    return header, _read_rows(path, body, delimiter, len(first))


def _read_rows(path: Path, body: list[tuple[int, str]], delimiter: str, width: int) -> np.ndarray:
    table = np.empty((len(body), width))
    for index, (number, line) in enumerate(body):
        try:
            fields = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
        except csv.Error as error:
            raise DataError(f"{path}, line {number}: {error}.") from error
        if len(fields) != width:
            raise DataError(f"{path}, line {number}: {len(fields)} fields, but the first line has {width}.")
        for position, field in enumerate(fields):
            if not _is_number(field) or not math.isfinite(float(field)):
                raise DataError(f"{path}, line {number}, column {position + 1}: {field!r:.40} is no finite number.")
            table[index, position] = float(field)
    return table


def _label_column(label: str | int, header: list[str] | None, width: int, path: Path) -> int:
    if isinstance(label, str):
        if header is None:
            raise InputError(f"label={label!r}: {path} has no header. Give the column's index, such as -1.")
        if label not in header:
            raise InputError(f"label={label!r} is no column of {path}. Columns: {', '.join(header)}.")
        return header.index(label)
    return check_integer("label", label, -width, width - 1) % width
