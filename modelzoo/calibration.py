"""How sure a classifier is and how often it is right, for whoever measures it and whoever draws it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from modelzoo.errors import DataError, InputError

#: Bins of the calibration error, as Guo et al. (2017) have them.
BINS = 15

#: Of a diagram that anyone could read; more would only cost memory.
MAX_BINS = 10_000


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy in bins of equal width, what a reliability diagram shows.

    Attributes
    ----------
    edges
        Limits of the bins from 0 to 1, shape ``(bins + 1,)``; a bin holds its upper limit.
    confidence, accuracy
        Mean probability of the predicted class and share of right predictions, 0–1, shape ``(bins,)``; NaN in an
        empty bin.
    count
        Number of samples in each bin, shape ``(bins,)``.
    """

    edges: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    count: np.ndarray

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, 0–1: the gap between confidence and accuracy, averaged (equation 3)."""
        used = self.count > 0
        gaps = np.abs(self.confidence[used] - self.accuracy[used])
        return float(np.average(gaps, weights=self.count[used]))


def reliability(confidence: Any, correct: Any, *, bins: int = BINS) -> Reliability:
    """Sort predictions into bins by their confidence (Guo et al. 2017).

    Parameters
    ----------
    confidence
        Probability of the predicted class, 0–1, shape ``(n,)``.
    correct
        Whether the prediction is right, shape ``(n,)``.
    bins
        Number of bins from 0 to 1.

    Raises
    ------
    DataError
        The two do not fit together, or a confidence is outside 0–1.
    InputError
        ``bins`` is no integer from 1 to ``MAX_BINS``.
    """
    if isinstance(bins, bool) or not isinstance(bins, int | np.integer) or not 1 <= bins <= MAX_BINS:
        raise InputError(f"bins={bins!r:.80} is not usable. Give an integer from 1 to {MAX_BINS}.")
    try:
        p, right = np.asarray(confidence, float), np.asarray(correct, float)
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"Confidence and answers must be numbers: {error}.") from None
    if p.shape != right.shape or p.ndim != 1 or not p.size:
        raise DataError(f"Expected one confidence and one answer a sample; received {p.shape} and {right.shape}.")
    if not (p.min() >= 0 and p.max() <= 1 + 1e-2):  # rounding of float32 or bfloat16 may lie above
        raise DataError(f"Confidence lies between 0 and 1; received {p.min():.3g} to {p.max():.3g}.")
    edges = np.linspace(0, 1, bins + 1)
    # Only the inner edges: a confidence a rounding error above 1 belongs to the last bin.
    place = np.digitize(p, edges[1:-1], right=True)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):  # 0 / 0 of an empty bin is the NaN it should be
        means = [np.bincount(place, weights=values, minlength=bins) / count for values in (p, right)]
    return Reliability(edges, means[0], means[1], count)
