"""One peer of ``benchmark.py`` in a process of its own: trains when told to, and answers with steps and seconds.

The only argument is a JSON object (see ``benchmark.Case.task``). Then one JSON object a line goes each way: the
worker sends ``{"ready": loss}`` once everything is compiled, and after each ``{"seconds": s}`` it receives
``{"steps": n, "seconds": s, "loss": loss}``. It ends when its standard input does.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from modelzoo import datasets, get_spec
from modelzoo.spec import Recipe

WARM_UP = 2  # units that are not timed: the first one compiles, the second one fills caches
FOR_EVER = 10**9


class Clock:
    """Times units of work between a command and its answer; a unit is what lies between two log entries.

    Parameters
    ----------
    answers
        Where answers are written; commands come from the standard input.
    steps
        Optimiser steps in a unit.
    """

    def __init__(self, answers: TextIO, steps: int) -> None:
        self._answers = answers
        self._steps = steps
        self._units = -WARM_UP
        self._goal = 0.0
        self._began = 0.0

    def unit_done(self, loss: Callable[[], float]) -> bool:
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
            answer = {"steps": self._units * self._steps, "seconds": seconds, "loss": loss()}
        print(json.dumps(answer), file=self._answers, flush=True)
        command = sys.stdin.readline()
        if not command:
            return False
        self._goal = json.loads(command)["seconds"]
        self._units = 0
        self._began = time.perf_counter()
        return True


def run_modelzoo(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, answers: TextIO) -> None:
    """Train with ``modelzoo.train``; what is timed includes all that happens between two log entries."""
    import modelzoo

    limit_tensorflow(task["threads"])
    model = modelzoo.create_model(task["model"], recipe="lesson", seed=0)
    recipe = recipe.replace(steps=FOR_EVER, log_train="batches", precision=task["precision"])
    modelzoo.train(model, (x, y), recipe, seed=0, callbacks=[keras_callback(Clock(answers, recipe.log_every))])


def run_fit(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, answers: TextIO) -> None:
    """Train with Keras' ``compile`` and ``fit``, their defaults and the metric that ``modelzoo.train`` reports too."""
    import keras

    import modelzoo

    limit_tensorflow(task["threads"])
    if task["precision"] == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = modelzoo.create_model(task["model"], recipe="lesson", seed=0)
    optimizers = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop, "sgd": keras.optimizers.SGD}
    model.compile(optimizer=optimizers[recipe.optimizer](recipe.learning_rate), loss=recipe.loss, metrics=["accuracy"])
    batch_size = task["batch_size"]
    callback = keras_callback(Clock(answers, len(x) // batch_size))
    model.fit(x, y, batch_size=batch_size, epochs=FOR_EVER, verbose=0, callbacks=[callback])


def run_torch(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, answers: TextIO) -> None:
    """Train with PyTorch in eager mode, with what its documentation advises for a CPU."""
    import torch
    from torch import nn

    torch.set_num_threads(task["threads"])
    torch.manual_seed(0)

    class Rescale(nn.Module):
        def forward(self, images: Any) -> Any:
            return images.float() / 255

    networks: dict[str, Callable[[], list[Any]]] = {
        "sigmoid_mlp": lambda: [nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 2)],
        "dense_500_300": lambda: [
            *(Rescale(), nn.Flatten(), nn.Linear(784, 500), nn.ReLU()),
            *(nn.Linear(500, 300), nn.ReLU(), nn.Linear(300, 10)),
        ],
        "two_conv_cnn": lambda: [
            *(Rescale(), nn.Unflatten(1, (1, 28))),
            *(nn.Conv2d(1, 32, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Conv2d(32, 64, 5, padding="same"), nn.ReLU(), nn.MaxPool2d(2)),
            *(nn.Flatten(), nn.Linear(7 * 7 * 64, 1024), nn.ReLU(), nn.Dropout(0.5), nn.Linear(1024, 10)),
        ],
    }
    model = nn.Sequential(*networks[task["model"]]())
    if task["model"] == "two_conv_cnn":
        model = model.to(memory_format=torch.channels_last)
    parameters, rate = list(model.parameters()), recipe.learning_rate
    if sum(p.numel() for p in parameters) != get_spec(task["model"]).num_params:
        raise SystemExit(f"The PyTorch network is not {task['model']}: it has other parameters.")
    optimizer = {
        "adam": lambda: torch.optim.Adam(parameters, lr=rate, fused=True),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=rate, alpha=0.9),  # no fused form exists
        "sgd": lambda: torch.optim.SGD(parameters, lr=rate),
    }[recipe.optimizer]()
    loss_function = nn.CrossEntropyLoss()
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=task["precision"] == "bfloat16")
    images, labels = torch.tensor(x), torch.tensor(y).long()
    batch_size, steps = task["batch_size"], recipe.log_every
    order, position = torch.randperm(len(x)), 0

    def loss_now() -> float:
        model.eval()
        with torch.no_grad():
            loss = loss_function(model(images[:1000]), labels[:1000]).item()
        model.train()
        return loss

    clock, going = Clock(answers, steps), True
    while going:
        for _ in range(steps):
            if batch_size == len(x):
                inputs, targets = images, labels
            else:
                if position + batch_size > len(x):
                    order, position = torch.randperm(len(x)), 0
                chosen = order[position : position + batch_size]
                inputs, targets = images[chosen], labels[chosen]
                position += batch_size
            optimizer.zero_grad()
            with autocast():
                loss = loss_function(model(inputs), targets)
            loss.backward()
            optimizer.step()
        going = clock.unit_done(loss_now)


def limit_tensorflow(threads: int) -> None:
    """Let TensorFlow compute in as many threads as PyTorch gets."""
    import keras

    if keras.backend.backend() != "tensorflow":  # asked first: Keras that is still lazy must not load inside TensorFlow
        raise SystemExit("The benchmark measures Keras on TensorFlow: unset KERAS_BACKEND.")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)


def keras_callback(clock: Clock) -> Any:
    """Return a Keras callback that shows each log entry to the clock, and ends training when the clock says so."""
    import keras

    class Timer(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = not clock.unit_done(lambda: float(logs["loss"]))

    return Timer()


def main() -> None:
    """Load the data, then train in the way the task names until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    task = json.loads(sys.argv[1])
    spec = get_spec(task["model"])
    recipe = spec.recipe("lesson")
    x, y = datasets.load(spec.dataset, **recipe.data_options).train
    x, y = x[: task["samples"]].copy(), y[: task["samples"]].copy()
    if recipe.batch_size is not None:
        recipe = recipe.replace(batch_size=task["batch_size"])
    {"modelzoo": run_modelzoo, "fit": run_fit, "torch": run_torch}[task["peer"]](task, recipe, x, y, answers)


if __name__ == "__main__":
    main()
