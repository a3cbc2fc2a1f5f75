"""Where a model's weights come from: the record a live model carries, and the card an artifact stores.

A builder attaches a :class:`Card`; training, loading and fine-tuning replace it with :func:`set_card`. An artifact
keeps the same facts as JSON in :data:`CARD_PATH`, with the network, the place of every weight and the SHA-256 of every
file: a JSON parser and ``numpy.memmap`` are enough to read it. Only live models need TensorFlow here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import json
import logging
import math
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from modelzoo import __version__
from modelzoo._keras import keras, tf
from modelzoo.errors import ArtifactError, InputError
from modelzoo.integrity import check_files, hash_files
from modelzoo.network import Network, check_keras_model, with_paths

logger = logging.getLogger(__name__)

__all__ = [
    "CARD_FORMAT",
    "CARD_PATH",
    "WEIGHTS_PATH",
    "Card",
    "describe_machine",
    "machine_differences",
    "read_card",
    "read_weights",
    "set_card",
    "weights_digest",
]

#: Where the card is in a SavedModel directory; TensorFlow ignores this folder.
CARD_PATH = "assets.extra/modelzoo.json"
#: Version of the form of cards.
CARD_FORMAT = 2

#: Where TensorFlow stores the weights, the bytes of one after another.
WEIGHTS_PATH = "variables/variables.data-00000-of-00001"

_MAX_BYTES = 1 << 24  # a card with the learning curves of many seeds has a hundredth of that
#: Types of weights that an artifact can hold.
DTYPES = {"float16", "float32", "float64", "int32", "int64", "uint32"}

Metrics = dict[str, float | dict[str, float | list[float | None] | None] | None]


class DataFacts(TypedDict, total=False):
    """The data set of a training; its checksum is that of samples and labels."""

    name: str
    options: dict[str, Any]
    checksum: str
    num_train: int
    num_test: int
    license: str | None
    source: str | None


class _TrainingAlways(TypedDict):
    recipe: dict[str, Any]
    seed: int
    steps: int
    dataset: DataFacts
    metrics: dict[str, float | None] | None
    machine: dict[str, str | float | None]
    history: dict[str, list[float | None]]
    weights_digest: str


class Training(_TrainingAlways, total=False):
    """How weights were trained: recipe, seed, data set, machine, and what came of it."""

    recipe_name: str | None
    seconds: float | None
    temperature: float | None


class _ParentAlways(TypedDict):
    name: str
    weights_digest: str


class Parent(_ParentAlways, total=False):
    """The weights that a training started from."""

    class_names: list[str]
    frozen: list[str]
    rescaled: list[str]
    dataset: DataFacts
    parent: Parent


class Results(TypedDict, total=False):
    """What was measured over several seeds; an artifact may say more."""

    metrics: Metrics
    corruptions: Metrics | None
    confusion_matrix: list[list[int]] | None
    seeds: list[int]
    measured_on: dict[str, Any]
    recipe: str
    selected_by: str | None
    selected_seed: int | None
    num_params: int | None
    multiply_adds: int | None
    weights_digest: str


class StoredWeight(TypedDict):
    """Where a weight is: ``offset`` counts bytes in :data:`WEIGHTS_PATH`, little-endian, in C order."""

    path: str
    shape: list[int]
    dtype: str
    offset: int
    trainable: bool


class BuilderFacts(TypedDict):
    """The builder, its options where they differ from the defaults, and the seed of the initial weights."""

    name: str
    options: dict[str, Any]
    seed: int | None


class _CardAlways(TypedDict):
    format: int
    name: str
    builder: BuilderFacts | None
    network: Network
    keras: dict[str, Any]
    weights: list[StoredWeight]
    weights_digest: str
    class_names: list[str]
    training: Training | None
    results: Results | None
    parent: Parent | None
    versions: dict[str, str]
    created: str
    files: dict[str, str]
    card_digest: str


class CardFile(_CardAlways, total=False):
    """The card of an artifact."""

    preparation: str | None


@dataclasses.dataclass(frozen=True)
class Card:
    """Where the weights of a live model come from.

    Attributes
    ----------
    name
        Name of its builder, or its own where no builder is known.
    builder
        Name of the registered builder whose network it is; ``None`` where none is known.
    options
        Arguments of the builder that differ from the defaults, ready for JSON.
    seed
        Seed of the initial weights; ``None`` if they were drawn without one.
    class_names
        Names of the classes, in the order of the outputs.
    preparation
        How an image file becomes a sample: ``"digit"`` or ``"resize"``; ``None`` where nobody said.
    training
        What :func:`modelzoo.train` did last.
    parent
        The weights that training started from, if those had been trained themselves.
    weights_digest
        Of the weights all this is about. Others came from elsewhere, such as an interrupted training.
    artifact
        The directory the weights, or the parent's, were loaded from: it holds results and golden samples.
    """

    name: str
    builder: str | None = None
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    seed: int | None = None
    class_names: tuple[str, ...] = ()
    preparation: str | None = None
    training: dict[str, Any] | None = None
    parent: dict[str, Any] | None = None
    weights_digest: str | None = None
    artifact: Path | None = dataclasses.field(default=None, compare=False)

    @classmethod
    def from_file(cls, facts: Mapping[str, Any], directory: Path) -> Card:
        """Return the record of the weights in an artifact."""
        builder = facts["builder"] or {"name": None, "options": {}, "seed": None}
        return cls(
            facts["name"],
            builder["name"],
            builder["options"],
            builder["seed"],
            class_names=tuple(facts["class_names"]),
            preparation=facts.get("preparation"),
            training=facts["training"],
            parent=facts["parent"],
            weights_digest=facts["weights_digest"],
            artifact=directory.absolute(),
        )

    def to_file(self) -> dict[str, Any]:
        """Return what an artifact's card says of provenance."""
        builder = {"name": self.builder, "options": dict(self.options), "seed": self.seed}
        return {
            "name": self.name,
            "builder": builder if self.builder else None,
            "class_names": list(self.class_names),
            "preparation": self.preparation,
            "training": self.training,
            "parent": self.parent,
        }

    def as_parent(self, digest: str, frozen: Sequence[str] = (), rescaled: Sequence[str] = ()) -> dict[str, Any]:
        """Return these weights, of that digest, as the parent of what is trained from them."""
        name = self.name
        with contextlib.suppress(ArtifactError, InputError):
            if self.artifact is not None and read_card(self.artifact)["weights_digest"] == digest:
                name = artifact_name(self.artifact)
        parent: dict[str, Any] = {
            "name": name,
            "weights_digest": digest,
            "class_names": list(self.class_names),
            "frozen": list(frozen),
        }
        if rescaled:
            parent["rescaled"] = list(rescaled)
        if self.training is not None:
            parent["dataset"] = self.training["dataset"]
        if self.parent is not None:
            parent["parent"] = self.parent
        return parent


