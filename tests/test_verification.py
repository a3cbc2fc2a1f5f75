"""``verify`` and ``reproduce``: an artifact comes out of its card again, and one that does not is found."""

import dataclasses
import json

import keras
import pytest
from sklearn.metrics import accuracy_score, log_loss

import modelzoo
from modelzoo import Recipe, datasets, verification
from modelzoo.card import set_card
from modelzoo.errors import InputError
from modelzoo.registry import build_model, card_for
from modelzoo.verification import Agreement, Reproduction, Run, of_another_run

SHORT = Recipe(steps=20, batch_size=20, optimizer="adam", learning_rate=0.01, log_every=10, xla="off")
SIZES = ("num_params", "multiply_adds")
NO_METRICS = ("classes", "confusion_matrix", "corruptions", *SIZES)


def trained(data, recipe=SHORT, *, name="tanh_mlp", seed=2, model_seed=2, **options):
    model = modelzoo.create_model(name, seed=model_seed, **options)
    return model, modelzoo.train(model, data, recipe, seed=seed)


def results_of(measured, *, spread=None):
    """What a card says: metrics as they were measured, or their spread over three seeds."""
    per_seed = {} if spread is None else {"per_seed": spread}
    metrics = {k: {"value": v, **per_seed} for k, v in measured.items() if k not in NO_METRICS}
    corruptions = {k: {"value": v} for k, v in measured.get("corruptions", {}).items()}
    return {"metrics": metrics, "corruptions": corruptions, **{k: measured.get(k) for k in SIZES}}


@pytest.fixture(scope="module")
def points():
    return datasets.load("linear", n=200, n_test=300, seed=3)


@pytest.fixture(scope="module")
def unit(points):
    """A logistic unit trained on points of its own seed, and what it reaches."""
    recipe = modelzoo.get_spec("logistic_perceptron").recipe("lesson").replace(steps=300, log_every=300, xla="off")
    model, _ = trained(points, recipe, name="logistic_perceptron")
    return model, modelzoo.measure(model, points)


@pytest.fixture(scope="module")
def net():
    return trained(datasets.load("four_class"))[0]


# --- verify


def test_an_artifact_agrees_with_its_card_and_scikit_learn(unit, points, tmp_path):
    model, measured = unit
    modelzoo.save(model, tmp_path / "1", results=results_of(measured))
    found = {agreement.name: agreement for agreement in modelzoo.verify(tmp_path / "1")}
    assert list(found) == ["test_loss", "test_accuracy", "calibration_error", *SIZES]
    assert all(agreement.ok and agreement.reason for agreement in found.values())
    p = model(points.x_test).numpy()[:, 0].astype(float)
    assert found["test_loss"].value == pytest.approx(log_loss(points.y_test, p), rel=1e-5)
    assert found["test_accuracy"].value == pytest.approx(accuracy_score(points.y_test, p > 0.5))
    assert (found["num_params"].value, found["multiply_adds"].value) == (3, 2)


def test_a_pretrained_network_agrees_with_its_card():
    found = modelzoo.verify("logistic_perceptron")
    assert all(agreement.ok for agreement in found)
    assert found[1].value == modelzoo.evaluate("logistic_perceptron")["accuracy"]


def test_every_number_that_is_wrong_is_found(unit, tmp_path):
    model, measured = unit
    shifts = {"test_loss": 1e-3, "test_accuracy": -1 / 300, "calibration_error": 1e-3, "num_params": 1}
    wrong = {name: measured[name] + shift for name, shift in shifts.items()} | {"multiply_adds": 2}
    modelzoo.save(model, tmp_path / "1", results=results_of(wrong))
    found = modelzoo.verify(tmp_path / "1")
    assert [agreement.name for agreement in found if not agreement.ok] == list(shifts)


def test_other_weights_are_found_and_their_old_results_not_compared(unit, tmp_path):
    _, measured = unit
    modelzoo.save(unit[0], tmp_path / "1", results=results_of(measured))
    model = modelzoo.load(tmp_path / "1")
    model.set_weights([w + 0.3 for w in model.get_weights()])
    assert modelzoo.verify(model) == []
    modelzoo.save(model, tmp_path / "2", results=results_of(measured))
    assert not all(agreement.ok for agreement in modelzoo.verify(tmp_path / "2"))


