"""One peer of ``benchmark.py`` in a process of its own: trains when told to, and answers with steps and seconds.

The only argument is a JSON object (see ``benchmark.Case.task``). Then one JSON object a line goes each way: the
worker sends ``{"ready": loss}`` once everything is compiled, and after each ``{"seconds": s}`` it receives
``{"steps": n, "seconds": s, "loss": loss}``. It ends when its standard input does.

With a ``goal`` it trains at once: by the lesson's recipe epoch by epoch until the test accuracy is that, by the fast
one to its end. Then it sends ``{"accuracies": [a, …]}``, one an epoch or one in all, and ends.

Each peer is written as its own documentation would have a user write it; those whose names end in ``-tuned`` or
``-compile`` as an expert would.
"""

from __future__ import annotations

import functools
import json
import math
import os
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from modelzoo import datasets, get_spec
from modelzoo.card import read_card
from modelzoo.network import Layer, Network
from modelzoo.recipe import Recipe
from modelzoo.saving import find

WARM_UP = 2  # units that are not timed: the first one compiles, the second one fills caches
MOST_EPOCHS = 20  # a peer that has not reached its goal by then never will
FOR_EVER = 10**8
#: Rows and columns of the matrices whose product shows the machine's peak.
MATRIX = 2048


def layers_of(model: str) -> list[Layer]:
    """Return the layers of a network from its card, up to its logits, or the pixels of the autoencoder."""
    _, *layers = Network.from_dict(read_card(find(model))["network"]).chain()
    return layers[: max(number for number, layer in enumerate(layers, 1) if layer.weights)]


def operations(model: str) -> int:
    """Return the floating-point operations of a training step for each sample, of its matrix products alone.

    A layer has one product forward and two backward, the first one only one.
    """
    products = [layer.multiply_adds or 0 for layer in layers_of(model) if layer.weights]
    return 2 * (3 * sum(products) - products[0])


class Clock:
    """Times units of ``steps`` optimiser steps between a command and its answer, or counts those to a test accuracy."""

    def __init__(
        self,
        answers: TextIO,
        steps: int,
        goal: float | None = None,
        test: tuple[Any, Any] | None = None,
        most: int = MOST_EPOCHS,
    ) -> None:
        self.steps, self.test, self.most = steps, test, most
        self._answers, self._goal = answers, goal
        self._accuracies: list[float] = []
        self._units, self._seconds, self._began = -WARM_UP, 0.0, 0.0

    def unit_done(self, loss: Callable[[], float], accuracy: Callable[[], float]) -> bool:
        """Note a finished unit; return whether to train another one, and wait for a command before that."""
        if self._goal is not None:
            self._accuracies.append(accuracy())
            going = self._accuracies[-1] < self._goal and len(self._accuracies) < self.most
            if not going:
                self._answer({"accuracies": self._accuracies})
            return going
        seconds = time.perf_counter() - self._began
        self._units += 1
        if self._units == 1 - WARM_UP:
            self._first_loss = loss()
        if self._units < 0 or (self._units > 0 and seconds < self._seconds):
            return True
        if self._units == 0:
            self._answer({"ready": self._first_loss})
        else:
            self._answer({"steps": self._units * self.steps, "seconds": seconds, "loss": loss()})
        command = sys.stdin.readline()
        if not command:
            return False
        self._seconds, self._units, self._began = json.loads(command)["seconds"], 0, time.perf_counter()
        return True

    def _answer(self, value: dict[str, Any]) -> None:
        print(json.dumps(value), file=self._answers, flush=True)


def run_modelzoo(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, clock: Clock) -> None:
    """Train with ``modelzoo.train``; what is timed includes all that happens between two log entries."""
    import modelzoo

    limit_tensorflow(task["threads"])
    model = modelzoo.create_model(task["model"], recipe=task["recipe"], seed=task["seed"])
    if task["recipe"] == "lesson":
        recipe = recipe.replace(steps=FOR_EVER, log_train="batches")
    if "goal" in task:
        recipe = recipe.replace(log_every=clock.steps, validation_freq=1)
    modelzoo.train(
        model, (x, y), recipe, seed=task["seed"], validation_data=clock.test, callbacks=[keras_callback(clock)]
    )