def artifact_name(directory: Path) -> str:
    """Return what an artifact calls itself: the name of its directory, or of the one that holds its versions."""
    place = directory.absolute()
    return (place.parent if place.name.isdigit() else place).name


def set_card(model: keras.Model, card: Card) -> None:
    """Give a model its card, in the place of the one it had."""
    model._modelzoo_card = card


def weights_digest(model: Any, values: Sequence[Any] | None = None) -> str:
    """Return the SHA-256 of a model's weights (path, shape, dtype and bytes of each), 64 hexadecimal digits.

    The state of random generators is not part of it.

    Parameters
    ----------
    model
        A Keras model, or an artifact in NumPy.
    values
        Values of ``model.weights`` at another time; those of now by default.
    """
    if isinstance(known := getattr(model, "weights_digest", None), str):
        return known  # of one in NumPy, whose weights stay as they are
    check_keras_model(model)
    digest = hashlib.sha256()
    values = model.weights if values is None else values
    for (path, _), tensor in zip(with_paths(model), values, strict=True):
        value = np.ascontiguousarray(tensor.numpy())
        digest.update(f"{path} {value.shape} {value.dtype.str}\n".encode())
        digest.update(value.tobytes())
    return digest.hexdigest()


def describe_machine() -> dict[str, Any]:
    """Return what a result depends on besides code, data and seed, ready for JSON.

    ``cpu``, ``cores`` (that this process may use), ``system``, ``python``, and the versions of ``tensorflow``,
    ``keras``, ``numpy`` and ``modelzoo``.
    """
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **package_versions(),
    }


