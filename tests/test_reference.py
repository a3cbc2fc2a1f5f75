"""The oracle has oracles of its own: finite differences, TensorFlow, scikit-learn and SciPy."""

import doctest
import itertools

import numpy as np
import pytest
import scipy.optimize
import scipy.special
from sklearn.metrics import log_loss

from modelzoo import reference
from modelzoo.errors import InputError

ELEMENTWISE = ["identity", "tanh", "logistic", "relu"]
LAYERS = {
    "2-4-2": ([2, 4, 2], ["logistic", "softmax"]),
    "2-10-4": ([2, 10, 4], ["tanh", "identity"]),
    "7-5-3-2-3": ([7, 5, 3, 2, 3], ["tanh", "relu", "identity", "logistic"]),
    "3-4-3-2, softmax inside": ([3, 4, 3, 2], ["softmax", "tanh", "softmax"]),
}


def draw_weights(rng, widths, *, bias=True):
    weights = []
    for inputs, units in itertools.pairwise(widths):
        weights.append(rng.normal(0.0, 0.7, (inputs, units)))
        if bias:
            weights.append(rng.normal(0.0, 0.7, units))
    return weights


def test_doctest():
    assert doctest.testmod(reference).failed == 0


# --- activations


def test_sigmoids_equal_scipy_and_never_overflow():
    z = np.array([-1e308, -1000.0, -745.0, -30.0, -1e-9, 0.0, 1e-9, 30.0, 745.0, 1000.0, 1e308])
    rows = np.array([[1000.0, 0.0, -1000.0], [-1000.0, -1000.0, -1000.0], [1.0, 2.0, 3.0]])
    with np.errstate(all="raise", under="ignore"):
        y, slope = reference.logistic(z), reference.ACTIVATIONS["logistic"].derivative(z)
        probabilities = reference.softmax(rows)
    np.testing.assert_allclose(y, scipy.special.expit(z), rtol=1e-15, atol=1e-323)  # SciPy's is 0 at -745
    np.testing.assert_allclose(slope, slope[::-1], rtol=1e-15, atol=1e-323)  # even, also where the function rounds to 1
    assert slope.max() == 0.25
    np.testing.assert_allclose(probabilities, scipy.special.softmax(rows, axis=1), rtol=1e-14)


def test_kinks_follow_tensorflow_and_names_keras():
    assert reference.ACTIVATIONS["relu"].derivative([-1.0, 0.0, 1.0]).tolist() == [0.0, 0.0, 1.0]
    assert reference.heaviside([-1.0, 0.0, 1.0]).tolist() == [0.0, 0.0, 1.0]
    assert reference.ACTIVATIONS["sigmoid"] is reference.ACTIVATIONS["logistic"]
    assert reference.ACTIVATIONS["linear"] is reference.ACTIVATIONS["identity"]


