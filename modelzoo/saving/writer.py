"""``save``: a live zoo model becomes a SavedModel that plain TensorFlow can call and fine-tune."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_path
from modelzoo._io import atomic_directory, atomic_file, check_target
from modelzoo._keras import explained_by_tensorflow, keras, tf
from modelzoo.errors import InputError, TargetError
from modelzoo.machine import describe_machine
from modelzoo.network import with_paths
from modelzoo.registry import Origin, origin_of
from modelzoo.saving.card import write_card, wrong_fact
from modelzoo.saving.facts import serving_names
from modelzoo.saving.golden import GOLDEN_PATH, golden_inputs, write_golden
from modelzoo.weights import weights_digest

logger = logging.getLogger(__name__)

_NEEDED = ("saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001", GOLDEN_PATH)


def save(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    results: Mapping[str, Any] | None = None,
    golden: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write a zoo model as a SavedModel with its card.

    The artifact meets TensorFlow's *Reusable SavedModel* interface: ``obj = tf.saved_model.load(path)`` is
    callable with ``training=True`` or ``False`` and has ``variables``, ``trainable_variables`` and
    ``regularization_losses``, so a ``GradientTape`` fine-tunes it without modelzoo and without Keras. It has
    ``serving_default`` with named input and output; an autoencoder also has ``encode`` and ``decode``.

    Parameters
    ----------
    model
        A model made by a zoo builder.
    path
        The directory to write; it is complete or absent, whatever happens meanwhile.
    overwrite
        Replace an existing directory.
    results
        What the card says under ``"results"``: a mapping ready for JSON. Without it, that of the artifact the model
        was loaded from, as long as the weights are the same.
    golden
        Samples, raw 0–255 images or points of shape ``(n, …)``, whose outputs are stored beside the card for
        comparisons; real ones are best, some test samples for instance. Without them, those of the artifact the
        model was loaded from, or samples made up from a fixed seed.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    InputError
        The model is not a zoo model, ``path`` is none, or ``results`` are not ready for JSON or, under a name that a
        card uses, of another kind.
    DataError
        The golden samples do not fit the model.
    TargetExistsError
        ``path`` exists and ``overwrite`` is false.
    TargetError
        ``path`` cannot be written.
    """
    origin = origin_of(model)
    samples = golden_inputs(model, origin.golden if golden is None else golden)
    digest = weights_digest(model)
    results = _kept_results(origin, digest) if results is None else {**_plain(results), "weights_digest": digest}
    path = check_save_target(path, overwrite=overwrite)
    training = origin.training
    if training is not None and training.get("weights_digest") != digest:
        logger.warning(
            "The weights of %s changed since modelzoo.train; its card says nothing of training.", origin.name
        )
        training = None
    machine = describe_machine()
    facts = {
        "model": {"name": origin.name, "options": origin.options, "seed": origin.seed},
        "weights": [
            {"path": path, "shape": list(weight.shape), "dtype": str(weight.dtype)}
            for path, weight in with_paths(model.variables)
        ],
        "weights_digest": digest,
        "class_names": list(origin.class_names),
        "training": training,
        "results": results,
        "parent": origin.parent,
        "versions": {name: machine[name] for name in ("tensorflow", "keras", "numpy", "modelzoo")},
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
    if wrong := wrong_fact(facts):
        raise InputError(f"{wrong}, which is not what a card says there (guide, Cards). Change it or its name.")
    with atomic_directory(path, overwrite=overwrite) as temporary:
        with explained_by_tensorflow(path):
            write_saved_model(model, temporary)
        write_golden(temporary, model, samples)
        card = write_card(temporary, facts)
        for name in _NEEDED:  # TensorFlow makes a directory anew that somebody removes under its hands
            if name not in card["files"]:
                raise TargetError(f"Cannot write {path}: {name} was removed meanwhile. Save it again.")
    logger.info("Saved %s to %s.", origin.name, path)
    return card


def _kept_results(origin: Origin, digest: str) -> dict[str, Any] | None:
    if origin.results is None or origin.results.get("weights_digest") == digest:
        return origin.results
    logger.warning("The weights of %s changed since its results were measured; the card leaves them out.", origin.name)
    return None


def _plain(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results as JSON gives them back, which a card must be able to hold."""
    try:
        text = json.dumps(results, allow_nan=False, default=lambda value: value.tolist(), ensure_ascii=False)
        plain = json.loads(text.encode())
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"results cannot be written to a card: {error}. Give numbers, text and lists.") from None
    if not isinstance(plain, dict):
        raise InputError(f"results must be a mapping; received {type(results).__name__}.")
    return plain


def check_save_target(path: str | os.PathLike[str], *, overwrite: bool) -> Path:
    """Return the directory to save to, or raise if :func:`save` would refuse it; called before long work starts.

    Raises
    ------
    TargetExistsError
        It exists and ``overwrite`` is false.
    InputError
        It exists and is not a SavedModel, so that overwriting would delete something else; or TensorFlow would not find
        it again.
    TargetError
        It cannot be written.
    """
    path = check_target(path, overwrite=overwrite)
    if odd := sorted(({"[", "\\"} - {os.sep}) & set(str(path.absolute()))):
        raise InputError(f"{path}: TensorFlow takes {odd[0]!r} in a path for a pattern. Choose another path.")
    if path.exists() and not (path / "saved_model.pb").is_file() and (path.is_file() or any(path.iterdir())):
        raise InputError(f"{path} is not a SavedModel, and overwriting would delete it. Choose another path.")
    return path


def write_saved_model(model: keras.Model, directory: Path) -> None:
    """Write the SavedModel files of a model with one input and one output, without a card."""
    # A bare trackable, and the plain tf.Variables behind Keras' ones: everything is stored exactly once.
    root = tf.train.Checkpoint()
    root.variables = [variable.value for variable in model.variables]
    root.trainable_variables = [variable.value for variable in model.trainable_variables]
    root.regularization_losses = [_regularization(model, i) for i in range(len(model.losses))]
    root.__call__ = _callable(model)
    signatures = {"serving_default": _signature(model)}
    for method, part in (("encode", "encoder"), ("decode", "decoder")):
        if isinstance(getattr(model, part, None), keras.Model):
            setattr(root, part, _callable(getattr(model, part)))
            signatures[method] = _signature(getattr(model, part))
    with _quiet():
        tf.saved_model.save(root, str(directory), signatures=signatures)


def _callable(model: keras.Model) -> Any:
    """Return a tf.function of (inputs, training) traced for float32 and, for images, uint8."""

    @tf.function(autograph=False)
    def call(inputs: Any, training: bool = False) -> Any:
        return model(inputs, training=training)

    for spec in _input_specs(model):
        for training in (False, True):
            call.get_concrete_function(spec, training=training)
    return call


def _input_specs(model: keras.Model) -> list[Any]:
    shape = model.input_shape
    dtypes = [tf.float32, tf.uint8] if len(shape) > 2 else [tf.float32]
    return [tf.TensorSpec(shape, dtype, name="inputs") for dtype in dtypes]


def _signature(model: keras.Model) -> Any:
    """Return a concrete function whose input and output carry the names of the model's own layers."""
    input_name, output_name = serving_names(model)

    def serve(**inputs: Any) -> dict[str, Any]:
        return {output_name: model(inputs[input_name], training=False)}

    spec = tf.TensorSpec(model.input_shape, tf.float32, name=input_name)
    return tf.function(serve, autograph=False).get_concrete_function(**{input_name: spec})


def _regularization(model: keras.Model, index: int) -> Any:
    function = tf.function(lambda: model.losses[index], autograph=False)
    function.get_concrete_function()
    return function


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence TensorFlow's note about assets; what we did is logged by ourselves."""
    log = logging.getLogger("tensorflow")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


def save_keras(model: keras.Model, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a model as one ``.keras`` file, which ``keras.models.load_model`` reads without modelzoo.

    Raises
    ------
    InputError
        ``model`` is no built Keras model, or ``path`` does not end in ``.keras``.
    TargetExistsError
        ``path`` exists and ``overwrite`` is false.
    TargetError
        ``path`` cannot be written.
    """
    path = check_path(path, "the .keras file to write")
    if path.suffix != ".keras":
        raise InputError(f"{path} must end in .keras for this format.")
    if not isinstance(model, keras.Model) or not model.built:
        raise InputError(f"model must be a Keras model that is built; received {model!r:.80}.")
    with atomic_file(path, overwrite=overwrite) as temporary:
        model.save(temporary)
