"""Colours that everybody tells apart, the two themes, and figures as files: the same bytes, text as text."""

import itertools
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

import modelzoo
from modelzoo import viz
from modelzoo.errors import TargetExistsError
from modelzoo.viz import style

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    t = xyz / [0.9505, 1.0, 1.089]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize(("num_classes", "distance"), [(2, 40), (4, 17), (6, 17), (10, 12)])
def test_classes_differ_for_every_reader(num_classes, distance, deficiency, linear):
    seen = [lab(np.array(DEFICIENCIES[deficiency]) @ linear(color)) for color in style.class_colors(num_classes)]
    assert len(seen) == num_classes
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > distance
    assert len(set(style.class_colors(26))) == 26


@pytest.mark.parametrize("name", ["light", "dark"])
def test_themes_are_readable_and_end_with_their_block(name, contrast):
    before = dict(mpl.rcParams)
    with viz.theme(name):
        assert style.is_dark() == (name == "dark")
        assert contrast(style.foreground(), style.background()) > 12
        for color in (style.TRAIN_COLOR, style.TEST_COLOR, style.START_COLOR, style.END_COLOR):
            assert contrast(color, style.background()) > 3
        assert plt.figure().get_facecolor()[:3] == to_rgb(style.background())
        ink = plt.get_cmap(style.ink_cmap())
        assert contrast(ink(0.0), style.background()) < contrast(ink(1.0), style.background())
        np.testing.assert_allclose(style.signed_cmap()(0.5)[:3], to_rgb(style.background()), atol=0.02)
    assert dict(mpl.rcParams) == before
    with mpl.rc_context(viz.theme_rc(name)):
        assert style.is_dark() == (name == "dark")


def test_scale_makes_all_text_larger():
    def sizes():
        network = modelzoo.create_model("xor_mlp", seed=0)
        axes = (
            viz.plot_confusion_matrix([0, 1, 1], [0, 1, 0]),
            viz.plot_architecture(network),
            viz.plot_reliability(np.array([0, 1]), np.eye(2)),
        )
        return np.unique([text.get_fontsize() for ax in axes for text in ax.figure.findobj(mpl.text.Text)])

    with viz.theme("light"):
        usual = sizes()
    with viz.theme("dark", scale=1.8):
        scaled = sizes()
    np.testing.assert_allclose(scaled, 1.8 * usual)
    with viz.theme("light", scale=0.8):  # of whose pages there is more, so that the same picture fits
        np.testing.assert_allclose(sizes(), 0.8 * usual)


def test_every_figure_is_on_the_page_for_a_beamer():
    script = Path(__file__).parents[2] / "docs" / "figures" / "plot_for_a_beamer.py"
    called = set(re.findall(r"viz\.(plot_\w+)\(", script.read_text(encoding="utf-8")))
    assert called == {name for name in viz.__all__ if name.startswith("plot_")}


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0%"), (1, "100.0%"), (0.0001, "<0.1%"), (0.99999, ">99.9%"), (0.1234, "12.3%")]
)
def test_percent_never_rounds_to_certainty(share, text):
    assert style.percent(share) == text


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
from test_style import small_figure
import modelzoo
from modelzoo import viz
for path in sys.argv[2:]:
    viz.save_figure(small_figure(), path)
"""


def test_files_are_the_same_in_another_process_at_another_time(tmp_path, python):
    names = ["figure.svg", "figure.pdf", "figure.png"]
    for name in names:
        viz.save_figure(small_figure(), tmp_path / name)
    others = [tmp_path / f"other_{name}" for name in names]
    # Without a fixed salt, SVG identifiers differ between processes; SOURCE_DATE_EPOCH would hide a date.
    environment = {key: value for key, value in os.environ.items() if key != "SOURCE_DATE_EPOCH"}
    python("-c", _AGAIN, os.path.dirname(__file__), *others, env=environment)
    for name, other in zip(names, others, strict=True):
        assert other.read_bytes() == (tmp_path / name).read_bytes(), name
    assert b"CreationDate" not in (tmp_path / "figure.pdf").read_bytes()
    assert b"dc:date" not in (tmp_path / "figure.svg").read_bytes()
    root = ET.parse(tmp_path / "figure.svg").getroot()
    assert "selectable words" in [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_figure_keeps_its_colours_and_stands_for_its_parts(tmp_path):
    with viz.theme("dark"):
        figure = plt.figure(figsize=(4, 2))
    ground = tuple(round(255 * channel) for channel in figure.get_facecolor()[:3])
    inner = figure.subfigures(1, 2)[0].subplots()
    for name, part in (("figure", figure), ("axes", inner), ("part", inner.figure)):
        with Image.open(viz.save_figure(part, tmp_path / f"{name}.png", dpi=50)) as image:
            assert image.size == (200, 100)
            assert image.convert("RGB").getpixel((0, 0)) == ground != (255, 255, 255)


def test_files_are_replaced_only_if_asked(tmp_path):
    path = viz.save_figure(small_figure(), tmp_path / "new" / "figure.png")
    with pytest.raises(TargetExistsError, match="overwrite"):
        viz.save_figure(small_figure(), path)
    viz.save_figure(small_figure(), path, overwrite=True)
    assert [file.name for file in path.parent.iterdir()] == ["figure.png"]
