"""What training minimises and reports: losses and metrics per sample, on logits, and their means over data sets."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from modelzoo._keras import all_layers, graph_function, keras, tf
from modelzoo.datasets import StoredSamples
from modelzoo.errors import InputError
from modelzoo.network import logits_model, read_network
from modelzoo.recipe import Recipe
from modelzoo.training.data import checked_batches
from modelzoo.training.kernels import faster_layers, is_narrow, narrow_crossentropy
from modelzoo.training.optimizers import create_optimizer

#: Samples a forward pass of an evaluation takes at once; enough to fill the cores, small enough for memory.
EVALUATION_BATCH = 500


class Objective:
    """The loss and the metrics of one model under one recipe, sample by sample.

    Cross-entropies are computed from the logits: where the model ends in a softmax or sigmoid layer, that
    layer is left out, so that no probability underflows (Goodfellow et al. 2016, section 6.2.2).

    Parameters
    ----------
    model
        The model to train.
    recipe
        Names the loss and the precision.
    class_weights
        Factors of the training loss of each class, shape (classes,).

    Attributes
    ----------
    metric_names
        Names of what :meth:`forward` returns, ``"loss"`` first.
    """

    def __init__(self, model: keras.Model, recipe: Recipe, class_weights: np.ndarray | None = None) -> None:
        self.model = model
        self.recipe = recipe
        self._class_weights = class_weights
        self.per_sample_sum = recipe.loss == "sum_of_squares"
        self.crossentropy = recipe.loss.endswith("crossentropy")
        self._loss = _loss_function(recipe.loss)
        self.head, self.from_logits = model, False
        if self.crossentropy and (logits := logits_model(model)) is not None:
            self.head, self.from_logits = logits, True
        elif self.crossentropy:  # outputs that say nothing of themselves are taken for logits
            self.from_logits = not read_network(model).squashes
        self.num_outputs = int(np.prod(model.output_shape[1:]))
        plain = self.crossentropy and self.num_outputs > 1 and not recipe.label_smoothing
        self._narrow = plain and is_narrow(model)
        self.metric_names = ("loss",) if recipe.reconstruct else ("loss", "accuracy")
        if self.crossentropy and (recipe.loss == "binary_crossentropy") != (self.num_outputs == 1):
            raise InputError(
                f"The loss {recipe.loss!r} does not fit {self.num_outputs} output(s). Use 'binary_crossentropy' for "
                "one output, 'sparse_categorical_crossentropy' or 'categorical_crossentropy' for several."
            )
        if recipe.reconstruct and tuple(model.output_shape) != tuple(model.input_shape):
            raise InputError(
                f"reconstruct=True needs outputs of the inputs' shape; {model.name!r} makes {model.output_shape[1:]} "
                f"of {model.input_shape[1:]}. Leave it out, or train an autoencoder."
            )
        self._check_loss(model)
        if recipe.label_smoothing and (not self.crossentropy or self.num_outputs == 1):
            raise InputError(
                f"label_smoothing={recipe.label_smoothing} needs a categorical cross-entropy of several outputs; the "
                f"loss is {recipe.loss!r} of {self.num_outputs}. Leave it 0."
            )

    def forward(self, x: Any, y: Any, *, clean: Any = None, training: bool) -> dict[str, Any]:
        """Return the loss and the metrics of each sample of a batch, shape (batch,), in float32.

        ``clean`` is what a reconstruction aims at, where that is not ``x``.
        """
        with _as_trained(self.model, self.recipe.precision) if training else contextlib.nullcontext():
            outputs = tf.cast(self.head(x, training=training), tf.float32)
        target = self._target(x if clean is None else clean, y)
        if training and self._narrow and self.from_logits:
            scores = {"loss": narrow_crossentropy(target, outputs)}
        else:
            scores = {"loss": self._per_sample_loss(target, outputs)}
        if training and (share := self.recipe.label_smoothing):
            log_probabilities = tf.nn.log_softmax(outputs) if self.from_logits else tf.math.log(outputs + 1e-7)
            scores["loss"] *= 1 - share
            scores["loss"] -= share * tf.reduce_mean(log_probabilities, axis=-1)
        if "accuracy" in self.metric_names:
            scores["accuracy"] = self._correct(target, outputs)
        return scores

    def _check_loss(self, model: keras.Model) -> None:
        """Refuse a loss that gives no number for each sample of such outputs."""
        reconstruct, outputs = self.recipe.reconstruct, tf.fill((2, *model.output_shape[1:]), 0.5)
        target = outputs if reconstruct else self._target(None, tf.constant([0, 1]))
        try:
            fits = self._per_sample_loss(target, outputs).shape == (2,)
        except (TypeError, ValueError, tf.errors.OpError):
            fits = False
        if not fits:
            raise InputError(
                f"The loss {self.recipe.loss!r} gives no number for each sample of outputs {model.output_shape[1:]} "
                f"and {'images' if reconstruct else 'labels'}. Choose another, such as "
                f"{'mean_squared_error' if reconstruct else 'sparse_categorical_crossentropy'!r}."
            )

    def training_scores(self, x: Any, y: Any, clean: Any, weights: Any) -> tuple[dict[str, Any], Any]:
        """Return what :meth:`forward` does in training mode, and what layers and regularisers add to the loss.

        The loss of each sample is multiplied by its weight, if ``weights`` is not ``None``, and by that of its class.
        """
        known = {id(loss) for loss in self.head.losses}  # of earlier traces, which Keras keeps
        scores = self.forward(x, y, clean=clean, training=True)
        if self._class_weights is not None:
            scores["loss"] *= tf.gather(tf.constant(self._class_weights, tf.float32), tf.cast(labels_of(y), tf.int32))
        if weights is not None:
            scores["loss"] *= weights
        added = [tf.cast(loss, tf.float32) for loss in self.head.losses if id(loss) not in known]
        return scores, tf.add_n(added) if added else tf.constant(0.0)

    def compile_for_keras(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Compile the model, so that callbacks, ``evaluate`` and ``fit`` find its optimiser, loss and metrics."""
        loss: Any = self._loss if self.per_sample_sum else self.recipe.loss
        metrics: list[Any] = [name for name in self.metric_names if name != "loss"]
        if self.crossentropy and self.from_logits and self.head is self.model:  # the model ends in logits
            class_name = self.recipe.loss.title().replace("_", "")  # Keras' name of the loss as a class
            loss = getattr(keras.losses, class_name)(from_logits=True)
            if self.num_outputs == 1:
                metrics = [keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)]
        self.model.compile(optimizer=optimizer, loss=loss, metrics=metrics)

    def _target(self, x: Any, y: Any) -> Any:
        if self.recipe.reconstruct:
            return tf.cast(x, tf.float32) / 255.0
        labels = labels_of(y)
        if self.num_outputs == 1:
            return tf.reshape(tf.cast(labels, tf.float32), (-1, 1))
        labels = tf.cast(labels, tf.int32)
        return labels if self.recipe.loss.startswith("sparse_") else tf.one_hot(labels, self.num_outputs)

    def _per_sample_loss(self, target: Any, outputs: Any) -> Any:
        if self.crossentropy:
            losses = self._loss(target, outputs, from_logits=self.from_logits)
        else:
            losses = self._loss(target, outputs)
        if losses.shape.rank > 1:
            losses = tf.reduce_mean(losses, axis=tuple(range(1, losses.shape.rank)))
        return losses

    def _correct(self, target: Any, outputs: Any) -> Any:
        if self.num_outputs == 1:
            threshold = 0.0 if self.from_logits else 0.5
            return tf.cast(tf.equal(outputs > threshold, target > 0.5), tf.float32)[:, 0]
        if target.shape.rank > 1:
            target = tf.argmax(target, axis=-1)
        return tf.cast(tf.equal(tf.argmax(outputs, axis=-1), tf.cast(target, tf.int64)), tf.float32)


