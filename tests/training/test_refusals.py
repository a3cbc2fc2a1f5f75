"""Arguments, arrays and streams that nothing can be trained on: one line of ours, and weights as they were."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import Augmentation, Recipe, datasets
from modelzoo.errors import DataError, InputError, ModelZooError

RECIPE = Recipe(steps=6, batch_size=16, log_every=3, xla="off")


def refused(model, data, recipe=RECIPE, **options):
    """Return the one line that ``train`` answers with, after seeing that the weights are as they were."""
    before = [np.array(w) for w in model.get_weights()]
    with pytest.raises(ModelZooError) as caught:
        modelzoo.train(model, data, recipe, **options)
    np.testing.assert_equal(model.get_weights(), before)
    return str(caught.value)


@pytest.fixture(scope="module")
def model():
    return modelzoo.create_model("tanh_mlp", seed=0)


@pytest.mark.parametrize("wrong", [None, "tanh_mlp", keras.Sequential([keras.layers.Dense(2)])], ids=str)
def test_only_keras_models_with_one_input_and_output(wrong, points):
    with pytest.raises(InputError, match=r"must be a Keras model|must have one input and one output"):
        modelzoo.train(wrong, points, RECIPE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"callbacks": [3]}, "sequence of Keras callbacks"),
        ({"checkpoint_dir": 3}, "Expected the path"),
        ({"resume": "yes"}, "resume must be True or False"),
        ({"resume": True}, "needs checkpoint_dir"),
        ({"seed": -1}, "seed must be an integer from 0"),
        ({"seed": 1.0}, "seed must be an integer from 0"),
        ({"validation_data": "test"}, "one pair (samples, labels)"),
        ({"recipe": "lessen"}, "lesson"),
        ({"recipe": 3}, "recipe must be a Recipe"),
        ({"recipe": Recipe(steps=3, optimizer="adm")}, "Did you mean 'adam'"),
        ({"recipe": Recipe(steps=3, optimizer_options={"momentm": 1})}, "momentm"),
        ({"recipe": Recipe(steps=3, optimizer_options={"gradient_accumulation_steps": 2})}, "larger batch_size"),
        ({"recipe": Recipe(steps=3, learning_rate={"class_name": "Nothing", "config": {}})}, "Nothing"),
        ({"recipe": Recipe(steps=3, layer_learning_rates={"hiden": 0.1})}, "Did you mean 'hidden'"),
        ({"recipe": Recipe(steps=3, loss="cross")}, "Unknown loss 'cross'"),
        ({"recipe": Recipe(steps=3, loss="circle")}, "'circle' gives no number for each sample"),
        ({"recipe": Recipe(steps=3, loss="binary_crossentropy")}, "does not fit 4 output"),
        ({"recipe": Recipe(steps=3, loss="mean_squared_error", reconstruct=True)}, "reconstruct=True needs outputs"),
        ({"recipe": Recipe(steps=3, augmentation=Augmentation(shift=1.0))}, "distorts images"),
    ],
    ids=str,
)
def test_arguments(options, message, points, model):
    assert message in refused(model, points, **options)


def test_named_recipes_are_for_their_models(points):
    with pytest.raises(InputError, match="No builder declares recipes"):
        modelzoo.train(keras.Sequential([keras.Input((2,)), keras.layers.Dense(4)]), points, "lesson")
    with pytest.raises(InputError, match="lesson_weights=True"):
        modelzoo.train(modelzoo.create_model("xor_mlp"), datasets.load("xor"), "lesson")
    assert "gives no number for each sample" in refused(
        modelzoo.create_model("tanh_autoencoder", hidden_units=(5, 4), image_shape=(4, 4), seed=0),
        (np.zeros((6, 4, 4), "uint8"), np.arange(6) % 2),
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (np.hstack([x, x]), y), "takes (2,)"),
        (lambda x, y: (x, y + 1), "label 4"),
        (lambda x, y: (x, y * 0), "at least two classes"),
        (lambda x, y: (x, y.astype(str)), "integer labels"),
        (lambda x, y: (x, y[:, None]), "y.ravel()"),
    ],
)
def test_arrays(change, message, points, model, tmp_path):
    answer = refused(model, change(*points.train), checkpoint_dir=tmp_path / "c")
    assert message in answer
    assert not (tmp_path / "c").exists()


def test_validation_data_are_checked_too(points, model):
    x, y = points.test
    with pytest.raises(DataError, match="validation data: label 4"):
        modelzoo.train(model, points, RECIPE, validation_data=(x, y + 1))


def test_labels_and_layouts_that_mean_the_same_train_the_same(points, tanh_mlp):
    x, y = (a[:64] for a in points.train)
    expected, found = tanh_mlp(), tanh_mlp()
    modelzoo.train(expected, (x.tolist(), y.tolist()), RECIPE)
    modelzoo.train(found, (np.asfortranarray(x.astype(">f8")), np.eye(4, dtype="float32")[y]), RECIPE)
    np.testing.assert_allclose(found.get_weights()[0], expected.get_weights()[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("change", "warned"),
    [(lambda x: x / 255, True), (lambda x: x, False), (lambda x: x * 0, False), (lambda x: x > 255, False)],
)
def test_pixels_that_were_scaled_already_are_told(change, warned, digits, caplog):
    (x, _y), _ = digits
    model = modelzoo.create_model("relu_mlp", hidden_units=4, seed=0)
    with caplog.at_level(logging.WARNING):
        modelzoo.predict(model, change(x))
    assert ("takes raw pixels of 0 to 255" in caplog.text) == warned


def test_dark_digits_on_white_are_told(digits, caplog):
    (x, _y), _ = digits
    with caplog.at_level(logging.WARNING):
        modelzoo.predict("relu_mlp", x)
        assert "Invert the images" not in caplog.text
        modelzoo.predict("relu_mlp", 255 - x)
    assert "Invert the images" in caplog.text


# --- tf.data


SIGNATURE = (tf.TensorSpec((None, 2)), tf.TensorSpec((None,), tf.int64))


def stream(*batches, x=SIGNATURE[0]):
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=(x, SIGNATURE[1]))


def failing(good):
    yield good
    raise OSError("the disk is gone")


slices = tf.data.Dataset.from_tensor_slices
BAD_STREAMS = {
    "NaN": (
        lambda x, y: stream((x, y), (x, y), (np.where(np.arange(len(x))[:, None] == 3, np.nan, x).astype("f4"), y)),
        "batch 2: x[3, 0] is nan",
    ),
    "label too high": (lambda x, y: stream((x, y), (x, y + 9)), "batch 1: label "),
    "lengths differ": (lambda x, y: stream((x, y[:3])), "10 samples but 3 labels"),
    "it fails": (
        lambda x, y: tf.data.Dataset.from_generator(lambda: failing((x, y)), output_signature=SIGNATURE),
        "batch 1 of the tf.data.Dataset fails: OSError: the disk is gone",
    ),
    "empty": (lambda x, y: slices((x, y)).batch(5).take(0), "is empty"),
    "not batched": (lambda x, y: slices((x, y)), ""),
    "unknown shape": (lambda x, y: stream((x, y), x=tf.TensorSpec(None)), "tf.ensure_shape(x, (None, 2))"),
    "another shape": (lambda x, y: slices((np.zeros((10, 3), "f4"), y)).batch(5), "batches have shape (None, 3)"),
    "text": (lambda x, y: slices((x.astype(str), y)).batch(5), "batches are of string"),
    "float labels": (lambda x, y: slices((x, y + 0.5)).batch(5), "labels of float64"),
    "one-hot of another width": (lambda x, y: slices((x, np.eye(5)[y])).batch(5), "5 wide, but there are 4"),
    "mixed labels": (lambda x, y: slices((x, 0.9 * np.eye(4)[y] + 0.025)).batch(5), "batch 0: row 0 of y is"),
    "several labels": (lambda x, y: slices((x, np.minimum(np.eye(4)[y] + np.eye(4)[0], 1))).batch(5), "not one-hot"),
    "no label": (lambda x, y: slices((x, 0 * np.eye(4)[y])).batch(5), "row 0 of y is [0.0, 0.0, 0.0, 0.0], not one"),
    "dictionary": (lambda x, y: slices({"x": x, "y": y}).batch(5), "must yield (samples, labels)"),
}


@pytest.mark.parametrize("kind", BAD_STREAMS)
def test_streams(kind, points, tanh_mlp):
    x, y = points.train
    make, message = BAD_STREAMS[kind]
    with pytest.raises(InputError) as caught:
        modelzoo.train(tanh_mlp(), make(x[:10], y[:10].astype("i8")), RECIPE.replace(steps=3))
    assert str(caught.value).startswith("training data")
    assert message in str(caught.value)


def test_streams_that_cannot_be_held_out_of_or_evaluated_on(points, model):
    x, y = points.test
    endless = tf.data.Dataset.from_tensor_slices((x, y)).batch(10).repeat()
    assert "never ends" in refused(model, points, validation_data=endless)
    assert "validation_data" in refused(model, endless, RECIPE.replace(validation_size=40))
    wrong = stream((x[:50], y[:50].astype("i8") + 1))
    with pytest.raises(DataError, match="validation data, batch 0: label 4"):
        modelzoo.train(model, points, RECIPE, validation_data=wrong)
