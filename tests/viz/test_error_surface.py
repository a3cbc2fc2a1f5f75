"""Gradient descent on curves and on error surfaces, against the reference in NumPy."""

import keras
import matplotlib as mpl
import numpy as np
import pytest

import modelzoo
from modelzoo import datasets, reference, viz
from modelzoo.errors import DataError
from modelzoo.viz import style

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
T = np.array([0, 1, 1, 0])
XOR = (X, T)
OUTPUT_WEIGHTS = {"w1": "logits/kernel[0, 0]", "w2": "logits/kernel[1, 0]"}


def numpy_errors(model, w1, w2):
    weights = with_output_weights(model, w1, w2)
    return 0.5 * (reference.forward(X, weights, ["logistic", "logistic"]).output[:, 0] - T) ** 2


def with_output_weights(model, w1, w2):
    weights = [w.astype(float) for w in model.get_weights()]
    weights[2] = np.array([[w1], [w2]])
    return weights


def test_descent_shows_every_step_from_green_to_red():
    trace = reference.gradient_descent(reference.lesson_derivative, 5.0, learning_rate=0.01, steps=20, trace=True)
    ax = viz.plot_descent(reference.lesson_function, trace)
    points, start, end = ax.collections
    np.testing.assert_allclose(points.get_offsets(), np.c_[trace, reference.lesson_function(trace)])
    for marks, color in ((start, style.START_COLOR), (end, style.END_COLOR)):
        np.testing.assert_allclose(marks.get_facecolor()[0, :3], mpl.colors.to_rgb(color))
    np.testing.assert_allclose(points.get_facecolor()[[0, -1]], [start.get_facecolor()[0], end.get_facecolor()[0]])
    x, y = ax.get_lines()[0].get_xydata().T
    np.testing.assert_allclose(y, reference.lesson_function(x))
    assert x.min() < trace.min() < trace.max() < x.max()
    assert viz.plot_descent(np.square, [2.0]).get_title() == "0 steps of gradient descent"
    names = [text.get_text() for text in viz.plot_descent(np.square, [-1.25, -1e-9]).texts]
    assert names == ["start: x = -1.25", "end: x = 0"]


def test_errors_are_those_of_the_reference(xor_net, rng):
    settings = rng.normal(size=(5, 3, 2)) * 4
    before = xor_net.get_weights()
    found = viz.error_over_weights(xor_net, XOR, OUTPUT_WEIGHTS, settings)
    assert found.errors.shape == (5, 3, 4)
    assert found.names == ("w1", "w2")
    np.testing.assert_allclose(found.current, [0.1, 0.2])
    for place in np.ndindex(5, 3):
        np.testing.assert_allclose(found.errors[place], numpy_errors(xor_net, *settings[place]), atol=1e-6)
    np.testing.assert_allclose(found.total, found.errors.sum(axis=2))
    np.testing.assert_equal(xor_net.get_weights(), before)


def test_errors_of_several_outputs(tanh_mlp, four_class):
    found = viz.error_over_weights(tanh_mlp, four_class, ["hidden/kernel[1, 3]"], [[0.4]])
    weights = [w.astype(float) for w in tanh_mlp.get_weights()]
    weights[0][1, 3] = 0.4
    output = reference.forward(four_class.x_train, weights, ["tanh", "softmax"]).output
    expected = 0.5 * ((output - np.eye(4)[four_class.y_train]) ** 2).sum(axis=1)
    np.testing.assert_allclose(found.errors[0], expected, atol=1e-5)


