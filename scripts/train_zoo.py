"""Train any or all models over several seeds, print the table of results, and export the pretrained ones."""

from __future__ import annotations

import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import click

import modelzoo
from modelzoo import datasets
from modelzoo.errors import InputError
from modelzoo.files import atomic_file
from modelzoo.saving import saved_models_dir

#: Data sets whose points the seed of a run draws too.
SEEDED = ("toy_points", "linear", "quadratic")


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1)
@click.option("--recipe", default="lesson", show_default=True, help="Recipe of each model; all: every one it has.")
@click.option("--seeds", default="0-4", show_default=True, help="Seeds, e.g. 0-4 or 0,3.")
@click.option("--export", is_flag=True, help="Write the first seed's model to saved_models/NAME/1.")
@click.option("--results", type=click.Path(path_type=Path), default=Path("build/results.json"), show_default=True)
@click.option("--markdown", is_flag=True, help="Print the table as README shows it.")
@click.option("--again", is_flag=True, help="Train again what the results file holds already.")
def main(
    names: tuple[str, ...], recipe: str, seeds: str, export: bool, results: Path, markdown: bool, again: bool
) -> None:
    """Train NAMES (all models by default) and report mean and spread over seeds.

    Each finished run is written to the results file at once; after an interruption only the missing runs are
    trained, and those whose recipe has changed since. The seed of a run also draws the points of toy_points, linear
    and quadratic.
    """
    done: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    chosen = parse_seeds(seeds)
    rows: list[tuple[str, str, list[dict[str, Any]]]] = []
    for name in names or modelzoo.list_models():
        spec = modelzoo.get_spec(name)
        for recipe_name in list(spec.recipes) if recipe == "all" else [recipe]:
            for seed in chosen:
                key = f"{name}/{recipe_name}/{seed}"
                wanted = export and seed == chosen[0] and recipe_name in ("lesson", recipe)
                same = key in done and done[key].get("recipe") == spec.recipe(recipe_name).to_dict()
                if same and not (wanted or again):
                    continue
                done[key] = run(name, recipe_name, seed, export=wanted)
                with atomic_file(results) as temporary:
                    temporary.write_text(json.dumps(done, indent=1))
            rows.append((name, recipe_name, [done[f"{name}/{recipe_name}/{seed}"] for seed in chosen]))
            click.echo(f"{name} ({recipe_name}), {len(chosen)} seeds: {summary(rows[-1][2])}", err=markdown)
    if markdown:
        print_markdown(rows)


def run(name: str, recipe_name: str, seed: int, *, export: bool) -> dict[str, Any]:
    """Train one model with one seed; return its final losses and metrics, time and weight digest."""
    spec = modelzoo.get_spec(name)
    recipe = spec.recipe(recipe_name)
    options = dict(recipe.data_options)
    if spec.dataset in SEEDED:
        options["seed"] = seed
    data = datasets.load(spec.dataset, **options)
    model = modelzoo.create_model(name, recipe=recipe_name, seed=seed)
    began = time.perf_counter()
    modelzoo.train(model, data, recipe, seed=seed)
    seconds = time.perf_counter() - began
    scores = {
        f"{split}_{metric}": value
        for split in ("train", "test")
        for metric, value in modelzoo.evaluate(model, data, split=split).items()
    }
    if export:
        modelzoo.save(model, saved_models_dir() / name / "1", overwrite=True)
    return {**scores, "seconds": seconds, "digest": modelzoo.weights_digest(model), "recipe": recipe.to_dict()}


def parse_seeds(text: str) -> list[int]:
    """Turn "0-4" or "0,3" into a list of seeds."""
    try:
        parts = [part.split("-") for part in text.split(",")]
        seeds = [seed for part in parts for seed in range(int(part[0]), int(part[-1]) + 1)]
    except ValueError:
        seeds = []
    if not seeds:
        raise InputError(f"--seeds {text!r} is not a list of seeds. Write 0-4 or 0,3.")
    return seeds


def print_markdown(rows: list[tuple[str, str, list[dict[str, Any]]]]) -> None:
    """Print mean ± standard deviation over the seeds, one line a model and recipe."""
    click.echo("| model | recipe | train loss | test loss | test accuracy | seconds |\n|---|---|---|---|---|---|")
    for name, recipe_name, runs in rows:
        cells = [f"`{name}`", recipe_name]
        for score, form in (("train_loss", ".4f"), ("test_loss", ".4f"), ("test_accuracy", ".2%"), ("seconds", ".1f")):
            values = [run[score] for run in runs if score in run]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{statistics.fmean(values):{form}} ± {spread:{form}}" if values else "–")
        click.echo(f"| {' | '.join(cells)} |")


def summary(runs: list[dict[str, Any]]) -> str:
    """Mean ± standard deviation of each score."""
    parts = []
    for score in (key for key in runs[0] if key not in ("digest", "recipe")):
        values = [run[score] for run in runs]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        parts.append(f"{score} {statistics.fmean(values):.4f} ± {spread:.4f}")
    return ", ".join(parts)


if __name__ == "__main__":
    main()
