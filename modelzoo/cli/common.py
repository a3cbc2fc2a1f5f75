"""What the commands share: options, the data they name, and what is printed or kept quiet."""

from __future__ import annotations

import codecs
import contextlib
import functools
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from modelzoo import datasets
from modelzoo._keras import tf
from modelzoo.errors import InputError

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
data_option = functools.partial(
    click.option,
    "--data",
    help="Data set: a name (`modelzoo list --datasets`), a folder of class folders or of TFRecord shards, an .npz or a "
    ".csv file.",
)
split_option = click.option(
    "--split",
    type=click.Choice(["test", "validation", "train", "all"]),
    help="Which part of the data; by default the test part, and all of a folder or table that has none.",
)
stream_option = click.option(
    "--stream",
    is_flag=True,
    help="Read the samples of --data, a folder, as they are wanted: for data larger than memory.",
)
data_options = click.option(
    "--data-option",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the data set, such as n=500, classes=[1,5,6], label=species or download=true; repeat for more.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace the output if it exists.")


def load_data(
    data: str,
    shape: Any,
    options: tuple[str, ...],
    *,
    preparation: str | None = None,
    stream: bool = False,
    **defaults: Any,
) -> Any:
    """Load or stream data for a model.

    Parameters
    ----------
    data
        A name or a path.
    shape
        What the model takes: the rows of a csv become images, and those of a folder get this size.
    options
        What the user gave as --data-option.
    preparation
        How the model's image files become samples: a folder of images is prepared so unless an option says otherwise.
    stream
        Read the samples as they are wanted.
    defaults
        Options where the user gave no other; those that the loader does not have are left out.
    """
    given = key_values("--data-option", options, "n=500")
    named = data in datasets.list_datasets()
    if stream and named:
        raise InputError(f"--stream reads folders, and {data!r} is a named data set. Leave --stream out.")
    known = datasets.dataset_options(data)
    given = {option: value for option, value in defaults.items() if option in known} | given
    if named:
        return datasets.load(data, **given)
    sides = "size" if "size" in known else "shape"
    if shape is not None and len(shape) == 2 and sides in known:
        given.setdefault(sides, tuple(shape))
    if "prepare" in known and preparation is not None and "prepare" not in given:
        given["prepare"] = preparation
        click.echo(
            f"{data}: images are prepared as the model's were ({preparation}). To choose: --data-option "
            "prepare=digit, or prepare=resize.",
            err=True,
        )
    return datasets.stream(data, **given) if stream else datasets.load(data, **given)


def key_values(option: str, given: tuple[str, ...], example: str) -> dict[str, Any]:
    """Turn KEY=VALUE of an option into a dictionary; values are JSON if they can be, else text."""
    result = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise InputError(f"{option} must be KEY=VALUE, such as {example}; got {pair!r}.")
        try:
            result[key] = json.loads(value)
        except ValueError:
            result[key] = value
    return result


def parse_seeds(text: str) -> list[int]:
    """Turn "0-4" or "0,3" into a list of seeds."""
    try:
        ends = [[int(end) for end in part.split("-")] for part in text.split(",")]
    except ValueError:
        ends = []
    if not ends or any(len(part) > 2 or not 0 <= part[-1] - part[0] < 1000 for part in ends):
        raise InputError(f"--seeds must be a list of seeds such as 0-4 or 0,3; got {text!r}.")
    return [seed for part in ends for seed in range(part[0], part[-1] + 1)]


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(header: list[str], rows: list[list[str]], right: int = -1) -> None:
    """Print rows under a header; the column of number ``right`` is aligned to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for line in [header, ["─" * width for width in widths], *rows]:
        cells = [f"{c:>{w}}" if i == right else f"{c:<{w}}" for i, (c, w) in enumerate(zip(line, widths, strict=True))]
        click.echo("  ".join(cells).rstrip())


def print_scores(scores: Mapping[str, float], width: int = 40, note: str = "") -> None:
    """Print class scores as bars, one line a class."""
    longest = max(map(len, scores))
    best = max(scores, key=scores.__getitem__)
    for name, score in scores.items():
        bar = "█" * round(score * width) or "▏"
        click.echo(f"  {name:>{longest}} {click.style(bar, bold=name == best)} {score:.1%}{note}")


#: What stands for characters that a terminal does not have.
_CLOSEST = str.maketrans(
    {"█": "#", "▏": "|", "─": "-", "━": "-", "╸": "-", "╺": "-", "–": "-", "—": "-", "−": "-", "×": "x", "·": "*"}
    | {"→": ">", "…": "...", "±": "+/-", "≥": ">=", "≤": "<=", "½": "1/2", "Σ": "sum", "⋮": ":", "’": "'", "•": "*"}
)


class Terminal(io.TextIOWrapper):
    """Standard output or error in an encoding that lacks characters: the closest ones are written in their place."""

    def __init__(self, stream: Any) -> None:
        self._real = stream.encoding
        # click writes UTF-8 to a stream that says it is ASCII; UTF-8 has the same bytes for these characters.
        encoding = "utf-8" if codecs.lookup(self._real).name == "ascii" else self._real
        super().__init__(stream.buffer, encoding=encoding, errors="replace", line_buffering=True, write_through=True)

    def write(self, text: str) -> int:
        """Write text."""
        with contextlib.suppress(UnicodeEncodeError):
            text.encode(self._real)
            return super().write(text)
        return super().write(text.translate(_CLOSEST).encode(self._real, "replace").decode(self._real))


def use_terminal() -> None:
    """Let standard output and error write what their encoding has."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "buffer") and codecs.lookup(stream.encoding or "ascii").name != "utf-8":
            setattr(sys, name, Terminal(stream))


def import_tensorflow() -> None:
    """Import TensorFlow without the notes its C++ part writes to standard error, past Python's ``sys.stderr``."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        tf.version  # noqa: B018 (imports it)


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
