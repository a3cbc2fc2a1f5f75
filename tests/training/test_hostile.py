"""Arguments, arrays and streams that nothing can be trained on: one line of ours, and weights as they were."""

from __future__ import annotations

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import modelzoo
from modelzoo import Recipe
from modelzoo.errors import DataError, InputError, ModelZooError
from modelzoo.training import DivergedError
from modelzoo.training.batches import ArrayBatches

RECIPE = Recipe(steps=6, batch_size=16, log_every=3, xla="off")


def refused(model, data, recipe=RECIPE, **options):
    """Return the one line that ``train`` answers with, after seeing that the weights are as they were."""
    before = [np.array(w) for w in model.get_weights()]
    with pytest.raises(ModelZooError) as caught:
        modelzoo.train(model, data, recipe, **options)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "model", [None, "tanh_mlp", keras.Model, 3, keras.Sequential([keras.layers.Dense(2)])], ids=str
)
def test_what_is_no_model_is_refused(model, points):
    for call in (lambda: modelzoo.train(model, points, RECIPE), lambda: modelzoo.predict(model, points.x_test)):
        with pytest.raises(InputError, match=r"must be a Keras model|must have one input and one output"):
            call()


def test_swapped_arguments_are_told(points, tanh_mlp):
    with pytest.raises(InputError, match=r"received Dataset. Write train\(model, data\)"):
        modelzoo.train(points, tanh_mlp(), RECIPE)
    x, y = points.train
    assert "Are they swapped?" in refused(tanh_mlp(), (y, x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (np.ma.masked_greater(x, 0), y), "masked values"),
        (lambda x, y: (x, np.ma.masked_equal(y, 3)), "masked values"),
        (lambda x, y: (x.astype(np.longdouble), y), "dtype float128"),
        (lambda x, y: (np.zeros(x.shape, "M8[s]"), y), "dtype datetime64"),
        (lambda x, y: (np.zeros(x.shape, [("a", "f4")]), y), "dtype"),
        (lambda x, y: (x.astype(float) * 1e300, y), "more than float32 can"),
        (lambda x, y: ([[0.0]] + [[0.0, 1.0]] * (len(y) - 1), y), "no rectangular array"),
        (lambda x, y: (x, [[0]] + [[0, 1]] * (len(x) - 1)), "no rectangular array"),
        (lambda x, y: (x, y[:, None]), r"y.ravel()"),
        (lambda x, y: (x, np.where(y == 3, 2**40, y)), "label 1099511627776"),
        (lambda x, y: (x, np.where(y == 3, 2**63 + 5, y.astype("u8")).astype("u8")), "out of range"),
        (lambda x, y: (x, y > 1), "dtype bool"),
    ],
)
def test_arrays(change, message, points, tanh_mlp):
    if message == "dtype float128" and np.dtype(np.longdouble).itemsize == 8:
        pytest.skip("this platform has no long double")
    assert message in refused(tanh_mlp(), change(*points.train))


def _trained(data):
    """Return what a network answers after two steps on some data."""
    model = modelzoo.create_model("tanh_mlp", seed=0)
    modelzoo.train(model, data, RECIPE.replace(steps=2, log_every=2))
    return modelzoo.predict(model, data[0])


@pytest.fixture(scope="module")
def plain(points):
    """Samples that every type of number holds, their labels, and what a network trained on them answers."""
    x, y = (a[:64] for a in points.train)
    x = x.astype("f2").astype("f4")
    return x, y, _trained((x, y))


