"""The compiled loop against the same steps done eagerly by plain TensorFlow and Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.training import compile_model
from modelzoo.training.optimizers import NAMES

OPTIMIZERS = {
    "sgd": (keras.optimizers.SGD, {}),
    "momentum": (keras.optimizers.SGD, {"momentum": 0.9}),
    "adamw": (keras.optimizers.AdamW, {"weight_decay": 0.02}),
    **{name: (getattr(keras.optimizers, NAMES[name]), {}) for name in NAMES if name not in ("sgd", "adamw")},
}
STEPS = 23


def recipe_for(case, **changes):
    cls, options = OPTIMIZERS[case]
    fields = {"steps": STEPS, "batch_size": 32, "learning_rate": 0.03, "log_every": 10, "xla": "off", **changes}
    return Recipe(optimizer=cls.__name__.lower(), optimizer_options=options, **fields)


COMMON = ("adamw", "rmsprop")  # the others are much like them


@pytest.mark.parametrize(
    "case", [case if case in COMMON else pytest.param(case, marks=pytest.mark.slow) for case in OPTIMIZERS]
)
def test_each_optimiser_and_way_of_compiling_gives_the_weights_of_an_eager_loop(
    case, points, tanh_mlp, eager, same_weights
):
    cls, options = OPTIMIZERS[case]
    oracle, recipe = tanh_mlp(), recipe_for(case)
    losses = eager(oracle, points.train, recipe, cls(recipe.learning_rate, **options).apply, seed=11)
    for xla in ("loop", "off") if case == "adamw" else ("off",):
        model = tanh_mlp()
        history = modelzoo.train(model, points.train, recipe.replace(xla=xla), seed=11).history
        same_weights(model, oracle, rtol=2e-4, atol=2e-5)
        means = [np.mean(losses[:10]), np.mean(losses[10:20]), np.mean(losses[20:])]
        np.testing.assert_allclose(history["loss"], means, rtol=1e-4)
        assert history["step"] == [10, 20, 23]


def test_a_cnn_on_digits_equals_the_eager_loop(digits, eager, same_weights):
    options = {"filters": (2, 3), "hidden_units": 8, "dropout": 0.0, "seed": 0}
    oracle, model = (modelzoo.create_model("two_conv_cnn", **options) for _ in range(2))
    recipe = Recipe(steps=6, batch_size=25, optimizer="sgd", learning_rate=0.05, log_every=4, xla="update")
    eager(oracle, digits[0], recipe, keras.optimizers.SGD(0.05).apply, seed=5)
    modelzoo.train(model, digits[0], recipe, seed=5)
    same_weights(model, oracle, rtol=1e-3, atol=1e-5)


def test_a_learning_rate_schedule_and_clipping_are_followed(points, tanh_mlp, eager, same_weights):
    decay = {"initial_learning_rate": 0.5, "decay_steps": 5, "decay_rate": 0.5}
    recipe = recipe_for("sgd", steps=12, learning_rate={"class_name": "ExponentialDecay", "config": decay})
    oracle, model = tanh_mlp(), tanh_mlp()
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(**decay), clipnorm=0.1)
    eager(oracle, points.train, recipe, optimizer.apply)
    modelzoo.train(model, points.train, recipe.replace(optimizer_options={"clipnorm": 0.1}))
    same_weights(model, oracle, rtol=2e-4, atol=2e-5)


# --- models a user wrote


def test_a_users_own_model_trains_as_in_fit_its_regularisers_and_moving_statistics_too(points, same_weights):
    (x, y), _ = points

    def build():
        keras.utils.set_random_seed(3)
        layers = [keras.Input((2,)), keras.layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.3))]
        layers += [keras.layers.BatchNormalization(momentum=0.5), keras.layers.ReLU()]
        return keras.Sequential([*layers, keras.layers.Dense(4, activation="softmax")])

    model, oracle = build(), build()
    oracle.compile(optimizer=keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    oracle.fit(x, y, batch_size=len(x), epochs=4, shuffle=False, verbose=0)
    modelzoo.train(model, (x, y), recipe_for("sgd", steps=4, batch_size=None, learning_rate=0.1))
    same_weights(model, oracle, rtol=1e-4, atol=1e-5)


def test_the_trained_model_works_with_keras_fit_and_evaluate(points, tanh_mlp):
    model = tanh_mlp()
    history = modelzoo.train(model, points, recipe_for("adam", steps=60)).history
    expected = [history["test_loss"][-1], history["test_accuracy"][-1]]
    assert model.evaluate(*points.test, verbose=0) == pytest.approx(expected, rel=1e-4)
    model.fit(*points.train, epochs=1, verbose=0)


def test_a_model_compiled_by_a_recipe_fits_as_it_trains(points, tanh_mlp, same_weights):
    fitted, trained = tanh_mlp(), tanh_mlp()
    recipe = recipe_for("momentum", steps=4, batch_size=None)
    compile_model(fitted, recipe)
    fitted.fit(*points.train, batch_size=len(points.x_train), epochs=4, shuffle=False, verbose=0)
    modelzoo.train(trained, points.train, recipe)
    same_weights(fitted, trained, rtol=1e-4, atol=1e-5)


# --- the same weights again


def test_the_length_of_a_chunk_changes_no_weight(points, tanh_mlp, same_weights):
    models = [tanh_mlp() for _ in range(2)]
    for model, log_every in zip(models, (7, 100), strict=True):
        modelzoo.train(model, points, recipe_for("adam", log_every=log_every))
        same_weights(model, models[0], rtol=1e-5, atol=1e-6)


def test_dropout_is_seeded_and_differs_from_step_to_step(digits):
    def history(seed):
        model = modelzoo.create_model("relu_mlp", hidden_units=16, dropout=0.5, seed=0)
        recipe = Recipe(steps=6, optimizer="sgd", learning_rate=1e-12, log_every=1, xla="off")
        return modelzoo.train(model, digits[0], recipe, seed=seed).history["loss"]

    first = history(1)
    assert len(set(first)) == 6, "full batch and no learning: only dropout can change the loss"
    assert history(1) == first
    assert history(2) != first


def test_bfloat16_trains_like_float32_and_leaves_the_model_as_it_was(digits):
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = modelzoo.create_model("relu_mlp", hidden_units=20, seed=0)
        policies = [layer.dtype_policy.name for layer in model.layers]
        recipe = Recipe(steps=60, batch_size=50, log_every=60, log_train="all", precision=precision, xla="off")
        losses[precision] = modelzoo.train(model, digits, recipe).history["test_loss"][-1]
        assert {w.dtype for w in model.weights} == {"float32"}
        assert [layer.dtype_policy.name for layer in model.layers] == policies
        assert model(digits[0][0][:2]).dtype == tf.float32
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bfloat16"] != losses["float32"]


def test_random_layers_do_not_share_their_masks():
    """Keras counts the second word of a seed up, so seeds that follow each other would repeat masks a step later."""
    model = modelzoo.create_model("dense_500_300", hidden_units=(9, 8), dropout=0.5, seed=0)
    recipe = Recipe(steps=1, batch_size=5, log_every=1, xla="off")
    modelzoo.train(model, datasets.load("mnist").take(per_class=2), recipe)
    first, second = (v.numpy() for v in model.non_trainable_variables if v.path.endswith("seed_generator_state"))
    assert first[0] != second[0]
