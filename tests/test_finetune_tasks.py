"""The script that measures what fine-tuning gains: its table, its results file, and the guide it writes to."""

import json

import finetune_tasks as script
import numpy as np
import pytest
from click.testing import CliRunner

import modelzoo
from modelzoo import datasets


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Return a function that runs the script, with one small task, and gives its result."""
    small = datasets.load("digits", classes=(3, 5))
    task = script.Task("two digits", lambda seed: small.take(per_class=4, seed=seed), models=("relu_mlp",))
    monkeypatch.setattr(script, "tasks", lambda: {"two": task})
    monkeypatch.setattr(script, "RESULTS", tmp_path / "results.json")
    return lambda *arguments: CliRunner().invoke(script.main, [*map(str, arguments)])


@pytest.fixture
def pretend(monkeypatch):
    """Return the list of runs that are only noted: from random weights to 25 %, fine-tuned to 75 %."""
    done = []

    def note(model, data, recipe, start, seed):
        done.append((start, seed, recipe, data))
        return 0.75 if start == "all" else 0.25

    monkeypatch.setattr(script, "run", note)
    monkeypatch.setattr(script, "parent_digest", lambda model: "pretrained weights")
    monkeypatch.setattr(script, "parent_options", lambda model: {"kernel_initializer": "he_normal"})
    return done


@pytest.mark.slow
def test_table_is_of_the_runs_in_the_results_file_and_they_are_the_librarys(run, tmp_path):
    done = run("--seeds", "0-1", "--steps", 3)
    assert done.exit_code == 0, done.output
    runs = json.loads((tmp_path / "results.json").read_text())
    assert set(runs) == {f"two/relu_mlp/{start}/{seed}" for start in ("scratch", "all", "head") for seed in (0, 1)}
    scores = {
        start: [100 * runs[f"two/relu_mlp/{start}/{seed}"]["accuracy"] for seed in (0, 1)] for start in script.STARTS
    }
    header, _, row = done.stdout.strip().splitlines()
    assert header == "| data | training images | network | from scratch | head only | all layers | gain |"
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["two digits", "8", "`relu_mlp`"]
    for cell, start in zip(cells[3:6], ("scratch", "head", "all"), strict=True):
        assert cell == f"{np.mean(scores[start]):.2f} ± {np.std(scores[start], ddof=1):.2f}"
    gains = np.subtract(scores["all"], scores["scratch"])
    assert cells[6] == f"{np.mean(gains):+.2f} ± {np.std(gains, ddof=1):.2f}"

    recipe = modelzoo.finetuning.finetuning_recipe("relu_mlp", new_head=True).replace(steps=3)
    data = datasets.load("digits", classes=(3, 5)).take(per_class=4, seed=1)
    model, _ = modelzoo.finetune("relu_mlp", data, freeze="backbone", recipe=recipe, seed=1)
    assert runs["two/relu_mlp/head/1"]["accuracy"] == pytest.approx(modelzoo.evaluate(model, data)["accuracy"])
    assert runs["two/relu_mlp/head/1"]["facts"]["parent"] == modelzoo.weights_digest(modelzoo.load("relu_mlp"))
    assert runs["two/relu_mlp/scratch/1"]["facts"].keys() == {"recipe", "data", "options"}
    fresh = modelzoo.create_model("relu_mlp", num_classes=2, seed=1, kernel_initializer="he_normal")
    history = modelzoo.train(fresh, data, recipe, seed=1).history
    assert runs["two/relu_mlp/scratch/1"]["accuracy"] == history["test_accuracy"][-1]


def test_only_missing_and_outdated_runs_are_done(run, pretend, monkeypatch, tmp_path):
    run("--seeds", "0")
    run("--seeds", "0-1")
    assert [(start, seed) for start, seed, *_ in pretend] == [
        (s, n) for n in (0, 1) for s in ("scratch", "head", "all")
    ]
    pretend.clear()
    monkeypatch.setattr(script, "parent_digest", lambda model: "other pretrained weights")
    run("--seeds", "0")
    assert [start for start, *_ in pretend] == ["head", "all"]
    run("--seeds", "0", "--steps", 5)
    assert [start for start, *_ in pretend[2:]] == ["scratch", "head", "all"]
    (tmp_path / "results.json").write_text("{ half a fi")
    assert run("--seeds", "0").exit_code == 1


def test_write_replaces_what_is_between_the_markers(run, pretend, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "GUIDE", tmp_path / "guide.md")
    (tmp_path / "guide.md").write_text("no markers")
    assert "must hold" in run("--write").output
    assert pretend == []
    script.GUIDE.write_text("before\n<!-- finetune_tasks: begin -->\nold\n<!-- finetune_tasks: end -->\nafter\n")
    assert run("--seeds", "0", "--write").exit_code == 0
    lines = script.GUIDE.read_text().splitlines()
    assert lines[:2] == ["before", "<!-- finetune_tasks: begin -->"]
    assert lines[-2:] == ["<!-- finetune_tasks: end -->", "after"]
    assert lines[4] == "| two digits | 8 | `relu_mlp` | 25.00 | 25.00 | 75.00 | +50.00 |"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["three"], "Unknown task"),
        (["two", "--write"], "Leave the tasks"),
        (["--select", "--steps", "3"], "Leave the tasks"),
        (["--seeds", "x"], "must be a list of seeds"),
    ],
)
def test_unusable_arguments_are_refused(arguments, message, run, pretend):
    done = run(*arguments)
    assert done.exit_code != 0
    assert message in done.output
    assert pretend == []


@pytest.mark.slow
def test_candidates_hold_the_default_and_no_test_image_chooses(run, pretend, monkeypatch):
    candidates = script.candidates()
    for new_head in (False, True):
        default = modelzoo.finetuning.finetuning_recipe("dense_500_300", new_head=new_head)
        assert any(recipe.replace(log_every=default.log_every) == default for recipe in candidates.values())
    test_images = {image.tobytes() for image in script.other_digits().x_test}
    mnist = datasets.load("mnist").take(per_class=500)
    test_images |= {image.tobytes() for image in mnist.x_test}
    monkeypatch.setattr(script, "clothes", lambda: mnist)
    assert run("--select", "--seeds", "0").exit_code == 0
    assert len(pretend) == (4 + 3 + 4) * len(candidates)
    for *_, data in pretend[:4]:
        parts = [data.x_train, data.x_val if data.x_val is not None else data.x_test]
        assert not {image.tobytes() for image in np.concatenate(parts)} & test_images
