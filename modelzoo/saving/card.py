"""The card: what an artifact says of itself, and the proof that nothing in it was altered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from modelzoo._checks import check_path
from modelzoo._io import sha256_of
from modelzoo.errors import ArtifactError

#: Where the card is in a SavedModel directory; TensorFlow ignores this folder.
CARD_PATH = "assets.extra/modelzoo.json"
CARD_FORMAT = 1

#: What every card says, if only that there is none.
_FACTS = {"model", "weights", "weights_digest", "class_names", "training", "results", "parent", "versions", "created"}

_MAX_BYTES = 1 << 24  # a card of many seeds and learning curves has a hundredth of that


_NUMBER = int | float | None
_METRICS = {...: (_NUMBER, {"value": _NUMBER, "mean": _NUMBER, "std": _NUMBER, "per_seed": [_NUMBER]})}

#: Kinds of the facts that others than the builders read: a mapping's by key, where ``...`` is any other key; a list's
#: in a list; alternatives in a tuple.
_RESULTS = {
    "metrics": _METRICS,
    "corruptions": ({...: _METRICS[...]}, type(None)),
    "seeds": [int],
    "measured_on": {},
    "recipe": str,
    "selected_by": str | None,
    "selected_seed": int | None,
    "num_params": int | None,
    "multiply_adds": int | None,
    "weights_digest": str,
}
_READ = {
    "class_names": [(str, int)],
    "training": (
        {
            "recipe": {},
            "seed": int,
            "steps": int,
            "dataset": {"name": str, "options": {}, "checksum": str, "license": str | None, "source": str | None},
            "metrics": ({...: _NUMBER}, type(None)),
            "machine": {...: str | int | float | None},
            "history": {...: [_NUMBER]},
            "weights_digest": str,
        },
        type(None),
    ),
    "results": (_RESULTS, type(None)),
    "parent": ({"name": str, "weights_digest": str}, type(None)),
    "versions": {},
    "created": str,
}
#: What training and a parent always say, where there are any.
_ALWAYS = {
    "training": {"recipe", "seed", "steps", "dataset", "metrics", "machine", "history", "weights_digest"},
    "parent": {"name", "weights_digest"},
}


def _misfit(value: Any, kind: Any, name: str) -> str | None:
    """Return which part of a fact is of another kind than it should be, or ``None``.

    Parameters
    ----------
    value
        The fact.
    kind
        A class, a mapping of kinds by key, a list of one kind, or a tuple of alternatives.
    name
        What the fact is called.
    """
    if isinstance(kind, tuple):
        found = [_misfit(value, alternative, name) for alternative in kind]
        return None if None in found else found[0]
    if isinstance(kind, dict) and isinstance(value, dict):
        parts = [(item, kind.get(key, kind.get(..., object)), f"{name}.{key}") for key, item in value.items()]
    elif isinstance(kind, list) and isinstance(value, list):
        parts = [(item, kind[0], f"{name}[{i}]") for i, item in enumerate(value)]
    else:
        fits = not isinstance(kind, dict | list) and isinstance(value, kind)
        return None if fits else f"{name} is {value!r:.60}"
    return next((wrong for part in parts if (wrong := _misfit(*part))), None)


def wrong_fact(facts: Mapping[str, Any]) -> str | None:
    """Return which fact is missing, or of another kind than in a card; ``None`` if all is well."""
    missing = sorted(_FACTS - facts.keys())
    for part, names in _ALWAYS.items():
        if isinstance(facts.get(part), dict):
            missing += [f"{part}.{name}" for name in sorted(names - facts[part].keys())]
    return f"it does not say {missing[0]}" if missing else _misfit(facts, _READ, "card")


def write_card(directory: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the card of a directory whose other files are complete.

    Parameters
    ----------
    directory
        The SavedModel directory.
    facts
        What the card says; the format, the hashes of the files and the card's own digest are added.

    Returns
    -------
    dict
        The card as written.
    """
    path = directory / CARD_PATH
    path.parent.mkdir(exist_ok=True)
    files = {name: sha256_of(directory / name) for name in _files(directory) if name != CARD_PATH}
    card = {"format": CARD_FORMAT, **facts, "files": files}
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
    InputError
        ``directory`` is no path.
    ArtifactError
        The directory is not ours, or a file is missing, altered, foreign or a symbolic link.
    """
    directory = check_path(directory, "a SavedModel directory")
    if not directory.is_dir():
        raise ArtifactError(f"{directory} is not a directory. Give a SavedModel directory written by modelzoo.save.")
    path = directory / CARD_PATH
    if not path.is_file():
        raise ArtifactError(
            f"{directory} has no {CARD_PATH}, so it was not written by modelzoo. Load it with tf.saved_model.load, "
            "or see `modelzoo check`."
        )
    card = _parse(path)
    present = set(_files(directory)) - {CARD_PATH}
    wanted = card["files"]
    for name in sorted(wanted):
        if name not in present:
            raise ArtifactError(f"{directory}: the file {name} is missing. Export or copy the artifact again.")
        if sha256_of(directory / name) != wanted[name]:
            raise ArtifactError(f"{directory}: the file {name} was altered. Export or copy the artifact again.")
    for name in sorted(present - set(wanted)):
        raise ArtifactError(f"{directory}: the file {name} is not part of the artifact. Remove it.")
    return card


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
    if not isinstance(card.get("files"), dict):
        raise ArtifactError(f"{path}: the card lists no files. Export the artifact again.")
    if wrong := wrong_fact(card):
        raise ArtifactError(f"{path} is no card of this format: {wrong}. Export the artifact again.")
    return card


def _files(directory: Path) -> Iterable[str]:
    """Return the files of a directory tree as POSIX paths, refusing symbolic links, pipes and devices."""
    names = []
    for parent, folders, files in os.walk(directory):
        for name in [*folders, *files]:
            if (Path(parent) / name).is_symlink():
                raise ArtifactError(
                    f"{directory}: {name} is a symbolic link, which an artifact never holds. Remove it."
                )
            if name in files and not (Path(parent) / name).is_file():
                raise ArtifactError(f"{directory}: {name} is a pipe, a socket or a device. Remove it.")
        names += [str(PurePosixPath((Path(parent) / name).relative_to(directory))) for name in files]
    return sorted(names)


def _text(card: Mapping[str, Any]) -> str:
    return json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def _digest(card: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(card).encode()).hexdigest()
