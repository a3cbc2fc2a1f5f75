"""Measure the trainer beside Keras' ``fit``, PyTorch, JAX and scikit-learn, side by side in one run.

Each peer of a case lives in a process of its own (``benchmark_worker.py``), and all but the one that computes are
stopped: thread pools do not disturb each other, and a machine that changes its pace changes it for all peers. Where the
time to an accuracy is measured, each peer starts a new process in each round. ``benchmark_costs.py`` measures the rest.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import importlib.util
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from benchmark_peers import MATRIX, operations

from modelzoo import get_spec
from modelzoo._io import atomic_file, check_target
from modelzoo.card import usable_cores
from modelzoo.errors import ModelZooError

WORKER = Path(__file__).with_name("benchmark_worker.py")
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
#: What not every case has: scikit-learn knows one of the networks.
ONLY = {"sklearn": ("dense", "dense-98")}
#: JAX convolves so slowly on a processor that it would take half an hour to get there.
NEVER = {"jax": ("cnn-99",)}
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow", **os.environ}
OUTPUT_HELP = "Also write all figures as JSON; what was measured there on this machine with these versions stays."
SETTLE = 0.2  # seconds between two runs, for idle threads of the last one to fall asleep
MISSING = (
    "{} is not installed, so its rows are left out. Install it with: pip install 'modelzoo[bench]' "
    "(in a checkout `make bench` does)."
)

EPILOG = """\
What is compared:

\b
  toy           sigmoid_mlp, 2-4-2 on 1000 points, full batch, SGD       steps/s
  dense         dense_500_300 on MNIST, batch 100, RMSprop, float32      images/s
  dense-256     the same with batch 256
  cnn           two_conv_cnn on MNIST, batch 50, Adam, float32
  cnn-256       the same with batch 256
  cnn-bf16      the same computed in bfloat16, weights in float32
  cnn-bf16-256  the same with batch 256
  autoencoder   tanh_autoencoder on digits 1, 5 and 6, batch 50, Adam
  dense-98      seconds from starting a process to 98 % of the test images right, tested after each epoch
  cnn-99        the same to 99 %, with batch 100 and Adam at 0.001; each round has a seed of its own

\b
  modelzoo       modelzoo.train with the lesson recipe
  fit            model.compile + model.fit with their defaults, as a user would write it (mixed_bfloat16 for bf16)
  fit-tuned      the same with steps_per_execution of an epoch, and XLA for dense networks
  torch          PyTorch eager: the same network, fused Adam, channels_last for the CNN, autocast for bf16
  torch-compile  the same with its loss compiled by torch.compile
  jax            JAX with optax: all steps between two log entries in one jitted lax.scan
  sklearn        MLPClassifier, which has Adam in place of RMSprop; dense only

All train on the same data with the same number of threads; compilation, loading and evaluation are not timed, but
where a process starts cold. In each round every peer runs once, another one first each time. A ratio is the rate of
modelzoo divided by the peer's in the same round (the peer's seconds divided by ours), and "best" is the fastest peer
of the round; the median is compared with the target. A peer whose loss does not go down is an error. The peak is
that of a product of two large matrices in TensorFlow, measured in the same rounds.

Rates depend on what else the machine does: run it on an idle one, and look at the spread before the median.

\b
  make bench                                          all of it, more than ten minutes on 2 cores
  make bench BENCH_ARGS="--case toy --rounds 9"       one case, more rounds
  make bench BENCH_ARGS="--case cnn --batch-size 64"
  make bench BENCH_ARGS="--quick"                     only shows that all peers work; the rates say little
