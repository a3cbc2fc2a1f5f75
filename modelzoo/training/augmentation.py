"""Random distortion of images inside the compiled loop."""

from __future__ import annotations

from typing import Any

import numpy as np

from modelzoo._keras import tf
from modelzoo.recipe import Augmentation
from modelzoo.training.distribution import WHOLE, Share

#: Share of the elastic field's variance that may be lost when its smooth covariance is factored.
LOST_VARIANCE = 1e-3


def augment(images: Any, augmentation: Augmentation, *, seed: int, step: Any, share: Share = WHOLE) -> Any:
    """Return distorted copies of raw images; a pure function of its arguments, which XLA can compile.

    Parameters
    ----------
    images
        Images of 0–255, shape (batch, height, width); the background is 0.
    augmentation
        How far to distort; its noise is :func:`draw_noise`'s.
    seed, step
        Each pair gives other distortions.
    share
        Return this part of the batch only, distorted as in the whole.

    Returns
    -------
    tf.Tensor
        float32 images of the same shape, interpolated bilinearly, 0 where nothing was.
    """
    part = share.rows(images)
    if not augmentation.distorts:
        return tf.cast(part, tf.float32)
    batch, (_, height, width) = tf.shape(images)[0], images.shape
    rows, columns = tf.unstack(_source(batch, height, width, augmentation, seed, tf.cast(step, tf.int64), share))
    return tf.reshape(_interpolate(part, rows, columns), tf.shape(part))


def draw_noise(images: Any, amount: float, *, seed: int, step: Any) -> Any:
    """Return uniform float32 noise of ``-amount`` to ``amount`` for each pixel of images."""
    # The seed's complement, so that the numbers are not those that distort.
    seeds = (~seed, ~tf.cast(step, tf.int64))
    return amount * tf.random.stateless_uniform(tf.shape(images), seeds, -1.0, 1.0, alg="philox")


def smoothing_factor(size: int, sigma: float) -> np.ndarray:
    """Return A, shape (size, k), such that A z Aᵀ is a smoothed Gaussian field for z of k × k standard normal numbers.

    A Aᵀ is S Sᵀ, where S convolves with a Gaussian of ``sigma`` pixels and zeros outside: noise is only drawn where
    the Gaussian lets it through.
    """
    distance = np.arange(size)[:, np.newaxis] - np.arange(-2 * size, 3 * size)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    left, singular, _ = np.linalg.svd(kernel, full_matrices=False)
    lost = 1 - np.cumsum(singular**2) / np.sum(singular**2)
    kept = int(np.argmax(lost < LOST_VARIANCE)) + 1
    return (left[:, :kept] * singular[:kept]).astype(np.float32)


def basis_fields(height: int, width: int, augmentation: Augmentation) -> np.ndarray:
    """Return the fields whose linear combinations are all distortions: x, y, 1 and the smooth bumps of elastic ones.

    Parameters
    ----------
    height, width
        Size of the images.
    augmentation
        Gives the elastic field's strength and smoothness.

    Returns
    -------
    numpy.ndarray
        Shape (fields, height · width); x and y are pixels from the centre.
    """
    y, x = np.mgrid[:height, :width].reshape(2, -1) - np.array([[(height - 1) / 2], [(width - 1) / 2]])
    fields = [x, y, np.ones(height * width)]
    if augmentation.elastic_strength:
        tall, wide = (smoothing_factor(size, augmentation.elastic_sigma) for size in (height, width))
        # A uniform number on −1…1 has a variance of 1/3.
        fields += list(np.kron(tall.T, wide.T) * (augmentation.elastic_strength / 3**0.5))
    return np.array(fields, np.float32)


def _source(batch: Any, height: int, width: int, augmentation: Augmentation, seed: int, step: Any, share: Share) -> Any:
    """Return where each pixel's value comes from: rows and columns, shape (2, batch, height · width)."""
    a = augmentation
    fields = basis_fields(height, width, a)
    limits = tf.constant([a.rotation, a.scale, a.scale, a.shear, a.shift, a.shift])
    drawn = tf.random.stateless_uniform((6, batch), (seed, step), -1.0, 1.0, alg="philox") * limits[:, tf.newaxis]
    noise = tf.random.stateless_normal((2, batch, len(fields) - 3), (seed, ~step), alg="philox")
    if a.probability < 1:
        chance = tf.random.stateless_uniform((batch,), (~seed, step), alg="philox")
        chosen = tf.cast(chance < a.probability, tf.float32)
        drawn, noise = drawn * chosen, noise * chosen[:, tf.newaxis]
    drawn, noise = share.rows(drawn, axis=1), share.rows(noise, axis=1)
    angle, tall, wide, shear, down, right = tf.unstack(drawn)
    sine, cosine = tf.sin(angle), tf.cos(angle)
    rows = [sine / (1 + tall), (cosine + shear * sine) / (1 + tall), down + (height - 1) / 2]
    columns = [cosine / (1 + wide), (shear * cosine - sine) / (1 + wide), right + (width - 1) / 2]
    weights = tf.stack([tf.stack(rows, axis=-1), tf.stack(columns, axis=-1)])
    return tf.tensordot(tf.concat([weights, noise], axis=-1), fields, 1)


def _interpolate(images: Any, rows: Any, columns: Any) -> Any:
    """Return the values at real-valued places, shape (batch, places), bilinearly."""
    batch, (_, height, width) = tf.shape(images)[0], images.shape
    # One row and column of zeros around the image are what lies outside.
    rows = tf.clip_by_value(rows + 1, 0.0, height + 1.0)
    columns = tf.clip_by_value(columns + 1, 0.0, width + 1.0)
    top, left = tf.minimum(tf.floor(rows), float(height)), tf.minimum(tf.floor(columns), float(width))
    down, right = rows - top, columns - left
    framed = tf.pad(tf.cast(images, tf.float32), [[0, 0], [1, 1], [1, 1]])
    flat = tf.reshape(framed, (batch, (height + 2) * (width + 2)))
    index = tf.cast(top * (width + 2) + left, tf.int32)
    upper_left, upper_right, lower_left, lower_right = (
        tf.gather(flat, index + offset, batch_dims=1) for offset in (0, 1, width + 2, width + 3)
    )
    upper = upper_left * (1 - right) + upper_right * right
    lower = lower_left * (1 - right) + lower_right * right
    return upper * (1 - down) + lower * down
