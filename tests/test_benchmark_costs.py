"""The script that measures loading and the like runs and reports; how fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import modelzoo

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "benchmark_costs.py"


@pytest.mark.slow
def test_loading_is_reported_for_every_pretrained_model(tmp_path):
    output = tmp_path / "costs.json"
    command = [sys.executable, str(SCRIPT), "--case", "load", "--rounds", "2", "--output", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["machine"]["versions"]["keras"]
    loads = report["parts"]["load"]
    assert list(loads) == [f"{name}: milliseconds to load" for name in modelzoo.list_pretrained()]
    for row in loads.values():
        assert set(row) == {"modelzoo.load", "load_model"}
        assert all(0 < values["min"] <= values["median"] <= values["max"] for values in row.values())
