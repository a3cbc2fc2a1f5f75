"""What is described: a zoo model, an artifact of ours, or a ``.keras`` file."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelzoo._checks import check_path
from modelzoo._keras import keras
from modelzoo.card import read_card
from modelzoo.errors import ArtifactError, InputError
from modelzoo.registry import ModelSpec, build_model, get_spec, list_models
from modelzoo.saving import find, list_pretrained, load, looks_like_path


@dataclasses.dataclass(frozen=True)
class Subject:
    """A live model with all that is known of it.

    Attributes
    ----------
    name
        Name of the builder, or of the ``.keras`` file without its suffix.
    source
        What it was asked for by: a name, a directory or a file.
    model
        The Keras model.
    spec
        The facts declared beside its builder; ``None`` where no builder of the zoo made it.
    card
        The card of its artifact; ``None`` where there is none, so that a zoo model's weights are untrained.
    pretrained
        Whether ``source`` is a name and the weights are those that come with it.
    """

    name: str
    source: str
    model: Any
    spec: ModelSpec | None = None
    card: Mapping[str, Any] | None = None
    pretrained: bool = False

    @property
    def stem(self) -> str:
        """The name as it can stand in a file's name."""
        return re.sub(r"[^\w.-]+", "_", self.name).strip(".") or "model"

    @property
    def training(self) -> Mapping[str, Any]:
        """What the card says of the training; empty where it says nothing."""
        return (self.card or {}).get("training") or {}


def read_subject(source: str | os.PathLike[str]) -> Subject:
    """Load what is to be described.

    Parameters
    ----------
    source
        Name of a zoo model, with the pretrained weights where there are some; directory of an artifact of ours; or a
        ``.keras`` file, loaded in Keras' safe mode. That refuses Lambda layers, but has had holes: read only files
        whose authors you trust.

    Raises
    ------
    InputError
        There is no such model, directory or file.
    ArtifactError
        The artifact is incomplete or altered, or the file is not one that Keras loads in safe mode.
    """
    pretrained = not looks_like_path(source) and str(source) in list_pretrained()
    if not pretrained:
        check_path(source, "a .keras file or a SavedModel directory, or the name of a model")
    text = os.fspath(source)
    if text.endswith(".keras"):
        return Subject(Path(text).stem, text, _load_keras(Path(text)))
    if not looks_like_path(source) and text in list_models() and not pretrained and not Path(text).is_dir():
        return Subject(text, text, build_model(text, seed=0), get_spec(text))
    if not pretrained and Path(text).is_file():
        raise InputError(f"{text} is a file that does not end in .keras. Give a model, a directory or a .keras file.")
    directory = find(source)
    card = read_card(directory)
    model = load(directory)
    name = card["name"]
    return Subject(name, text, model, get_spec(name), card, pretrained=pretrained)


def _load_keras(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give a model, a directory or a .keras file.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what its parts raise
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ArtifactError(
            f"{path} cannot be loaded in Keras' safe mode: {reason} Save a model of Keras' own layers again."
        ) from error
