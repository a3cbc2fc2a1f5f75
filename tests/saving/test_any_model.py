"""Models that no builder of the zoo made, or that lost their card on the way, are saved, loaded and fine-tuned."""

from __future__ import annotations

import copy
import functools
import json
import pickle
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.card import CARD_PATH, read_card, write_card
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


@pytest.mark.parametrize("kind", MODELS)
def test_any_model_is_saved_loaded_evaluated_and_fine_tuned(kind, tmp_path):
    random.seed(1)  # of the layers
    model = MODELS[kind]()
    classes = max(model.output_shape[-1], 2)
    data = data_for(model, classes)
    card = modelzoo.save(model, tmp_path / "1")
    assert (card["name"], card["builder"], card["parent"]) == (model.name, None, None)
    loaded = modelzoo.load(tmp_path / "1")
    np.testing.assert_array_equal(modelzoo.predict(loaded, data.x_test), modelzoo.predict(model, data.x_test))
    np.testing.assert_allclose(
        tf.saved_model.load(str(tmp_path / "1"))(data.x_test).numpy(), modelzoo.predict(model, data.x_test), atol=1e-5
    )
    assert modelzoo.evaluate(loaded, data).keys() == {"loss", "accuracy"}
    fewer = 3 if classes > 2 else classes
    tuned, _ = modelzoo.finetune(tmp_path / "1", data_for(model, fewer), recipe=RECIPE, loss=base_recipe(model).loss)
    assert tuned.output_shape == (None, 3 if classes > 2 else 1)
    assert card_for(tuned).parent["weights_digest"] == card["weights_digest"]
    assert modelzoo.save(tuned, tmp_path / "2")["training"]["steps"] == 2
    assert modelzoo.weights_digest(modelzoo.load(tmp_path / "2")) == modelzoo.weights_digest(tuned)


def through_keras(model, tmp_path):
    model.save(tmp_path / "net.keras")
    return keras.models.load_model(tmp_path / "net.keras")


def through_checkpoint(model, tmp_path):
    callback = keras.callbacks.ModelCheckpoint(tmp_path / "best.keras")
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(np.zeros((4, 28, 28)), np.zeros(4), verbose=0, callbacks=[callback])
    return keras.models.load_model(tmp_path / "best.keras")


def cloned(model, tmp_path):
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    return clone


@pytest.mark.parametrize(
    "way",
    [
        through_keras,
        through_checkpoint,
        cloned,
        lambda model, _: pickle.loads(pickle.dumps(model)),
        lambda model, _: copy.deepcopy(model),
    ],
    ids=["keras", "checkpoint", "clone", "pickle", "deepcopy"],
)
def test_a_zoo_model_that_went_through_keras_keeps_its_builder(way, tmp_path):
    model = modelzoo.create_model("relu_mlp", num_classes=3, seed=0)
    came = way(model, tmp_path)
    card = modelzoo.save(came, tmp_path / "1")
    assert card["builder"]["name"] == "relu_mlp"
    assert card["builder"]["options"] == {"num_classes": 3}
    assert modelzoo.weights_digest(modelzoo.load(tmp_path / "1")) == modelzoo.weights_digest(model)
    assert modelzoo.finetune(came, data_for(model, 4), recipe="finetuning", steps=1)[0].output_shape == (None, 4)
    with pytest.raises(InputError, match=r"Did you mean 'tuned'"):
        modelzoo.train(came, data_for(model, 3), "tunned")


