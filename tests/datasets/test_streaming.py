"""Data on disk: TFRecord shards and folders of images, read as they are wanted."""

import json
import resource

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from modelzoo import _io, datasets
from modelzoo.errors import DataError, InputError, TargetError, TargetExistsError


@pytest.fixture(scope="module")
def small():
    digits = datasets.load("mnist", classes=(1, 5, 6)).take(per_class=6)
    return datasets.Dataset(
        *digits.train, digits.x_test[:20], digits.y_test[:20], name="small", class_names=digits.class_names
    )


@pytest.fixture(scope="module")
def shards(small, tmp_path_factory):
    return datasets.write_tfrecord(small, tmp_path_factory.mktemp("data") / "shards", num_shards=3)


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    """A folder of two classes, pictures of unequal size and format."""
    folder, rng = tmp_path_factory.mktemp("pets"), np.random.default_rng(0)
    for name, count in (("dog", 7), ("cat", 5)):
        (folder / name).mkdir()
        for i in range(count):
            picture = Image.fromarray(rng.integers(0, 256, (20 + i, 30, 3), np.uint8))
            picture.save(folder / name / f"{i}.{('png', 'jpg', 'bmp', 'webp')[i % 4]}")
    return folder


def assert_same(stream, dataset):
    """Assert that a stream holds the samples of a data set, in its order."""
    assert list(stream.parts) == list(dataset.parts)
    for part, arrays in dataset.parts.items():
        np.testing.assert_equal(stream.parts[part][:], arrays)
        batches = list(stream.parts[part].in_order(6))
        np.testing.assert_array_equal(np.concatenate([x for x, _ in batches]), arrays[0])
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), arrays[1])


@pytest.mark.parametrize("num_shards", [1, 30])  # the last has more files than there are samples
def test_tfrecord_gives_back_what_was_written(tmp_path, small, num_shards):
    whole = small.hold_out(6)
    directory = datasets.write_tfrecord(whole, tmp_path / "shards", num_shards=num_shards)
    assert len(list(directory.glob("train-*.tfrecord"))) == num_shards
    loaded, stream = datasets.load(directory), datasets.stream_tfrecord(directory)
    assert loaded.checksum == whole.checksum == stream.checksum
    assert (loaded.name, loaded.class_names, loaded.y_train.dtype) == (whole.name, whole.class_names, np.uint8)
    assert_same(stream, whole)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "bool", ">f4"])
def test_every_dtype_comes_back(tmp_path, rng, dtype):
    x, y = rng.integers(-9, 9, (40, 2, 3)).astype(dtype), np.arange(40) * 70 % 1000
    stream = datasets.stream(datasets.write_tfrecord((x, y), tmp_path / "a", test=(x[:5], y[:5])))
    np.testing.assert_array_equal(stream.train[:][0], x)
    np.testing.assert_array_equal(stream.train[:][1], y)
    assert stream.train.dtype == np.dtype(dtype).newbyteorder("=")
    assert stream.num_classes == 981


def test_plain_tensorflow_reads_the_shards(shards, small):
    facts = json.loads((shards / "dataset.json").read_text())
    features = {"x": tf.io.FixedLenFeature([], tf.string), "y": tf.io.FixedLenFeature([], tf.int64)}
    found = {}
    for shard, name in enumerate(facts["parts"]["train"]["shards"]):
        for number, record in enumerate(tf.data.TFRecordDataset(str(shards / name))):  # compares its own checksums
            example = tf.io.parse_single_example(record, features)
            x = tf.reshape(tf.io.decode_raw(example["x"], facts["dtype"]), facts["shape"])
            found[shard + 3 * number] = (x.numpy(), int(example["y"]))
    assert len(found) == len(small.x_train)
    for row, (x, y) in found.items():
        np.testing.assert_array_equal(x, small.x_train[row])
        assert y == small.y_train[row]


def test_batches_of_any_source_are_written_and_a_test_part_is_held_out(tmp_path, small):
    batches = tf.data.Dataset.from_tensor_slices(small.train).batch(5)
    directory = datasets.write_tfrecord(batches, tmp_path / "again")
    options = {"test_fraction": 0.25, "seed": 2}
    assert_same(datasets.stream(directory, **options), datasets.load(directory, **options))
    assert len(datasets.stream(directory, **options).test) == 4
    streams = [datasets.stream(directory, **chosen) for chosen in ({}, {"seed": 1}, {"test_fraction": 0.3}, {})]
    assert len({stream.checksum for stream in streams}) == 3
    one_hot = [(np.zeros((2, 3)), np.eye(5)[:2]), (np.zeros((1, 3)), np.array([300]))]
    wide = datasets.stream(datasets.write_tfrecord(one_hot, tmp_path / "wide", test=one_hot[:1]))
    assert wide.train[:][1].tolist() == [0, 1, 300]
    assert wide.num_classes == 301


