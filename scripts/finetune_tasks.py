"""What fine-tuning gains over random initial weights on five tasks, and how its default recipe was chosen."""

from __future__ import annotations

import dataclasses
import functools
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from report import ROOT, Command, markdown_table, replace_between, write_json, write_text

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.cli.common import import_tensorflow, parse_seeds
from modelzoo.errors import InputError
from modelzoo.finetuning import finetuning_recipe
from modelzoo.registry import card_for

GUIDE = ROOT / "docs" / "guide" / "finetuning.md"
RESULTS = ROOT / "build" / "finetune_tasks.json"

#: How a run starts: random weights; the pretrained ones, all but the head frozen; the pretrained ones.
STARTS = {"scratch": "from scratch", "head": "head only", "all": "all layers"}
#: How the runs start that the default is chosen by.
SELECTION = {"scratch": "from scratch", "kept": "all layers, kept", "all": "all layers, rescaled"}

#: Samples of the training set that recipes are compared on.
NUM_VALIDATION = 5000


@dataclasses.dataclass(frozen=True)
class Task:
    """Data whose training images depend on a seed, the networks that learn them, and changes of the default recipe."""

    title: str
    load: Callable[[int], datasets.Dataset]
    models: tuple[str, ...] = ("dense_500_300",)
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@functools.lru_cache(maxsize=1)
def clothes() -> datasets.Dataset:
    """Return Fashion-MNIST."""
    return datasets.load("fashion_mnist")


@functools.lru_cache
def other_digits(classes: tuple[int, ...] | None = None) -> datasets.Dataset:
    """Return scikit-learn's digits, most of them for testing, because the tasks train on a few."""
    return datasets.load("digits", classes=classes, test_fraction=0.8)


def tasks() -> dict[str, Task]:
    """Return the tasks by name."""
    both = ("dense_500_300", "two_conv_cnn")
    return {
        "all": Task("Fashion-MNIST, all images", lambda seed: clothes(), changes={"epochs": 2}),
        "many": Task("Fashion-MNIST, 200 a class", lambda seed: clothes().take(per_class=200, seed=seed), models=both),
        "few": Task("Fashion-MNIST, 20 a class", lambda seed: clothes().take(per_class=20, seed=seed), models=both),
        "scanner": Task(
            "scikit-learn digits, 5 a class",
            lambda seed: other_digits().take(per_class=5, seed=seed),
            changes={"steps": 200},
        ),
        "three": Task(
            "the digits 3, 5, 8 alone, 3 a class",
            lambda seed: other_digits((3, 5, 8)).take(per_class=3, seed=seed),
            changes={"steps": 200},
        ),
    }


def candidates() -> dict[str, Recipe]:
    """Return the recipes that the default one was chosen from."""
    default = finetuning_recipe("dense_500_300")
    found = {}
    for rate in (3e-4, 1e-3):
        schedule = {"class_name": "CosineDecay", "config": {"initial_learning_rate": rate}}
        found[f"{rate:g}"] = default.replace(learning_rate=schedule, log_every=default.steps)
    return found


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--seeds", default="0-4", show_default=True, help="Seeds, e.g. 0-4 or 0,3.")
@click.option("--select", is_flag=True, help="Compare the candidates for the default recipe, on validation data.")
@click.option("--steps", type=click.IntRange(1), help="Optimiser steps of every run, for a quick look.")
@click.option("--write", is_flag=True, help="Write the table between its markers in the guide.")
def main(names: tuple[str, ...], seeds: str, select: bool, steps: int | None, write: bool) -> None:
    """Fine-tune on the tasks NAMES (all by default) and compare with the same training from random weights.

    Prints the table of the guide. Each finished run is kept in build/finetune_tasks.json; after an interruption, or a
    change of a recipe or of the pretrained weights, only the missing runs are done.
    """
    if (select or write) and (names or steps):
        raise click.UsageError("--select and --write take all tasks and steps. Leave the tasks and --steps out.")
    marker = "finetune_selection" if select else "finetune_tasks"
    if write:  # a guide that cannot be written should not cost minutes of training first
        replace_between(GUIDE, marker, "")
    store = Store(RESULTS)
    chosen = parse_seeds(seeds)
    import_tensorflow()
    table = selection_table(store, chosen) if select else task_table(store, names, chosen, steps)
    click.echo(table)
    if write:
        write_text(GUIDE, replace_between(GUIDE, marker, table))


