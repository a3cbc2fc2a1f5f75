"""``create_model``: the pretrained artifacts of this checkout, and what any builder makes of any arguments."""

import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

import modelzoo
from modelzoo import create_model, datasets, registry
from modelzoo._checks import MAX_SEED
from modelzoo.card import read_card
from modelzoo.errors import InputError
from modelzoo.registry import card_for


@pytest.fixture(scope="module")
def parent():
    return modelzoo.load("relu_mlp")


@pytest.mark.parametrize("name", ["xor_mlp", "tanh_mlp", "relu_mlp"])
def test_pretrained_alone_is_load(name):
    model, loaded = create_model(name, pretrained=True), modelzoo.load(name)
    assert modelzoo.weights_digest(model) == modelzoo.weights_digest(loaded)
    assert card_for(model) == card_for(loaded)
    assert card_for(model).parent is None


def test_options_as_they_are_change_nothing(parent):
    classes = parent.output_shape[-1]
    model = create_model("relu_mlp", pretrained=True, num_classes=classes, image_shape=(28, 28), seed=5)
    assert modelzoo.weights_digest(model) == modelzoo.weights_digest(parent)
    assert card_for(model).training is not None


def test_other_classes_replace_the_head_and_keep_the_rest(parent, tmp_path):
    model = create_model("relu_mlp", pretrained=True, num_classes=3, seed=0)
    assert model.output_shape == (None, 3)
    options = {**card_for(parent).options, "num_classes": 3}
    fresh = create_model("relu_mlp", seed=0, **options)
    for weight, old, new in zip(model.weights, parent.weights, fresh.weights, strict=True):
        kept = new if weight.path.startswith("logits/") else old
        np.testing.assert_array_equal(weight.numpy(), kept.numpy(), err_msg=weight.path)
    origin = card_for(model)
    assert origin.training is None
    assert origin.class_names == ()
    modelzoo.train(
        model, datasets.load("mnist", classes=(1, 5, 6)).take(per_class=5), modelzoo.Recipe(steps=1, xla="off")
    )
    parent_facts = modelzoo.save(model, tmp_path / "1")["parent"]
    assert parent_facts["name"] == "relu_mlp"
    assert parent_facts["weights_digest"] == modelzoo.weights_digest(parent)
    assert read_card(tmp_path / "1")["builder"] == {"name": "relu_mlp", "options": options, "seed": 0}


def test_options_without_weights_may_change(parent):
    digits = datasets.load("mnist").x_test[:50]
    logits = create_model("relu_mlp", pretrained=True, classifier_activation=None, dropout=0.5, name="mine")
    assert logits.name == "mine"
    np.testing.assert_allclose(softmax(logits(digits).numpy(), axis=1), parent(digits).numpy(), atol=1e-5)
    assert card_for(logits).class_names == card_for(parent).class_names
    assert card_for(logits).parent["weights_digest"] == modelzoo.weights_digest(parent)
    assert card_for(logits).training is None, "the card must not claim a training with these options"