"""


@dataclasses.dataclass(frozen=True)
class Case:
    """One network with its precision, data and targets.

    Parameters
    ----------
    model
        Name of the model; its lesson recipe is used.
    samples
        Training samples taken, the same for every peer; what ``fit`` calls an epoch.
    quick_samples
        The same for ``--quick``.
    targets
        What the ratio to a peer, or to the best of them, should be at least.
    precision
        ``"float32"`` or ``"bfloat16"``.
    unit
        ``"steps/s"`` or ``"images/s"``.
    batch_size
        Samples a step, where it is not the recipe's.
    learning_rate
        The optimiser's, where it is not the recipe's.
    goal
        Test accuracy, 0–1, to which the seconds from a cold process are measured, instead of a rate.
    rounds
        Runs of each peer, unless told otherwise.
    """

    model: str
    samples: int
    quick_samples: int
    targets: dict[str, float]
    precision: str = "float32"
    unit: str = "images/s"
    batch_size: int | None = None
    learning_rate: float | None = None
    goal: float | None = None
    rounds: int = 5

    def task(self, peer: str, batch_size: int | None, threads: int, quick: bool) -> dict[str, Any]:
        """Return what the worker of a peer must know; ``batch_size`` is in place of the recipe's."""
        samples = self.quick_samples if quick else self.samples
        recipe = get_spec(self.model).recipe("lesson")
        recipe_size = recipe.batch_size
        size = samples if recipe_size is None else min(batch_size or self.batch_size or recipe_size, samples)
        samples -= samples % size  # so that fit has no smaller last batch
        task = {"peer": peer, "model": self.model, "precision": self.precision, "threads": threads}
        task |= {"batch_size": size, "samples": samples, "learning_rate": self.learning_rate or recipe.learning_rate}
        return task | ({"seed": 0} if self.goal is None else {"seed": 0, "goal": QUICK_GOAL if quick else self.goal})


CASES = {
    "toy": Case("sigmoid_mlp", 1000, 1000, {"best": 1.0, "fit": 500.0}, unit="steps/s"),
    "dense": Case("dense_500_300", 30_000, 3000, {"best": 1.25}),
    "dense-256": Case("dense_500_300", 30_000, 3000, {"best": 1.25}, batch_size=256),
    "cnn": Case("two_conv_cnn", 5000, 500, {"best": 1.15}),
    "cnn-256": Case("two_conv_cnn", 5000, 512, {"best": 1.15}, batch_size=256),
    "cnn-bf16": Case("two_conv_cnn", 5000, 500, {"best": 1.3}, precision="bfloat16"),
    "cnn-bf16-256": Case("two_conv_cnn", 5000, 512, {"best": 1.3}, precision="bfloat16", batch_size=256),
    "autoencoder": Case("tanh_autoencoder", 15_000, 1500, {"best": 1.2}),
    "dense-98": Case("dense_500_300", 60_000, 3000, {"best": 1.0}, unit="seconds", goal=0.98),
    "cnn-99": Case(
        "two_conv_cnn",
        60_000,
        500,
        {"best": 1.0},
        unit="seconds",
        batch_size=100,
        learning_rate=1e-3,
        goal=0.99,
        rounds=2,
    ),
}
QUICK_GOAL = 0.5


class PeerError(ModelZooError):
    """A peer failed or did not learn."""


class Peer:
    """What trains a case, once a round.

    Parameters
    ----------
    task
        See :meth:`Case.task`.
    """

    def __init__(self, task: dict[str, Any]) -> None:
        self.name: str = task["peer"]
        self.batch_size: int = task["batch_size"]
        self.rates: list[float] = []  # steps/s, or 1/s of a cold run
        self._task = task

    def run(self, seconds: float, number: int) -> None:
        """Train in the round of this number and note the rate."""
        raise NotImplementedError

    def check_learned(self) -> None:
        """Raise PeerError if the training was none."""

    def close(self) -> None:
        """End what still runs."""

    def _failure(self, status: int, errors: str) -> PeerError:
        last = "\n".join(errors.splitlines()[-12:])
        return PeerError(f"{TITLES[self.name]} ended with status {status}:\n{last}")


