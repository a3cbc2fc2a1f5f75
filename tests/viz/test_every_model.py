"""Every figure of a model and its data draws, headless, for every model of the registry that it applies to."""

import warnings

import numpy as np
import pytest

import modelzoo
from modelzoo import datasets, viz

pytestmark = pytest.mark.slow

POINTS = {"plot_regions": 30, "plot_probability_maps": 30, "plot_unit_maps": None, "plot_hidden_units": None}
CLASSES = {"plot_confusion_matrix": None, "plot_reliability": None}
IMAGES = {"plot_misclassified": None}
CODES = {"plot_reconstructions": None, "plot_latent": None, "plot_manifold": None}


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_figures_draw(name):
    spec = modelzoo.get_spec(name)
    data = datasets.load(spec.dataset)
    if len(data.x_test) > 60:
        x, y = data.x_test[:60], data.y_test[:60]
        data = datasets.Dataset(x, y, x, y, name=data.name, class_names=data.class_names)
    figures = CODES if spec.task == "reconstruction" else CLASSES | (POINTS if data.x_test.ndim == 2 else IMAGES)
    model = modelzoo.create_model(name, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as a layout that does not fit
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        for i, (figure, resolution) in enumerate(figures.items()):
            with viz.theme("dark" if i % 2 else "light"):
                drawn = getattr(viz, figure)(model, data, **({"resolution": resolution} if resolution else {}))
                canvas = getattr(drawn, "figure", drawn).canvas
                canvas.draw()
            assert np.asarray(canvas.buffer_rgba()).std() > 3  # something is there
