"""What a type checker sees of the public names, although they load on first use."""

import re
from pathlib import Path

import pytest

#: Each expression, and how its type begins.
PROGRAM = """\
import modelzoo
from modelzoo import datasets, viz

reveal_type(modelzoo.list_models())  # list[str]
reveal_type(modelzoo.get_spec("relu_mlp").recipe("lesson").replace(steps=3))  # modelzoo.recipe.Recipe
reveal_type(datasets.load("mnist").x_train)  # numpy.ndarray[
reveal_type(modelzoo.evaluate("relu_mlp"))  # dict[str, float]
reveal_type(viz.plot_points(datasets.load("linear")))  # matplotlib.axes._axes.Axes
reveal_type(modelzoo.check("my_net"))  # list[modelzoo.saving.
modelzoo.finetune("relu_mlp", datasets.load("digits"), seed="zero")
"""


@pytest.mark.slow
def test_a_users_program_gets_real_types(tmp_path, python):
    """Keras and TensorFlow ship no types: what they define is ``Any`` to everyone."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    config = tmp_path / "mypy.ini"
    config.write_text("[mypy]\nignore_missing_imports = True\n")
    options = ("--config-file", config, "--no-error-summary", program.name)
    environment = {"MYPYPATH": str(Path(__file__).parents[1]), "PATH": ""}
    result = python("-m", "mypy", *options, cwd=tmp_path, env=environment, status=1)
    lines = [line for line in result.stdout.splitlines() if line.startswith("program.py")]
    revealed = [re.findall('Revealed type is "(.*)"', line)[0] for line in lines if "Revealed" in line]
    expected = re.findall("  # (.*)", PROGRAM)
    assert len(revealed) == len(expected), result.stdout + result.stderr
    for found, wanted in zip(revealed, expected, strict=True):
        assert found.startswith(wanted), result.stdout
    errors = [line for line in lines if "error:" in line]
    assert len(errors) == 1, result.stdout
    assert 'Argument "seed" to "finetune"' in errors[0]
