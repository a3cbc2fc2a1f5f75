"""Start from trained weights instead of random ones: ``create_model(pretrained=True)`` and ``finetune``."""

from __future__ import annotations

import dataclasses
import inspect
import logging
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from modelzoo._checks import check_choice, check_flag, check_integer, check_names
from modelzoo._keras import given_seed, is_tf_data, keras
from modelzoo.card import set_card, weights_digest
from modelzoo.classes import num_classes as num_classes_of
from modelzoo.datasets import Dataset, Stream
from modelzoo.errors import InputError
from modelzoo.network import (
    Layer,
    Network,
    build_from_config,
    frozen_layers,
    keras_config,
    read_network,
    take_over,
    with_paths,
)
from modelzoo.recipe import Recipe, check_fields
from modelzoo.registry import base_recipe, build_model, card_for, changed_options, get_spec, spec_of
from modelzoo.saving import list_pretrained, load
from modelzoo.training import compile_model, train
from modelzoo.training.data import as_pairs

logger = logging.getLogger(__name__)

#: Name of the recipe that fine-tuning takes by default.
RECIPE = "finetuning"

#: Stands for all layers but the head.
BACKBONE = "backbone"


def create_model(
    name: str, /, *, pretrained: bool = False, recipe: str | None = None, seed: int | None = None, **options: Any
) -> keras.Model:
    """Build a model, with fresh weights or with pretrained ones.

    Parameters
    ----------
    name
        Name of the model, see :func:`modelzoo.list_models`.
    pretrained
        Start from the newest pretrained weights of that name. Alone this is ``modelzoo.load(name)``; with another
        ``num_classes`` the head starts anew and all else is kept. Other options must leave the shapes of the
        weights as they are (``classifier_activation`` and ``dropout`` do); those that set initial values count for
        the new head alone.
    recipe
        Build it as this recipe wants it (some recipes have builder options of their own).
    seed
        Seed of the initial weights, or of the new head; ``None`` draws one.
    **options
        Arguments of the builder; they win over those of the recipe and, with ``pretrained``, over the artifact's.

    Returns
    -------
    keras.Model
        A plain Keras model, not compiled.

    Examples
    --------
    >>> import modelzoo
    >>> modelzoo.create_model("relu_mlp", pretrained=True, num_classes=3, seed=0).output_shape
    (None, 3)
    """
    spec = get_spec(name)
    if recipe is not None:
        options = {**spec.recipe(recipe).model_options, **options}
    if not check_flag("pretrained", pretrained):
        return build_model(name, seed=seed, **options)
    if name not in (available := list_pretrained()):
        raise InputError(
            f"There is no pretrained {name}. Train it with `modelzoo train {name}`. "
            f"Pretrained: {', '.join(available) or '(none)'}."
        )
    parent = load(name)
    changed = changed_options(name, options, {**spec.options, **card_for(parent).options})
    return _inherit(parent, seed=seed, **{key: options[key] for key in changed}) if changed else parent


