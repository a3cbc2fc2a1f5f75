"""Interrupted and resumed training gives the weights of the uninterrupted run, or says why it cannot."""

from __future__ import annotations

import errno
import json
import os
import shutil

import filelock
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import modelzoo
from modelzoo import Recipe
from modelzoo.errors import ArtifactError, DataError, TargetError, TargetExistsError
from modelzoo.training import DivergedError
from modelzoo.training.checkpoints import Checkpoints

RECIPE = Recipe(
    steps=50, batch_size=16, optimizer="adam", learning_rate=0.01, log_every=8, validation_freq=2, xla="off"
)


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def read(path):
    with np.load(path, allow_pickle=False) as archive:
        return json.loads(archive["header"].tobytes()), [archive[k] for k in archive.files if k != "header"]


@pytest.fixture
def interrupted(points, tanh_mlp, tmp_path, interrupt):
    """A directory with the checkpoints of a run that Ctrl-C ended in its fourth entry: steps 16 and 24."""
    directory = tmp_path / "checkpoints"
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(tanh_mlp(), points, RECIPE, seed=3, checkpoint_dir=directory, callbacks=[interrupt(3)])
    assert names(directory) == ["step-000000016.npz", "step-000000024.npz"]
    return directory


@pytest.fixture(scope="module")
def whole(points):
    """Digest and history of the run that nothing interrupted, and that kept no checkpoints."""
    model = modelzoo.create_model("tanh_mlp", seed=0)
    history = modelzoo.train(model, points, RECIPE, seed=3).history
    return modelzoo.weights_digest(model), history


def resume(points, directory, model=None, recipe=RECIPE, seed=3):
    model = model or modelzoo.create_model("tanh_mlp", seed=99)  # its own weights must not matter
    history = modelzoo.train(model, points, recipe, seed=seed, checkpoint_dir=directory, resume=True)
    return modelzoo.weights_digest(model), history.history


def test_resumed_equals_uninterrupted_weights_and_history(interrupted, points, whole):
    assert resume(points, interrupted) == whole


def test_checkpoints_change_no_result_and_only_two_are_kept(points, tanh_mlp, tmp_path, whole):
    model = tanh_mlp()
    history = modelzoo.train(model, points, RECIPE, seed=3, checkpoint_dir=tmp_path / "new" / "run").history
    assert (modelzoo.weights_digest(model), history) == whole
    assert names(tmp_path / "new" / "run") == ["step-000000048.npz", "step-000000050.npz"]


def test_resume_without_checkpoints_starts_from_the_beginning(points, tanh_mlp, tmp_path, whole):
    assert resume(points, tmp_path / "none", tanh_mlp()) == whole


def test_resume_of_a_finished_run_changes_nothing(points, interrupted, whole):
    resume(points, interrupted)
    before = {p.name: p.read_bytes() for p in interrupted.glob("step-*")}
    assert resume(points, interrupted) == whole
    assert {p.name: p.read_bytes() for p in interrupted.glob("step-*")} == before


def test_dropout_and_momentum_are_part_of_a_checkpoint(digits, tmp_path, interrupt):
    def build(seed=0):
        return modelzoo.create_model("two_conv_cnn", filters=(2, 3), hidden_units=8, seed=seed)

    recipe = Recipe(steps=6, batch_size=30, optimizer="sgd", optimizer_options={"momentum": 0.9}, log_every=2,
                    learning_rate=0.05, xla="update")  # fmt: skip
    model = build()
    modelzoo.train(model, digits, recipe)
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(build(), digits, recipe, checkpoint_dir=tmp_path, callbacks=[interrupt(2)])
    assert resume(digits, tmp_path, build(5), recipe, seed=0)[0] == modelzoo.weights_digest(model)


