"""Pages for a browser: each is one file with its styles, scripts and data, which asks for nothing else."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo import datasets
from modelzoo.registry import get_spec

_FOLDER = Path(__file__).parent

#: The sets of points, in the order in which the playground shows them.
POINT_SETS = ("four_class", "quadratic", "linear", "toy_points", "xor")

#: Start weights of the networks of points, which `python scripts/render.py starts` takes from their builders.
STARTS = _FOLDER / "starts.json"


def inlined(page: str, data: Any) -> str:
    """Return a page of this folder as a single file.

    ``<link rel="stylesheet" href="…">``, ``<script type="module" src="…">`` and the scripts' ``import … from "./…"``
    become the text of these files. ``data`` is what the scripts find as JSON in the element with the id ``data``.
    """
    styles, scripts = r'<link rel="stylesheet" href="([\w.]+)">', r'<script type="module" src="([\w.]+)"></script>'
    html = re.sub(styles, lambda found: f"<style>\n{_text(found[1])}</style>", _text(page))
    embedded = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")  # no tag, no comment
    embedded = f'<script type="application/json" id="data">{embedded}</script>'
    return re.sub(scripts, lambda found: f'{embedded}\n<script type="module">\n{_script(found[1])}</script>', html)


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _script(name: str, known: set[str] | None = None) -> str:
    """Return a module with those that it imports in front of it, once each, and their names at the top level."""
    known = set() if known is None else known
    known.add(name)
    imports = re.compile(r'^import [^;]* from "\./([\w.]+)";\n', re.MULTILINE)
    text = _text(name)
    before = [_script(other, known) for other in imports.findall(text) if other not in known]
    return "".join(before) + re.sub(r"^export ", "", imports.sub("", text), flags=re.MULTILINE)


def playground() -> str:
    """Return the page on which networks of points are trained."""
    networks = json.loads(_text(STARTS.name))
    for name, network in networks.items():
        spec = get_spec(name)
        recipe = spec.recipe("lesson")
        network |= {
            "set": spec.dataset,
            "loss": recipe.loss,
            "optimizer": recipe.optimizer,
            "rate": recipe.learning_rate,
            "momentum": recipe.optimizer_options.get("momentum", 0.0),
            "batch": recipe.batch_size or 0,
        }
    return inlined("playground.html", {"sets": {name: _points(name) for name in POINT_SETS}, "networks": networks})


def _points(name: str) -> dict[str, Any]:
    """Return a set of points: little-endian float32 coordinates in base64, labels as digits."""
    found = datasets.load(name)
    parts = {"train": found.train, "test": found.test}
    return {"classes": list(found.class_names)} | {
        part: {
            "x": base64.b64encode(np.asarray(x, "<f4").tobytes()).decode("ascii"),
            "y": "".join(map(str, y)),
        }
        for part, (x, y) in parts.items()
    }
