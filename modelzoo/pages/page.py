"""``describe``: the Markdown page of a model with its pictures."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from modelzoo import __version__, viz
from modelzoo._io import atomic_directory, check_target
from modelzoo.classes import class_names
from modelzoo.datasets import dataset_options, describe_dataset, list_datasets
from modelzoo.errors import InputError
from modelzoo.evaluation import report_by_class
from modelzoo.network import Layer
from modelzoo.pages import pictures
from modelzoo.pages.equations import equation_of, space
from modelzoo.pages.markdown import brief, class_rows, code, prose, read_docstring, table
from modelzoo.pages.subject import Subject, read_subject
from modelzoo.recipe import Augmentation, Recipe
from modelzoo.viz.classification import draw_confusions

#: Fields that every table of recipes shows; others if a recipe sets them.
_USUAL_FIELDS = ("batch_size", "optimizer", "learning_rate", "loss")

#: The order of the measures on a page; others come last.
_MEASURES = ("test_accuracy", "test_loss", "calibration_error", "val_accuracy", "val_loss", "train_loss", "seconds")


def describe(source: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write what there is to know of a model as Markdown with SVG pictures.

    The page shows the diagram, the equation, the layers with the arithmetic of their parameters, the recipes, the
    results over seeds, learning curves, the confusion matrix, and how to build, load, fine-tune and serve the model,
    as far as a registry entry and a card tell them.

    Parameters
    ----------
    source
        Name of a zoo model, directory of an artifact of ours, or a ``.keras`` file, which is loaded in Keras' safe
        mode.
    output
        The directory to write; it is complete or absent, whatever happens meanwhile.
    overwrite
        Replace an existing directory that holds nothing but an earlier description of this model.

    Returns
    -------
    pathlib.Path
        The page, ``output/NAME.md``.

    Raises
    ------
    ArtifactError
        The artifact is incomplete or altered, or the file cannot be loaded in safe mode.
    TargetExistsError
        ``output`` exists and ``overwrite`` is false.

    Examples
    --------
    >>> import modelzoo
    >>> page = modelzoo.describe("xor_mlp", "about_xor")  # doctest: +SKIP
    """
    output = check_target(output, overwrite=overwrite)
    subject = read_subject(source)
    if output.exists():
        ours = {f"{subject.stem}{end}" for end in (".md", ".svg", "-training.svg", "-confusion.svg")}
        foreign = [output] if output.is_file() else sorted(p for p in output.iterdir() if p.name not in ours)
        if foreign:
            raise InputError(
                f"{output} holds more than a description of {subject.name}: {foreign[0].name}. Choose another path."
            )
    files = render(subject)
    with atomic_directory(output, overwrite=overwrite) as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return output / f"{subject.stem}.md"


def render(subject: Subject, *, theme: str = "light") -> dict[str, str]:
    """Return the page of a model and its pictures.

    Parameters
    ----------
    subject
        What :func:`modelzoo.pages.read_subject` returned.
    theme
        Theme of the pictures, ``"light"`` or ``"dark"``.

    Returns
    -------
    dict
        Text by file name: ``NAME.md`` and its SVG files. The same model gives the same text in every run of the same
        versions.
    """
    stem, confusion = subject.stem, pictures.confusion_of(subject)
    # Weights that nobody trained are not written on the diagram.
    diagram: Any = {"title": subject.name, "show_weights": None if subject.card or subject.spec is None else False}
    drawn: dict[str, Callable[[], Any]] = {f"{stem}.svg": lambda: viz.plot_architecture(subject.model, **diagram)}
    if history := subject.training.get("history"):
        drawn[f"{stem}-training.svg"] = lambda: viz.plot_training(history)
    if confusion is not None:
        drawn[f"{stem}-confusion.svg"] = lambda: draw_confusions(confusion.counts, confusion.classes)
    page = {f"{stem}.md": page_text(subject, confusion)}
    return page | {name: pictures.svg(draw, theme) for name, draw in drawn.items()}


