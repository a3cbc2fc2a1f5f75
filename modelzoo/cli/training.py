"""``modelzoo train`` and ``finetune``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from modelzoo.cli.options import (
    as_json,
    changed,
    data_option,
    data_options,
    factors,
    key_values,
    load_data,
    output_option,
    overwrite_option,
    recipe_options,
    seed_option,
    stream_option,
)
from modelzoo.cli.output import print_json, quiet_stderr, quiet_tensorflow
from modelzoo.errors import InputError
from modelzoo.registry import get_spec


@click.command()
@click.argument("name")
@output_option
@overwrite_option
@data_option
@data_options
@stream_option
@seed_option
@click.option("--recipe", default="lesson", show_default=True, help="Name of one of the model's recipes.")
@recipe_options
@as_json
def train(
    name: str,
    output: Path | None,
    overwrite: bool,
    data: str | None,
    data_option: tuple[str, ...],
    stream: bool,
    seed: int,
    recipe: str,
    strategy: str | None,
    checkpoint_dir: Path | None,
    resume: bool,
    quiet: bool,
    as_json: bool,
    **changes: Any,
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
    from modelzoo.saving import check_save_target

    spec = get_spec(name)
    plan = changed(spec.recipe(recipe), changes)
    if stream and data is None:
        raise InputError("--stream reads a folder as training goes. Name it with --data, or leave --stream out.")
    output = check_save_target(output or Path("build", name), overwrite=overwrite)
    with quiet_tensorflow():
        import modelzoo
        from modelzoo import datasets
    replicas = start_replicas(strategy)
    if data is None:
        dataset = datasets.load(spec.dataset, **{**plan.data_options, **key_values(data_option)})
    else:
        dataset = load_data(data, spec.options.get("image_shape"), data_option, stream=stream)
    options = dict(plan.model_options)
    if "num_classes" in spec.options:
        options["num_classes"] = dataset.num_classes
    if "image_shape" in spec.options and len(dataset.input_shape) == 2:
        options["image_shape"] = dataset.input_shape
    if "input_dim" in spec.options and len(dataset.input_shape) == 1:
        options["input_dim"] = dataset.input_shape[0]
    model = modelzoo.create_model(name, seed=seed, **options)
    with interruptible(checkpoint_dir):
        history = modelzoo.train(
            model,
            dataset,
            plan,
            seed=seed,
            strategy=replicas.strategy,
            callbacks=progress_bars(quiet or as_json or not replicas.is_chief),
            checkpoint_dir=checkpoint_dir,
            resume=resume,
        )
    if replicas.is_chief:
        finish(model, output, overwrite, dataset, history, as_json)


@click.command()
@click.argument("source")
@click.option(
    "--data",
    required=True,
    help="Data set: a name, a folder of class folders or TFRecord shards, an .npz or a .csv file.",
)
@data_options
@stream_option
@click.option("--freeze", multiple=True, help="'backbone' (all but the head) or a layer's name; repeat for several.")
@click.option(
    "--layer-learning-rate",
    multiple=True,
    metavar="LAYER=FACTOR",
    help="Multiply the learning rate of one layer, e.g. hidden=0.1; repeat for several.",
)
@click.option("--backbone-learning-rate", type=float, metavar="FACTOR", help="The same for all layers but the head.")
@output_option
@overwrite_option
@seed_option
@click.option(
    "--recipe",
    default="finetuning",
    show_default=True,
    help="'finetuning' (Adam, 1000 steps; points: 'lesson') or one of the model's recipes, such as 'lesson'.",
)
@recipe_options
@as_json
def finetune(
    source: str,
    data: str,
    data_option: tuple[str, ...],
    stream: bool,
    freeze: tuple[str, ...],
    layer_learning_rate: tuple[str, ...],
    backbone_learning_rate: float | None,
    output: Path | None,
    overwrite: bool,
    seed: int,
    recipe: str,
    strategy: str | None,
    checkpoint_dir: Path | None,
    resume: bool,
    quiet: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Train SOURCE, a pretrained model or an artifact's directory, further on other data, and export it.

    Where the data have other classes, the head (the layer "logits") starts anew; all else keeps its weights.

    \b
    modelzoo finetune two_conv_cnn --data letters/ -o letters                     train all layers
    modelzoo finetune two_conv_cnn --data few.npz --freeze backbone -o few        only the head
    modelzoo finetune two_conv_cnn --data few.npz --backbone-learning-rate 0.1    all, the head fastest
    modelzoo finetune letters --data more.csv --freeze conv_1 --epochs 5          go on from your own artifact
    """
    from modelzoo.saving import check_save_target

    output = check_save_target(output or Path("build", f"{Path(source).name}_finetuned"), overwrite=overwrite)
    with quiet_tensorflow():
        import modelzoo
        from modelzoo.finetuning import plan_finetuning
    replicas = start_replicas(strategy)
    parent = modelzoo.load(source)
    plan, frozen = plan_finetuning(  # before the data are read: a wrong name should not wait for these
        parent,
        recipe=recipe,
        freeze=freeze,
        layer_learning_rates=factors(layer_learning_rate),
        backbone_learning_rate=backbone_learning_rate,
    )
    dataset = load_data(data, parent.input_shape[1:], data_option, stream=stream)
    with interruptible(checkpoint_dir):
        model, history = modelzoo.finetune(
            parent,
            dataset,
            freeze=frozen,
            recipe=changed(plan, changes),
            seed=seed,
            strategy=replicas.strategy,
            callbacks=progress_bars(quiet or as_json or not replicas.is_chief),
            checkpoint_dir=checkpoint_dir,
            resume=resume,
        )
    if replicas.is_chief:
        finish(model, output, overwrite, dataset, history, as_json)


