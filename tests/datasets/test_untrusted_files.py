"""Files made to harm: each is read or refused in one line by a process that may hold little memory and little time."""

import gzip
import io
import json
import os
import struct
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


def npz(members: list[tuple[str, bytes]], claimed: int | None = None) -> bytes:
    """Return an archive; its directory says that each member unpacks to ``claimed`` bytes, if given."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
        for member in archive.filelist if claimed else ():
            member.file_size = claimed
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


def harmful_files() -> dict[str, tuple[bytes, str]]:
    """Return by name the content and a part of the answer."""
    zeros = bytes(2**26)
    return {
        "image/huge.png": (png(10**5, 10**5), "Cannot read image"),
        "image/huge_enough.png": (png(10**4, 10**4), "at most 60000000 are read"),
        "image/no_pixels.png": (png(0, 0), "Cannot read image"),
        "image/bomb_of_text.png": (png(8, 8, chunk(b"zTXt", b"k\0\0" + zlib.compress(zeros))), "too large"),
        "image/screen.gif": (b"GIF89a" + b"\xff" * 4 + b"\0\0\0,\0\0\0\0\1\0\1\0\0;", "Cannot read"),
        "image/endless.tiff": (b"II*\0" + struct.pack("<IHI", 8, 0, 8), "Cannot read image"),
        "image/program.png": (EPS, "not of a format that is read"),
        "image/nothing.png": (b"", "not of a format that is read"),
        "image/moving.gif": (pictures("GIF"), "read"),
        "image/pages.tiff": (pictures("TIFF"), "read"),
        "image/icon.png": (plain(Image.new("RGB", (32, 32)), "ICO"), "read"),
        "image/print.jpg": (plain(Image.new("CMYK", (20, 20)), "JPEG"), "read"),
        "npz/bomb.npz": (npz([(f"{i}.npy", npy((2**31,), "|u1")) for i in range(3)], claimed=2**31), "at most 42949"),
        "npz/deep_header.npz": (npz([("x.npy", b"\x93NUMPY\1\0\x60\xea" + b"(" * 60_000)]), "Header info length"),
        "npz/code_header.npz": (npz([("x.npy", b"\x93NUMPY\1\0\x18\0" + b"__import__('os').abort()")]), "Cannot read"),
        "npz/pickle.npz": (npz([("x.npy", npy((1,), "|O", b"cos\nabort\n(tR."))]), "pickled Python objects"),
        "npz/no_bytes_each.npz": (npz([("x.npy", npy((10**18,), "|S0"))]), "read"),
        "idx/bomb.gz": (gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 4) + zeros), "must hold the 4 bytes"),
        "idx/huge.gz": (gzip.compress(b"\0\0\x08\2" + struct.pack(">II", 2**31, 2**31)), "too large"),
        "idx/none_of_much": (b"\0\0\x08\3" + struct.pack(">III", 2**32 - 1, 2**32 - 1, 0), "cannot reshape"),
        "csv/long_field.csv": (b"1,2,3\n1," + b"9" * 2**24 + b",3\n", "field larger than field limit"),
        "csv/open_quote.csv": (b'1,2,0\n"' + b"9\n" * 10_000, "fields, but the first line has 3"),
        "csv/nul.csv": (b"1,2,3\n1,\0,3\n", "must be a finite number"),
        "csv/many_columns.csv": (b",".join([b"1"] * 10**5) + b"\n" + b",".join([b"x"] * 10**5), "line 2, column 1"),
        "csv/utf16.csv": ("é,2,0\n1,2,1\n".encode("utf-16"), "not UTF-8"),
        "csv/latin1.csv": ("é,2,0\n1,2,1\n".encode("latin-1"), "not UTF-8"),
    }  # fmt: skip


FUNCTIONS = {"image": "read_image", "npz": "read_npz", "idx": "read_idx", "csv": "read_csv"}


def test_nothing_fills_the_memory_hangs_or_runs(tmp_path, python):
    questions, expected = [], []
    for name, (content, answer) in harmful_files().items():
        kind, _, file = name.partition("/")
        (tmp_path / file).write_bytes(content)
        questions.append((FUNCTIONS[kind], str(tmp_path / file)))
        expected.append(answer)
    answers = [json.loads(line) for line in python("-c", CHILD, input=json.dumps(questions)).stdout.splitlines()]
    for (function, path), answer, wanted in zip(questions, answers, expected, strict=True):
        assert wanted.lower() in answer.lower(), (function, path, answer)
        assert "\n" not in answer
    assert not (tmp_path / "owned").exists()


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
