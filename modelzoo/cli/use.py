"""``modelzoo evaluate``, ``reproduce``, ``check``, ``predict`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

import modelzoo
from modelzoo import datasets
from modelzoo._io import check_target
from modelzoo.cli.common import (
    as_json,
    data_option,
    data_options,
    import_tensorflow,
    load_data,
    overwrite_option,
    parse_seeds,
    print_json,
    print_scores,
    print_table,
    quiet_stderr,
    stream_option,
)
from modelzoo.errors import InputError

#: Samples that int8 arithmetic takes its ranges from.
CALIBRATION_SAMPLES = 500

_AGREEMENT = ["metric", "here", "card", "difference", "allowed", "", "why so much"]


@click.command()
@click.argument("source")
@data_option
@data_options
@stream_option
@click.option("--split", type=click.Choice(["test", "validation", "train"]), default="test", show_default=True)
@click.option("--all", "thorough", is_flag=True, help="Compare the errors on corrupted images too; slower.")
@as_json
def evaluate(
    source: str,
    data: str | None,
    data_option: tuple[str, ...],
    stream: bool,
    split: Literal["test", "validation", "train"],
    thorough: bool,
    as_json: bool,
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
    if stream and data is None:
        raise InputError("--stream reads a folder. Name it with --data, or leave --stream out.")
    if data_option and data is None:
        raise InputError(f"--data-option {data_option[0]!r} belongs to --data. Name the data, or leave it out.")
    import_tensorflow()
    model = modelzoo.load(source)
    dataset = None if data is None else load_data(data, model.input_shape[1:], data_option, stream=stream)
    metrics: dict[str, Any] = modelzoo.evaluate(model, dataset, split=split)
    agreements = []
    if data is None and split == "test":
        agreements = modelzoo.verify(model, corruptions=thorough)
    agrees = all(agreement.ok for agreement in agreements)
    if as_json:
        if agreements:
            metrics = {**metrics, "agreements": [agreement.to_dict() for agreement in agreements], "agrees": agrees}
        print_json(metrics)
    else:
        click.echo("  ".join(f"{split} {name} {value:.4f}" for name, value in metrics.items()))
        if agreements:
            click.echo()
            print_table(_AGREEMENT, [_agreement_row(agreement) for agreement in agreements])
        elif data is None and split == "test":
            click.echo("The card holds no test results to compare with.")
    if not agrees:
        click.get_current_context().exit(1)


@click.command()
@click.argument("source")
@click.option("--seeds", help="Seeds to train with, such as 0-4 or 0,3; the artifact's own by default.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@as_json
def reproduce(source: str, seeds: str | None, quiet: bool, as_json: bool) -> None:
    """Train SOURCE, a pretrained model or an artifact's directory, again by its card and compare.

    On the kind of machine and with the versions in the card, the weights must come out bit for bit. Anywhere else the
    metrics must lie within their spread over seeds. Exit status 1 means that something does not agree.

    \b
    modelzoo reproduce sigmoid_mlp                 some seconds
    modelzoo reproduce relu_mlp --seeds 0-4        every seed of its card
    """
    chosen = None if seeds is None else parse_seeds(seeds)
    import_tensorflow()

    def callbacks(seed: int) -> list[Any]:
        if quiet or as_json:
            return []
        click.echo(f"seed {seed}", err=True)
        return [modelzoo.training.ProgressBar()]

    found = modelzoo.reproduce(source, chosen, callbacks=callbacks)
    if as_json:
        print_json(found.to_dict())
    else:
        rows = []
        for run in found.runs:
            compared = {agreement.name: agreement for agreement in run.agreements}
            for name, value in run.metrics.items():
                cells = _agreement_row(compared[name]) if name in compared else [name, f"{value:.6g}", "–"] + [""] * 4
                rows.append([str(run.seed), *cells])
        print_table(["seed", *_AGREEMENT], rows)
        click.echo(f"\n{_weights_line(found)}")
    if not found.ok:
        click.get_current_context().exit(1)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@as_json
def check(directory: Path, as_json: bool) -> None:
    """Tell whether any SavedModel can be fine-tuned and served, point by point, and how to mend it.

    The SavedModel is loaded and called as TensorFlow does, so check only what you would load. Exit status 1
    means that a point does not hold.
    """
    import_tensorflow()
    points = modelzoo.check(directory)
    if as_json:
        print_json([vars(point) for point in points])
    else:
        for point in points:
            click.echo(f"{'ok  ' if point.ok else 'FAIL'} {point.name:<22} {point.detail}")
            if point.remedy:
                click.echo(f"{'':<27} → {point.remedy}")
    if not all(point.ok for point in points):
        click.get_current_context().exit(1)


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


@click.command()
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
    import_tensorflow()
    import numpy as np

    from modelzoo.evaluation import interpret
    from modelzoo.registry import card_for

    model = modelzoo.load(source)
    shape = tuple(model.input_shape[1:])
    if len(shape) != 2 or len(model.output_shape) != 2:
        raise InputError(f"{source} does not classify images. Choose another --model, such as two_conv_cnn.")
    if not as_is and shape != (28, 28):
        raise InputError(f"{source} takes images of {shape}, not digits of 28×28. Scale them yourself and add --as-is.")
    pixels = [datasets.read_image(path, size=shape) if as_is else datasets.load_digit_image(path) for path in images]
    outputs = modelzoo.predict(model, np.stack(pixels))
    scores = interpret(model, outputs).probabilities
    scores = outputs if scores is None else scores
    names = card_for(model).class_names or tuple(map(str, range(scores.shape[1])))
    rows = [dict(zip(names, map(float, row), strict=True)) for row in scores]
    if as_json:
        print_json(
            [
                {"image": str(p), "class": max(r, key=r.__getitem__), "scores": r}
                for p, r in zip(images, rows, strict=True)
            ]
        )
        return
    for path, row in zip(images, rows, strict=True):
        click.echo(f"{path}: {max(row, key=row.__getitem__)}")
        print_scores(row)


@click.command()
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
@click.option("--opset", type=click.IntRange(9, 18), help="ONNX alone: version of the operators; 18 by default.")
@click.option("--quantize", type=click.Choice(["int8", "float16"]), help="LiteRT alone: smaller weights.")
@click.option("--batch-size", type=click.IntRange(1), help="LiteRT alone: samples a call takes; any number by default.")
@click.option("--input-type", type=click.Choice(["uint8", "int8"]), help="With int8 of images: integers go in.")
@click.option("--output-type", type=click.Choice(["uint8", "int8"]), help="With int8 of images: integers come out.")
@click.option(
    "--data", help="Training samples for int8 of images: a data set's name, a folder, an .npz or a .csv file."
)
@data_options
@overwrite_option
def export(
    source: str,
    output: Path,
    form: str,
    data: str | None,
    data_option: tuple[str, ...],
    overwrite: bool,
    **options: Any,
) -> None:
    """Write SOURCE, a pretrained model or an artifact's directory, in another place or format.

    Each format takes raw samples, 0–255 pixels or points, and names its input and output alike. 8-bit arithmetic
    of classifiers of images takes the ranges of the activations from training samples: those of the model's own data
    set, or of --data.

    \b
    modelzoo export two_conv_cnn -o models/cnn/1                        for TensorFlow Serving, or to fine-tune
    modelzoo export two_conv_cnn --format keras -o cnn.keras            for keras.models.load_model
    modelzoo export two_conv_cnn --format onnx -o cnn.onnx              for ONNX Runtime
    modelzoo export two_conv_cnn --format litert -o cnn.tflite          for phones and boards
    modelzoo export two_conv_cnn --format litert --quantize int8 -o cnn8.tflite   a quarter of the size
    modelzoo export … --quantize int8 --batch-size 1 --input-type uint8 --output-type uint8 -o …   for a microcontroller
    """
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        owner = "onnx" if name == "opset" else "litert"
        if form != owner:
            raise InputError(f"--{name.replace('_', '-')} {value} goes with --format {owner}, not {form}.")
    quantize = given.get("quantize")
    if quantize != "int8" and (data is not None or data_option):
        raise InputError("--data and --data-option give samples to --quantize int8 alone; leave them out.")
    check_target(output, overwrite=overwrite)
    import_tensorflow()
    from modelzoo.evaluation import own_data
    from modelzoo.saving import needs_calibration, save_keras, save_litert, save_onnx

    model = modelzoo.load(source)
    if form == "saved_model":
        modelzoo.save(model, output, overwrite=overwrite)
    elif form == "keras":
        save_keras(model, output, overwrite=overwrite)
    elif form == "onnx":
        with quiet_stderr():
            save_onnx(model, output, overwrite=overwrite, **given)
    else:
        calibration = None
        if data or needs_calibration(model, quantize):
            # All classes are in an even choice, also where the samples are sorted by class.
            samples = (load_data(data, model.input_shape[1:], data_option) if data else own_data(model)).x_train
            calibration = samples[:: -(-len(samples) // CALIBRATION_SAMPLES)]
        with quiet_stderr():
            save_litert(model, output, calibration=calibration, overwrite=overwrite, **given)
    click.echo(f"Wrote {output}")
