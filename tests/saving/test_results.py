"""Results and machine in the card: what `save` writes, and when it still holds."""

from __future__ import annotations

import json

import numpy as np

import modelzoo
from modelzoo.card import describe_machine, machine_differences, read_card
from modelzoo.saving import saved_model

RESULTS = {
    "recipe": "lesson",
    "seeds": [0, 1, 2],
    "metrics": {"test_accuracy": {"value": 0.86, "mean": 0.85, "std": 0.01, "per_seed": [0.84, 0.85, 0.86]}},
    "num_params": 74,
}


def test_results_are_in_the_card_with_the_digest_they_are_about(net, tmp_path):
    card = modelzoo.save(net, tmp_path / "1", results=RESULTS)
    assert card["results"] == {**RESULTS, "weights_digest": modelzoo.weights_digest(net)}
    assert read_card(tmp_path / "1")["results"] == card["results"]
    assert modelzoo.save(net, tmp_path / "2")["results"] is None


def test_load_and_save_keep_them_while_the_weights_are_the_same(net, tmp_path):
    card = modelzoo.save(net, tmp_path / "1", results=RESULTS)
    loaded = modelzoo.load(tmp_path / "1")
    assert modelzoo.save(loaded, tmp_path / "2")["results"] == card["results"]
    modelzoo.train(loaded, modelzoo.datasets.load("four_class"), modelzoo.Recipe(steps=2, log_every=2, xla="off"))
    assert modelzoo.save(loaded, tmp_path / "3")["results"] is None


def test_a_model_built_with_other_options_does_not_take_them_over(net, tmp_path, monkeypatch, caplog):
    modelzoo.save(net, tmp_path / "tanh_mlp" / "1", results=RESULTS)
    monkeypatch.setattr(saved_model, "saved_models_dir", lambda: tmp_path)
    child = modelzoo.create_model("tanh_mlp", pretrained=True, classifier_activation=None)
    assert modelzoo.weights_digest(child) == modelzoo.weights_digest(net)
    assert modelzoo.save(child, tmp_path / "2")["results"] is None
    assert "since its results" not in caplog.text


def test_only_weights_changed_by_other_means_are_worth_a_warning(net, tmp_path, caplog):
    modelzoo.save(net, tmp_path / "1", results=RESULTS)
    model = modelzoo.load(tmp_path / "1")
    model.weights[0].assign(2 * model.weights[0])
    assert modelzoo.save(model, tmp_path / "2")["results"] is None
    assert "changed since its results" in caplog.text
    caplog.clear()
    data, recipe = modelzoo.datasets.load("four_class"), modelzoo.Recipe(steps=2, log_every=2, xla="off")
    child, _ = modelzoo.finetune(tmp_path / "1", data, recipe=recipe)
    assert modelzoo.save(child, tmp_path / "3")["results"] is None
    assert not caplog.text


def test_results_that_went_with_their_artifact_are_missed(net, tmp_path, caplog):
    modelzoo.save(net, tmp_path / "1", results=RESULTS)
    model = modelzoo.load(tmp_path / "1")
    (tmp_path / "1").rename(tmp_path / "2")
    assert modelzoo.save(model, tmp_path / "3")["results"] is None
    assert "is gone; its results" in caplog.text


def test_new_results_replace_those_of_the_artifact(net, tmp_path):
    modelzoo.save(net, tmp_path / "1", results=RESULTS)
    again = modelzoo.save(modelzoo.load(tmp_path / "1"), tmp_path / "2", results={"recipe": "tuned"})
    assert again["results"] == {"recipe": "tuned", "weights_digest": modelzoo.weights_digest(net)}


def test_numpy_numbers_become_plain_ones(net, tmp_path):
    card = modelzoo.save(net, tmp_path / "1", results={"a": np.float32(0.5), "b": np.arange(2), "c": (1, 2)})
    assert json.loads(json.dumps(card["results"])) == card["results"]
    assert (card["results"]["a"], card["results"]["b"], card["results"]["c"]) == (0.5, [0, 1], [1, 2])


def test_the_card_keeps_the_machine_of_the_training(net, tmp_path, monkeypatch):
    here = modelzoo.save(net, tmp_path / "1")["training"]["machine"]
    assert here == describe_machine()
    assert here["cores"] >= 1
    assert here["cpu"]
    assert here["tensorflow"].count(".") >= 2
    assert machine_differences(here) == {}
    monkeypatch.setattr(saved_model, "package_versions", lambda: {"tensorflow": "1.0.0"})
    again = modelzoo.save(modelzoo.load(tmp_path / "1"), tmp_path / "2")
    assert again["training"]["machine"] == here
    assert again["versions"]["tensorflow"] == "1.0.0"


def test_machines_differ_in_what_changes_the_last_bit():
    here = describe_machine()
    assert machine_differences({**here, "python": "2.7"}) == {}
    assert machine_differences({**here, "modelzoo": "0"}) == {"modelzoo": ("0", here["modelzoo"])}
    assert machine_differences({**here, "cores": -1}) == {"cores": (-1, here["cores"])}
    assert machine_differences(None)["cpu"] == (None, here["cpu"])
