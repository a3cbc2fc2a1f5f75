"""Recipes and specs: plain, frozen facts."""

import copy
import dataclasses
import json
import pickle

import keras
import numpy as np
import pytest

import modelzoo
from modelzoo import Augmentation, Recipe, get_spec
from modelzoo.errors import InputError


def test_steps_or_epochs_and_not_both():
    for fields in ({}, {"steps": 1, "epochs": 1}):
        with pytest.raises(InputError, match="either steps or epochs"):
            Recipe(**fields)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("steps", (0, -1, 1.5, "a", True)),
        ("epochs", (0, -1, float("nan"), float("inf"), "many")),
        ("batch_size", (0, -1, 1.5, True)),
        ("log_every", (0, -5, 2.5, None)),
        ("validation_freq", (0, -5, 2.5, None)),
        ("learning_rate", (0, -1, float("nan"), float("inf"), "fast", None, True)),
        ("precision", ("float16", "", None)),
        ("xla", ("on", True, None)),
        ("log_train", ("every", None, ["all"])),
        ("target_loss", ("3", [], float("nan"), float("inf"), True)),
        ("label_smoothing", (-0.1, 1, "0.1", None, float("nan"))),
        ("optimizer", (None, 3, [], {}, b"adam")),
        ("loss", (None, 3, [], {}, b"hinge")),
        ("reconstruct", (None, 1, "yes", [])),
        ("optimizer_options", (None, 3, "a", [1])),
        ("layer_learning_rates", (None, 3, "a", [1])),
        ("model_options", (None, 3, "a", [1])),
        ("data_options", (None, 3, "a", [1])),
        ("source", (None, 3, ["book"])),
    ],
)
def test_bad_values_are_refused_and_named(field, values):
    for value in values:
        with pytest.raises(InputError, match=field):
            Recipe(**{"steps": None if field == "epochs" else 10, field: value})


def test_numbers_of_numpy_become_pythons():
    recipe = Recipe(
        steps=np.int64(5), batch_size=np.array(3), learning_rate=np.float32(0.5), target_loss=np.float64(0.1)
    )
    assert recipe == Recipe(steps=5, batch_size=3, learning_rate=0.5, target_loss=0.1)
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe


def test_replace_keeps_the_rest_and_steps_drop_epochs():
    recipe = Recipe(epochs=10, batch_size=100, optimizer="rmsprop")
    assert recipe.replace(steps=5) == Recipe(steps=5, batch_size=100, optimizer="rmsprop")
    assert Recipe(steps=5).replace(epochs=2.0) == Recipe(epochs=2.0)
    assert recipe.replace(batch_size=7).epochs == 10
    assert recipe.epochs == 10
    with pytest.raises(InputError, match="Did you mean 'batch_size'"):
        recipe.replace(batchsize=3)
    with pytest.raises(InputError):
        recipe.replace(log_every=0)


@pytest.mark.parametrize(
    ("recipe", "samples", "steps"),
    [
        (Recipe(steps=7), 1000, 7),
        (Recipe(epochs=10, batch_size=100), 60_000, 6000),
        (Recipe(epochs=1, batch_size=100), 250, 2),
        (Recipe(epochs=3), 20, 3),
        (Recipe(epochs=2, batch_size=64), 10, 2),
        (Recipe(epochs=0.001, batch_size=10), 100, 1),
        (Recipe(epochs=2.5, batch_size=16), 203, 32),
    ],
)
def test_total_steps(recipe, samples, steps):
    assert recipe.total_steps(samples) == steps


def test_to_dict_holds_what_differs_and_survives_json():
    recipe = Recipe(
        steps=9,
        optimizer="sgd",
        learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.1, "decay_steps": 5}},
        optimizer_options={"momentum": 0.9},
        data_options={"classes": (1, 5, 6)},
    )
    fields = recipe.to_dict()
    assert set(fields) == {"steps", "optimizer", "learning_rate", "optimizer_options", "data_options"}
    assert fields["data_options"] == {"classes": [1, 5, 6]}
    back = Recipe.from_dict(json.loads(json.dumps(fields)))
    assert back == recipe
    assert back.to_dict() == fields
    assert Recipe(steps=9).to_dict() == {"steps": 9}
    with pytest.raises(InputError, match="recipe field"):
        Recipe.from_dict({"stps": 3})


