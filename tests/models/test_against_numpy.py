"""Each network against the same mathematics in NumPy, both in float64; the convolutions against SciPy's."""

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import reference

TIGHT = {"rtol": 1e-9, "atol": 1e-11}
SCALE = float(np.float32(1 / 255))  # Keras' Rescaling rounds its factor to float32, whatever the dtype
SMALL = {"image_shape": (4, 5)}
#: The builder's name, its options, and the activation of each dense layer.
NETS = [
    ("logistic_perceptron", {}, ["logistic"]),
    ("logistic_perceptron", {"use_bias": False}, ["logistic"]),
    ("onehot_softmax", {}, ["softmax"]),
    ("onehot_softmax", {"num_classes": 5, "input_dim": 3}, ["softmax"]),
    ("xor_mlp", {}, ["logistic", "logistic"]),
    ("sigmoid_mlp", {}, ["logistic", "softmax"]),
    ("tanh_mlp", {}, ["tanh", "softmax"]),
    ("tanh_mlp", {"classifier_activation": None}, ["tanh", "identity"]),
    ("relu_mlp", {"hidden_units": 7, **SMALL}, ["relu", "softmax"]),
    ("dense_500_300", {"hidden_units": (7, 6), **SMALL}, ["relu", "relu", "softmax"]),
    ("tanh_autoencoder", {"hidden_units": (9, 7), **SMALL}, ["tanh", "tanh", "identity"] * 2),
]


@pytest.fixture(autouse=True)
def float64():
    """Build and run Keras models in float64 for the time of a test."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.parametrize(("name", "options", "activations"), NETS, ids=str)
def test_outputs_are_those_of_numpy(name, options, activations, rng):
    model = modelzoo.create_model(name, **options)
    weights = [rng.normal(0, 0.5, w.shape) for w in model.get_weights()]  # biases too: zeros would hide a lost one
    model.set_weights(weights)
    images = len(model.input_shape) > 2
    x = rng.uniform(0, 255, (23, *model.input_shape[1:])) if images else rng.normal(0, 2, (23, model.input_shape[1]))
    flat = (x * SCALE if images else x).reshape(23, -1)
    if options.get("use_bias") is False:
        flat = np.column_stack([flat, np.ones(23)])
    passed = reference.forward(flat, weights, activations)
    np.testing.assert_allclose(model(x).numpy().reshape(passed.output.shape), passed.output, **TIGHT)
    if name == "tanh_autoencoder":
        np.testing.assert_allclose(model.encoder(x).numpy(), passed.post[3], **TIGHT)
        np.testing.assert_allclose(model.decoder(passed.post[3]).numpy(), model(x).numpy(), **TIGHT)
