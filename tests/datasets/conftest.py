import gzip
import struct

import numpy as np
import pytest


def _idx(array):
    """An IDX file's bytes, written here from the format's description and not by the code under test."""
    codes = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
    head = struct.pack(">HBB", 0, codes[array.dtype.str[1:]], array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="session")
def idx_bytes():
    return _idx


@pytest.fixture(scope="session")
def small_images():
    rng = np.random.default_rng(7)
    x_train, x_test = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (30, 20))
    return x_train, (np.arange(30) % 10).astype(np.uint8), x_test, (np.arange(20) % 10).astype(np.uint8)


@pytest.fixture
def idx_folder(tmp_path, small_images):
    folder = tmp_path / "idx"
    folder.mkdir()
    names = (
        "train-images-idx3-ubyte",
        "train-labels.idx1-ubyte",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte",
    )
    for name, array in zip(names, small_images, strict=True):
        content = _idx(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder
