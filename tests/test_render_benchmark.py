"""The page on speed says what the benchmark's JSON says, and a stale one is noticed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("render_benchmark", SCRIPTS / "render_benchmark.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_what_is_committed_is_up_to_date(script):
    result = CliRunner().invoke(script.main, ["--check"])
    assert result.exit_code == 0, result.output


def test_numbers_of_the_report_are_on_the_page(script):
    training, costs = (json.loads(path.read_text(encoding="utf-8")) for path in (script.TRAINING, script.COSTS))
    page, readme = script.page(training, costs), script.readme_table(training)
    for case in training["cases"].values():
        ours = script.number(case["peers"]["modelzoo"]["rate"]["median"])
        assert ours in page
        assert ours in readme
        assert script.spread(case["ratios"]["best"], "×") in page
    for part in costs["parts"].values():
        for row in part.values():
            assert all(script.spread(values) in page for values in row.values())


def test_stale_text_is_noticed_and_mended(script, tmp_path, monkeypatch):
    readme, page = tmp_path / "README.md", tmp_path / "speed.md"
    readme.write_text("before\n{}\nold\n{}\nafter\n".format(*script.MARKERS), encoding="utf-8")
    monkeypatch.setattr(script, "README", readme)
    monkeypatch.setattr(script, "PAGE", page)
    assert CliRunner().invoke(script.main, ["--check"]).exit_code == 1
    assert not page.exists()
    assert CliRunner().invoke(script.main).exit_code == 0
    assert CliRunner().invoke(script.main, ["--check"]).exit_code == 0
    assert "old" not in readme.read_text(encoding="utf-8")
    assert readme.read_text(encoding="utf-8").startswith("before\n")


def test_missing_measurements_name_the_command(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "TRAINING", tmp_path / "none.json")
    result = CliRunner().invoke(script.main)
    assert result.exit_code == 2
    assert "make bench" in result.output
