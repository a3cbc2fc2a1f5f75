"""The autoencoder."""

from __future__ import annotations

from typing import Any

from modelzoo._checks import check_integer, check_integers
from modelzoo._keras import keras
from modelzoo.models import _build
from modelzoo.recipe import Augmentation, Recipe
from modelzoo.registry import register_model


@register_model(
    task="reconstruction",
    dataset="mnist",
    num_params=1_087_586,
    network="784 → 500 → 300 → 2 → 300 → 500 → 784 (tanh, linear latent and output)",
    source="Hinton and Salakhutdinov (2006); lesson on autoencoders",
    recipes={
        "lesson": Recipe(
            steps=2500,
            batch_size=50,
            optimizer="adam",
            learning_rate=1e-4,
            loss="mean_squared_error",
            reconstruct=True,
            log_every=250,
            log_train="all",
            data_options={"classes": (1, 5, 6)},
            source="Digits 1, 5 and 6; mean squared error; Adam 1e-4, batch 50, 2500 steps, losses every 250",
        ),
        "fast": Recipe(
            epochs=6,
            batch_size=100,
            optimizer="adam",
            learning_rate=_build.warmed_up(2e-3),
            loss="mean_squared_error",
            reconstruct=True,
            log_every=180,
            validation_freq=2,
            xla="update",
            data_options={"classes": (1, 5, 6)},
            source=_build.FAST_SOURCE,
        ),
        "tuned": Recipe(
            steps=24_000,
            batch_size=200,
            optimizer="adam",
            learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 2e-3}},
            optimizer_options={"use_ema": True, "ema_momentum": 0.999},
            loss="mean_squared_error",
            reconstruct=True,
            augmentation=Augmentation(noise=150.0),
            validation_size=1000,
            log_every=1000,
            validation_freq=4,
            model_options={"kernel_initializer": "glorot_uniform"},
            data_options={"classes": (1, 5, 6)},
            source="Our own, chosen on samples held out of the training set: noisy inputs as Vincent et al. (2008), "
            "Adam with cosine decay (Loshchilov and Hutter 2017), averaged weights (Polyak and Juditsky 1992), "
            "Glorot and Bengio's initial weights (2010)",
        ),
    },
)
def tanh_autoencoder(
    latent_dim: int = 2,
    *,
    hidden_units: tuple[int, int] = (500, 300),
    image_shape: tuple[int, int] = _build.IMAGE_SHAPE,
    kernel_initializer: Any = _build.NORMAL,
    seed: int | None = None,
    name: str = "tanh_autoencoder",
) -> keras.Model:
    """Autoencoder with tanh layers around a small linear code.

    The model has two further attributes, ``encoder`` (images → latent) and ``decoder`` (latent → images),
    models that share its weights; they are also its two layers.

    Parameters
    ----------
    latent_dim
        Number of coordinates of the code.
    hidden_units
        Widths of the encoder's two layers; the decoder mirrors them.
    image_shape
        Height and width of the images.
    kernel_initializer
        Initialiser of the weights, N(0, 0.1) by default; biases start at 0.
    seed
        Seed of the initial weights.
    name
        Name of the model.

    Returns
    -------
    keras.Model
        Maps raw ``(batch, height, width)`` images of 0–255 to reconstructions of that shape, scaled to 0–1.
    """
    latent_dim = check_integer("latent_dim", latent_dim)
    outer, inner = check_integers("hidden_units", hidden_units, 2)
    layers = _build.Layers(seed, kernel_initializer)

    images, x = _build.image_input(image_shape)
    x = keras.layers.Flatten(name="flatten")(x)
    x = layers.dense(outer, "tanh", name="encoder_1")(x)
    x = layers.dense(inner, "tanh", name="encoder_2")(x)
    encoder = keras.Model(images, layers.dense(latent_dim, name="latent")(x), name="encoder")

    latent = keras.Input((latent_dim,), name="latent")
    x = layers.dense(inner, "tanh", name="decoder_1")(latent)
    x = layers.dense(outer, "tanh", name="decoder_2")(x)
    x = layers.dense(image_shape[0] * image_shape[1], name="pixels")(x)
    decoder = keras.Model(latent, keras.layers.Reshape(image_shape, name="reconstruction")(x), name="decoder")

    images = keras.Input(image_shape, name="images")
    model = keras.Model(images, decoder(encoder(images)), name=name)
    model.encoder, model.decoder = encoder, decoder
    return model
