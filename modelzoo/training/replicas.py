"""Data-parallel training: each device of a ``tf.distribute`` strategy takes a share of every global batch."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from modelzoo.errors import InputError, ModelZooError, unknown_name
from modelzoo.frameworks import graph_function, keras, tf

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
        part = slice(size * self.number // self.of, size * (self.number + 1) // self.of)
        return tensor[(slice(None),) * axis + (part,)]


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
        It is no such strategy.
    """

    def __init__(self, strategy: Any = None) -> None:
        if strategy is not None and not isinstance(
            strategy, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy
        ):
            raise InputError(
                "strategy must be a tf.distribute.MirroredStrategy or MultiWorkerMirroredStrategy, or None; received "
                f"{type(strategy).__name__}."
            )
        self.strategy = strategy
        self.count: int = 1 if strategy is None else strategy.num_replicas_in_sync

    @property
    def is_chief(self) -> bool:
        """Whether this process writes what is written once: the chief, or worker 0 where there is none."""
        resolver = getattr(self.strategy, "cluster_resolver", None)
        if resolver is None or resolver.task_type is None:
            return True
        has_chief = "chief" in resolver.cluster_spec().jobs
        return resolver.task_type == "chief" or (resolver.task_id == 0 and not has_chief)

    def check_batch(self, num_samples: int) -> None:
        """Refuse a global batch that cannot be shared evenly.

        Raises
        ------
        InputError
            With the nearest size that can.
        """
        if num_samples % self.count:
            near = max(1, round(num_samples / self.count)) * self.count
            raise InputError(
                f"A batch of {num_samples} samples cannot be shared evenly among {self.count} replicas. Choose a "
                f"batch_size that is a multiple of {self.count}, such as {near}."
            )

    def sum(self, function: Callable[[Share], tuple[Any, Any]]) -> tuple[Any, Any]:
        """Return what ``function`` returns first, summed over all replicas, and second, of this process' first one.

        To be called inside a graph.

        Parameters
        ----------
        function
            From a replica's share to a nest of float tensors to sum, and a nest of others.
        """
        if self.strategy is None:
            return function(WHOLE)

        def replica() -> tuple[Any, Any]:
            context = tf.distribute.get_replica_context()
            number = int(tf.get_static_value(context.replica_id_in_sync_group))
            partial, other = function(Share(number, self.count))
            flat = [tf.identity(value) for value in tf.nest.flatten(partial)]  # on the replica's device
            flat = context.all_reduce(tf.distribute.ReduceOp.SUM, flat)
            return tf.nest.pack_sequence_as(partial, flat), other

        return tf.nest.map_structure(
            lambda value: self.strategy.experimental_local_results(value)[0], self.strategy.run(replica)
        )

    def agree(self, facts: Mapping[str, str]) -> None:
        """Refuse to go on if a fact is not the same on every worker.

        Raises
        ------
        InputError
            With the names of the facts that differ.
        """
        if self.strategy is None:
            return
        digests = [int(hashlib.sha256(text.encode()).hexdigest(), 16) % _LARGEST_DIGEST for text in facts.values()]

        def trace() -> Any:
            own = tf.constant(digests, tf.int64)
            return self.sum(lambda share: ((own, own * own), ()))[0]

        with self.watched(""):
            sums, squares = (value.numpy() for value in graph_function(trace)())
        # The mean of the squares is the square of the mean where all numbers are the same.
        differing = [name for name, a, b in zip(facts, sums, squares, strict=True) if self.count * b != a * a]
        if differing:
            raise InputError(
                f"The workers do not have the same {' and '.join(differing)}. Start all with the same arguments, data "
                "and versions, and where they resume, with the same checkpoint_dir."
            )

    @contextlib.contextmanager
    def watched(self, advice: str) -> Iterator[None]:
        """Raise :class:`WorkerLostError` for what TensorFlow raises when another worker is gone.

        Parameters
        ----------
        advice
            How to go on, for the message.
        """
        lost = (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
        )
        try:
            yield
        except lost as error:
            if self.strategy is None:
                raise
            lines = str(error).splitlines()
            cause = next((line for line in lines if "aborted by" in line), lines[0] if lines else type(error).__name__)
            raise WorkerLostError(
                f"Another worker stopped or cannot be reached ({cause.strip()}). Start all workers again{advice}."
            ) from error


def create_strategy(name: str) -> tf.distribute.Strategy:
    """Return a new strategy; to be called before TensorFlow does anything else.

    Parameters
    ----------
    name
        ``"mirrored"``: all GPUs of this machine, or its processor. ``"multi-worker"``: the cluster in ``TF_CONFIG``.

    Raises
    ------
    InputError
        There is no such strategy, or ``TF_CONFIG`` does not name a cluster and this process' place in it.
    """
    if name not in STRATEGIES:
        raise unknown_name("strategy", name, STRATEGIES)
    tf.get_logger().setLevel("ERROR")
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
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
    return tf.distribute.MultiWorkerMirroredStrategy()


@contextlib.contextmanager
def same_dropout(model: keras.Model, share: Share, size: Any) -> Iterator[None]:
    """Let dropout layers draw the masks of a whole batch of ``size`` while the block traces, and use the share's.

    So the masks do not depend on the number of replicas.
    """
    layers: Sequence[Any] = ()
    if share.of > 1:
        layers = [layer for layer in model._flatten_layers() if type(layer) is keras.layers.Dropout and layer.rate > 0]
    for layer in layers:
        object.__setattr__(layer, "call", functools.partial(_dropout_call, layer, share, size))  # past Keras' tracking
    try:
        yield
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _dropout_call(layer: keras.layers.Dropout, share: Share, size: Any, inputs: Any, training: bool = False) -> Any:
    if not training:
        return inputs
    ones = tf.ones((size, *inputs.shape[1:]), inputs.dtype)
    scales = keras.random.dropout(ones, layer.rate, noise_shape=layer.noise_shape, seed=layer.seed_generator)
    return inputs * share.rows(scales)
