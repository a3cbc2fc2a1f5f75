"""Writing a data set of any size as a directory of TFRecord shards."""

from __future__ import annotations

import array
import contextlib
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_integer
from modelzoo._io import atomic_directory, check_target
from modelzoo._keras import explained_by_tensorflow, tf
from modelzoo.datasets.checks import MAX_CLASSES, as_array, check_arrays, check_labels
from modelzoo.datasets.dataset import Dataset
from modelzoo.datasets.records import FACTS, FORMAT, FRAME, HEAD, INDEX, is_tfrecord
from modelzoo.datasets.streams import StoredSamples, Stream
from modelzoo.errors import DataError, InputError

MAX_SHARDS = 256  # each is kept open while it is read, for both parts
_CHUNK = 1000  # samples that are read at once from what is converted, but not more than so many bytes
_CHUNK_BYTES = 1 << 26


def write_tfrecord(
    data: Any,
    directory: str | os.PathLike[str],
    *,
    test: Any = None,
    num_shards: int = 8,
    name: str | None = None,
    class_names: Sequence[str] = (),
    overwrite: bool = False,
) -> Path:
    """Write a data set of any size as a directory of TFRecord shards, for :func:`stream` and :func:`load`.

    Each record is a ``tf.train.Example`` with the features ``x``, the sample's bytes in C order and little-endian, and
    ``y``, an int64 label; ``dataset.json`` beside the shards has shape and type. Record ``i`` of a part is in shard
    ``i mod num_shards``. The directory is complete or absent.

    Parameters
    ----------
    data
        A :class:`Dataset` or :class:`Stream`, ``(x, y)``, or for data larger than memory an iterable of ``(x, y)``
        batches, such as a generator or a batched ``tf.data.Dataset`` that ends.
    directory
        Where to write.
    test
        Test samples, ``(x, y)`` or an iterable of batches, where ``data`` has none. Without any, what reads the
        directory holds a part out.
    num_shards
        Files of each part, 1 to 256. What is trained on them does not depend on it.
    name, class_names
        Name of the data set and of its classes; by default those of ``data``, or the directory's name and the labels.
    overwrite
        Replace a directory of shards if it exists.

    Returns
    -------
    Path
        The directory.

    Raises
    ------
    DataError
        A batch is empty, does not fit those before it, or holds NaN, infinity or labels out of range.
    InputError
        An argument is not usable, or ``overwrite`` would delete something else than shards.
    TargetExistsError
        The directory exists and ``overwrite`` is false.
    TargetError
        The directory cannot be written.
    """
    check_integer("num_shards", num_shards, 1, MAX_SHARDS)
    if isinstance(class_names, str):
        raise InputError(f"class_names={class_names!r} is not usable. Give a sequence of names.")
    class_names = tuple(map(str, class_names))
    path = check_target(directory, overwrite=overwrite)
    if path.exists() and not is_tfrecord(path) and (not path.is_dir() or any(path.iterdir())):
        raise InputError(
            f"{path} is no directory by write_tfrecord, and overwriting would delete it. Choose another path."
        )
    facts: dict[str, Any] = {"name": Path(directory).resolve().name, "source": "", "license": "unknown", "options": {}}
    own = isinstance(data, Dataset | Stream)
    if own:
        facts = {field: getattr(data, field) for field in facts}
        class_names = class_names or data.class_names
    if isinstance(data, Dataset | Stream) and data.test is not None and test is not None:
        raise InputError(f"test= is given, but {facts['name']!r} has a test part. Leave it out, or give data.train.")
    parts = data.parts if own else {"train": data, "test": test}
    one_hot = isinstance(data, Dataset) and data.y_train.ndim == 2
    with atomic_directory(directory, overwrite=overwrite) as temporary:
        written: dict[str, _Writer] = {}
        index: dict[str, np.ndarray] = {}
        for part, samples in parts.items():
            if samples is None:
                continue
            writer = written[part] = _Writer(temporary, path, part, num_shards, len(class_names) or None)
            with writer:
                for x, y in _batches_of(samples):
                    writer.write(x, y)
            writer.check_like(written["train"])
            index |= {f"{part}_{column}": values for column, values in writer.index().items()}
        first = written["train"]
        num_classes = max(writer.num_classes for writer in written.values())
        facts |= {
            "format": FORMAT,
            "name": name or facts["name"],
            "class_names": list(class_names) or list(map(str, range(num_classes))),
            "options": dict(facts["options"]),
            "shape": first.shape,
            "dtype": first.dtype.name,
            "label_dtypes": {part: writer.label_dtype.name for part, writer in written.items()},
            "shards": {part: writer.shards for part, writer in written.items()},
        }
        digest = hashlib.sha256(json.dumps([facts["shape"], facts["dtype"]]).encode())
        for values in index.values():
            digest.update(values.data)
        # Of a data set that has one, so that what was trained on the shards is known to have been trained on it.
        same = own and facts["class_names"] == list(data.class_names) and not one_hot
        facts["checksum"] = data.checksum if same else digest.hexdigest()
        np.savez(temporary / INDEX, **index)  # type: ignore[arg-type]
        (temporary / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return Path(directory)


class _Writer:
    """Writes the shards of one part."""

    def __init__(self, directory: Path, target: Path, part: str, num_shards: int, num_classes: int | None) -> None:
        self._target = target
        self._where = f"{part} data"
        self._named_classes, self.num_classes = num_classes, 0
        self._names = [f"{part}-{i:05d}-of-{num_shards:05d}.tfrecord" for i in range(num_shards)]
        self._paths = [directory / name for name in self._names]
        self._lengths, self._places, self._labels = array.array("I"), array.array("I"), array.array("i")
        self._batches = 0
        self.shape: tuple[int, ...] = ()
        self.dtype: np.dtype[Any] = np.dtype("u1")
        self.label_dtype: np.dtype[Any] = np.dtype("u1")

    def __enter__(self) -> None:
        with explained_by_tensorflow(self._target):
            self._writers = [tf.io.TFRecordWriter(str(path)) for path in self._paths]

    def __exit__(self, *error: object) -> None:
        with explained_by_tensorflow(self._target), contextlib.ExitStack() as closing:
            for writer in self._writers:
                closing.callback(writer.close)

    def write(self, x: Any, y: Any) -> None:
        """Append a batch."""
        where = f"{self._where}, batch {self._batches}"
        x, y = as_array(x, f"{where}: x"), as_array(y, f"{where}: y")
        check_arrays(x, y, num_classes=self._named_classes, where=where, allow_single_class=True)
        labels = check_labels(y, num_classes=self._named_classes, where=where)
        if labels.max() >= MAX_CLASSES:
            raise DataError(
                f"{where}: label {labels.max()} is too large. Labels are class numbers below {MAX_CLASSES}."
            )
        self.num_classes = max(self.num_classes, y.shape[1] if y.ndim == 2 else 1 + int(labels.max()))
        dtype = x.dtype.newbyteorder("<")
        if not self._batches:
            self.shape, self.dtype, self.label_dtype = x.shape[1:], dtype, labels.dtype.newbyteorder("<")
        if labels.dtype != self.label_dtype:  # another batch's type may not hold these
            self.label_dtype = np.dtype("<i8")
        if (x.shape[1:], dtype) != (self.shape, self.dtype):
            raise DataError(
                f"{where}: samples are {x.dtype} of shape {x.shape[1:]}, those before {self.dtype} of shape "
                f"{self.shape}. Give all samples the same."
            )
        self._batches += 1
        with explained_by_tensorflow(self._target):
            for sample, label in zip(np.ascontiguousarray(x, self.dtype), labels.tolist(), strict=True):
                content = sample.tobytes()
                record = _serialized(content, label)
                self._writers[len(self._labels) % len(self._writers)].write(record)
                self._lengths.append(len(record))
                self._places.append(HEAD + record.index(content))
                self._labels.append(label)

    def check_like(self, train: _Writer) -> None:
        """Raise DataError if nothing was written, or other samples than of the training part."""
        if not self._batches:
            raise DataError(f"{self._where}: there is no batch. Give at least one of (samples, labels).")
        if (self.shape, self.dtype) != (train.shape, train.dtype):
            raise DataError(
                f"Training samples are {train.dtype} of shape {train.shape}, test samples {self.dtype} of shape "
                f"{self.shape}. Give both the same."
            )

    def index(self) -> dict[str, np.ndarray]:
        """Return what reading at random places needs, by column."""
        labels, lengths = np.array(self._labels), np.array(self._lengths, "<u4")
        checksums = np.empty(len(labels), "<u4")
        for number, path in enumerate(self._paths):  # of what is on disk now, TFRecord's own framing too
            with open(path, "rb") as file:
                for row in range(number, len(labels), len(self._paths)):
                    checksums[row] = zlib.crc32(file.read(int(lengths[row]) + FRAME))
        return {
            "lengths": lengths,
            "checksums": checksums,
            "places": _narrow(np.array(self._places)),
            "labels": _narrow(labels),
        }

    @property
    def shards(self) -> list[dict[str, Any]]:
        """Name and size of each shard."""
        return [{"file": path.name, "bytes": path.stat().st_size} for path in self._paths]


def _narrow(numbers: np.ndarray) -> np.ndarray:
    return numbers.astype(np.min_scalar_type(int(numbers.max())).newbyteorder("<"))


def _serialized(sample: bytes, label: int) -> bytes:
    feature = tf.train.Feature
    features = {
        "x": feature(bytes_list=tf.train.BytesList(value=[sample])),
        "y": feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _own_errors(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield batches; what keeps one from being read is not taken for an error of writing."""
    try:
        yield from batches
    except OSError as error:
        raise DataError(f"A batch to write cannot be read: {error}. Mend what gives the batches.") from error


def _batches_of(samples: Any) -> Iterator[tuple[Any, Any]]:
    """Return batches of arrays, of stored samples, or of an iterable of batches."""
    if isinstance(samples, StoredSamples):
        size = math.prod(samples.shape) * samples.dtype.itemsize
        chunk = max(1, min(_CHUNK, _CHUNK_BYTES // max(1, size)))
        yield from (samples[start : start + chunk] for start in range(0, len(samples), chunk))
    elif isinstance(samples, tuple | list) and len(samples) == 2 and all(hasattr(s, "__array__") for s in samples):
        x, y = (as_array(values, name) for values, name in zip(samples, "xy", strict=True))
        check_arrays(x, y, allow_single_class=True)
        yield from ((x[start : start + _CHUNK], y[start : start + _CHUNK]) for start in range(0, len(x), _CHUNK))
    elif isinstance(samples, Iterable):
        for number, batch in enumerate(_own_errors(samples)):
            if not (isinstance(batch, tuple | list) and len(batch) == 2):
                raise DataError(f"Batch {number} is no pair (samples, labels) but {type(batch).__name__}.")
            yield batch[0], batch[1]
    else:
        raise InputError(
            f"data of type {type(samples).__name__} is not usable. Give a Dataset, a Stream, (x, y), or an iterable of "
            "(x, y) batches."
        )
