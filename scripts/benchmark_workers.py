"""Measure how many images a second one process, several devices and several workers train on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from benchmark import machine, summary
from launch_workers import free_addresses, worker_environment

from modelzoo.card import usable_cores

#: Steps between two log entries, and how many of these are timed after the first.
MODELS = {"dense_500_300": 300, "two_conv_cnn": 30}
TIMED = 3

CHILD = """
import json, os, sys, time
name, devices, cores, log_every, entries, batch_size = json.loads(sys.argv[1])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, cores)
import tensorflow as tf
strategy = None
if "TF_CONFIG" in os.environ:
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
elif devices > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(devices)])
import keras
import modelzoo
from modelzoo import datasets

class Clock(keras.callbacks.Callback):
    times = []
    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())

recipe = modelzoo.get_spec(name).recipe("lesson").replace(
    steps=log_every * entries, epochs=None, log_every=log_every, log_train="batches", batch_size=batch_size)
modelzoo.train(modelzoo.create_model(name, recipe="lesson", seed=0), datasets.load("mnist").train, recipe,
               strategy=strategy, callbacks=[Clock()])
seconds = Clock.times[-1] - Clock.times[0]
print(json.dumps(log_every * (entries - 1) * batch_size / seconds))
"""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("names", "--model", type=click.Choice(list(MODELS)), multiple=True, help="Only this one; repeatable.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each.")
@click.option("--batch-size", type=click.IntRange(2), default=256, show_default=True, help="Images of a whole batch.")
def main(names: tuple[str, ...], rounds: int, batch_size: int) -> None:
    """Print a Markdown table of images/s: one process on half of the processor's cores and on all of them, two devices
    in one process, and two workers with half of the cores each. Compilation is not timed.

    On one machine this shows what the exchange of gradients costs. More machines add cores, which this cannot show.
    """
    progress = Console(stderr=True)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    if len(cores) < 2:
        raise click.ClickException("Two workers need two processor cores; there is one.")
    halves = [cores[: len(cores) // 2], cores[len(cores) // 2 :]]
    half = "1 core" if len(halves[0]) == 1 else f"{len(halves[0])} cores"
    setups = {
        f"one process, {half}": (1, [halves[0]]),
        f"one process, {len(cores)} cores": (1, [cores]),
        f"two devices, {len(cores)} cores": (2, [cores]),
        f"two workers, {half} each": (1, halves),
    }
    facts = machine(usable_cores())
    click.echo(f"{facts['processor']}, {facts['cores']} cores, TensorFlow {facts['versions']['tensorflow']}\n")
    click.echo(f"| batch {batch_size} | {' | '.join(setups)} |\n|---|{'---:|' * len(setups)}")
    for name in names or MODELS:
        rates: dict[str, list[float]] = {setup: [] for setup in setups}
        with progress.status("") as status:
            for number in range(rounds):
                for setup, (devices, processes) in setups.items():
                    status.update(f"{name}: round {number + 1} of {rounds}, {setup}")
                    rates[setup].append(run(name, devices, processes, batch_size))
        cells = [summary(values) for values in rates.values()]
        shown = [f"{cell['median']:,.0f} ({cell['min']:,.0f}–{cell['max']:,.0f})" for cell in cells]
        click.echo(f"| `{name}`, images/s | {' | '.join(shown)} |")


def run(name: str, devices: int, processes: list[list[int]], batch_size: int) -> float:
    """Train in processes that know of each other, and return the images a second that the first one saw."""
    addresses = free_addresses(len(processes))
    started = []
    for index, cores in enumerate(processes):
        task: list[Any] = [name, devices, cores, MODELS[name], TIMED + 1, batch_size]
        own: dict[str, str] = {"TF_NUM_INTRAOP_THREADS": str(len(cores)), "OMP_NUM_THREADS": str(len(cores))}
        environment = {**os.environ, **own}
        if len(processes) > 1:
            environment = dict(worker_environment(addresses, index, len(cores)))
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", CHILD, json.dumps(task)],
                cwd=Path(__file__).resolve().parent.parent,
                env={"TF_CPP_MIN_LOG_LEVEL": "3", **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    answers = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, answers, strict=True):
        if process.returncode:
            raise click.ClickException(f"A process ended with status {process.returncode}: {errors[-600:]}")
    return float(json.loads(answers[0][0].splitlines()[-1]))


if __name__ == "__main__":
    main()
