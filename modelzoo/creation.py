"""``create_model``: a network with fresh weights, or with pretrained ones and a head for other classes."""

from __future__ import annotations

import logging
from typing import Any

from modelzoo._keras import keras
from modelzoo.errors import InputError
from modelzoo.network import with_paths
from modelzoo.registry import build_model, get_spec, origin_of
from modelzoo.saving import list_pretrained, load
from modelzoo.weights import weights_digest

logger = logging.getLogger(__name__)

#: Name of the layer that a change of classes replaces.
HEAD = "logits"


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

    Raises
    ------
    InputError
        The name, the recipe or an option is not known, or an option's value is not allowed; there are no pretrained
        weights of that name, or they do not fit the options.
    ArtifactError
        The pretrained artifact is incomplete or altered.

    Examples
    --------
    >>> import modelzoo
    >>> modelzoo.create_model("relu_mlp", pretrained=True, num_classes=3, seed=0).output_shape
    (None, 3)
    """
    if not isinstance(pretrained, bool):
        raise InputError(f"pretrained must be True or False; received {pretrained!r}. A path goes to modelzoo.load.")
    if not pretrained:
        return build_model(name, recipe=recipe, seed=seed, **options)
    spec = get_spec(name)
    if recipe is not None:
        options = {**spec.recipe(recipe).model_options, **options}
    if name not in (available := list_pretrained()):
        raise InputError(
            f"There is no pretrained {name}. Train it with `modelzoo train {name}`. "
            f"Pretrained: {', '.join(available) or '(none)'}."
        )
    parent = load(name)
    known = {**spec.options, **origin_of(parent).options}
    changed = {key: value for key, value in options.items() if key not in known or not _same(value, known[key])}
    return inherit(parent, seed=seed, **changed) if changed else parent


def inherit(
    parent: keras.Model,
    *,
    num_classes: int | None = None,
    new_head: bool = False,
    seed: int | None = None,
    **options: Any,
) -> keras.Model:
    """Return a new model with the weights of another one, except for a head that has other classes.

    Parameters
    ----------
    parent
        A zoo model; it stays as it is.
    num_classes
        Number of classes; the parent's by default.
    new_head
        Let the head start anew also where the number of classes is the same.
    seed
        Seed of the new head.
    **options
        Arguments of the builder that replace the parent's; the shapes of the weights must stay.

    Returns
    -------
    keras.Model
        Its origin names the parent and the digest of the parent's weights.

    Raises
    ------
    InputError
        The weights do not fit the options, or the parent is no zoo model.
    """
    origin = origin_of(parent)
    merged = {**origin.options, **options}
    if num_classes is not None:
        if "num_classes" in get_spec(origin.name).options:
            merged["num_classes"] = num_classes
        elif num_classes != 2:
            raise InputError(
                f"{origin.name} has no num_classes to change; received num_classes={num_classes!r}. Leave it out."
            )
    model = build_model(origin.name, seed=seed, **merged)
    kept = dict(with_paths(parent.weights))
    started = dict(with_paths(model.weights))
    given = ", ".join(f"{key}={value!r}" for key, value in options.items()) or f"num_classes={num_classes!r}"
    wrong = f"The weights of {origin.name} do not fit {given}: "
    remedy = ". Leave these options out, or build it with fresh weights (modelzoo.create_model)."
    if started.keys() != kept.keys():
        raise InputError(f"{wrong}it has {sorted(kept)}, not {sorted(started)}{remedy}")
    for path, weight in started.items():
        twin = kept[path]
        is_head = path.split("/")[-2] == HEAD
        classes_differ = tuple(twin.shape)[:-1] == tuple(weight.shape)[:-1] and "num_classes" in merged
        if twin.shape == weight.shape and not (is_head and new_head):
            weight.assign(twin.value)
        elif is_head and classes_differ:
            logger.info("The head %s starts anew: %s becomes %s.", path, tuple(twin.shape), tuple(weight.shape))
        else:
            raise InputError(f"{wrong}{path} has shape {tuple(twin.shape)}, not {tuple(weight.shape)}{remedy}")
    now = origin_of(model)
    now.golden, now.weights_digest = origin.golden, weights_digest(model)
    now.parent = {
        "name": origin.name,
        "weights_digest": weights_digest(parent),
        "class_names": list(origin.class_names),
        "frozen": [],
    }
    if not new_head and model.output_shape == parent.output_shape:
        now.class_names = origin.class_names
    return model


def _same(value: Any, known: Any) -> bool:
    """Tell whether an option has the value a card or a builder has; a card has lists where a caller has tuples."""
    sequences = isinstance(value, tuple | list) and isinstance(known, tuple | list)
    return list(value) == list(known) if sequences else bool(value == known)
