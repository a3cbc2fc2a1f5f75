"""Reading a Keras model: what the layers, the chain and the stages say, against Keras' own numbers."""

import keras
import numpy as np
import pytest
from keras import layers

import modelzoo
from modelzoo.errors import InputError
from modelzoo.viz.diagram_layers import NotDrawableError, parameter_arithmetic, read_chain, read_layers, shape_text
from modelzoo.viz.diagram_stages import read_stages


def calculated(arithmetic: str) -> int:
    """Return the number that the arithmetic comes to."""
    return sum(int(np.prod([int(factor) for factor in term.split("×")])) for term in arithmetic.split(" + ") if term)


def branching() -> keras.Model:
    picture, facts = keras.Input((8, 8, 1), name="picture"), keras.Input((7,), name="facts")
    x = layers.GlobalAveragePooling2D(name="means")(layers.Conv2D(4, 3, name="conv")(picture))
    x = layers.Concatenate(name="joined")([x, facts])
    return keras.Model([picture, facts], [layers.Dense(3, name="kind")(x), layers.Dense(1, name="price")(x)])


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_parameters_and_arithmetic_are_those_of_keras(name):
    model = modelzoo.create_model(name, seed=0)
    infos = read_layers(model)
    assert sum(info.num_params for info in infos) == model.count_params()
    assert [calculated(info.arithmetic) for info in infos] == [info.num_params for info in infos]
    stages = read_stages(infos)
    assert sum(stage.num_params for stage in stages) == model.count_params()
    assert stages[0].size == np.prod(model.input_shape[1:])
    assert stages[-1].size == np.prod(model.output_shape[1:])


def test_any_layer_has_arithmetic():
    model = keras.Sequential(
        [
            keras.Input((40,)),
            layers.Embedding(50, 6),
            layers.Bidirectional(layers.LSTM(3)),
            layers.BatchNormalization(),
            layers.Dense(1, use_bias=False),
        ]
    )
    infos = read_layers(model)
    assert [info.kind for info in infos[1:]] == ["Embedding", "Bidirectional", "BatchNormalization", "Dense"]
    assert [info.num_params for info in infos[1:]] == [layer.count_params() for layer in model.layers]
    assert [calculated(info.arithmetic) for info in infos] == [info.num_params for info in infos]
    assert infos[3].arithmetic == "4×6"
    assert parameter_arithmetic([(784, 500), (500,)]) == "784×500 + 500"
    assert shape_text((None, 28, 3)) == "?×28×3"


def test_nested_models_are_opened_in_order():
    infos = read_layers(modelzoo.create_model("tanh_autoencoder", seed=0))
    assert [info.name for info in infos] == [
        "images",
        "rescaling",
        "flatten",
        "encoder_1",
        "encoder_2",
        "latent",
        "decoder_1",
        "decoder_2",
        "pixels",
        "reconstruction",
    ]
    assert [info.group for info in infos] == [()] + [("encoder",)] * 5 + [("decoder",)] * 4
    assert [info.inputs for info in infos[1:]] == [(i,) for i in range(9)]


def test_branches_keep_what_they_read():
    infos = read_layers(branching())
    names = [info.name for info in infos]
    read = {info.name: [names[i] for i in info.inputs] for info in infos}
    assert read["joined"] == ["means", "facts"]
    assert read["kind"] == read["price"] == ["joined"]
    assert read["picture"] == read["facts"] == []


def test_shared_layers_count_once():
    shared = layers.Dense(6)
    points = keras.Input((6,))
    model = keras.Model(points, shared(shared(points)))
    infos = read_layers(model)
    assert [info.num_params for info in infos] == [0, 42, 0]
    assert [info.shared for info in infos] == [False, False, True]

    tower = keras.Sequential([keras.Input((6,)), layers.Dense(2)], name="tower")
    left, right = keras.Input((6,)), keras.Input((6,))
    twins = keras.Model([left, right], layers.Concatenate()([tower(left), tower(right)]))
    infos = read_layers(twins)
    assert sum(info.num_params for info in infos) == twins.count_params() == 14
    assert [info.kind for info in infos].count("Dense") == 2
    assert {infos[i].group for i in infos[-1].inputs} == {("tower",)}


def test_deep_models_are_read_in_order():
    model = keras.Sequential([keras.Input((1,)), *(layers.Rescaling(1.0) for _ in range(300))])
    infos = read_layers(model)
    assert [info.name for info in infos[1:]] == [layer.name for layer in model.layers]
    assert [info.inputs for info in infos[1:]] == [(i,) for i in range(300)]


