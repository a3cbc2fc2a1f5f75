"""Measure what is not training: starting, loading, predicting, and the memory that training takes."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
from rich import box
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from benchmark import OUTPUT_HELP, machine, report_console, summary, write_report

from modelzoo._io import check_target
from modelzoo.card import usable_cores
from modelzoo.errors import ModelZooError

ROOT = Path(__file__).resolve().parent.parent
#: Models that take part in the parts on loading and predicting; all pretrained ones are loaded.
PREDICTED = ("relu_mlp", "dense_500_300", "two_conv_cnn", "tanh_autoencoder")
BATCH = 1000
CALLS = 30  # of one runtime in a row, for a single image

EPILOG = """\
What is measured:

\b
  start    seconds of a new process that imports modelzoo, lists the models, or classifies an image file, beside
           importing TensorFlow, and beside a script that does the same with a .keras file and Keras alone
  load     milliseconds to load each pretrained model, checks of every file included, beside load_model of the
           same model as a .keras file; in a process where TensorFlow runs already
  predict  microseconds for a single image and images/s in batches of 1000, beside model.predict, ONNX Runtime
           and LiteRT
  memory   the most that a process held which trained for 200 steps on all of MNIST, beside Keras fit

\b
  python scripts/benchmark_costs.py
  python scripts/benchmark_costs.py --case load --rounds 20
"""

_COMMAND = "from modelzoo.cli import main; main()"
_IMAGE = """
import numpy as np
from PIL import Image
from modelzoo import datasets
Image.fromarray(255 - datasets.load("mnist").x_test[0]).resize((280, 280)).save({path!r})
"""
_SAVES = """
import modelzoo
from modelzoo.saving import save_keras
save_keras(modelzoo.load("two_conv_cnn"), {path!r})
"""
_KERAS_PREDICTS = """
import keras, numpy as np
from PIL import Image
image = 255 - np.asarray(Image.open({image!r}).convert("L").resize((28, 28)))
print(keras.models.load_model({model!r}).predict(image[None].astype("float32"), verbose=0).argmax())
"""
_TRAINS = """
import resource, sys
from pathlib import Path
import modelzoo
from modelzoo import datasets
from modelzoo.training import compile_model
data, name = datasets.load("mnist"), sys.argv[1]
recipe = modelzoo.get_spec(name).recipe("lesson").replace(epochs=None, steps=200, log_every=100, log_train="batches")
model = modelzoo.create_model(name, recipe="lesson", seed=0)
if sys.argv[2] == "modelzoo":
    modelzoo.train(model, data.train, recipe)
else:
    compile_model(model, recipe)
    model.fit(*data.train, batch_size=recipe.batch_size, epochs=1, steps_per_epoch=200, verbose=0)
