"""The parity script compares formats and says where one is too far from Keras; how fast any is, no test says."""

import functools
import json

import parity
import pytest
import report

import modelzoo
from modelzoo import datasets


def entry(**changes):
    """Return what the script reports of a classifier whose formats all agree, but for the changes."""
    formats = {
        form: {"max_difference": 0.0, "test_error": 1.0, "bytes": None if form == "keras" else 1000, "latency": 2e-5}
        for form in parity.FORMATS
    }
    for form, values in changes.items():
        formats[form] |= values
    return {"measure": "test_error", "formats": formats}


def test_shortfalls_are_found():
    assert parity.shortfalls(entry()) == []
    assert parity.shortfalls(entry(litert_int8={"test_error": 1.05, "max_difference": 0.2})) == []
    (text,) = parity.shortfalls(entry(litert_int8={"test_error": 1.06}))
    assert "+0.06 points" in text
    (text,) = parity.shortfalls(entry(onnx={"max_difference": 2e-5}))
    assert text.startswith("ONNX differs by 2.0e-05")


def test_latency_is_measured_in_turns():
    order: list[str] = []
    calls = {name: functools.partial(order.append, name) for name in ("a", "b")}
    seconds = report.in_turns(calls, 2, calls=3)
    assert order == ["a", "b", *(["a"] * 3 + ["b"] * 3) * 2]  # the first of each is not timed
    assert all(0 < row["median"] < 1 for row in seconds.values())


def test_tables():
    found = {
        "measured_on": {"threads": 1, "calls": 50, "cpu": "a processor"},
        "models": {"net": entry(litert_int8={"test_error": 1.25})},
    }
    text = parity.markdown_tables(found)
    assert text.count("| `net` |") == 4
    assert "| `net` | 1.00% | 1.00% | 1.00% | 1.00% | 1.00% | 1.00% | 1.25% |" in text
    assert "| `net` | – | 1,000 |" in text
    assert "| `net` | 20 |" in text


@pytest.mark.slow
def test_script_measures_every_format(tmp_path, python):
    model = modelzoo.create_model("tanh_mlp", seed=0)
    data = datasets.load("four_class")
    recipe = modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(steps=200, log_every=200)
    modelzoo.train(model, data, recipe, seed=0)
    modelzoo.save(model, tmp_path / "net", golden=data.x_test[:16])
    done = python(parity.__file__, tmp_path / "net", "--calls", 10, "--output", tmp_path / "parity.json")
    assert "LiteRT int8" in done.stdout
    found = json.loads((tmp_path / "parity.json").read_text(encoding="utf-8"))
    assert found["measured_on"]["threads"] == 1
    (measured,) = found["models"].values()
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
