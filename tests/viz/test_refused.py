"""Arguments that no figure can be drawn of: one line that names what was wrong, and no figure left open."""

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest

from modelzoo import viz
from modelzoo.errors import InputError, ModelZooError

X, Y = np.arange(12.0).reshape(6, 2), np.array([0, 1, 2, 0, 1, 2])
IMAGES = np.zeros((6, 28, 28), "uint8")
P = np.eye(3)[Y]
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
PAIR = {"w1": "logits/kernel[0, 0]", "w2": "logits/kernel[1, 0]"}


def two_outputs():
    x = keras.Input((2,))
    return keras.Model(x, [keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)])


def not_built():
    return keras.Sequential([keras.layers.Dense(3)])


@pytest.fixture(scope="module")
def n(tanh_mlp, image_mlp, small_cnn, autoencoder, xor_net):
    """The networks."""
    return {"points": tanh_mlp, "image": image_mlp, "cnn": small_cnn, "ae": autoencoder, "xor": xor_net}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        # data
        (lambda n: viz.plot_points((X, Y[:3])), "Expected 6 labels.*3"),
        (lambda n: viz.plot_points((X, Y + 10**9)), "out of range"),
        (lambda n: viz.plot_points((X, Y + 0.5)), "integers"),
        (lambda n: viz.plot_points((X, Y), class_names=["a", "b"]), "label 2 .*0 to 1"),
        (lambda n: viz.plot_points((X, Y), class_names="abc"), "sequence of names"),
        (lambda n: viz.plot_points((X * np.nan, Y)), "NaN"),
        (lambda n: viz.plot_points(X), "needs labels"),
        (lambda n: viz.plot_points(X[:, :1], Y), r"points in the plane.*\(6, 1\)"),
        (lambda n: viz.plot_dataset((X, Y[:0])), "empty"),
        (lambda n: viz.plot_image(IMAGES[:1]), r"\(1, 1, 28, 28\)"),
        (lambda n: viz.plot_image(IMAGES[0], ax=plt.gcf()), "ax must be Matplotlib Axes"),
        (lambda n: viz.plot_images(IMAGES[0]), r"image\[None\]"),
        (lambda n: viz.plot_images(IMAGES, count=0), "count"),
        (lambda n: viz.plot_images(IMAGES, seed=-1), "seed"),
        # boundaries
        (lambda n: viz.plot_regions("model", (X, Y)), "Unknown model or directory 'model'"),
        (lambda n: viz.plot_regions(two_outputs(), (X, Y)), "one output; it has 1 and 2"),
        (lambda n: viz.plot_regions(not_built(), (X, Y)), "one input"),
        (lambda n: viz.plot_regions(n["image"], (X, Y)), r"takes \(28, 28\)"),
        (lambda n: viz.plot_regions(lambda x: x[:2, 0] * 0, (X, Y)), "one row of probabilities a sample"),
        (lambda n: viz.plot_regions(lambda x: np.full(len(x), np.nan), (X, Y)), "NaN"),
        (lambda n: viz.plot_regions(lambda x: x, (X, Y)), "sum to 1"),
        (lambda n: viz.plot_regions(lambda x: np.zeros(len(x)), (X, Y)), "2 classes apart.*up to 2"),
        (lambda n: viz.plot_regions(n["points"], (X, Y), limits=((1, 0), (0, 1))), "low < high"),
        (lambda n: viz.plot_regions(n["points"], (X, Y), limits="wide"), "limits must be"),
        (lambda n: viz.plot_probability_maps(n["points"], (X, Y), resolution=1), "resolution"),
        (lambda n: viz.plot_decision_line(n["points"], (X, Y)), "one straight line.*2 with 10 units"),
        (lambda n: viz.plot_decision_line((np.eye(2), [0, 0]), (X, Y)), "one straight line"),
        (lambda n: viz.plot_decision_line(([1, 2, 3], 0), (X, Y)), r"\(2, units\)"),
        (lambda n: viz.plot_hidden_units(n["image"], (X, Y)), "784 inputs"),
        # activations and weights
        (lambda n: viz.unit_grid(n["points"], ((0, 1), (0, 1)), layer="hiden"), "Did you mean 'hidden'"),
        (lambda n: viz.unit_grid(n["cnn"], ((0, 1), (0, 1)), layer="conv"), r"\(batch, units\)"),
        (lambda n: viz.unit_grid(None, ((0, 1), (0, 1))), "must be a Keras model"),
        (lambda n: viz.plot_feature_maps(n["image"], np.zeros((5, 5))), r"\(5, 5\).*\(28, 28\)"),
        (lambda n: viz.feature_maps(n["image"], IMAGES[0], ["hidden"]), "Unknown layer 'hidden'"),
        (lambda n: viz.saliency(n["image"], IMAGES[0], 10), "class_index must be an integer from 0 to 9"),
        (lambda n: viz.saliency(n["ae"], IMAGES[0]), "must be a classifier"),
        (lambda n: viz.plot_weights(n["cnn"]), r"not the pixels of an image \(6, 6\)"),
        (lambda n: viz.plot_weights(n["image"], layer="hiden_1"), "Did you mean 'hidden_1'"),
        (lambda n: viz.plot_kernels(n["image"]), "no Conv2D layer"),
        (lambda n: viz.plot_kernels(n["cnn"], channel=1), "channel must be an integer from 0 to 0"),
        # classification
        (lambda n: viz.plot_class_scores([0.5, 0.5], ["a"]), "1 names"),
        (lambda n: viz.plot_class_scores([0.5, 0.5], truth=2), "truth must be an integer from 0 to 1"),
        (lambda n: viz.plot_prediction(n["image"], IMAGES), "one image; got 6"),
        (lambda n: viz.plot_confusion_matrix((X, Y), int), "model must be a Keras model"),
        (lambda n: viz.plot_confusion_matrix((X, Y), P[:5]), r"\(5, 3\) for 6 samples"),
        (lambda n: viz.plot_confusion_matrix(Y, P, class_names=["a", "b"]), "label 2"),
        (lambda n: viz.plot_confusion_matrix(Y, P + 1), "Probabilities must lie"),
        (lambda n: viz.plot_confusion_matrix(P * 0.9 + 0.1 / 3, Y), "The truth comes first"),
        (lambda n: viz.plot_confusion_matrix(P, (X, Y)), "The truth comes first"),
        (lambda n: viz.plot_confusion_matrix(Y, Y[:5]), "6 and 5"),
        (lambda n: viz.plot_confusion_matrix(["a"], ["b"], class_names=["a"]), "'b' is not a class: a"),
        (lambda n: viz.plot_confusion_matrix(n["points"], Y), r"data must be a modelzoo Dataset.*\(x, y\)"),
        (lambda n: viz.mistakes(Y, P, top=0), "top"),
        (lambda n: viz.plot_misclassified((IMAGES, Y), P), "needs a mistake"),
        (lambda n: viz.plot_reliability(Y, P, bins=0), "bins"),
        # autoencoder
        (lambda n: viz.plot_latent(n["image"], (IMAGES, Y)), "encoder and decoder.*'relu_mlp'"),
        (lambda n: viz.plot_latent(n["ae"], IMAGES), "needs labels"),
        (lambda n: viz.plot_manifold(n["ae"], limits=(0, 1)), "limits"),
        (lambda n: viz.plot_manifold(n["ae"], count=1), "count"),
        (lambda n: viz.plot_decodings(n["ae"], (IMAGES, Y), np.zeros((3, 5))), r"\(5,\).*\(2,\)"),
        (lambda n: viz.plot_reconstructions(n["image"], IMAGES), "Give an autoencoder"),
        (lambda n: viz.interpolate(n["ae"], IMAGES[0], IMAGES[0, :5]), r"\(5, 28\)"),
        # error surface and history
        (lambda n: viz.plot_descent(np.square, np.zeros((3, 2))), r"shape \(steps \+ 1,\)"),
        (lambda n: viz.plot_descent(lambda x: 1.0, [1.0, 0.5]), "one number a point"),
        (lambda n: viz.error_over_weights(n["xor"], XOR, "w1", [[0.0]]), "got 'w1'"),
        (lambda n: viz.error_over_weights(n["xor"], XOR, "logit/kernel[0, 0]", [[0.0]]), "Did you mean"),
        (lambda n: viz.error_over_weights(n["xor"], XOR, "logits/kernel[2, 0]", [[0.0]]), r"\(2, 1\)"),
        (lambda n: viz.error_over_weights(n["xor"], XOR, PAIR, [[0.0]]), "settings must have shape"),
        (lambda n: viz.error_over_weights(n["xor"], (XOR[0], XOR[1] + 1), PAIR, [[0, 0]]), "label 2"),
        (lambda n: viz.plot_error_surface(n["xor"], XOR, "logits/bias[0]"), "settings must have shape"),
        (lambda n: viz.descend_weights(n["xor"], XOR, PAIR, steps=0), "steps"),
        (lambda n: viz.descend_weights(n["xor"], XOR, PAIR, steps=1, start=[1]), "start must be 2 numbers"),
        (lambda n: viz.record_weights(n["xor"], ["hidden/bias[9]"]), r"\(2,\)"),
        (lambda n: viz.record_weights(n["xor"], []), "at least one address"),
        (lambda n: viz.plot_history({"loss": [1.0], "accuracy": [1.0]}, "accurracy"), "Did you mean 'accuracy'"),
        (lambda n: viz.plot_history([1, 2]), r"got \[1, 2\]"),
        (lambda n: viz.plot_history({"step": [1, 2], "loss": [1, 2, 3]}), r"\(3,\) values at \(2,\)"),
        (lambda n: viz.plot_history([{"step": [s], "loss": [1]} for s in (1, 2)]), "no step in common"),
        # architecture
        (lambda n: viz.plot_architecture(n["points"], kind="neuron"), "Did you mean 'neurons'"),
        (lambda n: viz.plot_architecture(n["points"], ax="here"), "ax must be"),
        (lambda n: viz.plot_architecture(n["points"], output_names=["a"]), "output_names must be 4 names"),
        (lambda n: viz.plot_architecture(n["points"], input_names="ab"), "input_names must be a sequence of names"),
        # style
        (lambda n: viz.theme_rc("night"), "Unknown theme 'night'"),
        (lambda n: viz.save_figure(plt.figure(), "figure.jpg"), r"figure\.jpg"),
        (lambda n: viz.save_figure(plt.figure(), "figure.png", dpi=0), "dpi"),
        (lambda n: viz.save_figure([1], "figure.png"), "got list"),
    ],
)
def test_wrong_arguments_are_named(n, call, words):
    before = plt.get_fignums()
    with pytest.raises(ModelZooError, match=words) as caught:
        call(n)
    assert isinstance(caught.value, InputError)
    assert len(plt.get_fignums()) - len(before) <= 1
