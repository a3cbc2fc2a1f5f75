"""The identity of a model's weights."""

from __future__ import annotations

import hashlib

import numpy as np

from modelzoo.frameworks import keras


def weights_digest(model: keras.Model) -> str:
    """Return the SHA-256 of a model's weights (path, shape, dtype and bytes of each), 64 hexadecimal digits.

    The state of random generators is not part of it.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{weight.path} {value.shape} {value.dtype.str}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()
