"""What figures accept and what they refuse."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import scipy.special

from modelzoo.errors import DataError, InputError
from modelzoo.viz.inputs import check_limits, images_of, integer_labels, limits_of, points_of, samples_of
from modelzoo.viz.outputs import outputs_of, probabilities_of, scored

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])


def test_one_form_for_all_ways_to_give_samples(four_class):
    found = samples_of(four_class, split="train")
    assert found.x is four_class.x_train
    assert found.class_names == four_class.class_names
    np.testing.assert_array_equal(samples_of(four_class.one_hot(), split="test").y, four_class.y_test)
    for data, labels in ((X, Y), ((X, Y), None), (((X, Y), (X[:1], Y[:1])), None), (X.tolist(), np.eye(3)[Y])):
        found = samples_of(data, labels, split="train")
        np.testing.assert_array_equal(found.x, X)
        np.testing.assert_array_equal(found.labels, Y)
        assert found.class_names == ("0", "1", "2")
    assert len(samples_of(((X, Y), (X[:1], Y[:1])), split="test").x) == 1
    two_points = samples_of(([[0, 0], [1, 1]], [0, 1]))  # lists are samples and labels, tuples are the two parts
    np.testing.assert_array_equal(two_points.labels, [0, 1])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: samples_of((X, Y), split="valid"), InputError, "Unknown split 'valid'"),
        (lambda: samples_of((X, Y[:3])), DataError, r"Expected 6 labels.*\(3,\)"),
        (lambda: samples_of((X, Y - 1)), DataError, "numbers of the classes"),
        (lambda: samples_of((X, Y + 0.5)), DataError, "numbers of the classes"),
        (lambda: samples_of((X, Y), class_names=["a", "b"]), DataError, "Label 2 has no name"),
        (lambda: samples_of(X * np.nan), DataError, "NaN"),
        (lambda: samples_of(["a", "b"]), DataError, "dtype"),
        (lambda: samples_of([[1, 2], [3]]), DataError, "rectangular"),
        (lambda: samples_of(X).labels, DataError, "needs labels"),
        (lambda: points_of(X[:, :1]), DataError, r"\(6, 1\)"),
        (lambda: images_of(X), DataError, r"image\[None\]"),
        (lambda: check_limits(((1, 0), (0, 1))), InputError, "limits"),
        (lambda: check_limits("wide"), InputError, "limits"),
        (lambda: outputs_of("model", X), InputError, "received str"),
        (lambda: outputs_of(lambda x: x[:2], X), DataError, "one row a sample"),
        (lambda: outputs_of(lambda x: x / 0 * 0, X), DataError, "NaN"),
        (lambda: probabilities_of(np.ones((2, 3, 4))), DataError, r"\(2, 3, 4\)"),
        (lambda: probabilities_of([[2.0, -1.0]]), DataError, "from_logits=True"),
        (lambda: probabilities_of([[0.3, 0.3]]), DataError, "sums to 0.6"),
        (lambda: scored(np.full((5, 3), 1 / 3), (X, Y), split="test"), DataError, r"\(5, 3\), for 6 labels"),
        (lambda: scored(np.full((6, 2), 1 / 2), (X, Y), split="test"), DataError, r"\(6, 2\).*3 classes"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:divide by zero:RuntimeWarning")
def test_wrong_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_keras_models_and_functions_answer_alike(tanh_mlp, four_class):
    expected = tanh_mlp.predict(four_class.x_test, verbose=0)
    np.testing.assert_allclose(outputs_of(tanh_mlp, four_class.x_test), expected, atol=1e-6)
    np.testing.assert_allclose(outputs_of(tanh_mlp, four_class.x_test, batch=300), expected, atol=1e-6)
    np.testing.assert_allclose(outputs_of(tanh_mlp.__call__, four_class.x_test), expected, atol=1e-6)
    with pytest.raises(DataError, match=r"takes samples of shape \(2,\); received \(3,\)"):
        outputs_of(tanh_mlp, np.zeros((5, 3)))


def test_several_outputs_and_other_float_types(rng):
    x = keras.Input((2,))
    dense = keras.layers.Dense(3, activation="softmax", dtype="bfloat16")
    assert outputs_of(keras.Model(x, dense(x)), rng.normal(size=(4, 2))).dtype == np.float32
    with pytest.raises(InputError, match="2 outputs"):
        outputs_of(keras.Model(x, [dense(x), dense(x)]), np.zeros((1, 2)))


def test_probabilities_of_one_output_and_of_logits(rng):
    z = rng.normal(size=(50, 4)) * 5
    np.testing.assert_allclose(probabilities_of(z, from_logits=True), scipy.special.softmax(z, axis=1))
    p = scipy.special.expit(z[:, 0])
    for one in (p, p[:, None]):
        np.testing.assert_allclose(probabilities_of(one), np.c_[1 - p, p])
    np.testing.assert_allclose(probabilities_of(z[:, 0], from_logits=True), np.c_[1 - p, p])


def test_limits_enclose_the_points():
    assert limits_of(np.array([[0.0, 5.0], [10.0, 5.0]]), margin=0.1) == ((-1.0, 11.0), (4.9, 5.1))


def test_figures_without_a_model_import_no_tensorflow():
    code = """
import sys, numpy as np
from modelzoo import reference, viz
viz.plot_points(np.eye(2), [0, 1])
viz.plot_regions(lambda x: (x[:, 0] > 0.5).astype(float), (np.eye(2), [0, 1]), resolution=20)
viz.plot_activations()
viz.plot_confusion_matrix([0.1, 0.9], [0, 1])
assert not {"tensorflow", "keras"} & set(sys.modules), "imported"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_would_be_drawn_as_something_else_is_refused():
    with pytest.raises(DataError, match="figures tell at most 1000 apart"):
        samples_of(X, Y + 10**9)
    with pytest.raises(DataError, match="values are masked"):
        samples_of(np.ma.masked_greater(X, 3), Y)
    with pytest.raises(DataError, match="Expected 0 labels"):
        integer_labels([], 0)