def test_learning_rate_changed_by_a_callback_survives(points, tanh_mlp, tmp_path, interrupt):
    """The rate is a variable of the optimiser: what a callback set before the interruption still holds after it."""

    class Halve(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 0:
                self.model.optimizer.learning_rate.assign(0.002)

    model = tanh_mlp()
    modelzoo.train(model, points, RECIPE, callbacks=[Halve()])
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(tanh_mlp(), points, RECIPE, checkpoint_dir=tmp_path, callbacks=[Halve(), interrupt(3)])
    assert resume(points, tmp_path, seed=0)[0] == modelzoo.weights_digest(model)


# --- damage


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped byte", "no archive", "another npz"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(damage, interrupted, points, whole, caplog):
    newest = interrupted / "step-000000024.npz"
    content = newest.read_bytes()
    if damage == "truncated":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "flipped byte":
        _, values = read(newest)
        at = content.index(values[0].tobytes()) + 5
        newest.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    elif damage == "no archive":
        newest.write_text("not a checkpoint")
    else:
        np.savez(newest, x=np.zeros(3))
    assert resume(points, interrupted) == whole
    assert "step-000000024.npz is damaged" in caplog.text


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """Return a checkpoint's path, bytes and values."""
    directory = tmp_path_factory.mktemp("intact")
    values = [np.arange(12, dtype=np.float32).reshape(3, 4), np.array(5)]
    Checkpoints(directory, {"seed": 1}).save(3, [{"loss": 0.5}], values)
    (path,) = directory.glob("step-*")
    return path, path.read_bytes(), values


def assert_noticed(intact, content):
    """Read a checkpoint of these bytes: the values are the same, or it is refused."""
    path, _, values = intact
    path.write_bytes(content)
    try:
        saved = Checkpoints(path.parent, {"seed": 1}).latest()
    except ArtifactError as error:
        message = str(error)
        assert "\n" not in message
        return
    assert (saved.step, saved.history, saved.stopped) == (3, [{"loss": 0.5}], False)
    for found, value in zip(saved.values, values, strict=True):
        np.testing.assert_array_equal(found, value)


@pytest.mark.parametrize("bits", [0b00000001, 0b11111111])
def test_every_damaged_byte_is_noticed(bits, intact):
    content = intact[1]
    for at, byte in enumerate(content):
        assert_noticed(intact, content[:at] + bytes([byte ^ bits]) + content[at + 1 :])


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_cuts_and_bytes_in_the_midst_are_noticed(intact, data):
    content = intact[1]
    at = data.draw(st.integers(0, len(content) - 1))
    assert_noticed(
        intact, content[:at] + data.draw(st.binary(max_size=2)) + content[data.draw(st.integers(at, len(content))) :]
    )


def test_all_damaged_is_an_error(interrupted, points, tanh_mlp, weights_of):
    for path in interrupted.glob("step-*"):
        path.write_bytes(path.read_bytes()[:100])
    model = tanh_mlp()
    before = weights_of(model)
    with pytest.raises(ArtifactError, match=r"Every checkpoint .* is damaged"):
        resume(points, interrupted, model)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "header", ["3", "[]", "{}", "[" * 100_000, '{"format": 2}', "\x00"], ids=lambda text: text[:13]
)
def test_a_header_that_is_none_falls_back_to_the_checkpoint_before(header, interrupted, points, whole, caplog):
    newest = interrupted / "step-000000024.npz"
    _, values = read(newest)
    arrays = {f"v{i}": value for i, value in enumerate(values)}
    np.savez(newest, header=np.frombuffer(header.encode(), np.uint8), **arrays)
    assert resume(points, interrupted) == whole
    assert "step-000000024.npz is damaged" in caplog.text


CRAFTED = [
    *({"identity": value} for value in (None, 3, [], "x")),
    *({"step": value} for value in (None, "24", 24.0, -1, 10**30, True)),
    *({"history": value} for value in (None, 3, [], {}, [3], [[]], [{"loss": "a"}], [{"loss": [1]}])),
    *({"stopped": value} for value in (None, 0, "no")),
    *({"values": value} for value in (None, 0, 2, "1" * 1000)),
]


