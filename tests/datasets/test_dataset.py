import dataclasses
import enum
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelzoo.datasets import Dataset, from_arrays, one_hot, stratified_split
from modelzoo.errors import DataError, InputError


def make(n=60, n_test=20, k=3, **options):
    x = np.arange((n + n_test) * 2, dtype=np.float32).reshape(-1, 2)
    y = np.arange(n + n_test) % k
    return Dataset(x[:n], y[:n], x[n:], y[n:], **{"name": "made", **options})


def test_unpacks_the_keras_way():
    dataset = make()
    (x_train, y_train), (x_test, y_test) = dataset
    assert [a.shape for a in (x_train, y_train, x_test, y_test)] == [(60, 2), (60,), (20, 2), (20,)]
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


def test_one_hot():
    dataset = make().one_hot()
    assert dataset.y_train.dtype == np.float32
    assert dataset.y_train.shape == (60, 3)
    np.testing.assert_array_equal(dataset.y_train, np.eye(3)[make().y_train])
    assert dataset.num_classes == 3
    np.testing.assert_array_equal(dataset.one_hot().y_test, dataset.y_test)


def test_hold_out_moves_training_samples_into_the_validation_part():
    dataset = make(n=90)
    part = dataset.hold_out(0.2)
    kept, held = ({tuple(row) for row in x.tolist()} for x in (part.x_train, part.x_val))
    assert kept | held == {tuple(row) for row in dataset.x_train.tolist()}
    assert not kept & held
    assert np.bincount(part.validation[1]).tolist() == [6, 6, 6]
    np.testing.assert_array_equal(part.x_test, dataset.x_test)
    assert list(part.parts) == ["train", "test", "validation"]
    assert "test=20, validation=18" in repr(part)
    assert part.checksum == dataset.hold_out(18).checksum != dataset.checksum
    chosen = part.subset((0, 2)).one_hot()
    assert chosen.y_val.shape == (12, 2)
    with pytest.raises(InputError, match="has a validation part already"):
        part.hold_out(3)


def test_a_data_set_may_have_a_training_part_only():
    x, y = make().train
    dataset = Dataset(x, y, name="alone")
    assert dataset.test is dataset.validation is None
    assert list(dataset) == [dataset.train, None]
    assert dataset.take(per_class=2).one_hot().subset((0, 1)).hold_out(2).test is None


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


def test_a_split_of_few_and_uneven_samples():
    """Each class trains; as many as possible are tested."""
    for counts, amount, held in (
        ([2, 1], 0.2, [1, 0]),
        ([3] * 12, 0.2, [1] * 7 + [0] * 5),
        ([9, 1, 1], 0.5, [6, 0, 0]),
        ([2, 2], 3, None),
        ([1, 1], 0.5, None),
    ):
        y = np.repeat(np.arange(len(counts)), counts)
        if held is None:
            with pytest.raises(DataError, match="at most"):
                stratified_split(y, amount, 0)
        else:
            assert np.bincount(y[stratified_split(y, amount, 0)[1]], minlength=len(counts)).tolist() == held


X = np.arange(12.0).reshape(6, 2)


class Size(str, enum.Enum):
    SMALL = "s"
    LARGE = "l"


@pytest.mark.parametrize(
    ("y", "class_names", "expected", "numbers"),
    [
        ([1, 2, 3, 1, 2, 3], (), ("1", "2", "3"), [0, 1, 2, 0, 1, 2]),
        ([8, 3, 5, 3, 5, 8], (), ("3", "5", "8"), [2, 0, 1, 0, 1, 2]),
        ([-1, 1, -1, 1, 1, 1], (), ("-1", "1"), [0, 1, 0, 1, 1, 1]),
        (["b", "a", "b", "a", "b", "a"], (), ("a", "b"), [1, 0, 1, 0, 1, 0]),
        (["10", "9", "9", "9", "9", "9"], (), ("9", "10"), [1, 0, 0, 0, 0, 0]),
        (np.array(["b", "a"] * 3, object), (), ("a", "b"), [1, 0, 1, 0, 1, 0]),
        ([Size.SMALL, Size.LARGE] * 3, (), ("l", "s"), [1, 0, 1, 0, 1, 0]),
        ([1.0, 5.0, 1.0, 5.0, 5.0, 5.0], (), ("1", "5"), [0, 1, 0, 1, 1, 1]),
        ([[7], [9], [7], [7], [7], [7]], (), ("7", "9"), [0, 1, 0, 0, 0, 0]),
        ([0, 1, 2, 0, 1, 2], (), None, [0, 1, 2, 0, 1, 2]),
        (np.eye(3)[[0, 1, 2, 0, 1, 2]], (), None, [0, 1, 2, 0, 1, 2]),
        ([0, 2, 0, 2, 0, 2], ("x", "y", "z"), ("x", "y", "z"), [0, 2, 0, 2, 0, 2]),
        ([1, 2, 3, 1, 2, 3], ("x", "y", "z"), ("x", "y", "z"), [0, 1, 2, 0, 1, 2]),
        (["b", "a", "b", "a", "b", "a"], ("c", "b", "a"), ("c", "b", "a"), [1, 2, 1, 2, 1, 2]),
        ([3, 5, 3, 5, 3, 5], ("8", "5", "3"), ("8", "5", "3"), [2, 1, 2, 1, 2, 1]),
    ],
)
def test_labels_of_any_kind(y, class_names, expected, numbers):
    data = from_arrays(X, y, X[:2], y[:2], class_names=class_names)
    assert data.y_train.tolist() == numbers
    assert data.y_test.tolist() == numbers[:2]
    assert data.named == (expected is not None)
    assert data.class_names == (expected or ("0", "1", "2"))


