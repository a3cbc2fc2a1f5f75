"""Gradient descent: on a curve, and on the error of a network over one or two of its weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator

from modelzoo._checks import check_choice, check_integer, check_interval
from modelzoo._keras import graph_function, keras, tf
from modelzoo.datasets.checks import as_array
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import loaded
from modelzoo.network import with_paths
from modelzoo.training.data import check_model
from modelzoo.viz import style
from modelzoo.viz.boundaries import plane_grid
from modelzoo.viz.samples import samples_of

_ADDRESS = re.compile(r"\s*([\w/]+)\s*\[\s*(\d{1,9}(?:\s*,\s*\d{1,9})*)\s*\]\s*")

_FORMULA = r"$\frac{1}{2}(y - t)^2$"

#: Settings of the weights whose errors are computed at once, so that memory stays bounded.
_AT_ONCE = 1000


def descent_cmap() -> LinearSegmentedColormap:
    """Return the colours of a descent, from its start to its end."""
    return LinearSegmentedColormap.from_list("descent", [style.START_COLOR, style.ORANGE, style.END_COLOR])


def plot_descent(
    function: Callable[[np.ndarray], Any],
    trace: Any,
    *,
    limits: tuple[float, float] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the steps of a gradient descent on the graph of a function, from green to red.

    Parameters
    ----------
    function
        Maps an array of numbers to an array of the same shape.
    trace
        The points in the order in which they were visited, shape ``(steps + 1,)``; what
        ``modelzoo.reference.gradient_descent(..., trace=True)`` returns.
    limits
        The part of the x axis to draw; around the trace by default.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With the graph and the points.
    """
    points = as_array(trace, "trace").astype(float)
    if points.ndim != 1 or not points.size or not np.isfinite(points).all():
        raise DataError(f"trace must be finite numbers, shape (steps + 1,); got {points.shape}.")
    width = float(np.ptp(points)) or 1.0
    low, high = check_interval("limits", limits or (points.min() - 0.4 * width, points.max() + 0.3 * width))
    x = np.linspace(low, high, 600)
    heights = np.asarray(function(points))
    if heights.shape != points.shape:
        raise DataError(f"function must give one number a point; got {heights.shape} for {points.shape}.")
    ax = style.new_axes(ax)
    ax.plot(x, function(x), color=style.muted(), linewidth=1.6, zorder=1)
    ax.plot(points, heights, color=style.foreground(), linewidth=0.6, alpha=0.5, zorder=2)
    edge: Any = {"edgecolors": style.background()}
    colors = descent_cmap()(np.linspace(0, 1, len(points)))
    ax.scatter(points, heights, color=colors, s=28, zorder=3, linewidths=0.4, **edge)
    digits = 3 - int(np.floor(np.log10(np.ptp(x))))  # as many as tell points of this view apart
    for i, color, name in ((0, style.START_COLOR, "start"), (-1, style.END_COLOR, "end")):
        ax.scatter(points[i], heights[i], color=color, s=70, zorder=4, label=name, **edge)
        # The text goes to the side where the other points are not.
        left = points[i] <= points.mean()
        ax.annotate(
            f"{name}: x = {round(float(points[i]), digits) + 0.0:.3g}",
            (points[i], heights[i]),
            (-8 if left else 8, 6),
            textcoords="offset points",
            ha="right" if left else "left",
            color=color,
            path_effects=[withStroke(linewidth=3, foreground=style.background())],
            zorder=5,
        )
    ax.set(xlabel="$x$", ylabel="$f(x)$", xlim=(low, high), title=f"{len(points) - 1} steps of gradient descent")
    return style.open_frame(ax)


# ------------------------------------------------------------------------------------ error over weights


#: Where weights are, by name: the number of the variable among the trainable ones, and the place in it.
Addresses = dict[str, tuple[int, tuple[int, ...]]]