def test_weights_that_are_not_trained_are_passed_over():
    layers = [keras.layers.BatchNormalization(), keras.layers.Dense(2, "tanh", name="hidden"), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.get_layer("hidden").kernel.assign([[1.0, 2.0], [3.0, 4.0]])
    assert viz.error_over_weights(model, XOR, "hidden/kernel[1, 0]", [[0.0]]).current == [3.0]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_descent_over_two_weights_is_the_optimisers(xor_net, momentum):
    trace = viz.descend_weights(
        xor_net, XOR, OUTPUT_WEIGHTS, start=(2, -1), steps=12, optimizer=keras.optimizers.SGD(0.8, momentum)
    )
    w, velocity = np.array([2.0, -1.0]), np.zeros(2)
    expected = [w]
    for _ in range(12):
        weights = with_output_weights(xor_net, *w)
        passed = reference.forward(X, weights, ["logistic", "logistic"])
        slope = reference.sum_of_squares_gradient(passed.output, T[:, None])
        gradient = reference.backward(passed, weights, ["logistic", "logistic"], slope)[2][:, 0]
        velocity = momentum * velocity - 0.8 * gradient
        w = w + velocity
        expected.append(w)
    np.testing.assert_allclose(trace, expected, atol=1e-5)
    assert np.abs(trace[-1] - trace[0]).max() > 0.1


def test_a_descent_that_diverges_says_so(xor_net):
    with pytest.raises(DataError, match="lower learning rate"):
        viz.descend_weights(xor_net, XOR, OUTPUT_WEIGHTS, steps=3, optimizer=keras.optimizers.SGD(float("nan")))


def test_training_is_recorded_for_the_surface():
    model = modelzoo.create_model("xor_mlp", lesson_weights=True)
    recorder = viz.record_weights(model, OUTPUT_WEIGHTS)
    recipe = modelzoo.get_spec("xor_mlp").recipe("lesson").replace(steps=20, log_every=5, xla="off")
    modelzoo.train(model, datasets.load("xor"), recipe, callbacks=[recorder])
    assert len(recorder.recorded) == 5  # before the first step, and at 5, 10, 15 and 20
    np.testing.assert_allclose(recorder.recorded[0], [0.1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(recorder.recorded[-1], model.get_weights()[2][:, 0])
    figure = viz.plot_error_surface(model, XOR, OUTPUT_WEIGHTS, trace=recorder)
    path = next(line for line in figure.axes[1].get_lines() if len(line.get_xdata()) == 5)
    np.testing.assert_allclose(path.get_xydata(), recorder.recorded)
    height = np.asarray(figure.axes[0].get_lines()[0].get_data_3d()[2])
    expected = [numpy_errors(model, *w).sum() for w in recorder.recorded]
    np.testing.assert_allclose(np.diff(height), np.diff(expected), atol=1e-5)


def test_surface_is_drawn_with_its_names_and_limits(xor_net):
    figure = viz.plot_error_surface(xor_net, XOR, OUTPUT_WEIGHTS, limits=((-2, 3), (-4, 5)))
    surface, contours = figure.axes[:2]
    assert surface.name == "3d"
    for ax in (surface, contours):
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("weight w1", "weight w2")
        np.testing.assert_allclose([ax.get_xlim(), ax.get_ylim()], [(-2, 3), (-4, 5)])
    filled = contours.collections[0]
    assert filled.norm.vmin <= numpy_errors(xor_net, 3, 5).sum() <= filled.norm.vmax


def test_error_curves_of_each_sample_and_their_sum(xor_net):
    ax = viz.plot_error_curves(xor_net, XOR, {"w1": "logits/kernel[0, 0]"}, limits=(-3, 3))
    *samples, total, now = ax.get_lines()
    values = np.linspace(-3, 3, 201)
    expected = np.array([numpy_errors(xor_net, w1, 0.2) for w1 in values])
    for i, line in enumerate(samples):
        np.testing.assert_allclose(line.get_xydata(), np.c_[values, expected[:, i]], atol=1e-6)
    np.testing.assert_allclose(total.get_ydata(), expected.sum(axis=1), atol=1e-6)
    assert samples[1].get_label() == "(0, 1) → 1"
    assert now.get_xdata()[0] == pytest.approx(0.1)
    assert ax.get_xlabel() == "weight w1"
