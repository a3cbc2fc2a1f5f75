"""Measure memory and speed against the size of the data: streamed from disk, and held in memory."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

# This process imports neither modelzoo nor TensorFlow: on Linux the peak of a child starts at that of its parent.

#: Images of each run, and what holds them.
SOURCES = {
    "arrays": (20_000, 200_000),
    "tfrecord": (20_000, 200_000),
    "folder": (10_000, 100_000),
}
NAMES = {"arrays": "arrays in memory", "tfrecord": "TFRecord, 8 shards", "folder": "folder of PNG files"}
POINTS = (1_000, 10_000, 100_000, 1_000_000)
TEST_IMAGES = 1000
BATCH = 100
#: Steps between two log entries, and of points the number of entries; the first of them holds compilation.
CHUNK, ENTRIES = 50, 4
#: Samples that the steps between two entries see at least when each step takes all points.
POINTS_SEEN = 4_000_000

EPILOG = """\
What is measured:

\b
  images   dense_500_300 by its lesson's recipe, float32, batch 100: one epoch over MNIST's images, repeated until there
           are so many, read from arrays, TFRecord shards or a folder of PNG files; once from few, once from ten times
           as many. Images a second are those of the log entries after the first, so without compilation.
  points   sigmoid_mlp by its lesson's recipe on n points of "quadratic" in arrays, with all points in each step
           ("full") and with 100; microseconds a step and nanoseconds a sample, the median of three log entries.

Each run is a process of its own. Its peak of memory (getrusage, ru_maxrss) includes Python and TensorFlow. Files are in
the page cache of the system, because they have just been written: a disk that is read for the first time may be slower.

\b
  python scripts/streaming.py                 both tables, some minutes on 2 cores and 2 GB of temporary files
  python scripts/streaming.py --only points
  python scripts/streaming.py --markdown      as the guide shows them
  python scripts/streaming.py --quick         small numbers: only shows that it works
"""


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do one task in a fresh process and return what it found."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", **os.environ}
    command = [sys.executable, __file__, "--task", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise click.ClickException(f"{task} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def repeated_images(count: int) -> Iterator[tuple[Any, Any]]:
    """Yield batches of MNIST's training images, over and over, ``count`` images in all."""
    from modelzoo import datasets

    x, y = datasets.load("mnist").train
    for start in range(0, count, 1000):
        rows = [row % len(x) for row in range(start, min(start + 1000, count))]
        yield x[rows], y[rows]


def test_images() -> tuple[Any, Any]:
    from modelzoo import datasets

    data = datasets.load("mnist")
    return data.x_test[:TEST_IMAGES], data.y_test[:TEST_IMAGES]


def write(source: str, count: int, path: str) -> dict[str, Any]:
    """Write images where a run finds them, batch by batch."""
    from modelzoo import datasets

    began = time.perf_counter()
    if source == "tfrecord":
        datasets.write_tfrecord(repeated_images(count), path, test=test_images())
    elif source == "folder":
        from PIL import Image

        number = 0
        for part, batches in (("train", repeated_images(count)), ("test", [test_images()])):
            for label in range(10):
                Path(path, part, str(label)).mkdir(parents=True)
            for x, y in batches:
                for image, label in zip(x, y, strict=True):
                    Image.fromarray(image).save(Path(path, part, str(label), f"{number}.png"), compress_level=1)
                    number += 1
    return {"seconds": time.perf_counter() - began, **peak()}


