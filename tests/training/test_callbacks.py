"""The history, and Keras' own callbacks as they work with ``fit``."""

import csv
import io
import re
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from rich.console import Console

import modelzoo
from modelzoo import Recipe
from modelzoo.training import ProgressBar

RECIPE = Recipe(steps=50, batch_size=16, optimizer="adam", learning_rate=0.01, log_every=8, xla="off")


def train(model, points, recipe=RECIPE, **options):
    return modelzoo.train(model, points, recipe, **options).history


# --- the history


def test_history_has_an_entry_for_each_chunk_and_the_rest(points, tanh_mlp):
    model = tanh_mlp()
    history = train(model, points, RECIPE.replace(log_train="all"))
    assert history["step"] == history["test_step"] == [8, 16, 24, 32, 40, 48, 50]
    assert set(history) == {"step", "loss", "accuracy", "test_step", "test_loss", "test_accuracy"}
    assert {len(values) for values in history.values()} == {7}
    assert all(isinstance(value, (int, float)) for values in history.values() for value in values)
    for prefix, (x, y) in zip(("", "test_"), points, strict=True):  # in NumPy from the predictions
        p = model(x).numpy().astype(float)
        assert history[f"{prefix}loss"][-1] == pytest.approx(-np.log(p[np.arange(len(y)), y]).mean(), rel=1e-4)
        assert history[f"{prefix}accuracy"][-1] == pytest.approx((p.argmax(axis=1) == y).mean())

    rarely = tanh_mlp()
    other = train(rarely, points.train, RECIPE.replace(validation_freq=3), validation_data=points.test)
    assert set(other) == {"step", "loss", "accuracy", "val_step", "val_loss", "val_accuracy"}
    assert other["val_step"] == [24, 48, 50], "the last entry always has one"
    assert modelzoo.weights_digest(rarely) == modelzoo.weights_digest(model), "what is logged changes no weight"


# --- Keras callbacks


def test_early_stopping_restores_the_best_weights(points, tanh_mlp):
    model, kept = tanh_mlp(), []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    recipe = RECIPE.replace(steps=4000, learning_rate=0.5)
    history = train(model, points.train, recipe, validation_data=points.test, callbacks=[keep, stopping])
    assert history["step"][-1] < 4000
    best = int(np.argmin(history["val_loss"]))
    assert best == len(history["val_loss"]) - 3
    np.testing.assert_equal(model.get_weights(), kept[best])
    assert modelzoo.evaluate(model, points, recipe=recipe)["loss"] == pytest.approx(min(history["val_loss"]), rel=1e-5)


def test_keras_loggers_and_checkpoints_write_what_the_history_says(points, tanh_mlp, tmp_path, same_weights):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    model, callbacks = tanh_mlp(), keras.callbacks
    history = train(
        model,
        points.train,
        RECIPE.replace(learning_rate=0.5),  # so high that the last is not the best
        validation_data=points.test,
        callbacks=[
            callbacks.TensorBoard(tmp_path, write_graph=False),
            callbacks.CSVLogger(tmp_path / "log.csv"),
            callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_loss", save_best_only=True),
            callbacks.ModelCheckpoint(tmp_path / "last.keras"),
        ],
    )
    for part, prefix in (("train", ""), ("validation", "val_")):
        events = EventAccumulator(str(tmp_path / part)).Reload()
        for name in ("loss", "accuracy"):
            values = [float(make_ndarray(e.tensor_proto)) for e in events.Tensors(f"epoch_{name}")]
            np.testing.assert_allclose(values, history[prefix + name], rtol=1e-6)
    with open(tmp_path / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(7))
    for name, values in history.items():
        np.testing.assert_allclose([float(row[name]) for row in rows], values)
    best = keras.models.load_model(tmp_path / "best.keras")
    assert best.evaluate(*points.test, verbose=0)[0] == pytest.approx(min(history["val_loss"]), rel=1e-4)
    assert min(history["val_loss"]) < history["val_loss"][-1]
    same_weights(keras.models.load_model(tmp_path / "last.keras"), model)


