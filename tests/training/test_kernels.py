"""The faster kernels of a training step: the losses and gradients that TensorFlow computes without them."""

import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo._keras import graph_function
from modelzoo.training import kernels
from modelzoo.training.objective import Objective

NETWORKS = {
    "logistic_perceptron": {},
    "onehot_softmax": {},
    "xor_mlp": {},
    "sigmoid_mlp": {},
    "tanh_mlp": {},
    "tanh_mlp of logits": {"classifier_activation": None},
    "two_conv_cnn": {"filters": [4, 8], "hidden_units": 3000, "dropout": 0.0},  # 392 by 3000 is a large kernel
}


@pytest.mark.parametrize(
    ("network", "jit"),
    [
        pytest.param(name, jit, marks=pytest.mark.slow if name == "two_conv_cnn" or jit else (), id=f"{name}, {jit}")
        for name in NETWORKS
        for jit in (False, True)
    ],
)
def test_training_computes_what_inference_does(network, jit):
    name = network.split()[0]
    model = modelzoo.create_model(name, seed=1, **NETWORKS[network])
    objective = Objective(model, modelzoo.get_spec(name).recipe("lesson"))
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (20, *model.input_shape[1:])) if name == "two_conv_cnn" else rng.normal(0, 2, (20, 2))
    x, y = tf.constant(x, tf.float32), tf.constant(rng.integers(0, max(2, objective.num_outputs), 20))

    def both(x, y, *, training):
        with tf.GradientTape() as tape:
            scores = objective.forward(x, y, training=training)
            loss = tf.reduce_mean(scores["loss"])
        return scores, tape.gradient(loss, model.trainable_weights)

    ours, gradients = graph_function(lambda x, y: both(x, y, training=True), jit=jit)(x, y)
    plain, expected = graph_function(lambda x, y: both(x, y, training=False), jit=jit)(x, y)
    for key in plain:
        np.testing.assert_allclose(ours[key], plain[key], rtol=2e-5, atol=1e-6)
    for weight, a, b in zip(model.trainable_weights, gradients, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6, err_msg=weight.path)


@pytest.mark.parametrize(
    ("name", "hidden_units", "expected"),
    [("tanh_mlp", 10, ["_narrow", "_narrow"]), ("tanh_mlp", 17, []), ("relu_mlp", 1400, ["_large"])],
)
def test_keras_calls_them_in_training_alone(name, hidden_units, expected, monkeypatch):
    """They are swapped in for a layer's ``call``: a Keras that does not look there any more would just be slow."""
    called = []

    def noted(kernel, compute):
        return lambda *arguments: called.append(kernel) or compute(*arguments)

    for kernel in ("_narrow", "_large"):
        monkeypatch.setattr(kernels, kernel, noted(kernel, getattr(kernels, kernel)))
    model = modelzoo.create_model(name, hidden_units=hidden_units, seed=0)
    assert kernels.is_narrow(model) == (expected == ["_narrow", "_narrow"])
    objective = Objective(model, modelzoo.get_spec(name).recipe("lesson"))
    x, y = tf.ones((3, *model.input_shape[1:])), tf.constant([0, 1, 1])
    objective.forward(x, y, training=True)
    assert called == expected
    objective.forward(x, y, training=False)
    model(x, training=True)
    assert called == expected


@pytest.mark.parametrize("one_hot", [False, True])
def test_narrow_crossentropy_is_tensorflows(one_hot):
    logits = np.array([[1e4, -1e4, 0], [0, 0, 0], [-90, 90, 89], [1e30, 1, -1e30]], np.float32)
    labels = np.array([1, 0, 2, 0])
    target = tf.one_hot(labels, 3) if one_hot else tf.constant(labels, tf.int32)

    def gradient(function):
        with tf.GradientTape() as tape:
            tape.watch(variable := tf.constant(logits))
            losses = function(variable)
        return losses, tape.gradient(losses, variable)

    ours = gradient(lambda x: kernels.narrow_crossentropy(target, x))
    expected = gradient(lambda x: tf.nn.sparse_softmax_cross_entropy_with_logits(labels, x))
    for a, b in zip(ours, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