def finetune(
    source: keras.Model | str | os.PathLike[str],
    data: Any,
    *,
    freeze: str | Sequence[str] | None = None,
    num_classes: int | None = None,
    recipe: Recipe | str = RECIPE,
    layer_learning_rates: Mapping[str, float] | None = None,
    backbone_learning_rate: float | None = None,
    rescale: bool = True,
    compare: bool = False,
    seed: int | None = None,
    **options: Any,
) -> tuple[keras.Model, keras.callbacks.History]:
    """Train a pretrained model further, on its own or on other data.

    Parameters
    ----------
    source
        Name of a pretrained model, directory of an artifact, or a live model of Keras' own layers, which stays as it
        is.
    data
        As for :func:`modelzoo.train`: a ``Dataset``, a ``Stream``, arrays, or a ``tf.data.Dataset`` of batches.
    freeze
        ``"backbone"`` trains only the head, and a sequence of layer names freezes these; ``None`` freezes no further
        layer than those that are not trainable in the source, which stay so.
    num_classes
        Number of classes of the new task; taken from a ``Dataset``, otherwise the source's own. The head starts anew
        if the number or the names of the classes differ from the source's.
    recipe
        A recipe, or the name of one of the source's; ``"finetuning"`` is :func:`finetuning_recipe`, with ``new_head``
        where the classes are others.
    layer_learning_rates
        Multipliers, above 0, of the learning rate of single layers by name; they win over those of the recipe.
    backbone_learning_rate
        Multiplier, above 0, of the learning rate of all layers but the head that are neither frozen nor named in
        ``layer_learning_rates``.
    rescale
        Where the head starts anew, bring the kernels before it to the spread of He et al.'s (2015) initial weights, and
        biases by the same factors, so that the layers compute what they did up to one factor. Training has enlarged
        them, and a step changes a large kernel little (Ash and Adams 2020 shrink weights for that reason, and add
        noise). Only trainable dense layers and convolutions with ReLU or without activation that lead to the head one
        by one are rescaled. ``False`` keeps the pretrained weights as they are.
    compare
        Train the same network from random weights too, by the same recipe, and say which start gives the better model
        on the validation data, or on a fifth of the training data, which is held out where there are none. The
        history has the result as ``random_val_accuracy`` (or ``random_val_loss``) beside ``val_accuracy``.
    seed
        Seed of the new head, the sample order and dropout; ``None`` as for :func:`modelzoo.train`.
    **options
        Further arguments of :func:`modelzoo.train`: ``callbacks``, ``checkpoint_dir``, ``resume``, …, or
        fields of the recipe to change, such as ``epochs`` or ``class_weight``.

    Returns
    -------
    model, history
        The fine-tuned model, whose card will name its parent, and what training returned. Layers that ``freeze`` names
        are trainable again.

    Raises
    ------
    ArtifactError
        The artifact is incomplete or altered.
    """
    others = inspect.signature(train).parameters.keys()
    beside = {*others, *inspect.signature(finetune).parameters} - {"changes", "options"}
    check_fields("argument of finetune", Recipe, options.keys() - others, beside=beside)
    parent = source if isinstance(source, keras.Model) else load(source)
    new_head = has_other_classes(parent, data, num_classes)
    recipe, frozen = plan_finetuning(
        parent,
        recipe=recipe,
        new_head=new_head,
        freeze=freeze,
        layer_learning_rates=layer_learning_rates,
        backbone_learning_rate=backbone_learning_rate,
    )
    recipe = recipe.replace(**{name: options.pop(name) for name in [*options] if name in vars(recipe)})
    check_flag("rescale", rescale)
    if check_flag("compare", compare):
        recipe = _with_validation(recipe, data, options.get("validation_data"))
    seed = given_seed() if seed is None else seed
    if num_classes is None and isinstance(data, Dataset | Stream) and _takes_classes(parent):
        num_classes = data.num_classes
    model = _inherit(parent, num_classes=num_classes, new_head=new_head, frozen=frozen, rescale=rescale, seed=seed)
    layers = [_live(model, layer) for layer in _weighted(read_network(model)) if layer.name in frozen]
    layers = [layer for layer in layers if layer.trainable]
    try:
        for layer in layers:
            layer.trainable = False
        history = train(model, data, recipe, seed=seed, **options)
    finally:
        for layer in layers:
            layer.trainable = True
    if frozen:  # the optimiser it was trained with knows the other layers only
        compile_model(model, recipe)
    if compare:
        known = {name: options[name] for name in ("validation_data", "sample_weight", "strategy") if name in options}
        fresh = _fresh(parent, num_classes, seed)
        _compare(history, train(fresh, data, recipe.replace(layer_learning_rates={}), seed=seed, **known))
    return model, history


