"""Compare the formats of the pretrained models: agreement with Keras, error on the test set, size and latency."""

from __future__ import annotations

import importlib.metadata
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import numpy as np

import modelzoo
from modelzoo._io import atomic_file, check_target
from modelzoo.card import describe_machine
from modelzoo.cli.output import quiet_stderr, quiet_tensorflow
from modelzoo.cli.using import CALIBRATION_SAMPLES
from modelzoo.errors import ModelZooError

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
#: Test samples a call takes at once.
BATCH = 1000
#: Calls of one format in a row when latency is measured.
CALLS_IN_A_ROW = 10


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="Of every runtime.")
@click.option("--calls", type=click.IntRange(1), default=300, show_default=True, help="Timed calls of each format.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("build/parity.json"), show_default=True)
@click.option("--markdown", is_flag=True, help="Print the tables as the documentation shows them.")
def main(names: tuple[str, ...], threads: int, calls: int, output: Path, markdown: bool) -> None:
    """Compare the formats of NAMES, pretrained models or artifact directories; all pretrained ones by default.

    Differences are the largest over the golden vectors of an artifact. Latency is the median over calls with a single
    sample, a few calls of one format in turn with those of the others. Each finished model is written to the output
    at once. Exit status 1 means that a format is further from Keras than it may be.
    """
    with quiet_tensorflow():
        import tensorflow as tf
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    packages = ("onnx", "onnxruntime", "tf2onnx", "ai-edge-litert")
    versions = {package: importlib.metadata.version(package) for package in packages}
    report: dict[str, Any] = {
        "measured_on": {**describe_machine(), **versions, "threads": threads, "calls": calls},
        "models": {},
    }
    missed = []
    try:
        check_target(output, overwrite=True)
        sources = names or tuple(modelzoo.list_pretrained())
        for i, source in enumerate(sources):
            entry = compare(source, threads, calls, count=f"[{i + 1}/{len(sources)}]")
            report["models"][source] = entry
            missed += [f"{source}: {text}" for text in shortfalls(entry)]
            with atomic_file(output) as temporary:
                temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except ModelZooError as error:
        raise click.ClickException(str(error)) from error
    finally:
        progress("")
    click.echo(markdown_tables(report) if markdown else f"Wrote {output}")
    for text in missed:
        click.echo(text, err=True)
    sys.exit(1 if missed else 0)


def progress(text: str) -> None:
    """Show what is going on in one line of the terminal, or in a line each where there is none."""
    if sys.stderr.isatty():
        click.echo(f"\r\033[K{text}", nl=False, err=True)
    elif text:
        click.echo(text, err=True)


def compare(source: str, threads: int, calls: int, count: str) -> dict[str, Any]:
    """Return how each format of one artifact does; ``count`` goes before what is shown meanwhile."""
    from modelzoo.card import card_of
    from modelzoo.evaluation import own_data
    from modelzoo.saving import find, read_golden

    artifact = find(source)
    model = modelzoo.load(source)
    inputs, expected = read_golden(artifact)
    inputs = inputs.astype(np.float32)
    data = own_data(model)
    spec = modelzoo.get_spec(card_of(model).name)
    entry: dict[str, Any] = {
        "name": spec.name,
        "weights_digest": modelzoo.weights_digest(model),
        "task": spec.task,
        "input_shape": list(model.input_shape[1:]),
        "test_samples": len(data.x_test),
        "measure": "test_mse" if spec.task == "reconstruction" else "test_error",
        "formats": {},
    }
    with tempfile.TemporaryDirectory() as directory:
        runs: dict[str, Run] = {}
        for form, title in FORMATS.items():
            progress(f"{count} {source}: {title}")
            runs[form], size = open_format(form, model, artifact, data.x_train, Path(directory), threads)
            outputs = np.concatenate(
                [runs[form](data.x_test[k : k + BATCH].astype(np.float32)) for k in range(0, len(data.x_test), BATCH)]
            )
            entry["formats"][form] = {
                "max_difference": float(np.abs(runs[form](inputs) - expected).max()),
                entry["measure"]: test_score(outputs, data.x_test, data.y_test, spec.task),
                "bytes": size,
            }
        progress(f"{count} {source}: latency")
        for form, seconds in latencies(runs, inputs[:1], calls).items():
            entry["formats"][form]["latency"] = seconds
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


def test_score(outputs: np.ndarray, x: np.ndarray, y: np.ndarray, task: str) -> float:
    """Return the percentage of wrong classes, or the mean squared error of reconstructions on the scale of 0–1."""
    if task == "reconstruction":
        return float(np.mean((outputs - x / 255.0) ** 2))
    classes = outputs[:, 0] > 0.5 if outputs.shape[1] == 1 else outputs.argmax(axis=1)
    labels = y.argmax(axis=1) if y.ndim == 2 else y
    return 100 * float(np.mean(classes != labels))


def latencies(runs: dict[str, Run], sample: np.ndarray, calls: int) -> dict[str, float]:
    """Return the median seconds of a call of each, measured in turns so that a slow moment meets all alike."""
    seconds: dict[str, list[float]] = {form: [] for form in runs}
    for run in runs.values():
        run(sample)
    while len(seconds["keras"]) < calls:
        for form, run in runs.items():
            for _ in range(min(CALLS_IN_A_ROW, calls - len(seconds[form]))):
                began = time.perf_counter()
                run(sample)
                seconds[form].append(time.perf_counter() - began)
    return {form: statistics.median(values) for form, values in seconds.items()}


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
        f"Microseconds for a single sample, {on['threads']} thread(s), median of {on['calls']} calls on {on['cpu']}": (
            lambda entry, row: f"{1e6 * row['latency']:,.0f}"
        ),
    }
    lines = []
    for title, cell in tables.items():
        lines += [f"{title}:", "", f"| model | {' | '.join(FORMATS.values())} |", "|---" * (1 + len(FORMATS)) + "|"]
        for name, entry in report["models"].items():
            lines.append(f"| `{name}` | {' | '.join(cell(entry, entry['formats'][form]) for form in FORMATS)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


if __name__ == "__main__":
    main()
