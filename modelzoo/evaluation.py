"""What a model gets right: metrics over a whole data set, and predictions for single samples."""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np

from modelzoo import datasets
from modelzoo.errors import InputError, unknown_name
from modelzoo.frameworks import inference_function, keras, tf
from modelzoo.registry import get_spec, origin_of
from modelzoo.saving import load
from modelzoo.spec import Recipe
from modelzoo.training import check_fits, check_model, compute_metrics, training_data, warn_of_scaled_pixels

#: Samples a call of a model takes at once in :func:`predict`, so that memory stays bounded.
PREDICTION_BATCH = 1000


def recipe_of(model: keras.Model) -> Recipe:
    """Return the recipe a zoo model was trained with, or its lesson recipe."""
    origin = origin_of(model)
    if origin.training:
        return Recipe.from_dict(origin.training["recipe"])
    return get_spec(origin.name).recipe("lesson")


def own_data(model: keras.Model) -> datasets.Dataset:
    """Return the data set a zoo model was trained on, or is declared for.

    It is loaded by the name and the options in the model's card and compared with the checksum there.

    Raises
    ------
    InputError
        It was trained on other data, which only the caller can give.
    """
    origin = origin_of(model)
    name, options = get_spec(origin.name).dataset, recipe_of(model).data_options
    trained_on = (origin.training or {}).get("dataset", {})
    if "options" in trained_on and trained_on.get("name") in datasets.list_datasets():
        name, options = trained_on["name"], trained_on["options"]
    data = datasets.load(name, **options)
    if trained_on.get("checksum", data.checksum) != data.checksum or trained_on.get("name") == "tf.data":
        raise InputError(
            f"{origin.name} was trained on {trained_on.get('name')!r}, which is not {data.name!r} as its card says to "
            "load it. Say what to evaluate on (data=…, or --data)."
        )
    return data


def evaluate(
    model: keras.Model | str | os.PathLike[str],
    data: Any = None,
    *,
    split: Literal["test", "train"] = "test",
    recipe: Recipe | None = None,
) -> dict[str, float]:
    """Return the loss and the metrics of a model over a whole data set, in inference mode and float32.

    Parameters
    ----------
    model
        A model, the name of a pretrained one, or the directory of an artifact.
    data
        As for :func:`modelzoo.train`; the data set it was trained on by default.
    split
        Which part of the data, where they have two.
    recipe
        Names the loss; that of the model's last training, or its lesson recipe, by default.

    Returns
    -------
    dict
        ``loss``, and ``accuracy`` for classifiers; every sample counts once.

    Raises
    ------
    InputError
        An argument is not usable, or the model was trained on data that only the caller can give.
    DataError
        The data do not fit the model.
    ArtifactError
        The artifact is incomplete or altered.
    """
    if split not in ("test", "train"):
        raise unknown_name("split", split, ("test", "train"))
    if not isinstance(model, keras.Model):
        model = load(model)
    recipe = recipe or recipe_of(model)
    data = own_data(model) if data is None else data
    given = training_data(data, None, model, reconstruct=recipe.reconstruct, single_class=True)
    return compute_metrics(model, given.train if split == "train" or given.test is None else given.test, recipe)


def predict(model: keras.Model, samples: Any) -> np.ndarray:
    """Return a model's outputs for samples, through a compiled function that is kept with the model.

    Parameters
    ----------
    model
        Any Keras model with one input and one output.
    samples
        Array of shape ``(n, …)`` as the model takes them: raw 0–255 images, or points.

    Returns
    -------
    numpy.ndarray
        The outputs, shape ``(n, …)``.

    Raises
    ------
    DataError
        The samples do not fit the model.
    InputError
        They are a stream.
    """
    check_model(model)
    if isinstance(samples, datasets.Stream | datasets.StoredSamples):
        raise InputError("predict needs arrays; received a stream. Read some samples at a time: stream.test[:1000][0].")
    samples = datasets.as_array(samples, "samples")
    check_fits(samples, None, model, "samples")
    warn_of_scaled_pixels(samples, model, "samples")
    function = inference_function(model)
    parts = [samples[i : i + PREDICTION_BATCH] for i in range(0, len(samples), PREDICTION_BATCH)]
    return np.concatenate([function(tf.constant(part, tf.float32)).numpy() for part in parts])
