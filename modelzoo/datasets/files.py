"""Data sets in files: npz, csv and IDX. Reading one can neither run code nor allocate more than the file can hold."""

from __future__ import annotations

import csv
import gzip
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from modelzoo._checks import check_integer, check_path
from modelzoo.datasets.checks import check_arrays
from modelzoo.datasets.dataset import MAX_BYTES, Dataset, check_fraction, stratified_split
from modelzoo.datasets.registry import register_file_loader
from modelzoo.errors import DataError, InputError

_MAX_DEFLATE_RATIO = 1040  # DEFLATE cannot shrink data more than 1032-fold


def number_classes(*arrays: np.ndarray, where: str) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Renumber labels 0..k-1 in the order of their values, so that 1..10, -1/+1 or text all work.

    Parameters
    ----------
    arrays
        Labels of the training part, then of others, each of shape ``(n,)``: integers, whole floats or text.
    where
        What they are, for errors.

    Returns
    -------
    tuple
        The int64 labels of each part, and the original values as text.
    """
    plain = []
    for labels in arrays:
        if labels.ndim != 1 or labels.size == 0:
            raise DataError(f"{where}: labels must have shape (n,), one for each sample; got {labels.shape}.")
        if labels.dtype.kind == "f":
            whole = np.isfinite(labels) & (labels == np.floor(labels)) & (np.abs(labels) < 2**53)
            if not whole.all():
                bad = int(np.argmin(whole))
                raise DataError(f"{where}: label {labels[bad]} at index {bad} must be a whole number or text.")
        plain.append(as_text(labels) if labels.dtype.kind in "SU" else labels.astype(np.int64))
    if len({labels.dtype.kind for labels in plain}) == 2:
        raise DataError(f"{where}: training and test labels must be both numbers or both text. Save them alike.")
    values = np.unique(plain[0])
    if len(values) > 65536:
        raise DataError(f"{where}: labels must be class numbers; got {len(values)} different values.")
    numbered = [np.minimum(np.searchsorted(values, labels), len(values) - 1) for labels in plain]
    for positions, labels in zip(numbered, plain, strict=True):
        unseen = values[positions] != labels
        if unseen.any():
            raise DataError(f"{where}: test label {labels[unseen.argmax()]!s} does not occur in the training labels.")
    return numbered, tuple(as_text(values).tolist())


def as_text(values: np.ndarray) -> np.ndarray:
    """Return an array's values as text; bytes are taken as UTF-8, with bad ones replaced."""
    return np.char.decode(values, "utf-8", "replace") if values.dtype.kind == "S" else values.astype(str)


def split_arrays(x: np.ndarray, y: np.ndarray, *, test_fraction: float, seed: int, path: Path, **facts: Any) -> Dataset:
    """Make a Dataset of one array by a stratified split."""
    check_arrays(x, y, where=str(path))
    train, test = stratified_split(y, check_fraction(test_fraction), seed, where="test_fraction")
    facts = {"name": path.stem, "source": path.name, "license": "unknown", **facts}
    return Dataset(x[train], y[train], x[test], y[test], **facts)


