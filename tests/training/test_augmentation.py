"""Distortions against SciPy's interpolation and Gaussian filter, and inside the compiled loop."""

import functools

import keras
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf

import modelzoo
from modelzoo import Augmentation, Recipe
from modelzoo.errors import InputError
from modelzoo.training.augmentation import augment, basis_fields, change_looks, draw_noise
from modelzoo.training.distribution import Share

EVERYTHING = Augmentation(rotation=0.2, scale=0.12, shear=0.15, shift=1.5, elastic_strength=30)


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    smooth = scipy.ndimage.gaussian_filter(rng.uniform(0, 255, (6, 12, 17)), (0, 1, 1))
    return smooth.astype(np.float32)


@functools.cache
def graph_of(augmentation, seed, jit):
    return tf.function(lambda x, s: augment(x, augmentation, seed=seed, step=s), jit_compile=jit, autograph=False)


def distorted(images, augmentation, step=0, seed=0, jit=False):
    return graph_of(augmentation, seed, jit)(tf.constant(images), tf.constant(step, tf.int64)).numpy()


def test_no_distortion_is_the_image_itself(images):
    np.testing.assert_allclose(distorted(images, Augmentation()), images, atol=1e-2)


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_uint8_images_of_any_shape_stay_between_0_and_255(jit):
    images = np.random.default_rng(0).integers(0, 256, (5, 9, 30)).astype(np.uint8)
    found = distorted(images, EVERYTHING, jit=jit)
    assert found.shape == images.shape
    assert found.dtype == np.float32
    assert found.min() >= 0
    assert found.max() <= 255.01
    assert not np.allclose(found, images, atol=1)


def centre(image):
    return scipy.ndimage.center_of_mass(image)[0] - 14


def angle(image):
    y, x = np.mgrid[:29, :29] - 14
    cov = [np.sum(image * a * b) for a, b in ((x, x), (x, y), (y, y))]
    return 0.5 * np.arctan2(2 * cov[1], cov[0] - cov[2])


def slope(image):
    rows = np.arange(6, 23)
    columns = (image[rows] * np.arange(29)).sum(axis=1) / image[rows].sum(axis=1)
    np.testing.assert_allclose(columns[rows == 14], 14, atol=0.05)  # the middle row stays
    return np.polyfit(rows, columns, 1)[0]


@pytest.mark.parametrize(
    ("field", "amount", "drawn", "measure"),
    [
        ("shift", 2.0, np.s_[:, 12:17, 12:17], centre),  # pixels, of a square
        ("rotation", 0.3, np.s_[:, 14, 4:25], angle),  # radians, of a bar
        ("shear", 0.3, np.s_[:, 4:25, 14], slope),  # pixels a row, of an upright bar
    ],
)
def test_distortions_are_uniform_up_to_their_amount(field, amount, drawn, measure):
    images = np.zeros((400, 29, 29), np.float32)
    images[drawn] = 255
    found = np.array([measure(image) for image in distorted(images, Augmentation(**{field: amount}))])
    assert 0.93 * amount < np.abs(found).max() <= 1.007 * amount
    np.testing.assert_allclose(found.std(), amount / 3**0.5, rtol=0.1)
    np.testing.assert_allclose(found.mean(), 0, atol=0.1 * amount)


def test_scale_keeps_the_area_within_its_bounds():
    images = np.zeros((300, 28, 28), np.float32)
    images[:, 8:20, 8:20] = 255
    areas = distorted(images, Augmentation(scale=0.2)).sum(axis=(1, 2)) / images[0].sum()
    assert 0.63 < areas.min() < 0.8
    assert 1.2 < areas.max() < 1.45


def test_the_elastic_field_has_the_covariance_of_simards():
    sigma, strength, size = 3.0, 20.0, 16
    fields = basis_fields(size, size, Augmentation(elastic_strength=strength, elastic_sigma=sigma))[3:]
    found = (fields**2).sum(axis=0).reshape(size, size)  # variance at each pixel
    noise = np.random.default_rng(0).uniform(-1, 1, (3000, size, size))
    drawn = scipy.ndimage.gaussian_filter(noise, (0, sigma, sigma), mode="constant", truncate=6) * strength
    inner = np.s_[6:10, 6:10]  # SciPy smooths an image of the same size, ours a larger one, which differs at the edge
    np.testing.assert_allclose(found[inner], drawn.var(axis=0)[inner], rtol=0.12)


