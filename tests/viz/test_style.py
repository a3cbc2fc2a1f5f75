"""Colours that everybody tells apart, and the two themes."""

import itertools

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from modelzoo import viz
from modelzoo.errors import InputError
from modelzoo.viz import style

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}


def linear(color):
    c = np.array(to_rgb(color))
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ rgb.clip(0, 1)
    t = xyz / [0.9505, 1.0, 1.089]
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    lights = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) for color in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
@pytest.mark.parametrize(("num_classes", "distance"), [(2, 40), (4, 17), (6, 17), (10, 12)])
def test_classes_differ_for_every_reader(num_classes, distance, deficiency):
    seen = [lab(np.array(DEFICIENCIES[deficiency]) @ linear(color)) for color in style.class_colors(num_classes)]
    assert len(seen) == num_classes
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > distance


def test_many_classes_get_a_colour_each():
    assert len(set(style.class_colors(26))) == 26
    assert style.class_cmap(7).N == 7


@pytest.mark.parametrize("name", ["light", "dark"])
def test_themes_are_readable_and_end_with_their_block(name):
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
    with pytest.raises(InputError, match="Unknown theme 'night'"), viz.theme("night"):
        pass


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0%"), (1, "100.0%"), (0.0001, "<0.1%"), (0.99999, ">99.9%"), (0.1234, "12.3%")]
)
def test_percent_never_rounds_to_certainty(share, text):
    assert style.percent(share) == text


def test_axes_have_to_be_axes():
    with pytest.raises(InputError, match="received Figure"):
        viz.plot_image(np.zeros((2, 2)), ax=plt.figure())
