"""Compare the formats of the pretrained models: agreement with Keras, error on the test set, size and latency."""

from __future__ import annotations

import functools
import importlib.metadata
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from report import Command, in_turns, markdown_table, write_json
from rich.console import Console

import modelzoo
from modelzoo._io import check_target
from modelzoo.card import describe_machine
from modelzoo.cli.common import import_tensorflow, quiet_stderr
from modelzoo.cli.use import CALIBRATION_SAMPLES

Run = Callable[[np.ndarray], np.ndarray]

#: Each format and how it is run.
FORMATS = {
    "keras": "Keras",
    "saved_model": "SavedModel",
    "keras_file": ".keras",
    "onnx": "ONNX",
    "litert": "LiteRT",
    "litert_float16": "LiteRT float16",
    "litert_int8": "LiteRT int8",
}
#: Formats that compute what Keras computes, and by how much they may differ from it.
EXACT = ("keras", "saved_model", "keras_file", "onnx", "litert")
TOLERANCE = 1e-5
#: By how many percentage points the test error of a classifier in int8 may differ from that of Keras.
INT8_POINTS = 0.05
#: Test samples a call takes at once, and calls of one format in a row when latency is measured.
BATCH, CALLS_IN_A_ROW = 1000, 10


@click.command(cls=Command)
@click.argument("names", nargs=-1)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of every runtime.")
@click.option("--calls", type=click.IntRange(1), default=300, show_default=True, help="Timed calls of each format.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/parity.json"), show_default=True)
def main(names: tuple[str, ...], threads: int, calls: int, output: Path) -> None:
    """Compare the formats of NAMES, pretrained models or artifact directories; all pretrained ones by default.

    Prints the tables of the guide. Differences are the largest over the golden vectors of an artifact. Latency is
    that of calls with a single sample, the median over rounds in which the formats take turns with ten calls each.
    Each finished model is written to the output at once. Exit status 1 means that a format differs from Keras by more
    than it may.
    """
    import_tensorflow()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    packages = ("onnx", "onnxruntime", "tf2onnx", "ai-edge-litert")
    versions = {package: importlib.metadata.version(package) for package in packages}
    facts = {**describe_machine(), **versions, "threads": threads, "calls": calls}
    models: dict[str, Any] = {}
    check_target(output, overwrite=True)
    with Console(stderr=True).status("") as status:
        for source in names or tuple(modelzoo.list_pretrained()):
            models[source] = compare(source, threads, calls, status.update)
            write_json(output, {"measured_on": facts, "models": models})
    click.echo(markdown_tables({"measured_on": facts, "models": models}))
    missed = [f"{source}: {text}" for source, entry in models.items() for text in shortfalls(entry)]
    for text in missed:
        click.echo(text, err=True)
    sys.exit(1 if missed else 0)


