"""Point sets in the plane, drawn from formulas, and the best classifier possible on each.

All are float32 points of shape ``(n, 2)`` with int64 labels. Training and test points come from two independent
streams of one seed. Labels are computed from the float32 points themselves, so the rule holds exactly for what is
stored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from modelzoo._checks import check_choice, check_integer, check_seed
from modelzoo.datasets.checks import check_samples
from modelzoo.datasets.dataset import Dataset
from modelzoo.datasets.registry import register_dataset
from modelzoo.errors import DataError

_SIDES, _PARITY = ("below", "above"), ("equal", "different")
_LICENSE = "none needed: computed from a formula"


def _streams(n: int, n_test: int, seed: int) -> list[tuple[np.random.Generator, int]]:
    """Return a generator and the number of the training points, and of the test points."""
    sizes = (check_integer("n", n, 2), check_integer("n_test", n_test, 2))
    children = np.random.SeedSequence(check_seed(seed)).spawn(2)
    return [(np.random.default_rng(child), size) for child, size in zip(children, sizes, strict=True)]


#: Where in the plane a point (a, b) is of class 1, of the sets without noise.
_RULES: dict[str, Callable[[Any, Any], Any]] = {
    "linear": lambda a, b: 0.8 * a + b - 3 >= 0,
    "quadratic": lambda a, b: -0.5 * (a - 1) ** 2 + 2 * b + 5 >= 0,
    "xor": lambda a, b: (a >= 0.5) ^ (b >= 0.5),
    "toy_points": lambda a, b: b > 0.5 * a - 0.2,
}


def _classes_of(name: str, x: np.ndarray) -> np.ndarray:
    return _RULES[name](*x.astype(np.float64).T).astype(np.int64)


def _uniform_set(name: str, scale: tuple[float, float], low: tuple[float, float], n: int, n_test: int, seed: int):
    parts = []
    for rng, size in _streams(n, n_test, seed):
        x = (np.array(scale) * rng.uniform(size=(size, 2)) + np.array(low)).astype(np.float32)
        parts += [x, _classes_of(name, x)]
    if parts[1].min() == parts[1].max():
        raise DataError(f"{name}: n={n} points with seed={seed} all fell in one class. Give a larger n.")
    source = "modelzoo.datasets.synthetic, from the formula in its documentation"
    return Dataset(*parts, name=name, class_names=_SIDES, source=source, license=_LICENSE)


@register_dataset(class_names=_SIDES)
def linear(*, n: int = 1000, n_test: int = 1000, seed: int = 0) -> Dataset:
    """Points on both sides of a straight line.

    x1 = 8u and x2 = 7u - 4 with u uniform on 0..1, drawn anew for each; class 1 where 0.8 x1 + x2 - 3 >= 0.

    Parameters
    ----------
    n, n_test
        Training and test points, >= 2.
    seed
        Seed of both, >= 0.

    Returns
    -------
    Dataset
        float32 points in [0, 8] x [-4, 3], int64 labels 0 and 1.
    """
    return _uniform_set("linear", (8, 7), (0, -4), n, n_test, seed)


@register_dataset(class_names=_SIDES)
def quadratic(*, n: int = 1000, n_test: int = 1000, seed: int = 0) -> Dataset:
    """Points inside and outside a parabola.

    x1 = 10u - 5 and x2 = 8u - 4 with u uniform on 0..1, drawn anew for each; class 1 where
    -(x1 - 1)**2 / 2 + 2 x2 + 5 >= 0.

    Parameters
    ----------
    n, n_test
        Training and test points, >= 2.
    seed
        Seed of both, >= 0.

    Returns
    -------
    Dataset
        float32 points in [-5, 5] x [-4, 4], int64 labels 0 and 1.
    """
    return _uniform_set("quadratic", (10, 8), (-5, -4), n, n_test, seed)


@register_dataset(class_names=_PARITY)
def xor() -> Dataset:
    """Exclusive or: the four corners of the unit square; class 1 where one coordinate is 1.

    Returns
    -------
    Dataset
        float32 points of shape ``(4, 2)`` in the order (0,0) (0,1) (1,0) (1,1), int64 labels 0 1 1 0. The test set
        is the same four points: there are no others.
    """
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    y = np.array([0, 1, 1, 0])
    return Dataset(x, y, x, y, name="xor", class_names=_PARITY, source="truth table", license=_LICENSE)


@register_dataset(class_names=_SIDES)
def toy_points(*, n: int = 20, n_test: int = 20, seed: int = 0) -> Dataset:
    """Few points that the line y = 0.5 x - 0.2 separates, class 1 above it.

    Uniform on [0, 1] x [-1, 1], without those closer than 0.15 (measured vertically) to the line, so that the
    perceptron rule soon makes no mistake. Both classes have half of the points.

    Parameters
    ----------
    n, n_test
        Training and test points, >= 2.
    seed
        Seed of both, >= 0.

    Returns
    -------
    Dataset
        float32 points, int64 labels 0 and 1.
    """
    parts = []
    for rng, size in _streams(n, n_test, seed):
        wanted = [(size + 1) // 2, size // 2]
        chosen: list[list[np.ndarray]] = [[], []]
        while any(sum(map(len, chosen[label])) < wanted[label] for label in (0, 1)):
            x = rng.uniform((0, -1), (1, 1), size=(4 * size, 2)).astype(np.float32)
            x = x[np.abs(x[:, 1] - (0.5 * x[:, 0] - 0.2)) > 0.15]
            for label in (0, 1):
                chosen[label].append(x[_classes_of("toy_points", x) == label])
        x = np.concatenate([np.concatenate(chosen[label])[: wanted[label]] for label in (0, 1)])
        x = x[rng.permutation(size)]
        parts += [x, _classes_of("toy_points", x)]
    source = "modelzoo.datasets.synthetic, from the formula in its documentation"
    return Dataset(*parts, name="toy_points", class_names=_SIDES, source=source, license=_LICENSE)


@dataclass(frozen=True)
class _Mixture:
    """Four Gaussian clusters, one a class: a sample of class k is ``z @ transforms[k] + centroids[k]``."""

    centroids: np.ndarray  # (4, 2)
    transforms: np.ndarray  # (4, 2, 2)
    flip: float  # share of samples whose label is redrawn uniformly from all classes
    x: np.ndarray  # (1000, 2) float64, scikit-learn's own points
    y: np.ndarray  # (1000,)

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        y = rng.integers(4, size=n)
        x = np.einsum("ni,nij->nj", rng.standard_normal((n, 2)), self.transforms[y]) + self.centroids[y]
        flipped = rng.uniform(size=n) < self.flip
        return x, np.where(flipped, rng.integers(4, size=n), y)

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """Return P(label | x), shape ``(n, 4)``, the flipped labels taken into account."""
        z = np.einsum("nkj,kji->nki", x[:, None] - self.centroids, np.linalg.inv(self.transforms))
        log_density = -0.5 * (z**2).sum(axis=2) - np.log(np.abs(np.linalg.det(self.transforms)))
        density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
        return (1 - self.flip) * density / density.sum(axis=1, keepdims=True) + self.flip / 4


@lru_cache(maxsize=8)
def _four_class_mixture(seed: int) -> _Mixture:
    """Repeat the random stream of scikit-learn's ``make_classification`` to learn the clusters behind its points.

    The arguments are those of :func:`four_class`; scikit-learn returns the points but not the transforms A it drew.
    A test compares the points with scikit-learn's own, bit for bit.
    """
    n, class_sep, flip = 1000, 1.2, 0.1
    stream = np.random.RandomState(seed)  # the generator scikit-learn uses; its stream is frozen by NumPy
    centroids = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float) * 2 * class_sep - class_sep
    x, y = stream.standard_normal((n, 2)), np.repeat(np.arange(4), n // 4)
    transforms = np.empty((4, 2, 2))
    for label in range(4):
        transforms[label] = 2 * stream.uniform(size=(2, 2)) - 1
        x[y == label] = np.dot(x[y == label], transforms[label]) + centroids[label]
    flipped = stream.uniform(size=n) < flip
    y[flipped] = stream.randint(4, size=flipped.sum())
    rows, columns = np.arange(n), np.arange(2)
    stream.shuffle(rows)
    stream.shuffle(columns)
    return _Mixture(centroids[:, columns], transforms[:, :, columns], flip, x[rows][:, columns], y[rows])


@register_dataset
def four_class(*, n: int = 1000, n_test: int = 1000, seed: int = 1010) -> Dataset:
    """Four overlapping Gaussian clusters, one a class, with a tenth of the labels redrawn at random.

    The 1000 training points are scikit-learn's ``make_classification(n_samples=1000, n_features=2, n_redundant=0,
    n_classes=4, n_clusters_per_class=1, class_sep=1.2, flip_y=0.1, random_state=seed)``.

    Parameters
    ----------
    n
        Training points, >= 2: the first n of scikit-learn's thousand; beyond a thousand, fresh draws follow them.
    n_test
        Test points, >= 2: fresh draws from the same four clusters.
    seed
        scikit-learn's ``random_state``: it sets the clusters as well as the draws.

    Returns
    -------
    Dataset
        float32 points (scikit-learn's float64 ones rounded), int64 labels 0 to 3.
    """
    (more, n), (test, n_test) = _streams(n, n_test, seed)
    mixture = _four_class_mixture(seed)
    x, y = mixture.x[:n], mixture.y[:n]
    if n > len(x):
        x_more, y_more = mixture.draw(n - len(x), more)
        x, y = np.concatenate([x, x_more]), np.concatenate([y, y_more])
    if y.min() == y.max():
        raise DataError(f"four_class: n={n} points with seed={seed} all fell in one class. Give a larger n.")
    x_test, y_test = mixture.draw(n_test, test)
    parts = (x.astype(np.float32), y.astype(np.int64), x_test.astype(np.float32), y_test.astype(np.int64))
    source = "scikit-learn's make_classification; test points from the same mixture"
    return Dataset(*parts, name="four_class", source=source, license=_LICENSE)


def _check_known(name: str) -> None:
    check_choice("data set with a known best classifier", name, [*_RULES, "four_class"])


def bayes_predict(name: str, x: np.ndarray, *, seed: int = 1010) -> np.ndarray:
    """Return the labels of the Bayes-optimal classifier: no classifier is right more often on fresh draws.

    Parameters
    ----------
    name
        ``linear``, ``quadratic``, ``xor``, ``toy_points`` (the rule that made the labels; for xor, each coordinate
        is rounded to 0 or 1) or ``four_class`` (the most probable class under the mixture).
    x
        Points, shape ``(n, 2)``.
    seed
        The seed that ``four_class`` was loaded with; the others do not use it.

    Returns
    -------
    numpy.ndarray
        int64 labels, shape ``(n,)``.
    """
    _check_known(name)
    x = check_samples(x, where=f"bayes_predict({name!r})")
    if x.ndim != 2 or x.shape[1] != 2:
        raise DataError(f"bayes_predict({name!r}): x has shape {x.shape}. Give points of shape (n, 2).")
    if name in _RULES:
        return _classes_of(name, x)
    return _four_class_mixture(seed).posterior(x.astype(np.float64)).argmax(axis=1)


def bayes_accuracy(name: str, *, seed: int = 1010) -> float:
    """Return the expected accuracy of the Bayes-optimal classifier on fresh draws: the ceiling for any model.

    Parameters
    ----------
    name
        As in :func:`bayes_predict`.
    seed
        The seed that ``four_class`` was loaded with; the others do not use it.

    Returns
    -------
    float
        1.0 for the sets without noise. For ``four_class`` the mean, over 400,000 draws with a fixed seed, of the
        largest class probability; its standard error is below 0.0005.
    """
    _check_known(name)
    if name in _RULES:
        return 1.0
    mixture = _four_class_mixture(seed)
    x, _ = mixture.draw(400_000, np.random.default_rng(0))
    return float(mixture.posterior(x).max(axis=1).mean())
