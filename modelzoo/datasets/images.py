"""Reading image files, and folders with one folder of images for each class."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from modelzoo._checks import check_choice, check_fraction, check_integers, check_path, check_seed
from modelzoo.datasets.dataset import PART_NAMES, by_number
from modelzoo.datasets.registry import register_file_loader
from modelzoo.datasets.streaming import StoredSamples, Stream
from modelzoo.errors import DataError, InputError, reason_of

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE = 10_000  # of samples, which are far smaller than pictures
MAX_PIXELS = 60_000_000  # of one image: above a 50-megapixel camera, far below what fills a memory
#: What a file may be, whatever its name says. Pillow knows more, and hands some to other programs (EPS to Ghostscript).
#: It tries them in this order, and imports all its plug-ins for the first one beyond the usual five.
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "ICO", "JPEG2000", "TIFF", "WEBP")
_READ = (
    "turn as the EXIF orientation says; put transparency on white",
    "grey unless the input has 3 channels: 0.299 R + 0.587 G + 0.114 B of 8-bit channels, as Pillow's convert('L')",
)
#: How a picture can become a sample, and the steps in words for files that programs without modelzoo run.
PREPARATIONS = {
    "digit": (
        *_READ,
        "shrink the longer side to 280 pixels: Pillow's BICUBIC filter",
        "subtract a quadratic surface fitted to the paper; what is left is ink, dark or light, drawn white on black",
        "remove noise and specks, crop to the digit, keep strokes 2 pixels wide",
        "scale the longer side to 20 pixels: BICUBIC, aspect ratio kept",
        "lay it into 28 x 28 pixels with the centre of mass at (14.5, 14.5)",
        "float32 0-255. This is modelzoo.datasets.load_digit_image, which needs NumPy and Pillow",
    ),
    "resize": (
        *_READ,
        "scale to height x width of the input: Pillow's resize with the BICUBIC filter, aspect ratio not kept",
        "float32 0-255; as dark or light as in the file, not centred",
    ),
}
#: By how much floats may exceed white, as after a resize with a sharp kernel.
_OVERSHOOT = 1.5
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def _open(path: Path) -> Any:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path, formats=FORMATS) as image:
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
        reason = reason_of(error)
        if isinstance(error, UnidentifiedImageError):
            reason = f"its content is not of a format that is read ({', '.join(sorted(FORMATS))})"
        remedy = "Save it again" if path.suffix.lower() in SUFFIXES else f"Images end in {', '.join(SUFFIXES)}"
        raise DataError(f"Cannot read image {path}: {reason:.120}. {remedy}.") from error


def _flatten(image: Any, path: object) -> Any:
    """Return an 8-bit image of mode L or RGB; transparency shows white paper, deep grey is scaled to 8 bits."""
    from PIL import Image

    if image.mode == "1" or image.mode.startswith(("I", "F")):
        values = np.asarray(image, dtype=np.float64)
        if image.mode == "1":
            values = values * 255
        elif not np.isfinite(values).all():
            raise DataError(f"{path} holds NaN or infinite pixels. Save it with finite ones.")
        else:
            top = _top_of(image, values.max(initial=0))
            if values.max(initial=0) > _OVERSHOOT * top:
                raise DataError(
                    f"{path}: values up to {values.max():g} in mode {image.mode}, of which white is unknown. Save it "
                    "with 8 or 16 bits a pixel."
                )
            values = values * (255 / top)
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _top_of(image: Any, highest: float) -> int:
    """Return which value is white in a picture of deep grey."""
    if image.mode.startswith("F"):
        return 1 if highest <= _OVERSHOOT else 255
    if image.mode.startswith("I;16") or image.format in ("PNG", "PPM"):  # of 16 bits, which Pillow may read as 32
        return 65535
    return 255 if highest <= 255 else 65535


def read_image(
    path: str | os.PathLike[str] | Image, *, size: Sequence[int] | None = None, grayscale: bool = True
) -> np.ndarray:
    """Read an image file as pixels.

    Parameters
    ----------
    path
        A BMP, GIF, ICO, JPEG, JPEG 2000, PNG, PPM, TIFF or WebP file; of several pictures in it the first. Its EXIF
        orientation is applied, transparency is put on white. Or a Pillow image.
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
    """
    from PIL.Image import Resampling

    sides = None if size is None else check_integers("size", size, 2, maximum=MAX_SIDE)
    opened = _open(check_path(path, "an image")) if isinstance(path, str | os.PathLike) else path
    image = _flatten(opened, path).convert("L" if grayscale else "RGB")
    if sides is not None and image.size != sides[::-1]:
        image = image.resize(sides[::-1], Resampling.BICUBIC)
    return np.array(image)


def _visible(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith((".", "__"))]
    except OSError as error:
        raise DataError(f"Cannot read folder {folder}: {error.strerror}. Give a folder of class folders.") from error
    return sorted(shown, key=lambda entry: entry.name)


def _parts(folder: Path) -> dict[str, Path]:
    """Return the folders of the parts, of train/, test/ and val/ in any spelling, or the folder itself."""
    found: dict[str, list[Path]] = {}
    for entry in _visible(folder):
        if entry.is_dir() and (part := PART_NAMES.get(entry.name.lower())):
            found.setdefault(part, []).append(folder / entry.name)
    if len(found) < 2 or "train" not in found:  # else it may be the name of a class
        return {"train": folder}
    for part, paths in found.items():
        if len(paths) > 1:
            names = " and ".join(path.name for path in paths)
            raise DataError(f"{folder} must have one folder of each part; of the {part} part it has {names}. Move one.")
    return {part: paths[0] for part, paths in found.items()}


def _classes(folder: Path) -> dict[str, list[str]]:
    """Return the class folders, numbers as numbers, with the names of their images."""
    entries = sorted((entry for entry in _visible(folder) if entry.is_dir()), key=lambda entry: by_number(entry.name))
    return {
        entry.name: [f.name for f in _visible(entry.path) if f.name.lower().endswith(SUFFIXES) and f.is_file()]
        for entry in entries
    }


def _drawn(paths: list[Path], labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Return which images are for testing: a function of the content of each, and of no other but in two cases.

    One of each class always stays for training, and one at least is drawn if any class has two. Adding images can take
    that place from the one that has it.
    """
    salt = check_seed(seed).to_bytes(8, "big")
    digests = (hashlib.blake2b(path.read_bytes(), digest_size=8, salt=salt).digest() for path in paths)
    place = np.array([int.from_bytes(digest, "big") / 2**64 for digest in digests])
    spare = np.ones(len(paths), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        spare[members[place[members].argmax()]] = False
    if not spare.any():
        raise DataError("test_fraction: no class has two images, one to hold out. Give test_fraction=0.")
    return spare & (place < max(fraction, place[spare].min() + 2**-53))


@register_file_loader(
    lambda path: path.is_dir() and any(entry.is_dir() for entry in _visible(path)),
    "a folder with one folder of images for each class",
    streams=True,
)
def stream_images(
    folder: str | os.PathLike[str],
    *,
    size: Sequence[int] = (28, 28),
    grayscale: bool = True,
    prepare: str | None = None,
    test_fraction: float = 0.2,
    seed: int = 0,
) -> Stream:
    """Open a folder that holds one folder of images for each class; each image is decoded when it is wanted.

    In memory are the names of the files. Where every image is wanted many times, it is faster to decode them once:
    ``write_tfrecord(stream_images(folder), directory)``.

    Parameters
    ----------
    folder
        ``folder/CLASS/*.png`` and so on; or ``folder/train/CLASS/*`` with such a folder of a test or a validation part
        (``test`` or ``testing``, ``val``, ``valid`` or ``validation``, in any case). Hidden files and files that are no
        images are passed over.
    size
        ``(height, width)`` that every image is scaled to.
    grayscale
        False keeps colour.
    prepare
        ``"digit"`` crops, centres and inverts each picture as :func:`load_digit_image` does, which a network trained on
        MNIST needs, or on pictures so prepared; ``"resize"`` scales it and does nothing else, also by default. A model
        of digits takes a folder only if this is said.
    test_fraction, seed
        Share held out for testing, about: the content of each image and the seed decide, so that images which are added
        later move none of the others, with two exceptions: each class keeps one image for training, and one at least
        is held out, whose places an added image can take. While classes have a few images, hold some out in a folder
        of their own. 0 holds out none; unused with ``train/``.

    Returns
    -------
    Stream
        Of uint8 images 0-255 of shape ``(height, width)``, or ``(height, width, 3)``; labels in the order of the
        class folders, numbers as numbers, whose names are the class names. Its checksum is of names and sizes of the
        files, and of the options.
    """
    from modelzoo.datasets.digit import load_digit_image

    folder, sides = check_path(folder, "a folder of class folders"), check_integers("size", size, 2, maximum=MAX_SIDE)
    facts: dict[str, Any] = {"name": folder.resolve().name, "source": str(folder), "preparation": "resize"}
    if prepare is not None:
        facts |= {"preparation": check_choice("prepare", prepare, PREPARATIONS), "options": {"prepare": prepare}}
    if prepare == "digit" and (sides != (28, 28) or not grayscale):
        raise InputError(f"prepare='digit' makes grey images of 28 x 28; got size={sides}. Leave the size out.")
    paths = _parts(folder)
    classes = {part: _classes(path) for part, path in paths.items()}
    names = tuple(classes["train"])
    if not names:
        raise DataError(f"{paths['train']} must hold one folder of images for each class; it holds none.")
    for part, found in classes.items():
        for name, images in found.items():
            if name not in names:
                raise DataError(f"{folder}: class {name!r} is in the {part} part only. Give images to train on, too.")
            if part == "train" and not images:
                raise DataError(f"{paths[part] / name} holds no image. Put images of this class in it, or remove it.")

    def samples_of(part: str) -> tuple[StoredSamples, list[bytes]]:
        found = [(f"{name}/{image}", names.index(name)) for name, images in classes[part].items() for image in images]
        files = [os.fsencode(file) for file, _ in found]
        if not files:
            raise DataError(f"{paths[part]} holds no image. Put some in its class folders, or remove it.")
        array = np.array(files)  # as bytes side by side, which takes a fraction of the memory of strings

        def read(indices: np.ndarray) -> np.ndarray:
            chosen = [paths[part] / os.fsdecode(name) for name in array[indices]]
            if prepare == "digit":
                images = [load_digit_image(path) for path in chosen]
            else:
                images = [read_image(path, size=sides, grayscale=grayscale) for path in chosen]
            return np.array(images, np.uint8).reshape(-1, *shape)

        return StoredSamples(read, np.array([label for _, label in found]), shape, np.uint8), files

    shape = sides if grayscale else (*sides, 3)
    digest = hashlib.sha256(f"{sides} {grayscale} {facts['preparation']} {test_fraction} {seed}\n".encode())
    parts: dict[str, Any] = {}
    for part, path in paths.items():
        parts[part], files = samples_of(part)
        if len(paths) > 1:
            digest.update(b"%s\n" % part.encode())
        for file in files:
            digest.update(b"%s %d\n" % (file, (path / os.fsdecode(file)).stat().st_size))
    if len(paths) == 1 and check_fraction("test_fraction", test_fraction):
        train = parts["train"]
        drawn = _drawn([folder / os.fsdecode(file) for file in files], train.labels, test_fraction, seed)
        parts = {"train": train.select(np.flatnonzero(~drawn)), "test": train.select(np.flatnonzero(drawn))}
    return Stream(**parts, class_names=names, checksum=digest.hexdigest(), **facts)