def page_text(subject: Subject, confusion: pictures.Confusion | None) -> str:
    """Return the Markdown that ``page.md.jinja`` makes of a model."""
    options: Any = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    environment = jinja2.Environment(loader=jinja2.PackageLoader("modelzoo", "pages"), **options)
    filters: tuple[Any, ...] = (brief, code, fact_list, label, list_seeds, literal, prose, repr, shape, short, space)
    environment.filters |= {function.__name__: function for function in filters} | {"quote": shlex.quote}
    asked: tuple[Any, ...] = (arguments, class_names, class_rows, data_code, equation_of, read_docstring, recipe_table)
    asked += (recipes_of, report_by_class, samples, score_table, trained_on)
    environment.globals |= {function.__name__: function for function in asked}
    environment.globals |= {"read_recipe": Recipe.from_dict, "version": __version__}
    text = environment.get_template("page.md.jinja").render(subject=subject, confusion=confusion)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def shape(layer: Layer) -> str:
    """Return the shape of a layer's output with the batch."""
    return ", ".join(["batch", *("?" if length is None else str(length) for length in layer.output_shape)])


def trained_on(subject: Subject) -> str:
    """Return what the model was trained on or, untrained, is declared for."""
    declared = {} if subject.spec is None else {"name": subject.spec.dataset}
    data = subject.trained_on or declared
    if not data:
        return ""
    name, options = data.get("name", "?"), brief(data.get("options") or {})
    about = f" ({prose(options)})" if options else ""
    known = f": {prose(describe_dataset(name)).rstrip('.')}" if name in list_datasets() else ""
    held = {"training": "num_train", "held-out": "num_validation", "test": "num_test"}
    counts = [f"{data[key]:,} {what}" for what, key in held.items() if data.get(key)]
    return f"{code(name)}{about}{known}" + (f"; {', '.join(counts)} samples" if counts else "")


def recipes_of(subject: Subject) -> dict[str, Recipe]:
    """Return the recipes of the builder, and that of the artifact if it is none of these."""
    recipes: dict[str, Recipe] = {} if subject.spec is None else dict(subject.spec.recipes)
    used = subject.training.get("recipe")
    if used is not None and Recipe.from_dict(used) not in recipes.values():
        recipes["of this artifact"] = Recipe.from_dict(used)
    return recipes


def recipe_table(recipes: Mapping[str, Recipe]) -> str:
    """Return the table of the fields that recipes set."""
    given = {field for recipe in recipes.values() for field in recipe.to_dict()} | set(_USUAL_FIELDS)
    rows = []
    for field in (field.name for field in dataclasses.fields(Recipe) if field.name in given - {"source"}):
        rows.append([code(field), *(_recipe_value(field, getattr(recipe, field)) for recipe in recipes.values())])
    return table(["field", *recipes], rows)


def _recipe_value(field: str, value: Any) -> str:
    if field == "batch_size" and value is None:
        return "full batch"
    if value is None or value in ("", {}):
        return "–"
    if isinstance(value, Augmentation):
        value = value.to_dict()
    return prose(brief(value).replace("(", " ("))  # plain words, which a narrow table breaks at the spaces


def score_table(what: str, found: dict[str, Any], several: bool, form: str = "") -> str:
    """Return the table of measures, or of corruptions with scores of the form of one measure."""
    columns = ["this artifact", *(["mean ± standard deviation over seeds"] if several else [])]
    ordered = {name: found[name] for name in _MEASURES if name in found} | found
    rows = [
        [code(name) if form else label(name), *_scores(form or name, scores, several=several)]
        for name, scores in ordered.items()
    ]
    return table([what, *columns], rows, range(1, len(columns) + 1))


