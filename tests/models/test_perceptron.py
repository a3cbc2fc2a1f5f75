"""The threshold perceptron: set by hand, and trained by Rosenblatt's rule."""

import numpy as np
import pytest

import modelzoo
from modelzoo import datasets
from modelzoo.models import threshold_perceptron
from modelzoo.training.data import ArrayBatches

LESSON = modelzoo.get_spec("threshold_perceptron").recipe("lesson")


def line(model):
    kernel, bias = model.get_weights()
    return kernel[:, 0].astype(float), float(bias[0])


def test_weights_set_by_hand_classify_the_toy_points():
    model = threshold_perceptron(weights=(-0.5, 1), threshold=-0.2)
    for x, y in datasets.load("toy_points", n=200, n_test=200, seed=3):
        np.testing.assert_array_equal(model(x).numpy()[:, 0], y)
        np.testing.assert_array_equal(model(x).numpy()[:, 0], (x[:, 1] > 0.5 * x[:, 0] - 0.2).astype("float32"))


def test_output_is_one_only_above_the_threshold():
    model = threshold_perceptron(1, weights=(1,), threshold=2)
    x = np.array([[1.0], [2.0], [np.nextafter(np.float32(2), np.float32(3))], [3.0]], "float32")
    assert model(x).numpy().tolist() == [[0.0], [0.0], [1.0], [1.0]]


def test_weights_may_be_an_array(tmp_path):
    model = threshold_perceptron(weights=np.array([-0.5, 1.0]), threshold=np.float32(-0.2))
    np.testing.assert_allclose(line(model)[0], [-0.5, 1])
    modelzoo.save(model, tmp_path / "1")
    np.testing.assert_allclose(line(modelzoo.load(tmp_path / "1"))[1], 0.2)


def test_trained_by_its_lesson_recipe_it_makes_no_mistake():
    data = datasets.load("toy_points")
    model = modelzoo.create_model("threshold_perceptron", seed=0)
    history = modelzoo.train(model, data, seed=0).history
    np.testing.assert_array_equal(model(data.x_train).numpy()[:, 0], data.y_train)
    assert history["loss"][-1] == 0
    assert history["accuracy"][-1] == 1
    assert min(history["loss"][:-1], default=1) > 0, "it should have stopped at the first epoch without mistakes"


def test_training_is_rosenblatts_rule_step_by_step():
    """Twenty points, forty steps of one point, in the order the trainer draws them."""
    data = datasets.load("toy_points")
    x, y = data.train
    model = modelzoo.create_model("threshold_perceptron", seed=0)
    w, b = line(model)
    order = ArrayBatches(x, y, 1, seed=7).plan(0, 40).numpy()[:, 0]
    updates = 0
    for i in order:
        wrong_by = float(y[i]) - float(x[i] @ w + b > 0)
        w, b = w + 0.1 * wrong_by * x[i], b + 0.1 * wrong_by
        updates += wrong_by != 0
    assert updates > 3
    modelzoo.train(model, data, LESSON.replace(steps=40, log_every=40, target_loss=None, xla="off"), seed=7)
    np.testing.assert_allclose(line(model)[0], w, atol=1e-6)
    assert line(model)[1] == pytest.approx(b, abs=1e-6)