class ErrorOverWeights(NamedTuple):
    """Errors of a network at settings of some of its weights, the others as they are.

    Attributes
    ----------
    names
        Names of these weights.
    settings
        Their values, shape ``(..., len(names))``.
    errors
        Error of each sample, shape ``(..., samples)``.
    current
        The values that the network has, shape ``(len(names),)``.
    """

    names: tuple[str, ...]
    settings: np.ndarray
    errors: np.ndarray
    current: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The error summed over the samples, shape ``(...)``."""
        return self.errors.sum(axis=-1)


def find_weights(model: Any, weights: Mapping[str, str] | Sequence[str] | str) -> Addresses:
    """Return the addresses of trainable weights."""
    check_model(model)
    if not isinstance(weights, Mapping):
        weights = {address: address for address in ([weights] if isinstance(weights, str) else weights)}
    numbers = {id(variable): number for number, variable in enumerate(model.trainable_variables)}
    variables = {path: variable for path, variable in with_paths(model) if id(variable) in numbers}
    found = {}
    for name, address in weights.items():
        match = _ADDRESS.fullmatch(str(address))
        if not match:
            raise InputError(f"A weight is given as 'layer/kernel[0, 0]' or 'layer/bias[0]'; got {address!r:.80}.")
        path, index = check_choice("weights", match[1], variables), tuple(map(int, match[2].split(",")))
        shape = tuple(variables[path].shape)
        if len(index) != len(shape) or any(i >= n for i, n in zip(index, shape, strict=True)):
            raise InputError(f"{path} has shape {shape}, so it has no weight {list(index)}. Count from 0.")
        found[str(name)] = numbers[id(variables[path])], index
    if not found:
        raise InputError("weights must hold at least one address, such as 'layer/bias[0]'; got none.")
    return found


def error_over_weights(
    model: Any, data: Any, weights: Mapping[str, str] | Sequence[str] | str, settings: Any
) -> ErrorOverWeights:
    """Compute a classifier's sum-of-squares error at settings of some weights; the model itself is not changed.

    Parameters
    ----------
    model
        A Keras model with outputs ``(batch, 1)`` or ``(batch, num_classes)``.
    data
        A data set, whose training part is taken, or ``(x, y)``. The error of a sample is ½ (y − t)², summed over the
        outputs, with 0 and 1 or one-hot rows as t.
    weights
        Which trainable weights, as ``"layer/kernel[0, 0]"`` or ``"layer/bias[0]"``; a mapping gives them names,
        ``{"w1": "logits/kernel[0, 0]"}``.
    settings
        Their values, shape ``(..., number of weights)``.
    """
    model = loaded(model)
    chosen = find_weights(model, weights)
    errors = _error_function(model, data, chosen)
    values = as_array(settings, "settings").astype("float32")
    if values.shape[-1:] != (len(chosen),):
        raise InputError(f"settings must have shape (..., {len(chosen)}), one value a weight; got {values.shape}.")
    many = graph_function(lambda several: tf.vectorized_map(errors, several), reduce_retracing=True)
    flat = values.reshape(-1, len(chosen))
    parts = [many(tf.constant(flat[i : i + _AT_ONCE])).numpy() for i in range(0, len(flat), _AT_ONCE)]
    return ErrorOverWeights(
        tuple(chosen),
        values.astype(float),
        np.concatenate(parts).astype(float).reshape(*values.shape[:-1], -1),
        current_values(model, chosen),
    )


def _error_function(model: Any, data: Any, chosen: Addresses) -> Callable[[Any], Any]:
    """Return the function from values of addressed weights ``(weights,)`` to errors ``(samples,)``."""
    if len(model.output_shape) != 2:
        raise InputError(f"model must be a classifier; {model.name!r} has outputs of shape {model.output_shape[1:]}.")
    found = samples_of(data, model=model, part="train")
    outputs = model.output_shape[1]
    one_hot = found.labels[:, None] if outputs == 1 else np.eye(outputs)[found.labels]
    x, t = tf.constant(found.x, tf.float32), tf.constant(one_hot, tf.float32)
    base = [tf.constant(variable.numpy()) for variable in model.trainable_variables]
    frozen = [tf.constant(variable.numpy()) for variable in model.non_trainable_variables]

    def errors(setting: Any) -> Any:
        values = list(base)
        for k, (i, index) in enumerate(chosen.values()):
            values[i] = tf.tensor_scatter_nd_update(values[i], [index], setting[k : k + 1])
        y, _ = model.stateless_call(values, frozen, x, training=False)
        return 0.5 * tf.reduce_sum(tf.square(y - t), axis=-1)

    return errors


def current_values(model: Any, chosen: Addresses) -> np.ndarray:
    """Return the values that addressed weights have, shape ``(weights,)``."""
    return np.array([float(model.trainable_variables[i].numpy()[index]) for i, index in chosen.values()])


def descend_weights(
    model: Any,
    data: Any,
    weights: Mapping[str, str] | Sequence[str] | str,
    *,
    steps: int,
    start: Sequence[float] | None = None,
    optimizer: Any = "sgd",
) -> np.ndarray:
    """Let an optimiser move some weights only, on the error summed over all samples; the model is not changed.

    Its path lies on the surface that :func:`plot_error_surface` draws.

    Parameters
    ----------
    model, data, weights
        As for :func:`error_over_weights`.
    steps
        Number of steps, at least 1.
    start
        Where the weights start, one number each; where the model has them by default.
    optimizer
        A Keras optimiser that is not used elsewhere, or the name of one.

    Returns
    -------
    numpy.ndarray
        The values on the way, shape ``(steps + 1, number of weights)``.

    Raises
    ------
    DataError
        The descent diverges.
    """
    model = loaded(model)
    chosen = find_weights(model, weights)
    errors = _error_function(model, data, chosen)
    first = current_values(model, chosen) if start is None else as_array(start, "start").astype(float)
    if first.shape != (len(chosen),):
        raise InputError(f"start must be {len(chosen)} numbers, one a weight; got shape {first.shape}.")
    check_integer("steps", steps)
    instance = keras.optimizers.get(optimizer)
    moving = keras.Variable(first.astype("float32"), name="weights")
    instance.build([moving])

    def step() -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(errors(tf.convert_to_tensor(moving.value)))
        instance.apply([tape.gradient(total, moving.value)])
        return tf.convert_to_tensor(moving.value)

    compiled = graph_function(step)
    path = np.stack([first, *(compiled().numpy() for _ in range(steps))])
    if not np.isfinite(path).all():
        at = int(np.isfinite(path).all(axis=1).argmin())
        raise DataError(f"The weights became {path[at].tolist()} in step {at}. Give a lower learning rate.")
    return path


def record_weights(model: Any, weights: Mapping[str, str] | Sequence[str] | str) -> keras.callbacks.Callback:
    """Return a Keras callback that records some weights in training, for the trace on an error surface.

    Its attribute ``recorded`` is a list of values: one row when training begins and one at each log entry (each epoch
    with ``fit``). With ``recipe.replace(log_every=1)`` that is one a step.

    Parameters
    ----------
    model
        The model to be trained.
    weights
        As for :func:`error_over_weights`.
    """
    chosen = find_weights(model, weights)
    recorded: list[list[float]] = []

    def record(*_: Any) -> None:
        recorded.append(current_values(model, chosen).tolist())

    callback = keras.callbacks.LambdaCallback(on_train_begin=record, on_epoch_end=record)
    callback.recorded = recorded
    return callback


def plot_error_curves(
    model: Any,
    data: Any,
    weight: Mapping[str, str] | str,
    *,
    limits: tuple[float, float] = (-10.0, 10.0),
    ax: Axes | None = None,
) -> Axes:
    """Draw the error over one weight, for each sample and in sum; the others stay as they are.

    Parameters
    ----------
    model
        A Keras model with outputs ``(batch, 1)`` or ``(batch, num_classes)``.
    data
        A data set or ``(x, y)``; with more than eight samples only their sum has a name in the legend.
    weight
        Which weight, as ``"layer/kernel[0, 0]"``; ``{"w1": "layer/kernel[0, 0]"}`` gives it a name.
    limits
        Lowest and highest value of the weight.
    ax
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib.axes.Axes
        With one line a sample and, last, the sum.
    """
    model = loaded(model)
    low, high = check_interval("limits", limits)
    values = np.linspace(low, high, 201)
    found = error_over_weights(model, data, weight, values[:, None])
    samples = samples_of(data, model=model, part="train")
    ax = style.new_axes(ax, style.roomy(5.2, 3.9))
    few = len(samples.x) <= 8
    colors = style.class_colors(len(samples.x)) if few else [style.muted()] * len(samples.x)
    for i, (x, label) in enumerate(zip(samples.x, samples.labels, strict=True)):
        look: Any = {"linewidth": 0.6, "alpha": 0.25}
        if few:
            name = f"({', '.join(f'{v:g}' for v in x)}) → {label}" if x.ndim == 1 and x.size <= 4 else f"sample {i}"
            dashes = ("-", "--", "-.", ":")[i % 4]  # curves of equal samples coincide
            look = {"linewidth": 1.6, "linestyle": dashes, "label": name}
        ax.plot(values, found.errors[:, i], color=colors[i], **look)
    ax.plot(values, found.total, color=style.foreground(), linewidth=2.4, label="sum over the samples")
    now = found.current[0]
    ax.axvline(now, color=style.muted(), linestyle=":", linewidth=1.2, label=f"now: {now:.3g}")
    ax.set(xlabel=f"weight {found.names[0]}", ylabel=f"error {_FORMULA}", xlim=(low, high), ylim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False, title="sample")
    return style.open_frame(ax)


def plot_error_surface(
    model: Any,
    data: Any,
    weights: Mapping[str, str] | Sequence[str],
    *,
    limits: Any = ((-10.0, 10.0), (-10.0, 10.0)),
    trace: Any = None,
) -> Figure:
    """Draw the error over two weights as a surface and as contours, with the path of an optimiser on top.

    Parameters
    ----------
    model
        A Keras model with outputs ``(batch, 1)`` or ``(batch, num_classes)``.
    data
        A data set or ``(x, y)``.
    weights
        Which two, as ``"layer/kernel[0, 0]"``; ``{"w1": "layer/kernel[0, 0]", …}`` gives them names.
    limits
        Lowest and highest value of each, ``((low, high), (low, high))``.
    trace
        The two weights on their way, shape ``(steps, 2)``: what :func:`descend_weights` returned, or the callback of
        :func:`record_weights` after training. Their height is the error with all other weights as the model has them
        now; where training moved these too, the path is the shadow of the real one on this surface.

    Returns
    -------
    matplotlib.figure.Figure
        With the surface and the contours.
    """
    model = loaded(model)
    a, b, points = plane_grid(limits, 81)
    found = error_over_weights(model, data, weights, points)
    total = found.total.reshape(a.shape)
    path = None if trace is None else error_over_weights(model, data, weights, getattr(trace, "recorded", trace))
    figure = plt.figure(figsize=style.roomy(1.25 * style.PAGE_WIDTH, 4.3), layout="constrained")
    # Axes3D is computed by its own rules: zorder by hand, or the path vanishes behind the surface.
    left: Any = figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False)
    right = figure.add_subplot(1, 2, 2)
    look: Any = {"linewidth": 0, "antialiased": True, "alpha": 0.9, "zorder": 1}
    left.plot_surface(a, b, total, cmap="viridis", rcount=60, ccount=60, **look)
    left.set_zlabel("error")
    left.view_init(elev=28, azim=-130)
    left.set_box_aspect(None, zoom=0.84)
    left.locator_params(nbins=5)
    for axis in (left.xaxis, left.yaxis, left.zaxis):
        axis.pane.set_facecolor(style.background())
        axis.pane.set_edgecolor(style.muted())
    contours = right.contourf(a, b, total, levels=30, cmap="viridis")
    right.contour(a, b, total, levels=15, colors="white", linewidths=0.4, alpha=0.6)
    figure.colorbar(contours, ax=right, label=f"sum over samples of {_FORMULA}", pad=0.02, ticks=MaxNLocator(6))
    if path is not None:
        _draw_path(left, right, path)
    for ax in (left, right):
        ax.set(
            xlabel=f"weight {found.names[0]}", ylabel=f"weight {found.names[1]}", xlim=a[0, [0, -1]], ylim=b[[0, -1], 0]
        )
    left.set_title("error surface")
    right.set_title("the same from above")
    return figure


def _draw_path(left: Any, right: Axes, path: ErrorOverWeights) -> None:
    (u, v), height = path.settings.T, path.total
    kept = np.unique(np.linspace(0, len(u) - 1, min(len(u), 200)).astype(int))
    colors = descent_cmap()(kept / max(1, len(u) - 1)).tolist()  # in 3-D, Matplotlib 3.8 refuses an array
    lift = 0.01 * np.ptp(left.get_zlim())
    left.plot(u, v, height + lift, color="white", linewidth=1.2, zorder=4)
    left.scatter(u[kept], v[kept], height[kept] + lift, color=colors, s=9, depthshade=False, zorder=5)
    right.plot(u, v, color="white", linewidth=1.2)
    right.scatter(u[kept], v[kept], color=colors, s=9, zorder=3)
    for i, color, name in ((0, style.START_COLOR, "start"), (-1, style.END_COLOR, "end")):
        look: Any = {"color": color, "s": 60, "edgecolors": "white"}
        left.scatter(u[i], v[i], height[i] + lift, depthshade=False, zorder=6, **look)
        right.scatter(u[i], v[i], zorder=4, label=f"{name}: error {height[i]:.3g}", **look)
    right.legend(loc="best", fontsize=style.points(8))
