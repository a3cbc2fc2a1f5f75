"""Loss and metrics over whole data sets, and models compiled for Keras' own loops."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from modelzoo._keras import graph_function, keras, tf
from modelzoo.datasets import StoredSamples
from modelzoo.errors import InputError
from modelzoo.recipe import Recipe
from modelzoo.training.batches import checked_batches
from modelzoo.training.loop import EVALUATION_BATCH, Arrays, evaluate_arrays
from modelzoo.training.objective import Objective
from modelzoo.training.optimizer import create_optimizer


def stream_evaluation(objective: Objective, data: StoredSamples | tf.data.Dataset) -> Callable[[], dict[str, float]]:
    """Return a function that gives the loss and the metrics over stored samples or batches, in inference mode.

    What it computes with is made once, and used each time it is called.
    """
    stored = data.in_order(EVALUATION_BATCH) if isinstance(data, StoredSamples) else None

    def evaluate() -> dict[str, float]:
        batches = checked_batches(data, objective.model, "test data") if stored is None else stored
        totals = dict.fromkeys(objective.metric_names, 0.0)
        count = 0
        for x, y in batches:
            for name, value in objective.sums(x, y).items():
                totals[name] += float(value)
            count += int(x.shape[0])
        if count == 0:
            raise InputError("The tf.data.Dataset to evaluate on is empty. Give at least one batch.")
        return {
            name: value if name == "loss" and objective.per_sample_sum else value / count
            for name, value in totals.items()
        }

    return evaluate


def compute_metrics(model: keras.Model, data: Any, recipe: Recipe) -> dict[str, float]:
    """Return loss and metrics of a model over all of ``(x, y)``, stored samples or a ``tf.data.Dataset``.

    Parameters
    ----------
    model
        The model.
    data
        The samples and labels.
    recipe
        Names the loss.
    """
    objective = Objective(model, recipe)
    if not isinstance(data, tuple):
        with watched(data):
            return stream_evaluation(objective, data)()
    graph = graph_function(lambda pair: evaluate_arrays(objective, pair))
    return {name: float(value) for name, value in graph(Arrays(*map(tf.constant, data))).items()}


def compile_model(model: keras.Model, recipe: Recipe) -> None:
    """Compile a model for Keras' ``fit`` and ``evaluate`` with the recipe's loss, metrics and a fresh optimiser.

    A schedule that lasts as long as the run lasts ``recipe.steps`` here, or 1000 steps where the recipe counts epochs.
    """
    Objective(model, recipe).compile_for_keras(create_optimizer(recipe, recipe.steps or 1000))


def watched(data: Any) -> contextlib.AbstractContextManager[None]:
    """Explain damage that is met in stored samples within the block; other data need that not."""
    return data.watched() if isinstance(data, StoredSamples) else contextlib.nullcontext()
