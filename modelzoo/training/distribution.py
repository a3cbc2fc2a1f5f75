"""Who takes part in a step, and who writes: each device of a ``tf.distribute`` strategy shares every batch."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from modelzoo._checks import check_choice
from modelzoo._keras import all_layers, graph_function, keras, swapped, tf
from modelzoo.errors import InputError, ModelZooError

#: Digests are compared as numbers below this, whose squares can be summed over workers in int64.
_LARGEST_DIGEST = 1 << 24


#: Names of strategies for the command line.
STRATEGIES = ("mirrored", "multi-worker")


class WorkerLostError(ModelZooError, ConnectionError):
    """Another worker stopped, or cannot be reached."""


class Share(NamedTuple):
    """Which part of a global batch a replica takes: part ``number`` ``of`` so many, as equal as can be."""

    number: int = 0
    of: int = 1

    def rows(self, tensor: Any, axis: int = 0) -> Any:
        """Return the replica's part of a tensor that holds the whole batch along an axis."""
        if self.of == 1:
            return tensor
        size = tensor.shape[axis]
        if size is None:  # of a stream, whose batches may be of any size
            size = tf.shape(tensor)[axis]
        return tensor[(slice(None),) * axis + (self.part(size),)]

    def part(self, size: Any) -> slice:
        """Return which of ``size`` rows the replica takes."""
        return slice(size * self.number // self.of, size * (self.number + 1) // self.of)


#: What a single replica takes.
WHOLE = Share()


class Replicas:
    """The devices that train together: one, or those of a strategy.

    Each process keeps its own variables, which stay equal because all start equal and make the same updates with the
    same sums of gradients; a strategy only sums. So the loop that trains on one device is the one that trains on many.

    Parameters
    ----------
    strategy
        ``MirroredStrategy`` (several devices, one process), ``MultiWorkerMirroredStrategy`` (several processes, told by
        ``TF_CONFIG`` of each other), or ``None`` for one device.

    Raises
    ------
    InputError
        It is a strategy of another kind.
    """

    def __init__(self, strategy: Any = None) -> None:
        if strategy is not None and not isinstance(
            strategy, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy
        ):
            raise InputError(
                "strategy must be a tf.distribute.MirroredStrategy or MultiWorkerMirroredStrategy, or None; got "
                f"{type(strategy).__name__}."
            )
        self.strategy = strategy
        self.count: int = 1 if strategy is None else strategy.num_replicas_in_sync

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is written once: the chief, or worker 0 of a cluster without one."""
        resolver = getattr(self.strategy, "cluster_resolver", None)
        if resolver is None or resolver.task_type is None:
            return True
        has_chief = "chief" in resolver.cluster_spec().jobs
        return resolver.task_type == "chief" or (resolver.task_id == 0 and not has_chief)

    def sum(self, function: Callable[[Share], Any]) -> Any:
        """Return what ``function`` makes of each replica's share, a nest of float tensors, summed over all replicas.

        To be called inside a graph.
        """
        if self.strategy is None:
            return function(WHOLE)

        def replica() -> Any:
            context = tf.distribute.get_replica_context()
            number = int(tf.get_static_value(context.replica_id_in_sync_group))
            partial = function(Share(number, self.count))
            flat = [tf.identity(value) for value in tf.nest.flatten(partial)]  # on the replica's device
            return tf.nest.pack_sequence_as(partial, context.all_reduce(tf.distribute.ReduceOp.SUM, flat))

        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], self.strategy.run(replica)
        )

    def own_rows(self, size: int) -> slice:
        """Return which rows of a global batch of ``size`` samples this process' replicas take."""
        if self.strategy is None or not self._many_processes:
            return slice(0, size)
        numbers: list[int] = []

        def note() -> None:
            context = tf.distribute.get_replica_context()
            numbers.append(int(tf.get_static_value(context.replica_id_in_sync_group)))

        self.strategy.run(note)
        parts = [Share(number, self.count).part(size) for number in numbers]
        return slice(min(part.start for part in parts), max(part.stop for part in parts))

    def agree(self, facts: Mapping[str, Any]) -> None:
        """Refuse to go on if a fact, of what JSON can hold, is not the same on every worker.

        Raises
        ------
        InputError
            With the facts that differ, and their values here.
        """
        if not self._many_processes:
            return
        texts = {name: json.dumps(fact, sort_keys=True, default=str) for name, fact in facts.items()}
        digests = [int(hashlib.sha256(text.encode()).hexdigest(), 16) % _LARGEST_DIGEST for text in texts.values()]
        sums, squares = (value.numpy() for value in self._sum_digests(tf.constant(digests, tf.int64)))
        # The mean of the squares is the square of the mean where all numbers are the same.
        differing = [name for name, a, b in zip(facts, sums, squares, strict=True) if self.count * b != a * a]
        if differing:
            own = ", ".join(f"{name} {textwrap.shorten(texts[name], 60)}" for name in differing)
            raise InputError(
                f"The workers do not have the same {' and '.join(differing)} (here: {own}). Start all with the same "
                "arguments, data and versions, and where they resume, with the same checkpoint_dir."
            )

    @contextlib.contextmanager
    def watched(self, checkpoint_dir: Any = None) -> Iterator[None]:
        """Raise WorkerLostError, which says how to resume, for what TensorFlow raises when another worker is gone."""
        lost = (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
        )
        try:
            yield
        except lost as error:
            if not self._many_processes:
                raise
            lines = str(error).splitlines()
            cause = next((line for line in lines if "aborted by" in line), lines[0] if lines else type(error).__name__)
            advice = "" if checkpoint_dir is None else f", with resume=True (--resume), from {checkpoint_dir}"
            raise WorkerLostError(
                f"Another worker stopped or cannot be reached ({cause.strip()}). Start all workers again{advice}."
            ) from error

    @property
    def _many_processes(self) -> bool:
        return isinstance(self.strategy, tf.distribute.MultiWorkerMirroredStrategy)

    @functools.cached_property
    def _sum_digests(self) -> Any:
        return graph_function(lambda own: self.sum(lambda share: (own, own * own)))


def create_strategy(name: str) -> tf.distribute.Strategy:
    """Return a new strategy; to be called before TensorFlow does anything else.

    Parameters
    ----------
    name
        ``"mirrored"``: all GPUs of this machine, or its processor. ``"multi-worker"``: the cluster in ``TF_CONFIG``.

    Raises
    ------
    InputError
        ``name`` is unknown, or ``TF_CONFIG`` does not name a cluster and this process' place in it.
    """
    if check_choice("strategy", name, STRATEGIES) == "mirrored":
        # Devices by name: with TF_CONFIG set, all would be those of the cluster.
        devices = [device.name for device in tf.config.list_logical_devices("GPU")]
        return tf.distribute.MirroredStrategy(devices or ["/cpu:0"])
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        cluster[task["type"]][int(task["index"])]
    except (ValueError, KeyError, TypeError, IndexError):
        raise InputError(
            f"The environment variable TF_CONFIG is {text!r}. For several workers set it to JSON such as "
            '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}, with the '
            "index of each worker."
        ) from None
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except (RuntimeError, tf.errors.OpError) as error:
        raise InputError(
            f"Cannot join the cluster of TF_CONFIG={text}: {str(error).splitlines()[0]} Make the strategy before "
            "TensorFlow does anything else, and see that this worker's port is free."
        ) from error


def dropout_seeds(model: keras.Model) -> dict[Any, Any]:
    """Return the seeds that the model's dropout layers draw a step's masks from, by layer; to be called once a step."""
    return {layer: layer.seed_generator.next() for layer in all_layers(model) if _drops(layer)}


def same_dropout(
    seeds: Mapping[Any, Any], share: Share, size: Any, *, jit: bool
) -> contextlib.AbstractContextManager[None]:
    """Let dropout layers draw the masks of a whole batch of ``size`` while the block traces, and use the share's.

    So the masks do not depend on the number of replicas. XLA (``jit``) draws other masks than TensorFlow.
    """
    calls = {layer: functools.partial(_dropout_call, layer, seed, share, size, jit) for layer, seed in seeds.items()}
    return swapped("call", calls)


def check_layers(model: keras.Model) -> None:
    """Refuse layers that do something else on a share of a batch than on the whole.

    Raises
    ------
    InputError
        A layer takes statistics of the batch, or draws random numbers; plain dropout layers may.
    """
    for layer in all_layers(model):
        draws = hasattr(layer, "seed_generator") and not _drops(layer) and getattr(layer, "rate", 1) != 0
        if draws or isinstance(layer, keras.layers.BatchNormalization):
            raise InputError(
                f"The layer {layer.name!r} ({type(layer).__name__}) would do something else on each replica's share "
                "than on the whole batch. Train without strategy, or without the layer."
            )


def _drops(layer: keras.layers.Layer) -> bool:
    return type(layer) is keras.layers.Dropout and layer.rate > 0 and layer.noise_shape is None


def _dropout_call(
    layer: keras.layers.Dropout, seed: Any, share: Share, size: Any, jit: bool, inputs: Any, training: bool = False
) -> Any:
    if not training:
        return inputs
    ones = tf.ones((size, *inputs.shape[1:]), inputs.dtype)
    seed = tf.cast(tf.math.floormod(seed, tf.int32.max - 1), tf.int32)  # what Keras makes of its seeds

    def draw(ones: Any, seed: Any) -> Any:
        return tf.nn.experimental.stateless_dropout(ones, layer.rate, seed)

    return inputs * share.rows(graph_function(draw, jit=jit)(ones, seed))
