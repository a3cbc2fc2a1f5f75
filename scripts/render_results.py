"""Write README's table of results from the cards of the pretrained SavedModels."""

from __future__ import annotations

import difflib
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import modelzoo
from modelzoo._io import atomic_file
from modelzoo.card import read_card
from modelzoo.errors import ArtifactError, InputError, ModelZooError
from modelzoo.saving import find

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
COMMAND = "python scripts/render_results.py"

COLUMNS = (
    "model",
    "recipe",
    "test error",
    "this artifact",
    "calibration error",
    "error when corrupted",
    "parameters",
    "multiply-adds",
    "size",
    "training",
)

LEGEND = f"""\
From the cards of the artifacts, by `{COMMAND}`. *Test error* is the mean ± standard
deviation over the recipe's seeds; *this artifact* and all that follows belong to the one SavedModel in `saved_models/`.
For classifiers it is the share of wrong predictions, for the autoencoder the mean squared error of pixels scaled to
0–1. *Calibration error* is the expected calibration error in 15 bins, *error when corrupted* the mean over
`modelzoo.datasets.CORRUPTIONS`. Multiply-adds are those of one sample; the time of the training includes compilation.
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--check", is_flag=True, help="Write nothing; exit with status 1 when the table is stale.")
@click.option("--readme", type=click.Path(path_type=Path), default=ROOT / "README.md", help="The file to write to.")
def main(check: bool, readme: Path) -> None:
    """Write the table between the two markers of README.md, if it is not there yet."""
    try:
        before = _read(readme)
        after = replace_table(before, render(), where=str(readme))
        if before == after:
            click.echo(f"{readme}: the table of results is up to date.")
            return
        if check:
            changes = difflib.unified_diff(before.splitlines(), after.splitlines(), "README", "cards", lineterm="", n=0)
            click.echo("\n".join(changes), err=True)
            click.echo(f"{readme}: the table of results is stale. Run `{COMMAND}` to mend it.", err=True)
            sys.exit(1)
        with atomic_file(readme) as temporary:
            temporary.write_text(after, encoding="utf-8")
        click.echo(f"{readme}: wrote the table of results.")
    except ModelZooError as error:
        click.echo(f"render_results: {error}", err=True)
        sys.exit(2)


def render() -> str:
    """Return the table of all versions of all pretrained models, and what its columns mean."""
    rows = [
        row(f"{name}/{version}" if len(versions) > 1 else name, find(name, version=version))
        for name, versions in modelzoo.list_pretrained().items()
        for version in versions
    ]
    alignment = ["---", "---", *["---:"] * (len(COLUMNS) - 2)]
    lines = [f"| {' | '.join(cells)} |" for cells in (COLUMNS, alignment, *rows)]
    return "\n".join([LEGEND, *lines])


def row(label: str, directory: Path) -> list[str]:
    """Return one artifact's cells."""
    results = read_card(directory).get("results")
    if results is None:
        raise ArtifactError(
            f"{directory}: the card has no results. Train and export the model again with `python "
            f"scripts/train_zoo.py {directory.parent.name} --export`."
        )
    try:
        metrics = results["metrics"]
        classifies = "test_accuracy" in metrics
        scores = _errors(metrics["test_accuracy"]) if classifies else metrics["test_loss"]
        form = ".2%" if classifies else ".4f"
        seeds = len(results["seeds"])
        corrupted = [score["value"] for score in (results.get("corruptions") or {}).values()]
        return [
            f"`{label}`",
            f"{results['recipe']}, {seeds} seed{'s' if seeds > 1 else ''}",
            format(scores["mean"], form) + (f" ± {scores['std']:{form}}" if seeds > 1 else ""),
            format(scores["value"], form),
            _format((metrics.get("calibration_error") or {}).get("value"), ".2%"),
            _format(statistics.fmean(corrupted) if corrupted else None, form),
            format(results["num_params"], ","),
            format(results["multiply_adds"], ","),
            _size(sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())),
            _seconds((metrics.get("seconds") or {}).get("value")),
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{directory}: the card's results are not complete ({type(error).__name__}: {error}). Train and export the "
            f"model again with `python scripts/train_zoo.py {directory.parent.name} --export`."
        ) from error


def replace_table(text: str, table: str, *, where: str = "README.md", markers: tuple[str, str] = (BEGIN, END)) -> str:
    """Return a text with what stands between its two markers replaced."""
    head, begin, rest = text.partition(markers[0])
    _, end, tail = rest.partition(markers[1])
    if not (begin and end) or any(text.count(marker) != 1 for marker in markers):
        raise InputError(
            f"{where} must hold the lines {markers[0]!r} and {markers[1]!r} once each, in this order. Add them."
        )
    return f"{head}{begin}\n{table}\n{end}{tail}"


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}: {error}. Name the file with --readme.") from error


def _errors(accuracy: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the scores of an accuracy into those of the error; the spread is the same."""
    return {**accuracy, "value": 1 - accuracy["value"], "mean": 1 - accuracy["mean"]}


def _format(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _size(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _seconds(seconds: float | None) -> str:
    """Return a time; the card of a run that was interrupted and resumed has none."""
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


if __name__ == "__main__":
    main()
