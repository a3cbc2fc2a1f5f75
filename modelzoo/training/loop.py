"""The compiled loop: many optimiser steps, and the evaluation after them, in one graph call."""

from __future__ import annotations

from typing import Any, NamedTuple

from modelzoo._keras import graph_function, keras, tf
from modelzoo.network import read_network
from modelzoo.recipe import Recipe
from modelzoo.training.augmentation import augment, draw_noise
from modelzoo.training.batches import ArrayBatches, StreamBatches
from modelzoo.training.objective import Objective
from modelzoo.training.optimizer import averages, scale_rates
from modelzoo.training.replicas import Replicas, Share, dropout_seeds, same_dropout

#: Samples a forward pass of an evaluation takes at once; enough to fill the cores, small enough for memory.
EVALUATION_BATCH = 500


class CompiledLoop:
    """Runs optimiser steps in one ``tf.while_loop``; each is Keras' own ``optimizer.apply`` on the model's variables.

    Where the optimiser averages the weights, the model holds the averages between two calls, and the optimiser's slots
    the weights that training goes on from; they change places before and after a call's steps.

    Parameters
    ----------
    objective
        The model with its loss and metrics.
    optimizer
        A Keras optimiser built on the model's trainable variables.
    batches
        Where batches come from.
    recipe
        Says what XLA compiles, how many steps a call makes at most, how images are distorted, and what a call
        evaluates.
    seed
        Seed of the distortions.
    replicas
        The devices that share each batch.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: keras.optimizers.Optimizer,
        batches: ArrayBatches | StreamBatches,
        recipe: Recipe,
        seed: int,
        replicas: Replicas,
    ) -> None:
        self._objective = objective
        self._optimizer = optimizer
        self._batches = batches
        self._chunk = recipe.log_every
        self._augmentation = recipe.augmentation
        self._seed = seed
        self._replicas = replicas
        model = objective.model
        self._trainable = list(model.trainable_variables)
        scale_rates(optimizer, model, recipe.layer_learning_rates)
        self._averages = averages(optimizer)
        for average, variable in zip(self._averages, self._trainable, strict=False):
            average.assign(variable)
        # XLA cannot take batches from a stream, and a stream's end cannot be evaluated on.
        self._arrays = Arrays(*batches.arrays) if isinstance(batches, ArrayBatches) else None
        xla = recipe.xla
        if xla == "auto":  # XLA's convolutions on a CPU are many times slower than oneDNN's
            xla = "update" if read_network(model).is_convolutional else "loop"
        # Nor can it send sums from one device to another.
        self._compiles_all = xla == "loop" and self._arrays is not None
        self._whole_loop = self._compiles_all and replicas.count == 1
        self._evaluate_train = recipe.log_train == "all"
        self._steps = graph_function(self._trace_steps, jit=self._whole_loop)
        self._update = graph_function(optimizer.apply, jit=xla != "off")
        self._augment = graph_function(self._trace_augment, jit=xla != "off")
        self._call = graph_function(self._trace_call)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a checkpoint must hold: weights, random state and optimiser state, in a fixed order."""
        return [*self._trainable, *self._objective.model.non_trainable_variables, *self._optimizer.variables]

    def run(
        self, first_step: int, num_steps: int, evaluated: Arrays | None = None, prefix: str = "val"
    ) -> dict[str, float]:
        """Make ``num_steps`` steps (at most ``recipe.log_every``) and return losses and metrics.

        Parameters
        ----------
        first_step
            Number of steps made before.
        num_steps
            Number of steps to make.
        evaluated
            Data to evaluate on after the steps.
        prefix
            What the names of their metrics begin with.
        """
        scores = self._call(tf.constant(first_step, tf.int64), tf.constant(num_steps), evaluated, prefix)
        return {name: float(value) for name, value in scores.items()}

    def finish(self) -> None:
        """Leave averaged weights in the optimiser's slots too, as Keras' ``fit`` expects them."""
        for average, variable in zip(self._averages, self._trainable, strict=False):
            average.assign(variable)

    def _trace_call(self, first_step: Any, num_steps: Any, evaluated: Arrays | None, prefix: str) -> dict[str, Any]:
        plan = self._batches.plan(first_step, self._chunk)
        self._swap_averages()
        totals, weight = self._steps(plan, first_step, num_steps)
        self._swap_averages()
        if self._evaluate_train and self._arrays is not None:
            scores = evaluate_arrays(self._objective, self._arrays, jit=self._whole_loop)
        else:
            scores = {name: total / weight for name, total in totals.items()}
        # The loss of a step is taken before its update, so it can be finite when the update has ruined the weights.
        sound = tf.reduce_all([tf.reduce_all(tf.math.is_finite(variable.value)) for variable in self._trainable])
        scores["loss"] = tf.where(sound, scores["loss"], float("nan"))
        if evaluated is not None:
            tested = evaluate_arrays(self._objective, evaluated, jit=self._whole_loop)
            scores |= {f"{prefix}_{name}": value for name, value in tested.items()}
        return scores

    def _trace_steps(self, plan: Any, first_step: Any, num_steps: Any) -> tuple[dict[str, Any], Any]:
        def body(index: Any, totals: dict[str, Any], weight: Any) -> tuple[Any, ...]:
            x, y = self._batches.batch(plan, index)
            step = first_step + tf.cast(index, tf.int64)
            seeds = dropout_seeds(self._objective.model) if self._replicas.count > 1 else {}
            scores, gradients = self._replicas.sum(lambda share: self._gradients(x, y, step, share, seeds))
            self._update(gradients)
            totals = {name: totals[name] + score for name, score in scores.items()}
            return index + 1, totals, weight + tf.cast(tf.shape(x)[0], tf.float32)

        start = tf.constant(0), {name: tf.constant(0.0) for name in self._objective.metric_names}, tf.constant(0.0)
        _, totals, weight = tf.while_loop(lambda index, *_: index < num_steps, body, start, parallel_iterations=1)
        if self._objective.per_sample_sum:
            totals["loss"] *= weight / tf.cast(num_steps, tf.float32)
        return totals, weight

    def _trace_augment(self, images: Any, step: Any, share: Share) -> tuple[Any, Any]:
        """Return a share of what the model sees, and the same without noise."""
        assert self._augmentation is not None
        clean = augment(images, self._augmentation, seed=self._seed, step=step, share=share)
        if not self._augmentation.noise:
            return clean, clean
        noise = draw_noise(images, self._augmentation.noise, seed=self._seed, step=step)
        return clean + share.rows(noise), clean

    def _gradients(self, x: Any, y: Any, step: Any, share: Share, seeds: Any) -> tuple[dict[str, Any], list[Any]]:
        """Return a share's part of a batch's summed scores and of its gradients."""
        size = x.shape[0] or tf.shape(x)[0]
        if self._augmentation is None:
            x = clean = share.rows(x)
        else:
            x, clean = self._augment(x, step, share)
        with tf.GradientTape() as tape, same_dropout(seeds, share, size, jit=self._compiles_all):
            scores, penalty = self._objective.training_scores(x, share.rows(y), clean)
            loss = tf.reduce_sum(scores["loss"])
            if not self._objective.per_sample_sum:
                loss /= tf.cast(size, tf.float32)
            loss += penalty / share.of
        gradients = tape.gradient(loss, [variable.value for variable in self._trainable])
        return {name: tf.reduce_sum(score) for name, score in scores.items()}, gradients

    def _swap_averages(self) -> None:
        for average, variable in zip(self._averages, self._trainable, strict=False):
            kept = tf.identity(variable.value)
            variable.assign(average)
            average.assign(kept)


