"""The convolutional network against convolutions written out in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import scipy.stats

import modelzoo
from modelzoo import datasets
from modelzoo.models import two_conv_cnn

SMALL = {"filters": (3, 4), "hidden_units": 6, "image_shape": (9, 11), "num_classes": 3}


def numpy_cnn(images, weights):
    """conv SAME → ReLU → 2×2 max-pool, twice, then two dense layers; correlation by SciPy, one channel at a time."""

    def convolve(x, kernel, bias):
        out = np.zeros((*x.shape[:3], kernel.shape[3]))
        for n in range(x.shape[0]):
            for o in range(kernel.shape[3]):
                for c in range(x.shape[3]):
                    out[n, :, :, o] += scipy.signal.correlate2d(x[n, :, :, c], kernel[:, :, c, o], mode="same")
        return np.maximum(out + bias, 0)

    def pool(x):
        n, h, w, c = x.shape
        return x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    k1, b1, k2, b2, k3, b3, k4, b4 = weights
    x = pool(convolve(images[..., None] / 255.0, k1, b1))
    x = pool(convolve(x, k2, b2))
    x = np.maximum(x.reshape(len(x), -1) @ k3 + b3, 0)
    z = x @ k4 + b4
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_forward_equals_numpy(rng):
    model = two_conv_cnn(seed=0, **SMALL)
    images = rng.uniform(0, 255, (4, 9, 11)).astype("float32")
    np.testing.assert_allclose(model(images).numpy(), numpy_cnn(images, model.get_weights()), atol=1e-5)


def test_number_of_parameters_is_the_arithmetic_of_the_layers():
    expected = (5 * 5 * 1 * 32 + 32) + (5 * 5 * 32 * 64 + 64) + (7 * 7 * 64 * 1024 + 1024) + (1024 * 10 + 10)
    assert expected == modelzoo.get_spec("two_conv_cnn").num_params
    assert two_conv_cnn().count_params() == expected
    small = (3 * 3 * 1 * 3 + 3) + (3 * 3 * 3 * 4 + 4) + (2 * 2 * 4 * 6 + 6) + (6 * 3 + 3)
    assert two_conv_cnn(kernel_size=3, **SMALL).count_params() == small


def test_padding_is_same():
    model = two_conv_cnn()
    shapes = {layer.name: layer.output.shape[1:] for layer in model.layers}
    assert shapes["conv_1"] == (28, 28, 32)
    assert shapes["pool_1"] == (14, 14, 32)
    assert shapes["conv_2"] == (14, 14, 64)
    assert shapes["pool_2"] == (7, 7, 64)


def test_dropout_only_in_training_and_half_of_the_units(rng):
    model = two_conv_cnn(seed=0, filters=(2, 2), hidden_units=2000)
    images = rng.uniform(0, 255, (2, 28, 28)).astype("float32")
    np.testing.assert_array_equal(model(images).numpy(), model(images, training=False).numpy())
    first, second = model(images, training=True).numpy(), model(images, training=True).numpy()
    assert not np.array_equal(first, second)
    ones = np.ones((1, 2000), "float32")
    dropped = model.get_layer("dropout")(ones, training=True).numpy()
    assert set(np.unique(dropped)) == {0.0, 2.0}
    assert 850 < (dropped == 0).sum() < 1150
    still = two_conv_cnn(seed=0, dropout=0.0, **SMALL)
    x = images[:, :9, :11]
    np.testing.assert_array_equal(still(x, training=True).numpy(), still(x).numpy())


def test_initial_weights_are_normal_cut_at_two_deviations_and_biases_a_tenth():
    model = two_conv_cnn(seed=0)
    for weight in model.weights:
        value = weight.numpy().ravel()
        if weight.path.endswith("bias"):
            np.testing.assert_array_equal(value, np.float32(0.1))
            continue
        assert np.abs(value).max() <= 0.2 + 1e-6
        sample = value[:: max(1, value.size // 20_000)]
        assert scipy.stats.kstest(sample, scipy.stats.truncnorm(-2, 2, scale=0.1).cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [(28, 28), (32, 20)])
def test_other_image_sizes(shape):
    model = two_conv_cnn(filters=(2, 2), hidden_units=3, image_shape=shape)
    assert model(np.zeros((1, *shape), "uint8")).shape == (1, 10)


@pytest.mark.slow
def test_learns_from_few_real_digits():
    data = datasets.load("mnist").take(per_class=20)
    model = two_conv_cnn(filters=(4, 8), hidden_units=32, seed=0)
    recipe = modelzoo.Recipe(steps=120, batch_size=50, learning_rate=1e-3, log_every=120, log_train="all", xla="update")
    history = modelzoo.train(model, data.train, recipe).history
    assert history["accuracy"][-1] > 0.6  # chance is 0.1
