"""The Markdown page of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from modelzoo.card import card_of, describe_machine
from modelzoo.datasets import describe_dataset, list_datasets
from modelzoo.errors import InputError
from modelzoo.network import read_network
from modelzoo.pages.equations import equation_of, space
from modelzoo.pages.layers import Step, read_steps
from modelzoo.pages.pictures import Confusion
from modelzoo.pages.results import results_section
from modelzoo.pages.subject import Subject
from modelzoo.pages.text import brief, code, prose, read_docstring, table
from modelzoo.pages.usage import usage_section
from modelzoo.recipe import Augmentation, Recipe
from modelzoo.saving.onnx import describe_input

#: Fields that every table of recipes shows; others where a recipe sets them.
_USUAL_FIELDS = ("batch_size", "optimizer", "learning_rate", "loss")


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Names of the picture files beside a page; empty where there is none."""

    diagram: str = ""
    training: str = ""
    confusion: str = ""


def write_page(subject: Subject, pictures: Pictures, confusion: Confusion | None) -> str:
    """Return the page of a model.

    Parameters
    ----------
    subject
        What :func:`modelzoo.pages.read_subject` returned.
    pictures
        The picture files to show.
    confusion
        The counts of the confusion matrix, if there are any.
    """
    steps = steps_of(subject)
    sections = [
        _head(subject, steps, pictures.diagram),
        _equation(steps),
        _layers(subject, steps),
        _recipes(subject),
        results_section(subject),
        _learning_curves(subject, pictures.training),
        _confusion(confusion, pictures.confusion),
        usage_section(subject),
        _licence(subject),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def steps_of(subject: Subject) -> tuple[Step, ...]:
    """Return the computing steps of a model; what a builder of the zoo means as one step is one."""
    return read_steps(subject.model, joined=subject.spec is not None)


def summary_of(subject: Subject) -> str:
    """Return one sentence on a model."""
    if subject.spec is not None:
        return read_docstring(subject.spec.builder).summary
    count = len(steps_of(subject))
    return f"A Keras {type(subject.model).__name__} model of {count} layers, read from a file."


def cost_of(subject: Subject) -> int | None:
    """Return the multiply-adds a sample needs; ``None`` where they are not known."""
    try:
        return read_network(subject.model).multiply_adds
    except InputError:
        return None


def _head(subject: Subject, steps: Sequence[Step], diagram: str) -> str:
    model, spec = subject.model, subject.spec
    parts = [f"# {prose(subject.name)}"]
    if subject.card:
        parts.append(f"<!-- card: {subject.card['card_digest']} -->")
    parts.append(summary_of(subject))
    if spec is not None:
        parts.append(read_docstring(spec.builder).description)
    network = spec.network if spec is not None and model.count_params() == spec.num_params else ""
    words = prose(network) or f"{len(steps)} layers, {model.count_params():,} parameters"
    parts.append(f"![Diagram of {prose(subject.name)}: {words}]({diagram})")
    facts: dict[str, str] = {}
    if spec is not None:
        card, layers = card_of(model), read_network(model)
        facts["Task"] = spec.task
        facts["Data"] = _data(subject)
        facts["Network"] = prose(network)
        facts["Input"] = f"{code(layers.input.name)}, {describe_input(model)}"
        shape = ", ".join(["batch", *("?" if length is None else str(length) for length in model.output_shape[1:])])
        facts["Output"] = f"{code(layers.output.name)}, shape ({shape})"
        facts["Classes"] = ", ".join(map(prose, card.class_names)) if spec.task == "classification" else ""
    frozen = sum(int(weight.shape.num_elements()) for weight in model.non_trainable_weights)
    facts["Parameters"] = f"{model.count_params():,}" + (f", of which {frozen:,} are not trained" if frozen else "")
    cost = cost_of(subject)
    facts["Multiply-adds"] = "" if cost is None else f"{cost:,} a sample"
    parts.append("\n".join(f"- **{fact}:** {value}" for fact, value in facts.items() if value))
    return "\n\n".join(part for part in parts if part)


def _data(subject: Subject) -> str:
    """Return what the model was trained on or, without training, is declared for."""
    assert subject.spec is not None
    data = subject.training.get("dataset") or {"name": subject.spec.dataset}
    name, options = data.get("name", "?"), brief(data.get("options") or {})
    about = f" ({prose(options)})" if options else ""
    known = f": {prose(describe_dataset(name)).rstrip('.')}" if name in list_datasets() else ""
    held = {"training": "num_train", "held-out": "num_validation", "test": "num_test"}
    counts = [f"{data[key]:,} {what}" for what, key in held.items() if data.get(key)]
    return f"{code(name)}{about}{known}" + (f"; {', '.join(counts)} samples" if counts else "")


def _equation(steps: Sequence[Step]) -> str:
    equation = equation_of(steps)
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


def layer_rows(steps: Sequence[Step]) -> list[list[str]]:
    """Return the rows of the table of layers as plain text: name, kind, output shape, arithmetic of the parameters."""
    return [[step.name, step.kind, step.shape, step.arithmetic] for step in steps]


def _layers(subject: Subject, steps: Sequence[Step]) -> str:
    with_symbols = equation_of(steps) is not None
    rows = []
    for step, (name, kind, shape, arithmetic) in zip(steps, layer_rows(steps), strict=True):
        symbol = [f"${step.symbol}$"] if with_symbols else []
        rows.append([code(name), prose(kind), *symbol, shape or "–", arithmetic])
    header = ["layer", "type", *(["gives"] if with_symbols else []), "output shape", "parameters"]
    rows.append(["**total**", *[""] * (len(header) - 2), f"**{sum(step.info.num_params for step in steps):,}**"])
    return "\n\n".join(["## Layers", table(header, rows, right=[len(header) - 1])])


def _recipes(subject: Subject) -> str:
    if subject.spec is None:
        return ""
    recipes: dict[str, Recipe] = dict(subject.spec.recipes)
    used = subject.training.get("recipe")
    if used is not None and Recipe.from_dict(used) not in recipes.values():
        recipes["of this artifact"] = Recipe.from_dict(used)
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


def _learning_curves(subject: Subject, picture: str) -> str:
    if not picture:
        return ""
    training = subject.training
    history, recipe = training["history"], Recipe.from_dict(training["recipe"])
    steps = int(history["step"][-1])
    changes = f"the training loss goes from {_short(history['loss'][0])} to {_short(history['loss'][-1])}"
    evaluated = "val_loss" if history.get("val_loss") else "test_loss"
    part = "validation" if evaluated == "val_loss" else "test"
    if history.get(evaluated):
        changes += f", the {part} loss from {_short(history[evaluated][0])} to {_short(history[evaluated][-1])}"
    words = [f"The run of this artifact, seed {training['seed']}: {steps:,} steps, loss `{recipe.loss}`."]
    if history.get(evaluated) == history["loss"]:
        words.append(f"The curves of training and {part} data are the same.")
    if recipe.augmentation is not None and recipe.log_train == "batches":
        words.append("The training values are those of the distorted images that the network learns from.")
    return "\n\n".join(["### Learning curves", " ".join(words), f"![Learning curves: {changes}.]({picture})"])


def _short(value: float | None) -> str:
    return "infinite" if value is None else f"{value:.3g}"


def _confusion(confusion: Confusion | None, picture: str) -> str:
    if confusion is None:
        return ""
    wrong = f"{confusion.wrong:,} of {confusion.total:,} test samples are taken for another class"
    frequent = [f"{prose(truth)} for {prose(guess)} ({count:,})" for truth, guess, count in confusion.most_frequent()]
    words = f"{wrong}, most often {', '.join(frequent)}." if frequent else f"{wrong}."
    return "\n\n".join(
        ["### Confusion matrix", confusion.comment(), words, f"![Confusion matrix: {wrong}.]({picture})"]
    )


def _licence(subject: Subject) -> str:
    spec, card = subject.spec, subject.card
    if spec is None:
        return ""
    lines = [f"- Architecture: {prose(spec.source)}."]
    data: Mapping[str, Any] = subject.training.get("dataset") or {}
    if data.get("license"):
        origin = f", {prose(data['source'])}" if data.get("source") else ""
        lines.append(f"- Data: {code(data['name'])}{origin}. Licence: {prose(data['license'])}.")
    lines.append("- Code: `modelzoo`, under the Apache License 2.0.")
    version = describe_machine()["modelzoo"]
    year = f"\n  year    = {{{str(card['created'])[:4]}}}," if card else ""
    bibtex = (
        "@software{modelzoo,\n"
        "  author  = {{The modelzoo authors}},\n"
        "  title   = {modelzoo: the reference zoo of classical neural networks on Keras 3 and TensorFlow},\n"
        f"  version = {{{version}}},{year}\n"
        f"  note    = {{Model {subject.name}{_weights(subject)}}},\n"
        "}"
    )
    return "\n\n".join(["## Licence and citation", "\n".join(lines), f"```bibtex\n{bibtex}\n```"])


def _weights(subject: Subject) -> str:
    return f", weights {subject.card['weights_digest'][:12]}" if subject.card else ""
