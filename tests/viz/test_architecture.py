"""Diagrams: the numbers and the places of what is drawn, and that no label lies on another."""

import dataclasses
import functools
import itertools

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from keras import layers
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Circle

import modelzoo
from modelzoo import viz
from modelzoo.card import set_card
from modelzoo.network import NotAChainError, read_network, with_paths
from modelzoo.registry import card_for
from modelzoo.viz import style
from modelzoo.viz.architecture.canvas import glyph_curve
from modelzoo.viz.architecture.hourglass import Hourglass
from modelzoo.viz.architecture.neurons import Neurons, neuron_columns, shown_units
from modelzoo.viz.architecture.stages import read_stages
from modelzoo.viz.architecture.table import layer_rows


def words(ax):
    return [text.get_text() for text in ax.texts]


def assert_legible(ax, *, page=True):
    """Check that every label is large enough, inside the axes, and clear of every other label."""
    figure = ax.figure
    assert not page or figure.get_size_inches()[0] == style.PAGE_WIDTH
    figure.draw_without_rendering()
    frame = ax.get_window_extent()
    boxes = [(text.get_text(), text.get_window_extent()) for text in ax.texts if text.get_text()]
    assert boxes
    for label, box in boxes:
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, label
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, label
    for (label, box), (other, other_box) in itertools.combinations(boxes, 2):
        assert overlap(box, other_box) <= 0.5, f"{label!r} lies on {other!r}"
    assert min(text.get_fontsize() for text in ax.texts) >= 7.5
    # A label beside a unit does not lie on it; only a bias unit has one inside.
    discs = [patch.get_window_extent() for patch in ax.patches if isinstance(patch, Circle)]
    for disc, (label, box) in itertools.product(discs, boxes):
        assert label == "1" or overlap(box, disc) <= 1, f"{label!r} lies on a unit"


def overlap(box, other):
    """Return the smaller side of what two boxes share, in pixels."""
    across = min(box.x1, other.x1) - max(box.x0, other.x0)
    return min(across, min(box.y1, other.y1) - max(box.y0, other.y0))


@functools.cache
def zoo(name):
    """A model of the zoo that no test changes."""
    return modelzoo.create_model(name, seed=0)


def stacked(*parts, name="net"):
    return keras.Sequential(list(parts), name=name)


def colour_cnn():
    return stacked(
        keras.Input((64, 96, 3)),
        layers.Rescaling(1 / 127.5, offset=-1),
        layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dropout(0.25),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.Conv2D(256, 1, activation="gelu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(100, name="logits"),
        layers.Softmax(),
    )


def recurrent():
    return stacked(keras.Input((40,)), layers.Embedding(500, 64), layers.LSTM(32), layers.Dense(1))


def normalized():
    return stacked(
        keras.Input((20,)),
        layers.Dense(64, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.Dropout(0.3),
        layers.Dense(3, activation="softmax"),
    )


def two_inputs():
    picture, facts = keras.Input((28, 28, 1), name="picture"), keras.Input((7,), name="facts")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3)(picture))
    joined = layers.Concatenate(name="joined")([x, facts])
    return keras.Model([picture, facts], layers.Dense(3)(joined), name="two_inputs")


def deep(length=30):
    return stacked(
        keras.Input((64,)), *(layers.Dense(64, activation="relu") for _ in range(length - 1)), layers.Dense(3)
    )


def long_names():
    return stacked(
        keras.Input((4,), name="measurements_of_the_flower_in_centimetres"),
        layers.Dense(6, activation="softplus", name="a_hidden_layer_with_a_long_name"),
        layers.Dense(3, activation="softmax", name="probabilities_of_the_species_of_iris"),
        name="a_model_whose_name_is_so_long_that_it_cannot_stand_beside_the_number_of_its_parameters",
    )


FOREIGN = {
    "colour_cnn": (colour_cnn, "stacks"),
    "recurrent": (recurrent, "table"),
    "two_inputs": (two_inputs, "table"),
    "deep": (deep, "table"),
    "normalized": (normalized, "neurons"),
    "one_layer": (lambda: stacked(keras.Input((5,)), layers.Dense(1)), "neurons"),
    "wide": (lambda: stacked(keras.Input((9,)), layers.Dense(1000, activation="softmax")), "neurons"),
    "long_names": (long_names, "neurons"),
    "smallest_autoencoder": (lambda: stacked(keras.Input((8,)), layers.Dense(1), layers.Dense(8)), "hourglass"),
}


