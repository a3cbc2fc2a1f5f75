"""The image sets of the lessons: MNIST (bundled), Fashion-MNIST and scikit-learn's digits."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from modelzoo._checks import check_choice, check_integer
from modelzoo._io import atomic_file
from modelzoo.datasets.dataset import Dataset
from modelzoo.datasets.digit import center, crop_to_box
from modelzoo.datasets.drawn_digits import draw_digits
from modelzoo.datasets.files import find_idx_files, idx_bytes, read_idx, read_npz
from modelzoo.datasets.registry import register_dataset
from modelzoo.errors import DataError
from modelzoo.integrity import sha256_of

MNIST_BUNDLE = Path(__file__).with_name("mnist.npz")
#: SHA-256 of the bundled file; a rebuild with another zlib differs here and is accepted by MNIST_CHECKSUM.
MNIST_BUNDLE_SHA256 = "99b6212d8b734503d7fa2e29ea6413bad62226998e56555f4a6b0b30072f1aec"
#: ``Dataset.checksum`` of the canonical 70,000 images.
MNIST_CHECKSUM = "cb01d50407223629cee59a44c37adb3798608e40a974cb48547019a6d0c8b441"

_DIGITS = tuple("0123456789")
_FASHION_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
_FASHION_URL = "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"
_FASHION_MIRROR = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
_FASHION_SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # Debian's package dataset-fashion-mnist
# SHA-256 of the uncompressed content, which anybody may have compressed anew; it was computed from files whose MD5
# equals the one in the authors' README.
_FASHION_FILES = {
    "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


@lru_cache(maxsize=1)
def _full_mnist() -> Dataset:
    """Read, verify and keep the bundle: the arrays are read-only, so every caller may share them."""
    try:
        arrays: dict[str, Any] = read_npz(MNIST_BUNDLE)
        dataset = Dataset(
            **arrays,
            name="mnist",
            class_names=_DIGITS,
            source="MNIST by Yann LeCun and Corinna Cortes, http://yann.lecun.com/exdb/mnist/",
            license="CC BY-SA 3.0",
            preparation="digit",
        )
        good = sha256_of(MNIST_BUNDLE) == MNIST_BUNDLE_SHA256 or dataset.checksum == MNIST_CHECKSUM
    except (DataError, TypeError):  # TypeError: arrays of other names
        good = False
    if not good:
        raise DataError(
            f"The bundled MNIST ({MNIST_BUNDLE}) is missing or was altered. Install keras-modelzoo again, or run "
            "scripts/build_mnist.py."
        )
    return dataset


@register_dataset(class_names=_DIGITS)
def mnist(*, classes: Iterable[int] | None = None, extra: Literal["digits"] | None = None, drawn: int = 0) -> Dataset:
    """Handwritten digits: the canonical 60,000 training and 10,000 test images, bundled, nothing is downloaded.

    By Yann LeCun and Corinna Cortes, licence CC BY-SA 3.0.

    Parameters
    ----------
    classes
        Digits to keep, e.g. ``(1, 5, 6)``; None keeps all. See :meth:`Dataset.subset`.
    extra
        ``"digits"`` adds those of that data set to the training part: 1797 by other writers, with flagged ones and
        crossed sevens. They are sharpened, scaled to fit 20 x 20 pixels, and centred by mass as MNIST's are.
    drawn
        How many digits of each of four kinds to add to the training part, at most 5000; a program draws them: 1s with
        a flag, closed 4s, and the 7s and 9s they are taken for.

    Returns
    -------
    Dataset
        uint8 images 0-255 of shape ``(n, 28, 28)``, white on black; uint8 labels. Read-only.
    """
    if extra is not None:
        check_choice("extra", extra, ("digits",))
    drawn = check_integer("drawn", drawn, 0, 5000)
    dataset = _extended_mnist(extra, drawn) if extra or drawn else _full_mnist()
    return dataset if classes is None else dataset.subset(classes)


@lru_cache(maxsize=1)
def _extended_mnist(extra: str | None, drawn: int) -> Dataset:
    own = _full_mnist()
    x, y, source, terms = [own.x_train], [own.y_train], own.source, own.license
    if extra:
        other = digits(test_fraction=0)
        # The grey edges that enlarging makes become as narrow as MNIST's.
        sharp = np.clip((other.x_train / 255 - 0.25) / 0.5, 0, 1)
        x.append(np.stack([center(crop_to_box(ink)) for ink in sharp]))
        y.append(other.y_train)
        source, terms = f"{source}; training part also: {other.source}", f"{terms}; {other.license}"
    if drawn:
        images, labels = draw_digits(drawn)
        x.append(images)
        y.append(labels)
        source = f"{source}; training part also: digits drawn by modelzoo"
    return dataclasses.replace(own, x_train=np.concatenate(x), y_train=np.concatenate(y), source=source, license=terms)


def _fashion_folder(download: bool) -> Path:
    import pooch

    cache = None
    with contextlib.suppress(RuntimeError):  # neither HOME nor the system's list of users names a home directory,
        cache = Path(pooch.os_cache("modelzoo")) / "fashion-mnist"
        cache = cache if cache.is_absolute() else None  # which older platformdirs leave as "~"
    if download:
        if cache is None:
            raise DataError("A download needs a place. Set the environment variable XDG_CACHE_HOME to a directory.")
        for name, sha256 in _FASHION_FILES.items():
            if not _is_published(cache / name, sha256):
                _fetch(name, sha256, cache)
    for place in (cache, _FASHION_SYSTEM_FOLDER):
        if place is not None and all((place / name).is_file() for name in _FASHION_FILES):
            return place
    raise DataError(
        "Fashion-MNIST is not on this machine. Pass download=True to fetch its 31 MB once, or folder=... with its "
        f"four IDX files (Debian's package dataset-fashion-mnist puts them in {_FASHION_SYSTEM_FOLDER})."
    )


def _is_published(path: Path, sha256: str) -> bool:
    """Return whether an IDX file, plain or compressed, has the published content."""
    try:
        array = read_idx(path)
    except DataError:
        return False
    return array.dtype == np.uint8 and hashlib.sha256(idx_bytes(array)).hexdigest() == sha256


def _fetch(name: str, sha256: str, cache: Path) -> None:
    import pooch

    reasons = []
    with atomic_file(cache / name) as temporary:  # Pooch would leave its temporary file there if it were killed
        for base in (_FASHION_URL, _FASHION_MIRROR):
            try:
                pooch.retrieve(base + name, None, fname=temporary.name, path=temporary.parent)
                if _is_published(temporary, sha256):
                    return
                reasons.append(f"{base}: other content than the published one")
                temporary.unlink()
            except OSError as error:  # requests' errors are OSErrors, too
                if getattr(error, "errno", None) is not None:  # the disk's
                    raise
                reasons.append(f"{base}: {' '.join(str(error).split()):.100}")
        raise DataError(f"Cannot download {name}: {'; '.join(reasons)}. Check the network, or pass folder=...")


@register_dataset(class_names=_FASHION_NAMES)
def fashion_mnist(
    *, classes: Iterable[int] | None = None, folder: str | os.PathLike[str] | None = None, download: bool = False
) -> Dataset:
    """Photos of clothes in MNIST's format: 60,000 training and 10,000 test images in ten classes.

    By Zalando Research, MIT licence, https://github.com/zalandoresearch/fashion-mnist.

    Parameters
    ----------
    classes
        Labels to keep; None keeps all. See :meth:`Dataset.subset`.
    folder
        Folder of the four IDX files, plain or .gz; their content is checked against pinned SHA-256. None looks in
        modelzoo's cache and where Debian's package dataset-fashion-mnist installs them.
    download
        Fetch the files (31 MB) into the cache where they are not found, or damaged there. Without it nothing is ever
        downloaded.

    Returns
    -------
    Dataset
        uint8 images 0-255 of shape ``(n, 28, 28)``, uint8 labels.
    """
    paths = find_idx_files(_fashion_folder(download) if folder is None else folder)
    for path, sha256 in zip(paths, _FASHION_FILES.values(), strict=True):
        if not _is_published(path, sha256):
            raise DataError(
                f"{path} is not Fashion-MNIST's file: its content has another SHA-256. "
                "Fetch it again (download=True mends modelzoo's cache), or load another data set by its path."
            )
    dataset = Dataset(
        *map(read_idx, paths),
        name="fashion_mnist",
        class_names=_FASHION_NAMES,
        source="https://github.com/zalandoresearch/fashion-mnist",
        license="MIT",
    )
    return dataset if classes is None else dataset.subset(classes)


@register_dataset(class_names=_DIGITS)
def digits(*, classes: Iterable[int] | None = None, test_fraction: float = 0.2, seed: int = 0) -> Dataset:
    """Scikit-learn's 1797 handwritten digits of 8 x 8 pixels, enlarged to MNIST's format.

    From the UCI data set "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, CC BY 4.0. The 8 x 8
    pixels become 20 x 20 by bicubic interpolation, in the middle of 28 x 28, with 16 grey levels spread over 0-255.

    Parameters
    ----------
    classes
        Digits to keep; None keeps all. See :meth:`Dataset.subset`.
    test_fraction
        Share held out for testing, each digit in proportion.
    seed
        Seed of that split.

    Returns
    -------
    Dataset
        uint8 images 0-255 of shape ``(n, 28, 28)``, white on black; uint8 labels.
    """
    x, y = _enlarged_digits()
    dataset = Dataset(
        x,
        y,
        name="digits",
        class_names=_DIGITS,
        source="scikit-learn load_digits; UCI Optical Recognition of Handwritten Digits",
        license="CC BY 4.0",
    ).split_test(test_fraction, seed)
    return dataset if classes is None else dataset.subset(classes)


@lru_cache(maxsize=1)
def _enlarged_digits() -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image
    from sklearn.datasets import load_digits

    small = load_digits()
    x = np.zeros((len(small.images), 28, 28), np.uint8)
    for target, image in zip(x, small.images, strict=True):
        large = Image.fromarray((image * (255 / 16)).astype(np.float32)).resize((20, 20), Image.Resampling.BICUBIC)
        target[4:24, 4:24] = np.clip(np.rint(np.asarray(large)), 0, 255)
    return x, small.target.astype(np.uint8)
