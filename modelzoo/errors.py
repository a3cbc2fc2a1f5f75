"""The errors modelzoo raises on purpose.

Each says what must hold, what was given and the next step, in one line. All derive from :class:`ModelZooError`, and
from the built-in that a caller would expect.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModelZooError(Exception):
    """Base of every error that modelzoo raises on bad input or a bad file."""


class InputError(ModelZooError, ValueError):
    """An argument, an option or a name has a value that is not allowed."""


class DataError(InputError):
    """Data have the wrong shape, values or labels, or a data file is damaged."""


class ArtifactError(ModelZooError, ValueError):
    """A SavedModel or checkpoint is incomplete, altered or not one of ours."""


class TargetExistsError(ModelZooError, FileExistsError):
    """The target of a write exists and overwriting was not asked for."""


class TargetError(ModelZooError, OSError):
    """The target of a write cannot be written: read-only, full, or without a parent directory."""


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its kind if it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def unknown_name(kind: str, name: object, available: Iterable[str], *, close: str | None = None) -> InputError:
    """Return the error for a name that is not among the available ones, with the closest match.

    ``kind`` is what the name should be, e.g. ``"model"``; ``close`` is what it means, where that is known.
    """
    names = sorted(map(str, available))
    close = close or next(iter(difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)), None)
    hint = f" Did you mean {close!r}?" if close else ""
    shown = " ".join(repr(name).splitlines())
    return InputError(f"Unknown {kind} {shown:.80}.{hint} Available: {', '.join(names) or '(none)'}.")
