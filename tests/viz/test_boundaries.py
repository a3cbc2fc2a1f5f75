"""Boundaries: grids, maps and lines against the models themselves."""

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgb

import modelzoo
from modelzoo import datasets, viz
from modelzoo.errors import DataError, InputError
from modelzoo.viz import style
from modelzoo.viz.lines import segment_in_box

BOX = ((-3.0, 5.0), (-1.0, 2.0))


# --- grids


def test_grid_holds_the_models_probabilities_from_one_call(tanh_mlp, counted):
    grid = viz.probability_grid(tanh_mlp, BOX, resolution=30)
    assert grid.probabilities.shape == (30, 30, 4)
    for i, j in ((0, 0), (3, 27), (29, 29)):
        point = np.array([[grid.x1[i, j], grid.x2[i, j]]], "float32")
        np.testing.assert_allclose(grid.probabilities[i, j], tanh_mlp.predict(point, verbose=0)[0], atol=1e-5)
    assert (grid.x1[5, 0], grid.x1[5, -1], grid.x2[0, 5], grid.x2[-1, 5]) == (-3, 5, -1, 2)
    model = counted(lambda x: np.full((len(x), 1), 0.25))
    np.testing.assert_array_equal(viz.probability_grid(model, BOX, resolution=400).probabilities[0, 0], [0.75, 0.25])
    assert model.batches == [160_000]


def test_maps_show_each_class_and_its_points(tanh_mlp, four_class):
    figure = viz.plot_probability_maps(tanh_mlp, four_class, limits=BOX, resolution=20)
    maps = figure.axes[:4]
    grid = viz.probability_grid(tanh_mlp, BOX, resolution=20)
    for k, ax in enumerate(maps):
        image = ax.images[0]
        np.testing.assert_allclose(image.get_array(), grid.probabilities[..., k], atol=1e-6)
        assert (image.get_clim(), image.origin) == ((0, 1), "lower")
        dx, dy = 8 / 19 / 2, 3 / 19 / 2  # the outer pixels are centred on the limits
        np.testing.assert_allclose(image.get_extent(), [-3 - dx, 5 + dx, -1 - dy, 2 + dy])
        shown = np.concatenate([np.asarray(points.get_offsets()) for points in ax.collections])
        np.testing.assert_allclose(shown, four_class.x_test[four_class.y_test == k])
    assert len(figure.axes) == 5  # and one colour bar
    assert "probability" in figure.axes[4].get_ylabel()


def test_maps_of_a_model_with_one_output(blobs):
    figure = viz.plot_probability_maps(lambda x: 1 / (1 + np.exp(-x[:, 0])), blobs, limits=BOX, resolution=9)
    below, above = (np.asarray(ax.images[0].get_array()) for ax in figure.axes[:2])
    np.testing.assert_allclose(below + above, 1)
    assert (np.diff(above, axis=1) > 0).all()


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


def test_boundaries_refuse_what_is_not_in_the_plane(tanh_mlp, image_mlp, four_class, blobs):
    with pytest.raises(DataError, match=r"points in the plane"):
        viz.plot_regions(tanh_mlp, (np.zeros((5, 3)), np.zeros(5)))
    with pytest.raises(DataError, match=r"takes samples of shape \(28, 28\)"):
        viz.plot_regions(image_mlp, four_class)
    with pytest.raises(DataError, match="2 classes apart, the data have 4"):
        viz.plot_regions(lambda x: np.zeros(len(x)), four_class)
    with pytest.raises(InputError, match="resolution"):
        viz.plot_probability_maps(tanh_mlp, four_class, resolution=1)
    logits = modelzoo.create_model("tanh_mlp", classifier_activation=None, seed=0)
    with pytest.raises(DataError, match="from_logits=True"):
        viz.plot_regions(logits, four_class, resolution=10)
    viz.plot_regions(logits, four_class, resolution=10, from_logits=True)


# --- lines


