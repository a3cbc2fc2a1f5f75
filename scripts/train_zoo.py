"""Train any or all models over several seeds, report mean and spread, and export the pretrained ones.

The test set takes no part in any choice: a tuned recipe holds its validation samples out of the training set, training
sees nothing else, and the seed to export is selected from the validation results that the runs' cards hold. Only then
are the chosen and the other runs measured on the test set.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from report import Command, markdown_table, write_json

import modelzoo
from modelzoo import datasets
from modelzoo.card import describe_machine, read_card
from modelzoo.cli.common import import_tensorflow, parse_seeds
from modelzoo.evaluation import measure
from modelzoo.saving import GOLDEN_COUNT, saved_models_dir

#: Data sets whose points the seed of a run draws too.
SEEDED = ("toy_points", "linear", "quadratic")


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--recipe", default="tuned", show_default=True, help="Recipe of each model; all: every one it has.")
@click.option("--seeds", default="0-4", show_default=True, help="Seeds, e.g. 0-4 or 0,3.")
@click.option("--export", is_flag=True, help="Write the seed with the best validation result to saved_models/NAME/1.")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("build/zoo"), show_default=True,
              help="Where the runs are kept: RUNS/NAME/RECIPE/SEED.")  # fmt: skip
@click.option("--markdown", is_flag=True, help="Print the table of all recipes as Markdown.")
def main(names: tuple[str, ...], recipe: str, seeds: str, export: bool, runs: Path, markdown: bool) -> None:
    """Train NAMES (all models with the recipe by default), report mean and spread over seeds, and export.

    \b
    train_zoo.py                              every model by its tuned recipe, seeds 0 to 4
    train_zoo.py relu_mlp --export            one model, and make it the pretrained one
    train_zoo.py --recipe lesson --markdown   the lessons' recipes, as a table

    A run that is complete is not trained again unless its recipe has changed, and an interrupted one goes on from its
    last checkpoint. The seed of a run also draws the points of toy_points, linear and quadratic.
    """
    if export and recipe == "all":
        raise click.UsageError("--export needs one recipe, such as --recipe tuned.")
    chosen = parse_seeds(seeds)
    import_tensorflow()
    rows = []
    for name in names or [n for n in modelzoo.list_models() if recipe in ("all", *modelzoo.get_spec(n).recipes)]:
        spec = modelzoo.get_spec(name)
        for recipe_name in list(spec.recipes) if recipe == "all" else [recipe]:
            paths = {seed: train_run(name, recipe_name, seed, runs) for seed in chosen}
            selected, reason = select({seed: read_card(path) for seed, path in paths.items()})
            results = results_of(recipe_name, paths, selected, reason)
            rows.append((name, recipe_name, results))
            click.echo(f"{name} ({recipe_name}): {summary(results)}", err=markdown)
            if export:
                export_run(paths[selected], results)
    if markdown:
        click.echo(results_table(rows))


def train_run(name: str, recipe_name: str, seed: int, runs: Path) -> Path:
    """Return the artifact of one run, trained now unless it is there; go on where an earlier attempt stopped."""
    recipe = modelzoo.get_spec(name).recipe(recipe_name)
    path = runs / name / recipe_name / str(seed)
    if path.is_dir() and modelzoo.Recipe.from_dict(read_card(path)["training"]["recipe"]) == recipe:
        return path
    model = modelzoo.create_model(name, recipe=recipe_name, seed=seed)
    checkpoints = checkpoints_of(path, recipe)
    click.echo(f"{name} ({recipe_name}), seed {seed}", err=True)
    data, progress = load_data(path), modelzoo.training.ProgressBar()
    modelzoo.train(model, data, recipe, seed=seed, checkpoint_dir=checkpoints, resume=True, callbacks=[progress])
    modelzoo.save(model, path, golden=data.x_test[:GOLDEN_COUNT], overwrite=True)
    shutil.rmtree(checkpoints)
    return path


def checkpoints_of(path: Path, recipe: modelzoo.Recipe) -> Path:
    """Return where a run keeps its checkpoints: beside its artifact, for each recipe apart, however it is worded."""
    facts = json.dumps(recipe.replace(source="").to_dict(), sort_keys=True)
    return path.with_name(f"{path.name}.{hashlib.sha256(facts.encode()).hexdigest()[:12]}")


def load_data(path: Path) -> datasets.Dataset:
    """Return the data of the run RUNS/NAME/RECIPE/SEED."""
    name, recipe_name, seed = path.parts[-3:]
    spec = modelzoo.get_spec(name)
    own = {"seed": int(seed)} if spec.dataset in SEEDED else {}
    return datasets.load(spec.dataset, **spec.recipe(recipe_name).data_options, **own)


def select(cards: Mapping[int, Mapping[str, Any]]) -> tuple[int, str]:
    """Return the seed with the best result on the held-out samples, and the name of that result.

    Nothing but the cards' training results is looked at: the validation accuracy, between equals the validation loss;
    the validation loss of an autoencoder; the training loss if the recipe holds nothing out.
    """
    metrics = {seed: card["training"]["metrics"] for seed, card in cards.items()}
    if not all("val_loss" in entry for entry in metrics.values()):
        return min(metrics, key=lambda seed: (metrics[seed]["loss"], seed)), "loss"
    if "val_accuracy" not in next(iter(metrics.values())):
        return min(metrics, key=lambda seed: (metrics[seed]["val_loss"], seed)), "val_loss"
    best = min(metrics, key=lambda seed: (-metrics[seed]["val_accuracy"], metrics[seed]["val_loss"], seed))
    return best, "val_accuracy"


def results_of(recipe_name: str, paths: Mapping[int, Path], selected: int, reason: str) -> dict[str, Any]:
    """Return what a card says of all runs of a recipe: measures of the selected one, mean and spread of all."""
    measures = {seed: measured(path) for seed, path in paths.items()}
    trainings = {seed: read_card(path)["training"] for seed, path in paths.items()}
    per_seed = {}
    for seed in paths:
        scores = {key: value for key, value in measures[seed].items() if isinstance(value, float)}
        scores["train_loss"] = trainings[seed]["metrics"]["loss"]
        scores |= {key: value for key, value in trainings[seed]["metrics"].items() if key.startswith("val_")}
        if trainings[seed]["seconds"] is not None:  # a resumed run does not know
            scores["seconds"] = trainings[seed]["seconds"]
        per_seed[seed] = scores

    def over_seeds(runs: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
        names = [key for key in runs[selected] if all(key in scores for scores in runs.values())]
        return {key: spread([scores[key] for scores in runs.values()], runs[selected][key]) for key in names}

    return {
        "recipe": recipe_name,
        "seeds": list(paths),
        "selected_seed": selected,
        "selected_by": reason,
        "metrics": over_seeds(per_seed),
        "corruptions": over_seeds({seed: found.get("corruptions", {}) for seed, found in measures.items()}),
        "confusion_matrix": measures[selected].get("confusion_matrix"),
        "num_params": measures[selected]["num_params"],
        "multiply_adds": measures[selected]["multiply_adds"],
        "measured_on": describe_machine(),
    }


def measured(path: Path) -> dict[str, Any]:
    """Return the measures of a run on its test set, kept beside it so that they are taken once."""
    kept = path.with_suffix(".json")
    digest = read_card(path)["weights_digest"]
    if kept.exists():
        known = json.loads(kept.read_text())
        if known["weights_digest"] == digest:
            return known["measures"]
    model = modelzoo.load(path)
    measures = measure(model, load_data(path))
    write_json(kept, {"weights_digest": digest, "measures": measures})
    return measures


def spread(values: Sequence[float], value: float) -> dict[str, Any]:
    """Return the selected run's value with mean and standard deviation over all runs."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return {"value": value, "mean": statistics.fmean(values), "std": deviation, "per_seed": list(values)}