def run_fit(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, clock: Clock, *, tuned: bool = False) -> None:
    """Train with Keras' ``compile`` and ``fit`` and the metric that ``modelzoo.train`` reports too.

    With their defaults, or ``tuned``: an epoch of steps a call, and XLA for dense networks.
    """
    import keras
    import numpy as np

    import modelzoo

    limit_tensorflow(task["threads"])
    if task["precision"] == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    keras.utils.set_random_seed(task["seed"])
    model = modelzoo.create_model(task["model"], recipe=task["recipe"], seed=task["seed"])
    optimizers = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop, "sgd": keras.optimizers.SGD}
    batch_size, steps = task["batch_size"], clock.steps
    options: dict[str, Any] = {}
    if tuned:  # XLA compiles convolutions on a processor to code that is many times slower than TensorFlow's own
        worth_it = task["model"] != "two_conv_cnn" and task["recipe"] == "lesson"  # the fast recipe is over too soon
        options = {"jit_compile": worth_it, "steps_per_execution": steps}
    rate: Any = recipe.learning_rate
    if task["recipe"] == "fast":
        rate = keras.optimizers.schedules.CosineDecay(
            **rate["config"], decay_steps=steps - rate["config"]["warmup_steps"]
        )
        # fit has no half epochs. The copy takes 0.3 s.
        x, y = (a if len(a) == steps * batch_size else np.resize(a, (steps * batch_size, *a.shape[1:])) for a in (x, y))
    targets = x / 255 if recipe.reconstruct else y
    metrics = [] if recipe.reconstruct else ["accuracy"]
    model.compile(optimizer=optimizers[recipe.optimizer](rate), loss=recipe.loss, metrics=metrics, **options)
    callbacks = [keras_callback(clock)]
    model.fit(x, targets, batch_size, epochs=FOR_EVER, verbose=0, callbacks=callbacks, validation_data=clock.test)


def run_torch(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, clock: Clock, *, compiled: bool = False) -> None:
    """Train with PyTorch, in eager mode or compiled, with what its documentation advises for a CPU."""
    import torch
    from torch import nn

    torch.set_num_threads(task["threads"])
    torch.manual_seed(task["seed"])

    class Rescale(nn.Module):
        def forward(self, images: Any) -> Any:
            return images.float() / 255

    modules = []
    for layer in layers_of(task["model"]):
        shape = layer.weights[0].shape if layer.weights else ()
        if layer.kind == "Dense":
            modules.append(nn.Linear(*shape))
        elif layer.kind == "Conv2D":
            modules.append(nn.Conv2d(shape[2], shape[3], shape[0], padding="same"))
        else:
            others = {"Rescaling": Rescale(), "Reshape": nn.Unflatten(1, (1, 28)), "Flatten": nn.Flatten()}
            modules.append((others | {"MaxPooling2D": nn.MaxPool2d(2), "Dropout": nn.Dropout(0.5)})[layer.kind])
        if layer.activation:
            modules.append({"sigmoid": nn.Sigmoid, "relu": nn.ReLU, "tanh": nn.Tanh}[layer.activation]())
    model = nn.Sequential(*modules)
    if task["recipe"] == "fast":
        for module in modules:
            if isinstance(module, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
    if task["model"] == "two_conv_cnn":
        model = model.to(memory_format=torch.channels_last)
    parameters, steps = list(model.parameters()), clock.steps
    rate = recipe.learning_rate if task["recipe"] == "lesson" else 1.0
    optimizer = {
        "adam": lambda: torch.optim.Adam(parameters, lr=rate, fused=True),
        "rmsprop": lambda: torch.optim.RMSprop(parameters, lr=rate, alpha=0.9),  # no fused form exists
        "sgd": lambda: torch.optim.SGD(parameters, lr=rate),
    }[recipe.optimizer]()
    fast = task["recipe"] == "fast"
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, functools.partial(rate_at, recipe, steps)) if fast else None
    compute_loss = nn.MSELoss() if recipe.reconstruct else nn.CrossEntropyLoss()
    autocast = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=task["precision"] == "bfloat16")
    images = torch.tensor(x)
    labels = (images.flatten(1).float() / 255) if recipe.reconstruct else torch.tensor(y).long()
    batch_size = task["batch_size"]
    order, position = torch.randperm(len(x)), 0

    def loss_of(inputs: Any, targets: Any) -> Any:
        with autocast():
            return compute_loss(model(inputs), targets)

    step_loss = torch.compile(loss_of) if compiled else loss_of

    def loss_now() -> float:
        model.eval()
        with torch.no_grad():
            loss = compute_loss(model(images[:1000]), labels[:1000]).item()
        model.train()
        return loss

    def accuracy_now() -> float:
        model.eval()
        x_test, y_test = map(torch.tensor, clock.test or ((), ()))
        with torch.no_grad(), autocast():
            correct = [
                (model(part).argmax(1) == labels).float()
                for part, labels in zip(x_test.split(500), y_test.split(500), strict=True)
            ]
        model.train()
        return torch.cat(correct).mean().item()

    going = True
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
            step_loss(inputs, targets).backward()
            optimizer.step()
            if schedule is not None:
                schedule.step()
        going = clock.unit_done(loss_now, accuracy_now)


