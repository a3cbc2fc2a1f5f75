"""How far to trust the confidence of a classifier."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from modelzoo.evaluation import BINS, reliability
from modelzoo.viz import style
from modelzoo.viz.classification import scored


def plot_reliability(y_true: Any, y_prob: Any, *, bins: int = BINS, ax: Axes | None = None) -> Axes:
    """Draw the reliability diagram: how often the classifier is right when it is so sure.

    Parameters
    ----------
    y_true, y_prob
        The true classes, then probabilities; or a classifier, then its data. As for
        :func:`modelzoo.viz.plot_confusion_matrix`.
    bins
        Number of bins of equal width.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one bar a bin and the diagonal of perfect calibration.
    """
    found, p = scored(y_true, y_prob)
    curve = reliability(p.argmax(axis=1) == found.labels, p.max(axis=1).clip(0, 1), bins=bins)
    ax = style.new_axes(ax, style.roomy(4.6, 4.2))
    used = curve.count > 0
    centres = (curve.edges[:-1] + curve.edges[1:])[used] / 2
    # Faint bars rest on few samples.
    weight = 0.25 + 0.75 * np.sqrt(curve.count[used] / curve.count.max())
    colors = [style.mix(style.background(), style.BLUE, float(share)) for share in weight]
    bars: Any = {"color": colors, "label": "accuracy (fainter: fewer samples)"}
    ax.bar(centres, curve.accuracy[used], 0.94 / len(curve.count), **bars)
    ax.plot([0, 1], [0, 1], color=style.foreground(), linewidth=1, linestyle="--", label="perfectly calibrated")
    ax.plot(curve.confidence[used], curve.accuracy[used], "o-", color=style.VERMILLION, markersize=4, label="bin means")
    ax.set(
        xlabel="confidence (probability of the predicted class)",
        ylabel="accuracy (share of right answers)",
        xlim=(0, 1),
        ylim=(0, 1.02),
        title=f"calibration error {curve.calibration_error:.2%}, {int(curve.count.sum()):,} samples",
    )
    ax.legend(loc="upper left", fontsize=style.points(8))
    return style.open_frame(ax)
