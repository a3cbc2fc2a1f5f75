"""Keras and TensorFlow, imported on first use.

``lazy_loader.load`` and ``importlib.util.LazyLoader`` will not do here: they leave a half-made module in
``sys.modules``, and when TensorFlow is imported next it trips over that one and leaves Keras without its names.
These stand-ins keep ``sys.modules`` untouched.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import tensorflow as tf
else:

    class _OnFirstUse:
        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(importlib.import_module(self._name), attribute)

    keras = _OnFirstUse("keras")
    tf = _OnFirstUse("tensorflow")

__all__ = ["keras", "tf"]
