"""The card: what an artifact says of itself, and the proof that nothing in it was altered."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from modelzoo.errors import ArtifactError
from modelzoo.files import sha256_of

#: Where the card is in a SavedModel directory; TensorFlow ignores this folder.
CARD_PATH = "assets.extra/modelzoo.json"
CARD_FORMAT = 1

_MAX_BYTES = 1 << 24  # a card of many seeds and learning curves has a hundredth of that


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
    ArtifactError
        The directory is not ours, or a file is missing, altered, foreign or a symbolic link.
    """
    directory = Path(directory)
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
