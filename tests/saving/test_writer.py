"""``save``: what is written, and that it is complete or absent."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo.card import CARD_PATH, WEIGHTS_PATH
from modelzoo.errors import ModelZooError, TargetError, TargetExistsError
from modelzoo.network import Network, read_network
from modelzoo.saving import find, save_keras, saved_model


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def test_card_tells_the_whole_story(net, artifact):
    card = json.loads((artifact / CARD_PATH).read_text())
    data = modelzoo.datasets.load("four_class")
    assert card["builder"] == {"name": "tanh_mlp", "options": {}, "seed": 0}
    assert card["weights_digest"] == modelzoo.weights_digest(net)
    assert card["class_names"] == list(data.class_names)
    training = card["training"]
    assert training["recipe_name"] == "lesson"
    assert modelzoo.Recipe.from_dict(training["recipe"]) == modelzoo.get_spec("tanh_mlp").recipe("lesson")
    assert (training["seed"], training["steps"]) == (0, 100)
    assert training["dataset"]["name"] == "four_class"
    assert training["dataset"]["checksum"] == data.checksum
    assert training["metrics"]["test_accuracy"] == pytest.approx(modelzoo.evaluate(net, data)["accuracy"])
    assert card["parent"] is None
    assert card["versions"]["tensorflow"] == tf.__version__
    assert card["versions"]["keras"] == keras.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", card["created"])


def test_card_has_the_hash_of_every_file_and_its_own(artifact):
    card = json.loads((artifact / CARD_PATH).read_text())
    files = contents(artifact)
    files.pop(CARD_PATH)
    claimed = card.pop("card_digest")
    text = json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    assert hashlib.sha256(text.encode()).hexdigest() == claimed
    assert card["files"] == {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


def test_weights_digest_is_of_paths_shapes_dtypes_and_bytes(net):
    digest = hashlib.sha256()
    for weight in net.weights:
        value = weight.numpy()
        digest.update(f"{weight.path} {value.shape} {value.dtype.str}\n".encode() + value.tobytes())
    assert modelzoo.weights_digest(net) == digest.hexdigest()


def test_builder_options_are_in_the_card_and_come_back(tmp_path):
    options = {"filters": (2, 3), "hidden_units": 5, "dropout": 0.25, "image_shape": (8, 9), "num_classes": 3,
               "classifier_activation": None, "kernel_initializer": keras.initializers.HeNormal(seed=4)}  # fmt: skip
    model = modelzoo.create_model("two_conv_cnn", seed=0, **options)
    modelzoo.save(model, tmp_path / "1")
    loaded = modelzoo.load(tmp_path / "1")
    x = np.random.default_rng(0).uniform(0, 255, (3, 8, 9)).astype("float32")
    np.testing.assert_array_equal(loaded(x).numpy(), model(x).numpy())
    assert loaded.get_layer("dropout").rate == 0.25


def test_overwrite_replaces_everything(net, artifact):
    (artifact / "old file").write_text("x")
    other = modelzoo.create_model("sigmoid_mlp", seed=0)
    modelzoo.save(other, artifact, overwrite=True)
    assert modelzoo.load(artifact).name == "sigmoid_mlp"
    assert [p.name for p in artifact.parent.iterdir()] == ["1"]


def test_a_target_that_is_a_file_stays(net, tmp_path):
    (tmp_path / "file").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ModelZooError):
            modelzoo.save(net, tmp_path / "file", overwrite=overwrite)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_failing_write_leaves_what_was_there(net, artifact, monkeypatch):
    def save(obj, directory, **_):
        (Path(directory) / "saved_model.pb").write_bytes(b"half")
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    before = contents(artifact)
    monkeypatch.setattr(tf.saved_model, "save", save)
    with pytest.raises(TargetError, match="No space left"):
        modelzoo.save(net, artifact, overwrite=True)
    assert contents(artifact) == before
    assert [p.name for p in artifact.parent.iterdir()] == ["1"]


def test_regularisation_losses_are_exported(tmp_path):
    """With weights of its own a model's penalty is a function that plain TensorFlow calls and differentiates."""
    model = modelzoo.create_model("tanh_mlp", seed=0)
    model.get_layer("hidden").kernel_regularizer = keras.regularizers.L2(0.5)
    model.get_layer("hidden").kernel.regularizer = keras.regularizers.L2(0.5)
    expected = 0.5 * float((model.get_layer("hidden").kernel.numpy() ** 2).sum())
    modelzoo.save(model, tmp_path / "1")
    obj = tf.saved_model.load(str(tmp_path / "1"))
    assert [float(f()) for f in obj.regularization_losses] == pytest.approx([expected])
    obj.variables[0].assign_add(tf.ones_like(obj.variables[0]))
    assert float(obj.regularization_losses[0]()) != pytest.approx(expected)


def test_keras_alone_reads_a_keras_file(net, tmp_path, same_weights):
    before = modelzoo.weights_digest(net)
    save_keras(net, tmp_path / "net.keras")
    x = modelzoo.datasets.load("four_class").x_test
    loaded = keras.models.load_model(tmp_path / "net.keras")
    np.testing.assert_array_equal(loaded(x).numpy(), net(x).numpy())
    with pytest.raises(TargetExistsError, match="overwrite"):
        save_keras(net, tmp_path / "net.keras")
    other = modelzoo.create_model("sigmoid_mlp", seed=0)
    save_keras(other, tmp_path / "net.keras", overwrite=True)
    same_weights(keras.models.load_model(tmp_path / "net.keras"), other)
    assert modelzoo.weights_digest(net) == before


def test_files_removed_while_saving_make_no_artifact(net, artifact, monkeypatch):
    """TensorFlow makes a removed directory anew, and a card would have vouched for the rest."""
    before = contents(artifact)
    write = saved_model.write_saved_model

    def robbed(model, directory):
        write(model, directory)
        shutil.rmtree(directory / "variables")

    monkeypatch.setattr(saved_model, "write_saved_model", robbed)
    with pytest.raises(TargetError, match=r"variables\.index was removed meanwhile"):
        modelzoo.save(net, artifact, overwrite=True)
    assert contents(artifact) == before


@pytest.mark.parametrize("name", modelzoo.list_pretrained())
def test_weights_and_network_are_read_without_tensorflow(name):
    """With JSON and NumPy alone."""
    directory, model = find(name), modelzoo.load(name)
    card = json.loads((directory / CARD_PATH).read_text(encoding="utf-8"))
    stored = {weight["path"]: weight for weight in card["weights"]}
    for weight in model.weights:
        told = stored[weight.path]
        value = np.memmap(directory / WEIGHTS_PATH, told["dtype"], "r", told["offset"], tuple(told["shape"]))
        np.testing.assert_array_equal(value, weight.numpy(), err_msg=weight.path)
        assert told["trainable"] == weight.trainable
    # Another version of Keras has settings of its own.
    assert Network.from_dict(card["network"]).same_as(read_network(model))
