"""A network as data: its cost against sums by hand and the operations of the TensorFlow graph."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo.errors import InputError
from modelzoo.network import read_network


def multiply_adds(model):
    return read_network(model).multiply_adds


def graph_multiply_adds(model):
    """Multiply-adds by the matrix products and convolutions in the graph TensorFlow runs for one sample."""
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(spec).graph
    total = 0
    for op in graph.get_operations():
        if op.type == "MatMul":
            assert not op.get_attr("transpose_a")
            assert not op.get_attr("transpose_b")
            total += int(np.prod(op.inputs[0].shape)) * op.inputs[1].shape[1]
        elif op.type == "Conv2D":
            total += int(np.prod(op.outputs[0].shape)) * int(np.prod(op.inputs[1].shape[:3]))
        else:
            assert op.type not in ("BatchMatMulV2", "Einsum", "DepthwiseConv2dNative", "PartitionedCall")
    return total


HAND_NUMBERS = {
    "threshold_perceptron": 2,
    "logistic_perceptron": 2,
    "onehot_softmax": 2 * 2,
    "xor_mlp": 2 * 2 + 2,
    "sigmoid_mlp": 2 * 4 + 4 * 2,
    "tanh_mlp": 2 * 10 + 10 * 4,
    "relu_mlp": 784 * 100 + 100 * 10,
    "dense_500_300": 784 * 500 + 500 * 300 + 300 * 10,
    "two_conv_cnn": 28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 7 * 7 * 64 * 1024 + 1024 * 10,
    "tanh_autoencoder": 2 * (784 * 500 + 500 * 300 + 300 * 2),
}


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_multiply_adds_of_the_zoo(name):
    model = modelzoo.create_model(name, seed=0)
    assert multiply_adds(model) == graph_multiply_adds(model)
    if name in HAND_NUMBERS:
        assert multiply_adds(model) == HAND_NUMBERS[name]


def test_multiply_adds_of_other_graphs():
    shared = keras.layers.Dense(6)
    inputs = keras.Input((6,))
    twice = keras.Model(inputs, keras.layers.Add()([shared(shared(inputs)), inputs]))
    assert multiply_adds(twice) == graph_multiply_adds(twice) == 2 * 36
    outer = keras.Input((6,))
    nested = keras.Model(outer, keras.layers.Dense(2)(twice(twice(outer))))
    assert multiply_adds(nested) == graph_multiply_adds(nested) == 2 * 72 + 12

    layers = keras.layers
    sequential = keras.Sequential(
        [
            keras.Input((11, 9, 4)),
            layers.Conv2D(6, (3, 2), strides=(2, 1), padding="valid", groups=2),
            layers.BatchNormalization(),
            layers.Dense(5),  # at each of the 5 × 8 places
        ]
    )
    assert multiply_adds(sequential) == 5 * 8 * 6 * (3 * 2 * 2) + 5 * 8 * 6 * 5
    # Convolutions at several sizes share one kernel here.
    conv, image = layers.Conv2D(3, 3, padding="same"), keras.Input((8, 8, 3))
    pyramid = keras.Model(image, conv(layers.MaxPooling2D(2)(conv(image))))
    assert multiply_adds(pyramid) == graph_multiply_adds(pyramid) == (64 + 16) * 3 * 27


def test_what_cannot_be_counted_is_refused():
    recurrent = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="memory")])
    with pytest.raises(InputError, match=r"'memory'.*LSTM"):
        multiply_adds(recurrent)
    with pytest.raises(InputError, match="'sequence'"):
        multiply_adds(keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(4, name="sequence")]))
    with pytest.raises(InputError, match="that is built"):
        multiply_adds(keras.Sequential([keras.layers.Dense(4)]))
