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

#: Test samples on which the smaller weights of a page are compared: few enough not to keep anybody waiting.
COMPARED = 500


@click.command()
@click.argument("source", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write the page to this file; open nothing.")
@overwrite_option
def play(source: str | None, output: Path | None, overwrite: bool) -> None:
    """Open SOURCE, a pretrained model or an artifact's directory, in the browser; without it, the playground.

    Draw on a classifier of images, drag a point through a network of points, decode any code of an autoencoder. In the
    playground networks of points are trained before your eyes. The page is one file that asks for nothing: it works
    without a server and offline, on a phone and on a beamer.

    \b
    modelzoo play                                  train networks of points in the browser
    modelzoo play -o playground.html               the same page as a file, to give away
    modelzoo play two_conv_cnn                     draw a digit and look inside
    modelzoo play my_net                           the same with a network of your own
    """
    if output is None and overwrite:
        raise InputError("--overwrite goes with --output; leave it out.")
    name = Path(source or "playground").resolve().name
    path = output or Path(tempfile.mkdtemp(prefix="modelzoo-"), f"{name}.html")
    if source is None:
        with atomic_file(path, overwrite=overwrite) as temporary:
            temporary.write_text(playground(), encoding="utf-8")
    else:
        from modelzoo.pages import write_page

        write_page(source, path, overwrite=overwrite, compared=COMPARED)
    click.echo(f"Wrote {path}")
    if output is None and not webbrowser.open(path.resolve().as_uri()):
        click.echo("Found no browser: open the file in one.")
