"""Calibration against a slow loop and scikit-learn, costs against sums by hand and the ops of the TensorFlow graph."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.calibration import calibration_curve
from sklearn.metrics import mean_squared_error

import modelzoo
from modelzoo import Recipe, datasets
from modelzoo.errors import DataError, InputError
from modelzoo.evaluation import expected_calibration_error, measure, multiply_adds, reliability_curve
from modelzoo.registry import origin_of


@pytest.fixture(scope="module")
def images():
    """1037 test digits, a number that no batch divides."""
    data = datasets.load("mnist")
    return (data.x_train[:50], data.y_train[:50]), (data.x_test[:1037], data.y_test[:1037])


def draw(rng, n=3000, classes=4, sharpness=3.0):
    """Probabilities of an overconfident classifier, and labels."""
    logits = rng.normal(size=(n, classes))
    truth = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (rng.random((n, 1)) > truth.cumsum(axis=1)).sum(axis=1).clip(max=classes - 1)
    claimed = np.exp(sharpness * logits)
    return claimed / claimed.sum(axis=1, keepdims=True), labels


def slow_error(probabilities, labels, bins):
    """Guo et al.'s equation 3, sample by sample; bins hold their upper limit."""
    sums = {}
    for row, label in zip(probabilities.tolist(), labels.tolist(), strict=True):
        confidence = max(row)
        number = next(m for m in range(1, bins + 1) if confidence <= m / bins or m == bins)
        gap, count = sums.get(number, (0.0, 0))
        sums[number] = (gap + (row.index(confidence) == label) - confidence, count + 1)
    return sum(abs(gap) for gap, _ in sums.values()) / len(labels)


@pytest.mark.parametrize("bins", [1, 2, 7, 15, 100])
@pytest.mark.parametrize("classes", [2, 4])
def test_calibration_error_is_the_slow_loops(bins, classes, rng):
    probabilities, labels = draw(rng, classes=classes)
    found = expected_calibration_error(probabilities, labels, bins)
    assert found == pytest.approx(slow_error(probabilities, labels, bins), abs=1e-12)
    assert found > 0.03
    assert expected_calibration_error(probabilities, np.eye(classes, dtype=int)[labels], bins) == found


def test_curve_is_scikit_learns(rng):
    probabilities, labels = draw(rng)
    curve = reliability_curve(probabilities, labels)
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=15, strategy="uniform")
    some = curve.count > 0
    np.testing.assert_allclose(curve.accuracy[some], accuracy)
    np.testing.assert_allclose(curve.confidence[some], confidence)
    np.testing.assert_allclose(curve.edges, np.arange(16) / 15)
    assert curve.count.sum() == len(labels)
    # Of four classes, the most probable one never has less than a quarter.
    assert curve.count[:3].sum() == 0
    assert np.isnan(curve.accuracy[:3]).all()
    assert np.isnan(curve.confidence[:3]).all()


def test_calibration_error_by_hand():
    # Confidences 0.9 (right), 0.9 (wrong), 0.6 (right): |0.5 − 0.9| · 2/3 + |1 − 0.6| · 1/3.
    probabilities = [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6]]
    assert expected_calibration_error(probabilities, [0, 1, 1]) == pytest.approx(0.4)
    # In one bin the gaps cancel in part: |2/3 − 0.8|.
    assert expected_calibration_error(probabilities, [0, 1, 1], bins=1) == pytest.approx(2 / 15)


def test_a_calibrated_classifier_has_almost_no_error(rng):
    probabilities, labels = draw(rng, n=200_000, sharpness=1.0)
    assert expected_calibration_error(probabilities, labels) < 0.005


def test_one_column_is_the_probability_of_class_1(rng):
    rows, labels = draw(rng, classes=2)
    expected = expected_calibration_error(rows, labels)
    assert expected_calibration_error(rows[:, 1], labels) == pytest.approx(expected, abs=1e-12)
    assert expected_calibration_error(rows[:, 1:], labels) == pytest.approx(expected, abs=1e-12)
    # One half is class 0, as it is in evaluation, and certainty falls in the last bin.
    assert expected_calibration_error([0.5], [0]) == pytest.approx(0.5)
    assert reliability_curve([0.0, 1.0, 0.5], [0, 1, 0], bins=4).count.tolist() == [0, 1, 0, 2]


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([[0.5, 0.6]], [0], "sums to 1.1"),
        ([[2.0, -1.0]], [0], "between -1 and 2"),
        ([0.1, np.nan], [0, 1], "nan"),
        ([[0.5, 0.5]], [2], "0 to 1"),
        ([[0.5, 0.5]], [0, 1], "1 rows .* 2 labels"),
        ([], [], "shape"),
        (["a"], [0], "dtype"),
        (np.zeros((1, 2, 2)), [0], "shape"),
    ],
)
def test_what_are_no_probabilities_is_refused(probabilities, labels, message):
    with pytest.raises(DataError, match=message):
        expected_calibration_error(probabilities, labels)


