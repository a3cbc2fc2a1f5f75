"""Keras and TensorFlow, imported on first use.

``lazy_loader.load`` and ``importlib.util.LazyLoader`` will not do here: they leave a half-made module in
``sys.modules``, and when TensorFlow is imported next it trips over that one and leaves Keras without its names.
These stand-ins keep ``sys.modules`` untouched.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelzoo.errors import InputError, ModelZooError, TargetError

__all__ = ["keras", "tf"]

#: Parts of Keras that import scikit-learn and Matplotlib, and one of TensorFlow's older Keras that imports SciPy.
_LATE = {
    "keras.wrappers",
    "keras.visualization",
    "keras.src.visualization",
    "tensorflow.python.keras.engine.training_v1",
}


class _LateFinder:
    """Lets the import of Keras and TensorFlow load their parts in ``_LATE`` when one of their names is first used."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        spec = importlib.machinery.PathFinder.find_spec(name, path) if name in _LATE else None
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


@contextlib.contextmanager
def _light() -> Iterator[None]:
    """Make the import of Keras and TensorFlow shorter, without what takes long and is rarely used.

    Both import JAX where it is installed: Keras to look for a function that old versions lack, TensorFlow Lite for
    ``jit``. What stands in for it has the first, and imports JAX when the second is called.

    The garbage collector waits meanwhile, for it would look again and again through many new objects that stay. It is
    on afterwards if it was on before.
    """
    stand_in: Any = types.ModuleType("jax")
    stand_in.monitoring = types.SimpleNamespace(record_scalar=None)
    stand_in.jit = lambda *args, **options: importlib.import_module("jax").jit(*args, **options)
    stands_in = "jax" not in sys.modules and importlib.util.find_spec("jax") is not None
    if stands_in:
        sys.modules["jax"] = stand_in
    sys.meta_path.insert(0, _LateFinder)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
        # Freezing and unfreezing makes all objects old without a look at them. What the program has frozen (Python 3.12
        # itself has frozen some) stays so.
        if not gc.get_freeze_count():
            gc.freeze()
            gc.unfreeze()
    finally:
        if was_enabled:
            gc.enable()
        sys.meta_path.remove(_LateFinder)
        if stands_in:
            del sys.modules["jax"]


if TYPE_CHECKING:
    import keras
    import tensorflow as tf
else:

    class _OnFirstUse:
        used_in: int | None = None  # the process that used it first

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, attribute: str) -> Any:
            _OnFirstUse.used_in = _OnFirstUse.used_in or os.getpid()
            if _OnFirstUse.used_in != os.getpid():
                raise ModelZooError(
                    "TensorFlow was used before this process was forked, so it would hang here: its threads are not "
                    "copied. Start processes by multiprocessing.get_context('spawn')."
                )
            if "keras" in sys.modules or self._name in sys.modules:
                module = importlib.import_module(self._name)
            else:
                try:
                    with _light():
                        module = importlib.import_module(self._name)
                except ImportError:  # from Keras on JAX, which is refused below; and from what is not installed
                    module = importlib.import_module(self._name)
            if self._name == "keras" and module.config.backend() != "tensorflow":
                raise InputError(
                    f"Keras runs on {module.config.backend()!r}, but modelzoo needs TensorFlow. Set the environment "
                    "variable KERAS_BACKEND=tensorflow, or the backend in ~/.keras/keras.json."
                )
            return getattr(module, attribute)

    keras = _OnFirstUse("keras")
    tf = _OnFirstUse("tensorflow")


def is_tf_data(value: Any) -> bool:
    """Return whether a value is a ``tf.data.Dataset``, which only a process that imported TensorFlow has."""
    return "tensorflow" in sys.modules and isinstance(value, tf.data.Dataset)


def graph_function(function: Callable[..., Any], *, jit: bool = False, **options: Any) -> Any:
    """Return ``tf.function(function)`` without autograph, and without TensorFlow's advice on retracing.

    Each model has functions of its own, traced once; TensorFlow counts those of five models as one traced five times.
    """
    graph = tf.function(function, jit_compile=jit or None, autograph=False, **options)
    graph._omit_frequent_tracing_warning = True
    return graph


def inference_function(model: keras.Model) -> Callable[[Any], Any]:
    """Return the model's forward pass in inference mode, for float32 tensors of any number of samples.

    It is traced once, kept with the model, and called without TensorFlow's search for a trace that fits, which takes
    longer than a small network.
    """
    function = getattr(model, "_modelzoo_inference", None)
    if function is None:
        graph = graph_function(lambda x: model(x, training=False))
        function = graph.get_concrete_function(tf.TensorSpec((None, *model.input_shape[1:]), tf.float32))
        object.__setattr__(model, "_modelzoo_inference", function)  # past Keras' tracking of attributes
    return function


def given_seed() -> int:
    """Return the seed of ``keras.utils.set_random_seed`` (or ``tf.random.set_seed``), and 0 where none was set."""
    unset = 87654321  # what TensorFlow answers then; Keras has no public name for the seed it was given
    seed, _ = tf.compat.v1.get_seed(0)
    return 0 if seed in (None, unset) else int(seed)


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers of a model, with those inside nested models and wrappers, each once."""
    found: dict[keras.layers.Layer, None] = {}
    waiting = list(model.layers)
    while waiting:
        layer = waiting.pop(0)
        if layer not in found:
            found[layer] = None
            waiting += getattr(layer, "layers", None) or [getattr(layer, "layer", layer)]
    return list(found)


@contextlib.contextmanager
def swapped(attribute: str, values: Mapping[keras.layers.Layer, Any]) -> Iterator[None]:
    """Let layers have other values of an attribute, or of a method, while the block traces."""
    before = {layer: vars(layer)[attribute] for layer in values if attribute in vars(layer)}
    for layer, value in values.items():
        object.__setattr__(layer, attribute, value)  # past Keras' tracking of attributes
    try:
        yield
    finally:
        for layer in values:
            if layer in before:
                object.__setattr__(layer, attribute, before[layer])
            else:
                object.__delattr__(layer, attribute)


@contextlib.contextmanager
def explained_by_tensorflow(path: Path) -> Iterator[None]:
    """Raise what TensorFlow's own file system says while ``path`` is written as one of our errors."""
    try:
        yield
    except tf.errors.OpError as error:  # "{{node …}} FILE; No space left on device [Op:SaveV2] …"
        reason = str(error).splitlines()[0].rpartition("; ")[2].partition(" [Op:")[0]
        raise TargetError(f"Cannot write {path}: {reason}. Check that the place is writable and not full.") from error
