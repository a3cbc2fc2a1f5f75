"""Data sets in files: npz, csv and IDX. Reading one can neither run code nor allocate more than the file can hold."""

from __future__ import annotations

import csv
import gzip
import logging
import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_path
from modelzoo.datasets.dataset import MAX_BYTES, PART_NAMES, PARTS, Dataset, as_text, from_arrays
from modelzoo.datasets.registry import register_file_loader
from modelzoo.errors import DataError, InputError, reason_of

logger = logging.getLogger(__name__)

_MAX_DEFLATE_RATIO = 1040  # DEFLATE cannot shrink data more than 1032-fold


def read_npz(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file by name, without ever unpickling.

    Raises
    ------
    DataError
        The file is missing, truncated or altered, holds Python objects, or declares more than ``max_bytes``.
    """
    path = check_path(path, "an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info.file_size for info in archive.infolist()}
            total = sum(members.values())
        if total > max_bytes:
            raise DataError(f"{path} would unpack to {total} bytes; at most {max_bytes} are read.")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files if f"{name}.npy" in members}
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zipfile, its decompressors and NumPy raise errors of many kinds
        reason = reason_of(error)
        if "Object arrays" in reason:
            reason = "it holds pickled Python objects, which could run code"
        raise DataError(f"Cannot read {path}: {reason:.160}. Give an intact .npz made by numpy.savez.") from error


_AXES = {
    "x": ("x", "image", "images", "data", "sample", "samples", "feature", "features", "input", "inputs"),
    "y": ("y", "label", "labels", "target", "targets"),
}
_PART = "|".join(PART_NAMES)
_ARRAY_NAME = re.compile(rf"(?:({_PART})_?)?({'|'.join([*_AXES['x'], *_AXES['y']])})(?:_?({_PART}))?")


@register_file_loader(lambda path: path.is_file() and path.suffix.lower() == ".npz", "an .npz file")
def load_npz(path: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Load a data set from an .npz file, as written by ``numpy.savez``.

    Parameters
    ----------
    path
        A file with samples and labels called ``x`` and ``y``, ``images`` and ``labels``, ``data`` and ``target``, or
        nothing (``savez(path, x, y)``); in parts ``x_train``, ``y_train``, ``x_test``, ``y_test`` (Keras' names),
        ``train_images``, ``train_labels``, ``val_images`` and so on, in any case. Labels are as of :func:`from_arrays`;
        an array ``class_names`` or ``target_names`` names the classes. Other arrays are ignored.
    test_fraction, seed
        Share held out for testing, stratified, and the seed of that split; unused if the file has parts.
    """
    path = check_path(path, "an .npz file")
    arrays = {name.lower(): array for name, array in read_npz(path).items()}
    if arrays.keys() == {"arr_0", "arr_1"}:
        arrays = {"x": arrays["arr_0"], "y": arrays["arr_1"]}
    found: dict[str, list[str]] = {}
    for name in arrays:
        if (match := _ARRAY_NAME.fullmatch(name)) and not (match[1] and match[3]):
            axis = "x" if match[2] in _AXES["x"] else "y"
            found.setdefault(f"{axis}_{PARTS[PART_NAMES[match[1] or match[3] or 'train']]}", []).append(name)
    complete = all(f"{'y' if key[0] == 'x' else 'x'}{key[1:]}" in found for key in found)
    if "x_train" not in found or not complete or any(len(names) > 1 for names in found.values()):
        raise DataError(
            f"{path} holds {', '.join(sorted(arrays)) or 'no arrays'}. It needs x and y, images and labels, or data "
            "and target, one of each; or for every part x_train and y_train, or train_images and train_labels, ... "
            "(train, val, test). Save it under such names."
        )
    parts: dict[str, Any] = {key: arrays[name] for key, (name,) in found.items()}
    named = [arrays[key] for key in ("class_names", "target_names", "label_names") if key in arrays]
    names = tuple(as_text(named[0].ravel()).tolist()) if named else ()
    x, y = parts.pop("x_train"), parts.pop("y_train")
    data = from_arrays(x, y, **parts, class_names=names, name=path.stem, source=path.name)
    return data if parts else data.split_test(test_fraction, seed)


#: Headers of a table's label column. A column y is one of two coordinates where there is a column x.
_LABELS = {"category", "class", "classes", "label", "labels", "species", "target", "targets", "variety", "y"}
_UNNAMED = {"", "unnamed: 0"}
_ROW_NUMBERS = {*_UNNAMED, "id", "index"}


@register_file_loader(lambda path: path.is_file() and path.suffix.lower() == ".csv", "a .csv file")
def load_csv(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = None,
    shape: Sequence[int] | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load a data set from a table of numbers with a label column; :func:`read_csv` reads one without labels.

    Parameters
    ----------
    path
        UTF-8 text; comma, semicolon or tab between fields; a first line of names is the header; numbers
        may be among them beside the name of the label or of row numbers. A first
        column without a name is left out, and so is one of distinct whole numbers that is called ``id`` or ``index``
        or has no name.
    label
        The label column, of whole numbers or text: its name in the header, or its index (0 is the first, -1 the last).
        By default the one that the header calls ``label``, ``target``, ``class``, ``species``, ``y`` or the like.
    shape
        Shape of one sample, e.g. ``(28, 28)`` for rows of 784 pixels; None keeps rows. With a shape, values that are
        whole numbers 0-255 become uint8 pixels.
    test_fraction, seed
        Share held out for testing, stratified, and the seed of that split.

    Returns
    -------
    Dataset
        float32 samples of shape ``(n, columns)``, or of ``shape``; labels as of :func:`from_arrays`.
    """
    x, y = _Table(check_path(path, "a .csv file"), label).samples(label, shape)
    path = Path(path)
    return from_arrays(x, y, name=path.stem, source=path.name).split_test(test_fraction, seed)


def read_csv(path: str | os.PathLike[str], *, shape: Sequence[int] | None = None) -> np.ndarray:
    """Return the samples of a table, for predictions: as :func:`load_csv` has them, in the order of the rows.

    Parameters
    ----------
    path
        As of :func:`load_csv`. A column that the header calls the label is left out.
    shape
        Shape of one sample.
    """
    return _Table(check_path(path, "a .csv file")).samples(None, shape, labelled=False)[0]


class _Table:
    """The lines of a .csv file, with the names of their fields."""

    def __init__(self, path: Path, label: str | int | None = None) -> None:
        self.path = path
        try:
            if path.stat().st_size > MAX_BYTES:
                raise DataError(f"{path} is larger than {MAX_BYTES} bytes. Write it as shards: write_tfrecord.")
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise DataError(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
        except OSError as error:
            raise DataError(f"Cannot read {path}: {error.strerror}. Give a readable .csv file.") from error
        self.body = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        self.delimiter = max(",;\t", key=self.body[0][1].count) if self.body else ","
        first, second = ([self._fields(*line) for line in self.body[:2]] + [[], []])[:2]
        self.width, self.header = len(first), list[str]()
        if self._is_header([field.strip() for field in first], second, label):
            self.header, self.body = [field.strip() for field in first], self.body[1:]
        if not self.body:
            raise DataError(f"{path} needs rows of numbers; it holds {'a header alone' if self.width else 'no text'}.")

    def _is_header(self, first: list[str], second: list[str], label: str | int | None) -> bool:
        """Return whether the first line names the columns: it has no numbers, or beside them a name that is known."""
        numbers = [float(field) for field in first if _is_finite(field)]
        if not numbers or len(numbers) == len(first):
            return not numbers
        names = [field.lower() for field in first]
        above = {name for name, value in zip(names, second, strict=False) if _is_finite(value)} - {""}
        numbered = numbers == list(range(len(numbers)))  # as pandas numbers columns, after an index without a name
        if _LABELS & {*names} or _ROW_NUMBERS & above or (not first[0] and numbered):
            return True
        if isinstance(label, str):
            return label.lower() in names
        if isinstance(label, int | np.integer) and -len(first) <= label < len(first) == len(second):
            rising = all(n == int(n) for n in numbers) and sorted({*numbers}) == numbers
            if rising and not _is_finite(first[label]) and _is_finite(second[label]):
                raise InputError(
                    f"{self.path}, line {self.body[0][0]} must be a header or a sample; {first[label]!r:.40} above "
                    f"{second[label]!r:.40} may be either. Give label={first[label]!r:.40} if it is a header, or write "
                    "one above it."
                )
        return False

    def samples(
        self, label: str | int | None, shape: Sequence[int] | None, *, labelled: bool = True
    ) -> tuple[np.ndarray, Any]:
        """Return the samples, and the values of the label column, ``None`` if it is neither named nor wanted."""
        column, names = self._label_column(label, labelled=labelled), [name.lower() for name in self.header]
        values: dict[str, int] = {}
        table = self._numbers(column, values)
        labels = None if column is None else np.array(list(values))[table[:, column].astype(int)]
        left_out = [] if column is None else [column]
        for index, name in enumerate(names):
            numbers = table[:, index]
            distinct = name in _ROW_NUMBERS and len(np.unique(numbers)) == len(numbers)
            counts = distinct and (numbers == np.floor(numbers)).all()
            if index != column and (counts or (index == 0 and name in _UNNAMED)):
                logger.warning("%s: the column %r numbers the rows and is left out.", self.path, self.header[index])
                left_out.append(index)
        if labels is not None and all(map(_is_finite, values)):
            labels = labels.astype(float)
        with np.errstate(over="ignore"):  # 1e300 becomes infinite, which the check of the arrays names
            x = np.delete(table, left_out, axis=1).astype(np.float32)
        if shape is None:
            return x, labels
        sides = tuple(check_integer("shape", side) for side in shape)
        if math.prod(sides) != x.shape[1]:
            more = " and a label" if column is not None else ""
            if not labelled and not more and x.shape[1] == math.prod(sides) + 1:
                more = (
                    ". If one column holds labels, write a header with the name 'label' above it: it is left out then"
                )
            raise InputError(
                f"shape={sides} needs {math.prod(sides)} values a row; {self.path} has {x.shape[1]}{more}."
            )
        x = x.reshape(-1, *sides)
        pixels = x.min() >= 0 and x.max() <= 255 and (x == np.floor(x)).all()
        return x.astype(np.uint8) if pixels else x, labels

    def _label_column(self, label: str | int | None, *, labelled: bool) -> int | None:
        names = [name.lower() for name in self.header]
        columns = f"Columns: {', '.join(self.header) or 'without names':.200}."
        if isinstance(label, str):
            fitting = [i for i, name in enumerate(self.header) if name == label] or [
                i for i, name in enumerate(names) if name == label.lower()
            ]
            if len(fitting) != 1:
                raise InputError(f"label={label!r} must name one column of {self.path}. {columns}")
            return fitting[0]
        if label is not None:
            return check_integer("label", label, -self.width, self.width - 1) % self.width
        fitting = [i for i, name in enumerate(names) if name in _LABELS and not (name == "y" and "x" in names)]
        if len(fitting) != 1 and labelled:
            found = " and ".join(self.header[i] for i in fitting) or "none"
            raise InputError(
                f"{self.path} must have one column called label, target, class or the like; it has {found}. Say which "
                f"holds the labels: label='its name', label=0 (the first) or label=-1 (the last). {columns}"
            )
        return fitting[0] if len(fitting) == 1 else None

    def _numbers(self, label: int | None, values: dict[str, int]) -> np.ndarray:
        """Return all rows as finite float64; in the label column numbers of its values, which ``values`` collects."""
        converters: dict[int | str, Callable[[str], Any]] = {}
        if label is not None:
            converters[label] = lambda text: values.setdefault(text.strip(), len(values))
        try:
            table = np.loadtxt(
                [line for _, line in self.body],
                delimiter=self.delimiter,
                comments=None,
                quotechar='"',
                ndmin=2,
                encoding="utf-8",
                converters=converters or None,
            )
            if table.shape == (len(self.body), self.width) and np.isfinite(table).all() and "" not in values:
                return table
            reason = "rows of unequal length, or values that are missing or not finite"
        except ValueError as error:
            reason = str(error)
        for number, line in self.body:  # NumPy counts rows, not lines of the file
            fields = self._fields(number, line)
            if len(fields) != self.width:
                raise DataError(
                    f"{self.path}, line {number}: {len(fields)} fields, but the first line has {self.width}."
                )
            for column, field in enumerate(fields):
                if column == label and not field.strip():
                    raise DataError(f"{self.path}, line {number}: the label is missing.")
                if column != label and not _is_finite(field):
                    first = not self.header and number == self.body[0][0]
                    raise DataError(
                        f"{self.path}, line {number}, column {column + 1}: {field!r:.40} must be a finite number"
                        f"{', or the line a header without numbers' if first else ''}."
                    )
        raise DataError(f"{self.path}: {reason:.100}. Save it without quotes and blanks.")

    def _fields(self, number: int, line: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=self.delimiter, skipinitialspace=True))
        except csv.Error as error:
            raise DataError(f"{self.path}, line {number}: {error}.") from error


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_IDX_NAME = re.compile(r"(.*?)[-_.]?(train|t10k|test)[-_.](images|labels)[-_.]idx[13][-_.]ubyte(\.gz)?", re.IGNORECASE)


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """Read one IDX file, the format of MNIST; gzip-compressed or not is told from its first bytes.

    Format: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit integer,
    then the values, big-endian, last dimension fastest.

    Raises
    ------
    DataError
        The file is missing, of another format, truncated, longer than it declares, or declares too much.
    """
    path = check_path(path, "an IDX file")
    try:
        ceiling = path.stat().st_size
        with open(path, "rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else open(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 1 <= head[3] <= 8:
                raise DataError(f"{path} is not an IDX file: it starts with {head.hex(' ') or 'nothing'}.")
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
    except (OSError, EOFError, zlib.error, ValueError) as error:  # ValueError: NumPy refuses (2**32 - 1, 0)
        raise DataError(f"Cannot read {path}: {reason_of(error)}. Give an intact IDX file, plain or .gz.") from error


def idx_bytes(array: np.ndarray) -> bytes:
    """Return a uint8 array as the bytes of an uncompressed IDX file."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape) + array.tobytes()


def find_idx_files(folder: str | os.PathLike[str], *, prefix: str | None = None) -> list[Path]:
    """Return the IDX files of a folder in MNIST's layout: images and labels of training, then of testing.

    Their names are ``train-images-idx3-ubyte`` and so on, also written ``.idx3-ubyte``, plain or ``.gz``. All may
    have a prefix, such as ``emnist-letters-``; of several, ``prefix`` names one.
    """
    folder = check_path(folder, "a folder of IDX files")
    try:
        files = sorted(os.listdir(folder))
    except OSError as error:
        raise DataError(f"Cannot read folder {folder}: {error.strerror}. Give a folder of IDX files.") from error
    sets: dict[str, dict[tuple[str, str], Path]] = {}
    for match in filter(None, map(_IDX_NAME.fullmatch, files)):
        part = "train" if match[2].lower() == "train" else "test"
        sets.setdefault(match[1], {})[part, match[3].lower()] = folder / match[0]
    if prefix is not None:
        sets = {name: found for name, found in sets.items() if name == prefix.rstrip("-_.")}
    if len(sets) > 1:
        raise InputError(f"{folder} must hold one data set; it holds {', '.join(sets)}. Name one, as prefix=.")
    (found,) = sets.values() or ({},)
    wanted = [(part, kind) for part in ("train", "test") for kind in ("images", "labels")]
    missing = [f"{part} {kind}" for part, kind in wanted if (part, kind) not in found]
    if missing:
        raise DataError(
            f"{folder} lacks IDX files of {', '.join(missing)}. It needs four, named like train-images-idx3-ubyte, "
            "train-labels-idx1-ubyte, t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, plain or .gz."
        )
    return [found[key] for key in wanted]


@register_file_loader(
    lambda path: path.is_dir() and any(map(_IDX_NAME.fullmatch, os.listdir(path))), "a folder of four IDX files"
)
def load_idx_folder(folder: str | os.PathLike[str], *, prefix: str | None = None) -> Dataset:
    """Load a folder of four IDX files in MNIST's layout, such as KMNIST's.

    Parameters
    ----------
    folder
        See :func:`find_idx_files`. Labels are as of :func:`from_arrays`.
    prefix
        What the names start with, of a folder with several data sets: ``"emnist-letters"``.
    """
    arrays = [read_idx(path) for path in find_idx_files(folder, prefix=prefix)]
    return from_arrays(*arrays, name=prefix or Path(folder).resolve().name, source=str(folder))
