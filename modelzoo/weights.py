"""The identity of a model's weights, and how many there may be."""

from __future__ import annotations

import contextlib
import hashlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from modelzoo._keras import keras
from modelzoo.errors import InputError
from modelzoo.network import with_paths

#: One thread at a time changes what Keras does; it may do so again inside.
_PATCHING = threading.RLock()


def weights_digest(model: keras.Model, values: Sequence[Any] | None = None) -> str:
    """Return the SHA-256 of a model's weights (path, shape, dtype and bytes of each), 64 hexadecimal digits.

    The state of random generators is not part of it.

    Parameters
    ----------
    model
        The model.
    values
        Values of ``model.weights`` at another time; those of now by default.

    Raises
    ------
    InputError
        ``model`` is no Keras model.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model must be a Keras model, such as modelzoo.load returns; received {model!r:.80}.")
    digest = hashlib.sha256()
    values = model.weights if values is None else values
    for (path, _), tensor in zip(with_paths(model.weights), values, strict=True):
        value = np.ascontiguousarray(tensor.numpy())
        digest.update(f"{path} {value.shape} {value.dtype.str}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def weights_within(limit: float, refusal: str) -> Iterator[None]:
    """Refuse to make layers of more than ``limit`` numbers in all: any width can be asked for, and gets no memory.

    Parameters
    ----------
    limit
        How many numbers this thread may give to layers during the block.
    refusal
        What the error says.

    Raises
    ------
    InputError
        The layers would need more; nothing was allocated for the one that does not fit.
    """
    left, thread = limit, threading.get_ident()
    with _PATCHING:
        add_weight = keras.layers.Layer.add_weight

        def checked(layer: keras.layers.Layer, shape: Any = None, *args: Any, **options: Any) -> Any:
            nonlocal left
            if threading.get_ident() == thread:
                left -= math.prod(shape or ())
                if left < 0:
                    raise InputError(refusal)
            return add_weight(layer, shape, *args, **options)

        keras.layers.Layer.add_weight = checked
        try:
            yield
        finally:
            keras.layers.Layer.add_weight = add_weight
