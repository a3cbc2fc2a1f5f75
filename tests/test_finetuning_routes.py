"""An artifact is fine-tuned without modelzoo as a layer of a Keras model; in plain TensorFlow: test_contract.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import datasets


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


def accuracy_of(function, data):
    outputs = function(tf.constant(data.x_test, tf.float32))
    return float(np.mean(np.asarray(outputs).argmax(axis=1) == data.y_test))


@pytest.mark.slow
def test_tfsm_layer_trains_with_plain_gradient_descent_and_goes_back_to_a_saved_model(digits, tmp_path):
    learned = modelzoo.create_model("dense_500_300", hidden_units=(64, 32), seed=0)
    recipe = modelzoo.Recipe(steps=400, batch_size=64, log_every=400, xla="off")
    modelzoo.train(learned, datasets.load("mnist").take(per_class=500).train, recipe, seed=0)
    modelzoo.save(learned, tmp_path / "net")
    layer = keras.layers.TFSMLayer(str(tmp_path / "net"), call_endpoint="__call__")
    images = keras.Input((28, 28))
    model = keras.Model(images, layer(images))
    before = accuracy_of(model, digits)
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    model.fit(digits.x_train.astype("float32"), digits.y_train, epochs=8, verbose=0, shuffle=False)
    after = accuracy_of(model, digits)
    assert after > max(0.9, before + 0.05)

    # The layer's weights are the loaded object's own variables, so that object can be saved.
    loaded = layer._reloaded_obj
    tf.saved_model.save(loaded, tmp_path / "tuned", signatures=loaded.signatures)
    assert accuracy_of(tf.saved_model.load(tmp_path / "tuned"), digits) == after

    # The .keras file holds the weights, not the graph: it needs the SavedModel's directory, and consent.
    model.save(tmp_path / "tuned.keras")
    with pytest.raises(ValueError, match="safe_mode"):
        keras.models.load_model(tmp_path / "tuned.keras")
    assert accuracy_of(keras.models.load_model(tmp_path / "tuned.keras", safe_mode=False), digits) == after


def test_plain_tensorflow_has_dropout_in_training(digits, tmp_path):
    modelzoo.save(modelzoo.create_model("dense_500_300", hidden_units=(16, 8), dropout=0.5, seed=0), tmp_path / "net")
    loaded, batch = tf.saved_model.load(tmp_path / "net"), tf.constant(digits.x_test[:8], tf.float32)
    assert np.abs(loaded(batch, training=True) - loaded(batch, training=False)).max() > 1e-3


def test_tfsm_layer_takes_an_autoencoders_code_as_features(digits, tmp_path):
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0)
    modelzoo.save(model, tmp_path / "net")
    layer = keras.layers.TFSMLayer(str(tmp_path / "net"), call_endpoint="encode", trainable=False)
    codes = layer(digits.x_test[:20].astype("float32"))["latent"]
    np.testing.assert_allclose(codes, modelzoo.predict(model.encoder, digits.x_test[:20]), atol=1e-5)
