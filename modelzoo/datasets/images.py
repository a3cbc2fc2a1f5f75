"""Reading image files, and folders with one folder of images for each class."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo._checks import check_integer
from modelzoo.datasets.checks import check_file
from modelzoo.datasets.dataset import Dataset, check_fraction
from modelzoo.datasets.files import MAX_BYTES
from modelzoo.datasets.registry import register_file_loader, register_stream
from modelzoo.datasets.streaming import StoredSamples, Stream
from modelzoo.datasets.tfrecord import is_tfrecord
from modelzoo.errors import DataError, InputError

MAX_PIXELS = 60_000_000  # of one image: above a 50-megapixel camera, far below what fills a memory
#: What a file may be, whatever its name says. Pillow knows more, and hands some to other programs (EPS to Ghostscript).
FORMATS = ("BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def _open(path: Path) -> Any:
    from PIL import Image, ImageOps

    try:
        with _quiet_pillow(), Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read. Make it smaller."
                )
            image.load()
            ImageOps.exif_transpose(image, in_place=True)  # as the photographer held the camera
            return image
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"No image file {path}. Give the path of an existing image.") from None
    except Exception as error:  # damaged bytes make Pillow's decoders raise errors of many kinds
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()).replace(repr(str(path)), "the file")
        raise DataError(f"Cannot read image {path}: {reason or type(error).__name__:.120}. Save it again.") from error


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Drop Pillow's warnings of large images and odd metadata: our own limit decides.

    Python's filters belong to all threads and are changed in the main thread only, so that those that read ahead for
    a stream do not take each other's away.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _flatten(image: Any, path: Path) -> Any:
    """Return an 8-bit image of mode L or RGB; transparency shows white paper, deep grey is scaled to 8 bits."""
    from PIL import Image

    if image.mode == "1" or image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        if image.mode == "1":
            values = values * 255
        elif not np.isfinite(values).all():
            raise DataError(f"{path} holds NaN or infinite pixels. Save it with finite ones.")
        elif values.size and values.max() > 255:
            values = values / (257 if values.max() <= 65535 else values.max() / 255)
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.mode in ("L", "RGB"):
        return image
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def read_image(
    path: str | os.PathLike[str], *, size: Sequence[int] | None = None, grayscale: bool = True
) -> np.ndarray:
    """Read an image file as pixels.

    Parameters
    ----------
    path
        A BMP, GIF, ICO, JPEG, JPEG 2000, PNG, PPM, TIFF or WebP file; of several pictures in it the first. Its EXIF
        orientation is applied, transparency is put on white.
    size
        ``(height, width)`` to scale to, antialiased and without keeping the aspect ratio; None keeps the size.
    grayscale
        False returns red, green and blue.

    Returns
    -------
    numpy.ndarray
        uint8 0-255 of shape ``(height, width)``, or ``(height, width, 3)``.

    Raises
    ------
    DataError
        The file is missing, truncated, no image, or has too many pixels.
    InputError
        The size is not two positive integers.
    """
    from PIL import Image

    sides = None if size is None else _check_size(size)
    path = check_file(path, "an image")
    image = _flatten(_open(path), path).convert("L" if grayscale else "RGB")
    if sides is not None and image.size != sides[::-1]:
        image = image.resize(sides[::-1], Image.Resampling.BICUBIC)
    return np.array(image)


def _check_size(size: Sequence[int]) -> tuple[int, int]:
    if isinstance(size, (str, bytes)) or not isinstance(size, Sequence) or len(size) != 2:
        raise InputError(f"size={size!r} is not usable. Give (height, width), such as (28, 28).")
    height, width = (check_integer("size", side, 1, 10_000) for side in size)
    return height, width


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith((".", "__"))]
    except OSError as error:
        raise DataError(f"Cannot read folder {folder}: {error.strerror}. Give a folder of class folders.") from error
    return sorted(shown, key=lambda entry: entry.name)


class _ImageFiles:
    """The image files of a folder of class folders, both sorted; their names are kept as bytes, side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.class_names: list[str] = []
        self._digest = hashlib.sha256()
        names, labels = [], []
        for entry in _visible(folder):
            if entry.is_dir():
                names.append(self._files(Path(entry.path)))
                labels.append(np.full(len(names[-1]), len(self.class_names)))
                self.class_names.append(entry.name)
        if not names:
            raise DataError(f"{folder} holds no class folders. Make one folder for each class, with its images inside.")
        if len(names) == 1:
            raise DataError(f"{folder} holds one class, {self.class_names[0]!r}. A classifier needs at least two.")
        self._names, self._labels = np.concatenate(names), np.concatenate(labels)

    def _files(self, folder: Path) -> np.ndarray:
        names = []
        for entry in _visible(folder):
            if entry.name.lower().endswith(SUFFIXES) and entry.is_file():
                names.append(os.fsencode(entry.name))
                self._digest.update(b"%s/%s %d\n" % (os.fsencode(folder.name), names[-1], entry.stat().st_size))
        if not names:
            raise DataError(f"{folder} holds no image. Put images of class {folder.name!r} in it, or remove it.")
        return np.array(names)

    @property
    def fingerprint(self) -> str:
        """What identifies the files without reading them: names and sizes."""
        return self._digest.hexdigest()

    def samples(self, sides: tuple[int, int], grayscale: bool) -> StoredSamples:
        """Return the images, to be decoded when they are wanted."""
        shape = sides if grayscale else (*sides, 3)

        def read(indices: np.ndarray) -> np.ndarray:
            x = np.empty((len(indices), *shape), np.uint8)
            for target, label, name in zip(x, self._labels[indices], self._names[indices], strict=True):
                path = self.folder / self.class_names[label] / os.fsdecode(name)
                target[...] = read_image(path, size=sides, grayscale=grayscale)
            return x

        return StoredSamples(read, self._labels, shape, np.uint8)


