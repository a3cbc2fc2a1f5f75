"""``modelzoo train`` and ``finetune``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

import modelzoo
from modelzoo import datasets
from modelzoo.cli import common
from modelzoo.errors import InputError
from modelzoo.recipe import Recipe
from modelzoo.registry import card_for
from modelzoo.saving.saved_model import check_save_target

seed_option = click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of everything.")
output_option = click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory of the SavedModel.")

#: Options that change fields of the recipe.
_CHANGES = [
    click.option("--steps", type=click.IntRange(1), help="Optimiser steps, instead of the recipe's."),
    click.option("--epochs", type=click.FloatRange(0, min_open=True), help="Passes over the data instead."),
    click.option("--batch-size", type=click.IntRange(1), help="Samples a step."),
    click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Step size; a schedule's first."),
    click.option(
        "--class-weight",
        multiple=True,
        metavar="balanced|CLASS=FACTOR",
        help="Weigh the loss: 'balanced' lets all classes count the same; or factors of single classes.",
    ),
    click.option("--log-every", type=click.IntRange(1), help="Steps between two log entries."),
    click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="Arithmetic of training."),
    click.option("--xla", type=click.Choice(["auto", "loop", "update", "off"]), help="What XLA compiles."),
]
#: Options of every training run.
_RUN = [
    click.option(
        "--strategy",
        type=click.Choice(["mirrored", "multi-worker"]),
        help="Share each batch among this machine's GPUs, or among the workers that TF_CONFIG names.",
    ),
    click.option("--checkpoint-dir", type=click.Path(path_type=Path), help="Keep checkpoints here."),
    click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --checkpoint-dir."),
    click.option("--quiet", is_flag=True, help="No progress bar."),
    common.as_json,
]


def run_options(command: Any) -> Any:
    """Add the options that change a recipe, and those of every training run."""
    for option in reversed([*_CHANGES, *_RUN]):
        command = option(command)
    return command


@click.command()
@click.argument("name")
@output_option
@common.overwrite_option
@common.data_option()
@common.data_options
@common.stream_option
@seed_option
@click.option("--recipe", default="lesson", show_default=True, help="Name of one of the model's recipes.")
@run_options
def train(
    name: str,
    output: Path | None,
    data: str | None,
    data_option: tuple[str, ...],
    stream: bool,
    recipe: str,
    **run: Any,
) -> None:
    """Train the model NAME from random weights and export it as a SavedModel (default: build/NAME).

    \b
    modelzoo train two_conv_cnn                             the lesson's recipe on its own data
    modelzoo train two_conv_cnn --precision bfloat16        the same, faster on many processors
    modelzoo train relu_mlp --data letters/ -o letters_mlp  your images: a folder for each class
    modelzoo train relu_mlp --data letters/ --stream        the same, read as training goes: more than memory holds
    modelzoo train dense_500_300 --checkpoint-dir ck        keep checkpoints; after an interruption, the
    modelzoo train dense_500_300 --checkpoint-dir ck --resume    same result as without
    modelzoo train two_conv_cnn --strategy multi-worker     on every worker that TF_CONFIG names
    """
    spec = modelzoo.get_spec(name)
    plan = _changed(spec.recipe(recipe), run)
    if stream and data is None:
        raise InputError("--stream reads a folder as training goes. Name it with --data, or leave --stream out.")
    output = check_save_target(output or Path("build", name), overwrite=run["overwrite"])
    replicas = _start_replicas(run["strategy"])
    if data is None:
        dataset = datasets.load(
            spec.dataset, **{**plan.data_options, **common.key_values("--data-option", data_option, "n=500")}
        )
    else:
        dataset = common.load_data(data, spec.options.get("image_shape"), data_option, stream=stream)
    options = {**plan.model_options, **spec.fitting_options(dataset.input_shape, dataset.num_classes)}
    model = modelzoo.create_model(name, seed=run["seed"], **options)
    _run(lambda **kwargs: (model, modelzoo.train(model, dataset, plan, **kwargs)), replicas, dataset, output, run)


@click.command()
@click.argument("source")
@common.data_option(required=True)
@common.data_options
@common.stream_option
@click.option("--freeze", multiple=True, help="'backbone' (all but the head) or a layer's name; repeat for several.")
@click.option(
    "--layer-learning-rate",
    multiple=True,
    metavar="LAYER=FACTOR",
    help="Multiply the learning rate of one layer, e.g. hidden=0.1; repeat for several.",
)
@click.option("--backbone-learning-rate", type=float, metavar="FACTOR", help="The same for all layers but the head.")
@click.option("--rescale/--no-rescale", default=True, help="Before a new head, bring kernels to He's spread, or not.")
@click.option("--compare", is_flag=True, help="Train from random weights too, and say which start is better.")
@output_option
@common.overwrite_option
@seed_option
@click.option(
    "--recipe",
    default="finetuning",
    show_default=True,
    help="'finetuning' (Adam, 1000 steps; points: 'lesson') or one of the model's recipes, such as 'lesson'.",
)
@run_options
def finetune(
    source: str,
    data: str,
    data_option: tuple[str, ...],
    stream: bool,
    freeze: tuple[str, ...],
    layer_learning_rate: tuple[str, ...],
    backbone_learning_rate: float | None,
    rescale: bool,
    compare: bool,
    output: Path | None,
    recipe: str,
    **run: Any,
) -> None:
    """Train SOURCE, a pretrained model or an artifact's directory, further on other data, and export it.

    If the data have other classes, the head (the last layer with weights) starts anew, and the layers before it keep
    their weights up to a factor each.

    \b
    modelzoo finetune two_conv_cnn --data letters/ -o letters                     train all layers
    modelzoo finetune two_conv_cnn --data few.npz --freeze backbone -o few        only the head
    modelzoo finetune two_conv_cnn --data few.npz --backbone-learning-rate 0.1    all, the head fastest
    modelzoo finetune letters --data more.csv --freeze conv_1 --epochs 5          go on from your own artifact
    """
    from modelzoo.finetuning import has_other_classes, plan_finetuning

    output = check_save_target(output or Path("build", f"{Path(source).name}_finetuned"), overwrite=run["overwrite"])
    replicas = _start_replicas(run["strategy"])
    parent = modelzoo.load(source)
    planned = functools.partial(
        plan_finetuning,
        parent,
        recipe=recipe,
        freeze=freeze,
        layer_learning_rates=common.key_values("--layer-learning-rate", layer_learning_rate, "hidden=0.1"),
        backbone_learning_rate=backbone_learning_rate,
    )
    _changed(planned()[0], run)  # before the data are read: a wrong name should not wait for these
    preparation = card_for(parent).preparation
    dataset = common.load_data(data, parent.input_shape[1:], data_option, preparation=preparation, stream=stream)
    new_head = has_other_classes(parent, dataset)
    plan, frozen = planned(new_head=new_head)
    plan = _changed(plan, run)
    if replicas.is_chief and new_head:
        line = f"The head starts anew, for the classes {', '.join(dataset.class_names):.200}."
        if set(dataset.class_names) < set(modelzoo.class_names(parent)):
            line += " To keep the old one: modelzoo.train, in Python, on the loaded model."
        click.echo(line, err=True)
    options: dict[str, Any] = {"freeze": frozen, "recipe": plan, "rescale": rescale, "compare": compare}
    _run(functools.partial(modelzoo.finetune, parent, dataset, **options), replicas, dataset, output, run)


def _changed(recipe: Recipe, run: Mapping[str, Any]) -> Recipe:
    """Return a recipe with the fields that options were given for."""
    changes = ("steps", "epochs", "batch_size", "learning_rate", "log_every", "precision", "xla")
    given = {name: run[name] for name in changes if run[name] is not None}
    if run["class_weight"]:
        balanced = run["class_weight"] == ("balanced",)
        given["class_weight"] = (
            "balanced" if balanced else common.key_values("--class-weight", run["class_weight"], "3=2, or balanced")
        )
    rate, schedule = given.get("learning_rate"), recipe.learning_rate
    if rate is not None and isinstance(schedule, Mapping) and "initial_learning_rate" in schedule["config"]:
        given["learning_rate"] = {**schedule, "config": {**schedule["config"], "initial_learning_rate": rate}}
    return recipe.replace(**given)


def _start_replicas(strategy: str | None) -> Any:
    """Return the devices that train together; must come before anything else that TensorFlow does."""
    common.import_tensorflow()
    from modelzoo.training import Replicas, create_strategy

    if strategy is None:
        return Replicas()
    if strategy == "multi-worker":
        click.echo("Waiting for all workers of TF_CONFIG", err=True)
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    with common.quiet_stderr():
        return Replicas(create_strategy(strategy))


def _run(
    training: Callable[..., tuple[Any, Any]], replicas: Any, dataset: Any, output: Path, run: Mapping[str, Any]
) -> None:
    """Train with a progress bar, save what was trained and print how good it is; on Ctrl-C, say how to go on."""
    from modelzoo.saving import GOLDEN_COUNT
    from modelzoo.training import ProgressBar

    shown = replicas.is_chief and not (run["quiet"] or run["as_json"])
    folder = run["checkpoint_dir"]
    try:
        model, history = training(
            seed=run["seed"],
            strategy=replicas.strategy,
            callbacks=[ProgressBar()] if shown else [],
            checkpoint_dir=folder,
            resume=run["resume"],
        )
    except KeyboardInterrupt:
        if folder is not None and any(folder.glob("step-*.npz")):
            click.echo(f"The last checkpoint is in {folder}. Go on with the same command and --resume.", err=True)
        raise
    if not replicas.is_chief:
        return
    part = next(part for part in (dataset.test, dataset.validation, dataset.train) if part is not None)
    golden = part[0][:GOLDEN_COUNT] if isinstance(part, tuple) else part[:GOLDEN_COUNT][0]
    card = modelzoo.save(model, output, overwrite=run["overwrite"], golden=golden)
    if run["as_json"]:
        common.print_json({"path": str(output), "weights_digest": card["weights_digest"], "history": history.history})
        return
    scores = {name: values[-1] for name, values in history.history.items() if not name.endswith("step")}
    if "test_loss" not in scores and dataset.test is not None:  # with held-out samples, training never saw these
        scores |= {f"test_{name}": score for name, score in modelzoo.evaluate(model, dataset).items()}
    places = {"random_": "from random weights: ", "val_": "validation ", "test_": "test "}
    words = {name: functools.reduce(lambda text, old: text.replace(old, places[old]), places, name) for name in scores}
    click.echo("  ".join(f"{words[name]} {score:.4f}" for name, score in scores.items()))
    click.echo(f"Saved to {output} (weights {card['weights_digest'][:12]})")
