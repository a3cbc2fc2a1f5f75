"""The tables and pages that `scripts/render.py` writes: number by number, and a check that notices stale ones."""

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


@pytest.mark.parametrize(
    "results", [None, {"recipe": "tuned", "seeds": [0], "metrics": {"test_accuracy": {"value": 1.0}}}]
)
def test_incomplete_results_name_the_command(results, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "read_card", lambda path: {"results": results})
    with pytest.raises(ArtifactError, match=r"train_zoo\.py net --recipe … --export"):
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
    monkeypatch.setitem(render.PARTS, "architectures", lambda: {page: "new\n"})
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
