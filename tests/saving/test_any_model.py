"""Models that no builder of the zoo made, or that lost their card on the way, are saved, loaded and fine-tuned."""

import copy
import json
import pickle
import random
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import ArtifactError, InputError
from modelzoo.registry import base_recipe, card_for

L = keras.layers
RECIPE = Recipe(steps=2, batch_size=8, optimizer="adam", log_every=2, xla="off")


def chain(*layers, name="mine"):
    return keras.Sequential(layers, name=name)


def residual():
    x = keras.Input((8, 8))
    y = L.Reshape((8, 8, 1))(L.Rescaling(1 / 255)(x))
    y = L.Conv2D(4, 3, padding="same")(y)
    z = L.Conv2D(4, 3, padding="same")(L.ReLU()(L.BatchNormalization()(y)))
    z = L.GlobalAveragePooling2D()(L.ReLU()(y + z))
    return keras.Model(x, L.Softmax()(L.Dense(4)(L.Dropout(0.5)(z))), name="residual")


def adapted():
    norm = L.Normalization()
    norm.adapt(np.random.default_rng(1).normal(2, 3, (50, 2)))
    return chain(keras.Input((2,)), norm, L.Dense(4, "softmax"))


def nested():
    inner = chain(keras.Input((2,)), L.Dense(6, "tanh"), name="inner")
    x = keras.Input((2,))
    return keras.Model(x, L.Dense(4, "softmax")(inner(x) * 2.0), name="nested")


MODELS = {
    "dense": lambda: chain(keras.Input((2,)), L.Dense(5, "relu"), L.Dense(4, "softmax")),
    "linear": lambda: chain(keras.Input((2,)), L.Dense(4)),
    "one sigmoid": lambda: chain(keras.Input((2,)), L.Dense(1, "sigmoid")),
    "norm last": lambda: chain(keras.Input((2,)), L.Dense(4), L.BatchNormalization(), L.Softmax()),
    "maps": lambda: chain(
        keras.Input((8, 8)), L.Reshape((8, 8, 1)), L.Conv2D(3, 3), L.Conv2D(4, 1), L.GlobalAvgPool2D(), L.Softmax()
    ),
    "residual": residual,
    "nested": nested,
    "adapted": adapted,
    "recurrent": lambda: chain(keras.Input((3, 2)), L.Bidirectional(L.SimpleRNN(3)), L.Dense(4, "softmax")),
    "gated": lambda: chain(keras.Input((3, 2)), L.GRU(3, dropout=0.5, recurrent_dropout=0.5), L.Dense(4, "softmax")),
    "frames": lambda: chain(keras.Input((3, 2)), L.TimeDistributed(L.Dense(3)), L.Flatten(), L.Dense(4, "softmax")),
    "words": lambda: chain(keras.Input((5,), dtype="int32"), L.Embedding(9, 3), L.Flatten(), L.Dense(4, "softmax")),
    "regularised": lambda: chain(
        keras.Input((2,)), L.Dense(4, kernel_regularizer="l2", kernel_constraint="max_norm"), L.LeakyReLU(), L.Dense(4)
    ),
}  # fmt: skip


def data_for(model, classes):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (24, *model.input_shape[1:])).astype("float32")
    return datasets.Dataset(x, np.arange(24) % classes, x, np.arange(24) % classes, name="own")


def fast_for(*kinds):
    """Return the kinds of models, all but these as slow ones."""
    return [kind if kind in kinds else pytest.param(kind, marks=pytest.mark.slow) for kind in MODELS]


@pytest.mark.parametrize("kind", fast_for("one sigmoid", "nested", "adapted", "regularised"))
def test_any_model_is_saved_and_loaded(kind, tmp_path):
    random.seed(1)  # of the layers
    model = MODELS[kind]()
    x = data_for(model, 2).x_test
    card = modelzoo.save(model, tmp_path / "1")
    assert (card["name"], card["builder"], card["parent"]) == (model.name, None, None)
    np.testing.assert_array_equal(modelzoo.predict(modelzoo.load(tmp_path / "1"), x), modelzoo.predict(model, x))
    outputs = tf.saved_model.load(str(tmp_path / "1"))(x).numpy()
    np.testing.assert_allclose(outputs, modelzoo.predict(model, x), atol=1e-5)


