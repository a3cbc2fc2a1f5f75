r"""The same mathematics in NumPy: activations, forward and backward pass, losses, gradient descent.

Nothing here trains a zoo model. It is what the lessons explain the networks with, and what the tests
compare TensorFlow's gradients to. Everything is computed in float64 and in matrix form: a batch of
:math:`n` samples is a matrix of :math:`n` rows, and a layer of :math:`m` units maps ``(n, k)`` to ``(n, m)``
by :math:`Z = X W + b`, :math:`Y = h(Z)`.

Sources: C. M. Bishop, *Pattern Recognition and Machine Learning*, Springer 2006, chapters 4 and 5;
F. Rosenblatt, *The perceptron*, Psychological Review 65 (1958) 386-408.

Examples
--------
The gradients of the sum-of-squares error of a 2-2-1 network with logistic units:

>>> import numpy as np
>>> from modelzoo import reference
>>> x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
>>> t = np.array([[0], [1], [1], [0]])
>>> weights = [np.array([[-0.2, -0.3], [0.2, -0.25]]), np.array([-0.1, 0.2]), np.array([[0.1], [0.2]]), np.array([0.1])]
>>> activations = ["logistic", "logistic"]
>>> passed = reference.forward(x, weights, activations)
>>> passed.output.shape
(4, 1)
>>> gradient = reference.sum_of_squares_gradient(passed.output, t)
>>> [g.shape for g in reference.backward(passed, weights, activations, gradient)]
[(2, 2), (2,), (2, 1), (1,)]
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelzoo._checks import check_choice, check_integer, check_number
from modelzoo.errors import InputError

FloatArray = NDArray[np.float64]


# ------------------------------------------------------------------------------------------- activations


@dataclass(frozen=True)
class Activation:
    """An activation function and its derivative, both taken at the pre-activation ``z``.

    Attributes
    ----------
    name
        Its name in this module.
    function
        ``z`` of shape ``(n, m)`` to values of the same shape.
    derivative
        ``z`` of shape ``(n, m)`` to derivatives: of the same shape if ``elementwise``, else the Jacobian of every
        row, shape ``(n, m, m)``.
    elementwise
        Whether each output depends on one input only, as in all of them except softmax.
    """

    name: str
    function: Callable[[Any], FloatArray]
    derivative: Callable[[Any], FloatArray]
    elementwise: bool = True


def _floats(z: ArrayLike) -> FloatArray:
    """Return numbers as floats: float32 stays, for :mod:`modelzoo.numpy_runtime`; all else becomes float64."""
    z = np.asarray(z)
    return z if z.dtype == np.float32 else z.astype(np.float64)


def logistic(z: ArrayLike) -> FloatArray:
    r"""Return the logistic sigmoid, :math:`1 / (1 + e^{-z})`, without overflow for any ``z``.

    Only :math:`e^{-|z|}`, which is at most 1, is computed; for negative ``z`` the equal form
    :math:`e^{z} / (1 + e^{z})` is used.
    """
    z = _floats(z)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, z.dtype.type(1), e) / (1 + e)


def heaviside(z: ArrayLike) -> FloatArray:
    """Return 1 for ``z`` > 0, else 0: the step of the threshold perceptron, which no gradient passes."""
    return np.where(np.asarray(z) > 0, 1.0, 0.0)


def softmax(z: ArrayLike) -> FloatArray:
    r"""Return :math:`e^{z_k} / \sum_j e^{z_j}` along the last axis, without overflow for any ``z``.

    Subtracting the row's maximum changes nothing but the range of the exponentials (Bishop 2006, eq. 4.62).
    """
    z = _floats(z)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _softmax_derivative(z: ArrayLike) -> FloatArray:
    r"""Return the Jacobian :math:`\partial y_j / \partial z_k = y_j (\delta_{jk} - y_k)` (Bishop 2006, eq. 4.106)."""
    y = softmax(z)
    return y[..., :, None] * (np.eye(y.shape[-1]) - y[..., None, :])


_IDENTITY = Activation("identity", lambda z: np.array(z, np.float64), lambda z: np.ones(np.shape(z)))
# σ(z) σ(-z) is σ (1 - σ), and keeps its precision for large z, at which σ rounds to 1.
_LOGISTIC = Activation("logistic", logistic, lambda z: logistic(z) * logistic(-np.asarray(z)))

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "identity": _IDENTITY,
        "linear": _IDENTITY,
        "logistic": _LOGISTIC,
        "relu": Activation("relu", lambda z: np.maximum(z, 0.0), heaviside),  # 0 at the kink, as in TensorFlow
        "sigmoid": _LOGISTIC,
        "softmax": Activation("softmax", softmax, _softmax_derivative, elementwise=False),
        "tanh": Activation("tanh", np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    }
)
"""The activations by name; Keras' names ``linear`` and ``sigmoid`` stand for ``identity`` and ``logistic``."""


# ------------------------------------------------------------------------------ forward and backward pass


class ForwardPass(NamedTuple):
    """What :func:`forward` computed, layer by layer; :func:`backward` starts from it.

    Attributes
    ----------
    pre
        The pre-activations ``Z`` of the layers, each of shape ``(n, units)``.
    post
        The input, followed by the activations ``Y`` of the layers: one more entry than ``pre``.
    """

    pre: list[FloatArray]
    post: list[FloatArray]

    @property
    def output(self) -> FloatArray:
        """The activations of the last layer, shape ``(n, units)``."""
        return self.post[-1]


class _Layer(NamedTuple):
    kernel: FloatArray
    bias: FloatArray | None
    activation: Activation


def _layers(weights: Sequence[ArrayLike], activations: Sequence[str | Activation]) -> list[_Layer]:
    """Group ``[W1, b1, W2, b2, ...]`` by layer; a matrix begins a layer, a vector after it is its bias."""
    arrays = [np.asarray(value, np.float64) for value in weights]
    groups: list[list[FloatArray]] = []
    for array in arrays:
        if array.ndim == 2 or not groups:
            groups.append([array])
        else:
            groups[-1].append(array)
    biases = all(kernel.ndim == 2 and [b.shape for b in bias] in ([], [kernel.shape[1:]]) for kernel, *bias in groups)
    if not groups or not biases or any(a[0].shape[1] != b[0].shape[0] for a, b in itertools.pairwise(groups)):
        raise InputError(
            "weights must be [W1, b1, W2, b2, ...]: matrices (inputs, units) that fit each other, each followed by its "
            f"bias (units,) or by none; got the shapes {[array.shape for array in arrays]}."
        )
    if isinstance(activations, str) or len(activations) != len(groups):
        raise InputError(f"activations must be one name for each of {len(groups)} layers; got {activations!r}.")
    layers = []
    for (kernel, *bias), name in zip(groups, activations, strict=True):
        found = name if isinstance(name, Activation) else ACTIVATIONS[check_choice("activation", name, ACTIVATIONS)]
        layers.append(_Layer(kernel, bias[0] if bias else None, found))
    return layers


def forward(x: ArrayLike, weights: Sequence[ArrayLike], activations: Sequence[str | Activation]) -> ForwardPass:
    r"""Compute a multilayer perceptron: :math:`Z_l = Y_{l-1} W_l + b_l`, :math:`Y_l = h_l(Z_l)`, :math:`Y_0 = X`.

    Parameters
    ----------
    x
        Samples, shape ``(n, inputs)``.
    weights
        ``[W1, b1, W2, b2, ...]`` as Keras' ``get_weights`` gives them: ``W`` of shape ``(inputs, units)``, ``b`` of
        shape ``(units,)``. A layer without bias has its ``W`` only.
    activations
        One name of :data:`ACTIVATIONS`, or an :class:`Activation`, for each layer.
    """
    layers = _layers(weights, activations)
    y = np.asarray(x, np.float64)
    if y.ndim != 2 or y.shape[1] != layers[0].kernel.shape[0]:
        raise InputError(f"x must have the shape (n, {layers[0].kernel.shape[0]}); got {y.shape}.")
    pre: list[FloatArray] = []
    post = [y]
    for kernel, bias, activation in layers:
        z = y @ kernel if bias is None else y @ kernel + bias
        y = activation.function(z)
        pre.append(z)
        post.append(y)
    return ForwardPass(pre, post)


def backward(
    passed: ForwardPass,
    weights: Sequence[ArrayLike],
    activations: Sequence[str | Activation],
    gradient: ArrayLike,
    *,
    from_logits: bool = False,
) -> list[FloatArray]:
    r"""Compute the gradients of an error with respect to the weights, by backpropagation.

    With :math:`\Delta_l = \partial E / \partial Z_l` (Bishop 2006, section 5.3, in matrix form):
    :math:`\Delta_L = \partial E / \partial Y_L \odot h_L'(Z_L)`,
    :math:`\Delta_{l-1} = (\Delta_l W_l^T) \odot h_{l-1}'(Z_{l-1})`,
    :math:`\partial E / \partial W_l = Y_{l-1}^T \Delta_l`, and :math:`\partial E / \partial b_l` is the sum of
    the rows of :math:`\Delta_l`.

    Parameters
    ----------
    passed
        What :func:`forward` returned for the same weights and activations.
    weights, activations
        As for :func:`forward`.
    gradient
        Gradient of the error with respect to the network's output, shape ``(n, outputs)``: for example of
        :func:`sum_of_squares_gradient`.
    from_logits
        ``gradient`` is with respect to the last layer's pre-activations instead, as the gradients of the
        cross-entropies are.

    Returns
    -------
    list of numpy.ndarray
        One gradient for each of the weights, in their order and of their shapes.
    """
    layers = _layers(weights, activations)
    delta = np.asarray(gradient, np.float64)
    if delta.shape != passed.output.shape:
        raise InputError(f"gradient must have the shape of the output, {passed.output.shape}; got {delta.shape}.")
    gradients: list[FloatArray] = []
    for i in reversed(range(len(layers))):
        kernel, bias, activation = layers[i]
        if not (from_logits and i == len(layers) - 1):
            slope = activation.derivative(passed.pre[i])
            delta = delta * slope if activation.elementwise else np.einsum("nj,njk->nk", delta, slope)
        if bias is not None:
            gradients.append(delta.sum(axis=0))
        gradients.append(passed.post[i].T @ delta)
        delta = delta @ kernel.T
    return gradients[::-1]


# ------------------------------------------------------------------------------------------------ losses


def _pair(first: ArrayLike, second: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two arrays of one shape; NumPy would broadcast others, ``(n, 1)`` and ``(n,)`` to ``(n, n)``."""
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if a.shape != b.shape or not a.size:
        raise InputError(f"Outputs and targets must have the same shape; got {a.shape} and {b.shape}.")
    return a, b


def sum_of_squares(y: ArrayLike, t: ArrayLike) -> float:
    r"""Return the sum-of-squares error, :math:`E = \frac{1}{2} \sum_n \lVert y_n - t_n \rVert^2`.

    It is Bishop 2006, eq. 5.11: summed over the samples, not averaged, and halved. ``y`` and ``t`` are outputs and
    targets of the same shape.
    """
    y, t = _pair(y, t)
    return 0.5 * float(np.sum((y - t) ** 2))


def sum_of_squares_gradient(y: ArrayLike, t: ArrayLike) -> FloatArray:
    r"""Return :math:`\partial E / \partial y = y - t` of :func:`sum_of_squares`, in the shape of ``y``."""
    y, t = _pair(y, t)
    return y - t


def mean_squared_error(y: ArrayLike, t: ArrayLike) -> float:
    r"""Return :math:`\frac{1}{N} \sum (y - t)^2`, the mean over all :math:`N` elements of all samples."""
    y, t = _pair(y, t)
    return float(np.mean((y - t) ** 2))


def mean_squared_error_gradient(y: ArrayLike, t: ArrayLike) -> FloatArray:
    r"""Return :math:`2 (y - t) / N` of :func:`mean_squared_error`, in the shape of ``y``."""
    y, t = _pair(y, t)
    return 2.0 * (y - t) / y.size


def _targets(logits: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return logits ``(n, k)`` and one row of probabilities for each."""
    z, t = np.asarray(logits, np.float64), np.asarray(labels)
    if z.ndim == 2 and t.shape == z.shape[:1] and np.isin(t, range(z.shape[1])).all():
        t = np.eye(z.shape[1])[t.astype(int)]
    if z.ndim != 2 or t.shape != z.shape or (t < 0).any() or not np.allclose(t.sum(axis=1), 1.0):
        raise InputError(
            "labels must be classes from 0, shape (n,), or rows of probabilities such as one-hot, shape (n, classes), "
            f"for logits of shape (n, classes); got labels of shape {t.shape} for logits of shape {z.shape}."
        )
    return z, t


def softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    r"""Return the mean cross-entropy of softmax outputs in nats, computed from logits.

    :math:`E = -\frac{1}{n} \sum_n \sum_k t_{nk} \ln y_{nk}` with :math:`y = \mathrm{softmax}(z)` (Bishop 2006, eq.
    4.108, divided by the number of samples). :math:`\ln y_k = z_k - m - \ln \sum_j e^{z_j - m}` with
    :math:`m = \max_j z_j` never takes the logarithm of zero.

    Parameters
    ----------
    logits
        Pre-activations of the output layer, shape ``(n, classes)``.
    labels
        Integer labels of shape ``(n,)``, or rows of probabilities (one-hot, for example) of shape ``(n, classes)``.
    """
    z, t = _targets(logits, labels)
    z = z - z.max(axis=1, keepdims=True)
    log_y = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return -float(np.sum(t * log_y)) / len(z)


def softmax_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike) -> FloatArray:
    r"""Return :math:`\partial E / \partial z = (\mathrm{softmax}(z) - t) / n` of :func:`softmax_cross_entropy`.

    It has the shape of ``logits`` and goes to :func:`backward` with ``from_logits=True``.
    """
    z, t = _targets(logits, labels)
    return (softmax(z) - t) / len(z)


def sigmoid_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    r"""Return the mean cross-entropy of logistic outputs in nats, computed from logits.

    :math:`E = -\frac{1}{N} \sum t \ln \sigma(z) + (1 - t) \ln(1 - \sigma(z))` (Bishop 2006, eq. 4.90, divided by the
    number of elements), as the equal :math:`\max(z, 0) - z t + \ln(1 + e^{-|z|})`, which never overflows.
    ``logits`` and ``labels``, from 0 to 1, have the same shape.
    """
    z, t = _pair(logits, labels)
    return float(np.mean(np.maximum(z, 0.0) - z * t + np.log1p(np.exp(-np.abs(z)))))


def sigmoid_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike) -> FloatArray:
    r"""Return :math:`\partial E / \partial z = (\sigma(z) - t) / N` of :func:`sigmoid_cross_entropy`.

    It has the shape of ``logits`` and goes to :func:`backward` with ``from_logits=True``.
    """
    z, t = _pair(logits, labels)
    return (logistic(z) - t) / z.size


# ----------------------------------------------------------------------------------------------- descent


def lesson_function(x: ArrayLike) -> FloatArray:
    r"""Return :math:`f(x) = e^{-\sin x} x^2`, the curve on which the lesson shows gradient descent.

    Its global minimum is 0, at 0; it has further local minima, so the end of the descent depends on its start.
    """
    x = np.asarray(x, dtype=np.float64)
    return np.exp(-np.sin(x)) * x**2


def lesson_derivative(x: ArrayLike) -> FloatArray:
    r"""Return :math:`f'(x) = -x e^{-\sin x} (x \cos x - 2)` of :func:`lesson_function`."""
    x = np.asarray(x, dtype=np.float64)
    return -x * np.exp(-np.sin(x)) * (x * np.cos(x) - 2.0)


