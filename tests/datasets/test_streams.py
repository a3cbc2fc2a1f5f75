"""Data on disk: TFRecord shards and folders of images, read as they are wanted."""

from __future__ import annotations

import gc
import itertools
import json
import os
import resource
import shutil
import tracemalloc

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from modelzoo import _io, datasets
from modelzoo.errors import DataError, InputError, TargetError, TargetExistsError


@pytest.fixture(scope="module")
def digits():
    return datasets.load("mnist").take(per_class=6).subset((1, 5, 6))


@pytest.fixture
def small(digits):
    return datasets.Dataset(
        *digits.train, digits.x_test[:20], digits.y_test[:20], name="small", class_names=digits.class_names
    )


def arrays_of(data):
    return [array for part in data for array in part]


@pytest.mark.parametrize("num_shards", [1, 3, 30])  # the last has more files than there are samples
def test_tfrecord_gives_back_what_was_written(tmp_path, small, num_shards):
    directory = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=num_shards)
    assert len(list(directory.glob("train-*.tfrecord"))) == num_shards
    loaded = datasets.load(directory)
    assert loaded.checksum == small.checksum == datasets.stream(directory).checksum
    assert (loaded.name, loaded.class_names) == (small.name, small.class_names)
    for found, wanted in zip(arrays_of(loaded), arrays_of(small), strict=True):
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool", ">f4"])
def test_every_dtype_comes_back(tmp_path, rng, dtype):
    x, y = rng.integers(-9, 9, (40, 2, 3)).astype(dtype), np.arange(40) * 70 % 1000
    stream = datasets.stream(datasets.write_tfrecord((x, y), tmp_path / "a", test=(x[:5], y[:5])))
    np.testing.assert_array_equal(stream.train[:][0], x)
    np.testing.assert_array_equal(stream.train[:][1], y)
    assert stream.train.dtype == np.dtype(dtype).newbyteorder("=")
    assert stream.num_classes == 981
    batch, labels = next(iter(stream.train.batches(40)))
    np.testing.assert_array_equal(batch, x)
    np.testing.assert_array_equal(labels, y)


def test_plain_tensorflow_reads_the_shards(tmp_path, small):
    directory = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=4)
    facts = json.loads((directory / "dataset.json").read_text())
    features = {"x": tf.io.FixedLenFeature([], tf.string), "y": tf.io.FixedLenFeature([], tf.int64)}
    for shard, entry in enumerate(facts["shards"]["train"]):
        rows = range(shard, len(small.x_train), 4)
        records = list(tf.data.TFRecordDataset(str(directory / entry["file"])))  # compares its own checksums
        assert len(records) == len(rows)
        for row, record in zip(rows, records, strict=True):
            example = tf.io.parse_single_example(record, features)
            x = tf.reshape(tf.io.decode_raw(example["x"], facts["dtype"]), facts["shape"])
            np.testing.assert_array_equal(x, small.x_train[row])
            assert int(example["y"]) == small.y_train[row]


def test_batches_larger_than_memory_are_written_one_by_one(tmp_path, small):
    def batches(x, y):
        for start in range(0, len(x), 7):
            yield x[start : start + 7], y[start : start + 7]

    directory = datasets.write_tfrecord(batches(*small.train), tmp_path / "shards", test=batches(*small.test), name="s")
    np.testing.assert_array_equal(datasets.load(directory).x_train, small.x_train)
    assert datasets.load(directory).class_names == ("0", "1", "2")
    again = tf.data.Dataset.from_tensor_slices(small.train).batch(5)
    other = datasets.stream(datasets.write_tfrecord(again, tmp_path / "again"), test_fraction=0.25, seed=2)
    whole = datasets.load(tmp_path / "again", test_fraction=0.25, seed=2)
    assert (len(other.train), len(other.test)) == (len(whole.x_train), len(whole.x_test)) == (14, 4)
    for samples, (x, y) in zip((other.train, other.test), whole, strict=True):
        np.testing.assert_array_equal(samples[:][0], x)
        np.testing.assert_array_equal(samples[:][1], y)


def test_labels_of_every_batch_come_back(tmp_path):
    x = np.zeros((2, 3), "float32")
    batches = [(x, np.array([0, 1], "uint8")), (x, np.array([300, 1], "int16"))]
    stream = datasets.stream(datasets.write_tfrecord(batches, tmp_path / "a", test=(x, np.array([0, 299]))))
    assert stream.train[:][1].tolist() == [0, 1, 300, 1]
    assert stream.num_classes == 301
    one_hot = [(x, np.eye(5)[:2])]
    wide = datasets.stream(datasets.write_tfrecord(one_hot, tmp_path / "b", test=one_hot))
    assert wide.train[:][1].tolist() == [0, 1]
    assert wide.num_classes == 5
    named = datasets.write_tfrecord(batches[:1], tmp_path / "c", test=batches[:1], class_names=(7, 8))
    assert datasets.stream(named).class_names == ("7", "8")


