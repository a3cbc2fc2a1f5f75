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
from modelzoo._checks import check_seed
from modelzoo._keras import keras
from modelzoo.card import Card, machine_differences, results_of, weights_digest
from modelzoo.errors import InputError
from modelzoo.evaluation import loaded, measure, own_data, ready, recipe_of
from modelzoo.network import frozen_layers, take_over, with_paths
from modelzoo.registry import build_model, card_for
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
        facts = {**dataclasses.asdict(self), "difference": self.difference, "ok": self.ok}
        return {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in facts.items()}


def verify(source: keras.Model | str | os.PathLike[str], *, corruptions: bool = False) -> list[Agreement]:
    """Measure an artifact on its own test data and compare with its card.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live zoo model.
    corruptions
        Compare the errors on corrupted images too, if the card has them; that takes longer.

    Returns
    -------
    list of Agreement
        One for each of ``test_loss``, ``test_accuracy``, ``calibration_error``, ``corruptions.NAME``, ``num_params``
        and ``multiply_adds`` in the card; empty for a card that says nothing of test data.
    """
    model = ready(source)
    data = own_data(model)
    if not _recorded(model):
        return []
    return compare_with_card(model, measure(model, data, corruptions=corruptions), len(data.x_test))


def compare_with_card(model: Any, found: Mapping[str, Any], count: int) -> list[Agreement]:
    """Return what :func:`modelzoo.measure` found on the ``count`` test samples of a model beside its card."""
    errors = {f"corruptions.{name}": value for name, value in found.get("corruptions", {}).items()}
    found, reconstructs = {**found, **errors}, recipe_of(model).reconstruct
    agreements = []
    for name, entry in _recorded(model).items():
        if name in found:
            value = math.nan if found[name] is None else float(found[name])
            tolerance, reason = _rounding(name, _value(entry), count, reconstructs=reconstructs)
            agreements.append(Agreement(name, value, _value(entry), tolerance, reason))
    return agreements


def _recorded(model: keras.Model) -> dict[str, Any]:
    """Return what a model's card says of its weights on its test data: each a value, or ``{"value": …}`` over seeds.

    It comes from the card's results or, without any, from the last log entry of the training.
    """
    card, digest = card_for(model), weights_digest(model)
    results, training = results_of(card, digest), card.training or {}
    found: dict[str, Any] = dict.fromkeys(TEST_METRICS)
    if results is not None:
        found |= results.get("metrics", {})
        found |= {f"corruptions.{name}": entry for name, entry in (results.get("corruptions") or {}).items()}
        found |= {name: results.get(name) for name in ("num_params", "multiply_adds")}
    elif training.get("weights_digest") == digest:
        found |= {name: value for name, value in (training.get("metrics") or {}).items() if name.startswith("test_")}
    return {name: entry for name, entry in found.items() if _value(entry) is not None}


def _value(entry: Any) -> Any:
    return entry.get("value") if isinstance(entry, Mapping) else entry


