"""``check``: whether a SavedModel meets the Reusable SavedModel interface, point by point."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_path
from modelzoo._keras import tf
from modelzoo.card import read_card
from modelzoo.errors import ArtifactError
from modelzoo.saving.golden import read_golden

#: Largest difference from the golden outputs, for outputs up to 1; of larger ones, this share.
GOLDEN_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class Point:
    """One point of the interface and how the SavedModel stands on it.

    Attributes
    ----------
    name
        What is asked.
    ok
        Whether it holds.
    detail
        What was found.
    remedy
        How to mend it; empty where it holds.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""


class _Failed(Exception):
    """A point does not hold: its detail and its remedy."""


def check(path: str | os.PathLike[str]) -> list[Point]:
    """Check any SavedModel, whoever wrote it, against the Reusable SavedModel interface.

    The SavedModel is loaded and called, as TensorFlow would do: do not use this on files you would not load.

    Parameters
    ----------
    path
        A SavedModel directory.

    Returns
    -------
    list of Point
        One for each question, in the order in which they make sense; those after a failure that makes them
        pointless are left out.

    Raises
    ------
    InputError
        ``path`` is no path.
    ArtifactError
        It is not that of a SavedModel directory.
    """
    path = check_path(path, "a SavedModel directory")
    if not (path / "saved_model.pb").is_file():
        raise ArtifactError(f"{path} has no saved_model.pb, so it is not a SavedModel directory. Give one.")
    return list(_check(path))


def _check(path: Path) -> Iterator[Point]:
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # whatever TensorFlow raises on a broken graph is the answer
        yield Point("loads", False, _first_line(error), "Write it again with modelzoo.save or tf.saved_model.save.")
        return
    yield Point("loads", True, f"tf.saved_model.load, TensorFlow {getattr(loaded, 'tensorflow_version', '?')}")
    inputs: list[Any] = []
    questions: list[tuple[str, Callable[[], str]]] = [
        ("named signature", lambda: _signature(loaded)),
        ("callable", lambda: _callable(loaded, inputs)),
        ("training argument", lambda: _training(loaded, inputs)),
        ("variables", lambda: _variables(loaded)),
        ("trainable_variables", lambda: _trainable(loaded)),
        ("regularization_losses", lambda: _losses(loaded)),
        ("fine-tunes", lambda: _fine_tunes(loaded, inputs)),
        ("weights stored once", lambda: _stored_once(path, loaded)),
        ("modelzoo card", lambda: _card(path)),
        ("golden vectors", lambda: _golden(path, loaded)),
    ]
    for name, question in questions:
        try:
            yield Point(name, True, question())
        except _Failed as failure:
            yield Point(name, False, *failure.args)


def _signature(loaded: Any) -> str:
    signature = getattr(loaded, "signatures", {}).get("serving_default")
    if signature is None:
        raise _Failed("no serving_default", "Pass signatures={'serving_default': …} to tf.saved_model.save.")
    inputs, outputs = list(signature.structured_input_signature[1]), list(signature.structured_outputs)
    if not outputs or any(name.startswith("output_") for name in outputs):
        raise _Failed(f"outputs {outputs}", "Return a dictionary from the signature's function to name the outputs.")
    return f"serving_default({', '.join(inputs)}) → {', '.join(outputs)}"


def _callable(loaded: Any, inputs: list[Any]) -> str:
    if not callable(loaded):
        raise _Failed(
            "the object cannot be called",
            "Give the saved object a __call__ that is a tf.function; Keras 3's model.export does not.",
        )
    spec = _input_spec(loaded)
    if spec is None:
        raise _Failed(
            "no concrete function takes one tensor of known rank", "Trace __call__ for the input's TensorSpec."
        )
    value = tf.ones([2 if side is None else side for side in spec.shape], spec.dtype)
    try:
        outputs = [list(output.shape) for output in tf.nest.flatten(loaded(value))]
    except Exception as error:  # any failure of the foreign graph is the answer
        raise _Failed(
            _first_line(error), "Trace __call__ for one input tensor, with training=False by default."
        ) from error
    inputs.append(value)
    return f"obj({spec.dtype.name}{list(spec.shape)}) → {', '.join(map(str, outputs))}"


def _input_spec(loaded: Any) -> Any:
    specs = []
    for function in getattr(loaded.__call__, "concrete_functions", []):
        tensors = [s for s in tf.nest.flatten(function.structured_input_signature) if isinstance(s, tf.TensorSpec)]
        if len(tensors) == 1 and tensors[0].shape.rank is not None:
            specs.append(tensors[0])
    return max(specs, key=lambda spec: spec.dtype.is_floating, default=None)  # gradients need no floats, but like them


