"""Reading a directory of TFRecord shards at random places."""

from __future__ import annotations

import hashlib
import json
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo.datasets.dataset import Dataset, check_fraction
from modelzoo.datasets.files import MAX_BYTES, read_npz
from modelzoo.datasets.registry import register_file_loader, register_stream
from modelzoo.datasets.streams import StoredSamples, Stream, split_samples
from modelzoo.errors import DataError

#: What a directory of shards is known by: facts of the data set, and of each part its shards.
FACTS = "dataset.json"
#: Of each part, the length and CRC-32 of each record, where in it the sample's bytes are, and its label.
INDEX = "index.npz"
FORMAT = 1
#: What TFRecord puts around a record: its length with a checksum before it, a checksum after it.
HEAD, FRAME = 12, 16


class _Shards:
    """The records of one part, read at random places."""

    def __init__(self, paths: list[Path], lengths: np.ndarray, checksums: np.ndarray) -> None:
        self._files: list[int] = []
        self._paths = paths
        self._lengths, self._checksums = lengths, checksums
        self._starts = np.empty(len(lengths), np.uint64)
        for shard in range(len(paths)):
            sizes = lengths[shard :: len(paths)].astype(np.uint64) + np.uint64(FRAME)
            self._starts[shard :: len(paths)] = np.cumsum(sizes) - sizes
        for path in paths:
            try:
                self._files.append(os.open(path, os.O_RDONLY))
            except OSError as error:
                raise DataError(
                    f"Cannot open shard {path}: {error.strerror}. Make it readable, or allow more open files "
                    "(ulimit -n): each shard is one."
                ) from error

    def __del__(self) -> None:
        for file in self._files:
            os.close(file)

    def record(self, index: int) -> bytes:
        """Return a record with its frame, or raise DataError where it is not as it was written."""
        shard = index % len(self._paths)
        try:
            found = os.pread(self._files[shard], int(self._lengths[index]) + FRAME, int(self._starts[index]))
        except OSError as error:
            raise DataError(f"Cannot read {self._paths[shard]}: {error.strerror}.") from error
        if zlib.crc32(found) != self._checksums[index]:
            raise DataError(
                f"{self._paths[shard]} is damaged: record {index // len(self._paths)} does not have the bytes it was "
                "written with. Write or copy the directory again."
            )
        return found


def _samples(directory: Path, facts: dict[str, Any], index: dict[str, np.ndarray], part: str) -> StoredSamples:
    shape, dtype = tuple(facts["shape"]), np.dtype(facts["dtype"]).newbyteorder("<")
    paths = []
    for shard in facts["shards"][part]:
        path = directory / Path(shard["file"]).name
        try:
            size = path.stat().st_size
        except OSError as error:
            raise DataError(
                f"Cannot read shard {path}: {error.strerror}. Write or copy the directory again."
            ) from error
        if size != shard["bytes"]:
            raise DataError(
                f"{path} is damaged: {size} bytes, not {shard['bytes']}. Write or copy the directory again."
            )
        paths.append(path)
    lengths, checksums, places, labels = (
        index[f"{part}_{column}"] for column in ("lengths", "checksums", "places", "labels")
    )
    total = int(lengths.sum(dtype=np.uint64)) + FRAME * len(lengths)
    if not len(lengths) == len(checksums) == len(places) == len(labels) or total != sum(
        s["bytes"] for s in facts["shards"][part]
    ):
        raise DataError(f"{directory / INDEX} does not fit the shards of {part}. Write or copy the directory again.")
    shards = _Shards(paths, lengths, checksums)
    size = math.prod(shape) * dtype.itemsize

    def read(indices: np.ndarray) -> np.ndarray:
        # What matches its checksum has its sample where it was written: parsing it would take longer than reading.
        starts = places[indices].tolist()
        records = map(shards.record, indices.tolist())
        content = b"".join([record[start : start + size] for start, record in zip(starts, records, strict=True)])
        return np.frombuffer(content, dtype).reshape(-1, *shape).astype(dtype.newbyteorder("="), copy=False)

    return StoredSamples(read, labels, shape, dtype.newbyteorder("="), facts["label_dtypes"][part])


def is_tfrecord(path: Path) -> bool:
    """Return whether a path is a directory that :func:`write_tfrecord` wrote, though a file may be missing now."""
    found = [(path / name).is_file() for name in (FACTS, INDEX)]
    return all(found) or (any(found) and any(path.glob("train-*.tfrecord")))


@register_stream(is_tfrecord, "a directory of TFRecord shards by write_tfrecord")
def stream_tfrecord(directory: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0) -> Stream:
    """Open a directory that :func:`write_tfrecord` wrote; samples are read when they are wanted.

    In memory are 18 bytes a sample, a few more with many classes: place, length, checksum and label. Every record that
    is read is compared with its checksum.

    Parameters
    ----------
    directory
        The directory.
    test_fraction, seed
        Share held out for testing, stratified, and the seed of that split; unused where the directory has a test set.

    Returns
    -------
    Stream
        Still on disk.

    Raises
    ------
    DataError
        A file is missing, truncated or not one of ours; it is named.
    """
    directory = Path(directory)
    try:
        facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise DataError(f"{directory / FACTS} has format {facts['format']!r}; this modelzoo reads {FORMAT}.")
        index = read_npz(directory / INDEX)
        parts = {part: _samples(directory, facts, index, part) for part in facts["shards"]}
        train = parts["train"]
        given = {field: facts[field] for field in ("name", "checksum", "source", "license", "options")}
        class_names = tuple(facts["class_names"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise DataError(f"{directory} is no directory by write_tfrecord ({reason:.100}). Write it again.") from error
    if "test" in parts:
        return Stream(train, parts["test"], class_names=class_names, **given)
    share = check_fraction(test_fraction)
    given["options"] = {**given["options"], "test_fraction": share, "seed": seed}
    given["checksum"] = hashlib.sha256(f"{given['checksum']} {share} {seed}".encode()).hexdigest()
    return Stream(*split_samples(train, test_fraction=share, seed=seed), class_names=class_names, **given)


@register_file_loader(is_tfrecord, "a directory of TFRecord shards by write_tfrecord")
def load_tfrecord(
    directory: str | os.PathLike[str], *, test_fraction: float = 0.2, seed: int = 0, max_bytes: int = MAX_BYTES
) -> Dataset:
    """Load a directory that :func:`write_tfrecord` wrote into memory.

    Parameters
    ----------
    directory, test_fraction, seed
        As of :func:`stream_tfrecord`.
    max_bytes
        Refuse more than this.

    Returns
    -------
    Dataset
        With the arrays that were written.

    Raises
    ------
    DataError
        As of :func:`stream_tfrecord`, a record is damaged, or there is too much.
    """
    return stream_tfrecord(directory, test_fraction=test_fraction, seed=seed).read(max_bytes=max_bytes)
