"""Measure modelzoo beside other libraries: training, several devices and workers, and what is not training."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import click
from benchmark_peers import MATRIX, operations
from launch_workers import free_addresses, worker_environment
from report import ROOT, SETTINGS, SETTLE, Command, in_turns, markdown_table, number, summary, with_range, write_json
from rich.console import Console

import modelzoo
from modelzoo._io import check_target
from modelzoo.card import describe_machine, usable_cores
from modelzoo.cli.common import parse_seeds
from modelzoo.errors import ModelZooError
from modelzoo.numpy_runtime import load_runtime

WORKER = Path(__file__).with_name("benchmark_peers.py")
PEERS = {
    "modelzoo": "modelzoo",
    "fit": "Keras fit",
    "fit-tuned": "Keras fit, tuned",
    "torch": "PyTorch",
    "torch-compile": "PyTorch, compiled",
    "jax": "JAX",
    "sklearn": "scikit-learn",
}
#: Not a peer: TensorFlow's product of two large matrices, which shows what the machine can do at most.
PEAK = "matmul"
TITLES = PEERS | {PEAK: "matrix product"}
#: The package of a peer that may not be installed.
PACKAGES = {"torch": "torch", "torch-compile": "torch", "jax": "optax"}
#: scikit-learn knows one of the networks, and no schedule for Adam; JAX convolves so slowly on a processor that cnn-99
#: would take half an hour.
ONLY, NEVER = {"sklearn": ("dense", "dense-98")}, {"jax": ("cnn-99", "cnn-99-fast")}
QUICK_GOAL = 0.5
#: By how much a run of a fast recipe may miss its goal, which nine of ten seeds reach; what it reached is told.
SHORT = 0.005


@click.group(context_settings=SETTINGS)
def main() -> None:
    """Measure modelzoo beside other libraries."""


def output_option(command: Any) -> Any:
    kept = "Also write all figures as JSON; other cases that stand there stay (costs: of this machine and versions)."
    return click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help=kept)(command)


def machine() -> dict[str, Any]:
    """Return what the rates depend on: processor, threads, versions, and how busy the machine is."""
    described = describe_machine()
    versions = {name: described[name] for name in ("python", "modelzoo", "tensorflow", "keras", "numpy")}
    for package in ("torch", "jax", "optax", "scikit-learn"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    load = round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None
    facts = {"processor": described["cpu"], "cores": described["cores"], "threads": usable_cores(), "load": load}
    return {**facts, "system": described["system"], "versions": versions}


def machine_lines(facts: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    return f"- {facts['processor']}, {facts['cores']} cores, {facts['threads']} threads a peer\n- {versions}"


def write_report(output: Path, facts: dict[str, Any], part: str, order: Iterable[str], found: dict[str, Any]) -> None:
    """Write ``facts`` and, as ``part``, what was found, with what an earlier report of the same kind holds besides.

    A case that was measured on another machine, or with other versions, names them; such costs are left out, and so is
    what a quick run found from a report of full ones, or the other way round.
    """
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        earlier = json.loads(output.read_text(encoding="utf-8"))
        same = {**earlier["machine"], "load": facts["machine"]["load"]} == facts["machine"]
        if same and all(earlier[key] == value for key, value in facts.items() if key != "machine"):
            known = dict(earlier[part])
        elif part == "cases" and earlier["quick"] == facts["quick"]:
            known = {name: {"machine": earlier["machine"], **case} for name, case in earlier[part].items()}
    known |= found
    write_json(output, facts | {part: {name: known[name] for name in order if name in known}})


# --- training


@dataclasses.dataclass(frozen=True)
class Case:
    """One network with its precision and data, trained by a recipe but for batch size and learning rate.

    ``samples`` are those every peer trains on, which ``fit`` calls an epoch. With a ``goal``, a test accuracy, the
    seconds to it are measured from a cold process in place of a rate: by the lesson's recipe epoch by epoch, by
    another one as long as it says.
    """

    model: str
    samples: int
    quick_samples: int
    precision: str = "float32"
    unit: str = "images/s"
    batch_size: int | None = None
    learning_rate: float | None = None
    goal: float | None = None
    rounds: int = 5
    recipe: str = "lesson"

    def task(self, peer: str, quick: bool) -> dict[str, Any]:
        """Return what the process of a peer must know."""
        samples = self.quick_samples if quick else self.samples
        recipe = modelzoo.get_spec(self.model).recipe(self.recipe)
        size = samples if recipe.batch_size is None else min(self.batch_size or recipe.batch_size, samples)
        samples -= samples % size  # fit would train on a smaller last batch
        task = {"peer": peer, "model": self.model, "precision": self.precision, "threads": usable_cores(), "seed": 0}
        task |= {"batch_size": size, "samples": samples, "learning_rate": self.learning_rate or recipe.learning_rate}
        task["recipe"] = self.recipe
        return task if self.goal is None else task | {"goal": QUICK_GOAL if quick else self.goal}


CASES = {
    "toy": Case("sigmoid_mlp", 1000, 1000, unit="steps/s"),
    "dense": Case("dense_500_300", 30_000, 3000),
    "dense-256": Case("dense_500_300", 30_000, 3000, batch_size=256),
    "cnn": Case("two_conv_cnn", 5000, 500),
    "cnn-256": Case("two_conv_cnn", 5000, 512, batch_size=256),
    "cnn-bf16": Case("two_conv_cnn", 5000, 500, "bfloat16"),
    "cnn-bf16-256": Case("two_conv_cnn", 5000, 512, "bfloat16", batch_size=256),
    "autoencoder": Case("tanh_autoencoder", 15_000, 1500),
    "dense-98": Case("dense_500_300", 60_000, 3000, unit="seconds", goal=0.98),
    "cnn-99": Case(
        "two_conv_cnn", 60_000, 500, unit="seconds", batch_size=100, learning_rate=1e-3, goal=0.99, rounds=2
    ),
    "dense-98-fast": Case("dense_500_300", 60_000, 30_000, unit="seconds", goal=0.98, recipe="fast"),
    "cnn-99-fast": Case("two_conv_cnn", 60_000, 6000, unit="seconds", goal=0.99, recipe="fast", rounds=3),
}


class PeerError(ModelZooError):
    """A peer failed or did not learn."""


class Peer:
    """A process that trains when told to, and is stopped otherwise: idle threads of some libraries compute to wait."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.name, self.batch_size = task["peer"], task["batch_size"]
        self.rates: list[float] = []  # steps/s, or 1/s of a cold run
        self.epochs: list[int] = []  # of cold runs by the lesson's recipe
        self.accuracies: list[float] = []  # of cold runs by the fast one
        self.losses: dict[str, float] = {}
        self._task = task
        self._start()

    def _start(self) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(self._task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.losses["first"] = float(self._answer()["ready"])
            self._process.send_signal(signal.SIGSTOP)
        except BaseException:
            self.close()
            raise

    def run(self, seconds: float, number: int) -> None:
        """Train for at least this long and note the rate."""
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        print(json.dumps({"seconds": seconds}), file=self._process.stdin, flush=True)
        answer = self._answer()
        self._process.send_signal(signal.SIGSTOP)
        self.rates.append(answer["steps"] / answer["seconds"])
        self.losses["last"] = answer["loss"]

    def check_learned(self) -> None:
        if self.name != PEAK and self.losses and not self.losses["last"] < self.losses["first"]:
            raise PeerError(
                f"{TITLES[self.name]}: the loss went from {self.losses['first']:.6g} to {self.losses['last']:.6g}; it "
                "must go down, or the rate means nothing."
            )

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise self._failure(self._process.returncode, self._errors.read())
        return json.loads(line)

    def _failure(self, status: int, errors: str) -> PeerError:
        return PeerError(f"{TITLES[self.name]} ended with status {status}:\n" + "\n".join(errors.splitlines()[-12:]))


class ColdPeer(Peer):
    """A peer that starts a process in each round and trains to a test accuracy, or to the end of the fast recipe."""

    def _start(self) -> None:
        return

    def run(self, seconds: float, number: int) -> None:
        """Train with the seed of the round's number and note the time, process start included."""
        command = [sys.executable, str(WORKER), json.dumps(self._task | {"seed": number})]
        began = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.rates.append(1 / (time.perf_counter() - began))
        if done.returncode:
            raise self._failure(done.returncode, done.stderr)
        accuracies = json.loads(done.stdout.splitlines()[-1])["accuracies"]
        if fast := self._task["recipe"] == "fast":
            self.accuracies.append(accuracies[-1])
        if accuracies[-1] < self._task["goal"] - SHORT * fast:
            raise PeerError(
                f"{TITLES[self.name]}: the test accuracy was {max(accuracies):.2%} after {len(accuracies)} epochs and "
                f"must become {self._task['goal']:.0%}."
            )
        if not fast:
            self.epochs.append(len(accuracies))

    def close(self) -> None:
        return


@main.command(cls=Command)
@click.option("cases", "--case", type=click.Choice(list(CASES)), multiple=True, help="Only this case; repeatable.")
@click.option("peers", "--peer", type=click.Choice(list(PEERS)), multiple=True, help="Only this peer; repeatable.")
@click.option(
    "--rounds", type=click.IntRange(1), help="Runs of each peer.  [default: 5; cnn-99 and --quick 2, cnn-99-fast 3]"
)
@click.option("--quick", is_flag=True, help="Short runs on few images: shows that it works, measures little.")
@output_option
def train(cases: tuple[str, ...], peers: tuple[str, ...], rounds: int | None, quick: bool, output: Path | None) -> None:
    """Measure modelzoo's trainer beside other libraries: steps or images a second, and the ratios.

    What is compared:

    \b
      toy            sigmoid_mlp, 2-4-2 on 1000 points, full batch, SGD       steps/s
      dense          dense_500_300 on MNIST, batch 100, RMSprop, float32      images/s
      dense-256      the same with batch 256
      cnn            two_conv_cnn on MNIST, batch 50, Adam, float32
      cnn-256        the same with batch 256
      cnn-bf16       the same computed in bfloat16, weights in float32
      cnn-bf16-256   the same with batch 256
      autoencoder    tanh_autoencoder on digits 1, 5 and 6, batch 50, Adam
      dense-98       seconds from starting a process to 98 % of the test images right, tested after each epoch
      cnn-99         the same to 99 %, with batch 100 and Adam at 0.001; each round has a seed of its own
      dense-98-fast  seconds from starting a process to the end of the fast recipe, which is meant for 98 %, and test
      cnn-99-fast    the same with the fast recipe of two_conv_cnn, which is meant for 99 %

    \b
      modelzoo       modelzoo.train with the recipe
      fit            model.compile + model.fit with their defaults, as a user would write it (mixed_bfloat16 for bf16)
      fit-tuned      the same with steps_per_execution of an epoch, and XLA for dense networks
      torch          PyTorch eager: the same network, fused Adam, channels_last for the CNN, autocast for bf16
      torch-compile  the same with its loss compiled by torch.compile
      jax            JAX with optax: all steps between two log entries in one jitted lax.scan
      sklearn        MLPClassifier, which has Adam in place of RMSprop; dense only

    All train on the same data, which JAX draws with replacement, with the same number of threads; compilation, loading
    and evaluation are not timed, but where a process starts cold. Each peer of a case has a process of its own, and
    all but the one that computes are stopped. In each round every peer runs once, another one first each time. A ratio
    is the rate of modelzoo divided by the peer's in the same round (the peer's seconds divided by ours), and "best" is
    the fastest peer of the round. A peer whose loss does not go down is an error. The peak is that of a product of two
    large matrices in TensorFlow, measured in the same rounds.

    Rates depend on what else the machine does: run it on an idle one, and look at the range before the median.

    \b
      make bench                                          all of it, more than an hour on 2 cores
      make bench BENCH_ARGS="--case toy --rounds 9"       one case, more rounds
      make bench BENCH_ARGS="--quick"                     only shows that all peers work; the rates say little
    """
    progress = Console(stderr=True)
    missing = {peer for peer, package in PACKAGES.items() if importlib.util.find_spec(package) is None}
    peer_names = [name for name in PEERS if name in (peers or PEERS) and name not in missing]
    if missing & set(peers or PEERS):
        left_out = ", ".join(PEERS[name] for name in PEERS if name in missing)
        progress.print(f"Left out: {left_out}. To measure them: pip install '.[bench]'", style="yellow")
    facts = machine()
    click.echo(f"{machine_lines(facts)}\n")
    if facts["load"] and facts["load"] > 0.5:
        progress.print(f"Other programs are busy (load {facts['load']}): rates and ratios are noisy.", style="yellow")
    if output is not None:
        check_target(output, overwrite=True)
    for name, case in CASES.items():
        having = [peer for peer in peer_names if name in ONLY.get(peer, CASES) and name not in NEVER.get(peer, ())]
        if not having or name not in (cases or CASES):
            continue
        if case.unit == "images/s":
            having.append(PEAK)
        with progress.status("") as status:
            number_of_rounds = rounds or (2 if quick else case.rounds)
            result = evaluate(case, measure(case, having, number_of_rounds, quick, status.update))
        click.echo(f"{case_section(name, result)}\n")
        if output is not None:
            write_report(output, {"machine": facts, "quick": quick}, "cases", CASES, {name: result})


def measure(case: Case, names: Sequence[str], rounds: int, quick: bool, progress: Callable[[str], None]) -> list[Peer]:
    """Run all peers of a case round by round and return them with their rates."""
    peers: list[Peer] = []
    try:
        for name in names:
            progress(f"{case.model} {case.precision}: starting and compiling {TITLES[name]}")
            peers.append((Peer if case.goal is None else ColdPeer)(case.task(name, quick)))
        for i in range(rounds):
            start = i % len(peers)
            for peer in peers[start:] + peers[:start]:
                progress(f"{case.model} {case.precision}: round {i + 1} of {rounds}, {TITLES[peer.name]}")
                time.sleep(SETTLE)
                peer.run(0.2 if quick else 2.0, i)
        for peer in peers:
            peer.check_learned()
    finally:
        for peer in peers:
            peer.close()
    return peers


def evaluate(case: Case, peers: Sequence[Peer]) -> dict[str, Any]:
    """Return rates (or seconds), losses and ratios of a measured case, ready for JSON."""
    batch = peers[0].batch_size
    result: dict[str, Any] = {"model": case.model, "precision": case.precision, "batch_size": batch, "unit": case.unit}
    peak_rates = [rate * 2 * MATRIX**3 for peer in peers if peer.name == PEAK for rate in peer.rates]
    if peak_rates:
        result["peak_gflops"] = summary([rate / 1e9 for rate in peak_rates])
    rates = {peer.name: peer.rates for peer in peers if peer.name != PEAK}
    result |= {"peers": {}, "ratios": {}}
    for peer in peers:
        if peer.name == PEAK:
            continue
        scale = batch if case.unit == "images/s" else 1
        shown = [1 / rate if case.unit == "seconds" else rate * scale for rate in peer.rates]
        found: dict[str, Any] = {"rate": summary(shown)}
        result["peers"][peer.name] = found
        if peer.epochs:
            found["epochs"] = peer.epochs
        if peer.accuracies:
            found["accuracy"] = summary(peer.accuracies)
        if peer.losses:
            found["loss"] = peer.losses
        if peak_rates:
            work = operations(case.model) * batch
            found["of_peak"] = summary([rate * work / most for rate, most in zip(peer.rates, peak_rates, strict=True)])
    ours = rates.pop("modelzoo", None)
    if ours and rates:
        rates["best"] = [max(theirs) for theirs in zip(*rates.values(), strict=True)]
        for name, theirs in rates.items():
            result["ratios"][name] = summary([mine / other for mine, other in zip(ours, theirs, strict=True)])
    return result


def case_section(name: str, case: Mapping[str, Any]) -> str:
    """Return the heading and the table of a case in Markdown."""
    by_accuracy = any("accuracy" in found for found in case["peers"].values())
    last = "of peak" if case["unit"] != "seconds" else "test accuracy" if by_accuracy else "epochs"
    rows = []
    for peer, found in case["peers"].items():
        ratio = case["ratios"].get(peer)
        extra = ", ".join(map(str, found.get("epochs", [])))
        if "accuracy" in found:
            extra = "{min:.2%}–{max:.2%}".format(**found["accuracy"])
        if "of_peak" in found:
            extra = f"{found['of_peak']['median']:.0%}"
        rows.append([PEERS[peer], with_range(found["rate"]), with_range(ratio, "×") if ratio else "", extra])
    header = ["peer", case["unit"], "ratio", last]
    if not any(row[-1] for row in rows):
        header, rows = header[:-1], [row[:-1] for row in rows]
    text = f"{len(next(iter(case['peers'].values()))['rate']['rounds'])} rounds."
    if best := case["ratios"].get("best"):
        text += f" Beside the best of each: {with_range(best, '×')}."
    if "peak_gflops" in case:
        text += f" The peak was {number(case['peak_gflops']['median'])} GFLOP/s."
    if "machine" in case:
        of, versions = case["machine"], case["machine"]["versions"]
        text += (
            f" Of an earlier session, on {of['processor']}, {of['system']}, with TensorFlow {versions['tensorflow']}."
        )
    title = f"### {name}: `{case['model']}`, batch {case['batch_size']}, {case['precision']}"
    return f"{title}\n\n{markdown_table(header, rows)}\n\n{text}"


# --- starting, loading, predicting, memory

Results = dict[str, dict[str, dict[str, Any]]]

_COMMAND = "from modelzoo.cli import main; main()"
_PREDICTS = "import modelzoo, numpy; modelzoo.predict('two_conv_cnn', numpy.zeros((28, 28), numpy.uint8))"
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


def write_digit(directory: Path) -> str:
    """Write a test image of MNIST as a large picture, dark on white, and return its path."""
    from PIL import Image

    path = directory / "digit.png"
    Image.fromarray(255 - modelzoo.datasets.load("mnist").x_test[0]).resize((280, 280)).save(path)
    return str(path)


def measure_start(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    image, keras_file = write_digit(directory), str(directory / "two_conv_cnn.keras")
    modelzoo.saving.save_keras(modelzoo.load("two_conv_cnn"), keras_file)
    commands = {
        "python": ["pass"],
        "import modelzoo": ["import modelzoo"],
        "modelzoo list": [_COMMAND, "list"],
        "modelzoo info": [_COMMAND, "info", "two_conv_cnn"],
        "modelzoo.predict": [_PREDICTS],
        "modelzoo predict": [_COMMAND, "predict", image],
        "modelzoo describe": [_COMMAND, "describe", "two_conv_cnn", "-o", str(directory / "about"), "--overwrite"],
        "import tensorflow": ["import tensorflow"],
        "load_model and predict": [_KERAS_PREDICTS.format(image=image, model=keras_file)],
    }
    calls = {name: functools.partial(run_python, *command) for name, command in commands.items()}
    return {"seconds of a new process": in_turns(calls, rounds, progress=progress)}


#: Packages whose imports are told apart; all others count with Python's own.
_PACKAGES = ("modelzoo", "numpy", "click", "msgspec", "PIL", "matplotlib", "scipy", "sklearn", "rich", "tensorflow")


def measure_imports(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    """Measure what commands without TensorFlow import; the others silence its start, and with it Python's report."""
    image, about = write_digit(directory), str(directory / "about")
    commands = {
        "list": ["list"],
        "info": ["info", "two_conv_cnn"],
        "predict": ["predict", image],
        "evaluate": ["evaluate", "dense_500_300"],
        "compare": ["compare", "relu_mlp", "dense_500_300"],
        "check --files": ["check", "--files", str(modelzoo.saving.find("two_conv_cnn"))],
        "describe": ["describe", "two_conv_cnn", "-o", about, "--overwrite"],
    }
    results: Results = {}
    for name, arguments in commands.items():
        found: dict[str, list[float]] = {}
        for i in range(rounds):
            progress(f"imports: {name}, round {i + 1} of {rounds}")
            for key, value in imports_of(arguments).items():
                found.setdefault(key, []).append(value)
        results[f"modelzoo {name}: modules, milliseconds"] = {key: summary(values) for key, values in found.items()}
    return results


def imports_of(arguments: Sequence[str]) -> dict[str, float]:
    """Return how many modules a command imports, and the milliseconds of each package's own."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", _COMMAND, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ModelZooError(f"modelzoo {' '.join(arguments)} ended with status {done.returncode}: {done.stderr[-500:]}")
    lines = re.findall(r"^import time: +(\d+) \| +\d+ \| +([\w.]+)$", done.stderr, re.MULTILINE)
    times = dict.fromkeys((*_PACKAGES, "other"), 0.0)
    for microseconds, module in lines:
        package = module.partition(".")[0]
        times[package if package in times else "other"] += int(microseconds) / 1000
    return {"modules": len(lines), "all": sum(times.values()), **times}


def measure_load(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    import keras

    results: Results = {}
    for name in modelzoo.list_pretrained():
        progress(f"load: {name}")
        path = directory / f"{name}.keras"
        modelzoo.saving.save_keras(modelzoo.load(name), path)
        loaders = {
            "modelzoo.load": functools.partial(modelzoo.load, name),
            "load_model": functools.partial(keras.models.load_model, path),
        }
        results[f"{name}: milliseconds to load"] = in_turns(loaders, rounds, scale=1e3)
    return results


def measure_predict(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    import numpy as np
    from parity import open_format

    count = 1000
    images = modelzoo.datasets.load("mnist").x_test[:count].astype(np.float32)
    results: Results = {}
    for name in ("relu_mlp", "dense_500_300", "two_conv_cnn", "tanh_autoencoder"):
        progress(f"predict: {name}")
        model, artifact, place = modelzoo.load(name), modelzoo.saving.find(name), directory / name
        place.mkdir()
        runs: dict[str, Callable[[Any], Any]] = {
            "modelzoo.predict of a name": load_runtime(name),
            "modelzoo.predict of a model": functools.partial(modelzoo.predict, model),
            "model.predict": functools.partial(model.predict, batch_size=count, verbose=0),
        }
        for form, title in {"saved_model": "SavedModel", "onnx": "ONNX Runtime", "litert": "LiteRT"}.items():
            runs[title] = open_format(form, model, artifact, images, place, usable_cores())[0]
        one = {title: functools.partial(run, images[:1]) for title, run in runs.items()}
        results[f"{name}: microseconds for one image"] = in_turns(one, rounds, calls=30, scale=1e6, settle=SETTLE)
        many = {title: functools.partial(run, images) for title, run in runs.items()}
        results[f"{name}: images/s in batches of {count}"] = {
            title: summary([count / seconds for seconds in row["rounds"]])
            for title, row in in_turns(many, rounds, settle=SETTLE).items()
        }
    return results


def measure_memory(rounds: int, directory: Path, progress: Callable[[str], None]) -> Results:
    results: Results = {}
    for name in ("dense_500_300", "two_conv_cnn"):
        peaks: dict[str, list[float]] = {"modelzoo.train": [], "fit": []}
        for i in range(rounds):
            for peer, found in peaks.items():
                progress(f"memory: {name}, round {i + 1} of {rounds}, {peer}")
                found.append(float(run_python(_TRAINS, name, peer.partition(".")[0])) * 1024 / 1e6)
        results[f"{name}: MB at most"] = {peer: summary(values) for peer, values in peaks.items()}
    return results


def run_python(*arguments: str) -> str:
    """Run a program in a new process and return the last line it prints."""
    done = subprocess.run([sys.executable, "-c", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ModelZooError(f"{arguments[0][:60]} ended with status {done.returncode}: {done.stderr[-500:]}")
    return (done.stdout.splitlines() or [""])[-1]


COSTS: dict[str, tuple[Callable[..., Results], int]] = {  # and rounds
    "start": (measure_start, 5),
    "imports": (measure_imports, 3),
    "load": (measure_load, 9),
    "predict": (measure_predict, 9),
    "memory": (measure_memory, 3),
}


@main.command(cls=Command)
@click.option("cases", "--case", type=click.Choice(list(COSTS)), multiple=True, help="Only this part; repeatable.")
@click.option("--rounds", type=click.IntRange(1), help="Of each part.  [default: 5, 3, 9, 9, 3]")
@output_option
def costs(cases: tuple[str, ...], rounds: int | None, output: Path | None) -> None:
    """Measure starting, loading, predicting and memory beside Keras, ONNX Runtime and LiteRT.

    What is measured:

    \b
      start    seconds of a new process that imports modelzoo, lists or describes models, or classifies an image file,
               beside importing TensorFlow, and beside a script that classifies with a .keras file and Keras alone
      imports  modules that each command imports, and the milliseconds of each package, as python -X importtime tells
      load     milliseconds to load each pretrained model, checks of every file included, beside load_model of the
               same model as a .keras file; in a process where TensorFlow runs already
      predict  microseconds for a single image and images/s in batches of 1000, beside model.predict, the SavedModel,
               ONNX Runtime and LiteRT
      memory   the most that a process held which trained for 200 steps on all of MNIST, beside Keras fit
    """
    facts = {"machine": machine()}
    click.echo(f"{machine_lines(facts['machine'])}\n")
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(usable_cores())  # of this process and of those it starts
    if output is not None:
        check_target(output, overwrite=True)
    for name in [name for name in COSTS if name in (cases or COSTS)]:
        function, default = COSTS[name]
        with Console(stderr=True).status("") as status, tempfile.TemporaryDirectory() as directory:
            found = function(rounds or default, Path(directory), status.update)
        click.echo(f"{cost_section(found)}\n")
        if output is not None:
            write_report(output, facts, "parts", COSTS, {name: found})


def cost_section(part: Mapping[str, Any]) -> str:
    """Return the table of a part: what was measured down, the peers across."""
    names = list(next(iter(part.values())))
    return markdown_table(
        ["", *names], [[title, *(with_range(row[name]) for name in names)] for title, row in part.items()]
    )


# --- several devices and workers

#: Steps between two log entries, and how many of these are timed after the first.
STEPS, TIMED = {"dense_500_300": 300, "two_conv_cnn": 30}, 3


@main.command(cls=Command)
@click.option("names", "--model", type=click.Choice(list(STEPS)), multiple=True, help="Only this one; repeatable.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True, help="Runs of each.")
@click.option("--batch-size", type=click.IntRange(2), default=256, show_default=True, help="Images of a whole batch.")
def workers(names: tuple[str, ...], rounds: int, batch_size: int) -> None:
    """Print a Markdown table of images/s: one process on half of the processor's cores and on all of them, two devices
    in one process, and two workers with half of the cores each. Compilation is not timed.

    On one machine this shows what the exchange of gradients costs. More machines add cores, which this cannot show.
    """
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
    rows = []
    for name in names or STEPS:
        task = {"model": name, "steps": STEPS[name], "entries": TIMED + 1, "batch_size": batch_size}
        rates: dict[str, list[float]] = {setup: [] for setup in setups}
        with Console(stderr=True).status("") as status:
            for i in range(rounds):
                for setup, (devices, processes) in setups.items():
                    status.update(f"{name}: round {i + 1} of {rounds}, {setup}")
                    rates[setup].append(run_workers(task | {"devices": devices}, processes))
        rows.append([f"`{name}`, images/s", *(with_range(summary(values)) for values in rates.values())])
    facts = machine()
    click.echo(f"{facts['processor']}, {facts['cores']} cores, TensorFlow {facts['versions']['tensorflow']}\n")
    click.echo(markdown_table([f"batch {batch_size}", *setups], rows))


def run_workers(task: dict[str, Any], processes: list[list[int]]) -> float:
    """Train in processes that know of each other, and return the images a second that the first one saw."""
    addresses = free_addresses(len(processes))
    started = []
    for index, cores in enumerate(processes):
        environment = dict(worker_environment(addresses, index, len(cores)))
        if len(processes) == 1:
            del environment["TF_CONFIG"]
        command = [sys.executable, str(WORKER), json.dumps(task | {"cores": cores})]
        started.append(
            subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        )
    answers = [process.communicate() for process in started]
    for process, (_, errors) in zip(started, answers, strict=True):
        if process.returncode:
            raise click.ClickException(f"A process ended with status {process.returncode}: {errors[-600:]}")
    return float(answers[0][0].splitlines()[-1])


@main.command(cls=Command)
@click.option("--seeds", default="0-3", show_default=True, help="Seeds, e.g. 0-4 or 0,3.")
def sums(seeds: str) -> None:
    """Print what the order of sums comes to: the largest difference of a weight of dense_500_300 between one device and
    two, after 100 and 200 steps, from the smallest to the largest over the seeds.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategies = [None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])]
    lesson = modelzoo.get_spec("dense_500_300").recipe("lesson")
    lesson = lesson.replace(epochs=None, steps=200, log_every=100, log_train="batches")
    optimizers = {
        "SGD, rate 0.1": lesson.replace(optimizer="sgd", learning_rate=0.1),
        "RMSprop, rate 0.001 (the lesson's)": lesson,
    }
    rows = []
    for title, recipe in optimizers.items():
        differences = []
        for seed in parse_seeds(seeds):
            runs: list[list[Any]] = [[], []]
            for strategy, weights in zip(strategies, runs, strict=True):
                noting = keras.callbacks.Callback()
                model = modelzoo.create_model("dense_500_300", recipe="lesson", seed=seed)
                noting.on_epoch_end = lambda epoch, logs, m=model, w=weights: w.append(m.get_weights())
                train_part = modelzoo.datasets.load("mnist").train
                modelzoo.train(model, train_part, recipe, seed=seed, strategy=strategy, callbacks=[noting])
            pairs = zip(*runs, strict=True)  # after 100 steps, after 200
            differences.append([max(np.abs(a - b).max() for a, b in zip(*pair, strict=True)) for pair in pairs])
        rows.append([title, *(f"{min(values):.1e} to {max(values):.1e}" for values in zip(*differences, strict=True))])
    click.echo(markdown_table(["optimiser", "after 100 steps", "after 200 steps"], rows))


if __name__ == "__main__":
    main()
