"""``train``: from a model, data, a recipe and a seed to trained weights and a history."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_path
from modelzoo._keras import keras, tf
from modelzoo.card import card_of, describe_machine, weights_digest
from modelzoo.datasets import Dataset, StoredSamples, Stream
from modelzoo.datasets.streaming import check_streamed_size
from modelzoo.errors import ArtifactError, DataError, InputError, ModelZooError
from modelzoo.recipe import Recipe
from modelzoo.registry import get_spec
from modelzoo.training.batches import ArrayBatches, StreamBatches, checked_batches, reason_of, sound
from modelzoo.training.checkpoints import Checkpoints, Saved
from modelzoo.training.evaluating import stream_evaluation, watched
from modelzoo.training.inputs import TrainingData, check_model, classes_of, training_data
from modelzoo.training.loop import Arrays, CompiledLoop
from modelzoo.training.objective import Objective
from modelzoo.training.optimizer import create_optimizer
from modelzoo.training.provenance import data_identity, identity_of, remember
from modelzoo.training.replicas import Replicas, check_layers

logger = logging.getLogger(__name__)

_MAX_STEPS = 999_999_999  # what the name of a checkpoint has digits for
_MAX_DRAWN = 1 << 25  # sample numbers that a compiled call draws ahead; drawing takes 44 bytes for each


class DivergedError(ModelZooError, ArithmeticError):
    """The loss became NaN or infinite."""


def train(
    model: keras.Model,
    data: Any,
    recipe: Recipe | str = "lesson",
    *,
    seed: int = 0,
    validation_data: Any = None,
    strategy: tf.distribute.Strategy | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
) -> keras.callbacks.History:
    """Train a model by a recipe; ``recipe.log_every`` steps are one compiled call.

    Same model, data, recipe and seed on the same machine give the same weights bit for bit, also when the
    run is killed and resumed. Between two calls Keras callbacks see an "epoch": its number is that of the log
    entry, its logs hold ``step``, ``loss`` and ``accuracy`` (for classifiers). Every ``recipe.validation_freq`` entries
    they also hold ``val_loss`` and ``val_accuracy`` of validation data, or ``test_loss`` and ``test_accuracy`` of the
    test data where nothing was held out.

    Parameters
    ----------
    model
        A zoo model, or any Keras model with one input and one output. It is trained in place and compiled
        with the recipe's optimiser, loss and metrics.
    data
        A :class:`modelzoo.datasets.Dataset`, ``((x_train, y_train), (x_test, y_test))``, ``(x, y)``; for data larger
        than memory a :class:`modelzoo.datasets.Stream`, or a ``tf.data.Dataset`` of (samples, labels) batches.
    recipe
        A recipe, or the name of one of the model's.
    seed
        Seed of the sample order and of dropout; initial weights are the builder's (``create_model(seed=…)``).
    validation_data
        ``(x, y)`` or a ``tf.data.Dataset`` to evaluate on, in the place of the validation part of ``data`` and of
        what the recipe holds out.
    strategy
        ``tf.distribute.MirroredStrategy`` or ``MultiWorkerMirroredStrategy``: its devices share each batch of
        ``batch_size`` samples, and the result is that of one device but for the order of summation. Build the
        model as always, with the same ``seed`` on every worker; no ``strategy.scope()`` is needed. Every worker needs
        the same data (a ``tf.data.Dataset``: the same batches in the same order), reads its share of a stream's
        batches, and evaluates all of the test data.
    callbacks
        Keras callbacks, on every worker. ``EarlyStopping``, ``ModelCheckpoint``, ``CSVLogger``, ``TensorBoard``,
        ``ReduceLROnPlateau`` and ``LearningRateScheduler`` work as with ``fit``; what they do after single batches
        does not happen, because Python does not run between these, and what they remember is not in a checkpoint.
    checkpoint_dir
        Where to keep checkpoints, one at each log entry; the last two stay. Of several workers the chief writes them,
        and to resume all read them, so the directory must be one that they share.
    resume
        Go on from the newest checkpoint in ``checkpoint_dir`` (from the start where there is none).

    Returns
    -------
    keras.callbacks.History
        ``history.history`` maps each name to its values; ``"step"`` are the steps of the training metrics,
        ``"val_step"`` or ``"test_step"`` those of the evaluations.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The data do not fit the model.
    TargetExistsError
        ``checkpoint_dir`` holds checkpoints and ``resume`` is false, or another process trains into it.
    TargetError
        ``checkpoint_dir`` cannot be written.
    ArtifactError
        The checkpoint to resume from is damaged or belongs to another run.
    DivergedError
        The loss became NaN or infinite; the last checkpoint is from before that.
    WorkerLostError
        Another worker stopped or cannot be reached.
    """
    check_model(model)
    replicas = Replicas(strategy)
    recipe = _resolve(recipe, model)
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**31:
        raise InputError(f"seed must be an integer from 0 to 2**31 - 1; received seed={seed!r}.")
    callbacks = _checked_callbacks(callbacks)
    if checkpoint_dir is not None:
        check_path(checkpoint_dir, "a directory for checkpoints")
    if not isinstance(resume, bool):
        raise InputError(f"resume must be True or False; received resume={resume!r}.")
    if resume and checkpoint_dir is None:
        raise InputError("resume=True needs checkpoint_dir, the directory that holds the checkpoints.")
    if validation_data is None and isinstance(data, Dataset | Stream):
        validation_data = data.validation
    given = training_data(data, validation_data, model, reconstruct=recipe.reconstruct)
    if validation_data is not None:
        recipe = recipe.replace(validation_size=0)  # nothing is held out, and card and checkpoints say so
    if recipe.validation_size:
        given = given.hold_out(recipe.validation_size)
    _check_augmentation(recipe, model)
    total = _total_steps(recipe, given)
    _check_size(recipe, given, total)
    identity = {**identity_of(model), "recipe": recipe.to_dict(), "steps": total, "seed": int(seed)}
    identity["data"] = data_identity(given)
    checkpoints = None
    if checkpoint_dir is not None:
        checkpoints = Checkpoints(Path(checkpoint_dir), identity)
    with checkpoints.claimed() if checkpoints is not None and replicas.is_chief else contextlib.nullcontext():
        return _train(model, recipe, given, int(seed), total, identity, replicas, callbacks, checkpoints, resume)


def _train(
    model: keras.Model,
    recipe: Recipe,
    given: TrainingData,
    seed: int,
    total: int,
    identity: dict[str, Any],
    replicas: Replicas,
    callbacks: Sequence[keras.callbacks.Callback],
    checkpoints: Checkpoints | None,
    resume: bool,
) -> keras.callbacks.History:
    """Train with arguments that have been checked, into checkpoints that no other process writes."""
    saved = None
    if checkpoints is not None:  # before the model changes: a checkpoint may be refused
        if resume:
            saved = checkpoints.latest()
        else:
            checkpoints.refuse_existing()
    if replicas.count > 1:
        check_layers(model)
    objective = Objective(model, recipe)
    optimizer = create_optimizer(recipe, total)
    optimizer.build(model.trainable_variables)
    first_step = saved.step if saved else 0
    batches = _batches(given.train, recipe.batch_size, seed, first_step, replicas, classes_of(model))
    loop = CompiledLoop(objective, optimizer, batches, recipe, seed, replicas)
    if saved:
        _check_saved(saved, loop, len(model.trainable_variables))
    objective.compile_for_keras(optimizer)
    _seed_layers(model, seed)
    start = weights_digest(model)
    machine = describe_machine()
    versions = {name: machine[name] for name in ("modelzoo", "tensorflow", "keras", "numpy")}
    if saved:
        for variable, value in zip(loop.variables, saved.values, strict=True):
            variable.assign(value)
        logger.info("Resuming %s at step %d of %d.", model.name, first_step, total)

    advice = "" if checkpoints is None else f", with resume=True (--resume), from {checkpoints.directory}"
    with replicas.watched(advice), watched(given.train), watched(given.test):
        replicas.agree({**identity, "initial weights": start, "checkpoint": first_step, **versions})
        began = time.perf_counter()
        history, digest = _run(loop, objective, recipe, given, total, saved, callbacks, checkpoints, replicas)
    seconds = None if saved else round(time.perf_counter() - began, 2)
    if replicas.count > 1:
        machine["replicas"] = replicas.count
    remember(model, recipe, seed, given, history, start=start, end=digest, seconds=seconds, machine=machine)
    return history


def _run(
    loop: CompiledLoop,
    objective: Objective,
    recipe: Recipe,
    given: TrainingData,
    total: int,
    saved: Saved | None,
    callbacks: Sequence[keras.callbacks.Callback],
    checkpoints: Checkpoints | None,
    replicas: Replicas,
) -> tuple[keras.callbacks.History, str]:
    """Train; return the history and the digest of the weights that its last entry was taken with."""
    model = objective.model
    history = keras.callbacks.History()
    entries: list[dict[str, float]] = list(saved.history) if saved else []
    step = saved.step if saved else 0
    params = {"epochs": math.ceil(total / recipe.log_every), "steps": total, "first_step": step, "verbose": 0}
    watching = keras.callbacks.CallbackList([*callbacks, history], model=model, **params)
    test = Arrays(*map(tf.constant, given.test)) if isinstance(given.test, tuple) else None
    evaluate = None if test is not None or given.test is None else stream_evaluation(objective, given.test)
    model.stop_training = bool(saved and saved.stopped)
    weights = _values(model)
    watching.on_train_begin()
    for number, entry in enumerate(entries):
        history.on_epoch_end(number, entry)
    with _closing(callbacks):
        while step < total and not model.stop_training:
            number = len(entries)
            num_steps = min(recipe.log_every - step % recipe.log_every, total - step)
            last = step + num_steps >= total
            validate = last or (number + 1) % recipe.validation_freq == 0
            watching.on_epoch_begin(number)
            weights = []  # whoever holds values makes an update copy them
            try:
                logs = loop.run(step, num_steps, test if validate else None, given.evaluated)
            except tf.errors.OpError as error:
                if not isinstance(given.train, tf.data.Dataset) or replicas.count > 1:
                    raise
                for _ in checked_batches(given.train.take(step + num_steps), model, "training data"):
                    pass  # until the batch it failed at
                raise DataError(f"training data: the tf.data.Dataset fails: {reason_of(error)}") from error
            step += num_steps
            weights = _values(model)
            if not math.isfinite(logs["loss"]):
                raise DivergedError(
                    f"The loss became {logs['loss']} between steps {step - num_steps} and {step}. Lower the learning "
                    f"rate ({recipe.learning_rate!r} now) or check the data's scale."
                    + (
                        f" The last good checkpoint is in {checkpoints.directory}."
                        if checkpoints and checkpoints.exist
                        else ""
                    )
                )
            if validate and evaluate is not None:
                logs |= {f"{given.evaluated}_{name}": value for name, value in evaluate().items()}
            entry = {"step": step, **logs}
            if validate and given.test is not None:
                entry[f"{given.evaluated}_step"] = step
            entries.append(entry)
            if recipe.target_loss is not None and logs["loss"] <= recipe.target_loss:
                model.stop_training = True
            watching.on_epoch_end(number, dict(entry))
            if replicas.count > 1:
                digest = weights_digest(model, weights)
                replicas.agree({"weights": digest, "results": entry, "decision to stop": bool(model.stop_training)})
            if checkpoints is not None and replicas.is_chief:
                values = [variable.numpy() for variable in loop.variables]
                checkpoints.save(step, entries, values, stopped=bool(model.stop_training))
    watching.on_train_end(dict(entries[-1]) if entries else None)
    loop.finish()
    return history, weights_digest(model, weights)


def _values(model: keras.Model) -> list[Any]:
    """Return the model's weights as they are now; nothing is copied until they change."""
    return [weight.value.read_value() for weight in model.weights]


