"""Networks without a hidden layer: the threshold, logistic and softmax perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo._checks import check_flag, check_integer
from modelzoo._keras import keras
from modelzoo.errors import InputError
from modelzoo.models import _build
from modelzoo.recipe import Recipe
from modelzoo.registry import register_model

_ANN_LESSON = "Lesson on artificial neural networks: one logistic unit, then one-hot labels, on 'linear' points"


@register_model(
    task="classification",
    dataset="toy_points",
    num_params=3,
    network="2 → 1 (threshold)",
    source="Rosenblatt (1958), The perceptron; lesson on the elementary perceptron",
    recipes={
        "lesson": Recipe(
            steps=20_000,
            batch_size=1,
            optimizer="sgd",
            learning_rate=0.1,
            loss="sum_of_squares",
            log_every=20,
            log_train="all",
            target_loss=0.0,
            source="Perceptron rule w += η (y − output) x, one point a step, until an epoch ends without mistakes",
        ),
        "fast": Recipe(
            steps=100,
            optimizer="adam",
            learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1}},
            loss="sum_of_squares",
            log_every=50,
            xla="off",
            data_options={"n": 1000, "n_test": 10_000},
            source="Our own, chosen on held-out samples: Adam on the mistakes of all points, not of one a step",
        ),
        "tuned": Recipe(
            steps=20_000,
            batch_size=1,
            optimizer="sgd",
            learning_rate=0.1,
            loss="sum_of_squares",
            log_every=400,
            log_train="all",
            target_loss=0.0,
            validation_size=100,
            data_options={"n": 500, "n_test": 10_000},
            source="Our own: the same rule on more points",
        ),
    },
)
def threshold_perceptron(
    input_dim: int = 2,
    *,
    weights: Sequence[float] | None = None,
    threshold: float | None = None,
    kernel_initializer: Any = _build.NORMAL,
    seed: int | None = None,
    name: str = "threshold_perceptron",
) -> keras.Model:
    """Threshold unit: 1 where x·w exceeds a threshold, else 0.

    The backward pass treats the step as the identity, so that gradient descent on ½ (output − y)² with
    learning rate η is Rosenblatt's rule, w += η (y − output) x.

    Parameters
    ----------
    input_dim
        Number of coordinates of a point.
    weights
        Weights set by hand, ``input_dim`` numbers; drawn from ``kernel_initializer`` by default.
        ``weights=(-0.5, 1), threshold=-0.2`` separates the plane at y = 0.5 x − 0.2.
    threshold
        The threshold set by hand, stored as the bias −threshold; 0 by default.
    kernel_initializer
        Initialiser of the weights, N(0, 0.1) by default.
    seed
        Seed of the initial weights.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps ``(batch, input_dim)`` points to ``(batch, 1)`` zeros and ones.
    """
    layers = _build.Layers(seed, kernel_initializer)
    points = _build.point_input(input_dim)
    excess = layers.dense(1, name="excess")(points)
    # The step in the forward pass; the difference added to it is exactly 0 and carries the gradient of the identity.
    step = keras.ops.cast(excess > 0, excess.dtype)
    decision = keras.layers.Add(name="decision")([step, excess - keras.ops.stop_gradient(excess)])
    model = keras.Model(points, decision, name=name)
    layer = model.get_layer("excess")
    if weights is not None:
        layer.kernel.assign(_finite("weights", weights, points.shape[1])[:, np.newaxis])
    if threshold is not None:
        layer.bias.assign(-_finite("threshold", [threshold], 1))
    return model


#: The recipes of one logistic unit, which the softmax of two shares but for the loss.
LESSON = Recipe(
    steps=15_000,
    optimizer="sgd",
    learning_rate=0.05,
    loss="binary_crossentropy",
    log_every=250,
    log_train="all",
    data_options={"n": 1000},
    source="SGD 0.05, full batch of 1000 points, 15,000 steps with an explicit bias",
)
FAST = Recipe(
    steps=200,
    optimizer="adam",
    learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 3.0}},
    loss="binary_crossentropy",
    log_every=50,
    xla="off",
    data_options={"n": 1000, "n_test": 10_000},
    source=_build.FAST_SOURCE,
)
TUNED = Recipe(
    steps=5000,
    optimizer="adam",
    learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1}},
    loss="binary_crossentropy",
    log_every=250,
    log_train="all",
    validation_size=200,
    calibrate=True,
    data_options={"n": 1000, "n_test": 10_000},
    source="Our own, chosen on held-out samples: Adam with cosine decay (Loshchilov and Hutter 2017)",
)


@register_model(
    task="classification",
    dataset="linear",
    num_params=3,
    network="2 → 1 (sigmoid)",
    source=_ANN_LESSON,
    recipes={
        "lesson": LESSON,
        "fast": FAST,
        "tuned": TUNED,
        "lesson_absorbed_bias": LESSON.replace(
            steps=10_000,
            model_options={"use_bias": False},
            source="SGD 0.05, full batch of 1000 points, 10,000 steps with the bias absorbed in a column of ones",
        ),
    },
)
def logistic_perceptron(
    input_dim: int = 2,
    *,
    use_bias: bool = True,
    classifier_activation: str | None = "sigmoid",
    kernel_initializer: Any = _build.NORMAL,
    seed: int | None = None,
    name: str = "logistic_perceptron",
) -> keras.Model:
    """Logistic unit: the probability of class 1 is σ(x·w + b).

    Parameters
    ----------
    input_dim
        Number of coordinates of a point.
    use_bias
        ``False`` is the absorbed-bias form: the model appends a column of ones to the points and the bias
        is the last row of the weight matrix, drawn like the other weights.
    classifier_activation
        ``"sigmoid"``, or ``None`` for the logit.
    kernel_initializer
        Initialiser of the weights, N(0, 0.1) by default; an explicit bias starts at 0.
    seed
        Seed of the initial weights.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps ``(batch, input_dim)`` points to ``(batch, 1)`` probabilities of class 1.
    """
    layers = _build.Layers(seed, kernel_initializer)
    x = points = _build.point_input(input_dim)
    if not check_flag("use_bias", use_bias):
        x = keras.ops.concatenate([points, keras.ops.ones_like(points[:, :1])], axis=1)
    logits = layers.dense(1, name="logits", use_bias=use_bias)(x)
    return _build.classifier(points, logits, classifier_activation, name=name)


@register_model(
    task="classification",
    dataset="linear",
    num_params=6,
    network="2 → 2 (softmax)",
    source=_ANN_LESSON,
    recipes={
        "lesson": LESSON.replace(
            steps=10_000,
            loss="categorical_crossentropy",
            source="SGD 0.05 on softmax cross-entropy with one-hot labels, full batch of 1000 points, 10,000 steps",
        ),
        "fast": FAST.replace(loss="categorical_crossentropy"),
        "tuned": TUNED.replace(loss="categorical_crossentropy"),
    },
)
def onehot_softmax(
    num_classes: int = 2,
    *,
    input_dim: int = 2,
    classifier_activation: str | None = "softmax",
    kernel_initializer: Any = _build.NORMAL,
    seed: int | None = None,
    name: str = "onehot_softmax",
) -> keras.Model:
    """Softmax over linear outputs, one for each class: multinomial logistic regression.

    Parameters
    ----------
    num_classes
        Number of classes, at least 2.
    input_dim
        Number of coordinates of a point.
    classifier_activation
        ``"softmax"``, or ``None`` for logits.
    kernel_initializer
        Initialiser of the weights, N(0, 0.1) by default.
    seed
        Seed of the initial weights.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps ``(batch, input_dim)`` points to ``(batch, num_classes)`` probabilities.
    """
    num_classes = check_integer("num_classes", num_classes, minimum=2)
    layers = _build.Layers(seed, kernel_initializer)
    points = _build.point_input(input_dim)
    logits = layers.dense(num_classes, name="logits")(points)
    return _build.classifier(points, logits, classifier_activation, name=name)


def _finite(name: str, values: Any, length: int) -> np.ndarray:
    try:
        array = np.asarray(values, "float32")
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.shape != (length,) or not np.isfinite(array).all():
        raise InputError(f"{name} must be {length} finite number(s); got {values!r}.")
    return array
