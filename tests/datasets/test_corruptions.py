"""The corruption suite against slow and independent forms of the same operations."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from modelzoo import datasets
from modelzoo.datasets.corruptions import CORRUPTIONS, add_noise, blur, rotate, shift
from modelzoo.errors import DataError, InputError


@pytest.fixture(scope="module")
def images():
    return datasets.load("mnist").x_test[:200]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_is_a_pure_function(name, images):
    before = images.copy()
    first = CORRUPTIONS[name](images)
    again = CORRUPTIONS[name](images)
    np.testing.assert_array_equal(images, before)
    np.testing.assert_array_equal(first, again)
    assert (first.shape, first.dtype) == (images.shape, np.uint8)
    assert not np.shares_memory(first, images)
    # Neither the number of images nor their type matters.
    np.testing.assert_array_equal(CORRUPTIONS[name](images[:33]), first[:33])
    np.testing.assert_array_equal(CORRUPTIONS[name](images.astype(float)), first)
    changed = (first != images).any(axis=(1, 2))
    assert changed.all()


def test_later_severities_of_each_of_four_kinds_distort_more(images):
    for kind in ("shift", "rotation", "noise", "blur"):
        suite = [corrupt for name, corrupt in datasets.CORRUPTIONS.items() if name.startswith(kind)]
        distances = [np.abs(corrupt(images).astype(float) - images).mean() for corrupt in suite]
        assert distances == sorted(distances)
        assert len(distances) == 3
        assert distances[0] < 0.9 * distances[-1]


@pytest.mark.parametrize("pixels", [0, 1, 4, 30])
def test_shift_moves_whole_images_in_eight_directions(pixels, rng):
    images = rng.integers(1, 256, (400, 9, 7), np.uint8)
    found = shift(images, pixels)
    steps = [(a, b) for a in (-pixels, 0, pixels) for b in (-pixels, 0, pixels) if (a, b) != (0, 0) or not pixels]
    used = set()
    for before, after in zip(images, found, strict=True):
        matches = [step for step in steps if np.array_equal(ndimage.shift(before, step, order=0), after)]
        assert matches
        used.add(matches[0])
    assert len(used) == (8 if pixels in (1, 4) else 1)


def test_rotation_is_pillows(images):
    images = np.pad(images, ((0, 0), (6, 6), (6, 6)))  # at a border that is not black, Pillow's rule is another
    chosen = []
    for before, after in zip(images, rotate(images, 20), strict=True):
        picture = Image.fromarray(before.astype(np.float32))
        turned = [np.asarray(picture.rotate(a, Image.Resampling.BILINEAR)) for a in (20, -20)]
        errors = [np.abs(t - after).max() for t in turned]
        assert min(errors) < 1
        chosen.append(int(np.argmin(errors)))
    assert 0.35 < np.mean(chosen) < 0.65


@pytest.mark.parametrize("corrupt", [lambda x: rotate(x, 25), lambda x: blur(x, 1.5), lambda x: shift(x, 3)])
def test_around_an_image_is_black(corrupt, rng):
    images = rng.integers(0, 256, (30, 12, 12), np.uint8)
    framed = corrupt(np.pad(images, ((0, 0), (9, 9), (9, 9))))[:, 9:-9, 9:-9]
    np.testing.assert_array_equal(corrupt(images), framed)


def test_noise_has_its_standard_deviation(images):
    gray = np.full((100, 28, 28), 128, np.uint8)
    noise = add_noise(gray, 20).astype(float) - 128
    n = noise.size
    assert noise.mean() == pytest.approx(0, abs=5 * 20 / n**0.5)
    assert noise.std() == pytest.approx(np.sqrt(20**2 + 1 / 12), rel=5 / (2 * n) ** 0.5)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.15
    assert not np.array_equal(add_noise(images, 20, seed=1), add_noise(images, 20, seed=2))
    assert add_noise(np.zeros((5, 28, 28), np.uint8), 50).min() == 0


def test_blur_is_scipys_gaussian_filter(images):
    expected = ndimage.gaussian_filter(images[:20].astype(float), (0, 1.5, 1.5), mode="constant", truncate=20)
    assert np.abs(expected - blur(images[:20], 1.5)).max() < 0.6


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((28, 28)), r"shape \(28, 28\)"),
        (np.zeros((2, 28, 28, 1)), r"shape \(2, 28, 28, 1\)"),
        (np.full((1, 28, 28), 256), "256"),
        (np.full((1, 28, 28), -1), "-1"),
        (np.full((1, 28, 28), 0.7), "from 0.7 to 0.7"),
    ],
)
def test_bad_images_are_refused(bad, message):
    for corrupt in CORRUPTIONS.values():
        with pytest.raises(DataError, match=message):
            corrupt(bad)


def test_bad_amounts_are_refused(images):
    for corrupt, bad in [(shift, 1.5), (shift, -1), (rotate, "30"), (rotate, np.inf), (add_noise, -3), (blur, True)]:
        with pytest.raises(InputError, match=rf"must be .*{bad!r}"):
            corrupt(images, bad)
    with pytest.raises(InputError, match="seed"):
        shift(images, 1, seed=-1)
