"""Whether an artifact does what its card says: measured again by ``verify``, trained again by ``reproduce``."""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from modelzoo import datasets
from modelzoo._keras import keras
from modelzoo.card import Card, card_of, machine_differences, weights_digest
from modelzoo.errors import InputError
from modelzoo.evaluation import measure, own_data, recipe_of
from modelzoo.recipe import Recipe
from modelzoo.registry import build_model
from modelzoo.saving import load, results_of
from modelzoo.training import train

logger = logging.getLogger(__name__)

#: Metrics of a card that the test data alone decide.
TEST_METRICS = ("test_loss", "test_accuracy", "calibration_error")

#: From so many runs in a card on, their spread says how far another one may be; that of two says next to nothing.
FEWEST_RUNS = 3


@dataclasses.dataclass(frozen=True)
class Agreement:
    """A number measured again beside the card's.

    Attributes
    ----------
    name
        Which metric.
    value
        What was measured now.
    recorded
        What the card says.
    tolerance
        How far apart the two may be.
    reason
        Why that far.
    """

    name: str
    value: float
    recorded: float
    tolerance: float
    reason: str

    @property
    def difference(self) -> float:
        """The value minus the card's."""
        return self.value - self.recorded

    @property
    def ok(self) -> bool:
        """Whether the two agree; NaN agrees with nothing."""
        return abs(self.difference) <= self.tolerance

    def to_dict(self) -> dict[str, Any]:
        """Return everything, ready for JSON."""
        numbers = {**dataclasses.asdict(self), "difference": self.difference}
        nan = {name for name, value in numbers.items() if isinstance(value, float) and math.isnan(value)}
        return {name: None if name in nan else value for name, value in numbers.items()} | {"ok": self.ok}


def verify(
    source: keras.Model | str | os.PathLike[str],
    *,
    corruptions: bool = False,
) -> list[Agreement]:
    """Measure an artifact on its own test data and compare with its card.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live zoo model.
    corruptions
        Compare the errors on corrupted images too, where the card has them; that takes longer.

    Returns
    -------
    list of Agreement
        One for each of ``test_loss``, ``test_accuracy``, ``calibration_error``, ``corruptions.NAME``, ``num_params``
        and ``multiply_adds`` that the card has; none where it says nothing of test data.

    Raises
    ------
    InputError
        There is no such artifact, or it was trained on data that only the caller can give.
    ArtifactError
        The artifact is incomplete or altered.
    """
    model = source if isinstance(source, keras.Model) else load(source)
    if not recorded_values(model):
        return []
    data = own_data(model)
    recorded = recorded_values(model, len(data.x_test))
    found = measure(model, data, corruptions=corruptions)
    found |= {f"corruptions.{name}": value for name, value in found.pop("corruptions", {}).items()}
    count = len(data.x_test)
    reconstructs = recipe_of(model).reconstruct
    return [
        Agreement(name, _number(found[name]), value, *_rounding(name, value, count, reconstructs=reconstructs))
        for name, value in recorded.items()
        if name in found
    ]


def recorded_values(model: keras.Model, num_test: int | None = None) -> dict[str, float]:
    """Return what a zoo model's card says that :func:`verify` can measure again; empty where it says nothing.

    It comes from the card's ``"results"``, or else from the last log entry of the training, where that was taken on
    the test data.

    Parameters
    ----------
    model
        The model.
    num_test
        Size of the test set: a log that was taken on another number of samples is not about it.
    """
    results = results_of(model)
    if results is not None:
        values = {name: results.get("metrics", {}).get(name) for name in TEST_METRICS}
        values |= {f"corruptions.{name}": entry for name, entry in (results.get("corruptions") or {}).items()}
        values |= {name: results.get(name) for name in ("num_params", "multiply_adds")}
        plain = {name: entry.get("value") if isinstance(entry, Mapping) else entry for name, entry in values.items()}
        return {name: value for name, value in plain.items() if value is not None}
    training = card_of(model).training or {}
    logged_on = training.get("dataset", {}).get("num_test")
    on_test_data = logged_on is not None and num_test in (None, logged_on)
    on_test_data = on_test_data and training["weights_digest"] == weights_digest(model)
    metrics = (training.get("metrics") or {}) if on_test_data else {}
    found = {f"test_{name}": metrics.get(f"val_{name}") for name in ("loss", "accuracy")}
    return {name: value for name, value in found.items() if value is not None}


