"""Temperature scaling after training (Guo et al., 2017): all logits are divided by one number.

That changes no decision, and makes a classifier as sure as it is right on the validation data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from modelzoo._keras import graph_function, keras, tf
from modelzoo.card import weights_digest
from modelzoo.errors import InputError
from modelzoo.network import read_network, with_paths
from modelzoo.training.objective import Objective, batches_of, labels_of


def check_calibration(objective: Objective) -> None:
    """Refuse to calibrate a model that does not end in a dense layer, or is trained by another loss."""
    if not (objective.crossentropy and objective.from_logits and _last_layer_weights(objective.model)):
        raise InputError(
            f"calibrate=True needs a cross-entropy, and a model that ends in one trainable Dense layer; got the "
            f"loss {objective.recipe.loss!r} and {objective.model.name!r}. Leave it out."
        )


def calibrate(
    objective: Objective,
    validation: Any,
    evaluate: Callable[[], dict[str, float]],
    history: keras.callbacks.History,
    digest: str,
) -> tuple[float, str]:
    """Divide the last layer by the temperature, and evaluate again for the end of the history.

    Returns
    -------
    temperature, digest
        The digest is that of the weights that the history ends with.
    """
    described = weights_digest(objective.model) == digest  # a callback may have put earlier weights back
    temperature = find_temperature(objective, validation)
    for weight in _last_layer_weights(objective.model):
        weight.assign(weight / temperature)
    values = history.history
    if described:
        step = values["step"][-1]
        again = values.get("val_step", [None])[-1] == step
        for name, value in {**evaluate(), "val_step": step}.items():
            values[name] = [*values.get(name, [])[: -1 if again else None], value]
        digest = weights_digest(objective.model)
    return temperature, digest


def find_temperature(objective: Objective, data: Any) -> float:
    """Return the number by which logits must be divided for the least cross-entropy over ``data``.

    Where all ``n`` samples are right there is none: the smaller the number, the better. The mean probability of the
    right class is then to be (n + 1) / (n + 2), Laplace's rule of succession. The number is between e⁻³ and e³.
    """
    from scipy.optimize import brentq, minimize_scalar
    from scipy.special import logsumexp

    graph = graph_function(lambda x: tf.cast(objective.head(x, training=False), tf.float32), reduce_retracing=True)
    batches = batches_of(data, objective.model, "validation data")
    found = [(graph(x).numpy(), labels_of(y).numpy()) for x, y in batches]
    logits, labels = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    if objective.num_outputs == 1:
        logits = np.column_stack([np.zeros(len(logits)), logits])
    above = logits.astype(np.float64) - logits[np.arange(len(logits)), labels.astype(int), np.newaxis]

    def losses(log_temperature: float) -> np.ndarray:
        return logsumexp(above / np.exp(log_temperature), axis=1)

    if (np.count_nonzero(above >= 0, axis=1) == 1).all():  # the right class alone
        sure = (len(above) + 1) / (len(above) + 2)
        log = brentq(lambda log: np.exp(-losses(log)).mean() - sure, -50, 50)
        return float(np.exp(np.clip(log, -3, 3)))
    return float(np.exp(minimize_scalar(lambda log: losses(log).mean(), bounds=(-3, 3), method="bounded").x))


def _last_layer_weights(model: keras.Model) -> list[Any]:
    """Return the weights of the dense layer that gives the logits; none if another does, or it is frozen."""
    network = read_network(model)
    (*_, last), end = network.head or (None,), network.layers[-2 if network.output.is_activation else -1]
    if last is None or last is not end or last.kind != "Dense":
        return []
    by_path = dict(with_paths(model))
    weights = [by_path[weight.path] for weight in last.weights]
    return weights if all(weight.trainable for weight in weights) else []
