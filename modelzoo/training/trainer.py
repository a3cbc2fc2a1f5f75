"""``train``: from a model, data, a recipe and a seed to trained weights and a history."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelzoo._checks import check_flag, check_path, check_seed
from modelzoo._keras import given_seed, is_tf_data, keras, tf
from modelzoo.card import describe_machine, set_card, weights_digest
from modelzoo.classes import num_classes
from modelzoo.datasets import StoredSamples
from modelzoo.errors import ArtifactError, InputError, ModelZooError
from modelzoo.network import read_network, with_paths
from modelzoo.recipe import Recipe, check_fields
from modelzoo.registry import card_for, changed_options, spec_of
from modelzoo.training.calibration import calibrate, check_calibration
from modelzoo.training.checkpoints import Checkpoints, Saved
from modelzoo.training.data import (
    TrainingData,
    check_model,
    explain_failure,
    training_batches,
    training_data,
    weigh_classes,
)
from modelzoo.training.distribution import Replicas, check_layers
from modelzoo.training.loop import CompiledLoop
from modelzoo.training.objective import Objective, evaluation
from modelzoo.training.optimizers import create_optimizer, scale_rates, schedule_length

logger = logging.getLogger(__name__)


class DivergedError(ModelZooError, ArithmeticError):
    """The loss became NaN or infinite."""


def train(
    model: keras.Model,
    data: Any,
    recipe: Recipe | str = "lesson",
    *,
    seed: int | None = None,
    validation_data: Any = None,
    sample_weight: Any = None,
    strategy: tf.distribute.Strategy | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    checkpoint_dir: str | os.PathLike[str] | None = None,
    resume: bool = False,
    **changes: Any,
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
        Seed of the sample order and of dropout; initial weights are the builder's (``create_model(seed=…)``). ``None``
        is the seed of ``keras.utils.set_random_seed`` where that was called, and 0 otherwise.
    validation_data
        ``(x, y)`` or a ``tf.data.Dataset`` to evaluate on, in the place of the validation part of ``data`` and of
        what the recipe holds out.
    sample_weight
        Factor of the training loss of each sample, shape ``(n,)``, for data in arrays; a ``tf.data.Dataset`` may give
        (samples, labels, weights) batches.
    strategy
        ``tf.distribute.MirroredStrategy`` or ``MultiWorkerMirroredStrategy``: its devices share each batch of
        ``batch_size`` samples, and the result is that of one device but for the order of summation. Build the
        model as always, with the same ``seed`` on every worker; no ``strategy.scope()`` is needed. Every worker needs
        the same data (a ``tf.data.Dataset``: the same batches in the same order), reads its share of a stream's
        batches, and evaluates all of the validation or test data.
    callbacks
        Keras callbacks, on every worker. ``EarlyStopping``, ``ModelCheckpoint``, ``CSVLogger``, ``TensorBoard``,
        ``ReduceLROnPlateau`` and ``LearningRateScheduler`` work as with ``fit``; their methods for single batches are
        not called, because Python does not run between these, and their state is not in a checkpoint.
    checkpoint_dir
        Where to keep checkpoints, one at each log entry; the last two stay. Of several workers the chief writes them,
        and to resume all read them, so the directory must be one that they share.
    resume
        Go on from the newest checkpoint in ``checkpoint_dir``, or start if it holds none. More steps than the run had
        extend it, unless its learning rate falls along a schedule over the whole run.
    **changes
        Fields of the recipe to change, such as ``epochs=3`` or ``class_weight="balanced"``.

    Returns
    -------
    keras.callbacks.History
        ``history.history`` maps each name to its values; ``"step"`` are the steps of the training metrics,
        ``"val_step"`` or ``"test_step"`` those of the evaluations.

    Raises
    ------
    TargetExistsError
        ``checkpoint_dir`` holds checkpoints and ``resume`` is false, or another process trains into it.
    ArtifactError
        The checkpoint to resume from is damaged or belongs to another run.
    DivergedError
        The loss became NaN or infinite; the last checkpoint is from before that.
    WorkerLostError
        Another worker stopped or cannot be reached.
    """
    check_model(model)
    recipe = _resolved(recipe, model, changes)
    seed = given_seed() if seed is None else check_seed(seed)
    if not isinstance(callbacks, list | tuple) or not all(isinstance(c, keras.callbacks.Callback) for c in callbacks):
        raise InputError(f"callbacks must be a sequence of Keras callbacks; got {callbacks!r:.80}.")
    if check_flag("resume", resume) and checkpoint_dir is None:
        raise InputError("resume=True needs checkpoint_dir, the directory that holds the checkpoints.")
    replicas = Replicas(strategy)
    if replicas.count > 1:
        check_layers(model)

    if not model.trainable_weights:
        raise InputError(f"Every layer of {model.name!r} is frozen. Set layer.trainable = True where it shall train.")
    given = training_data(
        data,
        validation_data,
        model,
        reconstruct=recipe.reconstruct,
        hold_out=recipe.validation_size,
        sample_weight=sample_weight,
    )
    if given.held_out != recipe.validation_size:  # validation data were given, as card and checkpoints shall say
        recipe = recipe.replace(validation_size=0)
    if recipe.calibrate and given.validation is None:
        raise InputError("calibrate=True needs validation data. Give validation_data, or set validation_size.")
    recipe, class_weights = weigh_classes(recipe, given)
    total, card = given.total_steps(recipe), card_for(model)
    identity = _identity(model, recipe, seed, total)
    identity |= {"data": given.identity, "sample weights": given.facts.get("sample_weight")}

    with contextlib.ExitStack() as stack:
        checkpoints, saved = None, None
        if checkpoint_dir is not None:  # before the model changes: a checkpoint may be refused
            checkpoints = Checkpoints(check_path(checkpoint_dir, "a directory for checkpoints"), identity)
            if replicas.is_chief:
                stack.enter_context(checkpoints.claimed())
            saved = checkpoints.start(resume=resume)
        first_step = saved.step if saved else 0
        if first_step > total:
            raise InputError(
                f"The run in {checkpoint_dir} has made {first_step} steps, more than the {total} asked for. Ask for "
                "more, or choose another directory."
            )

        objective = Objective(model, recipe, class_weights)
        optimizer = create_optimizer(recipe, total)
        optimizer.build(model.trainable_variables)
        scale_rates(optimizer, model, recipe.layer_learning_rates)
        classes = None if recipe.reconstruct else num_classes(model)
        batches = training_batches(given, recipe.batch_size, seed, first_step, replicas.own_rows, classes)
        loop = CompiledLoop(objective, optimizer, batches, recipe, seed, replicas)
        if recipe.calibrate:
            check_calibration(objective)
        if saved:
            _check_saved(saved, loop, len(model.trainable_variables))
        objective.compile_for_keras(optimizer)
        _seed_layers(model, seed)
        start, machine = weights_digest(model), describe_machine()
        if saved:
            loop.restore(saved.values)
            logger.info("Resuming %s at step %d of %d.", model.name, first_step, total)
        went_on = bool(saved) and weights_digest(model) == start  # from where this very model was left
        if saved and recipe.calibrate and card.training:  # the checkpoint has the weights before their calibration
            went_on = (card.training["weights_digest"], card.training["steps"]) == (start, first_step)

        for callback in callbacks:  # one that holds the terminal gives it back, also after an error or Ctrl-C
            if hasattr(callback, "close"):
                stack.callback(callback.close)
        stack.enter_context(replicas.watched(checkpoint_dir))
        stack.enter_context(StoredSamples.watched())
        versions = {name: machine[name] for name in ("modelzoo", "tensorflow", "keras", "numpy")}
        replicas.agree({**identity, "steps": total, "initial weights": start, "checkpoint": first_step, **versions})
        began = time.perf_counter()
        history, digest, temperature = _run(
            objective, loop, recipe, given, total, saved, callbacks, checkpoints, replicas
        )
        loop.finish()

    seconds = None if saved else round(time.perf_counter() - began, 2)
    if replicas.count > 1:
        machine["replicas"] = replicas.count
    origin = None if went_on else start
    ran = {"seconds": seconds, "machine": machine} | ({"temperature": temperature} if temperature else {})
    _record(model, recipe, seed, given, history, start=origin, end=digest, ran=ran)
    return history


