"""Reading image files, and folders with one folder of images for each class."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelzoo.datasets.base import Dataset, split_arrays
from modelzoo.datasets.checks import check_arrays, check_file, check_int
from modelzoo.datasets.files import MAX_BYTES
from modelzoo.datasets.registry import register_file_loader
from modelzoo.errors import DataError, InputError

MAX_PIXELS = 60_000_000  # of one image: above a 50-megapixel camera, far below what fills a memory
#: What a file may be, whatever its name says. Pillow knows more, and hands some to other programs (EPS to Ghostscript).
FORMATS = ("BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def _open(path: Path) -> Any:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of large images and odd metadata; our own limit decides
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise DataError(
                        f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read. "
                        "Make it smaller."
                    )
                image.load()
                return ImageOps.exif_transpose(image)  # as the photographer held the camera
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"No image file {path}. Give the path of an existing image.") from None
    except Exception as error:  # damaged bytes make Pillow's decoders raise errors of many kinds
        reason = " ".join(str(error).split()).replace(str(path), "the file")
        raise DataError(f"Cannot read image {path}: {reason or type(error).__name__:.120}. Save it again.") from error


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
    height, width = (check_int(side, "size", minimum=1, maximum=10_000) for side in size)
    return height, width


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith((".", "__")))
    except OSError as error:
        raise DataError(f"Cannot read folder {folder}: {error.strerror}. Give a folder of class folders.") from error


def _class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of each class folder, both sorted."""
    found = {}
    for entry in _visible(folder):
        if entry.is_dir():
            found[entry.name] = [file for file in _visible(entry) if file.suffix.lower() in SUFFIXES and file.is_file()]
            if not found[entry.name]:
                raise DataError(f"{entry} holds no image. Put images of class {entry.name!r} in it, or remove it.")
    if not found:
        raise DataError(f"{folder} holds no class folders. Make one folder for each class, with its images inside.")
    if len(found) == 1:
        raise DataError(f"{folder} holds one class, {next(iter(found))!r}. A classifier needs at least two.")
    return found


def _read_classes(files: dict[str, list[Path]], sides: tuple[int, int], grayscale: bool):
    count = sum(map(len, files.values()))
    shape = (count, *sides) if grayscale else (count, *sides, 3)
    if math.prod(shape) > MAX_BYTES:
        raise DataError(f"{count} images of shape {shape[1:]} need {math.prod(shape)} bytes. Give a smaller size.")
    x, y = np.empty(shape, np.uint8), np.repeat(np.arange(len(files)), [len(paths) for paths in files.values()])
    for target, path in zip(x, (path for paths in files.values() for path in paths), strict=True):
        target[...] = read_image(path, size=sides, grayscale=grayscale)
    return x, y


@register_file_loader(Path.is_dir, "a folder with one folder of images for each class")
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
    folder, sides = Path(folder), _check_size(size)
    facts: dict[str, Any] = {"name": folder.resolve().name, "source": str(folder), "license": "unknown"}
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        train, test = _class_folders(folder / "train"), _class_folders(folder / "test")
        if list(train) != list(test):
            odd = sorted(set(train) ^ set(test))[0]
            raise DataError(f"{folder}: class {odd!r} is in one of train/ and test/ only. Give both the same classes.")
        x, y = _read_classes(train, sides, grayscale)
        check_arrays(x, y, where=str(folder))
        return Dataset(x, y, *_read_classes(test, sides, grayscale), class_names=tuple(train), **facts)
    files = _class_folders(folder)
    x, y = _read_classes(files, sides, grayscale)
    return split_arrays(
        x, y, test_fraction=test_fraction, seed=seed, where=str(folder), class_names=tuple(files), **facts
    )