def labels_of(y: Any) -> Any:
    """Return labels, or one-hot rows, as labels of shape (batch,)."""
    if y.shape.rank == 2 and y.shape[-1] != 1:
        y = tf.argmax(y, axis=-1)
    return tf.reshape(y, (-1,))


def sum_of_squares(target: Any, outputs: Any) -> Any:
    """Return ½ Σ (output − target)² of each sample (Bishop 2006, equation 5.11)."""
    return 0.5 * tf.reduce_sum(tf.square(outputs - tf.cast(target, outputs.dtype)), axis=-1)


def _loss_function(name: str) -> Callable[..., Any]:
    if name == "sum_of_squares":
        return sum_of_squares
    loss = getattr(keras.losses, name, None)
    if inspect.isfunction(loss) and list(inspect.signature(loss).parameters)[:2] == ["y_true", "y_pred"]:
        return loss
    raise InputError(
        f"Unknown loss {name!r}. Give 'sum_of_squares' or a Keras loss function, such as 'mean_squared_error'."
    )


@contextlib.contextmanager
def _as_trained(model: keras.Model, precision: str) -> Iterator[None]:
    """Let layers compute in ``precision``, with our kernels, while the block traces; weights stay float32."""
    layers = all_layers(model)
    before = [layer.dtype_policy for layer in layers]
    try:
        if precision != "float32":
            for layer in layers:
                layer.dtype_policy = keras.DTypePolicy(f"mixed_{precision}")
        with faster_layers(model):
            yield
    finally:
        for layer, policy in zip(layers, before, strict=True):
            layer.dtype_policy = policy


