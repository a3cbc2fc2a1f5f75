"""``verify``: what an artifact's card says of its accuracy, measured again and compared."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from modelzoo.evaluation import own_data, recipe_of
from modelzoo.frameworks import keras
from modelzoo.measuring import measure
from modelzoo.registry import origin_of
from modelzoo.saving import load
from modelzoo.weights import weights_digest

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
    progress: Callable[[str], None] | None = None,
) -> list[Agreement]:
    """Measure an artifact on its own test data and compare with its card.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live zoo model.
    corruptions
        Compare the errors on corrupted images too, where the card has them; that takes longer.
    progress
        Called with the name of each part before it is measured.

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
    found = measure(model, data, corruptions=corruptions, progress=progress)
    found |= {f"corruptions.{name}": value for name, value in found.pop("corruptions", {}).items()}
    count = len(data.x_test)
    reconstructs = recipe_of(model).reconstruct
    return [
        Agreement(name, _number(found[name]), value, *_rounding(name, value, count, reconstructs=reconstructs))
        for name, value in recorded.items()
        if name in found
    ]


def results_of(model: keras.Model) -> dict[str, Any] | None:
    """Return the results in a zoo model's card; ``None`` where there are none, or the weights changed since."""
    results = origin_of(model).results
    return results if results is not None and results.get("weights_digest") == weights_digest(model) else None


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
    training = origin_of(model).training or {}
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
