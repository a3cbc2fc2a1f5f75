"""A picture of a page as SVG text, and the counts that one of them shows."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from modelzoo import viz
from modelzoo.classes import class_names
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import count_confusions, interpret, part_of, predict
from modelzoo.pages.subject import Subject

logger = logging.getLogger(__name__)

#: Multiply-adds that counting for a page may cost.
COUNTED = 15 * 10**9

#: Samples that a card's counts may come to; more are damage.
MAX_SAMPLES = 10**7


class Confusion(NamedTuple):
    """How often each class was taken for each other.

    Attributes
    ----------
    classes
        Their names.
    counts
        A row a true class, a column a predicted one.
    every
        One in so many samples was counted.
    """

    classes: tuple[str, ...]
    counts: np.ndarray
    every: int = 1


def confusion_of(subject: Subject) -> Confusion | None:
    """Return the counts in a trained classifier's card, or count its predictions on its own test data.

    Of these no more are taken, evenly spread, than a second or two is enough for. ``None`` for any other model, and for
    one that was trained on data that only the caller has.
    """
    if not (subject.classifies and subject.training):
        return None
    names = class_names(subject.model)
    counted = subject.results.get("confusion_matrix") or ()
    square = {len(counted), *map(len, counted)} == {len(names)}
    if square and min(map(min, counted)) >= 0 and 0 < sum(map(sum, counted)) <= MAX_SAMPLES:
        return Confusion(names, np.array(counted))
    try:
        x, y = part_of(subject.model, None, "test", arrays=True)
    except (InputError, DataError) as error:  # DataError: their files are not on this machine
        logger.info("No confusion matrix of %s: %s", subject.source, error)
        return None
    every = -(-len(x) * (subject.cost or 0) // COUNTED) or 1
    found = interpret(subject.model, predict(subject.model, x[::every]))
    return Confusion(names, count_confusions(y[::every], found.classes, len(names)), every)


def svg(draw: Callable[[], Any], theme: str) -> str:
    """Draw a figure in the theme, whatever the user's Matplotlib settings are, and return it as SVG."""
    with mpl.style.context("default", after_reset=True), viz.theme(theme), tempfile.TemporaryDirectory() as folder:
        before = set(plt.get_fignums())
        try:
            path = viz.save_figure(draw(), Path(folder) / "figure.svg")
            return path.read_text(encoding="utf-8")
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