X, Y = np.zeros((4, 2), "float32"), np.array([0, 1, 0, 1])


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([], {}, "at least one batch"),
        ([(X, Y), (X[:, :1], Y)], {}, "batch 1: samples must be alike"),
        ([(X, Y), (X + np.nan, Y)], {}, r"batch 1: x\[0, 0\] is nan"),
        ([(X, Y), (np.ma.masked_array(X, mask=X == 0), Y)], {}, "batch 1: x has masked values"),
        ([X], {}, "Batch 0 must be a pair"),
        (3, {}, "got int"),
        ((X, Y), {"test": (X.astype("float64"), Y)}, "samples must be alike"),
        ((X, Y + 2_000_000), {}, "got 2000001"),
        (map(np.load, ["gone.npy"]), {}, r"cannot be read: .*gone\.npy"),
        ((X, Y + 5), {"class_names": ("a", "b")}, "label 5 at index 0 is out of range"),
        ((X, Y), {"class_names": "ab"}, "class_names must be a sequence of names"),
        ((X, Y), {"num_shards": 0}, "num_shards must be an integer from 1 to 256"),
        (datasets.Dataset(X, Y, X, Y, name="both"), {"test": (X, Y)}, "has a test part"),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, data, options, message):
    with pytest.raises(InputError, match=message):
        datasets.write_tfrecord(data, tmp_path / "shards", **options)
    assert not list(tmp_path.iterdir())


def test_a_directory_is_overwritten_only_when_told_and_only_if_of_shards(tmp_path, small):
    directory = datasets.write_tfrecord(small, tmp_path / "shards")
    with pytest.raises(TargetExistsError):
        datasets.write_tfrecord(small, directory)
    with pytest.raises(DataError):
        datasets.write_tfrecord([], directory, overwrite=True)
    assert datasets.load(directory).checksum == small.checksum
    datasets.write_tfrecord(small, directory, num_shards=2, overwrite=True)
    assert len(list(directory.glob("train-*"))) == 2
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "dear.jpg").write_text("dear")
    with pytest.raises(InputError, match="photos must be a directory by write_tfrecord"):
        datasets.write_tfrecord(small, tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "dear.jpg").read_text() == "dear"
    (tmp_path / ".shards.abcdefgh.tmp").mkdir()  # as a killed writer leaves it
    directory.rename(tmp_path / ".shards.abcdefgh.tmp" / _io._OLD)
    assert datasets.stream(directory).checksum == small.checksum


def test_a_full_disk_is_one_clear_error(tmp_path, rng):
    noise = rng.normal(size=(2000, 100)), np.arange(2000) % 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(TargetError, match=r"Cannot write \S+shards: File too large\. Check"):
            datasets.write_tfrecord(noise, tmp_path / "shards")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["bit", "cut", "gone"])
@pytest.mark.parametrize("name", ["train-00001-of-00003.tfrecord", "train.npy", "dataset.json"])
def test_a_damaged_file_is_named(tmp_path, small, name, how):
    path = datasets.write_tfrecord(small, tmp_path / "shards", num_shards=3) / name
    content = bytearray(path.read_bytes())
    content[500 if name.endswith("d") else 4] ^= 0x84
    path.write_bytes(content if how == "bit" else content[:-30])
    if how == "gone":
        path.unlink()
    with pytest.raises(DataError, match=rf"{name}.*again\.$"):
        datasets.stream(tmp_path / "shards").train[:]
    if name.endswith("d") and how == "bit":  # TensorFlow's error is turned into ours
        samples = datasets.stream(tmp_path / "shards").train
        with pytest.raises(DataError, match=name), samples.watched():
            list(samples.batches(4).take(10))


