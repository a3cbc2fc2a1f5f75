"""Models are found by name, and a new one enters by one decorator."""

import keras
import pytest

import modelzoo
from modelzoo import Recipe, create_model, datasets, get_spec, list_models, register_model, registry
from modelzoo.card import Card
from modelzoo.errors import InputError
from modelzoo.registry import card_for


def test_every_network_comes_pretrained():
    assert list_models() == sorted(list_models())
    assert modelzoo.list_pretrained() == {name: [1] for name in modelzoo.list_models()}


def test_filters():
    assert list_models("*_perceptron") == ["logistic_perceptron", "threshold_perceptron"]
    assert "tanh_autoencoder" in list_models(task="reconstruction")
    assert {"two_conv_cnn", "relu_mlp", "dense_500_300", "tanh_autoencoder"} <= set(list_models(dataset="mnist"))
    assert list_models(family="cnn", task="classification", dataset="mnist") == ["two_conv_cnn"]
    assert list_models("nothing*") == []
    for filters in ({"task": "clasification"}, {"dataset": "mnst"}, {"family": "cn"}):
        with pytest.raises(InputError, match="Did you mean"):
            list_models(**filters)
    with pytest.raises(InputError, match="pattern must be a text"):
        list_models(3)


def test_unknown_models_are_answered_with_the_closest():
    for function in (get_spec, create_model):
        with pytest.raises(
            InputError, match=r"Did you mean 'relu_mlp'.*--import MODULE.*entry point .*modelzoo\.models"
        ):
            function("relu_mpl")
    with pytest.raises(InputError, match="Unknown recipe of relu_mlp 'tunned'"):
        create_model("relu_mlp", recipe="tunned")


def test_create_model_with_a_recipe_and_options():
    absorbed = create_model("logistic_perceptron", recipe="lesson_absorbed_bias", seed=0)
    assert [tuple(w.shape) for w in absorbed.weights] == [(3, 1)]
    own = create_model("logistic_perceptron", recipe="lesson_absorbed_bias", use_bias=True)
    assert len(own.weights) == 2
    assert create_model("relu_mlp", num_classes=3, hidden_units=5).output_shape == (None, 3)


def test_positional_arguments_are_options_too():
    model = get_spec("relu_mlp").builder(7)
    assert card_for(model).options == {"num_classes": 7}


def test_origin_holds_what_differs_from_the_defaults():
    model = create_model("two_conv_cnn", filters=(2, 3), dropout=0.5, seed=3)
    origin = card_for(model)
    digest = modelzoo.weights_digest(model)
    assert origin == Card("two_conv_cnn", "two_conv_cnn", {"filters": [2, 3]}, seed=3, weights_digest=digest)


def test_a_model_without_a_card_gets_one_that_says_what_is_known():
    model = create_model("relu_mlp", num_classes=3, seed=0)
    assert card_for(keras.models.clone_model(model)) == Card("relu_mlp", "relu_mlp", {"num_classes": 3})
    foreign = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(3)], name="relu_mlp")
    assert card_for(foreign) == Card("relu_mlp")
    assert card_for(foreign) is card_for(foreign)
    with pytest.raises(InputError, match="functional or Sequential"):
        card_for(keras.Sequential([keras.layers.Dense(1)]))


def facts(**changes):
    recipe = Recipe(steps=20, optimizer="sgd", learning_rate=0.1, log_every=20, xla="off")
    return {"task": "classification", "dataset": "linear", "num_params": 6, "network": "2 → 2", "source": "here",
            "recipes": {"lesson": recipe}, **changes}  # fmt: skip


def test_a_users_own_builder_gets_everything_by_one_decorator(scratch_registry, tmp_path):
    @register_model(**facts())
    def my_net(num_classes=2, *, seed=None, name="my_net"):
        """One layer."""
        x = keras.Input((2,), name="points")
        logits = keras.layers.Dense(num_classes, name="logits", kernel_initializer=keras.initializers.Zeros())(x)
        return keras.Model(x, keras.layers.Softmax(name="probabilities")(logits), name=name)

    assert "my_net" in list_models()
    assert get_spec("my_net").summary == "One layer."
    model = create_model("my_net")
    modelzoo.train(model, modelzoo.datasets.load("linear"))
    modelzoo.save(model, tmp_path / "1")
    assert modelzoo.weights_digest(modelzoo.load(tmp_path / "1")) == modelzoo.weights_digest(model)
    tuned, _ = modelzoo.finetune(tmp_path / "1", modelzoo.datasets.load("four_class"), seed=1)
    assert tuned.output_shape == (None, 4)


def test_a_builder_of_colour_images_is_known_by_its_network(scratch_registry, tmp_path):
    @register_model(**facts(num_params=386))
    def colour_net(num_classes=2, *, image_shape=(8, 8, 3), seed=None, name="colour_net"):
        x = keras.Input(image_shape, name="images")
        logits = keras.layers.Dense(num_classes, name="logits")(keras.layers.Flatten(name="flatten")(x))
        return keras.Model(x, logits, name=name)

    create_model("colour_net", image_shape=(10, 10, 3)).save(tmp_path / "colour.keras")
    card = card_for(keras.models.load_model(tmp_path / "colour.keras"))
    assert (card.builder, card.options) == ("colour_net", {"image_shape": [10, 10, 3]})