def test_corruptions_are_compared_on_request(tmp_path):
    digits = datasets.load("digits")
    model, _ = trained(digits, name="relu_mlp", hidden_units=3)
    modelzoo.save(model, tmp_path / "1", results=results_of(modelzoo.measure(model, digits)))
    cheap, every = ([a.name for a in modelzoo.verify(tmp_path / "1", corruptions=more)] for more in (False, True))
    corruptions = [f"corruptions.{name}" for name in datasets.CORRUPTIONS]
    assert sorted(every) == sorted([*cheap, *corruptions])
    assert not set(cheap) & set(corruptions)


def test_without_results_the_last_log_entry_on_the_test_data_counts(points):
    recipe = Recipe(steps=2, log_every=2, loss="binary_crossentropy", xla="off")
    assert modelzoo.verify(modelzoo.create_model("logistic_perceptron", seed=3)) == []
    model, _ = trained(points, recipe, name="logistic_perceptron")
    found = modelzoo.verify(model)
    assert {a.name: a.recorded for a in found} == pytest.approx(
        {f"test_{name}": value for name, value in modelzoo.evaluate(model).items()}
    )
    assert all(agreement.ok for agreement in found)
    for options in ({"validation_data": (points.x_test[:70], points.y_test[:70])}, {"validation_size": 50}):
        size = options.pop("validation_size", 0)
        modelzoo.train(model, points, recipe.replace(validation_size=size), **options)
        assert modelzoo.verify(model) == [], "the log was taken on other samples"
    modelzoo.train(model, points.take(per_class=20), recipe)
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
    accuracy = of_another_run("test_accuracy", 0.94, entry, 1000)
    assert accuracy.tolerance == pytest.approx(3 * 0.0134164 + 0.002, rel=1e-4)
    assert of_another_run("test_loss", 1.0, entry, 1000).ok
    assert not of_another_run("test_loss", 1.1, entry, 1000).ok


# --- reproduce


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name == "threshold_perceptron" else pytest.mark.slow)
        for name in modelzoo.list_pretrained()
        if modelzoo.get_spec(name).num_params < 100
    ],
)
def test_pretrained_models_come_out_of_their_cards(name):
    found = modelzoo.reproduce(name)
    assert found.runs[0].agreements, "nothing was compared"
    for agreement in found.runs[0].agreements:
        assert agreement.ok, agreement
    if not found.machine_differences:
        assert found.same_weights
    assert found.ok


def test_options_data_and_seeds_are_the_artifacts(tmp_path):
    data = datasets.load("quadratic", n=150, n_test=60, seed=9)
    model = modelzoo.create_model("tanh_mlp", seed=11, num_classes=2, hidden_units=5)
    model.layers[1].trainable = False  # frozen layers are frozen again
    history = modelzoo.train(model, data, SHORT.replace(validation_size=50), seed=2)
    modelzoo.save(model, tmp_path / "1")
    found = modelzoo.reproduce(tmp_path / "1")
    assert (found.machine_differences, found.same_weights, found.ok) == ({}, True, True)
    (run,) = found.runs
    assert (run.seed, run.weights_digest) == (2, modelzoo.weights_digest(model))
    assert run.metrics["test_accuracy"] == modelzoo.evaluate(model)["accuracy"]
    assert run.metrics["val_loss"] == history.history["val_loss"][-1]


