"""What the builders share: seeded layers, the input of images and the classifier's end."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from modelzoo._checks import check_integer, check_integers
from modelzoo._keras import keras
from modelzoo.errors import InputError
from modelzoo.recipe import Recipe

#: The lessons' initialisers, as Keras configurations, which need no Keras yet: N(0, 0.1), the same cut at two
#: standard deviations, and 0.1.
NORMAL = {"class_name": "RandomNormal", "config": {"stddev": 0.1}}
TRUNCATED_NORMAL = {"class_name": "TruncatedNormal", "config": {"stddev": 0.1}}
CONSTANT = {"class_name": "Constant", "config": {"value": 0.1}}

#: Where the tuned recipes for images come from.
TUNED_SOURCE = (
    "Our own, chosen on samples held out of the training set: distortions as Simard et al. (2003), AdamW "
    "(Loshchilov and Hutter 2019) with cosine decay (2017), averaged weights (Polyak and Juditsky 1992), He et "
    "al.'s initial weights (2015)"
)

#: Where the fast recipes come from.
FAST_SOURCE = (
    "Our own, chosen on samples held out of the training set for the least time to a stated accuracy: Adam with cosine "
    "decay (Loshchilov and Hutter 2017); for images after a warm-up (Goyal et al. 2017), under ReLU from He et al.'s "
    "initial weights (2015)"
)

#: Where the robust recipes come from.
ROBUST_SOURCE = (
    "The tuned recipe with changed looks, whose share was chosen on held-out samples for the dense network, with drawn "
    "digits beside MNIST's, for the flagged ones and closed fours that it hardly has, and with a temperature as Guo et "
    "al. (2017)"
)

#: How the robust recipes change the looks of images.
LOOKS: Any = {
    "looks": 0.04,
    "stroke": 0.8,
    "outline": 1.0,
    "blur": 2.0,
    "occlusion": 12.0,
    "lines": 2,
    "contrast": 0.7,
    "background": 0.7,
    "inversion": 0.025,
    "gaussian_noise": 100.0,
    "salt_pepper": 0.3,
}

#: Raw images come as (28, 28) arrays of 0–255.
IMAGE_SHAPE = (28, 28)


def robust(tuned: Recipe, *, source: str, extra: str | None = None, **changes: Any) -> Recipe:
    """Return a tuned recipe for MNIST with changes of the augmentation, drawn digits and calibration."""
    assert tuned.augmentation is not None
    augmentation = dataclasses.replace(tuned.augmentation, **changes)
    data_options = {"extra": extra, "drawn": 600} if extra else {"drawn": 600}
    return tuned.replace(augmentation=augmentation, calibrate=True, source=source, data_options=data_options)


class Layers:
    """Makes layers whose initial weights and dropout masks all come from one seed.

    Parameters
    ----------
    seed
        Seed of the model; ``None`` draws one from the operating system.
    kernel_initializer, bias_initializer
        Keras initialisers (name, dictionary or instance) used for every layer.
    """

    def __init__(self, seed: int | None, kernel_initializer: Any, bias_initializer: Any = "zeros") -> None:
        self._seeds = np.random.SeedSequence(seed)
        self._given = {"kernel_initializer": kernel_initializer, "bias_initializer": bias_initializer}

    def dense(self, units: int, activation: Any = None, *, name: str, use_bias: bool = True) -> keras.layers.Layer:
        """Return a dense layer."""
        return keras.layers.Dense(units, activation=activation, use_bias=use_bias, name=name, **self._initializers())

    def conv(self, filters: int, kernel_size: int, activation: Any, *, name: str) -> keras.layers.Layer:
        """Return a convolution with SAME padding."""
        return keras.layers.Conv2D(
            filters, kernel_size, padding="same", activation=activation, name=name, **self._initializers()
        )

    def dropout(self, rate: float, *, name: str) -> keras.layers.Layer:
        """Return a dropout layer."""
        return keras.layers.Dropout(rate, seed=self._next_seed(), name=name)

    def _next_seed(self) -> int:
        return int(self._seeds.spawn(1)[0].generate_state(1)[0] >> 1)

    def _initializers(self) -> dict[str, Any]:
        """Return the initialisers of one layer, each with a seed of its own."""
        seeded = {}
        for name, initializer in self._given.items():
            try:
                found = keras.initializers.get(initializer)
                config = found.get_config()
            except (ValueError, TypeError, AttributeError) as error:
                raise InputError(f"{name} must be a Keras initialiser; got {name}={initializer!r}.") from error
            if "seed" in config:
                config["seed"] = self._next_seed()
            seeded[name] = type(found).from_config(config)
        return seeded


def warmed_up(rate: float) -> dict[str, Any]:
    """Return a learning rate that rises in 50 steps to ``rate`` and falls to 0 along a cosine by the run's end."""
    config = {"initial_learning_rate": 0.0, "warmup_target": rate, "warmup_steps": 50}
    return {"class_name": "CosineDecay", "config": config}


def point_input(input_dim: Any) -> Any:
    """Return the input of points with ``input_dim`` coordinates."""
    return keras.Input((check_integer("input_dim", input_dim),), name="points")


def image_input(shape: Any, minimum: int = 1) -> tuple[Any, Any]:
    """Return the input of raw images (0–255) and the same scaled to 0–1; each side is at least ``minimum``."""
    if isinstance(shape, list | tuple) and len(shape) == 3:
        raise InputError(
            f"image_shape must be (height, width), as the zoo's networks take grey images; got image_shape={shape}. "
            f"Give {tuple(shape[:2])}, and images without channels: x[..., 0], or x.mean(axis=-1) of colours."
        )
    images = keras.Input(check_integers("image_shape", shape, 2, minimum), name="images")
    return images, keras.layers.Rescaling(1 / 255, name="rescaling")(images)


def classifier(inputs: Any, logits: Any, activation: str | None, *, name: str) -> keras.Model:
    """Close a classifier: its logits, then the activation that turns them into probabilities.

    The activation is a layer of its own, so that training can take the logits and a new head is one layer: a sigmoid
    over one logit, a softmax over several, or ``None``.
    """
    if activation is None:
        return keras.Model(inputs, logits, name=name)
    right = "sigmoid" if logits.shape[-1] == 1 else "softmax"
    if activation != right:
        raise InputError(
            f"classifier_activation={activation!r} does not give probabilities of {logits.shape[-1]} output(s). "
            f"Use {right!r}, or None for logits."
        )
    return keras.Model(inputs, keras.layers.Activation(activation, name="probabilities")(logits), name=name)
