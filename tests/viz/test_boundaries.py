"""Boundaries: grids, maps and lines against the models themselves."""

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import modelzoo
from modelzoo import datasets, viz
from modelzoo.viz import style

BOX = ((-3.0, 5.0), (-1.0, 2.0))


def test_grid_holds_the_models_probabilities(tanh_mlp):
    grid = viz.probability_grid(tanh_mlp, BOX, resolution=30)
    assert grid.probabilities.shape == (30, 30, 4)
    points = np.stack([grid.x1, grid.x2], axis=-1).reshape(-1, 2)
    expected = tanh_mlp.predict(points, verbose=0)
    np.testing.assert_allclose(grid.probabilities.reshape(-1, 4), expected, atol=1e-5)
    assert (grid.x1[5, 0], grid.x1[5, -1], grid.x2[0, 5], grid.x2[-1, 5]) == (-3, 5, -1, 2)
    for function in (lambda x: np.full(len(x), 0.25), lambda x: np.full((len(x), 1), 0.25)):
        np.testing.assert_array_equal(viz.probability_grid(function, BOX).probabilities[0, 0], [0.75, 0.25])


def test_logits_and_decisions_are_classes_too(four_class, tanh_mlp):
    logits = modelzoo.create_model("tanh_mlp", classifier_activation=None, seed=0)
    logits.set_weights(tanh_mlp.get_weights())
    grids = [viz.probability_grid(model, BOX, resolution=9).probabilities for model in (logits, tanh_mlp)]
    np.testing.assert_allclose(*grids, atol=1e-5)
    threshold = modelzoo.create_model("threshold_perceptron", seed=0)
    assert set(viz.probability_grid(threshold, BOX, resolution=9).probabilities.ravel()) == {0.0, 1.0}


def test_maps_show_each_class_and_its_points(tanh_mlp, four_class):
    figure = viz.plot_probability_maps(tanh_mlp, four_class, limits=BOX, resolution=20)
    grid = viz.probability_grid(tanh_mlp, BOX, resolution=20)
    for k, ax in enumerate(figure.axes[:4]):
        image = ax.images[0]
        np.testing.assert_allclose(image.get_array(), grid.probabilities[..., k], atol=1e-6)
        assert (image.get_clim(), image.origin) == ((0, 1), "lower")
        dx, dy = 8 / 19 / 2, 3 / 19 / 2  # the outer pixels are centred on the limits
        np.testing.assert_allclose(image.get_extent(), [-3 - dx, 5 + dx, -1 - dy, 2 + dy])
        shown = np.concatenate([np.asarray(points.get_offsets()) for points in ax.collections])
        np.testing.assert_allclose(shown, four_class.x_test[four_class.y_test == k])
    assert "probability" in figure.axes[4].get_ylabel()  # one colour bar


def test_regions_have_the_colours_of_their_classes(blobs):
    ax = viz.plot_regions(lambda x: (x[:, 0] > 0) * 1.0, blobs, limits=((-4, 4), (-4, 4)), resolution=100)
    figure = ax.figure
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255
    for point, color in (((-3.7, -3.7), style.BLUE), ((3.7, -3.7), style.VERMILLION)):
        x, y = ax.transData.transform(point).astype(int)
        np.testing.assert_allclose(pixels[y, x], 0.28 * np.array(to_rgb(color)) + 0.72, atol=0.02)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["0", "1"]
    assert ax.get_xlim() == ax.get_ylim() == (-4, 4)


@pytest.mark.parametrize(
    ("name", "options"),
    [("logistic_perceptron", {}), ("logistic_perceptron", {"use_bias": False}), ("onehot_softmax", {})],
)
def test_decision_line_is_where_the_model_is_undecided(name, options):
    model = modelzoo.create_model(name, seed=1, **options)
    model.set_weights([np.asarray(w) + 0.3 * np.arange(1, w.size + 1).reshape(w.shape) for w in model.get_weights()])
    lines = viz.decision_lines(model)
    assert (lines.weights.shape, lines.bias.shape) == ((1, 2), (1,))
    ax = viz.plot_decision_line(model, datasets.load("linear"), limits=((-9, 9), (-9, 9)))
    ends = ax.get_lines()[0].get_xydata()
    np.testing.assert_allclose(ends @ lines.weights[0] + lines.bias[0], 0, atol=1e-5)
    np.testing.assert_allclose(model.predict(ends, verbose=0)[:, -1], 0.5, atol=1e-5)
    tip = ax.texts[0].xy  # of the arrow
    assert model.predict(np.array([tip]), verbose=0)[0, -1] > 0.5


def test_hidden_lines_are_where_their_units_are_zero(tanh_mlp, four_class):
    lines = viz.unit_lines(tanh_mlp)
    np.testing.assert_allclose([*lines.weights.T, lines.bias], np.vstack(tanh_mlp.get_layer("hidden").get_weights()))
    hidden = keras.Model(tanh_mlp.input, tanh_mlp.get_layer("hidden").output)
    ax = viz.plot_hidden_units(tanh_mlp, four_class, limits=((-20, 20), (-20, 20)))
    arrows = [text for text in ax.texts if not text.get_text()]
    ends = np.stack([line.get_xydata() for line in ax.get_lines()])
    on_lines = hidden.predict(ends.reshape(-1, 2), verbose=0).reshape(10, 2, 10)
    np.testing.assert_allclose(np.einsum("iji->ij", on_lines), 0, atol=1e-5)
    assert (np.diag(hidden.predict(np.array([arrow.xy for arrow in arrows]), verbose=0)) > 0).all()
    assert [text.get_text() for text in ax.texts if text.get_text()] == [str(i) for i in range(1, 11)]


def test_lines_from_arrays_and_lines_out_of_view(blobs):
    ax = viz.plot_hidden_units(([[1, 1], [0, 0]], [0, -50]), blobs)
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), 0)
    assert len(ax.get_lines()) == 1
    assert ax.get_title() == "outside this view: 2"
    ax = viz.plot_decision_line(([0.5, -1], 0.25), blobs, class_names=["left", "right"])
    x, y = ax.get_lines()[0].get_xydata().T
    np.testing.assert_allclose(y, 0.5 * x + 0.25)
