"""The parity script compares formats and says where one is too far from Keras; how fast any is, no test says."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import modelzoo
from modelzoo import datasets

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "parity.py"


@pytest.fixture(scope="module")
def parity():
    spec = importlib.util.spec_from_file_location("parity", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(parity, **changes):
    """Return what the script reports of a classifier whose formats all agree, but for the changes."""
    formats = {
        form: {"max_difference": 0.0, "test_error": 1.0, "bytes": None if form == "keras" else 1000, "latency": 2e-5}
        for form in parity.FORMATS
    }
    for form, values in changes.items():
        formats[form] |= values
    return {"measure": "test_error", "input_shape": [28, 28], "formats": formats}


def test_shortfalls_are_found(parity):
    assert parity.shortfalls(entry(parity)) == []
    assert parity.shortfalls(entry(parity, litert_int8={"test_error": 1.05, "max_difference": 0.2})) == []
    (text,) = parity.shortfalls(entry(parity, litert_int8={"test_error": 1.06}))
    assert "+0.06 points" in text
    (text,) = parity.shortfalls(entry(parity, onnx={"max_difference": 2e-5}))
    assert text.startswith("ONNX differs by 2.0e-05")


def test_score_of_each_kind(parity):
    x = np.array([[[0, 255]], [[255, 0]]], np.uint8)
    assert parity.test_score(x / 255 + 0.5, x, np.zeros(2), "reconstruction") == pytest.approx(0.25)
    labels = np.array([0, 1, 1, 0])
    sigmoid = np.array([[0.1], [0.9], [0.2], [0.3]])
    assert parity.test_score(sigmoid, x, labels, "classification") == 25
    softmax = np.hstack([1 - sigmoid, sigmoid])
    assert parity.test_score(softmax, x, labels, "classification") == 25
    assert parity.test_score(softmax, x, np.eye(2)[labels], "classification") == 25


def test_latency_is_measured_in_turns(parity):
    order: list[str] = []
    runs = {form: lambda x, form=form: order.append(form) for form in ("keras", "onnx")}
    seconds = parity.latencies(runs, np.zeros((1, 2)), calls=25)
    assert order[2:] == (["keras"] * 10 + ["onnx"] * 10) * 2 + ["keras"] * 5 + ["onnx"] * 5  # after one call to warm up
    assert all(0 < value < 1 for value in seconds.values())


def test_tables(parity):
    report = {
        "measured_on": {"threads": 1, "calls": 50, "cpu": "a processor"},
        "models": {"net": entry(parity, litert_int8={"test_error": 1.25})},
    }
    text = parity.markdown_tables(report)
    assert text.count("| `net` |") == 4
    assert "| `net` | 1.00% | 1.00% | 1.00% | 1.00% | 1.00% | 1.00% | 1.25% |" in text
    assert "| `net` | – | 1,000 |" in text
    assert "| `net` | 20 |" in text


@pytest.mark.slow
def test_script_measures_every_format(tmp_path):
    model = modelzoo.create_model("tanh_mlp", seed=0)
    data = datasets.load("four_class")
    recipe = modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(steps=200, log_every=200)
    modelzoo.train(model, data, recipe, seed=0)
    modelzoo.save(model, tmp_path / "net", golden=data.x_test[:16])
    command = [sys.executable, str(SCRIPT), str(tmp_path / "net"), "--calls", "3", "--markdown"]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "parity.json")], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "LiteRT int8" in done.stdout
    report = json.loads((tmp_path / "parity.json").read_text(encoding="utf-8"))
    assert report["measured_on"]["threads"] == 1
    (measured,) = report["models"].values()
    assert measured["weights_digest"] == modelzoo.weights_digest(model)
    error = 100 * (1 - modelzoo.evaluate(model, data)["accuracy"])
    for form in ("keras", "saved_model", "keras_file", "onnx", "litert"):
        assert measured["formats"][form]["max_difference"] < 1e-5
        assert measured["formats"][form]["test_error"] == pytest.approx(error, abs=0.11)  # one of 1000 may change sides
    assert 0 < measured["formats"]["litert_int8"]["max_difference"] < 0.3
    sizes = {form: values["bytes"] for form, values in measured["formats"].items()}
    assert sizes.pop("keras") is None
    assert all(size > 4 * 74 for size in sizes.values())  # no format holds less than its weights
    assert all(values["latency"] > 0 for values in measured["formats"].values())
