"""``finetune``: start from trained weights instead of random ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelzoo._keras import keras
from modelzoo.creation import HEAD, inherit
from modelzoo.datasets import Dataset, Stream
from modelzoo.errors import InputError, unknown_name
from modelzoo.recipe import Recipe
from modelzoo.registry import build_model, get_spec, origin_of
from modelzoo.saving import load
from modelzoo.training import compile_model, train

#: Name of the recipe that fine-tuning takes by default.
RECIPE = "finetuning"

#: What stands for all layers but the head.
BACKBONE = "backbone"


def finetune(
    source: keras.Model | str | os.PathLike[str],
    data: Any,
    *,
    freeze: str | Sequence[str] | None = None,
    num_classes: int | None = None,
    recipe: Recipe | str = RECIPE,
    layer_learning_rates: Mapping[str, float] | None = None,
    backbone_learning_rate: float | None = None,
    seed: int = 0,
    **options: Any,
) -> tuple[keras.Model, keras.callbacks.History]:
    """Train a pretrained model further, on its own or on other data.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live zoo model (which stays as it is).
    data
        As for :func:`modelzoo.train`: a ``Dataset``, a ``Stream``, arrays, or a ``tf.data.Dataset`` of batches.
    freeze
        ``None`` trains everything, ``"backbone"`` only the head, and a sequence of layer names freezes these.
    num_classes
        Number of classes of the new task; taken from a ``Dataset``, otherwise the source's own. Where the number
        or the names of the classes differ from the source's, the head starts anew.
    recipe
        A recipe, or the name of one of the source's; ``"finetuning"`` is :func:`finetuning_recipe`.
    layer_learning_rates
        Multipliers, above 0, of the learning rate of single layers by name; they win over those of the recipe.
    backbone_learning_rate
        Multiplier, above 0, of the learning rate of all layers but the head that are neither frozen nor named in
        ``layer_learning_rates``.
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
    recipe, frozen = plan_finetuning(
        parent,
        recipe=recipe,
        freeze=freeze,
        layer_learning_rates=layer_learning_rates,
        backbone_learning_rate=backbone_learning_rate,
    )
    if num_classes is None and isinstance(data, Dataset | Stream) and _classes_of(parent) is not None:
        num_classes = data.num_classes
    other_classes = (
        isinstance(data, Dataset | Stream) and bool(origin.class_names) and data.class_names != origin.class_names
    )
    model = inherit(parent, num_classes=num_classes, new_head=other_classes, seed=seed)
    child = origin_of(model)
    class_names = child.class_names
    child.parent = {**(child.parent or {}), "frozen": frozen}
    if origin.parent is not None:
        child.parent["parent"] = origin.parent
    layers = _trained_layers(model)
    try:
        for name in frozen:
            layers[name].trainable = False
        history = train(model, data, recipe, seed=seed, **options)
    finally:
        for name in frozen:
            layers[name].trainable = True
    if frozen:  # the optimiser it was trained with knows the other layers only
        compile_model(model, recipe)
    if not child.class_names:  # arrays name no classes; a head that was kept still has its own
        child.class_names = class_names
    return model, history


def finetuning_recipe(model: keras.Model | str) -> Recipe:
    """Return the recipe that fine-tuning takes by default, derived from the model's lesson recipe.

    The loss, its target and the precision are the lesson's. A model of images gets Adam whose learning rate falls from
    3e-4 to 0 along a cosine, in 1000 steps of 64 samples, because the lessons' hyper-parameters are made for a whole
    data set and random initial weights. ``python scripts/finetune_tasks.py --select`` compares the candidates on
    validation splits of small training sets. A model of points keeps its lesson's optimiser and length, which take
    seconds. A recipe named ``"finetuning"`` that the model declares itself comes first.

    Parameters
    ----------
    model
        A zoo model, or the name of a builder.

    Raises
    ------
    InputError
        The name is not known, or the model was not made by a zoo builder.
    """
    spec = get_spec(model if isinstance(model, str) else origin_of(model).name)
    if RECIPE in spec.recipes:
        return spec.recipe(RECIPE)
    lesson = spec.recipe("lesson").replace(model_options={}, data_options={})
    shape = (build_model(model) if isinstance(model, str) else model).input_shape
    if len(shape) == 2:
        return lesson.replace(source=f"Fine-tuning by the lesson's recipe: {lesson.source}")
    return lesson.replace(
        steps=1000,
        batch_size=64,
        optimizer="adam",
        learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 3e-4}},
        optimizer_options={},
        log_every=100,
        log_train="batches",
        validation_freq=10,
        source="Our own: Adam, 3e-4 falling along a cosine, batch 64, 1000 steps; the loss is the lesson's",
    )


