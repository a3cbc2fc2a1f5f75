"""Options that several commands share, and what their values mean."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from modelzoo.errors import InputError
from modelzoo.recipe import Recipe

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
data_option = click.option(
    "--data",
    help="Data set: a name (`modelzoo list --datasets`), a folder of class folders or of TFRecord shards, an .npz or a "
    ".csv file.",
)
stream_option = click.option(
    "--stream",
    is_flag=True,
    help="Read the samples of --data, a folder, as they are wanted: for data larger than memory.",
)
data_options = click.option(
    "--data-option",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the data set, such as n=500, classes=[1,5,6], label=species or download=true; repeat for more.",
)
seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything.")
output_option = click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory of the SavedModel.")
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")


def recipe_options(command: Any) -> Any:
    """Add the options that change a recipe, and those of every training run."""
    for option in reversed(
        [
            click.option("--steps", type=click.IntRange(1), help="Optimiser steps, instead of the recipe's."),
            click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Passes over the data instead."),
            click.option("--batch-size", type=click.IntRange(1), help="Samples a step."),
            click.option(
                "--learning-rate", type=click.FloatRange(0, min_open=True), help="Step size; a schedule's first."
            ),
            click.option("--log-every", type=click.IntRange(1), help="Steps between two log entries."),
            click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="Arithmetic of training."),
            click.option("--xla", type=click.Choice(["auto", "loop", "update", "off"]), help="What XLA compiles."),
            click.option(
                "--strategy",
                type=click.Choice(["mirrored", "multi-worker"]),
                help="Share each batch among this machine's GPUs, or among the workers that TF_CONFIG names.",
            ),
            click.option("--checkpoint-dir", type=click.Path(path_type=Path), help="Keep checkpoints here."),
            click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --checkpoint-dir."),
            click.option("--quiet", is_flag=True, help="No progress bar."),
        ]
    ):
        command = option(command)
    return command


def load_data(data: str, shape: Any, options: tuple[str, ...], *, stream: bool = False) -> Any:
    """Load or stream data for a model of that input shape: the pixels of a csv become images, those of a folder fit."""
    from modelzoo import datasets

    given = key_values(options)
    if stream and data in datasets.list_datasets():
        raise InputError(f"--stream reads folders, and {data!r} is a named data set. Leave --stream out.")
    path = Path(data)
    if data not in datasets.list_datasets() and shape is not None and len(shape) == 2:
        if path.suffix == ".csv":
            given.setdefault("shape", tuple(shape))
        elif path.is_dir() and any(child.is_dir() for child in path.iterdir()):
            given.setdefault("size", tuple(shape))
    return datasets.stream(data, **given) if stream else datasets.load(data, **given)


def key_values(options: tuple[str, ...]) -> dict[str, Any]:
    """Turn KEY=VALUE into a dictionary; values are JSON where they can be, else text."""
    result = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise InputError(f"--data-option {option!r} is not KEY=VALUE, such as n=500.")
        try:
            result[key] = json.loads(value)
        except ValueError:
            result[key] = value
    return result


def factors(options: tuple[str, ...]) -> dict[str, float]:
    """Turn LAYER=FACTOR into a dictionary."""
    result = {}
    for option in options:
        layer, _, factor = option.partition("=")
        try:
            result[layer] = float(factor)
        except ValueError:
            raise InputError(f"--layer-learning-rate {option!r} is not LAYER=FACTOR, such as hidden=0.1.") from None
    return result


def changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """Return a recipe with the fields that options were given for."""
    given = {name: value for name, value in changes.items() if value is not None}
    rate, schedule = given.get("learning_rate"), recipe.learning_rate
    if rate is not None and isinstance(schedule, Mapping) and "initial_learning_rate" in schedule["config"]:
        given["learning_rate"] = {**schedule, "config": {**schedule["config"], "initial_learning_rate": rate}}
    return recipe.replace(**given)


def parse_seeds(text: str) -> list[int]:
    """Turn "0-4" or "0,3" into a list of seeds."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except ValueError:
        ends = []
    if not ends or any(len(part) > 2 or not 0 <= part[-1] - part[0] < 1000 for part in ends):
        raise InputError(f"--seeds {text!r} is not a list of seeds. Write 0-4 or 0,3.")
    return [seed for part in ends for seed in range(part[0], part[-1] + 1)]
