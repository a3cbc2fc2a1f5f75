"""``modelzoo describe``: a model's layers and results, in the terminal or as a page with pictures."""

from __future__ import annotations

import os
from pathlib import Path

import click

from modelzoo.cli.options import as_json, overwrite_option
from modelzoo.cli.output import print_json, print_table, quiet_tensorflow
from modelzoo.errors import InputError


@click.command()
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Directory for Markdown and SVG pictures.")
@overwrite_option
@as_json
def describe(source: str, output: Path | None, overwrite: bool, as_json: bool) -> None:
    """Describe SOURCE: a model's name, an artifact's directory, or any .keras file.

    The terminal shows its layers with the arithmetic of their parameters. With --output there is a page with the
    diagram, the equation, recipes, results, learning curves, the confusion matrix, and how to use the model. A .keras
    file is loaded in Keras' safe mode; read only files whose authors you trust.

    \b
    modelzoo describe two_conv_cnn                 its layers
    modelzoo describe two_conv_cnn -o about_cnn    the page, in about_cnn/two_conv_cnn.md
    modelzoo describe my_own.keras -o about_mine   any Keras model of layers that Keras knows
    """
    if output is None and overwrite:
        raise InputError("--overwrite goes with --output; leave it out.")
    if output is not None and as_json:
        raise InputError("--json prints to the terminal and --output writes a page; give one of the two.")
    os.environ.setdefault("MPLBACKEND", "Agg")
    with quiet_tensorflow():
        import modelzoo
        from modelzoo.pages.page import layer_rows, results_line
        from modelzoo.pages.subject import read_subject
    if output is not None:
        click.echo(f"Wrote {modelzoo.describe(source, output, overwrite=overwrite)}")
        return
    subject = read_subject(source)
    rows, total, cost = layer_rows(subject), subject.network.num_params, subject.cost
    if as_json:
        keys = ("name", "type", "output_shape", "parameters")
        layers = [dict(zip(keys, row, strict=True)) for row in rows]
        facts = {"name": subject.name, "summary": subject.summary, "layers": layers, "num_params": total}
        print_json({**facts, "multiply_adds": cost})
        return
    click.echo(f"{subject.name}: {subject.summary}\n")
    print_table(["layer", "type", "output shape", "parameters"], rows, right=3)
    click.echo(f"\n{total:,} parameters" + (f", {cost:,} multiply-adds a sample" if cost is not None else ""))
    if line := results_line(subject):
        click.echo(line)
