"""A data set of any size as a directory of TFRecord shards: written in batches, read at random places."""

from __future__ import annotations

import array
import contextlib
import dataclasses
import hashlib
import json
import math
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_names, check_path
from modelzoo._io import atomic_directory, check_target
from modelzoo._keras import explained_by_tensorflow, tf
from modelzoo.datasets.checks import MAX_CLASSES, as_array, check_arrays
from modelzoo.datasets.dataset import Dataset
from modelzoo.datasets.registry import register_file_loader
from modelzoo.datasets.streaming import StoredSamples, Stream
from modelzoo.errors import DataError, InputError
from modelzoo.integrity import sha256_of

#: What a directory of shards is known by: facts of the data set and its parts.
FACTS = "dataset.json"
FORMAT = 2
#: Beside the shards of each part: where in its shard the bytes of each sample are, their CRC-32, and the label.
INDEX = np.dtype([("offset", "<u8"), ("crc", "<u4"), ("label", "<i4")])
MAX_SHARDS = 256
_CHUNK_BYTES = 1 << 24  # of samples that are read at once from what is converted


def write_tfrecord(
    data: Any,
    directory: str | os.PathLike[str],
    *,
    test: Any = None,
    num_shards: int = 8,
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
    class_names
        Names of the classes; by default those of ``data``, or the labels. Other data are called as the directory.
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
    TargetExistsError
        The directory exists and ``overwrite`` is false.
    TargetError
        The directory cannot be written.
    """
    check_integer("num_shards", num_shards, 1, MAX_SHARDS)
    class_names = check_names("class_names", class_names)
    path = check_target(directory, overwrite=overwrite)
    if path.exists() and not is_tfrecord(path) and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} must be a directory by write_tfrecord to be overwritten. Choose another path.")
    facts: dict[str, Any] = {"name": path.resolve().name, "source": "", "license": "unknown", "options": {}}
    facts |= {"preparation": None, "named": bool(class_names)}
    parts = {"train": data} if test is None else {"train": data, "test": test}
    own = isinstance(data, Dataset | Stream)
    if own:
        if test is not None and data.test is not None:
            raise InputError(f"test= is given, but {data.name!r} has a test part. Leave it out, or give data.train.")
        parts = data.parts | {part: samples for part, samples in parts.items() if part != "train"}
        facts = {field: getattr(data, field) for field in facts}
        facts["named"] = bool(class_names) or data.named
        class_names = class_names or data.class_names
    with atomic_directory(path, overwrite=overwrite) as temporary:
        written: dict[str, dict[str, Any]] = {}
        for part, samples in parts.items():
            like = written.get("train", {})
            with explained_by_tensorflow(path):
                written[part] = _write_part(temporary, part, samples, num_shards, len(class_names) or None, like)
        first, num_classes = written["train"], max(entry.pop("num_classes") for entry in written.values())
        # A data set keeps its checksum, so that what was trained on the shards is known to have been trained on it.
        same = own and tuple(class_names) == tuple(data.class_names) and parts.keys() == data.parts.keys()
        same = same and not (isinstance(data, Dataset) and data.y_train.ndim == 2)  # one-hot rows become integers
        digest = hashlib.sha256(json.dumps([[e["shape"], e["dtype"], e["index"]] for e in written.values()]).encode())
        facts |= {
            "format": FORMAT,
            "class_names": list(class_names) or list(map(str, range(num_classes))),
            "options": dict(facts["options"]),
            "checksum": data.checksum if same else digest.hexdigest(),
            "shape": first["shape"],
            "dtype": first["dtype"],
            "parts": written,
        }
        (temporary / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return path


def _write_part(
    directory: Path, part: str, samples: Any, num_shards: int, num_classes: int | None, like: dict[str, Any]
) -> dict[str, Any]:
    """Write the shards and the index of one part; return its facts."""
    paths = [directory / f"{part}-{i:05d}-of-{num_shards:05d}.tfrecord" for i in range(num_shards)]
    offsets, checksums, labels = array.array("Q"), array.array("I"), array.array("i")
    ends = [0] * num_shards
    facts: dict[str, Any] = {"num_classes": num_classes or 0}
    with contextlib.ExitStack() as stack:
        writers = [stack.enter_context(tf.io.TFRecordWriter(str(path))) for path in paths]
        for number, batch in enumerate(_batches_of(samples)):
            where = f"{part} data, batch {number}"
            given = as_array(batch[1], f"{where}: y")
            x, y = check_arrays(batch[0], given, num_classes=num_classes, where=where)
            width = given.shape[1] if given.ndim == 2 else 0
            if y.max() >= MAX_CLASSES:
                raise DataError(f"{where}: labels must be class numbers below {MAX_CLASSES}; got {y.max()}.")
            x = np.ascontiguousarray(x, x.dtype.newbyteorder("<"))
            form = {"shape": list(x.shape[1:]), "dtype": x.dtype.name}
            wanted = {key: (facts if number else like or form)[key] for key in form}
            if form != wanted:
                raise DataError(f"{where}: samples must be alike; got {form}, and {wanted} before.")
            same_type = facts.get("label_dtype", y.dtype.name) == y.dtype.name  # else one may not hold the other
            facts |= {**form, "label_dtype": y.dtype.name if same_type else "int64"}
            facts["num_classes"] = max(facts["num_classes"], width, 1 + int(y.max()))
            for sample, label in zip(x, y.tolist(), strict=True):
                content = sample.tobytes()
                record, shard = _serialized(content, label), len(labels) % num_shards
                writers[shard].write(record)
                offsets.append(ends[shard] + 12 + record.index(content))  # TFRecord puts 12 bytes before a record
                checksums.append(zlib.crc32(content))
                labels.append(label)
                ends[shard] += len(record) + 16  # and 4 after it
    if not labels:
        raise DataError(f"{part} data must hold at least one batch of (samples, labels); got none.")
    index = np.empty(len(labels), INDEX)
    index["offset"], index["crc"], index["label"] = offsets, checksums, labels
    np.save(directory / f"{part}.npy", index)
    return {
        **facts,
        "index": sha256_of(directory / f"{part}.npy"),
        "shards": {path.name: size for path, size in zip(paths, ends, strict=True)},
    }


def _serialized(sample: bytes, label: int) -> bytes:
    train = tf.train
    features = {
        "x": train.Feature(bytes_list=train.BytesList(value=[sample])),
        "y": train.Feature(int64_list=train.Int64List(value=[label])),
    }
    return train.Example(features=train.Features(feature=features)).SerializeToString()


def _batches_of(samples: Any) -> Iterator[tuple[Any, Any]]:
    """Return batches of arrays, of stored samples, or of an iterable of batches."""
    if isinstance(samples, tuple | list) and len(samples) == 2 and all(hasattr(part, "__array__") for part in samples):
        samples = [samples]
    elif isinstance(samples, StoredSamples):
        stored, chunk = samples, max(1, _CHUNK_BYTES // (math.prod(samples.shape) * samples.dtype.itemsize))
        samples = (stored[start : start + chunk] for start in range(0, len(stored), chunk))
    if not isinstance(samples, Iterable):
        raise InputError(
            f"data must be a Dataset, a Stream, (x, y), or an iterable of (x, y) batches; got {type(samples).__name__}."
        )
    try:
        for number, batch in enumerate(samples):
            if not isinstance(batch, tuple | list) or len(batch) != 2:
                raise DataError(f"Batch {number} must be a pair (samples, labels); got {type(batch).__name__}.")
            yield batch[0], batch[1]
    except OSError as error:  # of reading, which must not be taken for an error of writing
        raise DataError(f"A batch to write cannot be read: {error}.") from error


def is_tfrecord(path: Path) -> bool:
    """Return whether a path is a directory that :func:`write_tfrecord` wrote, though a file may be missing now."""
    return (path / FACTS).is_file() or any(path.glob("train-*.tfrecord"))


@register_file_loader(is_tfrecord, "a directory of TFRecord shards by write_tfrecord", streams=True)
def stream_tfrecord(directory: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0) -> Stream:
    """Open a directory that :func:`write_tfrecord` wrote; samples are read when they are wanted.

    In memory are 16 bytes a sample: its place, checksum and label. Every sample that is read is compared with its
    checksum.

    Parameters
    ----------
    directory
        The directory.
    test_fraction, seed
        Share held out for testing, stratified, and the seed of that split; unused where the directory has a test part.
    """
    directory = check_path(directory, "a directory of shards")
    try:
        facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise DataError(f"{directory / FACTS} has format {facts['format']!r}; this modelzoo reads {FORMAT}.")
        parts: dict[str, Any] = {part: _samples(directory, part, entry) for part, entry in facts["parts"].items()}
        fields = ("name", "checksum", "source", "license", "options", "preparation", "named")
        given = {field: facts[field] for field in fields}
        stream = Stream(**parts, class_names=tuple(facts["class_names"]), **given)
    except DataError:
        raise
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise DataError(f"{directory / FACTS} cannot be read ({reason:.100}). Write the directory again.") from error
    if "test" in parts:
        return stream
    options = {"test_fraction": test_fraction, "seed": seed}
    return dataclasses.replace(stream, options={**stream.options, **options}).split_test(test_fraction, seed)


def _samples(directory: Path, part: str, facts: dict[str, Any]) -> StoredSamples:
    shape, dtype = tuple(facts["shape"]), np.dtype(facts["dtype"]).newbyteorder("<")
    paths, advice = [directory / Path(name).name for name in facts["shards"]], "Write or copy the directory again."
    index_path = directory / f"{part}.npy"
    try:
        for path, size in zip(paths, facts["shards"].values(), strict=True):
            if path.stat().st_size != size:
                raise DataError(f"{path} is damaged: it has {path.stat().st_size} bytes, not {size}. {advice}")
        if sha256_of(index_path) != facts["index"]:
            raise DataError(f"{index_path} is damaged: its SHA-256 is not that in {FACTS}. {advice}")
    except OSError as error:
        raise DataError(f"Cannot read {error.filename}: {error.strerror}. {advice}") from error
    index = np.load(index_path, allow_pickle=False)
    offsets, checksums = index["offset"].copy(), index["crc"].copy()

    def read(indices: np.ndarray) -> np.ndarray:
        x = np.empty((len(indices), *shape), dtype)
        shards = indices % len(paths)
        for shard in np.unique(shards):
            try:
                with open(paths[shard], "rb", buffering=0) as file:
                    for row in np.flatnonzero(shards == shard):
                        file.seek(int(offsets[indices[row]]))
                        file.readinto(x[row])
            except OSError as error:
                raise DataError(f"Cannot read {paths[shard]}: {error.strerror}. {advice}") from error
        for sample, i in zip(x, indices, strict=True):
            if zlib.crc32(sample) != checksums[i]:
                raise DataError(
                    f"{paths[i % len(paths)]} is damaged: the bytes of record {i // len(paths)} were altered. {advice}"
                )
        return x.astype(dtype.newbyteorder("="), copy=False)

    labels = index["label"].astype(facts["label_dtype"])
    return StoredSamples(read, labels, shape, dtype.newbyteorder("="))