def _may_hold_images(path: Path) -> bool:
    return path.is_dir() and not is_tfrecord(path)


@register_stream(_may_hold_images, "a folder with one folder of images for each class")
def stream_images(
    folder: str | os.PathLike[str],
    *,
    size: Sequence[int] = (28, 28),
    grayscale: bool = True,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Stream:
    """Open a folder that holds one folder of images for each class; each image is decoded when it is wanted.

    In memory are the names of the files. Where every image is wanted many times, it is faster to decode them once:
    ``write_tfrecord(stream_images(folder), directory)``.

    Parameters
    ----------
    folder, size, grayscale, test_fraction, seed
        As of :func:`load_folder`, with the same samples, labels and split.

    Returns
    -------
    Stream
        Its checksum is of names and sizes of the files, and of the options.

    Raises
    ------
    DataError
        There are fewer than two classes, or a class without image. An image that cannot be read is named when it is
        wanted.
    InputError
        An option is not usable.
    """
    folder, sides = Path(folder), _check_size(size)
    facts: dict[str, Any] = {"name": folder.resolve().name, "source": str(folder)}
    options = {"size": list(sides), "grayscale": bool(grayscale)}
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        files, test_files = _ImageFiles(folder / "train"), _ImageFiles(folder / "test")
        if files.class_names != test_files.class_names:
            odd = sorted(set(files.class_names) ^ set(test_files.class_names))[0]
            raise DataError(f"{folder}: class {odd!r} is in one of train/ and test/ only. Give both the same classes.")
        facts["test"] = test_files.samples(sides, grayscale)
        fingerprint = f"{files.fingerprint} {test_files.fingerprint}"
    else:
        files = _ImageFiles(folder)
        fingerprint = files.fingerprint
    checksum = hashlib.sha256(f"{fingerprint} {options}".encode()).hexdigest()
    train = files.samples(sides, grayscale)
    stream = Stream(train, class_names=tuple(files.class_names), checksum=checksum, **facts)
    return stream if "test" in facts else stream.split_test(check_fraction(test_fraction), seed)


@register_file_loader(_may_hold_images, "a folder with one folder of images for each class")
def load_folder(
    folder: str | os.PathLike[str],
    *,
    size: Sequence[int] = (28, 28),
    grayscale: bool = True,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Dataset:
    """Load images from a folder that holds one folder for each class.

    Parameters
    ----------
    folder
        ``folder/CLASS/*.png`` and so on; or ``folder/train/CLASS/*`` with ``folder/test/CLASS/*``, then these are the
        training and test sets. Hidden files and files that are no images are passed over.
    size
        ``(height, width)`` that every image is scaled to.
    grayscale
        False keeps colour.
    test_fraction, seed
        Share held out for testing, stratified, and the seed of that split; unused with ``train/`` and ``test/``.

    Returns
    -------
    Dataset
        uint8 images 0-255 of shape ``(n, height, width)``, or ``(n, height, width, 3)``; int64 labels in the sorted
        order of the class folders, whose names are the class names.

    Raises
    ------
    DataError
        There are fewer than two classes, a class without image, or an image that cannot be read (it is named).
    InputError
        An option is not usable.
    """
    stream = stream_images(folder, size=size, grayscale=grayscale, test_fraction=test_fraction, seed=seed)
    return stream.read(max_bytes=MAX_BYTES)
