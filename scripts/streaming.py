"""Measure memory and speed while the data grow tenfold: streamed from disk, and held in memory.

Each row is a process of its own, which trains dense_500_300 by its lesson's recipe (batch 100) on MNIST's images,
repeated until there are so many, or sigmoid_mlp on points. Peak memory (ru_maxrss) includes Python and TensorFlow; the
rate leaves out the first log entry, and with it compilation. Files were just written: they are in the system's cache.

\b
  python scripts/streaming.py           the guide's table: some minutes on 2 cores, 2 GB of temporary files
  python scripts/streaming.py --quick   a tenth of the samples
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

# This process imports neither modelzoo nor TensorFlow: on Linux the peak of a child starts at that of its parent.

#: What is read, by name, with its numbers of samples.
SOURCES = {
    "images: arrays in memory": (20_000, 200_000),
    "images: TFRecord, 8 shards": (20_000, 200_000),
    "images: folder of PNG files": (10_000, 100_000),
    "points in memory, batch 100": (10_000, 100_000, 1_000_000),
    "points in memory, full batch": (10_000, 100_000, 1_000_000),
}


def images(count: int) -> Iterator[tuple[Any, Any]]:
    """Yield batches of MNIST's training images, over and over, ``count`` images in all."""
    from modelzoo import datasets

    x, y = datasets.load("mnist").train
    for start in range(0, count, 1000):
        rows = [row % len(x) for row in range(start, min(start + 1000, count))]
        yield x[rows], y[rows]


def write(source: str, count: int, path: Path) -> None:
    """Write images where a run finds them."""
    from PIL import Image

    from modelzoo import datasets

    if "TFRecord" in source:
        datasets.write_tfrecord(images(count), path, test=images(1000))
    for part, amount in {"train": count, "test": 1000}.items() if "folder" in source else ():
        pairs = (pair for batch in images(amount) for pair in zip(*batch, strict=True))
        for number, (image, label) in enumerate(pairs):
            target = path / part / str(label) / f"{number}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(target, compress_level=1)


def train(source: str, count: int, path: Path) -> dict[str, float]:
    """Train for an epoch of images, or 2,000 steps on points; return samples a second and peak memory in MB."""
    import keras
    import numpy as np

    import modelzoo

    data: Any = None
    name, batch, steps = "dense_500_300", 100, count // 100
    if "points" in source:
        name, data = "sigmoid_mlp", modelzoo.datasets.load("quadratic", n=count, n_test=100).train
        batch, steps = (count, max(40, 20_000_000 // count)) if "full" in source else (100, 20_000)
    elif "arrays" in source:
        data = tuple(np.concatenate(arrays) for arrays in zip(*images(count), strict=True))
    else:
        data = modelzoo.datasets.stream(path)
    recipe = (
        modelzoo.get_spec(name)
        .recipe("lesson")
        .replace(
            steps=steps, epochs=None, batch_size=batch, log_every=steps // 10, log_train="batches", validation_freq=10
        )
    )
    if batch == count:  # the lesson's loss is a sum over the points
        recipe = recipe.replace(learning_rate=1e-6)
    times: list[float] = []
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()))
    modelzoo.train(modelzoo.create_model(name, seed=0), data, recipe, callbacks=[clock])
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return {"rate": 8 * (steps // 10) * batch / (times[8] - times[0]), "peak": peak}  # the last entry evaluates


@click.command(help=__doc__, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.option("--quick", is_flag=True, help="A tenth of the samples.")
@click.option("--only", default="", help="Sources with this in their name.")
@click.option("--task", nargs=4, hidden=True)
def main(quick: bool, only: str, task: tuple[str, str, str, str] | None) -> None:
    if task:
        click.echo(json.dumps({"write": write, "train": train}[task[0]](task[1], int(task[2]), Path(task[3]))))
        return
    click.echo("| read from | samples | peak MB | samples/s |\n| --- | ---: | ---: | ---: |")
    for source, counts in SOURCES.items():
        for count in [count // (10 if quick else 1) for count in counts if only in source]:
            with tempfile.TemporaryDirectory() as directory:
                for do in ("write", "train"):
                    command = [sys.executable, __file__, "--task", do, source, str(count), f"{directory}/data"]
                    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            click.echo(f"| {source} | {count:,} | {found['peak']:,.0f} | {found['rate']:,.0f} |")


if __name__ == "__main__":
    main()
