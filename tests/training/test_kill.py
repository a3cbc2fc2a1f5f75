"""SIGKILL at random moments, then resume: the weights of the run that nothing disturbed, bit for bit."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = {
    "sigmoid_mlp": (
        {"name": "sigmoid_mlp"},
        {"steps": 40_000, "optimizer": "sgd", "learning_rate": 0.01, "log_every": 250, "log_train": "all"},
    ),
    "dense_500_300": (
        {"name": "dense_500_300"},
        {"steps": 300, "batch_size": 100, "optimizer": "rmsprop", "log_every": 10, "xla": "update"},
    ),
    "two_conv_cnn": (
        {"name": "two_conv_cnn", "filters": [4, 8], "hidden_units": 32},
        {"steps": 180, "batch_size": 50, "learning_rate": 1e-3, "log_every": 6, "xla": "update"},
    ),
}

# One process imports TensorFlow, without starting its runtime; each run is a fork of it, which saves five seconds.
TRAINER = """
import json, os, sys
import keras, tensorflow
import modelzoo
from modelzoo import datasets
points = datasets.load("quadratic")
digits = datasets.load("mnist").take(per_class=60).train

def train(job):
    options = dict(job["model"])
    model = modelzoo.create_model(options.pop("name"), seed=0, **options)
    data = points if model.name == "sigmoid_mlp" else digits
    recipe = modelzoo.Recipe.from_dict(job["recipe"])
    history = modelzoo.train(model, data, recipe, seed=3, checkpoint_dir=job["directory"], resume=True).history
    with open(job["result"], "w") as file:
        json.dump([modelzoo.weights_digest(model), history], file)

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            train(json.loads(line))
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    print(pid, flush=True)
    print(os.waitpid(pid, 0)[1], flush=True)
"""


@pytest.fixture(scope="module")
def trainer():
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", TRAINER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    ) as process:
        yield process
        process.stdin.close()
        process.wait(30)


def start(trainer, **job):
    trainer.stdin.write(json.dumps(job) + "\n")
    trainer.stdin.flush()
    return int(trainer.stdout.readline())


def finish(trainer):
    """Wait for the run; return the signal that ended it, or 0."""
    status = int(trainer.stdout.readline())
    assert os.waitstatus_to_exitcode(status) in (0, -signal.SIGKILL)
    return -os.waitstatus_to_exitcode(status)


def newest(directory):
    return max((path.name for path in directory.glob("step-*.npz")), default="")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_killed_five_times_and_resumed_equals_uninterrupted(name, trainer, tmp_path):
    model, recipe = RUNS[name]
    job = {"model": model, "recipe": recipe}
    began = time.perf_counter()
    start(trainer, **job, directory=str(tmp_path / "whole"), result=str(tmp_path / "whole.json"))
    while not newest(tmp_path / "whole"):
        time.sleep(0.01)
        assert time.perf_counter() - began < 120
    first = time.perf_counter()
    assert finish(trainer) == 0
    writing = time.perf_counter() - first  # from the first checkpoint to the end

    directory, result = tmp_path / "killed", tmp_path / "killed.json"
    moments = random.Random(name)
    kills = progress = 0
    while kills < 5:
        before = newest(directory)
        pid = start(trainer, **job, directory=str(directory), result=str(result))
        deadline = time.perf_counter() + 120
        while newest(directory) == before and time.perf_counter() < deadline:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.15 * writing))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        assert finish(trainer) == signal.SIGKILL, "the run ended before it was killed: give it more steps"
        assert not result.exists()
        progress += newest(directory) > before
        kills += 1
    assert progress == 5
    start(trainer, **job, directory=str(directory), result=str(result))
    assert finish(trainer) == 0
    assert json.loads(result.read_text()) == json.loads((tmp_path / "whole.json").read_text())
    assert [path.name for path in directory.iterdir() if path.name.startswith("step-")]
