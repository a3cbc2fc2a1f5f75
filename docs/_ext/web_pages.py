"""Put the pages to play with into the built site: the playground, and one for each pretrained network.

They are made when the site is, from the artifacts, so that they are never stale and nothing large is kept. The
directive ``play`` shows one by its name, the playground also in a given state; the page of an architecture shows its
own.
"""

from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive

import modelzoo
from modelzoo.pages import write_page
from modelzoo.web import playground

#: Test samples on which smaller weights are compared: the convolutional network takes 10 ms for each.
COMPARED = 1000
FRAME = (
    '<iframe class="playground" src="{address}" title="{name}, to play with" loading="lazy"></iframe>'
    '<p><a href="{address}">Open it as a page of its own</a></p>'
)


def setup(app):
    """Tell Sphinx what this extension does."""
    app.add_directive("play", Play)
    app.connect("html-page-context", show)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


class Play(Directive):
    """Show the page ``NAME``, or ``playground#STATE``."""

    required_arguments = 1

    def run(self):
        """Return the frame."""
        document = self.state.document.settings.env.docname
        return [nodes.raw("", frame(self.arguments[0], document), format="html")]


def frame(page, document):
    """Return the HTML that shows a page to play with in a document."""
    name, mark, state = page.partition("#")
    return FRAME.format(address=f"{'../' * document.count('/')}_static/{name}.html{mark}{state}", name=name)


def show(app, pagename, templatename, context, doctree):
    """Show a network before the equation on the page of its architecture."""
    folder, _, name = pagename.rpartition("/")
    if folder == "architectures" and name in modelzoo.list_pretrained():
        equation = '<section id="equation">'
        section = f'<section id="play"><h2>To play with</h2>{frame(name, pagename)}</section>'
        context["body"] = context["body"].replace(equation, section + equation, 1)


def write(app, exception):
    """Write the pages beside the site's own static files."""
    if exception is None and app.builder.format == "html":
        static = Path(app.outdir, "_static")
        (static / "playground.html").write_text(playground(), encoding="utf-8")
        for name in modelzoo.list_pretrained():
            write_page(name, static / f"{name}.html", overwrite=True, compared=COMPARED)
