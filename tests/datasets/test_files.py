import contextlib
import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelzoo import datasets
from modelzoo.datasets import read_idx, read_npz
from modelzoo.errors import DataError

FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def npz_bytes(save=np.savez_compressed, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def write(path, content):
    path.write_bytes(content)
    return path


def refusal(function, *arguments, **options):
    with pytest.raises(DataError) as caught:
        function(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestIdx:
    @pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
    @pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4), (0, 3)])
    @pytest.mark.parametrize("packed", [False, True])
    def test_round_trip(self, tmp_path, idx_bytes, dtype, shape, packed):
        array = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
        content = idx_bytes(array)
        path = write(tmp_path / "a", gzip.compress(content) if packed else content)
        result = read_idx(path)
        assert result.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(result, array)

    def test_names_what_is_wrong(self, tmp_path, idx_bytes):
        good, path = idx_bytes(np.arange(12, dtype=np.uint8).reshape(3, 4)), tmp_path / "a.idx"
        assert "No such file" in refusal(read_idx, path)
        cases = {
            b"": "starts with nothing",
            b"PK\3\4zip": "starts with 50 4b 03 04",
            good[:10]: "truncated inside its header",
            good[:-1]: "truncated",
            good + b"x": "bytes after the 12",
            gzip.compress(good[:-1]): "holds 11 of the 12 bytes",
            gzip.compress(good + b"x"): "bytes after",
            gzip.compress(good)[:-9]: "Cannot read",
            b"\0\0\x07\1" + good[4:]: "no IDX file",
            b"\0\0\x08\xff" + good[4:]: "no IDX file",
        }
        for content, message in cases.items():
            assert message in refusal(read_idx, write(path, content))
            assert str(path) in refusal(read_idx, path)
        assert "Cannot read" in refusal(read_idx, tmp_path)  # a folder

    @pytest.mark.parametrize("packed", [False, True])
    def test_declared_size_is_refused_before_allocating(self, tmp_path, packed):
        import tracemalloc

        content = b"\0\0\x08\3" + struct.pack(">3I", 60000, 200, 200) + b"abc"
        path = write(tmp_path / "a", gzip.compress(content) if packed else content)
        tracemalloc.start()
        message = refusal(read_idx, path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert "truncated" in message
        assert peak < 1_000_000
        huge = b"\0\0\x0e\3" + struct.pack(">3I", *[2**32 - 1] * 3)
        assert "at most" in refusal(read_idx, write(path, huge))

    def test_a_bomb_meets_the_limit(self, tmp_path, idx_bytes):
        path = write(tmp_path / "a.gz", gzip.compress(idx_bytes(np.zeros((100, 1000), np.uint8))))
        assert "at most 50000" in refusal(read_idx, path, max_bytes=50_000)

    @given(st.data())
    @FUZZ
    def test_damage_never_raises_anything_but_data_error(self, tmp_path, idx_bytes, data):
        content = idx_bytes(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
        if data.draw(st.booleans()):
            content = gzip.compress(content)
        path = write(tmp_path / "fuzz", damage(content, data))
        with contextlib.suppress(DataError):
            read_idx(path)


def damage(content, data):
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)


class TestNpz:
    def test_reads_what_numpy_writes(self, tmp_path):
        arrays = {
            "a": np.arange(6).reshape(2, 3),
            "f": np.asfortranarray(np.random.default_rng(0).normal(size=(3, 4))),
            "empty": np.zeros((0, 3)),
            "scalar": np.array(7),
            "text": np.array(["x", "yy"]),
        }
        for save in (np.savez, np.savez_compressed):
            result = read_npz(write(tmp_path / "a.npz", npz_bytes(save, **arrays)))
            assert result.keys() == arrays.keys()
            for key, array in arrays.items():
                np.testing.assert_array_equal(result[key], array)
                assert result[key].dtype == array.dtype

    def test_never_unpickles(self, tmp_path):
        class Evil:
            def __reduce__(self):
                return (open, (str(tmp_path / "owned"), "w"))

        path = write(tmp_path / "evil.npz", npz_bytes(x=np.array([Evil()], dtype=object), y=np.zeros(1)))
        assert "pickled Python objects" in refusal(read_npz, path)
        assert "pickled Python objects" in refusal(datasets.load, path)
        assert not (tmp_path / "owned").exists()

    def test_refuses_bombs(self, tmp_path):
        path = write(tmp_path / "bomb.npz", npz_bytes(x=np.zeros(3_000_000, np.uint8)))
        assert "at most 1000000" in refusal(read_npz, path, max_bytes=1_000_000)
        # a header that declares far more than the member holds must not be believed
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
        with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
            archive.writestr("x.npy", header.getvalue() + b"12345678")
        assert "needs 8000000000000" in refusal(read_npz, tmp_path / "lie.npz")

    def test_names_what_is_wrong(self, tmp_path):
        path = tmp_path / "a.npz"
        assert "No such file" in refusal(read_npz, path)
        good = npz_bytes(x=np.arange(100))
        for content in (b"", b"not a zip", good[:-30], good[: len(good) // 2]):
            assert str(path) in refusal(read_npz, write(path, content))
        changed = bytearray(npz_bytes(np.savez, x=np.arange(100)))
        changed[300] ^= 1
        assert "CRC" in refusal(read_npz, write(path, bytes(changed)))
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00\x04\x00oops")
        assert "no readable array header" in refusal(read_npz, path)

    @given(st.data())
    @FUZZ
    def test_damage_never_raises_anything_but_data_error(self, tmp_path, data):
        save = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
        content = npz_bytes(save, x=np.arange(24.0).reshape(12, 2), y=np.arange(12) % 2)
        path = write(tmp_path / "fuzz.npz", damage(content, data))
        with contextlib.suppress(DataError):
            datasets.load(path)


class TestLoadNpz:
    def test_keras_keys(self, tmp_path, small_images):
        x_train, y_train, x_test, y_test = small_images
        path = write(tmp_path / "set.npz", npz_bytes(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test))
        dataset = datasets.load(str(path))
        assert dataset.name == "set"
        assert dataset.num_classes == 10
        for result, array in zip((*dataset.train, *dataset.test), small_images, strict=True):
            np.testing.assert_array_equal(result, array)

    def test_x_and_y_are_split_by_seed(self, tmp_path):
        x = np.arange(40.0).reshape(20, 2)
        path = write(tmp_path / "set.npz", npz_bytes(X=x, y=np.tile([-1, 1], 10)))
        dataset = datasets.load(path, test_fraction=0.3, seed=4)
        assert len(dataset.x_test) == 6
        assert np.bincount(dataset.y_test).tolist() == [3, 3]
        assert dataset.class_names == ("-1", "1")
        assert sorted(np.concatenate([dataset.x_train, dataset.x_test])[:, 0]) == x[:, 0].tolist()
        assert dataset.checksum == datasets.load(path, test_fraction=0.3, seed=4).checksum
        assert dataset.checksum != datasets.load(path, test_fraction=0.3, seed=5).checksum

    def test_labels_of_many_kinds(self, tmp_path):
        x = np.zeros((6, 2))
        for y, names in (
            (np.array([1, 2, 3] * 2), ("1", "2", "3")),
            (np.array([1.0, 5.0] * 3), ("1", "5")),
            (np.array(["cat", "dog"] * 3), ("cat", "dog")),
            (np.array([b"cat", b"dog"] * 3), ("cat", "dog")),
        ):
            dataset = datasets.load(write(tmp_path / "k.npz", npz_bytes(x=x, y=y)), test_fraction=0.5)
            assert dataset.class_names == names
        named = npz_bytes(x=x, y=np.array([0, 2] * 3), class_names=np.array(["a", "b", "c"]))
        assert datasets.load(write(tmp_path / "k.npz", named), test_fraction=0.5).class_names == ("a", "b", "c")

    @pytest.mark.parametrize(
        ("arrays", "message"),
        [
            ({"a": np.zeros(3)}, "holds a. It needs x_train"),
            ({"x": np.zeros((4, 2)), "y": np.zeros(4)}, "every label is 0"),
            ({"x": np.zeros((4, 2)), "y": np.array([0, 1, 0.5, 1])}, "label 0.5 at index 2"),
            ({"x": np.full((4, 2), np.nan), "y": np.array([0, 1, 0, 1])}, "is nan"),
            ({"x": np.zeros((4, 2)), "y": np.array([0, 1, 0])}, "4 samples but 3 labels"),
            ({"x": np.zeros((4, 2)), "y": np.zeros((4, 2))}, "labels have shape"),
            ({"x": np.zeros((4, 2), complex), "y": np.array([0, 1, 0, 1])}, "dtype complex128"),
        ],
    )
    def test_refuses(self, tmp_path, arrays, message):
        assert message in refusal(datasets.load, write(tmp_path / "a.npz", npz_bytes(**arrays)))

    def test_refuses_a_test_label_that_training_lacks(self, tmp_path):
        x = np.zeros((4, 2))
        for y_test, message in (([0, 1, 2, 1], "test label 2"), (["a"] * 4, "both text")):
            content = npz_bytes(x_train=x, y_train=np.array([0, 1, 0, 1]), x_test=x, y_test=np.array(y_test))
            assert message in refusal(datasets.load, write(tmp_path / "a.npz", content))


class TestIdxFolder:
    def test_loads(self, idx_folder, small_images):
        dataset = datasets.load(idx_folder)
        for result, array in zip((*dataset.train, *dataset.test), small_images, strict=True):
            np.testing.assert_array_equal(result, array)

    def test_names_missing_files(self, idx_folder):
        (idx_folder / "train-labels.idx1-ubyte").unlink()
        assert "lacks train-labels-idx1-ubyte" in refusal(datasets.load, idx_folder)
        assert "Cannot read folder" in refusal(datasets.find_idx_files, idx_folder / "gone")

    def test_refuses_files_that_do_not_fit(self, idx_folder, idx_bytes):
        (idx_folder / "train-labels.idx1-ubyte").write_bytes(idx_bytes(np.arange(7, dtype=np.uint8)))
        assert "30 samples but 7 labels" in refusal(datasets.load, idx_folder)