def fact_list(facts: Mapping[str, str]) -> str:
    """Return a list of facts in Markdown, without those that are empty."""
    return "\n".join(f"- **{fact}:** {value}" for fact, value in facts.items() if value)


def results_line(subject: Subject) -> str:
    """Return the main measure in one line; empty if the card has none."""
    metrics, seeds = subject.results.get("metrics") or {}, subject.results.get("seeds") or ()
    for name in ("test_accuracy", "test_loss"):
        if found := metrics.get(name):
            value, *spread = _scores(name, found, several=len(seeds) > 1)
            return f"{label(name)} " + (f"{spread[0]} over seeds {list_seeds(seeds)}" if spread else value)
    return ""


def list_seeds(seeds: Sequence[int]) -> str:
    """Return seeds as ``"0–4"`` or ``"0, 3"``."""
    ordered = sorted(seeds)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{ordered[0]}–{ordered[-1]}"
    return ", ".join(map(str, ordered))


def _scores(name: str, scores: Any, *, several: bool) -> list[str]:
    """Return the value of the artifact and, of several seeds, mean and deviation; a card may hold the value alone."""
    scores = scores if isinstance(scores, Mapping) else {"value": scores}
    mean, deviation = scores.get("mean"), scores.get("std")
    known = mean is not None and deviation is not None
    spread = f"{_format(name, mean)} ± {_format(name, deviation, like=mean)}" if known else "–"
    return [_format(name, scores.get("value")), *([spread] if several else [])]


def label(name: str) -> str:
    """Return what a measure is called on a page."""
    if name == "seconds":
        return "training time, s"
    if name in ("loss", "accuracy"):
        return f"training {name}"
    return name.replace("train_", "training ").replace("val_", "validation ").replace("_", " ")


def _format(name: str, value: float | None, like: float | None = None) -> str:
    """Return a value as text, with the digits that ``like`` needs."""
    if value is None:
        return "–"
    size = abs(value if like is None else like)
    if name.endswith(("accuracy", "calibration_error")):
        return f"{value:.2%}"
    if name == "seconds":
        return f"{value:.1f}"
    return f"{value:.4f}" if size == 0 or size >= 0.001 else f"{value:.1e}"


def short(value: float | None) -> str:
    """Return a loss with three digits; a card holds ``None`` for one that is not finite."""
    return "infinite" if value is None else f"{value:.3g}"


def samples(tensors: Sequence[Any]) -> str:
    """Return the code of samples for the inputs of a Keras model."""
    zeros = [f'np.zeros({(1, *(length or 1 for length in tensor.shape[1:]))}, "{tensor.dtype}")' for tensor in tensors]
    return zeros[0] if len(zeros) == 1 else f"[{', '.join(zeros)}]"


def data_code(subject: Subject) -> tuple[str, str]:
    """Return the calls that load the data the model is made for, and others of the same kind to fine-tune on."""
    spec, used = subject.spec, subject.trained_on
    if spec is not None and (subject.pretrained or not used):
        used = {"name": spec.dataset, "options": spec.recipe("lesson").data_options}
    load, name = "modelzoo.datasets.load({})", used.get("name")
    if name not in list_datasets() or "options" not in used:  # only the caller has them
        return load.format('"my_data.npz"'), load.format('"others.npz"')
    data = load.format(arguments(name, used["options"]))
    if subject.network.input.output_shape == (28, 28):
        seen = "digits" in (name, subject.trained_on.get("options", {}).get("extra"))
        return data, load.format('"others.npz"' if seen else '"digits"')
    drawn = {"n", "seed"} <= dataset_options(name).keys()
    return data, load.format(arguments(name, {"n": 200, "seed": 1})) if drawn else data


def arguments(name: str, options: Mapping[str, Any]) -> str:
    """Return the code of the arguments of a call: a name and options."""
    return ", ".join([literal(name), *(f"{key}={literal(value)}" for key, value in options.items())])


def literal(value: Any) -> str:
    """Return the code of a value."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
