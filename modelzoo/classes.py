"""What the outputs of a model mean: the names of its classes, and the labels of data matched to them by name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from modelzoo.datasets import dataset_classes
from modelzoo.datasets.checks import check_labels
from modelzoo.errors import DataError
from modelzoo.network import read_network, reconstructs
from modelzoo.registry import card_for, spec_of


def class_names(model: Any) -> tuple[str, ...]:
    """Return the names of a model's classes, in the order of its outputs; two for a single output.

    They are those of the data it was trained on. A model that met none has those of the data set its builder is
    declared for, if their number fits, and else the numbers of the outputs. An autoencoder has ``()``.

    Parameters
    ----------
    model
        A Keras model with one output.

    Examples
    --------
    >>> import modelzoo
    >>> modelzoo.class_names(modelzoo.create_model("xor_mlp"))
    ('equal', 'different')
    """
    if not hasattr(model, "output_shape"):  # one in NumPy has it, too
        read_network(model)  # says why not
    count, spec = num_classes(model), spec_of(model)
    if count is None:
        return ()
    declared = dataset_classes(spec.dataset) if spec else ()
    return _own_names(model) or (declared if len(declared) == count else tuple(map(str, range(count))))


def num_classes(model: Any) -> int | None:
    """Return how many classes a model tells apart, or ``None`` if it reconstructs its input."""
    spec = spec_of(model)
    if reconstructs(model) or (spec and spec.task == "reconstruction"):
        return None
    return max(math.prod(model.output_shape[1:]), 2)


def adopted_names(model: Any, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a model's classes when it meets data with these class names, ``()`` if they have none.

    They are the model's own where it knows all of the data's, and the data's where it was never told any and the number
    fits.

    Raises
    ------
    DataError
        The model does not know a class of the data.
    """
    known = class_names(model)
    if not known or set(names) <= set(known):
        return known
    if not _own_names(model) and len(names) == len(known):
        return tuple(names)
    raise _unknown("the data", names, known)


def match_labels(labels: Any, names: Sequence[str], model_names: Sequence[str], where: str) -> np.ndarray:
    """Return labels that number some class names as the numbers of the same names among a model's.

    Parameters
    ----------
    labels
        Positions in ``names``, shape ``(n,)``, or one-hot rows of shape ``(n, len(names))``.
    names
        Class names of the data: a subset or a permutation of the model's.
    model_names
        See :func:`class_names`.
    where
        What the labels are, for errors.

    Raises
    ------
    DataError
        The model does not know one of the names, or a label is out of range.
    """
    labels = check_labels(labels, num_classes=len(names), where=where)
    if not set(names) <= set(model_names):
        raise _unknown(where, names, model_names)
    places = [list(model_names).index(name) for name in names]
    return labels if places == list(range(len(names))) else np.array(places)[labels]


def _own_names(model: Any) -> tuple[str, ...]:
    """Return the names in a model's card, ``()`` without names or with a number of them that does not fit."""
    names = card_for(model).class_names
    return names if len(names) == num_classes(model) else ()


def _unknown(where: str, names: Iterable[str], known: Sequence[str]) -> DataError:
    odd = next(name for name in names if name not in known)
    return DataError(
        f"{where} has the class {odd!r}, which the model does not know. Classes of the data: {_listed(names)}; of the "
        f"model: {_listed(known)}. Give data of the model's classes, fine-tune it for these (modelzoo.finetune makes a "
        "new head), or give (x, y), whose labels are the numbers of the model's outputs."
    )


def _listed(names: Iterable[str]) -> str:
    return re.sub(r"^(.{200}).+", r"\1, …", ", ".join(names), flags=re.DOTALL)