def stages_of(model):
    return read_stages(read_network(model))


def columns_of(model):
    return neuron_columns(stages_of(model), dict(with_paths(model)))


def drawn_kind(ax):
    if "output shape" in words(ax):
        return "table"
    if "positive weight" in words(ax):
        return "neurons"
    return "hourglass" if any(label.startswith("encoder:") for label in words(ax)) else "stacks"


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_every_zoo_model_has_a_legible_diagram_and_table(name):
    model = zoo(name)
    ax = viz.plot_architecture(model)
    images = "stacks" if "Conv2D" in [layer.kind for layer in read_network(model).layers] else "neurons"
    assert drawn_kind(ax) == ("hourglass" if hasattr(model, "decoder") else images)
    assert words(ax)[:2] == [name, f"{model.count_params():,} parameters"]
    assert_legible(ax)
    ax = viz.plot_architecture(model, kind="table")
    assert words(ax)[-2:] == ["total", f"{model.count_params():,}"]
    assert_legible(ax)


@pytest.mark.parametrize("name", FOREIGN)
def test_other_models_have_a_legible_diagram(name):
    build, kind = FOREIGN[name]
    model = build()
    ax = viz.plot_architecture(model)
    assert drawn_kind(ax) == kind
    assert f"{model.count_params():,} parameters" in words(ax)
    assert_legible(ax)


@pytest.mark.parametrize("kind", ["neurons", "hourglass", "stacks", "table"])
def test_dark_diagrams_stand_out_from_their_ground(kind, contrast):
    name = {"hourglass": "tanh_autoencoder", "stacks": "two_conv_cnn"}.get(kind, "xor_mlp")
    model = zoo(name)
    for theme in ("light", "dark"):
        with viz.theme(theme):
            ax = viz.plot_architecture(model, kind=kind)
            ground = style.background()
        assert min(contrast(text.get_color(), ground) for text in ax.texts) >= 4.5  # what WCAG 2 asks of small text


def test_pictures_grow_beyond_the_page_where_they_must():
    ax = viz.plot_architecture(zoo("tanh_autoencoder"), kind="neurons")
    assert ax.figure.get_size_inches()[0] > style.PAGE_WIDTH
    assert_legible(ax, page=False)
    names = [f"a class with a long name {i}" for i in range(10)]
    ax = viz.plot_architecture(zoo("two_conv_cnn"), kind="stacks", output_names=names)
    assert set(names) <= set(words(ax))
    assert_legible(ax, page=False)


def test_smaller_axes_shrink_the_whole_diagram():
    _, axes = plt.subplots(1, 2, figsize=(10, 4))
    model = zoo("sigmoid_mlp")
    full = viz.plot_architecture(model)
    assert viz.plot_architecture(model, ax=axes[1]) is axes[1]
    scale = axes[1].get_window_extent().width / full.get_window_extent().width
    assert scale < 0.7
    np.testing.assert_allclose(
        [text.get_fontsize() for text in axes[1].texts], [scale * text.get_fontsize() for text in full.texts], rtol=0.02
    )
    assert not axes[0].texts


# ------------------------------------------------------------------------------------------------- stages


def test_what_changes_no_shape_is_folded_into_the_stage_before():
    labels = words(viz.plot_architecture(zoo("two_conv_cnn")))
    expected = ["32@28×28", "64@7×7", "conv 5×5", "max pool", "2×2", "3,136", "51,264", "÷ 255", "softmax", "9"]
    assert set(expected) <= set(labels)
    stages = stages_of(colour_cnn())
    headings = [stage.heading for stage in stages]
    assert headings == ["input", "conv 3×3", "depthwise", "conv 1×1", "mean pool", "logits"]
    assert stages[0].notes == ("÷ 127.5 − 1",)
    assert stages[1].operation == ("conv 3×3", "stride 2")
    assert stages[1].notes == ("batch norm", "dropout 0.25")
    assert stages[1].activation_text == "ReLU"
    assert (stages[1].num_params, stages[1].arithmetic) == (496, "3×3×3×16 + 4×16")


def open_shape():
    return stacked(keras.Input((None, None, 1)), layers.Conv2D(2, 3))


