"""The convolutional network."""

from __future__ import annotations

from typing import Any

from modelzoo._checks import check_fraction, check_integer, check_integers
from modelzoo._keras import keras
from modelzoo.models import _build
from modelzoo.recipe import Augmentation, Recipe
from modelzoo.registry import register_model

TUNED = Recipe(
    epochs=24,
    batch_size=64,
    optimizer="adamw",
    learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 7e-4}},
    optimizer_options={"weight_decay": 0.01, "use_ema": True, "ema_momentum": 0.999},
    label_smoothing=0.05,
    augmentation=Augmentation(rotation=0.16, scale=0.1, shear=0.12, shift=1.2, elastic_strength=15.0, probability=0.8),
    validation_size=5000,
    calibrate=True,
    log_every=860,
    validation_freq=4,
    precision="bfloat16",
    model_options={"kernel_initializer": "he_normal", "bias_initializer": "zeros"},
    source=f"{_build.TUNED_SOURCE}; label smoothing as Szegedy et al. (2016), and a temperature as Guo et al. (2017)",
)


@register_model(
    task="classification",
    dataset="mnist",
    num_params=3_274_634,
    network="28×28 → conv 5×5×32 → pool → conv 5×5×64 → pool → 1024 → dropout ½ → 10",
    source="LeCun et al. (1998); TensorFlow's tutorial 'Deep MNIST for experts'; lesson on convolutional networks",
    recipes={
        "lesson": Recipe(
            steps=1000,
            batch_size=50,
            optimizer="adam",
            learning_rate=1e-4,
            log_every=100,
            validation_freq=10,
            source="Adam 1e-4, batch 50, keep probability 0.5, 1000 steps; training accuracy every 100",
        ),
        "fast": Recipe(
            epochs=1,
            batch_size=64,
            optimizer="adam",
            learning_rate=_build.warmed_up(2e-3),
            log_every=94,
            validation_freq=10,
            model_options={"kernel_initializer": "he_normal", "bias_initializer": "zeros"},
            source=_build.FAST_SOURCE,
        ),
        "tuned": TUNED,
        "robust": _build.robust(
            TUNED.replace(epochs=48),
            extra="digits",
            **_build.LOOKS,
            shift=2.0,
            source=f"{_build.ROBUST_SOURCE}; twice as long, because there is more to learn; with larger shifts, and "
            "with scikit-learn's digits of other writers",
        ),
    },
)
def two_conv_cnn(
    num_classes: int = 10,
    *,
    filters: tuple[int, int] = (32, 64),
    kernel_size: int = 5,
    hidden_units: int = 1024,
    dropout: float = 0.5,
    image_shape: tuple[int, int] = _build.IMAGE_SHAPE,
    classifier_activation: str | None = "softmax",
    kernel_initializer: Any = _build.TRUNCATED_NORMAL,
    bias_initializer: Any = _build.CONSTANT,
    seed: int | None = None,
    name: str = "two_conv_cnn",
) -> keras.Model:
    """Two convolutions with 2×2 max-pools, a dense layer with dropout, and a softmax.

    Parameters
    ----------
    num_classes
        Number of classes, at least 2.
    filters
        Number of kernels of the two convolutions.
    kernel_size
        Height and width of the kernels; the padding is SAME.
    hidden_units
        Width of the dense layer.
    dropout
        Fraction of the dense layer's outputs dropped in training (1 − keep probability).
    image_shape
        Height and width of the images, at least 4 × 4.
    classifier_activation
        ``"softmax"``, or ``None`` for logits.
    kernel_initializer, bias_initializer
        Initialisers; the lesson's are N(0, 0.1) cut at two standard deviations, and 0.1.
    seed
        Seed of the initial weights and the dropout masks.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps raw ``(batch, height, width)`` images of 0–255 to ``(batch, num_classes)`` probabilities.
    """
    num_classes = check_integer("num_classes", num_classes, minimum=2)
    filters_1, filters_2 = check_integers("filters", filters, 2)
    kernel_size = check_integer("kernel_size", kernel_size)
    hidden_units = check_integer("hidden_units", hidden_units)
    dropout = check_fraction("dropout", dropout)
    layers = _build.Layers(seed, kernel_initializer, bias_initializer)
    images, x = _build.image_input(image_shape, minimum=4)  # two 2×2 pools
    x = keras.layers.Reshape((*image_shape, 1), name="channel")(x)
    x = layers.conv(filters_1, kernel_size, "relu", name="conv_1")(x)
    x = keras.layers.MaxPooling2D(2, name="pool_1")(x)
    x = layers.conv(filters_2, kernel_size, "relu", name="conv_2")(x)
    x = keras.layers.MaxPooling2D(2, name="pool_2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = layers.dense(hidden_units, "relu", name="hidden")(x)
    x = layers.dropout(dropout, name="dropout")(x)
    logits = layers.dense(num_classes, name="logits")(x)
    return _build.classifier(images, logits, classifier_activation, name=name)
