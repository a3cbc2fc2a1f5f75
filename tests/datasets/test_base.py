import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelzoo.datasets import Dataset, one_hot, stratified_split
from modelzoo.errors import DataError, InputError


def make(n=60, n_test=20, k=3, **options):
    x = np.arange((n + n_test) * 2, dtype=np.float32).reshape(-1, 2)
    y = np.arange(n + n_test) % k
    return Dataset(x[:n], y[:n], x[n:], y[n:], **{"name": "made", **options})


def test_unpacks_the_keras_way():
    dataset = make()
    (x_train, y_train), (x_test, y_test) = dataset
    assert x_train.shape == (60, 2)
    assert y_train.shape == (60,)
    assert x_test.shape == (20, 2)
    assert y_test.shape == (20,)
    assert dataset.train[0] is dataset.x_train
    assert dataset.test[1] is dataset.y_test
    assert (dataset.num_classes, dataset.input_shape, dataset.class_names) == (3, (2,), ("0", "1", "2"))
    assert "made" in repr(dataset)


def test_is_frozen_and_read_only_and_leaves_the_callers_array_alone():
    x, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    dataset = Dataset(x, y, x, y, name="z")
    with pytest.raises(dataclasses.FrozenInstanceError):
        dataset.name = "other"
    with pytest.raises(ValueError, match="read-only"):
        dataset.x_train[0, 0] = 1
    x[0, 0] = 5  # still writable for its owner


def test_checksum_is_sha256_of_names_shapes_dtypes_and_bytes():
    dataset = make()
    digest = hashlib.sha256()
    for name in ("x_train", "y_train", "x_test", "y_test"):
        array = getattr(dataset, name)
        digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode() + array.tobytes())
    assert dataset.checksum == digest.hexdigest()
    assert make(name="renamed").checksum == dataset.checksum
    assert dataclasses.replace(dataset, x_train=dataset.x_train.astype(np.float64)).checksum != dataset.checksum
    swapped = dataclasses.replace(dataset, x_train=dataset.x_train.astype(">f4"))
    assert swapped.checksum == dataset.checksum
    transposed = dataclasses.replace(dataset, x_train=np.asfortranarray(dataset.x_train))
    assert transposed.checksum == dataset.checksum


def test_subset_keeps_label_order_and_names():
    dataset = make(k=4, class_names=("a", "b", "c", "d"))
    part = dataset.subset((3, 1))
    assert part.class_names == ("b", "d")
    kept = np.isin(dataset.y_train, (1, 3))
    np.testing.assert_array_equal(part.x_train, dataset.x_train[kept])
    np.testing.assert_array_equal(part.y_train, [{1: 0, 3: 1}[y] for y in dataset.y_train[kept].tolist()])
    assert part.y_train.dtype == dataset.y_train.dtype
    np.testing.assert_array_equal(dataset.one_hot().subset((1, 3)).y_train.argmax(1), part.y_train)
    assert dataset.subset(range(4)) is dataset
    assert dataset.subset((2,)).num_classes == 1


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "is empty"),
        ((1, 1), "repeats"),
        ((0, 3), "from 0 to 2"),
        ((-1,), "from 0 to 2"),
        ((0.5,), "0.5"),
        ("01", "sequence of labels"),
        (1, "sequence of labels"),
        ((True,), "True"),
    ],
)
def test_subset_refuses(classes, message):
    with pytest.raises(InputError, match=message):
        make().subset(classes)


def test_one_hot():
    dataset = make().one_hot()
    assert dataset.y_train.dtype == np.float32
    assert dataset.y_train.shape == (60, 3)
    np.testing.assert_array_equal(dataset.y_train, np.eye(3)[make().y_train])
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(dataset.one_hot().y_test, dataset.y_test)
    with pytest.raises(DataError, match="label 3 at index 1"):
        one_hot(np.array([0, 3]), 3)


def test_split_validation_comes_from_the_training_set_only():
    dataset = make(n=90)
    part = dataset.split_validation(0.2, seed=1)
    rows = {tuple(row) for row in dataset.x_train.tolist()}
    kept, held = ({tuple(row) for row in x.tolist()} for x in (part.x_train, part.x_test))
    assert kept | held == rows
    assert not kept & held
    assert len(held) == 18
    assert np.bincount(part.y_test).tolist() == [6, 6, 6]
    assert part.name == "made/validation"
    assert part.checksum == dataset.split_validation(18, seed=1).checksum
    assert part.checksum != dataset.split_validation(18, seed=2).checksum


