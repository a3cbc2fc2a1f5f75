import numpy as np
import pytest

from modelzoo import datasets, reference
from modelzoo.datasets.synthetic import _four_class_mixture
from modelzoo.errors import DataError, InputError

RANDOM = ("linear", "quadratic", "four_class", "toy_points")


@pytest.mark.parametrize("name", [*RANDOM, "xor"])
def test_form(name):
    dataset = datasets.load(name)
    for x, y in dataset:
        assert x.dtype == np.float32
        assert x.shape[1:] == (2,)
        assert y.dtype == np.int64
    assert dataset.name == name
    assert dataset.source
    assert dataset.license


@pytest.mark.parametrize("name", RANDOM)
def test_the_seed_decides_everything_and_test_points_are_fresh(name):
    assert datasets.load(name, seed=3).checksum == datasets.load(name, seed=3).checksum
    assert datasets.load(name, seed=3).checksum != datasets.load(name, seed=4).checksum
    dataset = datasets.load(name, n=50, n_test=70)
    assert (len(dataset.x_train), len(dataset.x_test)) == (50, 70)
    assert not {tuple(r) for r in dataset.x_train.tolist()} & {tuple(r) for r in dataset.x_test.tolist()}
    np.testing.assert_array_equal(dataset.x_train, datasets.load(name, n=50, n_test=5).x_train)


@pytest.mark.parametrize(
    ("name", "low", "high", "rule"),
    [
        ("linear", (0, -4), (8, 3), lambda a, b: 0.8 * a + b - 3 >= 0),
        ("quadratic", (-5, -4), (5, 4), lambda a, b: -0.5 * (a - 1) ** 2 + 2 * b + 5 >= 0),
    ],
)
def test_formulas(name, low, high, rule):
    dataset = datasets.load(name, n=20_000, n_test=20_000, seed=1)
    grid = np.stack(np.meshgrid(*[np.linspace(a, b, 801) for a, b in zip(low, high, strict=True)]), -1).reshape(-1, 2)
    expected = rule(grid[:, 0], grid[:, 1]).mean()
    for x, y in dataset:
        assert (x >= low).all()
        assert (x <= high).all()
        span = np.subtract(high, low)
        np.testing.assert_allclose(x.mean(0), np.add(low, high) / 2, atol=4 * span.max() / np.sqrt(12 * len(x)))
        np.testing.assert_allclose(x.var(0), span**2 / 12, rtol=0.05)
        assert abs(np.corrcoef(x.T)[0, 1]) < 0.03  # u is drawn anew for each coordinate
        np.testing.assert_array_equal(y, rule(*x.astype(np.float64).T))
        assert abs(y.mean() - expected) < 0.015


def test_xor():
    (x, y), (x_test, y_test) = datasets.load("xor")
    assert x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert y.tolist() == [0, 1, 1, 0]
    np.testing.assert_array_equal(x, x_test)
    np.testing.assert_array_equal(y, y_test)


@pytest.mark.parametrize("seed", range(5))
def test_the_perceptron_rule_soon_separates_the_toy_points(seed):
    dataset = datasets.load("toy_points", seed=seed)
    assert np.bincount(dataset.y_train).tolist() == [10, 10]
    for points, labels in dataset:
        np.testing.assert_array_equal(labels, points[:, 1] > 0.5 * points[:, 0] - 0.2)
    assert reference.perceptron_rule(*dataset.train, learning_rate=1.0, max_epochs=100).epochs <= 100


@pytest.mark.parametrize("seed", [1010, 0, 7, 123456])
def test_four_class_is_scikit_learns_bit_for_bit(seed):
    from sklearn.datasets import make_classification

    x, y = make_classification(n_samples=1000, n_features=2, n_redundant=0, n_classes=4, n_clusters_per_class=1,
                               class_sep=1.2, flip_y=0.1, random_state=seed)  # fmt: skip
    dataset = datasets.load("four_class", seed=seed)
    np.testing.assert_array_equal(dataset.x_train, x.astype(np.float32))
    np.testing.assert_array_equal(dataset.y_train, y)


def test_four_class_sizes_share_one_mixture():
    whole, few, many = (datasets.load("four_class", n=n) for n in (1000, 100, 5000))
    np.testing.assert_array_equal(few.x_train, whole.x_train[:100])
    np.testing.assert_array_equal(many.x_train[:1000], whole.x_train)
    np.testing.assert_array_equal(few.x_test, many.x_test)


def test_bayes_on_four_class_agrees_with_scipys_densities_and_with_fresh_draws():
    from scipy.stats import multivariate_normal

    dataset, mixture = datasets.load("four_class", n_test=40_000), _four_class_mixture(1010)
    predicted = datasets.bayes_predict("four_class", dataset.x_test)
    x = dataset.x_test.astype(np.float64)
    densities = np.stack([multivariate_normal(c, a.T @ a).pdf(x)
                          for c, a in zip(mixture.centroids, mixture.transforms, strict=True)], 1)  # fmt: skip
    clear = np.sort(densities, 1)[:, -1] > 1.001 * np.sort(densities, 1)[:, -2]
    np.testing.assert_array_equal(predicted[clear], densities.argmax(1)[clear])
    measured = (predicted == dataset.y_test).mean()
    assert abs(measured - datasets.bayes_accuracy("four_class")) < 0.006  # four standard errors
    posterior = mixture.posterior(x[:100])
    np.testing.assert_allclose(posterior.sum(1), 1)
    assert posterior.min() >= 0.025 - 1e-12


@pytest.mark.parametrize("name", ["linear", "quadratic", "xor", "toy_points"])
def test_bayes_is_perfect_without_noise(name):
    dataset = datasets.load(name)
    for x, y in dataset:
        np.testing.assert_array_equal(datasets.bayes_predict(name, x), y)
    assert datasets.bayes_accuracy(name) == 1.0


def test_bayes_refuses():
    with pytest.raises(InputError, match="best classifier 'mnist'"):
        datasets.bayes_accuracy("mnist")
    with pytest.raises(DataError, match=r"shape \(n, 2\)"):
        datasets.bayes_predict("linear", np.zeros((3, 5)))
    with pytest.raises(DataError, match="nan"):
        datasets.bayes_predict("four_class", np.full((3, 2), np.nan))


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("options", [{"n": 1}, {"n": 2.5}, {"n_test": 0}, {"seed": -1}, {"seed": "a"}, {"n": True}])
def test_refuses_options(name, options):
    with pytest.raises(InputError, match=next(iter(options))):
        datasets.load(name, **options)


def test_refuses_points_of_one_class():
    def labels(seed):  # the first two training points, the same whatever their number
        return datasets.load("linear", n=1000, seed=seed).y_train[:2].tolist()

    seed = next(seed for seed in range(30) if len(set(labels(seed))) == 1)
    with pytest.raises(DataError, match=f"n=2 points with seed={seed} all fell in one class"):
        datasets.load("linear", n=2, seed=seed)