def _identity(model: keras.Model, recipe: Recipe, seed: int, total: int) -> dict[str, Any]:
    """Return what, besides the data, makes a run the same when it is resumed; its length may grow."""
    card, weights, trained = card_for(model), with_paths(model), {id(weight) for weight in model.trainable_weights}
    own = {"name": model.name, "weights": [[path, *weight.shape] for path, weight in weights]}
    length = ("steps", "epochs", "source")
    return {
        "model": {"name": card.builder, **card.options} if card.builder else own,
        "trainable weights": [path for path, weight in weights if id(weight) in trained],
        "parent": card.parent and card.parent["weights_digest"],
        "recipe": {name: value for name, value in recipe.to_dict().items() if name not in length},
        "seed": seed,
        "steps of the learning rate's schedule": schedule_length(recipe, total),
    }


def _run(
    objective: Objective,
    loop: CompiledLoop,
    recipe: Recipe,
    given: TrainingData,
    total: int,
    saved: Saved | None,
    callbacks: Sequence[keras.callbacks.Callback],
    checkpoints: Checkpoints | None,
    replicas: Replicas,
) -> tuple[keras.callbacks.History, str, float | None]:
    """Train; return the history, the digest of the weights its last entry was taken with, and the temperature."""
    model, history = objective.model, keras.callbacks.History()
    part, evaluated = given.evaluated
    evaluate = None if evaluated is None else evaluation(objective, evaluated, part, jit=loop.is_xla)
    evaluate_train = None
    if recipe.log_train == "all" and isinstance(given.train, tuple):  # a stream may never end
        evaluate_train = evaluation(objective, given.train, jit=loop.is_xla)
    entries: list[dict[str, float]] = list(saved.history) if saved else []
    step = saved.step if saved else 0
    params = {"epochs": math.ceil(total / recipe.log_every), "steps": total, "first_step": step, "verbose": 0}
    watching = keras.callbacks.CallbackList([*callbacks, history], model=model, **params)
    model.stop_training = bool(saved and saved.stopped and (saved.total is None or total <= saved.total))
    if model.stop_training:
        logger.warning(
            "No step is made: the run was stopped at step %d. Ask for more than %s steps to go on.",
            step,
            (saved and saved.total) or total,
        )
    weights = _values(model)
    watching.on_train_begin()
    for number, entry in enumerate(entries):
        history.on_epoch_end(number, entry)
    while step < total and not model.stop_training:
        number = len(entries)
        num_steps = min(recipe.log_every - step % recipe.log_every, total - step)
        watching.on_epoch_begin(number)
        weights = []  # an update copies a variable whose value is held elsewhere
        try:
            logs = loop.run(step, num_steps)
        except tf.errors.OpError as error:
            if is_tf_data(given.train) and replicas.count == 1:
                explain_failure(given.train.take(step + num_steps), model, error)
            raise
        weights = _values(model)
        if not math.isfinite(logs["loss"]):
            raise DivergedError(
                f"The loss became {logs['loss']} between steps {step} and {step + num_steps}. Lower the learning "
                f"rate ({recipe.learning_rate!r} now) or check the data's scale."
                + (f" The last good checkpoint is in {checkpoints.directory}." if checkpoints and step else "")
            )
        step += num_steps
        if evaluate_train is not None:
            logs = evaluate_train()
        entry = {"step": step, **logs}
        if evaluate is not None and (step == total or (number + 1) % recipe.validation_freq == 0):
            entry |= evaluate() | {f"{part}_step": step}
        entries.append(entry)
        if recipe.target_loss is not None and logs["loss"] <= recipe.target_loss:
            model.stop_training = True
        watching.on_epoch_end(number, dict(entry))
        stopped = bool(model.stop_training)
        if replicas.count > 1:
            replicas.agree({"weights": weights_digest(model, weights), "results": entry, "decision to stop": stopped})
        if checkpoints is not None and replicas.is_chief:
            values = [variable.numpy() for variable in loop.variables]
            checkpoints.save(step, entries, values, stopped=stopped, total=total)
    watching.on_train_end(dict(entries[-1]) if entries else None)
    digest, temperature = weights_digest(model, weights), None
    if recipe.calibrate and evaluate is not None and history.epoch:
        temperature, digest = calibrate(objective, given.validation, evaluate, history, digest)
    return history, digest, temperature


