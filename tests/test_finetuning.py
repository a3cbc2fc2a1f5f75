"""Fine-tuning starts from the parent's weights, and keeps what is frozen."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

import modelzoo
from modelzoo import Recipe, datasets, finetune
from modelzoo.errors import ArtifactError, DataError, InputError
from modelzoo.registry import origin_of
from modelzoo.saving import CARD_PATH

STILL = Recipe(steps=1, batch_size=20, optimizer="sgd", learning_rate=1e-30, log_every=1, xla="off")
MOVE = Recipe(steps=8, batch_size=20, optimizer="adam", learning_rate=0.01, log_every=8, xla="off")


@pytest.fixture(scope="module")
def digits():
    return datasets.load("mnist").take(per_class=10)


@pytest.fixture(scope="module")
def three_digits():
    data = datasets.load("mnist", classes=(1, 5, 6)).take(per_class=15)
    return data


@pytest.fixture(scope="module")
def parent(digits):
    model = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), seed=0)
    modelzoo.train(model, digits, MOVE)
    return model


def by_path(model):
    return {w.path: w.numpy() for w in model.weights}


def test_same_classes_start_from_the_parents_weights(parent, digits):
    before = modelzoo.weights_digest(parent)
    model, history = finetune(parent, digits, recipe=STILL, seed=5)
    assert modelzoo.weights_digest(model) == before
    assert model is not parent
    assert history.history["step"] == [1]


def test_other_classes_replace_the_head_and_nothing_else(parent, three_digits):
    model, _ = finetune(parent, three_digits, recipe=STILL)
    assert model.output_shape == (None, 3)
    old, new = by_path(parent), by_path(model)
    assert old.keys() == new.keys()
    for path, value in new.items():
        if path.startswith("logits/"):
            assert value.shape[-1] == 3
        else:
            np.testing.assert_array_equal(value, old[path], err_msg=path)
    assert origin_of(model).options == {"hidden_units": [9, 8], "num_classes": 3}
    assert origin_of(model).class_names == ("1", "5", "6")


def test_the_new_head_comes_from_the_seed(parent, three_digits):
    heads = [by_path(finetune(parent, three_digits, recipe=STILL, seed=s)[0])["logits/kernel"] for s in (1, 1, 2)]
    np.testing.assert_array_equal(heads[0], heads[1])
    assert not np.array_equal(heads[0], heads[2])


def test_arrays_keep_the_head_unless_num_classes_is_given(parent, three_digits):
    assert finetune(parent, three_digits.train, recipe=STILL)[0].output_shape == (None, 10)
    assert finetune(parent, three_digits.train, num_classes=3, recipe=STILL)[0].output_shape == (None, 3)


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        (None, set()),
        ("backbone", {"hidden_1", "hidden_2"}),
        (["hidden_1"], {"hidden_1"}),
        ("hidden_2", {"hidden_2"}),
        (("hidden_2", "logits"), {"hidden_2", "logits"}),
    ],
)
def test_frozen_layers_stay_bit_identical_and_the_others_move(freeze, frozen, parent, digits):
    model, _ = finetune(parent, digits, freeze=freeze, recipe=MOVE)
    old, new = by_path(parent), by_path(model)
    for path in old:
        assert np.array_equal(new[path], old[path]) == (path.split("/")[0] in frozen), path
    assert all(layer.trainable for layer in model.layers)
    assert set(origin_of(model).parent["frozen"]) == frozen


def test_the_parent_is_not_touched(parent, digits):
    before, training = modelzoo.weights_digest(parent), origin_of(parent).training
    finetune(parent, digits, recipe=MOVE)
    assert modelzoo.weights_digest(parent) == before
    assert origin_of(parent).training == training
    assert origin_of(parent).parent is None


def test_the_card_names_the_parent(parent, three_digits, tmp_path):
    modelzoo.save(parent, tmp_path / "parent")
    model, history = finetune(tmp_path / "parent", three_digits, freeze="backbone", recipe=MOVE, seed=3)
    modelzoo.save(model, tmp_path / "child")
    card = json.loads((tmp_path / "child" / CARD_PATH).read_text())
    assert card["parent"]["name"] == "dense_500_300"
    assert card["parent"]["weights_digest"] == modelzoo.weights_digest(parent)
    assert card["parent"]["frozen"] == ["hidden_1", "hidden_2"]
    assert card["class_names"] == ["1", "5", "6"]
    assert card["training"]["seed"] == 3
    assert card["training"]["metrics"]["val_accuracy"] == history.history["val_accuracy"][-1]
    child = modelzoo.load(tmp_path / "child")
    assert origin_of(child).parent == card["parent"]
    assert modelzoo.weights_digest(child) == modelzoo.weights_digest(model)


def test_an_interrupted_run_leaves_every_layer_trainable_and_resumes(parent, digits, tmp_path):
    import keras

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    recipe = MOVE.replace(steps=6, log_every=2)
    with pytest.raises(KeyboardInterrupt):
        finetune(parent, digits, recipe=recipe, freeze="backbone", checkpoint_dir=tmp_path, callbacks=[Stop()])
    resumed, _ = finetune(parent, digits, recipe=recipe, freeze="backbone", checkpoint_dir=tmp_path, resume=True)
    whole, _ = finetune(parent, digits, recipe=recipe, freeze="backbone")
    assert modelzoo.weights_digest(resumed) == modelzoo.weights_digest(whole)


def test_resume_with_other_frozen_layers_is_refused(parent, digits, tmp_path):
    recipe = MOVE.replace(steps=4, log_every=2)
    finetune(parent, digits, recipe=recipe, freeze="backbone", checkpoint_dir=tmp_path)
    with pytest.raises(ArtifactError):
        finetune(parent, digits, recipe=recipe, freeze=["hidden_1"], checkpoint_dir=tmp_path, resume=True)


def test_resume_from_another_parent_is_refused(parent, digits, tmp_path):
    other = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), seed=77)
    recipe = MOVE.replace(steps=4, log_every=2)
    finetune(parent, digits, recipe=recipe, checkpoint_dir=tmp_path)
    with pytest.raises(ArtifactError):
        finetune(other, digits, recipe=recipe, checkpoint_dir=tmp_path, resume=True)


def test_autoencoder_layers_are_frozen_by_name(digits):
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0)
    recipe = MOVE.replace(loss="mean_squared_error", reconstruct=True)
    tuned, _ = finetune(model, digits, recipe=recipe, freeze=["encoder_1", "pixels"])
    old, new = by_path(model), by_path(tuned)
    for path in old:
        frozen = path.split("/")[-2] in ("encoder_1", "pixels")
        assert np.array_equal(new[path], old[path]) == frozen, path
    with pytest.raises(InputError, match="no head"):
        finetune(model, digits, recipe=recipe, freeze="backbone")


def test_bad_arguments(parent, digits):
    with pytest.raises(InputError, match="Did you mean 'hidden_1'"):
        finetune(parent, digits, freeze=["hiden_1"])
    with pytest.raises(InputError, match="nothing to train"):
        finetune(parent, digits, freeze=["hidden_1", "hidden_2", "logits"])
    with pytest.raises(InputError, match="Unknown recipe"):
        finetune(parent, digits, recipe="tunned")
    with pytest.raises(InputError, match="num_classes"):
        finetune(parent, digits, num_classes=1)
    with pytest.raises(InputError):
        finetune("dense_500_30", digits)
    with pytest.raises(DataError):
        finetune(parent, digits, num_classes=3, recipe=STILL)
    with pytest.raises(InputError, match="num_classes"):
        finetune(modelzoo.create_model("logistic_perceptron"), datasets.load("linear"), num_classes=5)


def test_other_class_names_start_the_head_anew():
    parent = modelzoo.create_model("relu_mlp", seed=0)
    mnist = datasets.load("mnist").take(per_class=5)
    recipe = modelzoo.Recipe(steps=1, batch_size=10, log_every=1, learning_rate=1e-12)
    modelzoo.train(parent, mnist, recipe)
    same, _ = modelzoo.finetune(parent, mnist, recipe=recipe)
    renamed = dataclasses.replace(mnist, class_names=tuple("abcdefghij"))
    other, _ = modelzoo.finetune(parent, renamed, recipe=recipe, seed=1)
    before = parent.get_layer("logits").kernel.numpy()
    np.testing.assert_allclose(same.get_layer("logits").kernel.numpy(), before, atol=1e-6)
    assert np.abs(other.get_layer("logits").kernel.numpy() - before).max() > 0.01
    np.testing.assert_allclose(
        other.get_layer("hidden_1").kernel.numpy(), parent.get_layer("hidden_1").kernel.numpy(), atol=1e-6
    )