@given(
    st.sampled_from(["<f4", ">f4", "<f8", ">f8", "<f2"]),
    st.sampled_from(["<i8", ">i2", "|u1", "<u8", "onehot"]),
    st.integers(0, 3),
)
@settings(max_examples=4, deadline=None)
def test_layout_byte_order_and_width_of_arrays_do_not_matter(plain, dtype, labels, layout):
    x, y, expected = plain
    given = x.astype(dtype)
    given = [given, np.asfortranarray(given), np.repeat(given, 2, axis=0)[::2], given[::-1][::-1]][layout]
    y_given = np.eye(4)[y] if labels == "onehot" else y.astype(labels)
    np.testing.assert_allclose(_trained((given, y_given)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("callbacks", [None, "x", 3, [1], [len], keras.callbacks.Callback()]),
        ("checkpoint_dir", [3, b"x", "a\0b", 1.5]),
        ("resume", ["yes", 1, None]),
        ("seed", [-1, 2**31, 1.0, "0", None, True, float("nan")]),
        ("validation_data", ["test", 3, (), (1, 2, 3)]),
    ],
)
def test_options(option, values, points, tanh_mlp):
    model = tanh_mlp()
    for value in values:
        refused(model, points, **{option: value})
    refused(model, points, validation_data=points)
    refused(model, points, validation_data=(points.train, points.test))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(steps=10**12, log_every=1), "at most 999999999"),
        (Recipe(epochs=1e30), "at most 999999999"),
        (Recipe(steps=10**8, log_every=10**8, batch_size=50), "log_every of at most 671088"),
        (Recipe(steps=3, loss="circle"), "'circle' gives no number for each sample"),
        (Recipe(steps=3, loss="get"), "Unknown loss 'get'"),
        (Recipe(steps=3, loss="__doc__"), "Unknown loss"),
        (Recipe(steps=3, loss="MeanSquaredError"), "Unknown loss"),
        (Recipe(steps=3, loss="mean_squared_error", reconstruct=True), "reconstruct=True needs outputs"),
        (Recipe(steps=3, optimizer_options={"gradient_accumulation_steps": 2}), "larger batch_size"),
        (Recipe(steps=3, optimizer_options={"beta_1": "a"}), "Check optimizer_options"),
        (Recipe(steps=3, optimizer_options={"clipnorm": "a"}), "Check optimizer_options"),
        (
            Recipe(steps=3, learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": "a"}}),
            "rate",
        ),
    ],
)
def test_recipes(recipe, message, points, tanh_mlp):
    assert message in refused(tanh_mlp(), points, recipe)


def test_an_autoencoder_needs_a_recipe_that_reconstructs(digits):
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(5, 4), seed=0)
    assert "gives no number for each sample" in refused(model, digits)


@pytest.mark.parametrize(
    ("change", "warned"),
    [
        (lambda x: x / 255, True),
        (lambda x: x / 127.5 - 1, True),
        (lambda x: x > 127, True),
        (lambda x: x.astype("u2") * 257, True),
        (lambda x: x, False),
        (lambda x: x.astype("f4"), False),
        (lambda x: x * 0, False),
    ],
)
def test_pixels_that_were_scaled_already_are_told(change, warned, digits, caplog):
    (x, _y), _ = digits
    model = modelzoo.create_model("relu_mlp", hidden_units=4, seed=0)
    with caplog.at_level(logging.WARNING):
        modelzoo.predict(model, change(x))
    assert ("takes raw pixels of 0 to 255" in caplog.text) == warned


# --- streams


def stream(*batches, x=None, y=None):
    signature = (x or tf.TensorSpec((None, 2), tf.float32), y or tf.TensorSpec((None,), tf.int64))
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


def failing(good):
    yield good
    raise OSError("the disk is gone")


