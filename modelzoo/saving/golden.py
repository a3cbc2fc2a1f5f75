"""Golden vectors: inputs with the outputs Keras gave for them, stored in each artifact for comparisons."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np

from modelzoo._io import undated_member
from modelzoo._keras import graph_function, keras, tf
from modelzoo.datasets import read_npz
from modelzoo.datasets.checks import check_samples
from modelzoo.errors import ArtifactError, DataError

#: Where the golden vectors are in a SavedModel directory, beside the card.
GOLDEN_PATH = "assets.extra/golden.npz"
#: How many samples are kept of those a caller has, and how many are made up without.
GOLDEN_COUNT = 16

_SEED = 20260101
_MAX_BYTES = 1 << 28  # golden vectors are small; a file that unpacks to more is none
_UNKNOWN_SIDE = 28  # stands for a side that the model leaves open


def read_golden(directory: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the golden vectors of an artifact.

    Parameters
    ----------
    directory
        A SavedModel directory written by :func:`modelzoo.save`. Its hashes are not checked here:
        :func:`modelzoo.card.read_card` does that.

    Returns
    -------
    inputs, outputs
        Samples as the model takes them, raw 0–255 images (uint8 or float32) or float32 points of shape ``(n, …)``,
        and what Keras answered to them in inference mode and float32, of shape ``(n, …)``.

    Raises
    ------
    ArtifactError
        The file is missing, or holds something else.
    """
    path = Path(directory) / GOLDEN_PATH
    if not path.is_file():
        raise ArtifactError(f"{directory} has no {GOLDEN_PATH}. Export the artifact again with modelzoo.save.")
    try:
        arrays = read_npz(path, max_bytes=_MAX_BYTES)
        inputs, outputs = arrays["inputs"], arrays["outputs"]
        check_samples(inputs, where=GOLDEN_PATH)
    except (DataError, KeyError) as error:
        raise ArtifactError(f"{path} does not hold golden vectors: {error}. Export the artifact again.") from None
    if len(inputs) != len(outputs):
        raise ArtifactError(f"{path} has {len(inputs)} inputs and {len(outputs)} outputs. Export the artifact again.")
    return inputs, outputs


def golden_inputs(model: keras.Model, samples: np.ndarray | None = None) -> np.ndarray:
    """Return samples in the form golden vectors are stored in, or make some up from a fixed seed.

    Parameters
    ----------
    model
        The model that takes them.
    samples
        Array of shape ``(n, …)``: raw 0–255 images or points. Without it, patchy grey images or normally
        distributed points are drawn, :data:`GOLDEN_COUNT` of them, the same in every run.

    Returns
    -------
    numpy.ndarray
        The samples: uint8 where they are, else float32.

    Raises
    ------
    DataError
        The samples are empty, not finite, or of another shape than the model takes.
    """
    if samples is None:
        return _made_up(model)
    samples = check_samples(samples, model=model, where="golden")
    return samples if samples.dtype == np.uint8 else samples.astype(np.float32)


def write_golden(directory: Path, model: keras.Model, inputs: np.ndarray) -> None:
    """Write inputs and the model's outputs; the same model and inputs give the same bytes.

    Parameters
    ----------
    directory
        The SavedModel directory.
    model
        The model.
    inputs
        What :func:`golden_inputs` returned.
    """
    # The compiled graph, not eager calls, is what predict and the SavedModel run.
    outputs = graph_function(lambda x: model(x, training=False))(tf.constant(inputs, tf.float32))
    path = directory / GOLDEN_PATH
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in (("inputs", inputs), ("outputs", outputs.numpy().astype(np.float32))):
            with archive.open(undated_member(f"{name}.npy"), "w") as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def _made_up(model: keras.Model) -> np.ndarray:
    shape = [_UNKNOWN_SIDE if side is None else side for side in model.input_shape[1:]]
    rng = np.random.default_rng(_SEED)
    if "int" in str(model.inputs[0].dtype):  # indices, of which 0 and 1 exist in every table
        return rng.integers(0, 2, (GOLDEN_COUNT, *shape)).astype(np.float32)
    if len(shape) == 1:
        return (2 * rng.standard_normal((GOLDEN_COUNT, *shape))).astype(np.float32)
    height, width, *channels = shape
    grey = rng.uniform(-1, 1, (GOLDEN_COUNT, -(-height // 4), -(-width // 4), *channels)).clip(0)
    patches = grey.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    return np.rint(255 * patches).astype(np.uint8)
