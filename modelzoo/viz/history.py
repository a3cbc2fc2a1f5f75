"""Learning curves, of one run or of several with their spread."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from modelzoo._checks import check_choice
from modelzoo.errors import DataError, InputError
from modelzoo.viz import style

#: Prefixes of metrics that were not taken on training data, and what a legend calls those data.
_PARTS = {"val": "validation", "test": "test"}


class Curve(NamedTuple):
    """A metric over the steps of training, over one run or several.

    Attributes
    ----------
    steps
        Where it was taken, shape ``(n,)``.
    values
        Shape ``(runs, n)``.
    unit
        What ``steps`` counts: ``"step"``, or ``"epoch"`` in a history of Keras' ``fit``.
    """

    steps: np.ndarray
    values: np.ndarray
    unit: str = "step"

    @property
    def mean(self) -> np.ndarray:
        """The mean over the runs, shape ``(n,)``."""
        return self.values.mean(axis=0)

    @property
    def spread(self) -> np.ndarray:
        """The standard deviation over the runs (n − 1 in the denominator), 0 for a single run, shape ``(n,)``."""
        return self.values.std(axis=0, ddof=1) if len(self.values) > 1 else np.zeros(len(self.steps))


def learning_curve(histories: Any, metric: str = "loss") -> Curve:
    """Return a metric over the steps that all runs have in common.

    Parameters
    ----------
    histories
        What :func:`modelzoo.train` or Keras' ``fit`` returned, such a mapping, or a sequence of these.
    metric
        Name of the metric, e.g. ``"val_loss"``.
    """
    runs = [_one_run(history, metric) for history in _as_runs(histories)]
    if len({run.unit for run in runs}) > 1:
        raise InputError("Some histories count steps and some epochs: draw them in separate figures.")
    steps = functools.reduce(np.intersect1d, [run.steps for run in runs])
    if not len(steps):
        raise InputError("These runs have no step in common. Train them with the same log_every.")
    taken = [dict(zip(run.steps.tolist(), run.values[0], strict=True)) for run in runs]
    return Curve(steps, np.array([[run[step] for step in steps.tolist()] for run in taken]), runs[0].unit)


def _is_history(value: Any) -> bool:
    return isinstance(getattr(value, "history", value), Mapping)


def _mapping(history: Any) -> Mapping[str, Sequence[float]]:
    return getattr(history, "history", history)


def _as_runs(histories: Any) -> list[Any]:
    """Return the histories of the runs, one or several."""
    runs = [histories] if _is_history(histories) or not isinstance(histories, Sequence) else list(histories)
    if not runs or not all(map(_is_history, runs)):
        raise InputError(f"history must be what train or fit returned, or several; got {histories!r:.80}.")
    return runs


def _one_run(history: Any, metric: str) -> Curve:
    """Return a metric of one run; values may be NaN or, in a card, None."""
    values = _mapping(history)
    check_choice("metric", metric, [name for name in values if name != "step" and not name.endswith("_step")])
    at: Any = values.get(f"{metric.partition('_')[0]}_step", values.get("step"))
    unit = "step"
    if at is None:  # Keras counts epochs from 0
        at, unit = np.add(getattr(history, "epoch", None) or range(len(values[metric])), 1), "epoch"
    steps, taken = np.asarray(at), np.array(values[metric], float)
    if taken.ndim != 1 or steps.shape != taken.shape:
        raise DataError(f"{metric} must have one value for each {unit}; got {taken.shape} values at {steps.shape}.")
    return Curve(steps, taken[None], unit)


def _curves(named: Mapping[str, list[Any]], metric: str) -> list[tuple[Curve, str, dict[str, Any]]]:
    """Return the curves of a figure with their labels and looks."""
    colors, found = style.class_colors(len(named)), []
    for i, (name, runs) in enumerate(named.items()):
        curve = learning_curve(runs, metric)
        prefix = f"{name}, " if name else ""
        suffix = f" (mean ± s.d. of {len(curve.values)} runs)" if len(curve.values) > 1 else ""
        look = {"color": colors[i], "marker": "o", "linestyle": "-"}
        tested = [part for part in _PARTS if all(f"{part}_{metric}" in _mapping(run) for run in runs)]
        found.append((curve, (f"{prefix}training" if tested or not name else name) + suffix, look))
        for part in tested[:1]:
            look = {"color": colors[i], "linestyle": "--"} if name else {"color": style.TEST_COLOR}
            curve = learning_curve(runs, f"{part}_{metric}")
            found.append((curve, f"{prefix}{_PARTS[part]}{suffix}", {**look, "marker": "s"}))
    return found


def _draw(ax: Axes, curves: list[tuple[Curve, str, dict[str, Any]]], metric: str) -> None:
    few = all(len(curve.steps) <= 40 for curve, *_ in curves)  # marks on all curves or on none
    for curve, label, look in curves:
        mark = {"marker": look["marker"] if few else None, "markersize": 3.5}
        ax.plot(curve.steps, curve.mean, label=label, **{**look, **mark})
        if len(curve.values) > 1:
            low, high = curve.mean - curve.spread, curve.mean + curve.spread
            ax.fill_between(curve.steps, low, high, color=look["color"], alpha=0.22, linewidth=0)
    ax.set(xlabel=curves[0][0].unit, ylabel=metric)
    if ax.get_xscale() == "linear":
        ax.locator_params(axis="x", nbins=6, integer=True)
    style.open_frame(ax).grid(alpha=0.3)


def plot_history(history: Any, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Plot a metric over the steps of training, on training data and on validation or test data.

    Parameters
    ----------
    history
        What :func:`modelzoo.train` or Keras' ``fit`` returned, or such a mapping. A sequence of these, runs with
        different seeds, is drawn as mean ± standard deviation. A mapping of names to any of these is drawn with one
        colour a name, validation or test data dashed.
    metric
        Name without the prefix ``val_`` or ``test_``, e.g. ``"loss"`` or ``"accuracy"``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line for the training data and, where the history has them, one for the validation or test data.
    """
    curves = _curves(_named(history), metric)
    ax = style.new_axes(ax)
    _draw(ax, curves, metric)
    ax.legend(loc="best")
    return ax


def _named(history: Any) -> dict[str, list[Any]]:
    """Return the runs by name; those without a name have the empty one."""
    first = next(iter(history.values()), None) if isinstance(history, Mapping) else None
    if _is_history(first[0] if isinstance(first, list | tuple) and first else first):
        return {str(name): _as_runs(runs) for name, runs in history.items()}
    return {"": _as_runs(history)}


def plot_training(history: Any) -> Figure:
    """Plot the loss and, where there is one, the accuracy side by side over the steps of training.

    Parameters
    ----------
    history
        As for :func:`plot_history`.

    Returns
    -------
    matplotlib.figure.Figure
        With one Axes a metric.
    """
    named = _named(history)
    scored = all("accuracy" in _mapping(run) for runs in named.values() for run in runs)
    drawn = {metric: _curves(named, metric) for metric in (["loss", "accuracy"] if scored else ["loss"])}
    figure, axes = style.new_grid(1, len(drawn), (style.PAGE_WIDTH if len(drawn) > 1 else 5.2, 3.3))
    for ax, (metric, curves) in zip(axes[0], drawn.items(), strict=True):
        _draw(ax, curves, metric)
        ax.set_title(metric)
        if style.points(1) > 1.2:  # of large text fewer steps have room
            ax.locator_params(axis="x", nbins=4)
    handles, labels = axes[0, 0].get_legend_handles_labels()  # the same in all
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure
