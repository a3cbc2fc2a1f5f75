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

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from modelzoo.errors import InputError, unknown_name

FloatArray = NDArray[np.float64]

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ForwardPass",
    "PerceptronResult",
    "backward",
    "finite_differences",
    "forward",
    "gradient_descent",
    "heaviside",
    "identity",
    "lesson_derivative",
    "lesson_function",
    "logistic",
    "mean_squared_error",
    "mean_squared_error_gradient",
    "perceptron_rule",
    "relu",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_gradient",
    "softmax",
    "softmax_cross_entropy",
    "softmax_cross_entropy_gradient",
    "sum_of_squares",
    "sum_of_squares_gradient",
    "tanh",
]


# ---------------------------------------------------------------------------------------- checking input


def _array(value: ArrayLike, name: str, *, ndim: int | None = None) -> FloatArray:
    """Return finite float64 numbers, or say what is wrong with them."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} is not a rectangular array of numbers: {error}.") from error
    if array.dtype.kind not in "buif":
        raise InputError(f"{name} has dtype {array.dtype}. Give real numbers.")
    array = array.astype(np.float64)
    if ndim is not None and array.ndim != ndim:
        raise InputError(f"{name} has shape {array.shape}. It must have {ndim} dimension{'s' * (ndim != 1)}.")
    if not np.isfinite(array).all():
        raise InputError(f"{name} contains NaN or infinite values. Give finite numbers.")
    return array


def _pair(first: ArrayLike, second: ArrayLike, names: tuple[str, str]) -> tuple[FloatArray, FloatArray]:
    a, b = _array(first, names[0]), _array(second, names[1])
    if a.shape != b.shape:
        raise InputError(f"{names[0]} has shape {a.shape}, {names[1]} {b.shape}. They must be equal.")
    if not a.size:
        raise InputError(f"{names[0]} and {names[1]} are empty. Give at least one sample.")
    return a, b


def _positive(value: float, name: str) -> float:
    number = float(_array(value, name, ndim=0))
    if number <= 0:
        raise InputError(f"{name} is {value}. It must be greater than 0.")
    return number


def _count(value: int, name: str, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise InputError(f"{name} is {value!r}. It must be a whole number, {least} or greater.")
    return int(value)


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
        ``z`` of shape ``(n, m)`` to derivatives: of the same shape where ``elementwise``, else the
        Jacobian of every row, shape ``(n, m, m)``.
    elementwise
        Whether each output depends on one input only, as in all of them except softmax.
    """

    name: str
    function: Callable[[ArrayLike], FloatArray]
    derivative: Callable[[ArrayLike], FloatArray]
    elementwise: bool = True

    def pull_back(self, z: FloatArray, gradient: FloatArray) -> FloatArray:
        """Turn the gradient with respect to ``function(z)`` into the gradient with respect to ``z``."""
        slope = self.derivative(z)
        return gradient * slope if self.elementwise else np.einsum("nj,njk->nk", gradient, slope)


def identity(z: ArrayLike) -> FloatArray:
    """Return ``z`` itself, as float64: the activation of a linear unit."""
    return np.array(z, dtype=np.float64)


def identity_derivative(z: ArrayLike) -> FloatArray:
    """Return 1 for every element of ``z``."""
    return np.ones(np.shape(z))


def tanh(z: ArrayLike) -> FloatArray:
    r"""Return the hyperbolic tangent, :math:`(e^z - e^{-z}) / (e^z + e^{-z})`."""
    return np.tanh(np.asarray(z, dtype=np.float64))


def tanh_derivative(z: ArrayLike) -> FloatArray:
    r"""Return :math:`1 - \tanh^2 z`."""
    return 1.0 - tanh(z) ** 2


def logistic(z: ArrayLike) -> FloatArray:
    r"""Return the logistic sigmoid, :math:`1 / (1 + e^{-z})`, without overflow for any ``z``.

    Only :math:`e^{-|z|}`, which is at most 1, is computed; for negative ``z`` the equal form
    :math:`e^{z} / (1 + e^{z})` is used.
    """
    z = np.asarray(z, dtype=np.float64)
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, e) / (1.0 + e)


def logistic_derivative(z: ArrayLike) -> FloatArray:
    r"""Return :math:`\sigma(z) (1 - \sigma(z)) = \sigma(z) \sigma(-z)`.

    The second form keeps its precision where :math:`\sigma(z)` rounds to 1.
    """
    z = np.asarray(z, dtype=np.float64)
    return logistic(z) * logistic(-z)


def relu(z: ArrayLike) -> FloatArray:
    r"""Return the rectified linear unit, :math:`\max(0, z)`."""
    return np.maximum(np.asarray(z, dtype=np.float64), 0.0)


def relu_derivative(z: ArrayLike) -> FloatArray:
    """Return 1 where ``z`` > 0, else 0; at the kink 0, as TensorFlow does."""
    return np.where(np.asarray(z) > 0, 1.0, 0.0)


def heaviside(z: ArrayLike) -> FloatArray:
    """Return 1 where ``z`` > 0, else 0: the step of the threshold perceptron, which no gradient passes."""
    return np.where(np.asarray(z) > 0, 1.0, 0.0)


def softmax(z: ArrayLike) -> FloatArray:
    r"""Return :math:`e^{z_k} / \sum_j e^{z_j}` along the last axis, without overflow for any ``z``.

    Subtracting the row's maximum changes nothing but the range of the exponentials (Bishop 2006, eq. 4.62).
    """
    z = np.asarray(z, dtype=np.float64)
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def softmax_derivative(z: ArrayLike) -> FloatArray:
    r"""Return the Jacobian :math:`\partial y_j / \partial z_k = y_j (\delta_{jk} - y_k)` (Bishop 2006, eq. 4.106).

    Parameters
    ----------
    z
        Pre-activations, shape ``(..., m)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(..., m, m)``.
    """
    y = softmax(z)
    return y[..., :, None] * (np.eye(y.shape[-1]) - y[..., None, :])


_IDENTITY = Activation("identity", identity, identity_derivative)
_LOGISTIC = Activation("logistic", logistic, logistic_derivative)

ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "identity": _IDENTITY,
        "linear": _IDENTITY,
        "logistic": _LOGISTIC,
        "relu": Activation("relu", relu, relu_derivative),
        "sigmoid": _LOGISTIC,
        "softmax": Activation("softmax", softmax, softmax_derivative, elementwise=False),
        "tanh": Activation("tanh", tanh, tanh_derivative),
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


def _activation(name: str | Activation) -> Activation:
    if isinstance(name, Activation):
        return name
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def _layers(weights: Sequence[ArrayLike], activations: Sequence[str | Activation]) -> list[_Layer]:
    """Group ``[W1, b1, W2, b2, ...]`` by layer; a matrix begins a layer, a vector after it is its bias."""
    if isinstance(activations, str):
        raise InputError(
            f"activations is the text {activations!r}. Give a list with one name a layer: [{activations!r}]."
        )
    kernels: list[FloatArray] = []
    biases: list[FloatArray | None] = []
    for i, value in enumerate(weights):
        array = _array(value, f"weights[{i}]")
        if array.ndim == 2:
            if kernels and kernels[-1].shape[1] != array.shape[0]:
                raise InputError(
                    f"weights[{i}] has shape {array.shape}, but the layer before has {kernels[-1].shape[1]} units. "
                    f"It must have shape ({kernels[-1].shape[1]}, units)."
                )
            kernels.append(array)
            biases.append(None)
        elif array.ndim == 1 and kernels and biases[-1] is None:
            if array.shape != kernels[-1].shape[1:]:
                raise InputError(
                    f"weights[{i}] has shape {array.shape}. The bias of a layer of {kernels[-1].shape[1]} units "
                    f"has shape ({kernels[-1].shape[1]},)."
                )
            biases[-1] = array
        else:
            raise InputError(
                f"weights[{i}] has shape {array.shape}. Give [W1, b1, W2, b2, ...] with matrices (inputs, units), "
                "each followed by its bias (units,) or by none."
            )
    if not kernels or len(activations) != len(kernels):
        raise InputError(
            f"There are {len(kernels)} layers of weights and {len(activations)} activations. Give one for each."
        )
    return [_Layer(*entry) for entry in zip(kernels, biases, map(_activation, activations), strict=True)]


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

    Returns
    -------
    ForwardPass
        Pre-activations and activations of all layers; ``.output`` is the last.

    Raises
    ------
    InputError
        Shapes do not fit together, a value is not finite, or an activation is unknown.
    """
    layers = _layers(weights, activations)
    y = _array(x, "x", ndim=2)
    if y.shape[1] != layers[0].kernel.shape[0]:
        raise InputError(f"x has shape {y.shape}. The first layer takes (n, {layers[0].kernel.shape[0]}).")
    pre: list[FloatArray] = []
    post = [y]
    for layer in layers:
        z = y @ layer.kernel if layer.bias is None else y @ layer.kernel + layer.bias
        y = layer.activation.function(z)
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

    Raises
    ------
    InputError
        Shapes do not fit together, a value is not finite, or an activation is unknown.
    """
    layers = _layers(weights, activations)
    sizes = [(len(passed.post[0]), layer.kernel.shape[1]) for layer in layers]
    if [z.shape for z in passed.pre] != sizes or passed.post[0].shape[1] != layers[0].kernel.shape[0]:
        raise InputError("The forward pass belongs to other weights. Give what forward() returned for these.")
    delta = _array(gradient, "gradient")
    if delta.shape != passed.output.shape:
        raise InputError(f"gradient has shape {delta.shape}. The output has shape {passed.output.shape}.")
    gradients: list[FloatArray] = []
    for i in reversed(range(len(layers))):
        layer = layers[i]
        if not (from_logits and i == len(layers) - 1):
            delta = layer.activation.pull_back(passed.pre[i], delta)
        if layer.bias is not None:
            gradients.append(delta.sum(axis=0))
        gradients.append(passed.post[i].T @ delta)
        delta = delta @ layer.kernel.T
    return gradients[::-1]


