"""Maps of hidden units against the mathematics in NumPy."""

import keras
import numpy as np
import pytest

from modelzoo import reference, viz
from modelzoo.errors import DataError, InputError

BOX = ((-3.0, 5.0), (-1.0, 2.0))


def test_grid_holds_the_activations_of_the_layer(tanh_mlp):
    grid = viz.unit_grid(tanh_mlp, BOX, resolution=7)
    points = np.column_stack([grid.x1.ravel(), grid.x2.ravel()])
    expected = reference.forward(points, tanh_mlp.get_weights(), ["tanh", "softmax"]).post[1]
    np.testing.assert_allclose(grid.activations.reshape(-1, 10), expected, atol=1e-5)
    assert (grid.x1[3, 0], grid.x1[3, -1], grid.x2[0, 3], grid.x2[-1, 3]) == (-3, 5, -1, 2)
    logits = viz.unit_grid(tanh_mlp, BOX, layer="logits", resolution=7).activations
    assert logits.shape == (7, 7, 4)


def test_maps_show_the_units_their_lines_and_the_points(tanh_mlp, four_class):
    figure = viz.plot_unit_maps(tanh_mlp, four_class, limits=((-20, 20), (-20, 20)), resolution=11, columns=4)
    maps = [ax for ax in figure.axes[:12] if ax.get_visible()]
    assert [ax.get_title() for ax in maps] == [f"unit {k}" for k in range(1, 11)]
    grid = viz.unit_grid(tanh_mlp, ((-20, 20), (-20, 20)), resolution=11)
    kernel, bias, *_ = tanh_mlp.get_weights()
    for k, ax in enumerate(maps):
        np.testing.assert_allclose(ax.images[0].get_array(), grid.activations[..., k])
        low, high = ax.images[0].get_clim()
        assert -low == high >= np.abs(grid.activations).max()
        ends = ax.get_lines()[-1].get_xydata()
        np.testing.assert_allclose(ends @ kernel[:, k] + bias[k], 0, atol=1e-5)
        assert sum(len(points.get_offsets()) for points in ax.collections) == len(four_class.x_test)
    assert "activation" in figure.axes[-1].get_ylabel()


def test_units_deeper_in_the_network_have_no_line(xor_net):
    figure = viz.plot_unit_maps(xor_net, ([[0, 0], [1, 1]], [0, 1]), layer="logits", resolution=5)
    assert not figure.axes[0].get_lines()
    hidden = viz.plot_unit_maps(xor_net, ([[0, 0], [1, 1]], [0, 1]), limits=((-3, 3), (-3, 3)), resolution=5)
    assert hidden.axes[0].images[0].get_clim() == (0, 1)  # the range of logistic units
    assert len(hidden.axes[0].get_lines()) == 2  # a line with a halo


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: viz.unit_grid(m, BOX, layer="hiden"), InputError, "Did you mean 'hidden'"),
        (lambda m: viz.unit_grid("net", BOX), InputError, "str"),
        (lambda m: viz.unit_grid(m, BOX, resolution=1), InputError, "resolution"),
        (lambda m: viz.unit_grid(m, ((1, 0), (0, 1))), InputError, "limits"),
        (lambda m: viz.plot_unit_maps(m, (np.zeros((3, 3)), [0, 1, 0])), DataError, r"\(3, 3\)"),
    ],
)
def test_wrong_input_is_named(tanh_mlp, call, error, words):
    with pytest.raises(error, match=words):
        call(tanh_mlp)


def test_units_of_images_are_refused(small_cnn):
    with pytest.raises(InputError, match=r"\(batch, units\)"):
        viz.unit_grid(small_cnn, BOX, layer="conv")
    with pytest.raises(DataError, match="samples of shape"):
        viz.unit_grid(small_cnn, BOX)


def test_a_model_of_ones_own():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="relu"), keras.layers.Dense(1)])
    figure = viz.plot_unit_maps(model, ([[0.0, 0.0], [1.0, 1.0]], [0, 1]), resolution=5)
    assert sum(ax.get_title().startswith("unit") for ax in figure.axes) == 3
