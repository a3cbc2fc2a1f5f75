"""Every Python block of README runs, in order, in an empty directory."""

import re
import textwrap
from pathlib import Path

import pytest

import modelzoo

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.slow
def test_python_blocks_run(tmp_path, monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks:
        exec(compile(block, str(README), "exec"), names)
    digits = modelzoo.datasets.load("digits").subset((0, 1, 2))
    assert modelzoo.evaluate(modelzoo.load("my_digits"), digits)["accuracy"] > 0.5


@pytest.mark.usefixtures("scratch_registry")
def test_contributing_shows_a_builder_that_works():
    text = (README.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = re.search(r"^    @register_model.*?(?=^The registry)", text, re.DOTALL | re.MULTILINE)[0]
    imports = (
        "from modelzoo._keras import keras\nfrom modelzoo.models import _build\n"
        "from modelzoo.registry import register_model\nfrom modelzoo.recipe import Recipe\n"
    )
    names = {"__name__": "modelzoo.models.mine"}
    exec(imports + textwrap.dedent(block), names)
    model = modelzoo.create_model("my_network", seed=1, num_classes=3)
    assert modelzoo.models.my_network is names["my_network"]
    assert model.output_shape == (None, 3)
    assert modelzoo.create_model("my_network").count_params() == modelzoo.get_spec("my_network").num_params


def test_commands_exist():
    from modelzoo.cli import app

    used = set(re.findall(r"^\$ modelzoo (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE))
    assert used
    assert used <= set(app.list_commands(None))


def test_files_that_are_linked_to_exist():
    for page in (README, README.with_name("CONTRIBUTING.md")):
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("https:") or (README.parent / target).is_file(), target


def test_make_targets_exist():
    makefile = (README.parent / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^\$ make (\w+)", README.read_text(encoding="utf-8"), re.MULTILINE):
        assert f"\n{target}:" in makefile


def test_no_advice_leads_to_the_other_package_called_modelzoo():
    root = README.parent
    files = [README, *root.glob("docs/**/*.md"), *root.glob("modelzoo/**/*.py"), *root.glob("scripts/*.py")]
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            assert not re.search(r"pip install '?modelzoo\b(?!` (would )?brings?)", line), (file, line)
    setup = (root / "setup.cfg").read_text(encoding="utf-8")
    assert "\nname = keras-modelzoo\n" in setup
    assert "keras_modelzoo-*.whl" in (root / ".ci" / "run").read_text(encoding="utf-8")
