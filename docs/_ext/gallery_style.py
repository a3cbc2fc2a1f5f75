"""The look of the lessons' figures. The gallery calls ``reset`` by its name before each lesson."""

import matplotlib as mpl

from modelzoo.viz import theme_rc


def reset(gallery_conf, lesson):
    """Give Matplotlib our light theme; the gallery has just put its own defaults back."""
    mpl.rcParams.update(theme_rc("light"))