@pytest.mark.parametrize("change", CRAFTED, ids=str)
def test_a_header_of_other_kinds_falls_back_to_the_checkpoint_before(change, tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path, {"seed": 1})
    for step in (16, 24):
        checkpoints.save(step, [{"step": step, "loss": 0.5}], [np.zeros(2)])
    newest = tmp_path / "step-000000024.npz"
    header, values = read(newest)
    data = np.frombuffer(json.dumps({**header, **change}).encode(), np.uint8)
    np.savez(newest, header=data, **{f"v{i}": value for i, value in enumerate(values)})
    assert checkpoints.latest().step == 16
    assert "step-000000024.npz is damaged" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a * np.nan,
        lambda a: a[None],
        lambda a: a.astype("f8"),
        lambda a: a.astype(str),
        lambda a: a.astype("c8"),
        lambda a: np.zeros(a.shape, "M8[s]"),
    ],
)
def test_weights_that_are_none_are_refused_before_any_is_assigned(change, interrupted, points, tanh_mlp, weights_of):
    model = tanh_mlp()
    before = weights_of(model)
    for path in interrupted.glob("step-*"):
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **{**arrays, "v1": change(arrays["v1"])})
    with pytest.raises(ArtifactError, match="checkpoint") as caught:
        resume(points, interrupted, model)
    assert "\n" not in str(caught.value)
    for a, b in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("stop", [1, np.bool_(True)])
def test_whatever_says_that_training_stops_is_kept(stop, points, tanh_mlp, tmp_path):
    """Keras takes any true value for ``stop_training``."""

    def stopping(epoch, logs=None):
        model.stop_training = stop

    model = tanh_mlp()
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=stopping)]
    modelzoo.train(model, points, RECIPE, seed=3, checkpoint_dir=tmp_path / "c", callbacks=callbacks)
    assert modelzoo.train(tanh_mlp(), points, RECIPE, seed=3, checkpoint_dir=tmp_path / "c", resume=True).history[
        "step"
    ] == [8]


def test_a_refused_checkpoint_leaves_the_model_as_it_was_compiled(interrupted, points, tanh_mlp):
    for path in interrupted.glob("step-*"):
        with np.load(path) as archive:
            arrays = dict(archive)
        np.savez(path, **{**arrays, "v0": arrays["v0"] * np.nan})
    model = tanh_mlp()
    model.compile("adam", "mse")
    with pytest.raises(ArtifactError, match=r"NaN or infinite.*empty directory"):
        resume(points, interrupted, model)
    assert isinstance(model.optimizer, keras.optimizers.Adam)


def test_a_pipe_for_a_checkpoint_is_not_waited_for(interrupted, points, whole):
    os.mkfifo(interrupted / "step-000000032.npz")
    assert resume(points, interrupted) == whole


def test_half_written_temporary_files_are_ignored(interrupted, points, whole):
    (interrupted / ".step-000000032.npz.abc.tmp").write_bytes(b"half")
    (interrupted / "notes.txt").write_text("mine")
    assert resume(points, interrupted) == whole
    assert (interrupted / "notes.txt").read_text() == "mine"


# --- another run


@pytest.mark.parametrize("what", ["recipe", "steps", "seed", "data", "model"])
def test_checkpoints_of_another_run_are_refused(what, interrupted, points, tanh_mlp):
    recipe, seed, data, model = RECIPE, 3, points, tanh_mlp()
    if what == "recipe":
        recipe = RECIPE.replace(learning_rate=0.02)
    elif what == "steps":
        recipe = RECIPE.replace(steps=60)
    elif what == "seed":
        seed = 4
    elif what == "data":
        data = modelzoo.datasets.load("four_class", n=203, n_test=97, seed=1)
    else:
        model = tanh_mlp(hidden_units=11)
    before = {p.name: p.read_bytes() for p in interrupted.glob("step-*")}
    with pytest.raises(ArtifactError, match=f"its {'recipe' if what == 'steps' else what} is") as caught:
        resume(data, interrupted, model, recipe, seed)
    assert "\n" not in str(caught.value)
    assert {p.name: p.read_bytes() for p in interrupted.glob("step-*")} == before


def test_arrays_that_differ_are_another_run(points, tanh_mlp, tmp_path, interrupt):
    x, y = points.train
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(tanh_mlp(), (x, y), RECIPE, checkpoint_dir=tmp_path, callbacks=[interrupt(2)])
    with pytest.raises(ArtifactError, match="its data is"):
        resume((x + 1e-3, y), tmp_path, seed=0)


