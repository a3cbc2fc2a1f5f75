"""Unit maps, feature maps, saliency and weights against NumPy, SciPy and finite differences."""

import keras
import numpy as np
import pytest
from scipy.signal import correlate

import modelzoo
from modelzoo import reference, viz

BOX = ((-3.0, 5.0), (-1.0, 2.0))


def test_curves_are_the_activations_and_their_derivatives():
    above, below = np.reshape(viz.plot_activations().axes, (2, 4))[:, 2:]  # tanh and ReLU
    z, values = above[0].get_lines()[-1].get_xydata().T
    np.testing.assert_allclose(values, np.tanh(z))
    np.testing.assert_allclose(below[0].get_lines()[-1].get_ydata(), 1 - np.tanh(z) ** 2)
    assert np.isnan(below[1].get_lines()[-1].get_ydata()).sum() == 1  # the jump of the step is left open


def test_grid_holds_the_activations_of_the_layer(tanh_mlp):
    grid = viz.unit_grid(tanh_mlp, BOX, resolution=7)
    points = np.column_stack([grid.x1.ravel(), grid.x2.ravel()])
    expected = reference.forward(points, tanh_mlp.get_weights(), ["tanh", "softmax"]).post[1]
    np.testing.assert_allclose(grid.activations.reshape(-1, 10), expected, atol=1e-5)
    assert viz.unit_grid(tanh_mlp, BOX, layer="logits", resolution=7).activations.shape == (7, 7, 4)


def test_maps_show_the_units_their_lines_and_the_points(tanh_mlp, four_class):
    figure = viz.plot_unit_maps(tanh_mlp, four_class, limits=((-20, 20), (-20, 20)), columns=4)
    maps = [ax for ax in figure.axes[:12] if ax.get_visible()]
    assert [ax.get_title() for ax in maps] == [f"unit {k}" for k in range(1, 11)]
    grid = viz.unit_grid(tanh_mlp, ((-20, 20), (-20, 20)))
    kernel, bias, *_ = tanh_mlp.get_weights()
    for k, ax in enumerate(maps):
        np.testing.assert_allclose(ax.images[0].get_array(), grid.activations[..., k])
        low, high = ax.images[0].get_clim()
        assert -low == high >= np.abs(grid.activations).max()
        ends = ax.get_lines()[-1].get_xydata()
        np.testing.assert_allclose(ends @ kernel[:, k] + bias[k], 0, atol=1e-5)
        assert sum(len(points.get_offsets()) for points in ax.collections) == len(four_class.x_test)
    assert "activation" in figure.axes[-1].get_ylabel()


def test_units_deeper_in_the_network_have_no_line(xor_net):
    corners = np.array([[0, 0], [1, 1]]), [0, 1]
    assert not viz.plot_unit_maps(xor_net, corners, layer="logits").axes[0].get_lines()
    hidden = viz.plot_unit_maps(xor_net, corners, limits=((-3, 3), (-3, 3))).axes[0]
    assert hidden.images[0].get_clim() == (0, 1)  # the range of logistic units
    assert len(hidden.get_lines()) == 2  # a line with a halo


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
    np.testing.assert_allclose(figure.axes[2].images[0].get_array(), maps["classes"][None])
    assert list(viz.feature_maps(small_cnn, image, ["conv"])) == ["conv"]


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


def test_weight_images_are_the_columns_of_the_kernel(image_mlp, autoencoder):
    kernel = image_mlp.get_layer("hidden_1").get_weights()[0]
    images = viz.first_layer_weights(image_mlp)
    np.testing.assert_array_equal(images[7].ravel(), kernel[:, 7])
    ax = viz.plot_weights(image_mlp, count=12)
    drawn = ax.images[0]
    np.testing.assert_array_equal(np.asarray(drawn.get_array())[30:58, 30:58], images[11])  # second row and column
    largest = np.abs(images[:12]).max()
    assert drawn.get_clim() == pytest.approx((-largest, largest))
    assert ax.get_title() == "hidden_1: weights of the first 12 of 100 units"
    nested = autoencoder.encoder.get_layer("encoder_1").get_weights()[0]
    np.testing.assert_array_equal(viz.first_layer_weights(autoencoder)[3].ravel(), nested[:, 3])
    flat = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2)])
    assert viz.first_layer_weights(flat, image_shape=(2, 3)).shape == (2, 2, 3)


def test_kernels_of_a_convolution(small_cnn):
    kernel = small_cnn.get_layer("conv").get_weights()[0]
    np.testing.assert_array_equal(viz.kernels(small_cnn)[2], kernel[:, :, 0, 2])
    assert viz.plot_kernels(small_cnn).get_title() == "conv: all 3 3×3 kernels"
