"""The pictures of a page, as SVG text, and the counts that one of them shows."""

from __future__ import annotations

import dataclasses
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
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import interpret, own_data, predict
from modelzoo.pages.subject import Subject

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often each class was taken for each other, and for which weights and data that was counted.

    Attributes
    ----------
    weights, data
        Digest of the weights and checksum of the data set, as the card has them.
    classes
        Names of the classes.
    counts
        Numbers of test samples, shape ``(classes, classes)``: true classes downwards, predicted ones to the right.
    """

    weights: str
    data: str
    classes: list[str]
    counts: list[list[int]]

    @property
    def total(self) -> int:
        """Number of samples."""
        return int(np.sum(self.counts))

    @property
    def wrong(self) -> int:
        """Number of samples whose class was not predicted."""
        return self.total - int(np.trace(self.counts))

    def most_frequent(self, number: int = 3) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes as (true class, predicted class, how often), the most frequent first."""
        mistakes = [
            (self.classes[i], self.classes[j], count)
            for i, row in enumerate(self.counts)
            for j, count in enumerate(row)
            if i != j and count
        ]
        return sorted(mistakes, key=lambda mistake: -mistake[2])[:number]

    def comment(self) -> str:
        """Return the counts as a comment of a page, from which ``read_confusion`` takes them again."""
        held = json.dumps(vars(self), separators=(",", ":")).replace(">", "\\u003e")  # no end of comment
        return f"<!-- confusion: {held} -->"


def read_confusion(page: str, subject: Subject) -> Confusion | None:
    """Return the counts in a page, if they are about this model's weights and data."""
    found = re.search(r"^<!-- confusion: (\{.*\}) -->$", page, re.MULTILINE)
    try:
        confusion = Confusion(**json.loads(found[1])) if found and subject.classifies and subject.training else None
    except (ValueError, TypeError):
        return None
    return confusion if confusion and (confusion.weights, confusion.data) == _measured_of(subject) else None


def measure_confusion(subject: Subject) -> Confusion | None:
    """Count a trained zoo classifier's predictions on its own test data; ``None`` for any other model.

    A model that was trained on data that only the caller has is left out, too.
    """
    if not (subject.classifies and subject.training):
        return None
    try:
        data = own_data(subject.model)
    except (InputError, DataError) as error:  # DataError: their files are not on this machine
        logger.info("No confusion matrix of %s: %s", subject.source, error)
        return None
    predicted = interpret(subject.model, predict(subject.model, data.x_test)).classes
    labels = np.asarray(data.y_test)
    labels = labels.argmax(axis=1) if labels.ndim > 1 else labels
    counts = np.zeros((len(data.class_names),) * 2, int)
    np.add.at(counts, (labels, predicted), 1)
    return Confusion(*_measured_of(subject), list(data.class_names), counts.tolist())


def _measured_of(subject: Subject) -> tuple[str, str]:
    return (subject.card or {})["weights_digest"], str(subject.trained_on.get("checksum"))


def diagram(subject: Subject) -> str:
    """Return the SVG of the architecture; weights that nobody trained are not written on it."""
    trained = None if subject.card or subject.spec is None else False
    return _svg(lambda: viz.plot_architecture(subject.model, title=subject.name, show_weights=trained))


def learning_curves(subject: Subject) -> str:
    """Return the SVG of loss and accuracy over the steps of the training."""
    return _svg(lambda: viz.plot_training(subject.training["history"]))


def confusion_matrix(confusion: Confusion) -> str:
    """Return the SVG of the confusion matrix."""
    counts = np.array(confusion.counts)
    truth, predicted = (np.repeat(index.ravel(), counts.ravel()) for index in np.indices(counts.shape))
    outputs = np.eye(len(counts))[predicted]
    return _svg(lambda: viz.plot_confusion_matrix(outputs, truth, class_names=confusion.classes))


def _svg(draw: Callable[[], Any]) -> str:
    """Draw a figure in the light theme, whatever the user's Matplotlib settings are, and return it as SVG."""
    with mpl.style.context("default", after_reset=True), viz.theme("light"), tempfile.TemporaryDirectory() as folder:
        before = set(plt.get_fignums())
        try:
            path = viz.save_figure(draw(), Path(folder) / "figure.svg")
            return path.read_text(encoding="utf-8")
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
