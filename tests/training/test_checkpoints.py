"""Interrupted and resumed training gives the weights of the uninterrupted run, or says why it cannot."""

import json
import shutil

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import Augmentation, Recipe
from modelzoo.errors import ArtifactError, InputError, TargetError, TargetExistsError
from modelzoo.training import DivergedError
from modelzoo.training.checkpoints import Checkpoints

RECIPE = Recipe(
    steps=50, batch_size=16, optimizer="adam", learning_rate=0.01, log_every=8, validation_freq=2, xla="off"
)


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def contents(directory):
    return {path.name: path.read_bytes() for path in directory.glob("step-*")}


@pytest.fixture(scope="module")
def left(points, interrupt, tmp_path_factory):
    """What a run leaves that Ctrl-C ended in its fourth entry: checkpoints of the steps 16 and 24."""
    directory = tmp_path_factory.mktemp("left")
    model = modelzoo.create_model("tanh_mlp", seed=0)
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(model, points, RECIPE, seed=3, checkpoint_dir=directory, callbacks=[interrupt(3)])
    assert names(directory) == ["step-000000016.npz", "step-000000024.npz"]
    return directory


@pytest.fixture
def interrupted(left, tmp_path):
    return shutil.copytree(left, tmp_path / "checkpoints")


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


def test_what_a_killed_writer_left_is_cleared_also_of_a_step_that_is_not_written_again(points, interrupted):
    (interrupted / ".step-000000024.npz.57z_buom.tmp").mkdir()
    resume(points, interrupted)
    assert names(interrupted) == ["step-000000048.npz", "step-000000050.npz"]


def test_resumed_equals_uninterrupted_weights_and_history(interrupted, points, whole):
    assert resume(points, interrupted) == whole


def test_checkpoints_change_no_result_and_only_two_are_kept(points, tanh_mlp, tmp_path, whole):
    assert resume(points, tmp_path / "new" / "run", tanh_mlp()) == whole, "without any it starts from the beginning"
    assert names(tmp_path / "new" / "run") == ["step-000000048.npz", "step-000000050.npz"]


@pytest.mark.parametrize("xla", ["off", pytest.param("loop", marks=pytest.mark.slow)])
def test_dropout_momentum_averages_and_distortions_go_on_where_they_were(digits, tmp_path, interrupt, xla):
    def build(seed=0):
        return modelzoo.create_model("relu_mlp", hidden_units=9, dropout=0.5, seed=seed)

    options = {"momentum": 0.9, "use_ema": True, "ema_momentum": 0.8}
    recipe = Recipe(steps=6, batch_size=30, optimizer="sgd", optimizer_options=options, learning_rate=0.05, log_every=2)
    recipe = recipe.replace(augmentation=Augmentation(rotation=0.2, elastic_strength=30), xla=xla)
    model = build()
    modelzoo.train(model, digits[0], recipe)
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(build(), digits[0], recipe, checkpoint_dir=tmp_path, callbacks=[interrupt(2)])
    assert resume(digits[0], tmp_path, build(5), recipe, seed=0)[0] == modelzoo.weights_digest(model)


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


@pytest.mark.parametrize("damage", ["truncated", "empty", "another npz", "renamed"])
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(damage, tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path, {"seed": 1})
    for step in (16, 24):
        checkpoints.save(step, [{"step": step, "loss": 0.5}], [np.full(2, step)])
    (tmp_path / ".step-000000032.npz.abc.tmp").write_bytes(b"half")
    newest = tmp_path / "step-000000024.npz"
    if damage == "renamed":
        newest = newest.rename(tmp_path / "step-000000025.npz")
    elif damage == "another npz":
        np.savez(newest, x=np.zeros(3))
    else:
        newest.write_bytes(newest.read_bytes()[: 400 if damage == "truncated" else 0])
    saved = checkpoints.latest()
    assert (saved.step, saved.history, saved.values[0].tolist()) == (16, [{"step": 16, "loss": 0.5}], [16, 16])
    assert f"{newest.name} is damaged" in caplog.text
    (tmp_path / "step-000000016.npz").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"Every checkpoint .* is damaged"):
        checkpoints.latest()


