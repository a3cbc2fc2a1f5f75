"""``verify``: the card's numbers are measured again, and a wrong one is found."""

from __future__ import annotations

import copy

import pytest
from sklearn.metrics import accuracy_score, log_loss

import modelzoo
from modelzoo import datasets
from modelzoo.card import read_card
from modelzoo.errors import InputError
from modelzoo.verification import Agreement, of_another_run, recorded_values


@pytest.fixture(scope="module")
def data():
    return datasets.load("linear", n=200, n_test=300, seed=3)


@pytest.fixture(scope="module")
def artifact(data, tmp_path_factory):
    """A logistic unit trained on points of its own seed, with results in its card."""
    model = modelzoo.create_model("logistic_perceptron", seed=3)
    recipe = modelzoo.get_spec(model.name).recipe("lesson").replace(steps=300, log_every=300, xla="off")
    modelzoo.train(model, data, recipe, seed=3)
    path = tmp_path_factory.mktemp("agreement") / "1"
    modelzoo.save(model, path, results=results_of(modelzoo.measure(model, data)))
    return path


def results_of(measured):
    metrics = {k: {"value": v} for k, v in measured.items() if k in ("test_loss", "test_accuracy", "calibration_error")}
    sizes = {k: measured[k] for k in ("num_params", "multiply_adds")}
    corruptions = {k: {"value": v} for k, v in measured.get("corruptions", {}).items()}
    return {"recipe": "lesson", "seeds": [3], "metrics": metrics, "corruptions": corruptions, **sizes}


def test_an_artifact_agrees_with_its_card_and_scikit_learn(artifact, data):
    found = {agreement.name: agreement for agreement in modelzoo.verify(artifact)}
    assert list(found) == ["test_loss", "test_accuracy", "calibration_error", "num_params", "multiply_adds"]
    assert all(agreement.ok and agreement.reason for agreement in found.values())
    p = modelzoo.load(artifact)(data.x_test).numpy()[:, 0].astype(float)
    assert found["test_loss"].value == pytest.approx(log_loss(data.y_test, p), rel=1e-5)
    assert found["test_accuracy"].value == pytest.approx(accuracy_score(data.y_test, p > 0.5))
    assert (found["num_params"].value, found["multiply_adds"].value) == (3, 2)


@pytest.mark.parametrize(
    ("name", "shift"),
    [
        ("test_loss", 1e-3),
        ("test_accuracy", -1 / 300),
        ("calibration_error", 1e-3),
        ("num_params", 1),
    ],
)
def test_a_number_that_is_wrong_is_found(name, shift, artifact, tmp_path):
    model = modelzoo.load(artifact)
    results = copy.deepcopy(read_card(artifact)["results"])
    if name in results:
        results[name] += shift
    else:
        results["metrics"][name]["value"] += shift
    modelzoo.save(model, tmp_path / "wrong", results=results)
    assert [agreement.name for agreement in modelzoo.verify(tmp_path / "wrong") if not agreement.ok] == [name]


def test_weights_that_are_wrong_are_found(artifact, tmp_path):
    """The card is the artifact's, the weights are others: the metrics give it away."""
    model = modelzoo.load(artifact)
    model.set_weights([w + 0.3 for w in model.get_weights()])
    modelzoo.save(model, tmp_path / "wrong", results=read_card(artifact)["results"])
    assert not all(agreement.ok for agreement in modelzoo.verify(tmp_path / "wrong"))


def test_results_of_other_weights_are_not_compared(artifact):
    model = modelzoo.load(artifact)
    model.set_weights([w + 0.3 for w in model.get_weights()])
    assert modelzoo.verify(model) == []


