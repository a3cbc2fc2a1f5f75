"""Every figure draws, headless, for every model of the registry that it applies to."""

import warnings

import numpy as np
import pytest

import modelzoo
from modelzoo import datasets, viz

NAMES = modelzoo.list_models()

pytestmark = pytest.mark.slow


def figures(model, spec, data):
    """Return the figures that apply to a model."""
    image = data.x_test[0]
    if spec.task == "reconstruction":
        return [
            lambda: viz.plot_reconstructions(model, data, count=3),
            lambda: viz.plot_latent(model, data),
            lambda: viz.plot_decodings(model, data, [[0, 0], [1, 1]]),
            lambda: viz.plot_manifold(model, count=3),
            lambda: viz.plot_manifold(model, data, count=3),
            lambda: viz.plot_interpolation(model, image, data.x_test[1], steps=3),
            lambda: viz.plot_weights(model, count=4),
        ]
    found = [lambda: viz.plot_confusion_matrix(model, data), lambda: viz.plot_reliability(model, data)]
    if data.input_shape == (2,):
        found += [
            lambda: viz.plot_regions(model, data, resolution=30),
            lambda: viz.plot_probability_maps(model, data, resolution=30),
            lambda: viz.plot_hidden_units(model, data),
            lambda: viz.plot_unit_maps(model, data, resolution=30),
            lambda: viz.plot_error_curves(model, data, f"{dense[0].name}/kernel[0, 0]", resolution=5),
            lambda: viz.plot_dataset(data),
        ]
        dense = [layer for layer in model.layers if layer.count_params()]
        if len(dense) == 1:
            found.append(lambda: viz.plot_decision_line(model, data))
        return found
    found += [
        lambda: viz.plot_prediction(model, image, data.class_names),
        lambda: viz.plot_misclassified(model, data),
        lambda: viz.plot_feature_maps(model, image, count=4),
        lambda: viz.plot_saliency(model, image),
    ]
    is_convolutional = any(type(layer).__name__ == "Conv2D" for layer in model.layers)
    return [*found, lambda: (viz.plot_kernels if is_convolutional else viz.plot_weights)(model, count=4)]


@pytest.mark.parametrize("name", NAMES)
def test_figures_draw(name, tmp_path):
    spec = modelzoo.get_spec(name)
    data = datasets.load(spec.dataset)
    if len(data.x_test) > 60:
        x, y = data.x_test[:60], data.y_test[:60]
        data = datasets.Dataset(x, y, x, y, name=data.name, class_names=data.class_names)
    model = modelzoo.create_model(name, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as a layout that does not fit
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        for i, draw in enumerate(figures(model, spec, data)):
            with viz.theme("dark" if i % 2 else "light"):
                drawn = draw()
                figure = getattr(drawn, "figure", drawn)
                figure.savefig(tmp_path / f"{i}.png", dpi=50)
            pixels = np.asarray(figure.canvas.buffer_rgba())
            assert pixels.std() > 3  # something is there
