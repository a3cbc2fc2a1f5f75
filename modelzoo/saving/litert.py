"""``save_litert``: a live zoo model becomes one LiteRT (TensorFlow Lite) file, quantised if asked."""

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from modelzoo._checks import check_choice, check_integer, check_path
from modelzoo._io import atomic_file, check_target, explained, undated_member
from modelzoo._keras import explained_by_tensorflow, keras, tf
from modelzoo.datasets.checks import check_samples
from modelzoo.errors import InputError
from modelzoo.network import read_network
from modelzoo.registry import base_recipe
from modelzoo.saving.saved_model import conversion_error, export_facts, write_saved_model

logger = logging.getLogger(__name__)

Quantization = Literal["float16", "int8"]
TensorType = Literal["float32", "int8", "uint8"]

#: Name of the facts in the file: ``unzip -p model.tflite modelzoo.json`` prints them.
FACTS_NAME = "modelzoo.json"


def save_litert(
    model: keras.Model,
    path: str | os.PathLike[str],
    *,
    quantize: Quantization | None = None,
    calibration: Any = None,
    batch_size: int | None = None,
    input_type: TensorType = "float32",
    output_type: TensorType = "float32",
    overwrite: bool = False,
) -> None:
    """Write a zoo model as one LiteRT file, with its preprocessing inside.

    Input and output have the names of the SavedModel's signature ``serving_default``; an autoencoder also has
    ``encode`` and ``decode``. The card's facts are in the file as LiteRT keeps the files that belong to a model: in a
    zip archive at its end.

    Parameters
    ----------
    model
        A model made by a zoo builder.
    path
        The file to write, which ends in ``.tflite``; it is complete or absent, whatever happens meanwhile.
    quantize
        ``"float16"`` stores the weights in half precision and computes in float32. ``"int8"`` stores them in 8-bit
        integers, with a scale for each output channel. Classifiers of images then compute in 8-bit integers
        throughout; other models keep float values between their layers, because 256 steps are too coarse for
        coordinates and for reconstructed pixels, and their weights of fewer than 1024 numbers stay float32.
    calibration
        For the 8-bit arithmetic of classifiers of images (:func:`needs_calibration`): raw 0–255 images of shape
        ``(n, height, width)``, from which the ranges of the activations are taken. Some hundred training samples
        will do.
    batch_size
        The number of samples the file takes at once; any number by default, which some compilers for small boards and
        accelerators do not accept.
    input_type, output_type
        ``"uint8"`` or ``"int8"`` for 8-bit arithmetic (:func:`needs_calibration`): integers go in or come out as they
        are computed with. uint8 inputs are pixels of 0–255; scale and zero point of all others are in the file.
    overwrite
        Replace an existing file.

    Raises
    ------
    InputError
        The model is not a zoo model or cannot be converted, or an argument does not fit the model or another one.
    DataError
        The calibration samples are empty, not finite, or of another shape than the model takes.
    TargetExistsError
        ``path`` exists and ``overwrite`` is false.
    TargetError
        ``path`` cannot be written, nor can the directory for temporary files.
    """
    path = check_path(path, "the .tflite file to write", suffix=".tflite")
    if quantize is not None:
        check_choice("quantization", quantize, get_args(Quantization))
    if batch_size is not None:
        check_integer("batch_size", batch_size)
    facts = export_facts(model)
    calibrates = needs_calibration(model, quantize)
    for name, value in (("input_type", input_type), ("output_type", output_type)):
        if check_choice(name, value, get_args(TensorType)) != "float32" and not calibrates:
            raise InputError(f"{name}={value!r} needs quantize='int8' of a classifier of images; leave it out.")
    if calibrates and calibration is None:
        raise InputError(
            f"quantize='int8' of {model.name!r} needs calibration samples, such as calibration=data.x_train[:2000]."
        )
    if calibration is not None and not calibrates:
        raise InputError(
            "calibration samples serve quantize='int8' of classifiers of images alone, not "
            f"quantize={quantize!r} of {model.name!r}; leave them out."
        )
    if calibrates:
        samples = check_samples(calibration, model=model, where="calibration").astype(np.float32)
    check_target(path, overwrite=overwrite)
    place = Path(tempfile.gettempdir())
    with explained(place), tempfile.TemporaryDirectory() as directory, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # calibration runs on tf.lite.Interpreter, which warns that it will move
        with explained_by_tensorflow(place):
            write_saved_model(model, Path(directory), batch_size=batch_size)
        converter = tf.lite.TFLiteConverter.from_saved_model(directory)
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if calibrates:
            if input_type == "uint8":
                samples[0].flat[[0, -1]] = 0, 255  # from these two corners the scale is 1: a byte is the pixel
            converter.representative_dataset = lambda: _representative(model, samples, batch_size or 1)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = tf.as_dtype(input_type)
            converter.inference_output_type = tf.as_dtype(output_type)
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises many kinds for operations it does not know
            remedy = "Leave quantize out, or export" if quantize else "Export"
            raise conversion_error(model, "LiteRT", error, remedy) from error
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_bytes(_with_facts(content, facts | {"quantize": quantize or "none"}))
    logger.info("Saved %s to %s.", facts["name"], path)


def needs_calibration(model: keras.Model, quantize: str | None) -> bool:
    """Return whether :func:`save_litert` needs calibration samples: for 8-bit arithmetic, of classifiers of images."""
    takes_images = len(model.input_shape) > 2
    return quantize == "int8" and takes_images and not base_recipe(model).reconstruct


def _representative(model: keras.Model, samples: np.ndarray, size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield batches of samples for the signature; the last one is filled up from the beginning."""
    name = read_network(model).input.name
    for start in range(0, len(samples), size):
        yield "serving_default", {name: samples.take(range(start, start + size), axis=0, mode="wrap")}


def _with_facts(content: bytes, facts: dict[str, str]) -> bytes:
    """Append the facts as a zip archive, which readers of the model pass over; the same facts give the same bytes."""
    buffer = io.BytesIO(content)
    with zipfile.ZipFile(buffer, "a") as archive:
        text = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        archive.writestr(undated_member(FACTS_NAME), text)
    return buffer.getvalue()
