"""Data meet a model: labels are matched by the names of their classes, and pictures are prepared alike."""

import dataclasses

import numpy as np
import pytest

import modelzoo
from modelzoo import Recipe, class_names, create_model, datasets, evaluate, train
from modelzoo.card import set_card
from modelzoo.errors import DataError, InputError
from modelzoo.registry import card_for

STEP = Recipe(steps=1, batch_size=8, learning_rate=0.01, xla="off")


@pytest.fixture(scope="module")
def digits():
    return datasets.load("digits")


@pytest.fixture(scope="module")
def trained(digits):
    model = create_model("relu_mlp", hidden_units=16, seed=0)
    recipe = Recipe(steps=200, batch_size=50, optimizer="adam", learning_rate=0.003, log_every=200, xla="off")
    train(model, digits, recipe)
    return model


def test_a_fresh_model_has_the_names_of_its_declared_data():
    assert class_names(create_model("logistic_perceptron")) == ("below", "above")
    assert class_names(create_model("relu_mlp")) == tuple("0123456789")
    assert class_names(create_model("relu_mlp", num_classes=3)) == ("0", "1", "2")
    assert class_names(create_model("tanh_mlp")) == ("0", "1", "2", "3")
    assert class_names(create_model("tanh_autoencoder")) == ()


@pytest.mark.parametrize(
    "reorder", [lambda data: data.subset((3, 5, 8)), lambda data: data.one_hot().subset((3, 5, 8))]
)
def test_a_subset_is_evaluated_by_name(trained, digits, reorder):
    part = np.isin(digits.y_test, (3, 5, 8))
    truth = evaluate(trained, (digits.x_test[part], digits.y_test[part]))["accuracy"]
    assert truth > 0.8
    assert evaluate(trained, reorder(digits))["accuracy"] == pytest.approx(truth)


def test_a_permutation_is_evaluated_by_name_also_from_disk(trained, digits, tmp_path):
    permuted = dataclasses.replace(
        digits, y_train=9 - digits.y_train, y_test=9 - digits.y_test, class_names=digits.class_names[::-1]
    )
    datasets.write_tfrecord(permuted, tmp_path / "shards", num_shards=1)
    expected = evaluate(trained, digits)
    for data in (permuted, datasets.stream(tmp_path / "shards"), datasets.load(tmp_path / "shards")):
        assert evaluate(trained, data) == pytest.approx(expected)


def test_labels_without_names_are_the_numbers_of_the_outputs(trained, digits, tmp_path):
    unnamed = datasets.Dataset(*digits.train, *digits.test, name="unnamed")
    assert not dataclasses.replace(unnamed, name="renamed").named
    assert dataclasses.replace(unnamed, class_names=tuple("abcdefghij")).named
    datasets.write_tfrecord(digits.train, tmp_path / "shards", test=digits.test, num_shards=1)
    for data in (unnamed, digits.test, datasets.stream(tmp_path / "shards")):
        assert evaluate(trained, data)["accuracy"] == pytest.approx(evaluate(trained, digits)["accuracy"])


def test_a_name_the_model_does_not_know_is_refused_with_both_sides(trained, digits):
    letters = dataclasses.replace(digits, class_names=tuple("abcdefghij"))
    for call in (evaluate, modelzoo.measure, lambda *args: train(*args, STEP)):
        with pytest.raises(DataError, match=r"class 'a'.*of the data: a, b, .*, j; of the model: 0, 1, .*, 9\. Give"):
            call(trained, letters)


def test_training_on_a_subset_moves_the_outputs_of_its_names(digits):
    by_name, by_number = (create_model("relu_mlp", hidden_units=4, seed=0) for _ in range(2))
    part = np.isin(digits.y_train, (3, 5, 8))
    train(by_name, digits.subset((3, 5, 8)), STEP)
    train(by_number, (digits.x_train[part], digits.y_train[part]), STEP)
    assert modelzoo.weights_digest(by_name) == modelzoo.weights_digest(by_number)