@pytest.mark.parametrize("bins", [0, -1, 1.5, True, "15"])
def test_bad_bins_are_refused(bins):
    with pytest.raises(InputError, match="bins="):
        reliability_curve([0.1], [0], bins=bins)


def graph_multiply_adds(model):
    """Multiply-adds by the matrix products and convolutions in the graph TensorFlow runs for one sample."""
    spec = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    graph = tf.function(lambda x: model(x, training=False), autograph=False).get_concrete_function(spec).graph
    total = 0
    for op in graph.get_operations():
        if op.type == "MatMul":
            assert not op.get_attr("transpose_a")
            assert not op.get_attr("transpose_b")
            total += int(np.prod(op.inputs[0].shape)) * op.inputs[1].shape[1]
        elif op.type == "Conv2D":
            total += int(np.prod(op.outputs[0].shape)) * int(np.prod(op.inputs[1].shape[:3]))
        else:
            assert op.type not in ("BatchMatMulV2", "Einsum", "DepthwiseConv2dNative", "PartitionedCall")
    return total


HAND_NUMBERS = {
    "threshold_perceptron": 2,
    "logistic_perceptron": 2,
    "onehot_softmax": 2 * 2,
    "xor_mlp": 2 * 2 + 2,
    "sigmoid_mlp": 2 * 4 + 4 * 2,
    "tanh_mlp": 2 * 10 + 10 * 4,
    "relu_mlp": 784 * 100 + 100 * 10,
    "dense_500_300": 784 * 500 + 500 * 300 + 300 * 10,
    "two_conv_cnn": 28 * 28 * 25 * 32 + 14 * 14 * 25 * 32 * 64 + 7 * 7 * 64 * 1024 + 1024 * 10,
    "tanh_autoencoder": 2 * (784 * 500 + 500 * 300 + 300 * 2),
}


@pytest.mark.parametrize("name", modelzoo.list_models())
def test_multiply_adds_of_the_zoo(name):
    model = modelzoo.create_model(name, seed=0)
    assert multiply_adds(model) == graph_multiply_adds(model)
    if name in HAND_NUMBERS:
        assert multiply_adds(model) == HAND_NUMBERS[name]


def test_multiply_adds_of_other_graphs():
    shared = keras.layers.Dense(6)
    inputs = keras.Input((6,))
    twice = keras.Model(inputs, keras.layers.Add()([shared(shared(inputs)), inputs]))
    assert multiply_adds(twice) == graph_multiply_adds(twice) == 2 * 36
    outer = keras.Input((6,))
    nested = keras.Model(outer, keras.layers.Dense(2)(twice(twice(outer))))
    assert multiply_adds(nested) == graph_multiply_adds(nested) == 2 * 72 + 12

    layers = keras.layers
    sequential = keras.Sequential(
        [
            keras.Input((11, 9, 4)),
            layers.Conv2D(6, (3, 2), strides=(2, 1), padding="valid", groups=2),
            layers.BatchNormalization(),
            layers.Dense(5),  # at each of the 5 × 8 places
        ]
    )
    assert multiply_adds(sequential) == 5 * 8 * 6 * (3 * 2 * 2) + 5 * 8 * 6 * 5
    # Convolutions at several sizes share one kernel here.
    conv, image = layers.Conv2D(3, 3, padding="same"), keras.Input((8, 8, 3))
    pyramid = keras.Model(image, conv(layers.MaxPooling2D(2)(conv(image))))
    assert multiply_adds(pyramid) == graph_multiply_adds(pyramid) == (64 + 16) * 3 * 27


def test_what_cannot_be_counted_is_refused():
    recurrent = keras.Sequential([keras.Input((5, 3)), keras.layers.LSTM(4, name="memory")])
    with pytest.raises(InputError, match="'memory' is a LSTM"):
        multiply_adds(recurrent)
    with pytest.raises(InputError, match="'sequence'"):
        multiply_adds(keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(4, name="sequence")]))
    with pytest.raises(InputError, match="build it first"):
        multiply_adds(keras.Sequential([keras.layers.Dense(4)]))