def channels_first():
    return stacked(keras.Input((1, 8, 8)), layers.MaxPooling2D(2, data_format="channels_first"))


@pytest.mark.parametrize(
    ("build", "kind", "message"),
    [
        (recurrent, "neurons", "'embedding.*' \\(Embedding.*has no place"),
        (two_inputs, "stacks", r"inputs \['picture', 'facts'\]"),
        (open_shape, "stacks", "output shape"),
        (channels_first, "stacks", "has no place"),
        (colour_cnn, "neurons", "dense layers only"),
        (colour_cnn, "hourglass", "dense layers only"),
        (normalized, "hourglass", "20 → 64 → 3"),
        (normalized, "stacks", "the model has neither"),
    ],
)
def test_kinds_that_do_not_suit_are_refused(build, kind, message):
    with pytest.raises(NotAChainError, match=f"kind='{kind}' cannot draw.*{message}.*kind='table'"):
        viz.plot_architecture(build(), kind=kind)
    assert not plt.get_fignums()


# ------------------------------------------------------------------------------------------------ neurons


def test_lines_run_between_the_units_that_the_weights_join():
    model = modelzoo.create_model("tanh_mlp", seed=3)
    kernel, _ = model.get_layer("hidden").get_weights()
    bias = np.linspace(-1, 1, 10, dtype="float32")
    model.get_layer("hidden").set_weights([kernel, bias])
    picture = Neurons(columns_of(model))
    ends, weights = picture.edges(1)
    np.testing.assert_array_equal(weights.reshape(3, 10), np.vstack([kernel, bias]))
    for (source, target), ((x0, y0), (x1, y1)) in zip(itertools.product(range(3), range(10)), ends, strict=True):
        assert (x0, x1) == (picture.x[0], picture.x[1])
        assert y0 == picture.y[0][source]  # the third is the bias unit
        assert y1 == picture.y[1][target]


def test_lines_have_the_colour_of_their_sign_and_the_width_of_their_size():
    model = modelzoo.create_model("sigmoid_mlp", seed=1)
    ax = viz.plot_architecture(model)
    drawn = [c for c in ax.collections if isinstance(c, LineCollection) and len(c.get_segments()) > 1]
    for lines, name in zip(drawn, ("hidden", "logits"), strict=True):
        kernel, bias = model.get_layer(name).get_weights()
        weights = np.vstack([kernel, bias + 0.0]).ravel()
        weights = weights[np.argsort(np.abs(weights), kind="stable")]
        colors = lines.get_colors()[:, :3]
        np.testing.assert_allclose(colors[weights > 0], [to_rgb(style.BLUE)] * (weights > 0).sum())
        np.testing.assert_allclose(colors[weights < 0], [to_rgb(style.VERMILLION)] * (weights < 0).sum())
        widths = lines.get_linewidths()
        size = np.abs(weights) / np.abs(weights).max()
        slope = (widths[-1] - widths[0]) / (size[-1] - size[0])
        assert slope > 0
        np.testing.assert_allclose(widths, widths[0] + slope * (size - size[0]), atol=1e-6)


def test_small_networks_show_the_values_of_their_weights():
    model = modelzoo.create_model("xor_mlp", lesson_weights=True)
    values = {f"{value:.2f}".replace("-", "−") for weight in model.get_weights() for value in weight.ravel()}
    assert values <= set(words(viz.plot_architecture(model)))
    assert not values & set(words(viz.plot_architecture(model, show_weights=False)))
    large = zoo("tanh_mlp")
    assert not any("." in label for label in words(viz.plot_architecture(large)))
    value = large.get_layer("hidden").get_weights()[0][0, 0]
    assert f"{value:.2f}".replace("-", "−") in words(viz.plot_architecture(large, show_weights=True))


def test_wide_layers_show_the_first_and_the_last_units():
    assert shown_units(10) == tuple(range(10))
    assert shown_units(784) == (0, 1, 2, 3, None, 780, 781, 782, 783)
    model = zoo("dense_500_300")
    kernel = model.get_layer("hidden_2").get_weights()[0]
    shown = [0, 1, 2, 3, 496, 497, 498, 499], [0, 1, 2, 3, 296, 297, 298, 299]
    _, weights = Neurons(columns_of(model)).edges(2)
    np.testing.assert_array_equal(weights.reshape(9, 8)[:8], kernel[np.ix_(*shown)])
    labels = words(viz.plot_architecture(model))
    assert {"x₁", "x₇₈₄", "y₁₀", "784 inputs", "500 units", "784×500 + 500", "= 392,500", "28×28"} <= set(labels)
    assert "x₅" not in labels


