"""The latent plane, against the encoder and the decoder themselves."""

from types import SimpleNamespace

import numpy as np
import pytest

from modelzoo import viz
from modelzoo.errors import DataError, InputError


def test_manifold_cells_are_decoded_points_from_one_call(autoencoder, counted):
    canvas = viz.manifold(autoencoder, ((-2, 1), (-1, 3)), count=4)
    assert canvas.shape == (112, 112)
    for row, column in ((0, 0), (3, 1), (2, 3)):
        point = np.array([[-2 + column, 3 - row * 4 / 3]], "float32")  # the second coordinate grows upwards
        expected = autoencoder.decoder.predict(point, verbose=0)[0]
        cell = canvas[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        np.testing.assert_allclose(cell, expected, atol=1e-5)
    decoder = counted(lambda z: np.zeros((len(z), 3, 3)))
    assert viz.manifold(SimpleNamespace(decoder=decoder)).shape == (60, 60)
    assert decoder.batches == [400]


def test_manifold_is_drawn_in_latent_coordinates(autoencoder, digits):
    ax = viz.plot_manifold(autoencoder, count=5)
    np.testing.assert_allclose(ax.images[0].get_extent(), [-9.5, 5.5, -5.25, 7.25])  # half an image beyond -8…4, -4…6
    codes = autoencoder.encoder.predict(digits.x_test, verbose=0)
    ax = viz.plot_manifold(autoencoder, digits, count=3)
    (left, right), (bottom, top) = np.transpose([codes.min(axis=0), codes.max(axis=0)])
    dx, dy = (right - left) / 4, (top - bottom) / 4
    np.testing.assert_allclose(ax.images[0].get_extent(), [left - dx, right + dx, bottom - dy, top + dy], rtol=1e-4)


def test_grey_levels_beyond_one_keep_their_scale():
    bright = SimpleNamespace(decoder=lambda z: np.full((len(z), 2, 2), 3.0))  # a decoder far from its data
    assert viz.plot_manifold(bright, count=2).images[0].get_clim() == (0, 1)
    raw = SimpleNamespace(decoder=lambda z: np.full((len(z), 2, 2), 200.0))
    assert viz.plot_manifold(raw, count=2).images[0].get_clim() == (0, 255)


def test_latent_scatter_shows_every_code(autoencoder, digits):
    ax = viz.plot_latent(autoencoder, digits)
    codes = autoencoder.encoder.predict(digits.x_test, verbose=0)
    for label, points in enumerate(ax.collections):
        np.testing.assert_allclose(points.get_offsets(), codes[digits.y_test == label], atol=1e-5)
    np.testing.assert_allclose(viz.encode(autoencoder, digits.x_test), codes, atol=1e-5)


def test_decoded_points_are_numbered(autoencoder, digits):
    points = [[0, 0], [1, -1], [0.5, 2]]
    figure = viz.plot_decodings(autoencoder, digits, points)
    scatter, *cells = figure.axes
    expected = autoencoder.decoder.predict(np.array(points, "float32"), verbose=0)
    for i, cell in enumerate(cells):
        np.testing.assert_allclose(cell.images[0].get_array(), expected[i], atol=1e-5)
        assert cell.get_title() == str(i + 1)
    marks = {text.get_text(): text.get_position() for text in scatter.texts}
    assert marks == {"1": (0, 0), "2": (1, -1), "3": (0.5, 2)}


def test_reconstructions_and_their_errors(autoencoder, digits):
    figure = viz.plot_reconstructions(autoencoder, digits, count=4)
    outputs = autoencoder.predict(digits.x_test[:4], verbose=0)
    for i in range(4):
        above, below = figure.axes[i], figure.axes[4 + i]
        np.testing.assert_allclose(above.images[0].get_array(), digits.x_test[i] / 255)
        np.testing.assert_allclose(below.images[0].get_array(), outputs[i], atol=1e-5)
        assert float(below.get_xlabel()) == pytest.approx(np.mean((digits.x_test[i] / 255 - outputs[i]) ** 2), abs=6e-4)
    assert viz.plot_reconstructions(lambda x: x, digits, count=2).axes[3].get_xlabel() == "0.000"


def test_interpolation_is_linear_between_the_codes(autoencoder, digits):
    first, second = digits.x_test[:2]
    images = viz.interpolate(autoencoder, first, second, steps=5)
    codes = autoencoder.encoder.predict(digits.x_test[:2], verbose=0)
    for i, alpha in enumerate((0, 0.25, 0.5, 0.75, 1)):
        code = (1 - alpha) * codes[:1] + alpha * codes[1:]
        np.testing.assert_allclose(images[i], autoencoder.decoder.predict(code, verbose=0)[0], atol=1e-5)
    figure = viz.plot_interpolation(autoencoder, first, second, steps=5)
    assert [ax.get_title() for ax in figure.axes] == ["$x$", "0", "0.25", "0.5", "0.75", "1", "$x'$"]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), first / 255)
    np.testing.assert_allclose(figure.axes[3].images[0].get_array(), images[2], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda a, m, d: viz.plot_latent(m, d), InputError, "'relu_mlp' has no encoder"),
        (lambda a, m, d: viz.plot_manifold(m), InputError, "no decoder"),
        (lambda a, m, d: viz.plot_manifold(a, limits=(0, 1)), InputError, "limits"),
        (lambda a, m, d: viz.plot_manifold(a, count=1), InputError, "count"),
        (lambda a, m, d: viz.plot_latent(a, d.x_test), DataError, "needs labels"),
        (lambda a, m, d: viz.plot_decodings(a, d, [1, 2]), DataError, r"\(n, 2\)"),
        (lambda a, m, d: viz.plot_reconstructions(m, d), DataError, "autoencoder"),
        (lambda a, m, d: viz.interpolate(a, d.x_test[0], d.x_test[0, :5]), DataError, r"\(5, 28\)"),
        (lambda a, m, d: viz.decode(a, np.zeros((3, 5))), DataError, r"decoder.*\(2,\)"),
    ],
)
def test_wrong_requests_are_named(autoencoder, image_mlp, digits, call, error, words):
    with pytest.raises(error, match=words):
        call(autoencoder, image_mlp, digits)
