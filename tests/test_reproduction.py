"""``reproduce``: an artifact comes out of its card again, and one that does not is found."""

from __future__ import annotations

import dataclasses
import json

import pytest

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.card import card_of, describe_machine, set_card
from modelzoo.errors import InputError
from modelzoo.verification import Agreement, Reproduction, Run

#: Pretrained models on points of the plane: they train in seconds.
QUICK = [
    name
    for name in modelzoo.list_pretrained()
    if modelzoo.get_spec(name).dataset in ("toy_points", "linear", "quadratic", "four_class", "xor")
]
SHORT = Recipe(steps=40, batch_size=20, optimizer="adam", learning_rate=0.01, log_every=20, xla="off")


@pytest.mark.parametrize("name", QUICK)
def test_pretrained_models_come_out_of_their_cards(name):
    found = modelzoo.reproduce(name)
    assert found.runs[0].agreements, "nothing was compared"
    for agreement in found.runs[0].agreements:
        assert agreement.ok, agreement
    if not found.machine_differences:
        assert found.same_weights
    assert found.ok


def trained(data, recipe=SHORT, *, seed=2, **options):
    model = modelzoo.create_model("tanh_mlp", seed=seed, num_classes=data.num_classes, **options)
    return model, modelzoo.train(model, data, recipe, seed=seed)


def test_options_data_and_seed_are_the_artifacts(tmp_path):
    model, _ = trained(datasets.load("quadratic", n=150, n_test=60, seed=9), hidden_units=5)
    modelzoo.save(model, tmp_path / "1")
    found = modelzoo.reproduce(tmp_path / "1")
    assert found.machine_differences == {}
    assert found.same_weights
    assert found.ok
    run = found.runs[0]
    assert run.seed == 2
    assert run.weights_digest == modelzoo.weights_digest(model)
    assert run.metrics["test_accuracy"] == modelzoo.evaluate(model)["accuracy"]


def test_initial_weights_have_a_seed_of_their_own():
    model = modelzoo.create_model("tanh_mlp", seed=11)
    modelzoo.train(model, datasets.load("four_class"), SHORT, seed=5)
    assert modelzoo.reproduce(model).same_weights


@pytest.mark.parametrize(("data_seed", "drawn_anew"), [(2, True), (9, False)])
def test_each_seed_draws_its_own_data_where_the_artifacts_seed_did(data_seed, drawn_anew):
    model, _ = trained(datasets.load("quadratic", n=100, seed=data_seed))
    found = modelzoo.reproduce(model, [2, 5])
    assert [run.seed for run in found.runs] == [2, 5]
    assert found.same_weights
    expected, _ = trained(datasets.load("quadratic", n=100, seed=5 if drawn_anew else data_seed), seed=5)
    assert found.runs[1].weights_digest == modelzoo.weights_digest(expected)
    assert found.runs[1].agreements == (), "the card has one run only"


def with_card(model, **changes):
    set_card(model, dataclasses.replace(card_of(model), **changes))
    return model


def saved_with(model, path, metrics):
    modelzoo.save(model, path, results={"metrics": metrics}, overwrite=True)
    return modelzoo.load(path)


def test_samples_held_out_are_compared_with_the_log(tmp_path):
    data = datasets.load("four_class")
    model, history = trained(data, SHORT.replace(validation_size=100))
    last = {name: history.history[name][-1] for name in ("val_loss", "val_accuracy")}
    model = saved_with(model, tmp_path / "1", {name: {"value": value} for name, value in last.items()})
    found = modelzoo.reproduce(model)
    assert {name: found.runs[0].metrics[name] for name in last} == last
    assert {agreement.name for agreement in found.runs[0].agreements} == set(last)
    assert found.same_weights


def with_results(model, path, accuracies):
    entry = {"value": accuracies[0], "per_seed": accuracies}
    no_value = {"value": None, "mean": None, "std": None, "per_seed": [None] * len(accuracies)}
    return saved_with(model, path, {"test_accuracy": entry, "calibration_error": no_value, "seconds": {"value": 1.0}})


