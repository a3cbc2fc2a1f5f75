"""``class_weight`` and ``sample_weight`` weigh the loss as Keras' ``fit`` does; what cannot learn is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import DataError, InputError
from modelzoo.registry import card_for

RECIPE = Recipe(steps=1, optimizer="sgd", learning_rate=0.5, log_every=1, xla="off")
rng = np.random.default_rng(0)
X = rng.normal(size=(40, 2)).astype("float32")
Y = np.repeat([0, 1, 2, 3], [22, 10, 5, 3])
NAMED = datasets.Dataset(X, Y, name="uneven", class_names=("a", "b", "c", "d"))
BY_CLASS = {0: 0.5, 2: 3.0}
BALANCED = dict(enumerate(compute_class_weight("balanced", classes=np.arange(4), y=Y)))
OF_SAMPLES = rng.uniform(0, 2, 40).astype("float32")


def batches(*arrays):
    return tf.data.Dataset.from_tensor_slices(arrays).batch(40)


def trained(data=(X, Y), recipe=RECIPE, model=None, **options):
    model = model or modelzoo.create_model("tanh_mlp", seed=0)
    history = modelzoo.train(model, data, recipe, **options)
    return model, history.history


@pytest.mark.parametrize(
    ("data", "options", "fit"),
    [
        (NAMED, {"class_weight": {"a": 0.5, "c": 3.0}}, {"class_weight": {0: 0.5, 1: 1, 2: 3.0, 3: 1}}),
        ((X, Y), {"class_weight": "balanced"}, {"class_weight": BALANCED}),
        ((X, Y), {"sample_weight": OF_SAMPLES}, {"sample_weight": OF_SAMPLES}),
        (batches(X, Y, OF_SAMPLES), {}, {"sample_weight": OF_SAMPLES}),
        (batches(X, Y, Y > 1), {}, {"sample_weight": 1.0 * (Y > 1)}),
    ],
    ids=["class names", "balanced", "samples", "tf.data", "mask"],
)
def test_a_weighted_step_is_that_of_keras_fit(data, options, fit, same_weights):
    model, history = trained(data, RECIPE.replace(xla="loop" if "sample_weight" in options else "off"), **options)
    peer = modelzoo.create_model("tanh_mlp", seed=0)
    peer.compile(keras.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
    loss = peer.fit(X, Y, batch_size=40, verbose=0, **fit).history["loss"]
    same_weights(model, peer, rtol=1e-7, atol=1e-6)
    np.testing.assert_allclose(history["loss"], loss, rtol=1e-5)


@pytest.mark.parametrize(
    "build",
    [
        lambda: modelzoo.create_model("logistic_perceptron", seed=0),
        lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]),
    ],
    ids=["one output", "logits"],
)
def test_a_weight_of_2_is_a_sample_that_comes_twice(build, same_weights):
    x, y, weights = X, (Y > 0).astype(int), 1.0 + (Y > 1)
    start = build()
    loss = "binary_crossentropy" if start.output_shape[-1] == 1 else "sparse_categorical_crossentropy"
    recipe = RECIPE.replace(loss=loss)
    results = []
    for data, factor, options in (
        ((x, y), 1, {"sample_weight": weights}),
        ((np.repeat(x, weights.astype(int), axis=0), np.repeat(y, weights.astype(int))), weights.mean(), {}),
    ):
        model = keras.models.clone_model(start)
        model.set_weights(start.get_weights())
        trained(data, recipe.replace(learning_rate=0.5 * factor), model, **options)
        results.append(model)
    same_weights(*results, rtol=1e-7, atol=1e-6)


def test_weights_follow_the_samples_through_batches_and_held_out_parts(same_weights):
    recipe = RECIPE.replace(steps=12, batch_size=8, learning_rate=0.1, validation_size=8)
    by_class, _ = trained(recipe=recipe, class_weight=BY_CLASS)
    by_sample, _ = trained(recipe=recipe, sample_weight=[BY_CLASS.get(y, 1) for y in Y])
    same_weights(by_class, by_sample, rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("labels", [Y, np.eye(4)[Y]], ids=["numbers", "one-hot"])
def test_streams_know_class_weights(labels, same_weights):
    model, _ = trained(batches(X, labels), class_weight=BY_CLASS)
    same_weights(model, trained(class_weight=BY_CLASS)[0], rtol=1e-7, atol=1e-6)


def test_the_record_says_how_samples_were_weighted():
    model, _ = trained(NAMED, class_weight={0: 0.5, "c": 3})
    assert card_for(model).training["recipe"]["class_weight"] == {"a": 0.5, "c": 3}
    model, _ = modelzoo.finetune(model, NAMED, recipe=RECIPE, class_weight="balanced")
    assert card_for(model).training["recipe"]["class_weight"] == "balanced"
    assert Recipe.from_dict(card_for(model).training["recipe"]) == RECIPE.replace(class_weight="balanced")
    model, _ = trained(sample_weight=OF_SAMPLES)
    assert len(card_for(model).training["dataset"]["sample_weight"]) == 64


def test_a_number_is_a_class_of_that_name_before_it_is_a_position():
    data = modelzoo.datasets.from_arrays(X, Y + 1)
    model, _ = trained(data, class_weight={1: 10.0})
    assert card_for(model).training["recipe"]["class_weight"] == {"1": 10.0}
    with pytest.raises(InputError, match="two weights for '1'"):
        trained(data, class_weight={0: 2, 1: 10.0})


def test_another_weighting_is_another_run(tmp_path):
    trained(checkpoint_dir=tmp_path)
    for options in ({"class_weight": BY_CLASS}, {"sample_weight": OF_SAMPLES}):
        with pytest.raises(modelzoo.errors.ArtifactError, match="another run"):
            trained(checkpoint_dir=tmp_path, resume=True, **options)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"class_weight": {"e": 2}}, "Unknown class in class_weight 'e'"),
        ({"class_weight": {4: 2}}, "Unknown class in class_weight 4"),
        ({"class_weight": {0: -1}}, r"class_weight\[0\] must be .* at least 0"),
        ({"class_weight": "balance"}, "'balanced'"),
        ({"class_weight": [1, 1, 1, 1]}, "must map classes to weights"),
        ({"class_weight": dict.fromkeys(range(4), 0)}, "above 0"),
        ({"sample_weight": np.ones(39)}, r"shape \(40,\).*got \(39,\)"),
        ({"sample_weight": np.full(40, np.nan)}, "finite"),
        ({"sample_weight": np.zeros(40)}, "above 0"),
        ({"data": batches(X, Y), "class_weight": "balanced"}, "mapping"),
        ({"data": batches(X, Y), "sample_weight": OF_SAMPLES}, r"sample_weight needs .*\(samples, labels, weights\)"),
        ({"data": batches(X, Y, -OF_SAMPLES)}, "at least 0"),
        ({"data": batches(X, Y, np.full(40, "a"))}, "one number a sample"),
        ({"data": batches(X, Y, np.ones((40, 2)))}, r"one number a sample.*\(None, 2\)"),
        ({"validation_data": batches(X, Y, OF_SAMPLES)}, r"must yield \(samples, labels\)"),
        ({"epoch": 3}, "Unknown argument of train 'epoch'. Did you mean 'epochs'"),
        ({"lr": 3}, "Did you mean 'learning_rate'"),
        ({"checkpoint_dirs": "x"}, "Did you mean 'checkpoint_dir'"),
    ],
    ids=str,
)
def test_what_is_no_weighting_or_no_argument_is_refused(options, problem):
    with pytest.raises((InputError, DataError), match=problem):
        trained(**options)


def test_what_does_not_classify_has_no_class_weights():
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(4, 3), image_shape=(4, 4), seed=0)
    with pytest.raises(InputError, match="classifiers"):
        modelzoo.train(model, np.ones((9, 4, 4)), "lesson", class_weight="balanced")


def test_fields_of_the_recipe_are_changed_in_the_call():
    model, history = trained(recipe="lesson", steps=20, log_every=10, xla="off")
    assert history["step"] == [10, 20]
    expected = modelzoo.get_spec("tanh_mlp").recipe("lesson").replace(steps=20, xla="off")
    assert card_for(model).training["recipe"] == expected.to_dict()


# --- what cannot learn


def ending(*layers, shape=(2,)):
    return keras.Sequential([keras.Input(shape), *layers])


@pytest.mark.parametrize(
    ("model", "loss", "problem"),
    [
        (ending(keras.layers.Dense(1, "softmax")), "binary_crossentropy", "softmax of one unit"),
        (ending(keras.layers.Dense(1), keras.layers.Softmax()), "mean_squared_error", "softmax of one unit"),
        (ending(keras.layers.Dense(1, "softmax"), shape=(2, 2)), "mean_squared_error", "softmax of one unit"),
        (ending(keras.layers.Dense(10, "sigmoid")), "sparse_categorical_crossentropy", "10 sigmoids"),
        (ending(keras.layers.Dense(10), keras.layers.Activation("sigmoid")), "categorical_crossentropy", "10 sigmoids"),
    ],
)
def test_outputs_that_cannot_learn_are_refused(model, loss, problem):
    with pytest.raises(InputError, match=problem):
        modelzoo.train(model, (X, Y % 2), RECIPE.replace(loss=loss))


# --- seeds


def test_keras_random_seed_counts_where_no_seed_is_given():
    def recorded(keras_seed=None, **options):
        if keras_seed is not None:
            keras.utils.set_random_seed(keras_seed)
        return card_for(trained(**options)[0]).training["seed"]

    assert (recorded(), recorded(7), recorded(7, seed=3)) == (0, 7, 3)
    keras.utils.set_random_seed(7)
    one, two = (modelzoo.create_model("tanh_mlp") for _ in range(2))
    keras.utils.set_random_seed(7)
    again, seeded = modelzoo.create_model("tanh_mlp"), modelzoo.create_model("tanh_mlp", seed=card_for(two).seed)
    digests = [modelzoo.weights_digest(model) for model in (one, again, two, seeded)]
    assert digests[0] == digests[1] != digests[2] == digests[3]