def _batches(
    train: Any, batch_size: int | None, seed: int, first_step: int, replicas: Replicas, num_classes: int | None
) -> Any:
    """Return what the loop takes its batches from."""
    if isinstance(train, tuple):
        return ArrayBatches(train[0], train[1], batch_size, seed)
    if isinstance(train, StoredSamples):
        size = check_streamed_size(batch_size, train)
        rows = replicas.own_rows(min(size, len(train)))
        return StreamBatches(train.batches(size, seed, first_step=first_step, rows=rows))
    return StreamBatches(train, first_step, check=lambda x, y: sound(x, y, num_classes))


def _resolve(recipe: Recipe | str, model: keras.Model) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise InputError(f"recipe must be a Recipe or the name of one; received {recipe!r}.")
    card = card_of(model)
    found = get_spec(card.name).recipe(recipe)
    for option, value in found.model_options.items():
        if card.options.get(option, get_spec(card.name).options[option]) != value:
            raise InputError(
                f"The recipe {recipe!r} of {card.name} is for a model built with {option}={value!r}. "
                f"Build it with create_model({card.name!r}, recipe={recipe!r})."
            )
    return found


def _total_steps(recipe: Recipe, given: TrainingData) -> int:
    if isinstance(given.train, tuple | StoredSamples):
        return recipe.total_steps(given.facts["num_train"])
    if recipe.steps is not None:
        return recipe.steps
    batches = int(given.train.cardinality())
    if batches <= 0:
        raise InputError(
            f"epochs={recipe.epochs} cannot be counted on a tf.data.Dataset of unknown length. Give steps instead."
        )
    assert recipe.epochs is not None
    return max(1, round(recipe.epochs * batches))


