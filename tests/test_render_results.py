"""README's table of results: from the cards, number by number, and a check that notices when it is stale."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from modelzoo.card import write_card
from modelzoo.saving import saved_model

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "render_results.py"
#: What every card says.
FACTS = {
    "model": {"name": "dense_500_300"},
    "weights": [],
    "weights_digest": "",
    "class_names": [],
    "training": None,
    "parent": None,
    "versions": {},
    "created": "",
}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("render_results", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def score(*per_seed, std):
    return {"value": per_seed[0], "mean": sum(per_seed) / len(per_seed), "std": std, "per_seed": list(per_seed)}


def classifier():
    return {
        "recipe": "tuned",
        "seeds": [0, 1],
        "selected_seed": 0,
        "selected_by": "validation loss",
        "metrics": {
            "test_accuracy": score(0.98, 0.97, std=0.0071),
            "test_loss": score(0.1, 0.2, std=0.07),
            "calibration_error": score(0.0123, 0.02, std=0.005),
            "seconds": score(12.6, 14.0, std=1.0),
        },
        "corruptions": {"shift_1": {"value": 0.1, "mean": 0.5, "std": 0.1}, "blur_1.0": {"value": 0.3, "mean": 0.5}},
        "multiply_adds": 545_000,
        "num_params": 545_810,
    }


def autoencoder():
    return {
        "recipe": "lesson",
        "seeds": [4],
        "metrics": {"test_loss": score(0.0357, std=0.0), "seconds": score(2.34, std=0.0)},
        "corruptions": {"shift_1": {"value": 0.04}, "blur_1.0": {"value": 0.05}},
        "multiply_adds": 12,
        "num_params": 34,
    }


def points():
    results = classifier()
    del results["metrics"]["calibration_error"], results["metrics"]["seconds"]
    results["corruptions"] = {}
    return results


class Zoo:
    """A temporary README beside temporary artifacts."""

    def __init__(self, root, script):
        self.root, self.readme, self.script = root / "saved_models", root / "README.md", script
        self.readme.write_text(f"# Title\n\n{script.BEGIN}\nold\n{script.END}\n\nTail ± end.\n", encoding="utf-8")

    def add(self, name, results, version=1, size=2_190_000):
        directory = self.root / name / str(version)
        directory.mkdir(parents=True)
        (directory / "saved_model.pb").write_bytes(b"x" * size)
        write_card(directory, FACTS | {"results": results})
        return directory

    def run(self, *arguments):
        return CliRunner().invoke(self.script.main, ["--readme", str(self.readme), *arguments])

    def rows(self):
        lines = [line for line in self.readme.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) == 1
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


@pytest.fixture
def zoo(tmp_path, script, monkeypatch):
    made = Zoo(tmp_path, script)
    monkeypatch.setattr(saved_model, "saved_models_dir", lambda: made.root)
    return made


def test_each_cell_is_what_the_card_says(zoo):
    zoo.add("dense", classifier())
    zoo.add("auto", autoencoder(), size=1500)
    zoo.add("points", points())
    assert zoo.run().exit_code == 0
    auto, dense, pts = zoo.rows()
    assert dense[:6] == ["`dense`", "tuned, 2 seeds", "2.50% ± 0.71%", "2.00%", "1.23%", "20.00%"]
    assert dense[6:] == ["545,810", "545,000", "2.2 MB", "13 s"]
    assert auto[:6] == ["`auto`", "lesson, 1 seed", "0.0357", "0.0357", "–", "0.0450"]
    assert auto[6:8] == ["34", "12"]
    card = zoo.root / "auto" / "1" / "assets.extra" / "modelzoo.json"
    assert auto[8:] == [f"{(1500 + card.stat().st_size) / 1000:.0f} kB", "2.3 s"]
    assert pts[3:6] == ["2.00%", "–", "–"]
    assert pts[-1] == "–"


def test_all_versions_are_listed(zoo):
    zoo.add("dense", classifier())
    zoo.add("dense", {**classifier(), "recipe": "lesson"}, version=2)
    zoo.run()
    assert [row[:2] for row in zoo.rows()] == [["`dense/1`", "tuned, 2 seeds"], ["`dense/2`", "lesson, 2 seeds"]]


def test_only_what_is_between_the_markers_changes(zoo, script):
    zoo.add("dense", classifier())
    assert "wrote" in zoo.run().output
    text = zoo.readme.read_text(encoding="utf-8")
    assert text.startswith(f"# Title\n\n{script.BEGIN}\n")
    assert text.endswith(f"|\n{script.END}\n\nTail ± end.\n")
    assert "old" not in text
    changed = os.stat(zoo.readme).st_mtime_ns
    assert "up to date" in zoo.run().output
    assert os.stat(zoo.readme).st_mtime_ns == changed


def test_check_notices_a_stale_table_and_writes_nothing(zoo):
    directory = zoo.add("dense", classifier())
    before = zoo.readme.read_bytes()
    done = zoo.run("--check")
    assert done.exit_code == 1
    assert "python scripts/render_results.py" in done.stderr
    assert zoo.readme.read_bytes() == before
    zoo.run()
    assert zoo.run("--check").exit_code == 0

    results = classifier()
    results["metrics"]["test_accuracy"]["mean"] += 0.001
    write_card(directory, FACTS | {"results": results})
    done = zoo.run("--check")
    assert done.exit_code == 1
    assert "-| `dense` | tuned, 2 seeds | 2.50%" in done.stderr
    assert "+| `dense` | tuned, 2 seeds | 2.40%" in done.stderr


@pytest.mark.parametrize("text", ["no markers", "{end}{begin}", "{begin}", "{begin}{end}{begin}{end}"])
def test_a_readme_without_the_two_markers_is_refused(text, zoo, script):
    zoo.add("dense", classifier())
    text = text.format(begin=script.BEGIN, end=script.END)
    zoo.readme.write_text(text)
    done = zoo.run()
    assert done.exit_code == 2
    assert script.BEGIN in done.stderr
    assert zoo.readme.read_text() == text


def test_a_card_without_complete_results_is_refused(zoo):
    zoo.add("bare", None)
    done = zoo.run()
    assert done.exit_code == 2
    assert "train_zoo.py bare --export" in done.stderr
    results = classifier()
    del results["metrics"]["test_accuracy"]["mean"]
    zoo.add("also", results)
    done = zoo.run()
    assert done.exit_code == 2
    assert "also/1: the card's results are not complete (KeyError: 'mean')" in done.stderr
    assert "old" in zoo.readme.read_text(encoding="utf-8")


def test_an_altered_artifact_and_a_missing_readme_are_refused(zoo):
    directory = zoo.add("dense", classifier())
    (directory / "saved_model.pb").write_bytes(b"other")
    done = zoo.run()
    assert done.exit_code == 2
    assert "altered" in done.stderr
    zoo.readme.unlink()
    assert "Cannot read" in zoo.run().stderr
