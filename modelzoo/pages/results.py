"""What a page says of a model's accuracy: the measures in its card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelzoo.pages.subject import Subject
from modelzoo.pages.text import code, prose, table

_SHARES = ("accuracy", "calibration_error")

#: The order of the measures on a page; others come last.
_MEASURES = ("test_accuracy", "test_loss", "calibration_error", "val_accuracy", "val_loss", "train_loss", "seconds")

_REASONS = {
    "val_accuracy": "its accuracy on held-out training samples",
    "val_loss": "its loss on held-out training samples",
    "loss": "its training loss",
}


def results_section(subject: Subject) -> str:
    """Return the section on results: over seeds, where the card has that, else those of the one run."""
    results = (subject.card or {}).get("results")
    if results:
        return "\n\n".join(["## Results", *_over_seeds(subject, results)])
    metrics = subject.training.get("metrics")
    if not metrics:
        return ""
    words = f"The last values of this artifact's training, seed {subject.training['seed']}."
    rows = [[_label(name), _format(name, value)] for name, value in metrics.items()]
    return "\n\n".join(["## Results", words, table(["measure", "value"], rows, right=[1])])


def results_line(subject: Subject) -> str:
    """Return the main measure in one line; empty where the card has none."""
    results = (subject.card or {}).get("results") or {}
    for name in ("test_accuracy", "test_loss"):
        if found := (results.get("metrics") or {}).get(name):
            seeds = results.get("seeds") or ()
            if len(seeds) > 1:
                return f"{_label(name)} {_spread(name, found)} over seeds {list_seeds(seeds)}"
            return f"{_label(name)} {_format(name, _value(found))}"
    return ""


def list_seeds(seeds: Sequence[int]) -> str:
    """Return seeds as ``"0–4"`` or ``"0, 3"``."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def _over_seeds(subject: Subject, results: Mapping[str, Any]) -> list[str]:
    seeds = results.get("seeds") or ()
    words = f"Recipe {code(results['recipe'])}" if "recipe" in results else "Of this artifact"
    if seeds:
        words += ", "
        words += f"mean ± standard deviation over seeds {list_seeds(seeds)}" if len(seeds) > 1 else f"seed {seeds[0]}"
    if len(seeds) > 1 and results.get("selected_by") in _REASONS:
        reason = _REASONS[results["selected_by"]]
        words += f". This artifact is seed {results.get('selected_seed')}, selected by {reason}"
    machine = results.get("measured_on") or {}
    if {"cpu", "cores", "tensorflow", "keras"} <= machine.keys():
        words += (
            f". Measured with TensorFlow {machine['tensorflow']} and Keras {machine['keras']} on {machine['cores']} "
            f"cores of {prose(machine['cpu'])}"
        )
    if subject.pretrained and "recipe" in results:
        words += (
            f". By `python scripts/train_zoo.py {subject.name} --recipe {results['recipe']}`; "
            f"`modelzoo evaluate {subject.name}` measures the artifact again"
        )
    found = results.get("metrics") or {}
    metrics = {name: found[name] for name in _MEASURES if name in found}
    several = len(seeds) > 1
    parts = [f"{words}.", _table("measure", subject, {**metrics, **found}, several=several)]
    if results.get("corruptions"):
        what = "Share of wrong predictions" if _classifies(subject) else "Mean squared error, on the scale of 0–1,"
        parts += [
            f"{what} on corrupted test images (`modelzoo.datasets.CORRUPTIONS`):",
            _table("corruption", subject, results["corruptions"], several=several),
        ]
    return parts


def _table(head: str, subject: Subject, found: Mapping[str, Any], *, several: bool) -> str:
    """Return a table of measures; the column over seeds only where there are several."""
    shares = head == "corruption" and _classifies(subject)
    rows = [
        [
            code(name) if head == "corruption" else _label(name),
            _format("accuracy" if shares else name, _value(scores)),
            _spread("accuracy" if shares else name, scores),
        ]
        for name, scores in found.items()
    ]
    if not several:
        return table([head, "this artifact"], [row[:2] for row in rows], right=[1])
    return table([head, "this artifact", "over seeds"], rows, right=[1, 2])


def _classifies(subject: Subject) -> bool:
    return subject.spec is not None and subject.spec.task == "classification"


def _value(scores: Any) -> float | None:
    """Return an artifact's own value of a measure; a card may hold it plainly."""
    return scores.get("value") if isinstance(scores, Mapping) else scores


def _spread(name: str, scores: Any) -> str:
    if not isinstance(scores, Mapping) or scores.get("mean") is None or scores.get("std") is None:
        return "–"
    form = _form(name, scores["mean"])
    return f"{scores['mean']:{form}} ± {scores['std']:{form}}"


def _label(name: str) -> str:
    """Return what a measure is called on a page."""
    if name == "seconds":
        return "training time, s"
    if name in ("loss", "accuracy"):
        return f"training {name}"
    return name.replace("train_", "training ").replace("val_", "validation ").replace("_", " ")


def _format(name: str, value: float | None) -> str:
    return "–" if value is None else format(value, _form(name, value))


def _form(name: str, value: float) -> str:
    if name.endswith(_SHARES):
        return ".2%"
    if name == "seconds":
        return ".1f"
    return ".4f" if value == 0 or abs(value) >= 0.001 else ".1e"
