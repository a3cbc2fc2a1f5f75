"""The ``modelzoo`` command. It talks; the library under it does the work."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from modelzoo.errors import InputError, ModelZooError
from modelzoo.files import check_target
from modelzoo.registry import get_spec, list_models
from modelzoo.spec import Recipe


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="modelzoo")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def app(debug: bool) -> None:
    """Train, export, fine-tune and use the classical neural networks.

    \b
    modelzoo list                                  what there is
    modelzoo info two_conv_cnn                     facts and recipes of one network
    modelzoo train two_conv_cnn -o my_cnn          train it by its lesson recipe and export a SavedModel
    modelzoo evaluate my_cnn                       loss and accuracy on its test set, beside its card
    modelzoo reproduce tanh_mlp                    train it again by its card and compare
    modelzoo predict digit.png --model my_cnn      what is this digit?
    modelzoo finetune my_cnn --data photos/ -o new start from trained weights, on your own images
    """


def main() -> None:
    """Run the command; bad input is one line and exit status 2."""
    debug = "--debug" in sys.argv
    try:
        status = app(prog_name="modelzoo", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted.", err=True)
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        ours = isinstance(error, ModelZooError | OSError | MemoryError)
        if debug or not (ours or type(error).__module__.startswith("tensorflow.")):
            raise
        click.echo(f"Error: {(str(error).splitlines() or [type(error).__name__])[0]}", err=True)
        status = 2
    sys.exit(status)


#: Samples that int8 arithmetic takes its ranges from.
CALIBRATION_SAMPLES = 500

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
data_option = click.option(
    "--data", help="Data set: a name (`modelzoo list --datasets`), a folder of class folders, an .npz or a .csv file."
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
            click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Step size."),
            click.option("--log-every", type=click.IntRange(1), help="Steps between two log entries."),
            click.option("--precision", type=click.Choice(["float32", "bfloat16"]), help="Arithmetic of training."),
            click.option("--xla", type=click.Choice(["auto", "loop", "update", "off"]), help="What XLA compiles."),
            click.option("--checkpoint-dir", type=click.Path(path_type=Path), help="Keep checkpoints here."),
            click.option("--resume", is_flag=True, help="Go on from the newest checkpoint in --checkpoint-dir."),
            click.option("--quiet", is_flag=True, help="No progress bar."),
        ]
    ):
        command = option(command)
    return command


@app.command("list")
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
    rows = [
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
        _print_json(rows)
        return
    if not rows:
        raise InputError(f"No model fits {pattern!r} and the filters. See them all: modelzoo list.")
    _print_table(
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
        _print_json(rows)
    else:
        _print_table(["data set", "what it is"], [list(row) for row in rows.items()])


@app.command()
@click.argument("name")
@as_json
def info(name: str, as_json: bool) -> None:
    """Show the facts and recipes of a model, or the card of an artifact: NAME is a model or a directory."""
    if name not in list_models() and Path(name).is_dir():
        from modelzoo.saving import find, read_card

        _print_json(read_card(find(name)))
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
        _print_json(facts)
        return
    click.echo(f"{spec.name}: {spec.summary}\n")
    for key in ("network", "task", "dataset", "source"):
        click.echo(f"  {key:<11}{facts[key]}")
    click.echo(f"  {'parameters':<11}{spec.num_params:,}\n\nBuilder options")
    for key, value in options.items():
        click.echo(f"  {key:<23}{_brief(value)}")
    for key, fields in recipes.items():
        click.echo(f"\nRecipe {key!r}: {fields.pop('source', '')}")
        for field, value in fields.items():
            click.echo(f"  {field:<23}{_brief(value)}")


@app.command()
@click.argument("name")
@output_option
@overwrite_option
@data_option
@data_options
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
    seed: int,
    recipe: str,
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
    modelzoo train dense_500_300 --checkpoint-dir ck        keep checkpoints; after an interruption, the
    modelzoo train dense_500_300 --checkpoint-dir ck --resume    same result as without
    """
    from modelzoo.saving import check_save_target

    spec = get_spec(name)
    plan = _changed(spec.recipe(recipe), changes)
    output = check_save_target(output or Path("build", name), overwrite=overwrite)
    with quiet_tensorflow():
        import modelzoo
        from modelzoo import datasets
    if data is None:
        dataset = datasets.load(spec.dataset, **{**plan.data_options, **_key_values(data_option)})
    else:
        dataset = _load_data(data, spec.options.get("image_shape"), data_option)
    options = dict(plan.model_options)
    if "num_classes" in spec.options:
        options["num_classes"] = dataset.num_classes
    if "image_shape" in spec.options and len(dataset.input_shape) == 2:
        options["image_shape"] = dataset.input_shape
    if "input_dim" in spec.options and len(dataset.input_shape) == 1:
        options["input_dim"] = dataset.input_shape[0]
    model = modelzoo.create_model(name, seed=seed, **options)
    with _interruptible(checkpoint_dir):
        history = modelzoo.train(
            model,
            dataset,
            plan,
            seed=seed,
            callbacks=_progress(quiet or as_json),
            checkpoint_dir=checkpoint_dir,
            resume=resume,
        )
    _finish(model, output, overwrite, dataset, history, as_json)


