"""``save``: a live model becomes a SavedModel that plain TensorFlow can fine-tune; ``load`` reads it back."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.resources
import importlib.util
import json
import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo import __version__
from modelzoo import card as cards
from modelzoo import network as networks
from modelzoo._checks import check_path
from modelzoo._io import atomic_directory, atomic_file, check_target, restore
from modelzoo._keras import explained_by_tensorflow, keras, tf
from modelzoo.datasets.images import PREPARATIONS
from modelzoo.errors import ArtifactError, DataError, InputError, ModelZooError, TargetError, reason_of, unknown_name
from modelzoo.registry import card_for, find_builder, list_models, spec_of
from modelzoo.saving.golden import GOLDEN_PATH, golden_inputs, read_golden, write_golden

logger = logging.getLogger(__name__)

_NEEDED = ("saved_model.pb", "variables/variables.index", cards.WEIGHTS_PATH, GOLDEN_PATH)
_VERSION = re.compile(r"[0-9]+")


def save(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    results: Mapping[str, Any] | None = None,
    golden: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write a model as a SavedModel with its card.

    The artifact meets TensorFlow's *Reusable SavedModel* interface: ``obj = tf.saved_model.load(path)`` is
    callable with ``training=True`` or ``False`` and has ``variables``, ``trainable_variables`` and
    ``regularization_losses``, so a ``GradientTape`` fine-tunes it without modelzoo and without Keras. It has
    ``serving_default`` with named input and output; an autoencoder also has ``encode`` and ``decode``.

    Parameters
    ----------
    model
        A zoo model, or any functional or Sequential one of Keras' own layers, with one input and one output.
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
    TargetExistsError
        ``path`` exists and ``overwrite`` is false.
    TargetError
        ``path`` cannot be written.
    """
    card = card_for(model)
    networks.check_model_name(model.name)
    network, config = networks.read_network(model), networks.without_defaults(networks.keras_config(model))
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        raise InputError(f"{model.name!r} must have one input and one output to be saved; give a model that has.")
    if odd := sorted(({str(weight.dtype) for weight in model.weights} or {"none"}) - cards.DTYPES):
        raise InputError(f"{model.name!r} must have weights of {', '.join(sorted(cards.DTYPES))}; got {odd[0]}.")
    if card.builder is None:  # it must be possible to build it again
        with tf.Graph().as_default():
            networks.build_from_config(config, network)
    path = check_save_target(path, overwrite=overwrite)

    digest = cards.weights_digest(model)
    results = cards.results_of(card, digest) if results is None else cards.plain_results(results, digest)
    facts = card.to_file()
    if card.training is not None and card.training["weights_digest"] != digest:
        logger.warning("The weights of %s changed since modelzoo.train; its card says nothing of training.", card.name)
        facts["training"] = None
    if card.artifact is not None and not (card.artifact / cards.CARD_PATH).is_file():
        logger.warning(
            "%s, which %s came from, is gone; its results and golden vectors are lost.", card.artifact, card.name
        )
    if card.artifact is not None and golden is None:
        with contextlib.suppress(ArtifactError, DataError):
            golden = golden_inputs(model, read_golden(card.artifact)[0])
    samples = golden_inputs(model, golden)
    facts |= {
        "network": network.to_dict(),
        "keras": config,
        "weights_digest": digest,
        "results": results,
        "versions": cards.package_versions(),
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }
    with atomic_directory(path, overwrite=overwrite) as temporary:
        write_golden(temporary, model, samples)  # first: it may advance the seeds of random layers, which are stored
        with explained_by_tensorflow(path):
            write_saved_model(model, temporary)
        for name in _NEEDED:  # TensorFlow makes a directory anew that somebody removes under its hands
            if not (temporary / name).is_file():
                raise TargetError(f"Cannot write {path}: {name} was removed meanwhile. Save it again.")
        weights = cards.locate_weights(model, networks.with_paths(model), temporary)
        written = cards.write_card(temporary, facts | {"weights": weights})
    logger.info("Saved %s to %s.", card.name, path)
    return written


def copy_artifact(
    source: str | os.PathLike[str], path: str | os.PathLike[str], *, overwrite: bool = False
) -> dict[str, Any]:
    """Copy a pretrained model or an artifact, without TensorFlow; every file of the copy is checked against the card.

    Parameters
    ----------
    source
        Name of a pretrained model, or a directory written by :func:`modelzoo.save`.
    path
        The directory to write; it is complete or absent, whatever happens meanwhile.
    overwrite
        Replace an existing artifact.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ArtifactError
        A file is missing or was altered.
    """
    directory = find(source)
    card = cards.read_card(directory)
    path = check_save_target(path, overwrite=overwrite)
    with atomic_directory(path, overwrite=overwrite) as temporary:
        for name in [*card["files"], cards.CARD_PATH]:
            target = temporary / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / name, target)
        return cards.read_card(temporary)


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


