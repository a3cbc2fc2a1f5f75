"""Write the pages of all architectures, ``docs/architectures/``, from the registry, the cards and the live models."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

import click

import modelzoo
from modelzoo._io import atomic_file
from modelzoo.errors import ModelZooError
from modelzoo.pages import read_subject, render
from modelzoo.pages.text import prose, read_docstring

ROOT = Path(__file__).resolve().parent.parent
#: The folder that is this script's own: what it did not write there is obsolete.
PAGES = ROOT / "docs" / "architectures"
COMMAND = "python scripts/render_docs.py"


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; exit with status 1 when a page is stale.")
@click.option("--output", type=click.Path(path_type=Path), default=PAGES, help="The folder.")
def main(names: tuple[str, ...], check: bool, output: Path) -> None:
    """Write the pages of NAMES, of all models by default, and the index.

    The networks are run on their test data only where a page does not hold the counts for these very weights and data
    yet; --check never runs them.
    """
    try:
        files: dict[str, str] = {}
        for name in names or modelzoo.list_models():
            files |= render(read_subject(name), previous=_read(output / f"{name}.md"), measure=not check)
        if not names:
            files["index.md"] = index()
        stale = [name for name, text in files.items() if not same(name, _read(output / name), text)]
        ours = not names and output.resolve() == PAGES
        present = [path.name for path in output.glob("*") if path.suffix in (".md", ".svg")] if ours else []
        obsolete = sorted(set(present) - set(files))
        if check and (stale or obsolete):
            click.echo(f"{output}: stale: {', '.join(stale + obsolete)}. Run `{COMMAND}` to mend it.", err=True)
            sys.exit(1)
        for name in stale:
            with atomic_file(output / name) as temporary:
                temporary.write_text(files[name], encoding="utf-8")
        for name in obsolete:
            (output / name).unlink()
        done = f"wrote {', '.join(stale)}" if stale else "all is up to date"
        click.echo(f"{output}: {done}{'; removed ' + ', '.join(obsolete) if obsolete else ''}.")
    except ModelZooError as error:
        click.echo(f"render_docs: {error}", err=True)
        sys.exit(2)


def same(name: str, before: str, after: str) -> bool:
    """Tell whether a file is up to date; a picture that another version of Matplotlib drew is not compared."""
    if name.endswith(".svg") and before and _drawn_by(before) != _drawn_by(after):
        return True
    return before == after


def index() -> str:
    """Return the gallery of all models, the smallest first."""
    specs = sorted(map(modelzoo.get_spec, modelzoo.list_models()), key=lambda spec: (spec.num_params, spec.name))
    parts = [
        "# Architectures",
        f"The {len(specs)} networks of the zoo, the smallest first. The pages are written by `{COMMAND}` from the "
        "registry, the models' cards and the live models; `modelzoo describe` writes such a page for a model of yours.",
        "\n".join(["```{toctree}", ":hidden:", "", *(spec.name for spec in specs), "```"]),
    ]
    for spec in specs:
        parts += [
            f"## [{spec.name}]({spec.name}.md)",
            f"{read_docstring(spec.builder).summary} {spec.num_params:,} parameters, data set `{spec.dataset}`.",
            f"[![Diagram of {spec.name}: {prose(spec.network)}]({spec.name}.svg)]({spec.name}.md)",
        ]
    return "\n\n".join(parts) + "\n"


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _drawn_by(svg: str) -> str:
    found = re.search(r"Matplotlib v[\w.+-]+", svg)
    return found[0] if found else ""


if __name__ == "__main__":
    main()
