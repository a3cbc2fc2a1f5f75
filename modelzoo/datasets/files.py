"""Reading untrusted data files: IDX and npz. Nothing here can run code or allocate what a file cannot hold."""

from __future__ import annotations

import gzip
import io
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

from modelzoo.datasets.checks import check_arrays, check_file
from modelzoo.datasets.dataset import Dataset, split_arrays
from modelzoo.datasets.labels import as_text, number_classes
from modelzoo.datasets.registry import register_file_loader
from modelzoo.errors import DataError

MAX_BYTES = 4 << 30  # of one loaded data set: larger data belong in a tf.data pipeline
_MAX_DEFLATE_RATIO = 1040  # DEFLATE cannot shrink data more than 1032-fold

_IDX_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """Read one IDX file, the format of MNIST; gzip-compressed or not is told from its first bytes.

    Format: two zero bytes, a type byte, the number of dimensions, each dimension as a big-endian 32-bit integer,
    then the values, big-endian, last dimension fastest.

    Parameters
    ----------
    path
        The file.
    max_bytes
        Refuse an array larger than this.

    Returns
    -------
    numpy.ndarray
        Of the shape and type the file declares, in the machine's byte order.

    Raises
    ------
    DataError
        The file is missing, no IDX file, truncated, longer than it declares, or declares too much.
    """
    path = check_file(path, "an IDX file")
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as unzipped:
                    return _read_idx(unzipped, path, size * _MAX_DEFLATE_RATIO, max_bytes)
            file.seek(0)
            return _read_idx(file, path, size, max_bytes)
    except (OSError, EOFError, zlib.error) as error:  # gzip.BadGzipFile is an OSError
        reason = getattr(error, "strerror", None) or str(error)
        raise DataError(f"Cannot read {path}: {reason}. Give an intact IDX file, plain or .gz.") from error


def _read_idx(file: IO[bytes] | gzip.GzipFile, path: Path, ceiling: int, max_bytes: int) -> np.ndarray:
    head = file.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES or not 1 <= head[3] <= 8:
        raise DataError(f"{path} is no IDX file: it starts with {head.hex(' ') or 'nothing'}, not 00 00 TYPE NDIM.")
    dtype, ndim = np.dtype(_IDX_TYPES[head[2]]), head[3]
    raw = file.read(4 * ndim)
    if len(raw) < 4 * ndim:
        raise DataError(f"{path} is truncated inside its header. Fetch it again.")
    shape = struct.unpack(f">{ndim}I", raw)
    size = math.prod(shape) * dtype.itemsize
    if size > max_bytes:
        raise DataError(f"{path} declares {size} bytes of data, shape {shape}; at most {max_bytes} are read.")
    if size + 4 + 4 * ndim > ceiling:
        raise DataError(f"{path} is truncated: it declares shape {shape}, {size} bytes, more than it can hold.")
    data = file.read(size)
    if len(data) < size:
        raise DataError(f"{path} is truncated: it holds {len(data)} of the {size} bytes that shape {shape} needs.")
    if file.read(1):
        raise DataError(f"{path} has bytes after the {size} that shape {shape} needs. Fetch it again.")
    try:
        array = np.frombuffer(data, dtype).reshape(shape)
    except ValueError:  # (2**32 - 1, 2**32 - 1, 0)
        raise DataError(f"{path} declares shape {shape}, which no array can have. Fetch it again.") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def read_npz(path: str | os.PathLike[str] | IO[bytes], *, max_bytes: int = MAX_BYTES) -> dict[str, np.ndarray]:
    """Read the arrays of an .npz file without ever unpickling.

    Parameters
    ----------
    path
        The file, or an open binary file.
    max_bytes
        Refuse arrays that are together larger than this, judged before anything is unpacked.

    Returns
    -------
    dict
        Arrays by name, read-only.

    Raises
    ------
    DataError
        The file is missing, truncated or altered, holds Python objects, or would unpack to too much.
    """
    label = path if isinstance(path, (str, os.PathLike)) else getattr(path, "name", "npz data")
    if not hasattr(path, "read"):
        path = check_file(path, "an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            total = sum(info.file_size for info in members)
            if len({info.filename for info in members}) < len(members):
                raise DataError(f"{label} holds an array twice. Save it again with numpy.savez.")
            if total > max_bytes:
                raise DataError(f"{label} would unpack to {total} bytes; at most {max_bytes} are read.")
            for info in members:
                if info.file_size > max(info.compress_size, 1) * _MAX_DEFLATE_RATIO:
                    raise DataError(f"{label}: {info.filename} declares a size that its compressed bytes cannot hold.")
            return {info.filename[:-4]: _read_npy(archive.read(info), f"{label}: {info.filename}") for info in members}
    except DataError:
        raise
    except Exception as error:  # damaged bytes make zipfile and its decompressors raise errors of many kinds
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"Cannot read {label}: {reason:.160}. Give an intact .npz made by numpy.savez.") from error