def evaluation(objective: Objective, data: Any, part: str = "", *, jit: bool = False) -> Callable[[], dict[str, float]]:
    """Return a function that gives the loss and the metrics over all samples, in inference mode.

    Every sample counts once: the last batch may be smaller, and is not dropped. What it computes with is traced once.

    Parameters
    ----------
    objective
        The model with its loss and metrics.
    data
        A pair of arrays, stored samples or a ``tf.data.Dataset`` of batches.
    part
        ``"val"`` or ``"test"``, which the names of the metrics then begin with.
    jit
        Let XLA compile the evaluation of arrays.
    """
    where = {"val": "validation data", "test": "test data"}.get(part, "data")

    def sums(x: Any, y: Any) -> dict[str, Any]:
        return {name: tf.reduce_sum(value) for name, value in objective.forward(x, y, training=False).items()}

    def means(totals: dict[str, Any], count: int) -> dict[str, float]:
        counts = {name: 1 if name == "loss" and objective.per_sample_sum else count for name in totals}
        return {f"{part}_{name}" if part else name: float(v / counts[name]) for name, v in totals.items()}

    if isinstance(data, tuple):
        x, y = map(tf.constant, data)
        graph = graph_function(functools.partial(_sums_of_arrays, sums, objective.metric_names), jit=jit)
        return lambda: means(graph(x, y), len(x))

    graph = graph_function(sums, reduce_retracing=True)

    def of_batches() -> dict[str, float]:
        totals, count = dict.fromkeys(objective.metric_names, 0.0), 0
        for x, y in batches_of(data, objective.model, where):
            for name, value in graph(x, y).items():
                totals[name] += float(value)
            count += len(x)
        if count == 0:
            raise InputError(f"{where}: the tf.data.Dataset is empty. Give at least one batch.")
        return means(totals, count)

    return of_batches


def batches_of(data: Any, model: keras.Model, where: str) -> Iterator[tuple[Any, ...]]:
    """Give the batches of arrays, stored samples or a ``tf.data.Dataset``, every sample once."""
    if isinstance(data, tuple):
        data = tf.data.Dataset.from_tensor_slices(data).batch(EVALUATION_BATCH)
    elif isinstance(data, StoredSamples):
        data = data.in_order(EVALUATION_BATCH)
    else:
        return checked_batches(data, model, where)
    return iter(data)


def _sums_of_arrays(sums: Callable[..., dict[str, Any]], names: Sequence[str], x: Any, y: Any) -> dict[str, Any]:
    """Add up the sums of batches; to be traced. Networks of points take all samples at once."""
    size = min(EVALUATION_BATCH, x.shape[0]) if x.shape.rank > 2 else x.shape[0]
    count, rest = divmod(x.shape[0], size)

    def body(index: Any, totals: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        part = sums(_rows(x, index * size, size), _rows(y, index * size, size))
        return index + 1, {name: total + part[name] for name, total in totals.items()}

    zeros = {name: tf.constant(0.0) for name in names}
    _, totals = tf.while_loop(lambda i, _: i < count, body, (tf.constant(0), zeros), parallel_iterations=1)
    if rest:
        part = sums(_rows(x, count * size, rest), _rows(y, count * size, rest))
        totals = {name: total + part[name] for name, total in totals.items()}
    return totals


def _rows(tensor: Any, start: Any, count: int) -> Any:
    rank = tensor.shape.rank
    return tf.slice(tensor, [start] + [0] * (rank - 1), [count, *tensor.shape[1:]])


def compute_metrics(model: keras.Model, data: Any, recipe: Recipe) -> dict[str, float]:
    """Return loss and metrics of a model over all of ``(x, y)``, stored samples or a ``tf.data.Dataset``.

    ``recipe`` names the loss.
    """
    with StoredSamples.watched():
        return evaluation(Objective(model, recipe), data)()


def compile_model(model: keras.Model, recipe: Recipe) -> None:
    """Compile a model for Keras' ``fit`` and ``evaluate`` with the recipe's loss, metrics and a fresh optimiser.

    A schedule that lasts as long as the run lasts ``recipe.steps`` here, or 1000 steps where the recipe counts epochs.
    """
    Objective(model, recipe).compile_for_keras(create_optimizer(recipe, recipe.steps or 1000))
