"""Mini-batches in the style of TensorFlow 1's ``next_batch``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelzoo.datasets.checks import check_int, check_seed
from modelzoo.errors import DataError

_MAX_BATCH = 10_000_000  # a slip such as 1e12 becomes one line, not a full memory


class Batches:
    """Endless reshuffled mini-batches: every sample once an epoch, batches running on across epochs.

    The order of epoch *e* depends on ``(seed, e)`` alone, so two objects with one seed give the same batches.

    Parameters
    ----------
    x, y
        Samples and labels, first axis of equal length n. Neither is copied or changed.
    batch_size
        Samples a batch, >= 1; it may exceed n, then a batch spans epochs.
    seed
        Seed of the order, >= 0.
    shuffle
        False keeps the order of the arrays in every epoch.

    Raises
    ------
    InputError
        An option is not usable.
    DataError
        The arrays are empty or of different lengths.
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, batch_size: int, seed: int = 0, *, shuffle: bool = True) -> None:
        self.batch_size = self._check_size(batch_size)
        self.seed = check_seed(seed)
        self.shuffle = shuffle
        if len(x) != len(y) or len(x) == 0:
            raise DataError(f"Cannot batch {len(x)} samples with {len(y)} labels. Give one label for each sample.")
        self._x, self._y = x, y
        self._epoch, self._position = 0, 0
        self._order = self._order_of(0)

    def _check_size(self, batch_size: int) -> int:
        return check_int(batch_size, "batch_size", minimum=1, maximum=_MAX_BATCH)

    def _order_of(self, epoch: int) -> np.ndarray:
        n = len(self._x)
        return np.random.default_rng([self.seed, epoch]).permutation(n) if self.shuffle else np.arange(n)

    def __len__(self) -> int:
        """Return the number of batches one ``for`` loop gives, the shorter last one included."""
        return -(-len(self._x) // self.batch_size)

    @property
    def epochs_completed(self) -> int:
        """How many times every sample has been given."""
        return self._epoch

    def _advance(self, count: int) -> np.ndarray:
        """Return the next ``count`` indices, at most to the end of the epoch."""
        indices = self._order[self._position : self._position + count]
        self._position += len(indices)
        if self._position == len(self._x):
            self._epoch, self._position = self._epoch + 1, 0
            self._order = self._order_of(self._epoch)
        return indices

    def next_batch(self, batch_size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the next batch, always full: it runs on into the next epoch where this one ends.

        Parameters
        ----------
        batch_size
            Samples in this batch; None takes the object's own.

        Returns
        -------
        tuple of numpy.ndarray
            ``(x, y)`` of shapes ``(batch_size, ...)`` and ``(batch_size, ...)``, copies.
        """
        missing = self.batch_size if batch_size is None else self._check_size(batch_size)
        parts = []
        while missing:
            parts.append(self._advance(missing))
            missing -= len(parts[-1])
        indices = np.concatenate(parts)
        return self._x[indices], self._y[indices]

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Give one epoch from its start, in ``len(self)`` batches; the last may be shorter.

        Where ``next_batch`` has stopped inside an epoch, the rest of that epoch is skipped.
        """
        if self._position:
            self._advance(len(self._x))
        start = self._epoch
        while self._epoch == start:
            indices = self._advance(self.batch_size)
            yield self._x[indices], self._y[indices]
