"""The order of the samples, and tf.data input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import Recipe
from modelzoo.errors import DataError, InputError
from modelzoo.training.data import ArrayBatches


def order(n, batch_size, seed, first, steps):
    return ArrayBatches(np.zeros((n, 2), "float32"), np.zeros(n, int), batch_size, seed).plan(first, steps).numpy()


@pytest.mark.parametrize(("n", "batch_size"), [(20, 1), (100, 25), (101, 25), (7, 3), (1000, 999)])
def test_each_epoch_sees_every_sample_once(n, batch_size):
    epochs = 3
    steps = -(-n * epochs // batch_size)
    stream = order(n, batch_size, 4, 0, steps).ravel()[: n * epochs].reshape(epochs, n)
    for epoch in stream:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(n))
    assert not np.array_equal(stream[0], stream[1])
    assert not np.array_equal(stream[1], stream[2])


def test_order_depends_only_on_seed_and_step():
    whole = order(101, 8, 3, 0, 40)
    np.testing.assert_array_equal(np.concatenate([order(101, 8, 3, s, 5) for s in range(0, 40, 5)]), whole)
    np.testing.assert_array_equal(order(101, 8, 3, 17, 1)[0], whole[17])
    assert not np.array_equal(order(101, 8, 4, 0, 40), whole)


RECIPE = Recipe(steps=11, batch_size=16, optimizer="sgd", learning_rate=0.1, log_every=4, xla="off")


def test_tf_data_input_equals_array_input_with_the_same_batches(points, tanh_mlp, same_weights):
    x, y = points.train
    plan = ArrayBatches(x, y, 16, 2).plan(0, 11).numpy()
    stream = tf.data.Dataset.from_tensor_slices((x[plan], y[plan]))
    arrays, streamed = tanh_mlp(), tanh_mlp()
    expected = modelzoo.train(arrays, points.train, RECIPE, seed=2, validation_data=points.test).history
    found = modelzoo.train(streamed, stream, RECIPE, seed=2, validation_data=points.test).history
    same_weights(streamed, arrays, rtol=1e-4, atol=1e-5)
    assert found.keys() == expected.keys()
    for name in found:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, err_msg=name)


def test_tf_data_validation_counts_every_sample(points, tanh_mlp):
    x, y = points.test
    model = tanh_mlp()
    stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(40)
    history = modelzoo.train(model, points, RECIPE, validation_data=stream).history
    assert history["val_accuracy"][-1] == pytest.approx(np.mean(model(x).numpy().argmax(axis=1) == y))


def test_tf_data_with_a_short_last_batch_repeats_and_counts_epochs(points, tanh_mlp):
    x, y = points.train
    stream = tf.data.Dataset.from_tensor_slices((x, y)).batch(100)
    history = modelzoo.train(tanh_mlp(), stream, Recipe(epochs=2, log_every=3, optimizer="sgd", xla="off")).history
    assert history["step"] == [3, 6]
    model = tanh_mlp()
    still = Recipe(epochs=1, log_every=3, optimizer="sgd", learning_rate=1e-12, xla="off")
    frozen = modelzoo.train(model, stream, still).history
    assert frozen["accuracy"] == pytest.approx([np.mean(model(x).numpy().argmax(axis=1) == y)])


def test_tf_data_of_unknown_length_needs_steps(points, tanh_mlp):
    stream = tf.data.Dataset.from_tensor_slices(points.train).filter(lambda x, y: y < 3).batch(20)
    with pytest.raises(InputError, match="steps"):
        modelzoo.train(tanh_mlp(), stream, Recipe(epochs=1))
    assert modelzoo.train(tanh_mlp(), stream, Recipe(steps=30, log_every=15, xla="off")).history["step"] == [15, 30]


def test_tf_data_resumes_where_it_was(points, tanh_mlp, tmp_path, interrupt):
    stream = tf.data.Dataset.from_tensor_slices(points.train).batch(16)
    whole, resumed = tanh_mlp(), tanh_mlp()
    recipe = RECIPE.replace(steps=30)
    modelzoo.train(whole, stream, recipe)
    with pytest.raises(KeyboardInterrupt):
        modelzoo.train(resumed, stream, recipe, checkpoint_dir=tmp_path, callbacks=[interrupt(4)])
    resumed = tanh_mlp(seed=9)
    modelzoo.train(resumed, stream, recipe, checkpoint_dir=tmp_path, resume=True)
    assert modelzoo.weights_digest(resumed) == modelzoo.weights_digest(whole)


def test_two_samples_in_a_list_are_no_pair(tanh_mlp):
    """With their labels they look like two pairs, training and test data."""
    model, points = tanh_mlp(), [[0.0, 1.0], [1.0, 0.0]]
    images = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(), keras.layers.Dense(2)])
    assert modelzoo.train(model, (points, [0, 1]), RECIPE).history["step"][-1] == 11
    assert modelzoo.train(images, ([points, points], [0, 1]), RECIPE).history["step"][-1] == 11
    with pytest.raises(DataError, match="rectangular"):
        modelzoo.train(model, (([[0.0, 1.0], [2.0]], [0, 1]), (points, [0, 1])), RECIPE)


def test_tf_data_of_an_autoencoder_of_rows_has_any_labels():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(2), keras.layers.Dense(6)])
    x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((x, x)).batch(10)
    recipe = Recipe(steps=3, learning_rate=0.01, loss="mean_squared_error", reconstruct=True, xla="off")
    history = modelzoo.train(model, batches, recipe, seed=0).history
    expected = float(np.mean(np.square(model(x) - x / 255)))  # the target is scaled as images are
    assert modelzoo.evaluate(model, x, recipe=recipe)["loss"] == pytest.approx(expected, rel=1e-4)
    assert len(history["loss"]) == 1
