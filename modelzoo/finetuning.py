"""``finetune``: start from trained weights instead of random ones."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from modelzoo.datasets import Dataset
from modelzoo.errors import InputError, unknown_name
from modelzoo.frameworks import keras
from modelzoo.registry import Origin, create_model, get_spec, origin_of
from modelzoo.saving import load
from modelzoo.spec import Recipe
from modelzoo.training import train
from modelzoo.weights import weights_digest

logger = logging.getLogger(__name__)

#: Name of the layer that a change of classes replaces.
HEAD = "logits"


def finetune(
    source: keras.Model | str | os.PathLike[str],
    data: Any,
    *,
    freeze: str | Sequence[str] | None = None,
    num_classes: int | None = None,
    recipe: Recipe | str = "lesson",
    seed: int = 0,
    **options: Any,
) -> tuple[keras.Model, keras.callbacks.History]:
    """Train a pretrained model further, on its own or on other data.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live zoo model (which stays as it is).
    data
        As for :func:`modelzoo.train`.
    freeze
        ``None`` trains everything, ``"backbone"`` only the head, and a sequence of layer names freezes these.
    num_classes
        Number of classes of the new task; taken from a ``Dataset``, otherwise the source's own. Where the number
        or the names of the classes differ from the source's, the head starts anew.
    recipe
        A recipe, or the name of one of the source's.
    seed
        Seed of the new head, the sample order and dropout.
    **options
        Further arguments of :func:`modelzoo.train`: ``callbacks``, ``checkpoint_dir``, ``resume``, ….

    Returns
    -------
    model, history
        The fine-tuned model, whose card will name its parent, and what training returned. Frozen layers are
        trainable again.

    Raises
    ------
    InputError
        An argument is not usable.
    DataError
        The data do not fit the model.
    ArtifactError
        The artifact is incomplete or altered.
    """
    parent = source if isinstance(source, keras.Model) else load(source)
    origin = origin_of(parent)
    if num_classes is None and isinstance(data, Dataset) and _classes_of(parent) is not None:
        num_classes = data.num_classes
    other_classes = isinstance(data, Dataset) and bool(origin.class_names) and data.class_names != origin.class_names
    model = _copy(parent, origin, num_classes, seed, new_head=other_classes)
    frozen = _layers_to_freeze(model, freeze)
    if isinstance(recipe, str):
        recipe = get_spec(origin.name).recipe(recipe)
    origin_of(model).parent = {
        "name": origin.name,
        "weights_digest": weights_digest(parent),
        "class_names": list(origin.class_names),
        "frozen": [layer.name for layer in frozen],
    }
    try:
        for layer in frozen:
            layer.trainable = False
        history = train(model, data, recipe, seed=seed, **options)
    finally:
        for layer in frozen:
            layer.trainable = True
    return model, history


def _classes_of(model: keras.Model) -> int | None:
    """Return the number of classes a classifier tells apart, or ``None`` where its builder cannot change it."""
    options = get_spec(origin_of(model).name).options
    return model.output_shape[-1] if "num_classes" in options else None


def _copy(parent: keras.Model, origin: Origin, num_classes: int | None, seed: int, *, new_head: bool) -> keras.Model:
    """Return a model with the parent's weights, except for a head that has other classes."""
    options = dict(origin.options)
    own = _classes_of(parent)
    if num_classes is not None:
        if own is None:
            if num_classes != 2:
                raise InputError(
                    f"{origin.name} has no num_classes to change; received num_classes={num_classes!r}. Leave it out."
                )
        else:
            options["num_classes"] = num_classes
    model = create_model(origin.name, seed=seed, **options)
    kept = {weight.path: weight for weight in parent.weights}
    for weight in model.weights:
        twin = kept[weight.path]
        is_head = weight.path.split("/")[-2] == HEAD
        if twin.shape == weight.shape and not (is_head and new_head):
            weight.assign(twin.value)
        elif is_head:
            logger.info("The head %s starts anew: %s becomes %s.", weight.path, tuple(twin.shape), tuple(weight.shape))
        else:
            raise InputError(f"{weight.path} has shape {tuple(weight.shape)}, the parent's has {tuple(twin.shape)}.")
    return model


def _layers_to_freeze(model: keras.Model, freeze: str | Sequence[str] | None) -> list[keras.layers.Layer]:
    if freeze is None:
        return []
    layers = {layer.name: layer for layer in model._flatten_layers() if layer.weights and not hasattr(layer, "layers")}
    if freeze == "backbone":
        if HEAD not in layers:
            raise InputError(
                f"{model.name!r} has no head apart from a backbone. Freeze layers by name: {list(layers)}."
            )
        return [layer for name, layer in layers.items() if name != HEAD]
    names = [freeze] if isinstance(freeze, str) else list(freeze)
    for name in names:
        if name not in layers:
            raise unknown_name("layer to freeze", name, [*layers, "backbone"])
    if len(set(names)) == len(layers):
        raise InputError(f"freeze={names} leaves nothing to train. Leave out at least one of {list(layers)}.")
    return [layers[name] for name in dict.fromkeys(names)]
