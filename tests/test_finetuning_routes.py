"""An artifact is fine-tuned without modelzoo: by plain TensorFlow, and as a layer of a Keras model."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import datasets

# A loop of one's own, as the guide shows it. modelzoo cannot be imported.
PLAIN_TENSORFLOW = """
    import json, sys

    class Absent:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "modelzoo":
                raise ModuleNotFoundError(name)

    sys.meta_path.insert(0, Absent())
    import numpy as np
    import tensorflow as tf

    source, data, target = sys.argv[1:]
    with np.load(data) as arrays:
        x, y, x_test, y_test = (arrays[key] for key in ("x_train", "y_train", "x_test", "y_test"))
    model = tf.saved_model.load(source)
    accuracy = lambda model: float(np.mean(model(x_test, training=False).numpy().argmax(axis=1) == y_test))
    before = accuracy(model)

    @tf.function
    def step(images, labels):
        with tf.GradientTape() as tape:
            probabilities = tf.gather(model(images, training=True), labels, batch_dims=1)
            loss = -tf.reduce_mean(tf.math.log(probabilities + 1e-7))
            loss += sum(penalty() for penalty in model.regularization_losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        for variable, gradient in zip(model.trainable_variables, gradients):
            variable.assign_sub(0.05 * gradient)
        return loss

    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=0).batch(32).repeat(10)
    losses = [float(step(*batch)) for batch in batches]
    tf.saved_model.save(model, target, signatures=model.signatures)

    again = tf.saved_model.load(target)
    served = again.signatures["serving_default"](images=tf.constant(x_test, tf.float32))["probabilities"]
    print(json.dumps({
        "before": before,
        "after": accuracy(model),
        "saved": accuracy(again),
        "served": float(np.mean(served.numpy().argmax(axis=1) == y_test)),
        "trainable": len(again.trainable_variables),
        "first loss": losses[0],
        "last loss": losses[-1],
        "modules": [name for name in sys.modules if name.partition(".")[0] == "modelzoo"],
    }))
"""


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """Return the artifact of a small net that learned some of MNIST."""
    model = modelzoo.create_model("dense_500_300", hidden_units=(64, 32), seed=0)
    recipe = modelzoo.Recipe(steps=400, batch_size=64, log_every=400, xla="off")
    modelzoo.train(model, datasets.load("mnist").take(per_class=500).train, recipe, seed=0)
    path = tmp_path_factory.mktemp("routes") / "net"
    modelzoo.save(model, path)
    return path


def accuracy_of(function, data):
    outputs = function(tf.constant(data.x_test, tf.float32))
    return float(np.mean(np.asarray(outputs).argmax(axis=1) == data.y_test))


@pytest.mark.slow
def test_plain_tensorflow_fine_tunes_and_saves_again(artifact, digits, tmp_path):
    np.savez(
        tmp_path / "digits.npz",
        x_train=digits.x_train,
        y_train=digits.y_train.astype("int64"),
        x_test=digits.x_test,
        y_test=digits.y_test,
    )
    paths = [str(path) for path in (artifact, tmp_path / "digits.npz", tmp_path / "tuned")]
    command = [sys.executable, "-c", textwrap.dedent(PLAIN_TENSORFLOW), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["modules"] == []
    assert found["after"] > max(0.93, found["before"] + 0.05), found
    assert found["last loss"] < found["first loss"]
    assert found["saved"] == found["served"] == found["after"]
    assert found["trainable"] == 6
    missing = {point.name for point in modelzoo.check(tmp_path / "tuned") if not point.ok}
    assert missing <= {"modelzoo card", "golden vectors"}  # which plain TensorFlow does not write


def test_tfsm_layer_is_a_frozen_extractor_under_a_new_head(artifact, digits):
    few = digits.subset((3, 5, 8))
    images = keras.Input((28, 28))
    extractor = keras.layers.TFSMLayer(str(artifact), call_endpoint="serving_default", trainable=False)
    probabilities = extractor(images)["probabilities"]
    head = keras.layers.Dense(3, activation="softmax", kernel_initializer=keras.initializers.GlorotUniform(seed=0))
    model = keras.Model(images, head(probabilities))
    assert len(model.trainable_weights) == 2
    before = [weight.numpy() for weight in extractor.weights]
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(few.x_train.astype("float32"), few.y_train, epochs=10, verbose=0, shuffle=False)
    accuracy = model.evaluate(few.x_test.astype("float32"), few.y_test, verbose=0)[1]
    assert accuracy > 0.85  # chance is 0.33
    for weight, value in zip(extractor.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), value)


def test_tfsm_layer_gives_what_the_model_gives(artifact, digits):
    inside = keras.layers.TFSMLayer(str(artifact), call_endpoint="__call__")
    expected = modelzoo.predict(modelzoo.load(artifact), digits.x_test[:20])
    np.testing.assert_allclose(inside(digits.x_test[:20].astype("float32")), expected, atol=1e-6)


@pytest.mark.slow
def test_tfsm_layer_trains_with_plain_gradient_descent_and_goes_back_to_a_saved_model(artifact, digits, tmp_path):
    layer = keras.layers.TFSMLayer(str(artifact), call_endpoint="__call__")
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