def test_learning_rate_scheduler_changes_the_steps_that_follow(points, tanh_mlp):
    """The rate falls to nothing from the third entry on: the weights stop moving."""
    model, kept = tanh_mlp(), []
    keep = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()))
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.05 if epoch < 2 else 0.0)
    history = train(model, points, RECIPE.replace(optimizer="sgd"), callbacks=[schedule, keep])
    assert not np.array_equal(kept[0][0], kept[1][0])
    for weights in kept[2:]:
        np.testing.assert_equal(weights, kept[1])
    np.testing.assert_allclose(history["learning_rate"], [0.05] * 2 + [0.0] * 5)


def test_callbacks_are_called_in_order_and_see_a_live_model(points, tanh_mlp):
    seen = []

    def measure(epoch, logs):
        accuracy = (record.model(points.x_test).numpy().argmax(axis=1) == points.y_test).mean()
        seen.append(("epoch end", epoch, logs["step"], logs["test_accuracy"] == pytest.approx(accuracy)))

    record = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: seen.append(("begin", record.params["steps"], record.params["epochs"])),
        on_epoch_begin=lambda epoch, logs: seen.append(("epoch begin", epoch)),
        on_epoch_end=measure,
        on_train_end=lambda logs: seen.append(("end",)),
    )
    train(tanh_mlp(), points, RECIPE.replace(steps=12), callbacks=[record])
    assert seen == [
        ("begin", 12, 2),
        ("epoch begin", 0),
        ("epoch end", 0, 8, True),
        ("epoch begin", 1),
        ("epoch end", 1, 12, True),
        ("end",),
    ]


# --- the progress bar


def test_progress_bar_fits_a_pipe_a_notebook_and_terminals(points, tanh_mlp, monkeypatch):
    shown = []
    display = SimpleNamespace(
        display=lambda data, **_: shown.append(data["text/plain"]) or SimpleNamespace(update=update),
    )

    def update(data, raw):
        shown.append(data["text/plain"])

    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    pipe, narrow, wide = (io.StringIO() for _ in range(3))
    bars = [
        ProgressBar(Console(file=pipe, width=40)),
        ProgressBar(Console(force_jupyter=True)),
        ProgressBar(Console(file=narrow, force_terminal=True, width=60)),
        ProgressBar(Console(file=wide, force_terminal=True, width=200), keep_lines=True),
    ]
    history = train(tanh_mlp(), points, callbacks=bars)
    last = f"loss {history['loss'][-1]:.4f}"

    lines = pipe.getvalue().splitlines()
    assert [int(line.split()[1]) for line in lines] == history["step"], "a pipe gets a line for each entry"
    assert last in lines[-1]
    assert f"test_accuracy {history['test_accuracy'][-1]:.4f}" in lines[-1]

    assert len(shown) == 1 + len(history["step"]), "a notebook gets one line that changes"
    assert "compiling" in shown[0]
    assert "50/50" in shown[-1]
    assert last in shown[-1]
    assert not any("\n" in line for line in shown)

    for screen in (narrow, wide):
        assert "50/50" in screen.getvalue()
        assert "tanh_mlp" in screen.getvalue()
    assert "\x1b[1A" not in narrow.getvalue(), "the cursor of a narrow terminal never goes up a line"
    assert last in wide.getvalue()
    assert all(re.search(rf"step +{int(step)} ", wide.getvalue()) for step in history["step"])


def test_progress_bar_starts_where_training_resumes_and_gives_the_terminal_back(points, tanh_mlp, tmp_path, interrupt):
    screen = io.StringIO()
    bar = ProgressBar(Console(file=screen, force_terminal=True, width=200))
    with pytest.raises(KeyboardInterrupt):
        train(tanh_mlp(), points, checkpoint_dir=tmp_path, callbacks=[bar, interrupt(3)])
    assert screen.getvalue().endswith("\x1b[?25h"), "the cursor is visible again"
    screen.truncate(0)
    train(tanh_mlp(), points, checkpoint_dir=tmp_path, resume=True, callbacks=[bar])
    assert "24/50" in screen.getvalue()
    assert " 0/50" not in screen.getvalue()