def test_a_recipes_options_are_the_artifacts():
    model = create_model("xor_mlp", pretrained=True, recipe="lesson")
    assert modelzoo.weights_digest(model) == modelzoo.weights_digest(modelzoo.load("xor_mlp"))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("relu_mlp", {"image_shape": (14, 14)}, ["image_shape=(14, 14)", "Leave these options out"]),
        ("relu_mlp", {"hidden_units": 7}, ["hidden_units=7", "Leave these options out"]),
        ("relu_mlp", {"hidden_units": 7, "num_classes": 3}, ["hidden_units=7"]),
        ("two_conv_cnn", {"filters": (2, 3)}, ["filters=(2, 3)"]),
        ("tanh_mlp", {"input_dim": 3}, ["input_dim=3"]),
        ("onehot_softmax", {"input_dim": 3}, ["input_dim=3"]),
        ("tanh_autoencoder", {"latent_dim": 5}, ["latent_dim=5"]),
        ("logistic_perceptron", {"use_bias": False}, ["use_bias=False"]),
        ("logistic_perceptron", {"num_classes": 3}, ["num_classes"]),
        ("relu_mlp", {"hiden_units": 3}, ["Did you mean 'hidden_units'"]),
        ("relu_mlp", {"num_classes": 1}, ["num_classes"]),
        ("relu_mlp", {"pretrained": "yes"}, ["pretrained", "'yes'"]),
        ("relu_mpl", {}, ["Did you mean 'relu_mlp'"]),
        *(
            (name, {"pretrained": False, "image_shape": (32, 32, 3)}, ["Give (32, 32)", "x.mean(axis=-1)"])
            for name in ("two_conv_cnn", "relu_mlp")
        ),
        ("relu_mlp", {"recipe": "leson"}, ["Did you mean 'lesson'"]),
    ],
    ids=str,
)
def test_what_does_not_fit_is_one_clear_error(name, options, words):
    with pytest.raises(InputError) as caught:
        create_model(name, **{"pretrained": True, **options})
    for word in words:
        assert word in str(caught.value)


def test_a_model_without_pretrained_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(registry._REGISTRY, "newcomer", modelzoo.get_spec("relu_mlp"))
    (tmp_path / "newcomer").mkdir()
    monkeypatch.chdir(tmp_path)  # a folder of that name is no pretrained model
    with pytest.raises(InputError, match=r"no pretrained newcomer.*relu_mlp"):
        create_model("newcomer", pretrained=True)


#: A builder's arguments, drawn by their names; more examples with MODELZOO_EXAMPLES=200.
WIDTHS = st.integers(1, 6)
VALUES = {
    "num_classes": st.integers(2, 6),
    "input_dim": WIDTHS,
    "hidden_units": WIDTHS,
    "latent_dim": WIDTHS,
    "kernel_size": st.integers(1, 4),
    "filters": st.tuples(WIDTHS, WIDTHS),
    "dropout": st.floats(0, 0.9),
    "image_shape": st.tuples(st.integers(4, 9), st.integers(4, 9)),
    "seed": st.integers(0, MAX_SEED),
    "name": st.sampled_from(["a", "another_name", "x-1", "1.b"]),
    "use_bias": st.booleans(),
    "kernel_initializer": st.sampled_from(["he_normal", {"class_name": "Constant", "config": {"value": 0.3}}]),
    "bias_initializer": st.sampled_from(["zeros", "ones", {"class_name": "RandomNormal", "config": {"stddev": 0.2}}]),
}  # fmt: skip


@st.composite
def built(draw):
    name = draw(st.sampled_from(modelzoo.list_models()))
    options = {}
    for option, default in modelzoo.get_spec(name).options.items():
        if option in VALUES and draw(st.booleans()):
            value = VALUES[option]
            if option == "hidden_units" and isinstance(default, tuple):
                value = st.tuples(*[WIDTHS] * len(default))
            options[option] = draw(value)
    return name, options


@pytest.mark.slow
@given(built())
@settings(max_examples=int(os.environ.get("MODELZOO_EXAMPLES", "20")), deadline=None)
def test_what_any_builder_makes_of_any_arguments_is_loaded_as_it_was_saved(drawn):
    name, options = drawn
    model = modelzoo.create_model(name, **options)
    with tempfile.TemporaryDirectory() as directory:
        modelzoo.save(model, Path(directory, "saved"))
        loaded = modelzoo.load(Path(directory, "saved"))
    assert modelzoo.weights_digest(loaded) == modelzoo.weights_digest(model)
    assert loaded.name == model.name
    assert card_for(loaded).options == card_for(model).options
    x = np.linspace(0, 255, 3 * int(np.prod(model.input_shape[1:])), dtype="f4").reshape(3, *model.input_shape[1:])
    np.testing.assert_array_equal(modelzoo.predict(loaded, x), modelzoo.predict(model, x))
