"""Diagrams of networks, drawn from the live Keras model with Matplotlib alone."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from modelzoo.card import card_of
from modelzoo.errors import InputError, unknown_name
from modelzoo.viz import style
from modelzoo.viz.diagram_hourglass import HourglassLayout, draw_hourglass
from modelzoo.viz.diagram_layers import LayerInfo, NotDrawableError, read_layers
from modelzoo.viz.diagram_neurons import NeuronsLayout, draw_neurons, neuron_columns
from modelzoo.viz.diagram_stacks import StacksLayout, draw_stacks
from modelzoo.viz.diagram_stages import Stage, read_stages
from modelzoo.viz.diagram_table import draw_table
from modelzoo.viz.inputs import check_names

if TYPE_CHECKING:
    import keras
    from matplotlib.axes import Axes

Kind = Literal["auto", "hourglass", "neurons", "stacks", "table"]
_KINDS = ("auto", "hourglass", "neurons", "stacks", "table")


def plot_architecture(
    model: keras.Model,
    *,
    kind: Kind = "auto",
    ax: Axes | None = None,
    title: str | None = None,
    max_units: int = 10,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    show_weights: bool | None = None,
) -> Axes:
    """Draw the architecture of a Keras model.

    The figure is as wide as a page, 7.6 inches; :func:`save_figure` writes it as SVG, PDF or PNG.

    Parameters
    ----------
    model
        A Sequential or functional model whose shapes are known, the zoo's or your own.
    kind
        ``"neurons"`` draws a dense network unit by unit, with its biases and its weights, coloured by sign and
        as strong as they are large in their layer. ``"stacks"`` draws the maps of a convolutional network;
        their side grows with the root of the image's side, one more is drawn each time their number doubles.
        ``"hourglass"`` draws a dense autoencoder; a bar's height grows with the root of its units. ``"table"``
        lists the layers of any model with the arithmetic of their parameters. ``"auto"`` takes the picture that
        fits the model and the page, and else the table.
    ax
        Where to draw; a new figure by default. In smaller axes the whole diagram shrinks, with its text.
    title
        What stands above; the model's name by default.
    max_units
        Neurons: layers with more units, at least 3, show the first and the last of them around a "⋮".
    input_names, output_names
        Neurons and stacks: what to write beside inputs and outputs, one name a unit. By default inputs are
        x₁, x₂, … and outputs have the names of the classes that the model knows, or are y₁, y₂, ….
    show_weights
        Neurons: whether to write the weights' values on their lines; by default where there is room.

    Returns
    -------
    matplotlib.axes.Axes
        The axes with the diagram.

    Raises
    ------
    InputError
        ``model`` is no Keras model or has not been built, it cannot be drawn as ``kind``, or another argument is
        not of the allowed kind.

    Examples
    --------
    >>> import modelzoo
    >>> from modelzoo import viz
    >>> ax = viz.plot_architecture(modelzoo.create_model("xor_mlp", seed=0))
    """
    if not isinstance(kind, str) or kind not in _KINDS:
        raise unknown_name("kind of diagram", kind, _KINDS)
    if isinstance(max_units, bool) or not isinstance(max_units, int) or max_units < 3:
        raise InputError(f"max_units must be an integer of at least 3; received max_units={max_units!r}.")
    layers = read_layers(model)
    title = model.name if title is None else str(title)
    layout: Any = None
    if kind != "table":
        try:
            layout = _layout(
                kind,
                read_stages(layers),
                model,
                max_units=max_units,
                input_names=input_names,
                output_names=output_names,
            )
        except NotDrawableError as error:
            if kind != "auto":
                raise NotDrawableError(
                    f"kind={kind!r} cannot draw {model.name!r}. {error} Use kind='auto', or kind='table', "
                    "which takes every model."
                ) from None
    return _draw(layout, layers, title, ax, show_weights)


def _layout(
    kind: str,
    stages: Sequence[Stage],
    model: Any,
    *,
    max_units: int,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> Any:
    """Return the layout of ``kind``, or of the first kind that fits; raise if none does."""
    has_maps = any(stage.role in ("conv", "pool") for stage in stages)
    outputs = _names("output_names", output_names, stages[-1].size) or _class_names(
        model, stages[-1].size, stages[-1].activation
    )
    inputs = _names("input_names", input_names, stages[0].size)
    candidates = [kind] if kind != "auto" else ["stacks"] if has_maps else ["hourglass", "neurons"]
    for candidate in candidates:
        try:
            if candidate == "stacks":
                layout: Any = StacksLayout(stages, output_names=outputs)
            elif candidate == "hourglass":
                layout = HourglassLayout(neuron_columns(stages))
            else:
                layout = NeuronsLayout(
                    neuron_columns(stages), max_units=max_units, input_names=inputs, output_names=outputs
                )
        except NotDrawableError:
            if candidate == candidates[-1]:
                raise
            continue
        if kind != "auto" or layout.width <= style.PAGE_WIDTH:
            return layout
    raise NotDrawableError("Its picture is wider than a page.")


def _draw(layout: Any, layers: Sequence[LayerInfo], title: str, ax: Axes | None, show_weights: bool | None) -> Axes:
    if isinstance(layout, StacksLayout):
        return draw_stacks(layout, title, ax)
    if isinstance(layout, HourglassLayout):
        return draw_hourglass(layout, title, ax)
    if isinstance(layout, NeuronsLayout):
        return draw_neurons(layout, title, ax, show_weights=show_weights)
    return draw_table(layers, title, ax)


def _names(argument: str, names: Sequence[str], length: int) -> list[str]:
    found = check_names(names, argument)
    if found and len(found) != length:
        raise InputError(f"{argument} must be {length} names, one a unit; received {names!r:.80}.")
    return list(found)


def _class_names(model: Any, length: int, activation: str) -> list[str]:
    with contextlib.suppress(InputError):
        names = card_of(model).class_names
        if len(names) == length > 1:
            return [str(name) for name in names]
        if (len(names), length, activation) == (2, 1, "sigmoid"):
            return [f"P({names[1]})"]
    return []
