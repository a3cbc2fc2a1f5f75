"""What nothing can be saved, loaded or fine-tuned with: one line of ours, no file, and weights as they were."""

import dataclasses
import errno
import os

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo.card import read_card
from modelzoo.errors import ModelZooError
from modelzoo.saving import save_keras, save_litert, save_onnx, saved_models_dir

WRITERS = {modelzoo.save: "", save_keras: ".keras", save_onnx: ".onnx", save_litert: ".tflite"}

#: For options of `save` and `finetune`, values that are refused.
RESULTS = [3, {"a": np.nan}, {"a": object()}, {"metrics": 3}, {"metrics": {"loss": "low"}}, {"seeds": "0-4"}]


@pytest.fixture(scope="module")
def pretrained():
    return modelzoo.load("tanh_mlp")


def refused(call, model=None):
    """Return the one line that a call answers with, after seeing that the weights are as they were."""
    before = None if model is None else modelzoo.weights_digest(model)
    with pytest.raises(ModelZooError) as caught:
        call()
    assert before is None or before == modelzoo.weights_digest(model)
    return str(caught.value)


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_targets_and_models(writer, pretrained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    end = WRITERS[writer]
    for path in (None, 3, f"a\0b{end}", f"{'x' * 300}{end}", f"/dev/null/x{end}", "."):
        refused(lambda path=path: writer(pretrained, path), pretrained)
    for model in (None, "tanh_mlp", keras.Sequential([keras.layers.Dense(2)])):
        refused(lambda model=model: writer(model, f"net{end}"))
    assert not list(tmp_path.iterdir())


def test_options_of_save(pretrained, tmp_path):
    for value in RESULTS:
        refused(lambda value=value: modelzoo.save(pretrained, tmp_path / "net", results=value), pretrained)
    assert "pattern" in refused(lambda: modelzoo.save(pretrained, tmp_path / "a[1]"), pretrained)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", [None, 3, [], "a\0b", "x" * 5000, "nowhere", keras.Model])
def test_sources(source):
    for call in (modelzoo.load, modelzoo.check, modelzoo.create_model, modelzoo.get_spec, modelzoo.weights_digest):
        refused(lambda call=call: call(source))


def test_pretrained_models_need_no_directory_to_search(monkeypatch):
    """A service's working directory may be closed to it; ``monkeypatch`` stands in for a user who is not root."""
    found = os.stat

    def closed(path, *args, **options):
        if isinstance(path, str | os.PathLike) and not os.path.isabs(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return found(path, *args, **options)

    monkeypatch.setattr(os, "stat", closed)
    card = read_card(saved_models_dir() / "xor_mlp" / "1")
    assert modelzoo.weights_digest(modelzoo.load("xor_mlp")) == card["weights_digest"]
    assert "Permission denied" in refused(lambda: modelzoo.load("nowhere"))


@pytest.mark.parametrize(
    "change", [{"name": 5}, {"source": 5}, {"options": {"a": object()}}], ids=["name", "source", "options"]
)
def test_what_no_card_holds_is_refused_before_training(change):
    model = modelzoo.create_model("xor_mlp", seed=0)
    data = modelzoo.datasets.load("xor")
    refused(lambda: modelzoo.train(model, dataclasses.replace(data, **change)), model)