def write_saved_model(model: keras.Model, directory: Path, *, batch_size: int | None = None) -> None:
    """Write the SavedModel files of a model with one input and one output, without a card.

    The signatures take batches of ``batch_size`` samples, or of any size.
    """
    # A bare trackable, and the plain tf.Variables behind Keras' ones: everything is stored exactly once.
    root = tf.train.Checkpoint()
    root.variables = [variable.value for variable in model.variables]
    root.trainable_variables = [variable.value for variable in model.trainable_variables]
    root.regularization_losses = [_regularization(model, i) for i in range(len(model.losses))]
    root.__call__ = _callable(model)
    signatures = {"serving_default": _signature(model, batch_size)}
    for method, part in (("encode", "encoder"), ("decode", "decoder")):
        inner = getattr(model, part, None) or {layer.name: layer for layer in model.layers}.get(part)
        if isinstance(inner, keras.Model):
            setattr(root, part, _callable(inner))
            signatures[method] = _signature(inner, batch_size)
    log = tf.get_logger()
    level = log.level
    log.setLevel("WARNING")  # no note about assets; what we did is logged by ourselves
    try:
        tf.saved_model.save(root, str(directory), signatures=signatures)
    finally:
        log.setLevel(level)


def _callable(model: keras.Model) -> Any:
    """Return a tf.function of (inputs, training) traced for float32 and, for images, uint8."""

    @tf.function(autograph=False)
    def call(inputs: Any, training: bool = False) -> Any:
        return model(inputs, training=training)

    for dtype in [tf.float32, tf.uint8] if len(model.input_shape) > 2 else [tf.float32]:
        spec = tf.TensorSpec(model.input_shape, dtype, name="inputs")
        for training in (False, True):
            call.get_concrete_function(spec, training=training)
    return call


def _signature(model: keras.Model, batch_size: int | None) -> Any:
    """Return a concrete function whose input and output carry the names of the model's own layers."""
    network = networks.read_network(model)
    input_name, output_name = network.input.name, network.output.name

    def serve(**inputs: Any) -> dict[str, Any]:
        return {output_name: model(inputs[input_name], training=False)}

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), tf.float32, name=input_name)
    return tf.function(serve, autograph=False).get_concrete_function(**{input_name: spec})


def _regularization(model: keras.Model, index: int) -> Any:
    function = tf.function(lambda: model.losses[index], autograph=False)
    function.get_concrete_function()
    return function


