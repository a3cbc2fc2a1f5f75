"""What makes a run the same run, and what a trained model's card says of it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from modelzoo._keras import keras
from modelzoo.card import find_card, set_card, weights_digest
from modelzoo.network import with_paths
from modelzoo.recipe import Recipe
from modelzoo.registry import get_spec
from modelzoo.training.data import TrainingData


def identity_of(model: keras.Model) -> dict[str, Any]:
    """Return what makes this model's runs the same run: architecture, what is trained, and the parent."""
    trained = {id(weight) for weight in model.trainable_weights}
    weights = with_paths(model.weights)
    identity: dict[str, Any] = {
        "model": {"name": model.name, "weights": [[path, *weight.shape] for path, weight in weights]},
        "trainable weights": [path for path, weight in weights if id(weight) in trained],
    }
    if card := find_card(model):
        identity["model"] = {"name": card.name, **card.options}
        identity["parent"] = card.parent and card.parent["weights_digest"]
    return identity


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
    machine: Mapping[str, Any],
) -> None:
    """Put a training into the card of a zoo model.

    ``start`` and ``end`` are digests of the weights before the first step and at the last entry of the history;
    ``seconds`` is known if the run was not resumed.
    """
    card = find_card(model)
    if card is None:
        return
    # Training went on from trained weights, or from ones put there by other means: recipe and seed alone do not give
    # the result.
    if card.training is not None or start != card.weights_digest:
        card = dataclasses.replace(card, parent=card.as_parent(start))
    values = history.history
    if "step" in values:  # no callback stopped training before it began
        names = [name for name, known in get_spec(card.name).recipes.items() if known == recipe]
        now = weights_digest(model)
        training = {
            "recipe_name": names[0] if names else None,
            "recipe": recipe.to_dict(),
            "seed": seed,
            "steps": int(values["step"][-1]),
            "dataset": dict(given.facts),
            # A callback may have put earlier weights back, which the last entry does not describe.
            "metrics": {n: _finite(v[-1]) for n, v in values.items() if not n.endswith("step")} if now == end else None,
            "seconds": seconds,
            "machine": dict(machine),
            "history": {name: [_short(name, value) for value in series] for name, series in values.items()},
            "weights_digest": now,
        }
        card = dataclasses.replace(
            card, training=training, class_names=given.class_names or card.class_names, weights_digest=now
        )
    set_card(model, card)


def _short(name: str, value: float) -> float | None:
    """Return a value of a learning curve as a card holds it."""
    return int(value) if name.endswith("step") else _finite(float(f"{value:.6g}"))


def _finite(value: float) -> float | None:
    """Return a value as JSON can hold it; a validation loss may be infinite where the training loss is not."""
    return float(value) if math.isfinite(value) else None