status = Path("/proc/self/status")
if status.exists():  # getrusage counts what the process was forked from too
    print(next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

Results = dict[str, dict[str, dict[str, Any]]]


def measure_start(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    """Return the seconds of new processes."""
    image, keras_file = str(directory / "digit.png"), str(directory / "two_conv_cnn.keras")
    _python(_IMAGE.format(path=image))
    _python(_SAVES.format(path=keras_file))
    commands = {
        "python": ["-c", "pass"],
        "import modelzoo": ["-c", "import modelzoo"],
        "modelzoo list": ["-c", _COMMAND, "list"],
        "modelzoo predict": ["-c", _COMMAND, "predict", image],
        "import tensorflow": ["-c", "import tensorflow"],
        "load_model and predict": ["-c", _KERAS_PREDICTS.format(image=image, model=keras_file)],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds):
        for name, command in commands.items():
            progress(f"start: round {number + 1} of {rounds}, {name}")
            began = time.perf_counter()
            _python(*command)
            seconds[name].append(time.perf_counter() - began)
    return {"seconds of a new process": {name: summary(values) for name, values in seconds.items()}}


def measure_load(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    """Return the milliseconds that loading each pretrained model takes."""
    import keras

    import modelzoo
    from modelzoo.saving import save_keras

    results: Results = {}
    for name in modelzoo.list_pretrained():
        progress(f"load: {name}")
        path = directory / f"{name}.keras"
        save_keras(modelzoo.load(name), path)
        loaders = {
            "modelzoo.load": functools.partial(modelzoo.load, name),
            "load_model": functools.partial(keras.models.load_model, path),
        }
        results[name] = _in_turns(loaders, rounds, calls=1, scale=1e3)
    return {f"{name}: milliseconds to load": values for name, values in results.items()}


def measure_predict(rounds: int, directory: Path, progress: Callable[[str], None], threads: int) -> Results:
    """Return the microseconds for one image and the images a second in batches."""
    import numpy as np
    from parity import open_format

    import modelzoo
    from modelzoo.saving import find

    images = modelzoo.datasets.load("mnist").x_test[:BATCH].astype(np.float32)
    results: Results = {}
    for name in PREDICTED:
        progress(f"predict: {name}")
        model, artifact, place = modelzoo.load(name), find(name), directory / name
        place.mkdir()
        runs: dict[str, Callable[[Any], Any]] = {
            "modelzoo.predict": functools.partial(modelzoo.predict, model),
            "model.predict": functools.partial(model.predict, batch_size=BATCH, verbose=0),
        }
        for form, title in {"onnx": "ONNX Runtime", "litert": "LiteRT"}.items():
            runs[title] = open_format(form, model, artifact, images, place, threads)[0]
        one = {title: functools.partial(run, images[:1]) for title, run in runs.items()}
        results[f"{name}: microseconds for one image"] = _in_turns(one, rounds, calls=CALLS, scale=1e6)
        many = {title: functools.partial(run, images) for title, run in runs.items()}
        results[f"{name}: images/s in batches of {BATCH}"] = {
            title: summary([BATCH / seconds for seconds in row["rounds"]])
            for title, row in _in_turns(many, rounds, calls=1, scale=1.0).items()
        }
    return results


def measure_memory(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    """Return the peak memory in MB of processes that train for 200 steps."""
    results: Results = {}
    for name in ("dense_500_300", "two_conv_cnn"):
        peaks: dict[str, list[float]] = {"modelzoo.train": [], "fit": []}
        for number in range(rounds):
            for peer, found in peaks.items():
                progress(f"memory: {name}, round {number + 1} of {rounds}, {peer}")
                found.append(float(_python("-c", _TRAINS, name, peer.partition(".")[0])) * 1024 / 1e6)
        results[f"{name}: MB at most"] = {peer: summary(values) for peer, values in peaks.items()}
    return results


def _in_turns(calls_of: Mapping[str, Callable[[], Any]], rounds: int, *, calls: int, scale: float) -> dict[str, Any]:
    """Time some calls in turns, so that a slow moment meets all alike; the first of each is not timed."""
    found: dict[str, list[float]] = {name: [] for name in calls_of}
    for call in calls_of.values():
        call()
    for _ in range(rounds):
        for name, call in calls_of.items():
            began = time.perf_counter()
            for _ in range(calls):
                call()
            found[name].append((time.perf_counter() - began) / calls * scale)
    return {name: summary(values) for name, values in found.items()}


def _python(*arguments: str) -> str:
    """Run Python in a new process and return the last line it prints."""
    command = [sys.executable, *(arguments if len(arguments) > 1 else ("-c", *arguments))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ModelZooError(f"{' '.join(arguments)[:60]} ended with status {done.returncode}: {done.stderr[-500:]}")
    return (done.stdout.splitlines() or [""])[-1]


def table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> Table:
    """Return one table for the terminal."""
    shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE)
    shown.add_column("")
    for column in ("median", "min–max"):
        shown.add_column(column, justify="right")
    for name, row in rows.items():
        digits = 0 if row["median"] >= 100 else 2
        shown.add_row(name, f"{row['median']:,.{digits}f}", f"{row['min']:,.{digits}f}–{row['max']:,.{digits}f}")
    return shown


CASES: dict[str, tuple[Callable[..., Results], int]] = {  # and rounds
    "start": (measure_start, 5),
    "load": (measure_load, 9),
    "predict": (measure_predict, 9),
    "memory": (measure_memory, 3),
}


@click.command(epilog=EPILOG, context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]})
@click.option("cases", "--case", type=click.Choice(list(CASES)), multiple=True, help="Only this part; repeatable.")
@click.option("--rounds", type=click.IntRange(1), help="Of each part.  [default: 5, 9, 9, 3]")
@click.option("--threads", type=click.IntRange(1), default=usable_cores(), show_default=True, help="Of each peer.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help=OUTPUT_HELP)
def main(cases: tuple[str, ...], rounds: int | None, threads: int, output: Path | None) -> None:
    """Measure starting, loading, predicting and memory beside Keras, ONNX Runtime and LiteRT."""
    console, progress = report_console(), Console(stderr=True)
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)  # of this process and of those it starts
    facts = {"machine": machine(threads)}
    try:
        if output is not None:
            check_target(output, overwrite=True)
        for name in [name for name in CASES if name in (cases or CASES)]:
            function, default = CASES[name]
            options = {"threads": threads} if name == "predict" else {}
            with progress.status("") as status, tempfile.TemporaryDirectory() as directory:
                found = function(rounds or default, Path(directory), status.update, **options)
            for title, rows in found.items():
                console.print(table(title, rows))
            if output is not None:
                write_report(output, facts, "parts", CASES, {name: found})
    except ModelZooError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
