"""Copy the playground to the built site: one file, which the page about it shows and which opens by itself."""

from pathlib import Path

from modelzoo.web import playground


def write_playground(app, exception):
    """Write the page beside the site's own static files."""
    if exception is None and app.builder.format == "html":
        (Path(app.outdir) / "_static" / "playground.html").write_text(playground(), encoding="utf-8")


def setup(app):
    """Tell Sphinx what this extension does."""
    app.connect("build-finished", write_playground)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
