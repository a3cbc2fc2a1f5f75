"""The script that measures what fine-tuning gains: its table, its results file, and the guide it writes to."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import modelzoo
from modelzoo import datasets

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guide" / "finetuning.md"


@pytest.fixture
def script(monkeypatch):
    """Return the script as a module, with one small task."""
    spec = importlib.util.spec_from_file_location("finetune_tasks", ROOT / "scripts" / "finetune_tasks.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "finetune_tasks", module)
    spec.loader.exec_module(module)
    small = datasets.load("digits", classes=(3, 5))
    task = module.Task("two digits", lambda seed: small.take(per_class=4, seed=seed), models=("relu_mlp",))
    monkeypatch.setattr(module, "tasks", lambda: {"two": task})
    return module


@pytest.fixture
def run(script, tmp_path):
    """Return a function that runs the script and gives its result."""

    def call(*arguments):
        return CliRunner().invoke(script.main, ["--results", str(tmp_path / "results.json"), *map(str, arguments)])

    return call


def test_table_is_of_the_runs_in_the_results_file(run, tmp_path, script):
    done = run("--seeds", "0-1", "--steps", 3, "--markdown")
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


def test_runs_are_what_the_library_gives(run, tmp_path, script):
    assert run("--seeds", "1", "--steps", 3).exit_code == 0
    runs = json.loads((tmp_path / "results.json").read_text())
    recipe = modelzoo.finetuning.finetuning_recipe("relu_mlp").replace(steps=3)
    data = datasets.load("digits", classes=(3, 5)).take(per_class=4, seed=1)
    model, _ = modelzoo.finetune("relu_mlp", data, freeze="backbone", recipe=recipe, seed=1)
    assert runs["two/relu_mlp/head/1"]["accuracy"] == pytest.approx(modelzoo.evaluate(model, data)["accuracy"])
    assert runs["two/relu_mlp/head/1"]["facts"]["parent"] == modelzoo.weights_digest(modelzoo.load("relu_mlp"))
    assert "parent" not in runs["two/relu_mlp/scratch/1"]["facts"]


def test_only_missing_and_outdated_runs_are_done(run, script, monkeypatch, tmp_path):
    done: list[str] = []
    monkeypatch.setattr(script, "parent_digest", lambda model: "pretrained weights")
    monkeypatch.setattr(script, "run", lambda model, data, recipe, start, seed: done.append(f"{start}{seed}") or 0.5)
    run("--seeds", "0")
    run("--seeds", "0-1")
    assert done == ["scratch0", "head0", "all0", "scratch1", "head1", "all1"]
    done.clear()
    monkeypatch.setattr(script, "parent_digest", lambda model: "other pretrained weights")
    run("--seeds", "0")
    assert done == ["head0", "all0"]
    run("--seeds", "0", "--steps", 5)
    assert done[2:] == ["scratch0", "head0", "all0"]
    (tmp_path / "results.json").write_text("{ half a fi")
    assert run("--seeds", "0").exit_code == 2


def test_write_replaces_what_is_between_the_markers(run, script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "parent_digest", lambda model: "pretrained weights")
    monkeypatch.setattr(script, "run", lambda model, data, recipe, start, seed: 0.25 + 0.5 * (start == "all"))
    guide = tmp_path / "guide.md"
    guide.write_text("before\n<!-- finetune_tasks: begin -->\nold\n<!-- finetune_tasks: end -->\nafter\n")
    assert run("--seeds", "0", "--write", "--guide", guide).exit_code == 0
    lines = guide.read_text().splitlines()
    assert lines[:2] == ["before", "<!-- finetune_tasks: begin -->"]
    assert lines[-2:] == ["<!-- finetune_tasks: end -->", "after"]
    assert lines[4] == "| two digits | 8 | `relu_mlp` | 25.00 | 25.00 | 75.00 | +50.00 |"


def test_nothing_is_trained_for_a_guide_without_markers_or_an_unknown_task(run, script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "run", lambda *_: pytest.fail("it trained"))
    (tmp_path / "guide.md").write_text("no markers")
    refused = [
        (["--write", "--guide", tmp_path / "guide.md"], "must hold"),
        (["--write", "--guide", tmp_path / "absent.md"], "absent.md"),
        (["three"], "Unknown task"),
        (["two", "--write"], "Leave the tasks"),
        (["--select", "--steps", "3"], "Leave the tasks"),
        (["--seeds", "x"], "is not a list of seeds"),
    ]
    for arguments, message in refused:
        done = run(*arguments)
        assert done.exit_code == 2, arguments
        assert message in done.output
        assert len(done.output.strip().splitlines()) == 1


def test_candidates_hold_the_default_and_no_test_image_chooses(script, run, monkeypatch):
    default = modelzoo.finetuning.finetuning_recipe("dense_500_300")
    candidates = script.candidates()
    assert any(recipe.replace(log_every=default.log_every) == default for recipe in candidates.values())
    test_images = {image.tobytes() for image in script.other_digits().x_test}
    seen = []
    monkeypatch.setattr(script, "clothes", lambda: datasets.load("mnist").take(per_class=500))
    monkeypatch.setattr(script, "parent_digest", lambda model: "pretrained weights")
    monkeypatch.setattr(script, "run", lambda model, data, recipe, start, seed: seen.append((recipe, data)) or 0.5)
    mnist_test = {image.tobytes() for image in datasets.load("mnist").x_test}
    assert run("--select", "--seeds", "0").exit_code == 0
    assert len(seen) == 3 * len(candidates)
    for _, data in seen[:3]:
        images = {image.tobytes() for image in np.concatenate([data.x_train, data.x_val])}
        assert not images & (test_images | mnist_test)


def test_the_real_tasks_are_small_and_fall_back_on_digits(monkeypatch):
    spec = importlib.util.spec_from_file_location("finetune_tasks", ROOT / "scripts" / "finetune_tasks.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(__import__("sys").modules, "finetune_tasks", module)
    spec.loader.exec_module(module)
    real = datasets.load

    def without_fashion(name, **options):
        if name == "fashion_mnist":
            raise module.DataError("not installed")
        return real(name, **options)

    monkeypatch.setattr(module.datasets, "load", without_fashion)
    sizes = {name: len(task.load(0).x_train) for name, task in module.tasks().items()}
    assert (sizes["many"], sizes["few"], sizes["scanner"], sizes["three"]) == (1000, 200, 50, 9)
    assert module.tasks()["three"].load(0).class_names == ("3", "5", "8")
    first, second = (module.tasks()["few"].load(seed).checksum for seed in (0, 1))
    assert first != second


def test_the_guide_holds_the_markers():
    text = GUIDE.read_text(encoding="utf-8")
    for marker in ("finetune_tasks", "finetune_selection"):
        assert len(re.findall(f"<!-- {marker}: (?:begin|end) -->", text)) == 2


@pytest.mark.slow
def test_the_guides_python_blocks_run(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 7
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(GUIDE), "exec"), names)
    assert (tmp_path / "plain" / "saved_model.pb").is_file()
    assert names["history"].history["val_accuracy"][-1] > 0.9