def _rounding(name: str, value: float, count: int, *, reconstructs: bool) -> tuple[float, str]:
    """Return the tolerance for the same weights on the same ``count`` samples, and its reason."""
    if name in ("num_params", "multiply_adds"):
        return 0.0, "counted exactly"
    if name.startswith("corruptions."):
        if reconstructs:
            return 1e-3 * abs(value), "another SciPy may round pixels differently: 0.1 %"
        few = count // 1000
        return few / count + 1e-6, f"another SciPy may round pixels differently: {few} of {count} samples"
    close = count // 5000
    if name == "test_accuracy":
        return close / count + 1e-6, f"{close} of {count} samples may lie within float32 rounding of a decision"
    if name == "calibration_error":
        return 2 * close / count + 1e-4, f"{close} of {count} samples may lie within float32 rounding of a bin's edge"
    return 1e-4 * abs(value) + 1e-6, "float32 sums in another order: 0.01 %"


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run.

    Attributes
    ----------
    seed
        Its seed.
    metrics
        ``test_loss``, ``test_accuracy`` and ``calibration_error`` as far as the model has them, and ``val_loss`` and
        ``val_accuracy`` where samples were held out.
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
    seeds: Iterable[int] | int | None = None,
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
        seed draws its own. Seeds other than the artifact's are compared if the card holds results over seeds.
    callbacks
        Called with the seed of each run before it starts; returns Keras callbacks, such as a progress bar.

    Returns
    -------
    Reproduction
        Weights and metrics of each run beside the card's.
    """
    model = loaded(source)
    card, digest = card_for(model), weights_digest(model)
    training = _training_of(card, digest)
    own_seed = int(training["seed"])
    seeds = [seeds] if isinstance(seeds, int) else seeds
    chosen = [own_seed] if seeds is None else list(dict.fromkeys(check_seed(seed, "seeds") for seed in seeds))
    if not chosen:
        raise InputError("seeds must name at least one seed; got none. Leave seeds out for the artifact's own.")
    data, recipe = own_data(model), recipe_of(model)
    recorded = _recorded(model)
    over_seeds = any(isinstance(entry, Mapping) for entry in recorded.values())
    trained, frozen = {id(weight) for weight in model.trainable_weights}, frozen_layers(model)
    runs = []
    for number, seed in enumerate(chosen):
        logger.info("Run %d of %d: %s with seed %d.", number + 1, len(chosen), card.name, seed)
        fresh = build_model(str(card.builder), seed=card.seed if seed == own_seed else seed, **card.options)
        take_over(fresh, {path: id(weight) in trained for path, weight in with_paths(model)}, frozen)
        drawn_by_seed = data.options.get("seed") == own_seed
        run_data = datasets.load(data.name, **{**data.options, "seed": seed}) if drawn_by_seed else data
        began = time.perf_counter()
        history = train(fresh, run_data, recipe, seed=seed, callbacks=callbacks(seed) if callbacks else ()).history
        seconds = round(time.perf_counter() - began, 2)
        measured = measure(fresh, run_data, corruptions=False)
        metrics = {name: measured[name] for name in TEST_METRICS if measured.get(name) is not None}
        metrics |= {name: series[-1] for name, series in history.items() if name in ("val_loss", "val_accuracy")}
        agreements = tuple(
            of_another_run(
                name, value, recorded[name], recipe.validation_size if name.startswith("val_") else len(run_data.x_test)
            )
            for name, value in metrics.items()
            if name in recorded and (seed == own_seed or over_seeds)
        )
        runs.append(Run(seed, metrics, weights_digest(fresh), seconds, agreements))
    return Reproduction(card.name, own_seed, digest, machine_differences(training["machine"]), tuple(runs))


def _training_of(card: Card, digest: str) -> dict[str, Any]:
    """Return the training in a card, if it says how these weights came from fresh ones."""
    if card.parent is not None:
        raise InputError(
            f"{card.name} was fine-tuned from {card.parent['name']} with the weights "
            f"{card.parent['weights_digest'][:12]}. Only a training from fresh weights can be reproduced: "
            "run modelzoo.finetune again."
        )
    if card.training is None or card.training["weights_digest"] != digest:
        raise InputError(
            f"The card of {card.name} does not say how its weights were trained. Train it: modelzoo.train."
        )
    if "sample_weight" in card.training["dataset"]:
        raise InputError(
            f"{card.name} was trained with sample_weight, which its card does not hold. Train it again: modelzoo.train."
        )
    if card.builder is None:
        raise InputError(f"No builder makes {card.name!r} anew with fresh weights. Train it again with modelzoo.train.")
    if card.seed is None:
        raise InputError(
            f"The initial weights of {card.name} were drawn without a seed. Train create_model({card.name!r}, seed=0)."
        )
    return card.training


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
    per_seed = [v for v in entry.get("per_seed") or [] if v is not None] if isinstance(entry, Mapping) else []
    if len(per_seed) >= FEWEST_RUNS:
        from scipy import stats

        # The 99 % prediction interval: one more value of the same normal distribution is outside in 1 of 100 cases.
        deviation = np.std(per_seed, ddof=1) * math.sqrt(1 + 1 / len(per_seed))
        mean, interval = float(np.mean(per_seed)), float(stats.t.ppf(0.995, len(per_seed) - 1) * deviation)
        floor, text = (0.05 * abs(mean) + 1e-4, "5 %") if loss else (0.002, "0.002")
        reason = f"99 % prediction interval of the {len(per_seed)} runs in the card, at least {text}"
        return Agreement(name, value, mean, max(interval, floor), reason)
    recorded = float(_value(entry))
    if loss:
        return Agreement(name, value, recorded, 0.2 * abs(recorded) + 1e-4, "too few runs for a spread: 20 %")
    error = math.sqrt(2 * max(0.0, recorded * (1 - recorded)) / count)
    reason = "too few runs for a spread: 3 binomial standard errors, + 0.002"
    return Agreement(name, value, recorded, 3 * error + 0.002, reason)
