"""``modelzoo predict`` and ``export``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click

from modelzoo._io import check_target
from modelzoo.cli.options import as_json, data_options, load_data, overwrite_option
from modelzoo.cli.output import print_json, print_scores, quiet_stderr, quiet_tensorflow
from modelzoo.errors import InputError

#: Samples that int8 arithmetic takes its ranges from.
CALIBRATION_SAMPLES = 500


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
    with quiet_tensorflow():
        import modelzoo
        from modelzoo import datasets
        from modelzoo.card import card_of
        from modelzoo.evaluation import interpret
    import numpy as np

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
    names = card_of(model).class_names or tuple(map(str, range(scores.shape[1])))
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
@click.option("--quantize", type=click.Choice(["int8", "float16"]), help="LiteRT alone: smaller weights.")
@click.option(
    "--data", help="Training samples for int8 of images: a data set's name, a folder, an .npz or a .csv file."
)
@data_options
@overwrite_option
def export(
    source: str,
    output: Path,
    form: str,
    quantize: Literal["int8", "float16"] | None,
    data: str | None,
    data_option: tuple[str, ...],
    overwrite: bool,
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
    """
    if quantize is not None and form != "litert":
        raise InputError(f"--quantize {quantize} goes with --format litert, not {form}.")
    if quantize != "int8" and (data is not None or data_option):
        raise InputError("--data and --data-option give samples to --quantize int8 alone; leave them out.")
    check_target(output, overwrite=overwrite)
    with quiet_tensorflow():
        import modelzoo
        from modelzoo.evaluation import own_data
        from modelzoo.saving import needs_calibration, save_keras, save_litert, save_onnx
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
        if data or needs_calibration(model, quantize):
            # All classes are in an even choice, also where the samples are sorted by class.
            samples = (load_data(data, model.input_shape[1:], data_option) if data else own_data(model)).x_train
            calibration = samples[:: -(-len(samples) // CALIBRATION_SAMPLES)]
        with quiet_stderr():
            save_litert(model, output, quantize=quantize, calibration=calibration, overwrite=overwrite)
    click.echo(f"Wrote {output}")