@pytest.mark.parametrize(
    "kind",
    [
        "no batch",
        "other shape",
        "NaN",
        "masked",
        "masked batch",
        "no pair",
        "number",
        "other test",
        "label",
        "large",
        "gone",
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, kind):
    x, y = np.zeros((4, 2), "float32"), np.array([0, 1, 0, 1])
    masked = np.ma.masked_array(x, mask=x == 0)
    data, options, message = {
        "no batch": ([], {}, "no batch"),
        "other shape": ([(x, y), (x[:, :1], y)], {}, r"batch 1: samples are float32 of shape \(1,\)"),
        "NaN": ([(x, y), (x + np.nan, y)], {}, r"batch 1: x\[0, 0\] is nan"),
        "masked": ((masked, y), {}, "x has 8 masked values"),
        "masked batch": ([(x, y), (masked, y)], {}, "batch 1: x has 8 masked values"),
        "no pair": ([x], {}, "Batch 0 is no pair"),
        "number": (3, {}, "type int is not usable"),
        "other test": ((x, y), {"test": (x.astype("float64"), y)}, "test samples float64"),
        "large": ((x, y + 2_000_000), {}, "label 2000001 is too large"),
        "gone": (map(np.load, [tmp_path / "gone.npy"]), {}, r"cannot be read: .*gone\.npy"),
        "label": ((x, y + 5), {"class_names": ("a", "b")}, "label 5 at index 0 is out of range"),
    }[kind]
    with pytest.raises(InputError, match=message):
        datasets.write_tfrecord(data, tmp_path / "shards", **options)
    assert not list(tmp_path.iterdir())


def test_a_directory_is_not_overwritten_unless_told(tmp_path, small):
    directory = datasets.write_tfrecord(small, tmp_path / "shards")
    with pytest.raises(TargetExistsError):
        datasets.write_tfrecord(small, directory)
    with pytest.raises(DataError):
        datasets.write_tfrecord([], directory, overwrite=True)
    assert datasets.load(directory).checksum == small.checksum
    datasets.write_tfrecord(small, directory, num_shards=2, overwrite=True)
    assert len(list(directory.glob("train-*"))) == 2
    for num_shards in (0, 257, 1.5):
        with pytest.raises(InputError, match="num_shards"):
            datasets.write_tfrecord(small, tmp_path / "more", num_shards=num_shards)
    with pytest.raises(InputError, match="has a test part"):
        datasets.write_tfrecord(small, tmp_path / "more", test=small.test)


@pytest.mark.parametrize("kind", ["directory", "file"])
def test_overwriting_deletes_nothing_but_shards(tmp_path, small, kind):
    target = tmp_path / "photos"
    kept = target / "dear.jpg" if kind == "directory" else target
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("dear")
    with pytest.raises(InputError, match="photos is no directory by write_tfrecord"):
        datasets.write_tfrecord(small, target, overwrite=True)
    assert kept.read_text() == "dear"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_a_full_disk_is_one_clear_error(tmp_path, rng):
    noise = rng.normal(size=(2000, 100)), np.arange(2000) % 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TargetError, match=r"Cannot write \S+shards: File too large\. Check") as caught:
            datasets.write_tfrecord(noise, tmp_path / "shards")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_shards_that_a_killed_writer_had_moved_aside_come_back(tmp_path, small):
    directory = datasets.write_tfrecord(small, tmp_path / "shards")
    (tmp_path / ".shards.abcdefgh.tmp").mkdir()
    directory.rename(tmp_path / ".shards.abcdefgh.tmp" / _io._OLD)
    assert datasets.stream(directory).checksum == small.checksum


