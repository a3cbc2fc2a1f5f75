"""Diagrams of networks, drawn from the live Keras model with Matplotlib alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

from matplotlib.axes import Axes

from modelzoo._checks import check_choice, check_names
from modelzoo._keras import keras
from modelzoo.errors import InputError
from modelzoo.evaluation import ready
from modelzoo.network import NotAChainError, read_network, with_paths
from modelzoo.registry import card_for
from modelzoo.viz import style
from modelzoo.viz.architecture.canvas import Canvas, page_width
from modelzoo.viz.architecture.hourglass import Hourglass
from modelzoo.viz.architecture.neurons import Neurons, neuron_columns
from modelzoo.viz.architecture.stacks import Stacks
from modelzoo.viz.architecture.stages import Stage, read_stages
from modelzoo.viz.architecture.table import Table

Kind = Literal["auto", "hourglass", "neurons", "stacks", "table"]


def plot_architecture(
    model: keras.Model,
    *,
    kind: Kind = "auto",
    ax: Axes | None = None,
    title: str | None = None,
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    show_weights: bool | None = None,
) -> Axes:
    """Draw the architecture of a Keras model.

    The figure is as wide as a page, 7.6 inches, or wider in a large font; :func:`save_figure` writes it as SVG, PDF
    or PNG.

    Parameters
    ----------
    model
        A Sequential or functional model whose shapes are known, the zoo's or your own.
    kind
        ``"neurons"`` draws a dense network unit by unit, with its biases and its weights, coloured by sign and
        as strong as they are large in their layer; of layers with more than ten units, the first and the last.
        ``"stacks"`` draws the maps of a convolutional network; their side grows with the root of the image's
        side, one more is drawn each time their number doubles. ``"hourglass"`` draws a dense autoencoder; a bar's
        height grows with the root of its units. ``"table"`` lists the layers of any model with the arithmetic of
        their parameters, and its skip connections beside them. ``"auto"`` takes the picture that fits the model
        and the page, and else the table.
    ax
        Where to draw; a new figure by default. In smaller axes the whole diagram shrinks, with its text.
    title
        What stands above; the model's name by default.
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
    NotAChainError
        ``kind`` cannot draw this model.

    Examples
    --------
    >>> import modelzoo
    >>> from modelzoo import viz
    >>> ax = viz.plot_architecture(modelzoo.create_model("xor_mlp", seed=0))
    """
    check_choice("kind", kind, get_args(Kind))
    model = ready(model)
    network = read_network(model)

    def picture_of(kind: str) -> Hourglass | Neurons | Stacks | Table:
        if kind == "table":
            return Table(network)
        stages = read_stages(network)
        inputs = _names("input_names", input_names, stages[0].size)
        outputs = _names("output_names", output_names, stages[-1].size) or _class_names(model, stages[-1])
        if kind == "stacks":
            return Stacks(stages, output_names=outputs)
        columns = neuron_columns(stages, dict(with_paths(model)))
        if kind == "hourglass":
            return Hourglass(columns)
        return Neurons(columns, input_names=inputs, output_names=outputs, show_weights=show_weights)

    for candidate in ("stacks", "hourglass", "neurons", "table") if kind == "auto" else (kind,):
        try:
            picture = picture_of(candidate)
        except NotAChainError as error:
            if kind != "auto":
                raise NotAChainError(
                    f"kind={kind!r} cannot draw {model.name!r}. {error} Use kind='auto', or kind='table', which takes "
                    "every model."
                ) from None
            continue
        if picture.width <= max(style.PAGE_WIDTH, page_width()):
            break
    canvas = Canvas(ax, picture.width, picture.height)
    canvas.heading(model.name if title is None else str(title), network.num_params)
    picture.draw(canvas)
    return canvas.ax


def _names(argument: str, names: Sequence[str], length: int) -> tuple[str, ...]:
    found = check_names(argument, names)
    if found and len(found) != length:
        raise InputError(f"{argument} must be {length} names, one a unit; got {names!r:.80}.")
    return found


def _class_names(model: Any, output: Stage) -> tuple[str, ...]:
    """Return the names of the classes that the model knows, where it has one output a class; else nothing."""
    names = card_for(model).class_names
    if (len(names), output.size, output.activation) == (2, 1, "sigmoid"):
        return (f"P({names[1]})",)
    return tuple(names) if len(names) == output.size > 1 else ()