def test_measures_of_an_image_classifier(images):
    model = modelzoo.create_model("relu_mlp", hidden_units=12, seed=0)
    heard: list[str] = []
    found = measure(model, images, progress=heard.append)
    x, y = images[1]
    assert heard == ["test data", *datasets.CORRUPTIONS]
    assert list(found["corruptions"]) == list(datasets.CORRUPTIONS)
    scores = modelzoo.evaluate(model, images)
    assert (found["test_loss"], found["test_accuracy"]) == (scores["loss"], scores["accuracy"])
    assert found["calibration_error"] == pytest.approx(slow_error(model(x).numpy().astype(float), y, 15), abs=1e-6)
    for name, corrupt in datasets.CORRUPTIONS.items():
        expected = np.mean(model(corrupt(x)).numpy().argmax(axis=1) != y)
        assert found["corruptions"][name] == pytest.approx(expected, abs=1.5 / len(x))
    assert found["num_params"] == 784 * 12 + 12 + 120 + 10
    assert found["multiply_adds"] == 784 * 12 + 120
    assert json.loads(json.dumps(found)) == found
    assert "corruptions" not in measure(model, images, corruptions=False)


def test_logits_measure_as_probabilities_do(images):
    kwargs = {"hidden_units": 12, "seed": 0}
    probabilities = measure(modelzoo.create_model("relu_mlp", **kwargs), images)
    logits = measure(modelzoo.create_model("relu_mlp", classifier_activation=None, **kwargs), images)
    assert logits.pop("corruptions") == pytest.approx(probabilities.pop("corruptions"), abs=2 / 1037)
    assert logits == pytest.approx(probabilities, rel=1e-4)


def test_one_output_in_its_two_forms():
    data = datasets.load("linear", n=400)
    model = modelzoo.create_model("logistic_perceptron", seed=3)
    found = measure(model, data)
    p = model(data.x_test).numpy().astype(float)
    expected = slow_error(np.concatenate([1 - p, p], axis=1), data.y_test, 15)
    assert found["calibration_error"] == pytest.approx(expected, abs=1e-6)
    assert "corruptions" not in found  # points are no images
    logits = modelzoo.create_model("logistic_perceptron", classifier_activation=None, seed=3)
    assert measure(logits, data) == pytest.approx(found, rel=1e-5)


def test_a_threshold_unit_claims_no_probability():
    found = measure(modelzoo.create_model("threshold_perceptron", weights=(-0.5, 1), threshold=-0.2))
    assert found["calibration_error"] is None
    assert (found["test_accuracy"], found["test_loss"]) == (1, 0)


def test_outputs_that_are_no_probabilities_have_no_calibration_error():
    model = modelzoo.create_model("tanh_mlp", classifier_activation=None, seed=0)
    assert measure(model)["calibration_error"] > 0
    origin_of(model).training = {"recipe": Recipe(steps=1, loss="sum_of_squares").to_dict()}
    assert measure(model)["calibration_error"] is None


def test_reconstructions_are_compared_with_the_clean_image(images):
    model = modelzoo.create_model("tanh_autoencoder", hidden_units=(9, 7), seed=0)
    found = measure(model, images)
    x = images[1][0]
    clean = x.reshape(len(x), -1) / 255
    assert set(found) == {"test_loss", "corruptions", "num_params", "multiply_adds"}
    assert found["test_loss"] == pytest.approx(
        mean_squared_error(clean, model(x).numpy().reshape(len(x), -1)), rel=1e-5
    )
    for name in ("shift_4", "noise_97"):
        outputs = model(datasets.CORRUPTIONS[name](x)).numpy().reshape(len(x), -1)
        assert found["corruptions"][name] == pytest.approx(mean_squared_error(clean, outputs), rel=1e-5)


def test_own_data_and_pretrained_names_are_the_default():
    found = measure("tanh_mlp")
    assert found["test_loss"] == modelzoo.evaluate("tanh_mlp")["loss"]
    assert modelzoo.measure is measure


def test_bad_input_is_refused(images):
    model = modelzoo.create_model("relu_mlp", hidden_units=3, seed=0)
    stream = tf.data.Dataset.from_tensor_slices(images[1]).batch(10)
    with pytest.raises(InputError, match=r"tf\.data\.Dataset"):
        measure(model, stream)
    x, y = images[1]
    with pytest.raises(DataError, match="0 to 255"):
        measure(model, (x[:9] * 2.0, y[:9]))
    with pytest.raises(DataError, match="shape"):
        measure(model, (x[:9, :5], y[:9]))
    with pytest.raises(InputError, match="not made by a modelzoo builder"):
        measure(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), datasets.load("linear"))