def test_a_recipe_may_want_sequences_which_a_card_holds_as_lists(scratch_registry):
    recipes = {"lesson": Recipe(steps=1), "wide": Recipe(steps=1, model_options={"widths": (3, 4)})}

    @register_model(**facts(recipes=recipes, num_params=13))
    def wide_net(widths=(2, 1), *, seed=None, name="wide_net"):
        layers = [keras.layers.Dense(units, name=f"dense_{n}") for n, units in enumerate((*widths, 2))]
        return keras.Sequential([keras.Input((2,)), *layers], name=name)

    modelzoo.train(create_model("wide_net", recipe="wide", seed=0), datasets.load("linear"), "wide")
    with pytest.raises(InputError, match=r"is for a model built with widths=\(3, 4\)"):
        modelzoo.train(create_model("wide_net", seed=0), datasets.load("linear"), "wide")


def test_a_builder_that_leaves_names_to_keras_is_built_from_its_configuration(scratch_registry, tmp_path):
    @register_model(**facts())
    def unnamed_net(*, seed=None, name="unnamed_net"):
        """One layer."""
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)], name=name)

    card = modelzoo.save(create_model("unnamed_net", seed=0), tmp_path / "1")
    assert modelzoo.weights_digest(modelzoo.load(tmp_path / "1")) == card["weights_digest"]


def test_a_name_that_tensorflow_refuses_is_told_before_it_harms(scratch_registry):
    @register_model(**facts())
    def named_net(*, seed=None):
        """Give itself a name that TensorFlow takes for no scope."""
        x = keras.Input((2,), name="points")
        return keras.Model(x, keras.layers.Dense(2, name="logits")(x), name="naïve net")

    with pytest.raises(InputError, match=r"name must be ASCII.*'naïve net'"):
        create_model("named_net")
    assert [weight.path for weight in create_model("onehot_softmax").weights] == ["logits/kernel", "logits/bias"]


PLUG_IN = """
import modelzoo

modelzoo.list_models()  # as a plug-in that takes a recipe of the zoo

@modelzoo.datasets.register_dataset
def plug_in_points():
    ...

@modelzoo.register_model(task="classification", dataset="plug_in_points", num_params=3, source="here",
                         recipes={"lesson": modelzoo.Recipe(steps=1)})
def plug_in_net(units=1, *, seed=None, name="plug_in_net"):
    from keras import Input, Sequential, layers

    return Sequential([Input((2,)), layers.Dense(units)], name=name)
"""


def test_installed_packages_are_known_by_entry_points_and_a_broken_one_is_named(
    scratch_registry, tmp_path, monkeypatch, caplog
):
    facts = tmp_path / "my_nets-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: my-nets\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[modelzoo.models]\ngood = plug_in_good\nbad = plug_in_bad\n")
    (tmp_path / "plug_in_good.py").write_text(PLUG_IN)
    (tmp_path / "plug_in_bad.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    registry._plug_ins.cache_clear()
    assert "plug_in_points" in datasets.list_datasets()
    assert {"plug_in_net", "relu_mlp"} <= set(list_models())
    assert create_model("plug_in_net", units=2).output_shape == (None, 2)
    with pytest.raises(InputError, match="plug_in_net cannot be built with units='two': "):
        create_model("plug_in_net", units="two")
    (record,) = caplog.records
    assert "bad = plug_in_bad of my-nets was left out: ZeroDivisionError" in record.getMessage()


def test_the_zoos_names_are_taken_before_they_were_listed(python):
    program = """
from modelzoo import Recipe
from modelzoo.registry import register_model

@register_model(task="classification", dataset="linear", num_params=6, source="", recipes={"lesson": Recipe(steps=1)})
def relu_mlp(*, seed=None, name="relu_mlp"):
    pass
"""
    assert "InputError: A model named 'relu_mlp' is registered already" in python("-c", program, status=1).stderr


def test_the_declared_number_of_parameters_is_verified(scratch_registry):
    @register_model(**facts(num_params=7))
    def counted_net(units=2, *, seed=None, name="counted_net"):
        """One layer."""
        return keras.Sequential([keras.Input((2,)), keras.layers.Dense(units)], name=name)

    with pytest.raises(InputError, match=r"counted_net declares num_params=7, and its builder makes .* 6 parameters"):
        create_model("counted_net")
    assert create_model("counted_net", units=3).count_params() == 9


def test_names_are_taken_once_and_lessons_are_needed(scratch_registry):
    def relu_mlp(seed=None, name=""):
        """Take a name that exists."""

    with pytest.raises(InputError, match="registered already"):
        register_model(**facts())(relu_mlp)

    def lonely(seed=None, name=""):
        """Have no lesson."""

    with pytest.raises(InputError, match="'lesson'"):
        register_model(**facts(recipes={"tuned": Recipe(steps=1)}))(lonely)
    assert "lonely" not in list_models()
