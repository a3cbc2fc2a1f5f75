"""The script that trains the zoo: it resumes, selects without the test set, and exports what it selected."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

import modelzoo
from modelzoo import Recipe, datasets, registry
from modelzoo.card import read_card
from scripts import train_zoo

NAME = "tanh_mlp"
TINY = Recipe(
    steps=20,
    batch_size=50,
    learning_rate=0.02,
    log_every=10,
    validation_size=60,
    xla="off",
    data_options={"n": 300, "n_test": 80},
)


@pytest.fixture
def tiny(monkeypatch):
    """Give one model a recipe that takes no time."""
    spec = modelzoo.get_spec(NAME)
    monkeypatch.setitem(registry._REGISTRY, NAME, dataclasses.replace(spec, recipes={"lesson": TINY, "tuned": TINY}))


@pytest.fixture
def pretrained_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(train_zoo, "saved_models_dir", lambda: tmp_path / "saved_models")
    return tmp_path / "saved_models"


def invoke(runs, *arguments):
    result = CliRunner().invoke(train_zoo.main, [NAME, "--runs", str(runs), *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def card(accuracy=None, val_loss=1.0, loss=1.0, held_out=10):
    part = "val" if held_out else "test"
    metrics = {"loss": loss, f"{part}_loss": val_loss} | ({} if accuracy is None else {f"{part}_accuracy": accuracy})
    return {"training": {"metrics": metrics, "recipe": {"validation_size": held_out} if held_out else {}}}


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({0: card(0.9), 1: card(0.95), 2: card(0.94)}, (1, "val_accuracy")),
        ({0: card(0.9, 0.3), 1: card(0.9, 0.2)}, (1, "val_accuracy")),
        ({0: card(val_loss=0.3), 1: card(val_loss=0.2)}, (1, "val_loss")),
        ({0: card(0.9, loss=0.1, held_out=0), 1: card(1.0, loss=0.2, held_out=0)}, (0, "loss")),
        ({3: card(0.9), 4: card(0.9)}, (3, "val_accuracy")),
    ],
)
def test_the_best_validation_result_is_selected(cards, expected):
    assert train_zoo.select(cards) == expected


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_runs_are_trained_once_selected_by_validation_and_exported(tmp_path, pretrained_dir, monkeypatch):
    result = invoke(tmp_path / "runs", "--seeds", "0-2", "--export", "--markdown")
    runs = tmp_path / "runs" / NAME / "tuned"
    cards = {seed: read_card(runs / str(seed)) for seed in range(3)}
    accuracies = {seed: c["training"]["metrics"]["val_accuracy"] for seed, c in cards.items()}
    exported = read_card(pretrained_dir / NAME / "1")
    results = exported["results"]
    assert accuracies[results["selected_seed"]] == max(accuracies.values())
    assert results["selected_by"] == "val_accuracy"
    assert exported["weights_digest"] == cards[results["selected_seed"]]["weights_digest"]
    tested = [
        modelzoo.evaluate(modelzoo.load(runs / str(seed)), datasets.load("four_class", n=300, n_test=80))["accuracy"]
        for seed in range(3)
    ]
    found = results["metrics"]["test_accuracy"]
    np.testing.assert_allclose(found["per_seed"], tested)
    np.testing.assert_allclose([found["mean"], found["std"]], [np.mean(tested), np.std(tested, ddof=1)])
    assert f"| `{NAME}` | tuned |" in result.stdout
    assert sorted(p.name for p in runs.iterdir()) == ["0", "0.json", "1", "1.json", "2", "2.json"]  # no checkpoint left

    before = {seed: c["created"] for seed, c in cards.items()}
    invoke(tmp_path / "runs", "--seeds", "0-2")
    assert before == {seed: read_card(runs / str(seed))["created"] for seed in range(3)}

    changed = dataclasses.replace(modelzoo.get_spec(NAME), recipes={"lesson": TINY, "tuned": TINY.replace(steps=30)})
    monkeypatch.setitem(registry._REGISTRY, NAME, changed)
    invoke(tmp_path / "runs", "--seeds", "0")
    again = read_card(runs / "0")
    assert again["training"]["steps"] == 30
    assert json.loads((runs / "0.json").read_text())["weights_digest"] == again["weights_digest"]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_other_test_data_change_neither_the_weights_nor_the_selection(tmp_path, pretrained_dir, monkeypatch):
    load = train_zoo.load_data

    def with_other_test_data(*arguments):
        data = load(*arguments)
        return dataclasses.replace(data, x_test=data.x_test[::-1] * 3, y_test=(data.y_test + 1) % 4)

    invoke(tmp_path / "a", "--seeds", "0-2", "--export")
    honest = read_card(pretrained_dir / NAME / "1")
    monkeypatch.setattr(train_zoo, "load_data", with_other_test_data)
    invoke(tmp_path / "b", "--seeds", "0-2", "--export")
    other = read_card(pretrained_dir / NAME / "1")
    assert honest["weights_digest"] == other["weights_digest"]
    assert honest["results"]["selected_seed"] == other["results"]["selected_seed"]
    assert honest["results"]["metrics"]["test_accuracy"] != other["results"]["metrics"]["test_accuracy"]


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_an_interrupted_run_goes_on_to_the_same_weights(tmp_path, monkeypatch, interrupt):
    invoke(tmp_path / "whole", "--seeds", "0")
    with monkeypatch.context() as context:
        context.setattr(modelzoo.training, "ProgressBar", lambda *arguments, **options: interrupt(0))
        result = CliRunner().invoke(train_zoo.main, [NAME, "--runs", str(tmp_path / "parts"), "--seeds", "0"])
        assert result.exit_code != 0
    started = list((tmp_path / "parts" / NAME / "tuned").iterdir())
    tuned = modelzoo.get_spec(NAME).recipe("tuned")
    assert started == [train_zoo.checkpoints_of(started[0].with_name("0"), tuned.replace(source="in other words"))]
    invoke(tmp_path / "parts", "--seeds", "0")
    whole, parts = (read_card(tmp_path / run / NAME / "tuned" / "0") for run in ("whole", "parts"))
    assert whole["weights_digest"] == parts["weights_digest"]