def test_existing_checkpoints_are_not_mixed_with_a_new_run(interrupted, points, tanh_mlp, weights_of):
    before = {p.name: p.read_bytes() for p in interrupted.glob("step-*")}
    model = tanh_mlp()
    weights = weights_of(model)
    with pytest.raises(TargetExistsError, match="resume"):
        modelzoo.train(model, points, RECIPE, seed=3, checkpoint_dir=interrupted)
    assert {p.name: p.read_bytes() for p in interrupted.glob("step-*")} == before
    np.testing.assert_array_equal(weights[0], model.get_weights()[0])


def test_two_runs_at_once_do_not_mix(points, tanh_mlp, tmp_path, whole):
    def start_another(epoch, logs):
        if epoch == 1:
            with pytest.raises(TargetExistsError, match="Another process keeps its checkpoints in"):
                modelzoo.train(tanh_mlp(), points, RECIPE, seed=3, checkpoint_dir=tmp_path / "run", resume=True)

    model = tanh_mlp()
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=start_another)]
    history = modelzoo.train(
        model, points, RECIPE, seed=3, checkpoint_dir=tmp_path / "run", callbacks=callbacks
    ).history
    assert (modelzoo.weights_digest(model), history) == whole
    assert resume(points, tmp_path / "run", tanh_mlp()) == whole  # the first run has let go


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks"), NotImplementedError("no flock")], ids=str)
def test_file_systems_without_locks_keep_checkpoints_all_the_same(
    error, points, tanh_mlp, tmp_path, whole, monkeypatch, caplog
):
    def acquire(lock):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    assert resume(points, tmp_path / "run", tanh_mlp()) == whole
    assert "file system without locks" in caplog.text
    assert names(tmp_path / "run") == ["step-000000048.npz", "step-000000050.npz"]


def test_a_lock_that_cannot_be_written_is_one_clear_error(points, tanh_mlp, tmp_path, monkeypatch):
    def acquire(lock):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with pytest.raises(TargetError, match="Permission denied"):
        modelzoo.train(tanh_mlp(), points, RECIPE, checkpoint_dir=tmp_path / "run")


