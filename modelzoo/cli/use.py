"""``modelzoo evaluate``, ``reproduce``, ``check``, ``predict`` and ``export``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

import modelzoo
from modelzoo._io import atomic_file, check_target
from modelzoo.cli import common
from modelzoo.datasets import list_datasets
from modelzoo.errors import InputError
from modelzoo.pages.markdown import class_rows
from modelzoo.registry import card_for

#: Samples that int8 arithmetic takes its ranges from.
CALIBRATION_SAMPLES = 2000

#: The formats of files by their ending.
_ENDINGS = {".html": "html", ".keras": "keras", ".onnx": "onnx", ".tflite": "litert"}

_AGREEMENT = ["metric", "here", "card", "difference", "allowed", "", "why so much"]


@click.command()
@click.argument("source")
@common.data_option()
@common.data_options
@common.stream_option
@common.split_option
@click.option("--all", "thorough", is_flag=True, help="Compare the errors on corrupted images too; slower.")
@click.option("--per-class", is_flag=True, help="Precision, recall and F1 of each class too.")
@click.option("--min-accuracy", type=click.FloatRange(0, 1), help="Exit with status 1 below this accuracy.")
@common.as_json
def evaluate(
    source: str,
    data: str | None,
    data_option: tuple[str, ...],
    stream: bool,
    split: str | None,
    thorough: bool,
    per_class: bool,
    min_accuracy: float | None,
    as_json: bool,
) -> None:
    """Compute loss and accuracy of SOURCE, a pretrained model or an artifact's directory.

    On the artifact's own test data the numbers in its card are measured again and compared; exit status 1 means that
    one does not agree, or that the accuracy is below --min-accuracy.

    \b
    modelzoo evaluate two_conv_cnn                 its own test data, beside its card
    modelzoo evaluate two_conv_cnn --all           with the errors on shifted, turned, noisy and blurred images
    modelzoo evaluate my_cnn --data letters/       other data: loss and accuracy
    modelzoo evaluate my_cnn --per-class           which classes it takes for others
    """
    if thorough and (data is not None or split is not None):
        raise InputError("--all compares with the card on the artifact's own test data. Leave --data and --split out.")
    if stream and data is None:
        raise InputError("--stream reads a folder. Name it with --data, or leave --stream out.")
    if data_option and data is None:
        raise InputError(f"--data-option {data_option[0]!r} belongs to --data. Name the data, or leave it out.")
    from modelzoo.evaluation import count_confusions, measure, part_of, ready, recipe_of, report_by_class, score
    from modelzoo.verification import compare_with_card

    model = ready(source)
    recipe, given = recipe_of(model), None if data is None else _given_data(data, [model], data_option, split, stream)
    for option, asked in {"--min-accuracy": min_accuracy is not None, "--per-class": per_class}.items():
        if asked and recipe.reconstruct:
            raise InputError(f"{option} is of classifiers; {source} has a loss alone. Leave it out.")
    samples = part_of(model, given, split or "test", reconstruct=recipe.reconstruct, arrays=per_class)
    count = len(samples[0] if isinstance(samples, tuple) else samples)
    own = data is None and split in (None, "test")
    classes: dict[str, Any] = {}
    agreements: list[Any] = []
    if own:
        found = measure(model, samples, corruptions=thorough)
        metrics = {name: found[f"test_{name}"] for name in ("loss", "accuracy") if f"test_{name}" in found}
        classes, agreements = found.get("classes", {}), compare_with_card(model, found, count)
    else:
        metrics, guessed = score(model, samples, recipe, classes=per_class)
        if guessed is not None:
            names = modelzoo.class_names(model)
            classes = report_by_class(count_confusions(samples[1], guessed.classes, len(names)), names)
    if not per_class:
        classes = {}
    accurate = min_accuracy is None or metrics["accuracy"] >= min_accuracy
    agrees = all(agreement.ok for agreement in agreements)
    if as_json:
        told = {**metrics, "samples": count} | ({"classes": classes} if classes else {})
        if agreements:
            told |= {"agreements": [agreement.to_dict() for agreement in agreements], "agrees": agrees}
        common.print_json(told)
    else:
        part = split or "test"
        click.echo("  ".join(f"{part} {name} {value:.4f}" for name, value in metrics.items()) + f"  {count:,} samples")
        if classes:
            click.echo()
            common.print_table(["class", "precision", "recall", "F1", "samples"], class_rows(classes), right=4)
        if agreements:
            click.echo()
            common.print_table(_AGREEMENT, [_agreement_row(agreement) for agreement in agreements])
        elif own:
            click.echo("The card holds no test results to compare with.")
    if not accurate:
        click.echo(f"The accuracy {metrics['accuracy']:.4f} is below {min_accuracy:g}.", err=True)
    if not (agrees and accurate):
        click.get_current_context().exit(1)


def _given_data(
    data: str, models: Sequence[Any], options: tuple[str, ...], split: str | None, stream: bool = False
) -> Any:
    """Load data to measure on: all of a folder or table without parts, unless a model was trained on a part of it.

    Then they are loaded as for its training, so that the same part is held out. The first of several models that was
    trained on the data decides.
    """
    from modelzoo.evaluation import own_folder, own_options

    used = [known for model in models if (known := own_options(model, data)) is not None]
    if any(known != used[0] for known in used[1:]):
        click.echo(f"{data}: the models were trained on it with different options; the first one's are used.", err=True)
    defaults = (
        used[0] if used else {"test_fraction": 0} if split in (None, "all") and data not in list_datasets() else {}
    )
    shape, preparation = models[0].input_shape[1:], card_for(models[0]).preparation
    given = common.load_data(data, shape, options, preparation=preparation, stream=stream, **defaults)
    whole = not used and not split and given.test is None and Path(data).is_dir()
    if whole and (other := next(filter(None, map(own_folder, models)), None)):
        same = "".join(f" --data-option {k}={v}" for k, v in other["options"].items() if k in ("seed", "test_fraction"))
        advice = (
            f"If the two share images, --split test{same} measures what neither was trained on."
            if other.get("num_test")
            else "Nothing was held out there: images that the two share are no test."
        )
        click.echo(f"{data}: all samples are measured. Training used {other['name']!r}. {advice}", err=True)
    untested = given.test is None or any(known.get("test_fraction") == 0 for known in used)
    if used and untested and split in (None, "test"):
        raise InputError(
            f"{data} has no test part, so that all samples trained a model. Measure on other --data, or name --split."
        )
    return given


@click.command()
@click.argument("first")
@click.argument("second")
@common.data_option()
@common.data_options
@common.split_option
@common.as_json
def compare(
    first: str, second: str, data: str | None, data_option: tuple[str, ...], split: str | None, as_json: bool
) -> None:
    """Compare two classifiers, FIRST and SECOND, on the same samples: those FIRST was trained for, or --data.

    McNemar's test asks how likely so uneven a number of samples that one alone gets right is, if both are equally good.

    \b
    modelzoo compare dense_500_300 two_conv_cnn
    modelzoo compare my_cnn_2 my_cnn --data letters/
    """
    from modelzoo.evaluation import mcnemar_test, own_data, part_of, ready, recipe_of, score

    models = [ready(source) for source in (first, second)]
    given = own_data(models[0]) if data is None else _given_data(data, models, data_option, split)
    metrics, right = [], []
    for source, model in zip((first, second), models, strict=True):
        recipe = recipe_of(model)
        if recipe.reconstruct:
            raise InputError(f"{source} is not a classifier. Compare two classifiers.")
        samples = part_of(model, given, split or "test", arrays=True)
        scores, found = score(model, samples, recipe, classes=True)
        assert found is not None
        metrics.append(scores)
        right.append(found.classes == samples[1])
    (only, p_value), count = mcnemar_test(*right), len(right[0])
    if as_json:
        told = [{"model": s, **m, "only": n} for s, m, n in zip((first, second), metrics, only, strict=True)]
        common.print_json({"models": told, "samples": count, "p_value": p_value})
        return
    rows = [
        [s, f"{m['loss']:.4f}", f"{m['accuracy']:.4f}", f"{n:,}"]
        for s, m, n in zip((first, second), metrics, only, strict=True)
    ]
    common.print_table(["model", "loss", "accuracy", "right where the other is wrong"], rows, right=3)
    click.echo(f"\n{count:,} samples, McNemar's exact test: p = {p_value:.2g}")


@click.command()
@click.argument("source")
@click.option("--seeds", help="Seeds to train with, such as 0-4 or 0,3; the artifact's own by default.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@common.as_json
def reproduce(source: str, seeds: str | None, quiet: bool, as_json: bool) -> None:
    """Train SOURCE, a pretrained model or an artifact's directory, again by its card and compare.

    On the kind of machine and with the versions in the card, the weights must come out bit for bit. Anywhere else the
    metrics must lie within their spread over seeds. Exit status 1 means that something does not agree.

    \b
    modelzoo reproduce sigmoid_mlp                 some seconds
    modelzoo reproduce relu_mlp --seeds 0-4        every seed of its card
    """
    chosen = None if seeds is None else common.parse_seeds(seeds)
    common.import_tensorflow()

    def callbacks(seed: int) -> list[Any]:
        if quiet or as_json:
            return []
        click.echo(f"seed {seed}", err=True)
        return [modelzoo.training.ProgressBar()]

    found = modelzoo.reproduce(source, chosen, callbacks=callbacks)
    if as_json:
        common.print_json(found.to_dict())
    else:
        rows = []
        for run in found.runs:
            compared = {agreement.name: agreement for agreement in run.agreements}
            for name, value in run.metrics.items():
                cells = _agreement_row(compared[name]) if name in compared else [name, f"{value:.6g}", "–"] + [""] * 4
                rows.append([str(run.seed), *cells])
        common.print_table(["seed", *_AGREEMENT], rows)
        click.echo(f"\n{_weights_line(found)}")
    if not found.ok:
        click.get_current_context().exit(1)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--files", "files_only", is_flag=True, help="Compare the files with their card alone; loads nothing.")
@common.as_json
def check(directory: Path, files_only: bool, as_json: bool) -> None:
    """Tell whether any SavedModel can be fine-tuned and served, point by point, and how to mend it.

    The SavedModel is loaded and called as TensorFlow does, so check only what you would load. Exit status 1
    means that a point does not hold.
    """
    if not files_only:
        common.import_tensorflow()
    points = modelzoo.check(directory, files_only=files_only)
    if as_json:
        common.print_json([vars(point) for point in points])
    else:
        for point in points:
            click.echo(f"{'ok  ' if point.ok else 'FAIL'} {point.name:<22} {point.detail}")
            if point.remedy:
                click.echo(f"{'':<27} → {point.remedy}")
    if not all(point.ok for point in points):
        click.get_current_context().exit(1)


def _agreement_row(a: Any) -> list[str]:
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
@click.argument("files", nargs=-1, required=True)
@click.option("-m", "--model", "source", default="two_conv_cnn", show_default=True, help="Model or directory.")
@click.option(
    "--prepare",
    type=click.Choice(["digit", "resize"]),
    help="How images become samples: crop, centre and invert one digit, or scale alone. By default as in training.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write a .csv table instead of printing.")
@common.overwrite_option
@common.as_json
def predict(
    files: tuple[str, ...],
    source: str,
    prepare: Literal["digit", "resize"] | None,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Classify FILES: images, each a sample, or .csv tables, each row a sample.

    Photos and drawings of digits, dark on light or light on dark, are what the zoo's own networks are made for. In a
    picture of several digits each is a sample, in reading order; ? marks what is probably not one digit.

    \b
    modelzoo predict photo.jpg                     scores of each class, as bars
    modelzoo predict *.png -m my_cnn --json        for a script
    modelzoo predict pixels.csv -o classes.csv     the class and the probabilities of each row
    """
    if output is not None:
        check_target(output, overwrite=overwrite)
    import numpy as np

    from modelzoo.evaluation import digits_of, doubts, interpret, ready, text_of

    model = ready(source)
    names = modelzoo.class_names(model)
    if not names:
        raise InputError(f"{source} does not classify. Choose another --model, such as two_conv_cnn.")
    results: list[tuple[str, list[dict[str, Any]]]] = []  # what each file shows, and its samples
    for file in files:
        digits = digits_of(model, file, prepare=prepare)
        found = interpret(model, modelzoo.predict(model, digits.samples if digits else file, prepare=prepare))
        scores = np.eye(len(names))[found.classes] if found.probabilities is None else found.probabilities
        samples: list[dict[str, Any]] = [
            {"sample": f"{file}:{number}" if len(scores) > 1 else file, "class": names[row.argmax()]}
            | {"scores": dict(zip(names, map(float, row), strict=True))}
            for number, row in enumerate(scores, 1)
        ]
        if digits:
            for sample, box, line, doubt in zip(
                samples, digits.boxes, digits.lines, doubts(digits, scores), strict=True
            ):
                sample |= {"box": box.tolist(), "line": int(line) + 1, "doubt": doubt}
        results.append((text_of(digits, [s["class"] for s in samples]) if digits else samples[0]["class"], samples))
    rows = [sample for _, samples in results for sample in samples]
    if output is not None or (not as_json and any(file.lower().endswith(".csv") for file in files)):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["sample", "class", *names])
        writer.writerows([row["sample"], row["class"], *map(repr, row["scores"].values())] for row in rows)
        if output is None:
            click.echo(text.getvalue(), nl=False)
        else:
            with atomic_file(output, overwrite=overwrite) as temporary:
                temporary.write_text(text.getvalue(), encoding="utf-8")
            click.echo(f"Wrote {output}")
        return
    if as_json:
        common.print_json(rows)
        return
    for file, (shown, samples) in zip(files, results, strict=True):
        notes = [f"  ? {sample['doubt']}" if sample.get("doubt") else "" for sample in samples]
        if len(samples) == 1:
            click.echo(f"{file}: {shown}{notes[0]}")
            common.print_scores(samples[0]["scores"])
            continue
        click.echo(f"{file}: {shown}")
        for sample, note in zip(samples, notes, strict=True):
            common.print_scores({sample["class"]: sample["scores"][sample["class"]]}, note=note)


