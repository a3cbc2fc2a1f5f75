"""What models answer, in one form: any Keras model or function in, arrays or probabilities out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from modelzoo._keras import inference_function, keras, tf
from modelzoo.errors import DataError, InputError, unknown_name
from modelzoo.viz.inputs import BATCH, Samples, check_names, integer_labels, numbers, samples_of


def is_keras_model(model: Any) -> bool:
    """Return whether ``model`` is a Keras model, without importing Keras where nobody has yet."""
    return "keras" in sys.modules and isinstance(model, keras.Model)


def outputs_of(model: Any, x: np.ndarray, *, batch: int | None = None, name: str = "model") -> np.ndarray:
    """Return a model's outputs for samples in inference mode.

    Parameters
    ----------
    model
        A Keras model, or anything that maps an array to an array.
    x
        Samples, shape ``(n, ...)``.
    batch
        Samples a call; all at once by default.
    name
        What to call the model in an error.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, ...)``.

    Raises
    ------
    InputError
        ``model`` cannot be called.
    DataError
        The samples do not fit the model, or its outputs are not one finite row a sample.
    """
    if is_keras_model(model):
        check_keras_model(model)
        shape = getattr(model, "input_shape", None)
        if isinstance(shape, list | dict):
            raise InputError(f"{name} {model.name!r} takes {len(shape)} inputs. Figures are for models with one Input.")
        call = _compiled(model)
        if isinstance(shape, tuple) and (
            len(shape) != x.ndim or any(a not in (None, b) for a, b in zip(shape, x.shape, strict=True))
        ):
            raise DataError(f"{name} {model.name!r} takes samples of shape {shape[1:]}; received {x.shape[1:]}.")
    elif callable(model) and not isinstance(model, type):
        call = model
    else:
        raise InputError(f"{name} must be a Keras model or a function of arrays; received {type(model).__name__}.")
    if not len(x):
        raise DataError(f"{name} got no samples: shape {x.shape}. Give at least one.")
    size = batch or len(x)
    parts = [np.asarray(call(x[i : i + size].astype("float32"))) for i in range(0, len(x), size)]
    if any(part.ndim < 1 or len(part) != min(size, len(x) - i * size) for i, part in enumerate(parts)):
        raise DataError(f"{name} returned {parts[0].shape} for {x[:size].shape}. It must return one row a sample.")
    return numbers(np.concatenate(parts), f"outputs of the {name}")


def _compiled(model: keras.Model) -> Callable[[np.ndarray], Any]:
    """Return the model's compiled forward pass, from arrays to float32 arrays."""
    function = inference_function(model)

    def call(x: np.ndarray) -> Any:
        outputs = function(tf.constant(x))
        if isinstance(outputs, list | tuple | dict):
            raise InputError(f"model {model.name!r} has {len(outputs)} outputs. A figure takes one: pick a submodel.")
        return tf.cast(outputs, tf.float32)

    return call


def tapped(model: Any, layers: str | Sequence[str] | None) -> Any:
    """Return the model that ends at a layer of a Keras model, or at several, given by name.

    Raises
    ------
    InputError
        There is no such layer, or the model's layers cannot be tapped.
    """
    by_name: dict[Any, Any] = {layer.name: layer for layer in model.layers}
    names = list(layers) if isinstance(layers, list | tuple) else [layers]
    for name in names:
        if not isinstance(name, str) or name not in by_name:
            raise unknown_name("layer", name, by_name)
    try:
        ends = [by_name[name].output for name in names]
        return keras.Model(model.inputs, ends if isinstance(layers, list | tuple) else ends[0])
    except (AttributeError, ValueError) as error:
        raise InputError(f"The layers of {model.name!r} cannot be tapped: {str(error).splitlines()[0]}") from error