@pytest.mark.parametrize("kind", fast_for("norm last", "nested"))
def test_any_model_is_evaluated_and_fine_tuned(kind, tmp_path):
    random.seed(1)
    model = MODELS[kind]()
    classes = max(model.output_shape[-1], 2)
    assert modelzoo.evaluate(model, data_for(model, classes)).keys() == {"loss", "accuracy"}
    fewer = 3 if classes > 2 else classes
    tuned, _ = modelzoo.finetune(model, data_for(model, fewer), recipe=RECIPE, loss=base_recipe(model).loss)
    assert tuned.output_shape == (None, 3 if classes > 2 else 1)
    assert card_for(tuned).parent["weights_digest"] == modelzoo.weights_digest(model)
    assert modelzoo.save(tuned, tmp_path / "1")["training"]["steps"] == 2
    assert modelzoo.weights_digest(modelzoo.load(tmp_path / "1")) == modelzoo.weights_digest(tuned)


def test_a_zoo_model_that_went_through_keras_keeps_its_builder(tmp_path):
    model = modelzoo.create_model("relu_mlp", num_classes=3, seed=0)
    model.save(tmp_path / "net.keras")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    read = keras.models.load_model(tmp_path / "net.keras")
    for came in (read, clone, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (card_for(came).builder, card_for(came).options) == ("relu_mlp", {"num_classes": 3})
        assert modelzoo.weights_digest(came) == modelzoo.weights_digest(model)
    card = modelzoo.save(clone, tmp_path / "1")
    assert (card["builder"]["name"], card["builder"]["options"]) == ("relu_mlp", {"num_classes": 3})
    tuned, _ = modelzoo.finetune(clone, data_for(model, 4), recipe="finetuning", steps=1, xla="off")
    assert tuned.output_shape == (None, 4)
    with pytest.raises(InputError, match=r"Did you mean 'tuned'"):
        modelzoo.train(clone, data_for(model, 3), "tunned")


def test_an_autoencoder_without_its_parts_as_attributes_is_found_by_its_network(tmp_path):
    model = modelzoo.create_model("tanh_autoencoder", seed=0)
    modelzoo.save(keras.models.clone_model(model), tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    assert loaded.encoder.output_shape == (None, 2)


# --- what is frozen


def flags(model):
    return [bool(weight.trainable) for weight in model.weights]


@pytest.mark.parametrize(
    ("build", "freeze"),
    [
        ("zoo", lambda model: setattr(model.layers[1], "trainable", False)),
        ("own", lambda model: setattr(model.layers[1].bias, "trainable", False)),
        ("own", lambda model: setattr(model, "trainable", False) or setattr(model, "trainable", True)),
    ],
    ids=["layer", "weight", "none"],
)
def test_what_is_frozen_is_frozen_in_keras_and_in_tensorflow(build, freeze, tmp_path):
    model = MODELS["dense"]() if build == "own" else modelzoo.create_model("tanh_mlp", seed=0)
    freeze(model)
    modelzoo.save(model, tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    assert flags(loaded) == flags(model)
    assert [layer.trainable for layer in loaded.layers] == [layer.trainable for layer in model.layers]
    plain = tf.saved_model.load(str(tmp_path / "1"))
    assert len(plain.trainable_variables) == len(loaded.trainable_variables) == len(model.trainable_variables)
    modelzoo.train(loaded, data_for(model, 4), RECIPE)
    moved = [not np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True)]
    assert moved == flags(model)


def test_a_frozen_normalisation_stays_in_inference_mode(tmp_path):
    norm = L.BatchNormalization()
    model = chain(keras.Input((2,)), L.Dense(3), norm, L.Dense(4, "softmax"))
    norm.trainable = False
    modelzoo.save(model, tmp_path / "1")
    tuned, _ = modelzoo.finetune(tmp_path / "1", data_for(model, 3), recipe=RECIPE)
    np.testing.assert_equal(tuned.get_layer(norm.name).get_weights(), norm.get_weights())


def test_a_frozen_normalisation_without_weights_that_train_keeps_its_statistics(tmp_path):
    norm = L.BatchNormalization(scale=False, center=False)
    model = chain(keras.Input((2,)), chain(L.Dense(3), norm, name="inner"), L.Dense(4, "softmax"))
    norm.trainable = False
    modelzoo.save(model, tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    tuned, _ = modelzoo.finetune(model, data_for(model, 4), recipe=RECIPE)
    modelzoo.train(loaded, data_for(model, 4), RECIPE)
    for trained in (loaded, tuned):
        dense, same = trained.layers[0].layers
        assert (trained.layers[0].trainable, dense.trainable, same.trainable) == (True, True, False)
        np.testing.assert_array_equal(same.moving_mean, norm.moving_mean)


def test_a_model_that_is_frozen_as_a_whole(tmp_path):
    model = MODELS["dense"]()
    model.trainable = False
    modelzoo.save(model, tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    assert not loaded.trainable_variables
    with pytest.raises(InputError, match="Every layer"):
        modelzoo.finetune(loaded, data_for(model, 4), recipe=RECIPE)
    tuned, _ = modelzoo.finetune(loaded, data_for(model, 3), recipe=RECIPE)  # the new head learns
    assert len(tuned.trainable_variables) == 2
    assert len(card_for(tuned).parent["frozen"]) == 1


# --- what an artifact may not name


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "1"
    modelzoo.save(MODELS["dense"](), path)
    return path


@pytest.fixture
def artifact(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "1")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"class_name": "Lambda"}, "dense.* is a Lambda"),
        ({"class_name": "TFSMLayer"}, "a TFSMLayer"),
        ({"class_name": "StringLookup"}, "a StringLookup"),
        ({"module": "os", "class_name": "system"}, "a system"),
        ({"module": "keras_evil", "class_name": "Functional"}, "a Functional"),
        ({"module": None}, "a Dense"),
        ({"registered_name": "mine>Dense"}, "a Dense"),
        ({"registered_name": "mine>Dense", "class_name": "mine>Dense"}, "a mine>Dense"),
        ({"module": "keras.layers.mine"}, "a Dense"),
        ({"class_name": "Flatten"}, "another network|not make|cannot build"),
        ({"class_name": "Conv3D"}, "cannot build"),
        ({"config": None}, "cannot build"),
        ({"compile_config": {"loss": {"class_name": "function", "module": "os", "config": "system"}}}, None),
    ],
    ids=str,
)
def test_only_keras_own_layers_are_built(change, problem, artifact, resign):
    resign(artifact, lambda card: card["keras"]["config"]["layers"][1].update(change))
    if problem is None:
        modelzoo.load(artifact)
        return
    with pytest.raises(ArtifactError, match=problem):
        modelzoo.load(artifact)