def test_an_autoencoder_without_its_parts_as_attributes_is_found_by_its_network(tmp_path):
    model = modelzoo.create_model("tanh_autoencoder", seed=0)
    modelzoo.save(keras.models.clone_model(model), tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    assert loaded.encoder.output_shape == (None, 2)


# --- what is frozen


def flags(model):
    return [bool(weight.trainable) for weight in model.weights]


@pytest.mark.parametrize(
    "freeze",
    [
        lambda model: setattr(model.layers[1], "trainable", False),
        lambda model: setattr(model.layers[1].bias, "trainable", False),
        lambda model: setattr(model, "trainable", False) or setattr(model, "trainable", True),
    ],
    ids=["layer", "weight", "none"],
)
@pytest.mark.parametrize("kind", ["zoo", "own"])
def test_what_is_frozen_is_frozen_in_keras_and_in_tensorflow(kind, freeze, tmp_path):
    own = MODELS["dense"] if kind == "own" else lambda: modelzoo.create_model("tanh_mlp", seed=0)
    model = own()
    freeze(model)
    modelzoo.save(model, tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    assert flags(loaded) == flags(model)
    assert [layer.trainable for layer in loaded.layers] == [layer.trainable for layer in model.layers]
    plain = tf.saved_model.load(str(tmp_path / "1"))
    assert len(plain.trainable_variables) == len(loaded.trainable_variables) == len(model.trainable_variables)
    modelzoo.train(loaded, datasets.load("four_class", n=40, n_test=40), RECIPE)
    moved = [not np.array_equal(a, b) for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True)]
    assert moved == flags(model)


def test_a_frozen_normalisation_stays_in_inference_mode(tmp_path):
    model = MODELS["residual"]()
    norm = next(layer for layer in model.layers if isinstance(layer, L.BatchNormalization))
    norm.trainable = False
    modelzoo.save(model, tmp_path / "1")
    tuned, _ = modelzoo.finetune(tmp_path / "1", data_for(model, 3), recipe=RECIPE)
    for before, after in zip(norm.get_weights(), tuned.get_layer(norm.name).get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)


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


def resigned(artifact, change):
    card = json.loads((artifact / CARD_PATH).read_text())
    change(card)
    write_card(artifact, {k: v for k, v in card.items() if k not in ("format", "files", "card_digest")})


@pytest.fixture
def artifact(tmp_path):
    modelzoo.save(MODELS["dense"](), tmp_path / "1")
    return tmp_path / "1"


LAMBDA = {"class_name": "Lambda", "module": "keras.layers", "registered_name": None, "config": {"name": "dense"}}


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
        ({"class_name": "Flatten"}, "another network|not make|cannot build"),
        ({"class_name": "Conv3D"}, "cannot build"),
        ({"config": None}, "cannot build"),
        ({"compile_config": {"loss": {"class_name": "function", "module": "os", "config": "system"}}}, None),
    ],
    ids=str,
)
def test_only_keras_own_layers_are_built(change, problem, artifact):
    resigned(artifact, lambda card: card["keras"]["config"]["layers"][1].update(change))
    if problem is None:
        modelzoo.load(artifact)
        return
    with pytest.raises(ArtifactError, match=problem) as caught:
        modelzoo.load(artifact)
    assert "\n" not in str(caught.value)


def test_a_configuration_of_a_larger_network_is_refused_before_it_is_built(artifact):
    resigned(artifact, lambda card: card["keras"]["config"]["layers"][1]["config"].update(units=10**9))
    with pytest.raises(ArtifactError, match="does not make the network"):
        modelzoo.load(artifact)


def test_a_card_that_names_another_builder_loses_it(tmp_path, caplog):
    model = modelzoo.create_model("tanh_mlp", seed=0)
    modelzoo.save(model, tmp_path / "1")
    for name, options in (("sigmoid_mlp", {"hidden_units": 10, "num_classes": 4}), ("nobodys", {})):
        builder = {"name": name, "options": options, "seed": 0}
        resigned(tmp_path / "1", functools.partial(dict.update, builder=builder))
        loaded = modelzoo.load(tmp_path / "1")
        assert card_for(loaded).builder is None
        assert repr(name) in caplog.text
        assert modelzoo.weights_digest(loaded) == modelzoo.weights_digest(model)
    network = read_card(tmp_path / "1")["network"]
    network["layers"][1]["config"]["activation"] = "relu"
    resigned(tmp_path / "1", lambda card: card.update(network=network))
    with pytest.raises(ArtifactError, match="does not make the network"):
        modelzoo.load(tmp_path / "1")


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
