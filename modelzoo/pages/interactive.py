"""A network as one page to play with: it opens from a file, asks for nothing, and computes in the browser."""

from __future__ import annotations

import base64
import dataclasses
import logging
import math
import os
import zlib
from typing import Any

import numpy as np

from modelzoo._checks import check_path
from modelzoo._io import atomic_file
from modelzoo.card import artifact_name
from modelzoo.classes import class_names
from modelzoo.errors import InputError
from modelzoo.evaluation import interpret, own_data
from modelzoo.numpy_runtime import Runtime, load_runtime
from modelzoo.pages.markdown import read_docstring
from modelzoo.registry import card_for, spec_of
from modelzoo.saving import find, read_golden
from modelzoo.viz.autoencoder import is_raw
from modelzoo.viz.style import class_colors
from modelzoo.web import inlined

logger = logging.getLogger(__name__)

#: The share of test images that may get another class by smaller weights: 0.02 points.
TOLERANCE = 0.0002
#: Networks with fewer parameters keep float32: a page is small anyway.
SMALL = 10_000
#: Points, and codes of images, that a page shows.
SHOWN = 1000


def write_page(
    source: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    compared: int | None = None,
) -> str:
    """Write one HTML file with a network to play with, without TensorFlow.

    A classifier of images reads what is drawn; a network of points shows its plane and its units; an autoencoder with
    two latent units shows its codes and decodes any point.

    Parameters
    ----------
    source
        Name of a pretrained model, or the directory of an artifact.
    path
        The ``.html`` file to write.
    overwrite
        Replace an existing file.
    compared
        On how many test samples smaller weights are compared with the network's own; all by default.

    Returns
    -------
    str
        How the weights are stored, and what that changes.

    Raises
    ------
    UnknownLayerError
        A layer is known to Keras only.
    InputError
        The network takes neither images nor points of the plane.
    """
    path = check_path(path, "the .html file to write", suffix=".html")
    facts = page_facts(source, compared=compared)
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_text(inlined("artifact.html", facts), encoding="utf-8")
    return facts["stored"]


def page_facts(source: str | os.PathLike[str], *, compared: int | None = None) -> dict[str, Any]:
    """Return what a page is told of a network, ready for JSON."""
    directory = find(source)
    runtime = load_runtime(directory)
    card, spec, names = card_for(runtime), spec_of(runtime), class_names(runtime)
    kind, title, shape = _kind(runtime, names), artifact_name(directory), runtime.input_shape[1:]
    try:
        data = own_data(runtime)
    except InputError as error:
        logger.info("%s The page shows the samples beside the card.", error)
        data = None
    x, y = read_golden(directory)[0], None
    if data is not None:
        x, y = data.train if data.x_test is None else data.test
    labels = list(data.class_names) if data is not None else []
    weights, stored = _stored(runtime, x[:compared], classifies=bool(names))
    params = runtime.network.num_params
    facts = {
        "kind": kind,
        "title": title,
        "summary": read_docstring(spec.builder).summary if spec else f"A network of {params:,} parameters.",
        "shape": list(shape),
        "classes": list(names),
        "logits": bool(names) and runtime.network.gives_logits,
        "preparation": card.preparation,
        "network": runtime.network.to_dict(),
        "weights": weights,
        "stored": stored,
        "images": {"names": [], "pixels": ""},
        "points": {"x": "", "y": []},
        "colors": class_colors(max(len(names), len(labels), 2)),
        "labels": labels,
    }
    if kind == "points":
        if data is not None:
            x, y = (part[:SHOWN] for part in data.train)
            facts["points"] = {"x": _packed(x, np.float32), "y": [int(label) for label in y]}
    else:
        chosen = _one_a_class(y, 10) if y is not None else list(range(min(10, len(x))))
        told = [labels[y[i]] if y is not None and labels else f"{number}" for number, i in enumerate(chosen, 1)]
        facts["images"] = {"names": told, "pixels": _packed(np.rint(x[chosen]), np.uint8)}
    if kind == "codes":
        x, y = x[:SHOWN], None if y is None else y[:SHOWN]
        latent, codes = _codes(runtime, x)
        facts["scale"] = 1 if is_raw(runtime(x[:10])) else 255  # what makes the outputs pixels
        facts |= {"latent": latent, "points": {"x": _packed(codes, np.float32), "y": [] if y is None else y.tolist()}}
    origin = (card.training or {}).get("dataset", {}).get("name")
    facts["about"] = f"{title}: {params:,} parameters" + (f", trained on {origin}. " if origin else ". ") + stored
    return facts


