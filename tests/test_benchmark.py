"""The benchmark runs and reports; no test says how fast anything is."""

import json
import math

import benchmark
import pytest

import modelzoo

pytestmark = pytest.mark.slow


@pytest.fixture
def run(python):
    return lambda *arguments: python(benchmark.__file__, *arguments).stdout


def test_rates_and_their_ratio_are_reported(run, tmp_path):
    output = tmp_path / "results.json"
    elsewhere = {"processor": "another", "load": -1.0}
    output.write_text(json.dumps({"machine": elsewhere, "quick": True, "cases": {"dense": {"model": "dense_500_300"}}}))
    options = ("--quick", "--rounds", 1, "--case", "toy", "--peer", "modelzoo", "--peer", "fit", "--output", output)
    assert "| Keras fit |" in run("train", *options)
    report = json.loads(output.read_text(encoding="utf-8"))
    assert report["quick"] is True
    assert report["machine"]["threads"] >= 1
    assert report["machine"]["versions"]["tensorflow"]
    assert report["cases"]["dense"]["machine"] == elsewhere
    toy = report["cases"]["toy"]
    assert "machine" not in toy
    assert (toy["model"], toy["batch_size"], toy["unit"]) == ("sigmoid_mlp", 1000, "steps/s")
    for peer in toy["peers"].values():
        rate = peer["rate"]
        assert len(rate["rounds"]) == 1
        assert 0 < rate["min"] <= rate["median"] <= rate["max"] < math.inf
        assert peer["loss"]["last"] < peer["loss"]["first"]
    rates = [toy["peers"][name]["rate"]["median"] for name in ("modelzoo", "fit")]
    assert toy["ratios"]["fit"]["median"] == pytest.approx(rates[0] / rates[1])


def test_loading_is_reported_for_every_pretrained_model(run, tmp_path):
    output = tmp_path / "costs.json"
    run("costs", "--case", "load", "--rounds", 2, "--output", output)
    loads = json.loads(output.read_text(encoding="utf-8"))["parts"]["load"]
    assert list(loads) == [f"{name}: milliseconds to load" for name in modelzoo.list_pretrained()]
    for row in loads.values():
        assert set(row) == {"modelzoo.load", "load_model"}
        assert all(0 < values["min"] <= values["median"] <= values["max"] for values in row.values())


def test_what_the_order_of_sums_comes_to(run):
    rows = [line.strip("| ").split(" | ") for line in run("sums", "--seeds", "0").splitlines()[2:]]
    assert [row[0] for row in rows] == ["SGD, rate 0.1", "RMSprop, rate 0.001 (the lesson's)"]
    for row in rows:
        assert all(0 < float(low) <= float(high) < 1 for low, high in (cell.split(" to ") for cell in row[1:]))
