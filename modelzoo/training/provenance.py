"""What makes a run the same run, and what a trained model remembers of it for its card."""

from __future__ import annotations

import math
from typing import Any

from modelzoo._keras import keras
from modelzoo.datasets import StoredSamples
from modelzoo.network import with_paths
from modelzoo.recipe import Recipe
from modelzoo.registry import Origin, get_spec
from modelzoo.training.data import TrainingData
from modelzoo.weights import weights_digest


def identity_of(model: keras.Model) -> dict[str, Any]:
    """Return what makes this model's runs the same run: architecture, what is trained, and the parent."""
    trained = {id(weight) for weight in model.trainable_weights}
    weights = with_paths(model.weights)
    identity: dict[str, Any] = {
        "model": {"name": model.name, "weights": [[path, *weight.shape] for path, weight in weights]},
        "trainable weights": [path for path, weight in weights if id(weight) in trained],
    }
    origin = getattr(model, "_modelzoo", None)
    if isinstance(origin, Origin):
        identity["model"] = {"name": origin.name, **origin.options}
        identity["parent"] = origin.parent and origin.parent["weights_digest"]
    return identity


def data_identity(given: TrainingData) -> str:
    """Return what tells these training data from others; of a ``tf.data.Dataset`` no more than its form is known."""
    if isinstance(given.train, tuple | StoredSamples):
        return given.facts["checksum"]
    return f"tf.data of {int(given.train.cardinality())} x {given.train.element_spec}"


def remember(
    model: keras.Model,
    recipe: Recipe,
    seed: int,
    given: TrainingData,
    history: keras.callbacks.History,
    *,
    start: str,
    end: str,
    seconds: float | None,
    machine: dict[str, Any],
) -> None:
    """Keep in a zoo model what its card will say of this training.

    Parameters
    ----------
    model
        The model; what the registry did not build remembers nothing.
    recipe, seed, given, history
        What it was trained with, and what came of it.
    start, end
        Digests of the weights before the first step and at the last entry of the history.
    seconds
        Duration, where the run was not resumed.
    machine
        Where it was trained.
    """
    origin = getattr(model, "_modelzoo", None)
    if not isinstance(origin, Origin):
        return
    # Training went on from trained weights, or from ones put there by other means: recipe and seed alone do not give
    # the result.
    if origin.training is not None or start != origin.weights_digest:
        own = {"name": origin.name, "weights_digest": start, "class_names": list(origin.class_names)}
        origin.parent = own | ({} if origin.parent is None else {"parent": origin.parent})
    if "step" not in history.history:  # a callback stopped training before it began
        return
    names = [name for name, known in get_spec(origin.name).recipes.items() if known == recipe]
    now = weights_digest(model)
    values = history.history
    origin.class_names = given.class_names
    origin.results = None
    origin.training = {
        "recipe_name": names[0] if names else None,
        "recipe": recipe.to_dict(),
        "seed": seed,
        "steps": int(values["step"][-1]),
        "dataset": dict(given.facts),
        # A callback may have put earlier weights back, which the last entry does not describe.
        "metrics": {n: _finite(v[-1]) for n, v in values.items() if not n.endswith("step")} if now == end else None,
        "seconds": seconds,
        "machine": machine,
        "history": {name: [_short(name, value) for value in series] for name, series in values.items()},
        "weights_digest": now,
    }
    origin.weights_digest = now


def _short(name: str, value: float) -> float | None:
    """Return a value of a learning curve as a card holds it."""
    return int(value) if name.endswith("step") else _finite(float(f"{value:.6g}"))


def _finite(value: float) -> float | None:
    """Return a value as JSON can hold it; a validation loss may be infinite where the training loss is not."""
    return float(value) if math.isfinite(value) else None
