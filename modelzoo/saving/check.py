"""``check``: whether a SavedModel meets the Reusable SavedModel interface, point by point."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_path
from modelzoo._keras import tf
from modelzoo.card import read_card
from modelzoo.errors import ArtifactError, reason_of
from modelzoo.saving.golden import read_golden

Question = Callable[[Path, Any], str]

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


def check(path: str | os.PathLike[str], *, files_only: bool = False) -> list[Point]:
    """Check any SavedModel, whoever wrote it, against the Reusable SavedModel interface.

    The SavedModel is loaded and called, as TensorFlow would do: do not use this on files you would not load.

    Parameters
    ----------
    path
        A SavedModel directory.
    files_only
        Compare every file with the card and load nothing, which needs no TensorFlow.

    Returns
    -------
    list of Point
        One for each question; if the SavedModel cannot be loaded, that and whether its files are the card's.

    Raises
    ------
    ArtifactError
        There is no SavedModel at ``path``.
    """
    path = check_path(path, "a SavedModel directory")
    if not (path / "saved_model.pb").is_file():
        raise ArtifactError(f"{path} has no saved_model.pb, so it is not a SavedModel directory. Give one.")
    if files_only:
        return [_answer("modelzoo card", path, None)]
    try:
        loaded = tf.saved_model.load(str(path))
    except Exception as error:  # whatever TensorFlow raises on a broken graph is the answer
        remedy = "Write it again with modelzoo.save or tf.saved_model.save."
        damaged = _answer("modelzoo card", path, None)  # which file it is
        return [Point("loads", False, reason_of(error)[:200], remedy), damaged]
    loads = Point("loads", True, f"tf.saved_model.load, TensorFlow {getattr(loaded, 'tensorflow_version', '?')}")
    return [loads, *(_answer(name, path, loaded) for name in _QUESTIONS)]


def _answer(name: str, path: Path, loaded: Any) -> Point:
    question, remedy = _QUESTIONS[name]
    try:
        return Point(name, True, question(path, loaded))
    except Exception as error:  # any failure of the foreign graph is the answer
        return Point(name, False, reason_of(error)[:200], remedy)


@contextlib.contextmanager
def _unchanged(loaded: Any) -> Iterator[None]:
    """Undo what calls in training mode change, such as the averages of batch normalisation."""
    variables = list(getattr(loaded, "variables", ()))
    values = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)


#: Questions by name, each with how to mend it where it does not hold.
_QUESTIONS: dict[str, tuple[Question, str]] = {}


def _question(name: str, remedy: str) -> Callable[[Question], Question]:
    """Enter a function into the questions: it returns what it found, or raises what is wrong."""

    def enter(question: Question) -> Question:
        _QUESTIONS[name] = question, remedy
        return question

    return enter


@_question(
    "named signature",
    "Pass signatures={'serving_default': …}, a function that returns a dictionary to name the outputs.",
)
def _signature(path: Path, loaded: Any) -> str:
    signature: Any = getattr(loaded, "signatures", {}).get("serving_default")
    _need(signature is not None, "no serving_default")
    inputs, outputs = signature.structured_input_signature[1], signature.structured_outputs
    _need(outputs and not any(name.startswith("output_") for name in outputs), f"outputs {list(outputs)}")
    return f"serving_default({', '.join(inputs)}) → {', '.join(outputs)}"


@_question(
    "callable",
    "Give the saved object a __call__ that is a tf.function, traced for one tensor of known rank, with "
    "training=False by default; Keras 3's model.export does not.",
)
def _callable(path: Path, loaded: Any) -> str:
    value = _ones(loaded)
    outputs = [list(output.shape) for output in tf.nest.flatten(loaded(value))]
    return f"obj({value.dtype.name}{list(value.shape)}) → {', '.join(map(str, outputs))}"


@_question("training argument", "Trace __call__(inputs, training=False) with training=True and training=False.")
def _training(path: Path, loaded: Any) -> str:
    with _unchanged(loaded):
        for training in (True, False):
            loaded(_ones(loaded), training=training)
    return "training=True and training=False"


@_question("variables", "Set obj.variables to the list of all tf.Variables before saving.")
def _variables(path: Path, loaded: Any) -> str:
    return f"{len(_listed(loaded, 'variables', at_least=1))}"


@_question(
    "trainable_variables",
    "Set obj.trainable_variables to the tf.Variables to fine-tune, a subset of obj.variables, before saving.",
)
def _trainable(path: Path, loaded: Any) -> str:
    trainable = _listed(loaded, "trainable_variables", at_least=1)
    known = {id(variable) for variable in getattr(loaded, "variables", None) or []}
    _need(all(id(variable) in known for variable in trainable), "some are not in variables")
    return f"{len(trainable)}, {sum(int(tf.size(v)) for v in trainable):,} parameters"


@_question("regularization_losses", "Set obj.regularization_losses to a list (it may be empty) of tf.functions.")
def _losses(path: Path, loaded: Any) -> str:
    return f"{len(_listed(loaded, 'regularization_losses', at_least=0))}"


@_question("fine-tunes", "Let the output with training=True depend on every trainable variable.")
def _fine_tunes(path: Path, loaded: Any) -> str:
    trainable = list(_listed(loaded, "trainable_variables", at_least=1))
    with _unchanged(loaded), tf.GradientTape() as tape:
        outputs = tf.nest.flatten(loaded(_ones(loaded), training=True))
        loss = sum(tf.reduce_sum(tf.cast(output, tf.float32) ** 2) for output in outputs)
    gradients = tape.gradient(loss, trainable)
    without = [v.name for v, gradient in zip(trainable, gradients, strict=True) if gradient is None]
    _need(not without, f"no gradient for {', '.join(without)}")
    return f"a gradient for each of {len(gradients)} variables"


@_question("weights stored once", "Save the plain tf.Variables once; Keras 3's model.export stores them twice.")
def _stored_once(path: Path, loaded: Any) -> str:
    stored = sum(file.stat().st_size for file in (path / "variables").glob("*"))
    variables = list(_listed(loaded, "variables", at_least=1))
    needed = sum(int(tf.size(v)) * v.dtype.size for v in variables)
    detail = f"variables/ has {stored:,} bytes for {needed:,} bytes of weights ({stored / needed:.3f}×)"
    index = 4096 + 256 * len(variables)  # that of a tiny net outweighs its weights
    _need(stored <= 1.01 * needed + index, detail)
    return detail


@_question("modelzoo card", "Write it with modelzoo.save.")
def _card(path: Path, loaded: Any) -> str:
    card = read_card(path)
    return f"{card['name']}, all {len(card['files'])} files as written"


@_question("golden vectors", "Write it with modelzoo.save, which stores golden inputs and outputs.")
def _golden(path: Path, loaded: Any) -> str:
    inputs, expected = read_golden(path)
    difference = float(np.abs(loaded(tf.constant(inputs)).numpy() - expected).max())
    allowed = GOLDEN_TOLERANCE * max(1.0, float(np.abs(expected).max()))
    detail = f"{len(inputs)} outputs within {difference:.1e} of those Keras gave"
    _need(difference <= allowed, f"{detail}; allowed {allowed:.1e}")
    return detail


def _need(condition: Any, detail: str) -> None:
    if not condition:
        raise ArtifactError(detail)


def _listed(loaded: Any, name: str, *, at_least: int) -> Any:
    """Return a list that the interface asks for."""
    value: Any = getattr(loaded, name, None)
    _need(value is not None and not callable(value) and hasattr(value, "__len__"), f"obj.{name} is missing")
    _need(len(value) >= at_least, f"obj.{name} is empty")
    return value


def _ones(loaded: Any) -> Any:
    """Return a batch of two samples of ones, as ``__call__`` was traced for."""
    _need(callable(loaded), "the object cannot be called")
    specs = []
    for function in getattr(loaded.__call__, "concrete_functions", []):
        tensors = [s for s in tf.nest.flatten(function.structured_input_signature) if isinstance(s, tf.TensorSpec)]
        if len(tensors) == 1 and tensors[0].shape.rank is not None:
            specs.append(tensors[0])
    _need(specs, "no concrete function takes one tensor of known rank")
    spec = max(specs, key=lambda spec: spec.dtype.is_floating)  # gradients need no floats, but like them
    return tf.ones([2 if side is None else side for side in spec.shape], spec.dtype)
