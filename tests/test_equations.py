"""Equations that compute what the networks do, and counts of parameters that add up."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import expit, softmax

import modelzoo
from modelzoo.network import read_network
from modelzoo.pages.equations import equation_of, read_steps

NAMES = modelzoo.list_models()


def calculated(arithmetic):
    """Evaluate both sides of ``"784 × 100 + 100 = 78,500"``."""
    sides = arithmetic.replace(",", "").replace("×", "*").split(" = ")
    values = {eval(side) for side in sides if side}
    assert len(values) <= 1, arithmetic
    return values.pop() if values else 0


def steps_of(model):
    return read_steps(read_network(model))


# The equation, read back and computed in NumPy.


FUNCTIONS = {
    "sigma": expit,
    "tanh": np.tanh,
    "ReLU": lambda t: np.maximum(t, 0),
    "softmax": lambda t: softmax(t, axis=-1),
    "step": lambda t: (t > 0).astype(float),
    "vec": lambda h: h.reshape(len(h), -1),
    "dropout": lambda h: h,
    "conv": lambda w, h: tf.nn.conv2d(h, w, 1, "SAME").numpy(),
    "maxpool": lambda h: tf.nn.max_pool2d(h, 2, 2, "VALID").numpy(),
    "with_ones": lambda x: np.c_[x, np.ones(len(x))],
}


def computed(equation, parameters, x):
    """Compute a printed equation line by line."""
    plain = {re.sub(r"[{}_]", "", symbol): value for symbol, value in parameters.items()}
    values = {**FUNCTIONS, **plain}
    for symbol, expression, space in equation.lines:
        name = re.sub(r"[{}\\_]", "", symbol)
        shape = [int(length) for length in re.findall(r"\d+", space)]
        if not expression:
            values[name] = x
            continue
        python = re.sub(r"\\tfrac\{1\}\{(\d+)\}\\,", r"1 / \1 *", expression).replace(r"\,", "@")
        python = re.sub(r"(W_\{\d+\}) \* (\S+)", r"conv(\1, \2)", python)
        python = re.sub(r"\\mathrm\{(\w+)\}(_\{[^}]*\})?\(", r"\1(", python)
        python = re.sub(r"\[(\w+), 1\]", r"with_ones(\1)", python)
        python = re.sub(r"[{}\\_]", "", python) if "with_ones" not in python else python
        values["reshape"] = lambda h, shape=shape: h.reshape(-1, *shape)
        values[name] = np.asarray(eval(python, {}, values))
        assert list(values[name].shape[1:]) == shape
    return values[name]


OPTIONS = {
    "two_conv_cnn": {"filters": (3, 4), "hidden_units": 6, "kernel_size": 3, "image_shape": (8, 8)},
    "tanh_autoencoder": {"hidden_units": (6, 5), "image_shape": (4, 4)},
    "relu_mlp": {"hidden_units": 7, "dropout": 0.3},
    "dense_500_300": {"hidden_units": (7, 5)},
}


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, OPTIONS.get(name, {})) for name in NAMES), ("logistic_perceptron", {"use_bias": False})],
)
def test_the_equation_computes_what_the_network_computes(name, options, rng):
    model = modelzoo.create_model(name, seed=3, **options)
    equation = equation_of(steps_of(model))
    weights, given = iter(model.get_weights()), {}
    for symbol, shape in equation.parameters:
        given[symbol] = next(weights)
        assert given[symbol].shape == shape
    assert not list(weights)
    assert sum(calculated(step.arithmetic) for step in steps_of(model)) == model.count_params()
    x = rng.uniform(0, 255 if len(model.input_shape) > 2 else 1, (5, *model.input_shape[1:])).astype("float32")
    np.testing.assert_allclose(computed(equation, given, x), model(x).numpy(), rtol=1e-4, atol=1e-5)


# Graphs of other people.


def test_branches_shared_layers_and_inner_activations():
    x = keras.Input((4,), name="a")
    twice = keras.layers.Dense(4, "relu", name="twice")
    y = keras.layers.Add()([twice(twice(x)), x])
    y = keras.layers.Reshape((2, 2))(y)
    model = keras.Model(x, [keras.layers.LSTM(3)(y), keras.layers.Flatten()(y)])
    steps = steps_of(model)
    lines = {symbol: expression for symbol, expression, _ in equation_of(steps).lines}
    assert "Other functions are the Keras layers" in equation_of(steps).notes[-1]
    assert lines["h_{1}"] == r"\mathrm{ReLU}(x\, W_{1} + b_{1})"
    assert lines["h_{2}"] == r"\mathrm{ReLU}(h_{1}\, W_{1} + b_{1})"
    assert lines["h_{3}"] == "h_{2} + x"
    assert lines[r"\hat{y}_{1}"] == r"\mathrm{LSTM}(h_{4}; \theta_{2})"  # its tanh is inside
    assert lines[r"\hat{y}_{2}"] == r"\mathrm{vec}(h_{4})"
    assert [step.arithmetic for step in steps if step.layer.name == "twice"] == ["4 × 4 + 4 = 20", "shared"]
    assert sum(step.layer.num_params for step in steps) == model.count_params()


def test_long_graphs_have_no_equation():
    deep = keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(2) for _ in range(50))])
    assert equation_of(steps_of(deep)) is None


def test_layers_with_settings_of_their_own_are_not_written_as_plain_ones():
    units = (keras.layers.ReLU(**settings) for settings in ({"max_value": 6}, {"negative_slope": 0.1}, {}))
    steps = steps_of(keras.Sequential([keras.Input((6, 6, 4)), keras.layers.Conv2D(4, 3, groups=2), *units]))
    equation = equation_of(steps)
    assert [expression for _, expression, _ in equation.lines[1:]] == [
        r"\mathrm{Conv2D}(x; \theta_{1})",
        r"\mathrm{ReLU}'(h_{1})",
        r"\mathrm{ReLU}'(h_{2})",
        r"\mathrm{ReLU}(h_{3})",
    ]
    assert "groups 2" in steps[1].kind
    assert [step.kind for step in steps[2:]] == ["ReLU, cut at 6", "ReLU, slope below 0.1", "ReLU"]
