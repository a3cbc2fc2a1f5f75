"""The error of a network as a function of some of its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from modelzoo._keras import graph_function, keras, tf
from modelzoo.errors import DataError, InputError, unknown_name
from modelzoo.viz.inputs import Samples, check_count, check_items, numbers, samples_of
from modelzoo.viz.outputs import check_keras_model, input_shape_of

_ADDRESS = re.compile(r"\s*([\w/]+)\s*\[\s*(-?\d{1,9}(?:\s*,\s*-?\d{1,9})*)\s*\]\s*")


#: Steps of a descent over weights; so many take minutes.
_MAX_STEPS = 1_000_000

#: Network outputs computed at once, so that memory stays bounded.
_AT_ONCE = 1_000_000


class Address(NamedTuple):
    """Where a weight is: the number of its variable among the trainable ones, and its place in it."""

    name: str
    variable: int
    place: tuple[int, ...]


class ErrorOverWeights(NamedTuple):
    """Errors of a network at settings of some of its weights, the others as they are.

    Attributes
    ----------
    names
        Names of these weights.
    settings
        Their values, shape ``(..., len(names))``.
    errors
        Error of each sample, shape ``(..., samples)``.
    current
        The values that the network has, shape ``(len(names),)``.
    """

    names: tuple[str, ...]
    settings: np.ndarray
    errors: np.ndarray
    current: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The error summed over the samples, shape ``(...)``."""
        return self.errors.sum(axis=-1)


def _sum_of_squares(y: Any, t: Any) -> Any:
    return 0.5 * tf.reduce_sum(tf.square(y - t), axis=-1)


def _cross_entropy(y: Any, t: Any) -> Any:
    tiny = keras.backend.epsilon()
    p, q = tf.clip_by_value(y, tiny, 1.0), tf.clip_by_value(1 - y, tiny, 1.0)
    if y.shape[-1] == 1:
        return -tf.reduce_sum(t * tf.math.log(p) + (1 - t) * tf.math.log(q), axis=-1)
    return -tf.reduce_sum(t * tf.math.log(p), axis=-1)


_ERRORS: dict[str, Callable[[Any, Any], Any]] = {"sum_of_squares": _sum_of_squares, "cross_entropy": _cross_entropy}


def find_weights(model: Any, weights: Any) -> list[Address]:
    """Return name, number of the variable and index of each addressed weight."""
    check_keras_model(model)
    if isinstance(weights, str):
        weights = [weights]
    if not isinstance(weights, Mapping):
        weights = {str(item): item for item in check_items(weights, "weights", "addresses, such as 'layer/bias[0]'")}
    if not weights:
        raise InputError("weights are none. Give at least one address, such as 'layer/bias[0]'.")
    variables = {"/".join(variable.path.split("/")[-2:]): i for i, variable in enumerate(model.trainable_variables)}
    found = []
    for name, address in weights.items():
        match = _ADDRESS.fullmatch(str(address))
        if not match:
            raise InputError(f"A weight is given as 'layer/kernel[0, 0]' or 'layer/bias[0]'; received {address!r}.")
        if match[1] not in variables:
            raise unknown_name("weights", match[1], variables)
        index = tuple(int(number) for number in match[2].split(","))
        shape = tuple(model.trainable_variables[variables[match[1]]].shape)
        if len(index) != len(shape) or any(not 0 <= i < n for i, n in zip(index, shape, strict=True)):
            raise InputError(f"{match[1]} has shape {shape}, so it has no weight {list(index)}. Count from 0.")
        found.append(Address(str(name), variables[match[1]], index))
    return found


def _targets(model: Any, found: Samples) -> np.ndarray:
    """Return the labels in the form of the outputs: 0 and 1 for one output, else one-hot rows."""
    outputs = model.output_shape[-1]
    if len(model.output_shape) != 2:
        raise InputError(f"{model.name!r} has outputs of shape {model.output_shape}. The error is that of classifiers.")
    if found.labels.max() >= max(outputs, 2):
        raise DataError(f"Label {found.labels.max()} is too large for a network with {outputs} output(s).")
    return found.labels[:, None].astype("float32") if outputs == 1 else np.eye(outputs, dtype="float32")[found.labels]


