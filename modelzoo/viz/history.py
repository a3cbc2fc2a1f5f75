"""Learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from modelzoo.errors import InputError, unknown_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colours of training and test data, from Okabe and Ito's palette, which colour-blind readers tell apart.
TRAIN_COLOR, TEST_COLOR = "#0072B2", "#D55E00"


def plot_history(history: Any, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Plot a metric over the steps of training, on training and test data.

    Parameters
    ----------
    history
        What :func:`modelzoo.train` returned, or such a mapping; ``"step"`` and ``"val_step"`` hold the steps.
    metric
        Name without the prefix ``val_``, e.g. ``"loss"`` or ``"accuracy"``.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line for the training data and, if there are test values, one for the test data.

    Raises
    ------
    InputError
        ``history`` is not a history, or has no such metric.
    """
    values: Mapping[str, Sequence[float]] = getattr(history, "history", history)
    if not isinstance(values, Mapping) or "step" not in values:
        raise InputError(f"history must be what modelzoo.train returned; received {type(history).__name__}.")
    if metric not in values:
        raise unknown_name("metric", metric, [name for name in values if name != "step"])
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    steps = list(values["step"])
    ax.plot(steps, values[metric], color=TRAIN_COLOR, label="training", marker="o", markersize=3)
    if f"val_{metric}" in values:
        ax.plot(values["val_step"], values[f"val_{metric}"], color=TEST_COLOR, label="test", marker="s", markersize=4)
    ax.set(xlabel="step", ylabel=metric)
    ax.grid(alpha=0.3)
    ax.legend(loc="upper right" if "loss" in metric else "lower right")
    return ax
