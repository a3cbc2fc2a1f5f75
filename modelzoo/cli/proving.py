"""``modelzoo evaluate``, ``reproduce`` and ``check``: whether an artifact does what it says."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from modelzoo.cli.options import as_json, data_option, data_options, load_data, parse_seeds, stream_option
from modelzoo.cli.output import print_json, print_table, quiet_tensorflow
from modelzoo.errors import InputError


@click.command()
@click.argument("source")
@data_option
@data_options
@stream_option
@click.option("--split", type=click.Choice(["test", "train"]), default="test", show_default=True)
@click.option("--all", "thorough", is_flag=True, help="Compare the errors on corrupted images too; slower.")
@as_json
def evaluate(
    source: str,
    data: str | None,
    data_option: tuple[str, ...],
    stream: bool,
    split: Literal["train", "test"],
    thorough: bool,
    as_json: bool,
) -> None:
    """Compute loss and accuracy of SOURCE, a pretrained model or an artifact's directory.

    On the artifact's own test data the numbers in its card are measured again and compared; exit status 1 means that
    one does not agree.

    \b
    modelzoo evaluate two_conv_cnn                 its own test data, beside its card
    modelzoo evaluate two_conv_cnn --all           with the errors on shifted, turned, noisy and blurred images
    modelzoo evaluate my_cnn --data letters/       other data: loss and accuracy
    """
    if thorough and (data is not None or split != "test"):
        raise InputError("--all compares with the card on the artifact's own test data. Leave --data and --split out.")
    if stream and data is None:
        raise InputError("--stream reads a folder. Name it with --data, or leave --stream out.")
    if data_option and data is None:
        raise InputError(f"--data-option {data_option[0]!r} belongs to --data. Name the data, or leave it out.")
    with quiet_tensorflow():
        import modelzoo
    model = modelzoo.load(source)
    dataset = None if data is None else load_data(data, model.input_shape[1:], data_option, stream=stream)
    metrics: dict[str, Any] = modelzoo.evaluate(model, dataset, split=split)
    agreements = []
    if data is None and split == "test":
        agreements = modelzoo.verify(model, corruptions=thorough)
    agrees = all(agreement.ok for agreement in agreements)
    if as_json:
        if agreements:
            metrics = {**metrics, "agreements": [agreement.to_dict() for agreement in agreements], "agrees": agrees}
        print_json(metrics)
    else:
        click.echo("  ".join(f"{split} {name} {value:.4f}" for name, value in metrics.items()))
        if agreements:
            click.echo()
            print_table(_AGREEMENT, [_agreement_row(agreement) for agreement in agreements])
        elif data is None and split == "test":
            click.echo("The card holds no test results to compare with.")
    if not agrees:
        click.get_current_context().exit(1)


@click.command()
@click.argument("source")
@click.option("--seeds", help="Seeds to train with, such as 0-4 or 0,3; the artifact's own by default.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@as_json
def reproduce(source: str, seeds: str | None, quiet: bool, as_json: bool) -> None:
    """Train SOURCE, a pretrained model or an artifact's directory, again by its card and compare.

    On the kind of machine and with the versions in the card, the weights must come out bit for bit. Anywhere else the
    metrics must lie within their spread over seeds. Exit status 1 means that something does not agree.

    \b
    modelzoo reproduce sigmoid_mlp                 some seconds
    modelzoo reproduce relu_mlp --seeds 0-4        every seed of its card
    """
    chosen = None if seeds is None else parse_seeds(seeds)
    with quiet_tensorflow():
        import modelzoo

    def callbacks(seed: int) -> list[Any]:
        if quiet or as_json:
            return []
        click.echo(f"seed {seed}", err=True)
        return [modelzoo.training.ProgressBar()] if sys.stderr.isatty() else []

    found = modelzoo.reproduce(source, chosen, callbacks=callbacks)
    if as_json:
        print_json(found.to_dict())
    else:
        rows = []
        for run in found.runs:
            compared = {agreement.name: agreement for agreement in run.agreements}
            for name, value in run.metrics.items():
                cells = _agreement_row(compared[name]) if name in compared else [name, f"{value:.6g}", "–"] + [""] * 4
                rows.append([str(run.seed), *cells])
        print_table(["seed", *_AGREEMENT], rows)
        click.echo(f"\n{_weights_line(found)}")
    if not found.ok:
        click.get_current_context().exit(1)


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@as_json
def check(directory: Path, as_json: bool) -> None:
    """Tell whether any SavedModel can be fine-tuned and served, point by point, and how to mend it.

    The SavedModel is loaded and called as TensorFlow does, so check only what you would load. Exit status 1
    means that a point does not hold.
    """
    with quiet_tensorflow():
        import modelzoo
    points = modelzoo.check(directory)
    if as_json:
        print_json([vars(point) for point in points])
    else:
        for point in points:
            click.echo(f"{'ok  ' if point.ok else 'FAIL'} {point.name:<22} {point.detail}")
            if point.remedy:
                click.echo(f"{'':<27} → {point.remedy}")
    if not all(point.ok for point in points):
        click.get_current_context().exit(1)


_AGREEMENT = ["metric", "here", "card", "difference", "allowed", "", "why so much"]


def _agreement_row(agreement: Any) -> list[str]:
    a = agreement
    numbers = [f"{a.value:.6g}", f"{a.recorded:.6g}", f"{a.difference:+.1e}", f"{a.tolerance:.1e}"]
    return [a.name, *numbers, "agrees" if a.ok else "DIFFERS", a.reason]


def _weights_line(found: Any) -> str:
    """Say whether the weights came out as in the artifact, and whether they had to."""
    if found.same_weights is None:
        return f"Weights: not compared, because the artifact has seed {found.seed}."
    if found.same_weights:
        return f"Weights: the artifact's, bit for bit ({found.weights_digest[:12]})."
    if not found.machine_differences:
        return "Weights: they DIFFER from the artifact's, on the same kind of machine with the same versions."
    changes = ", ".join(f"{key} {there} there, {here} here" for key, (there, here) in found.machine_differences.items())
    return f"Weights: not bit for bit the artifact's, as may be on another machine ({changes})."