def _with_validation(recipe: Recipe, data: Any, validation_data: Any) -> Recipe:
    """Return a recipe that holds out a fifth of the training data, unless something else is there to compare on."""
    if validation_data is not None or recipe.validation_size or getattr(data, "validation", None) is not None:
        return recipe
    if is_tf_data(data):
        raise InputError("compare=True needs validation data here. Give validation_data=(x, y).")
    if isinstance(data, Dataset):
        x: Any = data.x_train
    elif isinstance(data, Stream):
        x = data.train
    else:
        x = data if isinstance(data, np.ndarray) else as_pairs(data)[0][0]  # an array is for an autoencoder
    return recipe.replace(validation_size=max(1, round(len(x) / 5)))


def _compare(history: keras.callbacks.History, random: keras.callbacks.History) -> None:
    """Say whether the pretrained weights or random ones gave the better model on the validation data."""
    name = "val_accuracy" if "val_accuracy" in history.history else "val_loss"
    ours, theirs = (found.history[name][-1] for found in (history, random))
    history.history[f"random_{name}"] = random.history[name][-1:]
    better = ours > theirs if name == "val_accuracy" else ours < theirs
    text = "%s is %.4f from the pretrained weights and %.4f from random ones by the same recipe."
    if better:
        logger.info(text, name, ours, theirs)
    else:
        logger.warning(f"{text} Train from random weights instead (modelzoo.train).", name, ours, theirs)


def has_other_classes(model: keras.Model, data: Any, num_classes: int | None = None) -> bool:
    """Return whether the classes of data, or their number, differ from a model's, so that its head starts anew."""
    other_names, names = False, card_for(model).class_names
    if isinstance(data, Dataset | Stream):
        other_names = bool(names) and data.named and set(data.class_names) != set(names)
        num_classes = data.num_classes if num_classes is None else num_classes
    other_number = _takes_classes(model) and num_classes not in (None, num_classes_of(model))
    return bool(read_network(model).head) and (other_number or other_names)


def finetuning_recipe(model: keras.Model | str, *, new_head: bool = False) -> Recipe:
    """Return the recipe that fine-tuning takes by default, derived from the model's lesson recipe.

    The loss, its target and the precision are the lesson's, or what fits the outputs of a model without a builder. A
    model of images gets Adam whose learning rate falls from 3e-4 to 0 along a cosine, or from 1e-3 under a new head, in
    1000 steps of 64 samples, because the lessons' hyper-parameters are made for a whole data set and random initial
    weights. ``python scripts/finetune_tasks.py --select`` compares the candidates on validation splits of small
    training sets. A model of points keeps its lesson's optimiser and length, which take seconds. A recipe named
    ``"finetuning"`` that the model declares itself comes first.

    Parameters
    ----------
    model
        A model, or the name of a builder.
    new_head
        The classes are others than the model's: there is more to learn, and less to keep.
    """
    model = build_model(model) if isinstance(model, str) else model
    spec = spec_of(model)
    if spec is not None and RECIPE in spec.recipes:
        return spec.recipe(RECIPE)
    lesson = base_recipe(model).replace(model_options={}, data_options={})
    if spec is not None and len(model.input_shape) == 2:
        return lesson.replace(source=f"Fine-tuning by the lesson's recipe: {lesson.source}")
    rate = 1e-3 if new_head else 3e-4
    return lesson.replace(
        steps=1000,
        batch_size=64,
        optimizer="adam",
        learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": rate}},
        optimizer_options={},
        log_every=100,
        log_train="batches",
        validation_freq=10,
        source=f"Our own: Adam, {rate:g} falling along a cosine, batch 64, 1000 steps; the loss is the lesson's",
    )


