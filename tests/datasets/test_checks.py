import types

import numpy as np
import pytest

from modelzoo.datasets.checks import check_arrays
from modelzoo.errors import DataError

X, Y = np.ones((4, 2)), np.array([0, 1, 2, 1])


def taking(*shape):
    return types.SimpleNamespace(name="net", input_shape=(None, *shape))


def bad(array, index, value):
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (bad(X, (2, 1), np.nan), Y, {}, r"x\[2, 1\] is nan.*Remove"),
        (bad(X, (0, 0), -np.inf), Y, {}, r"x\[0, 0\] is -inf"),
        (X[:0], Y[:0], {}, "x is empty"),
        (X, Y[:3], {}, "4 samples but 3 labels"),
        (X, Y, {"num_classes": 2}, "label 2 at index 2 is out of range. Labels here are 0 to 1"),
        (X, -Y, {}, "label -1 at index 1.*0 or more"),
        (X, Y.astype(float), {}, r"y has dtype float64.*from_arrays\(x, y\)"),
        (X, Y.astype(object), {}, "y has dtype object"),
        (X.astype(object), Y, {}, "x has dtype object"),
        (X.astype(str), Y, {}, "x has dtype <U"),
        (X.astype(complex), Y, {}, "x has dtype complex"),
        (X[:, 0], Y, {}, r"x has shape \(4,\)"),
        (Y, X, {}, r"samples have shape \(4,\), labels \(4, 2\). Are they swapped"),
        ([[1, 2], [3]], Y[:2], {}, "x must be a rectangular array"),
        (None, Y, {}, "x is a NoneType, not an array"),
        ([np.ma.array([1, 2], mask=[0, 1])] * 4, Y, {}, "x has masked values"),
        ([], np.eye(3), {}, r"x has shape \(0,\)"),
        (X, Y, {"model": taking(3)}, r"samples have shape \(2,\), but 'net' takes \(3,\)"),
        (X, Y, {"model": taking(None, 1)}, r"'net' takes \(None, 1\). Reshape"),
        (X, Y, {"model": taking(2, 1)}, r"x.reshape\(-1, \*\(2, 1\)\)"),
        (X, np.ones((4, 2)), {}, "row 0 of y.*not one-hot"),
        (X, np.eye(4), {"num_classes": 3}, "4 wide, but there are 3 classes"),
        (X, np.zeros((4, 1, 1), int), {}, r"y has shape \(4, 1, 1\)"),
        (X, np.eye(4) * np.nan, {}, "not one-hot"),
    ],
)
def test_refuses_with_one_line(x, y, options, message):
    with pytest.raises(DataError, match=message) as caught:
        check_arrays(x, y, where="here", **options)
    assert str(caught.value).startswith("here: ")


def test_lists_become_arrays_and_one_hot_rows_the_places_of_their_ones():
    x, y = check_arrays(X.tolist(), np.eye(4)[[2, 0, 3, 1]].tolist(), model=taking(None))
    assert np.array_equal(x, X)
    assert y.tolist() == [2, 0, 3, 1]