def test_take():
    dataset = make()
    few = dataset.take(per_class=4, seed=5)
    assert np.bincount(few.y_train).tolist() == [4, 4, 4]
    assert len(few.x_test) == 20
    more = dataset.take(per_class=9, seed=5)
    assert {tuple(r) for r in few.x_train.tolist()} <= {tuple(r) for r in more.x_train.tolist()}
    for row, label in zip(*few.train, strict=True):
        assert label == dataset.y_train[int(row[0]) // 2]


Y = np.array([0, 1] * 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Dataset(X, Y, X, Y[:5], name="z"), DataError, "z, test part: 6 samples but 5 labels"),
        (lambda: Dataset(X, Y, X[:, :1], Y, name="z"), DataError, "same shape"),
        (lambda: Dataset(X, Y, X, np.eye(2)[Y], name="z"), DataError, "differ in form"),
        (lambda: Dataset(X, Y, x_val=X, name="half"), DataError, "x_val and y_val must be given together"),
        (lambda: from_arrays(X, [0.5, 1] * 3), DataError, "label 0.5 at index 0 must be a whole number"),
        (lambda: from_arrays(X, ["a", float("nan"), "b"] * 2), DataError, "label nan at index 1 is no text"),
        (lambda: from_arrays(X, np.array(["a", "b", None] * 2, object)), DataError, "label None at index 2 is no text"),
        (lambda: from_arrays(X, [1, "a", 2] * 2), DataError, "label 1 at index 0 is no text"),
        (lambda: from_arrays(X, [None, 1] * 3), DataError, "whole numbers or text; got dtype object"),
        (lambda: from_arrays(X, Y, X, Y * 2), DataError, "label 2 does not occur in the training part"),
        (lambda: from_arrays(X, Y, X, ["a", "b"] * 3), DataError, "numbers in all parts, or text in all"),
        (lambda: from_arrays(X, ["a", "b"] * 3, class_names=("a", "c")), DataError, r"name the 2 classes .*\(a, b\)"),
        (lambda: from_arrays(X, [1, 7] * 3, class_names=("a", "b", "c")), DataError, "name the 2 classes"),
        (lambda: from_arrays(X, Y, class_names=("a", "a")), DataError, "class_names must differ"),
        (lambda: make().subset(()), InputError, "at least one label"),
        (lambda: make().subset((1, 1)), InputError, "each once"),
        (lambda: make().subset((0, 3)), InputError, "from 0 to 2"),
        (lambda: make().subset((-1,)), InputError, "from 0 to 2"),
        (lambda: make().subset((0.5,)), InputError, "0.5"),
        (lambda: make().subset("01"), InputError, "sequence of labels"),
        (lambda: make().subset(1), InputError, "sequence of labels"),
        (lambda: make().subset((True,)), InputError, "True"),
        (lambda: make().split_test(0.2), InputError, "has a test part already"),
        (lambda: make().take(per_class=21), DataError, "at most 20"),
        (lambda: one_hot(np.array([0, 3]), 3), DataError, "label 3 at index 1"),
        *(
            (lambda amount=amount: make().hold_out(amount), InputError, "hold_out must be")
            for amount in (0, 60, 1.0, 0.0, -3, "half", True, float("nan"))
        ),
    ],
)
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
