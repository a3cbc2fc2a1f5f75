"""Argument checks, one function a kind: each returns the value in its plain form or says what must hold."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo.errors import InputError, reason_of, unknown_name

#: Seeds are what every random generator used here accepts.
MAX_SEED = 2**31 - 1


def check_integer(name: str, value: Any, minimum: int = 1, maximum: int | None = None) -> int:
    """Return ``value`` as an int if it is an integer from ``minimum`` to ``maximum``."""
    integral = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not integral or value < minimum or (maximum is not None and value > maximum):
        span = f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise InputError(f"{name} must be an integer {span}; got {name}={value!r:.80}.")
    return int(value)


def check_integers(name: str, value: Any, length: int, minimum: int = 1, maximum: int | None = None) -> tuple[int, ...]:
    """Return ``value`` as a tuple if it holds ``length`` integers from ``minimum`` to ``maximum``."""
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != length:
        raise InputError(f"{name} must be {length} integers of at least {minimum}; got {name}={value!r:.80}.")
    return tuple(check_integer(f"{name}[{i}]", item, minimum, maximum) for i, item in enumerate(value))


def check_number(
    name: str, value: Any, minimum: float = -math.inf, maximum: float = math.inf, *, exclusive: bool = False
) -> float:
    """Return ``value`` as a float if it is finite and from ``minimum`` to ``maximum``.

    ``exclusive`` leaves the limits themselves out: ``minimum=0, exclusive=True`` is "above 0".
    """
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    inside = real and math.isfinite(value) and minimum <= value <= maximum
    if not inside or (exclusive and value in (minimum, maximum)):
        low, high = ("above", "below") if exclusive else ("at least", "at most")
        limits = [f"{word} {limit:g}" for word, limit in ((low, minimum), (high, maximum)) if math.isfinite(limit)]
        raise InputError(f"{name} must be a finite number {' and '.join(limits)}; got {name}={value!r:.80}.")
    return float(value)


def check_fraction(name: str, value: Any) -> float:
    """Return ``value`` as a float if it is at least 0 and below 1."""
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not real or not 0 <= value < 1:
        raise InputError(f"{name} must be at least 0 and below 1; got {name}={value!r:.80}.")
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """Return ``value`` if it is True or False."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be True or False; got {name}={value!r:.80}.")
    return value


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``choices``; the error suggests the closest."""
    choices = tuple(choices)
    if not isinstance(value, str) or value not in choices:
        raise unknown_name(name, value, choices)
    return value


def check_names(name: str, value: Any) -> tuple[str, ...]:
    """Return a sequence of names as a tuple; one string is a sequence of characters to Python, and refused."""
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InputError(f"{name} must be a sequence of names; got {name}={value!r:.80}.")
    names = tuple(value)
    if not all(isinstance(item, str) for item in names):
        raise InputError(f"{name} must hold strings; got {name}={value!r:.80}.")
    return names


def check_interval(name: str, value: Any) -> tuple[float, float]:
    """Return ``value`` as ``(low, high)`` if it is two rising finite numbers."""
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"{name} must be (low, high), two finite numbers with low < high; got {name}={value!r:.80}.")
    return low, high


def check_seed(value: Any, name: str = "seed") -> int:
    """Return ``value`` as an int if it can seed a generator, 0 to 2**31 - 1."""
    return check_integer(name, value, 0, MAX_SEED)


def check_path(path: Any, what: str, *, suffix: str = "") -> Path:
    """Return ``path`` as a Path the system can look up, ``~`` expanded; whether anything is there the caller asks.

    Parameters
    ----------
    path
        What the caller gave.
    what
        What it should be the path of, for the error: ``"a SavedModel directory"``.
    suffix
        How the name must end.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"Expected the path of {what}; got {path!r:.80}.")
    path = os.path.expanduser(path)
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:  # it may not be looked up, or is no name of a file
        raise InputError(f"{str(path)!r:.80}: {reason_of(error)}. Give the path of {what}.") from None
    if suffix and Path(path).suffix != suffix:
        raise InputError(f"{path} must end in {suffix} for this format.")
    return Path(path)