class ColdPeer(Peer):
    """A peer that starts a process in each round and trains until the test accuracy is high enough."""

    def __init__(self, task: dict[str, Any]) -> None:
        super().__init__(task)
        self.epochs: list[int] = []

    def run(self, seconds: float, number: int) -> None:
        """Train with the seed of the round's number to the goal and note the time, process start included."""
        task = self._task | {"seed": number}
        began = time.perf_counter()
        done = subprocess.run(
            worker_command(task), stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENVIRONMENT, check=False
        )
        self.rates.append(1 / (time.perf_counter() - began))
        if done.returncode:
            raise self._failure(done.returncode, done.stderr)
        accuracies = json.loads(done.stdout.splitlines()[-1])["accuracies"]
        if accuracies[-1] < task["goal"]:
            raise PeerError(
                f"{PEERS[self.name]}: the test accuracy was {max(accuracies):.2%} after {len(accuracies)} epochs and "
                f"must become {task['goal']:.0%}."
            )
        self.epochs.append(len(accuracies))


class WarmPeer(Peer):
    """A peer whose process waits to be told to train."""

    def __init__(self, task: dict[str, Any]) -> None:
        super().__init__(task)
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by close)
        self._process = subprocess.Popen(
            worker_command(task),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=ENVIRONMENT,
            text=True,
        )
        try:
            self.first_loss = self.last_loss = float(self._answer()["ready"])
            self._signal("SIGSTOP")
        except BaseException:
            self.close()
            raise

    def run(self, seconds: float, number: int) -> None:
        """Train for at least this long and note the rate."""
        assert self._process.stdin is not None
        self._signal("SIGCONT")
        print(json.dumps({"seconds": seconds}), file=self._process.stdin, flush=True)
        answer = self._answer()
        self._signal("SIGSTOP")
        self.rates.append(answer["steps"] / answer["seconds"])
        self.last_loss = answer["loss"]

    def check_learned(self) -> None:
        """Raise PeerError if the loss is not lower than it was at first."""
        if self.name != PEAK and not self.last_loss < self.first_loss:
            raise PeerError(
                f"{PEERS[self.name]}: the loss went from {self.first_loss:.6g} to {self.last_loss:.6g}; it must go "
                "down, or the peer does not train and its rate means nothing."
            )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._signal("SIGCONT")
        try:
            self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _signal(self, name: str) -> None:
        """Stop the process or let it go on: the idle threads of some libraries wait by computing."""
        if hasattr(signal, name):  # not on Windows
            self._process.send_signal(getattr(signal, name))

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            raise self._failure(self._process.returncode, self._errors.read())
        return json.loads(line)


def worker_command(task: dict[str, Any]) -> list[str]:
    """Return the command of a peer's process."""
    return [sys.executable, str(WORKER), json.dumps(task)]


def measure(
    case: Case, peer_names: Sequence[str], rounds: int, seconds: float, options: dict[str, Any], progress: Console
) -> list[Peer]:
    """Run all peers of a case round by round and return them with their rates."""
    peers: list[Peer] = []
    with progress.status("") as status:
        try:
            for name in peer_names:
                status.update(f"{case.model} {case.precision}: starting and compiling {TITLES[name]}")
                peers.append((WarmPeer if case.goal is None else ColdPeer)(case.task(name, **options)))
            for number in range(rounds):
                start = number % len(peers)
                for peer in peers[start:] + peers[:start]:
                    status.update(f"{case.model} {case.precision}: round {number + 1} of {rounds}, {TITLES[peer.name]}")
                    time.sleep(SETTLE)
                    peer.run(seconds, number)
            for peer in peers:
                peer.check_learned()
        finally:
            for peer in peers:
                peer.close()
    return peers


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the spread of some values, and the values themselves."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": list(values)}


