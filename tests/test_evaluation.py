"""``evaluate`` against scikit-learn on the predictions, and ``predict`` against the model itself."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss, mean_squared_error

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import own_data


@pytest.fixture(scope="module")
def digits():
    """1037 test digits, a number that neither 500 nor any batch divides."""
    data = datasets.load("mnist")
    return (data.x_train[:501], data.y_train[:501]), (data.x_test[:1037], data.y_test[:1037])


@pytest.fixture(scope="module")
def net():
    return modelzoo.create_model("relu_mlp", hidden_units=12, seed=0)


@pytest.mark.parametrize("split", ["test", "train"])
def test_classifier_metrics_are_scikit_learns(split, net, digits):
    x, y = digits[split == "test"]
    probabilities = net(x).numpy().astype(float)
    found = modelzoo.evaluate(net, digits, split=split)
    assert set(found) == {"loss", "accuracy"}
    assert found["accuracy"] == pytest.approx(accuracy_score(y, probabilities.argmax(axis=1)), abs=1e-6)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    assert found["loss"] == pytest.approx(log_loss(y, probabilities, labels=range(10)), rel=1e-4)


@pytest.mark.parametrize("n", [1, 499, 500, 501, 999, 1000, 1001])
def test_every_sample_counts_once(n, net, digits):
    x, y = digits[1][0][:n], digits[1][1][:n]
    expected = (net(x).numpy().argmax(axis=1) == y).mean()
    assert modelzoo.evaluate(net, (digits[0], (x, y)))["accuracy"] == pytest.approx(expected, abs=1e-6)


def test_the_last_sample_alone_can_change_the_result(net, digits):
    (x, y) = digits[1][0][:501], digits[1][1][:501].copy()
    before = modelzoo.evaluate(net, (digits[0], (x, y)))["accuracy"]
    right = int(net(x[-1:]).numpy().argmax())
    y[-1] = right if y[-1] != right else (right + 1) % 10
    assert abs(modelzoo.evaluate(net, (digits[0], (x, y)))["accuracy"] - before) == pytest.approx(1 / 501, abs=1e-6)


def test_one_output_is_a_binary_classifier():
    data = datasets.load("linear")
    model = modelzoo.create_model("logistic_perceptron", seed=0)
    p = model(data.x_test).numpy()[:, 0].astype(float)
    found = modelzoo.evaluate(model)
    assert found["accuracy"] == pytest.approx(accuracy_score(data.y_test, p > 0.5))
    assert found["loss"] == pytest.approx(log_loss(data.y_test, p), rel=1e-5)


def test_reconstruction_error_is_on_the_scale_of_0_to_1(digits):
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0)
    x, _ = digits[1]
    expected = mean_squared_error(x.reshape(len(x), -1) / 255, model(x).numpy().reshape(len(x), -1))
    assert modelzoo.evaluate(model, digits) == {"loss": pytest.approx(expected, rel=1e-5)}


def test_logits_and_probabilities_score_alike(digits):
    kwargs = {"hidden_units": 12, "seed": 0}
    probabilities = modelzoo.create_model("relu_mlp", **kwargs)
    logits = modelzoo.create_model("relu_mlp", classifier_activation=None, **kwargs)
    assert modelzoo.evaluate(logits, digits) == pytest.approx(modelzoo.evaluate(probabilities, digits), rel=1e-6)


def test_loss_stays_finite_where_probabilities_underflow(digits):
    model = modelzoo.create_model("relu_mlp", hidden_units=12, seed=0)
    model.set_weights([w * 300 for w in model.get_weights()])
    loss = modelzoo.evaluate(model, digits)["loss"]
    assert np.isfinite(loss)
    assert loss > 100


def test_a_saved_artifact_is_evaluated_by_its_path(net, digits, tmp_path):
    modelzoo.save(net, tmp_path / "1")
    assert modelzoo.evaluate(tmp_path / "1", digits) == modelzoo.evaluate(net, digits)
    assert modelzoo.evaluate(str(tmp_path / "1"), digits) == modelzoo.evaluate(net, digits)


def test_own_data_and_recipe_are_the_default():
    model = modelzoo.create_model("tanh_mlp", seed=0)
    assert modelzoo.evaluate(model) == modelzoo.evaluate(model, datasets.load("four_class"))
    recipe = Recipe(steps=1, loss="categorical_crossentropy")
    assert modelzoo.evaluate(model, recipe=recipe) == pytest.approx(modelzoo.evaluate(model), rel=1e-5)


def test_bad_arguments(net, digits):
    with pytest.raises(InputError, match="split"):
        modelzoo.evaluate(net, digits, split="validation")
    with pytest.raises(DataError, match="shape"):
        modelzoo.evaluate(net, (np.zeros((4, 28, 29)), np.arange(4)), split="train")


def test_a_single_pair_is_evaluated_as_it_is(net, digits):
    train, test = digits
    assert modelzoo.evaluate(net, test) == modelzoo.evaluate(net, (train, test))
    assert modelzoo.evaluate(net, train) == modelzoo.evaluate(net, (train, test), split="train")


def test_data_it_was_not_trained_on_are_not_taken_silently(digits):
    model = modelzoo.create_model("relu_mlp", seed=0)
    modelzoo.train(model, digits, modelzoo.Recipe(steps=2, batch_size=10, log_every=2))
    with pytest.raises(InputError, match="was trained on 'arrays', which is not 'mnist'"):
        modelzoo.evaluate(model)


# --- predict


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64"])
def test_predict_is_the_model(dtype, net, digits):
    x = digits[1][0][:33].astype(dtype)
    np.testing.assert_allclose(modelzoo.predict(net, x), net(x.astype("float32")).numpy(), atol=1e-6)


def test_predict_takes_any_number_of_samples_and_follows_the_weights(digits):
    model = modelzoo.create_model("relu_mlp", hidden_units=3, seed=0)
    x = digits[1][0]
    for n in (1, 2, 501):
        np.testing.assert_allclose(modelzoo.predict(model, x[:n]), model(x[:n]).numpy(), atol=1e-6)
    before = modelzoo.predict(model, x[:2])
    model.set_weights([w + 0.5 for w in model.get_weights()])
    after = modelzoo.predict(model, x[:2])
    assert not np.array_equal(before, after)
    np.testing.assert_allclose(after, model(x[:2]).numpy(), atol=1e-6)


def test_predict_takes_lists_and_has_no_dropout(digits):
    model = modelzoo.create_model("relu_mlp", hidden_units=30, dropout=0.9, seed=0)
    x = digits[1][0][:3]
    np.testing.assert_array_equal(modelzoo.predict(model, x.tolist()), modelzoo.predict(model, x))


@pytest.mark.parametrize("bad", [np.zeros((28, 28)), np.zeros((2, 27, 28)), np.full((1, 28, 28), np.nan), np.zeros(0)])
def test_predict_refuses_what_does_not_fit(bad, net):
    with pytest.raises(DataError, match="samples"):
        modelzoo.predict(net, bad)


def test_a_model_that_predicted_can_be_saved_and_trained(digits, tmp_path):
    model = modelzoo.create_model("relu_mlp", hidden_units=3, seed=0)
    modelzoo.predict(model, digits[1][0][:2])
    modelzoo.save(model, tmp_path / "1")
    modelzoo.train(model, digits, Recipe(steps=2, batch_size=20, log_every=2))
    np.testing.assert_allclose(modelzoo.predict(model, digits[1][0][:2]), model(digits[1][0][:2]).numpy(), atol=1e-6)


# --- the data set of a model


def test_own_data_are_those_of_the_card(tmp_path):
    """Points drawn with a seed of their own, and a data set the builder does not declare, are loaded again."""
    points = datasets.load("linear", n=80, n_test=90, seed=7)
    model = modelzoo.create_model("logistic_perceptron", seed=0)
    modelzoo.train(model, points, Recipe(steps=2, loss="binary_crossentropy", log_every=2, xla="off"))
    modelzoo.save(model, tmp_path / "1")
    assert own_data(modelzoo.load(tmp_path / "1")).checksum == points.checksum
    assert modelzoo.evaluate(tmp_path / "1") == modelzoo.evaluate(model, points)

    model = modelzoo.create_model("tanh_mlp", num_classes=2, seed=0)
    curve = datasets.load("quadratic", n=70)
    modelzoo.train(model, curve, Recipe(steps=2, log_every=2, xla="off"))
    assert own_data(model).checksum == curve.checksum
    modelzoo.train(model, curve.take(per_class=5), Recipe(steps=2, log_every=2, xla="off"))
    with pytest.raises(InputError, match="was trained on 'quadratic', which is not"):
        own_data(model)
