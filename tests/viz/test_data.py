"""Points, images and data sets as they are."""

import numpy as np
import pytest

from modelzoo import viz
from modelzoo.errors import DataError, InputError
from modelzoo.viz.images import tile


def test_points_are_drawn_by_class(four_class):
    ax = viz.plot_points(four_class)
    assert len(ax.collections) == 4
    for label, points in enumerate(ax.collections):
        np.testing.assert_array_equal(points.get_offsets(), four_class.x_train[four_class.y_train == label])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(four_class.class_names)
    ax = viz.plot_points([[0, 0], [1, 1]], [1, 0], class_names=["no", "yes"])
    np.testing.assert_array_equal(ax.collections[1].get_offsets(), [[0, 0]])


def test_a_legend_of_many_classes_leaves_room_for_the_points(rng):
    ax = viz.plot_points(rng.normal(size=(260, 2)), np.arange(260) % 26)
    ax.figure.canvas.draw()
    assert ax.get_position().height > 0.7
    assert ax.get_legend().get_window_extent().y0 > 0


def test_image_grid_has_images_and_labels(digits):
    figure = viz.plot_images(digits, count=6, columns=4)
    shown = [ax for ax in figure.axes if ax.images]
    assert len(shown) == 6
    for i, ax in enumerate(shown):
        np.testing.assert_array_equal(ax.images[0].get_array(), digits.x_train[i])
        assert ax.get_title() == str(digits.y_train[i])
    assert len({round(ax.get_position().y0, 6) for ax in shown}) == 2
    random = viz.plot_images(digits, count=6, seed=1).axes[0].images[0].get_array()
    np.testing.assert_array_equal(random, viz.plot_images(digits, count=6, seed=1).axes[0].images[0].get_array())
    assert not np.array_equal(random, digits.x_train[0])


def test_images_without_labels_and_in_colour(rng):
    colours = rng.integers(0, 256, size=(3, 5, 5, 3)).astype("uint8")
    figure = viz.plot_images(colours)
    assert [ax.get_title() for ax in figure.axes] == ["", "", ""]
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), colours[2])
    np.testing.assert_array_equal(viz.plot_images(colours[..., :1]).axes[0].images[0].get_array(), colours[0, ..., 0])
    np.testing.assert_allclose(viz.plot_image(colours[0] / 255.0).images[0].get_array(), colours[0] / 255)
    with pytest.raises(InputError, match="count"):
        viz.plot_images(colours, count=0)
    with pytest.raises(DataError, match=r"image\[None\]"):
        viz.plot_images(np.zeros((5, 5)))


def test_tiles_lie_row_by_row():
    images = np.arange(5 * 4).reshape(5, 2, 2)
    canvas = tile(images, 3, gap=1, fill=-1)
    assert canvas.shape == (5, 8)
    for i in range(5):
        row, column = 3 * (i // 3), 3 * (i % 3)
        np.testing.assert_array_equal(canvas[row : row + 2, column : column + 2], images[i])
    assert (canvas[2] == -1).all()
    assert (canvas[3:, 6:] == -1).all()


def test_overview_counts_and_averages(digits):
    found = viz.class_overview(digits)
    for label in range(10):
        members = digits.y_train == label
        assert found.train[label] == members.sum()
        assert found.test[label] == (digits.y_test == label).sum()
        np.testing.assert_allclose(found.means[label], digits.x_train[members].mean(axis=0))
    figure = viz.plot_dataset(digits)
    bars = [bar.get_width() for bar in figure.axes[0].patches]
    assert bars == [*found.train, *found.test]
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), found.means[0])


def test_overview_of_points_and_of_a_class_without_samples(four_class):
    figure = viz.plot_dataset(four_class)
    assert len(figure.axes[1].collections) == 4
    images = np.ones((4, 3, 3))
    figure = viz.plot_dataset(((images, [0, 0, 2, 2]), (images[:1], [1])))
    assert [bool(ax.images) for ax in figure.axes[1:4]] == [True, False, True]
    viz.plot_dataset(((np.ones((4, 7)), [0, 0, 1, 1]), (np.ones((1, 7)), [1])))  # neither points nor images
    with pytest.raises(DataError, match="training and test data"):
        viz.plot_dataset((images, [0, 0, 1, 1]))