def train_images(source: str, count: int, path: str) -> dict[str, Any]:
    """Train one epoch; return the rate after the first log entry and the peak of memory."""
    import numpy as np

    import modelzoo
    from modelzoo import datasets

    if source == "arrays":
        x, y = np.empty((count, 28, 28), np.uint8), np.empty(count, np.uint8)
        start = 0
        for images, labels in repeated_images(count):
            x[start : start + len(images)], y[start : start + len(images)] = images, labels
            start += len(images)
        data: Any = ((x, y), test_images())
    else:
        data = datasets.stream(path)
    recipe = modelzoo.get_spec("dense_500_300").recipe("lesson")
    steps = count // BATCH
    chunk = min(CHUNK, steps // 10)
    recipe = recipe.replace(
        steps=steps, epochs=None, batch_size=BATCH, log_every=chunk, log_train="batches", validation_freq=steps
    )
    clock = Clock()
    history = modelzoo.train(modelzoo.create_model("dense_500_300", seed=0), data, recipe, seed=0, callbacks=[clock])
    # The last entry evaluates the test images.
    made, seconds = (len(clock.times) - 2) * chunk, clock.times[-2] - clock.times[0]
    loss = history.history["loss"]
    assert loss[-1] < loss[0], "the network does not learn"
    return {"rate": made * BATCH / seconds, **peak()}


def train_points(count: int, batch_size: int | None) -> dict[str, Any]:
    """Train on points in memory; return seconds a step and the peak of memory."""
    import modelzoo
    from modelzoo import datasets

    data = datasets.load("quadratic", n=count, n_test=100).train
    steps = CHUNK * 40 if batch_size else max(20, POINTS_SEEN // count)
    recipe = modelzoo.get_spec("sigmoid_mlp").recipe("lesson").replace(
        steps=steps * ENTRIES, epochs=None, log_every=steps, log_train="batches", batch_size=batch_size
    )  # fmt: skip
    if batch_size is None:  # the lesson's loss is a sum over the points
        recipe = recipe.replace(learning_rate=1e-6)
    clock = Clock()
    modelzoo.train(modelzoo.create_model("sigmoid_mlp", seed=0), data, recipe, seed=0, callbacks=[clock])
    seconds = [(b - a) / steps for a, b in zip(clock.times, clock.times[1:], strict=False)]
    return {"seconds": statistics.median(seconds), "data": sum(part.nbytes for part in data), **peak()}


def peak() -> dict[str, float]:
    """Return the largest memory of this process in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6}


def Clock() -> Any:
    """Return a callback that notes when log entries were made."""
    import keras

    class Noting(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.times: list[float] = []

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.times.append(time.perf_counter())

    return Noting()


def measure_images(directory: Path, quick: bool, progress: Console) -> list[list[str]]:
    rows = []
    with progress.status("") as status:
        for source, counts in SOURCES.items():
            for full in counts:
                count = full // 10 if quick else full
                path = str(directory / f"{source}-{count}")
                task = {"source": source, "count": count, "path": path}
                if source != "arrays":
                    status.update(f"writing {count:,} images: {NAMES[source]}")
                    run({"do": "write", **task})
                status.update(f"training on {count:,} images: {NAMES[source]}")
                found = run({"do": "images", **task})
                rows.append([NAMES[source], f"{count:,}", f"{count * 784 / 1e6:,.0f}", f"{found['peak']:,.0f}",
                             f"{found['rate']:,.0f}"])  # fmt: skip
    return rows


def measure_points(quick: bool, progress: Console) -> list[list[str]]:
    rows = []
    with progress.status("") as status:
        for batch_size in (None, BATCH):
            for count in POINTS[:2] if quick else POINTS:
                status.update(f"training on {count:,} points, batch {batch_size or 'full'}")
                found = run({"do": "points", "count": count, "batch_size": batch_size})
                a_sample = found["seconds"] / (batch_size or count)
                rows.append([str(batch_size or "full"), f"{count:,}", f"{found['data'] / 1e6:,.2f}",
                             f"{found['peak']:,.0f}", f"{found['seconds'] * 1e6:,.1f}", f"{a_sample * 1e9:,.1f}",
                             ])  # fmt: skip
    return rows


def show(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool, console: Console) -> None:
    if markdown:
        lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
        click.echo("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
        return
    table = Table(title=title, box=box.SIMPLE)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


@click.command(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--only", type=click.Choice(["images", "points"]), help="One of the two tables.")
@click.option("--directory", type=click.Path(path_type=Path, file_okay=False), help="Where temporary files may be.")
@click.option("--markdown", is_flag=True, help="Print the tables as the guide shows them.")
@click.option("--quick", is_flag=True, help="A tenth of the images and few points.")
@click.option("--task", hidden=True)
def main(only: str | None, directory: Path | None, markdown: bool, quick: bool, task: str | None) -> None:
    """Show that memory stays flat and the time of a sample the same while the data grow."""
    if task is not None:
        options = json.loads(task)
        do: dict[str, Callable[..., dict[str, Any]]] = {"write": write, "images": train_images, "points": train_points}
        click.echo(json.dumps(do[options.pop("do")](**options)))
        return
    console, progress = Console(), Console(stderr=True)
    if only != "points":
        with tempfile.TemporaryDirectory(dir=directory) as temporary:
            rows = measure_images(Path(temporary), quick, progress)
        show("Images", ["read from", "images", "MB of pixels", "peak MB", "images/s"], rows, markdown, console)
    if only != "images":
        rows = measure_points(quick, progress)
        header = ["batch", "points", "MB of data", "peak MB", "µs a step", "ns a sample"]
        show("Points in memory", header, rows, markdown, console)


if __name__ == "__main__":
    main()
