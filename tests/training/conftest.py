"""Small data and nets for the trainer's tests."""

import keras
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import datasets
from modelzoo.training.data import ArrayBatches


@pytest.fixture(scope="session")
def points():
    """203 real points of four classes, a number that no batch size here divides, and 97 to test on."""
    return datasets.load("four_class", n=203, n_test=97)


@pytest.fixture(scope="session")
def digits():
    """200 MNIST digits to train on and 130 to test on."""
    data = datasets.load("mnist").take(per_class=20)
    return data.train, (data.x_test[:130], data.y_test[:130])


@pytest.fixture
def tanh_mlp():
    """Build the same small net anew at each call."""
    return lambda seed=0, **options: modelzoo.create_model("tanh_mlp", seed=seed, **options)


@pytest.fixture(scope="session")
def eager():
    """Return a function that trains in plain TensorFlow, with nothing of the trainer but the order of its batches."""

    def train(model, data, recipe, apply, seed=0):
        (x, y), losses = data, []
        for rows in ArrayBatches(x, y, recipe.batch_size, seed).plan(0, recipe.steps).numpy():
            with tf.GradientTape() as tape:
                probabilities = model(x[rows], training=True)
                loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y[rows], probabilities))
            apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            losses.append(float(loss))
        return losses

    return train