def test_another_split_is_other_data(tmp_path, small):
    directory = datasets.write_tfrecord(small.train, tmp_path / "shards")
    streams = [datasets.stream(directory, **options) for options in ({}, {"seed": 1}, {"test_fraction": 0.3}, {})]
    assert len({stream.checksum for stream in streams}) == 3
    assert streams[0].checksum == streams[3].checksum


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "bit":
        content[len(content) // 2] ^= 4
    elif how == "cut":
        content = content[:-30]
    path.write_bytes(content)
    if how == "gone":
        path.unlink()


@pytest.mark.parametrize("how", ["bit", "cut", "gone"])
def test_a_damaged_shard_is_named(tmp_path, small, how):
    directory = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=3)
    damage(directory / "train-00001-of-00003.tfrecord", how)
    with pytest.raises(DataError, match=r"train-00001-of-00003\.tfrecord.*again\.$") as caught:
        datasets.stream(directory).train[:]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["dataset.json", "index.npz"])
def test_a_file_missing_beside_the_shards_is_named_as_such(tmp_path, small, name):
    directory = datasets.write_tfrecord(small, tmp_path / "shards")
    (directory / name).unlink()
    with pytest.raises(DataError, match=r"shards.* \(?No such file or directory"):
        datasets.stream(directory)


def test_as_many_shards_as_may_be_open(tmp_path, small):
    directory = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=40)
    before, used = resource.getrlimit(resource.RLIMIT_NOFILE), [int(name) for name in os.listdir("/dev/fd")]
    limit = next(n for n in itertools.count() if n - sum(file < n for file in used) == 60)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, before[1]))
    try:
        with pytest.raises(DataError, match=r"Cannot open shard .*test-.*: Too many open files.*ulimit"):
            datasets.stream(directory)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    gc.collect()
    assert len(os.listdir("/dev/fd")) <= len(used)


@pytest.mark.parametrize("name", ["dataset.json", "index.npz"])
def test_damage_beside_the_shards_is_a_data_error(tmp_path, small, name):
    directory = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=2)
    path = directory / name
    content = path.read_bytes()
    for cut in range(0, len(content), max(1, len(content) // 30)):
        path.write_bytes(content[:cut])
        with pytest.raises(DataError):
            datasets.stream(directory)
    for text in ("[]", "{}", '{"format": 9}', '{"format": 1, "shards": []}'):
        (directory / "dataset.json").write_text(text)
        with pytest.raises(DataError):
            datasets.stream(directory)


def test_damage_met_in_a_pipeline_is_our_error_while_watched(tmp_path, small):
    directory = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=3)
    damage(directory / "train-00002-of-00003.tfrecord", "bit")
    samples = datasets.stream(directory).train
    with pytest.raises(DataError, match=r"train-00002-of-00003\.tfrecord is damaged"), samples.watched():
        for _ in samples.batches(4).take(10):
            pass
    with pytest.raises(tf.errors.InvalidArgumentError, match="train-00002"):
        list(samples.in_order(4))


def test_order_is_a_function_of_seed_and_step(tmp_path, small):
    train = datasets.stream(datasets.write_tfrecord(small, tmp_path / "a", num_shards=2)).train
    other = datasets.stream(datasets.write_tfrecord(small, tmp_path / "b", num_shards=5)).train

    def first(samples, *args, **options):
        return [(x.numpy(), y.numpy()) for x, y in samples.batches(*args, **options).take(12)]

    whole = first(train, 7, seed=4)
    for found in (first(train, 7, seed=4), first(other, 7, seed=4)):
        np.testing.assert_equal(found, whole)
    np.testing.assert_equal(first(train, 7, seed=4, first_step=5)[:7], whole[5:])
    assert not np.array_equal(first(train, 7, seed=5)[0][0], whole[0][0])
    epochs = np.concatenate([x for x, _ in whole])[: 4 * 18].reshape(4, 18, -1)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch.sum(axis=1)), np.sort(small.x_train.reshape(18, -1).sum(axis=1)))
    part = first(train, 7, seed=4, rows=slice(2, 5))
    for (x, y), (own_x, own_y) in zip(whole, part, strict=True):
        np.testing.assert_array_equal(own_x[2:5], x[2:5])
        np.testing.assert_array_equal(own_y[2:5], y[2:5])
        assert not own_x[[0, 1, 5, 6]].any()


def test_in_order_gives_every_sample_once(tmp_path, small):
    test = datasets.stream(datasets.write_tfrecord(small, tmp_path / "a", num_shards=3)).test
    batches = list(test.in_order(6))
    assert [len(y) for _, y in batches] == [6, 6, 6, 2]
    np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), small.x_test)
    np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), small.y_test)


