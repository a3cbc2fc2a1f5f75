"""Activation functions and their derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from modelzoo.errors import InputError, unknown_name
from modelzoo.reference import ACTIVATIONS, Activation
from modelzoo.viz import style
from modelzoo.viz.inputs import check_interval, check_items

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMULAS = {
    "identity": ("$h(z) = z$", "$h'(z) = 1$"),
    "logistic": (r"$\sigma(z) = 1/(1+e^{-z})$", r"$\sigma(z)\,(1 - \sigma(z))$"),
    "tanh": (r"$\tanh z$", r"$1 - \tanh^2 z$"),
    "relu": (r"$\max(0, z)$", "$1$ where $z > 0$, else $0$"),
}


def plot_activations(
    activations: Sequence[str | Activation] = ("identity", "logistic", "tanh", "relu"),
    *,
    limits: tuple[float, float] = (-5.0, 5.0),
) -> Figure:
    """Draw activation functions in the first row and their derivatives in the second.

    Parameters
    ----------
    activations
        Names of :data:`modelzoo.reference.ACTIVATIONS`, or such activations; each has to work element by element.
    limits
        Lowest and highest pre-activation.

    Returns
    -------
    matplotlib.figure.Figure
        With two rows of Axes, one column an activation.

    Raises
    ------
    InputError
        An activation is unknown or does not work element by element, or ``limits`` are not two rising numbers.
    """
    chosen = [_elementwise(item) for item in check_items(activations, "activations", "a list of names")]
    if not chosen:
        raise InputError(f"activations={activations!r:.80} are none. Name at least one.")
    low, high = check_interval(limits)
    z = np.linspace(low, high, 1001)
    figure, axes = style.new_grid(2, len(chosen), (1.25 * style.PAGE_WIDTH * len(chosen) / 4, 4.4), sharex=True)
    for column, activation in zip(axes.T, chosen, strict=True):
        formulas = _FORMULAS.get(activation.name, ("$h(z)$", "$h'(z)$"))
        for ax, function, formula, color in zip(
            column, (activation.function, activation.derivative), formulas, (style.BLUE, style.VERMILLION), strict=True
        ):
            values = function(z)
            # A jump is left open: no vertical stroke where the function has no value in between.
            steep = np.abs(np.diff(values, append=values[-1])) > 0.5
            ax.axhline(0, color=style.muted(), linewidth=0.7)
            ax.axvline(0, color=style.muted(), linewidth=0.7)
            ax.plot(z, np.where(steep, np.nan, values), color=color, linewidth=2)
            ax.set_title(formula, fontsize=10)
            style.open_frame(ax)
            if np.ptp(values) <= 2:  # activations that stay within −1…1 share one scale
                ax.set_ylim(-1.1 if values.min() < -0.5 else -0.1, 1.1)
        column[0].annotate(
            activation.name, (0.5, 1.17), xycoords="axes fraction", ha="center", fontsize=11, fontweight="bold"
        )
        column[1].set_xlabel("pre-activation $z$")
    axes[0, 0].set_ylabel("activation")
    axes[1, 0].set_ylabel("derivative")
    return figure


def _elementwise(activation: str | Activation) -> Activation:
    if not isinstance(activation, Activation):
        if not isinstance(activation, str) or activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, [name for name, a in ACTIVATIONS.items() if a.elementwise])
        activation = ACTIVATIONS[activation]
    if not activation.elementwise:
        raise InputError(f"{activation.name} mixes the units of a layer, so it has no curve. Leave it out.")
    return activation