def test_a_checkpoint_directory_below_a_file_is_one_clear_error(points, tanh_mlp, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(TargetError, match="Cannot write") as caught:
        modelzoo.train(tanh_mlp(), points, RECIPE, checkpoint_dir=tmp_path / "file" / "checkpoints")
    assert "\n" not in str(caught.value)


def test_a_full_disk_leaves_the_earlier_checkpoints(interrupted, points, whole, monkeypatch):
    before = {p.name: p.read_bytes() for p in interrupted.glob("step-*")}

    def full(file, **arrays):
        file.write(b"some")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(TargetError, match="No space left"):
            resume(points, interrupted)
    assert {p.name: p.read_bytes() for p in interrupted.glob("step-*")} == before
    assert resume(points, interrupted) == whole


# --- divergence


@pytest.mark.parametrize("log_every", [1, 5])
def test_divergence_is_an_error_and_the_last_checkpoint_is_good(log_every, points, tmp_path):
    """A linear net with squared errors: a rate that is too high multiplies the weights at each step."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    recipe = Recipe(steps=200, optimizer="sgd", learning_rate=1e6, loss="mean_squared_error", log_every=log_every)
    x, y = points.train
    with pytest.raises(DivergedError, match=r"Lower the learning rate.*1000000") as caught:
        modelzoo.train(model, (x, (y > 1).astype(int)), recipe, checkpoint_dir=tmp_path)
    assert (str(tmp_path) in str(caught.value)) == any(
        tmp_path.glob("step-*")
    )  # no word of a checkpoint that is not there
    assert "\n" not in str(caught.value)
    for path in tmp_path.glob("step-*"):
        header, values = read(path)
        assert all(np.isfinite(value).all() for value in values), path.name
        assert np.isfinite(header["history"][-1]["loss"])


def test_no_checkpoint_holds_weights_that_are_not_finite(points, tmp_path):
    """The loss of a step is taken before its update: it is still finite when the update has ruined the weights."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    recipe = Recipe(steps=3, optimizer="sgd", learning_rate=1e36, loss="mean_squared_error", log_every=1)
    with pytest.raises(DivergedError):
        modelzoo.train(model, (points.x_train * 1e4, (points.y_train > 1).astype(int)), recipe, checkpoint_dir=tmp_path)
    for path in tmp_path.glob("step-*"):
        assert all(np.isfinite(value).all() for value in read(path)[1]), path.name


# --- data that cannot be trained on


def bad_data(kind, x, y):
    nan = x.copy()
    nan[7, 1] = np.nan
    infinite = x.copy()
    infinite[3, 0] = np.inf
    high, negative = y.copy(), y.astype(int)
    high[5] = 4
    negative[5] = -1
    return {
        "NaN": (nan, y),
        "infinity": (infinite, y),
        "wrong shape": (np.hstack([x, x]), y),
        "one dimension": (x[:, 0], y),
        "label too high": (x, high),
        "negative label": (x, negative),
        "empty": (x[:0], y[:0]),
        "single class": (x, np.zeros_like(y)),
        "object dtype": (x.astype(object), y),
        "text": (x.astype(str), y),
        "complex": (x.astype(complex), y),
        "float labels": (x, y + 0.5),
        "text labels": (x, y.astype(str)),
        "lengths differ": (x, y[:-1]),
        "one-hot of another width": (x, np.eye(5)[y]),
        "not one-hot": (x, np.ones((len(y), 4))),
    }[kind]


KINDS = ["NaN", "infinity", "wrong shape", "one dimension", "label too high", "negative label", "empty"]
KINDS += ["single class", "object dtype", "text", "complex", "float labels", "text labels", "lengths differ"]
KINDS += ["one-hot of another width", "not one-hot"]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_data_is_refused_in_one_line_and_changes_nothing(kind, points, tanh_mlp, weights_of, tmp_path):
    model = tanh_mlp()
    before = weights_of(model)
    data = bad_data(kind, *points.train)
    with pytest.raises(DataError, match="training data") as caught:
        modelzoo.train(model, data, RECIPE, checkpoint_dir=tmp_path / "c")
    assert "\n" not in str(caught.value)
    if kind != "single class":  # fine to test on
        with pytest.raises(DataError, match="test data"):
            modelzoo.train(model, points, RECIPE, validation_data=data)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not (tmp_path / "c").exists()
    assert getattr(model, "optimizer", None) is None


def test_one_hot_labels_train_like_integers(points, tanh_mlp):
    x, y = points.train
    integers, one_hot = tanh_mlp(), tanh_mlp()
    recipe = RECIPE.replace(loss="categorical_crossentropy")
    modelzoo.train(integers, (x, y), recipe)
    modelzoo.train(one_hot, (x, np.eye(4, dtype="float32")[y]), recipe)
    for a, b in zip(integers.get_weights(), one_hot.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_one_hot_labels_with_the_sparse_loss_are_one_clear_error_or_work(points, tanh_mlp):
    """A Dataset.one_hot() handed to a lesson recipe, whose loss is the sparse one."""
    x, y = points.train
    recipe = RECIPE.replace(steps=10)
    expected, model = tanh_mlp(), tanh_mlp()
    modelzoo.train(expected, (x, y), recipe)
    answer = ""
    try:
        modelzoo.train(model, (x, np.eye(4, dtype="float32")[y]), recipe)
    except modelzoo.ModelZooError as error:
        answer = str(error)
    if answer:
        assert "categorical_crossentropy" in answer
    else:
        np.testing.assert_allclose(model.get_weights()[0], expected.get_weights()[0], rtol=1e-5, atol=1e-6)


def test_data_may_be_plain_lists(tanh_mlp):
    model = tanh_mlp()
    x, y = [[0.0, 0.1], [1.0, 0.5], [0.3, 0.2]], [0, 1, 2]
    modelzoo.train(model, (x, y), Recipe(steps=2, log_every=2))
    modelzoo.train(model, (x[:2], y[:2]), Recipe(steps=2, log_every=2))


def test_checkpoint_directory_may_be_copied_elsewhere(interrupted, points, whole, tmp_path):
    shutil.copytree(interrupted, tmp_path / "copy")
    assert resume(points, tmp_path / "copy") == whole