def test_recipes_and_specs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe(steps=1).steps = 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        get_spec("xor_mlp").num_params = 2


LESSONS = {
    "threshold_perceptron": {"batch_size": 1, "target_loss": 0.0},
    "logistic_perceptron": {"optimizer": "sgd", "learning_rate": 0.05, "steps": 15_000, "log_every": 250},
    "onehot_softmax": {"optimizer": "sgd", "learning_rate": 0.05, "steps": 10_000, "batch_size": None},
    "sigmoid_mlp": {"optimizer": "sgd", "learning_rate": 0.01, "steps": 40_000, "log_every": 250, "batch_size": None},
    "tanh_mlp": {"learning_rate": 0.1, "optimizer_options": {"momentum": 0.9}, "steps": 100, "batch_size": None},
    "relu_mlp": {"optimizer": "adam", "learning_rate": 1e-4, "batch_size": 50, "steps": 3000, "log_every": 250},
    "dense_500_300": {"optimizer": "rmsprop", "learning_rate": 1e-3, "batch_size": 100, "epochs": 10},
    "two_conv_cnn": {"optimizer": "adam", "learning_rate": 1e-4, "batch_size": 50, "steps": 1000, "log_every": 100},
    "tanh_autoencoder": {
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "batch_size": 50,
        "steps": 2500,
        "log_every": 250,
        "loss": "mean_squared_error",
        "data_options": {"classes": (1, 5, 6)},
    },
}


@pytest.mark.parametrize("name", LESSONS)
def test_lesson_hyper_parameters_are_kept_to_the_letter(name):
    recipe = get_spec(name).recipe("lesson")
    assert {field: getattr(recipe, field) for field in LESSONS[name]} == LESSONS[name]


def test_absorbed_bias_lesson():
    recipe = get_spec("logistic_perceptron").recipe("lesson_absorbed_bias")
    assert (recipe.steps, recipe.learning_rate, recipe.model_options) == (10_000, 0.05, {"use_bias": False})


def test_keras_objects_are_read_or_answered_with_the_name():
    rate = keras.optimizers.schedules.CosineDecay(0.01, 50)
    recipe = Recipe(steps=10, learning_rate=rate, xla="off")
    assert recipe.learning_rate["class_name"] == "CosineDecay"
    assert Recipe.from_dict(json.loads(json.dumps(recipe.to_dict()))) == recipe
    history = modelzoo.train(modelzoo.create_model("tanh_mlp"), modelzoo.datasets.load("four_class", n=40), recipe)
    assert history.history["step"] == [10]
    for field, value, name in (
        ("optimizer", keras.optimizers.RMSprop(), "'rmsprop', with learning_rate"),
        ("optimizer", keras.optimizers.AdamW(), "'adamw'"),
        ("loss", keras.losses.SparseCategoricalCrossentropy(), "'sparse_categorical_crossentropy'"),
    ):
        with pytest.raises(InputError, match=f"Write {field}={name}"):
            Recipe(**{"steps": 1, field: value})


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (lambda: Recipe(steps=1, lr=0.1), "learning_rate"),
        (lambda: Recipe(steps=1).replace(lr=0.1), "learning_rate"),
        (lambda: Recipe(steps=1, batchsize=3), "batch_size"),
        (lambda: Augmentation(rotate=3), "rotation"),
    ],
)
def test_unknown_fields_are_answered_with_the_closest(build, name):
    with pytest.raises(InputError, match=f"Did you mean '{name}'"):
        build()


def test_recipes_are_copied_and_pickled():
    recipe = Recipe(steps=1, class_weight={"a": 2}, augmentation=Augmentation(shift=1))
    assert pickle.loads(pickle.dumps(recipe)) == copy.deepcopy(recipe) == recipe


def test_recipes_and_specs_show_what_differs_from_the_defaults():
    recipe = Recipe(steps=3, optimizer="sgd", optimizer_options={"momentum": 0.9})
    assert repr(recipe) == "Recipe(steps=3, optimizer='sgd', optimizer_options={'momentum': 0.9})"
    assert "<th>optimizer</th><td>sgd</td>" in recipe._repr_html_()
    spec = get_spec("tanh_mlp")
    assert repr(spec).startswith(
        "ModelSpec(name='tanh_mlp', task='classification', dataset='four_class', num_params=74"
    )
    assert "<th>recipes</th><td>fast, lesson, tuned</td>" in spec._repr_html_()