def evaluate(case: Case, peers: Sequence[Peer]) -> dict[str, Any]:
    """Return rates (or seconds), losses and ratios of a measured case, ready for JSON."""
    batch = peers[0].batch_size
    result: dict[str, Any] = {"model": case.model, "precision": case.precision, "batch_size": batch, "unit": case.unit}
    peak = next((peer for peer in peers if peer.name == PEAK), None)
    peers = [peer for peer in peers if peer is not peak]
    if peak is not None:
        peak_rates = [rate * 2 * MATRIX**3 for rate in peak.rates]
        result["peak_gflops"] = summary([rate / 1e9 for rate in peak_rates])
    result["peers"] = {}
    for peer in peers:
        scale = batch if case.unit == "images/s" else 1
        shown = [1 / rate if case.unit == "seconds" else rate * scale for rate in peer.rates]
        found: dict[str, Any] = {"rate": summary(shown)}
        if isinstance(peer, ColdPeer):
            found["epochs"] = peer.epochs
        if isinstance(peer, WarmPeer):
            found["loss"] = {"first": peer.first_loss, "last": peer.last_loss}
        if peak is not None:
            work = operations(case.model) * batch
            found["of_peak"] = summary([r * work / p for r, p in zip(peer.rates, peak_rates, strict=True)])
        result["peers"][peer.name] = found
    ours = next((peer for peer in peers if peer.name == "modelzoo"), None)
    result["ratios"] = {}
    others = {peer.name: peer.rates for peer in peers if peer is not ours}
    if ours is None or not others:
        return result
    others["best"] = [max(rates) for rates in zip(*others.values(), strict=True)]
    for name, rates in others.items():
        ratio = summary([mine / theirs for mine, theirs in zip(ours.rates, rates, strict=True)])
        target = case.targets.get(name)
        met = None if target is None else ratio["median"] >= target
        result["ratios"][name] = ratio | {"target": target, "met": met}
    return result


def report_console() -> Console:
    """Return where tables go: as wide as the terminal, or as a table needs where there is none."""
    return Console() if sys.stdout.isatty() else Console(width=120)


def table(name: str, result: dict[str, Any]) -> Table:
    """Return the table of one case for the terminal."""
    title = f"{name}: {result['model']}, batch {result['batch_size']}, {result['precision']}"
    shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE)
    shown.add_column("peer")
    extra = "epochs" if result["unit"] == "seconds" else "of peak"
    for column in (result["unit"], "min–max", extra, "ratio", "min–max", "target"):
        shown.add_column(column, justify="right")
    rows = {
        peer: [PEERS[peer], *_with_spread(measured["rate"]), _extra(measured)]
        for peer, measured in result["peers"].items()
    }
    if "best" in result["ratios"]:
        rows["best"] = ["the best of them", "", "", ""]
    for peer, row in rows.items():
        if ratio := result["ratios"].get(peer):
            median, spread = _with_spread(ratio)
            row += [f"{median}×", spread]
            if ratio["target"]:
                verdict = "[green]met[/]" if ratio["met"] else "[red]missed[/]"
                row.append(f"≥ {ratio['target']:g}× {verdict}")
        shown.add_row(*row)
    return shown


def machine(threads: int) -> dict[str, Any]:
    """Return what the rates depend on: processor, threads, versions, and how busy the machine is."""
    names: list[str] = []
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    packages = ["modelzoo", "tensorflow", "keras", "numpy", "torch", "jax", "optax", "scikit-learn"]
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(terse=True),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in packages}},
    }


