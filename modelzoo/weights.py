"""The identity of a model's weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from modelzoo.frameworks import keras


def weights_digest(model: keras.Model, values: Sequence[Any] | None = None) -> str:
    """Return the SHA-256 of a model's weights (path, shape, dtype and bytes of each), 64 hexadecimal digits.

    The state of random generators is not part of it.

    Parameters
    ----------
    model
        The model.
    values
        Values of ``model.weights`` at another time; those of now by default.
    """
    digest = hashlib.sha256()
    for weight, tensor in zip(model.weights, values or model.weights, strict=True):
        value = np.ascontiguousarray(tensor.numpy())
        digest.update(f"{weight.path} {value.shape} {value.dtype.str}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