def test_each_sample_step_and_seed_has_its_own_distortion(images):
    same = np.repeat(images[:1], 3, axis=0)
    first = distorted(same, EVERYTHING)
    np.testing.assert_array_equal(first, distorted(same, EVERYTHING))
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first, distorted(same, EVERYTHING, step=1))
    assert not np.allclose(first, distorted(same, EVERYTHING, seed=1))


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_loop_trains_on_the_distorted_images(digits, same_weights, jit):
    x, y = digits[0]
    recipe = Recipe(steps=3, batch_size=None, optimizer="sgd", learning_rate=0.01, augmentation=EVERYTHING, log_every=3)
    model, oracle = (modelzoo.create_model("relu_mlp", hidden_units=9, seed=0) for _ in range(2))
    modelzoo.train(model, (x, y), recipe.replace(xla="loop" if jit else "off"), seed=7)
    optimizer = keras.optimizers.SGD(0.01)
    for step in range(3):
        with tf.GradientTape() as tape:
            probabilities = oracle(distorted(x, EVERYTHING, step=step, seed=7, jit=jit), training=True)
            loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, probabilities))
        optimizer.apply(tape.gradient(loss, oracle.trainable_variables), oracle.trainable_variables)
    same_weights(model, oracle, rtol=1e-3, atol=1e-5)


def test_noise_is_uniform_and_new_for_each_step_and_seed():
    images = np.full((50, 28, 28), 100, np.uint8)
    draws = [
        draw_noise(tf.constant(images), 30.0, seed=seed, step=tf.constant(step)).numpy()
        for seed, step in ((0, 0), (0, 1), (1, 0))
    ]
    for noise in draws:
        assert np.abs(noise).max() <= 30
        assert noise.mean() == pytest.approx(0, abs=0.5)
        assert noise.std() == pytest.approx(30 / 3**0.5, rel=0.02)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert abs(np.corrcoef(draws[one].ravel(), draws[other].ravel())[0, 1]) < 0.03


# --- looks

LOOKS = {
    "stroke": 0.8, "outline": 1.0, "blur": 2.0, "occlusion": 12.0, "lines": 2, "contrast": 0.7, "background": 0.7,
    "inversion": 1.0, "gaussian_noise": 100.0, "salt_pepper": 0.3,
}  # fmt: skip


@functools.cache
def looks_graph(augmentation, seed, jit):
    change = functools.partial(change_looks, augmentation=augmentation, seed=seed)
    return tf.function(lambda x, s: change(tf.cast(x, tf.float32), step=s), jit_compile=jit, autograph=False)


def changed(images, augmentation, step=0, seed=0, jit=False):
    change = looks_graph(augmentation, seed, True) if jit else looks_graph(augmentation, seed, False).python_function
    return change(tf.constant(images), tf.constant(step, tf.int64)).numpy()


@pytest.fixture(scope="module")
def bars():
    """Bars of four pixels in 12 × 17, each alike."""
    images = np.zeros((400, 12, 17), np.uint8)
    images[:, 4:8, 3:14] = 200
    return images


def test_looks_that_change_nothing_leave_the_image(bars):
    assert not Augmentation(shift=1.0, noise=3.0, looks=0.5).changes_looks
    np.testing.assert_array_equal(changed(bars, Augmentation()), bars)


@pytest.mark.parametrize("name", LOOKS)
def test_each_change_of_looks_meets_its_share_anew_for_each_sample_step_and_seed(bars, name):
    augmentation = Augmentation(**{"looks": 0.4, name: 0.4 if name == "inversion" else LOOKS[name]})
    assert augmentation.changes_looks
    found = changed(bars, augmentation)
    assert found.min() >= 0
    assert found.max() <= 255
    touched = np.array([not np.array_equal(a, b) for a, b in zip(found, bars, strict=True)])
    assert 0.25 < touched.mean() < 0.5  # some rectangles and lines are small, or pass the image
    np.testing.assert_array_equal(found, changed(bars, augmentation))
    for other in ({"step": 1}, {"seed": 1}):
        assert not np.array_equal(found, changed(bars, augmentation, **other))


def test_all_looks_at_once_are_the_same_in_shares(bars):
    augmentation = Augmentation(**LOOKS | {"looks": 0.5, "inversion": 0.5})
    images = tf.constant(bars[200:], tf.float32)
    half = change_looks(images, augmentation, seed=0, step=0, share=Share(1, 2), batch=400)
    np.testing.assert_allclose(half, changed(bars, augmentation)[200:], atol=2)


def test_a_rare_change_is_made_in_some_steps_to_a_third_of_the_samples(bars):
    shares = []
    for step in range(60):
        found = changed(bars[:60], Augmentation(looks=0.1, contrast=0.9), step=step)
        shares.append((found != bars[:60]).any(axis=(1, 2)).mean())
    made = [share for share in shares if share]
    assert 9 < len(made) < 28
    assert np.mean(made) == pytest.approx(1 / 3, abs=0.06)