def test_what_is_registered_under_the_name_of_a_layer_is_not_built(artifact, resign):
    class Dense(L.Dense):
        pass

    resign(artifact, lambda card: card["keras"]["config"]["layers"][1].update(registered_name="Dense"))
    with keras.saving.custom_object_scope({"Dense": Dense}):
        assert type(modelzoo.load(artifact).layers[0]) is L.Dense


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["keras"]["config"]["layers"][1]["config"].update(units=10**9),
        lambda card: card["network"]["layers"][1]["config"].update(activation="tanh"),
    ],
    ids=["larger", "other activation"],
)
def test_a_configuration_of_another_network_is_refused_before_it_is_built(change, artifact, resign):
    resign(artifact, change)
    with pytest.raises(ArtifactError, match="does not make the network"):
        modelzoo.load(artifact)


def test_what_cannot_be_built_again_is_not_saved(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Own(keras.layers.Layer):
        def call(self, x):
            return x

    double = chain(keras.Input((2,)), L.Dense(2), L.Lambda(lambda x: 2 * x, name="double"))
    for model, problem in (
        (chain(keras.Input((2,)), L.Dense(2), Own(name="extra")), "extra is a Own"),
        (double, "double is a Lambda"),
        (chain(keras.Input((2,)), L.Dense(2, tf.nn.silu)), "is a function"),
        (chain(keras.Input((2,)), L.Flatten()), "must have weights"),
        (chain(keras.Input((2,), dtype="bfloat16"), L.Dense(2, dtype="bfloat16")), "must have weights of"),
        (keras.Model(double.inputs, [double.layers[0].output, double.layers[0].output]), "one input and one output"),
        (chain(L.Dense(2)), "functional or Sequential"),
    ):
        with pytest.raises(InputError, match=problem):
            modelzoo.save(model, tmp_path / "1")
    assert not list(tmp_path.iterdir())


def test_a_card_names_no_setting_that_the_lowest_keras_does_not_know(tmp_path):
    """Keras 3.15 writes these at their defaults, and 3.12 refuses them."""
    layers = [L.Conv2D(2, 3, strides=2), L.BatchNormalization(), L.Flatten(), L.Dense(3, "softmax")]
    settings = json.dumps(modelzoo.save(chain(keras.Input((8, 8, 1)), *layers), tmp_path / "mine")["keras"])
    assert not [name for name in ("quantization_config", "renorm", "input_axes") if name in settings]
    assert '"strides": [2, 2]' in settings