def _check_size(recipe: Recipe, given: TrainingData, total: int) -> None:
    """Refuse a slip such as 10**12 steps before anything is computed."""
    if total > _MAX_STEPS:
        raise InputError(f"The recipe makes {total} steps; at most {_MAX_STEPS} are. Give fewer steps or epochs.")
    steps = min(recipe.log_every, total)
    batch = recipe.batch_size
    if (
        isinstance(given.train, tuple)
        and batch is not None
        and batch < len(given.train[0])
        and steps * batch > _MAX_DRAWN
    ):
        raise InputError(
            f"log_every={recipe.log_every} draws the order of {steps} × {batch} samples at once; at most {_MAX_DRAWN} "
            f"are. Give log_every of at most {max(1, _MAX_DRAWN // batch)}."
        )


def _checked_callbacks(callbacks: Any) -> list[keras.callbacks.Callback]:
    if not isinstance(callbacks, list | tuple) or not all(isinstance(c, keras.callbacks.Callback) for c in callbacks):
        raise InputError(f"callbacks must be a sequence of Keras callbacks; received {callbacks!r:.80}.")
    return list(callbacks)


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Start every random layer from (seed, its number), whatever was drawn from it before."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        # Independent words, because Keras counts the second one up: consecutive ones would share their masks.
        state.assign(np.random.SeedSequence([seed, number]).generate_state(2))


