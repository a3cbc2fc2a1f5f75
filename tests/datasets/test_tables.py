import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelzoo import datasets
from modelzoo.errors import DataError, InputError, ModelZooError


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding=encoding)
    return path


ROWS = "\n".join(f"{i}.5,{-i},{i % 2 + 3}" for i in range(10))


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (ROWS, {}),
        ("a,b,kind\n" + ROWS, {"label": "kind"}),
        ("a,b,kind\n\n" + ROWS + "\n\n", {"label": 2}),
        (ROWS.replace(",", ";"), {}),
        (ROWS.replace(",", "\t"), {}),
        (ROWS.replace(",", " , "), {}),
        ("\ufeff" + ROWS.replace("\n", "\r\n"), {}),
        ('"a","b","kind"\n' + ROWS, {"label": "kind"}),
        ("\n".join(",".join(f'"{field}"' for field in row.split(",")) for row in ROWS.split("\n")), {}),
    ],
)
def test_reads(tmp_path, text, options):
    dataset = datasets.load(table(tmp_path, text), test_fraction=0.4, **options)
    assert dataset.class_names == ("3", "4")
    assert dataset.x_train.dtype == np.float32
    x, y = (np.concatenate(pair) for pair in zip(*dataset, strict=True))
    assert len(dataset.x_test) == 4
    assert sorted(x[:, 0]) == [i + 0.5 for i in range(10)]
    np.testing.assert_array_equal(-x[:, 1].astype(int) % 2, y)


def test_label_column_first(tmp_path):
    text = "\n".join(f"{i % 2},{i},{i}" for i in range(10))
    x, y = datasets.load(table(tmp_path, text), label=0).train
    np.testing.assert_array_equal(x[:, 0] % 2, y)


def test_rows_of_pixels_become_images(tmp_path, small_images):
    x_train, y_train, *_ = small_images
    rows = np.c_[y_train, x_train.reshape(30, -1)]
    path = table(tmp_path, "\n".join(",".join(map(str, row)) for row in rows.tolist()))
    dataset = datasets.load(path, label=0, shape=(28, 28), test_fraction=0.34)
    assert dataset.x_train.dtype == np.uint8
    assert dataset.input_shape == (28, 28)
    assert {image.tobytes() for x, _ in dataset for image in x} == {image.tobytes() for image in x_train}
    with pytest.raises(InputError, match=r"shape=\(5, 5\) needs 25 values a row; .* has 784"):
        datasets.load(path, label=0, shape=(5, 5))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n \n", "is empty"),
        ("a,b,c", "a header and no rows"),
        ("1\n2\n", "one column"),
        ("1,2,0\n\n3,x,1\n", "line 3, column 2: 'x' is no finite number"),
        ("1,2,0\n3,,1\n", "line 2, column 2: '' is no finite number"),
        ("a,b,c\n1,2,0\n3,nan,1\n", "line 3, column 2: 'nan'"),
        ("1,2,0\n3,inf,1\n", "line 2, column 2: 'inf'"),
        ("1,2,0\n3,1\n", "line 2: 2 fields, but the first line has 3"),
        ("1,2,0\n3,1,1,7\n", "line 2: 4 fields"),
        ("1,2,0\n1,2,0.5\n", "label 0.5 at index 1"),
        ("1,2,0\n1,2,0\n", "every label is 0"),
        ("1,1e300,0\n1,2,1\n", "is inf"),
        ("1,2,0\n1,2,1\n", "one sample"),
    ],
)
def test_errors_name_the_line(tmp_path, text, message):
    path = table(tmp_path, text)
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(path)
    assert "\n" not in str(caught.value)


def test_errors_on_options_and_encoding(tmp_path):
    with pytest.raises(InputError, match=r"label='kind': .* has no header"):
        datasets.load(table(tmp_path, ROWS), label="kind")
    with pytest.raises(InputError, match=r"label='k' is no column.*a, b, kind"):
        datasets.load(table(tmp_path, "a,b,kind\n" + ROWS), label="k")
    with pytest.raises(InputError, match="label=3 is out of range"):
        datasets.load(table(tmp_path, ROWS), label=3)
    with pytest.raises(InputError, match="test_fraction"):
        datasets.load(table(tmp_path, ROWS), test_fraction=1.5)
    with pytest.raises(DataError, match="not UTF-8"):
        datasets.load(table(tmp_path, "é,b\n1,2", encoding="latin-1"))


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_raises_anything_but_our_errors(tmp_path, data):
    content = bytearray(("a,b,kind\n" + ROWS).encode())
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    (tmp_path / "t.csv").write_bytes(bytes(content))
    with contextlib.suppress(ModelZooError):
        dataset = datasets.load(tmp_path / "t.csv", test_fraction=0.4)
        assert np.isfinite(dataset.x_train).all()