def test_files_are_closed_when_nothing_reads_them_any_more(tmp_path, small):
    """TensorFlow keeps each Python function that its pipelines call, but not what that one reads."""
    directory = datasets.write_tfrecord(small, tmp_path / "a", num_shards=20)
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    batches = datasets.stream(directory).train.batches(4).prefetch(1)
    gc.collect()
    assert [len(y) for _, y in batches.take(9)] == [4] * 9
    iterator = iter(batches)
    del batches
    gc.collect()
    assert [len(y) for _, y in itertools.islice(iterator, 9)] == [4] * 9
    assert len(os.listdir("/dev/fd")) >= before + 20
    del iterator
    gc.collect()
    assert len(os.listdir("/dev/fd")) <= before


def test_what_a_batch_costs_does_not_depend_on_how_many_samples_there_are():
    samples = datasets.StoredSamples(np.zeros_like, np.zeros(1_000_000, np.uint8), (), np.int64)
    tracemalloc.start()
    try:
        for index in (np.arange(10), slice(10), slice(-10, None), [-1, 3]):
            samples[index]
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_indices_are_those_of_arrays(tmp_path, small):
    train = datasets.stream(datasets.write_tfrecord(small, tmp_path / "a", num_shards=4)).train
    for index in (slice(-3, None), slice(None, None, -5), np.array([-1, 0, -18, 17]), [2, 2]):
        x, y = train[index]
        np.testing.assert_array_equal(x, small.x_train[index])
        np.testing.assert_array_equal(y, small.y_train[index])
    for index in (3, [18], [-19], [0.5], "a"):
        with pytest.raises(InputError, match=r"is no index of .*stored samples\. Give"):
            train[index]


@pytest.fixture
def shapes(tmp_path, rng):
    """A folder of two classes, pictures of unequal size and format."""
    for name, count in (("dog", 7), ("cat", 5)):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(count):
            picture = Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3), np.uint8))
            picture.save(tmp_path / "pets" / name / f"{i}.{('png', 'jpg', 'bmp', 'webp')[i % 4]}")
    return tmp_path / "pets"


@pytest.mark.parametrize("options", [{}, {"size": (9, 12), "grayscale": False, "test_fraction": 0.4, "seed": 3}])
def test_images_are_those_of_the_reader_in_memory(shapes, options):
    loaded, stream = datasets.load(shapes, **options), datasets.stream(shapes, **options)
    assert stream.class_names == loaded.class_names == ("cat", "dog")
    assert stream.input_shape == loaded.input_shape
    for samples, (x, y) in zip((stream.train, stream.test), loaded, strict=True):
        found = [np.concatenate(arrays) for arrays in zip(*samples.in_order(3), strict=True)]
        np.testing.assert_array_equal(found[0], x)
        np.testing.assert_array_equal(found[1], y)
    assert stream.checksum != datasets.stream(shapes, **{**options, "seed": 8}).checksum


def test_images_become_shards(tmp_path, shapes):
    stream = datasets.stream(shapes)
    loaded = datasets.load(datasets.write_tfrecord(stream, tmp_path / "shards"))
    for found, wanted in zip(arrays_of(loaded), arrays_of(datasets.load(shapes)), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert loaded.class_names == ("cat", "dog")


def test_a_damaged_image_is_named(shapes):
    stream = datasets.stream(shapes)
    (shapes / "dog" / "3.webp").write_bytes(b"RIFF no more")
    with pytest.raises(DataError, match=r"Cannot read image .*dog/3\.webp"):
        datasets.load(shapes)
    with (
        pytest.raises(DataError, match=r"Cannot read image .*dog/3\.webp"),
        stream.train.watched(),
        stream.test.watched(),
    ):
        read_all(stream.train, stream.test)


def read_all(*parts):
    for samples in parts:
        list(samples.in_order(4))


def test_reading_ahead_leaves_the_filters_of_warnings_alone(shapes, recwarn):
    import warnings

    before = list(warnings.filters)
    list(datasets.stream(shapes).train.batches(3).take(20))
    assert list(warnings.filters) == before


def test_refuses_what_cannot_be_streamed(tmp_path, shapes):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=[0, 1, 0, 1])
    with pytest.raises(DataError, match=r"a\.npz cannot be streamed, only loaded whole.*write_tfrecord"):
        datasets.stream(tmp_path / "a.npz")
    with pytest.raises(DataError, match="No file or folder"):
        datasets.stream(tmp_path / "gone")
    with pytest.raises(InputError, match=r"sise.*Did you mean 'size'"):
        datasets.stream(shapes, sise=(3, 3))
    with pytest.raises(InputError, match="test_fraction"):
        datasets.stream(shapes, test_fraction=2)
    shutil.rmtree(shapes / "cat")
    with pytest.raises(DataError, match="one class, 'dog'"):
        datasets.stream(shapes)
