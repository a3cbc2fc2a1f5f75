"""What the scripts share: measuring in turns, medians with their range, Markdown tables, text between markers."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from modelzoo._io import atomic_file
from modelzoo.cli.common import use_terminal
from modelzoo.errors import InputError, ModelZooError
from modelzoo.pages.markdown import table

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {"max_content_width": 120, "help_option_names": ["-h", "--help"]}


class Command(click.Command):
    """The command of a script: any terminal will do, and modelzoo's errors end it with one line."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "context_settings": SETTINGS})

    def invoke(self, context: click.Context) -> Any:
        use_terminal()
        try:
            return super().invoke(context)
        except ModelZooError as error:
            raise click.ClickException(str(error)) from None


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, left: int = 1) -> str:
    """Return a Markdown table whose columns from ``left`` on are aligned to the right."""
    return table(header, list(rows), range(left, len(header)))


def replace_between(path: Path, marker: str, content: str, text: str | None = None) -> str:
    """Return the text of a file, or ``text``, with what stands between the two comments of a marker replaced."""
    begin, end = f"<!-- {marker}: begin -->", f"<!-- {marker}: end -->"
    text = read_text(path) if text is None else text
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise InputError(f"{path} must hold {begin} and {end} once each, in this order. Add them.")
    return f"{text.partition(begin)[0]}{begin}\n{content}\n{end}{text.partition(end)[2]}"


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read {path}: {error}.") from error


def write_text(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1) + "\n")


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return the median and the range of some values, and the values themselves."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "rounds": list(values)}


def with_range(values: Mapping[str, Any], unit: str = "") -> str:
    """Return a summary as text: the median with its range."""
    return f"{number(values['median'])}{unit} ({number(values['min'])}–{number(values['max'])})"


def number(value: float) -> str:
    """Return a number with about three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 20 else f"{value:.2f}"


#: Seconds between two runs that are timed, for idle threads of the last one, which compute to wait, to fall asleep.
SETTLE = 0.2


def in_turns(
    calls_of: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    calls: int = 1,
    scale: float = 1.0,
    settle: float = 0.0,
    progress: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time some calls in turns, so that a slow moment meets all alike; the first of each is not timed.

    ``settle`` is for how many seconds to wait before each turn, whose first call is then not timed either.
    """
    found: dict[str, list[float]] = {name: [] for name in calls_of}
    for i in range(-1, rounds):
        for name, call in calls_of.items():
            progress(f"round {i + 1} of {rounds}, {name}")
            if settle:
                time.sleep(settle)
                call()
            began = time.perf_counter()
            for _ in range(calls if i >= 0 else 1):
                call()
            found[name].append((time.perf_counter() - began) / calls * scale)
    return {name: summary(values[1:]) for name, values in found.items()}
