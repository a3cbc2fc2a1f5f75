"""A network as data: layers and parameters against Keras' own numbers, cost against TensorFlow's graph."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo.errors import InputError
from modelzoo.network import Network, NotAChainError, logits_model, parameter_arithmetic, read_network, shape_text

L = keras.layers


def ending(*layers, shape=(8, 8, 1)):
    return keras.Sequential([keras.Input(shape), *layers])


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


def test_multiply_adds_of_other_graphs():
    shared = L.Dense(6)
    inputs = keras.Input((6,))
    twice = keras.Model(inputs, L.Add()([shared(shared(inputs)), inputs]))
    assert multiply_adds(twice) == graph_multiply_adds(twice) == 2 * 36
    outer = keras.Input((6,))
    nested = keras.Model(outer, L.Dense(2)(twice(twice(outer))))
    assert multiply_adds(nested) == graph_multiply_adds(nested) == 2 * 72 + 12

    # The last is at each of the 5 × 8 places.
    layers = L.Conv2D(6, (3, 2), strides=(2, 1), padding="valid", groups=2), L.BatchNormalization(), L.Dense(5)
    assert multiply_adds(ending(*layers, shape=(11, 9, 4))) == 5 * 8 * 6 * (3 * 2 * 2) + 5 * 8 * 6 * 5
    # Convolutions at several sizes share one kernel here.
    conv, image = L.Conv2D(3, 3, padding="same"), keras.Input((8, 8, 3))
    pyramid = keras.Model(image, conv(L.MaxPooling2D(2)(conv(image))))
    assert multiply_adds(pyramid) == graph_multiply_adds(pyramid) == (64 + 16) * 3 * 27


def calculated(arithmetic: str) -> int:
    """Return the number that the arithmetic comes to."""
    return sum(int(np.prod([int(factor) for factor in term.split("×")])) for term in arithmetic.split(" + ") if term)


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_cost_parameters_and_arithmetic_are_those_of_keras_and_its_graph(name):
    model = modelzoo.create_model(name, seed=0)
    network = read_network(model)
    assert network.multiply_adds == graph_multiply_adds(model)
    assert network.num_params == model.count_params()
    assert [calculated(layer.arithmetic) for layer in network.layers] == [layer.num_params for layer in network.layers]
    assert network.input.output_shape == model.input_shape[1:]
    assert network.output.output_shape == model.output_shape[1:]
    chain = network.chain()
    assert sum(layer.num_params for layer in chain) == model.count_params()
    assert [layer.inputs for layer in chain] == [(), *((i,) for i in range(len(chain) - 1))]
    assert Network.from_dict(json.loads(json.dumps(network.to_dict()))) == network


def test_any_layer_has_arithmetic():
    recurrent = L.Bidirectional(L.LSTM(3))
    model = ending(L.Embedding(50, 6), recurrent, L.BatchNormalization(), L.Dense(1, use_bias=False), shape=(40,))
    read = read_network(model).layers[1:]
    assert [layer.kind for layer in read] == ["Embedding", "Bidirectional", "BatchNormalization", "Dense"]
    assert [layer.num_params for layer in read] == [layer.count_params() for layer in model.layers]
    assert [calculated(layer.arithmetic) for layer in read] == [layer.num_params for layer in read]
    assert read[2].arithmetic == "4×6"
    assert parameter_arithmetic([(784, 500), (500,)]) == "784×500 + 500"
    assert shape_text((None, 28, 3)) == "?×28×3"


def test_nested_models_are_opened_in_order():
    layers = read_network(modelzoo.create_model("tanh_autoencoder", hidden_units=(5, 4), seed=0)).layers
    encoder = ["rescaling", "flatten", "encoder_1", "encoder_2", "latent"]
    decoder = ["decoder_1", "decoder_2", "pixels", "reconstruction"]
    assert [layer.name for layer in layers] == ["images", *encoder, *decoder]
    assert [layer.group for layer in layers] == [()] + [("encoder",)] * 5 + [("decoder",)] * 4
    assert [layer.inputs for layer in layers[1:]] == [(i,) for i in range(9)]


def branching() -> keras.Model:
    picture, facts = keras.Input((8, 8, 1), name="picture"), keras.Input((7,), name="facts")
    x = L.GlobalAveragePooling2D(name="means")(L.Conv2D(4, 3, name="conv")(picture))
    x = L.Concatenate(name="joined")([x, facts])
    return keras.Model([picture, facts], [L.Dense(3, name="kind")(x), L.Dense(1, name="price")(x)])


def test_branches_keep_what_they_read():
    network = read_network(branching())
    names = [layer.name for layer in network.layers]
    read = {layer.name: [names[i] for i in layer.inputs] for layer in network.layers}
    assert read["joined"] == ["means", "facts"]
    assert read["kind"] == read["price"] == ["joined"]
    assert read["picture"] == read["facts"] == []
    assert [names[i] for i in network.inputs] == ["picture", "facts"]
    assert [names[i] for i in network.outputs] == ["kind", "price"]


def test_shared_layers_count_once():
    shared, points = L.Dense(6), keras.Input((6,))
    layers = read_network(keras.Model(points, shared(shared(points)))).layers
    assert [layer.num_params for layer in layers] == [0, 42, 0]
    assert [layer.shared for layer in layers] == [False, False, True]

    tower = keras.Sequential([keras.Input((6,)), L.Dense(2)], name="tower")
    left, right = keras.Input((6,)), keras.Input((6,))
    twins = keras.Model([left, right], L.Concatenate()([tower(left), tower(right)]))
    network = read_network(twins)
    assert network.num_params == twins.count_params() == 14
    assert [layer.kind for layer in network.layers].count("Dense") == 2
    assert {network.layers[i].group for i in network.layers[-1].inputs} == {("tower",)}


def test_detours_of_the_zoo_are_one_layer_of_the_chain():
    step = read_network(modelzoo.create_model("threshold_perceptron", seed=0)).chain()
    assert [(layer.kind, layer.activation) for layer in step[1:]] == [("Dense", ""), ("Activation", "step")]
    ones = read_network(modelzoo.create_model("logistic_perceptron", use_bias=False, seed=0)).chain()
    assert [layer.kind for layer in ones[:3]] == ["InputLayer", "ColumnOfOnes", "Dense"]
    assert ones[2].arithmetic == "3×1"


def test_activations_are_named_however_they_are_given():
    dense = (L.Dense(3, activation=given) for given in ("relu", keras.activations.gelu, L.LeakyReLU(), None))
    read = read_network(ending(*dense, L.Activation("tanh"), L.PReLU(), L.Softmax(), shape=(3,))).layers[1:]
    assert [layer.activation for layer in read] == ["relu", "gelu", "leaky_relu", "", "tanh", "prelu", "softmax"]
    assert [layer.is_activation for layer in read] == [False] * 4 + [True] * 3


def test_other_networks_than_chains_are_refused_as_such():
    points = keras.Input((8,), name="points")
    hidden = L.Dense(8, name="hidden")(points)
    for model, words in (
        (branching(), r"inputs \['picture', 'facts'\], outputs \['kind', 'price'\]"),
        (keras.Model(points, [hidden, L.Dense(1, name="end")(hidden)]), r"outputs \['hidden', 'end'\]"),
        (keras.Model(points, L.Add()([hidden, points])), "branches after 'points'"),
    ):
        with pytest.raises(NotAChainError, match=words):
            read_network(model).chain()


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, "must be a Keras model; got NoneType"),
        (L.Dense(3), "must be a Keras model"),
        (keras.Sequential([L.Dense(3)]), "that is built"),
        (Subclassed(), "functional or Sequential"),
        (ending(L.LSTM(4, name="memory"), shape=(5, 3)), r"'memory'.*LSTM"),
        (ending(L.Dense(4, name="sequence"), shape=(None, 3)), "'sequence'"),
    ],
)
def test_only_models_with_a_known_graph_and_cost_are_read(model, words):
    with pytest.raises(InputError, match=words):
        multiply_adds(model)


# --- the head


def two_branches():
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(3, name="a")(x) + L.Dense(3, name="b")(x))


@pytest.mark.parametrize(
    ("model", "head", "gives_logits"),
    [
        (lambda: ending(L.Dense(3, name="d"), shape=(4,)), ["d"], True),
        (lambda: ending(L.Dense(3, name="d"), L.BatchNormalization(name="n"), shape=(4,)), ["d", "n"], True),
        (lambda: ending(L.Dense(3, name="d"), L.PReLU(name="p"), L.Softmax(), shape=(4,)), ["d", "p"], False),
        (lambda: ending(L.Conv2D(3, 1, name="c"), L.GlobalAveragePooling2D()), ["c"], True),
        (lambda: ending(L.Conv2D(3, 1, name="c"), L.GlobalMaxPooling2D(), L.Softmax()), ["c"], False),
        (lambda: ending(L.Conv2D(3, 1, activation="relu", name="c"), L.GlobalAveragePooling2D()), ["c"], False),
        (lambda: ending(L.Conv2D(3, 8, name="c"), L.Flatten()), ["c"], True),
        (lambda: ending(L.Conv2D(3, 1), L.Flatten()), [], False),
        (lambda: ending(L.Dense(2), L.Dense(3, name="d"), L.Dropout(0.5), L.Softmax(), shape=(4,)), ["d"], False),
        (two_branches, [], False),
        (lambda: modelzoo.create_model("threshold_perceptron"), ["excess"], False),
        (lambda: modelzoo.create_model("logistic_perceptron", use_bias=False), ["logits"], False),
        (lambda: modelzoo.create_model("tanh_autoencoder"), [], False),
    ],
)
def test_the_head_is_what_makes_one_number_a_class(model, head, gives_logits):
    network = read_network(model())
    assert [layer.name for layer in network.head] == head
    assert network.gives_logits == gives_logits


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([L.Dense(4, "relu", name="a"), L.Dropout(0.5), L.Dense(4, name="b"), L.LeakyReLU()], ["a", "b"]),
        ([L.Reshape((4, 1)), L.Conv1D(4, 2, activation="relu", name="a"), L.MaxPool1D(), L.Flatten()], ["a"]),
        ([L.Dense(4, "tanh"), L.Dense(4, "relu", name="b")], ["b"]),  # up to the first that bends what it gets
        ([L.Dense(4, name="a"), L.BatchNormalization(), L.Dense(4, "relu", name="b")], ["b"]),
        ([L.Dense(4, name="a"), L.ReLU(max_value=6)], []),
        ([L.Dense(4, "relu", name="a"), L.LayerNormalization()], []),
        ([], []),
    ],
)
def test_layers_may_be_rescaled_where_a_factor_reaches_the_head(layers, expected):
    network = read_network(ending(*layers, L.Dense(3, name="head"), L.Softmax(), shape=(4,)))
    assert [layer.name for layer in network.rescalable] == expected


def test_layers_that_others_read_too_are_not_rescaled():
    inputs = keras.Input((4,))
    x = L.Dense(4, "relu", name="a")(inputs)
    x = L.Dense(4, "relu", name="c")(L.Add()([x, L.Dense(4, "relu", name="b")(x)]))
    network = read_network(keras.Model(inputs, L.Dense(3)(x)))
    assert [layer.name for layer in network.rescalable] == ["c"]


@pytest.mark.parametrize("last", [L.Dense(3, "softmax"), L.Softmax()])
def test_the_logits_of_layers_that_stand_in_two_models_are_those_of_each(last):
    first = ending(L.Dense(3), last, shape=(2,))
    outputs = inputs = keras.Input((2,))
    for layer in first.layers:
        outputs = layer(outputs)
    second = keras.Model(inputs, outputs)
    x = tf.constant([[1.0, 2.0]])
    for model in (first, second):
        np.testing.assert_allclose(tf.nn.softmax(logits_model(model)(x)), model(x), rtol=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_the_logits_of_a_layer_with_its_own_activation_are_those_that_keras_finds(activation, rng):
    """To the last bit, in a traced graph; the layer itself stays as it is."""
    units = 3 if activation == "softmax" else 1
    model = ending(L.Dense(4, "tanh"), L.Dense(units, activation, name="p"), shape=(2,))
    logits = logits_model(model)
    x, y = tf.constant(rng.normal(size=(20, 2)), tf.float32), tf.constant(rng.integers(0, 2, 20))
    assert [id(weight) for weight in logits.weights] == [id(weight) for weight in model.weights]
    loss = getattr(keras.losses, "sparse_categorical_crossentropy" if units > 1 else "binary_crossentropy")
    target = y if units > 1 else tf.cast(y[:, None], tf.float32)
    ours = tf.function(lambda: loss(target, logits(x), from_logits=True))
    theirs = tf.function(lambda: loss(target, model(x)))
    np.testing.assert_array_equal(ours(), theirs())
    assert model.layers[-1].activation.__name__ == activation