def probabilities_of(outputs: Any, *, from_logits: bool = False) -> np.ndarray:
    """Return a classifier's outputs as probabilities, one column a class.

    Parameters
    ----------
    outputs
        Shape ``(n,)`` or ``(n, 1)``, the output of class 1 of two, or ``(n, num_classes)``.
    from_logits
        The outputs are logits, not probabilities.

    Returns
    -------
    numpy.ndarray
        Shape ``(n, num_classes)``, at least two columns.

    Raises
    ------
    DataError
        The outputs are not what a classifier gives.
    """
    p = numbers(outputs, "outputs").astype(float)
    p = p[:, None] if p.ndim == 1 else p
    if p.ndim != 2 or not p.size:
        raise DataError(f"A classifier gives outputs of shape (n, num_classes) or (n, 1); received {p.shape}.")
    if from_logits:
        z = np.column_stack([np.zeros(len(p)), p[:, 0]]) if p.shape[1] == 1 else p
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)
    if p.shape[1] == 1:
        p = np.column_stack([1 - p[:, 0], p[:, 0]])
    if p.min() < -1e-4 or p.max() > 1 + 1e-4 or np.abs(p.sum(axis=1) - 1).max() > 1e-3:
        raise DataError(
            f"The outputs are not probabilities: they go from {p.min():.3g} to {p.max():.3g}, a row sums to "
            f"{p[0].sum():.3g}. If they are logits, say from_logits=True."
        )
    return p


def classifier_of(model: Any, x: np.ndarray | None, *, from_logits: bool = False) -> np.ndarray:
    """Return the probabilities that ``model`` gives to ``x``; an array is taken for its outputs."""
    if is_keras_model(model) or callable(model):
        if x is None:
            raise DataError("Give the samples too: a Dataset, or (x, y).")
        return probabilities_of(outputs_of(model, x, batch=BATCH), from_logits=from_logits)
    return probabilities_of(model, from_logits=from_logits)


def scored(
    model: Any, data: Any, *, split: str, class_names: Sequence[str] = (), from_logits: bool = False
) -> tuple[Samples, np.ndarray]:
    """Return labelled samples and the probabilities of their classes.

    Parameters
    ----------
    model
        A model, or its outputs for the samples: ``(n, num_classes)`` or ``(n, 1)``.
    data
        As for :func:`samples_of`; with outputs in the place of the model, the labels alone will do.
    split, class_names, from_logits
        As for :func:`samples_of` and :func:`probabilities_of`.

    Raises
    ------
    DataError
        Outputs and labels do not fit together.
    """
    labels_alone = not (is_keras_model(model) or callable(model) or hasattr(data, "x_test") or isinstance(data, tuple))
    if labels_alone:
        labels = np.atleast_1d(numbers(data, "labels"))
        y = integer_labels(labels, len(labels))
        found = Samples(np.empty((len(y), 0)), y, check_names(class_names, "class_names"))
    else:
        found = samples_of(data, split=split, class_names=class_names)
    p = classifier_of(model, None if labels_alone else found.x, from_logits=from_logits)
    names = found.class_names
    if len(names) < p.shape[1] and not class_names and not hasattr(data, "class_names"):
        names = tuple(map(str, range(p.shape[1])))
    if len(p) != len(found.labels) or p.shape[1] != len(names) or found.labels.max() >= p.shape[1]:
        raise DataError(
            f"The outputs have shape {p.shape}, for {len(found.labels)} labels of {len(names)} classes. "
            "There must be one row a sample and one column a class."
        )
    return found._replace(class_names=names), p


def check_keras_model(model: Any) -> None:
    """Refuse what is not a Keras model with weights.

    Raises
    ------
    InputError
        It is none, or not built.
    """
    if not is_keras_model(model):
        raise InputError(f"model must be a Keras model; received {type(model).__name__}.")
    if not model.built:
        raise InputError(f"{model.name!r} is not built yet, so it has no weights. Build it first, or give it an Input.")


def input_shape_of(model: Any) -> tuple[int | None, ...]:
    """Return the shape of one sample that a Keras model takes.

    Raises
    ------
    InputError
        The model is not built yet, or does not have one input.
    """
    check_keras_model(model)
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple):
        raise InputError(f"{model.name!r} does not take one input. Figures are for models with a single Input.")
    return shape[1:]
