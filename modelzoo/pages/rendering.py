"""``describe``: the page of a model with its pictures, in a directory of its own."""

from __future__ import annotations

import os
from pathlib import Path

from modelzoo._io import atomic_directory, check_target
from modelzoo.errors import InputError
from modelzoo.pages.page import Pictures, write_page
from modelzoo.pages.pictures import (
    confusion_matrix,
    diagram,
    learning_curves,
    measure_confusion,
    read_confusion,
)
from modelzoo.pages.subject import Subject, read_subject

#: What the names of the pictures end in: diagram, learning curves and confusion matrix.
PICTURES = ("", "-training", "-confusion")


def describe(source: str | os.PathLike[str], output: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Write what there is to know of a model as Markdown with SVG pictures.

    The page shows the diagram, the equation, the layers with the arithmetic of their parameters, the recipes, the
    results over seeds, learning curves, the confusion matrix, and how to build, load, fine-tune and serve the model.
    What needs a registry entry or a card is left out where there is none.

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
    InputError
        There is no such model, directory or file, or overwriting would delete something else.
    ArtifactError
        The artifact is incomplete or altered, or the file cannot be loaded in safe mode.
    TargetExistsError
        ``output`` exists and ``overwrite`` is false.
    TargetError
        ``output`` cannot be written.

    Examples
    --------
    >>> import modelzoo
    >>> page = modelzoo.describe("xor_mlp", "about_xor")  # doctest: +SKIP
    """
    output = check_target(output, overwrite=overwrite)
    subject = read_subject(source)
    if output.exists():
        ours = {f"{subject.stem}.md", *(f"{subject.stem}{end}.svg" for end in PICTURES)}
        foreign = [output] if output.is_file() else sorted(p for p in output.iterdir() if p.name not in ours)
        if foreign:
            raise InputError(
                f"{output} holds more than a description of {subject.name}: overwriting would delete "
                f"{foreign[0].name}. Choose another path."
            )
    files = render(subject)
    with atomic_directory(output, overwrite=overwrite) as temporary:
        for name, text in files.items():
            (temporary / name).write_text(text, encoding="utf-8")
    return output / f"{subject.stem}.md"


def render(subject: Subject, *, previous: str = "", measure: bool = True) -> dict[str, str]:
    """Return the page of a model and its pictures.

    Parameters
    ----------
    subject
        What :func:`modelzoo.pages.read_subject` returned.
    previous
        An earlier page. Counts of the confusion matrix are taken from it where they are about the same weights and
        data, so that the network need not be run again.
    measure
        Run the network on its test data where ``previous`` does not have the counts; otherwise the page goes without.

    Returns
    -------
    dict
        Text by file name: ``NAME.md`` and its SVG files. The same model gives the same text in every run of the same
        versions.
    """
    stem = subject.stem
    confusion = read_confusion(previous, subject) or (measure_confusion(subject) if measure else None)
    files = {f"{stem}.svg": diagram(subject)}
    if subject.training.get("history"):
        files[f"{stem}-training.svg"] = learning_curves(subject)
    if confusion is not None:
        files[f"{stem}-confusion.svg"] = confusion_matrix(confusion)
    names = (f"{stem}{end}.svg" for end in PICTURES)
    drawn = Pictures(*(name if name in files else "" for name in names))
    return {f"{stem}.md": write_page(subject, drawn, confusion), **files}
