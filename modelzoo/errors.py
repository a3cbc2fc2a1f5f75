"""The errors modelzoo raises on purpose.

Each names the offending value, what was allowed and the next step. All derive from
:class:`ModelZooError`, so the command line can show one line instead of a traceback, and also from the
built-in a caller would expect (``ValueError``, ``FileExistsError``).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ModelZooError(Exception):
    """Base of every error that modelzoo raises on bad input or a bad file."""


class InputError(ModelZooError, ValueError):
    """An argument, an option or a name is not usable."""


class DataError(InputError):
    """A data set or a data file is not usable: wrong shape, NaN, truncated, labels out of range."""


class ArtifactError(ModelZooError, ValueError):
    """A SavedModel or checkpoint is incomplete, altered or not one of ours."""


class TargetExistsError(ModelZooError, FileExistsError):
    """The target of a write exists and overwriting was not asked for."""


class TargetError(ModelZooError, OSError):
    """The target of a write cannot be written: read-only, full, or its parent is missing."""


def unknown_name(kind: str, name: object, available: Iterable[str]) -> InputError:
    """Build the error for a name that is not in a list of names, with the closest match.

    Parameters
    ----------
    kind
        What the name should be, e.g. ``"model"``.
    name
        The offending value.
    available
        The names that exist.

    Returns
    -------
    InputError
        To be raised by the caller.
    """
    names = sorted(map(str, available))
    close = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    shown = " ".join(repr(name).splitlines())
    return InputError(f"Unknown {kind} {shown:.80}.{hint} Available: {', '.join(names) or '(none)'}.")