def run_jax(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, clock: Clock) -> None:
    """Train with JAX and optax: many steps in one jitted ``lax.scan`` whose state is donated."""
    if task["threads"] == 1:  # JAX has no other way to say so
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    import jax
    import jax.numpy as jnp
    import optax

    precision = jnp.bfloat16 if task["precision"] == "bfloat16" else jnp.float32
    functions: dict[str, Any] = {"sigmoid": jax.nn.sigmoid, "relu": jax.nn.relu, "tanh": jnp.tanh}
    layers = layers_of(task["model"])
    shapes = [layer.weights[0].shape for layer in layers if layer.weights]
    keys = jax.random.split(jax.random.key(task["seed"]), len(shapes))
    initializers = jax.nn.initializers
    initialize = initializers.glorot_uniform() if task["recipe"] == "lesson" else initializers.he_normal()
    weights = [(initialize(key, shape), jnp.zeros(shape[-1])) for key, shape in zip(keys, shapes, strict=True)]

    def outputs(weights: Any, inputs: Any, key: Any) -> Any:
        values = iter(jax.tree.map(lambda value: value.astype(precision), weights))
        h, pool = inputs.astype(precision), (1, 2, 2, 1)
        for layer in layers:
            w, b = next(values) if layer.weights else (None, None)
            if layer.kind == "Rescaling":
                h = h / 255
            elif layer.kind == "Reshape":
                h = h[..., jnp.newaxis]
            elif layer.kind == "Flatten":
                h = h.reshape(len(h), -1)
            elif layer.kind == "Dense":
                h = h @ w + b
            elif layer.kind == "Conv2D":
                dimensions = ("NHWC", "HWIO", "NHWC")
                h = jax.lax.conv_general_dilated(h, w, (1, 1), "SAME", dimension_numbers=dimensions) + b
            elif layer.kind == "MaxPooling2D":
                h = jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, pool, pool, "VALID")
            elif key is not None:  # dropout
                h = jnp.where(jax.random.bernoulli(key, 0.5, h.shape), h * 2, 0)
            h = functions[layer.activation](h) if layer.activation else h
        return h.astype(jnp.float32)

    def loss_of(weights: Any, inputs: Any, labels: Any, key: Any) -> Any:
        found = outputs(weights, inputs, key)
        if recipe.reconstruct:
            return jnp.mean((found - inputs.reshape(len(inputs), -1) / 255.0) ** 2)
        return optax.softmax_cross_entropy_with_integer_labels(found, labels).mean()

    batch_size, steps = task["batch_size"], clock.steps
    rate: Any = recipe.learning_rate
    if task["recipe"] == "fast":
        given = rate["config"]
        rate = optax.warmup_cosine_decay_schedule(0.0, given["warmup_target"], given["warmup_steps"], steps)
    optimizer = {"adam": optax.adam(rate), "rmsprop": optax.rmsprop(rate, decay=0.9), "sgd": optax.sgd(rate)}[
        recipe.optimizer
    ]
    samples, labels = jnp.asarray(x), jnp.asarray(y)

    @functools.partial(jax.jit, donate_argnums=0)
    def unit(state: Any, samples: Any, labels: Any) -> tuple[Any, Any]:
        def step(state: Any, _: Any) -> tuple[Any, Any]:
            weights, slots, key = state
            key, choice, mask = jax.random.split(key, 3)
            inputs, targets = samples, labels
            if batch_size < len(samples):
                rows = jax.random.randint(choice, (batch_size,), 0, len(samples))
                inputs, targets = samples[rows], labels[rows]
            loss, gradients = jax.value_and_grad(loss_of)(weights, inputs, targets, mask)
            updates, slots = optimizer.update(gradients, slots, weights)
            return (optax.apply_updates(weights, updates), slots, key), loss

        state, losses = jax.lax.scan(step, state, None, length=steps)
        return state, losses.mean()

    @jax.jit
    def correct(weights: Any, samples: Any, labels: Any) -> Any:
        return jnp.mean(outputs(weights, samples, None).argmax(1) == labels)

    def accuracy_now() -> float:
        return float(correct(state[0], *map(jnp.asarray, clock.test or ((), ()))))

    state = (weights, optimizer.init(weights), jax.random.key(task["seed"] + 1))
    going = True
    while going:
        state, loss = unit(state, samples, labels)
        loss.block_until_ready()
        going = clock.unit_done(functools.partial(float, loss), accuracy_now)


