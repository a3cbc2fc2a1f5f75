"""Artifacts of small nets, written once and copied by whoever alters them."""

import json
import shutil

import keras
import pytest

import modelzoo
from modelzoo.card import CARD_PATH, write_card


@pytest.fixture(scope="session")
def net():
    """Return a small trained net."""
    model = modelzoo.create_model("tanh_mlp", seed=0)
    modelzoo.train(model, modelzoo.datasets.load("four_class"))
    return model


@pytest.fixture(scope="session")
def written(net, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "1"
    modelzoo.save(net, path)
    return path


@pytest.fixture
def artifact(written, tmp_path):
    """Return a copy of the net's artifact that a test may damage."""
    return shutil.copytree(written, tmp_path / "tanh_mlp" / "1")


@pytest.fixture(scope="session")
def resign():
    """Return a function that makes a card valid again, with other facts if given, as bad intentions would."""

    def write(artifact, change=lambda card: None, **facts):
        card = json.loads((artifact / CARD_PATH).read_text()) | facts
        change(card)
        left_out = ("format", "files", "card_digest")
        write_card(artifact, {k: v for k, v in card.items() if k not in left_out and v is not ...})

    return write


@pytest.fixture(scope="session")
def keras_export(tmp_path_factory):
    """What Keras 3's own ``model.export`` writes."""
    path = tmp_path_factory.mktemp("keras") / "export"
    model = modelzoo.create_model("relu_mlp", hidden_units=8, seed=0)
    keras.Model(model.inputs, model.outputs).export(path, verbose=False)
    return path