def read_npz(path: str | os.PathLike[str] | IO[bytes], *, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file, or of an open binary file, by name, without ever unpickling.

    Raises
    ------
    DataError
        The file is missing, truncated or altered, holds Python objects, or declares more than ``max_bytes``.
    """
    label = path if isinstance(path, str | os.PathLike) else getattr(path, "name", "npz data")
    file: Any = path if hasattr(path, "read") else check_path(path, "an .npz file")
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info.file_size for info in archive.infolist()}
            total = sum(members.values())
        if total > max_bytes:
            raise DataError(f"{label} would unpack to {total} bytes; at most {max_bytes} are read.")
        if hasattr(file, "seek"):
            file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if f"{name}.npy" in members}
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zipfile, its decompressors and NumPy raise errors of many kinds
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        if "Object arrays" in reason:
            reason = "it holds pickled Python objects, which could run code"
        raise DataError(f"Cannot read {label}: {reason:.160}. Give an intact .npz made by numpy.savez.") from error


@register_file_loader(lambda path: path.is_file() and path.suffix.lower() == ".npz", "an .npz file")
def load_npz(path: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load a data set from an .npz file, as written by ``numpy.savez``.

    Parameters
    ----------
    path
        A file with the arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` (Keras' names), or ``x`` and ``y``.
        Labels are whole numbers or text of shape ``(n,)`` and are renumbered 0..k-1; an optional text array
        ``class_names`` names classes 0..k-1, and then nothing is renumbered. Other arrays are ignored.
    test_fraction, seed
        Share of ``x`` held out for testing, stratified, and the seed of that split; unused if the file has a test set.
    """
    path = Path(path)
    arrays = {name.lower(): array for name, array in read_npz(path).items()}
    layouts = (("_train", "_test"), ("",))
    fitting = [found for found in layouts if {f"{axis}{end}" for axis in "xy" for end in found} <= arrays.keys()]
    if not fitting:
        raise DataError(
            f"{path} holds {', '.join(sorted(arrays)) or 'no arrays'}. "
            "It needs x_train, y_train, x_test, y_test; or x and y."
        )
    samples, labels = ([arrays[f"{axis}{ending}"] for ending in fitting[0]] for axis in "xy")
    if "class_names" in arrays:
        names = tuple(as_text(arrays["class_names"].ravel()).tolist())
    else:
        labels, names = number_classes(*labels, where=str(path))
    if len(samples) == 1:
        return split_arrays(*samples, *labels, test_fraction=test_fraction, seed=seed, path=path, class_names=names)
    check_arrays(samples[0], labels[0], num_classes=len(names), where=f"{path} training set")
    return Dataset(
        samples[0],
        labels[0],
        samples[1],
        labels[1],
        name=path.stem,
        source=path.name,
        license="unknown",
        class_names=names,
    )


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
    """
    path = check_path(path, "a .csv file")
    header, table = _read_table(path)
    if not isinstance(label, str):
        column = check_integer("label", label, -table.shape[1], table.shape[1] - 1)
    elif label in header:
        column = header.index(label)
    else:
        raise InputError(f"label={label!r} is no column of {path}. Columns: {', '.join(header) or 'without names'}.")
    (y,), names = number_classes(table[:, column], where=str(path))
    with np.errstate(over="ignore"):  # 1e300 becomes infinite, which the check of the arrays names
        x = np.delete(table, column, axis=1).astype(np.float32)
    if shape is not None:
        sides = tuple(check_integer("shape", side) for side in shape)
        if math.prod(sides) != x.shape[1]:
            raise InputError(
                f"shape={sides} needs {math.prod(sides)} values a row; {path} has {x.shape[1]} and a label."
            )
        x = x.reshape(-1, *sides)
        if x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all():
            x = x.astype(np.uint8)
    return split_arrays(x, y, test_fraction=test_fraction, seed=seed, path=path, class_names=names)


def read_rows(path: str | os.PathLike[str], shape: Sequence[int]) -> np.ndarray:
    """Read the rows of a .csv file without labels, float32 of shape ``(n, *shape)``."""
    path = check_path(path, "a .csv file")
    _, table = _read_table(path)
    if table.shape[1] != math.prod(shape):
        raise DataError(
            f"{path} has {table.shape[1]} columns; samples of shape {tuple(shape)} have {math.prod(shape)}. Give a "
            "table of the samples alone."
        )
    return table.astype(np.float32).reshape(-1, *shape)


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the header, empty without one, and the rows as finite float64 of shape ``(n, columns)``, columns >= 2."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path} is larger than {MAX_BYTES} bytes. Write it as shards: datasets.write_tfrecord.")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror}. Give a readable .csv file.") from error
    body = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    delimiter = max(",;\t", key=body[0][1].count) if body else ","
    first = _fields(path, *body[0], delimiter) if body else []
    header = [] if all(_is_finite(field) for field in first) else [field.strip() for field in first]
    body = body[1:] if header else body
    if len(first) < 2 or not body:
        found = "a header alone" if header and len(first) > 1 else "one column" if first else "no text"
        raise DataError(f"{path} must hold rows of numbers with a label column; it holds {found}.")
    try:
        table = np.loadtxt([line for _, line in body], delimiter=delimiter, comments=None, quotechar='"', ndmin=2)
        if table.shape == (len(body), len(first)) and np.isfinite(table).all():
            return header, table
        reason = "rows of unequal length, or numbers that are not finite"
    except ValueError as error:
        reason = str(error)
    for number, line in body:  # NumPy counts rows, not lines of the file
        fields = _fields(path, number, line, delimiter)
        if len(fields) != len(first):
            raise DataError(f"{path}, line {number}: {len(fields)} fields, but the first line has {len(first)}.")
        for column, field in enumerate(fields, 1):
            if not _is_finite(field):
                raise DataError(f"{path}, line {number}, column {column}: {field!r:.40} is no finite number.")
    raise DataError(f"{path}: {reason:.100}. Save it without quotes and blanks.")


def _fields(path: Path, number: int, line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error as error:
        raise DataError(f"{path}, line {number}: {error}.") from error


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, the format of MNIST; gzip-compressed or not is told from its first bytes.

    Format: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit integer,
    then the values, big-endian, last dimension fastest.

    Raises
    ------
    DataError
        The file is missing, no IDX file, truncated, longer than it declares, or declares too much.
    """
    path = check_path(path, "an IDX file")
    try:
        ceiling = path.stat().st_size
        with open(path, "rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 1 <= head[3] <= 8:
                raise DataError(f"{path} is no IDX file: it starts with {head.hex(' ') or 'nothing'}.")
            dtype, sides = np.dtype(_IDX_TYPES[head[2]]), file.read(4 * head[3])
            shape = struct.unpack(f">{len(sides) // 4}I", sides[: len(sides) // 4 * 4])
            size = math.prod(shape) * dtype.itemsize
            if size > min(MAX_BYTES, ceiling * (_MAX_DEFLATE_RATIO if packed else 1)):
                raise DataError(f"{path} is truncated, or too large: it declares shape {shape}, {size} bytes.")
            data = file.read(size + 1)
        if len(data) != size or len(sides) != 4 * head[3]:
            raise DataError(f"{path} must hold the {size} bytes of shape {shape}, and no more. Fetch it again.")
        return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
    except DataError:
        raise
    except (OSError, EOFError, zlib.error, ValueError) as error:  # ValueError: (2**32 - 1, 2**32 - 1, 0) is no shape
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"Cannot read {path}: {reason}. Give an intact IDX file, plain or .gz.") from error


def find_idx_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the IDX files of a folder in MNIST's layout: images and labels of training, then of testing.

    Their names are ``train-images-idx3-ubyte`` and so on, also written ``.idx3-ubyte``, plain or ``.gz``.
    """
    folder = check_path(folder, "a folder of IDX files")
    try:
        files = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"Cannot read folder {folder}: {error.strerror}. Give a folder of IDX files.") from error
    found = {(m[1].replace("test", "t10k"), m[2]): folder / m[0] for m in map(_IDX_NAME.fullmatch, files) if m}
    wanted = [(part, kind) for part in ("train", "t10k") for kind in ("images", "labels")]
    names = {key: f"{key[0]}-{key[1]}-idx{3 if key[1] == 'images' else 1}-ubyte" for key in wanted}
    missing = [name for key, name in names.items() if key not in found]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)} (plain or .gz). Give a folder with the four IDX files.")
    return [found[key] for key in wanted]


@register_file_loader(
    lambda path: path.is_dir() and any(map(_IDX_NAME.fullmatch, os.listdir(path))), "a folder of four IDX files"
)
def load_idx_folder(folder: str | os.PathLike[str]) -> Dataset:
    """Load a folder of four IDX files in MNIST's layout and with MNIST's names, such as KMNIST's."""
    arrays = [read_idx(path) for path in find_idx_files(folder)]
    check_arrays(arrays[0], arrays[1], where=f"{folder} training set")
    return Dataset(*arrays, name=Path(folder).resolve().name, source=str(folder), license="unknown")