class Arrays(NamedTuple):
    """All samples of an evaluation and their labels, as tensors."""

    x: Any
    y: Any


def evaluate_arrays(objective: Objective, data: Arrays, *, jit: bool = False) -> dict[str, Any]:
    """Return the loss and the metrics over all samples, in inference mode; to be called inside a graph.

    Every sample counts once: the last batch may be smaller, and is not dropped.
    """

    def total(x: Any, y: Any) -> list[Any]:
        scores = objective.forward(x, y, training=False)
        return [tf.reduce_sum(scores[name]) for name in objective.metric_names]

    def trace(x: Any, y: Any) -> list[Any]:
        num_samples = x.shape[0]
        batch = min(EVALUATION_BATCH, num_samples) if x.shape.rank > 2 else num_samples

        def body(index: Any, totals: list[Any]) -> tuple[Any, list[Any]]:
            start = index * batch
            part = total(_rows(x, start, batch), _rows(y, start, batch))
            return index + 1, [a + b for a, b in zip(totals, part, strict=True)]

        full = num_samples // batch
        zeros = [tf.constant(0.0) for _ in objective.metric_names]
        _, totals = tf.while_loop(lambda i, _: i < full, body, (tf.constant(0), zeros), parallel_iterations=1)
        if rest := num_samples % batch:
            part = total(_rows(x, full * batch, rest), _rows(y, full * batch, rest))
            totals = [a + b for a, b in zip(totals, part, strict=True)]
        return totals

    x, y = data
    totals = graph_function(trace, jit=jit)(x, y)
    count = float(x.shape[0])
    return {
        name: value if name == "loss" and objective.per_sample_sum else value / count
        for name, value in zip(objective.metric_names, totals, strict=True)
    }


def _rows(tensor: Any, start: Any, count: int) -> Any:
    rank = tensor.shape.rank
    return tf.slice(tensor, [start] + [0] * (rank - 1), [count, *tensor.shape[1:]])