@app.command()
@click.argument("source")
@click.option("--data", required=True, help="Data set: a name, a folder of class folders, an .npz or a .csv file.")
@data_options
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
    freeze: tuple[str, ...],
    layer_learning_rate: tuple[str, ...],
    backbone_learning_rate: float | None,
    output: Path | None,
    overwrite: bool,
    seed: int,
    recipe: str,
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
    parent = modelzoo.load(source)
    plan, frozen = plan_finetuning(  # before the data are read: a wrong name should not wait for these
        parent,
        recipe=recipe,
        freeze="backbone" if freeze == ("backbone",) else freeze,
        layer_learning_rates=_factors(layer_learning_rate),
        backbone_learning_rate=backbone_learning_rate,
    )
    dataset = _load_data(data, parent.input_shape[1:], data_option)
    with _interruptible(checkpoint_dir):
        model, history = modelzoo.finetune(
            parent,
            dataset,
            freeze=frozen,
            recipe=_changed(plan, changes),
            seed=seed,
            callbacks=_progress(quiet or as_json),
            checkpoint_dir=checkpoint_dir,
            resume=resume,
        )
    _finish(model, output, overwrite, dataset, history, as_json)


@app.command()
@click.argument("source")
@data_option
@data_options
@click.option("--split", type=click.Choice(["test", "train"]), default="test", show_default=True)
@click.option("--all", "thorough", is_flag=True, help="Compare the errors on corrupted images too; slower.")
@as_json
def evaluate(
    source: str, data: str | None, data_option: tuple[str, ...], split: str, thorough: bool, as_json: bool
) -> None:
    """Compute loss and accuracy of SOURCE, a pretrained model or an artifact's directory.

    On the artifact's own test data the numbers in its card are measured again and compared; exit status 1 means that
    one does not agree.

    \b
    modelzoo evaluate two_conv_cnn                 its own test data, beside its card
    modelzoo evaluate two_conv_cnn --all           with the errors on shifted, turned, noisy and blurred images
    modelzoo evaluate my_cnn --data letters/       other data: loss and accuracy
    """
    if thorough and (data is not None or split != "test"):
        raise InputError("--all compares with the card on the artifact's own test data. Leave --data and --split out.")
    with quiet_tensorflow():
        import modelzoo
    model = modelzoo.load(source)
    dataset = None if data is None else _load_data(data, model.input_shape[1:], data_option)
    metrics: dict[str, Any] = modelzoo.evaluate(model, dataset, split=split)
    agreements = []
    if data is None and split == "test":
        agreements = modelzoo.verify(model, corruptions=thorough)
    agrees = all(agreement.ok for agreement in agreements)
    if as_json:
        if agreements:
            metrics = {**metrics, "agreements": [agreement.to_dict() for agreement in agreements], "agrees": agrees}
        _print_json(metrics)
    else:
        click.echo("  ".join(f"{split} {name} {value:.4f}" for name, value in metrics.items()))
        if agreements:
            click.echo()
            _print_table(_AGREEMENT, [_agreement_row(agreement) for agreement in agreements])
    if not agrees:
        click.get_current_context().exit(1)


