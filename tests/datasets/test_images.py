import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from modelzoo import datasets
from modelzoo.datasets import streaming
from modelzoo.errors import DataError, InputError


def flat(values):
    """Return an image of one grey for each value."""
    return [np.full((20, 12), value, np.uint8) for value in values]


@pytest.fixture
def classes(tmp_path, write_images):
    labels = [*["dog"] * 5, *["cat"] * 5, ".hidden"]
    write_images(tmp_path / "pets", flat([*range(200, 205), *range(100, 105), 1]), labels)
    (tmp_path / "pets" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "pets"


def test_a_folder_for_each_class(classes):
    dataset = datasets.load(str(classes), test_fraction=0.4, seed=1)
    assert dataset.class_names == ("cat", "dog")
    assert dataset.name == "pets"
    assert dataset.input_shape == (28, 28)
    assert dataset.x_train.dtype == np.uint8
    for x, y in dataset:
        np.testing.assert_array_equal(x[:, 0, 0] // 100 - 1, y)  # cats are 100.., dogs 200..
        assert np.ptp(x, axis=(1, 2)).max() == 0
    values = sorted(int(x[0, 0]) for part, _ in dataset for x in part)
    assert values == [100, 101, 102, 103, 104, 200, 201, 202, 203, 204]
    assert dataset.checksum == datasets.load(classes, test_fraction=0.4, seed=1).checksum


def test_size_and_colour(classes):
    dataset = datasets.load(classes, size=(10, 14), grayscale=False)
    assert dataset.input_shape == (10, 14, 3)
    for size in ((28,), 28, "ab", (0, 5), (2.5, 3), (20_000, 28)):
        with pytest.raises(InputError, match="size"):
            datasets.load(classes, size=size)


@pytest.mark.parametrize("names", [("train", "test", "val"), ("Training", "Testing", "VALID"), ("train", "validation")])
def test_folders_of_parts(tmp_path, names, write_images):
    for part in names:
        labels = "aaabbb" if part == names[0] else "abb"
        write_images(tmp_path / part, flat(range(len(labels))), labels)
    dataset = datasets.load(tmp_path)
    assert dataset.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert dataset.y_val.tolist() == [0, 1, 1]
    assert list(dataset.parts) == ["train", "test", "validation"] if len(names) == 3 else ["train", "validation"]
    (tmp_path / names[1] / "a" / "000.png").unlink()  # a test part may lack a class
    assert set(datasets.load(tmp_path).parts[list(dataset.parts)[1]][1]) == {1}
    write_images(tmp_path / names[1], flat([9]), "c")
    with pytest.raises(DataError, match=r"class 'c' is in the (test|validation) part only"):
        datasets.load(tmp_path)


def test_a_class_may_be_called_like_a_part(tmp_path, write_images):
    write_images(tmp_path, flat(range(6)), ["train", "car"] * 3)
    assert datasets.load(tmp_path).class_names == ("car", "train")


def test_few_and_uneven_images_load_and_adding_some_moves_none_to_testing(tmp_path):
    rng = np.random.default_rng(0)

    def add(name, number):
        (tmp_path / str(name)).mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (9, 9), np.uint8)).save(tmp_path / str(name) / f"{number}.png")

    def part(x):
        return {image.tobytes() for image in x}

    for name in range(12):
        for number in range(1 if name == 11 else 3):
            add(name, number)
    first = datasets.load(tmp_path)
    assert first.class_names == tuple(map(str, range(12)))  # 10 after 9
    assert set(first.y_train) == set(range(12))  # one image of the last trains
    assert 0 < len(first.x_test) < 12
    for name in range(12):
        for number in range(3, 8):
            add(name, number)
    more = datasets.load(tmp_path)
    assert not part(first.x_train[first.y_train < 11]) & part(more.x_test)  # the only image of a class may move
    assert 10 < len(more.x_test) < 30
    assert datasets.load(tmp_path, test_fraction=0).test is None