def bad_streams(x, y):
    nan = np.where(np.arange(len(x))[:, None] == 3, np.nan, x).astype("f4")
    good = (x, y)
    slices = tf.data.Dataset.from_tensor_slices
    signature = (tf.TensorSpec((None, 2), tf.float32), tf.TensorSpec((None,), tf.int64))
    return {
        "empty batch": (stream(good, (x[:0], y[:0])), "batch 1: x is empty"),
        "NaN": (stream(good, good, (nan, y)), r"batch 2: x[3, 0] is nan"),
        "label too high": (stream(good, (x, y + 9)), "batch 1: label "),
        "negative label": (stream((x, y - 9)), "batch 0: label -"),
        "lengths differ": (stream((x, y[:3])), "10 samples but 3 labels"),
        "another shape": (stream(good, (x[:, :1], y)), "batch 1 of the tf.data.Dataset fails: TypeError"),
        "it fails": (
            tf.data.Dataset.from_generator(lambda: failing(good), output_signature=signature),
            "batch 1 of the tf.data.Dataset fails: OSError: the disk is gone",
        ),
        "unknown shape": (stream(good, x=tf.TensorSpec(None, tf.float32)), "tf.ensure_shape(x, (None, 2))"),
        "text": (slices((x.astype(str), y)).batch(5), "batches are of string"),
        "complex": (slices((x.astype("c8"), y)).batch(5), "batches are of complex64"),
        "text labels": (slices((x, y.astype(str))).batch(5), "labels of string"),
        "float labels": (slices((x, y + 0.5)).batch(5), "labels of float64"),
        "one-hot of another width": (slices((x, np.eye(5)[y])).batch(5), "5 wide, but there are 4"),
        "dictionary": (slices({"x": x, "y": y}).batch(5), "must yield (samples, labels)"),
        "three parts": (slices((x, y, y)).batch(5), "must yield (samples, labels)"),
        "sparse": (slices((tf.sparse.from_dense(x), y)).batch(5), "pairs of dense tensors"),
        "swapped": (slices((y, x)).batch(5), ""),
    }


@pytest.mark.parametrize("kind", list(bad_streams(np.ones((10, 2), "f4"), np.arange(10) % 4)))
def test_streams(kind, points, tanh_mlp):
    x, y = points.train
    data, message = bad_streams(x[:10], y[:10].astype("i8"))[kind]
    for where in ("training data", "test data"):
        given, options = (data, {}) if where == "training data" else (points, {"validation_data": data})
        with pytest.raises(InputError) as caught:
            modelzoo.train(tanh_mlp(), given, RECIPE.replace(steps=3), **options)
        assert str(caught.value).startswith(where)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)


def test_labels_of_a_stream_are_checked_whatever_the_loss(points, tanh_mlp):
    """The one-hot row of a label that does not exist is all zeros, and its loss 0: nothing would be told."""
    x, y = points.train
    data = stream((x[:10], y[:10].astype("i8") + 9))
    with pytest.raises(DataError, match="batch 0: label"):
        modelzoo.train(tanh_mlp(), data, RECIPE.replace(loss="categorical_crossentropy"))


def test_a_stream_without_end_is_not_evaluated_on(points, tanh_mlp):
    data = tf.data.Dataset.from_tensor_slices(points.test).batch(10).repeat()
    assert "never ends" in refused(tanh_mlp(), points, validation_data=data)


def test_a_stream_that_diverges_names_step_checkpoint_and_advice(points, tmp_path):
    x, y = points.train
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    data = tf.data.Dataset.from_tensor_slices((x, (y > 1).astype(int))).batch(50)
    recipe = Recipe(steps=60, optimizer="sgd", learning_rate=1e6, loss="mean_squared_error", log_every=1)
    with pytest.raises(DivergedError, match=r"between steps \d+ and \d+. Lower the learning rate") as caught:
        modelzoo.train(model, data, recipe, checkpoint_dir=tmp_path)
    assert f"The last good checkpoint is in {tmp_path}" in str(caught.value)
    with np.load(max(tmp_path.glob("step-*"))) as archive:
        assert all(np.isfinite(archive[name]).all() for name in archive.files)


# --- the order of samples


@given(
    st.integers(2, 300),
    st.integers(1, 40),
    st.integers(0, 2**31 - 1),
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
)
@settings(max_examples=40, deadline=None)
def test_the_order_of_samples_knows_no_interruption(n, batch_size, seed, pieces):
    batches = ArrayBatches(np.zeros((n, 1), "f4"), np.arange(n), batch_size, seed)
    if batches.batch_size is None:
        return
    whole = batches.plan(0, sum(pieces)).numpy()
    starts = np.cumsum([0, *pieces])
    parts = [batches.plan(int(start), count).numpy() for start, count in zip(starts, pieces, strict=False)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    epoch = batches.plan(0, -(-n // batch_size)).numpy().ravel()[:n]
    np.testing.assert_array_equal(np.sort(epoch), np.arange(n))
