"""Points, images and data sets as they are."""

import matplotlib.pyplot as plt
import numpy as np

from modelzoo import viz
from modelzoo.viz.samples import samples_of

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])


def test_one_form_for_all_ways_to_give_samples(four_class):
    found = samples_of(four_class, part="train")
    assert found.x is four_class.x_train
    assert found.class_names == four_class.class_names
    np.testing.assert_array_equal(samples_of(four_class.one_hot()).y, four_class.y_test)
    for data, labels in ((X, Y), ((X, Y), None), (((X, Y), (X[:1], Y[:1])), None), (X.tolist(), np.eye(3)[Y])):
        found = samples_of(data, labels, part="train").named()
        np.testing.assert_array_equal(found.x, X)
        np.testing.assert_array_equal(found.labels, Y)
        assert found.class_names == ("0", "1", "2")
    assert len(samples_of(((X, Y), (X[:1], Y[:1]))).x) == 1
    two_points = samples_of(([[0, 0], [1, 1]], [0, 1]))  # lists are samples and labels, tuples are the two parts
    np.testing.assert_array_equal(two_points.labels, [0, 1])


def test_points_are_drawn_by_class(four_class):
    ax = viz.plot_points(four_class)
    assert len(ax.collections) == 4
    for label, points in enumerate(ax.collections):
        np.testing.assert_array_equal(points.get_offsets(), four_class.x_train[four_class.y_train == label])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == list(four_class.class_names)
    _, own = plt.subplots()
    assert viz.plot_points([[0, 0], [1, 1]], [1, 0], class_names=["no", "yes"], ax=own) is own
    np.testing.assert_array_equal(own.collections[1].get_offsets(), [[0, 0]])


def test_a_legend_of_many_classes_leaves_room_for_the_points(rng):
    ax = viz.plot_points(rng.normal(size=(260, 2)), np.arange(260) % 26)
    ax.figure.canvas.draw()
    assert ax.get_position().height > 0.7
    assert ax.get_legend().get_window_extent().y0 > 0


def test_images_have_their_pixels_and_labels(digits):
    image = np.arange(12).reshape(3, 4)
    ax = viz.plot_image(image, 7)
    np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert ax.get_title() == "7"
    shown = [ax for ax in viz.plot_images(digits, count=6, columns=4).axes if ax.images]
    assert len(shown) == 6
    for i, ax in enumerate(shown):
        np.testing.assert_array_equal(ax.images[0].get_array(), digits.x_train[i])
        assert ax.get_title() == str(digits.y_train[i])
    assert len({round(ax.get_position().y0, 6) for ax in shown}) == 2
    random = [viz.plot_images(digits, count=6, seed=1).axes[0].images[0].get_array() for _ in range(2)]
    np.testing.assert_array_equal(*random)
    assert not np.array_equal(random[0], digits.x_train[0])


def test_images_without_labels_and_in_colour(rng):
    colours = rng.integers(0, 256, size=(3, 5, 5, 3)).astype("uint8")
    figure = viz.plot_images(colours)
    assert [ax.get_title() for ax in figure.axes] == ["", "", ""]
    np.testing.assert_array_equal(figure.axes[2].images[0].get_array(), colours[2])
    np.testing.assert_array_equal(viz.plot_images(colours[..., :1]).axes[0].images[0].get_array(), colours[0, ..., 0])
    np.testing.assert_allclose(viz.plot_image(colours[0] / 255.0).images[0].get_array(), colours[0] / 255)


def test_overview_counts_and_averages(digits, four_class):
    found = viz.class_overview(digits)
    for label in range(10):
        members = digits.y_train == label
        assert found.train[label] == members.sum()
        assert found.test[label] == (digits.y_test == label).sum()
        np.testing.assert_allclose(found.means[label], digits.x_train[members].mean(axis=0))
    figure = viz.plot_dataset(digits)
    assert [bar.get_width() for bar in figure.axes[0].patches] == [*found.train, *found.test]
    np.testing.assert_allclose(figure.axes[1].images[0].get_array(), found.means[0])
    assert len(viz.plot_dataset(four_class).axes[1].collections) == 4
    images = np.ones((4, 3, 3))
    figure = viz.plot_dataset(((images, [0, 0, 2, 2]), (images[:1], [1])))  # a class without training images
    assert [bool(ax.images) for ax in figure.axes[1:4]] == [True, False, True]
    viz.plot_dataset(((np.ones((4, 7)), [0, 0, 1, 1]), (np.ones((1, 7)), [1])))  # neither points nor images


def test_images_are_shown_as_they_are_but_for_light_ink_on_black(digits):
    """Dark ink on light paper stays so; one map for all images of a figure."""
    paper = 255 - digits.x_test[:3]
    for images, cmap, theme in ((255 - paper, "gray_r", "light"), (paper, "gray", "light"), (paper, "gray", "dark")):
        with viz.theme(theme):
            figure = viz.plot_images(images)
            assert {ax.images[0].get_cmap().name for ax in figure.axes} == {cmap}
            assert viz.plot_image(images[0]).images[0].get_cmap().name == cmap
            assert figure.axes[0].images[0].get_clim() == (0, 255)