def _read_npy(data: bytes, label: str) -> np.ndarray:
    buffer = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(buffer)
        readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        shape, fortran, dtype = readers[version](buffer)
    except Exception as error:  # NumPy parses the header as a Python literal, which can fail in many ways
        raise DataError(f"{label} has no readable array header. Save it again with numpy.savez.") from error
    if dtype.hasobject:
        raise DataError(
            f"{label} holds pickled Python objects, which could run code; refused. Save numbers, not objects."
        )
    if dtype.kind not in "biufUS" or dtype.fields or min(shape, default=0) < 0:
        raise DataError(f"{label} has dtype {dtype} and shape {shape}. Numbers or text are read.")
    expected = math.prod(shape) * dtype.itemsize
    if expected != len(data) - buffer.tell():
        raise DataError(
            f"{label} holds {len(data) - buffer.tell()} bytes, but shape {shape} of {dtype} needs {expected}. "
            "Fetch or save it again."
        )
    if expected == 0:
        return np.empty(shape, dtype)
    array = np.frombuffer(data, dtype, offset=buffer.tell())
    return array.reshape(shape, order="F" if fortran else "C")


@register_file_loader(lambda path: path.is_file() and path.suffix.lower() == ".npz", "an .npz file")
def load_npz(
    path: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0, max_bytes: int = MAX_BYTES
) -> Dataset:
    """Load a data set from an .npz file, as written by ``numpy.savez``.

    Parameters
    ----------
    path
        A file with the arrays ``x_train``, ``y_train``, ``x_test``, ``y_test`` (Keras' names), or ``x`` and ``y``.
        Labels are whole numbers or text of shape ``(n,)`` and are renumbered 0..k-1; an optional text array
        ``class_names`` names classes 0..k-1, and then nothing is renumbered. Other arrays are ignored.
    test_fraction
        Share of ``x`` held out for testing, stratified; unused where the file has a test set.
    seed
        Seed of that split.
    max_bytes
        Refuse more than this.

    Returns
    -------
    Dataset
        With the arrays' own sample dtype.

    Raises
    ------
    DataError
        The file cannot be read safely (see :func:`read_npz`), lacks arrays, or they do not fit.
    """
    path = Path(path)
    arrays = read_npz(path, max_bytes=max_bytes)
    names: Sequence[str] = as_text(arrays["class_names"].ravel()).tolist() if "class_names" in arrays else ()
    facts: dict[str, Any] = {"name": path.stem, "source": path.name, "license": "unknown"}
    if {"x_train", "y_train", "x_test", "y_test"} <= arrays.keys():
        y_train, y_test = arrays["y_train"], arrays["y_test"]
        if not names:
            y_train, y_test, found = number_classes(y_train, y_test, where=str(path))
            names = list(found)
        check_arrays(arrays["x_train"], y_train, num_classes=len(names), where=f"{path} training set")
        return Dataset(arrays["x_train"], y_train, arrays["x_test"], y_test, class_names=tuple(names), **facts)
    lower = {key.lower(): array for key, array in arrays.items()}
    if not {"x", "y"} <= lower.keys():
        raise DataError(
            f"{path} holds {', '.join(sorted(arrays)) or 'no arrays'}. "
            "It needs x_train, y_train, x_test, y_test; or x and y."
        )
    y = lower["y"]
    if not names:
        y, found = number_classes(y, where=str(path))
        names = list(found)
    return split_arrays(
        lower["x"], y, test_fraction=test_fraction, seed=seed, where=str(path), class_names=tuple(names), **facts
    )


_IDX_NAME = re.compile(r"(train|t10k|test)-(images|labels)[-.]idx[13]-ubyte(\.gz)?")
_IDX_PARTS = (("train", "images"), ("train", "labels"), ("t10k", "images"), ("t10k", "labels"))


def find_idx_files(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the four IDX files of a folder in MNIST's layout.

    Parameters
    ----------
    folder
        Holds ``train-images-idx3-ubyte`` and so on, also written ``.idx3-ubyte``, plain or ``.gz``.

    Returns
    -------
    list of Path
        Training images, training labels, test images, test labels.

    Raises
    ------
    DataError
        The folder or one of the four is missing.
    """
    folder = Path(folder).expanduser()
    try:
        matches = [(match, folder / match[0]) for match in map(_IDX_NAME.fullmatch, os.listdir(folder)) if match]
    except OSError as error:
        raise DataError(f"Cannot read folder {folder}: {error.strerror}. Give a folder of IDX files.") from error
    found = {(match[1].replace("test", "t10k"), match[2]): path for match, path in sorted(matches, key=lambda m: m[1])}
    missing = [f"{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte" for part, kind in _IDX_PARTS]
    missing = [name for name, key in zip(missing, _IDX_PARTS, strict=True) if key not in found]
    if missing:
        raise DataError(f"{folder} lacks {', '.join(missing)} (plain or .gz). Give a folder with the four IDX files.")
    return [found[key] for key in _IDX_PARTS]


@register_file_loader(
    lambda path: path.is_dir() and any(map(_IDX_NAME.fullmatch, os.listdir(path))), "a folder of four IDX files"
)
def load_idx_folder(folder: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Dataset:
    """Load a folder of four IDX files in MNIST's layout and with MNIST's names, such as KMNIST's.

    Parameters
    ----------
    folder
        See :func:`find_idx_files`.
    max_bytes
        Refuse a file that declares more than this.

    Returns
    -------
    Dataset
        With the files' own dtypes, uint8 for images and labels of this family.

    Raises
    ------
    DataError
        A file is missing, damaged, or they do not fit together.
    """
    arrays = [read_idx(path, max_bytes=max_bytes) for path in find_idx_files(folder)]
    check_arrays(arrays[0], arrays[1], where=f"{folder} training set")
    return Dataset(*arrays, name=Path(folder).resolve().name, source=str(folder), license="unknown")