def gradient_descent(
    gradient: Callable[[FloatArray], ArrayLike],
    x0: ArrayLike,
    learning_rate: float,
    steps: int,
    trace: bool = False,
) -> FloatArray:
    r"""Follow :math:`x \leftarrow x - \eta \nabla f(x)` for a number of steps.

    Parameters
    ----------
    gradient
        Gives the gradient at ``x``, in the shape of ``x``.
    x0
        The start: a number or an array.
    learning_rate
        The step size :math:`\eta`, above 0.
    steps
        Number of steps, 0 or more.
    trace
        Return every point on the way instead of the last one.

    Returns
    -------
    numpy.ndarray
        The last point, in the shape of ``x0``; with ``trace`` all points, shape ``(steps + 1, *x0.shape)``, the
        first of them ``x0``.

    Raises
    ------
    InputError
        The descent left the finite numbers.
    """
    check_number("learning_rate", learning_rate, 0, exclusive=True)
    x = np.asarray(x0, np.float64)
    points = [x]
    for step in range(1, check_integer("steps", steps, 0) + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            slope = np.asarray(gradient(x), dtype=np.float64)
            if slope.shape != x.shape:
                raise InputError(f"gradient must return the shape of the point, {x.shape}; got {slope.shape}.")
            x = x - learning_rate * slope
        if not np.isfinite(x).all():
            raise InputError(f"Gradient descent diverged at step {step}. Take a learning_rate below {learning_rate:g}.")
        points.append(x)
    return np.stack(points) if trace else x


class PerceptronResult(NamedTuple):
    """A separating line found by :func:`perceptron_rule`: the class is 1 if ``x @ weights + bias > 0``.

    Attributes
    ----------
    weights
        Shape ``(features,)``.
    bias
        Minus the threshold.
    epochs
        Passes over the points until one made no mistake, that one included.
    updates
        How many times a point was on the wrong side and moved the line.
    """

    weights: FloatArray
    bias: float
    epochs: int
    updates: int


def perceptron_rule(
    x: ArrayLike, y: ArrayLike, *, learning_rate: float = 1.0, max_epochs: int = 1000
) -> PerceptronResult:
    r"""Train a threshold perceptron by Rosenblatt's rule until it makes no mistake.

    From zero weights, sample by sample, in the order given: :math:`w \leftarrow w + \eta (t - \hat y) x`,
    :math:`b \leftarrow b + \eta (t - \hat y)`, with :math:`\hat y = 1` if :math:`x \cdot w + b > 0`. For separable
    points it ends after finitely many updates (Bishop 2006, section 4.1.7).

    Parameters
    ----------
    x
        Points, shape ``(n, features)``.
    y
        Their classes, 0 or 1, shape ``(n,)``.
    learning_rate
        The step size :math:`\eta`, above 0.
    max_epochs
        After how many passes with mistakes to give up.

    Raises
    ------
    InputError
        ``max_epochs`` passes all had mistakes.
    """
    check_number("learning_rate", learning_rate, 0, exclusive=True)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1] or not np.isin(y, (0, 1)).all():
        raise InputError(
            f"x must be points (n, features) and y their classes (n,), 0 or 1; got {x.shape} and {y.shape} with the "
            f"classes {np.unique(y).tolist()}."
        )
    w, b, updates, mistakes = np.zeros(x.shape[1]), 0.0, 0, 0
    for epoch in range(1, check_integer("max_epochs", max_epochs) + 1):
        mistakes = 0
        for point, target in zip(x, y, strict=True):
            wrong_by = target - float(point @ w + b > 0)
            if wrong_by:
                w = w + learning_rate * wrong_by * point
                b += learning_rate * float(wrong_by)
                mistakes += 1
        updates += mistakes
        if not mistakes:
            return PerceptronResult(w, b, epoch, updates)
    raise InputError(
        f"The perceptron rule still made {mistakes} mistakes on {len(x)} points in epoch {max_epochs}. Either no line "
        "separates the two classes, or max_epochs must be greater."
    )


def finite_differences(function: Callable[[Any], Any], x: Any) -> Any:
    r"""Approximate a gradient by central differences, :math:`(f(x + \epsilon) - f(x - \epsilon)) / 2 \epsilon`.

    :math:`\epsilon` is 1e-6; the error is of order :math:`\epsilon^2` (Bishop 2006, eq. 5.69). It costs two evaluations
    for each number in ``x``: for checking gradients, not for training.

    Parameters
    ----------
    function
        Takes what ``x`` is, in float64, and returns one number.
    x
        A number or array; or a list of them, such as the weights of a network.

    Returns
    -------
    numpy.ndarray or list of numpy.ndarray
        The gradient in the shape of ``x``, or one for each entry of the list.
    """
    step, several = 1e-6, isinstance(x, list)
    points = [np.array(value, np.float64) for value in (x if several else [x])]
    gradients = [np.empty_like(point) for point in points]

    def value_at(point: FloatArray, index: tuple[int, ...], value: float) -> float:
        centre, point[index] = float(point[index]), value
        copies = [point.copy() for point in points]  # the function may keep or change what it is given
        point[index] = centre
        return float(function(copies if several else copies[0]))

    for point, gradient in zip(points, gradients, strict=True):
        for index in np.ndindex(point.shape):
            above, below = (value_at(point, index, float(point[index]) + shift) for shift in (step, -step))
            gradient[index] = (above - below) / (2.0 * step)
    return gradients if several else gradients[0]
