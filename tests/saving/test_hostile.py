"""Arguments that nothing can be saved, loaded or fine-tuned with: one line of ours, no file, weights as they were."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import Recipe
from modelzoo.errors import ArtifactError, ModelZooError
from modelzoo.saving import read_card, save_keras, save_litert, save_onnx
from modelzoo.saving.card import CARD_PATH, write_card

WRITERS = {modelzoo.save: "", save_keras: ".keras", save_onnx: ".onnx", save_litert: ".tflite"}


@pytest.fixture(scope="module")
def net():
    return modelzoo.load("tanh_mlp")


def refused(call, model=None):
    """Return the one line that a call answers with, after seeing that the weights are as they were."""
    before = None if model is None else modelzoo.weights_digest(model)
    with pytest.raises(ModelZooError) as caught:
        call()
    assert before is None or before == modelzoo.weights_digest(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_targets_and_models(writer, net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    end = WRITERS[writer]
    for path in (None, 3, b"x", [], f"a\0b{end}", f"{'x' * 300}{end}", f"/dev/null/x{end}", f"\ud800{end}", "."):
        refused(lambda path=path: writer(net, path), net)
    for model in (None, 3, "tanh_mlp", keras.Model, keras.Sequential([keras.layers.Dense(2)])):
        assert str(model)[:5] in refused(lambda model=model: writer(model, f"net{end}")) or writer is not save_keras
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", [None, 3, b"x", [], {}, "a\0b", "x" * 5000, "nowhere", keras.Model, np.zeros(3)])
def test_sources(source, tmp_path):
    for call in (modelzoo.load, modelzoo.check, modelzoo.create_model, modelzoo.get_spec, modelzoo.weights_digest):
        refused(lambda call=call: call(source))
    refused(lambda: modelzoo.describe(source, tmp_path / "about"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("golden", [3, "x", [[1], [1, 2]], np.zeros((3, 5)), np.full((1, 2), np.nan)]),
        (
            "results",
            [3, {"a": np.nan}, {"a": "\ud800"}, {"metrics": 3}, {"metrics": {"loss": "low"}}, {"seeds": "0-4"}],
        ),
    ],
)
def test_options_of_save(option, values, net, tmp_path):
    for value in values:
        refused(lambda value=value: modelzoo.save(net, tmp_path / "net", **{option: value}), net)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("freeze", [3, True, float("nan"), [3], "nope", ["backbone", "logits"]]),
        ("num_classes", [0, 1, 2.5, "4", True, 10**15]),
        ("layer_learning_rates", [3, {"logits": float("nan")}, {"logits": 10**400}, {"logits": 1e300}, {"nope": 1}]),
        ("backbone_learning_rate", [float("inf"), -1, "a", 10**400, 1e39]),
        ("recipe", [None, 3, "nope", {}]),
    ],
)
def test_options_of_finetune(option, values, net):
    data = np.zeros((8, 2), "f4"), np.arange(8) % 4
    for value in values:
        options = {"recipe": Recipe(steps=1, xla="off"), option: value}
        refused(lambda options=options: modelzoo.finetune(net, data, **options), net)


def test_facts_that_only_other_commands_read_are_checked_when_a_card_is_read(net, tmp_path):
    artifact = tmp_path / "net"
    modelzoo.save(net, artifact)
    card = json.loads((artifact / CARD_PATH).read_text())
    facts = {key: value for key, value in card.items() if key not in ("format", "files", "card_digest")}
    for key, wrong in {
        "dataset": [3, None, [], {"name": 3}, {"options": []}],
        "recipe": [None, [], "lesson"],
        "metrics": [3, {"loss": "low"}],
        "history": [None, {"loss": 3}, {"loss": ["a"]}],
        "machine": ["x", {"cpu": []}],
        "seed": ["0", None],
        "weights_digest": [3, None],
    }.items():
        for value in wrong:
            write_card(artifact, {**facts, "training": {**facts["training"], key: value}})
            with pytest.raises(ArtifactError, match=rf"card.training.{key}.* is .*Export the artifact again"):
                read_card(artifact)
