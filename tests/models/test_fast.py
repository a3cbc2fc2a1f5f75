"""Every network has a recipe named ``fast`` that reaches what it promises."""

import pytest

import modelzoo
from modelzoo import datasets

#: What a fast recipe reaches on the test data: an accuracy, of points the Bayes accuracy less 0.5 points; or the MSE
#: that the autoencoder's lesson ends with.
TARGETS = {
    "threshold_perceptron": 0.995,
    "logistic_perceptron": 0.995,
    "onehot_softmax": 0.995,
    "xor_mlp": 1.0,
    "sigmoid_mlp": 0.995,
    "tanh_mlp": datasets.bayes_accuracy("four_class") - 0.005,
    "relu_mlp": 0.98,
    "dense_500_300": 0.98,
    "two_conv_cnn": 0.99,
    "tanh_autoencoder": 0.0357,
}
LONG = {"sigmoid_mlp", "tanh_mlp", "relu_mlp", "dense_500_300", "two_conv_cnn", "tanh_autoencoder"}


def test_every_network_has_one():
    assert set(TARGETS) == set(modelzoo.list_models())
    assert all("fast" in modelzoo.get_spec(name).recipes for name in TARGETS)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in TARGETS])
def test_it_reaches_its_target(name):
    spec = modelzoo.get_spec(name)
    recipe = spec.recipe("fast")
    model = modelzoo.create_model(name, recipe="fast", seed=0)
    history = modelzoo.train(model, datasets.load(spec.dataset, **recipe.data_options), "fast", seed=0).history
    if name == "tanh_autoencoder":
        assert history["test_loss"][-1] <= TARGETS[name]
    else:
        assert history["test_accuracy"][-1] >= TARGETS[name]
