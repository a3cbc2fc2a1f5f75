"""Small data and nets for the trainer's tests."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import datasets


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


@pytest.fixture
def weights_of():
    """Return copies of a model's weights."""
    return lambda model: [np.array(w) for w in model.get_weights()]


class Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C at the end of a log entry."""

    def __init__(self, entry):
        super().__init__()
        self.entry = entry

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.entry:
            raise KeyboardInterrupt


@pytest.fixture
def interrupt():
    return Interrupt