def _values(model: keras.Model) -> list[Any]:
    """Return the model's weights as they are now; nothing is copied until they change."""
    return [weight.value.read_value() for weight in model.weights]


def _resolved(recipe: Recipe | str, model: keras.Model, changes: Mapping[str, Any]) -> Recipe:
    """Return the recipe that ``train`` was given, or the model's of that name, with the changes."""
    if isinstance(recipe, str):
        name, spec = recipe, spec_of(model)
        if spec is None:
            raise InputError(f"No builder declares recipes for {model.name!r}; got recipe={name!r}. Give a Recipe.")
        recipe = spec.recipe(name)
        wanted = recipe.model_options
        for option in changed_options(spec.name, wanted, {**spec.options, **card_for(model).options}):
            raise InputError(
                f"The recipe {name!r} of {spec.name} is for a model built with {option}={wanted[option]!r}. "
                f"Build it with create_model({spec.name!r}, recipe={name!r})."
            )
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe must be a Recipe or the name of one; got {recipe!r}.")
    beside = inspect.signature(train).parameters.keys() - {"changes"}
    check_fields("argument of train", Recipe, changes, beside=beside)
    recipe = recipe.replace(**changes)
    network = read_network(model)
    if network.squashes and not network.gives_probabilities:  # a softmax of one unit, or sigmoids of several
        if network.output.output_shape[-1:] == (1,):
            raise InputError(
                f"{model.name!r} ends in a softmax of one unit, which is 1 whatever it sees. End in a sigmoid of one "
                "unit, or in a softmax with a unit for each class."
            )
        if recipe.loss.endswith("categorical_crossentropy"):
            raise InputError(
                f"{model.name!r} ends in {model.output_shape[-1]} sigmoids, which are no probabilities of classes, as "
                f"the loss {recipe.loss!r} wants them. End in a softmax, or in one sigmoid for two classes."
            )
    if recipe.augmentation is not None and len(model.input_shape) != 3:
        raise InputError(
            f"{model.name!r} takes samples of shape {model.input_shape[1:]}, and augmentation distorts images of "
            "(height, width). Leave the recipe's augmentation out."
        )
    return recipe


