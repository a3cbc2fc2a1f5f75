"""Sphinx configuration of the documentation; ``make docs`` builds it, offline and for reading offline."""

import importlib.util
import os
import sys
from pathlib import Path

import modelzoo

# Before a lesson or autodoc imports them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "modelzoo"
project_copyright = "modelzoo's contributors"
version = release = modelzoo.__version__

extensions = [
    "dark_figures",
    "myst_parser",
    "numpydoc",
    "reference_pages",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_gallery.gen_gallery",
    "web_pages",
]
# The galleries copy lessons/ and figures/ to auto_lessons/ and auto_figures/ with what they print and draw.
exclude_patterns = ["_ext", "_templates", "auto_lessons/dark", "figures", "lessons"]
templates_path = ["_templates"]
show_warning_types = True

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# One script draws all formulae with paths: no fonts, no further files, no network.
MATHJAX = "tex-svg-full.js"
_mathjax = importlib.util.find_spec("sphinx-mathjax-offline")
mathjax_path = MATHJAX
mathjax3_config = {"options": {"enableMenu": False}}

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("ArrayLike", "FloatArray", "Limits", "Kind")}
maximum_signature_line_length = 88
add_module_names = False
toc_object_entries = False
# What a docstring refers to must be there; types in signatures are often other packages'.
nitpicky = True
nitpick_ignore_regex = [("py:(class|obj)", ".*")]
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": ["lessons", "figures"],
    "gallery_dirs": ["auto_lessons", "auto_figures"],
    "filename_pattern": "/plot_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "auto_lessons/backreferences",
    "doc_module": ("modelzoo",),
    "reset_modules": ("matplotlib", "dark_figures.start_lesson"),
    "ignore_repr_types": r"matplotlib",
    "image_srcset": ["2x"],
    "min_reported_time": 1,
    "write_computation_times": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = "modelzoo"
html_static_path = ["_static", str(Path(_mathjax.origin).parent / "static" / "mathjax" / MATHJAX)]
html_css_files = ["modelzoo.css"]
html_copy_source = False
html_show_sourcelink = False
# The summary of a search result is fetched from its page, which browsers refuse for files.
html_show_search_summary = False
html_sidebars = {"index": []}
html_context = {"default_mode": "auto"}
html_theme_options = {
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "show_nav_level": 1,
    "footer_start": ["copyright"],
    "footer_end": [],
}
