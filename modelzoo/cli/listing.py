"""``modelzoo list`` and ``info``: what there is; they import no TensorFlow."""

from __future__ import annotations

import os
from typing import Any

import click

from modelzoo.cli.options import as_json
from modelzoo.cli.output import print_json, print_table
from modelzoo.errors import InputError
from modelzoo.pages.text import brief
from modelzoo.registry import get_spec, list_models


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--task", help="Only models with this task.")
@click.option("--dataset", help="Only models trained on this data set.")
@click.option("--family", help="Only models of this family.")
@click.option("--pretrained", is_flag=True, help="Only models that come with trained weights.")
@click.option("--datasets", "show_datasets", is_flag=True, help="List the data sets instead.")
@as_json
def list_command(
    pattern: str,
    task: str | None,
    dataset: str | None,
    family: str | None,
    pretrained: bool,
    show_datasets: bool,
    as_json: bool,
) -> None:
    """List the models, all or those whose name fits PATTERN (e.g. '*_mlp')."""
    if show_datasets:
        _list_datasets(as_json)
        return
    from modelzoo.saving import list_pretrained

    versions = list_pretrained()
    specs = [get_spec(name) for name in list_models(pattern, task=task, dataset=dataset, family=family)]
    rows: list[dict[str, Any]] = [
        {
            "name": spec.name,
            "network": spec.network,
            "task": spec.task,
            "dataset": spec.dataset,
            "num_params": spec.num_params,
            "recipes": list(spec.recipes),
            "pretrained": versions.get(spec.name, []),
        }
        for spec in specs
        if not pretrained or spec.name in versions
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        raise InputError(f"No model fits {pattern!r} and the filters. See them all: modelzoo list.")
    print_table(
        ["model", "network", "data", "parameters", "pretrained"],
        [
            [r["name"], r["network"], r["dataset"], f"{r['num_params']:,}", "yes" if r["pretrained"] else "no"]
            for r in rows
        ],
        right=3,
    )


def _list_datasets(as_json: bool) -> None:
    from modelzoo import datasets

    rows = {name: datasets.describe_dataset(name) for name in datasets.list_datasets()}
    if as_json:
        print_json(rows)
    else:
        print_table(["data set", "what it is"], [list(row) for row in rows.items()])


@click.command()
@click.argument("name")
@as_json
def info(name: str, as_json: bool) -> None:
    """Show the facts and recipes of a model, or the card of an artifact: NAME is a model or a directory."""
    if name not in list_models() and os.path.isdir(name):
        from modelzoo.card import read_card
        from modelzoo.saving import find

        print_json(read_card(find(name)))
        return
    spec = get_spec(name)
    recipes = {key: recipe.to_dict() for key, recipe in spec.recipes.items()}
    options = {key: value for key, value in spec.options.items() if key not in ("seed", "name")}
    facts: dict[str, Any] = {
        "name": spec.name,
        "summary": spec.summary,
        "network": spec.network,
        "task": spec.task,
        "dataset": spec.dataset,
        "num_params": spec.num_params,
        "source": spec.source,
        "options": options,
        "recipes": recipes,
    }
    if as_json:
        print_json(facts)
        return
    click.echo(f"{spec.name}: {spec.summary}\n")
    for key in ("network", "task", "dataset", "source"):
        click.echo(f"  {key:<11}{facts[key]}")
    click.echo(f"  {'parameters':<11}{spec.num_params:,}\n\nBuilder options")
    for key, value in options.items():
        click.echo(f"  {key:<23}{brief(value)}")
    for key, fields in recipes.items():
        click.echo(f"\nRecipe {key!r}: {fields.pop('source', '')}")
        for field, value in fields.items():
            click.echo(f"  {field:<23}{brief(value)}")
