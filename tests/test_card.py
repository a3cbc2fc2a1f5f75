"""The card: an artifact is read with JSON and NumPy alone, and a wrong fact is one clear error."""

import json

import numpy as np
import pytest

import modelzoo
from modelzoo.card import CARD_PATH, WEIGHTS_PATH
from modelzoo.network import Network, read_network
from modelzoo.saving import find


@pytest.mark.parametrize("name", modelzoo.list_pretrained())
def test_weights_and_network_are_read_without_tensorflow(name):
    directory, model = find(name), modelzoo.load(name)
    card = json.loads((directory / CARD_PATH).read_text(encoding="utf-8"))
    weights = {
        weight["path"]: np.memmap(
            directory / WEIGHTS_PATH, weight["dtype"], "r", weight["offset"], tuple(weight["shape"])
        )
        for weight in card["weights"]
    }
    for weight in model.weights:
        np.testing.assert_array_equal(weights[weight.path], weight.numpy(), err_msg=weight.path)
    network = Network.from_dict(card["network"])
    assert network.same_as(read_network(model))  # another version of Keras has settings of its own
    for weight in (weight for layer in network.layers for weight in layer.weights):
        assert weights[weight.path].shape == weight.shape
    trainable = {weight["path"] for weight in card["weights"] if weight["trainable"]}
    assert trainable == {weight.path for weight in model.trainable_weights}