@pytest.mark.parametrize("text", ["[]", "{}", '{"format": 1}', '{"format": 2, "parts": {"train": {"shape": "a"}}}'])
def test_other_facts_are_a_data_error(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.json"):
        datasets.stream(tmp_path)


def test_order_is_a_function_of_seed_and_step_and_only_what_is_wanted_is_read(shards, small, tmp_path):
    """Same order for the same seed; resuming skips without reading; a worker reads its rows only."""
    stored, read = datasets.stream(shards).train, []

    def noting(indices):
        read.append(len(indices))
        return stored[indices][0]

    train = datasets.StoredSamples(noting, stored.labels, stored.shape, stored.dtype)

    def first(samples, *arguments, **options):
        return [(x.numpy(), y.numpy()) for x, y in samples.batches(*arguments, **options).take(12)]

    whole = first(train, 7, seed=4)
    other = datasets.stream(datasets.write_tfrecord(small, tmp_path / "b", num_shards=5)).train
    np.testing.assert_equal(first(other, 7, seed=4), whole)
    assert not np.array_equal(first(train, 7, seed=5)[0][0], whole[0][0])
    epochs = np.concatenate([x for x, _ in whole])[: 4 * 18].reshape(4, 18, -1)
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch.sum(axis=1)), np.sort(small.x_train.reshape(18, -1).sum(axis=1)))

    read.clear()
    np.testing.assert_equal(first(train, 7, seed=4, first_step=5)[:7], whole[5:])
    assert len(read) <= 12 + 2 * datasets.streaming.READERS
    read.clear()
    far = first(train, 7, seed=4, first_step=10**12)
    assert len(far) == 12
    assert len(read) <= 12 + 2 * datasets.streaming.READERS

    read.clear()
    for (x, y), (own_x, own_y) in zip(whole, first(train, 7, seed=4, rows=slice(2, 5)), strict=True):
        np.testing.assert_array_equal(own_x[2:5], x[2:5])
        np.testing.assert_array_equal(own_y[2:5], y[2:5])
        assert not own_x[[0, 1, 5, 6]].any()
    assert set(read) == {3}


def test_indices_are_those_of_arrays(shards, small):
    train = datasets.stream(shards).train
    for index in (slice(-3, None), slice(None, None, -5), np.array([-1, 0, -18, 17]), [2, 2], slice(4, 4)):
        x, y = train[index]
        np.testing.assert_array_equal(x, small.x_train[index])
        np.testing.assert_array_equal(y, small.y_train[index])
    with pytest.raises(IndexError):
        train[[18]]
    with pytest.raises(InputError, match="a slice or an array of integers; got 3"):
        train[3]


def test_a_stream_holds_out_what_a_data_set_holds_out(shards, small):
    stream = datasets.stream(shards).hold_out(0.34)
    assert_same(stream, small.hold_out(0.34))
    assert "validation=6" in repr(stream)
    assert stream.checksum != datasets.stream(shards).checksum
    with pytest.raises(InputError, match="has a validation part"):
        stream.hold_out(3)


@pytest.mark.parametrize("options", [{}, {"size": (9, 12), "grayscale": False, "test_fraction": 0.4, "seed": 3}])
def test_images_are_those_of_the_reader_in_memory(pets, tmp_path, options):
    loaded, stream = datasets.load(pets, **options), datasets.stream(pets, **options)
    assert stream.class_names == loaded.class_names == ("cat", "dog")
    assert stream.input_shape == loaded.input_shape
    assert_same(stream, loaded)
    assert_same(datasets.stream_images(pets, **options), loaded)
    assert stream.checksum != datasets.stream(pets, **{**options, "seed": 8}).checksum
    shards = datasets.stream(datasets.write_tfrecord(stream, tmp_path / "shards"))
    assert (shards.checksum, shards.class_names) == (stream.checksum, ("cat", "dog"))
    assert_same(shards, loaded)


def test_an_image_that_changes_its_part_changes_the_checksum(tmp_path):
    checksums = []
    for part in ("train", "test"):
        for path in ("train/a/3.png", "train/b/1.png", "test/a/1.png", f"{part}/a/2.png"):
            image = tmp_path / part / path
            image.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8)).save(image)
        checksums.append(datasets.stream(tmp_path / part).checksum)
    assert checksums[0] != checksums[1]


def test_a_damaged_image_is_named(pets, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).symlink_to(pets / name)
    (tmp_path / "bird").mkdir()
    for i in range(4):
        (tmp_path / "bird" / f"{i}.webp").write_bytes(b"RIFF no more")
    stream = datasets.stream(tmp_path)
    with pytest.raises(DataError, match=r"Cannot read image .*bird/\d\.webp"):
        datasets.load(tmp_path)
    with pytest.raises(DataError, match=r"Cannot read image .*bird/\d\.webp"), stream.train.watched():
        list(stream.train.in_order(4))


def test_refuses_what_cannot_be_streamed(tmp_path, pets):
    np.savez(tmp_path / "a.npz", x=np.zeros((4, 2)), y=[0, 1, 0, 1])
    with pytest.raises(DataError, match=r"a\.npz cannot be streamed, only .*images.*shards.*write_tfrecord"):
        datasets.stream(tmp_path / "a.npz")
    with pytest.raises(DataError, match="No file or folder"):
        datasets.stream(tmp_path / "gone")
    with pytest.raises(InputError, match=r"sise.*Did you mean 'size'"):
        datasets.stream(pets, sise=(3, 3))
    with pytest.raises(InputError, match="test_fraction"):
        datasets.stream(pets, test_fraction=2)
