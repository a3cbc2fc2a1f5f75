"""Does the jobs of ``faults.py``, each in a fork of this process, where it may fail, be killed or run out of room.

One process imports TensorFlow, without starting its runtime; a fork of it saves five seconds a job. Jobs come as lines
of JSON, and what happens goes back likewise: ``{"pid": …}``, then whatever the job tells, then ``{"status": …}``.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("MPLBACKEND", "Agg")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

import modelzoo
from modelzoo import _io, datasets, viz
from modelzoo.errors import ModelZooError, TargetError

REPORT = os.dup(1)
#: Two of everything that is written: the one that is there, and the one that shall replace it.
VERSIONS = ("sigmoid_mlp", "tanh_mlp")


def tell(**message: Any) -> None:
    os.write(REPORT, (json.dumps(message) + "\n").encode())


# --- training, checkpoints and export, to be killed


def train_and_export(job: dict[str, Any]) -> dict[str, Any]:
    """Train with checkpoints, export, and tell when each phase begins."""
    from modelzoo.training.checkpoints import Checkpoints

    save = Checkpoints.save

    def marked(checkpoints: Checkpoints, step: int, *args: Any, **options: Any) -> None:
        tell(mark="checkpoint", step=step, time=time.perf_counter())
        save(checkpoints, step, *args, **options)
        tell(mark="training", step=step, time=time.perf_counter())

    Checkpoints.save = marked  # type: ignore[method-assign, assignment]
    options = dict(job["model"])
    model = modelzoo.create_model(options.pop("name"), seed=0, **options)
    data = points() if len(model.input_shape) == 2 else digits()
    recipe = modelzoo.Recipe.from_dict(job["recipe"])
    tell(mark="training", step=0, time=time.perf_counter())
    history = modelzoo.train(model, data, recipe, seed=3, checkpoint_dir=job["checkpoints"], resume=True).history
    if "die" in job:
        die_at_the_swap(job["die"])
    tell(mark="export", time=time.perf_counter())
    modelzoo.save(model, job["target"], overwrite=True)
    tell(mark="end", time=time.perf_counter())
    return {"digest": modelzoo.weights_digest(model), "history": history}


def die_at_the_swap(moment: str) -> None:
    """Kill this process just before or just after the two directories change places, or between two renames."""
    exchange, rename = _io._exchange, os.rename

    def exchanged(new: Path, path: Path) -> bool:
        if moment == "after":
            exchange(new, path)
        if moment != "between":
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    def renamed(source: Any, target: Any) -> None:
        rename(source, target)
        if _io._OLD in str(target):
            os.kill(os.getpid(), signal.SIGKILL)

    _io._exchange = exchanged
    os.rename = renamed  # type: ignore[assignment]


@functools.cache
def points() -> Any:
    return datasets.load("quadratic")


@functools.cache
def digits() -> Any:
    return datasets.load("mnist").take(per_class=60).train


# --- whatever writes files


def write(job: dict[str, Any]) -> dict[str, Any]:
    """Write one kind of file, and tell how it ended and whether model and data are what they were."""
    if job.get("file_limit") is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error instead of a signal, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["file_limit"], resource.RLIM_INFINITY))
    kind, target = job["kind"], Path(job["target"])
    name = VERSIONS[0 if kind in ("checkpoint", "describe") else job["version"]]  # these two refuse another model
    if kind in COMMANDS:
        with captured() as text:
            status = run_command([word.format(name=name, target=target) for word in COMMANDS[kind]])
        return {
            "failed": status != 0,
            "ours": status == 2 and text().startswith("Error: Cannot write "),
            "text": text(),
        }
    model = modelzoo.create_model(name, seed=0)
    before = modelzoo.weights_digest(model), digest_of(points())
    try:
        FUNCTIONS[kind](model, target, job["version"])
    except Exception as error:
        answer = {"failed": True, "ours": isinstance(error, TargetError), "text": f"{type(error).__name__}: {error}"}
    else:
        answer = {"failed": False, "ours": False, "text": ""}
    after = modelzoo.weights_digest(model), digest_of(points())
    changed = before[1] != after[1] or (kind != "checkpoint" and before[0] != after[0])
    return answer | {"changed": changed, "digest": after[0]}


def digest_of(data: datasets.Dataset) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in (*data.train, *data.test))).hexdigest()


def run_command(words: list[str]) -> int:
    from modelzoo import cli

    sys.argv = ["modelzoo", *words]
    try:
        cli.main()
    except SystemExit as end:
        return int(end.code or 0)
    except Exception:
        traceback.print_exc()
    return 1


@contextlib.contextmanager
def captured() -> Iterator[Callable[[], str]]:
    """Catch what is printed, in a pipe: a file could be too large for the limit that is tried."""
    reader, writer = os.pipe()
    kept = os.dup(1), os.dup(2)
    lines = ""
    for stream in (1, 2):
        os.dup2(writer, stream)
    try:
        yield lambda: lines
    finally:
        sys.stdout.flush()
        for stream, original in zip((1, 2), kept, strict=True):
            os.dup2(original, stream)
        os.close(writer)
        with open(reader, encoding="utf-8", errors="replace") as pipe:
            lines = pipe.read()


def write_checkpoint(model: Any, target: Path, version: int) -> None:
    """Train into a directory; the earlier version is a run that stopped half-way."""

    def stop(epoch: int, logs: Any) -> None:
        if version == 0 and epoch == 4:
            raise KeyboardInterrupt

    import keras

    recipe = modelzoo.Recipe(steps=1000, optimizer="adam", learning_rate=0.01, log_every=100, xla="off")
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_end=stop)]
    with contextlib.suppress(KeyboardInterrupt):
        modelzoo.train(model, points(), recipe, seed=3, checkpoint_dir=target, resume=True, callbacks=callbacks)


FUNCTIONS: dict[str, Callable[[Any, Path, int], Any]] = {
    "checkpoint": write_checkpoint,
    "save": lambda model, target, version: modelzoo.save(model, target, overwrite=True),
    "figure": lambda model, target, version: viz.save_figure(viz.plot_architecture(model), target, overwrite=True),
}
COMMANDS = {
    "train": ("train", "{name}", "--steps", "200", "--quiet", "--overwrite", "-o", "{target}"),
    "describe": ("describe", "{name}", "--overwrite", "-o", "{target}"),
    **{
        form: ("export", "{name}", "--format", form, "--overwrite", "-o", "{target}")
        for form in ("saved_model", "keras", "onnx", "litert")
    },
}


# --- a download


def download(job: dict[str, Any]) -> dict[str, Any]:
    """Fetch a stand-in for Fashion-MNIST from a server of ours."""
    import pooch

    from modelzoo.datasets import mnist

    mnist._FASHION_URL, mnist._FASHION_MIRROR = job["urls"]
    mnist._FASHION_FILES = {name: tuple(pins) for name, pins in job["pins"].items()}
    mnist._FASHION_SYSTEM_FOLDER = Path(job["cache"], "none")
    pooch.os_cache = lambda project: Path(job["cache"])
    pooch.get_logger().setLevel("ERROR")
    try:
        return {"checksum": datasets.load("fashion_mnist", download=True).checksum}
    except Exception as error:
        return {"ours": isinstance(error, ModelZooError), "text": str(error)}


JOBS = {"train_and_export": train_and_export, "write": write, "download": download}


def main() -> None:
    if sys.argv[1] == "heavy":
        import keras  # noqa: F401
        import tensorflow  # noqa: F401

        points(), digits()
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.dup2(2, 1)  # what a job prints is no report
                tell(pid=os.getpid())
                tell(answer=JOBS[job["do"]](job))
                status = 0
            except BaseException:
                traceback.print_exc()
            os._exit(status)
        tell(status=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
