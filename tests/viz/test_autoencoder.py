"""Reconstructions and the latent plane, against the encoder and the decoder themselves."""

import keras
import numpy as np
import pytest

from modelzoo import viz


def test_manifold_cells_are_decoded_points(autoencoder):
    canvas = viz.manifold(autoencoder, ((-2, 1), (-1, 3)), count=4)
    assert canvas.shape == (112, 112)
    for row, column in ((0, 0), (3, 1), (2, 3)):
        point = np.array([[-2 + column, 3 - row * 4 / 3]], "float32")  # the second coordinate grows upwards
        expected = autoencoder.decoder.predict(point, verbose=0)[0]
        cell = canvas[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        np.testing.assert_allclose(cell, expected, atol=1e-5)


def test_manifold_is_drawn_in_latent_coordinates(autoencoder, digits):
    ax = viz.plot_manifold(autoencoder, count=5)
    np.testing.assert_allclose(ax.images[0].get_extent(), [-9.5, 5.5, -5.25, 7.25])  # half an image beyond -8…4, -4…6
    codes = autoencoder.encoder.predict(digits.x_test, verbose=0)
    ax = viz.plot_manifold(autoencoder, digits, count=3)
    (left, right), (bottom, top) = np.transpose([codes.min(axis=0), codes.max(axis=0)])
    dx, dy = (right - left) / 4, (top - bottom) / 4
    np.testing.assert_allclose(ax.images[0].get_extent(), [left - dx, right + dx, bottom - dy, top + dy], rtol=1e-4)


def test_latent_scatter_shows_every_code(autoencoder, digits):
    ax = viz.plot_latent(autoencoder, digits)
    codes = autoencoder.encoder.predict(digits.x_test, verbose=0)
    for label, points in enumerate(ax.collections):
        np.testing.assert_allclose(points.get_offsets(), codes[digits.y_test == label], atol=1e-5)
    np.testing.assert_allclose(viz.encode(autoencoder, digits.x_test), codes, atol=1e-5)


def test_decoded_points_are_numbered(autoencoder, digits):
    points = [[0, 0], [1, -1], [0.5, 2]]
    scatter, *cells = viz.plot_decodings(autoencoder, digits, points).axes
    expected = autoencoder.decoder.predict(np.array(points, "float32"), verbose=0)
    for i, cell in enumerate(cells):
        np.testing.assert_allclose(cell.images[0].get_array(), expected[i], atol=1e-5)
        assert cell.get_title() == str(i + 1)
    marks = {text.get_text(): tuple(text.xy) for text in scatter.texts}
    assert marks == {"1": (0, 0), "2": (1, -1), "3": (0.5, 2)}


def test_reconstructions_and_their_errors(autoencoder, digits):
    axes = viz.plot_reconstructions(autoencoder, digits, count=4).axes
    outputs = autoencoder.predict(digits.x_test[:4], verbose=0)
    for i in range(4):
        np.testing.assert_allclose(axes[i].images[0].get_array(), digits.x_test[i] / 255)
        np.testing.assert_allclose(axes[4 + i].images[0].get_array(), outputs[i], atol=1e-5)
        error = np.mean((digits.x_test[i] / 255 - outputs[i]) ** 2)
        assert float(axes[4 + i].get_xlabel()) == pytest.approx(error, abs=6e-4)


def test_interpolation_is_linear_between_the_codes(autoencoder, digits):
    first, second = digits.x_test[:2]
    images = viz.interpolate(autoencoder, first, second, steps=5)
    codes = autoencoder.encoder.predict(digits.x_test[:2], verbose=0)
    alpha = np.linspace(0, 1, 5)[:, None]
    expected = autoencoder.decoder.predict((1 - alpha) * codes[0] + alpha * codes[1], verbose=0)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    figure = viz.plot_interpolation(autoencoder, first, second, steps=5)
    assert [ax.get_title() for ax in figure.axes] == ["$x$", "0", "0.25", "0.5", "0.75", "1", "$x'$"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), first / 255)
    np.testing.assert_allclose(figure.axes[3].images[0].get_array(), images[2], atol=1e-6)


def test_an_autoencoder_of_ones_own_names_its_two_parts():
    encoder = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.Dense(1)], name="encoder")
    decoder = keras.Sequential([keras.Input((1,)), keras.layers.Dense(4), keras.layers.Reshape((2, 2))], name="decoder")
    model = keras.Sequential([keras.Input((2, 2)), encoder, decoder])
    images = np.ones((3, 2, 2), "float32")
    np.testing.assert_allclose(viz.decode(model, viz.encode(model, images)), model(images), atol=1e-6)