def test_segments_lie_on_the_line_and_end_on_the_border(rng):
    hits = 0
    for _ in range(200):
        w, b = rng.normal(size=2), 3 * rng.normal()
        corners = np.array([[x, y] for x in BOX[0] for y in BOX[1]]) @ w + b
        ends = segment_in_box(w, b, BOX)
        assert (ends is None) == (corners.min() > 0 or corners.max() < 0)
        if ends is not None:
            hits += 1
            np.testing.assert_allclose(ends @ w + b, 0, atol=1e-9)
            away = np.abs(ends[:, :, None] - np.array(BOX)[None]).min(axis=(1, 2))
            np.testing.assert_allclose(away, 0, atol=1e-9)
    assert 20 < hits < 180
    np.testing.assert_allclose(np.sort(segment_in_box([2, 0], -2, BOX), axis=0), [[1, -1], [1, 2]])
    np.testing.assert_allclose(np.sort(segment_in_box([0, 1], -1, BOX), axis=0), [[-3, 1], [5, 1]])
    assert segment_in_box([0, 1], -7, BOX) is None
    assert segment_in_box([0, 0], 1, BOX) is None


@pytest.mark.parametrize(
    ("name", "options"),
    [("logistic_perceptron", {}), ("logistic_perceptron", {"use_bias": False}), ("onehot_softmax", {})],
)
def test_decision_line_is_where_the_model_is_undecided(name, options):
    model = modelzoo.create_model(name, seed=1, **options)
    model.set_weights([np.asarray(w) + 0.3 * np.arange(1, w.size + 1).reshape(w.shape) for w in model.get_weights()])
    ax = viz.plot_decision_line(model, datasets.load("linear"), limits=((-9, 9), (-9, 9)))
    ends = ax.get_lines()[0].get_xydata()
    np.testing.assert_allclose(model.predict(ends, verbose=0)[:, -1], 0.5, atol=1e-5)
    tip = ax.texts[0].xy  # of the arrow
    assert model.predict(np.array([tip]), verbose=0)[0, -1] > 0.5


def test_hidden_lines_are_where_their_units_are_zero(tanh_mlp, four_class):
    hidden = keras.Model(tanh_mlp.input, tanh_mlp.get_layer("hidden").output)
    ax = viz.plot_hidden_units(tanh_mlp, four_class, limits=((-20, 20), (-20, 20)))
    assert len(ax.get_lines()) == 10
    arrows = [text for text in ax.texts if not text.get_text()]
    for i, (line, arrow) in enumerate(zip(ax.get_lines(), arrows, strict=True)):
        np.testing.assert_allclose(hidden.predict(line.get_xydata(), verbose=0)[:, i], 0, atol=1e-5)
        assert hidden.predict(np.array([arrow.xy]), verbose=0)[0, i] > 0
    assert [text.get_text() for text in ax.texts if text.get_text()] == [str(i) for i in range(1, 11)]


def test_lines_from_arrays_and_lines_out_of_view(blobs):
    ax = viz.plot_hidden_units(([[1, 1], [0, 0]], [0, -50]), blobs)
    np.testing.assert_allclose(ax.get_lines()[0].get_xdata(), 0)
    assert len(ax.get_lines()) == 1
    assert ax.get_title() == "outside this view: 2"
    ax = viz.plot_decision_line(([0.5, -1], 0.25), blobs)
    x, y = ax.get_lines()[0].get_xydata().T
    np.testing.assert_allclose(y, 0.5 * x + 0.25)


@pytest.mark.parametrize(
    ("draw", "words"),
    [
        (viz.plot_decision_line, "2 dense layers"),
        (lambda m, d: viz.plot_hidden_units(m, d, layer="hiden"), "Did you mean 'hidden'"),
        (lambda m, d: viz.plot_hidden_units(m, d, layer="logits"), "10 inputs"),
        (lambda m, d: viz.plot_decision_line(3, d), "received int"),
        (lambda m, d: viz.plot_decision_line(([1, 2, 3], 0), d), "finite numbers"),
        (lambda m, d: viz.plot_decision_line((np.eye(2), [0, 0]), d), "received 2"),
    ],
)
def test_models_without_such_lines_are_named(tanh_mlp, four_class, draw, words):
    with pytest.raises(InputError, match=words):
        draw(tanh_mlp, four_class)