def plan_finetuning(
    model: keras.Model,
    *,
    recipe: Recipe | str = RECIPE,
    freeze: str | Sequence[str] | None = None,
    layer_learning_rates: Mapping[str, float] | None = None,
    backbone_learning_rate: float | None = None,
) -> tuple[Recipe, list[str]]:
    """Resolve the arguments of :func:`finetune` against a model, before any data are read.

    Parameters
    ----------
    model
        The model to start from.
    recipe, freeze, layer_learning_rates, backbone_learning_rate
        As for :func:`finetune`.

    Returns
    -------
    recipe, frozen
        The recipe with its layer-wise learning rates, and the names of the layers to freeze.

    Raises
    ------
    InputError
        A recipe or layer does not exist, a multiplier is not positive or belongs to a frozen layer, or nothing is
        left to train.
    """
    if isinstance(recipe, str):
        name = origin_of(model).name
        known = get_spec(name).recipes
        if recipe not in {*known, RECIPE}:
            raise unknown_name(f"recipe of {name}", recipe, {*known, RECIPE})
        recipe = finetuning_recipe(model) if recipe == RECIPE else known[recipe]
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe must be a Recipe or the name of one; received {recipe!r}.")
    layers = list(_trained_layers(model))
    frozen = _frozen_names(model, layers, freeze)
    rates = {name: rate for name, rate in recipe.layer_learning_rates.items() if name not in frozen}
    if backbone_learning_rate is not None:
        _check_backbone(model, layers)
        backbone = [name for name in layers if name != HEAD and name not in frozen]
        if not backbone:
            raise InputError(
                f"backbone_learning_rate={backbone_learning_rate!r} applies to no layer: only the head is trained. "
                "Leave it out, or freeze less."
            )
        rates |= dict.fromkeys(backbone, backbone_learning_rate)
    if not isinstance(layer_learning_rates or {}, Mapping):
        raise InputError(f"layer_learning_rates must map layers' names to factors; received {layer_learning_rates!r}.")
    for name, rate in (layer_learning_rates or {}).items():
        if name not in layers:
            raise unknown_name("layer with weights to train", name, layers)
        if name in frozen:
            raise InputError(f"The layer {name!r} has a learning rate ({rate!r}) and is frozen. Leave one out.")
        rates[name] = rate
    return recipe.replace(layer_learning_rates=rates), frozen


def _classes_of(model: keras.Model) -> int | None:
    """Return the number of classes a classifier tells apart, or ``None`` where its builder cannot change it."""
    options = get_spec(origin_of(model).name).options
    return model.output_shape[-1] if "num_classes" in options else None


def _trained_layers(model: keras.Model) -> dict[str, keras.layers.Layer]:
    """Return the layers that hold weights themselves, by name."""
    return {layer.name: layer for layer in model._flatten_layers() if layer.weights and not hasattr(layer, "layers")}


def _check_backbone(model: keras.Model, layers: Sequence[str]) -> None:
    if HEAD not in layers:
        raise InputError(f"{model.name!r} has no head apart from a backbone. Name layers instead: {list(layers)}.")


def _frozen_names(model: keras.Model, layers: Sequence[str], freeze: str | Sequence[str] | None) -> list[str]:
    if freeze is None:
        return []
    chosen = [freeze] if isinstance(freeze, str) or not np.iterable(freeze) else list(freeze)
    if not all(isinstance(name, str) for name in chosen):
        raise InputError(f"freeze must be {BACKBONE!r} or a sequence of layers' names; received freeze={freeze!r:.80}.")
    names = list(dict.fromkeys(chosen))
    if BACKBONE in names:
        _check_backbone(model, layers)
        names = list(dict.fromkeys([*names, *(name for name in layers if name != HEAD)]))
        names.remove(BACKBONE)
    for name in names:
        if name not in layers:
            raise unknown_name("layer to freeze", name, [*layers, BACKBONE])
    if len(names) == len(layers):
        raise InputError(f"freeze={names} leaves nothing to train. Leave out at least one of {list(layers)}.")
    return names