@click.command()
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Where to write.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["saved_model", "keras", "onnx", "litert", "tflite", "html"]),
    help="By default what the output ends in, .keras, .onnx, .tflite or .html, and else saved_model, a directory.",
)
@click.option("--opset", type=click.IntRange(9, 18), help="ONNX alone: version of the operators; 18 by default.")
@click.option("--quantize", type=click.Choice(["int8", "float16"]), help="LiteRT alone: smaller weights.")
@click.option("--batch-size", type=click.IntRange(1), help="LiteRT alone: samples a call takes; any number by default.")
@click.option("--input-type", type=click.Choice(["uint8", "int8"]), help="With int8 of images: integers go in.")
@click.option("--output-type", type=click.Choice(["uint8", "int8"]), help="With int8 of images: integers come out.")
@click.option(
    "--data", help="Training samples for int8 of images: a data set's name, a folder, an .npz or a .csv file."
)
@common.data_options
@common.overwrite_option
def export(
    source: str,
    output: Path,
    form: str | None,
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
    modelzoo export two_conv_cnn -o cnn.keras                           for keras.models.load_model
    modelzoo export two_conv_cnn -o cnn.onnx                            for ONNX Runtime
    modelzoo export two_conv_cnn -o cnn.tflite                          for phones and boards
    modelzoo export two_conv_cnn --quantize int8 -o cnn8.tflite         a quarter of the size
    modelzoo export two_conv_cnn -o cnn.html                            one page to play with in any browser
    modelzoo export … --quantize int8 --batch-size 1 --input-type uint8 --output-type uint8 -o …   for a microcontroller
    """
    form = "litert" if form == "tflite" else form or _ENDINGS.get(output.suffix, "saved_model")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        owner = "onnx" if name == "opset" else "litert"
        if form != owner:
            raise InputError(f"--{name.replace('_', '-')} {value} goes with --format {owner}, not {form}.")
    quantize = given.get("quantize")
    if quantize != "int8" and (data is not None or data_option):
        raise InputError("--data and --data-option give samples to --quantize int8 alone; leave them out.")
    check_target(output, overwrite=overwrite)
    if form == "saved_model":
        modelzoo.saving.copy_artifact(source, output, overwrite=overwrite)
        click.echo(f"Wrote {output}")
        return
    if form == "html":
        from modelzoo.pages import write_page

        stored = write_page(source, output, overwrite=overwrite)
        click.echo(f"Wrote {output}\n{stored}")
        return
    common.import_tensorflow()
    from modelzoo.evaluation import own_data
    from modelzoo.saving import needs_calibration, save_keras, save_litert, save_onnx

    model = modelzoo.load(source)
    if form == "keras":
        save_keras(model, output, overwrite=overwrite)
    elif form == "onnx":
        with common.quiet_stderr():
            save_onnx(model, output, overwrite=overwrite, **given)
    else:
        calibration = None
        if data or needs_calibration(model, quantize):
            # All classes are in an even choice, also where the samples are sorted by class.
            samples = (_given_data(data, [model], data_option, "train") if data else own_data(model)).x_train
            calibration = samples[:: -(-len(samples) // CALIBRATION_SAMPLES)]
        with common.quiet_stderr():
            save_litert(model, output, calibration=calibration, overwrite=overwrite, **given)
    click.echo(f"Wrote {output}")
