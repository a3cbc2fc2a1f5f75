"""Fine-tuning starts from the parent's weights, and keeps what is frozen."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

import modelzoo
from modelzoo import Recipe, cli, datasets, finetune
from modelzoo.card import CARD_PATH
from modelzoo.errors import ArtifactError, DataError, InputError
from modelzoo.finetuning import finetuning_recipe, plan_finetuning
from modelzoo.registry import card_for

STILL = Recipe(steps=1, batch_size=20, optimizer="sgd", learning_rate=1e-30, log_every=1, xla="off")
MOVE = Recipe(steps=8, batch_size=20, optimizer="adam", learning_rate=0.01, log_every=8, xla="off")


def few(per_class, **options):
    """Return some MNIST digits, and 200 to test on."""
    data = datasets.load("mnist", **options).take(per_class=per_class)
    return dataclasses.replace(data, x_test=data.x_test[:200], y_test=data.y_test[:200])


@pytest.fixture(scope="module")
def digits():
    return few(10)


@pytest.fixture(scope="module")
def three_digits():
    return few(15, classes=(1, 5, 6))


@pytest.fixture(scope="module")
def parent(digits):
    model = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), seed=0)
    modelzoo.train(model, digits, MOVE)
    return model


def by_path(model):
    return {w.path: w.numpy() for w in model.weights}


def test_same_classes_start_from_the_parents_weights_which_are_not_touched(parent, digits):
    before, card = modelzoo.weights_digest(parent), card_for(parent)
    model, history = finetune(parent, digits, recipe=STILL, seed=5)
    assert modelzoo.weights_digest(model) == before
    assert history.history["step"] == [1]
    assert "rescaled" not in card_for(model).parent
    moved, _ = finetune(parent, digits, recipe=MOVE)
    assert modelzoo.weights_digest(moved) != before == modelzoo.weights_digest(parent)
    assert card_for(parent) == card


def test_other_classes_replace_the_head_by_one_from_the_seed(parent, digits, three_digits):
    renamed = dataclasses.replace(digits, class_names=tuple("abcdefghij"))
    for data, classes, names in ((three_digits, 3, ("1", "5", "6")), (renamed, 10, tuple("abcdefghij"))):
        model, _ = finetune(parent, data, recipe=STILL, rescale=False, seed=1)
        fresh = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), num_classes=classes, seed=1)
        old, new, drawn = map(by_path, (parent, model, fresh))
        for path, value in new.items():
            expected = (drawn if path.startswith("logits/") else old)[path]
            np.testing.assert_allclose(value, expected, rtol=0, atol=1e-20, err_msg=path)
        assert card_for(model).options == {"hidden_units": [9, 8]} | ({"num_classes": 3} if classes == 3 else {})
        assert card_for(model).class_names == names
        assert model.output_shape == (None, classes)


def features(weights, images):
    """Return what the hidden layers give."""
    x = images.reshape(len(images), -1) / 255
    for name in ("hidden_1", "hidden_2"):
        x = np.maximum(x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"], 0)
    return x


@pytest.mark.parametrize(
    ("freeze", "rescaled"),
    [
        (None, ["hidden_1", "hidden_2"]),
        (["hidden_1"], ["hidden_2"]),
        (["hidden_2"], []),  # its bias keeps its size, and so must what comes before
        ("backbone", []),
    ],
)
def test_a_new_head_rescales_the_kernels_before_it_and_keeps_the_features(freeze, rescaled, parent, three_digits):
    model, _ = finetune(parent, three_digits, freeze=freeze, recipe=STILL)
    old, new = by_path(parent), by_path(model)
    for name, fan_in in (("hidden_1", 784), ("hidden_2", 9)):
        if name in rescaled:
            assert new[f"{name}/kernel"].std() == pytest.approx((2 / fan_in) ** 0.5, rel=1e-5)
        else:
            np.testing.assert_array_equal(new[f"{name}/kernel"], old[f"{name}/kernel"])
    before, after = (features(weights, three_digits.x_test[:50]) for weights in (old, new))
    np.testing.assert_allclose(after, before * (after.sum() / before.sum()), rtol=1e-3, atol=1e-5)
    assert card_for(model).parent.get("rescaled", []) == rescaled


def test_a_head_is_new_for_other_classes_and_then_the_default_recipe_learns_faster(parent, digits, three_digits):
    """Arrays do not name their classes: the head stays, unless num_classes is given."""
    old, three = tuple("0123456789"), tuple("156")
    for data, options, rate, names in (
        (digits, {}, 3e-4, old),
        (three_digits, {}, 1e-3, three),
        (three_digits.train, {}, 3e-4, old),
        (three_digits.train, {"num_classes": 3}, 1e-3, tuple("012")),
    ):
        model, _ = finetune(parent, data, steps=1, xla="off", **options)
        assert card_for(model).training["recipe"]["learning_rate"]["config"] == {"initial_learning_rate": rate}
        assert (model.output_shape, card_for(model).class_names) == ((None, len(names)), names)


def test_the_start_is_compared_with_random_weights_on_held_out_samples(parent, three_digits, caplog, tmp_path):
    few = three_digits.take(per_class=10)
    model, history = finetune(parent, few, recipe=MOVE, seed=2, compare=True)
    assert card_for(model).training["recipe"]["validation_size"] == 6  # a fifth
    fresh = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), num_classes=3, seed=2)
    alone = modelzoo.train(fresh, few, MOVE, seed=2, validation_size=6)
    assert history.history["random_val_accuracy"] == alone.history["val_accuracy"][-1:]
    random, ours = history.history["random_val_accuracy"][0], history.history["val_accuracy"][-1]
    assert ("modelzoo.train" in caplog.text) == (random >= ours)
    as_lists = tuple(array.tolist() for array in few.train)
    for other in (as_lists, datasets.stream(datasets.write_tfrecord(few, tmp_path / "few"))):
        model, _ = finetune(parent, other, num_classes=3, recipe=MOVE.replace(steps=1), compare=True)
        assert card_for(model).training["recipe"]["validation_size"] == 6
    batches = tf.data.Dataset.from_tensor_slices(few.train).batch(5)
    with pytest.raises(InputError, match="compare=True needs validation data"):
        finetune(parent, batches, num_classes=3, compare=True)


@pytest.mark.parametrize(
    ("freeze", "frozen"),
    [
        (None, []),
        ("backbone", ["hidden_1", "hidden_2"]),
        ("hidden_2", ["hidden_2"]),
        (("logits", "hidden_2"), ["hidden_2", "logits"]),
        (["backbone", "hidden_1"], ["hidden_1", "hidden_2"]),
    ],
)
def test_frozen_layers_are_named_alone_or_as_the_backbone(freeze, frozen, parent):
    assert sorted(plan_finetuning(parent, freeze=freeze)[1]) == frozen


def test_frozen_layers_stay_bit_identical_and_the_others_move(parent, digits):
    frozen = {"hidden_2", "logits"}
    model, _ = finetune(parent, digits, freeze=sorted(frozen), recipe=MOVE)
    old, new = by_path(parent), by_path(model)
    for path in old:
        assert np.array_equal(new[path], old[path]) == (path.split("/")[0] in frozen), path
    assert set(card_for(model).parent["frozen"]) == frozen
    model.fit(digits.x_train, digits.y_train, epochs=1, verbose=0)  # trains every layer
    assert all(not np.array_equal(value, new[path]) for path, value in by_path(model).items())


def test_an_interrupted_run_resumes_with_the_same_parent_and_frozen_layers(parent, digits, tmp_path, interrupt):
    options = {"recipe": MOVE.replace(steps=6, log_every=2), "freeze": "backbone", "checkpoint_dir": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        finetune(parent, digits, callbacks=[interrupt(1)], **options)
    other = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), seed=77)
    for source, changed in ((parent, {"freeze": ["hidden_1"]}), (other, {})):
        with pytest.raises(ArtifactError):
            finetune(source, digits, resume=True, **{**options, **changed})
    resumed, _ = finetune(parent, digits, resume=True, **options)
    whole, _ = finetune(parent, digits, **{**options, "checkpoint_dir": None})
    assert modelzoo.weights_digest(resumed) == modelzoo.weights_digest(whole)


def test_bad_arguments(parent, digits):
    with pytest.raises(InputError, match="Did you mean 'dense_500_300'"):
        finetune("dense_500_30", digits)
    with pytest.raises(DataError):
        finetune(parent, digits, num_classes=3, recipe=STILL)
    with pytest.raises(InputError, match="num_classes"):
        finetune(modelzoo.create_model("logistic_perceptron"), datasets.load("linear"), num_classes=5)


def changes(parent, model):
    """Return how far each weight moved."""
    old, new = by_path(parent), by_path(model)
    return {path: new[path] - old[path] for path in old}


PLAIN = Recipe(steps=1, batch_size=20, optimizer="sgd", learning_rate=0.1, log_every=1, xla="off")


def test_learning_rates_scale_the_steps_of_layers(parent, digits):
    plain = changes(parent, finetune(parent, digits, recipe=PLAIN)[0])
    for options, factors in (
        (
            {"backbone_learning_rate": 0.25, "layer_learning_rates": {"hidden_2": 0.5, "logits": 3}},
            {"hidden_1": 0.25, "hidden_2": 0.5, "logits": 3},
        ),
        ({"freeze": ["hidden_1"], "backbone_learning_rate": 0.5}, {"hidden_1": 0, "hidden_2": 0.5, "logits": 1}),
    ):
        model, _ = finetune(parent, digits, recipe=PLAIN, **options)
        for path, change in changes(parent, model).items():
            expected = factors[path.split("/")[0]] * plain[path]
            np.testing.assert_allclose(change, expected, atol=2e-7, err_msg=path)
        recorded = card_for(model).training["recipe"]["layer_learning_rates"]
        assert recorded == {name: factor for name, factor in factors.items() if factor not in (0, 1)}
    assert all(np.abs(change).max() > 1e-4 for change in plain.values())


def test_a_recipe_keeps_its_own_learning_rates_where_nothing_else_is_said(parent):
    recipe = PLAIN.replace(layer_learning_rates={"hidden_1": 0.1, "hidden_2": 0.2})
    plan, frozen = plan_finetuning(parent, recipe=recipe, freeze="hidden_2", layer_learning_rates={"logits": 2})
    assert plan == recipe.replace(layer_learning_rates={"hidden_1": 0.1, "logits": 2})
    assert frozen == ["hidden_2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer_learning_rates": {"hiden_1": 0.1}}, "Did you mean 'hidden_1'"),
        ({"layer_learning_rates": ["hidden_1"]}, "must map layers' names"),
        ({"layer_learning_rates": {"hidden_1": 0}}, r"layer_learning_rates\['hidden_1'\] must be .* above 0"),
        ({"layer_learning_rates": {"hidden_1": float("nan")}}, "must be a finite number above 0"),
        ({"backbone_learning_rate": -1}, "must be a finite number above 0"),
        ({"backbone_learning_rate": 0.1, "freeze": "backbone"}, "applies to no layer"),
        ({"layer_learning_rates": {"hidden_1": 0.1}, "freeze": ["hidden_1"]}, "is frozen"),
        ({"freeze": ["logit"]}, "Did you mean 'logits'"),
        ({"freeze": ["hidden_1", "hidden_2", "logits"]}, "nothing to train"),
        ({"recipe": "lessons"}, "Did you mean 'lesson'"),
        ({"recipe": {"steps": 1}}, "recipe must be a Recipe"),
        *(({"num_classes": wrong}, "num_classes") for wrong in (0, 1, 2.5, "4", True)),
        *(({"freeze": wrong}, "freeze") for wrong in (3, True, [3])),
        ({"freez": "backbone"}, "Unknown argument of finetune 'freez'. Did you mean 'freeze'"),
        ({}, r"data must be loaded: modelzoo\.datasets\.load"),
    ],
)
def test_names_are_checked_before_the_data(options, message, parent):
    with pytest.raises(InputError, match=message):
        finetune(parent, "these data would be refused", **options)


def test_an_autoencoder_has_no_head(digits, three_digits, caplog):
    recipe = PLAIN.replace(loss="mean_squared_error", reconstruct=True)
    parent = modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0)
    for options in ({"freeze": "backbone"}, {"backbone_learning_rate": 0.1}):
        with pytest.raises(InputError, match="no head"):
            finetune(parent, digits, recipe=recipe, **options)
    modelzoo.train(parent, three_digits, recipe)
    with caplog.at_level("INFO"):
        model, _ = finetune(parent, digits, recipe=recipe, freeze=["pixels"], layer_learning_rates={"encoder_1": 1e-9})
    assert "starts anew" not in caplog.text
    assert card_for(model).class_names == ()
    moved = {path.split("/")[-2]: np.abs(change).max() for path, change in changes(parent, model).items()}
    assert moved["pixels"] == 0
    assert moved["encoder_1"] < 1e-6 < moved["encoder_2"]


@pytest.mark.parametrize("name", ["relu_mlp", "dense_500_300", "two_conv_cnn", "tanh_autoencoder"])
def test_the_default_recipe_of_an_image_model_is_adam_with_the_lessons_loss(name):
    recipe = finetuning_recipe(name)
    lesson = modelzoo.get_spec(name).recipe("lesson")
    assert (recipe.loss, recipe.reconstruct) == (lesson.loss, lesson.reconstruct)
    assert (recipe.optimizer, recipe.batch_size, recipe.epochs) == ("adam", 64, None)
    assert recipe.learning_rate == {"class_name": "CosineDecay", "config": {"initial_learning_rate": 3e-4}}
    assert finetuning_recipe(name, new_head=True).learning_rate["config"] == {"initial_learning_rate": 1e-3}
    assert not recipe.model_options
    assert not recipe.data_options
    assert recipe.augmentation is None


@pytest.mark.parametrize("name", ["xor_mlp", "sigmoid_mlp", "threshold_perceptron"])
def test_the_default_recipe_of_a_model_of_points_is_its_lessons(name):
    lesson = modelzoo.get_spec(name).recipe("lesson")
    recipe = finetuning_recipe(name)
    assert recipe == lesson.replace(model_options={}, data_options={}, source=recipe.source)
    assert lesson.source in recipe.source


@pytest.mark.parametrize("name", ["threshold_perceptron", pytest.param("tanh_autoencoder", marks=pytest.mark.slow)])
def test_the_default_recipe_trains_what_is_no_image_classifier(name):
    data = few(3) if name == "tanh_autoencoder" else datasets.load("toy_points")
    options = {"hidden_units": (9, 7)} if name == "tanh_autoencoder" else {}
    parent = modelzoo.create_model(name, seed=0, **options)
    recipe = finetuning_recipe(parent).replace(steps=2, log_every=1, target_loss=None, xla="off")
    model, history = finetune(parent, data, recipe=recipe)
    assert np.isfinite(history.history["loss"]).all()
    assert modelzoo.weights_digest(model) != modelzoo.weights_digest(parent)
    assert card_for(model).training["recipe"]["source"] == recipe.source


def test_a_declared_finetuning_recipe_comes_first(monkeypatch, parent, digits):
    from modelzoo import registry

    spec = modelzoo.get_spec("dense_500_300")
    own = dataclasses.replace(spec, recipes={**spec.recipes, "finetuning": PLAIN})
    monkeypatch.setitem(registry._REGISTRY, "dense_500_300", own)
    assert finetuning_recipe(parent) == finetuning_recipe("dense_500_300") == PLAIN
    model, _ = finetune(parent, digits)
    assert card_for(model).training["recipe_name"] == "finetuning"


def test_a_chain_of_fine_tunes_is_in_the_card(parent, three_digits, tmp_path):
    first, _ = finetune(parent, three_digits, recipe=MOVE, freeze="backbone")
    modelzoo.save(first, tmp_path / "first")
    second, history = finetune(tmp_path / "first", datasets.load("digits"), recipe=MOVE, seed=3)
    modelzoo.save(second, tmp_path / "second")
    card = json.loads((tmp_path / "second" / CARD_PATH).read_text())
    assert card["parent"]["name"] == "first"
    assert card["class_names"] == list("0123456789")
    assert card["training"]["seed"] == 3
    assert card["training"]["metrics"]["test_accuracy"] == history.history["test_accuracy"][-1]
    chain = [card["parent"], card["parent"]["parent"]]
    assert [link["weights_digest"] for link in chain] == [modelzoo.weights_digest(m) for m in (first, parent)]
    assert [link["frozen"] for link in chain] == [[], ["hidden_1", "hidden_2"]]
    assert [len(link["class_names"]) for link in chain] == [3, 10]
    assert "parent" not in chain[1]
    loaded = modelzoo.load(tmp_path / "second")
    assert card_for(loaded).parent == card["parent"]
    assert modelzoo.weights_digest(loaded) == modelzoo.weights_digest(second)


@pytest.fixture(scope="module")
def stored(three_digits, tmp_path_factory, write_images):
    """Return the same three classes as a folder of images, an npz and a csv."""
    root = tmp_path_factory.mktemp("stored")
    names = np.array(["1", "5", "6"])
    for split, (images, labels) in (("train", three_digits.train), ("test", (a[:90] for a in three_digits.test))):
        write_images(root / "images" / split, images, names[labels])
    x, y = three_digits.train
    np.savez(root / "digits.npz", x=x, y=names[y])
    rows = [",".join([names[label], *map(str, image.ravel())]) for image, label in zip(x, y, strict=True)]
    header = ",".join(["label", *(f"pixel{i}" for i in range(x[0].size))])
    (root / "digits.csv").write_text("\n".join([header, *rows]) + "\n")
    return {"folder": root / "images", "npz": root / "digits.npz", "csv": root / "digits.csv"}


@pytest.mark.parametrize("form", ["folder", *(pytest.param(form, marks=pytest.mark.slow) for form in ("npz", "csv"))])
def test_files_through_the_library_and_the_command(form, stored, parent, tmp_path, monkeypatch):
    options = {"csv": {"shape": (28, 28), "label": "label"}, "folder": {"prepare": "resize"}}.get(form, {})
    data = datasets.load(stored[form], **options)
    assert data.class_names == ("1", "5", "6")
    modelzoo.save(parent, tmp_path / "parent")
    rates = {"hidden_1": 0.1, "hidden_2": 0.5}
    schedule = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.02}}
    recipe = finetuning_recipe(parent).replace(steps=40, learning_rate=schedule, xla="off")
    model, history = finetune(tmp_path / "parent", data, recipe=recipe, layer_learning_rates=rates, seed=4)
    assert history.history["test_accuracy"][-1] > 0.6  # chance is a third

    arguments = ["finetune", "parent", "--data", stored[form], "-o", "child", "--quiet", "--seed", 4]
    arguments += [f"--data-option={key}={value}" for key, value in options.items() if key != "shape"]
    arguments += ["--steps", 40, "--learning-rate", 0.02, "--xla", "off"]
    arguments += ["--backbone-learning-rate", 0.5, "--layer-learning-rate", "hidden_1=0.1"]
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli.app, list(map(str, arguments)), catch_exceptions=False).exit_code == 0
    card = json.loads((tmp_path / "child" / CARD_PATH).read_text())
    assert card["weights_digest"] == modelzoo.weights_digest(model)
    assert card["parent"]["weights_digest"] == modelzoo.weights_digest(parent)
    assert card["class_names"] == ["1", "5", "6"]
    assert card["training"]["recipe"]["layer_learning_rates"] == rates


def test_a_tf_dataset_with_other_classes(parent, three_digits):
    x, y = three_digits.train
    stream = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1).batch(16)
    test = tf.data.Dataset.from_tensor_slices(three_digits.test).take(200).batch(100)
    schedule = {"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.02}}
    recipe = finetuning_recipe(parent).replace(steps=40, learning_rate=schedule, xla="off")
    model, history = finetune(parent, stream, num_classes=3, recipe=recipe, validation_data=test, freeze=["hidden_1"])
    assert model.output_shape == (None, 3)
    assert history.history["val_accuracy"][-1] > 0.6
    np.testing.assert_array_equal(by_path(model)["hidden_1/kernel"], by_path(parent)["hidden_1/kernel"])
    assert card_for(model).parent["weights_digest"] == modelzoo.weights_digest(parent)