def export_run(path: Path, results: Mapping[str, Any]) -> None:
    """Make a run the pretrained model of its name."""
    model = modelzoo.load(path)
    target = saved_models_dir() / path.parts[-3] / "1"
    modelzoo.save(model, target, results=results, golden=load_data(path).x_test[:GOLDEN_COUNT], overwrite=True)
    click.echo(f"{path} exported to {target}", err=True)


def results_table(rows: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Return mean ± standard deviation over the seeds, one line a model and recipe."""
    forms = {"train_loss": ".4f", "test_loss": ".4f", "test_accuracy": ".2%", "seconds": ".1f"}
    cells = [
        [f"`{name}`", recipe_name]
        + [
            f"{found['mean']:{form}} ± {found['std']:{form}}" if (found := results["metrics"].get(score)) else "–"
            for score, form in forms.items()
        ]
        for name, recipe_name, results in rows
    ]
    return markdown_table(["model", "recipe", *(score.replace("_", " ") for score in forms)], cells, left=2)


def summary(results: Mapping[str, Any]) -> str:
    """Mean ± standard deviation of each score, and which seed was selected."""
    scores = ", ".join(f"{key} {found['mean']:.4f} ± {found['std']:.4f}" for key, found in results["metrics"].items())
    return f"{scores}; seed {results['selected_seed']} by {results['selected_by']}"


if __name__ == "__main__":
    main()
