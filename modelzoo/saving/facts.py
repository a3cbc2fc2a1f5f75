"""What a file of another format says of its model: the card's facts as plain text."""

from __future__ import annotations

import json
from typing import Any

from modelzoo._keras import keras
from modelzoo.machine import describe_machine
from modelzoo.registry import get_spec, origin_of
from modelzoo.weights import weights_digest


def export_facts(model: keras.Model) -> dict[str, str]:
    """Return the facts that go into a file which has no card, each as text.

    Parameters
    ----------
    model
        A model made by a zoo builder.

    Returns
    -------
    dict
        ``name``, ``task``, ``source``, ``options`` (JSON), ``class_names`` (JSON list), ``weights_digest`` and the
        ``modelzoo`` version; ``network`` where it is as declared; ``dataset``, ``dataset_license``,
        ``dataset_source``, ``recipe`` (JSON), ``recipe_name`` and ``seed`` where its weights are as trained.

    Raises
    ------
    InputError
        The model is not a zoo model.
    """
    origin = origin_of(model)
    spec, digest = get_spec(origin.name), weights_digest(model)
    facts = {
        "name": origin.name,
        "task": spec.task,
        "source": spec.source,
        "options": _json(origin.options),
        "class_names": _json(list(origin.class_names)),
        "weights_digest": digest,
        "modelzoo": describe_machine()["modelzoo"],
    }
    if model.count_params() == spec.num_params:  # the declared widths are those of the default options
        facts["network"] = spec.network
    training = origin.training
    if training is not None and training.get("weights_digest") == digest:
        data = training.get("dataset") or {}
        given = {
            "dataset": data.get("name"),
            "dataset_license": data.get("license"),
            "dataset_source": data.get("source"),
            "recipe": _json(training.get("recipe")),
            "recipe_name": training.get("recipe_name"),
            "seed": training.get("seed"),
        }
        facts |= {key: str(value) for key, value in given.items() if value not in (None, "")}
    return dict(sorted(facts.items()))


def serving_names(model: keras.Model) -> tuple[str, str]:
    """Return the names of a model's input and output in every format: those of its first and last layer."""
    last = model.layers[-1]
    while isinstance(last, keras.Model):
        last = last.layers[-1]
    return model.inputs[0].name, last.name


def describe_input(model: keras.Model) -> str:
    """Return in words what a model takes."""
    shape = ", ".join(["batch", *map(str, model.input_shape[1:])])
    return f"float32 ({shape}), " + ("raw pixels of 0–255" if len(model.input_shape) > 2 else "coordinates of points")


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
