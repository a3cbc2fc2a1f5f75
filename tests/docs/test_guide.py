"""Every code block of the user guide and of the front page runs, page by page, in order, in an empty directory."""

import doctest
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

import modelzoo
from modelzoo import registry
from modelzoo.cli import app

GUIDE = Path(__file__).parents[2] / "docs" / "guide"
PAGES = ["../index.md", *sorted(page.name for page in GUIDE.glob("*.md"))]
#: A fence names its language, and the file it is the content of, if any.
FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
DOCTEST = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def directory(tmp_path, monkeypatch, scratch_registry):
    """Return an empty directory to run in, which may hold further builders; undo what a page registers."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(modelzoo.models, "__path__", [*modelzoo.models.__path__, str(tmp_path / "modelzoo" / "models")])
    registry._load_builtin_models.cache_clear()
    known = set(sys.modules)
    yield tmp_path
    for module in [name for name in sys.modules if name.startswith("modelzoo.models.") and name not in known]:
        del sys.modules[module]


def install(package, project):
    """Write what pip installs of a package beside its modules: its name and its entry points."""
    name, version, entry = re.search(r'name = "(.+)"\nversion = "(.+)"(?s:.*)entry-points.*\n(.*)', project).groups()
    facts = package / f"{name}-{version}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (facts / "entry_points.txt").write_text(f"[modelzoo.models]\n{entry.replace(chr(34), '')}\n")
    registry._plug_ins.cache_clear()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_page_runs(page, directory, monkeypatch, python):
    if page == "cards.md":  # goes on with the artifact of README
        modelzoo.save(modelzoo.create_model("relu_mlp", seed=0), "my_mlp")
    Image.fromarray(modelzoo.datasets.load("mnist").x_test[0]).save("photo.png")
    names: dict = {"__name__": "__main__"}
    for language, path, block in FENCE.findall((GUIDE / page).read_text(encoding="utf-8")):
        if path:
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(block, encoding="utf-8")
            if path.endswith("pyproject.toml"):
                package = (directory / path).parent
                install(package, block)
                monkeypatch.syspath_prepend(package)
        elif language == "python":
            exec(compile(block, page, "exec"), names)
        elif language == "pycon":
            test = doctest.DocTestParser().get_doctest(block, names, page, page, 0)
            failures = doctest.DocTestRunner(optionflags=DOCTEST, verbose=False).run(test, clear_globs=False)
            names.update(test.globs)
            assert failures.failed == 0
        elif language == "console":
            for line in re.findall(r"^\$ modelzoo (.*?)(?: *#.*)?$", block, re.MULTILINE):
                result = CliRunner().invoke(app, shlex.split(line), catch_exceptions=False)
                assert result.exit_code == 0, line
            if "$ pytest\n" in block:  # in a process of its own, as the author of a plug-in would
                python("-m", "pytest", "-q", cwd=package, env=os.environ | {"PYTHONPATH": str(package)})


def test_every_page_is_in_the_guides_index():
    listed = re.findall(r"^(\w+)$", (GUIDE / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(page.stem for page in GUIDE.glob("*.md") if page.stem != "index")