def error_over_weights(
    model: Any,
    data: Any,
    weights: Mapping[str, str] | Sequence[str] | str,
    settings: Any,
    *,
    error: str = "sum_of_squares",
    split: str = "train",
) -> ErrorOverWeights:
    """Compute a classifier's error at settings of some weights; the model itself is not changed.

    Parameters
    ----------
    model
        A Keras model with outputs ``(batch, 1)`` or ``(batch, num_classes)``.
    data
        A data set or ``(x, y)``.
    weights
        Which weights, as ``"layer/kernel[0, 0]"`` or ``"layer/bias[0]"``; a mapping gives them names,
        ``{"w1": "logits/kernel[0, 0]"}``.
    settings
        Their values, shape ``(..., number of weights)``.
    error
        ``"sum_of_squares"``, ½ (y − t)² summed over the outputs, or ``"cross_entropy"`` in nats.
    split
        Which part of a data set, ``"train"`` or ``"test"``.

    Raises
    ------
    InputError
        A weight does not exist, or an argument is not usable.
    DataError
        The data do not fit the model.
    """
    chosen, errors = _prepare(model, data, weights, error, split)
    values = numbers(settings, "settings").astype("float32")
    if values.shape[-1:] != (len(chosen),) or not values.size:
        raise InputError(
            f"settings has shape {values.shape}; it must be (..., {len(chosen)}), one value a weight, and not empty."
        )
    many = graph_function(lambda several: tf.vectorized_map(errors, several), reduce_retracing=True)
    flat = values.reshape(-1, len(chosen))
    size = max(1, _AT_ONCE // len(samples_of(data, split=split).x))
    parts = [many(tf.constant(flat[i : i + size])).numpy() for i in range(0, len(flat), size)]
    return ErrorOverWeights(
        tuple(name for name, *_ in chosen),
        values.astype(float),
        np.concatenate(parts).astype(float).reshape(*values.shape[:-1], -1),
        current_values(model, chosen),
    )


def _prepare(model: Any, data: Any, weights: Any, error: str, split: str) -> tuple[list[Address], Callable[[Any], Any]]:
    """Return the addressed weights, and the function from their values ``(weights,)`` to errors ``(samples,)``."""
    chosen = find_weights(model, weights)
    if not isinstance(error, str) or error not in _ERRORS:
        raise unknown_name("error", error, _ERRORS)
    found = samples_of(data, split=split)
    if input_shape_of(model) != found.x.shape[1:]:
        raise DataError(f"{model.name!r} takes samples of shape {input_shape_of(model)}; received {found.x.shape[1:]}.")
    x, t = tf.constant(found.x.astype("float32")), tf.constant(_targets(model, found))
    base = [tf.constant(variable.numpy()) for variable in model.trainable_variables]
    frozen = [tf.constant(variable.numpy()) for variable in model.non_trainable_variables]

    def errors(setting: Any) -> Any:
        values = list(base)
        for k, (_, i, index) in enumerate(chosen):
            values[i] = tf.tensor_scatter_nd_update(values[i], [index], setting[k : k + 1])
        outputs, _ = model.stateless_call(values, frozen, x, training=False)
        return _ERRORS[error](outputs, t)

    return chosen, errors


def current_values(model: Any, chosen: list[Address]) -> np.ndarray:
    """Return the values that addressed weights have, shape ``(weights,)``."""
    return np.array([float(model.trainable_variables[i].numpy()[index]) for _, i, index in chosen])


def descend_weights(
    model: Any,
    data: Any,
    weights: Mapping[str, str] | Sequence[str] | str,
    *,
    steps: int,
    start: Sequence[float] | None = None,
    optimizer: Any = "sgd",
    error: str = "sum_of_squares",
    split: str = "train",
) -> np.ndarray:
    """Let an optimiser move some weights only, on the error summed over all samples; the model is not changed.

    Its path lies on the surface that :func:`plot_error_surface` draws.

    Parameters
    ----------
    model, data, weights, error, split
        As for :func:`error_over_weights`.
    steps
        Number of steps, at least 1.
    start
        Where the weights start, one number each; where the model has them by default.
    optimizer
        A Keras optimiser that is not used elsewhere, or the name of one.

    Returns
    -------
    numpy.ndarray
        The values on the way, shape ``(steps + 1, number of weights)``.

    Raises
    ------
    InputError
        A weight does not exist, or an argument is not usable.
    DataError
        The data do not fit the model, or the descent diverges.
    """
    chosen, errors = _prepare(model, data, weights, error, split)
    first = current_values(model, chosen) if start is None else numbers(start, "start").astype(float)
    if first.shape != (len(chosen),):
        raise InputError(f"start has shape {first.shape}; it must be {len(chosen)} numbers, one a weight.")
    steps = check_count(steps, "steps", maximum=_MAX_STEPS)
    try:
        instance = keras.optimizers.get(optimizer)
        if not isinstance(instance, keras.optimizers.Optimizer):
            raise TypeError
    except (ValueError, TypeError, KeyError) as problem:
        raise InputError(f"optimizer must be a Keras optimiser or its name; received {optimizer!r:.80}.") from problem
    moving = keras.Variable(first.astype("float32"), name="weights")
    instance.build([moving])

    def step() -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(errors(tf.convert_to_tensor(moving.value)))
        instance.apply([tape.gradient(total, moving.value)])
        return tf.convert_to_tensor(moving.value)

    compiled = graph_function(step)
    path = np.stack([first, *(compiled().numpy() for _ in range(steps))])
    if not np.isfinite(path).all():
        at = int(np.isfinite(path).all(axis=1).argmin())
        raise DataError(f"The weights became {path[at].tolist()} in step {at}. Give a lower learning rate.")
    return path


def record_weights(model: Any, weights: Mapping[str, str] | Sequence[str]) -> keras.callbacks.Callback:
    """Return a Keras callback that records some weights in training, for the trace on an error surface.

    Its attribute ``recorded`` is a list of values: one row when training begins and one at each log entry (each epoch
    with ``fit``). With ``recipe.replace(log_every=1)`` that is one a step.

    Parameters
    ----------
    model
        The model to be trained.
    weights
        As for :func:`error_over_weights`.

    Raises
    ------
    InputError
        A weight does not exist.
    """
    chosen = find_weights(model, weights)
    recorded: list[list[float]] = []

    def record(*_: Any) -> None:
        recorded.append(current_values(model, chosen).tolist())

    callback = keras.callbacks.LambdaCallback(on_train_begin=record, on_epoch_end=record)
    callback.recorded = recorded
    return callback
