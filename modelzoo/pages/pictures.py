"""The pictures of a page, as SVG text, and the counts that one of them shows."""

from __future__ import annotations

import json
import logging
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from modelzoo import viz
from modelzoo.classes import class_names
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import count_confusions, interpret, part_of, predict
from modelzoo.pages.subject import Subject

logger = logging.getLogger(__name__)

#: Multiply-adds that counting for a page may cost where the samples need not be whole.
COUNTED = 15 * 10**9

#: How often each class was taken for each other: ``weights`` and ``data`` (digest and checksum, as in the card),
#: ``classes`` (their names) and ``counts`` (a row a true class, a column a predicted one); ``every`` where one in so
#: many samples was counted.
Confusion = dict[str, Any]


def comment_of(confusion: Confusion) -> str:
    """Return the counts as a comment of a page, from which :func:`read_confusion` takes them again."""
    held = json.dumps(confusion, separators=(",", ":")).replace(">", "\\u003e")  # no end of comment
    return f"<!-- confusion: {held} -->"


def read_confusion(page: str, subject: Subject) -> Confusion | None:
    """Return the counts in a page, if they are about this model's weights and data."""
    found = re.search(r"^<!-- confusion: (\{.*\}) -->$", page, re.MULTILINE)
    if found is None or not (subject.classifies and subject.training):
        return None
    try:
        confusion = json.loads(found[1])
        return confusion if confusion.items() >= _measured_of(subject).items() else None
    except (ValueError, AttributeError):
        return None


def measure_confusion(subject: Subject, *, whole: bool = True) -> Confusion | None:
    """Count a trained zoo classifier's predictions on its own test data; ``None`` for any other model.

    A model that was trained on data that only the caller has is left out, too. Without ``whole``, no more samples are
    taken, evenly spread, than a second or two is enough for.
    """
    if not (subject.classifies and subject.training):
        return None
    try:
        x, y = part_of(subject.model, None, "test", arrays=True)
    except (InputError, DataError) as error:  # DataError: their files are not on this machine
        logger.info("No confusion matrix of %s: %s", subject.source, error)
        return None
    every = 1 if whole else -(-len(x) * (subject.cost or 0) // COUNTED) or 1
    found, names = interpret(subject.model, predict(subject.model, x[::every])), class_names(subject.model)
    counts = count_confusions(y[::every], found.classes, len(names))
    taken = {} if every == 1 else {"every": every}
    return {**_measured_of(subject), **taken, "classes": list(names), "counts": counts.tolist()}


def _measured_of(subject: Subject) -> dict[str, str]:
    return {"weights": (subject.card or {})["weights_digest"], "data": str(subject.trained_on.get("checksum"))}


def labels_of(confusion: Confusion) -> tuple[np.ndarray, np.ndarray]:
    """Return the true and the predicted class of each sample that was counted."""
    counts = np.array(confusion["counts"])
    truth, predicted = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    return truth, predicted


def diagram(subject: Subject, theme: str = "light") -> str:
    """Return the SVG of the architecture; weights that nobody trained are not written on it."""
    trained = None if subject.card or subject.spec is None else False
    return _svg(lambda: viz.plot_architecture(subject.model, title=subject.name, show_weights=trained), theme)


def learning_curves(subject: Subject, theme: str = "light") -> str:
    """Return the SVG of loss and accuracy over the steps of the training."""
    return _svg(lambda: viz.plot_training(subject.training["history"]), theme)


def confusion_figure(confusion: Confusion, theme: str = "light") -> str:
    """Return the SVG of the confusion matrix."""
    names = confusion["classes"]
    return _svg(lambda: viz.plot_confusion_matrix(*labels_of(confusion), class_names=names), theme)


def _svg(draw: Callable[[], Any], theme: str) -> str:
    """Draw a figure in the theme, whatever the user's Matplotlib settings are, and return it as SVG."""
    with mpl.style.context("default", after_reset=True), viz.theme(theme), tempfile.TemporaryDirectory() as folder:
        before = set(plt.get_fignums())
        try:
            path = viz.save_figure(draw(), Path(folder) / "figure.svg")
            return path.read_text(encoding="utf-8")
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