def run_sklearn(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, clock: Clock) -> None:
    """Train with scikit-learn's ``MLPClassifier``, epoch by epoch; it has Adam in place of RMSprop."""
    import numpy as np
    from sklearn.neural_network import MLPClassifier
    from threadpoolctl import threadpool_limits

    *hidden, last = [layer for layer in layers_of(task["model"]) if layer.kind == "Dense"]
    model = MLPClassifier(
        [layer.weights[0].shape[1] for layer in hidden],
        activation=hidden[0].activation,
        batch_size=task["batch_size"],
        learning_rate_init=recipe.learning_rate,
        alpha=0,
        random_state=task["seed"],
    )

    def rows(images: Any) -> Any:
        return (images.reshape(len(images), -1) / 255).astype(np.float32)

    def accuracy_now() -> float:
        x_test, y_test = clock.test or (x, y)
        return float(model.score(rows(x_test), y_test))

    samples = rows(x)
    going = True
    with threadpool_limits(task["threads"]):
        while going:
            model.partial_fit(samples, y, classes=np.arange(last.weights[0].shape[1]))
            going = clock.unit_done(lambda: float(model.loss_), accuracy_now)


def run_matmul(task: dict[str, Any], recipe: Recipe, x: Any, y: Any, clock: Clock) -> None:
    """Multiply large square matrices in TensorFlow: what the machine can do at most."""
    limit_tensorflow(task["threads"])
    import tensorflow as tf

    matrix = tf.cast(tf.random.stateless_normal((MATRIX, MATRIX), (0, 1)), task["precision"])
    going = True
    while going:
        for _ in range(clock.steps):
            product = tf.matmul(matrix, matrix)
        first = float(product[0, 0])  # waits for it
        going = clock.unit_done(functools.partial(float, first), float)


