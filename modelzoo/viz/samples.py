"""The one form in which figures take data: samples with labels and names of classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from modelzoo._checks import check_names
from modelzoo.classes import class_names as names_of
from modelzoo.datasets import Dataset
from modelzoo.datasets.checks import as_array, check_labels, check_samples
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import as_batch, loaded, part_of

#: Classes that a figure tells apart; a label far above is a measurement, and would cost a matrix of its size.
MAX_CLASSES = 1000


class Samples(NamedTuple):
    """Samples ``x`` with integer labels ``y``, ``None`` without labels, and one name a class, empty if unknown."""

    x: np.ndarray
    y: np.ndarray | None
    class_names: tuple[str, ...]

    @property
    def labels(self) -> np.ndarray:
        """The labels, for figures that need them."""
        if self.y is None:
            raise DataError("This figure needs labels. Give a Dataset, or samples and labels as (x, y).")
        return self.y

    def named(self, num_classes: int | None = None) -> Samples:
        """Return labelled samples of ``num_classes`` classes with a name for each, their numbers by default."""
        count = num_classes or len(self.class_names) or int(self.labels.max()) + 1
        names = self.class_names or tuple(map(str, range(count)))
        if len(names) != count or self.labels.max() >= count:
            raise DataError(
                f"The model tells {count} classes apart, the data have labels up to {self.labels.max()} and "
                f"{len(names)} class names. Give it data of the same classes."
            )
        return self._replace(class_names=names)


def is_model(value: Any) -> bool:
    """Return whether a figure was given a Keras model, or the name or the directory of one."""
    return hasattr(value, "get_config") or isinstance(value, str | os.PathLike)


def image_for(model: Any, image: Any) -> np.ndarray:
    """Return one image as a Keras model takes it, without the batch; of other models as it is."""
    batch = as_batch(loaded(model), image) if is_model(model) else as_array(image, "image")[None]
    if len(batch) != 1:
        raise DataError(f"This figure shows one image; got {len(batch)}. Give one of them.")
    return batch[0]


def samples_of(
    data: Any, labels: Any = None, *, model: Any = None, part: str = "test", class_names: Sequence[str] = ()
) -> Samples:
    """Bring data to one form.

    Parameters
    ----------
    data
        A data set, ``((x_train, y_train), (x_test, y_test))``, ``(x, y)``, or the samples alone.
    labels
        Labels of samples given alone: integers ``(n,)`` or one-hot rows ``(n, num_classes)``.
    model
        A classifier. Where it is a Keras model, labels are numbered and classes named as its outputs.
    part
        Which part of a data set, ``"train"`` or ``"test"``.
    class_names
        Names of the classes; those of the model or of the data set by default.
    """
    names = check_names("class_names", class_names)
    if is_model(model):
        model = loaded(model)
        x, y = part_of(model, data, part, arrays=True)
        return Samples(x, y, names or names_of(model))
    if isinstance(data, Dataset):
        pair, names = getattr(data, part), names or data.class_names
        if pair is None:
            raise InputError(f"{data.name!r} has no {part} part. Give another one, such as data.train.")
    elif isinstance(data, tuple) and len(data) == 2:
        pair = data[part == "test"] if all(isinstance(each, tuple) for each in data) else data
    else:
        pair = data, labels
    x = check_samples(pair[0], where="samples")
    if pair[1] is None:
        return Samples(x, None, names)
    y = labels_of(pair[1], names)
    if len(y) != len(x):
        raise DataError(f"Expected {len(x)} labels, one a sample; got {len(y)}.")
    return Samples(x, y, names)


def labels_of(labels: Any, names: Sequence[str] = ()) -> np.ndarray:
    """Return labels, integers ``(n,)`` or one-hot rows, as integers of classes that a figure can tell apart."""
    y = check_labels(np.atleast_1d(as_array(labels, "labels")), num_classes=len(names) or None, where="labels")
    if y.max() >= MAX_CLASSES:
        raise DataError(f"Label {y.max()} is out of range: figures tell at most {MAX_CLASSES} classes apart.")
    return y


def points_of(data: Any, labels: Any = None, **options: Any) -> Samples:
    """Return :func:`samples_of` data that have to be labelled points in the plane, shape ``(n, 2)``."""
    found = samples_of(data, labels, **options)
    if found.x.shape[1:] != (2,):
        raise DataError(f"This figure shows points in the plane, shape (n, 2); got {found.x.shape}.")
    return found.named()


def images_of(data: Any, labels: Any = None, **options: Any) -> Samples:
    """Return :func:`samples_of` data that have to be images; a single grey channel is dropped."""
    found = samples_of(data, labels, **options)
    shape = found.x.shape
    if len(shape) != 3 and shape[3:] not in ((1,), (3,)):
        raise DataError(
            f"This figure shows images, shape (n, height, width[, 1 or 3]); got {shape}. A single one is image[None]."
        )
    return found._replace(x=found.x[..., 0]) if shape[3:] == (1,) else found
