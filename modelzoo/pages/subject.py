"""What is described: a zoo model, an artifact of ours, or a ``.keras`` file."""

from __future__ import annotations

import dataclasses
import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelzoo._checks import check_path
from modelzoo._keras import keras
from modelzoo.card import artifact_name, read_card
from modelzoo.errors import ArtifactError, InputError, reason_of
from modelzoo.evaluation import ready
from modelzoo.network import Network, read_network, with_paths
from modelzoo.pages.equations import Step, read_steps
from modelzoo.pages.markdown import read_docstring
from modelzoo.registry import ModelSpec, base_recipe, build_model, get_spec, list_models, spec_of
from modelzoo.saving import find, list_pretrained
from modelzoo.saving.saved_model import looks_like_path


@dataclasses.dataclass(frozen=True)
class Subject:
    """A live model with all that is known of it.

    Attributes
    ----------
    name
        Name of the builder, of the artifact's directory, or of the ``.keras`` file without its suffix.
    source
        What it was asked for by: a name, a directory or a file.
    model
        The network, ready to compute: in NumPy where its artifact has only layers that are known there, or in Keras.
    spec
        The facts declared beside its builder; ``None`` for a model that no builder of the zoo made.
    card
        The card of its artifact; ``None`` without one, so that a zoo model's weights are untrained.
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

    @functools.cached_property
    def network(self) -> Network:
        """The model's layers."""
        return read_network(self.model)

    @functools.cached_property
    def steps(self) -> tuple[Step, ...]:
        """The layers as computing steps."""
        return read_steps(self.network)

    @property
    def num_frozen(self) -> int:
        """The number of parameters that training leaves as they are."""
        sizes = {weight.path: weight.size for layer in self.network.layers for weight in layer.weights}
        if self.card is not None:
            frozen = [weight["path"] for weight in self.card["weights"] if not weight["trainable"]]
        else:
            trained = {id(weight) for weight in self.model.trainable_weights}
            frozen = [path for path, weight in with_paths(self.model) if id(weight) not in trained]
        return sum(sizes.get(path, 0) for path in frozen)  # the states of random layers are no parameters

    @property
    def cost(self) -> int | None:
        """The multiply-adds a sample needs; ``None`` with layers of a kind that is not counted."""
        try:
            return self.network.multiply_adds
        except InputError:
            return None

    @property
    def summary(self) -> str:
        """One sentence on the model."""
        if self.spec is not None:
            return read_docstring(self.spec.builder).summary
        return f"A Keras model of {len(self.steps)} layers."

    @property
    def classifies(self) -> bool:
        """Whether it is a classifier, as far as a builder or a card tells."""
        return (self.spec or self.card) is not None and not base_recipe(self.model).reconstruct

    @property
    def training(self) -> Mapping[str, Any]:
        """What the card says of the training; empty without one."""
        return (self.card or {}).get("training") or {}

    @property
    def trained_on(self) -> Mapping[str, Any]:
        """What the card says of the data of the training; empty without one."""
        return self.training.get("dataset") or {}

    @property
    def results(self) -> Mapping[str, Any]:
        """The results in the card; empty without any."""
        return (self.card or {}).get("results") or {}


def read_subject(source: str | os.PathLike[str]) -> Subject:
    """Load what is to be described.

    Parameters
    ----------
    source
        Name of a zoo model, with its pretrained weights if there are any; directory of an artifact of ours; or a
        ``.keras`` file, loaded in Keras' safe mode. That refuses Lambda layers, but has had holes: read only files
        whose authors you trust.

    Raises
    ------
    ArtifactError
        The artifact is incomplete or altered, or the file is not one that Keras loads in safe mode.
    """
    text = os.fspath(source)
    if text.endswith(".keras"):
        return Subject(Path(text).stem, text, _load_keras(check_path(source, "a .keras file")))
    pretrained = not looks_like_path(source) and text in list_pretrained()
    if not looks_like_path(source) and text in list_models() and not pretrained and not Path(text).is_dir():
        return Subject(text, text, build_model(text, seed=0), get_spec(text))
    if not pretrained and check_path(source, "a .keras file or a SavedModel directory").is_file():
        raise InputError(f"A file to describe must end in .keras; got {text}. Or give a model or a directory.")
    directory = find(source)
    card = read_card(directory)
    model = ready(directory)
    return Subject(artifact_name(directory), text, model, spec_of(model), card, pretrained)


def _load_keras(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"There is no file {path}. Give a model, a directory or a .keras file.")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what its parts raise
        raise ArtifactError(
            f"{path} cannot be loaded in Keras' safe mode: {reason_of(error)} Save a model of Keras' own layers again."
        ) from error