def rate_at(recipe: Recipe, steps: int, step: int) -> float:
    """Return the rate of a step: it rises in a straight line, then falls to 0 along half a cosine by the last one."""
    rate: Any = recipe.learning_rate
    rate = rate["config"]
    warm_up = rate["warmup_steps"]
    if step < warm_up:
        return rate["warmup_target"] * step / warm_up
    return rate["warmup_target"] * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


def limit_tensorflow(threads: int) -> None:
    """Limit TensorFlow to as many threads as PyTorch gets; call it before TensorFlow first computes."""
    os.environ["TF_NUM_INTRAOP_THREADS"] = str(threads)


def keras_callback(clock: Clock) -> Any:
    """Return a Keras callback that shows each log entry to the clock, and ends training when the clock says so."""
    import keras

    class Timer(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            self.model.stop_training = not clock.unit_done(
                lambda: float(logs["loss"]), lambda: float(logs["val_accuracy"])
            )

    return Timer()


RUN: dict[str, Callable[..., None]] = {
    "modelzoo": run_modelzoo,
    "fit": run_fit,
    "fit-tuned": functools.partial(run_fit, tuned=True),
    "torch": run_torch,
    "torch-compile": functools.partial(run_torch, compiled=True),
    "jax": run_jax,
    "sklearn": run_sklearn,
    "matmul": run_matmul,
}


def steps_a_unit(task: dict[str, Any], recipe: Recipe, samples: int) -> int:
    """Return the steps between two log entries: an epoch where a peer counts in epochs, else the recipe's.

    All steps of the fast recipe are one unit. JAX takes most of a second for a step of the CNN on a processor, so that
    a unit of its has few.
    """
    if task["peer"] == "matmul":
        return 5
    if task["recipe"] == "fast":
        return recipe.total_steps(samples)
    if task["peer"] in ("fit", "fit-tuned", "sklearn") or "goal" in task:
        return samples // task["batch_size"]
    return 5 if task["peer"] == "jax" and task["model"] == "two_conv_cnn" else recipe.log_every


def main() -> None:
    """Load the data, then train in the way the task names until the standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    task = json.loads(sys.argv[1])
    if "devices" in task:
        print(train_as_one_of_several(task), file=answers)
        return
    spec = get_spec(task["model"])
    recipe = spec.recipe(task["recipe"]).replace(precision=task["precision"])
    (x, y), test = datasets.load(spec.dataset, **recipe.data_options)
    x, y = x[: task["samples"]].copy(), y[: task["samples"]].copy()
    if recipe.batch_size is not None:
        recipe = recipe.replace(batch_size=task["batch_size"], learning_rate=task["learning_rate"])
    steps = steps_a_unit(task, recipe, len(x))
    most = 1 if task["recipe"] == "fast" else MOST_EPOCHS
    clock = Clock(answers, steps, task["goal"], test, most) if "goal" in task else Clock(answers, steps)
    RUN[task["peer"]](task, recipe, x, y, clock)


def train_as_one_of_several(task: dict[str, Any]) -> float:
    """Return the images a second of this process: alone, with several devices, or as one of several workers."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, task["cores"])
    import keras
    import tensorflow as tf

    import modelzoo

    strategy = None
    if "TF_CONFIG" in os.environ:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    elif task["devices"] > 1:
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(task["devices"])]
        )
        strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(task["devices"])])
    times: list[float] = []
    noting = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()))
    recipe = get_spec(task["model"]).recipe("lesson")
    recipe = recipe.replace(steps=task["steps"] * task["entries"], epochs=None, log_every=task["steps"])
    recipe = recipe.replace(log_train="batches", batch_size=task["batch_size"])
    model = modelzoo.create_model(task["model"], recipe="lesson", seed=0)
    modelzoo.train(model, datasets.load("mnist").train, recipe, strategy=strategy, callbacks=[noting])
    return task["steps"] * (task["entries"] - 1) * task["batch_size"] / (times[-1] - times[0])  # the first one compiles


if __name__ == "__main__":
    main()
