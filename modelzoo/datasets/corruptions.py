"""A fixed suite of corrupted images: how a network copes with digits that are moved, turned, noisy or blurred.

The kinds are those of MNIST-C (Mu and Gilmer 2019) and, before it, ImageNet-C (Hendrycks and Dietterich 2019) that
a camera or a careless writer causes. Noise has MNIST-C's standard deviations of severity 1, 3 and 5. MNIST-C also
shifts by up to 5 pixels, rotates by up to 57° and blurs with up to σ = 6 pixels, where digits leave the image, turn
into others or dissolve. The suite stops at 4 pixels, the mean margin of 20 × 20 digits in 28 × 28, at 30° and at σ = 2.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from modelzoo._checks import check_integer, check_number, check_seed
from modelzoo.datasets.checks import check_samples
from modelzoo.errors import DataError

#: The eight directions of a shift: down and right, each −1, 0 or 1.
_DIRECTIONS = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right)


def shift(images: np.ndarray, pixels: int, *, seed: int = 0) -> np.ndarray:
    """Move each image in one of eight directions; what comes in at the border is 0.

    Parameters
    ----------
    images
        Grey levels 0-255 of shape ``(n, height, width)``.
    pixels
        How far, vertically, horizontally or both.
    seed
        Draws the direction of each image; the first images of a longer array get the same ones.

    Returns
    -------
    numpy.ndarray
        uint8 of the same shape.
    """
    images, pixels = _checked(images), check_integer("pixels", pixels, 0)
    height, width = images.shape[1:]
    chosen = np.random.default_rng(check_seed(seed)).integers(len(_DIRECTIONS), size=len(images))
    padded = np.pad(_to_bytes(images), ((0, 0), (pixels, pixels), (pixels, pixels)))
    result = np.empty(images.shape, np.uint8)
    for number, (down, right) in enumerate(_DIRECTIONS):
        top, left = pixels * (1 - down), pixels * (1 - right)
        moved = chosen == number
        result[moved] = padded[moved, top : top + height, left : left + width]
    return result


def rotate(images: np.ndarray, degrees: float, *, seed: int = 0) -> np.ndarray:
    """Turn each image about its middle, clockwise or counter-clockwise, with bilinear interpolation.

    Parameters
    ----------
    images
        Grey levels 0-255 of shape ``(n, height, width)``.
    degrees
        How far.
    seed
        Draws the sense of each image; the first images of a longer array get the same ones.

    Returns
    -------
    numpy.ndarray
        uint8 of the same shape, 0 where nothing was.
    """
    from scipy import ndimage

    images, degrees = _checked(images), check_number("degrees", degrees, 0)
    counter_clockwise = np.random.default_rng(check_seed(seed)).integers(2, size=len(images)) == 1
    result = np.empty(images.shape, np.uint8)
    for angle, turned in ((degrees, counter_clockwise), (-degrees, ~counter_clockwise)):
        if turned.any():
            part = images[turned].astype(np.float32)
            # "grid-constant" interpolates with the zeros outside; "constant" would cut strokes off at the border.
            part = ndimage.rotate(part, angle, axes=(1, 2), reshape=False, order=1, mode="grid-constant")
            result[turned] = _to_bytes(part)
    return result


def add_noise(images: np.ndarray, sigma: float, *, seed: int = 0) -> np.ndarray:
    """Add Gaussian noise to each pixel and cut the sum at 0 and 255.

    Parameters
    ----------
    images
        Grey levels 0-255 of shape ``(n, height, width)``.
    sigma
        Standard deviation of the noise in grey levels.
    seed
        Draws the noise; the first images of a longer array get the same.

    Returns
    -------
    numpy.ndarray
        uint8 of the same shape.
    """
    images, sigma = _checked(images), check_number("sigma", sigma, 0)
    noise = np.random.default_rng(check_seed(seed)).standard_normal(images.shape, dtype=np.float32)
    return _to_bytes(images + np.float32(sigma) * noise)


def blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Convolve each image with a Gaussian; the surroundings of an image are 0.

    Parameters
    ----------
    images
        Grey levels 0-255 of shape ``(n, height, width)``.
    sigma
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    numpy.ndarray
        uint8 of the same shape.
    """
    from scipy import ndimage

    images, sigma = _checked(images).astype(np.float32), check_number("sigma", sigma, 0)
    return _to_bytes(ndimage.gaussian_filter(images, sigma, mode="constant", axes=(1, 2)))


#: The suite: four kinds in three severities each, by name, as functions of raw images alone. The names give pixels,
#: degrees, grey levels and pixels. Seeds are fixed, so that all models meet the same images.
CORRUPTIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "shift_1": functools.partial(shift, pixels=1),
        "shift_2": functools.partial(shift, pixels=2),
        "shift_4": functools.partial(shift, pixels=4),
        "rotation_10": functools.partial(rotate, degrees=10),
        "rotation_20": functools.partial(rotate, degrees=20),
        "rotation_30": functools.partial(rotate, degrees=30),
        "noise_20": functools.partial(add_noise, sigma=0.08 * 255),
        "noise_46": functools.partial(add_noise, sigma=0.18 * 255),
        "noise_97": functools.partial(add_noise, sigma=0.38 * 255),
        "blur_1.0": functools.partial(blur, sigma=1.0),
        "blur_1.5": functools.partial(blur, sigma=1.5),
        "blur_2.0": functools.partial(blur, sigma=2.0),
    }
)


def _checked(images: np.ndarray) -> np.ndarray:
    images = check_samples(images, where="images to corrupt")
    if images.ndim != 3:
        raise DataError(f"images to corrupt: shape {images.shape}. Give grey levels of shape (n, height, width).")
    low, high = images.min(), images.max()
    if low < 0 or high > 255:
        raise DataError(f"images to corrupt: values from {low:g} to {high:g}. Give grey levels from 0 to 255.")
    if images.dtype.kind == "f" and 0 < high <= 1:
        raise DataError(
            f"images to corrupt: values from {low:g} to {high:g}. Give grey levels from 0 to 255 (x * 255)."
        )
    return images


def _to_bytes(images: np.ndarray) -> np.ndarray:
    """Return grey levels as the nearest uint8."""
    return images if images.dtype == np.uint8 else np.clip(np.rint(images), 0, 255).astype(np.uint8)
