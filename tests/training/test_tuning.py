"""What tuned recipes use: averaged weights, smoothed labels, layer-wise rates, held-out samples, schedules."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import InputError
from modelzoo.registry import card_for
from modelzoo.training.objective import Objective

PLAIN = Recipe(steps=12, batch_size=20, optimizer="sgd", learning_rate=0.1, log_every=4, xla="off")
AVERAGED = {"use_ema": True, "ema_momentum": 0.8}


# --- averaged weights


@pytest.mark.parametrize("xla", ["off", pytest.param("loop", marks=pytest.mark.slow)])
def test_the_model_is_left_with_the_averaged_weights(points, tanh_mlp, eager, xla):
    oracle, model = tanh_mlp(), tanh_mlp()
    averages = []

    def apply(gradients, variables):
        for variable, gradient in zip(variables, gradients, strict=True):
            variable.assign(variable - 0.1 * gradient)
        now = oracle.get_weights()  # Keras takes the first weights as they are
        averages[:] = [0.8 * a + 0.2 * w for a, w in zip(averages, now, strict=True)] if averages else now

    eager(oracle, points.train, PLAIN, apply)
    modelzoo.train(model, points.train, PLAIN.replace(optimizer_options=AVERAGED, xla=xla))
    for found, expected, raw in zip(model.get_weights(), averages, oracle.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-5)
        assert not np.allclose(found, raw, rtol=1e-3)


@pytest.mark.slow
def test_callbacks_and_validation_see_the_averaged_weights(points, tanh_mlp):
    train, test = points
    recipe = PLAIN.replace(optimizer="adam", optimizer_options={"use_ema": True, "ema_momentum": 0.9})
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            loss = keras.losses.sparse_categorical_crossentropy(test[1], self.model(test[0], training=False))
            seen.append((logs["test_loss"], float(tf.reduce_mean(loss))))

    modelzoo.train(tanh_mlp(), (train, test), recipe, callbacks=[Watch()])
    np.testing.assert_allclose(*zip(*seen, strict=True), rtol=1e-4)


def test_keras_fit_goes_on_from_the_averaged_weights(points, tanh_mlp):
    model = tanh_mlp()
    modelzoo.train(model, points.train, PLAIN.replace(optimizer_options=AVERAGED))
    before = model.get_weights()
    model.optimizer.learning_rate = 1e-12
    model.fit(*points.train, epochs=1, verbose=0)
    for found, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


# --- smoothed labels


def test_label_smoothing_is_keras_own_in_training_and_absent_in_evaluation(points, tanh_mlp):
    (x, y), _ = points
    model = tanh_mlp()
    objective = Objective(model, PLAIN.replace(label_smoothing=0.2))
    smoothed = keras.losses.categorical_crossentropy(keras.ops.one_hot(y, 4), model(x), label_smoothing=0.2)
    plain = keras.losses.sparse_categorical_crossentropy(y, model(x))
    for training, expected in ((True, smoothed), (False, plain)):
        found = objective.forward(tf.constant(x), tf.constant(y), training=training)["loss"]
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_label_smoothing_of_logits_and_of_one_output(points):
    (x, y), _ = points
    options = {"seed": 0, "classifier_activation": None}
    logits, probabilities = modelzoo.create_model("tanh_mlp", **options), modelzoo.create_model("tanh_mlp", seed=0)
    recipe = PLAIN.replace(label_smoothing=0.1)
    found, expected = (
        Objective(m, recipe).forward(tf.constant(x), tf.constant(y), training=True)["loss"]
        for m in (logits, probabilities)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(InputError, match="label_smoothing"):
        Objective(modelzoo.create_model("logistic_perceptron"), recipe.replace(loss="binary_crossentropy"))


# --- calibration


def _test_loss(model, x, y, temperature):
    logits = np.log(model.predict(x, verbose=0)) / temperature
    return float(keras.losses.sparse_categorical_crossentropy(y, keras.ops.softmax(logits)).numpy().mean())


def test_calibration_divides_the_logits_by_the_best_temperature(points, tanh_mlp):
    (x, y), validation = points
    recipe = PLAIN.replace(label_smoothing=0.3, calibrate=True, validation_freq=1)
    plain, model = tanh_mlp(), tanh_mlp()
    modelzoo.train(plain, (x, y), recipe.replace(calibrate=False), validation_data=validation)
    history = modelzoo.train(model, (x, y), recipe, validation_data=validation).history
    training = card_for(model).training
    temperature = training["temperature"]
    *same, kernel, bias = zip(plain.get_weights(), model.get_weights(), strict=True)
    assert all(np.array_equal(*pair) for pair in same)
    for before, after in (kernel, bias):
        np.testing.assert_allclose(after, before / temperature, rtol=1e-5)
    losses = [_test_loss(plain, *validation, temperature * factor) for factor in (0.95, 1, 1.05)]
    assert losses[1] == min(losses)
    assert history["val_loss"][-1] == training["metrics"]["val_loss"] == pytest.approx(losses[1], rel=1e-4)
    assert len(history["val_loss"]) == len(history["step"])


def test_calibration_on_samples_that_are_all_right_claims_what_they_show():
    """Any smaller temperature would have a smaller cross-entropy, so that there is no best one."""
    model = modelzoo.create_model("logistic_perceptron", seed=0)
    kernel = model.get_layer("logits").kernel
    kernel.assign(30 * kernel)
    x = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    logits = x @ kernel.numpy()[:, 0]
    samples = x, (logits > 0).astype(int)
    recipe = Recipe(steps=1, learning_rate=1e-9, loss="binary_crossentropy", calibrate=True, xla="off")
    modelzoo.train(model, samples, recipe, validation_data=samples, seed=0)
    p = modelzoo.predict(model, x)[:, 0]
    assert np.where(samples[1], p, 1 - p).mean() == pytest.approx(41 / 42, abs=1e-5)
    temperature = card_for(model).training["temperature"]
    np.testing.assert_allclose(p, special.expit(logits / temperature), atol=1e-5)


def test_calibration_of_one_output_and_after_resuming(tmp_path):
    data = datasets.load("linear", n=400).hold_out(100)
    recipe = Recipe(steps=60, learning_rate=0.1, loss="binary_crossentropy", log_every=20, calibrate=True, xla="off")
    whole, parts = (modelzoo.create_model("logistic_perceptron", seed=0) for _ in range(2))
    history = modelzoo.train(whole, data, recipe).history
    for steps in (40, 60):
        modelzoo.train(parts, data, recipe, steps=steps, checkpoint_dir=tmp_path / "ck", resume=True)
    assert modelzoo.weights_digest(whole) == modelzoo.weights_digest(parts)
    assert card_for(parts).parent is None
    assert history["val_loss"][-1] == pytest.approx(modelzoo.evaluate(whole, data.validation)["loss"], rel=1e-4)


@pytest.mark.parametrize(
    ("builder", "validates", "message"),
    [("tanh_mlp", False, "validation data"), ("threshold_perceptron", True, "ends in one trainable Dense layer")],
)
def test_calibration_needs_validation_data_and_logits(builder, validates, message):
    data = datasets.load("four_class" if builder == "tanh_mlp" else "linear")
    data = data.hold_out(10) if validates else data
    model = modelzoo.create_model(builder, seed=0)
    before = modelzoo.weights_digest(model)
    with pytest.raises(InputError, match=message):
        modelzoo.train(model, data, modelzoo.get_spec(builder).recipe("lesson"), calibrate=True)
    assert modelzoo.weights_digest(model) == before


# --- layer-wise learning rates


def test_each_layer_has_its_own_learning_rate(points, tanh_mlp, eager, same_weights):
    oracle, model = tanh_mlp(), tanh_mlp()
    fast, slow = (keras.optimizers.Adam(rate) for rate in (0.1, 0.01))

    def apply(gradients, variables):
        slow.apply(gradients[:2], variables[:2])
        fast.apply(gradients[2:], variables[2:])

    eager(oracle, points.train, PLAIN, apply)
    recipe = PLAIN.replace(optimizer="adam", layer_learning_rates={"hidden": 0.1})
    modelzoo.train(model, points.train, recipe)
    same_weights(model, oracle, rtol=2e-4, atol=2e-5)


# --- held-out samples


def test_training_never_sees_the_test_data_when_samples_are_held_out(digits):
    train, test = digits
    recipe = PLAIN.replace(validation_size=40)
    noise = np.random.default_rng(0).integers(0, 255, test[0].shape).astype(np.uint8), np.roll(test[1], 1)
    models = [modelzoo.create_model("relu_mlp", seed=0) for _ in range(2)]
    histories = [modelzoo.train(m, (train, t), recipe).history for m, t in zip(models, (test, noise), strict=True)]
    assert histories[0] == histories[1]
    assert modelzoo.weights_digest(models[0]) == modelzoo.weights_digest(models[1])


def test_the_validation_results_are_those_of_the_held_out_samples(digits):
    (x, y), test = digits
    model = modelzoo.create_model("relu_mlp", seed=0)
    history = modelzoo.train(model, ((x, y), test), PLAIN.replace(validation_size=40), seed=3).history
    kept, held = datasets.stratified_split(y, 40, seed=0)
    metrics = modelzoo.evaluate(model, (x[held], y[held]))
    np.testing.assert_allclose(history["val_loss"][-1], metrics["loss"], rtol=1e-5)
    assert history["val_accuracy"][-1] == pytest.approx(metrics["accuracy"])
    same = modelzoo.create_model("relu_mlp", seed=0)
    modelzoo.train(same, (x[kept], y[kept]), PLAIN, seed=3)
    assert modelzoo.weights_digest(same) == modelzoo.weights_digest(model)
    facts = card_for(model).training["dataset"]
    assert (facts["num_train"], facts["num_validation"]) == (160, 40)
    assert "num_test" not in facts


# --- schedules


def test_a_schedule_without_decay_steps_lasts_as_long_as_the_run(points, tanh_mlp):
    (x, y), _ = points
    short, explicit = (
        PLAIN.replace(learning_rate={"class_name": "CosineDecay", "config": {"initial_learning_rate": 0.5, **config}})
        for config in ({}, {"decay_steps": 12})
    )
    models = [tanh_mlp(), tanh_mlp()]
    for model, recipe in zip(models, (short, explicit), strict=True):
        modelzoo.train(model, (x, y), recipe)
    assert modelzoo.weights_digest(models[0]) == modelzoo.weights_digest(models[1])
