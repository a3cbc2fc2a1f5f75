"""The figures' numbers and labels, not their pixels."""

import numpy as np
import pytest

from modelzoo import viz
from modelzoo.errors import DataError, InputError

HISTORY = {
    "step": [100, 200, 300, 400, 450],
    "loss": [2.0, 1.0, 0.5, 0.4, 0.3],
    "val_step": [200, 400, 450],  # every second entry, and the last
    "val_loss": [1.2, 0.6, 0.5],
    "accuracy": [0.1, 0.2, 0.3, 0.4, 0.5],
}


def test_history_draws_training_and_test_at_their_steps():
    ax = viz.plot_history(HISTORY)
    train, test = ax.get_lines()
    np.testing.assert_array_equal(train.get_xydata(), np.c_[HISTORY["step"], HISTORY["loss"]])
    np.testing.assert_array_equal(test.get_xydata(), np.c_[HISTORY["val_step"], HISTORY["val_loss"]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]


def test_history_takes_what_train_returns_and_refuses_the_rest():
    with pytest.raises(InputError, match="Did you mean 'accuracy'"):
        viz.plot_history(HISTORY, "accurracy")
    with pytest.raises(InputError, match="list"):
        viz.plot_history([1, 2])


def test_image_shows_its_pixels_and_label():
    image = np.arange(12).reshape(3, 4)
    ax = viz.plot_image(image, 7)
    np.testing.assert_array_equal(ax.images[0].get_array(), image)
    assert ax.get_title() == "7"
    with pytest.raises(DataError, match=r"\(1, 28, 28\)"):
        viz.plot_image(np.zeros((1, 28, 28)))


def test_class_scores_are_bars_with_names():
    scores = [0.1, 0.7, 0.2]
    ax = viz.plot_class_scores(scores, ["a", "b", "c"], truth=1)
    assert [bar.get_width() for bar in ax.patches] == scores
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.patches[1].get_facecolor() != ax.patches[0].get_facecolor() == ax.patches[2].get_facecolor()
    with pytest.raises(DataError, match="2 names"):
        viz.plot_class_scores(scores, ["a", "b"])


def test_figures_draw_on_the_axes_they_are_given():
    import matplotlib.pyplot as plt

    for draw in (
        lambda ax: viz.plot_history(HISTORY, ax=ax),
        lambda ax: viz.plot_image(np.zeros((2, 2)), ax=ax),
        lambda ax: viz.plot_class_scores([1.0], ax=ax),
    ):
        figure, ax = plt.subplots()
        assert draw(ax) is ax
        assert plt.get_fignums()[-1] == figure.number
