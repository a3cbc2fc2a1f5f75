"""Keras optimisers as pure functions of values, which is what a compiled loop wants."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from modelzoo.errors import InputError, unknown_name
from modelzoo.frameworks import keras
from modelzoo.spec import Recipe

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


def create_optimizer(recipe: Recipe) -> keras.optimizers.Optimizer:
    """Return the recipe's Keras optimiser, not yet built.

    Raises
    ------
    InputError
        The optimiser, its schedule or one of its options does not exist.
    """
    if recipe.optimizer not in NAMES:
        raise unknown_name("optimizer", recipe.optimizer, NAMES)
    rate: Any = recipe.learning_rate
    try:
        if isinstance(rate, Mapping):
            rate = keras.optimizers.schedules.deserialize(dict(rate))
        return getattr(keras.optimizers, NAMES[recipe.optimizer])(rate, **recipe.optimizer_options)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"Keras' {NAMES[recipe.optimizer]} refuses learning_rate={recipe.learning_rate!r} with "
            f"{dict(recipe.optimizer_options)}: {str(error).splitlines()[0]}"
        ) from error


def updated(
    optimizer: keras.optimizers.Optimizer, state: Sequence[Any], gradients: Sequence[Any], weights: Sequence[Any]
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
    """
    with _backend_agnostic(optimizer):
        new_weights, new_state = optimizer.stateless_apply(list(state), list(gradients), list(weights))
    return list(new_weights), list(new_state)


@contextlib.contextmanager
def _backend_agnostic(optimizer: keras.optimizers.Optimizer) -> Iterator[None]:
    """Give the optimiser the methods of Keras' backend-independent base class while the block traces it.

    On TensorFlow Keras overrides them with versions that assign to ``tf.Variable``s through
    ``tf.distribute``, and so switches ``stateless_apply`` off. The base versions work on values.
    """
    cls = type(optimizer)
    base = next(c for c in cls.__mro__ if c.__name__ == "BaseOptimizer")
    backend = next(c for c in cls.__mro__ if c.__name__ == "TFOptimizer")
    methods = {
        name: getattr(base, name)
        for name in vars(backend)
        if callable(getattr(base, name, None)) and not (name.startswith("__") or name == "_var_key")
    }
    # Variables are known by the key they had when the optimiser was built, which needs a tf.Variable.
    keys = {id(variable): optimizer._var_key(variable) for variable in optimizer._trainable_variables}
    methods["_var_key"] = lambda self, variable: keys[id(variable)]
    optimizer.__class__ = type(cls.__name__, (cls,), methods)
    try:
        yield
    finally:
        optimizer.__class__ = cls
