"""The compiled loop: many optimiser steps in one graph call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo._keras import graph_function, keras, tf
from modelzoo.network import read_network
from modelzoo.recipe import Recipe
from modelzoo.training.augmentation import augment, change_looks, draw_noise
from modelzoo.training.data import ArrayBatches
from modelzoo.training.distribution import Replicas, Share, dropout_seeds, same_dropout
from modelzoo.training.objective import Objective
from modelzoo.training.optimizers import averages

#: Batches of a stream that wait for training: a fixed number, so that memory does not depend on what tf.data chooses.
PREFETCHED = 2


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
        Says what XLA compiles, how many steps a call makes at most, and how images are distorted.
    seed
        Seed of the distortions.
    replicas
        The devices that share each batch.
    """

    def __init__(
        self,
        objective: Objective,
        optimizer: keras.optimizers.Optimizer,
        batches: ArrayBatches | tf.data.Dataset,
        recipe: Recipe,
        seed: int,
        replicas: Replicas,
    ) -> None:
        self._objective = objective
        self._optimizer = optimizer
        self._batches = batches
        self._stream = None if isinstance(batches, ArrayBatches) else iter(batches.prefetch(PREFETCHED))
        self._chunk = recipe.log_every
        self._augmentation = recipe.augmentation
        self._seed = seed
        self._replicas = replicas
        model = objective.model
        self._trainable = list(model.trainable_variables)
        self._averages = averages(optimizer)
        for average, variable in zip(self._averages, self._trainable, strict=False):
            average.assign(variable)
        xla = recipe.xla
        if xla == "auto":  # XLA's convolutions on a CPU are many times slower than oneDNN's
            xla = "update" if read_network(model).is_convolutional else "loop"
        # XLA cannot take batches from a stream, nor send sums from one device to another.
        self._compiles_all = xla == "loop" and self._stream is None
        self.is_xla = self._compiles_all and replicas.count == 1
        self._steps = graph_function(self._trace_steps, jit=self.is_xla)
        self._update = graph_function(optimizer.apply, jit=xla != "off")
        self._augment = graph_function(self._trace_augment, jit=xla != "off")
        self._call = graph_function(self._trace_call)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a checkpoint must hold: weights, random state and optimiser state, in a fixed order."""
        return [*self._trainable, *self._objective.model.non_trainable_variables, *self._optimizer.variables]

    def restore(self, values: Sequence[np.ndarray]) -> None:
        """Go on from the values of a checkpoint."""
        for variable, value in zip(self.variables, values, strict=True):
            variable.assign(value)

    def run(self, first_step: int, num_steps: int) -> dict[str, float]:
        """Make ``num_steps`` steps (at most ``recipe.log_every``) after ``first_step``; return mean loss and metrics.

        The loss is NaN if a weight is not finite: that of a step is taken before its update, which may ruin them.
        """
        scores = self._call(tf.constant(first_step, tf.int64), tf.constant(num_steps))
        return {name: float(value) for name, value in scores.items()}

    def finish(self) -> None:
        """Leave averaged weights in the optimiser's slots too, as Keras' ``fit`` expects them."""
        for average, variable in zip(self._averages, self._trainable, strict=False):
            average.assign(variable)

    def _trace_call(self, first_step: Any, num_steps: Any) -> dict[str, Any]:
        plan = tf.zeros((0,), tf.int32) if self._stream else self._batches.plan(first_step, self._chunk)
        self._swap_averages()
        totals, weight = self._steps(plan, first_step, num_steps)
        self._swap_averages()
        scores = {name: total / weight for name, total in totals.items()}
        sound = tf.reduce_all([tf.reduce_all(tf.math.is_finite(variable.value)) for variable in self._trainable])
        return scores | {"loss": tf.where(sound, scores["loss"], float("nan"))}

    def _trace_steps(self, plan: Any, first_step: Any, num_steps: Any) -> tuple[dict[str, Any], Any]:
        def body(index: Any, totals: dict[str, Any], weight: Any) -> tuple[Any, ...]:
            x, y, *given = next(self._stream) if self._stream else self._batches.batch(plan, index)
            weights = None if not given or given[0] is None else tf.cast(given[0], tf.float32)
            step = first_step + tf.cast(index, tf.int64)
            seeds = dropout_seeds(self._objective.model) if self._replicas.count > 1 else {}
            scores, gradients = self._replicas.sum(lambda share: self._gradients(x, y, weights, step, share, seeds))
            self._update(gradients)
            totals = {name: totals[name] + score for name, score in scores.items()}
            return index + 1, totals, weight + tf.cast(tf.shape(x)[0], tf.float32)

        start = tf.constant(0), {name: tf.constant(0.0) for name in self._objective.metric_names}, tf.constant(0.0)
        _, totals, weight = tf.while_loop(lambda index, *_: index < num_steps, body, start, parallel_iterations=1)
        if self._objective.per_sample_sum:
            totals["loss"] *= weight / tf.cast(num_steps, tf.float32)
        return totals, weight

    def _trace_augment(self, images: Any, step: Any, share: Share) -> tuple[Any, Any]:
        """Return a share of what the model sees, and the same with its looks unchanged and without noise."""
        assert self._augmentation is not None
        seen = clean = augment(images, self._augmentation, seed=self._seed, step=step, share=share)
        if self._augmentation.changes_looks:
            batch = tf.shape(images)[0]
            seen = change_looks(clean, self._augmentation, seed=self._seed, step=step, share=share, batch=batch)
        if self._augmentation.noise:
            noise = draw_noise(images, self._augmentation.noise, seed=self._seed, step=step)
            seen += share.rows(noise)
        return seen, clean

    def _gradients(
        self, x: Any, y: Any, weights: Any, step: Any, share: Share, seeds: Any
    ) -> tuple[dict[str, Any], list[Any]]:
        """Return a share's part of a batch's summed scores and of its gradients."""
        size = x.shape[0] or tf.shape(x)[0]
        if self._augmentation is None:
            x = clean = share.rows(x)
        else:
            x, clean = self._augment(x, step, share)
        weights = None if weights is None else share.rows(weights)
        with tf.GradientTape() as tape, same_dropout(seeds, share, size, jit=self._compiles_all):
            scores, penalty = self._objective.training_scores(x, share.rows(y), clean, weights)
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