# --- preparation


@pytest.fixture
def pictures(tmp_path, digits, write_images):
    chosen = np.concatenate([np.flatnonzero(digits.y_test == label)[:4] for label in (3, 5)])
    images = 255 - np.pad(digits.x_test[chosen], ((0, 0), (0, 40), (0, 40)))
    return write_images(tmp_path / "pictures", images, digits.y_test[chosen])


def test_a_folder_is_prepared_as_it_is_asked(pictures):
    prepared, resized, unsaid = (
        datasets.load(pictures, **o) for o in ({"prepare": "digit"}, {"prepare": "resize"}, {})
    )
    assert (prepared.preparation, resized.preparation, unsaid.preparation) == ("digit", "resize", "resize")
    assert prepared.x_train[:, 0].max() == 0  # black, the digit in the middle
    assert resized.x_train[:, 0].min() > 200  # white paper
    assert (resized.x_train == unsaid.x_train).all()
    assert datasets.load("mnist").preparation == "digit"
    assert datasets.load("digits").preparation is None
    assert prepared.subset((1,)).preparation == datasets.stream(pictures, prepare="digit").preparation == "digit"
    with pytest.raises(InputError, match="prepare='digit' makes grey images of 28 x 28"):
        datasets.load(pictures, prepare="digit", size=(32, 32))
    with pytest.raises(InputError, match="Unknown prepare 'digits'"):
        datasets.load(pictures, prepare="digits")


def test_a_model_of_digits_wants_to_be_told_how_a_folder_is_prepared(trained, pictures, caplog):
    card = card_for(trained)
    model = create_model("relu_mlp", hidden_units=16, seed=0)
    set_card(model, dataclasses.replace(card, preparation="digit"))
    with pytest.raises(InputError, match=r"prepare='digit', or with prepare='resize'"):
        evaluate(model, datasets.load(pictures))
    shards = datasets.write_tfrecord(datasets.stream(pictures), pictures.parent / "shards")
    with pytest.raises(InputError, match=r"write shards again: write_tfrecord\(stream_images\(…, prepare='digit'\)"):
        evaluate(model, datasets.stream(shards))
    for prepare in ("resize", "digit"):
        stream = datasets.stream_images(pictures, prepare=prepare)
        evaluate(model, datasets.stream(datasets.write_tfrecord(stream, shards, overwrite=True), seed=1))
    caplog.clear()
    evaluate(model, datasets.load(pictures, prepare="digit"))
    train(model, (np.zeros((2, 28, 28), np.uint8), np.array([3, 5])), STEP)
    assert card_for(model).preparation == "digit"  # arrays do not say
    evaluate(model, (np.zeros((2, 28, 28), np.uint8), np.array([3, 5])))
    assert "pictures are prepared by" not in caplog.text
    evaluate(model, datasets.load(pictures, prepare="resize"))
    assert "pictures are prepared by 'resize', the model's were by 'digit'" in caplog.text
    train(model, datasets.load(pictures, prepare="resize"), STEP)
    assert card_for(model).preparation == "resize"


def test_what_is_trained_keeps_a_name_for_each_output_and_how_pictures_were_prepared(digits, pictures):
    for data, count, names, preparation in (
        (digits.subset((3, 5, 8)), 10, tuple("0123456789"), None),  # a subset of what the model is declared for
        (digits.train, 10, tuple("0123456789"), None),  # no names
        (datasets.load(pictures, prepare="digit"), 2, ("3", "5"), "digit"),
        (dataclasses.replace(digits, class_names=tuple("abcdefghij")), 10, tuple("abcdefghij"), None),
        ((digits.x_train[:30], np.arange(30) % 3), 3, ("0", "1", "2"), None),
    ):
        model = create_model("relu_mlp", hidden_units=4, num_classes=count, seed=0)
        train(model, data, STEP)
        assert card_for(model).class_names == class_names(model) == names
        assert card_for(model).preparation == preparation