def plan_finetuning(
    model: keras.Model,
    *,
    recipe: Recipe | str = RECIPE,
    new_head: bool = False,
    freeze: str | Sequence[str] | None = None,
    layer_learning_rates: Mapping[str, float] | None = None,
    backbone_learning_rate: float | None = None,
) -> tuple[Recipe, list[str]]:
    """Resolve the arguments of :func:`finetune` against a model, before any data are read.

    Returns
    -------
    recipe, frozen
        The recipe with its layer-wise learning rates, and the names of the layers to freeze.
    """
    if isinstance(recipe, str):
        spec = spec_of(model)
        known = {RECIPE: finetuning_recipe(model, new_head=new_head), **(spec.recipes if spec else {})}
        recipe = known[check_choice(f"recipe of {model.name}", recipe, known)]
    if not isinstance(recipe, Recipe):
        raise InputError(f"recipe must be a Recipe or the name of one; got {recipe!r}.")
    network = read_network(model)
    names = [layer.name for layer in _weighted(network)]
    frozen = _frozen_names(network, freeze)
    still = {*frozen, *(layer.name for layer in _weighted(network) if not _live(model, layer).trainable)}
    rates = {name: rate for name, rate in recipe.layer_learning_rates.items() if name not in still}
    if backbone_learning_rate is not None:
        backbone = [name for name in _backbone(network) if name not in still]
        if not backbone:
            raise InputError(
                f"backbone_learning_rate={backbone_learning_rate!r} applies to no layer: only the head is trained. "
                "Leave it out, or freeze less."
            )
        rates |= dict.fromkeys(backbone, backbone_learning_rate)
    if not isinstance(layer_learning_rates or {}, Mapping):
        raise InputError(f"layer_learning_rates must map layers' names to factors; got {layer_learning_rates!r:.80}.")
    for name, rate in (layer_learning_rates or {}).items():
        if check_choice("layer with weights to train", name, names) in still:
            raise InputError(f"The layer {name!r} has a learning rate ({rate!r}) and is frozen. Leave one out.")
        rates[name] = rate
    return recipe.replace(layer_learning_rates=rates), frozen


def _frozen_names(network: Network, freeze: str | Sequence[str] | None) -> list[str]:
    if freeze is None:
        return []
    layers = [layer.name for layer in _weighted(network)]
    frozen: dict[str, None] = {}
    for name in (freeze,) if isinstance(freeze, str) else check_names("freeze", freeze):
        check_choice("layer to freeze", name, [*layers, BACKBONE])
        frozen |= dict.fromkeys(_backbone(network) if name == BACKBONE else [name])
    if len(frozen) == len(layers):
        raise InputError(f"freeze={list(frozen)} leaves nothing to train. Leave out at least one of {layers}.")
    return list(frozen)


def _weighted(network: Network) -> list[Layer]:
    """Return the layers that hold weights."""
    return [layer for layer in network.layers if layer.weights and not layer.shared]


def _backbone(network: Network) -> list[str]:
    """Return the names of all layers with weights but the head."""
    layers = [layer.name for layer in _weighted(network)]
    if not network.head:
        raise InputError(f"{network.name!r} has no head apart from a backbone. Name layers instead: {layers}.")
    return [name for name in layers if name not in [layer.name for layer in network.head]]


def _live(model: keras.Model, layer: Layer) -> keras.layers.Layer:
    """Return the Keras layer that a layer of the network describes."""
    for name in layer.group:
        model = model.get_layer(name)
    return model.get_layer(layer.name)


