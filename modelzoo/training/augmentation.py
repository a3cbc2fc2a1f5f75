"""Random distortion of images inside the compiled loop."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
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


def change_looks(
    images: Any, augmentation: Augmentation, *, seed: int, step: Any, share: Share = WHOLE, batch: Any = None
) -> Any:
    """Return images with other strokes, blur, occlusions, lines, background and noise, cut at 0 and 255.

    A pure function of its arguments, which XLA can compile.

    Parameters
    ----------
    images
        float32 images of 0–255, shape (samples, height, width).
    augmentation
        How far to change them.
    seed, step
        Each pair gives other changes.
    share
        Which part of the batch the images are.
    batch
        Samples in the whole batch.
    """
    streams = itertools.count(1)
    batch = tf.shape(images)[0] if batch is None else batch

    def draw(count: int, *sides: int, normal: bool = False) -> list[Any]:
        """Return ``count`` random numbers for each image, or for each pixel of ``sides``: uniform, or normal."""
        # Steps do not reach 2⁴⁰, so that each stream has numbers of its own.
        seeds = (seed, tf.cast(step, tf.int64) + (next(streams) << 40))
        generate = tf.random.stateless_normal if normal else tf.random.stateless_uniform
        return tf.unstack(share.rows(generate((batch, count, *(sides or (1, 1))), seeds, alg="philox")), axis=1)

    for name, change in _LOOKS.items():
        if amount := getattr(augmentation, name):
            probability = amount if name == "inversion" else augmentation.looks
            # A rare change is made in some steps only, to a third of the samples: so the other steps do not compute it.
            in_step = max(probability, 1 / 3)
            seeds = (seed, tf.cast(step, tf.int64) + (next(streams) << 40))
            chance = tf.random.stateless_uniform((), seeds, alg="philox")

            def changed(images: Any = images, change: Any = change, amount: Any = amount, share: Any = in_step) -> Any:
                (chance,) = draw(1)
                return tf.where(chance < share, change(images, amount, draw), images)

            images = tf.cond(chance < probability / in_step, changed, functools.partial(tf.identity, images))
    return tf.clip_by_value(images, 0.0, 255.0)


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


def _neighbours(images: Any, reduce: Callable[[Any, Any], Any]) -> Any:
    """Return the maximum or minimum of each pixel and the four beside it; outside lies the background."""
    height, width = images.shape[1:]
    framed = tf.pad(images, [[0, 0], [1, 1], [1, 1]])
    result = images
    for top, left in ((0, 1), (2, 1), (1, 0), (1, 2)):
        result = reduce(result, framed[:, top : top + height, left : left + width])
    return result


def _stroke(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (u,) = draw(1)
    pixels = amount * (2 * u - 1)
    wider = tf.nn.relu(pixels) * (_neighbours(images, tf.maximum) - images)
    return images + wider + tf.nn.relu(-pixels) * (_neighbours(images, tf.minimum) - images)


def _outline(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (u,) = draw(1)
    outline = _neighbours(images, tf.maximum) - _neighbours(images, tf.minimum)
    return images + amount * u * (outline - images)


def _blur(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (u,) = draw(1)
    sigma = amount * u + 1e-3
    smooth = []
    for size in images.shape[1:]:
        distance = tf.constant(np.subtract.outer(np.arange(size), np.arange(size)), tf.float32)
        weights = tf.exp(-0.5 * tf.square(distance / sigma))
        smooth.append(weights / tf.reduce_max(tf.reduce_sum(weights, axis=2, keepdims=True), axis=1, keepdims=True))
    return smooth[0] @ images @ smooth[1]


def _places(images: Any) -> tuple[Any, Any]:
    """Return rows and columns of the pixels, from the centre."""
    height, width = images.shape[1:]
    y, x = np.mgrid[:height, :width][:, np.newaxis] - np.array([height - 1, width - 1]).reshape(2, 1, 1, 1) / 2
    return tf.constant(y, tf.float32), tf.constant(x, tf.float32)


def _occlusion(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (height, width), (y, x) = images.shape[1:], _places(images)
    tall, wide, down, right, covered, level = draw(6)
    inside = (tf.abs(y - height * (down - 0.5)) < amount * tall / 2) & (
        tf.abs(x - width * (right - 0.5)) < amount * wide / 2
    )
    return tf.where(inside, tf.where(covered < 0.5, 255 * level, 0.0), images)


def _lines(images: Any, amount: int, draw: Callable[..., Any]) -> Any:
    (count,), (y, x) = draw(1), _places(images)
    for number in range(amount):
        angle, offset, wave, length, phase, dots, gap, thickness, level = draw(9)
        sine, cosine = tf.sin(2 * np.pi * angle), tf.cos(2 * np.pi * angle)
        along, across = cosine * x + sine * y, cosine * y - sine * x
        # Half of the lines are straight; the waves of the others are up to 4 pixels high and 6 to 28 long.
        height = 4 * tf.nn.relu(2 * wave - 1)
        distance = across - 10 * (2 * offset - 1) - height * tf.sin(2 * np.pi * (along / (6 + 22 * length) + phase))
        drawn = tf.clip_by_value(0.8 + thickness - tf.abs(distance), 0.0, 1.0)
        # A third of them are dotted, every 3 to 8 pixels.
        drawn *= tf.cast((dots > 1 / 3) | (tf.math.floormod(along / (3 + 5 * gap) + phase, 1.0) < 0.5), tf.float32)
        images += tf.where(count * amount >= number, drawn, 0.0) * (255 * level - images)
    return images


def _contrast(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (u,) = draw(1)
    return images * (1 - amount * u)


def _background(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (level, strength), (y, x) = draw(2), _places(images)
    waves = tf.zeros_like(images)
    for _ in range(2):  # of at least 6 pixels
        down, right, phase = draw(3)
        waves += tf.sin(2 * np.pi * (y * (2 * down - 1) / 6 + x * (2 * right - 1) / 6 + phase))
    level *= amount * (1 + strength * waves / 2)
    return images + tf.clip_by_value(level, 0.0, 1.0) * (255 - images)


def _gaussian_noise(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (u,), (noise,) = draw(1), draw(1, *images.shape[1:], normal=True)
    return images + amount * u * noise


def _salt_pepper(images: Any, amount: float, draw: Callable[..., Any]) -> Any:
    (share,), (u,) = draw(1), draw(1, *images.shape[1:])
    share *= amount / 2
    return tf.where(u < share, 0.0, tf.where(u > 1 - share, 255.0, images))


#: The changes of looks in their order, by field of ``Augmentation``: from images, the amount and a source of random
#: numbers to changed images.
_LOOKS: dict[str, Callable[[Any, Any, Callable[..., Any]], Any]] = {
    "stroke": _stroke,
    "outline": _outline,
    "blur": _blur,
    "occlusion": _occlusion,
    "lines": _lines,
    "contrast": _contrast,
    "background": _background,
    "inversion": lambda images, amount, draw: 255 - images,
    "gaussian_noise": _gaussian_noise,
    "salt_pepper": _salt_pepper,
}