def _kind(runtime: Runtime, names: tuple[str, ...]) -> str:
    """Return what a network is to the page: ``"images"``, ``"points"`` or ``"codes"``."""
    shape = runtime.input_shape[1:]
    images = len(shape) in (2, 3) and None not in shape and shape[2:] in ((), (1,), (3,))
    if images and names:
        return "images"
    if shape == (2,) and names:
        return "points"
    if images and runtime.output_shape == runtime.input_shape:
        return "codes"
    raise InputError(
        f"{runtime.name!r} takes samples of shape {shape}: a page shows networks that classify images, grey or of "
        "three colours, or points of the plane, and autoencoders of images."
    )


def _packed(values: Any, dtype: Any) -> str:
    """Return numbers as the page reads them: little-endian, in base64."""
    return base64.b64encode(np.ascontiguousarray(values, np.dtype(dtype).newbyteorder("<")).tobytes()).decode("ascii")


def _one_a_class(labels: np.ndarray, count: int) -> list[int]:
    """Return the indices of up to ``count`` samples, the same number of each class, sorted by class."""
    classes = np.unique(labels)[:count]
    each = count // len(classes)
    return [int(i) for label in classes for i in np.flatnonzero(labels == label)[:each]]


def _stored(runtime: Runtime, x: np.ndarray, *, classifies: bool) -> tuple[dict[str, Any], str]:
    """Return the weights in the smallest form that keeps the classes of samples, and what they change in words."""
    used = {weight.path for layer in runtime.network.layers for weight in layer.weights}
    weights = {path: value for path, value in runtime.weights.items() if path in used}
    if sum(value.size for value in weights.values()) < SMALL:
        return {path: _plain(value, np.float32) for path, value in weights.items()}, "Weights in float32, as they are."
    expected = runtime(x)
    for form, compress in (("int8", _int8), ("float16", _float16)):
        forms = {path: compress(value) for path, value in weights.items()}
        outputs = Runtime(runtime.network, {path: decoded for path, (_, decoded) in forms.items()})(x)
        if classifies:
            changed = int((interpret(runtime, outputs).classes != interpret(runtime, expected).classes).sum())
            good = changed <= TOLERANCE * len(x)
            words = f"{changed} of {len(x):,} test samples get another class than in float32."
        else:
            change = float(np.abs(outputs - expected).mean() / max(float(np.abs(expected).max()), 1e-9))
            good = change < 0.005
            words = (
                f"on {len(x):,} test images, pixels differ from float32's by {change:.2%} of the brightest on average."
            )
        stored = {path: facts for path, (facts, _) in forms.items()}, f"Weights in {form}: {words}"
        if good:
            break
    return stored


def _plain(value: np.ndarray, dtype: Any) -> dict[str, Any]:
    return {"dtype": np.dtype(dtype).name, "shape": list(value.shape), "data": _packed(value, dtype)}


def _float16(value: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Return a weight in float16 and what the page makes of it; one that float16 cannot hold stays as it is."""
    if value.size and np.abs(value).max() > np.finfo(np.float16).max:
        return _plain(value, np.float32), value
    half = value.astype(np.float16)
    return _plain(half, np.float16), half.astype(np.float32)


def _int8(value: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Return a kernel in 8 bits with a scale for each output; vectors, which are small, stay in float32."""
    if value.ndim < 2 or math.prod(value.shape) < SMALL:
        return _plain(value, np.float32), value
    scale = np.maximum(np.abs(value).max(axis=tuple(range(value.ndim - 1))) / 127, 1e-12).astype(np.float32)
    levels = np.rint(value / scale).astype(np.int8)
    data = base64.b64encode(zlib.compress(levels.tobytes(), 9)).decode("ascii")
    facts = {"dtype": "int8", "zlib": True, "shape": list(value.shape), "data": data}
    return facts | {"scale": _packed(scale, np.float32)}, levels * scale


def _codes(runtime: Runtime, x: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the name of an autoencoder's narrowest layer, and what it gives for samples."""
    layers = runtime.network.layers
    middle = min(range(len(layers)), key=lambda i: math.prod(map(int, filter(None, layers[i].output_shape))))
    closed = all(index >= middle for layer in layers[middle + 1 :] for index in layer.inputs)
    if layers[middle].output_shape != (2,) or not closed:
        raise InputError(f"{runtime.name!r} must have a latent layer of 2 units, through which all goes, for a page.")
    encoder = dataclasses.replace(runtime.network, layers=layers[: middle + 1], outputs=(middle,))
    return layers[middle].name, Runtime(encoder, runtime.weights)(x)