# ------------------------------------------------------------------------------------------------ losses


def sum_of_squares(y: ArrayLike, t: ArrayLike) -> float:
    r"""Return the sum-of-squares error, :math:`E = \frac{1}{2} \sum_n \lVert y_n - t_n \rVert^2`.

    It is Bishop 2006, eq. 5.11: summed over the samples, not averaged, and halved.

    Parameters
    ----------
    y, t
        Outputs and targets, of the same shape.

    Returns
    -------
    float
        The error, summed over samples and outputs.
    """
    y, t = _pair(y, t, ("y", "t"))
    return 0.5 * float(np.sum((y - t) ** 2))


def sum_of_squares_gradient(y: ArrayLike, t: ArrayLike) -> FloatArray:
    r"""Return :math:`\partial E / \partial y = y - t` of :func:`sum_of_squares`, in the shape of ``y``."""
    y, t = _pair(y, t, ("y", "t"))
    return y - t


def mean_squared_error(y: ArrayLike, t: ArrayLike) -> float:
    r"""Return :math:`\frac{1}{N} \sum (y - t)^2`, the mean over all :math:`N` elements of all samples.

    Parameters
    ----------
    y, t
        Outputs and targets, of the same shape.

    Returns
    -------
    float
        The error.
    """
    y, t = _pair(y, t, ("y", "t"))
    return float(np.mean((y - t) ** 2))


def mean_squared_error_gradient(y: ArrayLike, t: ArrayLike) -> FloatArray:
    r"""Return :math:`2 (y - t) / N` of :func:`mean_squared_error`, in the shape of ``y``."""
    y, t = _pair(y, t, ("y", "t"))
    return 2.0 * (y - t) / y.size


