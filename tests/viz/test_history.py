"""Learning curves: the numbers behind the lines."""

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import datasets, viz
from modelzoo.errors import InputError

RUNS = [
    {
        "step": [10, 20, 30],
        "loss": [3.0, 2.0, 1.0],
        "val_step": [20, 30],
        "val_loss": [2.5, 1.5],
        "accuracy": [0, 0.5, 1],
    },
    {"step": [10, 20], "loss": [5.0, 3.0], "val_step": [20], "val_loss": [3.5], "accuracy": [0.2, 0.7]},
]  # the second run stopped early


@pytest.mark.parametrize(("part", "label"), [("val", "validation"), ("test", "test")])
def test_a_run_draws_training_and_validation_or_test_at_their_steps(part, label):
    history = {name.replace("val", part): values for name, values in RUNS[0].items()}
    ax = viz.plot_history(history)
    train, evaluated = ax.get_lines()
    np.testing.assert_array_equal(train.get_xydata(), np.c_[RUNS[0]["step"], RUNS[0]["loss"]])
    np.testing.assert_array_equal(evaluated.get_xydata(), np.c_[RUNS[0]["val_step"], RUNS[0]["val_loss"]])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "loss")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", label]
    assert not ax.collections  # a single run has no spread


def test_several_runs_become_mean_and_spread_at_their_common_steps():
    curve = viz.learning_curve(RUNS)
    np.testing.assert_array_equal(curve.steps, [10, 20])
    np.testing.assert_array_equal(curve.mean, [4.0, 2.5])
    np.testing.assert_allclose(curve.spread, [np.sqrt(2), np.sqrt(0.5)])  # n - 1 in the denominator
    ax = viz.plot_history(RUNS)
    train, test = ax.get_lines()
    np.testing.assert_array_equal(train.get_ydata(), [4.0, 2.5])
    np.testing.assert_array_equal(test.get_xydata(), [[20, 3.0]])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(4 + np.sqrt(2))
    assert band[:, 1].min() == pytest.approx(2.5 - np.sqrt(0.5))
    assert "2 runs" in train.get_label()


def test_named_runs_have_one_colour_each_and_test_data_dashed():
    ax = viz.plot_history({"slow": RUNS[0], "both": RUNS})
    labels = [line.get_label() for line in ax.get_lines()]
    assert labels[:2] == ["slow, training", "slow, validation"]
    assert labels[2].startswith("both, training (mean")
    slow, slow_test, both, _ = ax.get_lines()
    assert slow.get_color() == slow_test.get_color() != both.get_color()
    assert slow_test.get_linestyle() == "--" != slow.get_linestyle()
    alone = viz.plot_history({"a": {"step": [1], "loss": [2]}, "b": {"step": [1], "loss": [3]}})
    assert [line.get_label() for line in alone.get_lines()] == ["a", "b"]  # nothing to tell training from
    long = {"step": list(range(50)), "loss": [1.0] * 50}
    assert {line.get_marker() for line in viz.plot_history({"a": long, "b": RUNS[0]}).get_lines()} == {"None"}


def test_loss_and_accuracy_side_by_side_with_one_legend():
    figure = viz.plot_training(RUNS)
    assert [ax.get_ylabel() for ax in figure.axes] == ["loss", "accuracy"]
    np.testing.assert_allclose(figure.axes[1].get_lines()[0].get_ydata(), [0.1, 0.6])
    assert len(figure.legends) == 1
    assert [ax.get_title() for ax in viz.plot_training({"loss": [1.0]}).axes] == ["loss"]


def test_histories_of_train_and_of_fit_as_they_are():
    data = datasets.load("four_class")
    model = modelzoo.create_model("tanh_mlp", seed=0)
    history = modelzoo.train(model, data, modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(steps=30, xla="off"))
    ax = viz.plot_history(history, "accuracy")
    np.testing.assert_array_equal(ax.get_lines()[0].get_xdata(), [10, 20, 30])
    np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), history.history["accuracy"])

    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    fitted = model.fit(data.x_train, data.y_train, epochs=3, verbose=0, validation_data=data.test)
    ax = viz.plot_history(fitted)
    assert ax.get_xlabel() == "epoch"
    np.testing.assert_array_equal(ax.get_lines()[1].get_xydata(), np.c_[[1, 2, 3], fitted.history["val_loss"]])
    with pytest.raises(InputError, match="some epochs"):
        viz.plot_history([history, fitted])
