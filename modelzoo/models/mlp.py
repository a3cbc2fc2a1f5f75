"""Networks with hidden layers, fully connected."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelzoo._checks import check_choice, check_flag, check_fraction, check_integer, check_integers
from modelzoo._keras import keras
from modelzoo.models import _build
from modelzoo.recipe import Augmentation, Recipe
from modelzoo.registry import register_model

#: Where the lesson evaluates the XOR net. w1, w2: hidden to output; w3, w4 and w5, w6: inputs to the first
#: and second hidden unit; b1: bias of the output, b2 and b3: of the hidden units.
XOR_LESSON_WEIGHTS = {
    "w1": 0.1,
    "w2": 0.2,
    "w3": -0.2,
    "w4": 0.2,
    "w5": -0.3,
    "w6": -0.25,
    "b1": 0.1,
    "b2": -0.1,
    "b3": 0.2,
}

#: Initialiser of the XOR net: from N(0, 0.3) gradient descent learns XOR more often than from N(0, 0.1) or N(0, 1).
XOR_INITIALIZER = {"class_name": "RandomNormal", "config": {"stddev": 0.3}}


def xor_weights(**named: float) -> list[np.ndarray]:
    """Arrange the XOR net's nine named weights as ``model.set_weights`` takes them.

    Parameters
    ----------
    **named
        Any of w1–w6 and b1–b3; the others are the lesson's, see ``XOR_LESSON_WEIGHTS``.

    Returns
    -------
    list of numpy.ndarray
        Hidden kernel (2, 2), hidden bias (2,), output kernel (2, 1), output bias (1,), float32.
    """
    for name in named:
        check_choice("XOR weight", name, XOR_LESSON_WEIGHTS)
    w = {**XOR_LESSON_WEIGHTS, **named}
    arrays = [
        [[w["w3"], w["w5"]], [w["w4"], w["w6"]]],
        [w["b2"], w["b3"]],
        [[w["w1"]], [w["w2"]]],
        [w["b1"]],
    ]
    return [np.array(array, "float32") for array in arrays]


@register_model(
    task="classification",
    dataset="xor",
    num_params=9,
    network="2 → 2 → 1 (sigmoid)",
    source="Rumelhart, Hinton and Williams (1986); lesson on error surfaces",
    recipes={
        "lesson": Recipe(
            steps=2000,
            optimizer="sgd",
            learning_rate=0.5,
            optimizer_options={"momentum": 0.9},
            loss="sum_of_squares",
            log_every=50,
            log_train="all",
            model_options={"lesson_weights": True},
            source="Our own: the lesson only evaluates the net at the weights where this recipe starts",
        ),
        "fast": Recipe(
            steps=400,
            optimizer="sgd",
            learning_rate=1.0,
            optimizer_options={"momentum": 0.9},
            loss="binary_crossentropy",
            log_every=50,
            xla="off",
            model_options={"lesson_weights": True},
            source="Our own: cross-entropy and twice the lesson's rate; four times is too much",
        ),
        "tuned": Recipe(
            steps=5000,
            optimizer="sgd",
            learning_rate=0.5,
            optimizer_options={"momentum": 0.9},
            loss="binary_crossentropy",
            log_every=50,
            log_train="all",
            model_options={"lesson_weights": True},
            source="Our own: cross-entropy, from the lesson's weights; from some random ones it gets stuck",
        ),
    },
)
def xor_mlp(
    *,
    lesson_weights: bool = False,
    kernel_initializer: Any = XOR_INITIALIZER,
    bias_initializer: Any = "zeros",
    seed: int | None = None,
    name: str = "xor_mlp",
) -> keras.Model:
    """Two logistic hidden units and a logistic output, the smallest net that learns XOR.

    Parameters
    ----------
    lesson_weights
        Start from the weights at which the lesson evaluates the net, ``XOR_LESSON_WEIGHTS``.
    kernel_initializer, bias_initializer
        Initialisers used otherwise, N(0, 0.3) and 0 by default. From some draws the net gets stuck.
    seed
        Seed of the initial weights.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps ``(batch, 2)`` points to ``(batch, 1)`` outputs between 0 and 1.
    """
    layers = _build.Layers(seed, kernel_initializer, bias_initializer)
    points = _build.point_input(2)
    hidden = layers.dense(2, "sigmoid", name="hidden")(points)
    logits = layers.dense(1, name="logits")(hidden)
    model = _build.classifier(points, logits, "sigmoid", name=name)
    if check_flag("lesson_weights", lesson_weights):
        model.set_weights(xor_weights())
    return model


@register_model(
    task="classification",
    dataset="quadratic",
    num_params=22,
    network="2 → 4 → 2 (sigmoid, softmax)",
    source="Lesson on artificial neural networks: a hidden layer for a curved boundary",
    recipes={
        "lesson": Recipe(
            steps=40_000,
            optimizer="sgd",
            learning_rate=0.01,
            log_every=250,
            log_train="all",
            data_options={"n": 1000},
            source="SGD 0.01, full batch of 1000 points, 40,000 steps, loss kept every 250",
        ),
        "fast": Recipe(
            steps=5000,
            optimizer="adam",
            learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.2}},
            log_every=500,
            data_options={"n": 5000, "n_test": 10_000},
            source=_build.FAST_SOURCE,
        ),
        "tuned": Recipe(
            steps=20_000,
            optimizer="adam",
            learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.05}},
            log_every=500,
            log_train="all",
            validation_size=1000,
            data_options={"n": 5000, "n_test": 10_000},
            source="Our own, chosen on held-out samples: more points, Adam with cosine decay (Loshchilov and Hutter "
            "2017)",
        ),
    },
)
def sigmoid_mlp(
    num_classes: int = 2,
    *,
    input_dim: int = 2,
    hidden_units: int = 4,
    classifier_activation: str | None = "softmax",
    kernel_initializer: Any = _build.NORMAL,
    seed: int | None = None,
    name: str = "sigmoid_mlp",
) -> keras.Model:
    """One hidden layer of sigmoid units under a softmax.

    Parameters
    ----------
    num_classes
        Number of classes, at least 2.
    input_dim
        Number of coordinates of a point.
    hidden_units
        Width of the hidden layer.
    classifier_activation
        ``"softmax"``, or ``None`` for logits.
    kernel_initializer
        Initialiser of the weights, N(0, 0.1) by default; biases start at 0.
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
    hidden_units = check_integer("hidden_units", hidden_units)
    layers = _build.Layers(seed, kernel_initializer)
    points = _build.point_input(input_dim)
    hidden = layers.dense(hidden_units, "sigmoid", name="hidden")(points)
    logits = layers.dense(num_classes, name="logits")(hidden)
    return _build.classifier(points, logits, classifier_activation, name=name)