def _seed_layers(model: keras.Model, seed: int) -> None:
    """Start every random layer from (seed, its number), whatever was drawn from it before."""
    states = [v for v in model.non_trainable_variables if v.path.endswith("seed_generator_state")]
    for number, state in enumerate(states):
        # Keras increments the second seed word; adjacent seeds would repeat masks.
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
            f"The checkpoint of step {saved.step} holds weights that are NaN or infinite. Train in an empty directory."
        )


def _record(
    model: keras.Model,
    recipe: Recipe,
    seed: int,
    given: TrainingData,
    history: keras.callbacks.History,
    *,
    start: str | None,
    end: str,
    ran: Mapping[str, Any],
) -> None:
    """Put a training into the model's card.

    ``start`` and ``end`` are digests of the weights before the first step, ``None`` where this model's own last run was
    resumed, and at the last entry of the history; ``ran`` are further facts: the machine, the seconds that it took if
    the run was not resumed, the temperature of a calibration.
    """
    card = card_for(model)
    # Training went on from trained weights, or from ones put there by other means: recipe and seed alone do not give
    # the result.
    if start is not None and (card.training is not None or start != card.weights_digest):
        card = dataclasses.replace(card, parent=card.as_parent(start))
    values = history.history
    if "step" in values:  # no callback stopped training before it began
        spec = spec_of(model)
        names = [name for name, known in (spec.recipes.items() if spec else ()) if known == recipe]
        now = weights_digest(model)
        training = {
            "recipe_name": names[0] if names else None,
            "recipe": recipe.to_dict(),
            "seed": seed,
            "steps": int(values["step"][-1]),
            "dataset": dict(given.facts),
            # A callback may have put earlier weights back, which the last entry does not describe.
            "metrics": {n: _finite(v[-1]) for n, v in values.items() if not n.endswith("step")} if now == end else None,
            **ran,
            "history": {name: [_short(name, value) for value in series] for name, series in values.items()},
            "weights_digest": now,
        }
        card = dataclasses.replace(
            card,
            training=training,
            class_names=given.class_names,
            preparation=given.preparation,
            weights_digest=now,
        )
    set_card(model, card)


def _short(name: str, value: float) -> float | None:
    """Return a value of a learning curve as a card holds it."""
    return int(value) if name.endswith("step") else _finite(float(f"{value:.6g}"))


def _finite(value: float) -> float | None:
    """Return a value as JSON can hold it; a validation loss may be infinite where the training loss is not."""
    return float(value) if math.isfinite(value) else None
