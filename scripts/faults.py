"""Kill, starve and cut off modelzoo, as often as wanted, and count what is lost: it must be nothing."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
from rich import box
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # so that it also runs from a checkout not installed

from faults_common import Progress, Row, Workers
from faults_disk import disk_rows
from faults_download import download_rows
from faults_kill import MODELS, kill_rows

from modelzoo._io import atomic_file, check_target
from modelzoo.card import describe_machine
from modelzoo.errors import ModelZooError

#: Trials of each row unless told otherwise; of "kill", of each network.
TRIALS = {"kill": 30, "disk": 3, "download": 10}

EPILOG = """\
What is tried:

\b
  kill      SIGKILL at random moments of a run that trains, keeps checkpoints and exports, over an earlier
            artifact or to a new place; aimed in turn at training, a checkpoint and the export, and counted
            by where it fell. Each killed run is resumed to its end.
  disk      all that writes files, where the disk is full or read-only (a small file system in memory, which
            takes root), where files may only have so many bytes, and where the directory is removed meanwhile
  download  Fashion-MNIST's stand-in from a server on this machine that sends other bytes, cuts the body short,
            drops the connection, is gone, or answers 404 or 500; and SIGKILL meanwhile

\b
Lost would be:

\b
  kill      a target that is not the complete earlier artifact, the complete new one, or as absent as before; a
            checkpoint that was there; other weights or another history than without the kill, bit for bit;
            temporary files that are still there after the next run
  disk      an error that is not one line of modelzoo's own; a byte of what was there; temporary files; a model
            or data that changed; a write that still fails when the fault is gone
  download  an error without a next step; anything in the cache that is not the published file; a later good
            download that fails

\b
  python scripts/faults.py                                    all of it
  python scripts/faults.py --case kill --model two_conv_cnn --trials 100
  python scripts/faults.py --case disk --case download --markdown
"""


@click.command(epilog=EPILOG, context_settings={"max_content_width": 120, "help_option_names": ["-h", "--help"]})
@click.option("cases", "--case", type=click.Choice(list(TRIALS)), multiple=True, help="Only this case; repeatable.")
@click.option("models", "--model", type=click.Choice(list(MODELS)), multiple=True, help="Kill this one; repeatable.")
@click.option("--trials", type=click.IntRange(1), help="Of each row; of each network for kill.  [default: 30, 3, 10]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the random moments.")
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Also write all as JSON.")
@click.option("--markdown", is_flag=True, help="Print the table as the documentation shows it.")
def main(
    cases: tuple[str, ...], models: tuple[str, ...], trials: int | None, seed: int, output: Path | None, markdown: bool
) -> None:
    """Break what can break while modelzoo works, and print what was tried, how often, and what was lost.

    Exit status 1 means that something was lost.
    """
    chosen = [case for case in TRIALS if case in (cases or TRIALS)]
    if models and "kill" not in chosen:
        raise click.UsageError("--model goes with --case kill; leave it out.")
    rows = []
    console = Console(stderr=True)
    try:
        if output is not None:
            check_target(output, overwrite=True)
        with console.status("starting") as status, tempfile.TemporaryDirectory(prefix="faults-") as directory:
            for row in all_rows(chosen, models or tuple(MODELS), trials, seed, Path(directory), status.update):
                rows.append(row)
                console.print(
                    f"{row.fault}: {row.outcome or 'no trial'}", highlight=False, markup=False, soft_wrap=True
                )
        if output is not None:
            report = {"machine": describe_machine(), "seed": seed, "rows": [as_json(row) for row in rows]}
            with atomic_file(output) as temporary:
                temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    except ModelZooError as error:
        raise click.ClickException(str(error)) from None
    if markdown:
        click.echo(markdown_table(rows))
    else:
        Console().print(terminal_table(rows))
    lost = [text for row in rows for text in row.lost]
    for text in lost:
        click.echo(f"Lost: {text}", err=True)
    sys.exit(1 if lost else 0)


def all_rows(
    cases: list[str], models: tuple[str, ...], trials: int | None, seed: int, directory: Path, progress: Progress
) -> Iterator[Row]:
    """Try everything that was chosen and yield each row when it is complete."""
    for case in cases:
        place = directory / case
        place.mkdir()
        options: dict[str, Any] = {"trials": trials or TRIALS[case], "seed": seed, "progress": progress}
        if case == "download":
            yield from download_rows(place, **options)
            continue
        with Workers("heavy") as workers:
            if case == "disk":
                yield from disk_rows(workers, place, **options)
                continue
            for name in models:
                (place / name).mkdir()
                yield from kill_rows(name, workers, place / name, **options)


def as_json(row: Row) -> dict[str, Any]:
    """Return a row as the report holds it."""
    return {
        "case": row.case,
        "fault": row.fault,
        "trials": row.trials,
        "found": dict(row.found),
        "lost": row.lost,
        "skipped": row.skipped,
    }


def cells(row: Row) -> tuple[str, str, str, str]:
    """Return what the tables say of a row."""
    lost = "–" if not row.trials else str(len(row.lost)) if row.lost else "nothing"
    return row.fault, str(row.trials), row.outcome, lost


HEADER = ("fault", "trials", "found", "lost")


def terminal_table(rows: list[Row]) -> Table:
    """Return the table for the terminal."""
    shown = Table(*HEADER, box=box.SIMPLE)
    for row in rows:
        shown.add_row(*cells(row), style="red" if row.lost else None)
    return shown


def markdown_table(rows: list[Row]) -> str:
    """Return the table for the documentation."""
    lines = [f"| {' | '.join(HEADER)} |", "|---|--:|---|---|"]
    return "\n".join([*lines, *(f"| {' | '.join(cells(row))} |" for row in rows)])


if __name__ == "__main__":
    main()
