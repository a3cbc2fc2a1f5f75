"""One peer of ``benchmark.py`` in a process of its own: trains when told to, and answers with steps and seconds.

The only argument is a JSON object (see ``benchmark.Case.task``). Then one JSON object a line goes each way: the
worker sends ``{"ready": loss}`` once everything is compiled, and after each ``{"seconds": s}`` it receives
``{"steps": n, "seconds": s, "loss": loss}``. It ends when its standard input does.

With a ``goal`` it trains at once, epoch by epoch, until the test accuracy is that; then it sends
``{"accuracies": [a, …]}``, one an epoch, and ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from benchmark_peers import RUN

from modelzoo import datasets, get_spec
from modelzoo.recipe import Recipe

WARM_UP = 2  # units that are not timed: the first one compiles, the second one fills caches
MOST_EPOCHS = 20  # a peer that has not reached its goal by then never will


class Clock:
    """Times units of work between a command and its answer; a unit is what lies between two log entries.

    Parameters
    ----------
    answers
        Where answers are written; commands come from the standard input.
    steps
        Optimiser steps in a unit.
    """

    #: Test data, which only a :class:`Goal` needs.
    test: tuple[Any, Any] | None = None

    def __init__(self, answers: TextIO, steps: int) -> None:
        self._answers = answers
        self.steps = steps
        self._units = -WARM_UP
        self._goal = 0.0
        self._began = 0.0

    def unit_done(self, loss: Callable[[], float], accuracy: Callable[[], float]) -> bool:
        """Take note of a finished unit; return whether to do another one, and wait for a command before that."""
        seconds = time.perf_counter() - self._began
        self._units += 1
        if self._units == 1 - WARM_UP:
            self._first_loss = loss()
        if self._units < 0 or (self._units > 0 and seconds < self._goal):
            return True
        if self._units == 0:
            answer = {"ready": self._first_loss}
        else:
            answer = {"steps": self._units * self.steps, "seconds": seconds, "loss": loss()}
        print(json.dumps(answer), file=self._answers, flush=True)
        command = sys.stdin.readline()
        if not command:
            return False
        self._goal = json.loads(command)["seconds"]
        self._units = 0
        self._began = time.perf_counter()
        return True


class Goal(Clock):
    """Lets a peer train until its test accuracy is high enough.

    Parameters
    ----------
    answers
        Where the answer is written.
    steps
        Optimiser steps in an epoch.
    goal
        The test accuracy, 0–1.
    test
        Test samples and labels.
    """

    def __init__(self, answers: TextIO, steps: int, goal: float, test: tuple[Any, Any]) -> None:
        super().__init__(answers, steps)
        self.test = test
        self._accuracy = goal
        self._found: list[float] = []

    def unit_done(self, loss: Callable[[], float], accuracy: Callable[[], float]) -> bool:
        """Take note of a finished epoch; return whether to do another one."""
        self._found.append(accuracy())
        if self._found[-1] < self._accuracy and len(self._found) < MOST_EPOCHS:
            return True
        print(json.dumps({"accuracies": self._found}), file=self._answers, flush=True)
        return False


def steps_a_unit(task: dict[str, Any], recipe: Recipe, samples: int) -> int:
    """Return the steps between two log entries: an epoch where a peer counts in epochs, else the recipe's.

    JAX takes most of a second for a step of the CNN on a processor, so that a unit of its has few.
    """
    if task["peer"] == "matmul":
        return 5
    if task["peer"] in ("fit", "fit-tuned", "sklearn") or "goal" in task:
        return samples // task["batch_size"]
    return 5 if task["peer"] == "jax" and task["model"] == "two_conv_cnn" else recipe.log_every


def main() -> None:
    """Load the data, then train in the way the task names until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    task = json.loads(sys.argv[1])
    spec = get_spec(task["model"])
    recipe = spec.recipe("lesson")
    (x, y), test = datasets.load(spec.dataset, **recipe.data_options)
    x, y = x[: task["samples"]].copy(), y[: task["samples"]].copy()
    if recipe.batch_size is not None:
        recipe = recipe.replace(batch_size=task["batch_size"], learning_rate=task["learning_rate"])
    steps = steps_a_unit(task, recipe, len(x))
    clock = Goal(answers, steps, task["goal"], test) if "goal" in task else Clock(answers, steps)
    RUN[task["peer"]](task, recipe, x, y, clock)


if __name__ == "__main__":
    main()