def test_units_have_the_names_they_are_given():
    model = zoo("tanh_mlp")
    assert {"x₁", "x₂", "y₄"} <= set(words(viz.plot_architecture(model)))
    ax = viz.plot_architecture(model, input_names=["length", "$w$"], output_names=list("abcd"), title="5$ and 6$")
    assert {"length", "$w$", "a", "d", "5$ and 6$"} <= set(words(ax))
    assert not any(text.get_parse_math() for text in ax.texts)  # names are not formulas
    assert_legible(ax)


def test_models_that_know_their_classes_name_them():
    model = modelzoo.create_model("sigmoid_mlp", seed=0)
    set_card(model, dataclasses.replace(card_for(model), class_names=("below", "above")))
    assert {"below", "above"} <= set(words(viz.plot_architecture(model)))
    single = modelzoo.create_model("logistic_perceptron", seed=0)
    set_card(single, dataclasses.replace(card_for(single), class_names=("below", "above")))
    assert "P(above)" in words(viz.plot_architecture(single))


def test_biases_are_units_of_their_own_where_there_are_some():
    model = modelzoo.create_model("logistic_perceptron", use_bias=False, seed=0)  # with a column of ones
    columns = columns_of(model)
    _, weights = Neurons(columns).edges(1)
    np.testing.assert_array_equal(weights, model.get_weights()[0].ravel())
    assert columns[0].units == 2
    assert {"2 inputs", "1", "3×1", "= 3"} <= set(words(viz.plot_architecture(model)))
    model = stacked(keras.Input((2,)), layers.Dense(3, use_bias=False), layers.Dense(1, use_bias=False))
    assert not {"1", "dashed: bias"} & set(words(viz.plot_architecture(model)))


def test_units_show_the_curve_of_their_activation():
    x = np.linspace(-1, 1, 41)
    np.testing.assert_allclose(glyph_curve("relu"), np.column_stack([x, 2 * np.maximum(x, 0) - 1]), atol=1e-6)
    np.testing.assert_allclose(glyph_curve("tanh")[:, 1], np.tanh(2.5 * x) / np.tanh(2.5), atol=1e-6)
    np.testing.assert_allclose(glyph_curve(""), np.column_stack([x, x]), atol=1e-6)
    assert glyph_curve("my_activation") is None
    model = stacked(keras.Input((2,)), layers.Dense(1, activation=keras.ops.square))
    assert "square" in words(viz.plot_architecture(model))


# ------------------------------------------------------------------------------------- stacks, hourglass, table


def test_bars_of_the_hourglass_are_the_roots_of_the_units():
    picture = Hourglass(columns_of(modelzoo.create_model("tanh_autoencoder", latent_dim=6, seed=0)))
    units = np.array([784, 500, 300, 6, 300, 500, 784])
    np.testing.assert_allclose(picture.bars / picture.bars[0], np.sqrt(units / 784))
    assert picture.narrow == 3
    labels = words(viz.plot_architecture(zoo("tanh_autoencoder")))
    assert {"encoder: 543,402 parameters", "decoder: 544,184 parameters"} <= set(labels)
    assert labels.count("28×28") == 2


def test_rows_of_the_table():
    (_, kind, *_), (name, repeated, shape, arithmetic, total, _), _ = (
        row for row, _ in layer_rows(read_network(deep()))
    )
    assert (kind, repeated, shape) == ("InputLayer", "29 × Dense, relu", "64")
    assert (arithmetic, total) == ("29 · (64×64 + 64)", f"{29 * (64 * 64 + 64):,}")
    assert " … " in name
    rows = {row[0]: row for row, _ in layer_rows(read_network(two_inputs()))}
    assert rows["joined"][-1].endswith(", facts")
    assert rows["picture"][2] == "28×28×1"
    nested = layer_rows(read_network(zoo("tanh_autoencoder")))
    assert [row[0] for row, _ in nested if not row[1]] == ["encoder", "decoder"]
    assert next(depth for row, depth in nested if row[0] == "latent") == 1