def test_subclassed_models_are_lists_of_layers():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(3), layers.Dense(2)

        def call(self, x):
            return self.second(self.first(x))

    net = Net()
    with pytest.raises(InputError, match="has not been built"):
        read_layers(net)
    net(np.ones((1, 4), "float32"))
    infos = read_layers(net)
    assert [info.num_params for info in infos] == [15, 8]
    with pytest.raises(NotDrawableError, match="Keras does not know"):
        read_chain(infos)


@pytest.mark.parametrize("wrong", [None, 3, "xor_mlp", np.zeros(3)])
def test_only_models_are_read(wrong):
    with pytest.raises(InputError, match="must be a Keras model"):
        read_layers(wrong)


def test_models_without_shapes_or_layers_are_refused():
    with pytest.raises(InputError, match=r"model\.build"):
        read_layers(keras.Sequential([layers.Dense(3)]))
    with pytest.raises(InputError, match="no layers"):
        read_layers(keras.Sequential())


def test_the_threshold_is_a_step_of_its_unit():
    stages = read_stages(read_layers(modelzoo.create_model("threshold_perceptron", seed=0)))
    assert [(stage.role, stage.name, stage.activation) for stage in stages] == [
        ("input", "points", ""),
        ("dense", "decision", "step"),
    ]


def test_a_column_of_ones_is_a_bias():
    stages = read_stages(read_layers(modelzoo.create_model("logistic_perceptron", use_bias=False, seed=0)))
    assert stages[0].constant
    assert stages[0].size == 2
    assert stages[1].arithmetic == "3×1"


def test_stages_of_the_cnn():
    stages = read_stages(read_layers(modelzoo.create_model("two_conv_cnn", seed=0)))
    assert [(stage.role, stage.size_text) for stage in stages] == [
        ("input", "1@28×28"),
        ("conv", "32@28×28"),
        ("pool", "32@14×14"),
        ("conv", "64@14×14"),
        ("pool", "64@7×7"),
        ("flatten", "3,136"),
        ("dense", "1,024"),
        ("dropout", "1,024"),
        ("dense", "10"),
    ]
    assert [stage.window for stage in stages[1:5]] == [(5, 5), (2, 2), (5, 5), (2, 2)]
    assert stages[0].notes == ("÷ 255",)
    assert stages[7].operation == ("dropout", "0.5")
    assert stages[8].heading == "probabilities"


def test_what_changes_no_shape_is_folded_into_the_stage_before():
    model = keras.Sequential(
        [
            keras.Input((8, 12, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(4, 3, strides=2, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.25),
            layers.GlobalMaxPooling2D(),
            layers.Dense(2, name="logits"),
            layers.Softmax(),
        ]
    )
    stages = read_stages(read_layers(model))
    assert [stage.heading for stage in stages] == ["input", "conv 3×3", "max pool", "logits"]
    assert stages[0].notes == ("÷ 127.5 − 1",)
    assert stages[1].operation == ("conv 3×3", "stride 2")
    assert stages[1].notes == ("batch norm", "dropout 0.25")
    assert stages[1].activation_text == "ReLU"
    assert (stages[1].num_params, stages[1].arithmetic) == (124, "3×3×3×4 + 4×4")
    assert stages[3].activation == "softmax"


def test_layers_without_a_place_are_named():
    recurrent = keras.Sequential([keras.Input((5, 3)), layers.LSTM(2, name="memory")])
    with pytest.raises(NotDrawableError, match="'memory' \\(LSTM"):
        read_stages(read_layers(recurrent))
    with pytest.raises(NotDrawableError, match=r"its outputs \['kind', 'price'\]"):
        read_stages(read_layers(branching()))
    points = keras.Input((8,), name="points")
    hidden = layers.Dense(3, name="hidden")(points)
    with pytest.raises(NotDrawableError, match=r"its outputs \['hidden', 'end'\]"):
        read_stages(read_layers(keras.Model(points, [hidden, layers.Dense(1, name="end")(hidden)])))
    residual = keras.Model(points, layers.Add()([layers.Dense(8)(points), points]))
    with pytest.raises(NotDrawableError, match="branches after 'points'"):
        read_stages(read_layers(residual))
    anysize = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(2, 3)])
    with pytest.raises(NotDrawableError, match="output shape"):
        read_stages(read_layers(anysize))
    turned = keras.Sequential([keras.Input((1, 8, 8)), layers.MaxPooling2D(2, data_format="channels_first")])
    with pytest.raises(NotDrawableError, match="has no place"):
        read_stages(read_layers(turned))
