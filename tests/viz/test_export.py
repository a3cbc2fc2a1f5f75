"""Figures as files: the same bytes, text as text, nothing half-written."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from modelzoo import viz
from modelzoo.errors import InputError, TargetExistsError


def small_figure():
    figure, axes = plt.subplots(1, 2, figsize=(3, 2))
    axes[0].plot([0, 1], [1, 0], label="a line")
    axes[0].set_title("selectable words")
    axes[1].imshow(np.arange(4).reshape(2, 2))
    axes[1].axhline(0.5, clip_path=axes[1].patch)
    return figure


_AGAIN = """
import sys, time
import matplotlib.pyplot as plt
sys.path.insert(0, sys.argv[1])
from test_export import small_figure
from modelzoo import viz
for path in sys.argv[2:]:
    viz.save_figure(small_figure(), path)
"""


def test_files_are_the_same_in_another_process_at_another_time(tmp_path):
    names = ["figure.svg", "figure.pdf", "figure.png"]
    for name in names:
        viz.save_figure(small_figure(), tmp_path / name)
    others = [str(tmp_path / f"other_{name}") for name in names]
    # Without a fixed salt, SVG identifiers differ between processes; SOURCE_DATE_EPOCH would hide a date.
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    command = [sys.executable, "-c", _AGAIN, os.path.dirname(__file__), *others]
    subprocess.run(command, env=environment, check=True, cwd=os.getcwd())
    for name, other in zip(names, others, strict=True):
        with open(other, "rb") as file:
            assert file.read() == (tmp_path / name).read_bytes(), name
    assert b"CreationDate" not in (tmp_path / "figure.pdf").read_bytes()
    assert b"dc:date" not in (tmp_path / "figure.svg").read_bytes()


def test_text_in_svg_is_text(tmp_path):
    root = ET.parse(viz.save_figure(small_figure(), tmp_path / "figure.svg")).getroot()
    assert "selectable words" in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_figure_keeps_the_colours_it_was_drawn_in(tmp_path):
    with viz.theme("dark"):
        figure = small_figure()
    ground = tuple(round(255 * channel) for channel in figure.get_facecolor()[:3])
    with Image.open(viz.save_figure(figure, tmp_path / "dark.png", dpi=50)) as image:
        assert image.size == (150, 100)
        assert image.convert("RGB").getpixel((0, 0)) == ground != (255, 255, 255)


def test_axes_and_subfigures_stand_for_their_figure(tmp_path):
    figure = plt.figure(figsize=(4, 2))
    inner = figure.subfigures(1, 2)[0].subplots()
    for name, part in (("figure", figure), ("axes", inner), ("part", inner.figure)):
        with Image.open(viz.save_figure(part, tmp_path / f"{name}.png", dpi=50)) as image:
            assert image.size == (200, 100)


def test_wrong_targets_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(InputError, match=r"figure\.jpg"):
        viz.save_figure(small_figure(), tmp_path / "figure.jpg")
    with pytest.raises(InputError, match="received list"):
        viz.save_figure([1], tmp_path / "figure.png")
    assert list(tmp_path.iterdir()) == []
    path = viz.save_figure(small_figure(), tmp_path / "new" / "figure.png")
    with pytest.raises(TargetExistsError, match="overwrite"):
        viz.save_figure(small_figure(), path)
    viz.save_figure(small_figure(), path, overwrite=True)
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