def test_a_damaged_byte_is_noticed_wherever_it_is(tmp_path):
    """A checkpoint with one bit changed gives the same values, or is refused."""
    values = [np.arange(12, dtype=np.float32).reshape(3, 4), np.array(5)]
    checkpoints = Checkpoints(tmp_path, {"seed": 1})
    checkpoints.save(3, [{"loss": 0.5}], values)
    (path,) = tmp_path.glob("step-*")
    content = path.read_bytes()
    for at, byte in list(enumerate(content))[:: 1 + len(content) // 400]:
        path.write_bytes(content[:at] + bytes([byte ^ 1]) + content[at + 1 :])
        try:
            saved = checkpoints.latest()
        except ArtifactError:
            continue
        assert (saved.step, saved.history, saved.stopped) == (3, [{"loss": 0.5}], False)
        np.testing.assert_equal(list(saved.values), values)


def test_checkpoints_of_another_run_are_refused(interrupted, points, tanh_mlp, same_weights):
    before = contents(interrupted)
    other = modelzoo.datasets.load("four_class", n=203, n_test=97, seed=1)
    model = tanh_mlp()
    for what, arguments in {
        "recipe": (points, interrupted, model, RECIPE.replace(learning_rate=0.02)),
        "seed": (points, interrupted, model, RECIPE, 4),
        "data": (other, interrupted, model),
        "model": (points, interrupted, tanh_mlp(hidden_units=11)),
    }.items():
        with pytest.raises(ArtifactError, match=f"its {what} is"):
            resume(*arguments)
    with pytest.raises(TargetExistsError, match="resume"):  # nor are they mixed with a new run
        modelzoo.train(model, points, RECIPE, seed=3, checkpoint_dir=interrupted)
    assert contents(interrupted) == before
    same_weights(model, tanh_mlp())


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


# --- other runs and disks


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


def test_a_checkpoint_directory_below_a_file_is_one_clear_error(points, tanh_mlp, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(TargetError, match="Cannot write"):
        modelzoo.train(tanh_mlp(), points, RECIPE, checkpoint_dir=tmp_path / "file" / "checkpoints")


# --- divergence


def test_divergence_is_an_error_and_the_last_checkpoint_is_good(points, tmp_path):
    """A linear net with squared errors: a rate that is too high multiplies the weights at each step."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    recipe = Recipe(steps=200, optimizer="sgd", learning_rate=1e6, loss="mean_squared_error", log_every=1, xla="off")
    x, y = points.train
    with pytest.raises(DivergedError, match=r"Lower the learning rate.*1000000") as caught:
        modelzoo.train(model, (x, (y > 1).astype(int)), recipe, checkpoint_dir=tmp_path)
    assert f"The last good checkpoint is in {tmp_path}" in str(caught.value)
    for path in tmp_path.glob("step-*"):
        with np.load(path, allow_pickle=False) as archive:
            assert np.isfinite(json.loads(archive["header"].tobytes())["history"][-1]["loss"])
            assert all(np.isfinite(archive[key]).all() for key in archive.files if key != "header"), path.name


def test_an_update_that_ruins_the_weights_is_a_divergence(points, tmp_path):
    """The loss of a step is taken before its update: it is still finite when the weights are not."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    recipe = Recipe(steps=3, optimizer="sgd", learning_rate=1e36, loss="mean_squared_error", log_every=1, xla="off")
    with pytest.raises(DivergedError) as caught:
        modelzoo.train(model, (points.x_train * 1e4, (points.y_train > 1).astype(int)), recipe, checkpoint_dir=tmp_path)
    assert "checkpoint" not in str(caught.value)
    assert not list(tmp_path.glob("step-*"))


# --- more steps


@pytest.mark.slow
def test_a_run_with_a_schedule_of_its_own_is_extended(points, tanh_mlp, tmp_path):
    own = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 30}}
    recipe = RECIPE.replace(learning_rate=own, steps=8, optimizer_options={"use_ema": True})
    modelzoo.train(tanh_mlp(), points, recipe, seed=3, checkpoint_dir=tmp_path)
    extended = resume(points, tmp_path, recipe=recipe.replace(epochs=2))
    model = tanh_mlp()
    modelzoo.train(model, points, recipe.replace(epochs=2), seed=3)
    assert extended[0] == modelzoo.weights_digest(model)


def test_a_run_that_was_stopped_goes_on_if_more_steps_are_asked_for(points, tanh_mlp, tmp_path, whole, caplog):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    shorter = RECIPE.replace(steps=40)
    modelzoo.train(tanh_mlp(), points, shorter, seed=3, checkpoint_dir=tmp_path, callbacks=[Stop()])
    assert resume(points, tmp_path, recipe=shorter)[1]["step"] == [8, 16]
    assert "stopped at step 16. Ask for more than 40 steps" in caplog.text
    assert resume(points, tmp_path) == whole


def test_what_does_not_fit_an_extension_is_named(points, tanh_mlp, left, tmp_path):
    falling = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1}}
    recipe = RECIPE.replace(steps=16, learning_rate=falling)
    modelzoo.train(tanh_mlp(), points, recipe, seed=3, checkpoint_dir=tmp_path)
    with pytest.raises(ArtifactError, match="steps of the learning rate's schedule is 16, this run's is 24"):
        resume(points, tmp_path, recipe=recipe.replace(steps=24))
    with pytest.raises(ArtifactError, match=r'its recipe is \{"batch_size": 16\}, this run\'s is \{"batch_size": 8\}'):
        resume(points, tmp_path, recipe=recipe.replace(batch_size=8))
    with pytest.raises(InputError, match="has made 24 steps, more than the 8"):
        resume(points, left, recipe=RECIPE.replace(steps=8))
