"""Weights, feature maps and saliency against NumPy, SciPy and finite differences."""

import keras
import numpy as np
import pytest
from scipy.signal import correlate

import modelzoo
from modelzoo import viz
from modelzoo.errors import DataError, InputError
from modelzoo.viz import style


def test_weight_images_are_the_columns_of_the_kernel(image_mlp):
    kernel = image_mlp.get_layer("hidden_1").get_weights()[0]
    images = viz.first_layer_weights(image_mlp)
    np.testing.assert_array_equal(images[7].ravel(), kernel[:, 7])
    ax = viz.plot_weights(image_mlp, count=12, columns=5)
    drawn = ax.images[0]
    np.testing.assert_array_equal(np.asarray(drawn.get_array())[30:58, 60:88], images[7])  # second row, third column
    largest = np.abs(images[:12]).max()
    assert drawn.get_clim() == pytest.approx((-largest, largest))
    assert ax.get_title() == "hidden_1: weights of the first 12 of 100 units"


def test_weights_of_a_nested_encoder(autoencoder):
    kernel = autoencoder.encoder.get_layer("encoder_1").get_weights()[0]
    np.testing.assert_array_equal(viz.first_layer_weights(autoencoder)[3].ravel(), kernel[:, 3])


def test_kernels_of_a_convolution(small_cnn):
    kernel = small_cnn.get_layer("conv").get_weights()[0]
    np.testing.assert_array_equal(viz.kernels(small_cnn)[2], kernel[:, :, 0, 2])
    assert viz.plot_kernels(small_cnn).get_title() == "conv: all 3 3×3 kernels"


def test_feature_maps_are_the_convolution(small_cnn, rng):
    image = rng.uniform(size=(6, 6, 1)).astype("float32")
    maps = viz.feature_maps(small_cnn, image)
    assert list(maps) == ["conv", "classes"]
    kernel, bias = small_cnn.get_layer("conv").get_weights()
    for k in range(3):
        expected = np.maximum(correlate(image[..., 0], kernel[:, :, 0, k], mode="valid") + bias[k], 0)
        np.testing.assert_allclose(maps["conv"][k], expected, atol=1e-5)
    np.testing.assert_allclose(maps["classes"], small_cnn.predict(image[None], verbose=0)[0], atol=1e-6)
    figure = viz.plot_feature_maps(small_cnn, image)
    np.testing.assert_allclose(np.asarray(figure.axes[1].images[0].get_array())[:4, 5:9], maps["conv"][1])
    assert figure.axes[1].get_title().startswith("conv: all 3 maps of 4×4")
    assert list(viz.feature_maps(small_cnn, image, "conv")) == ["conv"]


def test_saliency_is_the_gradient_of_the_logit(small_cnn, image_mlp, digits, rng):
    image = rng.uniform(size=(6, 6, 1)).astype("float32")
    assert viz.saliency(small_cnn, image)[1] == small_cnn.predict(image[None], verbose=0)[0].argmax()

    def log_odds(pixels):  # differences of logits are differences of log-probabilities
        p = np.log(small_cnn.predict(pixels[None], verbose=0)[0].astype(float))
        return p[2] - p[0]

    step = np.zeros_like(image)
    step[2, 3] = 1e-2
    slope = (log_odds(image + step) - log_odds(image - step)) / 2e-2
    both = [viz.saliency(small_cnn, image, k)[0][2, 3, 0] for k in (2, 0)]
    assert both[0] - both[1] == pytest.approx(slope, rel=1e-2, abs=1e-3)

    logits = modelzoo.create_model("relu_mlp", classifier_activation=None, seed=0)  # the same weights
    ours = viz.saliency(image_mlp, digits.x_test[0], 4)[0]
    np.testing.assert_allclose(ours, viz.saliency(logits, digits.x_test[0], 4)[0], rtol=1e-4, atol=1e-8)
    drawn = viz.plot_saliency(image_mlp, digits.x_test[0], 4, class_names=list("abcdefghij")).axes[1]
    np.testing.assert_allclose(drawn.images[0].get_array(), np.abs(ours))
    assert drawn.get_title() == "saliency of class e"


def test_saliency_of_one_output_turns_with_the_class():
    x = keras.Input((3, 3))
    model = keras.Model(x, keras.layers.Dense(1, activation="sigmoid")(keras.layers.Flatten()(x)))
    weights = model.get_weights()[0].reshape(3, 3)
    for label, sign in ((None, 1), (1, 1), (0, -1)):
        np.testing.assert_allclose(viz.saliency(model, np.ones((3, 3)), label)[0], sign * weights, rtol=1e-6)


def test_signed_scale_has_the_ground_at_zero():
    np.testing.assert_allclose(style.signed_cmap()(0.5)[:3], (1, 1, 1), atol=0.02)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m, c: viz.plot_weights(c), InputError, r"not the pixels of an image \(6, 6\)"),
        (lambda m, c: viz.plot_weights(m, layer="hiden_1"), InputError, "Did you mean 'hidden_1'"),
        (lambda m, c: viz.plot_kernels(m), InputError, "no Conv2D layer"),
        (lambda m, c: viz.plot_kernels(c, channel=1), InputError, "1 input channels"),
        (lambda m, c: viz.plot_weights("net"), InputError, "received str"),
        (lambda m, c: viz.plot_feature_maps(m, np.zeros((5, 5))), DataError, r"\(28, 28\).*\(5, 5\)"),
        (lambda m, c: viz.feature_maps(m, np.zeros((28, 28)), ["hidden"]), InputError, "Unknown layer 'hidden'"),
        (lambda m, c: viz.saliency(m, np.zeros((28, 28)), 10), InputError, "10 classes"),
        (lambda m, c: viz.plot_weights(keras.Sequential([keras.layers.Dense(2)])), InputError, "Build it first"),
    ],
)
def test_wrong_requests_are_named(image_mlp, small_cnn, call, error, words):
    with pytest.raises(error, match=words):
        call(image_mlp, small_cnn)
