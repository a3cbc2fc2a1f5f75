"""Put the pages to play with into the built site: the playground, and one for each pretrained network.

They are made when the site is, from the artifacts, so that they are never stale and nothing large is kept. The page of
an architecture shows that of its network; the home page starts with one to draw on.
"""

from pathlib import Path

import modelzoo
from modelzoo.pages import write_page
from modelzoo.web import playground

#: Test samples on which smaller weights are compared: the convolutional network takes 10 ms for each.
COMPARED = 1000
FRAME = (
    '<iframe class="playground" src="{static}/{name}.html" title="{name}, to play with" loading="lazy"></iframe>'
    '<p><a href="{static}/{name}.html">Open it as a page of its own</a></p>'
)


def setup(app):
    """Tell Sphinx what this extension does."""
    app.connect("html-page-context", show)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def show(app, pagename, templatename, context, doctree):
    """Show a network before the equation on the page of its architecture, and one on the home page."""
    folder, _, name = pagename.rpartition("/")
    if folder == "architectures" and name in modelzoo.list_pretrained():
        equation = '<section id="equation">'
        section = f'<section id="play"><h2>To play with</h2>{FRAME.format(static="../_static", name=name)}</section>'
        context["body"] = context["body"].replace(equation, section + equation, 1)
    elif pagename == "index":
        frame = FRAME.format(static="_static", name="relu_mlp")
        context["body"] = context["body"].replace('<p class="play-here"></p>', frame, 1)


def write(app, exception):
    """Write the pages beside the site's own static files."""
    if exception is None and app.builder.format == "html":
        static = Path(app.outdir, "_static")
        (static / "playground.html").write_text(playground(), encoding="utf-8")
        for name in modelzoo.list_pretrained():
            write_page(name, static / f"{name}.html", overwrite=True, compared=COMPARED)