def _check_saved(saved: Saved, loop: CompiledLoop, num_weights: int) -> None:
    stored = [(value.shape, value.dtype) for value in saved.values]
    if stored != [(tuple(variable.shape), np.dtype(variable.dtype)) for variable in loop.variables]:
        raise ArtifactError(
            f"The checkpoint of step {saved.step} holds other variables than this run has. Was it written by another "
            "Keras? Train again in an empty directory."
        )
    # NaN in a layer's own state and infinity in the optimiser's may do no harm; in weights they do.
    if not all(np.isfinite(value).all() for value in saved.values[:num_weights]):
        raise ArtifactError(
            f"The checkpoint of step {saved.step} holds weights that are NaN or infinite. Train again in an empty "
            "directory."
        )


def _check_augmentation(recipe: Recipe, model: keras.Model) -> None:
    if recipe.augmentation is not None and len(model.input_shape) != 3:
        raise InputError(
            f"{model.name!r} takes samples of shape {model.input_shape[1:]}, and augmentation distorts images of "
            "(height, width). Leave the recipe's augmentation out."
        )


@contextlib.contextmanager
def _closing(callbacks: Sequence[Any]) -> Iterator[None]:
    """Let callbacks that hold the terminal give it back when training ends with an error or Ctrl-C."""
    try:
        yield
    except BaseException:
        for callback in callbacks:
            if hasattr(callback, "close"):
                callback.close()
        raise
