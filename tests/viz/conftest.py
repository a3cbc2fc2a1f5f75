"""Small data and models for figures."""

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import modelzoo
from modelzoo import datasets


@pytest.fixture(scope="session")
def four_class():
    return datasets.load("four_class")


@pytest.fixture(scope="session")
def digits():
    """Two hundred real images, 10 x 10 x 2."""
    mnist = datasets.load("mnist")
    return datasets.Dataset(
        mnist.x_train[:200], mnist.y_train[:200], mnist.x_test[:200], mnist.y_test[:200], name="few digits"
    )


@pytest.fixture(scope="session")
def tanh_mlp():
    """Not trained, but with biases that are not zero."""
    model = modelzoo.create_model("tanh_mlp", seed=0)
    rng = np.random.default_rng(0)
    model.set_weights([w + rng.normal(size=w.shape) for w in model.get_weights()])
    return model


@pytest.fixture(scope="session")
def image_mlp():
    return modelzoo.create_model("relu_mlp", seed=0)


@pytest.fixture(scope="session")
def small_cnn():
    """A convolution on 6 x 6 images that ends in a dense softmax, as many people write it."""
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(3, 3, activation="relu", name="conv"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(4, activation="softmax", bias_initializer="random_normal", name="classes"),
        ]
    )


@pytest.fixture(scope="session")
def autoencoder():
    return modelzoo.create_model("tanh_autoencoder", hidden_units=(20, 10), seed=0)


@pytest.fixture(scope="session")
def xor_net():
    return modelzoo.create_model("xor_mlp", lesson_weights=True)


@pytest.fixture
def blobs(rng):
    """Points of two classes around (-2, 0) and (2, 0)."""
    y = np.arange(40) % 2
    return rng.normal(size=(40, 2)) + np.c_[4 * y - 2, 0 * y], y


@pytest.fixture(scope="session")
def linear():
    """The function from a colour to its linear RGB."""

    def convert(color):
        c = np.array(to_rgb(color))
        return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)

    return convert


@pytest.fixture(scope="session")
def contrast(linear):
    """The contrast of two colours by WCAG 2, 1 to 21."""

    def compare(one, other):
        dark, bright = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
        return (bright + 0.05) / (dark + 0.05)

    return compare
