"""Results and machine in the card: what `save` writes, and when it still holds."""

import json

import numpy as np

import modelzoo
from modelzoo.card import describe_machine, machine_differences, read_card
from modelzoo.card import results_of as results_in
from modelzoo.registry import card_for
from modelzoo.saving import saved_model


def results_of(model):
    return results_in(card_for(model), modelzoo.weights_digest(model))


SHORT = modelzoo.Recipe(steps=2, log_every=2, xla="off")
RESULTS = {
    "recipe": "lesson",
    "seeds": [0, 1, 2],
    "metrics": {"test_accuracy": {"value": 0.86, "mean": 0.85, "std": 0.01, "per_seed": [0.84, 0.85, 0.86]}},
    "num_params": 74,
}


def test_results_stay_with_the_weights_that_they_are_about(net, tmp_path):
    digest = modelzoo.weights_digest(net)
    card = modelzoo.save(net, tmp_path / "1", results={**RESULTS, "a": np.float32(0.5), "b": np.arange(2)})
    expected = {**RESULTS, "a": 0.5, "b": [0, 1], "weights_digest": digest}
    assert json.loads(json.dumps(card["results"])) == expected == read_card(tmp_path / "1")["results"]
    assert results_of(net) is None
    loaded = modelzoo.load(tmp_path / "1")
    assert results_of(loaded) == expected == modelzoo.save(loaded, tmp_path / "2")["results"]
    new = modelzoo.save(loaded, tmp_path / "3", results={"recipe": "tuned"})["results"]
    assert new == {"recipe": "tuned", "weights_digest": digest}
    modelzoo.train(loaded, modelzoo.datasets.load("four_class"), SHORT)
    assert results_of(loaded) is None
    assert modelzoo.save(loaded, tmp_path / "4")["results"] is None


def test_a_model_built_with_other_options_does_not_take_them_over(net, tmp_path, monkeypatch, caplog):
    modelzoo.save(net, tmp_path / "tanh_mlp" / "1", results=RESULTS)
    monkeypatch.setattr(saved_model, "saved_models_dir", lambda: tmp_path)
    child = modelzoo.create_model("tanh_mlp", pretrained=True, classifier_activation=None)
    assert modelzoo.weights_digest(child) == modelzoo.weights_digest(net)
    assert modelzoo.save(child, tmp_path / "2")["results"] is None
    assert "since its results" not in caplog.text


def test_results_that_are_lost_unintended_are_worth_a_warning(net, tmp_path, caplog):
    modelzoo.save(net, tmp_path / "1", results=RESULTS)
    child, _ = modelzoo.finetune(tmp_path / "1", modelzoo.datasets.load("four_class"), recipe=SHORT)
    assert modelzoo.save(child, tmp_path / "2")["results"] is None
    assert not caplog.text
    changed, alone = modelzoo.load(tmp_path / "1"), modelzoo.load(tmp_path / "1")
    changed.weights[0].assign(2 * changed.weights[0])
    assert modelzoo.save(changed, tmp_path / "3")["results"] is None
    assert "changed since its results" in caplog.text
    (tmp_path / "1").rename(tmp_path / "elsewhere")
    assert modelzoo.save(alone, tmp_path / "4")["results"] is None
    assert "is gone; its results" in caplog.text


def test_the_card_keeps_the_machine_of_the_training(net, tmp_path, monkeypatch):
    here = modelzoo.save(net, tmp_path / "1")["training"]["machine"]
    assert here == describe_machine()
    assert here["cores"] >= 1
    assert here["cpu"]
    assert here["tensorflow"].count(".") >= 2
    assert machine_differences(here) == {}
    monkeypatch.setattr("modelzoo.card.package_versions", lambda: {"tensorflow": "1.0.0"})
    again = modelzoo.save(modelzoo.load(tmp_path / "1"), tmp_path / "2")
    assert again["training"]["machine"] == here
    assert again["versions"]["tensorflow"] == "1.0.0"


def test_machines_differ_in_what_changes_the_last_bit():
    here = describe_machine()
    assert machine_differences({**here, "python": "2.7"}) == {}
    assert machine_differences({**here, "modelzoo": "0"}) == {"modelzoo": ("0", here["modelzoo"])}
    assert machine_differences({**here, "cores": -1}) == {"cores": (-1, here["cores"])}
    assert machine_differences(None)["cpu"] == (None, here["cpu"])