def machine_differences(recorded: Mapping[str, Any] | None) -> dict[str, tuple[Any, Any]]:
    """Return where a recorded machine and this one differ in what can change the last bit of a float32 result.

    Maps each of ``cpu``, ``cores``, ``system``, the versions, and ``replicas`` if there were several, to ``(recorded
    value, value here)``.
    """
    recorded, here = recorded or {}, describe_machine()
    del here["python"]  # which computes none of it
    differing = {key: (recorded.get(key), value) for key, value in here.items() if recorded.get(key) != value}
    if recorded.get("replicas", 1) != 1:  # several replicas sum in another order than one
        differing["replicas"] = (recorded["replicas"], 1)
    return differing


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that a result depends on, in whichever distribution they came."""
    return {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__, "modelzoo": __version__}


def usable_cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu() -> str:
    """Return the processor's name; virtual machines hide the generation there, so its numbers go with it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    name = facts.get("model name") or platform.processor() or "unknown"
    numbers = [f"{key.removeprefix('cpu ')} {facts[key]}" for key in ("cpu family", "model") if key in facts]
    return ", ".join([name, *numbers])


def write_card(directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the card of a directory whose other files are complete, and return it.

    The format, the hashes of the files and the card's own digest are added to ``facts``.
    """
    path = directory / CARD_PATH
    path.parent.mkdir(exist_ok=True)
    card: dict[str, Any] = {"format": CARD_FORMAT, **facts, "files": hash_files(directory, leave_out=CARD_PATH)}
    card["card_digest"] = _digest(card)
    path.write_text(_text(card), encoding="utf-8")
    return card


def read_card(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the card of an artifact after checking the card and every file against it.

    Parameters
    ----------
    directory
        A SavedModel directory written by :func:`modelzoo.save`.

    Raises
    ------
    ArtifactError
        The directory is not ours, or a file is missing, altered, foreign or a symbolic link.
    """
    directory = Path(directory).expanduser()
    if not directory.is_dir():
        raise ArtifactError(f"{directory} is not a directory. Give a SavedModel directory written by modelzoo.save.")
    path = directory / CARD_PATH
    if not path.is_file():
        raise ArtifactError(f"{directory} has no {CARD_PATH}, so it was not written by modelzoo. See `modelzoo check`.")
    card = _parse(path)
    check_files(directory, card["files"], leave_out=CARD_PATH)
    return card


def results_of(card: Card, digest: str) -> dict[str, Any] | None:
    """Return the results in the artifact that a model was loaded from; ``None`` if it changed since.

    ``digest`` is that of the model's weights.
    """
    with contextlib.suppress(ArtifactError, InputError):
        facts = read_card(card.artifact) if card.artifact is not None else {}
        # Another training or parent means trained further, or built with options that may change what it computes.
        same = (facts.get("training"), facts.get("parent")) == (card.training, card.parent)
        if same and (results := facts.get("results")) is not None:
            if results.get("weights_digest") == digest:
                return results
            logger.warning("The weights of %s changed since its results were measured; they are left out.", card.name)
    return None


def plain_results(results: Mapping[str, Any], digest: str) -> dict[str, Any]:
    """Return results of the weights of that digest as a card holds them, or raise InputError if it cannot."""
    try:
        text = json.dumps(results, allow_nan=False, default=lambda value: value.tolist(), ensure_ascii=False)
        plain = json.loads(text.encode())
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(f"results cannot be written to a card: {error}. Give numbers, text and lists.") from None
    if not isinstance(plain, dict):
        raise InputError(f"results must be a mapping; got {type(results).__name__}.")
    if wrong := wrong_fact(plain, Results):
        raise InputError(f"results do not fit a card (guide, Cards): {wrong}. Change the value or its name.")
    return {**plain, "weights_digest": digest}


def locate_weights(model: keras.Model, paths: Sequence[tuple[str, Any]], directory: Path) -> list[dict[str, Any]]:
    """Return where the bytes of each variable of a model are in the SavedModel that TensorFlow wrote of it.

    ``paths`` are those of its weights, as :func:`modelzoo.network.with_paths` gives them.
    """
    path = directory / WEIGHTS_PATH
    content = np.memmap(path, np.uint8, "r").tobytes()
    trainable = {id(weight) for weight in model.trainable_variables}
    names = {id(weight): name for name, weight in paths}
    first = model.weights[0]
    scope = first.path.removesuffix(names[id(first)])  # holds the states of random layers too
    found, end = [], 0  # they follow each other
    for variable in model.variables:
        name, value = names.get(id(variable), variable.path.removeprefix(scope)), variable.numpy()
        offset = content.find(value.astype(value.dtype.newbyteorder("<")).tobytes(), end)
        if offset < 0:
            raise RuntimeError(f"{name} is not in {path} as TensorFlow used to store it.")
        end = offset + value.nbytes
        found.append(
            {
                "path": name,
                "shape": list(value.shape),
                "dtype": value.dtype.name,
                "offset": offset,
                "trainable": id(variable) in trainable,
            }
        )
    return found


def read_weights(directory: Path, card: Mapping[str, Any]) -> list[np.ndarray]:
    """Return the values of the weights in the order of ``card["weights"]``, mapped from the file, not copied.

    Raises
    ------
    ArtifactError
        A weight is outside the file, overlaps another or is of an unknown type.
    """
    path = directory / WEIGHTS_PATH
    content = np.memmap(path, np.uint8, "r") if path.is_file() and path.stat().st_size else np.empty(0, np.uint8)
    values: list[np.ndarray] = []
    ends = []
    for weight in card["weights"]:
        start, shape = weight["offset"], weight["shape"]
        if weight["dtype"] not in DTYPES or min([start, *shape]) < 0:
            raise ArtifactError(f"{directory}: the weight {weight['path']!r} has an unknown type, shape or place.")
        dtype = np.dtype(weight["dtype"]).newbyteorder("<")
        end = start + math.prod(shape) * dtype.itemsize
        if end > len(content):
            raise ArtifactError(f"{directory}: the weight {weight['path']!r} is not inside {WEIGHTS_PATH}.")
        ends.append((start, end))
        try:
            values.append(content[start:end].view(dtype).reshape(shape))
        except ValueError:  # more dimensions than NumPy has, or a huge one beside a 0
            raise ArtifactError(f"{directory}: the weight {weight['path']!r} has an impossible shape.") from None
    ends.sort()
    if any(end > start for (_, end), (start, _) in itertools.pairwise(ends)):
        raise ArtifactError(f"{directory}: two weights overlap in {WEIGHTS_PATH}. Export the artifact again.")
    return values


def wrong_fact(facts: Any, kind: Any = CardFile) -> str | None:
    """Return which fact is missing, or of another type than ``kind`` declares; ``None`` if all is well."""
    import msgspec

    try:
        msgspec.convert(facts, kind)
    except msgspec.ValidationError as error:
        return str(error)
    return None


def _parse(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError
        text = path.read_text(encoding="utf-8")
        card = json.loads(text)
        claimed = card["card_digest"]
        good = _text(card) == text and _digest({k: v for k, v in card.items() if k != "card_digest"}) == claimed
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        good = False
    if not good:
        raise ArtifactError(
            f"{path.parent.parent}: the file {CARD_PATH} was altered. Export or copy the artifact again."
        )
    if card.get("format") != CARD_FORMAT:
        raise ArtifactError(
            f"{path}: the card has format {card.get('format')!r}, this modelzoo reads {CARD_FORMAT}. Update modelzoo."
        )
    if wrong := wrong_fact(card):
        raise ArtifactError(f"{path} does not fit the format of cards: {wrong}. Export the artifact again.")
    return card


def _text(card: Mapping[str, Any]) -> str:
    return json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(card: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(card).encode()).hexdigest()
