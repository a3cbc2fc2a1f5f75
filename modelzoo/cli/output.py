"""What the commands print, and what they keep quiet."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import click


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(header: list[str], rows: list[list[str]], right: int = -1) -> None:
    """Print rows under a header; the column of number ``right`` is aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in [header, ["─" * width for width in widths], *rows]:
        cells = [f"{c:>{w}}" if i == right else f"{c:<{w}}" for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        click.echo("  ".join(cells).rstrip())


def print_scores(scores: Mapping[str, float], width: int = 40) -> None:
    """Print class scores as bars, one line a class."""
    longest = max(map(len, scores))
    best = max(scores, key=scores.__getitem__)
    for name, score in scores.items():
        bar = "█" * round(score * width) or "▏"
        click.echo(f"  {name:>{longest}} {click.style(bar, bold=name == best)} {score:.1%}")


@contextlib.contextmanager
def quiet_tensorflow() -> Iterator[None]:
    """Import TensorFlow without the notes its C++ part writes to standard error, past Python's ``sys.stderr``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import tensorflow  # noqa: F401
    yield


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what is written to standard error meanwhile, also by C++; errors are raised all the same."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)