def compare(source: str, threads: int, calls: int, progress: Callable[[str], None]) -> dict[str, Any]:
    """Return how each format of one artifact does."""
    from modelzoo.evaluation import interpret, own_data, recipe_of
    from modelzoo.saving import find, read_golden

    artifact = find(source)
    model = modelzoo.load(source)
    inputs, expected = read_golden(artifact)
    inputs = inputs.astype(np.float32)
    data = own_data(model)
    reconstructs = recipe_of(model).reconstruct
    measure = "test_mse" if reconstructs else "test_error"
    entry: dict[str, Any] = {"weights_digest": modelzoo.weights_digest(model), "measure": measure, "formats": {}}
    with tempfile.TemporaryDirectory() as directory:
        runs: dict[str, Run] = {}
        for form, title in FORMATS.items():
            progress(f"{source}: {title}")
            runs[form], size = open_format(form, model, artifact, data.x_train, Path(directory), threads)
            outputs = np.concatenate(
                [runs[form](data.x_test[k : k + BATCH].astype(np.float32)) for k in range(0, len(data.x_test), BATCH)]
            )
            if reconstructs:
                error = float(np.mean((outputs - data.x_test.reshape(outputs.shape) / 255.0) ** 2))
            else:
                labels = data.y_test.argmax(axis=1) if data.y_test.ndim == 2 else data.y_test
                error = 100 * float(np.mean(interpret(model, outputs).classes != labels))
            difference = float(np.abs(runs[form](inputs) - expected).max())
            entry["formats"][form] = {"max_difference": difference, measure: error, "bytes": size}
        progress(f"{source}: latency")
        turns = {form: functools.partial(run, inputs[:1]) for form, run in runs.items()}
        rounds = -(-calls // CALLS_IN_A_ROW)
        for form, seconds in in_turns(turns, rounds, calls=CALLS_IN_A_ROW).items():
            entry["formats"][form]["latency"] = seconds["median"]
    return entry


def open_format(
    form: str, model: Any, artifact: Path, x_train: np.ndarray, directory: Path, threads: int
) -> tuple[Run, int | None]:
    """Write a model in a format and open it with that format's own runtime; return what runs it, and its bytes."""
    import keras
    import tensorflow as tf

    from modelzoo.network import read_network
    from modelzoo.saving import needs_calibration, save_keras, save_litert, save_onnx

    network = read_network(model)
    given, returned = network.input.name, network.output.name
    if form == "keras":
        return lambda x: modelzoo.predict(model, x), None
    if form == "saved_model":
        loaded = tf.saved_model.load(str(artifact))
        size = sum(file.stat().st_size for file in artifact.rglob("*") if file.is_file())
        # The function alone would not keep the variables alive.
        return lambda x: loaded.signatures["serving_default"](**{given: tf.constant(x)})[returned].numpy(), size
    if form == "keras_file":
        path = directory / "model.keras"
        save_keras(model, path)
        return keras.models.load_model(path).predict_on_batch, path.stat().st_size
    if form == "onnx":
        import onnxruntime

        path = directory / "model.onnx"
        with quiet_stderr():
            save_onnx(model, path)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        return lambda x: session.run([returned], {given: x})[0], path.stat().st_size

    from ai_edge_litert.interpreter import Interpreter

    path = directory / f"{form}.tflite"
    _, _, quantize = form.partition("_")
    mode: Any = quantize or None
    step = -(-len(x_train) // CALIBRATION_SAMPLES)
    calibration = x_train[::step] if needs_calibration(model, mode) else None
    with quiet_stderr():
        save_litert(model, path, quantize=mode, calibration=calibration)
        runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner("serving_default")
        runner(**{given: x_train[:1].astype(np.float32)})  # what it has to say, it says at its first call
    return lambda x: runner(**{given: x})[returned], path.stat().st_size


def shortfalls(entry: dict[str, Any]) -> list[str]:
    """Say where the formats of a model are further from Keras than they may be."""
    formats = entry["formats"]
    found = [
        f"{FORMATS[form]} differs by {formats[form]['max_difference']:.1e}, more than {TOLERANCE:.0e}"
        for form in EXACT
        if not formats[form]["max_difference"] <= TOLERANCE  # nor is NaN
    ]
    if entry["measure"] == "test_error":
        points = formats["litert_int8"]["test_error"] - formats["keras"]["test_error"]
        if abs(points) > INT8_POINTS + 1e-9:
            found.append(f"int8 changes the test error by {points:+.2f} points, more than {INT8_POINTS}")
    return found


def markdown_tables(report: dict[str, Any]) -> str:
    """Return one table for each quantity: models down, formats across."""
    on = report["measured_on"]
    tables = {
        "Largest difference from Keras on the golden vectors": lambda entry, row: f"{row['max_difference']:.1e}",
        "Error on the test set; mean squared error of the autoencoder": lambda entry, row: (
            f"{row['test_error']:.2f}%" if entry["measure"] == "test_error" else f"{row['test_mse']:.5f}"
        ),
        "Bytes": lambda entry, row: "–" if row["bytes"] is None else f"{row['bytes']:,}",
        f"Microseconds for a single sample, {on['threads']} thread(s), {on['calls']} calls on {on['cpu']}": (
            lambda entry, row: f"{1e6 * row['latency']:,.0f}"
        ),
    }
    parts = []
    for title, cell in tables.items():
        rows = [
            [f"`{name}`", *(cell(entry, entry["formats"][form]) for form in FORMATS)]
            for name, entry in report["models"].items()
        ]
        parts.append(f"{title}:\n\n{markdown_table(['model', *FORMATS.values()], rows)}")
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
