"""What no figure can be drawn of: one line of ours, and a model as it was."""

from __future__ import annotations

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

import modelzoo
from modelzoo import viz
from modelzoo.errors import ModelZooError

NAN, INF, HUGE = float("nan"), float("inf"), 10**14
P = np.eye(4)[[0, 1, 2, 3, 0]]
Y = np.array([0, 1, 2, 3, 1])
X = np.arange(10.0).reshape(5, 2)
WEIGHT = "hidden/kernel[0, 0]"

RAGGED = [0, 1, 2, 3, [1]]
ARRAYS = [
    None,
    "x",
    b"x",
    {},
    object(),
    [],
    NAN,
    np.full(5, NAN),
    np.full((5, 4), INF),
    P.astype(object),
    P[None],
    RAGGED,
]
LIMITS = [3, "ab", (1,), (1, -1), (0, 0), (NAN, 1), (-INF, INF), (None, 1), (10**400, 10**401), (-1e300, 1e300)]
BOXES = [*LIMITS, ((1, 0), (0, 1)), ((0, 1), (0, INF)), ((-1e300, 1e300), (0, 1))]
COUNTS = [0, -1, 1.5, "x", True, None, HUGE]
NAMES = [3, NAN, np.array(NAN), "ab"]


@pytest.fixture(scope="module")
def nets():
    return {name: modelzoo.load(name) for name in ("tanh_mlp", "xor_mlp")} | {
        "autoencoder": modelzoo.create_model("tanh_autoencoder", hidden_units=(5, 2), seed=0),
        "cnn": modelzoo.create_model("two_conv_cnn", seed=0),
        "two inputs": keras.Model(
            ends := [keras.Input((2,)), keras.Input((2,))], keras.layers.Dense(4)(keras.layers.Concatenate()(ends))
        ),
        "not built": keras.Sequential([keras.layers.Dense(4)]),
    }


def refused(call, *models):
    before = [modelzoo.weights_digest(model) for model in models]
    try:
        with pytest.raises(ModelZooError) as caught:
            call()
    finally:
        plt.close("all")
    assert "\n" not in str(caught.value)
    assert before == [modelzoo.weights_digest(model) for model in models]


@pytest.mark.parametrize(
    ("call", "values"),
    [
        (lambda v: viz.plot_confusion_matrix(v, Y), ARRAYS),
        (lambda v: viz.plot_confusion_matrix(P, v), ARRAYS),
        (lambda v: viz.plot_confusion_matrix(P, Y, class_names=v), NAMES),
        (lambda v: viz.plot_reliability(P, Y, bins=v), COUNTS),
        (lambda v: viz.reliability(v, v), ARRAYS),
        (lambda v: viz.mistakes(P, v), ARRAYS),
        (viz.plot_class_scores, [*ARRAYS[1:-1], RAGGED]),
        (lambda v: viz.plot_class_scores(P[0], truth=v), [-1, 4, 1.5, "x", NAN, ["a"], [[1]]]),
        (lambda v: viz.plot_points(X, Y, class_names=v), NAMES),
        (lambda v: viz.plot_descent(np.square, v), ARRAYS),
        (lambda v: viz.plot_descent(v, [1.0, 2.0]), [None, 3, "x"]),
        (lambda v: viz.plot_descent(np.square, [1.0, 2.0], limits=v), LIMITS),
        (lambda v: viz.plot_activations(limits=v), LIMITS),
        (viz.plot_activations, [None, 3, (), [[]], ["nope"]]),
        (viz.plot_dataset, [(), ((), ()), None, 3, ((X, Y), 3), ((X,), (X,))]),
        (viz.plot_history, [None, 3, {"loss": ["a"]}, {"loss": 3}, {"loss": [1], "step": [NAN]}]),
        (lambda v: viz.plot_history({"loss": [1], "step": v}), [3, [[1]], ["a"], [1, 2]]),
        (lambda v: viz.plot_history({"loss": [1.0]}, v), [None, 3, [], {}, "nope"]),
        (lambda v: viz.plot_training({"loss": [1.0]}, v), [3, "loss", {}, [[]], ["nope"]]),
        (viz.theme_rc, [None, 3, [], {}, "nope"]),
        (lambda v: viz.plot_regions(lambda x: x[:, 0] > 1, (X, Y > 1), limits=v), BOXES),
        (lambda v: viz.plot_regions(lambda x: x[:, 0] > 1, (X, Y > 1), resolution=v), COUNTS),
    ],
)
def test_arrays_and_options(call, values):
    for value in values:
        refused(lambda value=value: call(value))


def test_models(nets):
    for model in (None, 3, "x", keras.Model, nets["two inputs"], nets["not built"], nets["cnn"]):
        for call in (
            lambda m: viz.plot_confusion_matrix(m, (X, Y)),
            lambda m: viz.plot_regions(m, (X, Y)),
            lambda m: viz.plot_hidden_units(m, (X, Y)),
            lambda m: viz.plot_latent(m, (X, Y)),
            lambda m: viz.decode(m, X),
            lambda m: viz.error_over_weights(m, (X, Y), WEIGHT, [0.0]),
        ):
            refused(lambda call=call, model=model: call(model))