def write_report(output: Path, facts: dict[str, Any], part: str, order: Iterable[str], found: dict[str, Any]) -> None:
    """Write a report as JSON, with what an earlier one with the same facts has measured besides.

    Parameters
    ----------
    output
        The file.
    facts
        The machine, and what else a figure depends on.
    part, order, found
        Name of the part of the report that holds the figures, all names in it in their order, and the new ones.
    """
    known: dict[str, Any] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        earlier = json.loads(output.read_text(encoding="utf-8"))
        earlier["machine"]["load"] = facts["machine"]["load"]
        known = dict(earlier[part]) if facts.items() <= earlier.items() else {}
    known |= found
    with atomic_file(output) as temporary:
        report = facts | {part: {name: known[name] for name in order if name in known}}
        temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _extra(measured: dict[str, Any]) -> str:
    """Return the epochs of each round, or the fraction of the machine's peak."""
    if "epochs" in measured:
        return ", ".join(map(str, measured["epochs"]))
    return f"{measured['of_peak']['median']:.0%}" if "of_peak" in measured else ""


def _with_spread(values: dict[str, Any]) -> tuple[str, str]:
    digits = 0 if values["median"] >= 100 else 1 if values["median"] >= 20 else 2
    median, low, high = (f"{values[key]:,.{digits}f}" for key in ("median", "min", "max"))
    return median, f"{low}–{high}"


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@click.command(epilog=EPILOG, context_settings={"max_content_width": 120})
@click.option("cases", "--case", type=click.Choice(list(CASES)), multiple=True, help="Only this case; repeatable.")
@click.option("peers", "--peer", type=click.Choice(list(PEERS)), multiple=True, help="Only this peer; repeatable.")
@click.option(
    "--rounds", type=click.IntRange(1), help="Runs of each peer.  [default: 5; 2 with --quick, and for cnn-99]"
)
@click.option("--batch-size", type=click.IntRange(1), help="Images a step, instead of the recipe's; not for toy.")
@click.option("--threads", type=click.IntRange(1), default=usable_cores(), show_default=True, help="Of every peer.")
@click.option("--quick", is_flag=True, help="Short runs on few images: shows that it works, measures little.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help=OUTPUT_HELP,
)
def main(
    cases: tuple[str, ...],
    peers: tuple[str, ...],
    rounds: int | None,
    batch_size: int | None,
    threads: int,
    quick: bool,
    output: Path | None,
) -> None:
    """Measure modelzoo's trainer beside other libraries: steps or images a second, and the ratios."""
    console, progress = report_console(), Console(stderr=True)
    chosen = [name for name in CASES if name in (cases or CASES)]
    if batch_size and chosen == ["toy"]:
        raise click.UsageError("--batch-size does not go with --case toy: its recipe takes the full batch.")
    peer_names = [name for name in PEERS if name in (peers or PEERS)]
    for name, package in PACKAGES.items():
        if name in peer_names and importlib.util.find_spec(package) is None:
            progress.print(MISSING.format(PEERS[name]), style="yellow", highlight=False, markup=False)
            peer_names.remove(name)
    if not peer_names:
        raise click.UsageError("There is no peer left to measure.")
    facts = machine(threads)
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items() if version)
    hardware = f"{facts['processor']}, {facts['cores']} cores, {threads} threads a peer"
    console.print(f"{hardware}\n{facts['system']}\n{versions}", highlight=False, soft_wrap=True)
    if facts["load"] and facts["load"] > 0.5:
        progress.print(f"Other programs are busy (load {facts['load']}): rates and ratios are noisy.", style="yellow")
    options = {"batch_size": batch_size, "threads": threads, "quick": quick}
    try:
        if output is not None:
            check_target(output, overwrite=True)
        for name in chosen:
            having = [peer for peer in peer_names if name in ONLY.get(peer, CASES) and name not in NEVER.get(peer, ())]
            if not having:
                continue
            if CASES[name].goal is None and CASES[name].unit == "images/s":
                having = [*having, PEAK]
            number = rounds or (2 if quick else CASES[name].rounds)
            measured = measure(CASES[name], having, number, 0.2 if quick else 2.0, options, progress)
            result = evaluate(CASES[name], measured)
            console.print(table(name, result))
            if output is not None:
                write_report(output, {"machine": facts, "quick": quick}, "cases", CASES, {name: result})
    except ModelZooError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