def start_replicas(strategy: str | None) -> Any:
    """Return the devices that train together; must come before anything else that TensorFlow does."""
    from modelzoo.training import Replicas, create_strategy

    if strategy is None:
        return Replicas()
    if strategy == "multi-worker":
        click.echo("Waiting for all workers of TF_CONFIG", err=True)
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    with quiet_stderr():
        return Replicas(create_strategy(strategy))


def progress_bars(quiet: bool) -> list[Any]:
    """Return the callback that shows progress, unless there shall be none."""
    if quiet:
        return []
    from modelzoo.training import ProgressBar

    return [ProgressBar(keep_lines=not sys.stderr.isatty())]


@contextlib.contextmanager
def interruptible(checkpoint_dir: Path | None) -> Iterator[None]:
    """Say on Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint_dir is not None and any(checkpoint_dir.glob("step-*.npz")):
            click.echo(
                f"The last checkpoint is in {checkpoint_dir}. Go on with the same command and --resume.", err=True
            )
        raise


def finish(model: Any, output: Path, overwrite: bool, dataset: Any, history: Any, as_json: bool) -> None:
    """Save what was trained and print how good it is."""
    import modelzoo
    from modelzoo import datasets
    from modelzoo.saving import GOLDEN_COUNT

    streamed = isinstance(dataset, datasets.Stream)
    golden = dataset.test[:GOLDEN_COUNT][0] if streamed else dataset.x_test[:GOLDEN_COUNT]
    card = modelzoo.save(model, output, overwrite=overwrite, golden=golden)
    if as_json:
        print_json({"path": str(output), "weights_digest": card["weights_digest"], "history": history.history})
        return
    # A recipe that holds samples out never saw the test data.
    scores = {name: values[-1] for name, values in history.history.items() if not name.endswith("step")}
    scores = {name.replace("val_", "validation ").replace("test_", "test "): score for name, score in scores.items()}
    if "test loss" not in scores:
        scores |= {f"test {name}": score for name, score in modelzoo.evaluate(model, dataset).items()}
    click.echo("  ".join(f"{name} {score:.4f}" for name, score in scores.items()))
    click.echo(f"Saved to {output} (weights {card['weights_digest'][:12]})")