def _inherit(
    parent: keras.Model,
    *,
    num_classes: int | None = None,
    new_head: bool = False,
    frozen: Sequence[str] = (),
    rescale: bool = False,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """Return a new model of the same network with the parent's weights, except for a head that has other classes."""
    card, model = card_for(parent), _fresh(parent, num_classes, seed, **options)
    network = read_network(model)
    in_head = {weight.path for layer in network.head for weight in layer.weights}
    kept, fresh = dict(with_paths(parent)), dict(with_paths(model))
    for path in sorted(kept.keys() | fresh.keys()):
        old, new = (tuple(found[path].shape) if path in found else None for found in (kept, fresh))
        other_classes = path in in_head and old and new and old[:-1] == new[:-1]
        if old != new and not other_classes:
            raise InputError(
                f"The weights of {card.name} do not fit {', '.join(f'{k}={v!r}' for k, v in options.items())}: {path} "
                f"has shape {old}, not {new}. Leave these options out, or build it with fresh weights "
                "(modelzoo.create_model)."
            )
    new_head = bool(in_head) and (new_head or any(kept[path].shape != fresh[path].shape for path in in_head))
    inherited = {path: weight for path, weight in kept.items() if not (new_head and path in in_head)}
    for path, weight in inherited.items():
        fresh[path].assign(weight.value)
    trained = {id(weight) for weight in parent.trainable_weights}
    take_over(model, {path: id(weight) in trained for path, weight in inherited.items()}, frozen_layers(parent))
    if new_head:
        logger.info("The head of %s starts anew.", card.name)
    still = [layer.name for layer in _weighted(network) if not _live(model, layer).trainable]
    fixed = [*still, *(name for name in frozen if name not in still)]
    rescaled = _rescale(network, fresh, fixed) if rescale and new_head else []
    child = dataclasses.replace(
        card_for(model),
        class_names=() if new_head else card.class_names,
        preparation=card.preparation,
        parent=card.as_parent(weights_digest(parent), fixed, rescaled),
        weights_digest=weights_digest(model),
        artifact=card.artifact,
    )
    set_card(model, child)
    return model


def _fresh(parent: keras.Model, num_classes: int | None, seed: int | None, **options: Any) -> keras.Model:
    """Return a new model of the same network with random weights, and another number of classes where one is given."""
    card, spec = card_for(parent), spec_of(parent)
    if num_classes is not None:
        if _takes_classes(parent):
            options["num_classes"] = num_classes
        elif num_classes != 2:
            raise InputError(
                f"{card.name} has no num_classes to change; got num_classes={num_classes!r}. Leave it out."
            )
    if spec is not None:
        return build_model(spec.name, seed=seed, **{**card.options, **options})
    return build_from_config(_with_classes(parent, num_classes, seed))


def _rescale(network: Network, weights: Mapping[str, Any], fixed: Sequence[str]) -> list[str]:
    """Bring kernels before a new head to the spread of He et al.'s initial weights; return the names of their layers.

    ReLU passes a positive factor on, so that each bias is multiplied by the factors of its own and all earlier kernels.
    """
    layers, total = list(network.rescalable), 1.0
    # A fixed layer keeps its bias, and so must what it adds that to.
    start = max((number + 1 for number, layer in enumerate(layers) if layer.name in fixed), default=0)
    for layer in layers[start:]:
        for weight in layer.weights:  # the kernel, then the bias
            value, factor = weights[weight.path].numpy(), total
            if weight.name == "kernel" and value.std() > 0:
                factor = math.sqrt(2 / math.prod(weight.shape[:-1])) / float(value.std())
                total *= factor
            weights[weight.path].assign(value * factor)
    return [layer.name for layer in layers[start:]]


def _takes_classes(model: keras.Model) -> bool:
    """Return whether another number of classes can be asked of a model."""
    spec, network = spec_of(model), read_network(model)
    if spec is not None:
        return "num_classes" in spec.options
    return bool(network.head) and network.output.output_shape[0] not in (None, 1)


def _with_classes(parent: keras.Model, num_classes: int | None, seed: int | None) -> dict[str, Any]:
    """Return Keras' configuration of a model with another number of classes, and with the seed in its new head."""
    config, head = keras_config(parent), read_network(parent).head
    if head:
        layer = config
        for name in (*head[0].group, head[0].name):
            layer = next(inner for inner in layer["config"]["layers"] if inner["config"]["name"] == name)
        settings = layer["config"]
        if num_classes is not None:
            width = next((key for key in ("units", "filters") if key in settings), None)
            if width is None:
                raise InputError(f"The head of {parent.name!r}, a {head[0].kind}, cannot have other classes.")
            settings[width] = check_integer("num_classes", num_classes, minimum=2)
        for initializer in (settings[key] for key in settings if key.endswith("_initializer") and settings[key]):
            if "seed" in initializer["config"]:
                initializer["config"]["seed"] = seed
    return config
