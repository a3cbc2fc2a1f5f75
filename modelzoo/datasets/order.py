"""The order in which samples come: a pure function of seed and position, for arrays and for what is read from disk."""

from __future__ import annotations

from typing import Any

from modelzoo._keras import tf


def shuffled(position: Any, num_samples: int, seed: int) -> Any:
    """Return which samples stand at some positions of the endless shuffled stream.

    Position ``i`` holds sample ``i mod n`` of a permutation that depends only on the seed and the epoch ``i div n``, so
    each epoch has every sample once, and no position needs those before it.

    Parameters
    ----------
    position
        int64 tensor of positions, shape ``(k,)``.
    num_samples
        How many samples there are.
    seed
        Seed of the order.

    Returns
    -------
    tf.Tensor
        int64 indices of samples, shape ``(k,)``.
    """
    epoch = position // num_samples
    return tf.raw_ops.RandomIndexShuffle(
        index=position % num_samples,
        seed=tf.stack([tf.fill(tf.shape(epoch), tf.constant(seed, tf.int64)), epoch, epoch * 0], axis=1),
        max_index=tf.constant(num_samples - 1, tf.int64),
        rounds=4,
    )