@pytest.mark.parametrize("amount", [0, 60, 1.0, 0.0, -3, "half", True, float("nan")])
def test_split_validation_refuses(amount):
    with pytest.raises(InputError):
        make().split_validation(amount)


@given(st.lists(st.integers(2, 30), min_size=2, max_size=6), st.data())
@settings(max_examples=60, deadline=None)
def test_stratified_split_is_a_partition_in_proportion(counts, data):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    held_out = data.draw(st.integers(len(counts), len(y) - len(counts)))
    kept, held = stratified_split(y, held_out, 3)
    assert sorted([*kept, *held]) == list(range(len(y)))
    assert len(held) == held_out
    assert set(y[kept]) == set(y[held]) == set(range(len(counts)))
    for label, count in enumerate(counts):  # never far from its share; the bounds 1 and count - 1 may push others
        share = held_out * count / len(y)
        assert abs((y[held] == label).sum() - share) <= len(counts)


def test_stratified_split_refuses_a_class_of_one():
    with pytest.raises(DataError, match="class 1 has one sample"):
        stratified_split(np.array([0, 0, 1]), 1, 0)


def test_take():
    dataset = make()
    few = dataset.take(per_class=4, seed=5)
    assert np.bincount(few.y_train).tolist() == [4, 4, 4]
    assert len(few.x_test) == 20
    more = dataset.take(per_class=9, seed=5)
    assert {tuple(r) for r in few.x_train.tolist()} <= {tuple(r) for r in more.x_train.tolist()}
    for row, label in zip(*few.train, strict=True):
        assert label == dataset.y_train[int(row[0]) // 2]
    with pytest.raises(DataError, match="at most 20"):
        dataset.take(per_class=21)


def test_refuses_arrays_that_do_not_fit():
    x, y = np.zeros((4, 2)), np.array([0, 1, 0, 1])
    with pytest.raises(DataError, match="test set: 4 samples but 3 labels"):
        Dataset(x, y, x, y[:3], name="z")
    with pytest.raises(DataError, match="same shape"):
        Dataset(x, y, np.zeros((4, 3)), y, name="z")
    with pytest.raises(DataError, match="differ in form"):
        Dataset(x, y, x, np.eye(2)[y], name="z")
    with pytest.raises(DataError, match="label 1 at index 1"):
        Dataset(x, y, x, y, name="z", class_names=("only",))


class TestBatches:
    def test_every_sample_once_an_epoch_across_wraps(self):
        batches = make(n=10, k=2).batches(4, seed=3)
        drawn = np.concatenate([batches.next_batch()[0][:, 0] for _ in range(5)])  # 20 samples: two epochs
        assert batches.epochs_completed == 2
        first, second = drawn[:10], drawn[10:]
        assert sorted(first) == sorted(second) == [2.0 * i for i in range(10)]
        assert first.tolist() != second.tolist()

    def test_always_full_even_beyond_the_data(self):
        x, y = make(n=10, k=2).batches(25).next_batch()
        assert x.shape == (25, 2)
        assert y.shape == (25,)
        assert np.bincount(x[:20, 0].astype(int) // 2).tolist() == [2] * 10

    def test_labels_stay_with_their_samples(self):
        dataset = make()
        for x, y in dataset.batches(7, seed=1):
            np.testing.assert_array_equal(x[:, 0] // 2 % 3, y)

    def test_a_loop_is_one_epoch(self):
        batches = make(n=10, k=2).batches(4)
        batches.next_batch()
        sizes = [len(x) for x, _ in batches]
        assert sizes == [4, 4, 2]
        assert len(batches) == 3
        assert batches.epochs_completed == 2

    def test_same_seed_same_batches(self):
        a, b, c = (make().batches(8, seed=seed) for seed in (1, 1, 2))
        drawn = [np.concatenate([batches.next_batch()[0] for _ in range(20)]) for batches in (a, b, c)]
        np.testing.assert_array_equal(drawn[0], drawn[1])
        assert not np.array_equal(drawn[0], drawn[2])

    def test_without_shuffling(self):
        x, _ = make(n=6, k=2).batches(4, shuffle=False).next_batch()
        assert x[:, 0].tolist() == [0, 2, 4, 6]

    @pytest.mark.parametrize("size", [0, -1, 2.5, None, True])
    def test_refuses_batch_size(self, size):
        with pytest.raises(InputError, match="batch_size"):
            make().batches(size)

    def test_leaves_the_global_generator_alone(self):
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        make().batches(4).next_batch()
        make().take(per_class=1)
        assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
