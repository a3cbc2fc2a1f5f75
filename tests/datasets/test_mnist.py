import functools
import gzip
import hashlib
import http.server
import io
import threading
import zipfile

import numpy as np
import pytest
from scipy import ndimage
from sklearn.neighbors import KNeighborsClassifier

from modelzoo import datasets
from modelzoo.datasets import mnist as module
from modelzoo.errors import DataError, InputError, TargetError

PUBLISHED_MD5 = (
    "6bbc9ace898e44ae57da46a324031adb",
    "a25bea736e30d166cdddb491f175f624",
    "2646ac647ad5339dbf082846283269ea",
    "27ae3e4e09519cfbb04c329615203637",
)


def test_is_the_canonical_mnist(idx_bytes):
    dataset = datasets.load("mnist")
    arrays = (*dataset.train, *dataset.test)
    found = tuple(hashlib.md5(idx_bytes(a), usedforsecurity=False).hexdigest() for a in arrays)
    assert found == PUBLISHED_MD5
    assert dataset.class_names == tuple("0123456789")
    assert "LeCun" in dataset.source
    assert dataset.license == "CC BY-SA 3.0"
    assert dataset.checksum == module.MNIST_CHECKSUM


def test_is_shared():
    assert np.shares_memory(datasets.load("mnist").x_train, datasets.load("mnist").x_train)


def test_classes():
    whole, part = datasets.load("mnist"), datasets.load("mnist", classes=(1, 5, 6))
    assert part.class_names == ("1", "5", "6")
    assert np.bincount(part.y_train).tolist() == [6742, 5421, 5918]
    np.testing.assert_array_equal(part.x_test, whole.x_test[np.isin(whole.y_test, (1, 5, 6))])


def test_digits_of_other_writers_join_the_training_part_alone():
    own, more, other = datasets.load("mnist"), datasets.load("mnist", extra="digits"), datasets.load("digits")
    np.testing.assert_array_equal(more.x_train[:60000], own.x_train)
    assert more.x_train.shape == (61797, 28, 28)
    assert more.x_train.dtype == np.uint8
    np.testing.assert_array_equal(more.x_test, own.x_test)
    assert more.options == {"extra": "digits"}
    assert own.license in more.license
    assert other.license in more.license
    assert other.source in more.source
    boxes = more.x_train[60000:] > 0
    sides = [[np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (0, 1)] for image in boxes]
    assert np.max(sides, axis=1).min() >= 19  # a faint row may be lost in sharpening
    assert np.max(sides) == 20
    middles = [ndimage.center_of_mass(image) for image in more.x_train[60000:]]
    assert np.abs(np.subtract(middles, 14)).max() < 0.6
    assert datasets.load("mnist", extra="digits", classes=(1, 7)).class_names == ("1", "7")
    with pytest.raises(InputError, match="extra"):
        datasets.load("mnist", extra="fashion_mnist")


def test_drawn_digits_join_the_training_part_alone():
    own, more = datasets.load("mnist"), datasets.load("mnist", drawn=60)
    np.testing.assert_array_equal(more.x_train[:60000], own.x_train)
    np.testing.assert_array_equal(more.x_test, own.x_test)
    x, y = more.x_train[60000:], more.y_train[60000:]
    assert np.bincount(y).tolist() == [0, 60, 0, 0, 60, 0, 0, 60, 0, 60]
    np.testing.assert_array_equal(datasets.load("mnist", drawn=2).x_train[60000:], x[:8])
    assert len(np.unique(x, axis=0)) == 240
    sides = [[np.ptp(np.flatnonzero(image.any(axis=axis))) + 1 for axis in (0, 1)] for image in x]
    assert set(np.max(sides, axis=1)) == {20}
    middles = [ndimage.center_of_mass(image) for image in x]
    assert np.abs(np.subtract(middles, 14)).max() < 0.6
    # Its neighbours in MNIST read such a digit, but for many a closed four.
    neighbours = KNeighborsClassifier(3).fit(own.x_train[:10000].reshape(-1, 784), own.y_train[:10000])
    right = neighbours.predict(x.reshape(-1, 784)) == y
    for digit, share in ((1, 0.8), (4, 0.4), (7, 0.9), (9, 0.9)):
        assert right[y == digit].mean() >= share
    both = datasets.load("mnist", extra="digits", drawn=1)
    assert len(both.x_train) == 61801
    with pytest.raises(InputError, match="drawn"):
        datasets.load("mnist", drawn=-1)


def altered(content, tmp_path, monkeypatch):
    (tmp_path / "mnist.npz").write_bytes(content)
    monkeypatch.setattr(module, "MNIST_BUNDLE", tmp_path / "mnist.npz")
    return module._full_mnist.__wrapped__


@pytest.fixture(scope="module")
def bundle():
    return module.MNIST_BUNDLE.read_bytes()


def test_an_altered_bundle_is_refused(bundle, tmp_path, monkeypatch):
    flipped = bytearray(bundle)
    flipped[5_000_000] ^= 1
    for content in (bytes(flipped), bundle[:-1000], bundle[:100], b""):
        load = altered(content, tmp_path, monkeypatch)
        with pytest.raises(DataError, match="The bundled MNIST"):
            load()
    (tmp_path / "mnist.npz").unlink()
    with pytest.raises(DataError, match="missing"):
        load()


def test_other_images_under_the_same_name_are_refused(tmp_path, monkeypatch, small_images):
    np.savez(tmp_path / "a.npz", **dict(zip(("x_train", "y_train", "x_test", "y_test"), small_images, strict=True)))
    with pytest.raises(DataError, match=r"was altered.*build_mnist"):
        altered((tmp_path / "a.npz").read_bytes(), tmp_path, monkeypatch)()


def test_a_rebuild_with_another_compressor_is_accepted(bundle, tmp_path, monkeypatch):
    with (
        zipfile.ZipFile(io.BytesIO(bundle)) as source,
        zipfile.ZipFile(tmp_path / "other.npz", "w", zipfile.ZIP_STORED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert altered((tmp_path / "other.npz").read_bytes(), tmp_path, monkeypatch)().checksum == module.MNIST_CHECKSUM


class TestFashion:
    @pytest.fixture
    def published(self, tmp_path, monkeypatch, small_images, idx_bytes):
        """A small stand-in for the published files, with its own pins."""
        folder, pins = tmp_path / "published", {}
        folder.mkdir()
        for name, array in zip(module._FASHION_FILES, small_images, strict=True):
            content = idx_bytes(array)
            (folder / name).write_bytes(gzip.compress(content))
            pins[name] = hashlib.sha256(content).hexdigest()
        monkeypatch.setattr(module, "_FASHION_FILES", pins)
        return folder

    @pytest.fixture(autouse=True)
    def _no_copy_on_this_machine(self, tmp_path, monkeypatch):
        import pooch

        monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
        monkeypatch.setattr(module, "_FASHION_SYSTEM_FOLDER", tmp_path / "system")

    def test_downloads_nothing_unasked(self, tmp_path):
        with pytest.raises(DataError, match=r"download=True.*folder="):
            datasets.load("fashion_mnist")
        assert not (tmp_path / "cache").exists()

    def test_a_local_folder(self, published, small_images):
        dataset = datasets.load("fashion_mnist", folder=published)
        np.testing.assert_array_equal(dataset.x_train, small_images[0])
        assert dataset.class_names[0] == "T-shirt/top"
        assert dataset.num_classes == 10
        part = datasets.load("fashion_mnist", folder=str(published), classes=(0, 9))
        assert part.class_names == ("T-shirt/top", "Ankle boot")

    def test_the_folder_of_debians_package_is_found(self, published, tmp_path):
        published.rename(tmp_path / "system")
        assert len(datasets.load("fashion_mnist").x_train) == 30

    def test_other_content_is_refused(self, idx_folder, tmp_path):
        with pytest.raises(DataError, match="train-images-idx3-ubyte is not Fashion-MNIST's file"):
            datasets.load("fashion_mnist", folder=idx_folder)
        with pytest.raises(DataError, match="Cannot read folder"):
            datasets.load("fashion_mnist", folder=tmp_path / "gone")

    @pytest.fixture
    def server(self, published, monkeypatch):
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

        handler = functools.partial(Quiet, directory=str(published))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
            threading.Thread(target=running.serve_forever, daemon=True).start()
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            monkeypatch.setenv("no_proxy", "127.0.0.1")
            monkeypatch.setattr(module, "_FASHION_URL", "http://127.0.0.1:9/")  # nobody answers: the mirror is asked
            monkeypatch.setattr(module, "_FASHION_MIRROR", f"http://127.0.0.1:{running.server_port}/")
            yield published
            running.shutdown()

    @pytest.mark.enable_socket
    def test_download_once_into_the_cache(self, server, small_images, tmp_path):
        dataset = datasets.load("fashion_mnist", download=True)
        np.testing.assert_array_equal(dataset.x_test, small_images[2])
        for path in server.iterdir():
            path.unlink()
        assert datasets.load("fashion_mnist").checksum == dataset.checksum  # from the cache

    @pytest.mark.enable_socket
    def test_a_damaged_cache_is_fetched_again_when_asked(self, server, tmp_path):
        checksum = datasets.load("fashion_mnist", download=True).checksum
        (path,) = tmp_path.rglob("cache/**/t10k-images*")
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(DataError, match="t10k-images"):
            datasets.load("fashion_mnist")
        assert datasets.load("fashion_mnist", download=True).checksum == checksum

    def test_a_cache_that_cannot_be_written_is_one_clear_error(self, tmp_path):
        (tmp_path / "cache").write_text("a file")
        with pytest.raises(TargetError, match=r"Cannot write .*cache"):
            datasets.load("fashion_mnist", download=True)


def test_digits():
    from sklearn.datasets import load_digits

    dataset = datasets.load("digits")
    (x_train, y_train), (x_test, y_test) = dataset
    assert len(x_train) + len(x_test) == 1797
    assert len(x_test) == 359
    assert x_train.shape[1:] == (28, 28)
    assert x_train.dtype == np.uint8
    assert y_train.dtype == np.uint8
    counts = np.bincount(load_digits().target)
    np.testing.assert_array_equal(np.bincount(y_train) + np.bincount(y_test), counts)
    np.testing.assert_allclose(np.bincount(y_test), counts * 359 / 1797, atol=1)
    assert (x_train.min(), x_train.max()) == (0, 255)
    assert x_train[:, :4].max() == x_train[:, :, 24:].max() == 0  # MNIST's empty frame
    # shrinking the enlarged images gives scikit-learn's back
    small = np.concatenate([x_train, x_test])[:, 4:24, 4:24].reshape(-1, 4, 5, 4, 5).mean((2, 4))
    half = load_digits().images.reshape(-1, 4, 2, 4, 2).mean((2, 4)) * 255 / 16
    assert abs(np.sort(small.mean((1, 2))) - np.sort(half.mean((1, 2)))).max() < 8
    assert datasets.load("digits", seed=1).checksum != dataset.checksum == datasets.load("digits").checksum
    assert datasets.load("digits", classes=(3, 8)).class_names == ("3", "8")
    assert datasets.load("digits", test_fraction=0).test is None
    for options in ({"test_fraction": 1}, {"test_fraction": "x"}, {"seed": -1}):
        with pytest.raises(InputError, match=next(iter(options))):
            datasets.load("digits", **options)
