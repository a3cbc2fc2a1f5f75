"""How far to trust the confidence of a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo.errors import DataError
from modelzoo.evaluation import BINS, Reliability, reliability
from modelzoo.viz import style
from modelzoo.viz.outputs import scored

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_reliability(
    model: Any,
    data: Any = None,
    *,
    bins: int = BINS,
    class_names: Sequence[str] = (),
    split: str = "test",
    from_logits: bool = False,
    ax: Axes | None = None,
) -> Axes:
    """Draw the reliability diagram: how often the classifier is right when it is so sure.

    Parameters
    ----------
    model
        A Keras model, a function of arrays, or the outputs for the samples: ``(n, num_classes)`` or ``(n, 1)``. Or a
        finished curve with the attributes of :class:`modelzoo.evaluation.Reliability`, which needs no data.
    data
        A data set or ``(x, y)``; in the place of a model with outputs, the labels alone will do.
    bins
        Number of bins of equal width.
    class_names
        Names of the classes; those of the data set by default.
    split
        Which part of a data set, ``"train"`` or ``"test"``.
    from_logits
        The outputs are logits, not probabilities.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one bar a bin and the diagonal of perfect calibration.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        Outputs and labels do not fit together.
    """
    names = [field.name for field in fields(Reliability)]
    if data is None and all(hasattr(model, name) for name in names):
        curve = Reliability(*(np.asarray(getattr(model, name)) for name in names))
    elif data is None:
        raise DataError("Give the labels too: a Dataset, (x, y), or the labels of these outputs.")
    else:
        found, p = scored(model, data, split=split, class_names=class_names, from_logits=from_logits)
        curve = reliability(p.max(axis=1).clip(0, 1), p.argmax(axis=1) == found.labels, bins=bins)
    ax = style.new_axes(ax, (4.6, 4.2))
    used = curve.count > 0
    centres = (curve.edges[:-1] + curve.edges[1:])[used] / 2
    # Faint bars rest on few samples.
    weight = 0.25 + 0.75 * np.sqrt(curve.count[used] / curve.count.max())
    colors = [style.mix(style.background(), style.BLUE, float(share)) for share in weight]
    ax.bar(
        centres, curve.accuracy[used], 0.94 / len(curve.count), color=colors, label="accuracy (fainter: fewer samples)"
    )
    ax.plot([0, 1], [0, 1], color=style.foreground(), linewidth=1, linestyle="--", label="perfectly calibrated")
    ax.plot(curve.confidence[used], curve.accuracy[used], "o-", color=style.VERMILLION, markersize=4, label="bin means")
    ax.set(
        xlabel="confidence (probability of the predicted class)",
        ylabel="accuracy (share of right answers)",
        xlim=(0, 1),
        ylim=(0, 1.02),
        title=f"calibration error {curve.calibration_error:.2%}, {int(curve.count.sum()):,} samples",
    )
    ax.legend(loc="upper left", fontsize=8)
    return style.open_frame(ax)