# --- forward and backward pass


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("widths", "activations"), LAYERS.values(), ids=LAYERS)
def test_backward_is_the_slope(widths, activations, bias, rng):
    weights = draw_weights(rng, widths, bias=bias)
    x, t = rng.normal(size=(6, widths[0])), rng.normal(size=(6, widths[-1]))

    def error(w):
        return reference.sum_of_squares(reference.forward(x, w, activations).output, t)

    passed = reference.forward(x, weights, activations)
    gradients = reference.backward(passed, weights, activations, reference.sum_of_squares_gradient(passed.output, t))
    for ours, slope in zip(gradients, reference.finite_differences(error, weights), strict=True):
        np.testing.assert_allclose(ours, slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "loss", ["sum_of_squares", "mean_squared_error", "softmax_cross_entropy", "sigmoid_cross_entropy"]
)
@pytest.mark.parametrize("hidden", ELEMENTWISE)
def test_everything_equals_tensorflow(loss, hidden, rng):
    tf = pytest.importorskip("tensorflow")
    of_name = {"identity": tf.identity, "tanh": tf.tanh, "logistic": tf.sigmoid, "relu": tf.nn.relu}
    weights = draw_weights(rng, [5, 8, 6, 3])
    x = rng.normal(size=(20, 5))
    t = np.eye(3)[rng.integers(0, 3, 20)]
    of_loss = {
        "sum_of_squares": lambda z: tf.nn.l2_loss(z - t),
        "mean_squared_error": lambda z: tf.reduce_mean(tf.math.squared_difference(z, t)),
        "softmax_cross_entropy": lambda z: tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(t, z)),
        "sigmoid_cross_entropy": lambda z: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(t, z)),
    }
    variables = [tf.Variable(w) for w in weights]
    with tf.GradientTape() as tape:
        y = tf.constant(x)
        for i in range(0, 6, 2):
            z = y @ variables[i] + variables[i + 1]
            y = of_name[hidden](z)
        theirs = of_loss[loss](z)
    activations = [hidden, hidden, "identity"]
    passed = reference.forward(x, weights, activations)
    np.testing.assert_allclose(passed.output, z.numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(getattr(reference, loss)(passed.output, t), theirs.numpy(), rtol=1e-12)
    gradient = getattr(reference, f"{loss}_gradient")(passed.output, t)
    ours = reference.backward(passed, weights, activations, gradient, from_logits="entropy" in loss)
    for a, b in zip(ours, tape.gradient(theirs, variables), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-10, atol=1e-13)


# --- losses


def test_cross_entropy_of_labels_is_scikit_learns(rng):
    z, labels = rng.normal(0.0, 3.0, (50, 4)), rng.integers(0, 4, 50)
    expected = log_loss(labels, scipy.special.softmax(z, axis=1), labels=range(4))
    assert reference.softmax_cross_entropy(z, labels) == pytest.approx(expected, rel=1e-12)


def test_cross_entropies_are_finite_far_out():
    with np.errstate(all="raise", under="ignore"):
        assert reference.softmax_cross_entropy([[1000.0, -1000.0]], [1]) == 2000.0
        assert reference.softmax_cross_entropy([[1000.0, -1000.0]], [0]) == 0.0
        assert reference.sigmoid_cross_entropy([1000.0, -1000.0], [0, 1]) == 1000.0
        assert reference.sigmoid_cross_entropy([1000.0, -1000.0], [1, 0]) == 0.0


# --- descent


def test_lesson_derivative_is_the_slope():
    x = np.linspace(-20.0, 20.0, 101)
    slopes = [reference.finite_differences(reference.lesson_function, value) for value in x]
    scale = 1e-7 * (1.0 + np.abs(reference.lesson_function(x)))
    assert (np.abs(reference.lesson_derivative(x) - slopes) < 1e-5 * np.abs(slopes) + scale).all()


def test_descent_finds_the_minima_that_scipy_finds():
    assert abs(reference.gradient_descent(reference.lesson_derivative, 1.0, 0.05, 500)) < 1e-12
    other = scipy.optimize.minimize_scalar(reference.lesson_function, bounds=(6.0, 9.0), method="bounded").x
    found = reference.gradient_descent(reference.lesson_derivative, 6.0, 0.01, 2000)
    assert found == pytest.approx(other, abs=1e-5)
    assert reference.lesson_derivative(found) == pytest.approx(0.0, abs=1e-9)
    assert reference.lesson_function(found) > 1.0  # a local minimum: the global one is 0


def test_trace_ends_where_the_descent_ends():
    trace = reference.gradient_descent(reference.lesson_derivative, 1.0, 0.1, 20, trace=True)
    assert trace.shape == (21,)
    assert trace[0] == 1.0
    assert trace[-1] == reference.gradient_descent(reference.lesson_derivative, 1.0, 0.1, 20)
    assert trace[1] == 1.0 - 0.1 * reference.lesson_derivative(1.0)
    assert reference.gradient_descent(reference.lesson_derivative, 1.5, 0.1, 0) == 1.5


def test_divergence_is_reported():
    with pytest.raises(InputError, match=r"diverged at step \d+.*below 3"):
        reference.gradient_descent(lambda x: x**3, 10.0, 3, 100)


# --- perceptron


def test_perceptron_rule_by_hand():
    """AND on two points: one update by (1, 1), one by minus (0, 1), as Rosenblatt's rule has it."""
    found = reference.perceptron_rule([[0.0, 1.0], [1.0, 1.0]], [0, 1], learning_rate=0.5)
    # epoch 1: point 2 is missed -> w (.5, .5), b .5; epoch 2: point 1 -> w (.5, 0), b 0; epoch 3: none
    assert found.weights.tolist() == [0.5, 0.0]
    assert (found.bias, found.epochs, found.updates) == (0.0, 3, 2)


def test_perceptron_rule_gives_up_on_xor():
    x, t = [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0]
    with pytest.raises(InputError, match=r"still made \d mistakes on 4 points in epoch 50"):
        reference.perceptron_rule(x, t, max_epochs=50)


# --- refused arguments

W, B, X = np.ones((2, 3)), np.ones(3), np.ones((4, 2))


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        ("forward", (X, [W, B], ["sigmiod"]), "Unknown activation 'sigmiod'. Did you mean 'sigmoid'"),
        ("forward", (X, [W, B], "tanh"), "one name for each of 1 layers"),
        ("forward", (X, [W, B], ["tanh", "tanh"]), "one name for each of 1 layers"),
        ("forward", (X, [B], ["tanh"]), r"weights must be .* got the shapes \[\(3,\)\]"),
        ("forward", (X, [W, np.ones(2)], ["tanh"]), r"weights must be .* got the shapes \[\(2, 3\), \(2,\)\]"),
        ("forward", (X, [W, B, W, B], ["tanh"] * 2), "weights must be"),
        ("forward", (np.ones((4, 3)), [W, B], ["tanh"]), r"x must have the shape \(n, 2\)"),
        ("backward", (reference.forward(X, [W, B], ["tanh"]), [W, B], ["tanh"], X), r"gradient must .*\(4, 3\)"),
        ("sum_of_squares", ([1.0, 2.0], [[1.0], [2.0]]), "the same shape"),
        ("mean_squared_error", ([], []), "the same shape"),
        ("sigmoid_cross_entropy", (np.ones((4, 1)), np.ones(4)), "the same shape"),
        ("softmax_cross_entropy", (X, [0, 1, 2, 0]), "labels must be classes"),
        ("softmax_cross_entropy", (X, [0, 1, 0.5, 0]), "labels must be classes"),
        ("softmax_cross_entropy", (X, X), "labels must be classes"),
        ("gradient_descent", (reference.lesson_derivative, 1.0, 0.0, 5), "learning_rate must be"),
        ("gradient_descent", (reference.lesson_derivative, 1.0, 0.1, -1), "steps must be"),
        ("gradient_descent", (lambda x: [1.0, 2.0], 1.0, 0.1, 2), "gradient must return"),
        ("perceptron_rule", (X, [0, 1, 2, 1]), "0 or 1"),
        ("perceptron_rule", (X, [0, 1]), r"\(4, 2\) and \(2,\)"),
    ],
)
def test_refused_arguments(function, arguments, message):
    with pytest.raises(InputError, match=message):
        getattr(reference, function)(*arguments)
