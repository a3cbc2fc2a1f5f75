"""The XOR net's named weights, and the distributions of the lessons' initial weights."""

import math

import numpy as np
import pytest
import scipy.special
import scipy.stats

import modelzoo
from modelzoo import datasets
from modelzoo.errors import InputError
from modelzoo.models.mlp import XOR_LESSON_WEIGHTS, xor_mlp, xor_weights


def lesson_net(x1, x2, w1, w2, w3, w4, w5, w6, b1, b2, b3):
    """The lesson's net, written out unit by unit."""
    s = scipy.special.expit
    return s(w1 * s(w3 * x1 + w4 * x2 + b2) + w2 * s(w5 * x1 + w6 * x2 + b3) + b1)


def test_the_lessons_values():
    values = (0.1, 0.2, -0.2, 0.2, -0.3, -0.25, 0.1, -0.1, 0.2)
    assert tuple(XOR_LESSON_WEIGHTS[k] for k in ("w1", "w2", "w3", "w4", "w5", "w6", "b1", "b2", "b3")) == values


@pytest.mark.parametrize("changed", [{}, *({name: 1.7} for name in XOR_LESSON_WEIGHTS)], ids=str)
def test_layout_of_the_named_weights(changed):
    """Each name alone is moved: two names swapped by mistake would be seen."""
    model = xor_mlp()
    model.set_weights(xor_weights(**changed))
    points = [(0, 0), (0, 1), (1, 0), (1, 1), (0.3, -2.0)]
    expected = [lesson_net(*p, **{**XOR_LESSON_WEIGHTS, **changed}) for p in points]
    np.testing.assert_allclose(model(np.array(points, "float32")).numpy()[:, 0], expected, atol=1e-6)


def test_lesson_weights_are_where_the_recipe_starts():
    model = modelzoo.create_model("xor_mlp", recipe="lesson", seed=4)
    np.testing.assert_equal(model.get_weights(), list(xor_weights()))


def test_unknown_weight_name():
    with pytest.raises(InputError, match="w7"):
        xor_weights(w7=1.0)


def test_error_is_half_the_sum_of_squares():
    data = datasets.load("xor")
    model = modelzoo.create_model("xor_mlp", recipe="lesson")
    expected = 0.5 * sum(
        (lesson_net(*x, **XOR_LESSON_WEIGHTS) - t) ** 2 for x, t in zip(data.x_train, data.y_train, strict=True)
    )
    assert modelzoo.evaluate(model, data)["loss"] == pytest.approx(expected, rel=1e-6)
    recipe = modelzoo.get_spec("xor_mlp").recipe("lesson").replace(steps=1, log_every=1, log_train="batches", xla="off")
    history = modelzoo.train(model, data, recipe).history
    assert history["loss"] == pytest.approx([expected], rel=1e-6)
    assert history["test_loss"][0] < expected


@pytest.mark.slow
def test_the_lesson_recipe_learns_xor():
    data = datasets.load("xor")
    model = modelzoo.create_model("xor_mlp", recipe="lesson")
    modelzoo.train(model, data)
    np.testing.assert_array_equal((model(data.x_train).numpy()[:, 0] > 0.5).astype(int), [0, 1, 1, 0])


NORMAL, CUT = scipy.stats.norm(0, 0.1), scipy.stats.truncnorm(-2, 2, scale=0.1)


@pytest.mark.parametrize(
    ("name", "options", "distribution"),
    [
        ("logistic_perceptron", {}, NORMAL),
        ("logistic_perceptron", {"use_bias": False}, NORMAL),
        ("onehot_softmax", {}, NORMAL),
        ("sigmoid_mlp", {}, NORMAL),
        ("relu_mlp", {}, NORMAL),
        ("tanh_autoencoder", {}, NORMAL),
        ("two_conv_cnn", {}, CUT),
        ("tanh_mlp", {}, "Glorot's, uniform"),
        ("dense_500_300", {}, "Glorot's, uniform"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_initial_weights_have_the_distribution_of_the_lesson(name, options, distribution):
    """Each kernel of one seed, or of twenty where it has few weights; biases are 0, of the CNN a tenth."""
    drawn = {}
    for seed in range(20 if modelzoo.get_spec(name).num_params < 100 else 1):
        for weight in modelzoo.create_model(name, seed=seed, **options).weights:
            values = weight.numpy().ravel()
            if weight.path.endswith("bias"):
                np.testing.assert_array_equal(values, np.float32(0.1 if name == "two_conv_cnn" else 0))
                continue
            scale = math.sqrt(6 / sum(weight.shape)) if isinstance(distribution, str) else 1
            drawn.setdefault(weight.path, []).append(values / scale)
    for path, values in drawn.items():
        sample = np.concatenate(values)
        expected = scipy.stats.uniform(-1, 2) if isinstance(distribution, str) else distribution
        assert scipy.stats.kstest(sample[:: -(-sample.size // 20_000)], expected.cdf).pvalue > 1e-3, path
        if distribution is NORMAL and sample.size > 10_000:
            assert np.abs(sample).max() > 0.3, f"{path} is cut off"
        elif distribution is not NORMAL:
            assert np.abs(sample).max() <= expected.support()[1] + 1e-6, path


def test_layers_draw_from_different_seeds():
    a, b = (w.ravel()[:20] for w in modelzoo.create_model("dense_500_300", seed=0).get_weights()[:4:2])
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.9
