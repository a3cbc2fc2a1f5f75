"""Files made to harm: each is read or refused in one line by a process that may hold little memory and little time."""

from __future__ import annotations

import gzip
import io
import json
import os
import socket
import struct
import subprocess
import sys
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

resource = pytest.importorskip("resource", reason="limits are set as on Unix")

#: Reads every file of a list with the function named beside it; what is no ModelZooError ends the process.
CHILD = """
import json, resource, signal, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
signal.alarm(60)
from modelzoo import datasets
from modelzoo.errors import ModelZooError
for function, path in json.load(sys.stdin):
    signal.alarm(5)
    try:
        found = getattr(datasets, function)(path)
        answer = "read"
    except ModelZooError as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
"""


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *extra: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + head + b"".join(extra) + chunk(b"IDAT", zlib.compress(bytes(72))) + chunk(b"IEND", b"")
    )


def npy(shape: tuple, descr="<f8", body: bytes = b"") -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": descr, "fortran_order": False, "shape": shape})
    return header.getvalue() + body


def npz(members: list[tuple[str, bytes]], compression=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def pictures(form: str) -> bytes:
    frames, buffer = [Image.new("P", (500, 500), i) for i in range(8)], io.BytesIO()
    frames[0].save(buffer, format=form, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def plain(image: Image.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form)
    return buffer.getvalue()


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(owned) (w) file closefile\nshowpage\n%%EOF\n"
ZEROS = bytes(2**26)

#: Name: (content, part of the answer).
FILES = {
    "image/huge.png": (png(10**5, 10**5), "Cannot read image"),
    "image/huge_enough.png": (png(10**4, 10**4), "at most 60000000 are read"),
    "image/no_pixels.png": (png(0, 0), "Cannot read image"),
    "image/bomb_of_text.png": (png(8, 8, chunk(b"zTXt", b"k\0\0" + zlib.compress(ZEROS))), "too large"),
    "image/screen.gif": (b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\0\0\0,\0\0\0\0\1\0\1\0\0;", "Cannot read"),
    "image/endless.tiff": (b"II*\0" + struct.pack("<IHI", 8, 0, 8), "Cannot read image"),
    "image/program.png": (EPS, "cannot identify image file"),
    "image/nothing.png": (b"", "cannot identify image file"),
    "image/moving.gif": (pictures("GIF"), "read"),
    "image/pages.tiff": (pictures("TIFF"), "read"),
    "image/icon.png": (plain(Image.new("RGB", (32, 32)), "ICO"), "read"),
    "image/print.jpg": (plain(Image.new("CMYK", (20, 20)), "JPEG"), "read"),
    "image/deep.png": (plain(Image.new("I;16", (20, 20)), "PNG"), "read"),
    "image/palette.png": (plain(Image.new("P", (20, 20)), "PNG"), "read"),
    "image/see_through.png": (plain(Image.new("LA", (20, 20)), "PNG"), "read"),
    "npz/bomb.npz": (npz([(f"{i}.npy", npy((2**26,), "|u1", ZEROS)) for i in range(65)]), "at most 4294967296"),
    "npz/bomb.lzma.npz": (npz([("x.npy", npy((2**26,), "|u1", ZEROS))], zipfile.ZIP_LZMA), "cannot hold"),
    "npz/deep_header.npz": (npz([("x.npy", b"\x93NUMPY\1\0\x60\xea" + b"(" * 60_000)]), "no readable array header"),
    "npz/code_header.npz": (npz([("x.npy", b"\x93NUMPY\1\0\x18\0" + b"__import__('os').abort()")]), "no readable"),
    "npz/pickle.npz": (npz([("x.npy", npy((1,), "|O", b"cos\nabort\n(tR."))]), "pickled Python objects"),
    "npz/no_bytes_each.npz": (npz([("x.npy", npy((10**18,), "|S0"))]), "npz: "),
    "idx/bomb.gz": (gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 4) + ZEROS), "bytes after the 4"),
    "idx/huge.gz": (gzip.compress(b"\0\0\x08\2" + struct.pack(">II", 2**31, 2**31)), "at most"),
    "idx/none_of_much": (b"\0\0\x08\3" + struct.pack(">III", 2**32 - 1, 2**32 - 1, 0), "which no array can have"),
    "csv/long_field.csv": (b"1,2,3\n1," + b"9" * 2**24 + b",3\n", "field larger than field limit"),
    "csv/open_quote.csv": (b'1,2,0\n"' + b"9\n" * 10_000, "fields, but the first line has 3"),
    "csv/nul.csv": (b"1,2,3\n1,\0,3\n", "is no finite number"),
    "csv/many_columns.csv": (b",".join([b"1"] * 10**5) + b"\n" + b",".join([b"x"] * 10**5), "line 2, column 1"),
    "csv/utf16.csv": ("é,2,0\n1,2,1\n".encode("utf-16"), "not UTF-8"),
    "csv/latin1.csv": ("é,2,0\n1,2,1\n".encode("latin-1"), "not UTF-8"),
}  # fmt: skip
FUNCTIONS = {"image": "read_image", "npz": "read_npz", "idx": "read_idx", "csv": "load_csv"}


def test_nothing_fills_the_memory_hangs_or_runs(tmp_path):
    questions, expected = [], []
    for name, (content, answer) in FILES.items():
        kind, _, file = name.partition("/")
        (tmp_path / file).write_bytes(content)
        questions.append((FUNCTIONS[kind], str(tmp_path / file)))
        expected.append(answer)
    special = tmp_path / "special"
    special.mkdir()
    os.mkfifo(special / "pipe")
    (special / "device").symlink_to("/dev/zero")
    (special / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(special / "socket"))
    for file, answer in (
        ("pipe", "a pipe"),
        ("device", "a device"),
        ("socket", "a socket"),
        ("loop", "symbolic links"),
    ):
        for kind in FUNCTIONS.values():
            questions.append((kind, str(special / file)))
            expected.append(answer)
    for index_file in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        os.mkfifo(special / f"{index_file}-ubyte")
    questions.append(("load", str(special)))
    expected.append("a pipe")
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    answers = [json.loads(line) for line in child.stdout.splitlines()]
    assert len(answers) == len(questions), (questions[len(answers)], child.returncode, child.stderr[-600:])
    for (function, path), answer, wanted in zip(questions, answers, expected, strict=True):
        assert wanted in answer, (function, path, answer)
        assert "\n" not in answer
    assert not (tmp_path / "owned").exists()


def test_an_array_that_is_there_twice_is_refused(tmp_path):
    from modelzoo.datasets import read_npz
    from modelzoo.errors import DataError

    with pytest.warns(UserWarning, match="Duplicate name"):
        content = npz([("x.npy", npy((1,), body=bytes(8))), ("x.npy", npy((2,), body=bytes(16)))])
    (tmp_path / "twice.npz").write_bytes(content)
    with pytest.raises(DataError, match="holds an array twice"):
        read_npz(tmp_path / "twice.npz")


def test_a_folder_of_images_passes_over_pipes_devices_and_dangling_links(tmp_path):
    from modelzoo import datasets

    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(4):
            Image.new("L", (9, 9), 20 * i).save(tmp_path / name / f"{i}.png")
        os.mkfifo(tmp_path / name / "pipe.png")
        (tmp_path / name / "device.png").symlink_to("/dev/zero")
        (tmp_path / name / "gone.png").symlink_to("gone")
        (tmp_path / name / "up").symlink_to("..")
    found = datasets.load(tmp_path, test_fraction=0.5)
    assert len(found.x_train) + len(found.x_test) == 8


@pytest.mark.parametrize(
    "value", [0, None, b"x", 1.5, [], object(), "a\0b"], ids=["int", "None", "bytes", "float", "list", "object", "NUL"]
)
@pytest.mark.parametrize("function", [*FUNCTIONS.values()])
def test_what_is_no_path_is_refused(function, value):
    from modelzoo import datasets
    from modelzoo.errors import InputError

    with pytest.raises(InputError, match="Expected the path of"):
        getattr(datasets, function)(value)


def test_labels_that_are_no_class_numbers_make_no_billion_names():
    from modelzoo import datasets
    from modelzoo.errors import DataError

    x, y = np.zeros((4, 2)), np.array([0, 1, 0, 10**9])
    with pytest.raises(DataError, match=r"would make 1000000001 classes. Renumber"):
        datasets.Dataset(x, y, x, y, name="keys")
    with pytest.raises(DataError, match="loss 'sparse_categorical_crossentropy'"):
        datasets.one_hot(np.zeros(10**5, int), 10**6)
    million = datasets.Dataset(x, y // 1001, x, y // 1001, name="many")
    assert million.num_classes == 10**9 // 1001 + 1


def test_pixels_and_labels_survive_their_own_form():
    """What is already in its form stays as it is."""
    from modelzoo import datasets

    data = datasets.load("mnist").take(per_class=3)
    for twice in (
        data.one_hot().one_hot(),
        data.take(per_class=3),
        data.subset(range(10)),
        data.subset(range(10)).one_hot(),
    ):
        np.testing.assert_array_equal(twice.x_train, data.x_train)
    np.testing.assert_array_equal(data.one_hot().one_hot().y_train, data.one_hot().y_train)
    np.testing.assert_array_equal(data.one_hot().y_train.argmax(axis=1), data.y_train)


def test_an_image_in_mnists_form_stays_in_it():
    from modelzoo import datasets

    for image in datasets.load("mnist").x_test[:100]:
        once = datasets.load_digit_image(image)
        twice = datasets.load_digit_image(once)
        assert np.abs(twice.astype(int) - once).max() <= 3  # grey levels
