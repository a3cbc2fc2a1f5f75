"""The tables and pages that `scripts/render.py` writes: number by number, and a check that notices stale ones."""

from __future__ import annotations

import json

import pytest
import render
import report
from click.testing import CliRunner

from modelzoo.errors import ArtifactError, InputError


def run(*arguments):
    return CliRunner().invoke(render.main, arguments)


def test_committed_tables_are_up_to_date():
    result = run("--check", "results", "speed")
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_committed_architecture_pages_are_up_to_date():
    result = run("--check", "architectures")
    assert result.exit_code == 0, result.output


def score(*per_seed, std):
    return {"value": per_seed[0], "mean": sum(per_seed) / len(per_seed), "std": std}


CLASSIFIER = {
    "recipe": "tuned",
    "seeds": [0, 1],
    "metrics": {
        "test_accuracy": score(0.98, 0.97, std=0.0071),
        "test_loss": score(0.1, 0.2, std=0.07),
        "calibration_error": score(0.0123, 0.02, std=0.005),
        "seconds": score(12.6, 14.0, std=1.0),
    },
    "corruptions": {"shift_1": {"value": 0.1}, "blur_1.0": {"value": 0.3}},
    "multiply_adds": 545_000,
    "num_params": 545_810,
}
AUTOENCODER = {
    "recipe": "lesson",
    "seeds": [4],
    "metrics": {"test_loss": score(0.0357, std=0.0)},
    "multiply_adds": 12,
    "num_params": 34,
}


@pytest.mark.parametrize(
    ("results", "size", "expected"),
    [
        (
            CLASSIFIER,
            2_190_000,
            "tuned, 2 seeds | 2.50% ± 0.71% | 2.00% | 1.23% | 20.00% | 545,810 | 545,000 | 2.2 MB | 13 s",
        ),
        (AUTOENCODER, 1500, "lesson, 1 seed | 0.0357 | 0.0357 | – | – | 34 | 12 | 2 kB | –"),
    ],
)
def test_row_says_what_the_card_says(results, size, expected, tmp_path, monkeypatch):
    (tmp_path / "saved_model.pb").write_bytes(b"x" * size)
    monkeypatch.setattr(render, "read_card", lambda path: {"results": results})
    assert render.result_row("net", tmp_path) == ["`net`", *expected.split(" | ")]


@pytest.mark.parametrize("results", [None, {**CLASSIFIER, "metrics": {"test_accuracy": {"value": 1.0}}}])
def test_incomplete_results_name_the_command(results, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "read_card", lambda path: {"results": results})
    with pytest.raises(ArtifactError, match=r"train_zoo\.py net --export"):
        render.result_row("net", tmp_path / "net" / "1")


def test_each_measured_number_is_on_the_page():
    training, costs = (json.loads(path.read_text(encoding="utf-8")) for path in (render.TRAINING, render.COSTS))
    page = render.SPEED.read_text(encoding="utf-8")
    for case in training["cases"].values():
        assert all(report.with_range(peer["rate"]) in page for peer in case["peers"].values())
        assert all(report.with_range(ratio, "×") in page for ratio in case["ratios"].values())
    for part in costs["parts"].values():
        assert all(report.with_range(values) in page for row in part.values() for values in row.values())


def test_missing_measurements_name_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(render, "TRAINING", tmp_path / "none.json")
    result = run("speed")
    assert result.exit_code == 1
    assert "make bench" in result.output


def test_stale_and_obsolete_files_are_noticed_and_mended(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    (tmp_path / "gone.md").write_text("a model that was removed")
    monkeypatch.setattr(render, "PAGES", tmp_path)
    monkeypatch.setitem(render.PARTS, "architectures", lambda check: {page: "new\n"})
    result = run("architectures", "--check")
    assert result.exit_code == 1
    assert "Stale: page.md, gone.md. To write them: python scripts/render.py architectures" in result.output
    assert not page.exists()
    assert run("architectures").exit_code == 0
    assert page.read_text() == "new\n"
    assert not (tmp_path / "gone.md").exists()
    assert run("architectures", "--check").exit_code == 0


def test_a_picture_of_another_matplotlib_is_not_compared(tmp_path):
    path = tmp_path / "a.svg"
    ours = "<svg><dc:title>Matplotlib v3.9.1, https://matplotlib.org/</dc:title>1</svg>"
    assert render.is_stale(path, ours)
    path.write_text(ours)
    assert not render.is_stale(path, ours.replace("3.9.1", "3.8.0").replace("1</svg>", "2</svg>"))
    assert render.is_stale(path, ours.replace("1</svg>", "2</svg>"))


@pytest.mark.parametrize("text", ["no markers", "{1}{0}", "{0}", "{0}{1}{0}{1}"])
def test_text_is_replaced_between_two_markers_only(text, tmp_path):
    path, markers = tmp_path / "page.md", ("<!-- a: begin -->", "<!-- a: end -->")
    path.write_text("before\n{}old{}\nafter".format(*markers))
    assert report.replace_between(path, "a", "new") == "before\n{}\nnew\n{}\nafter".format(*markers)
    path.write_text(text.format(*markers))
    with pytest.raises(InputError, match="once each, in this order"):
        report.replace_between(path, "a", "new")