def _targets(logits: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return logits ``(n, k)`` and one row of probabilities for each."""
    z = _array(logits, "logits", ndim=2)
    if not z.size:
        raise InputError(f"logits has shape {z.shape}. Give at least one sample and one class.")
    t = _array(labels, "labels")
    if t.ndim == 1 and len(t) == len(z):
        if (t != np.round(t)).any() or t.min() < 0 or t.max() >= z.shape[1]:
            raise InputError(f"labels has values outside the whole numbers 0 to {z.shape[1] - 1}.")
        return z, np.eye(z.shape[1])[t.astype(int)]
    if t.shape != z.shape:
        raise InputError(f"labels has shape {t.shape}. Give ({len(z)},) integer labels, or {z.shape} probabilities.")
    if (t < 0).any() or not np.allclose(t.sum(axis=1), 1.0):
        raise InputError(
            "A row of labels is not a distribution. Give numbers from 0 up whose sum is 1, such as one-hot."
        )
    return z, t


def softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    r"""Return the mean cross-entropy of softmax outputs, computed from logits.

    :math:`E = -\frac{1}{n} \sum_n \sum_k t_{nk} \ln y_{nk}` with :math:`y = \mathrm{softmax}(z)` (Bishop 2006, eq.
    4.108, divided by the number of samples). :math:`\ln y_k = z_k - m - \ln \sum_j e^{z_j - m}` with
    :math:`m = \max_j z_j` never takes the logarithm of zero.

    Parameters
    ----------
    logits
        Pre-activations of the output layer, shape ``(n, classes)``.
    labels
        Integer labels of shape ``(n,)``, or rows of probabilities (one-hot, for example) of shape ``(n, classes)``.

    Returns
    -------
    float
        The error in nats.
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


def _probabilities(logits: ArrayLike, labels: ArrayLike) -> tuple[FloatArray, FloatArray]:
    z, t = _pair(logits, labels, ("logits", "labels"))
    if t.min() < 0 or t.max() > 1:
        raise InputError(f"labels has values from {t.min():g} to {t.max():g}. They must lie between 0 and 1.")
    return z, t


def sigmoid_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> float:
    r"""Return the mean cross-entropy of logistic outputs, computed from logits.

    :math:`E = -\frac{1}{N} \sum t \ln \sigma(z) + (1 - t) \ln(1 - \sigma(z))` (Bishop 2006, eq. 4.90, divided by the
    number of elements), as the equal :math:`\max(z, 0) - z t + \ln(1 + e^{-|z|})`, which never overflows.

    Parameters
    ----------
    logits, labels
        Pre-activations, and targets between 0 and 1, of the same shape: both ``(n,)`` or both ``(n, 1)``.

    Returns
    -------
    float
        The error in nats.
    """
    z, t = _probabilities(logits, labels)
    return float(np.mean(np.maximum(z, 0.0) - z * t + np.log1p(np.exp(-np.abs(z)))))


def sigmoid_cross_entropy_gradient(logits: ArrayLike, labels: ArrayLike) -> FloatArray:
    r"""Return :math:`\partial E / \partial z = (\sigma(z) - t) / N` of :func:`sigmoid_cross_entropy`.

    It has the shape of ``logits`` and goes to :func:`backward` with ``from_logits=True``.
    """
    z, t = _probabilities(logits, labels)
    return (logistic(z) - t) / z.size


# ----------------------------------------------------------------------------------------------- descent


def lesson_function(x: ArrayLike) -> FloatArray:
    r"""Return :math:`f(x) = e^{-\sin x} x^2`, the curve on which the lesson shows gradient descent.

    Its global minimum is 0, at 0; it has further local minima, so where the descent ends depends on its start.
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
        Where to start: a number or an array.
    learning_rate
        The step size :math:`\eta`, greater than 0.
    steps
        How many steps, 0 or more.
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
        An argument is not usable, or the descent leaves the finite numbers.
    """
    x = _array(x0, "x0")
    rate = _positive(learning_rate, "learning_rate")
    points = [x]
    for step in range(1, _count(steps, "steps", least=0) + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            slope = np.asarray(gradient(x), dtype=np.float64)
            if slope.shape != x.shape:
                raise InputError(f"gradient returned shape {slope.shape} at a point of shape {x.shape}.")
            x = x - rate * slope
        if not np.isfinite(x).all():
            raise InputError(f"Gradient descent diverged at step {step}. Take a learning_rate below {learning_rate:g}.")
        if trace:
            points.append(x)
    return np.stack(points) if trace else x


class PerceptronResult(NamedTuple):
    """A separating line found by :func:`perceptron_rule`: the class is 1 where ``x @ weights + bias > 0``.

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
    x: ArrayLike,
    y: ArrayLike,
    *,
    learning_rate: float = 1.0,
    weights: ArrayLike | None = None,
    bias: float = 0.0,
    max_epochs: int = 1000,
) -> PerceptronResult:
    r"""Train a threshold perceptron by Rosenblatt's rule until it makes no mistake.

    Sample by sample, in the order given: :math:`w \leftarrow w + \eta (t - \hat y) x`,
    :math:`b \leftarrow b + \eta (t - \hat y)`, with :math:`\hat y = 1` where :math:`x \cdot w + b > 0`. For separable
    points it ends after finitely many updates (Bishop 2006, section 4.1.7).

    Parameters
    ----------
    x
        Points, shape ``(n, features)``.
    y
        Their classes, 0 or 1, shape ``(n,)``.
    learning_rate
        The step size :math:`\eta`, greater than 0.
    weights, bias
        Where to start; zeros by default.
    max_epochs
        After how many passes with mistakes to give up.

    Returns
    -------
    PerceptronResult
        Weights, bias, and how long it took.

    Raises
    ------
    InputError
        An argument is not usable, or ``max_epochs`` passes all had mistakes.
    """
    x = _array(x, "x", ndim=2)
    y = _array(y, "y", ndim=1)
    if not x.size or len(x) != len(y):
        raise InputError(f"x has shape {x.shape}, y {y.shape}. Give (n, features) points and (n,) classes.")
    if not np.isin(y, (0, 1)).all():
        raise InputError(f"y has the classes {np.unique(y).tolist()}. They must be 0 and 1.")
    w = np.zeros(x.shape[1]) if weights is None else _array(weights, "weights")
    if w.shape != x.shape[1:]:
        raise InputError(f"weights has shape {w.shape}. For points of {x.shape[1]} features it is ({x.shape[1]},).")
    b = float(_array(bias, "bias", ndim=0))
    rate = _positive(learning_rate, "learning_rate")
    updates = mistakes = 0
    for epoch in range(1, _count(max_epochs, "max_epochs", least=1) + 1):
        mistakes = 0
        for point, target in zip(x, y, strict=True):
            wrong_by = float(target) - float(point @ w + b > 0)
            if wrong_by:
                w = w + rate * wrong_by * point
                b += rate * wrong_by
                mistakes += 1
        updates += mistakes
        if not mistakes:
            return PerceptronResult(w, b, epoch, updates)
    raise InputError(
        f"The perceptron rule still made {mistakes} mistakes on {len(x)} points in epoch {max_epochs}. Either no line "
        "separates the two classes, or max_epochs must be greater."
    )


@overload
def finite_differences(
    function: Callable[[FloatArray], float], x: NDArray | float, *, step: float = ...
) -> FloatArray: ...


@overload
def finite_differences(
    function: Callable[[list[FloatArray]], float], x: list, *, step: float = ...
) -> list[FloatArray]: ...


def finite_differences(function, x, *, step=1e-6):
    r"""Approximate a gradient by central differences, :math:`(f(x + \epsilon) - f(x - \epsilon)) / 2 \epsilon`.

    The error is of order :math:`\epsilon^2` (Bishop 2006, eq. 5.69). It costs two evaluations for each number in
    ``x``: for checking gradients, not for training.

    Parameters
    ----------
    function
        Takes what ``x`` is, in float64, and returns one number.
    x
        A number or array; or a list of them, such as the weights of a network.
    step
        The distance :math:`\epsilon`, greater than 0.

    Returns
    -------
    numpy.ndarray or list of numpy.ndarray
        The gradient in the shape of ``x``, or one for each entry of the list.
    """
    step = _positive(step, "step")
    several = isinstance(x, list)
    points = [_array(value, f"x[{i}]") for i, value in enumerate(x)] if several else [_array(x, "x")]
    gradients = [np.empty_like(point) for point in points]

    def value() -> float:
        copies = [point.copy() for point in points]  # the function may keep or change what it is given
        result = np.asarray(function(copies if several else copies[0]), dtype=np.float64)
        if result.size != 1 or not math.isfinite(result.item()):
            raise InputError(f"function returned {result}. It must return one finite number.")
        return result.item()

    for point, gradient in zip(points, gradients, strict=True):
        for index in np.ndindex(point.shape):
            centre = point[index]
            point[index] = centre + step
            above = value()
            point[index] = centre - step
            below = value()
            point[index] = centre
            gradient[index] = (above - below) / (2.0 * step)
    return gradients if several else gradients[0]
