"""Writes a page to play with for each pretrained network, and shows it on the page of its architecture.

The pages are made when the site is, from the artifacts, so that they are never stale and nothing large is kept.
"""

from pathlib import Path

import modelzoo
from modelzoo.pages import write_page

#: Test samples on which the smaller weights are compared: the convolutional network takes 10 ms for each.
COMPARED = 1000

FRAME = (
    '<iframe class="play" src="{root}play/{name}.html" title="{name}, to play with" loading="lazy"></iframe>'
    '<p><a href="{root}play/{name}.html">Open it in a window of its own</a></p>'
)


def setup(app):
    """Put the frames into the pages, and write what they show."""
    app.connect("html-page-context", show)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True}


def show(app, pagename, templatename, context, doctree):
    """Add a section to the page of an architecture, before its equation; fill the place on the home page."""
    folder, _, name = pagename.rpartition("/")
    body = context.get("body", "")
    if folder == "architectures" and name in modelzoo.list_pretrained():
        section = f'<section id="play"><h2>To play with</h2>{FRAME.format(root="../", name=name)}</section>'
        context["body"] = body.replace('<section id="equation">', section + '<section id="equation">', 1)
    elif pagename == "index":
        context["body"] = body.replace('<p class="play-here"></p>', FRAME.format(root="", name="relu_mlp"), 1)


def write(app, error):
    """Write the pages into the finished site."""
    if error is None and app.builder.format == "html":
        for name in modelzoo.list_pretrained():
            write_page(name, Path(app.outdir, "play", f"{name}.html"), overwrite=True, compared=COMPARED)
