"""Data sets: ``load(name)`` or ``load(path)`` returns a :class:`Dataset`.

Importing this package imports neither TensorFlow nor scikit-learn, Pillow or Pooch; loaders import what they need.
"""

from modelzoo.datasets.checks import as_array, check_arrays, check_labels, check_samples, fits_shape
from modelzoo.datasets.corruptions import CORRUPTIONS
from modelzoo.datasets.dataset import Dataset, from_arrays, one_hot, stratified_split
from modelzoo.datasets.digit import DigitImages, load_digit_image, load_digit_images
from modelzoo.datasets.files import find_idx_files, load_csv, load_idx_folder, load_npz, read_csv, read_idx, read_npz
from modelzoo.datasets.images import read_image, stream_images
from modelzoo.datasets.mnist import MNIST_CHECKSUM
from modelzoo.datasets.registry import (
    dataset_classes,
    dataset_options,
    describe_dataset,
    list_datasets,
    load,
    register_dataset,
    register_file_loader,
    stream,
)
from modelzoo.datasets.streaming import StoredSamples, Stream
from modelzoo.datasets.synthetic import bayes_accuracy, bayes_predict
from modelzoo.datasets.tfrecord import stream_tfrecord, write_tfrecord

__all__ = [
    "CORRUPTIONS",
    "MNIST_CHECKSUM",
    "Dataset",
    "DigitImages",
    "StoredSamples",
    "Stream",
    "as_array",
    "bayes_accuracy",
    "bayes_predict",
    "check_arrays",
    "check_labels",
    "check_samples",
    "dataset_classes",
    "dataset_options",
    "describe_dataset",
    "find_idx_files",
    "fits_shape",
    "from_arrays",
    "list_datasets",
    "load",
    "load_csv",
    "load_digit_image",
    "load_digit_images",
    "load_idx_folder",
    "load_npz",
    "one_hot",
    "read_csv",
    "read_idx",
    "read_image",
    "read_npz",
    "register_dataset",
    "register_file_loader",
    "stratified_split",
    "stream",
    "stream_images",
    "stream_tfrecord",
    "write_tfrecord",
]