def _training(loaded: Any, inputs: list[Any]) -> str:
    _need(inputs, "callable")
    for training in (True, False):
        try:
            loaded(inputs[0], training=training)
        except Exception as error:  # any failure of the foreign graph is the answer
            raise _Failed(
                f"training={training}: {_first_line(error)}",
                "Trace __call__(inputs, training=False) with training=True and training=False.",
            ) from error
    return "training=True and training=False"


def _variables(loaded: Any) -> str:
    variables = getattr(loaded, "variables", None)
    if not _is_list(variables) or not variables:
        raise _Failed("missing or empty", "Set obj.variables to the list of all tf.Variables before saving.")
    return f"{len(variables)}"


def _trainable(loaded: Any) -> str:
    trainable = getattr(loaded, "trainable_variables", None)
    if not _is_list(trainable) or not trainable:
        raise _Failed("missing or empty", "Set obj.trainable_variables to the tf.Variables to fine-tune before saving.")
    known = {id(variable) for variable in getattr(loaded, "variables", None) or []}
    if not all(id(variable) in known for variable in trainable):
        raise _Failed("some are not in variables", "obj.trainable_variables must be a subset of obj.variables.")
    return f"{len(trainable)}, {sum(int(tf.size(v)) for v in trainable):,} parameters"


def _losses(loaded: Any) -> str:
    losses = getattr(loaded, "regularization_losses", None)
    if losses is None or not _is_list(losses):
        raise _Failed("missing", "Set obj.regularization_losses to a list (it may be empty) of tf.functions.")
    return f"{len(losses)}"


def _fine_tunes(loaded: Any, inputs: list[Any]) -> str:
    _need(inputs, "callable")
    trainable = getattr(loaded, "trainable_variables", None)
    if not _is_list(trainable) or not trainable:
        raise _Failed("no trainable_variables", "Set obj.trainable_variables first.")
    try:
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(loaded(inputs[0], training=True))
            loss = sum(tf.reduce_sum(tf.cast(output, tf.float32) ** 2) for output in outputs)
        gradients = tape.gradient(loss, list(trainable))
    except Exception as error:  # any failure of the foreign graph is the answer
        raise _Failed(_first_line(error), "See 'training argument'.") from error
    without = [v.name for v, gradient in zip(trainable, gradients, strict=True) if gradient is None]
    if without:
        raise _Failed(f"no gradient for {', '.join(without)}", "Let the output depend on every trainable variable.")
    return f"a gradient for each of {len(gradients)} variables"


def _stored_once(path: Path, loaded: Any) -> str:
    stored = sum(file.stat().st_size for file in (path / "variables").glob("*"))
    needed = sum(int(tf.size(v)) * v.dtype.size for v in getattr(loaded, "variables", None) or [])
    if not needed:
        raise _Failed("no variables to compare with", "Set obj.variables first.")
    ratio = stored / needed
    detail = f"variables/ has {stored:,} bytes for {needed:,} bytes of weights ({ratio:.3f}×)"
    if stored > 1.01 * needed + 4096:  # the index of a tiny net outweighs its weights
        raise _Failed(detail, "Save the plain tf.Variables once; Keras 3's model.export stores them twice.")
    return detail


def _card(path: Path) -> str:
    try:
        card = read_card(path)
    except ArtifactError as error:
        raise _Failed(str(error), "Write it with modelzoo.save.") from error
    return f"{card['name']}, all {len(card['files'])} files as written"


def _golden(path: Path, loaded: Any) -> str:
    try:
        inputs, expected = read_golden(path)
    except ArtifactError as error:
        raise _Failed(str(error), "Write it with modelzoo.save, which stores golden inputs and outputs.") from error
    try:
        found = loaded(tf.constant(inputs)).numpy()
        difference = float(np.abs(found - expected).max())
    except Exception as error:  # any failure of the foreign graph is the answer
        raise _Failed(f"the golden inputs: {_first_line(error)}", "Write it again with modelzoo.save.") from error
    allowed = GOLDEN_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    detail = f"{len(inputs)} outputs within {difference:.1e} of those Keras gave"
    if not difference <= allowed:
        raise _Failed(f"{detail}; allowed {allowed:.1e}", "Write it again with modelzoo.save.")
    return detail


def _need(inputs: list[Any], what: str) -> None:
    if not inputs:
        raise _Failed(f"not tried: see {what!r}", f"Mend {what!r} first.")


def _is_list(value: Any) -> bool:
    return value is not None and not callable(value) and hasattr(value, "__len__")


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
