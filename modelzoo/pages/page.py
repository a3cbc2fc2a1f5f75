"""``describe``: the Markdown page of a model with its pictures."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelzoo import __version__, viz
from modelzoo._io import atomic_directory, check_target
from modelzoo.classes import class_names
from modelzoo.datasets import describe_dataset, list_datasets
from modelzoo.errors import InputError
from modelzoo.evaluation import report_by_class
from modelzoo.pages import pictures
from modelzoo.pages.equations import equation_of, space
from modelzoo.pages.markdown import brief, class_rows, code, prose, read_docstring, table
from modelzoo.pages.subject import Subject, read_subject
from modelzoo.pages.usage import usage_section
from modelzoo.recipe import Augmentation, Recipe
from modelzoo.viz.classification import draw_confusions

#: Fields that every table of recipes shows; others if a recipe sets them.
_USUAL_FIELDS = ("batch_size", "optimizer", "learning_rate", "loss")

#: The order of the measures on a page; others come last.
_MEASURES = ("test_accuracy", "test_loss", "calibration_error", "val_accuracy", "val_loss", "train_loss", "seconds")

#: What a page says of the machine that results were measured on.
_MACHINE = ("tensorflow", "keras", "cores", "cpu")


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
    stem = subject.stem
    confusion = pictures.confusion_of(subject)
    sections = [
        _head(subject),
        _equation(subject),
        _layers(subject),
        _recipes(subject),
        _results(subject),
        _learning_curves(subject),
        _confusion(subject, confusion),
        usage_section(subject),
        _licence(subject),
    ]
    # Weights that nobody trained are not written on the diagram.
    diagram: Any = {"title": subject.name, "show_weights": None if subject.card or subject.spec is None else False}
    drawn: dict[str, Callable[[], Any]] = {f"{stem}.svg": lambda: viz.plot_architecture(subject.model, **diagram)}
    if history := subject.training.get("history"):
        drawn[f"{stem}-training.svg"] = lambda: viz.plot_training(history)
    if confusion is not None:
        drawn[f"{stem}-confusion.svg"] = lambda: draw_confusions(confusion.counts, confusion.classes)
    page = "\n\n".join(filter(None, sections)) + "\n"
    return {f"{stem}.md": page} | {name: pictures.svg(draw, theme) for name, draw in drawn.items()}


def _head(subject: Subject) -> str:
    spec, network = subject.spec, subject.network
    total = f"{network.num_params:,}"
    declared = spec.network if spec is not None and network.num_params == spec.num_params else ""
    words = prose(declared) or f"{len(subject.steps)} layers, {total} parameters"
    facts: dict[str, str] = {}
    if spec is not None or subject.card is not None:
        input_shape, output_shape = (
            ", ".join(["batch", *("?" if length is None else str(length) for length in layer.output_shape)])
            for layer in (network.input, network.output)
        )
        takes = ", raw pixels of 0–255" if network.takes_raw_pixels else ""
        facts["Task"] = spec.task if spec is not None else ""
        facts["Data"] = _data(subject)
        facts["Network"] = prose(declared)
        facts["Input"] = f"{code(network.input.name)}, float32 ({input_shape}){takes}"
        facts["Output"] = f"{code(network.output.name)}, shape ({output_shape})"
        facts["Classes"] = ", ".join(map(prose, class_names(subject.model)))
    facts["Parameters"] = total + (f", of which {frozen:,} are not trained" if (frozen := subject.num_frozen) else "")
    facts["Multiply-adds"] = "" if subject.cost is None else f"{subject.cost:,} a sample"
    parts = [
        f"# {prose(subject.name)}",
        f"<!-- card: {subject.card['card_digest']} -->" if subject.card else "",
        subject.summary,
        read_docstring(spec.builder).description if spec is not None else "",
        f"![Diagram of {prose(subject.name)}: {words}]({subject.stem}.svg)",
        fact_list(facts),
    ]
    return "\n\n".join(filter(None, parts))


def _data(subject: Subject) -> str:
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


def _equation(subject: Subject) -> str:
    equation = equation_of(subject.steps)
    if equation is None:
        return ""
    parts = ["## Equation", f"$$\n{equation.latex}\n$$"]
    if equation.definitions:
        parts += ["where", "$$\n" + ", \\qquad ".join(equation.definitions) + "\n$$"]
    if equation.parameters:
        spaces = (rf"${symbol} \in {space(shape)}$" for symbol, shape in equation.parameters)
        parts.append(f"The parameters are {', '.join(spaces)}.")
    if equation.notes:
        parts.append(" ".join(equation.notes))
    return "\n\n".join(parts)


def layer_rows(subject: Subject) -> list[list[str]]:
    """Return the rows of the table of layers as plain text: name, kind, output shape, arithmetic of the parameters."""
    return [[step.name, step.kind, step.shape, step.arithmetic] for step in subject.steps]


def _layers(subject: Subject) -> str:
    with_symbols = equation_of(subject.steps) is not None
    header = ["layer", "type", *(["gives"] if with_symbols else []), "output shape", "parameters"]
    rows = []
    for step, (name, kind, shape, arithmetic) in zip(subject.steps, layer_rows(subject), strict=True):
        symbol = [f"${step.symbol}$"] if with_symbols else []
        rows.append([code(name), prose(kind), *symbol, shape or "–", arithmetic])
    rows.append(["**total**", *[""] * (len(header) - 2), f"**{subject.network.num_params:,}**"])
    return "\n\n".join(["## Layers", table(header, rows, right=[len(header) - 1])])


def _recipes(subject: Subject) -> str:
    recipes: dict[str, Recipe] = {} if subject.spec is None else dict(subject.spec.recipes)
    used = subject.training.get("recipe")
    if used is not None and Recipe.from_dict(used) not in recipes.values():
        recipes["of this artifact"] = Recipe.from_dict(used)
    if not recipes:
        return ""
    given = {field for recipe in recipes.values() for field in recipe.to_dict()} | set(_USUAL_FIELDS)
    rows = []
    for field in (field.name for field in dataclasses.fields(Recipe) if field.name in given - {"source"}):
        rows.append([code(field), *(_recipe_value(field, getattr(recipe, field)) for recipe in recipes.values())])
    sources = [f"- {name}: {prose(recipe.source)}" for name, recipe in recipes.items() if recipe.source]
    return "\n\n".join(
        [
            "## Recipes",
            table(["field", *recipes], rows),
            "Fields that are not listed have the defaults of `modelzoo.Recipe`, which also says what each means. The "
            "recipes come from:",
            "\n".join(sources),
        ]
    )


def _recipe_value(field: str, value: Any) -> str:
    if field == "batch_size" and value is None:
        return "full batch"
    if value is None or value in ("", {}):
        return "–"
    if isinstance(value, Augmentation):
        value = value.to_dict()
    return prose(brief(value).replace("(", " ("))  # plain words, which a narrow table breaks at the spaces


def _results(subject: Subject) -> str:
    """Return the section on results: over seeds if the card has them, else those of the one run."""
    training = subject.training
    results = subject.results or {"metrics": training.get("metrics"), "seeds": [training.get("seed")]}
    found = results.get("metrics")
    if not found:
        return ""
    seeds, machine = results.get("seeds") or (), training.get("machine") or results.get("measured_on") or {}
    several = len(seeds) > 1
    chosen = f", this artifact {results.get('selected_seed')}: the best {_label(str(results.get('selected_by')))}"
    name, recipe = subject.name, results.get("recipe", "")
    facts = {
        "Recipe": code(recipe),
        "Seeds": list_seeds(seeds) + (chosen if several and results.get("selected_by") else ""),
        "Machine": prose(", ".join(f"{key} {machine[key]}" for key in _MACHINE if key in machine)),
    }
    if subject.pretrained and recipe:
        facts["Trained by"] = f"`python scripts/train_zoo.py {name} --recipe {recipe}`"
        facts["Measured by"] = f"`modelzoo evaluate {name}`"
    columns = ["this artifact", *(["mean ± standard deviation over seeds"] if several else [])]
    right = range(1, len(columns) + 1)
    ordered = {name: found[name] for name in _MEASURES if name in found} | found
    rows = [[_label(name), *_scores(name, scores, several=several)] for name, scores in ordered.items()]
    parts = ["## Results", fact_list(facts), table(["measure", *columns], rows, right)]
    if corruptions := results.get("corruptions"):
        what = "Share of wrong predictions" if subject.classifies else "Mean squared error, on the scale of 0–1,"
        form = "accuracy" if subject.classifies else "loss"
        rows = [[code(name), *_scores(form, scores, several=several)] for name, scores in corruptions.items()]
        parts += [
            f"{what} on corrupted test images (`modelzoo.datasets.CORRUPTIONS`):",
            table(["corruption", *columns], rows, right),
        ]
    return "\n\n".join(parts)


def fact_list(facts: Mapping[str, str]) -> str:
    """Return a list of facts in Markdown, without those that are empty."""
    return "\n".join(f"- **{fact}:** {value}" for fact, value in facts.items() if value)


def results_line(subject: Subject) -> str:
    """Return the main measure in one line; empty if the card has none."""
    metrics, seeds = subject.results.get("metrics") or {}, subject.results.get("seeds") or ()
    for name in ("test_accuracy", "test_loss"):
        if found := metrics.get(name):
            value, *spread = _scores(name, found, several=len(seeds) > 1)
            return f"{_label(name)} " + (f"{spread[0]} over seeds {list_seeds(seeds)}" if spread else value)
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


def _label(name: str) -> str:
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


def _learning_curves(subject: Subject) -> str:
    training = subject.training
    if not training.get("history"):
        return ""
    history, recipe = training["history"], Recipe.from_dict(training["recipe"])
    steps, losses = int(history["step"][-1]), [name for name in history if name.endswith("loss")]
    words = f"The run of this artifact, seed {training['seed']}: {steps:,} steps, loss `{recipe.loss}`."
    ends = [f"{_label(name)} from {_short(history[name][0])} to {_short(history[name][-1])}" for name in losses]
    picture = f"![Learning curves: {', '.join(ends)}.]({subject.stem}-training.svg)"
    return "\n\n".join(["### Learning curves", words, picture])


def _short(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.3g}"


def _confusion(subject: Subject, confusion: pictures.Confusion | None) -> str:
    if confusion is None:
        return ""
    counts = confusion.counts
    wrong = f"{counts.sum() - counts.trace():,} of {counts.sum():,} test samples are taken for another class"
    if confusion.every > 1:
        wrong += f", counted on one in {confusion.every} to save time; `modelzoo evaluate --per-class` counts on all"
    rows = [[prose(name), *cells] for name, *cells in class_rows(report_by_class(counts, confusion.classes))]
    picture = f"![Confusion matrix: {wrong.partition(', counted')[0]}.]({subject.stem}-confusion.svg)"
    scores = table(["class", "precision", "recall", "F1", "test samples"], rows, range(1, 5))
    return "\n\n".join(["### Classes", f"{wrong}.", picture, scores])


def _licence(subject: Subject) -> str:
    spec, card = subject.spec, subject.card
    if spec is None and card is None:
        return ""
    lines = [] if spec is None else [f"- Architecture: {prose(spec.source)}."]
    data = subject.trained_on
    if data.get("license"):
        origin = f", {prose(data['source'])}" if data.get("source") else ""
        lines.append(f"- Data: {code(data['name'])}{origin}. Licence: {prose(data['license'])}.")
    lines.append("- Code: `modelzoo`, under the Apache License 2.0.")
    year = f"\n  year    = {{{str(card['created'])[:4]}}}," if card else ""
    weights = f", weights {card['weights_digest'][:12]}" if card else ""
    bibtex = (
        "@software{modelzoo,\n"
        "  author  = {{The modelzoo authors}},\n"
        "  title   = {modelzoo: the reference zoo of classical neural networks on Keras 3 and TensorFlow},\n"
        f"  version = {{{__version__}}},{year}\n"
        f"  note    = {{Model {subject.name}{weights}}},\n"
        "}"
    )
    return "\n\n".join(["## Licence and citation", "\n".join(lines), f"```bibtex\n{bibtex}\n```"])
