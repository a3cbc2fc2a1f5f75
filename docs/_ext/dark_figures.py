"""Draw each figure a second time, on a dark ground; of the two the reader sees the one that fits the site's theme.

The dark figures are made when the site is: each lesson runs once more, in a process of its own, while the gallery runs
it; the pictures of the architectures and of the home page are drawn again. They have the names of the light ones.
"""

import contextlib
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from sphinx_gallery.utils import scale_image

import modelzoo
from modelzoo.pages import read_subject, render
from modelzoo.viz import theme_rc

DOCS = Path(__file__).parents[1]
#: Beside the gallery's own pictures, so that both are kept and removed together.
DARK = DOCS / "auto_lessons" / "dark"
#: The lesson that runs in the dark theme now.
running: list[subprocess.Popen] = []


def setup(app):
    """Tell Sphinx what this extension does."""
    app.connect("builder-inited", forget_unfinished, priority=100)  # before the gallery
    app.connect("builder-inited", draw_pages, priority=900)  # after the gallery
    app.connect("html-page-context", show_both)
    app.connect("build-finished", copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def forget_unfinished(app):
    """Let the gallery run each lesson again whose dark figures are missing, as after a build that stopped."""
    for lesson in DOCS.glob("lessons/plot_*.py"):
        if not thumbnail(lesson).is_file():
            (DARK.parent / f"{lesson.name}.md5").unlink(missing_ok=True)


def thumbnail(lesson):
    """Return the dark picture of a lesson that is written last."""
    return DARK / f"sphx_glr_{lesson.stem}_thumb.png"


def start_lesson(gallery_conf, lesson):
    """Give Matplotlib our light theme, and start the lesson in the dark one. The gallery calls this before each."""
    wait()
    mpl.rcParams.update(theme_rc("light"))
    source = DOCS / "lessons" / Path(lesson).name
    if source.is_file():  # the other gallery's script chooses a theme of its own
        DARK.mkdir(parents=True, exist_ok=True)
        thumbnail(source).unlink(missing_ok=True)
        size = map(str, gallery_conf["thumbnail_size"])
        running.append(subprocess.Popen([sys.executable, __file__, source, *size]))


def wait():
    """Wait for the lesson that runs in the dark theme."""
    while running:
        process = running.pop()
        if process.wait():
            raise RuntimeError(f"{process.args[2].name} fails in the dark theme.")


def draw_lesson(lesson, *thumbnail_size):
    """Run a lesson in the dark theme and write its figures under the names that the gallery gives the light ones."""
    mpl.rcParams.update(theme_rc("dark") | {"figure.max_open_warning": 0})
    with contextlib.redirect_stdout(io.StringIO()):
        runpy.run_path(str(lesson), run_name="__main__")
    stem = DARK / f"sphx_glr_{lesson.stem}"
    for i, number in enumerate(plt.get_fignums(), start=1):
        for size, dpi in {"": 100, "_2_00x": 200}.items():
            plt.figure(number).savefig(f"{stem}_{i:03}{size}.png", dpi=dpi)
    chosen = re.search(r"thumbnail_number = (\d+)", lesson.read_text(encoding="utf-8"))
    scale_image(f"{stem}_{int(chosen[1]) if chosen else 1:03}.png", thumbnail(lesson), *thumbnail_size)


def draw_pages(app):
    """Draw the pictures of the architectures and of the home page in the dark theme, where they are not up to date."""
    wait()
    DARK.mkdir(parents=True, exist_ok=True)
    for name in modelzoo.list_models():
        page = DOCS / "architectures" / f"{name}.md"
        if page.is_file() and is_stale(page):  # networks of plug-ins have no page here
            for file, text in render(read_subject(name), theme="dark").items():
                (DARK / file).write_text(text, encoding="utf-8")
    picture = DOCS / "_static" / "zoo.png"
    if is_stale(picture):
        sys.path.append(str(DOCS.parent / "scripts"))
        from render import draw_picture

        draw_picture(DARK / picture.name, "dark")


def is_stale(path):
    """Return whether the dark counterpart of a file is missing or older than the file."""
    dark = DARK / path.name
    return not dark.is_file() or dark.stat().st_mtime < path.stat().st_mtime


def show_both(app, pagename, templatename, context, doctree):
    """Put the dark picture beside each light one that has one; the theme shows one of the two."""
    if "body" in context:
        context["body"] = re.sub(r'<img [^>]*src="[^"]*_images/([^"/]+)"[^>]*>', both, context["body"])


def both(found):
    """Return an element of HTML and its dark counterpart, if there is one."""
    light = found[0] if "class=" in found[0] else found[0].replace("<img ", '<img class="" ', 1)
    if not (DARK / found[1]).is_file():
        return found[0]
    dark = light.replace("_images/", "_images/dark/")
    return light.replace('class="', 'class="only-light ', 1) + dark.replace('class="', 'class="only-dark ', 1)


def copy(app, exception):
    """Put the dark pictures into the site."""
    if exception is None and app.builder.format == "html":
        ignored = shutil.ignore_patterns("*.md")
        shutil.copytree(DARK, Path(app.outdir, "_images", "dark"), dirs_exist_ok=True, ignore=ignored)


if __name__ == "__main__":
    draw_lesson(Path(sys.argv[1]), *map(int, sys.argv[2:]))
