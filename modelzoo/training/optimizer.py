"""Keras optimisers as pure functions of values, which is what a compiled loop wants."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelzoo._keras import keras
from modelzoo.errors import InputError, unknown_name
from modelzoo.recipe import Recipe

NAMES = {
    "adadelta": "Adadelta",
    "adafactor": "Adafactor",
    "adagrad": "Adagrad",
    "adam": "Adam",
    "adamax": "Adamax",
    "adamw": "AdamW",
    "ftrl": "Ftrl",
    "lamb": "Lamb",
    "lion": "Lion",
    "nadam": "Nadam",
    "rmsprop": "RMSprop",
    "sgd": "SGD",
}


def create_optimizer(recipe: Recipe, total_steps: int) -> keras.optimizers.Optimizer:
    """Return the recipe's Keras optimiser, not yet built.

    Parameters
    ----------
    recipe
        Names the optimiser, its learning rate and its options.
    total_steps
        Length of the run, over which a schedule without ``decay_steps`` decays.

    Raises
    ------
    InputError
        The optimiser, its schedule or one of its options does not exist.
    """
    if recipe.optimizer not in NAMES:
        raise unknown_name("optimizer", recipe.optimizer, NAMES)
    if recipe.optimizer_options.get("gradient_accumulation_steps") is not None:
        raise InputError("optimizer_options: gradient_accumulation_steps is not supported. Give a larger batch_size.")
    rate: Any = recipe.learning_rate
    try:
        if isinstance(rate, Mapping):
            rate = keras.optimizers.schedules.deserialize(_over(rate, total_steps))
        return getattr(keras.optimizers, NAMES[recipe.optimizer])(rate, **recipe.optimizer_options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras' {NAMES[recipe.optimizer]} refuses learning_rate={recipe.learning_rate!r} with "
            f"{dict(recipe.optimizer_options)}: {str(error).splitlines()[0]}"
        ) from error


def _over(schedule: Mapping[str, Any], total_steps: int) -> dict[str, Any]:
    """Return a schedule's configuration with the ``decay_steps`` it needs and does not have."""
    cls = getattr(keras.optimizers.schedules, str(schedule.get("class_name")), None)
    config = dict(schedule.get("config", {}))
    if cls is not None and "decay_steps" in inspect.signature(cls).parameters:
        config.setdefault("decay_steps", max(1, total_steps - config.get("warmup_steps", 0)))
    return {**schedule, "config": config}


def layer_rates(model: keras.Model, factors: Mapping[str, float]) -> list[float]:
    """Return the multiplier of the learning rate of each trainable variable, by the layer it belongs to.

    Raises
    ------
    InputError
        No layer with trainable weights has such a name.
    """
    layers = {layer.name: layer for layer in model._flatten_layers() if layer.trainable_weights and layer is not model}
    for name in factors:
        if name not in layers:
            raise unknown_name("layer with weights to train", name, layers)
    by_variable = {id(w): factors[name] for name in factors for w in layers[name].trainable_weights}
    return [by_variable.get(id(variable), 1.0) for variable in model.trainable_variables]


def averages(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return the variables in which the optimiser averages the weights, in their order; none without ``use_ema``."""
    return list(optimizer._model_variables_moving_average) if optimizer.use_ema else []


def updated(
    optimizer: keras.optimizers.Optimizer,
    state: Sequence[Any],
    gradients: Sequence[Any],
    weights: Sequence[Any],
    rates: Sequence[float] = (),
) -> tuple[list[Any], list[Any]]:
    """Return new weights and optimiser state, given their values; nothing is assigned.

    Parameters
    ----------
    optimizer
        A built Keras optimiser.
    state
        Values of ``optimizer.variables``.
    gradients, weights
        Gradients and values of the trainable variables the optimiser was built with.
    rates
        Multiplier of the learning rate of each; all 1 by default.
    """
    try:
        with _backend_agnostic(optimizer, rates):
            new_weights, new_state = optimizer.stateless_apply(list(state), list(gradients), list(weights))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras' {type(optimizer).__name__} cannot work with its options: {str(error).splitlines()[0]:.200}. "
            "Check optimizer_options and learning_rate."
        ) from error
    return list(new_weights), list(new_state)


@contextlib.contextmanager
def _backend_agnostic(optimizer: keras.optimizers.Optimizer, rates: Sequence[float]) -> Iterator[None]:
    """Give the optimiser the methods of Keras' backend-independent base class while the block traces it.

    On TensorFlow Keras overrides them with versions that assign to ``tf.Variable``s through
    ``tf.distribute``, and so switches ``stateless_apply`` off. The base versions work on values. What an optimiser
    itself overrides stays in front of both.
    """
    cls = type(optimizer)
    base = next(c for c in cls.__mro__ if c.__name__ == "BaseOptimizer")
    backend = next(c for c in cls.__mro__ if c.__name__ == "TFOptimizer")
    methods = {
        name: getattr(base, name)
        for name in vars(backend)
        if callable(getattr(base, name, None)) and not (name.startswith("__") or name == "_var_key")
    }
    agnostic = type("Agnostic", (keras.optimizers.Optimizer,), methods)
    own: dict[str, Any] = {}
    # Variables are known by the key they had when the optimiser was built, which needs a tf.Variable.
    keys = {id(variable): optimizer._var_key(variable) for variable in optimizer._trainable_variables}
    own["_var_key"] = lambda self, variable: keys[id(variable)]
    if any(rate != 1 for rate in rates):
        rate_of = dict(zip(map(id, optimizer._trainable_variables), rates, strict=True))
        own["update_step"] = lambda self, gradient, variable, learning_rate: cls.update_step(
            self, gradient, variable, learning_rate * rate_of[id(variable)]
        )
    optimizer.__class__ = type(cls.__name__, (cls, agnostic), own)
    try:
        yield
    finally:
        optimizer.__class__ = cls