def test_corruptions_are_compared_on_request(tmp_path):
    digits = datasets.load("digits")
    model = modelzoo.create_model("relu_mlp", hidden_units=3, seed=0)
    modelzoo.train(model, digits, modelzoo.Recipe(steps=5, batch_size=50, log_every=5, xla="off"))
    modelzoo.save(model, tmp_path / "1", results=results_of(modelzoo.measure(model, digits)))
    cheap = [agreement.name for agreement in modelzoo.verify(tmp_path / "1")]
    every = modelzoo.verify(tmp_path / "1", corruptions=True)
    names = [agreement.name for agreement in every]
    assert [name for name in names if not name.startswith("corruptions.")] == cheap
    assert {f"corruptions.{name}" for name in datasets.CORRUPTIONS} <= set(names)
    assert all(agreement.ok for agreement in every)


def test_without_results_the_last_log_entry_counts(data):
    model = modelzoo.create_model("logistic_perceptron", seed=3)
    assert modelzoo.verify(model) == []
    recipe = modelzoo.get_spec(model.name).recipe("lesson").replace(steps=20, log_every=20, xla="off")
    history = modelzoo.train(model, data, recipe).history
    assert recorded_values(model) == {
        "test_loss": history["val_loss"][-1],
        "test_accuracy": history["val_accuracy"][-1],
    }
    assert all(agreement.ok for agreement in modelzoo.verify(model))
    modelzoo.train(model, data, recipe, validation_data=(data.x_test[:70], data.y_test[:70]))
    assert modelzoo.verify(model) == [], "the log was taken on other samples"
    modelzoo.train(model, data, recipe.replace(validation_size=50))
    assert recorded_values(model) == {}, "the log was taken on samples held out, not on the test data"


def test_data_that_only_the_caller_has_are_asked_for(data):
    model = modelzoo.create_model("logistic_perceptron", seed=3)
    modelzoo.train(
        model, data.take(per_class=20), modelzoo.Recipe(steps=2, log_every=2, loss="binary_crossentropy", xla="off")
    )
    with pytest.raises(InputError, match="was trained on"):
        modelzoo.verify(model)


def test_an_agreement_is_a_difference_within_its_tolerance():
    assert Agreement("m", 1.0, 0.9, 0.11, "why").ok
    assert not Agreement("m", 1.0, 0.9, 0.09, "why").ok
    assert not Agreement("m", float("nan"), 0.9, 10.0, "why").ok
    assert Agreement("m", float("nan"), 0.9, 10.0, "why").to_dict()["value"] is None
    assert Agreement("m", 1.0, 0.75, 0.5, "why").to_dict() == {
        "name": "m", "value": 1.0, "recorded": 0.75, "tolerance": 0.5, "reason": "why", "difference": 0.25, "ok": True,
    }  # fmt: skip


def test_another_run_is_judged_by_the_spread_over_seeds():
    """By hand: deviation 0.0158 of five values, t = 4.604 (0.995, 4 degrees of freedom), √(1 + 1/5)."""
    entry = {"value": 0.9, "mean": 0.92, "std": 0.1, "per_seed": [0.90, 0.91, 0.92, 0.93, 0.94]}
    found = of_another_run("test_accuracy", 0.99, entry, 1000)
    assert found.recorded == pytest.approx(0.92)
    assert found.tolerance == pytest.approx(4.604 * 0.015811 * 1.095445, rel=1e-3)
    assert found.ok
    assert not of_another_run("test_accuracy", 0.83, entry, 1000).ok
    same = {"value": 0.5, "per_seed": [0.5, 0.5, 0.5]}
    assert of_another_run("test_loss", 0.52, same, 1000).ok
    assert not of_another_run("test_loss", 0.53, same, 1000).ok
    assert not of_another_run("test_accuracy", 0.503, same, 1000).ok


@pytest.mark.parametrize("entry", [0.9, {"value": 0.9}, {"value": 0.9, "per_seed": [0.9]}])
def test_a_single_run_is_judged_by_the_size_of_the_test_set(entry):
    """By hand: √(2 · 0.9 · 0.1 / 1000) = 0.013416."""
    assert of_another_run("test_accuracy", 0.94, entry, 1000).tolerance == pytest.approx(
        3 * 0.0134164 + 0.002, rel=1e-4
    )
    assert of_another_run("test_loss", 1.0, entry, 1000).ok
    assert not of_another_run("test_loss", 1.1, entry, 1000).ok
