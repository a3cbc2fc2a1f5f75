"""``reproduce``: train an artifact again by its card, and compare weights and metrics."""

from __future__ import annotations

import dataclasses
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelzoo import datasets
from modelzoo.agreement import TEST_METRICS, Agreement, of_another_run, recorded_values, results_of
from modelzoo.errors import InputError
from modelzoo.evaluation import own_data
from modelzoo.frameworks import keras
from modelzoo.machine import machine_differences
from modelzoo.measuring import measure
from modelzoo.registry import Origin, build_model, origin_of
from modelzoo.saving import load
from modelzoo.spec import Recipe
from modelzoo.training import train
from modelzoo.weights import weights_digest

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    seed
        Its seed.
    metrics
        ``test_loss``, ``test_accuracy`` and ``calibration_error`` as far as the model has them, and ``val_loss`` and
        ``val_accuracy`` where the recipe holds samples out.
    weights_digest
        Of the trained weights.
    seconds
        Time of the training, compilation included.
    agreements
        The metrics beside the card's.
    """

    seed: int
    metrics: Mapping[str, float]
    weights_digest: str
    seconds: float
    agreements: Sequence[Agreement]


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """What came of training an artifact again.

    Attributes
    ----------
    name
        Name of the model.
    seed
        The artifact's own seed.
    weights_digest
        Of the artifact's weights.
    machine_differences
        ``(the card's, here)`` for whatever can change the last bit of a result; empty on the same kind of machine
        with the same versions.
    runs
        One for each seed.
    """

    name: str
    seed: int
    weights_digest: str
    machine_differences: Mapping[str, tuple[Any, Any]]
    runs: Sequence[Run]

    @property
    def same_weights(self) -> bool | None:
        """Whether the run with the artifact's own seed gave its weights bit for bit; None without that run."""
        own = [run for run in self.runs if run.seed == self.seed]
        return own[0].weights_digest == self.weights_digest if own else None

    @property
    def ok(self) -> bool:
        """Whether all metrics agree and, on the same kind of machine, the weights do."""
        weights_agree = self.same_weights is not False or bool(self.machine_differences)
        return weights_agree and all(agreement.ok for run in self.runs for agreement in run.agreements)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        runs = [
            {**dataclasses.asdict(run), "agreements": [agreement.to_dict() for agreement in run.agreements]}
            for run in self.runs
        ]
        return {**dataclasses.asdict(self), "runs": runs, "same_weights": self.same_weights, "ok": self.ok}


def reproduce(
    source: keras.Model | str | os.PathLike[str],
    seeds: Iterable[int] | None = None,
    *,
    callbacks: Callable[[int], Sequence[keras.callbacks.Callback]] | None = None,
) -> Reproduction:
    """Train an artifact again from fresh weights by the recipe, seed, options and data in its card.

    On the kind of machine and with the versions in the card the weights come out bit for bit. Anywhere else float32
    sums differ in their last bits, which a long run amplifies; metrics then agree within their spread over seeds.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live zoo model.
    seeds
        Seeds to train with; the artifact's own by default. Where the data were drawn with the seed of the run, each
        seed draws its own. Seeds other than the artifact's are compared where the card holds results over seeds.
    callbacks
        Called with the seed of each run before it starts; returns Keras callbacks, such as a progress bar.

    Returns
    -------
    Reproduction
        Weights and metrics of each run beside the card's.

    Raises
    ------
    InputError
        There is no such artifact, its card does not hold how to train it, or a seed is not usable.
    ArtifactError
        The artifact is incomplete or altered.
    """
    model = source if isinstance(source, keras.Model) else load(source)
    origin = origin_of(model)
    training = _training_of(origin, weights_digest(model))
    results = results_of(model)
    own_seed = int(training["seed"])
    chosen = _checked_seeds([own_seed] if seeds is None else seeds)
    data = own_data(model)
    logged = recorded_values(model, len(data.x_test))
    recorded = logged if results is None else _with_values(results.get("metrics", {}))
    recipe = Recipe.from_dict(training["recipe"])
    runs = []
    for number, seed in enumerate(chosen):
        logger.info("Run %d of %d: %s with seed %d.", number + 1, len(chosen), origin.name, seed)
        fresh = build_model(origin.name, seed=origin.seed if seed == own_seed else seed, **origin.options)
        run_data = _data_of(data, own_seed, seed)
        began = time.perf_counter()
        history = train(fresh, run_data, recipe, seed=seed, callbacks=callbacks(seed) if callbacks else ())
        seconds = time.perf_counter() - began
        metrics = _metrics(fresh, run_data, recipe, history)
        known = recorded if seed == own_seed or results is not None else {}
        agreements = tuple(
            of_another_run(
                name, value, known[name], recipe.validation_size if name.startswith("val_") else len(run_data.x_test)
            )
            for name, value in metrics.items()
            if name in known
        )
        runs.append(Run(seed, metrics, weights_digest(fresh), round(seconds, 2), agreements))
    differences = machine_differences(training["machine"])
    return Reproduction(origin.name, own_seed, weights_digest(model), differences, tuple(runs))


def _training_of(origin: Origin, digest: str) -> dict[str, Any]:
    if origin.parent is not None:
        raise InputError(
            f"{origin.name} was fine-tuned from {origin.parent['name']} with the weights "
            f"{origin.parent['weights_digest'][:12]}. Only a training from fresh weights can be reproduced: "
            "run modelzoo.finetune again."
        )
    if origin.training is None or origin.training["weights_digest"] != digest:
        raise InputError(
            f"The card of {origin.name} does not say how its weights were trained. Train it with modelzoo.train."
        )
    if origin.seed is None:
        raise InputError(
            f"The initial weights of {origin.name} were drawn without a seed. Train one that can be reproduced: "
            f"create_model({origin.name!r}, seed=0)."
        )
    return origin.training


def _with_values(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metrics that have a value: a threshold unit has no calibration error, say."""
    plain = {name: entry.get("value") if isinstance(entry, Mapping) else entry for name, entry in metrics.items()}
    return {name: entry for name, entry in metrics.items() if plain[name] is not None}


def _data_of(data: datasets.Dataset, own_seed: int, seed: int) -> datasets.Dataset:
    """Return the data of a run: drawn anew where the artifact's were drawn with the seed of its run."""
    if seed == own_seed or data.options.get("seed") != own_seed:
        return data
    return datasets.load(data.name, **{**data.options, "seed": seed})


def _metrics(model: keras.Model, data: datasets.Dataset, recipe: Recipe, history: Any) -> dict[str, float]:
    measured = measure(model, data, corruptions=False)
    metrics = {name: measured[name] for name in TEST_METRICS if measured.get(name) is not None}
    if recipe.validation_size:  # without it the log was taken on the test data
        last = {name: series[-1] for name, series in history.history.items()}
        metrics |= {name: last[name] for name in ("val_loss", "val_accuracy") if name in last}
    return metrics


def _checked_seeds(seeds: Iterable[int]) -> list[int]:
    chosen = list(seeds) if np.iterable(seeds) else []
    good = all(isinstance(s, int | np.integer) and not isinstance(s, bool) and 0 <= s < 2**31 for s in chosen)
    if not chosen or not good:
        raise InputError(f"seeds must be integers from 0 to 2**31 - 1; received {seeds!r:.80}.")
    return [int(seed) for seed in dict.fromkeys(chosen)]
