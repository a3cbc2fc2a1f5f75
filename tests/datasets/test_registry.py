from pathlib import Path

import numpy as np
import pytest

from modelzoo import datasets
from modelzoo.errors import DataError, InputError

BUILT_IN = {"digits", "fashion_mnist", "four_class", "linear", "mnist", "quadratic", "toy_points", "xor"}


def test_the_data_sets_are_listed_and_described():
    names = datasets.list_datasets()
    assert names == sorted(names)
    assert set(names) >= BUILT_IN
    for name in names:
        line = datasets.describe_dataset(name)
        assert line.endswith(".")
        assert "\n" not in line
        assert isinstance(datasets.dataset_options(name), dict)


def test_unknown_name_suggests():
    for function in (datasets.load, datasets.describe_dataset, datasets.dataset_options):
        with pytest.raises(InputError, match=r"Unknown data set 'minst'. Did you mean 'mnist'"):
            function("minst")


def test_unknown_option_names_the_allowed_ones():
    with pytest.raises(InputError, match=r"linear: Unknown option 'sed'. Did you mean 'seed'.*n, n_test, seed"):
        datasets.load("linear", sed=1)
    with pytest.raises(InputError, match=r"xor: Unknown option 'n'.*none"):
        datasets.load("xor", n=4)


@pytest.mark.parametrize("name", ["no/such/folder", "missing.npz", Path("gone"), "~/no_such_folder"])
def test_missing_path(name):
    with pytest.raises(DataError, match="No file or folder"):
        datasets.load(name)


@pytest.mark.parametrize("name", ["", None, 3.5, [[0.5]], b"mnist", "x" * 5000 + "/", "a\0b/c"])
def test_nonsense_name(name):
    with pytest.raises(InputError, match="data set"):
        datasets.load(name)


def test_unreadable_kind_of_file(tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"notes.txt is not a data set.*\.npz file; .*\.csv file"):
        datasets.load(tmp_path / "notes.txt")


def test_a_registered_name_comes_before_a_folder_of_that_name(tmp_path, monkeypatch):
    (tmp_path / "xor").mkdir()
    monkeypatch.chdir(tmp_path)
    assert datasets.load("xor").name == "xor"
    with pytest.raises(DataError, match="is not a data set this can read"):
        datasets.load("./xor")


@pytest.mark.usefixtures("scratch_registry")
def test_a_new_data_set_is_one_decorated_function():
    @datasets.register_dataset
    def two_points(*, gap=1):
        """Return two points."""
        x, y = np.array([[0.0], [gap]]), np.array([0, 1])
        return datasets.Dataset(x, y, x, y, name="two_points")

    assert "two_points" in datasets.list_datasets()
    assert datasets.load("two_points", gap=3).x_train.max() == 3

    def mnist():
        return datasets.load("xor")

    with pytest.raises(InputError, match="already registered"):
        datasets.register_dataset(mnist)


@pytest.mark.usefixtures("scratch_registry")
def test_a_file_format_of_ones_own_is_one_decorated_function(tmp_path):
    @datasets.register_file_loader(lambda path: path.suffix == ".dat", "a .dat file of numbers")
    def load_dat(path, *, scale=1.0):
        *x, y = np.loadtxt(path).T
        return datasets.Dataset(scale * np.transpose(x), y.astype(int), name=path.stem)

    (tmp_path / "three.dat").write_text("1 2 0\n3 4 1\n5 6 0\n")
    data = datasets.load(tmp_path / "three.dat", scale=2)
    assert data.x_train.tolist() == [[2, 4], [6, 8], [10, 12]]
    assert (data.y_train.tolist(), data.name, data.options) == ([0, 1, 0], "three", {"scale": 2})
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"a \.dat file of numbers"):
        datasets.load(tmp_path / "notes.txt")


# --- the options in the Dataset


@pytest.mark.parametrize(
    ("name", "options", "recorded"),
    [
        ("xor", {}, {}),
        ("linear", {"n": 50, "seed": np.int64(3)}, {"n": 50, "seed": 3}),
        ("mnist", {"classes": (5, 1)}, {"classes": [5, 1]}),
        ("mnist", {"classes": np.array([1, 5])}, {"classes": [1, 5]}),
        ("mnist", {"classes": {1, 5}}, {"classes": [1, 5]}),
    ],
    ids=["xor", "linear", "tuple", "array", "set"],
)
def test_a_data_set_knows_what_it_was_loaded_with(name, options, recorded):
    data = datasets.load(name, **options)
    assert data.options == recorded
    assert data.num_classes == 2 or name == "mnist"
    assert datasets.load(name, **data.options).checksum == data.checksum


def test_what_is_derived_keeps_the_options_and_has_another_checksum():
    data = datasets.load("linear", n=50, seed=3)
    small = data.take(per_class=5)
    assert small.options == data.options
    assert small.checksum != data.checksum
