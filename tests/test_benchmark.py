"""The benchmark script runs and reports; how fast anything is, no test says."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "benchmark.py"


@pytest.mark.slow
def test_toy_case_reports_rates_and_ratio(tmp_path):
    output = tmp_path / "results.json"
    command = [sys.executable, str(SCRIPT), "--quick", "--rounds", "1", "--case", "toy", "--output", str(output)]
    done = subprocess.run(
        [*command, "--peer", "modelzoo", "--peer", "fit"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Keras fit" in done.stdout

    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["quick"] is True
    assert report["machine"]["threads"] >= 1
    assert report["machine"]["versions"]["tensorflow"]
    assert list(report["cases"]) == ["toy"]
    toy = report["cases"]["toy"]
    assert (toy["model"], toy["batch_size"], toy["unit"]) == ("sigmoid_mlp", 1000, "steps/s")
    assert set(toy["peers"]) == {"modelzoo", "fit"}
    for peer in toy["peers"].values():
        rate = peer["rate"]
        assert len(rate["rounds"]) == 1
        assert 0 < rate["min"] <= rate["median"] <= rate["max"] < math.inf
        assert peer["loss"]["last"] < peer["loss"]["first"]
    ratio = toy["ratios"]["fit"]
    assert ratio["target"] == 500
    assert ratio["median"] > 0
    assert ratio["met"] is (ratio["median"] >= 500)
