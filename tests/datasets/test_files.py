import contextlib
import gzip
import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelzoo import datasets
from modelzoo.datasets import read_idx, read_npz
from modelzoo.errors import InputError, ModelZooError

FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def npz_bytes(save=np.savez_compressed, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(function, *arguments, **options):
    with pytest.raises(InputError) as caught:
        function(*arguments, **options)
    return str(caught.value)


# --- IDX


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_round_trip(tmp_path, idx_bytes, dtype, packed):
    for shape in [(5,), (3, 4), (2, 3, 4), (0, 3)]:
        array = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
        content = idx_bytes(array)
        result = read_idx(write(tmp_path / "a", gzip.compress(content) if packed else content))
        assert result.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(result, array)


def test_idx_errors_name_the_file_and_what_is_wrong(tmp_path, idx_bytes):
    good, path = idx_bytes(np.arange(12, dtype=np.uint8).reshape(3, 4)), tmp_path / "a.idx"
    assert "No such file" in refusal(read_idx, path)
    cases = {
        b"": "starts with nothing",
        b"PK\3\4zip": "starts with 50 4b 03 04",
        good[:10]: "must hold",
        good[:-1]: "must hold the 12 bytes",
        good + b"x": "and no more",
        gzip.compress(good[:-1]): "must hold the 12 bytes",
        gzip.compress(good)[:-9]: "Cannot read",
        b"\0\0\x07\1" + good[4:]: "not an IDX file",
        b"\0\0\x08\xff" + good[4:]: "not an IDX file",
    }
    for content, message in cases.items():
        found = refusal(read_idx, write(path, content))
        assert message in found
        assert str(path) in found


def test_an_idx_folder_loads(idx_folder, small_images, idx_bytes):
    dataset = datasets.load_idx_folder(idx_folder)
    assert datasets.load(idx_folder).checksum == dataset.checksum
    np.testing.assert_equal((*dataset.train, *dataset.test), small_images)
    (idx_folder / "train-labels.idx1-ubyte").write_bytes(idx_bytes(np.arange(10, dtype=np.uint8)))
    assert "30 samples but 10 labels" in refusal(datasets.load, idx_folder)
    (idx_folder / "train-labels.idx1-ubyte").unlink()
    assert "lacks IDX files of train labels. It needs four" in refusal(datasets.load, idx_folder)
    assert "Cannot read folder" in refusal(datasets.find_idx_files, idx_folder / "gone")


def test_idx_files_may_have_a_prefix(idx_folder, small_images):
    for path in list(idx_folder.iterdir()):
        path.rename(idx_folder / f"EMNIST-letters-{path.name.replace('t10k', 'test')}")
    dataset = datasets.load(idx_folder)
    np.testing.assert_array_equal(dataset.x_test, small_images[2])
    (idx_folder / "emnist-digits-train-images-idx3-ubyte").write_bytes(b"")
    assert "it holds EMNIST-letters, emnist-digits. Name one, as prefix=" in refusal(datasets.load, idx_folder)
    assert datasets.load(idx_folder, prefix="EMNIST-letters").checksum == dataset.checksum


# --- npz


def test_npz_gives_what_numpy_wrote(tmp_path):
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


def test_npz_errors_name_the_file(tmp_path):
    path = tmp_path / "a.npz"
    assert "No such file" in refusal(read_npz, path)
    good, changed = npz_bytes(x=np.arange(100)), bytearray(npz_bytes(np.savez, x=np.arange(100)))
    changed[300] ^= 1
    for content in (b"", b"not a zip", good[:-30], good[: len(good) // 2], bytes(changed)):
        assert str(path) in refusal(read_npz, write(path, content))


def test_npz_with_x_and_y_is_split_by_seed(tmp_path):
    x = np.arange(40.0).reshape(20, 2)
    path = write(tmp_path / "set.npz", npz_bytes(X=x, y=np.tile([-1, 1], 10)))
    dataset = datasets.load(path, test_fraction=0.3, seed=4)
    assert np.bincount(dataset.y_test).tolist() == [3, 3]
    assert dataset.class_names == ("-1", "1")
    assert sorted(np.concatenate([dataset.x_train, dataset.x_test])[:, 0]) == x[:, 0].tolist()
    assert dataset.checksum == datasets.load_npz(path, test_fraction=0.3, seed=4).checksum
    assert dataset.checksum != datasets.load(path, test_fraction=0.3, seed=5).checksum


@pytest.mark.parametrize(
    "names",
    [
        ("x", "y"),
        ("images", "labels"),
        ("data", "target"),
        ("X_train", "Y_train"),
        ("x_train", "y_train", "x_test", "y_test"),
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        ("trainX", "trainY", "testX", "testY"),
        ("arr_0", "arr_1"),
    ],
)
@pytest.mark.parametrize("column", [False, True])
def test_npz_with_the_usual_names(tmp_path, names, column):
    x, y = np.arange(40, dtype=np.float32).reshape(20, 2), np.arange(20) % 2
    arrays = dict.fromkeys(names[1::2], y[:, np.newaxis] if column else y) | dict.fromkeys(names[::2], x)
    arrays |= {} if names[0] == "arr_0" else {"ids": np.arange(20)}
    dataset = datasets.load(write(tmp_path / "a.npz", npz_bytes(**arrays)), test_fraction=0.5)
    assert list(dataset.parts) == ["train", "test", "validation"][: max(2, len(names) // 2)]
    assert len(dataset.x_train) == (20 if len(names) > 2 else 10)
    np.testing.assert_array_equal(dataset.x_train[:, 0] // 2 % 2, dataset.y_train)


def test_npz_with_names_of_classes(tmp_path):
    for key in ("class_names", "target_names"):
        content = npz_bytes(x=np.zeros((6, 2)), y=np.array([0, 2] * 3), **{key: np.array(["a", "b", "c"])})
        assert datasets.load(write(tmp_path / "k.npz", content)).class_names == ("a", "b", "c")


# --- csv

X = np.zeros((4, 2))
TRAIN = {"x_train": X, "y_train": np.array([0, 1, 0, 1]), "x_test": X}
LAST = {"label": -1}
ROWS = "\n".join(f"{i}.5,{-i},{i % 2 + 3}" for i in range(10))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (ROWS, {"label": -1}),
        ("a,b,kind\n" + ROWS, {"label": "kind"}),
        ("a,b,kind\n\n" + ROWS + "\n\n", {"label": 2}),
        (ROWS.replace(",", ";"), {"label": 2}),
        (ROWS.replace(",", "\t"), {"label": 2}),
        (ROWS.replace(",", " , "), {"label": 2}),
        ("\ufeff" + ROWS.replace("\n", "\r\n"), {"label": 2}),
        ('"a","b","kind"\n' + ROWS, {"label": "kind"}),
        ("\n".join(",".join(f'"{field}"' for field in row.split(",")) for row in ROWS.split("\n")), {"label": -1}),
        ("a,b,Label\n" + ROWS, {}),
        ("target,b,y\n" + ROWS, {"label": "y"}),
    ],
)
def test_csv_reads(tmp_path, text, options):
    dataset = datasets.load_csv(write(tmp_path / "t.csv", text), test_fraction=0.4, **options)
    assert dataset.class_names == ("3", "4")
    assert dataset.x_train.dtype == np.float32
    x, y = (np.concatenate(pair) for pair in zip(*dataset, strict=True))
    assert len(dataset.x_test) == 4
    assert sorted(x[:, 0]) == [i + 0.5 for i in range(10)]
    np.testing.assert_array_equal(-x[:, 1].astype(int) % 2, y)


@pytest.mark.parametrize(
    ("header", "label"),
    [
        ("label,a,b", 0),
        ("a,TARGET,b", 1),
        ("a,b,Class", 2),
        ("Species,0,1", 0),  # pandas numbers columns
        ("x,y,label", 2),  # two coordinates
        ("x1,x2,y", 2),
        ("a,b,category", 2),
    ],
)
@pytest.mark.parametrize("values", [("3", "4"), ("cat", "dog"), ("-1", "1"), ("9", "10")])
def test_the_label_is_the_column_that_the_header_calls_so(tmp_path, header, label, values):
    rows = [[f"{i}.5", str(-i)] for i in range(10)]
    for i, row in enumerate(rows):
        row.insert(label, values[i % 2])
    path = write(tmp_path / "t.CSV", "\n".join([header, *map(",".join, rows)]))
    dataset = datasets.load(path)
    assert dataset.class_names == values
    np.testing.assert_array_equal(-dataset.x_train[:, 1] % 2, dataset.y_train)
    np.testing.assert_array_equal(datasets.read_csv(path), [[i + 0.5, -i] for i in range(10)])


def test_a_first_row_with_numbers_is_a_sample(tmp_path):
    labels = ["A", "3", "7", "B"] * 2
    path = write(tmp_path / "t.csv", "".join(f"{label},{i + 0.5},{i}\n" for i, label in enumerate(labels)))
    assert datasets.load(path, label=0, test_fraction=0).x_train[:, 1].tolist() == list(range(8))
    languages = write(tmp_path / "l.csv", "1,2,id\n3,4,en\n5,6,id\n")
    assert datasets.load(languages, label=-1, test_fraction=0).class_names == ("en", "id")
    header = write(tmp_path / "h.csv", "kind,0,1\n" + path.read_text().replace("A", "1").replace("B", "2"))
    assert len(datasets.load(header, label="kind", test_fraction=0).x_train) == 8
    assert "Give label='kind' if it is a header" in refusal(datasets.load, header, label=0)
    assert "line 1, column 1: 'kind' must be a finite number" in refusal(datasets.read_csv, header)
    for name in ("", "id", "Unnamed: 0"):  # pandas numbers columns
        assert datasets.read_csv(write(tmp_path / "p.csv", f"{name},0,1\n4,1,0\n2,5,1\n")).shape == (2, 2)


def test_row_numbers_in_any_order_are_no_feature(tmp_path, caplog):
    order = [3, 17, 5, 4, 0, 1]  # as of df.sample(frac=1)
    rows = "".join(f"{i},{i}.5,{-i},{n % 2}\n" for n, i in enumerate(order))
    for name in ("", "id", "index", "Unnamed: 0"):
        path = write(tmp_path / "t.csv", f"{name},x1,x2,label\n{rows}")
        assert datasets.load(path, test_fraction=0).input_shape == (2,)
        np.testing.assert_array_equal(datasets.read_csv(path, shape=(2,)), [[i + 0.5, -i] for i in order])
        assert f"the column {name!r} numbers the rows and is left out" in caplog.text
    for values, width in (("1\n1", {"": 1, "id": 2}), ("0.5\n1", {"": 1, "index": 2})):  # pandas: concat, set_index
        first, second = values.split("\n")
        for name, columns in width.items():
            path = write(tmp_path / "t.csv", f"{name},a\n{first},7\n{second},8\n")
            assert datasets.read_csv(path).shape == (2, columns)
    path = write(tmp_path / "t.csv", "id,a,b\n3,1,2\n17,3,4\n")
    assert refusal(datasets.read_csv, path, shape=(3,)).endswith("t.csv has 2.")


def test_a_table_without_labels_is_read_for_predictions(tmp_path):
    pixels = np.arange(12).reshape(3, 4)
    path = write(tmp_path / "t.csv", "\n".join(",".join(map(str, row)) for row in pixels.tolist()))
    np.testing.assert_array_equal(datasets.read_csv(path), pixels)
    assert datasets.read_csv(path, shape=(2, 2)).shape == (3, 2, 2)
    assert datasets.read_csv(path, shape=(2, 2)).dtype == np.uint8
    assert datasets.read_csv(write(tmp_path / "t.csv", "1\n2\n")).shape == (2, 1)


def test_rows_of_pixels_become_images(tmp_path, small_images):
    x_train, y_train, *_ = small_images
    rows = np.c_[y_train, x_train.reshape(30, -1)]
    path = write(tmp_path / "t.csv", "\n".join(",".join(map(str, row)) for row in rows.tolist()))
    dataset = datasets.load(path, label=0, shape=(28, 28), test_fraction=0.34)
    assert dataset.x_train.dtype == np.uint8
    assert dataset.input_shape == (28, 28)
    assert {image.tobytes() for x, _ in dataset for image in x} == {image.tobytes() for image in x_train}
    assert "shape=(5, 5) needs 25 values a row" in refusal(datasets.load, path, label=0, shape=(5, 5))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ({"a": np.zeros(3)}, {}, "holds a. It needs x and y, images and labels, or data and target"),
        ({"x": X, "y": np.zeros(4), "labels": np.zeros(4)}, {}, "holds labels, x, y. It needs"),
        ({"arr_0": X, "arr_1": X, "arr_2": X}, {}, "holds arr_0, arr_1, arr_2"),
        (TRAIN, {}, "holds x_test, x_train, y_train"),
        ({"x": X, "y": np.array([0, 1, 0.5, 1])}, {}, "label 0.5 at index 2"),
        ({"x": X + np.nan, "y": np.array([0, 1, 0, 1])}, {}, "is nan"),
        ({"x": X, "y": np.array([0, 1, 0])}, {}, "4 samples but 3 labels"),
        ({"x": X, "y": X[None]}, {}, "labels must have shape"),
        ({"x": X.astype(complex), "y": np.array([0, 1, 0, 1])}, {}, "dtype complex128"),
        ({**TRAIN, "y_test": np.array([0, 1, 2, 1])}, {}, "label 2 does not occur in the training part"),
        ({**TRAIN, "y_test": np.array(["a"] * 4)}, {}, "or text in all"),
        ("", {}, "holds no text"),
        ("\n \n", {}, "holds no text"),
        ("a,b,c", {}, "a header alone"),
        ("1\n2\n", {}, "must have one column called label"),
        ("1,2,0\n\n3,x,1\n", LAST, "line 3, column 2: 'x' must be a finite number"),
        ("?,1,0\n3,4,1\n5,6,0\n7,8,1\n", LAST, "line 1, column 1: '?' must be a finite number, or the line a header"),
        (",1,0\n3,4,1\n", LAST, "line 1, column 1: ''"),
        ("1,2,0\n3,,1\n", LAST, "line 2, column 2: '' must be a finite number"),
        ("a,b,c\n1,2,0\n3,nan,1\n", LAST, "line 3, column 2: 'nan'"),
        ("1,2,0\n3,1\n", LAST, "line 2: 2 fields, but the first line has 3"),
        ("1,2,0\n3,1,1,7\n", LAST, "line 2: 4 fields"),
        ("1,2,0\n1,2,0.5\n", LAST, "label 0.5 at index 1"),
        ("1,2,0\n1,2,\n", LAST, "line 2: the label is missing"),
        (ROWS, {}, "Say which holds the labels: label='its name', label=0 (the first) or label=-1 (the last)"),
        ("a,b,kind\n" + ROWS, {}, "it has none. Say which holds the labels"),
        ("label,b,class\n" + ROWS, {}, "it has label and class. Say which holds the labels"),
        ("target,b,y\n" + ROWS, {}, "it has target and y. Say which holds the labels: label='its name'"),
        ("1,1e300,0\n1,2,1\n", LAST, "is inf"),
        ("1,2,0\n1,2,1\n", LAST, "at most 0 can be held out"),
        (ROWS, {"label": "kind"}, "Columns: without names"),
        ("a,b,kind\n" + ROWS, {"label": "k"}, "Columns: a, b, kind"),
        (ROWS, {"label": 3}, "label must be an integer from -3 to 2"),
        (ROWS, {**LAST, "test_fraction": 1.5}, "test_fraction must be"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path, content, options, message):
    """Mappings are written as an npz, text as a csv."""
    npz = isinstance(content, dict)
    path = write(tmp_path / ("t.npz" if npz else "t.csv"), npz_bytes(**content) if npz else content)
    assert message in refusal(datasets.load, path, **options)


# --- damage


@given(st.data())
@FUZZ
def test_damage_never_raises_anything_but_our_errors(tmp_path, idx_bytes, data):
    idx = idx_bytes(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    save = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    content, name = data.draw(
        st.sampled_from([
            (idx, "a.idx"),
            (gzip.compress(idx), "a.gz"),
            (npz_bytes(save, x=np.arange(24.0).reshape(12, 2), y=np.arange(12) % 2), "a.npz"),
            (("a,b,kind\n" + ROWS).encode(), "a.csv"),
        ])
    )  # fmt: skip
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.none() | st.integers(0, len(damaged)))
    path = write(tmp_path / name, bytes(damaged[:cut]))
    with contextlib.suppress(ModelZooError):
        read_idx(path) if name in ("a.idx", "a.gz") else datasets.load(path)