def test_a_folder_of_one_image_each(tmp_path, write_images):
    write_images(tmp_path, flat([9, 9]), "ab")
    with pytest.raises(DataError, match=r"no class has two images, one to hold out\. Give test_fraction=0"):
        datasets.load(tmp_path)
    assert len(datasets.load(tmp_path, test_fraction=0).x_train) == 2
    write_images(tmp_path, flat([10]), "b")
    assert len(datasets.load(tmp_path).x_test) == 1


def test_refuses_folders(tmp_path, classes):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is not a data set this can read"):
        datasets.load(tmp_path / "empty")
    (classes / "bird").mkdir()
    with pytest.raises(DataError, match="bird holds no image"):
        datasets.load(classes)


def test_a_truncated_jpeg_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"a\.jpg.*truncated"):
        datasets.read_image(tmp_path / "a.jpg")


def test_images_that_do_not_fit_in_memory_together(classes, monkeypatch):
    monkeypatch.setattr(streaming, "MAX_BYTES", 5000)
    with pytest.raises(DataError, match="smaller size"):
        datasets.load(classes)


def test_modes(tmp_path):
    def read(image, name="a.png"):
        image.save(tmp_path / name)
        return datasets.read_image(tmp_path / name)

    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(read(Image.fromarray(gray)), gray)
    np.testing.assert_array_equal(read(Image.fromarray(gray.astype(np.uint16) * 257)), gray)
    np.testing.assert_array_equal(read(Image.fromarray(np.stack([gray] * 3, -1))), gray)
    np.testing.assert_array_equal(read(Image.fromarray(gray > 99)), (gray > 99) * 255)
    assert read(Image.new("RGBA", (8, 8), (0, 0, 0, 0))).min() == 255  # transparent is paper
    assert read(Image.new("LA", (8, 8), (0, 255))).max() == 0
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    palette.save(tmp_path / "p.png", transparency=0)
    assert datasets.read_image(tmp_path / "p.png").min() == 255
    assert (read(Image.fromarray(gray.astype(np.float32)), "f.tiff") == gray).all()
    assert (read(Image.fromarray(gray.astype(np.float32) / 255), "f.tiff") == gray).all()
    sharpened = gray.astype(np.float32) / 200 - 0.05
    assert np.ptp(datasets.read_image(Image.fromarray(sharpened))) == 255
    with pytest.raises(DataError, match="values up to 510 in mode F"):
        read(Image.fromarray(gray.astype(np.float32) * 2), "f.tiff")
    with pytest.raises(DataError, match="values up to 131070 in mode I"):
        read(Image.fromarray(np.array([[0] * 8, [131070] * 8], np.int32)), "i.tiff")
    floats = Image.fromarray(gray.astype(np.float32) / 255)
    floats.format = "PPM"  # as of a PFM file
    np.testing.assert_array_equal(datasets.read_image(floats), gray)
    dark = Image.fromarray(gray.astype(np.uint16))  # white is 65535, in a dark picture too
    assert datasets.read_image(dark).max() == 1
    (tmp_path / "dark.pgm").write_bytes(b"P5 16 16 65535\n" + gray.astype(">u2").tobytes())
    for image in (read(dark), read(dark, "d.tiff"), datasets.read_image(tmp_path / "dark.pgm")):
        assert image.max() == 1
    for mode in ("L", "RGB"):
        Image.new(mode, (8, 8)).save(tmp_path / "t.png", transparency=0 if mode == "L" else (0, 0, 0))
        assert datasets.read_image(tmp_path / "t.png").min() == 255
    turned = Image.fromarray(gray[:8])
    exif = turned.getexif()
    exif[0x0112] = 6  # the camera was held upright
    turned.save(tmp_path / "e.png", exif=exif)
    np.testing.assert_array_equal(datasets.read_image(tmp_path / "e.png"), np.rot90(gray[:8], -1))
    with pytest.raises(DataError, match="No image file"):
        datasets.read_image(tmp_path / "gone.png")


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_never_raises_anything_but_data_error(tmp_path, data):
    path = tmp_path / f"fuzz.{data.draw(st.sampled_from(['png', 'jpg', 'bmp', 'gif', 'tiff']))}"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, min(len(content) - 1, 200)))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content))
    with contextlib.suppress(DataError):
        assert datasets.read_image(path, size=(28, 28)).shape == (28, 28)