def test_latent_plane(nets):
    model, images = nets["autoencoder"], np.zeros((5, 28, 28), "u1")
    for data in (*ARRAYS, images, (images, Y[:3]), (images[:0], Y[:0]), (images * NAN, Y), (Y, images)):
        refused(lambda data=data: viz.plot_latent(model, data), model)
    for codes in (*ARRAYS, np.zeros((0, 2)), np.zeros((3, 3))):
        refused(lambda codes=codes: viz.decode(model, codes), model)
    for limits in BOXES:
        refused(lambda limits=limits: viz.manifold(model, limits), model)
    for count in COUNTS:
        refused(lambda count=count: viz.manifold(model, count=count), model)
        refused(lambda count=count: viz.interpolate(model, images[0], images[1], steps=count), model)
    refused(lambda: viz.encode(model, images[:0]), model)


def test_weights_and_their_errors(nets):
    model, data = nets["xor_mlp"], (np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0]))
    for weights in (None, 3, NAN, [], {}, "x[0]", [3], f"hidden/kernel[{'9' * 5000}, 0]", "hidden/kernel[-1, 0]"):
        refused(lambda weights=weights: viz.error_over_weights(model, data, weights, [[0.0]]), model)
        refused(lambda weights=weights: viz.record_weights(model, weights), model)
    for settings in (None, "x", [], np.zeros((0, 1)), [[NAN]], [[0.0, 1.0]], [[0.0], [1.0, 2.0]]):
        refused(lambda settings=settings: viz.error_over_weights(model, data, WEIGHT, settings), model)
    for limits in LIMITS:
        refused(lambda limits=limits: viz.plot_error_curves(model, data, WEIGHT, limits=limits), model)
    for option, values in {
        "steps": COUNTS,
        "start": ["x", [NAN], [0.0, 1.0], []],
        "optimizer": [None, 3, {}, "nope", keras.optimizers.SGD, keras.optimizers.SGD(NAN)],
        "error": [None, [], {}, "nope"],
        "split": [None, [], {}, "nope"],
    }.items():
        for value in values:
            options = {"steps": 2, option: value}
            refused(lambda options=options: viz.descend_weights(model, data, WEIGHT, **options), model)


def test_collections_of_any_kind_and_numbers_of_numpy_are_taken(nets, tmp_path):
    model, data = nets["tanh_mlp"], (X, Y)
    for names in (np.array(["tanh", "relu"]), {"tanh": 1, "relu": 2}.keys(), ("tanh", "relu")):
        assert len(viz.plot_activations(names).axes) == 4
    assert len(viz.plot_training({"loss": [1.0]}, {"loss"}).axes) == 1
    assert viz.plot_confusion_matrix(P, Y, class_names=None)
    assert viz.plot_architecture(model, input_names={"a": 1, "b": 2}.keys())
    for truth in (1, 1.0, np.float64(1), np.array(1)):
        assert viz.plot_class_scores(P[0], truth=truth)
    for i, dpi in enumerate((np.int64(50), np.float32(50), 50)):
        viz.save_figure(plt.figure(figsize=(1, 1)), tmp_path / f"{i}.png", dpi=dpi)
    viz.save_figure(plt.figure(figsize=(400, 2)), tmp_path / "wide.svg")
    assert viz.error_over_weights(model, data, np.array([WEIGHT]), np.zeros((3, 1)))


def test_layers_and_files(nets, tmp_path):
    model, image = nets["cnn"], np.zeros((28, 28))
    for layers in (3, [], {}, [3], "nope", [[]]):
        refused(lambda layers=layers: viz.feature_maps(model, image, layers), model)
    for shape in (3, "ab", (3, 3), ((1, 0), (0, 1)), (None, 1)):
        refused(lambda shape=shape: viz.first_layer_weights(model, image_shape=shape), model)
    for names in (3, "ab", ["a"]):
        refused(lambda names=names: viz.plot_architecture(nets["tanh_mlp"], output_names=names))
    figure = plt.figure(figsize=(1, 1))
    for dpi in (-1, 0, 1e-9, NAN, INF, 1e9, 10**400, np.complex64(50), "x", None, True):
        refused(lambda dpi=dpi: viz.save_figure(figure, tmp_path / "a.png", dpi=dpi))
    refused(lambda: viz.save_figure(figure, tmp_path / "a.svg", dpi=1e9))
    for path in (None, 3, "a\0.png", f"{'x' * 300}.png", "/dev/null/x.png", tmp_path / "a.txt"):
        refused(lambda path=path: viz.save_figure(figure, path))
    assert not list(tmp_path.iterdir())
