"""``modelzoo list``, ``info`` and ``describe``: what there is; the first two import no TensorFlow."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import click

import modelzoo
from modelzoo import datasets
from modelzoo.card import read_card
from modelzoo.cli.common import as_json, import_tensorflow, overwrite_option, print_json, print_table
from modelzoo.errors import InputError
from modelzoo.pages.markdown import brief
from modelzoo.recipe import Recipe
from modelzoo.saving import find, list_pretrained


@click.command("list")
@click.argument("pattern", default="*")
@click.option("--task", help="Only models with this task.")
@click.option("--dataset", help="Only models trained on this data set.")
@click.option("--family", help="Only models of this family.")
@click.option("--pretrained", is_flag=True, help="Only models that come with trained weights.")
@click.option("--datasets", "show_datasets", is_flag=True, help="List the data sets instead.")
@as_json
def list_command(pattern: str, pretrained: bool, show_datasets: bool, as_json: bool, **filters: str | None) -> None:
    """List the models, all or those whose name fits PATTERN (e.g. '*_mlp')."""
    if show_datasets:
        described = {name: datasets.describe_dataset(name) for name in datasets.list_datasets()}
        if as_json:
            print_json(described)
        else:
            print_table(["data set", "what it is"], [list(row) for row in described.items()])
        return
    versions = list_pretrained()
    keys = ("name", "network", "task", "dataset", "num_params")
    rows: list[dict[str, Any]] = [
        {key: getattr(spec, key) for key in keys}
        | {"recipes": list(spec.recipes), "pretrained": versions.get(spec.name, [])}
        for spec in map(modelzoo.get_spec, modelzoo.list_models(pattern, **filters))
        if not pretrained or spec.name in versions
    ]
    if as_json:
        print_json(rows)
        return
    if not rows:
        raise InputError(f"No model fits {pattern!r} and the filters. See them all: modelzoo list.")
    header = ["model", "network", "data", "parameters", "pretrained"]
    cells = [
        [r["name"], r["network"], r["dataset"], f"{r['num_params']:,}", "yes" if r["pretrained"] else "no"]
        for r in rows
    ]
    print_table(header, cells, right=3)


@click.command()
@click.argument("name")
@as_json
def info(name: str, as_json: bool) -> None:
    """Show the facts and recipes of a model, or the card of an artifact: NAME is a model or a directory."""
    if Path(name).is_dir() and name not in modelzoo.list_models():
        directory = find(name)
        card = read_card(directory)
        if as_json:
            print_json(card)
        else:
            _print_card(directory, card)
        return
    spec = modelzoo.get_spec(name)
    shown = ("name", "summary", "network", "task", "dataset", "num_params", "source")
    facts: dict[str, Any] = {key: getattr(spec, key) for key in shown}
    facts["options"] = {key: value for key, value in spec.options.items() if key not in ("seed", "name")}
    facts["recipes"] = {key: recipe.to_dict() for key, recipe in spec.recipes.items()}
    if as_json:
        print_json(facts)
        return
    click.echo(f"{spec.name}: {spec.summary}\n")
    for key in ("network", "task", "dataset", "source"):
        click.echo(f"  {key:<11}{facts[key]}")
    click.echo(f"  {'parameters':<11}{spec.num_params:,}\n\nBuilder options")
    for key, value in facts["options"].items():
        click.echo(f"  {key:<23}{brief(value)}")
    for key, fields in facts["recipes"].items():
        click.echo(f"\nRecipe {key!r}: {fields.pop('source', '')}")
        for field, value in fields.items():
            click.echo(f"  {field:<23}{brief(value)}")


def _print_card(directory: Path, card: dict[str, Any]) -> None:
    """Print what a card says in some lines."""
    training, results = card["training"] or {}, card["results"] or {}
    data, recipe = training.get("dataset") or {}, Recipe.from_dict(training.get("recipe") or {"steps": 1})
    metrics = results.get("metrics") or training.get("metrics") or {}
    values = {key: value.get("value") if isinstance(value, dict) else value for key, value in metrics.items()}
    sizes = [f"{data[f'num_{part}']:,} {part}" for part in ("train", "validation", "test") if data.get(f"num_{part}")]
    parents, parent = [], card["parent"]
    while parent:
        parents.append(f"{parent['name']} ({parent['weights_digest'][:12]})")
        parent = parent.get("parent")
    facts = {
        "network": (card["builder"] or {}).get("name"),
        "options": brief((card["builder"] or {}).get("options") or {}),
        "classes": ", ".join(card["class_names"]),
        "images": card.get("preparation"),
        "trained on": data.get("name") and " ".join([data["name"], f"({', '.join(sizes)})" if sizes else ""]),
        "recipe": f"{recipe.loss}, {recipe.optimizer}, {training['steps']:,} steps" if training else "",
        "seed": str(training.get("seed", "")),
        "metrics": ", ".join(f"{key} {value:.4f}" for key, value in values.items() if isinstance(value, float)),
        "from": " ← ".join(parents),
        "parameters": f"{sum(math.prod(weight['shape']) for weight in card['weights']):,}",
        "weights": card["weights_digest"][:12],
        "made by": ", ".join(f"{key} {value}" for key, value in card["versions"].items()),
        "created": card["created"],
    }
    click.echo(f"{directory}\n")
    for key, value in facts.items():
        if value:
            click.echo(f"  {key:<11}{value}")
    click.echo("\nThe whole card: --json")


@click.command()
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory for Markdown and SVG pictures.")
@overwrite_option
@as_json
def describe(source: str, output: Path | None, overwrite: bool, as_json: bool) -> None:
    """Describe SOURCE: a model's name, an artifact's directory, or any .keras file.

    The terminal shows its layers with the arithmetic of their parameters. With --output there is a page with the
    diagram, the equation, recipes, results, learning curves, the confusion matrix, and how to use the model. A .keras
    file is loaded in Keras' safe mode; read only files whose authors you trust.

    \b
    modelzoo describe two_conv_cnn                 its layers
    modelzoo describe two_conv_cnn -o about_cnn    the page, in about_cnn/two_conv_cnn.md
    modelzoo describe my_own.keras -o about_mine   any Keras model of layers that Keras knows
    """
    if output is None and overwrite:
        raise InputError("--overwrite goes with --output; leave it out.")
    if output is not None and as_json:
        raise InputError("--json prints to the terminal and --output writes a page; give one of the two.")
    os.environ.setdefault("MPLBACKEND", "Agg")
    if source not in list_pretrained() and not os.path.isdir(source):  # artifacts are read without TensorFlow
        import_tensorflow()
    if output is not None:
        click.echo(f"Wrote {modelzoo.describe(source, output, overwrite=overwrite)}")
        return
    from modelzoo.pages.page import results_line
    from modelzoo.pages.subject import read_subject

    subject = read_subject(source)
    rows = [[step.name, step.kind, step.shape, step.arithmetic] for step in subject.steps]
    total, cost = subject.network.num_params, subject.cost
    if as_json:
        keys = ("name", "type", "output_shape", "parameters")
        layers = [dict(zip(keys, row, strict=True)) for row in rows]
        facts = {"name": subject.name, "summary": subject.summary, "layers": layers, "num_params": total}
        print_json({**facts, "multiply_adds": cost})
        return
    click.echo(f"{subject.name}: {subject.summary}\n")
    print_table(["layer", "type", "output shape", "parameters"], rows, right=3)
    click.echo(f"\n{total:,} parameters" + (f", {cost:,} multiply-adds a sample" if cost is not None else ""))
    if line := results_line(subject):
        click.echo(line)