def test_results_over_seeds_are_the_measure_of_every_seed(tmp_path):
    model, _ = trained(datasets.load("four_class"))
    accuracy = modelzoo.evaluate(model)["accuracy"]
    good = with_results(model, tmp_path / "1", [accuracy, accuracy + 0.02, accuracy - 0.02])
    found = modelzoo.reproduce(good, [2, 3])
    assert [[agreement.name for agreement in run.agreements] for run in found.runs] == [["test_accuracy"]] * 2
    assert found.ok
    wrong = with_results(model, tmp_path / "1", [accuracy + 0.2, accuracy + 0.2001, accuracy + 0.1999])
    found = modelzoo.reproduce(wrong)
    assert found.same_weights
    assert not found.ok


def test_weights_must_be_the_same_on_the_same_machine_only():
    model, _ = trained(datasets.load("four_class"))
    with_card(model, seed=77)  # so that other weights come out
    assert not modelzoo.reproduce(model).same_weights
    run = Run(2, {}, "a", 1.0, ())
    here = Reproduction("tanh_mlp", 2, "b", {}, [run])
    there = Reproduction("tanh_mlp", 2, "b", {"cpu": ("A", "B")}, [run])
    assert (here.same_weights, here.ok) == (False, False)
    assert (there.same_weights, there.ok) == (False, True)
    wrong = Run(2, {}, "b", 1.0, [Agreement("test_loss", 1.0, 0.5, 0.1, "")])
    assert not Reproduction("tanh_mlp", 2, "b", {"cpu": ("A", "B")}, [wrong]).ok
    other = Reproduction("tanh_mlp", 2, "b", {}, [Run(3, {}, "a", 1.0, ())])
    assert (other.same_weights, other.ok) == (None, True)


def test_the_machine_of_the_card_is_compared_with_this_one():
    model, _ = trained(datasets.load("four_class"))
    assert modelzoo.reproduce(model).machine_differences == {}, "trained in this process"
    with_card(model, training={**card_of(model).training, "machine": {**describe_machine(), "cpu": "An abacus"}})
    differences = modelzoo.reproduce(model).machine_differences
    assert list(differences) == ["cpu"]
    assert differences["cpu"][0] == "An abacus"


def test_callbacks_and_json():
    import keras

    model, _ = trained(datasets.load("four_class"))
    seen = []

    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(epoch)

    found = modelzoo.reproduce(model, [0, 0, 1], callbacks=lambda seed: [Count()] if seed else [])
    assert [run.seed for run in found.runs] == [0, 1]
    assert seen == [0, 1]
    told = json.loads(json.dumps(found.to_dict()))
    assert told["ok"] is True
    assert told["same_weights"] is None
    assert told["runs"][1]["weights_digest"] == found.runs[1].weights_digest


def test_what_no_card_can_tell_is_one_clear_error():
    data = datasets.load("four_class")
    untrained = modelzoo.create_model("tanh_mlp", seed=0)
    with pytest.raises(InputError, match=r"does not say how.*modelzoo.train"):
        modelzoo.reproduce(untrained)
    model, _ = trained(data)
    model.set_weights([w * 2 for w in model.get_weights()])
    with pytest.raises(InputError, match="does not say how"):
        modelzoo.reproduce(model)
    tuned, _ = modelzoo.finetune(trained(data)[0], data, recipe=SHORT)
    with pytest.raises(InputError, match=r"fine-tuned from tanh_mlp.*modelzoo.finetune"):
        modelzoo.reproduce(tuned)
    drawn, _ = trained(data, seed=2)
    with_card(drawn, seed=None)
    with pytest.raises(InputError, match="without a seed"):
        modelzoo.reproduce(drawn)
    subset, _ = trained(data.take(per_class=10))
    with pytest.raises(InputError, match="was trained on 'four_class', which is not"):
        modelzoo.reproduce(subset)
    good, _ = trained(data)
    for seeds in ([], [-1], [1.5], ["a"], [True]):
        with pytest.raises(InputError, match="seeds must be integers"):
            modelzoo.reproduce(good, seeds)