TANH_FAST = Recipe(
    steps=50_000,
    batch_size=500,
    optimizer="adam",
    learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.2}},
    log_every=5000,
    model_options={"kernel_initializer": {"class_name": "RandomNormal", "config": {"stddev": 3.0}}},
    data_options={"n": 20_000, "n_test": 20_000},
    source=_build.FAST_SOURCE,
)


@register_model(
    task="classification",
    dataset="four_class",
    num_params=74,
    network="2 → 10 → 4 (tanh, softmax)",
    source="Lesson on four classes and probability maps",
    recipes={
        "lesson": Recipe(
            steps=100,
            optimizer="sgd",
            learning_rate=0.1,
            optimizer_options={"momentum": 0.9},
            log_every=10,
            log_train="all",
            source="SGD 0.1 with momentum 0.9, 100 full-batch steps",
        ),
        "fast": TANH_FAST,
        "tuned": TANH_FAST.replace(
            steps=100_000,
            log_every=2500,
            validation_size=5000,
            source="Our own, chosen on held-out samples: more points, Adam with cosine decay (Loshchilov and Hutter "
            "2017), and large initial weights, because one class is as thin as a line",
        ),
    },
)
def tanh_mlp(
    num_classes: int = 4,
    *,
    input_dim: int = 2,
    hidden_units: int = 10,
    classifier_activation: str | None = "softmax",
    kernel_initializer: Any = "glorot_uniform",
    seed: int | None = None,
    name: str = "tanh_mlp",
) -> keras.Model:
    """One hidden layer of tanh units under a softmax over four classes.

    Parameters
    ----------
    num_classes
        Number of classes, at least 2.
    input_dim
        Number of coordinates of a point.
    hidden_units
        Width of the hidden layer.
    classifier_activation
        ``"softmax"``, or ``None`` for logits.
    kernel_initializer
        Initialiser of the weights, Glorot and Bengio's (2010) uniform one by default; biases start at 0.
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
    hidden_units = check_integer("hidden_units", hidden_units)
    layers = _build.Layers(seed, kernel_initializer)
    points = _build.point_input(input_dim)
    hidden = layers.dense(hidden_units, "tanh", name="hidden")(points)
    logits = layers.dense(num_classes, name="logits")(hidden)
    return _build.classifier(points, logits, classifier_activation, name=name)


RELU_TUNED = Recipe(
    epochs=150,
    batch_size=128,
    optimizer="adamw",
    learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 4e-3}},
    optimizer_options={"weight_decay": 0.01, "use_ema": True, "ema_momentum": 0.999},
    augmentation=Augmentation(rotation=0.1, scale=0.06, shear=0.075, shift=0.75, elastic_strength=15.0),
    validation_size=5000,
    log_every=430,
    validation_freq=10,
    model_options={"kernel_initializer": "he_normal"},
    source=_build.TUNED_SOURCE,
)


@register_model(
    task="classification",
    dataset="mnist",
    num_params=79_510,
    network="784 → 100 → 10 (ReLU, softmax)",
    source="Lesson on MNIST with one hidden layer",
    recipes={
        "lesson": Recipe(
            steps=3000,
            batch_size=50,
            optimizer="adam",
            learning_rate=1e-4,
            log_every=250,
            log_train="all",
            source="Adam 1e-4, batch 50, 3000 steps, train and test loss every 250",
        ),
        "fast": Recipe(
            epochs=7,
            batch_size=128,
            optimizer="adam",
            learning_rate=_build.warmed_up(7e-3),
            label_smoothing=0.1,
            log_every=469,
            xla="update",
            model_options={"kernel_initializer": "he_normal"},
            source=_build.FAST_SOURCE,
        ),
        "tuned": RELU_TUNED,
        "robust": _build.robust(
            RELU_TUNED,
            looks=0.03,
            blur=_build.LOOKS["blur"],
            gaussian_noise=_build.LOOKS["gaussian_noise"],
            source="The tuned recipe with blur and noise, whose share was chosen on held-out samples: a network of "
            "this size learns more kinds of changed looks at the expense of plain digits. With drawn digits beside "
            "MNIST's, and with a temperature as Guo et al. (2017)",
        ),
    },
)
def relu_mlp(
    num_classes: int = 10,
    *,
    hidden_units: int = 100,
    dropout: float = 0.0,
    image_shape: tuple[int, int] = _build.IMAGE_SHAPE,
    classifier_activation: str | None = "softmax",
    kernel_initializer: Any = _build.NORMAL,
    seed: int | None = None,
    name: str = "relu_mlp",
) -> keras.Model:
    """One hidden layer of ReLU units on images.

    Parameters
    ----------
    num_classes
        Number of classes, at least 2.
    hidden_units
        Width of the hidden layer.
    dropout
        Fraction of the hidden units' outputs dropped in training.
    image_shape
        Height and width of the images.
    classifier_activation
        ``"softmax"``, or ``None`` for logits.
    kernel_initializer
        Initialiser of the weights, N(0, 0.1) by default; biases start at 0.
    seed
        Seed of the initial weights and the dropout masks.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps raw ``(batch, height, width)`` images of 0–255 to ``(batch, num_classes)`` probabilities.
    """
    widths = (check_integer("hidden_units", hidden_units),)
    return _image_mlp(num_classes, widths, dropout, image_shape, classifier_activation, kernel_initializer, seed, name)


DENSE_TUNED = RELU_TUNED.replace(
    epochs=120,
    learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 2e-3}},
    augmentation=Augmentation(rotation=0.16, scale=0.1, shear=0.12, shift=1.2, elastic_strength=24.0),
)


@register_model(
    task="classification",
    dataset="mnist",
    num_params=545_810,
    network="784 → 500 → 300 → 10 (ReLU, softmax)",
    source="Lesson on Keras; the 3-layer 500-300 softmax net of LeCun's MNIST results table",
    recipes={
        "lesson": Recipe(
            epochs=10,
            batch_size=100,
            optimizer="rmsprop",
            learning_rate=1e-3,
            log_every=600,
            source="RMSprop 1e-3, batch 100, 10 epochs",
        ),
        "fast": Recipe(
            epochs=2.5,
            batch_size=256,
            optimizer="adam",
            learning_rate=_build.warmed_up(5e-3),
            log_every=234,
            xla="update",
            model_options={"kernel_initializer": "he_normal"},
            source=_build.FAST_SOURCE,
        ),
        "tuned": DENSE_TUNED,
        "robust": _build.robust(
            DENSE_TUNED.replace(epochs=240),
            **_build.LOOKS,
            source=f"{_build.ROBUST_SOURCE}; twice as long, because there is more to learn",
        ),
    },
)
def dense_500_300(
    num_classes: int = 10,
    *,
    hidden_units: tuple[int, int] = (500, 300),
    dropout: float = 0.0,
    image_shape: tuple[int, int] = _build.IMAGE_SHAPE,
    classifier_activation: str | None = "softmax",
    kernel_initializer: Any = "glorot_uniform",
    seed: int | None = None,
    name: str = "dense_500_300",
) -> keras.Model:
    """784-500-300-10 multilayer perceptron: two ReLU layers and a softmax.

    Parameters
    ----------
    num_classes
        Number of classes, at least 2.
    hidden_units
        Widths of the two hidden layers.
    dropout
        Fraction of each hidden layer's outputs dropped in training.
    image_shape
        Height and width of the images.
    classifier_activation
        ``"softmax"``, or ``None`` for logits.
    kernel_initializer
        Initialiser of the weights, Glorot and Bengio's (2010) uniform one by default; biases start at 0.
    seed
        Seed of the initial weights and the dropout masks.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps raw ``(batch, height, width)`` images of 0–255 to ``(batch, num_classes)`` probabilities.
    """
    widths = check_integers("hidden_units", hidden_units, 2)
    return _image_mlp(num_classes, widths, dropout, image_shape, classifier_activation, kernel_initializer, seed, name)


def _image_mlp(
    num_classes: int,
    widths: tuple[int, ...],
    dropout: float,
    image_shape: tuple[int, int],
    classifier_activation: str | None,
    kernel_initializer: Any,
    seed: int | None,
    name: str,
) -> keras.Model:
    num_classes = check_integer("num_classes", num_classes, minimum=2)
    dropout = check_fraction("dropout", dropout)
    layers = _build.Layers(seed, kernel_initializer)
    images, x = _build.image_input(image_shape)
    x = keras.layers.Flatten(name="flatten")(x)
    for i, width in enumerate(widths, start=1):
        x = layers.dense(width, "relu", name=f"hidden_{i}")(x)
        if dropout:
            x = layers.dropout(dropout, name=f"dropout_{i}")(x)
    logits = layers.dense(num_classes, name="logits")(x)
    return _build.classifier(images, logits, classifier_activation, name=name)