def save_keras(model: keras.Model, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
    """Write a model as one ``.keras`` file, which ``keras.models.load_model`` reads without modelzoo."""
    path = check_path(path, "the .keras file to write", suffix=".keras")
    networks.check_keras_model(model)
    if not model.built:
        raise InputError(f"{model.name!r} must be built to be saved. Call it on samples, or begin it with an Input.")
    with atomic_file(path, overwrite=overwrite) as temporary:
        model.save(temporary)


def export_facts(model: keras.Model) -> dict[str, str]:
    """Return the facts that go into a file which has no card, each as text.

    Parameters
    ----------
    model
        Any functional or Sequential Keras model.

    Returns
    -------
    dict
        ``name``, ``options`` (JSON), ``class_names`` (JSON list), ``weights_digest`` and the ``modelzoo`` version;
        ``preparation`` and ``preparation_steps`` (JSON list), how an image file becomes a sample, where that is known;
        ``task`` and ``source`` where its builder is known, ``network`` where it is as declared; ``dataset``,
        ``dataset_license``, ``dataset_source``, ``recipe`` (JSON), ``recipe_name`` and ``seed`` where its weights are
        as trained.

    """
    card, digest = card_for(model), cards.weights_digest(model)
    spec = spec_of(model)
    facts = {
        "name": card.name,
        "options": _json(card.options),
        "class_names": _json(list(card.class_names)),
        "weights_digest": digest,
        "modelzoo": __version__,
    }
    if spec is not None:
        facts |= {"task": spec.task, "source": spec.source}
        if model.count_params() == spec.num_params:  # the declared widths are those of the default options
            facts["network"] = spec.network
    if card.preparation in PREPARATIONS:
        facts |= {"preparation": card.preparation, "preparation_steps": _json(PREPARATIONS[card.preparation])}
    training = card.training
    if training is not None and training.get("weights_digest") == digest:
        data = training.get("dataset") or {}
        given = {
            "dataset": data.get("name"),
            "dataset_license": data.get("license"),
            "dataset_source": data.get("source"),
            "recipe": _json(training.get("recipe")),
            "recipe_name": training.get("recipe_name"),
            "seed": training.get("seed"),
        }
        facts |= {key: str(value) for key, value in given.items() if value not in (None, "")}
    return dict(sorted(facts.items()))


def conversion_error(model: keras.Model, form: str, error: Exception, remedy: str = "Export") -> InputError:
    """Return the error for a model that a converter does not know."""
    reason = reason_of(error).rstrip(".")
    return InputError(f"{model.name} cannot be converted to {form}: {reason}. {remedy} it as a SavedModel instead.")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def saved_models_dir() -> Path:
    """Return the directory of the pretrained SavedModels: ``NAME/VERSION/``."""
    if importlib.util.find_spec("modelzoo.saved_models") is not None:
        return Path(str(importlib.resources.files("modelzoo.saved_models")))
    checkout = Path(__file__).parents[2] / "saved_models"  # run from a checkout that is not installed
    if checkout.is_dir():
        return checkout
    raise ArtifactError("This installation has no pretrained models. Install it again: pip install keras-modelzoo.")


def list_pretrained() -> dict[str, list[int]]:
    """Return the versions, in ascending order, of each pretrained model."""
    found = {folder.name: _versions(folder) for folder in sorted(saved_models_dir().iterdir()) if folder.is_dir()}
    return {name: versions for name, versions in found.items() if versions}


def _versions(directory: Path) -> list[int]:
    return sorted(int(path.name) for path in directory.iterdir() if _VERSION.fullmatch(path.name) and path.is_dir())


def looks_like_path(source: str | os.PathLike[str]) -> bool:
    """Return whether a source is a path whatever the models are called."""
    return isinstance(source, Path) or os.sep in str(source) or str(source).startswith(".")


def find(source: str | os.PathLike[str], *, version: int | None = None) -> Path:
    """Return the directory of an artifact.

    Parameters
    ----------
    source
        Name of a pretrained model, or a SavedModel directory, or a directory of numbered versions.
    version
        Which version; the highest by default.
    """
    pretrained = list_pretrained()
    is_path = looks_like_path(source)
    if not is_path and str(source) in pretrained:
        directory = saved_models_dir() / str(source)
    else:
        directory = check_path(source, "a SavedModel directory, or the name of a pretrained model")
        if not directory.is_dir():
            restore(directory)  # a killed writer may have moved it aside
        if directory.is_file():
            raise InputError(
                f"{directory} is a file, not a SavedModel directory."
                + (" Give the model: keras.models.load_model(path)." if directory.suffix in (".keras", ".h5") else "")
            )
        if not directory.is_dir():
            if is_path:
                raise InputError(f"There is no directory {directory}. Give a SavedModel directory or a model name.")
            if str(source) in list_models():
                raise InputError(
                    f"There is no pretrained {source}. Train it with `modelzoo train {source}`. "
                    f"Pretrained: {', '.join(pretrained) or '(none)'}."
                )
            raise unknown_name("model or directory", str(source), pretrained)
    versions = _versions(directory)
    if not versions:
        if version is not None:
            raise InputError(f"{directory} has no numbered versions; leave version out.")
        return directory
    if version is not None and version not in versions:
        raise unknown_name(f"version of {source}", str(version), map(str, versions))
    return directory / str(version if version is not None else versions[-1])


def load(source: str | os.PathLike[str], *, version: int | None = None) -> keras.Model:
    """Return a live Keras model from a pretrained model's name or an artifact's directory.

    Every file is checked against the card, the network is built by its builder, or from Keras' configuration of Keras'
    own layers where no builder makes it, and the weights are read as data. No graph of the artifact is run and nothing
    is unpickled, so an artifact cannot run code. What was frozen when it was saved is frozen.

    Parameters
    ----------
    source
        Name of a pretrained model, or a directory written by :func:`modelzoo.save`.
    version
        Which of several numbered versions; the highest by default.

    Returns
    -------
    keras.Model
        Ready to predict, to fine-tune or to save again; not compiled.

    Raises
    ------
    ArtifactError
        The artifact is not ours, incomplete or altered.
    """
    directory = find(source, version=version)
    facts = cards.read_card(directory)
    values, places = cards.read_weights(directory, facts), facts["weights"]
    card, network = cards.Card.from_file(facts, directory), networks.Network.from_dict(facts["network"])
    shapes = {place["path"]: place["shape"] for place in places}
    try:
        if any(shapes.get(weight.path) != list(weight.shape) for layer in network.layers for weight in layer.weights):
            raise InputError("its weights do not have the shapes that are stored")
        build = find_builder(card.builder, card.options, network)
        model = build(seed=card.seed) if build else networks.build_from_config(facts["keras"], network)
        if card.builder is not None and build is None:
            logger.warning(
                "%s: the builder %r is not registered here, or makes another network; Keras' configuration is used.",
                directory,
                card.builder,
            )
            card = dataclasses.replace(card, builder=None, options={}, seed=None)
        frozen = networks.frozen_layers(facts["keras"])
        for variable, value in zip(model.variables, values, strict=True):
            variable.assign(value)
    except (ModelZooError, TypeError, ValueError) as error:
        raise ArtifactError(f"{directory}: the card describes a model that cannot be built: {error}") from None
    if cards.weights_digest(model) != facts["weights_digest"]:
        raise ArtifactError(f"{directory}: the weights are not those the card was written for. Export again.")
    networks.take_over(model, {place["path"]: place["trainable"] for place in places}, frozen)
    cards.set_card(model, dataclasses.replace(card, name=card.builder or network.name))
    return model
