"""What every test shares: a quiet TensorFlow, figures without a screen, a seeded generator."""

import gc
import gzip
import os
import shutil
import struct
import subprocess
import sys

# Before anything imports TensorFlow or Matplotlib, in this process or in one that a test starts.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: one thread each is faster than a queue
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")

import numpy as np
import pytest
from PIL import Image

import modelzoo
from modelzoo import datasets, registry
from modelzoo.datasets import registry as data_registry
from modelzoo.errors import ModelZooError


def pytest_collection_finish():
    """Spare the garbage collector the hundred thousands of objects that the imports made."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def _errors_are_one_line():
    """Fail where an error of modelzoo's own is made that has several lines, whoever catches it."""

    def make(self, *arguments):
        super(ModelZooError, self).__init__(*arguments)
        assert "\n" not in str(self)

    ModelZooError.__init__ = make


@pytest.fixture(autouse=True, scope="session")
def _data_sets_are_registered():
    """Register the zoo's data sets before a test replaces the registry for a while."""
    datasets.list_datasets()


@pytest.fixture
def scratch_registry(monkeypatch):
    """Let a test register models, data sets and file formats that are gone after it."""
    modelzoo.list_models()
    for module, name in ((registry, "_REGISTRY"), (data_registry, "_NAMED"), (data_registry, "_BY_PATH")):
        monkeypatch.setattr(module, name, getattr(module, name).copy())


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator that gives the same numbers in every run, whatever the order of the tests."""
    return np.random.default_rng(20260101)


@pytest.fixture(autouse=True)
def _close_figures():
    """Close the figures that a test leaves open."""
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(autouse=True)
def _forget_global_seed():
    """Undo ``keras.utils.set_random_seed``, which decides the default seed of training."""
    yield
    if tensorflow := sys.modules.get("tensorflow"):
        tensorflow.random.set_seed(None)


@pytest.fixture(scope="session")
def python():
    """Return a function that runs Python in a process of its own, which must end with a status."""

    def run(*arguments, status=0, **options):
        options = {"capture_output": True, "text": True, "timeout": 600, **options}
        done = subprocess.run([sys.executable, *map(str, arguments)], check=False, **options)
        assert done.returncode == status, f"{done.stdout}{done.stderr}"
        return done

    return run


@pytest.fixture(scope="session")
def write_images():
    """Return a function that writes images into a folder, in which each class is a folder of PNG files."""

    def write(folder, images, labels):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            (folder / str(label)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / str(label) / f"{number:03}.png")
        return folder

    return write


@pytest.fixture(scope="session")
def interrupt():
    """Return a function that makes a callback, which presses Ctrl-C at the end of a log entry."""
    import keras

    def press(epoch, entry):
        if epoch == entry:
            raise KeyboardInterrupt

    return lambda entry: keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: press(epoch, entry))


@pytest.fixture(scope="session")
def same_weights():
    """Return a function that compares the weights of two models: bit for bit, unless a tolerance is given."""

    def compare(found, expected, **tolerance):
        for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, **({"rtol": 0, "atol": 0} | tolerance))

    return compare


@pytest.fixture(scope="session")
def idx_bytes():
    """Return a function that makes an IDX file's bytes, from the format's description, not by the code under test."""
    codes = {"u1": 8, "i1": 9, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}

    def write(array):
        head = struct.pack(f">HBB{array.ndim}I", 0, codes[array.dtype.str[1:]], array.ndim, *array.shape)
        return head + array.astype(array.dtype.newbyteorder(">")).tobytes()

    return write


@pytest.fixture(scope="session")
def small_images():
    rng = np.random.default_rng(7)
    x_train, x_test = (rng.integers(0, 256, (n, 28, 28), np.uint8) for n in (30, 20))
    return x_train, (np.arange(30) % 10).astype(np.uint8), x_test, (np.arange(20) % 10).astype(np.uint8)


@pytest.fixture
def idx_folder(tmp_path, small_images, idx_bytes):
    folder = tmp_path / "idx"
    folder.mkdir()
    names = (
        "train-images-idx3-ubyte",
        "train-labels.idx1-ubyte",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte",
    )
    for name, array in zip(names, small_images, strict=True):
        content = idx_bytes(array)
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return folder


@pytest.fixture(scope="module")  # Playwright's event loop would stand in the way of other modules
def browser():
    """Return the system's Chromium; tests that ask for it say why they skip where it is missing."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("Chromium is not installed: apt install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium)
        yield browser
        browser.close()
