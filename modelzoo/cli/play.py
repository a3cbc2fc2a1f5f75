"""``modelzoo play``: networks in the browser, without TensorFlow."""

from __future__ import annotations

import tempfile
import webbrowser
from pathlib import Path

import click

from modelzoo._io import atomic_file
from modelzoo.cli.common import overwrite_option
from modelzoo.errors import InputError
from modelzoo.web import playground


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the page to this file; open nothing.")
@overwrite_option
def play(output: Path | None, overwrite: bool) -> None:
    """Open the playground in the browser: networks of points, trained before your eyes.

    The page is one file that asks for nothing: it works without a server and offline, on a phone and on a beamer.

    \b
    modelzoo play                                  train networks of points in the browser
    modelzoo play -o playground.html               the same page as a file, to give away
    """
    if output is None and overwrite:
        raise InputError("--overwrite goes with --output; leave it out.")
    path = output or Path(tempfile.mkdtemp(prefix="modelzoo-"), "playground.html")
    with atomic_file(path, overwrite=overwrite) as temporary:
        temporary.write_text(playground(), encoding="utf-8")
    click.echo(f"Wrote {path}")
    if output is None and not webbrowser.open(path.resolve().as_uri()):
        click.echo("Found no browser: open the file in one.")
