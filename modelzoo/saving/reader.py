"""``load``: an artifact becomes a live Keras model; its weights are data, its graph is never run."""

from __future__ import annotations

import importlib.resources
import importlib.util
import os
import re
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_path
from modelzoo._io import restore
from modelzoo._keras import keras, tf
from modelzoo.errors import ArtifactError, InputError, ModelZooError, unknown_name
from modelzoo.registry import build_model, list_models, origin_of
from modelzoo.saving.card import read_card
from modelzoo.saving.golden import read_golden
from modelzoo.weights import weights_digest, weights_within

_VERSION = re.compile(r"[0-9]+")


def saved_models_dir() -> Path:
    """Return the directory of the pretrained SavedModels: ``NAME/VERSION/``.

    Raises
    ------
    ArtifactError
        The installation has none.
    """
    if importlib.util.find_spec("modelzoo.saved_models") is not None:
        return Path(str(importlib.resources.files("modelzoo.saved_models")))
    checkout = Path(__file__).parents[2] / "saved_models"  # run from a checkout that is not installed
    if checkout.is_dir():
        return checkout
    raise ArtifactError("This installation has no pretrained models. Install modelzoo again: pip install modelzoo.")


def list_pretrained() -> dict[str, list[int]]:
    """Return the versions, in ascending order, of each pretrained model."""
    root = saved_models_dir()
    found = {}
    for folder in sorted(root.iterdir()):
        versions = [int(v.name) for v in folder.iterdir() if _VERSION.fullmatch(v.name)] if folder.is_dir() else []
        if versions:
            found[folder.name] = sorted(versions)
    return found


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

    Raises
    ------
    InputError
        There is no such model or directory.
    """
    pretrained = list_pretrained()
    is_path = looks_like_path(source)
    if not is_path and str(source) in pretrained:
        directory = saved_models_dir() / str(source)
    else:
        directory = check_path(source, "a SavedModel directory, or the name of a pretrained model")
        if not directory.is_dir():
            restore(directory)  # a killed writer may have moved it aside
        if not directory.is_dir():
            if is_path:
                raise InputError(f"There is no directory {directory}. Give a SavedModel directory or a model name.")
            if str(source) in list_models():
                raise InputError(
                    f"There is no pretrained {source}. Train it with `modelzoo train {source}`. "
                    f"Pretrained: {', '.join(pretrained) or '(none)'}."
                )
            raise unknown_name("model or directory", str(source), pretrained)
    versions = sorted(int(v.name) for v in directory.iterdir() if _VERSION.fullmatch(v.name) and v.is_dir())
    if not versions:
        if version is not None:
            raise InputError(f"{directory} has no numbered versions; leave version out.")
        return directory
    if version is not None and version not in versions:
        raise unknown_name(f"version of {source}", str(version), map(str, versions))
    return directory / str(version if version is not None else versions[-1])


def load(source: str | os.PathLike[str], *, version: int | None = None) -> keras.Model:
    """Return a live Keras model from a pretrained model's name or an artifact's directory.

    Every file is checked against the card, the network is rebuilt by its builder, and the weights are read
    as data. No graph of the artifact is run and nothing is unpickled, so an artifact cannot run code.

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
    InputError
        There is no such model or directory.
    ArtifactError
        The artifact is not ours, incomplete or altered.
    """
    directory = find(source, version=version)
    card = read_card(directory)
    try:
        values = _read_weights(directory, card)
        stored = sum(value.size for value in values)
        with weights_within(stored, f"it asks for more weights than the {stored:,} numbers that are stored"):
            model = build_model(card["model"]["name"], **card["model"]["options"])
        origin = origin_of(model)
        origin.class_names = tuple(map(str, card["class_names"]))
        origin.training = None if card["training"] is None else dict(card["training"])
        origin.parent = None if card["parent"] is None else dict(card["parent"])
        origin.seed = card["model"]["seed"]
        origin.results = None if card["results"] is None else dict(card["results"])
        origin.golden, _ = read_golden(directory)
        origin.weights_digest = digest = card["weights_digest"]
    except ArtifactError:
        raise
    except (ModelZooError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{directory}: the card does not describe a model this modelzoo can build: {error}"
        ) from None
    if [tuple(v.shape) for v in model.variables] != [value.shape for value in values]:
        raise ArtifactError(
            f"{directory}: the weights do not have the shapes of {card['model']['name']}. Export again."
        )
    for variable, value in zip(model.variables, values, strict=True):
        variable.assign(value)
    if weights_digest(model) != digest:
        raise ArtifactError(f"{directory}: the weights are not those the card was written for. Export again.")
    return model


def _read_weights(directory: Path, card: dict[str, Any]) -> list[np.ndarray]:
    try:
        reader = tf.train.load_checkpoint(str(directory / "variables" / "variables"))
        keys = [f"variables/{i}/.ATTRIBUTES/VARIABLE_VALUE" for i in range(len(card["weights"]))]
        dtypes = {reader.get_variable_to_dtype_map().get(key) for key in keys}
        if not dtypes <= {tf.float32, tf.int32, tf.int64, tf.uint32}:
            raise ValueError(f"they have dtypes {sorted(map(repr, dtypes))}")
        return [reader.get_tensor(key) for key in keys]
    except (tf.errors.OpError, IndexError, RuntimeError, ValueError) as error:
        raise ArtifactError(f"{directory}: the weights cannot be read: {str(error).splitlines()[0]}") from error