@pytest.mark.slow  # XLA compiles for several seconds
def test_xla_compiles_all_looks(bars):
    found = changed(bars, Augmentation(**LOOKS | {"looks": 0.5, "inversion": 0.5}), jit=True)
    assert (found.min(), found.max()) == (0, 255)


def test_blur_is_scipys_and_up_to_its_sigma(bars):
    found = changed(bars, Augmentation(looks=1.0, blur=2.0))
    most = scipy.ndimage.gaussian_filter(bars[0].astype(float), 2.0, mode="constant", truncate=6)
    np.testing.assert_allclose(found[found[:, 6, 8].argmin()], most, atol=4)
    assert found[:, 6, 8].max() > 195


def test_strokes_are_scipys_dilation_and_erosion_at_the_ends(bars):
    found = changed(bars, Augmentation(looks=1.0, stroke=1.0))
    cross = scipy.ndimage.generate_binary_structure(2, 1)
    order = found.sum(axis=(1, 2)).argsort()
    for index, filtered in ((order[-1], "maximum_filter"), (order[0], "minimum_filter")):
        np.testing.assert_allclose(found[index], getattr(scipy.ndimage, filtered)(bars[0], footprint=cross), atol=4)
    outline = changed(bars, Augmentation(looks=1.0, outline=1.0))
    assert outline[:, 5:7, 4:13].min() < 2  # the inside
    assert outline[:, 4, 4:13].min() == 200  # the edge


def test_noise_background_and_contrast_reach_their_amounts(bars):
    noise = changed(np.full((400, 12, 17), 128, np.uint8), Augmentation(looks=1.0, gaussian_noise=40.0)) - 128
    assert noise.std(axis=(1, 2)).max() == pytest.approx(40, rel=0.15)
    pepper = changed(bars + 20, Augmentation(looks=1.0, salt_pepper=0.3))
    shares = [(pepper == value).mean(axis=(1, 2)) for value in (0, 255)]
    assert [share.max() for share in shares] == pytest.approx([0.15, 0.15], abs=0.07)
    dim = changed(bars, Augmentation(looks=1.0, contrast=0.7)).max(axis=(1, 2))
    assert (dim.min(), dim.max()) == pytest.approx((60, 200), abs=2)
    level = changed(bars, Augmentation(looks=1.0, background=0.5))[:, 0, 0]
    assert 90 < level.max() <= 255
    np.testing.assert_array_equal(changed(bars, Augmentation(inversion=1.0)), 255 - bars)


@pytest.mark.parametrize(
    ("augmentation", "seen"),
    [
        (
            Augmentation(noise=80.0),
            lambda x: x.astype(np.float32) + draw_noise(tf.constant(x), 80.0, seed=7, step=tf.constant(0, tf.int64)),
        ),
        (
            Augmentation(looks=0.5, stroke=0.8, inversion=0.3),
            lambda x: changed(x, Augmentation(looks=0.5, stroke=0.8, inversion=0.3), seed=7),
        ),
    ],
    ids=["noise", "looks"],
)
def test_a_reconstruction_aims_at_images_as_they_were_before(augmentation, seen, digits, same_weights):
    (x, _), _ = digits
    recipe = Recipe(steps=1, optimizer="sgd", learning_rate=0.5, loss="mean_squared_error", reconstruct=True,
                    augmentation=augmentation, log_every=1, xla="off")  # fmt: skip
    model, oracle = (modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0) for _ in range(2))
    history = modelzoo.train(model, x, recipe, seed=7).history
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(oracle(seen(x), training=True) - x / np.float32(255)))
    assert history["loss"][0] == pytest.approx(float(loss), rel=1e-4)
    keras.optimizers.SGD(0.5).apply(tape.gradient(loss, oracle.trainable_variables), oracle.trainable_variables)
    same_weights(model, oracle, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rotation", -1.0),
        ("scale", 1.0),
        ("shift", float("nan")),
        ("elastic_sigma", 0),
        ("stroke", 1.5),
        ("lines", 1.5),
        ("salt_pepper", -0.1),
    ],
)
def test_bad_amounts_are_refused(field, value):
    with pytest.raises(InputError, match=field):
        Augmentation(**{field: value})


def test_a_share_of_the_images_stays_as_it_is():
    images = np.random.default_rng(0).integers(0, 256, (600, 12, 12)).astype(np.uint8)
    always = Augmentation(rotation=0.3, elastic_strength=20)
    found = distorted(images, Augmentation(rotation=0.3, elastic_strength=20, probability=0.3))
    same = np.array([np.allclose(a, b, atol=1e-2) for a, b in zip(found, images, strict=True)])
    assert 0.63 < same.mean() < 0.77
    np.testing.assert_allclose(found[~same], distorted(images, always)[~same], atol=1e-3)
    with pytest.raises(InputError, match="probability"):
        Augmentation(probability=-0.1)
