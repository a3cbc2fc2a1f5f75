"""Each network against the same mathematics in NumPy, both in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import datasets, reference
from modelzoo.models import (
    dense_500_300,
    logistic_perceptron,
    onehot_softmax,
    relu_mlp,
    sigmoid_mlp,
    tanh_autoencoder,
    tanh_mlp,
    xor_mlp,
)

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
SCALE = float(np.float32(1 / 255))  # Keras' Rescaling rounds its factor to float32, whatever the dtype


@pytest.fixture(autouse=True)
def float64():
    """Build and run Keras models in float64 for the time of a test."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


def randomise(model, rng, scale=0.5):
    """Give every weight, biases too, a random value: zeros would hide a lost bias."""
    model.set_weights([rng.normal(0, scale, w.shape) for w in model.get_weights()])
    return model.get_weights()


def gradients_of(model, x, loss):
    with tf.GradientTape() as tape:
        value = loss(model(x, training=True))
    return float(value), [g.numpy() for g in tape.gradient(value, model.trainable_weights)]


def assert_same_gradients(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, **TIGHT)


POINT_NETS = {
    "sigmoid_mlp": (sigmoid_mlp, ["logistic", "identity"], 2),
    "tanh_mlp": (tanh_mlp, ["tanh", "identity"], 4),
    "onehot_softmax": (onehot_softmax, ["identity"], 2),
    "onehot_softmax, 3 coordinates, 5 classes": (
        lambda **o: onehot_softmax(5, input_dim=3, **o),
        ["identity"],
        5,
    ),
    "relu_mlp, small": (lambda **o: relu_mlp(3, hidden_units=7, image_shape=(4, 5), **o), ["relu", "identity"], 3),
    "dense_500_300, small": (
        lambda **o: dense_500_300(3, hidden_units=(7, 6), image_shape=(4, 5), **o),
        ["relu", "relu", "identity"],
        3,
    ),
}


@pytest.mark.parametrize("case", POINT_NETS)
def test_softmax_classifier_forward_and_gradients(case, rng):
    builder, activations, classes = POINT_NETS[case]
    model = builder(classifier_activation=None)
    weights = randomise(model, rng)
    shape = model.input_shape[1:]
    x = rng.uniform(0, 255, (23, *shape)) if len(shape) > 1 else rng.normal(0, 2, (23, *shape))
    flat = (x * SCALE if len(shape) > 1 else x).reshape(23, -1)
    labels = rng.integers(0, classes, 23)

    passed = reference.forward(flat, weights, activations)
    np.testing.assert_allclose(model(x).numpy(), passed.output, **TIGHT)
    probabilities = builder(classifier_activation="softmax")
    probabilities.set_weights(weights)
    np.testing.assert_allclose(probabilities(x).numpy(), reference.softmax(passed.output), **TIGHT)

    def cross_entropy(z):
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, z))

    value, found = gradients_of(model, x, cross_entropy)
    assert value == pytest.approx(reference.softmax_cross_entropy(passed.output, labels), rel=1e-9)
    slope = reference.softmax_cross_entropy_gradient(passed.output, labels)
    assert_same_gradients(found, reference.backward(passed, weights, activations, slope, from_logits=True))


@pytest.mark.parametrize("use_bias", [True, False])
def test_logistic_perceptron_forward_and_gradients(use_bias, rng):
    model = logistic_perceptron(use_bias=use_bias, classifier_activation=None)
    weights = randomise(model, rng)
    x, labels = rng.normal(0, 2, (31, 2)), rng.integers(0, 2, (31, 1)).astype(float)
    inputs = x if use_bias else np.column_stack([x, np.ones(31)])
    passed = reference.forward(inputs, weights, ["identity"])
    np.testing.assert_allclose(model(x).numpy(), passed.output, **TIGHT)
    closed = logistic_perceptron(use_bias=use_bias)
    closed.set_weights(weights)
    np.testing.assert_allclose(closed(x).numpy(), reference.logistic(passed.output), **TIGHT)
    value, found = gradients_of(
        model, x, lambda z: tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(tf.constant(labels), z))
    )
    assert value == pytest.approx(reference.sigmoid_cross_entropy(passed.output, labels), rel=1e-9)
    slope = reference.sigmoid_cross_entropy_gradient(passed.output, labels)
    assert_same_gradients(found, reference.backward(passed, weights, ["identity"], slope, from_logits=True))


def test_absorbed_bias_equals_an_explicit_bias_with_the_same_numbers(rng):
    explicit, absorbed = logistic_perceptron(), logistic_perceptron(use_bias=False)
    kernel, bias = rng.normal(size=(2, 1)), rng.normal(size=1)
    explicit.set_weights([kernel, bias])
    absorbed.set_weights([np.vstack([kernel, bias])])
    x = rng.normal(0, 3, (40, 2))
    np.testing.assert_allclose(absorbed(x).numpy(), explicit(x).numpy(), **TIGHT)
    assert explicit.count_params() == absorbed.count_params() == 3


def test_xor_mlp_forward_and_gradients_of_the_sum_of_squares(rng):
    model = xor_mlp()
    weights = randomise(model, rng, 1.0)
    (x, labels), _ = datasets.load("xor")
    t = labels[:, None].astype(float)
    passed = reference.forward(x, weights, ["logistic", "logistic"])
    np.testing.assert_allclose(model(x.astype(float)).numpy(), passed.output, **TIGHT)
    value, found = gradients_of(model, x.astype(float), lambda y: tf.reduce_sum((y - t) ** 2) / 2)
    assert value == pytest.approx(reference.sum_of_squares(passed.output, t))
    slope = reference.sum_of_squares_gradient(passed.output, t)
    assert_same_gradients(found, reference.backward(passed, weights, ["logistic"] * 2, slope))


AUTOENCODER = ["tanh", "tanh", "identity", "tanh", "tanh", "identity"]


def test_tanh_autoencoder_forward_gradients_and_parts(rng):
    model = tanh_autoencoder(2, hidden_units=(9, 7), image_shape=(5, 4))
    weights = randomise(model, rng, 0.4)
    images = rng.uniform(0, 255, (17, 5, 4))
    flat = images.reshape(17, 20) * SCALE
    passed = reference.forward(flat, weights, AUTOENCODER)
    np.testing.assert_allclose(model(images).numpy().reshape(17, 20), passed.output, **TIGHT)
    np.testing.assert_allclose(model.encoder(images).numpy(), passed.post[3], **TIGHT)
    np.testing.assert_allclose(model.decoder(passed.post[3]).numpy().reshape(17, 20), passed.output, **TIGHT)
    value, found = gradients_of(model, images, lambda y: tf.reduce_mean((y - images * SCALE) ** 2))
    assert value == pytest.approx(reference.mean_squared_error(passed.output, flat))
    slope = reference.mean_squared_error_gradient(passed.output, flat)
    assert_same_gradients(found, reference.backward(passed, weights, AUTOENCODER, slope))


def test_full_size_widths_are_those_of_the_lessons():
    def kernels(name):
        return [tuple(w.shape) for w in modelzoo.create_model(name).trainable_weights if len(w.shape) == 2]

    assert kernels("tanh_autoencoder") == [(784, 500), (500, 300), (300, 2), (2, 300), (300, 500), (500, 784)]
    assert kernels("dense_500_300") == [(784, 500), (500, 300), (300, 10)]
    assert kernels("relu_mlp") == [(784, 100), (100, 10)]
    assert kernels("sigmoid_mlp") == [(2, 4), (4, 2)]
    assert kernels("tanh_mlp") == [(2, 10), (10, 4)]
