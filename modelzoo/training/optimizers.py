"""Keras optimisers by the names and options of recipes."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from modelzoo._checks import check_choice
from modelzoo._keras import all_layers, keras
from modelzoo.errors import InputError
from modelzoo.recipe import Recipe

_CLASSES = ["Adadelta", "Adafactor", "Adagrad", "Adam", "Adamax", "AdamW"]
_CLASSES += ["Ftrl", "Lamb", "Lion", "Nadam", "RMSprop", "SGD"]
#: Keras' classes by the names that recipes have for them.
NAMES = {name.lower(): name for name in _CLASSES}


def create_optimizer(recipe: Recipe, total_steps: int) -> keras.optimizers.Optimizer:
    """Return the recipe's Keras optimiser, not yet built.

    ``total_steps`` is the length of the run, over which a schedule without ``decay_steps`` decays.
    """
    kind = NAMES[check_choice("optimizer", recipe.optimizer, NAMES)]
    if recipe.optimizer_options.get("gradient_accumulation_steps") is not None:
        raise InputError("optimizer_options: gradient_accumulation_steps is not supported. Give a larger batch_size.")
    rate: Any = recipe.learning_rate
    try:
        if isinstance(rate, Mapping):
            rate = keras.optimizers.schedules.deserialize(_over(rate, total_steps))
        return getattr(keras.optimizers, kind)(rate, **recipe.optimizer_options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras' {kind} refuses learning_rate={recipe.learning_rate!r} with {dict(recipe.optimizer_options)}: "
            f"{str(error).splitlines()[0]}"
        ) from error


def schedule_length(recipe: Recipe, total_steps: int) -> int | None:
    """Return the steps of a schedule that takes them from the length of the run; ``None`` for any other rate."""
    rate = recipe.learning_rate
    if not isinstance(rate, Mapping) or rate.get("config", {}).get("decay_steps") is not None:
        return None
    return _over(rate, total_steps)["config"].get("decay_steps")


def _over(schedule: Mapping[str, Any], total_steps: int) -> dict[str, Any]:
    """Return a schedule's configuration with the ``decay_steps`` it needs and does not have."""
    cls = getattr(keras.optimizers.schedules, str(schedule.get("class_name")), None)
    config = dict(schedule.get("config", {}))
    if cls is not None and "decay_steps" in inspect.signature(cls).parameters:
        config.setdefault("decay_steps", max(1, total_steps - config.get("warmup_steps", 0)))
    return {**schedule, "config": config}


def scale_rates(optimizer: keras.optimizers.Optimizer, model: keras.Model, factors: Mapping[str, float]) -> None:
    """Multiply the learning rate of single layers' weights.

    The optimiser's own update of a weight gets the multiplied rate. Weight decay, which Keras applies before that
    update, is not multiplied, and averages are those of the weights as updated: ``w + factor · (w' - w)`` after the
    update would change both.

    Parameters
    ----------
    optimizer
        An optimiser, built on the model's trainable variables.
    model
        The model.
    factors
        Multipliers by the names of layers.
    """
    layers = {layer.name: layer for layer in all_layers(model) if layer.trainable_weights}
    factor_of: dict[int, float] = {}
    for name, factor in factors.items():
        layer = layers[check_choice("layer with weights to train", name, layers)]
        factor_of |= {id(weight.value): factor for weight in layer.trainable_weights}
    if factor_of:
        update = optimizer.update_step
        optimizer.update_step = lambda gradient, variable, learning_rate: update(
            gradient, variable, learning_rate * factor_of.get(id(variable), 1.0)
        )


def averages(optimizer: keras.optimizers.Optimizer) -> list[keras.Variable]:
    """Return the variables in which the optimiser averages the weights, in their order; none without ``use_ema``."""
    return [v for v in optimizer.variables if v.path.endswith("_average")] if optimizer.use_ema else []
