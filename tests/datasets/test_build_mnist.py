import gzip
import zipfile

import build_mnist as script
import numpy as np
import pytest

from modelzoo import datasets


@pytest.mark.slow
def test_rebuilds_the_bundle_from_idx_files(tmp_path, idx_bytes, capsys, monkeypatch):
    monkeypatch.setattr(script, "LEVEL", 1)  # the best takes ten seconds
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
    assert script.main([str(tmp_path), "-o", str(output)]) == 0
    out = capsys.readouterr().out
    assert datasets.MNIST_CHECKSUM in out
    assert "another SHA-256" in out
    with np.load(output, allow_pickle=False) as arrays:
        assert list(arrays) == ["x_train", "y_train", "x_test", "y_test"]
        np.testing.assert_array_equal(arrays["x_test"], dataset.x_test)
    assert script.main([str(tmp_path), "-o", str(output)]) == 2
    assert "exists" in capsys.readouterr().err


def test_output_depends_on_the_arrays_alone(tmp_path, small_images):
    arrays = dict(zip(("x_train", "y_train", "x_test", "y_test"), small_images, strict=True))
    for name in ("a.npz", "b.npz"):
        script.write_bundle(arrays, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_other_files_are_refused_and_nothing_is_written(idx_folder, tmp_path, capsys):
    assert script.main([str(idx_folder), "-o", str(tmp_path / "out.npz")]) == 2
    assert "is not MNIST's x_train" in capsys.readouterr().err
    assert script.main([str(tmp_path / "gone"), "-o", str(tmp_path / "out.npz")]) == 2
    assert "Cannot read folder" in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()