@pytest.mark.parametrize(("data_seed", "drawn_anew"), [(2, True), pytest.param(9, False, marks=pytest.mark.slow)])
def test_each_seed_draws_its_own_data_if_the_artifacts_seed_did(data_seed, drawn_anew):
    model, _ = trained(datasets.load("quadratic", n=100, seed=data_seed), num_classes=2)
    seen = []

    def note(seed):
        return [keras.callbacks.LambdaCallback(on_train_begin=lambda logs: seen.append(seed))]

    found = modelzoo.reproduce(model, [2, 5, 2], callbacks=note)
    assert [run.seed for run in found.runs] == [2, 5] == seen
    assert found.same_weights
    other = datasets.load("quadratic", n=100, seed=5 if drawn_anew else data_seed)
    expected, _ = trained(other, seed=5, model_seed=5, num_classes=2)
    assert found.runs[1].weights_digest == modelzoo.weights_digest(expected)
    assert found.runs[1].agreements == (), "the card has one run only"
    told = json.loads(json.dumps(found.to_dict()))
    assert told["ok"]
    assert told["same_weights"]
    assert told["runs"][0]["agreements"][0]["ok"]


@pytest.mark.parametrize(("shift", "seeds", "ok"), [(0.02, [2, 3], True), (0.2, 2, False)])
def test_results_over_seeds_are_the_measure_of_every_seed(shift, seeds, ok, net, tmp_path):
    accuracy = modelzoo.evaluate(net)["accuracy"] + shift
    results = results_of(
        {"test_accuracy": accuracy}, spread=[accuracy, accuracy + 0.03, accuracy - 0.03] if ok else [accuracy] * 3
    )
    results["metrics"] |= {"calibration_error": {"value": None, "per_seed": [None] * 3}, "seconds": {"value": 1.0}}
    modelzoo.save(net, tmp_path / "1", results=results)
    found = modelzoo.reproduce(tmp_path / "1", seeds)
    assert [run.seed for run in found.runs] == ([2, 3] if ok else [2])
    assert all([agreement.name for agreement in run.agreements] == ["test_accuracy"] for run in found.runs)
    assert found.same_weights
    assert found.ok == ok


def test_weights_must_be_the_same_on_the_same_machine_only(net, monkeypatch):
    def other_weights(name, seed, **options):
        return build_model(name, seed=77, **options)

    monkeypatch.setattr(verification, "build_model", other_weights)
    found = modelzoo.reproduce(net)
    assert (found.machine_differences, found.same_weights, found.ok) == ({}, False, False)
    run = Run(2, {}, "a", 1.0, ())
    there = Reproduction("tanh_mlp", 2, "b", {"cpu": ("A", "B")}, [run])
    assert (there.same_weights, there.ok) == (False, True)
    wrong = Run(2, {}, "b", 1.0, [Agreement("test_loss", 1.0, 0.5, 0.1, "")])
    assert not Reproduction("tanh_mlp", 2, "b", {"cpu": ("A", "B")}, [wrong]).ok
    other = Reproduction("tanh_mlp", 2, "b", {}, [Run(3, {}, "a", 1.0, ())])
    assert (other.same_weights, other.ok) == (None, True)


def test_what_no_card_can_tell_is_one_clear_error(net):
    tuned, _ = modelzoo.finetune(net, datasets.load("four_class"), recipe=SHORT)
    with pytest.raises(InputError, match=r"fine-tuned from tanh_mlp.*modelzoo.finetune"):
        modelzoo.reproduce(tuned)
    training = card_for(net).training
    data = training["dataset"]
    for facts, problem in (
        ({"training": None}, r"does not say how.*modelzoo.train"),
        ({"seed": None}, "without a seed"),
        ({"training": training | {"dataset": data | {"checksum": "0" * 64}}}, "'four_class', which is not"),
        ({"training": training | {"dataset": data | {"sample_weight": "0" * 64}}}, "with sample_weight"),
    ):
        model = keras.models.clone_model(net)
        model.set_weights(net.get_weights())
        set_card(model, dataclasses.replace(card_for(net), **facts))
        with pytest.raises(InputError, match=problem):
            modelzoo.reproduce(model)
    model.set_weights([w * 2 for w in model.get_weights()])
    with pytest.raises(InputError, match="does not say how"):
        modelzoo.reproduce(model)
    for seeds in ([], [-1], [1.5], ["a"], [True]):
        with pytest.raises(InputError, match="seeds must"):
            modelzoo.reproduce(net, seeds)
