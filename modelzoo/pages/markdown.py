"""Words for Markdown: values, tables, and what a builder's docstring says."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


def brief(value: Any) -> str:
    """Return a value as text, a Keras configuration as the call that makes it."""
    if isinstance(value, Mapping) and "class_name" in value:
        return f"{value['class_name']}({brief(value.get('config') or {})})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={brief(item)}" for key, item in value.items())
    return str(value)


def prose(text: Any) -> str:
    """Return text of foreign origin as one line that Markdown shows as it is."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`|$\[\]*])", r"\\\1", line)


def code(value: Any) -> str:
    """Return a value as inline code, which may stand in a table."""
    line = " ".join(str(value).split()).replace("`", "'").replace("|", "\\|")
    return f"`{line}`" if line else ""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a Markdown table; the columns numbered in ``right`` are aligned to the right."""
    rule = ["---:" if i in right else "---" for i in range(len(header))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))


def class_rows(report: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return :func:`modelzoo.evaluation.report_by_class` as rows: class, precision, recall, F1, samples."""
    shares = ("precision", "recall", "f1")
    return [
        [name, *("–" if row[key] is None else f"{row[key]:.2%}" for key in shares), f"{row['samples']:,}"]
        for name, row in report.items()
    ]


class Docstring(NamedTuple):
    """The parts of a numpydoc docstring, as Markdown.

    Attributes
    ----------
    summary
        The first line.
    description
        The paragraphs after it.
    parameters
        What each parameter is; those described together share a text.
    returns
        What comes back.
    """

    summary: str
    description: str
    parameters: dict[str, str]
    returns: str


def read_docstring(function: Callable[..., Any]) -> Docstring:
    """Take a function's numpydoc docstring apart."""
    head, *parts = re.split(r"^(\w[\w ]*)\n-+\n", inspect.getdoc(function) or "", flags=re.MULTILINE)
    sections = dict(zip(parts[::2], parts[1::2], strict=True))
    summary, _, description = head.partition("\n\n")
    parameters: dict[str, str] = {}
    for names, text in _entries(sections.get("Parameters", "")):
        parameters |= dict.fromkeys((name.strip() for name in names.partition(" :")[0].split(",")), text)
    returns = " ".join(text for _, text in _entries(sections.get("Returns", "")))
    paragraphs = filter(None, map(_markdown, description.split("\n\n")))
    return Docstring(_markdown(summary), "\n\n".join(paragraphs), parameters, returns)


def _entries(section: str) -> list[tuple[str, str]]:
    return [(names, _markdown(text)) for names, text in re.findall(r"^(\S.*)\n((?:[ ]+.*\n?|\n)*)", section, re.M)]


def _markdown(text: str) -> str:
    """Return reStructuredText as Markdown, one line: roles and literals become code."""
    line = " ".join(text.split())
    return re.sub(r":\w+:`~?([^`]*)`|``([^`]*)``", lambda found: f"`{found[1] or found[2]}`", line)