class Store:
    """Finished runs in a JSON file, each with what it depends on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.runs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            raise InputError(f"{path} is not JSON. Remove it.") from None

    def accuracy(self, key: str, model: str, data: datasets.Dataset, recipe: Recipe, start: str, seed: int) -> float:
        """Return the accuracy of a run, which is done unless it is known with this recipe, data and parent."""
        facts: dict[str, Any] = {"recipe": recipe.replace(source="").to_dict(), "data": data.checksum}
        facts |= {"options": parent_options(model)} if start == "scratch" else {"parent": parent_digest(model)}
        facts = json.loads(json.dumps(facts))
        known = self.runs.get(key)
        if known is None or known["facts"] != facts:
            began = time.perf_counter()
            accuracy = run(model, data, recipe, start, seed)
            known = {"accuracy": accuracy, "seconds": round(time.perf_counter() - began, 1), "facts": facts}
            self.runs[key] = known
            write_json(self.path, self.runs)
            click.echo(f"{key}: {known['accuracy']:.4f} in {known['seconds']} s", err=True)
        return known["accuracy"]


def run(model: str, data: datasets.Dataset, recipe: Recipe, start: str, seed: int) -> float:
    """Train once, and return the accuracy on the validation data, or else on the test data."""
    if start == "scratch":
        fresh = modelzoo.create_model(model, num_classes=data.num_classes, seed=seed, **parent_options(model))
        history = modelzoo.train(fresh, data, recipe, seed=seed)
    else:
        freeze = "backbone" if start == "head" else None
        rescale = start != "kept"
        _, history = modelzoo.finetune(model, data, freeze=freeze, recipe=recipe, rescale=rescale, seed=seed)
    part = "test" if data.validation is None else "val"
    return float(history.history[f"{part}_accuracy"][-1])


@functools.cache
def parent_options(model: str) -> dict[str, Any]:
    """Return the builder's options of the pretrained network: random weights are to be as good as they can be."""
    return dict(card_for(modelzoo.load(model)).options)


@functools.cache
def parent_digest(model: str) -> str:
    """Return the digest of the pretrained weights, which decide what fine-tuning gives."""
    return modelzoo.weights_digest(modelzoo.load(model))


def task_table(store: Store, names: Sequence[str], seeds: Sequence[int], steps: int | None) -> str:
    """Return the table of tasks; the gain is paired, seed by seed."""
    known = tasks()
    for name in names:
        if name not in known:
            raise InputError(f"Unknown task {name!r}. Available: {', '.join(known)}.")
    header = ["data", "training images", "network", *STARTS.values(), "gain"]
    rows = []
    for name, task in known.items():
        if names and name not in names:
            continue
        for model in task.models:
            recipe = finetuning_recipe(model, new_head=name != "scanner").replace(**task.changes)
            recipe = recipe if steps is None else recipe.replace(steps=steps)
            scores: dict[str, list[float]] = {start: [] for start in STARTS}
            for seed in seeds:
                data = task.load(seed)
                for start, accuracies in scores.items():
                    key = f"{name}/{model}/{start}/{seed}"
                    accuracies.append(store.accuracy(key, model, data, recipe, start, seed))
            gains = [after - before for after, before in zip(scores["all"], scores["scratch"], strict=True)]
            size = f"{len(data.x_train):,}"
            rows.append([task.title, size, f"`{model}`", *map(spread, scores.values()), spread(gains, sign="+")])
    return markdown_table(header, rows)


def selection_table(store: Store, seeds: Sequence[int]) -> str:
    """Return the table of candidate recipes, compared on samples held out of the training sets."""
    held_out = clothes().hold_out(min(NUM_VALIDATION, len(clothes().x_train) // 2))
    digits, three = other_digits().hold_out(0.8), other_digits((3, 5, 8)).hold_out(0.7)
    columns = {
        "200 a class": (lambda seed: held_out.take(per_class=200, seed=seed), None),
        "20 a class": (lambda seed: held_out.take(per_class=20, seed=seed), None),
        "3, 5, 8, 3 a class": (lambda seed: three.take(per_class=3, seed=seed), 200),
        "digits, 5 a class": (lambda seed: digits.take(per_class=5, seed=seed), 200),
    }
    rows = []
    for start, title in SELECTION.items():
        for rate, recipe in candidates().items():
            row = [title, rate]
            for column, (load, steps) in columns.items():
                if start == "kept" and column.startswith("digits"):  # whose head is kept, so that nothing is rescaled
                    row.append("as rescaled")
                    continue
                plan = recipe if steps is None else recipe.replace(steps=steps, log_every=steps)
                accuracies = [
                    store.accuracy(
                        f"select/{start} {rate}/{column}/{seed}", "dense_500_300", load(seed), plan, start, seed
                    )
                    for seed in seeds
                ]
                row.append(spread(accuracies))
            rows.append(row)
    return markdown_table(["weights", "learning rate", *columns], rows)


def spread(values: Sequence[float], sign: str = "") -> str:
    """Return mean ± standard deviation in percent, or the mean alone of one value."""
    mean = f"{100 * statistics.fmean(values):{sign}.2f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * statistics.stdev(values):.2f}"


if __name__ == "__main__":
    main()
