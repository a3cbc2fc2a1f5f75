import gzip
import zipfile

import build_mnist
import numpy as np
import pytest
from click.testing import CliRunner

from modelzoo import datasets


def run(*arguments):
    result = CliRunner().invoke(build_mnist.main, list(map(str, arguments)))
    return result.exit_code, result.output


@pytest.mark.slow
def test_rebuilds_the_bundle_from_idx_files(tmp_path, idx_bytes, monkeypatch):
    monkeypatch.setattr(build_mnist, "LEVEL", 1)  # the best takes ten seconds
    dataset = datasets.load("mnist")
    names = (
        "train-images.idx3-ubyte",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    )
    for name, array in zip(names, (*dataset.train, *dataset.test), strict=True):
        content = idx_bytes(array)
        (tmp_path / name).write_bytes(gzip.compress(content, 1) if name.endswith(".gz") else content)
    output = tmp_path / "out.npz"
    status, out = run(tmp_path, "-o", output)
    assert status == 0
    assert f"{datasets.MNIST_CHECKSUM}, as modelzoo" in out
    assert "ANOTHER THAN modelzoo" in out
    with np.load(output, allow_pickle=False) as arrays:
        assert list(arrays) == ["x_train", "y_train", "x_test", "y_test"]
        np.testing.assert_array_equal(arrays["x_test"], dataset.x_test)
    status, out = run(tmp_path, "-o", output)
    assert status == 1
    assert "exists" in out


def test_output_depends_on_the_arrays_alone(tmp_path, small_images):
    arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), small_images, strict=True))
    for name in ("a.npz", "b.npz"):
        build_mnist.write_bundle(arrays, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_other_files_are_refused_and_nothing_is_written(idx_folder, tmp_path):
    for folder, words in ((idx_folder, "is not MNIST's x_train"), (tmp_path / "gone", "Cannot read folder")):
        status, out = run(folder, "-o", tmp_path / "out.npz")
        assert status == 1
        assert words in out
    assert not (tmp_path / "out.npz").exists()