@app.command()
@click.argument("source")
@click.option("--seeds", help="Seeds to train with, such as 0-4 or 0,3; the artifact's own by default.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@as_json
def reproduce(source: str, seeds: str | None, quiet: bool, as_json: bool) -> None:
    """Train SOURCE, a pretrained model or an artifact's directory, again by its card and compare.

    On the kind of machine and with the versions in the card, the weights must come out bit for bit. Anywhere else the
    metrics must lie within their spread over seeds. Exit status 1 means that something does not agree.

    \b
    modelzoo reproduce tanh_mlp                    a second or two
    modelzoo reproduce relu_mlp --seeds 0-4        every seed of its card
    """
    chosen = None if seeds is None else _seeds(seeds)
    with quiet_tensorflow():
        import modelzoo

    def callbacks(seed: int) -> list[Any]:
        if quiet or as_json:
            return []
        click.echo(f"seed {seed}", err=True)
        return [modelzoo.training.ProgressBar()] if sys.stderr.isatty() else []

    found = modelzoo.reproduce(source, chosen, callbacks=callbacks)
    if as_json:
        _print_json(found.to_dict())
    else:
        rows = []
        for run in found.runs:
            compared = {agreement.name: agreement for agreement in run.agreements}
            for name, value in run.metrics.items():
                cells = _agreement_row(compared[name]) if name in compared else [name, f"{value:.6g}", "–"] + [""] * 4
                rows.append([str(run.seed), *cells])
        _print_table(["seed", *_AGREEMENT], rows)
        click.echo(f"\n{_weights_line(found)}")
    if not found.ok:
        click.get_current_context().exit(1)


_AGREEMENT = ["metric", "here", "card", "difference", "allowed", "", "why so much"]


def _agreement_row(agreement: Any) -> list[str]:
    a = agreement
    numbers = [f"{a.value:.6g}", f"{a.recorded:.6g}", f"{a.difference:+.1e}", f"{a.tolerance:.1e}"]
    return [a.name, *numbers, "agrees" if a.ok else "DIFFERS", a.reason]


def _weights_line(found: Any) -> str:
    """Say whether the weights came out as in the artifact, and whether they had to."""
    if found.same_weights is None:
        return f"Weights: not compared, because the artifact has seed {found.seed}."
    if found.same_weights:
        return f"Weights: the artifact's, bit for bit ({found.weights_digest[:12]})."
    if not found.machine_differences:
        return "Weights: they DIFFER from the artifact's, on the same kind of machine with the same versions."
    changes = ", ".join(f"{key} {there} there, {here} here" for key, (there, here) in found.machine_differences.items())
    return f"Weights: not bit for bit the artifact's, as may be on another machine ({changes})."


def _seeds(text: str) -> list[int]:
    """Turn "0-4" or "0,3" into a list of seeds."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except ValueError:
        ends = []
    if not ends or any(len(part) > 2 or not 0 <= part[-1] - part[0] < 1000 for part in ends):
        raise InputError(f"--seeds {text!r} is not a list of seeds. Write 0-4 or 0,3.")
    return [seed for part in ends for seed in range(part[0], part[-1] + 1)]


@app.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("-m", "--model", "source", default="two_conv_cnn", show_default=True, help="Model or directory.")
@click.option("--as-is", is_flag=True, help="The images are in the model's own form: do not crop, centre or invert.")
@as_json
def predict(images: tuple[Path, ...], source: str, as_is: bool, as_json: bool) -> None:
    """Classify image files: photos or drawings of one digit each, dark on light or light on dark.

    \b
    modelzoo predict photo.jpg                     scores of each class, as bars
    modelzoo predict *.png -m my_cnn --json        for a script
    """
    with quiet_tensorflow():
        import modelzoo
        from modelzoo import datasets
        from modelzoo.registry import origin_of
    import numpy as np

    model = modelzoo.load(source)
    shape = tuple(model.input_shape[1:])
    if len(shape) != 2 or len(model.output_shape) != 2:
        raise InputError(f"{source} does not classify images. Choose another --model, such as two_conv_cnn.")
    if not as_is and shape != (28, 28):
        raise InputError(f"{source} takes images of {shape}, not digits of 28×28. Scale them yourself and add --as-is.")
    pixels = [datasets.read_image(path, size=shape) if as_is else datasets.load_digit_image(path) for path in images]
    scores = modelzoo.predict(model, np.stack(pixels))
    if model.layers[-1].name == "logits":
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
    names = origin_of(model).class_names or tuple(map(str, range(scores.shape[1])))
    rows = [dict(zip(names, map(float, row), strict=True)) for row in scores]
    if as_json:
        _print_json(
            [
                {"image": str(p), "class": max(r, key=r.__getitem__), "scores": r}
                for p, r in zip(images, rows, strict=True)
            ]
        )
        return
    for path, row in zip(images, rows, strict=True):
        click.echo(f"{path}: {max(row, key=row.__getitem__)}")
        print_scores(row)


@app.command()
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Where to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["saved_model", "keras", "onnx", "litert"]),
    default="saved_model",
    show_default=True,
    help="A directory for saved_model; else a file that ends in .keras, .onnx or .tflite.",
)
@click.option(
    "--quantize", type=click.Choice(["int8", "float16"]), help="LiteRT alone: smaller weights, or 8-bit arithmetic."
)
@click.option("--data", help="Training samples for int8: a data set's name, a folder, an .npz or a .csv file.")
@data_options
@overwrite_option
def export(
    source: str,
    output: Path,
    form: str,
    quantize: str | None,
    data: str | None,
    data_option: tuple[str, ...],
    overwrite: bool,
) -> None:
    """Write SOURCE, a pretrained model or an artifact's directory, in another place or format.

    Each format takes raw samples, 0–255 pixels or points, and names its input and output alike. 8-bit arithmetic
    takes the ranges of the activations from training samples: those of the model's own data set, or of --data.

    \b
    modelzoo export two_conv_cnn -o models/cnn/1                        for TensorFlow Serving, or to fine-tune
    modelzoo export two_conv_cnn --format keras -o cnn.keras            for keras.models.load_model
    modelzoo export two_conv_cnn --format onnx -o cnn.onnx              for ONNX Runtime
    modelzoo export two_conv_cnn --format litert -o cnn.tflite          for phones and boards
    modelzoo export two_conv_cnn --format litert --quantize int8 -o cnn8.tflite   a quarter of the size
    """
    if quantize is not None and form != "litert":
        raise InputError(f"--quantize {quantize} goes with --format litert, not {form}.")
    if quantize != "int8" and (data is not None or data_option):
        raise InputError("--data and --data-option give samples to --quantize int8 alone; leave them out.")
    check_target(output, overwrite=overwrite)
    with quiet_tensorflow():
        import modelzoo
        from modelzoo.evaluation import own_data
        from modelzoo.saving import save_keras, save_litert, save_onnx
    model = modelzoo.load(source)
    if form == "saved_model":
        modelzoo.save(model, output, overwrite=overwrite)
    elif form == "keras":
        save_keras(model, output, overwrite=overwrite)
    elif form == "onnx":
        with quiet_stderr():
            save_onnx(model, output, overwrite=overwrite)
    else:
        calibration = None
        if quantize == "int8":
            # All classes are in an even choice, also where the samples are sorted by class.
            samples = (_load_data(data, model.input_shape[1:], data_option) if data else own_data(model)).x_train
            calibration = samples[:: -(-len(samples) // CALIBRATION_SAMPLES)]
        with quiet_stderr():
            save_litert(model, output, quantize=quantize, calibration=calibration, overwrite=overwrite)
    click.echo(f"Wrote {output}")


@app.command()
@click.argument("directory", type=click.Path(path_type=Path))
@as_json
def check(directory: Path, as_json: bool) -> None:
    """Tell whether any SavedModel can be fine-tuned and served, point by point, and how to mend it.

    The SavedModel is loaded and called as TensorFlow does, so check only what you would load. Exit status 1
    means that a point does not hold.
    """
    with quiet_tensorflow():
        import modelzoo
    points = modelzoo.check(directory)
    if as_json:
        _print_json([vars(point) for point in points])
    else:
        for point in points:
            click.echo(f"{'ok  ' if point.ok else 'FAIL'} {point.name:<22} {point.detail}")
            if point.remedy:
                click.echo(f"{'':<27} → {point.remedy}")
    if not all(point.ok for point in points):
        click.get_current_context().exit(1)


def print_scores(scores: Mapping[str, float], width: int = 40) -> None:
    """Print class scores as bars, one line a class."""
    longest = max(map(len, scores))
    best = max(scores, key=scores.__getitem__)
    for name, score in scores.items():
        bar = "█" * round(score * width) or "▏"
        click.echo(f"  {name:>{longest}} {click.style(bar, bold=name == best)} {score:.1%}")


def _load_data(data: str, shape: Any, options: tuple[str, ...]) -> Any:
    """Load a data set for a model of that input shape: the pixels of a csv become images, those of a folder fit."""
    from modelzoo import datasets

    given = _key_values(options)
    path = Path(data)
    if data not in datasets.list_datasets() and shape is not None and len(shape) == 2:
        if path.suffix == ".csv":
            given.setdefault("shape", tuple(shape))
        elif path.is_dir() and any(child.is_dir() for child in path.iterdir()):
            given.setdefault("size", tuple(shape))
    return datasets.load(data, **given)


def _key_values(options: tuple[str, ...]) -> dict[str, Any]:
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


def _factors(options: tuple[str, ...]) -> dict[str, float]:
    """Turn LAYER=FACTOR into a dictionary."""
    result = {}
    for option in options:
        layer, _, factor = option.partition("=")
        try:
            result[layer] = float(factor)
        except ValueError:
            raise InputError(f"--layer-learning-rate {option!r} is not LAYER=FACTOR, such as hidden=0.1.") from None
    return result


def _changed(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    return recipe.replace(**{name: value for name, value in changes.items() if value is not None})


def _progress(quiet: bool) -> list[Any]:
    if quiet:
        return []
    from modelzoo.training import ProgressBar

    return [ProgressBar(keep_lines=not sys.stderr.isatty())]


@contextlib.contextmanager
def _interruptible(checkpoint_dir: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        if checkpoint_dir is not None and any(checkpoint_dir.glob("step-*.npz")):
            click.echo(
                f"The last checkpoint is in {checkpoint_dir}. Go on with the same command and --resume.", err=True
            )
        raise


def _finish(model: Any, output: Path, overwrite: bool, dataset: Any, history: Any, as_json: bool) -> None:
    import modelzoo
    from modelzoo.saving import GOLDEN_COUNT

    card = modelzoo.save(model, output, overwrite=overwrite, golden=dataset.x_test[:GOLDEN_COUNT])
    if as_json:
        _print_json({"path": str(output), "weights_digest": card["weights_digest"], "history": history.history})
        return
    scores = {name: values[-1] for name, values in history.history.items() if not name.endswith("step")}
    click.echo("  ".join(f"{name.replace('val_', 'test ')} {value:.4f}" for name, value in scores.items()))
    click.echo(f"Saved to {output} (weights {card['weights_digest'][:12]})")


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def _brief(value: Any) -> str:
    if isinstance(value, Mapping) and "class_name" in value:
        return f"{value['class_name']}({', '.join(f'{k}={v}' for k, v in value['config'].items())})"
    return str(value)


def _print_table(header: list[str], rows: list[list[str]], right: int = -1) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in [header, ["─" * width for width in widths], *rows]:
        cells = [f"{c:>{w}}" if i == right else f"{c:<{w}}" for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        click.echo("  ".join(cells).rstrip())


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow without the notes its C++ part writes to standard error, past Python's ``sys.stderr``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import tensorflow  # noqa: F401
    yield


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to standard error meanwhile, also by C++; errors are raised all the same."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


if __name__ == "__main__":
    main()
