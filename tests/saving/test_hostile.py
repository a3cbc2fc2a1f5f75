"""Arguments that nothing can be saved, loaded or fine-tuned with: one line of ours, no file, weights as they were."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import Recipe
from modelzoo.card import CARD_PATH, read_card, write_card
from modelzoo.errors import ArtifactError, ModelZooError
from modelzoo.saving import save_keras, save_litert, save_onnx
from modelzoo.saving.saved_model import saved_models_dir

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


@pytest.mark.parametrize("name", ["a[1]", "[/x", "C:\\m"])
def test_paths_that_tensorflow_takes_for_patterns(name, net, tmp_path):
    assert "pattern" in refused(lambda: modelzoo.save(net, tmp_path / name), net)
    assert not list(tmp_path.iterdir())


def test_pretrained_models_need_no_directory_to_search(net, tmp_path, monkeypatch):
    """A service's working directory may be closed to it; ``monkeypatch`` stands in for a user who is not root."""
    found = os.stat

    def closed(path, *args, **options):
        if isinstance(path, str | os.PathLike) and not os.path.isabs(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return found(path, *args, **options)

    monkeypatch.setattr(os, "stat", closed)
    assert (
        modelzoo.weights_digest(modelzoo.load("xor_mlp"))
        == read_card(saved_models_dir() / "xor_mlp" / "1")["weights_digest"]
    )
    assert "Permission denied" in refused(lambda: modelzoo.load("nowhere"))


@pytest.mark.parametrize(
    "change",
    [{"name": 5}, {"name": None}, {"source": 5}, {"options": {"a": Path("x")}}, {"class_names": ["a", "\udcff"]}],
    ids=str,
)
def test_what_no_card_holds_is_refused_before_training(change, net):
    data = modelzoo.datasets.load("xor")
    model = modelzoo.create_model("xor_mlp", seed=0)
    refused(lambda: modelzoo.train(model, dataclasses.replace(data, **change)), model)


def test_numbers_that_callbacks_log_are_kept(tmp_path):
    class Logging(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["extra"] = np.float32(3)

    model = modelzoo.create_model("xor_mlp", seed=0)
    recipe = modelzoo.get_spec("xor_mlp").recipe("lesson").replace(steps=20, log_every=10)
    modelzoo.train(model, modelzoo.datasets.load("xor"), recipe, callbacks=[Logging()])
    modelzoo.save(model, tmp_path / "net")
    assert read_card(tmp_path / "net")["training"]["history"]["extra"] == [3.0, 3.0]


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
        ("num_classes", [0, 1, 2.5, "4", True]),
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
