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
    stored = {weight["path"]: weight for weight in card["weights"]}
    for weight in model.weights:
        told = stored[weight.path]
        value = np.memmap(directory / WEIGHTS_PATH, told["dtype"], "r", told["offset"], tuple(told["shape"]))
        np.testing.assert_array_equal(value, weight.numpy(), err_msg=weight.path)
        assert told["trainable"] == weight.trainable
    # Another version of Keras has settings of its own.
    assert Network.from_dict(card["network"]).same_as(read_network(model))