def _rounding(name: str, value: float, count: int, *, reconstructs: bool) -> tuple[float, str]:
    """Return the tolerance for the same weights on the same ``count`` samples, and its reason."""
    if name in ("num_params", "multiply_adds"):
        return 0.0, "counted exactly"
    if name.startswith("corruptions."):
        if reconstructs:
            return 1e-3 * abs(value), "another SciPy may round pixels differently: 0.1 %"
        return (
            count // 1000 / count + 1e-6,
            f"another SciPy may round pixels differently: {count // 1000} of {count} samples",
        )
    close = count // 5000
    if name == "test_accuracy":
        return close / count + 1e-6, f"{close} of {count} samples may lie within float32 rounding of a decision"
    if name == "calibration_error":
        return 2 * close / count + 1e-4, f"{close} of {count} samples may lie within float32 rounding of a bin's edge"
    return 1e-4 * abs(value) + 1e-6, "float32 sums in another order: 0.01 %"


def of_another_run(name: str, value: float, entry: Mapping[str, Any] | float, count: int) -> Agreement:
    """Compare a metric of a run that was trained anew with those a card holds.

    Parameters
    ----------
    name
        The metric; a loss is judged relative to its size, all others are shares of 0–1.
    value
        What the new run reached.
    entry
        The card's entry with ``mean`` and ``per_seed``, or the value of its only run.
    count
        Number of samples it was measured on.
    """
    loss = name.endswith("loss")
    if isinstance(entry, Mapping):
        per_seed = [float(v) for v in entry.get("per_seed") or [] if v is not None]
        if len(per_seed) >= FEWEST_RUNS:
            mean = sum(per_seed) / len(per_seed)
            floor = 0.05 * abs(mean) + 1e-4 if loss else 0.002
            text = f"99 % prediction interval of the {len(per_seed)} runs in the card, at least "
            text += "5 %" if loss else "0.002"
            return Agreement(name, value, mean, max(_prediction_interval(per_seed), floor), text)
    recorded = float(entry["value"] if isinstance(entry, Mapping) else entry)
    if loss:
        return Agreement(name, value, recorded, 0.2 * abs(recorded) + 1e-4, "too few runs for a spread: 20 %")
    error = math.sqrt(2 * max(0.0, recorded * (1 - recorded)) / count)
    return Agreement(
        name, value, recorded, 3 * error + 0.002, "too few runs for a spread: 3 binomial standard errors, + 0.002"
    )


def _prediction_interval(values: Sequence[float]) -> float:
    """Return how far from the mean one more value of the same normal distribution is in 1 of 100 cases."""
    from scipy import stats

    count = len(values)
    mean = sum(values) / count
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (count - 1))
    return float(stats.t.ppf(0.995, count - 1)) * deviation * math.sqrt(1 + 1 / count)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


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
    card = card_of(model)
    training = _training_of(card, weights_digest(model))
    results = results_of(model)
    own_seed = int(training["seed"])
    chosen = _checked_seeds([own_seed] if seeds is None else seeds)
    data = own_data(model)
    logged = recorded_values(model, len(data.x_test))
    recorded = logged if results is None else _with_values(results.get("metrics", {}))
    recipe = Recipe.from_dict(training["recipe"])
    runs = []
    for number, seed in enumerate(chosen):
        logger.info("Run %d of %d: %s with seed %d.", number + 1, len(chosen), card.name, seed)
        fresh = build_model(card.name, seed=card.seed if seed == own_seed else seed, **card.options)
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
    return Reproduction(card.name, own_seed, weights_digest(model), differences, tuple(runs))


def _training_of(card: Card, digest: str) -> dict[str, Any]:
    if card.parent is not None:
        raise InputError(
            f"{card.name} was fine-tuned from {card.parent['name']} with the weights "
            f"{card.parent['weights_digest'][:12]}. Only a training from fresh weights can be reproduced: "
            "run modelzoo.finetune again."
        )
    if card.training is None or card.training["weights_digest"] != digest:
        raise InputError(
            f"The card of {card.name} does not say how its weights were trained. Train it with modelzoo.train."
        )
    if card.seed is None:
        raise InputError(
            f"The initial weights of {card.name} were drawn without a seed. Train one that can be reproduced: "
            f"create_model({card.name!r}, seed=0)."
        )
    return card.training


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
